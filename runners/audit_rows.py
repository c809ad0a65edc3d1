"""Rows as the vectors that attacks measure them by: distances, densities, copies."""

__all__ = ["Lens", "copies", "distances", "one_thread"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, ExponentialFamily, Space

Matrix = NDArray[np.float64]


@final
class Lens:
    """How an attacker sees rows over some variables.

    Counts are taken as log(1 + count), counts and reals in units of their standard deviation; of categories each has a
    coordinate, so that two that differ are √2 apart, as far as two binary values.

    Arguments:
        space: the variables that arrive.
        scale: rows that units are taken from. The attacker is supposed to know the units of each variable.
        family: of the player's model, whose statistics are what its members leave a trace in; None for none.
    """

    def __init__(self, space: Space, scale: Batch, family: ExponentialFamily | None = None) -> None:
        self.space = space
        self._family = family if family is not None and family.space == space else None
        self._units = {v.name: _units(v.kind, scale[v.name]) for v in space if v.kind in ("real", "count")}
        known = self.statistics(scale)
        self._centre, self._spread = known.mean(axis=0), known.var(axis=0)
        self._spread = self._spread + 0.01 * max(float(self._spread.mean()), 1e-12)

    def encode(self, batch: Batch) -> Matrix:
        """Coordinates in which distances are measured: `[n, d]`."""
        columns = []
        for v in self.space:
            values = batch[v.name].reshape(len(batch), -1)
            if v.kind == "categorical":
                hot = values[:, :, None] == np.arange(v.categories or 1)
                columns.append(hot.reshape(len(batch), -1).astype(np.float64))
            elif v.kind == "binary":
                columns.append(values.astype(np.float64))
            else:
                columns.append(_plain(v.kind, values) / self._units[v.name])
        return np.concatenate(columns, axis=1)

    def statistics(self, batch: Batch) -> Matrix:
        """What the mean of a player's rows can be told from: the family's statistics, or the coordinates, `[n, s]`."""
        return self.encode(batch) if self._family is None else np.asarray(self._family.statistics(batch), np.float64)

    def mean_statistics(self, batch: Batch) -> Matrix:
        """The mean of `statistics` over the rows: `[s]`."""
        if self._family is None:
            mean: Matrix = self.encode(batch).mean(axis=0)
            return mean
        return np.asarray(self._family.mean_statistics(batch), np.float64)

    def trace(self, rows: Batch, mean: Matrix) -> Matrix:
        """How far each row points where the mean of the published rows lies from that of the population: `[n]`.

        ⟨φ(x) − m, (φ̄ − m)/v⟩ with the population's mean m and variances v: a member pulls φ̄ towards itself. `mean` is
        φ̄, `mean_statistics` of what was published.

        Source: N. Homer et al., Resolving Individuals Contributing Trace Amounts of DNA to Highly Complex Mixtures,
        2008; C. Dwork et al., Robust Traceability from Trace Amounts, 2015.
        """
        shift = (mean - self._centre) / self._spread
        found: Matrix = (self.statistics(rows) - self._centre) @ shift
        return found


def distances(rows: Matrix, others: Matrix, *, apart: bool = False) -> Matrix:
    """Euclidean distance of each row to the nearest of the others: `[n]`.

    Arguments:
        rows: `[n, d]`.
        others: `[k, d]`, k ≥ 1.
        apart: both are the same rows, and none counts as its own neighbour.
    """
    from sklearn.neighbors import NearestNeighbors  # not at import: it takes a second

    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(others)
    found: Matrix = search.kneighbors(None if apart else rows)[0][:, 0]
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which numerical libraries start no threads: in matrices so small these mostly wait for each other."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def copies(rows: Batch, published: Sequence[Batch]) -> NDArray[np.bool_]:
    """Whether a published row equals each of the rows, in every value: `[n]`."""
    there = {row for batch in published for row in _bytes(batch, rows.space)}
    return np.array([row in there for row in _bytes(rows, rows.space)], dtype=bool)


def _bytes(batch: Batch, space: Space) -> list[bytes]:
    flat = [np.ascontiguousarray(batch[v.name].reshape(len(batch), -1)).view(np.uint8) for v in space]
    joined = np.concatenate(flat, axis=1)
    return [row.tobytes() for row in joined]


def _plain(kind: str, values: NDArray[np.generic]) -> Matrix:
    plain = values.astype(np.float64)
    return np.log1p(plain) if kind == "count" else plain


def _units(kind: str, values: NDArray[np.generic]) -> Matrix:
    deviation = _plain(kind, values.reshape(len(values), -1)).std(axis=0)
    return np.where(deviation > 0, deviation, 1.0)
