"""Graphs that change: a sequence of graphs over the same players, each in force until the next one."""

__all__ = ["GraphSequence", "Piece", "SequenceError", "nonnegative", "reweighed", "sequence", "time_average"]

import math
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import networkx as nx

from .arrays import AnyGraph, DiGraph
from .checks import validate
from .errors import GraphError, name_some
from .weights import attach_alpha


class SequenceError(ValueError):
    """Times, players, rates or shares from which no sequence of graphs can be made.

    Not `GraphError`: every graph may be fine by itself. Not `GraphFileError`: there was nothing wrong with a file.
    """


class Piece(NamedTuple):
    """The graph in force for start ≤ time < end; `end` is infinite for the last one."""

    start: float
    end: float
    graph: DiGraph


@dataclass(frozen=True, eq=False)
class GraphSequence:
    """Graphs of the same players, piecewise constant in time: `graphs[k]` from `times[k]` until `times[k + 1]`.

    Iterating gives a `Piece` for each graph. The graphs are kept as they are, not copied: leave them unchanged.

    Arguments:
        times: 0 = t_0 < t_1 < …, finite, one for each graph.
        graphs: each one that `validate` accepts, all with the same players in the same order.
        absent: of each graph the players that take no part while it is in force: they hear nobody (α_ii = 1) and nobody
            hears them; nobody by default. See `membership`.
        rule: by which those present make up for the absent, for reports; None where nobody is absent.

    Raises:
        SequenceError: no graph, times that are negative, not finite, unordered, or do not start at 0, another number of
            times than of graphs or of absences, a graph with other players, or an absent player that is unknown, or is
            heard or hears somebody.
        GraphError and its kin: as `validate`, naming the time.

    >>> ring, star = attach_alpha(nx.cycle_graph(4)), attach_alpha(nx.star_graph(3))
    >>> changing = GraphSequence((0.0, 5.0), (ring, star))
    >>> [(start, end, len(graph.edges)) for start, end, graph in changing]
    [(0.0, 5.0, 12), (5.0, inf, 10)]
    >>> changing.at(5.0) is star
    True
    """

    times: tuple[float, ...]
    graphs: tuple[DiGraph, ...]
    absent: tuple[frozenset[Hashable], ...] = ()
    rule: str | None = None

    def __post_init__(self) -> None:
        times = tuple(nonnegative(time, "a time of the sequence") for time in self.times)
        graphs = tuple(self.graphs)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "graphs", graphs)
        if len(times) != len(graphs) or not graphs:
            raise SequenceError(f"got {len(times)} times for {len(graphs)} graphs, expected one each, at least one")
        if times[0] != 0:
            raise SequenceError(
                f"the first graph starts at time {times[0]:g}, expected 0; say what holds from the start"
            )
        for earlier, later in pairwise(times):
            if not earlier < later:
                raise SequenceError(
                    f"time {later:g} follows {earlier:g}, expected times that increase; sort the graphs"
                )
        checked: set[int] = set()
        for time, G in zip(times, graphs, strict=True):
            if id(G) not in checked:
                with _in_force_from(time):
                    validate(G)
                _require_players(list(graphs[0]), G, time)
                checked.add(id(G))
        absent = tuple(map(frozenset, self.absent)) or (frozenset[Hashable](),) * len(graphs)
        object.__setattr__(self, "absent", absent)
        if len(absent) != len(graphs):
            raise SequenceError(f"got {len(absent)} sets of absent players for {len(graphs)} graphs, expected one each")
        for time, G, away in zip(times, graphs, absent, strict=True):
            _require_apart(G, away, time)

    def __len__(self) -> int:
        return len(self.graphs)

    def __iter__(self) -> Iterator[Piece]:
        return map(Piece, self.times, (*self.times[1:], math.inf), self.graphs)

    def at(self, time: float) -> DiGraph:
        """The graph in force at `time`, the new one at the very time of a change.

        Raises:
            SequenceError: `time` is negative or not finite.
        """
        return self.graphs[self._number(time)]

    def absent_at(self, time: float) -> frozenset[Hashable]:
        """The players that take no part at `time`; who joins at that very time does, who leaves does not.

        Raises:
            SequenceError: `time` is negative or not finite.
        """
        return self.absent[self._number(time)]

    def _number(self, time: float) -> int:
        return bisect_right(self.times, nonnegative(time, "time")) - 1

    @property
    def elastic(self) -> bool:
        """Whether some player is absent at some time."""
        return any(self.absent)

    @property
    def changes(self) -> tuple[float, ...]:
        """The times at which a graph gives way to the next: t_1, t_2, …"""
        return self.times[1:]

    @property
    def players(self) -> list[Hashable]:
        """The players, in the order of every graph."""
        return list(self.graphs[0])


def sequence(
    pieces: Iterable[tuple[float, AnyGraph]],
    *,
    self_weight: float | Mapping[Any, float] = 0.3,
    scheme: str = "explicit",
    sizes: Mapping[Any, float] | None = None,
) -> GraphSequence:
    """A sequence of given graphs: `sequence([(0, ring), (20, star)], scheme="uniform")`.

    Arguments:
        pieces: pairs of a time and the graph in force from then on, the first at time 0.
        self_weight, scheme, sizes: as `attach_alpha`, applied to every graph. By default the α on the edges are kept,
            where an edge of α = 0 keeps company to a player that hears nobody for a while.

    Raises:
        SequenceError: as `GraphSequence`.
        GraphError and its kin, SchemeError, UnknownNameError: as `attach_alpha` and `validate`.

    >>> sequence([(0, nx.cycle_graph(4)), (20, nx.star_graph(3))], scheme="uniform").changes
    (20.0,)
    """
    pairs = list(pieces)
    times = tuple(nonnegative(time, "a time of the sequence") for time, _ in pairs)
    graphs = (reweighed(G, time, self_weight, scheme, sizes) for time, (_, G) in zip(times, pairs, strict=True))
    return GraphSequence(times, tuple(graphs))


def time_average(sequence: GraphSequence, horizon: float) -> DiGraph:
    """The graph of the mean α over 0 ≤ time < `horizon`: Ā = (1/T) ∫ A(t) dt.

    Its rows sum to 1 too. Its equilibrium is the mean around which play goes on where the graphs change at random much
    faster than the players move: if every move meets a graph drawn afresh, then E e ← W̄ E e with W̄ = E W.

    Arguments:
        sequence: the graphs.
        horizon: T, above 0.

    Returns:
        A graph with an edge wherever a graph of the time has one, attributes of players as in the first.

    Raises:
        SequenceError: `horizon` is not above 0 and finite.

    >>> changing = sequence([(0, nx.cycle_graph(3)), (1, nx.path_graph(3))], scheme="uniform", self_weight=0.4)
    >>> round(time_average(changing, 4.0).edges[2, 0]["alpha"], 3)
    0.075
    """
    length = nonnegative(horizon, "horizon")
    if length == 0:
        raise SequenceError("horizon is 0, expected above 0; give the time over which to average")
    total: dict[tuple[Hashable, Hashable], float] = {}
    for start, end, G in sequence:
        share = (min(end, length) - start) / length
        if share <= 0:
            break
        for j, heard_by in G.adjacency():
            for i, attributes in heard_by.items():
                total[j, i] = total.get((j, i), 0.0) + share * float(attributes["alpha"])
    first = sequence.graphs[0]
    mean: DiGraph = nx.DiGraph()
    mean.graph.update(first.graph)
    mean.add_nodes_from((player, dict(attributes)) for player, attributes in first.nodes(data=True))
    mean.add_weighted_edges_from(((j, i, alpha) for (j, i), alpha in total.items()), weight="alpha")
    return mean


def reweighed(
    G: AnyGraph,
    time: float,
    self_weight: float | Mapping[Any, float],
    scheme: str,
    sizes: Mapping[Any, float] | None,
) -> DiGraph:
    """`attach_alpha`, whose errors about the graph name the time from which it is in force."""
    with _in_force_from(time):
        return attach_alpha(G, self_weight, scheme, sizes=sizes)


def nonnegative(value: object, name: str) -> float:
    """`value` as a float, if it is a finite number ≥ 0.

    Raises:
        SequenceError: it is not.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number) and number >= 0:
            return number
    raise SequenceError(f"{name} is {value!r:.60}, expected a finite number >= 0")


@contextmanager
def _in_force_from(time: float) -> Iterator[None]:
    try:
        yield
    except GraphError as error:
        raise type(error)(f"graph from time {time:g}: {error}", error.players) from error


def _require_apart(G: DiGraph, away: frozenset[Hashable], time: float) -> None:
    strangers = [player for player in away if player not in G]
    if strangers:
        raise SequenceError(
            f"absent from time {time:g} are {name_some(strangers)}, expected players of the graph; see its nodes"
        )
    for player in away:
        heard = [j for j in G.pred[player] if j != player and G.edges[j, player]["alpha"] > 0]
        listeners = [i for i in G.succ[player] if i != player and G.edges[player, i]["alpha"] > 0]
        if heard or listeners:
            raise SequenceError(
                f"player {player!r} is absent from time {time:g} but has edges of alpha > 0 with "
                f"{name_some(dict.fromkeys([*heard, *listeners]))}, expected none; see topology.membership"
            )


def _require_players(expected: list[Hashable], G: DiGraph, time: float) -> None:
    found = list(G)
    if found == expected:
        return
    known = set(expected)
    missing = [player for player in expected if player not in G]
    strangers = [player for player in found if player not in known]
    differences = [f"lacks {name_some(missing)}"] * bool(missing) + [f"adds {name_some(strangers)}"] * bool(strangers)
    if differences:
        raise SequenceError(
            f"graph from time {time:g} {' and '.join(differences)}, expected the players of the graph at time 0; a "
            "player that is away keeps edges of alpha 0"
        )
    moved = [player for player, other in zip(found, expected, strict=True) if player != other]
    raise SequenceError(
        f"graph from time {time:g} has players {name_some(moved)} in another order than the graph at time 0, "
        "expected the same; add the nodes in one order before the edges"
    )
