"""A graph of players as three arrays, one entry an edge: what every numerical routine starts from."""

__all__ = ["AnyGraph", "Array", "DiGraph", "EdgeArrays", "edge_arrays", "positions"]

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from .errors import AlphaError, GraphError, name_some

Array: TypeAlias = NDArray[np.float64]
DiGraph: TypeAlias = "nx.DiGraph[Any]"
AnyGraph: TypeAlias = "nx.Graph[Any]"


@dataclass(frozen=True, slots=True)
class EdgeArrays:
    """The edges of a graph of players, players numbered in the order of `list(G)`.

    Attributes:
        listener: `[E]`, integers, i of α_ij.
        speaker: `[E]`, integers, j of α_ij; equal to `listener` where the weight is of i's own data.
        alpha: `[E]`, α_ij ≥ 0.
        n_players: N.
    """

    listener: NDArray[np.intp]
    speaker: NDArray[np.intp]
    alpha: Array
    n_players: int

    @property
    def row_sums(self) -> Array:
        """`[N]`, Σ_j α_ij of each listener i."""
        return _sums(self.listener, self.alpha, self.n_players)

    @property
    def self_weights(self) -> Array:
        """`[N]`, α_ii of each player, 0 where there is no self-loop."""
        own = self.listener == self.speaker
        return _sums(self.listener[own], self.alpha[own], self.n_players)


def edge_arrays(G: DiGraph) -> EdgeArrays:
    """The edges of G as arrays, each α checked to be a finite number ≥ 0, nothing else checked.

    Arguments:
        G: directed graph; edge (j, i) with attribute `alpha` means that i learns from j.

    Returns:
        Arrays of length E = number of edges, self-loops included, in no promised order.

    Raises:
        GraphError: G is not a simple directed graph, or has no player.
        AlphaError: an α is missing, not a number, not finite, or negative.

    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([("a", "a", 1.0), ("a", "b", 1.0)], weight="alpha")
    >>> edges = edge_arrays(G)
    >>> edges.listener.tolist(), edges.speaker.tolist(), edges.self_weights.tolist()
    ([0, 1], [0, 0], [1.0, 0.0])
    """
    _require_directed(G)
    number = {player: k for k, player in enumerate(G)}
    speakers, listeners, values = [], [], []
    for j, heard_by in G.adjacency():
        for i, attributes in heard_by.items():
            speakers.append(number[j])
            listeners.append(number[i])
            values.append(attributes.get("alpha"))
    if not all(issubclass(kind, Real) and not issubclass(kind, bool) for kind in set(map(type, values))):
        _refuse_non_numbers(G)
    alpha = np.array(values, dtype=float)
    good = np.isfinite(alpha) & (alpha >= 0)
    if not good.all():
        players = list(G)
        bad = {(players[speakers[k]], players[listeners[k]]): values[k] for k in np.flatnonzero(~good)}
        raise AlphaError(
            f"alpha on {_edges(bad)} is {name_some(bad.values())}, expected a finite number >= 0; set "
            "G.edges[j, i]['alpha'] or rebuild with topology.attach_alpha(G)",
            bad,
        )
    return EdgeArrays(np.array(listeners, dtype=np.intp), np.array(speakers, dtype=np.intp), alpha, len(number))


def positions(G: DiGraph, players: Iterable[Hashable]) -> NDArray[np.intp]:
    """Where the players stand in `list(G)`: `[k]`.

    Raises:
        GraphError: a player is not in the graph.
    """
    wanted = list(players)
    number = {player: k for k, player in enumerate(G)}
    strangers = [player for player in wanted if player not in number]
    if strangers:
        raise GraphError(
            f"no player {name_some(strangers)} in the graph, expected some of {name_some(G)}; names are "
            "those of list(G)",
            strangers,
        )
    return np.array([number[player] for player in wanted], dtype=np.intp)


def _sums(where: NDArray[np.intp], weights: Array, n: int) -> Array:
    return np.bincount(where, weights=weights, minlength=n).astype(np.float64)


def _require_directed(G: object) -> None:
    if not isinstance(G, nx.Graph):
        raise GraphError(f"expected a networkx.DiGraph, got {type(G).__name__}; see topology.generate_graph")
    if G.is_multigraph():
        raise GraphError(
            f"expected a simple networkx.DiGraph, got a {type(G).__name__} with parallel edges; collapse "
            "them with networkx.DiGraph(G)"
        )
    if not G.is_directed():
        raise GraphError(
            f"expected a networkx.DiGraph, got an undirected {type(G).__name__}; call "
            "topology.attach_alpha(G), which directs every edge both ways"
        )
    if not len(G):
        raise GraphError("expected at least one player, got an empty graph; add nodes first")


def _refuse_non_numbers(G: DiGraph) -> None:
    bad: dict[Any, Any] = {
        (j, i): attributes.get("alpha")
        for j, i, attributes in G.edges(data=True)
        if not isinstance(attributes.get("alpha"), Real) or isinstance(attributes["alpha"], bool)
    }
    if all(value is None for value in bad.values()):
        raise AlphaError(
            f"alpha on {_edges(bad)} is missing, expected a finite number >= 0; call topology.attach_alpha(G)",
            bad,
        )
    raise AlphaError(
        f"alpha on {_edges(bad)} is {name_some(bad.values())}, expected a finite number >= 0; numbers only, "
        "no text and no truth values",
        bad,
    )


def _edges(edges: Collection[Any]) -> str:
    return f"edge{'s' if len(edges) > 1 else ''} {name_some(edges)}"
