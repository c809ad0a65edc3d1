"""What a hierarchical VAE learns in a private step: from which rows openly, and from which by noisy gradients."""

__all__ = ["PrivateHierarchy"]

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..private_minibatches import PrivateMinibatches
from .hierarchy import Hierarchy, Rows
from .private_steps import RowLosses


@dataclass(frozen=True)
class PrivateHierarchy:
    """The losses of one call of `learn`, split into those that private rows have a part in and those that they do not.

    Every row of a minibatch, own or heard, has losses of its own for decoder and q(c | x), which are clipped alike; so
    have the dreamt rows that teach q(c | x). The encoder learns from rows that were dreamt or heard, so from what is
    known already. All numbers by which losses are divided are made of weights and of numbers of rows, never of how many
    private rows came.

    Arguments:
        net: the networks.
        filled: how minibatches are filled.
        groups: the rows of some sources, by their positions there, those over the same variables together.
        told: class and image, what q(c | x) learns from; None for a model without classes.
        everything: whether all is learned, or q(c | x) alone.
        batch: rows of a minibatch as asked for: so many are dreamt.
        chunk: rows that go through the networks at a time.
        sweeps: of `Hierarchy.complete`.
        stream: of all draws.
    """

    net: Hierarchy
    filled: PrivateMinibatches
    groups: Callable[[Sequence[int], Sequence[NDArray[np.int64]]], list[Rows]]
    told: tuple[str, str] | None
    everything: bool
    batch: int
    chunk: int
    sweeps: int
    stream: torch.Generator

    def __call__(self, picks: Sequence[NDArray[np.int64]]) -> tuple[Iterator[Tensor], Iterator[RowLosses]]:
        """The losses of a minibatch: the encoder's, and those of single rows, of decoder and q(c | x)."""
        heard = self.groups([k for k, source in enumerate(self.filled.sources) if not source.own], picks)
        with torch.no_grad():
            given = sum(len(next(iter(rows.values()))) for rows in heard if self.net.holds_latents(rows))
            dreamt = self.net.generate(max(self.batch - given, 1), self.stream, self.chunk) if self.everything else {}
        public = self.net.encoder_losses([dreamt, *heard], self.chunk) if self.everything else iter(())
        return public, self._of_rows(picks, dreamt)

    def _of_rows(self, picks: Sequence[NDArray[np.int64]], dreamt: Rows) -> Iterator[RowLosses]:
        groups = self.groups(range(len(picks)), picks)
        for rows in groups if self.everything else ():
            with torch.no_grad():
                whole = self.net.complete(rows, self.stream, self.chunk, self.sweeps)
            yield RowLosses(0, lambda rows: -self.net.log_joint(dict(rows)), whole)
        if self.told is None:
            return
        weight = self.filled.size / self._taught_classes(picks)
        as_own = {name: values[: self._dreamt_classes()] for name, values in dreamt.items()}
        for rows in [as_own, *groups]:
            if all(name in rows for name in self.told) and len(rows[self.told[0]]):
                told = {name: rows[name] for name in self.told}
                yield RowLosses(int(self.everything), lambda rows: weight * self.net.row_label_losses(dict(rows)), told)

    def _dreamt_classes(self) -> int:
        """How many dreamt rows teach q(c | x): as many as own rows are expected, whether they come or not."""
        return min(round(self.filled.expected()), self.batch) if self.everything else 0

    def _taught_classes(self, picks: Sequence[NDArray[np.int64]]) -> float:
        """Rows that teach q(c | x): those dreamt, those heard, and the own ones that are expected."""
        told = self.told or ()
        pairs = zip(self.filled.sources, picks, strict=True)
        heard = sum(len(p) for s, p in pairs if not s.own and all(name in s.batch.space for name in told))
        return max(self._dreamt_classes() + heard + self.filled.expected(told), 1.0)
