"""One network per variable given the others: a start from what is there, Gibbs sweeps, and who may learn from it."""

__all__ = ["Gibbs"]

from collections.abc import Collection, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ...games import Variable
from .conditional_architectures import ConditionalArchitecture
from .conditional_heads import Conditional, FlatConditional, RowConditional
from .conditional_inputs import Rows, Seen, is_image, joined, length


class Gibbs(nn.Module):
    """p(v | the others) for every variable, each a network of its own; see `Conditionals` for what they model.

    Arguments:
        variables: all of them, images as `(channels, rows, columns)` or `(rows, columns)`, in the order in which a
            start fills in and a sweep goes.
        latents: names of those that no data source observes.
        architecture: makes the networks.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        latents: Collection[str],
        architecture: ConditionalArchitecture,
    ) -> None:
        super().__init__()
        self._variables = {v.name: v for v in variables}
        self._latents = frozenset(latents)
        self._place = {v.name: k for k, v in enumerate(variables)}
        self.networks = nn.ModuleList(
            architecture.conditional(v, [u for u in variables if u is not v]) for v in variables
        )

    @property
    def names(self) -> list[str]:
        """The variables, in order."""
        return list(self._variables)

    def network(self, name: str) -> Conditional:
        """p(name | the others)."""
        return cast("Conditional", self.networks[self._place[name]])

    def parts(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """Beginnings of the names of the parameters of each of some networks."""
        return [(f"networks.{self._place[name]}.",) for name in names]

    def complete(
        self, rows: Rows, n: int, stream: torch.Generator, sweeps: int, chunk: int, *, noise: bool = True
    ) -> Rows:
        """The rows with what they lack, `chunk` at a time: a start, then sweeps over what was missing.

        Arguments:
            noise: whether the last draw of a real image has the noise of its pixels; all before it have.
        """
        return joined(
            [self._complete(_cut(rows, at, chunk), min(chunk, n - at), stream, sweeps, noise) for at in _at(n, chunk)]
        )

    def class_shares(self, rows: Rows, label: str, n: int, stream: torch.Generator, sweeps: int, chunk: int) -> Tensor:
        """Mean of p(label | the others) over Gibbs sweeps with `rows` clamped: `[n, classes]`.

        What is missing besides the label is drawn first without it, so that no guess of it is built into the rest.
        """
        parts = [self._tell(_cut(rows, at, chunk), label, min(chunk, n - at), stream, sweeps) for at in _at(n, chunk)]
        return torch.cat(parts)

    def told_alone(self, rows: Rows, label: str, n: int, stream: torch.Generator, chunk: int) -> Tensor:
        """p(label | what the rows hold) by the label's network alone, the rest hidden: `[n, classes]`."""
        network, found = cast("FlatConditional", self.network(label)), []
        for at in _at(n, chunk):
            part = _cut(rows, at, chunk)
            whole, seen = self._padded(part, min(chunk, n - at), stream, without=label)
            found.append(torch.softmax(network.logits(whole, seen), dim=1))
        return torch.cat(found)

    def taught(self, given: Collection[str]) -> list[str]:
        """The variables whose networks may learn from rows over `given` that were completed.

        Those that were given, and those latents after which something missing was drawn anew. A value that its own
        network has just drawn tells it nothing: it would only repeat itself.
        """
        missing = [name for name in self.names if name not in given]
        return [name for name in self.names if name in given or (name in self._latents and name != missing[-1])]

    def losses(
        self, name: str, groups: Sequence[Rows], hide: float, stream: torch.Generator, chunk: int
    ) -> Iterator[Tensor]:
        """Mean loss of one network over completed rows, in parts of `chunk` rows that sum to it.

        Arguments:
            hide: share of the rows in which it sees only a random part of the other variables.
        """
        rows = joined(groups)
        n = length(rows)
        for at in _at(n, chunk):
            part = _cut(rows, at, chunk)
            seen = self._partly_seen(length(part), hide, stream)
            yield self.network(name).losses(part, seen, stream).sum() / n

    def lesson(self, name: str, rows: Rows, hide: float, stream: torch.Generator) -> Rows:
        """Completed rows with all that the loss of one network draws besides, for `row_losses`."""
        return self._lesson(name, rows, self._partly_seen(length(rows), hide, stream), stream)

    def label_lesson(self, label: str, rows: Rows, stream: torch.Generator) -> Rows:
        """The same from what rows hold, without completing them."""
        whole, seen = self._padded(rows, length(rows), stream, without=label)
        return self._lesson(label, {**whole, label: rows[label]}, seen, stream)

    def row_losses(self, name: str, lesson: Rows) -> Tensor:
        """Loss of one network on each row of a lesson: `[n]`."""
        kept = {part: {} for part in ("value", "seen", "noise")}  # type: dict[str, Rows]
        for key, values in lesson.items():
            part, _, variable = key.partition(" ")
            kept[part][variable] = values
        return cast("RowConditional", self.network(name)).row_losses(kept["value"], kept["seen"], kept["noise"][""])

    def _lesson(self, name: str, rows: Rows, seen: Seen, stream: torch.Generator) -> Rows:
        noise = cast("RowConditional", self.network(name)).noise(length(rows), stream)
        return {
            **{f"value {v}": values for v, values in rows.items()},
            **{f"seen {v}": flags for v, flags in seen.items()},
            "noise ": noise,
        }

    def label_losses(self, label: str, groups: Sequence[Rows], stream: torch.Generator, chunk: int) -> Iterator[Tensor]:
        """Mean loss of the network of the label alone, from what rows hold, without completing them."""
        held = [rows for rows in groups if label in rows]
        total = sum(map(length, held))
        for rows in held:
            for at in _at(length(rows), chunk):
                part = _cut(rows, at, chunk)
                whole, seen = self._padded(part, length(part), stream, without=label)
                yield self.network(label).losses({**whole, label: part[label]}, seen, stream).sum() / total

    # --- starts and sweeps ---------------------------------------------------------------------------------------

    def _complete(self, rows: Rows, n: int, stream: torch.Generator, sweeps: int, noise: bool) -> Rows:
        missing = [name for name in self.names if name not in rows]
        left = sweeps if len(missing) > 1 else 0  # a single one is drawn from its conditional by the start
        whole = self._start(rows, n, stream, missing, noise=noise or left > 0)
        seen = self._all_seen(n, stream)
        for sweep in range(left):
            for name in missing:
                plain = not noise and sweep == left - 1
                whole[name] = self.network(name).draw(whole, seen, stream, noise=not plain)
        return whole

    def _start(
        self,
        rows: Rows,
        n: int,
        stream: torch.Generator,
        missing: Sequence[str],
        *,
        without: str | None = None,
        noise: bool = True,
    ) -> Rows:
        """Fills in what is missing in order, each from what is there by then; `without` stays out."""
        whole, seen = self._padded(rows, n, stream, without=without)
        for name in missing:
            whole[name] = self.network(name).draw(whole, seen, stream, noise=noise)
            seen = {**seen, name: torch.ones_like(seen[name])}
        return whole

    def _tell(self, rows: Rows, label: str, n: int, stream: torch.Generator, sweeps: int) -> Tensor:
        shown = {name: values for name, values in rows.items() if name != label}
        missing = [name for name in self.names if name not in shown and name != label]
        whole = self._start(shown, n, stream, missing, without=label)
        seen = self._all_seen(n, stream)
        network = self.network(label)
        if not isinstance(network, FlatConditional):
            raise ValueError(f"{label!r} is no class")
        total = torch.zeros(())
        for _ in range(sweeps if missing else 1):
            shares = torch.softmax(network.logits(whole, seen), dim=1)
            total = total.to(shares.device) + shares
            whole[label] = torch.multinomial(shares, 1, generator=stream)[:, 0]
            for name in missing:
                whole[name] = self.network(name).draw(whole, seen, stream)
        return total / total.sum(1, keepdim=True)

    def _padded(
        self, rows: Rows, n: int, stream: torch.Generator, *, without: str | None = None
    ) -> tuple[Rows, dict[str, Tensor]]:
        """Zeros for what is missing or left out, and flags that hide them."""
        whole, seen = {}, {}
        for name, v in self._variables.items():
            there = name in rows and name != without
            whole[name] = rows[name] if there else _zeros(v, n, stream.device)
            seen[name] = torch.full((n,), there, device=stream.device)
        return whole, seen

    def _all_seen(self, n: int, stream: torch.Generator) -> Seen:
        flags = torch.ones(n, dtype=torch.bool, device=stream.device)
        return dict.fromkeys(self.names, flags)

    def _partly_seen(self, n: int, hide: float, stream: torch.Generator) -> Seen:
        """All variables in most rows; in a share `hide` of them each is hidden with a probability of the row's own."""
        drawn = torch.rand((len(self._variables) + 2, n), generator=stream, device=stream.device)
        level = torch.where(drawn[0] < hide, drawn[1], torch.zeros_like(drawn[1]))
        return {name: drawn[k + 2] >= level for k, name in enumerate(self.names)}


def _zeros(v: Variable, n: int, device: torch.device) -> Tensor:
    shape = (1, *v.shape) if is_image(v) and len(v.shape) == 2 else v.shape
    return torch.zeros((n, *shape), dtype=torch.int64 if v.kind == "categorical" else torch.float32, device=device)


def _at(n: int, chunk: int) -> range:
    return range(0, n, chunk)


def _cut(rows: Rows, at: int, chunk: int) -> Rows:
    return {name: values[at : at + chunk] for name, values in rows.items()}
