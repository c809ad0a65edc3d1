"""Weighted counts of what follows each context in a set of sequences, and the interpolated law that they give."""

__all__ = ["Contexts"]

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Array = NDArray[np.float64]

_UNSEEN = -1


@final
class Contexts:
    """p(a | h) of the next symbol a after a context h, from sequences that end with the symbol `size` − 1.

    With c(h, a) the weighted count of a after h, c(h) = Σ_a c(h, a), T(h) the number of different symbols seen after h,
    and h′ the context without its first symbol,

        p(a | h) = (c(h, a) + s·T(h) · p(a | h′)) / (c(h) + s·T(h)),

    down to the empty context, and below that `base`. A context never reaches over the start of its sequence, and the
    start counts as a symbol of it. Sequences of full length have no end symbol: they end there. Where no sequence was
    empty, the end symbol has probability 0 at the start.

    Arguments:
        rows: `[m, L]`, symbols 0 … size − 1, the last of which is the end symbol; behind it nothing but end symbols.
        weights: of the rows, `[m]`, in rows.
        base: `[size]`, probability of each symbol where nothing is known.
        order: symbols of the longest context and the one that follows, at least 1.
        smoothing: s > 0.

    Source: T. C. Bell, J. G. Cleary and I. H. Witten, *Text Compression*, 1990 (method C); S. F. Chen and J. Goodman,
    *An empirical study of smoothing techniques for language modeling*, 1999 (its interpolated form, with s = 1).

    Everything is an array: the context of d symbols that ends at a position has a number, which is the position of (the
    number of the context of d − 1 symbols before it, its last symbol) in the sorted counts of that depth.
    """

    def __init__(self, rows: Ids, weights: Array, base: Array, *, order: int, smoothing: float) -> None:
        size = len(base)
        self.size, self.order, self.smoothing = size, order, smoothing
        self._radix = size + 1  # the start is a symbol too, of contexts alone
        self._base = base
        self._keys: list[Ids] = []  # of each depth: (number of the context) · radix + next symbol, sorted
        self._counts: list[Array] = []
        self._sums: list[Array] = []  # 0, and the running sums of the counts
        self._first: list[Ids] = []  # of each context: where its counts begin; one more at the end
        self._totals: list[Array] = []
        self._kinds: list[Array] = []
        self._empty = bool(weights[rows[:, 0] == size - 1].sum() > 0)
        self._count(np.asarray(rows, np.int64), np.asarray(weights, np.float64))
        self._ends = float(self._counts[0][self._keys[0] == size - 1].sum())

    @property
    def end(self) -> int:
        """The end symbol."""
        return self.size - 1

    @property
    def symbols(self) -> Ids:
        """The symbols seen, sorted."""
        return self._keys[0][self._counts[0] > 0]

    def start(self, n: int) -> list[Ids]:
        """The contexts of n sequences that have not begun: by depth, the number of each one's context, `[n]`."""
        empty = np.zeros(n, np.int64)
        return [empty, self._find(0, empty, np.full(n, self.size))][: self.order]

    def step(self, ids: Sequence[Ids], symbols: Ids) -> list[Ids]:
        """The contexts after one more symbol of each sequence."""
        deeper = [self._find(depth, number, symbols) for depth, number in enumerate(ids[: self.order - 1])]
        return [np.zeros_like(symbols), *deeper]

    def probabilities(self, ids: Sequence[Ids], symbols: Ids, *, first: bool) -> Array:
        """p(symbol | context) of each sequence: `[n]`.

        Arguments:
            ids: as `start` and `step` give them.
            symbols: `[n]`.
            first: whether the symbols are the first of their sequences.
        """
        barred = first and not self._empty
        p = self._base[symbols]
        if barred:
            p = np.where(symbols == self.end, 0.0, p / (1.0 - self._base[self.end]))
        for depth, numbers in enumerate(ids):
            total, spread = self._weights(depth, numbers, barred)
            place = self._find(depth, numbers, symbols)
            count = np.where(place >= 0, self._counts[depth][np.maximum(place, 0)], 0.0)
            if depth == 0 and barred:
                count = np.where(symbols == self.end, 0.0, count)
            p = np.where(total > 0, (count + spread * p) / np.where(total > 0, total + spread, 1.0), p)
        return p

    def draw(self, ids: Sequence[Ids], rng: np.random.Generator, *, first: bool) -> Ids:
        """The next symbol of each sequence, drawn from p(· | context): `[n]`.

        The law is a mixture over depths, so that a depth is drawn first and then a symbol seen at that depth.
        """
        barred = first and not self._empty
        n = len(ids[0])
        symbols = np.full(n, _UNSEEN)
        for depth in reversed(range(len(ids))):
            total, spread = self._weights(depth, ids[depth], barred)
            here = (symbols == _UNSEEN) & (rng.random(n) * (total + spread) < total)
            begin = self._first[depth][np.maximum(ids[depth], 0)]
            # the end symbol, and the start after it, come last among those that follow the empty context
            goal = self._sums[depth][begin] + rng.random(n) * total
            place = np.clip(np.searchsorted(self._sums[depth], goal, side="right") - 1, 0, len(self._keys[depth]) - 1)
            symbols = np.where(here, self._keys[depth][place] % self._radix, symbols)
        left = symbols == _UNSEEN
        if left.any():
            law = np.where(np.arange(self.size) == self.end, 0.0, self._base) if barred else self._base
            symbols[left] = rng.choice(self.size, int(left.sum()), p=law / law.sum())
        return symbols

    def _weights(self, depth: int, numbers: Ids, barred: bool) -> tuple[Array, Array]:
        """c(h), and s·T(h), of contexts by number; 0 for those never seen."""
        known = np.maximum(numbers, 0)
        total = np.where(numbers >= 0, self._totals[depth][known], 0.0)
        kinds = self._kinds[depth][known]
        if depth == 0 and barred:
            total, kinds = total - self._ends, kinds - (self._ends > 0)
        return total, self.smoothing * kinds * (total > 0)

    def _find(self, depth: int, numbers: Ids, symbols: Ids) -> Ids:
        """Where a symbol after a context stands among the counts of a depth; −1 where it was never seen."""
        keys, wanted = self._keys[depth], numbers * self._radix + symbols
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((numbers >= 0) & (keys[place] == wanted), place, _UNSEEN)

    def _count(self, rows: Ids, weights: Array) -> None:
        alive = np.cumsum(rows == self.end, axis=1) - (rows == self.end) == 0  # the first end symbol too
        mass = np.broadcast_to(weights[:, None], rows.shape)
        numbers = np.zeros_like(rows)  # of the context before each position; −1 where it would reach over the start
        contexts = 1
        for depth in range(self.order):
            here = alive & (numbers >= 0)
            if not here.any():  # no sequence is so long
                self.order = depth
                break
            keys, place = np.unique(numbers[here] * self._radix + rows[here], return_inverse=True)
            counts = np.bincount(place, mass[here], len(keys)).astype(np.float64)
            if depth == 0:  # the start, which nothing draws
                keys, counts = np.append(keys, self.size), np.append(counts, 0.0)
            first = np.searchsorted(keys, np.arange(contexts + 1) * self._radix)
            sums = np.concatenate([[0.0], np.cumsum(counts)])
            self._keys.append(keys)
            self._counts.append(counts)
            self._sums.append(sums)
            self._first.append(first)
            self._totals.append(np.add.reduceat(np.append(counts, 0.0), first[:-1]) * (first[1:] > first[:-1]))
            self._kinds.append(np.diff(np.concatenate([[0], np.cumsum(counts > 0)])[first]).astype(np.float64))
            moved = np.full_like(numbers, _UNSEEN)
            found = np.full_like(numbers, _UNSEEN)
            found[here] = place
            moved[:, 1:] = found[:, :-1]
            if depth == 0:
                moved[:, 0] = len(keys) - 1
            numbers, contexts = moved, len(keys)
