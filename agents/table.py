"""The joint table as a model: learning is one step towards the expected completion of the sources, counted exactly."""

__all__ = ["JointTable"]

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Cells, Space, SpaceError, StepSize, completed
from .protocols import Source, State


@final
class JointTable:
    """p(x) over the cells of finite variables; `learn` does p ← (1 − η_t) p + η_t Σ_k w_k q_k(x_S) p(x_rest | x_S).

    q_k is the share of each value among the rows of source k, over the variables S that it holds. What rows lack is not
    drawn: all completions count, each by its probability under the table (soft counts), so that the rows of messages
    are the only noise. Where p(x_S) = 0 the conditional is not defined, and every completion counts alike. One such
    step never lowers the log-likelihood of what the sources hold.

    Arguments:
        space: binary and categorical variables, of any shape.
        label: the variable that `class_probabilities` tells; by default the only scalar categorical one.
        smoothing: pseudo-count λ of a uniform table beside the own rows.
        step: η_t, t = 0, 1, … the calls of `learn`.
        start: p to start from, `[cells]`; None for the uniform table.

    Raises:
        SpaceError: a variable that is not finite, or a label that is none.
        TableSizeError: too many cells.
        ValueError: a negative smoothing, or a start that is no table over these cells.

    Source: Dempster, Laird & Rubin, *Maximum Likelihood from Incomplete Data via the EM Algorithm*, 1977, for the
    completion; Cappé & Moulines, *On-line expectation-maximization algorithm for latent data models*, 2009, for steps.

    >>> from nashgossip.games import Variable
    >>> a, b = Variable("a", "binary"), Variable("b", "binary")
    >>> model = JointTable(Space((a, b)))
    >>> whole, half = Space((a, b)).batch({"a": [0, 1], "b": [0, 1]}), Space((a,)).batch({"a": [1]})
    >>> model.learn([Source(whole, 1.0)], np.random.default_rng(0))
    >>> model.learn([Source(whole, 0.5), Source(half, 0.5)], np.random.default_rng(0))
    >>> model.probabilities.reshape(2, 2)
    array([[0.25, 0.  ],
           [0.  , 0.75]])
    """

    def __init__(
        self,
        space: Space,
        *,
        label: str | None = None,
        smoothing: float = 0.0,
        step: StepSize | None = None,
        start: NDArray[np.float64] | None = None,
    ) -> None:
        self._cells = Cells(space)
        classes = [v.name for v in space if v.kind == "categorical" and not v.shape]
        if label is not None and label not in classes:
            raise SpaceError(f"{label!r} cannot be the label, expected a scalar categorical variable: {classes}")
        if not 0 <= smoothing < np.inf:
            raise ValueError(f"smoothing is {smoothing}, expected a pseudo-count of at least 0")
        self._label = label if label is not None else classes[0] if len(classes) == 1 else None
        self._smoothing = smoothing
        self._step = step or StepSize()
        self._steps = 0
        self._parts: dict[tuple[str, ...], tuple[NDArray[np.intp], Cells]] = {}
        count = self._cells.count
        self._table = self._checked(np.full(count, 1 / count) if start is None else start)

    @property
    def space(self) -> Space:
        """The variables."""
        return self._cells.space

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """p, `[cells]`; cells are numbered as by `games.Cells`."""
        return self._table

    @property
    def mean_parameters(self) -> NDArray[np.float64]:
        """The same: the means of the indicators of the cells."""
        return self._table

    @property
    def step(self) -> StepSize:
        """η_t."""
        return self._step

    @property
    def smoothing(self) -> float:
        """Pseudo-count λ of the uniform table beside the own rows."""
        return self._smoothing

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """One step towards the expected completion of the sources; exact, so that `rng` is not used."""
        own = sum(len(s.batch) for s in sources if s.own)
        kept = own / (own + self._smoothing) if own else 1.0  # the rest of the own weight goes to the uniform table
        target, uniform = np.zeros_like(self._table), 0.0
        for source in sources:
            share = kept if source.own else 1.0
            target += source.weight * share * self._completion(source.batch)
            uniform += source.weight * (1 - share)
        eta = self._step.at(self._steps)
        self._table = (1 - eta) * self._table + eta * (target + uniform / len(target))
        self._steps += 1

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n independent rows of p."""
        return self._cells.rows(_draw(self._table, rng.random(n)))

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Whole rows: what is given is kept, the rest drawn from p(x_rest | x_S), uniformly where p(x_S) = 0."""
        index, codes = self._part(batch)
        order = np.argsort(index, kind="stable")  # the cells of one x_S side by side
        width = len(order) // (int(index.max()) + 1)
        blocks = order.reshape(-1, width)
        weights = self._table[blocks]
        empty = weights.sum(axis=1) < np.finfo(np.float64).tiny
        weights[empty] = 1.0
        ends = np.cumsum(weights, axis=1)
        chosen = (rng.random(len(codes)) * ends[codes, -1])[:, None] >= ends[codes]
        last = width - 1 - (weights[:, ::-1] > 0).argmax(axis=1)  # rounding may leave the number beyond the last end
        return self._cells.rows(blocks[codes, np.minimum(chosen.sum(axis=1), last[codes])])

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p(x_S) of what the rows hold, in nats: `[n]`; −∞ for what the table excludes."""
        index, codes = self._part(batch)
        mass = np.bincount(index, weights=self._table)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(mass[codes]))

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """p(c | what else the rows hold) of each row, `[n, classes]`; uniform where the table excludes a row.

        Raises:
            SpaceError: the model has no label.
        """
        if self._label is None:
            raise SpaceError("this table has no label, or several variables that could be it; name one by `label`")
        label = self.space[self._label]
        shown = [v for v in self.space if v.name in batch.space and v.name != self._label]
        classes = label.categories or 1
        mass = np.bincount(self._cells.part(Space((*shown, label))), weights=self._table).reshape(-1, classes)
        codes = Cells(Space(tuple(shown))).codes(batch) if shown else np.zeros(len(batch), np.intp)
        found = mass[codes]
        total = found.sum(axis=1, keepdims=True)
        return np.where(total > 0, found / np.where(total > 0, total, 1.0), 1 / classes)

    def state(self) -> State:
        """p and the number of steps taken."""
        return {"table": self._table.copy(), "steps": self._steps}

    def load(self, state: State) -> None:
        """Restores `state()`.

        Raises:
            ValueError: the state of a table over other cells.
        """
        self._table = self._checked(np.asarray(state["table"], np.float64))
        self._steps = int(state["steps"])

    def _part(self, batch: Batch) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Cell → cell of the variables that the rows hold, and the latter of each row."""
        held = Space(tuple(v for v in self.space if v.name in batch.space))
        known = self._parts.get(held.names)
        if known is None:
            known = self._parts[held.names] = self._cells.part(held), Cells(held)
        return known[0], known[1].codes(batch.restrict(held))

    def _completion(self, batch: Batch) -> NDArray[np.float64]:
        index, codes = self._part(batch)
        return completed(self._table, np.bincount(codes, minlength=int(index.max()) + 1) / len(batch), index)

    def _checked(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        count = self._cells.count
        if np.shape(table) != (count,) or not (np.asarray(table) >= 0).all() or abs(np.sum(table) - 1) > 1e-9:
            raise ValueError(
                f"the table has shape {np.shape(table)} and sum {np.sum(table):.6g}, expected ({count},) numbers of at "
                f"least 0 that sum to 1, over the cells of {', '.join(self.space.names)}"
            )
        return np.array(table, np.float64)


def _draw(table: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.intp]:
    """Cells with probabilities `table` from uniform numbers."""
    ends = np.cumsum(table)
    found = np.searchsorted(ends, uniform * ends[-1], side="right")
    return np.asarray(np.minimum(found, np.flatnonzero(table)[-1]), np.intp)
