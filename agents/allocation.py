"""How many rows each weighted source gives to a sample of fixed size, without bias."""

__all__ = ["allocate"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def allocate(weights: Sequence[float], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Splits n rows among sources so that source k gets n·w_k on average and never a row more or less than that
    rounded.

    Systematic sampling: one uniform number shifts the cumulated shares before they are cut to whole numbers.

    Arguments:
        weights: w_k ≥ 0, summing to 1, `[K]`.
        n: rows to give away.
        rng: random stream; one number is drawn.

    Returns:
        `[K]`, rows of each source, summing to n.

    Raises:
        ValueError: weights that are negative or do not sum to 1.

    >>> allocate([0.5, 0.25, 0.25], 8, np.random.default_rng(0))
    array([4, 2, 2])
    """
    shares = np.asarray(weights, np.float64)
    if not ((shares >= 0).all() and abs(shares.sum() - 1.0) <= 1e-9):
        raise ValueError(f"weights are {list(weights)}, expected numbers of at least 0 that sum to 1")
    edges = np.concatenate([[0.0], np.minimum(np.cumsum(shares), 1.0) * n])
    edges[-1] = n
    counts: NDArray[np.int64] = np.diff(np.floor(np.round(edges, 9) + rng.random())).astype(np.int64)
    return counts
