"""Graphs whose edges fail and recover, each by a random clock of its own."""

__all__ = ["failing_edges"]

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from .arrays import DiGraph, EdgeArrays, edge_arrays
from .changing import GraphSequence, SequenceError, nonnegative
from .checks import validate
from .names import require_name
from .remaining import remaining

_MOST = 4_000_000

_Start: TypeAlias = Literal["up", "stationary"]
_Mask: TypeAlias = NDArray[np.bool_]


def failing_edges(
    G: DiGraph,
    *,
    failure_rate: float,
    repair_rate: float,
    until: float,
    seed: int | np.random.SeedSequence,
    one_way: bool = False,
    keep_self_weight: bool = False,
    start: _Start = "up",
) -> GraphSequence:
    """Every link fails and recovers independently: a two-state Markov process, whose jumps are the changes.

    A link that is up fails at rate f, one that is down recovers at rate r. From all up, the share of time up is
    P(up at t) = π + (1 − π) exp(−(f + r) t), π = r/(f + r). A link is both directions between two players; with
    `one_way` each direction fails by itself.

    An edge that is down stays in the graph with α = 0, so nothing travels along it and nobody is isolated. What is left
    into a player is rescaled to sum to 1, as `normalize` does, α_ii included; with `keep_self_weight` the weight goes
    to the neighbours still heard alone. Somebody who hears nobody any more learns from its own data alone, α_ii = 1.
    Players that the failures cut off from all real data, which only those with α_ii = 0 can be, keep what they
    listened to while that lasts: those failures have no effect. Hence every graph is one that `validate` accepts.

    Arguments:
        G: graph of players that `validate` accepts; it holds while all links are up.
        failure_rate: f ≥ 0, per unit of time.
        repair_rate: r ≥ 0, per unit of time; with 0 links fail for good.
        until: no jumps at or after this time, ≥ 0.
        seed: of all draws.
        one_way: whether (j, i) and (i, j) fail independently.
        keep_self_weight: whether α_ii stays as it is in G while i hears somebody.
        start: "up", or "stationary": each link is up at first with probability π.

    Raises:
        SequenceError: a rate or time out of range, or so many jumps that the graphs have more than 4·10⁶ edges.
        GraphError and its kin: as `validate`.

    Source: Norris, *Markov Chains*, 1997, ch. 2 (the two-state process).

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> pair = attach_alpha(nx.path_graph(2), self_weight=0.4)
    >>> changing = failing_edges(pair, failure_rate=1, repair_rate=1, until=2, seed=3)
    >>> [graph.edges[0, 1]["alpha"] for graph in changing.graphs]
    [0.6, 0.0, 0.6, 0.0]
    """
    validate(G)
    fail, repair = nonnegative(failure_rate, "failure_rate"), nonnegative(repair_rate, "repair_rate")
    end = nonnegative(until, "until")
    require_name("start", start, get_args(_Start))
    edges = edge_arrays(G)
    link_of, n_links = _links(edges, one_way)
    _require_few(n_links, len(edges.alpha), fail, repair, end)
    rng = np.random.default_rng(seed)
    up = np.ones(n_links, dtype=bool)
    if start == "stationary" and fail + repair > 0:
        up = rng.random(n_links) < repair / (fail + repair)
    times, jumping = _jumps(up, fail, repair, end, rng)
    graphs = [_graph(G, edges, _live(link_of, up), keep_self_weight)]
    for link in jumping:
        up[link] = not up[link]
        graphs.append(_graph(G, edges, _live(link_of, up), keep_self_weight))
    return GraphSequence((0.0, *times), tuple(graphs))


def _links(edges: EdgeArrays, one_way: bool) -> tuple[NDArray[np.intp], int]:
    """Number of the link that each edge belongs to, `[E]`, −1 for own data and edges of α = 0, and how many links."""
    j, i = edges.speaker, edges.listener
    pairs = np.stack([j, i] if one_way else [np.minimum(j, i), np.maximum(j, i)], axis=1)
    travels = (j != i) & (edges.alpha > 0)
    link_of = np.full(len(j), -1, dtype=np.intp)
    if not travels.any():
        return link_of, 0
    names, numbers = np.unique(pairs[travels], axis=0, return_inverse=True)
    link_of[travels] = numbers.reshape(-1)
    return link_of, len(names)


def _require_few(n_links: int, n_edges: int, fail: float, repair: float, end: float) -> None:
    cycles = end * fail * repair / (fail + repair) if fail + repair > 0 else 0.0
    jumps = n_links * (min(1.0, fail * end) + 2 * cycles)
    if jumps * n_edges > _MOST:
        raise SequenceError(
            f"about {jumps:.3g} jumps of {n_edges} edges are expected until {end:g}, more than graphs of {_MOST:.0e} "
            "edges in all; lower failure_rate or until"
        )


def _jumps(
    up: _Mask, fail: float, repair: float, end: float, rng: np.random.Generator
) -> tuple[list[float], list[int]]:
    """Times at which a link jumps, increasing, none twice, and which one does."""
    jumps: dict[float, int] = {}
    for link, is_up in enumerate(up.tolist()):
        time = 0.0
        while (rate := fail if is_up else repair) > 0:
            time += float(rng.exponential(1 / rate))
            if time >= end:
                break
            while time in jumps or time == 0:
                time = float(np.nextafter(time, np.inf))
            jumps[time] = link
            is_up = not is_up
    times = sorted(jumps)
    return times, [jumps[time] for time in times]


def _live(link_of: NDArray[np.intp], up: _Mask) -> _Mask:
    """Which edges carry something, `[E]`: own data always, a link while it is up."""
    return np.append(up, True)[link_of]


def _graph(G: DiGraph, edges: EdgeArrays, live: _Mask, keep_self_weight: bool) -> DiGraph:
    rule = "neighbours" if keep_self_weight else "proportional"
    alpha = remaining(edges, _held(edges, live), rule)
    players: list[Any] = list(G)
    H: DiGraph = G.copy()
    for k in np.flatnonzero(alpha != edges.alpha).tolist():
        H.adj[players[edges.speaker[k]]][players[edges.listener[k]]]["alpha"] = float(alpha[k])
    return H


def _held(edges: EdgeArrays, live: _Mask) -> _Mask:
    """`live`, and all edges into players that no real data reaches along it."""
    reached = edges.self_weights > 0
    carrying = live & (edges.alpha > 0)
    while not reached.all():
        more = edges.listener[carrying & reached[edges.speaker]]
        if reached[more].all():
            break
        reached[more] = True
    return live | ~reached[edges.listener]
