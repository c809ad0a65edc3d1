"""Minibatches that each private row joins by a coin of its own, beside heard rows in proportion to α."""

__all__ = ["PrivateMinibatches", "digest", "private_minibatches"]

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..games import Batch
from .ledger import sampling_rate
from .minibatches import minibatches
from .protocols import Source


@dataclass(frozen=True)
class PrivateMinibatches:
    """How minibatches are filled, from what is public alone: weights, and numbers of rows.

    Arguments:
        sources: what is learned from; their weights sum to 1.
        size: B, the expected number of rows of a minibatch: as asked for, or less, so that the private rows' share of
            it is not more than there are.
        rate: q, with which probability each private row is in a minibatch; the largest of all sources.
    """

    sources: Sequence[Source]
    size: int
    rate: float

    def expected(self, names: Sequence[str] = ()) -> float:
        """How many private rows are expected in a minibatch, of those that hold certain variables."""
        holding = (s for s in self.sources if s.own and all(name in s.batch.space for name in names))
        return self.size * sum(s.weight for s in holding)

    def picks(self, steps: int, rng: np.random.Generator) -> list[list[NDArray[np.int64]]]:
        """Of each minibatch one array of positions per source, `[n_k]`.

        Each row of source k that is the player's own is in it with probability w_k B / n_k, alone by itself; heard rows
        come as `minibatches` gives them.
        """
        found = []
        for picks in minibatches(self.sources, self.size, steps, rng):
            for k, source in enumerate(self.sources):
                if source.own:
                    rate = min(sampling_rate(source.weight, self.size, len(source.batch)), self.rate)
                    picks[k] = np.flatnonzero(rng.random(len(source.batch)) < rate)
            found.append(picks)
        return found


def private_minibatches(sources: Sequence[Source], size: int) -> PrivateMinibatches:
    """How minibatches of so many rows are filled from sources of which some are the player's own.

    Arguments:
        sources: what is learned from; their weights sum to 1.
        size: rows that are asked for.

    >>> from nashgossip.games import Space, Variable
    >>> batch = Space((Variable("x", "real"),)).batch({"x": np.zeros(60)})
    >>> filled = private_minibatches([Source(batch, 0.25, own=True), Source(batch, 0.75)], 100)
    >>> filled.size, round(filled.rate, 3)
    (100, 0.417)
    >>> private_minibatches([Source(batch, 1.0, own=True)], 100).size
    60
    """
    own = [(source.weight, len(source.batch)) for source in sources if source.own and source.weight > 0]
    most = min((rows / weight for weight, rows in own), default=float(size))
    size = max(1, min(size, int(most * (1 + 1e-9))))
    return PrivateMinibatches(sources, size, max((sampling_rate(w, size, rows) for w, rows in own), default=0.0))


def digest(batch: Batch) -> bytes:
    """16 bytes that other rows do not have: of names, types, shapes and values.

    >>> from nashgossip.games import Space, Variable
    >>> space = Space((Variable("x", "real"),))
    >>> digest(space.batch({"x": np.zeros(3)})) == digest(space.batch({"x": np.zeros(4)}))
    False
    """
    found = hashlib.blake2b(digest_size=16)
    for name in batch.space.names:
        values = np.ascontiguousarray(batch[name])
        found.update(repr((name, values.dtype.str, values.shape)).encode())
        found.update(values.tobytes())
    return found.digest()
