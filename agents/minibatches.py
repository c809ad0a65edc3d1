"""Minibatches filled from weighted sources, in proportion to α and without bias."""

__all__ = ["minibatches"]

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .allocation import allocate
from .protocols import Source


def minibatches(
    sources: Sequence[Source], size: int, steps: int, rng: np.random.Generator
) -> Iterator[list[NDArray[np.int64]]]:
    """Positions of the rows that each of `steps` minibatches takes from each source.

    A minibatch of n rows takes n·α_k of source k on average (`allocate`). Rows of a source come in the order of a
    random permutation, drawn anew when it has been used up, so that no row is used twice before all were used once.

    Arguments:
        sources: what is learned from; their weights sum to 1.
        size: rows of a minibatch.
        steps: how many minibatches.
        rng: random stream.

    Yields:
        For each minibatch, one array of positions per source, `[n_k]`, with Σ n_k = size.

    Raises:
        ValueError: weights that are negative or do not sum to 1.

    >>> from nashgossip.games import Space, Variable
    >>> batch = Space((Variable("x", "real"),)).batch({"x": [0.0, 1.0, 2.0]})
    >>> rows = list(minibatches([Source(batch, 1.0)], 3, 2, np.random.default_rng(0)))
    >>> [sorted(own.tolist()) for own, in rows]
    [[0, 1, 2], [0, 1, 2]]
    """
    weights = [source.weight for source in sources]
    counts = np.stack([allocate(weights, size, rng) for _ in range(steps)])
    orders = [_order(len(s.batch), int(n), rng) for s, n in zip(sources, counts.sum(axis=0), strict=True)]
    ends = np.cumsum(counts, axis=0)
    for used, stop in zip(ends - counts, ends, strict=True):
        yield [order[a:b] for order, a, b in zip(orders, used, stop, strict=True)]


def _order(rows: int, needed: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`[needed]`, permutations of the rows, one after the other."""
    passes = -(-needed // rows)
    return np.concatenate([np.empty(0, np.int64), *(rng.permutation(rows) for _ in range(passes))])[:needed]
