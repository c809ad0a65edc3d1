"""A model of words letter by letter, in one script or in several that are spelled side by side."""

__all__ = ["NgramModel"]

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space
from .contexts import Array, Contexts, Ids
from .protocols import Source, State
from .spellings import Spellings


@final
class NgramModel:
    """p(x) = Π_t p(x_t | the order − 1 symbols before it), each factor smoothed by those of shorter contexts.

    A row is a word: letters, and the end symbol, the last category, up to the end. Several variables are spellings of
    one word, letter for letter: a symbol x_t is then the tuple of their letters at place t (a joint-sequence model),
    and spellings that a row lacks are completed.

    `learn` is the best response: it counts the sources anew, each with its weight, as `Contexts` says. Without
    smoothing, and for words that leave the last place empty, the model is an exponential family whose statistics are
    the numbers of times that each symbol follows each context, and the best response keeps their weighted mean.

    Arguments:
        space: categorical variables of one shape (length,), with at least two categories each.
        order: symbols of the longest context and the one that follows. With more than `length` the model remembers
            whole words, and can hit any mixture.
        smoothing: s > 0, what is kept for symbols that never followed a context.

    Raises:
        SpaceError: a variable that is no word, or shapes that differ.
        ValueError: order or smoothing out of range.

    Weighted rows of several sources count for as many as they are worth, 1/Σ_k (weight_k²/n_k) (L. Kish, *Survey
    Sampling*, 1965), which decides how much the smoothing weighs.

    Source: C. E. Shannon, *A Mathematical Theory of Communication*, 1948; for several spellings M. Bisani and H. Ney,
    *Joint-sequence models for grapheme-to-phoneme conversion*, 2008.

    >>> from nashgossip.games import Variable
    >>> model = NgramModel(Space((Variable("x", "categorical", (4,), categories=3),)), smoothing=1e-6)
    >>> words = model.space.batch({"x": [[0, 1, 2, 2], [0, 1, 2, 2], [1, 2, 2, 2]]})  # "ab", "ab" and "b"
    >>> model.learn([Source(words, 1.0, own=True)], np.random.default_rng(0))
    >>> np.exp(model.log_density(words)).round(3).tolist()
    [0.667, 0.667, 0.333]
    """

    def __init__(self, space: Space, *, order: int = 6, smoothing: float = 1.0) -> None:
        if not isinstance(order, int) or order < 2:
            raise ValueError(f"order is {order!r}, expected a whole number of at least 2")
        if not 0 < smoothing < np.inf:
            raise ValueError(f"smoothing is {smoothing!r}, expected a number above 0")
        self._space, self._order, self._smoothing = space, order, float(smoothing)
        self._spellings = Spellings(space)
        self._base = self._spellings.base()
        self._rows: Ids | None = None
        self._weights: Array | None = None
        self._contexts: Contexts | None = None

    @property
    def space(self) -> Space:
        """The spellings of a word."""
        return self._space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Counts the sources anew; spellings that rows lack are completed by the model as it was.

        Raises:
            ValueError: a source has nothing but empty words, as a language has in a script in which it is not written.
        """
        used = [source for source in sources if source.weight > 0 and len(source.batch)]
        if not used:
            return
        worth = sum(s.weight for s in used) ** 2 / sum(s.weight**2 / len(s.batch) for s in used)
        parts = []
        for source in used:
            rows = self._rows_of(source.batch, rng)
            if (rows[:, 0] == self._spellings.end).all():
                raise ValueError(
                    f"all words of a source are empty in {', '.join(source.batch.space.names)}; give the player the "
                    "variables of the scripts in which its language is written"
                )
            parts.append((rows, np.full(len(rows), source.weight * worth / len(rows))))
        rows, place = np.unique(np.concatenate([rows for rows, _ in parts]), axis=0, return_inverse=True)
        weights = np.concatenate([some for _, some in parts])
        self._fit(rows, np.bincount(place.reshape(-1), weights, len(rows)).astype(np.float64))

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n independent words.

        Raises:
            ValueError: nothing was learned yet.
        """
        known, end = self._learned(), self._spellings.end
        rows = np.full((n, self._spellings.length), end)
        ids, alive = known.start(n), np.arange(n)
        for t in range(self._spellings.length if n else 0):
            symbols = known.draw(ids, rng, first=t == 0)
            rows[alive, t] = symbols
            ids, alive = _living(known.step(ids, symbols), alive, symbols != end)
        return self._space.batch(self._spellings.decode(rows))

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p of each row, in nats: `[n]`; −∞ for an empty word where none was learned.

        Of rows that lack spellings the density of what they have beside letters that were seen beside them: exact where
        each given letter was seen beside one letter of the others alone, else estimated from one completion.

        Raises:
            ValueError: nothing was learned yet.
        """
        known = self._learned()
        if any(v.name not in batch.space for v in self._space):
            return self._filled(batch, np.random.default_rng(0))[1]
        rows, end = self._spellings.encode(batch), self._spellings.end
        total = np.zeros(len(rows))
        ids, alive = known.start(len(rows)), np.arange(len(rows))
        for t in range(self._spellings.length if len(rows) else 0):
            symbols = rows[alive, t]
            with np.errstate(divide="ignore"):
                total[alive] += np.log(known.probabilities(ids, symbols, first=t == 0))
            ids, alive = _living(known.step(ids, symbols), alive, symbols != end)
        return total

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Rows with all spellings; what is given is kept.

        From the left, each symbol is drawn from p(· | the symbols before it) among those that agree with what is given:
        those seen, and where none was, all of them. What is given further right does not count, which is exact for
        letters that stand for each other one to one.
        """
        rows = self._rows_of(batch, rng)
        given = {v.name: batch.restrict(Space((v,)))[v.name] for v in self._space if v.name in batch.space}
        return self._space.batch({**self._spellings.decode(rows), **given})

    def state(self) -> State:
        """The distinct rows counted, as symbols, and their weights: what `load` counts again."""
        if self._rows is None or self._weights is None:
            return {"rows": None, "weights": None}
        return {"rows": self._rows.copy(), "weights": self._weights.copy()}

    def load(self, state: State) -> None:
        """Counts the rows of a state.

        Raises:
            ValueError: they are rows of another model.
        """
        if state["rows"] is None:
            self._rows = self._weights = self._contexts = None
            return
        rows, weights = np.array(state["rows"], np.int64), np.array(state["weights"], np.float64)
        length, size = self._spellings.length, self._spellings.size
        if rows.ndim != 2 or rows.shape[1] != length or weights.shape != rows.shape[:1] or not (rows < size).all():
            raise ValueError(
                f"a state has rows {rows.shape} and weights {weights.shape}, expected (m, {length}) and (m,), of "
                f"symbols below {size}; it is that of another model"
            )
        self._fit(rows, weights)

    def _learned(self) -> Contexts:
        if self._contexts is None:
            raise ValueError(
                "this n-gram model has not learned yet; a player without data starts when it has heard somebody"
            )
        return self._contexts

    def _fit(self, rows: Ids, weights: Array) -> None:
        self._rows, self._weights = rows, weights
        self._contexts = Contexts(rows, weights, self._base, order=self._order, smoothing=self._smoothing)

    def _rows_of(self, batch: Batch, rng: np.random.Generator) -> Ids:
        """Rows as symbols, completed where they lack spellings: `[n, length]`."""
        if all(v.name in batch.space for v in self._space):
            return self._spellings.encode(batch)
        return self._filled(batch, rng)[0]

    def _filled(self, batch: Batch, rng: np.random.Generator) -> tuple[Ids, Array]:
        """Rows as symbols with all spellings, `[n, length]`, and log p of what was given, `[n]`."""
        words, end, known = self._spellings.encode(batch), self._spellings.end, self._contexts
        rows, total = np.full_like(words, end), np.zeros(len(words))
        ways = self._spellings.ways(batch, known.symbols if known else np.empty(0, np.int64))
        ids, alive = known.start(len(words)) if known else [], np.arange(len(words))
        for t in range(self._spellings.length):
            if not len(alive):
                break
            row, symbols = _spread(words[alive, t], ways)
            if known:
                p = known.probabilities([numbers[row] for numbers in ids], symbols, first=t == 0)
            else:
                p = self._base[symbols]
            chosen, mass = _draw_one(row, p, len(alive), rng)
            with np.errstate(divide="ignore"):
                total[alive] += np.log(mass)
            rows[alive, t] = symbols[chosen]
            ids, alive = _living(known.step(ids, symbols[chosen]) if known else [], alive, symbols[chosen] != end)
        return rows, total


def _living(ids: Sequence[Ids], rows: Ids, alive: NDArray[np.bool_]) -> tuple[list[Ids], Ids]:
    return [numbers[alive] for numbers in ids], rows[alive]


def _spread(given: Ids, ways: Mapping[int, Ids]) -> tuple[Ids, Ids]:
    """For each row, one after the other, every symbol that it can have: the rows `[m]`, and the symbols `[m]`."""
    distinct, which = np.unique(given, return_inverse=True)
    options = [ways[symbol] for symbol in distinct.tolist()]
    counts = np.array([len(some) for some in options])
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rows = np.repeat(np.arange(len(given)), counts[which])
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts[which]) - counts[which], counts[which])
    return rows, np.concatenate(options)[begins[which][rows] + within]


def _draw_one(row: Ids, p: Array, n: int, rng: np.random.Generator) -> tuple[Ids, Array]:
    """Of each of n rows one entry, drawn in proportion to p: its position, and the sum of p over the row, `[n]`."""
    counts = np.bincount(row, minlength=n)
    last = np.cumsum(counts) - 1
    first = last - counts + 1
    mass = np.add.reduceat(p, first)
    scaled = p / np.where(mass > 0, mass, 1.0)[row] + (mass == 0)[row] / counts[row]
    sums = np.cumsum(scaled)
    goal = np.arange(n) + rng.random(n)  # each row's entries add up to 1
    return np.clip(np.searchsorted(sums, goal, side="right"), first, last), mass
