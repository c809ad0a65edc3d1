"""Whose data ends up in whose model: the influence matrix B, and what it does to parameters or histograms."""

__all__ = ["blend", "influence"]

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array, DiGraph, edge_arrays, positions
from .checks import validate
from .errors import GraphError
from .linear import solve_listening
from .matrices import sparse_listening

_WHOLE = 5000


def influence(
    G: DiGraph, *, listeners: Iterable[Hashable] | None = None, sources: Iterable[Hashable] | None = None
) -> Array:
    """B = (I − W)⁻¹ D: B_ij is the share of the data of player j in the equilibrium model of player i.

    B ≥ 0 and its rows sum to 1. Three readings: from i walk to j with probability α_ij and stop at the own
    data of where you are with probability α_ii, then B_ij is the probability of stopping at j; with uniform
    α_ii = a row i is the personalised PageRank of i with damping 1 − a; and B maps the first to the last
    opinions of Friedkin and Johnsen's model with stubbornness α_ii.

    Arguments:
        G: graph of players that `validate` accepts.
        listeners: players whose rows are wanted, all by default.
        sources: players whose columns are wanted, all by default. One row or column of a large network costs
            about as much as building its matrix.

    Returns:
        `[N, N]` in the order of `list(G)`, or the rows and columns asked for, in the order asked for.

    Raises:
        GraphError and its kin: as `validate`; a player asked for is not in G; all of B asked for N > 5000.

    Source: Friedkin & Johnsen, *Social influence and opinions*, 1990; Page et al., *The PageRank citation
    ranking*, 1999.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> influence(attach_alpha(nx.path_graph(2), self_weight=0.5)).round(3)
    array([[0.667, 0.333],
           [0.333, 0.667]])
    """
    validate(G)
    edges = edge_arrays(G)
    W, d = sparse_listening(edges), edges.self_weights
    n = edges.n_players
    rows = None if listeners is None else positions(G, listeners)
    columns = None if sources is None else positions(G, sources)
    if rows is None and columns is None and n > _WHOLE:
        raise GraphError(
            f"the influence matrix of {n} players takes {8 * n * n / 1e9:.1f} GB, expected at most {_WHOLE} "
            "players; pass listeners= or sources=, or use topology.blend"
        )
    if rows is not None and (columns is None or len(rows) <= len(columns)):
        B = solve_listening(W, _unit(n, rows), transpose=True).T * d
        return B if columns is None else B[:, columns]
    wanted = np.arange(n) if columns is None else columns
    B = solve_listening(W, _unit(n, wanted) * d[wanted])
    return B if rows is None else B[rows]


def blend(G: DiGraph, values: ArrayLike) -> Array:
    """B · values without forming B: each player's equilibrium mixture of everybody's private values.

    With values = μ̂, private mean parameters, it is the equilibrium μ* = (I − W)⁻¹ D μ̂; with private class
    histograms, the histograms that the players of a rich model come to generate.

    Arguments:
        G: graph of players that `validate` accepts.
        values: `[N]` or `[N, d]`, finite, players in the order of `list(G)`.

    Returns:
        The shape of `values`.

    Raises:
        GraphError and its kin: as `validate`; `values` is not finite or not one row a player.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> blend(attach_alpha(nx.path_graph(2), self_weight=0.5), [0.0, 3.0]).round(3)
    array([1., 2.])
    """
    validate(G)
    edges = edge_arrays(G)
    given = np.asarray(values, dtype=float)
    finite = np.isfinite(given).all()
    if given.ndim not in (1, 2) or given.shape[0] != edges.n_players or not finite:
        raise GraphError(
            f"values have shape {given.shape}{'' if finite else ' and are not all finite'}, expected finite "
            f"[{edges.n_players}] or [{edges.n_players}, d], one row a player in the order of list(G)"
        )
    table = given.reshape(edges.n_players, -1)
    return solve_listening(sparse_listening(edges), table * edges.self_weights[:, None]).reshape(given.shape)


def _unit(n: int, where: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]") -> Array:
    unit = np.zeros((n, len(where)))
    unit[where, np.arange(len(where))] = 1.0
    return unit
