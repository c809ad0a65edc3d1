"""What influence amounts to, in one number a player or one number a network."""

__all__ = ["effective_sources", "homogenisation"]

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from .arrays import Array, DiGraph
from .errors import GraphError
from .shares import blend, influence

_ROWS = 512


def effective_sources(B: "DiGraph | ArrayLike") -> Array:
    """The effective number of players whose data is in each model: exp(−Σ_j B_ij log B_ij).

    1 for a player that follows one data set alone, N for one that blends all of them evenly.

    Arguments:
        B: rows of an influence matrix, `[k, N]`, or the graph of players itself; of a graph no more than 512
            rows of B are held at a time.

    Returns:
        `[k]`, or `[N]` in the order of `list(G)`.

    Raises:
        GraphError and its kin: as `validate`; or rows that are not distributions over players.

    Source: Hill, *Diversity and evenness: a unifying notation and its consequences*, 1973 (order 1).

    >>> effective_sources([[0.5, 0.5], [1.0, 0.0]]).round(12)
    array([2., 1.])
    """
    if isinstance(B, nx.Graph):
        players = list(B)
        starts = range(0, len(players), _ROWS) or range(1)
        parts = (influence(B, listeners=players[k : k + _ROWS]) for k in starts)
        return np.concatenate([_exp_entropy(part) for part in parts])
    rows = np.asarray(B, dtype=float)
    if rows.ndim != 2 or not ((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-6)):
        raise GraphError(
            f"expected rows of an influence matrix, [k, N], each >= 0 with sum 1, got shape {rows.shape}"
            f"{'' if rows.ndim != 2 else ' with other rows'}; pass topology.influence(G)"
        )
    return _exp_entropy(rows)


def homogenisation(G: DiGraph, means: ArrayLike) -> float:
    """How far apart the players still are at equilibrium: the mean Euclidean distance of two of them.

    Σ_{i<k} ‖μ*_i − μ*_k‖ / (N (N − 1) / 2), μ* = B μ̂. 0 if all end alike, or for a single player. Compare it
    with the same figure of μ̂ itself. Takes O(N² d) time and O(N) memory.

    Arguments:
        G: graph of players that `validate` accepts.
        means: `[N]` or `[N, d]`, private mean parameters μ̂ in the order of `list(G)`.

    Returns:
        The mean distance, in the unit of `means`.

    Raises:
        GraphError and its kin: as `blend`.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> round(homogenisation(attach_alpha(nx.path_graph(2), self_weight=0.5), [0.0, 3.0]), 12)
    1.0
    """
    models = blend(G, means)
    n = len(models)
    if n == 1:
        return 0.0
    points = models.reshape(n, -1)
    total = 0.0
    for k in range(0, n, _ROWS):
        block = points[k : k + _ROWS]
        total += float(pdist(block).sum()) + float(cdist(block, points[k + _ROWS :]).sum())
    return total / (n * (n - 1) / 2)


def _exp_entropy(rows: Array) -> Array:
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    result: Array = np.exp(-(rows * logs).sum(axis=1))
    return result
