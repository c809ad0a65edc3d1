"""What networks of conditionals learn in a private step: every row of a minibatch by a loss of its own."""

__all__ = ["PrivateConditionals", "all_row_losses", "require_row_conditionals"]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...games import PrivacyError
from ..private_minibatches import PrivateMinibatches
from .conditional_heads import RowConditional
from .conditional_inputs import Rows, length
from .gibbs import Gibbs
from .private_steps import RowLosses


@dataclass(frozen=True)
class PrivateConditionals:
    """The losses of one call of `learn`, row by row and network by network; each network is a part of its own.

    Rows that were heard or dreamt are clipped like private ones. What a network's loss is divided by is made of weights
    and of numbers of rows, never of how many private rows came.

    Arguments:
        net: the networks.
        filled: how minibatches are filled.
        groups: the rows of a minibatch, those over the same variables together.
        label: the variable whose network alone learns; None where all do.
        dreamt: rows that are dreamt for the networks of latents.
        sweeps: of completing rows.
        hide: share of rows in which a network sees only a part of the other variables.
        chunk: rows that are completed at a time.
        stream: of all draws.
    """

    net: Gibbs
    filled: PrivateMinibatches
    groups: Callable[[Sequence[NDArray[np.int64]]], list[Rows]]
    label: str | None
    dreamt: int
    sweeps: int
    hide: float
    chunk: int
    stream: torch.Generator

    def __call__(self, picks: Sequence[NDArray[np.int64]]) -> tuple[Iterable[Tensor], Iterator[RowLosses]]:
        """The losses of a minibatch, all of single rows."""
        return (), self._of_all(picks) if self.label is None else self._of_label(self.label, picks)

    def _of_label(self, label: str, picks: Sequence[NDArray[np.int64]]) -> Iterator[RowLosses]:
        weight = self._weight(label, picks)
        for rows in self.groups(picks):
            if label in rows:
                lesson = self.net.label_lesson(label, rows, self.stream)
                yield RowLosses(0, partial(self._row_losses, name=label, weight=weight), lesson)

    def _of_all(self, picks: Sequence[NDArray[np.int64]]) -> Iterator[RowLosses]:
        with torch.no_grad():
            whole = [
                (self.net.taught(rows), self.net.complete(rows, length(rows), self.stream, self.sweeps, self.chunk))
                for rows in self.groups(picks)
            ]
            if self.dreamt:
                alone = self.net.complete({}, self.dreamt, self.stream, self.sweeps, self.chunk)
                whole.append((self.net.taught(()), alone))
        for part, name in enumerate(self.net.names):
            weight = self._weight(name, picks)
            for taught, rows in whole:
                if name in taught:
                    lesson = self.net.lesson(name, rows, self.hide, self.stream)
                    yield RowLosses(part, partial(self._row_losses, name=name, weight=weight), lesson)

    def _row_losses(self, rows: Mapping[str, Tensor], name: str, weight: float) -> Tensor:
        return weight * self.net.row_losses(name, dict(rows))

    def _weight(self, name: str, picks: Sequence[NDArray[np.int64]]) -> float:
        """B over the rows that teach a network: those heard and dreamt, and the own ones that are expected."""
        rows = 0.0 if self.label is not None or name not in self.net.taught(()) else float(self.dreamt)
        for source, pick in zip(self.filled.sources, picks, strict=True):
            held = [v for v in source.batch.space.names if v in self.net.names]
            if name in (held if self.label is not None else self.net.taught(held)):
                rows += source.weight * self.filled.size if source.own else len(pick)
        return self.filled.size / max(rows, 1.0)


def require_row_conditionals(net: Gibbs) -> None:
    """Refuses networks whose losses cannot be taken row by row.

    Raises:
        PrivacyError: the first of them is named.
    """
    for name in net.names:
        if not isinstance(net.network(name), RowConditional):
            raise PrivacyError(
                f"the network of {name!r} is a {type(net.network(name)).__name__} and cannot learn privately; give it "
                "`noise` and `row_losses`, as `RowConditional` has them"
            )


def all_row_losses(net: Gibbs, rows: Rows) -> list[Tensor]:
    """What every network says of whole rows, as losses of each row: `[n]` each; the same noise each time."""
    stream = torch.Generator(next(iter(rows.values())).device).manual_seed(0)
    return [net.row_losses(name, net.lesson(name, rows, 0.0, stream)) for name in net.names]
