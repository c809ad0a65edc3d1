"""Graphs whose edges move: at every change a share of them leads elsewhere, as seeds decide."""

__all__ = ["rewired"]

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import networkx as nx
import numpy as np

from .arrays import AnyGraph
from .changing import GraphSequence, SequenceError, nonnegative, reweighed
from .checks import validate
from .errors import GraphError, SchemeError
from .names import require_name

_DRAWS = 100
_TRIES = 100
_MOST = 4_000_000

_Ends: TypeAlias = tuple[int, int]


def rewired(
    G: AnyGraph,
    *,
    fraction: float,
    seed: int | np.random.SeedSequence,
    every: float | None = None,
    until: float | None = None,
    times: Iterable[float] | None = None,
    method: str = "swap",
    self_weight: float | Mapping[Any, float] = 0.3,
    scheme: str = "uniform",
    sizes: Mapping[Any, float] | None = None,
) -> GraphSequence:
    """G at first, and at each change the graph before with a fraction of its edges moved, so that G fades away.

    - "swap": two edges exchange their ends, (a, b), (c, d) → (a, d), (c, b). Every degree stays, in and out.
    - "ends": an edge keeps one end (of a directed edge the speaker) and gets another one drawn uniformly, as Watts and
      Strogatz do. The number of edges stays, and so does a player's last edge to hear by.

    Each moves round(`fraction` · number of edges) edges, at least one (and "swap" an even number), each once a change;
    fewer where no more are found to move without a self-loop or parallel edges. An undirected graph stays one; of a
    directed graph, also one that `attach_alpha` made, each direction moves by itself. Self-loops of G are dropped.
    Every graph gets its α anew. A change that `attach_alpha` or `validate` refuses, since players with α_ii = 0 were
    cut off from all real data, is drawn again, 100 times at most.

    Arguments:
        G: graph of players, without α or with; attributes of an edge move along with it.
        fraction: of edges to move at a change, in [0, 1].
        seed: of all draws.
        every, until: changes at every, 2·every, … < until;
        times: or at these times, increasing and above 0.
        method: "swap" or "ends".
        self_weight, scheme, sizes: as `attach_alpha`, for every graph; not "explicit", which knows no new edges.

    Raises:
        SequenceError: an argument out of range, neither or both of `every, until` and `times`, more than 4·10⁶ edges in
            all graphs, or a graph in which no edge can be moved.
        UnknownNameError: no method or scheme has this name.
        GraphError and its kin, SchemeError: as `attach_alpha` and `validate`.

    Source: Maslov & Sneppen, *Specificity and stability in topology of protein networks*, 2002 (swaps); Watts &
    Strogatz, *Collective dynamics of 'small-world' networks*, 1998 (ends).

    >>> changing = rewired(nx.cycle_graph(20), fraction=0.2, every=5, until=20, seed=1)
    >>> changing.changes, {len(graph.edges) for graph in changing.graphs}
    ((5.0, 10.0, 15.0), {60})
    """
    move = _METHODS[require_name("method", method, _METHODS)]
    share = nonnegative(fraction, "fraction")
    if share > 1:
        raise SequenceError(f"fraction is {share:g}, expected at most 1; it is a share of the edges")
    if scheme == "explicit":
        raise SchemeError(
            "scheme 'explicit' gives alpha edge by edge, expected one that suits new edges; take 'uniform'"
        )
    graphs = [reweighed(G, 0.0, self_weight, scheme, sizes)]
    validate(graphs[0])
    changes = _changes(every, until, times, len(graphs[0].edges))
    rng = np.random.default_rng(seed)
    net = _Net.of(G)
    for time in changes:
        for draw in range(_DRAWS):
            moved = net.moved(move, share, rng)
            try:
                weighted = reweighed(moved.graph(G), time, self_weight, scheme, sizes)
                validate(weighted)
            except GraphError:
                if draw == _DRAWS - 1:
                    raise
            else:
                break
        net = moved
        graphs.append(weighted)
    return GraphSequence((0.0, *changes), tuple(graphs))


@dataclass(frozen=True)
class _Net:
    """Edges by the positions of their ends, in an order that does not depend on how the graph was put together."""

    players: list[Any]
    edges: list[_Ends]
    attributes: list[dict[str, Any]]
    directed: bool

    @staticmethod
    def of(G: AnyGraph) -> "_Net":
        number = {player: k for k, player in enumerate(G)}
        found: dict[_Ends, dict[str, Any]] = {}
        for j, i, attributes in G.edges(data=True):
            if j != i:
                found[_key(number[j], number[i], G.is_directed())] = attributes
        edges = sorted(found)
        return _Net(list(G), edges, [found[edge] for edge in edges], G.is_directed())

    def moved(self, move: "_Move", fraction: float, rng: np.random.Generator) -> "_Net":
        edges = list(self.edges)
        wanted = max(1, round(fraction * len(edges))) if fraction > 0 and edges else 0
        if wanted and not move(edges, len(self.players), wanted, self.directed, rng):
            raise SequenceError(
                f"found no edge to move among {len(edges)} edges of {len(self.players)} players, expected one at "
                "least; take the other method, or a graph that leaves room for it"
            )
        return _Net(self.players, edges, self.attributes, self.directed)

    def graph(self, G: AnyGraph) -> AnyGraph:
        H: AnyGraph = nx.DiGraph() if self.directed else nx.Graph()
        H.graph.update(G.graph)
        H.add_nodes_from(G.nodes(data=True))
        H.add_edges_from(
            (self.players[j], self.players[i], attributes)
            for (j, i), attributes in zip(self.edges, self.attributes, strict=True)
        )
        return H


_Move: TypeAlias = Callable[[list[_Ends], int, int, bool, np.random.Generator], int]
"""Moves about so many of the edges in place, of so many players, and says how many."""


def _swap(edges: list[_Ends], n: int, wanted: int, directed: bool, rng: np.random.Generator) -> int:
    taken = {_key(*edge, directed) for edge in edges}
    still = list(range(len(edges)))
    swaps = max(1, wanted // 2)
    done = 0
    for _ in range(_TRIES * swaps):
        if done == swaps or len(still) < 2:
            break
        first, second = int(rng.integers(len(still))), int(rng.integers(len(still) - 1))
        second += second >= first
        a, b = edges[still[first]]
        c, d = edges[still[second]]
        if not directed and rng.random() < 0.5:
            c, d = d, c
        new = {_key(a, d, directed), _key(c, b, directed)}
        if a == d or c == b or len(new) < 2 or new & taken:
            continue
        taken -= {_key(a, b, directed), _key(c, d, directed)}
        taken |= new
        edges[still[first]], edges[still[second]] = (a, d), (c, b)
        for k in sorted((first, second), reverse=True):
            still[k] = still[-1]
            still.pop()
        done += 1
    return 2 * done


def _ends(edges: list[_Ends], n: int, wanted: int, directed: bool, rng: np.random.Generator) -> int:
    taken = {_key(*edge, directed) for edge in edges}
    hears, speaks = [0] * n, [0] * n
    for j, i in edges:
        for speaker, listener in ((j, i),) if directed else ((j, i), (i, j)):
            speaks[speaker] += 1
            hears[listener] += 1
    done = 0
    for k in rng.permutation(len(edges)).tolist():
        if done == wanted:
            break
        j, i = edges[k]
        ways = [(j, i)] if directed else [(j, i), (i, j)][:: 1 if rng.random() < 0.5 else -1]
        way = next(((s, v) for s, v in ways if hears[v] > 1 and speaks[s] < n - 1), None)
        if way is None:
            continue
        stays, left = way
        found = stays
        while found == stays or _key(stays, found, directed) in taken:
            found = int(rng.integers(n))
        taken.remove(_key(stays, left, directed))
        taken.add(_key(stays, found, directed))
        edges[k] = (stays, found)
        hears[left] -= 1
        hears[found] += 1
        if not directed:
            speaks[left] -= 1
            speaks[found] += 1
        done += 1
    return done


_METHODS: Mapping[str, _Move] = {"ends": _ends, "swap": _swap}


def _key(j: int, i: int, directed: bool) -> _Ends:
    return (j, i) if directed or j < i else (i, j)


def _changes(
    every: float | None, until: float | None, times: Iterable[float] | None, n_edges: int
) -> tuple[float, ...]:
    most = _MOST // n_edges
    if times is not None and every is None and until is None:
        changes = tuple(nonnegative(time, "a time of change") for time in times)
        if not all(earlier < later for earlier, later in zip((0.0, *changes), changes, strict=False)):
            raise SequenceError(f"times of change are {changes!s:.60}, expected increasing ones above 0; sort them")
        count = len(changes)
    elif times is None and every is not None and until is not None:
        step, end = nonnegative(every, "every"), nonnegative(until, "until")
        if step == 0:
            raise SequenceError("every is 0, expected above 0; it is the time between two changes")
        count = math.ceil(min(end / step, most + 2)) - 1
        changes = tuple(k * step for k in range(1, min(count, most) + 1) if k * step < end)
    else:
        raise SequenceError("expected either every and until, or times of change, got neither or both; drop one")
    if count > most:
        raise SequenceError(
            f"a graph of {n_edges} edges may change {most} times at most, got more; change it less often"
        )
    return changes
