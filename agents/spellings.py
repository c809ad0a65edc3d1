"""Words spelled in several scripts side by side, as rows of one symbol a place, and the ways to complete them."""

__all__ = ["Spellings"]

import itertools
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space, SpaceError
from .contexts import Array, Ids

_MOST_SYMBOLS = 10_000_000


@final
class Spellings:
    """The symbols of words in one script or several: at each place the tuple of the letters that stand there.

    The last category of a variable is its end symbol; what stands behind the first one does not count. The last symbol
    is the end of all spellings.

    Arguments:
        space: categorical variables of one shape (length,), with at least two categories each.

    Raises:
        SpaceError: a variable that is no word, shapes that differ, or more than ten million symbols.
    """

    def __init__(self, space: Space) -> None:
        if any(v.kind != "categorical" or len(v.shape) != 1 or (v.categories or 0) < 2 for v in space):
            raise SpaceError(
                "expected words, categorical variables of shape (length,) whose last category is the end symbol; came "
                + ", ".join(f"{v.name} ({v.kind}, shape {v.shape})" for v in space)
            )
        if len({v.shape for v in space}) > 1:
            raise SpaceError(
                f"spellings of one word have shapes {', '.join(str(v.shape) for v in space)}, expected one; "
                "give them one length"
            )
        self._space = space
        self._sizes = [int(v.categories or 0) for v in space]
        self.length = space.variables[0].shape[0]
        self.size = int(np.prod(np.array(self._sizes, np.float64)))
        if self.size > _MOST_SYMBOLS:
            raise SpaceError(f"the spellings make {self.size} symbols, expected at most {_MOST_SYMBOLS}; name fewer")
        self._places = [int(np.prod(self._sizes[k + 1 :])) for k in range(len(self._sizes))]

    @property
    def end(self) -> int:
        """The symbol of the end of all spellings."""
        return self.size - 1

    def base(self) -> Array:
        """`[size]`, all symbols alike that are the end, or letters in all spellings: those end together."""
        letters = np.ones(1, bool)
        for size in self._sizes:
            letters = np.outer(letters, np.arange(size) < size - 1).reshape(-1)
        letters[self.end] = True
        base: Array = letters / letters.sum()
        return base

    def encode(self, batch: Batch) -> Ids:
        """Rows as symbols, `[n, length]`; a spelling that the batch lacks counts as its first letter."""
        rows = np.zeros((len(batch), self.length), np.int64)
        for v, size, place in zip(self._space, self._sizes, self._places, strict=True):
            if v.name in batch.space:
                rows += place * _cut(batch.restrict(Space((v,)))[v.name].astype(np.int64), size - 1)
        return rows

    def decode(self, rows: Ids) -> dict[str, NDArray[Any]]:
        """The spellings of rows of symbols: name → `[n, length]`."""
        return {
            v.name: _cut(rows // place % size, size - 1).astype(np.int32)
            for v, size, place in zip(self._space, self._sizes, self._places, strict=True)
        }

    def ways(self, batch: Batch, seen: Ids) -> Mapping[int, Ids]:
        """The symbols that a symbol of `encode(batch)` can stand for: those seen that agree with what is given.

        Where none was seen, the end of all if what is given has ended, and else every letter of what lacks.

        Arguments:
            batch: whose spellings are the given ones.
            seen: symbols, in any order.
        """
        given = [v.name in batch.space for v in self._space]
        known: dict[int, list[int]] = {}
        for symbol in seen.tolist() if not all(given) else []:
            known.setdefault(self._part(symbol, given), []).append(symbol)
        found = {}
        for symbol in np.unique(self.encode(batch)).tolist():
            found[symbol] = np.array(known.get(symbol) or self._all_ways(symbol, given), np.int64)
        return found

    def _part(self, symbol: int, given: list[bool]) -> int:
        parts = zip(self._sizes, self._places, given, strict=True)
        return sum(symbol // place % size * place for size, place, kept in parts if kept)

    def _all_ways(self, symbol: int, given: list[bool]) -> list[int]:
        parts = list(zip(self._sizes, self._places, given, strict=True))
        if all(symbol // place % size == size - 1 for size, place, kept in parts if kept):
            return [self.end]
        lacking = [[place * letter for letter in range(size - 1)] for size, place, kept in parts if not kept]
        return [symbol + sum(letters) for letters in itertools.product(*lacking)]


def _cut(rows: Ids, end: int) -> Ids:
    """Rows with end symbols behind the first one."""
    return np.where(np.cumsum(rows == end, axis=1) > 0, end, rows)
