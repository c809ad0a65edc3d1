"""How much each player listens to each neighbour: schemes that turn a bare graph into a network of α."""

__all__ = ["SCHEMES", "attach_alpha", "normalize"]

import math
from collections.abc import Callable, Hashable, Mapping
from numbers import Real
from typing import Any, TypeAlias

import networkx as nx
import numpy as np

from .arrays import AnyGraph, DiGraph, edge_arrays
from .checks import isolation_message, require_row_sums
from .errors import AlphaError, GraphError, IsolatedPlayerError, RowSumError, SchemeError, name_some
from .names import require_name

SCHEMES = ("uniform", "degree", "size", "metropolis", "explicit")
"""The names of the schemes of `attach_alpha`."""

_Edge: TypeAlias = tuple[Hashable, Hashable]
_Shares: TypeAlias = dict[Hashable, float]


def attach_alpha(
    G: AnyGraph,
    self_weight: float | Mapping[Any, float] = 0.3,
    scheme: str = "uniform",
    *,
    sizes: Mapping[Any, float] | None = None,
    alpha: Mapping[Any, float] | None = None,
) -> DiGraph:
    """A directed copy of G with `alpha` on every edge and on a self-loop of every player.

    With a_i the self-weight of i and N(i) the players i can hear (in-neighbours):

    - "uniform": α_ij = (1 − a_i) / |N(i)|
    - "degree": α_ij = (1 − a_i) d_j / Σ_{k∈N(i)} d_k, d_j the number of players that hear j
    - "size": α_ij = (1 − a_i) n_j / Σ_{k∈N(i)} n_k, n_j = `sizes[j]`
    - "metropolis": α_ij = (1 − a_i) / (1 + max(d_i, d_j)), α_ii = 1 − Σ_{j≠i} α_ij ≥ a_i. What
      Metropolis-Hastings keeps for i itself goes to i's own data, so that W stays symmetric where a is
      uniform.
    - "explicit": α as given in `alpha`, or as already on the edges of G; `self_weight` is not used.

    In the first three α_ii = a_i exactly. A player that hears nobody but is heard (a source of a directed
    graph, or the only player there is) learns from its own data alone: α_ii = 1 whatever `self_weight`.
    Self-loops of G are read by "explicit" alone, and replaced otherwise. All a_i = 0 is allowed here;
    `validate` refuses it.

    Arguments:
        G: graph of players; an undirected edge becomes two directed ones, (j, i) of a directed graph says i
            hears j.
        self_weight: a_i in [0, 1], one number for all or a mapping from player to number.
        scheme: a name of the list above.
        sizes: player → number of rows of its data, ≥ 0; for "size".
        alpha: (j, i) → α_ij for every edge, (i, i) → α_ii, 0 where it is left out; for "explicit".

    Returns:
        A new graph with the players in the order of `list(G)`, all attributes of G kept.

    Raises:
        GraphError: G is a multigraph or empty.
        IsolatedPlayerError: a player among several has no neighbour.
        UnknownNameError: no scheme has this name.
        SchemeError: the scheme lacks what it needs, or is given what it does not use.
        AlphaError: a self-weight, size or α is missing or out of range.
        RowSumError: explicit α into a player do not add up to 1.

    Source: Xiao & Boyd, *Fast linear iterations for distributed averaging*, 2004 (Metropolis weights).

    >>> G = attach_alpha(nx.path_graph(3), self_weight=0.4)
    >>> [round(G.edges[j, 1]["alpha"], 2) for j in range(3)]
    [0.3, 0.4, 0.3]
    """
    H = _directed_copy(G)
    _require_company(H)
    require_name("scheme", scheme, SCHEMES)
    for given, argument, user in ((sizes, "sizes", "size"), (alpha, "alpha", "explicit")):
        if given is not None and scheme != user:
            raise SchemeError(f"scheme {scheme!r} takes no {argument}; drop it, or ask for scheme={user!r}")
    if scheme == "explicit":
        return _explicit(H, alpha)
    a = _per_player(H, self_weight, "self_weight", high=1.0)
    n = _per_player(H, sizes, "sizes", high=math.inf) if sizes is not None else {}
    H.remove_edges_from(list(nx.selfloop_edges(H)))
    shares = _SHARES[scheme](H, n)
    for i in H:
        heard = {j: (1 - a[i]) * share for j, share in shares[i].items()}
        for j, weight in heard.items():
            H.adj[j][i]["alpha"] = weight
        left = 1 - math.fsum(heard.values())
        own = max(a[i], left) if scheme == "metropolis" else a[i]
        H.add_edge(i, i, alpha=own if heard else 1.0)
    return H


def normalize(G: DiGraph) -> DiGraph:
    """A copy of G with α_ij ← α_ij / Σ_k α_ik, so that the α into every player add up to 1.

    Raises:
        GraphError, AlphaError: as `validate`.
        RowSumError: the α into a player sum to 0, so there is nothing to rescale.

    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([(0, 0, 3), (0, 1, 2), (1, 1, 2)], weight="alpha")
    >>> list(normalize(G).edges(data="alpha"))
    [(0, 0, 1.0), (0, 1, 0.5), (1, 1, 0.5)]
    """
    edges = edge_arrays(G)
    sums = edges.row_sums
    if not (sums > 0).all():
        players = list(G)
        silent = [players[k] for k in np.flatnonzero(sums == 0)]
        raise RowSumError(
            f"alpha into player{'' if len(silent) == 1 else 's'} {name_some(silent)} sums to 0, expected a "
            "positive sum to rescale; add a self-loop or an edge of alpha > 0",
            silent,
        )
    H = _directed_copy(G)
    total = dict(zip(G, sums.tolist(), strict=True))
    for _, i, attributes in H.edges(data=True):
        attributes["alpha"] = attributes["alpha"] / total[i]
    return H


def _uniform(H: DiGraph, sizes: Mapping[Any, float]) -> dict[Any, _Shares]:
    return {i: dict.fromkeys(H.pred[i], 1 / len(H.pred[i])) if H.pred[i] else {} for i in H}


def _by_degree(H: DiGraph, sizes: Mapping[Any, float]) -> dict[Any, _Shares]:
    heard_by = {j: float(len(H.succ[j])) for j in H}
    return {i: _proportional(i, {j: heard_by[j] for j in H.pred[i]}) for i in H}


def _by_size(H: DiGraph, sizes: Mapping[Any, float]) -> dict[Any, _Shares]:
    if not sizes:
        raise SchemeError("scheme 'size' needs sizes, got none; pass sizes={player: rows of data}")
    return {i: _proportional(i, {j: sizes[j] for j in H.pred[i]}) for i in H}


def _metropolis(H: DiGraph, sizes: Mapping[Any, float]) -> dict[Any, _Shares]:
    one_way = [(j, i) for j, i in H.edges if j not in H.succ[i]]
    if one_way:
        raise SchemeError(
            f"scheme 'metropolis' needs every edge in both directions, got only one of {name_some(one_way)}; "
            "pass an undirected graph, or take 'uniform'"
        )
    return {i: {j: 1 / (1 + max(len(H.pred[i]), len(H.pred[j]))) for j in H.pred[i]} for i in H}


_SHARES: Mapping[str, Callable[[DiGraph, Mapping[Any, float]], dict[Any, _Shares]]] = {
    "uniform": _uniform,
    "degree": _by_degree,
    "size": _by_size,
    "metropolis": _metropolis,
}


def _proportional(i: Hashable, weights: _Shares) -> _Shares:
    total = math.fsum(weights.values())
    if weights and total <= 0:
        raise AlphaError(f"the neighbours of player {i!r} have sizes that sum to 0, expected at least one > 0", [i])
    return {j: weight / total for j, weight in weights.items()}


def _explicit(H: DiGraph, alpha: Mapping[_Edge, float] | None) -> DiGraph:
    H.add_edges_from((i, i, {"alpha": 0.0}) for i in H if not H.has_edge(i, i))
    if alpha is not None:
        strangers = [edge for edge in alpha if not (isinstance(edge, tuple) and H.has_edge(*edge))]
        if strangers:
            raise SchemeError(
                f"alpha names {name_some(strangers)}, expected edges (j, i) of the graph; add the edge first"
            )
        for j, i, attributes in H.edges(data=True):
            attributes.pop("alpha", None)
            if (j, i) in alpha or j == i:
                attributes["alpha"] = alpha.get((j, i), 0.0)
    require_row_sums(H, edge_arrays(H).row_sums)
    return H


def _directed_copy(G: AnyGraph) -> DiGraph:
    if not isinstance(G, nx.Graph) or G.is_multigraph():
        raise GraphError(
            f"expected a networkx.Graph or DiGraph, got {type(G).__name__}; collapse parallel edges with "
            "networkx.Graph(G)"
        )
    if not len(G):
        raise GraphError("expected at least one player, got an empty graph; add nodes first")
    H: DiGraph = nx.DiGraph()
    H.graph.update(G.graph)
    H.add_nodes_from((player, dict(attributes)) for player, attributes in G.nodes(data=True))
    for j, heard_by in G.adjacency():
        H.add_edges_from((j, i, dict(attributes)) for i, attributes in heard_by.items())
    return H


def _require_company(H: DiGraph) -> None:
    alone = [i for i in H if not (H.succ[i].keys() | H.pred[i].keys()) - {i}]
    if alone and len(H) > 1:
        raise IsolatedPlayerError(isolation_message(alone), alone)


def _per_player(H: DiGraph, given: float | Mapping[Any, float], name: str, *, high: float) -> dict[Any, float]:
    values = given if isinstance(given, Mapping) else dict.fromkeys(H, given)
    missing = [i for i in H if i not in values]
    if missing:
        raise AlphaError(f"{name} is missing for player {name_some(missing)}, expected a number for each", missing)
    strangers = [i for i in values if i not in H]
    if strangers:
        raise AlphaError(f"{name} names {name_some(strangers)}, expected players of the graph", strangers)
    for i in H:
        value = values[i]
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and 0 <= value <= high):
            limits = "in [0, 1]" if high == 1 else ">= 0 and finite"
            raise AlphaError(f"{name} of player {i!r} is {value!r}, expected a number {limits}", [i])
    return {i: float(values[i]) for i in H}
