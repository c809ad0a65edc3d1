"""Whether a graph of players can be played on: every condition of the game, each with its own error."""

__all__ = ["isolation_message", "require_row_sums", "validate"]

import numpy as np

from .arrays import Array, DiGraph, EdgeArrays, edge_arrays
from .errors import IsolatedPlayerError, RowSumError, UnanchoredError, name_some

_TOLERANCE = 1e-9


def validate(G: DiGraph, *, anchored: bool = True) -> None:
    """Raise unless G is a network of players whose equilibrium exists and is unique.

    Checked in this order: G is a simple directed graph with a player in it; every α is a finite number ≥ 0;
    no player is isolated; Σ_j α_ij = 1 within 1e-9 for every i; every player is reached, along edges of
    positive α, from a player with α_jj > 0. The last is equivalent to ρ(W) < 1. An edge of α = 0 carries
    nothing, but it does count as company: with `self_weight=1` everybody plays alone, and nobody is isolated.

    Arguments:
        G: directed graph; edge (j, i) with attribute `alpha` means that i learns from j.
        anchored: whether to ask for the last condition; `False` admits the networks that drift and collapse.

    Raises:
        GraphError: not a simple directed graph, or no player in it.
        AlphaError: an α is missing, not a number, not finite, or negative.
        IsolatedPlayerError: a player among several has no neighbour.
        RowSumError: the α into a player do not add up to 1.
        UnanchoredError: no real data reaches a player.

    Source: Berman & Plemmons, *Nonnegative Matrices in the Mathematical Sciences*, 1994, ch. 6 (ρ(W) < 1).

    >>> import networkx as nx
    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([(0, 0, 0.5), (1, 0, 0.42), (0, 1, 1.0)], weight="alpha")
    >>> validate(G)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    RowSumError: alpha into player 0 sums to 0.92, expected 1; call topology.normalize(G)
    """
    edges = edge_arrays(G)
    _require_company(G, edges)
    require_row_sums(G, edges.row_sums)
    if anchored:
        _require_anchor(G, edges)


def require_row_sums(G: DiGraph, sums: Array) -> None:
    """Raise `RowSumError` unless every entry of `sums`, `[N]`, is 1 within 1e-9."""
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= _TOLERANCE))
    if not len(wrong):
        return
    players = list(G)
    culprits = [players[k] for k in wrong]
    if len(wrong) == 1:
        what = f"alpha into player {culprits[0]!r} sums to {sums[wrong[0]]:.10g}"
    else:
        listed = ", ".join(f"{sums[k]:.6g}" for k in wrong[:10]) + (", ..." if len(wrong) > 10 else "")
        what = f"alpha into players {name_some(culprits)} sums to {listed}"
    raise RowSumError(f"{what}, expected 1; call topology.normalize(G)", culprits)


def _require_company(G: DiGraph, edges: EdgeArrays) -> None:
    if edges.n_players == 1:
        return
    between = edges.listener != edges.speaker
    accompanied = np.zeros(edges.n_players, dtype=bool)
    accompanied[edges.listener[between]] = True
    accompanied[edges.speaker[between]] = True
    if not accompanied.all():
        players = list(G)
        alone = [players[k] for k in np.flatnonzero(~accompanied)]
        raise IsolatedPlayerError(isolation_message(alone), alone)


def isolation_message(alone: list[object]) -> str:
    """What to say of players without any neighbour."""
    s, have = ("", "has") if len(alone) == 1 else ("s", "have")
    return (
        f"player{s} {name_some(alone)} {have} no neighbour, expected at least one edge to or from another "
        "player; connect, or remove with G.remove_nodes_from([...])"
    )


def _require_anchor(G: DiGraph, edges: EdgeArrays) -> None:
    reached = edges.self_weights > 0
    if reached.all():
        return
    players = list(G)
    number = {player: k for k, player in enumerate(players)}
    frontier = [players[k] for k in np.flatnonzero(reached)]
    while frontier:
        for i, attributes in G.adj[frontier.pop()].items():
            if attributes["alpha"] > 0 and not reached[number[i]]:
                reached[number[i]] = True
                frontier.append(i)
    lost = [players[k] for k in np.flatnonzero(~reached)]
    if lost:
        raise UnanchoredError(
            f"no real data reaches player{'' if len(lost) == 1 else 's'} {name_some(lost)}, expected a "
            "player with alpha_jj > 0 upstream of each along edges of positive alpha; give one of them a "
            "self-weight, topology.attach_alpha(G, self_weight=...)",
            lost,
        )
