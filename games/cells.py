"""Finite spaces as joint tables: every row is a cell, and the cells of a part of the variables are sums of cells."""

__all__ = ["MOST_CELLS", "Cells", "TableSizeError", "Tabulated", "completed"]

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .family import Array
from .space import Batch, Space, SpaceError
from .specs import StepSize

MOST_CELLS = 2**18
"""Cells of the largest joint table."""

_TINY = float(np.finfo(np.float64).tiny)


class TableSizeError(ValueError):
    """A joint table would have too many cells, or a matrix over the cells of a game too many entries.

    Not `SpaceError`: the variables are fine one by one.
    """


@runtime_checkable
class Tabulated(Protocol):
    """A model that is a joint table and learns by p ← (1 − η_t) p + η_t F(p), F the map of `TableGame`."""

    @property
    def space(self) -> Space:
        """Its variables."""
        ...

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """p, `[cells]`."""
        ...

    @property
    def step(self) -> StepSize:
        """η_t."""
        ...

    @property
    def smoothing(self) -> float:
        """Pseudo-count λ of a uniform table beside the private rows."""
        ...


@final
class Cells:
    """The cells of the joint table of a finite space, numbered as by `numpy.ravel_multi_index`.

    Each number of a variable is an axis: a binary variable of shape (2, 2) has four of size 2. The last axis of the
    last variable runs fastest.

    Arguments:
        space: binary and categorical variables of any shape.

    Raises:
        SpaceError: a variable of another kind.
        TableSizeError: more than `MOST_CELLS` cells.

    >>> from nashgossip.games import Variable
    >>> cells = Cells(Space((Variable("c", "categorical", categories=3), Variable("x", "binary", (2,)))))
    >>> cells.count, cells.codes(cells.space.batch({"c": [0, 2], "x": [[0, 1], [1, 1]]}))
    (12, array([ 1, 11]))
    """

    def __init__(self, space: Space) -> None:
        endless = [v for v in space if v.kind not in ("binary", "categorical")]
        if endless:
            raise SpaceError(
                f"variable {endless[0].name!r} is {endless[0].kind}, but a joint table has binary and categorical "
                "variables; cut its values into categories, or leave it out of the model's `variables`"
            )
        self.space = space
        sizes = [v.categories or 2 for v in space for _ in range(int(np.prod(v.shape)))]
        exact = float(np.prod(np.array(sizes, np.float64)))
        if exact > MOST_CELLS:
            raise TableSizeError(
                f"the joint table of {', '.join(space.names)} has {exact:.4g} cells, expected at most {MOST_CELLS}; "
                "give the player fewer variables, or smaller ones"
            )
        self._sizes = tuple(sizes)
        self.count = int(exact)

    def codes(self, batch: Batch) -> NDArray[np.intp]:
        """The cell of each row, `[n]`."""
        columns = [batch[v.name].reshape(len(batch), -1) for v in self.space]
        return _numbered(np.concatenate(columns, axis=1).T.astype(np.intp), self._sizes)

    def rows(self, codes: NDArray[np.intp]) -> Batch:
        """The rows that lie in these cells."""
        numbers = np.stack(np.unravel_index(codes, self._sizes), axis=1)
        arrays, at = {}, 0
        for v in self.space:
            width = int(np.prod(v.shape))
            arrays[v.name] = numbers[:, at : at + width].reshape(len(codes), *v.shape)
            at += width
        return self.space.batch(arrays)

    def histogram(self, batch: Batch) -> Array:
        """The share of each cell among the rows, `[count]`."""
        return np.bincount(self.codes(batch), minlength=self.count) / len(batch)

    def part(self, space: Space) -> NDArray[np.intp]:
        """Which cell of `space`, a part of these variables, every cell belongs to: `[count]`."""
        wanted = [axis for name in space.names for axis in self._axes[name]]
        return _numbered(self._numbers[wanted], [self._sizes[axis] for axis in wanted])

    @cached_property
    def _axes(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        at = 0
        for v in self.space:
            width = int(np.prod(v.shape))
            found[v.name] = list(range(at, at + width))
            at += width
        return found

    @cached_property
    def _numbers(self) -> NDArray[np.intp]:
        return np.stack(np.unravel_index(np.arange(self.count), self._sizes))


def _numbered(numbers: NDArray[np.intp], sizes: Sequence[int]) -> NDArray[np.intp]:
    """Cells from the numbers along each axis, `[axes, n]`."""
    return np.asarray(np.ravel_multi_index(tuple(numbers), tuple(sizes)), np.intp)


def completed(table: Array, part: Array, index: NDArray[np.intp]) -> Array:
    """q(x_S) p(x_rest | x_S), the expected completion of a marginal table by a joint one: `[cells]`.

    Where p(x_S) = 0 < q(x_S) the conditional is not defined; every x_rest then gets the same share.

    Arguments:
        table: p, `[cells]`.
        part: q, over the cells of the part S.
        index: cell → cell of the part, `[cells]`, as `Cells.part` gives it.

    >>> completed(np.array([0.1, 0.3, 0.0, 0.0]), np.array([0.4, 0.6]), np.array([0, 0, 1, 1]))
    array([0.1, 0.3, 0.3, 0.3])
    """
    mass = np.bincount(index, weights=table, minlength=len(part))
    known = mass >= _TINY
    filled = table * np.divide(part, mass, out=np.zeros_like(mass), where=known)[index]
    if not known.all():
        filled += np.where(known, 0.0, part)[index] * (len(part) / len(table))
    return np.asarray(filled, np.float64)
