"""Players that join a game while it runs, and leave it: the graphs of those present, α renormalised by a named rule."""

__all__ = ["Event", "membership"]

from collections.abc import Hashable, Iterable, Iterator
from itertools import groupby
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from .arrays import DiGraph, EdgeArrays, edge_arrays
from .changing import GraphSequence, SequenceError, nonnegative
from .checks import validate
from .errors import UnanchoredError, name_some
from .names import UnknownNameError, require_name
from .remaining import RULES, remaining

_What: TypeAlias = Literal["join", "leave"]
Event: TypeAlias = tuple[float, Any, str]
"""When, who, and `join` or `leave`."""


def membership(G: DiGraph, events: Iterable[Event], rule: str = "proportional") -> GraphSequence:
    """The graphs of players that join and leave: G, without those who are absent.

    A player whose first event is a join is absent until then; whoever leaves may join again. While absent a player
    listens to itself alone, α_ii = 1, and is heard by nobody; its edges stay, with α = 0. Events of one time happen in
    the order given, and the graph of those then present is in force from that very time on. Where everybody is present
    it is G.

    A listener makes up for the α_ij of those absent, ℓ_i together, by one of the rules

    - "proportional": all that remains, α_ii included, is divided by 1 − ℓ_i
    - "neighbours": the other neighbours are scaled up, α_ii stays; where nobody is left, α_ii = 1
    - "self": ℓ_i goes to the own data, α_ii + ℓ_i

    so that the equilibrium of those present is that of the graph without the absent.

    Arguments:
        G: graph of all players that ever play, which `validate` accepts.
        events: (time, player, "join" or "leave"), times not decreasing.
        rule: one of `RULES`.

    Returns:
        A sequence with `absent` and `rule`; no graph is made where nobody comes or goes.

    Raises:
        SequenceError: a time that is negative, not finite or out of order, a player that leaves while absent or joins
            while present, or nobody left.
        UnknownNameError: no such rule, event or player; the nearest name is suggested.
        UnanchoredError: at some time real data no longer reaches somebody, or somebody with α_ii = 0, who has no data
            of its own, would have to learn from it; the time, the players and the remedy are named.
        GraphError and its kin: as `validate`.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha, mixing_matrix
    >>> G = attach_alpha(nx.complete_graph(3), self_weight=0.4)
    >>> changing = membership(G, [(5, 2, "join"), (9, 0, "leave")])
    >>> changing.times, [set(away) for away in changing.absent]
    ((0.0, 5.0, 9.0), [{2}, set(), {0}])
    >>> mixing_matrix(changing.at(0)).round(3)
    array([[0.571, 0.429, 0.   ],
           [0.429, 0.571, 0.   ],
           [0.   , 0.   , 1.   ]])
    """
    validate(G)
    require_name("rule", rule, RULES)
    whole = G.copy()
    moments = list(_absences(whole, list(events)))
    ever = frozenset[Hashable]().union(*(away for _, away in moments))
    whole.add_weighted_edges_from(((p, p, 0.0) for p in ever if not G.has_edge(p, p)), weight="alpha")
    edges = edge_arrays(whole)
    graphs: dict[frozenset[Hashable], DiGraph] = {frozenset(): G}
    for time, away in moments:
        if away not in graphs:
            graphs[away] = _without(whole, edges, away, rule, time)
    times, absent = zip(*moments, strict=True)
    return GraphSequence(times, tuple(graphs[away] for away in absent), absent, rule)


def _absences(G: DiGraph, events: list[Event]) -> Iterator[tuple[float, frozenset[Hashable]]]:
    """From when on which players are absent; the first time is 0, and each set differs from the one before."""
    first: dict[Hashable, str] = {}
    last = 0.0
    for number, (time, player, what) in enumerate(events, start=1):
        now = nonnegative(time, f"time of event {number}")
        require_name("event", what, get_args(_What))
        if player not in G:
            raise UnknownNameError("player", str(player), map(str, G))
        if now < last:
            raise SequenceError(
                f"event {number} is at time {now:g} and follows one at {last:g}, expected times that do not decrease; "
                "sort the events"
            )
        last = now
        first.setdefault(player, what)
    away = {player for player, what in first.items() if what == "join"}
    before: frozenset[Hashable] | None = None
    for time, group in groupby([(0.0, None, ""), *events], key=lambda event: float(event[0])):
        for _, player, what in group:
            if what:
                _happen(away, player, what, time)
        if len(away) == len(G):
            raise SequenceError(f"nobody is present from time {time:g} on, expected at least one player; let one stay")
        now_away = frozenset(away)
        if now_away != before:
            before = now_away
            yield time, now_away


def _happen(away: set[Hashable], player: Hashable, what: str, time: float) -> None:
    if (player in away) != (what == "join"):
        state = "absent" if player in away else "present"
        raise SequenceError(
            f"player {player!r} is to {what} at time {time:g} but is {state} then; expected join and leave in turn, a "
            "join first for who is absent from the start"
        )
    (away.discard if what == "join" else away.add)(player)


def _without(G: DiGraph, edges: EdgeArrays, away: frozenset[Hashable], rule: str, time: float) -> DiGraph:
    """G while some players are absent."""
    players: list[Any] = list(G)
    gone = np.array([player in away for player in players])
    live = (edges.speaker == edges.listener) | ~(gone[edges.speaker] | gone[edges.listener])
    _require_own_data(players, edges, gone, rule, time)
    alpha = remaining(edges, live, rule)
    H: DiGraph = G.copy()
    for k in np.flatnonzero(alpha != edges.alpha).tolist():
        H.adj[players[edges.speaker[k]]][players[edges.listener[k]]]["alpha"] = float(alpha[k])
    return H


def _require_own_data(players: list[Any], edges: EdgeArrays, gone: Any, rule: str, time: float) -> None:
    """Nobody present with α_ii = 0 is thrown back on its own data."""
    others = edges.speaker != edges.listener
    lost = np.bincount(edges.listener, weights=edges.alpha * (others & gone[edges.speaker]), minlength=len(players))
    heard = np.bincount(edges.listener, weights=edges.alpha * (others & ~gone[edges.speaker]), minlength=len(players))
    falls_back = lost > 0 if rule == "self" else heard == 0
    stuck = [players[k] for k in np.flatnonzero(~gone & (edges.self_weights == 0) & falls_back)]
    if stuck:
        away = [player for player, is_gone in zip(players, gone, strict=True) if is_gone]
        raise UnanchoredError(
            f"graph from time {time:g}: while {name_some(away)} is absent, rule {rule!r} leaves player "
            f"{name_some(stuck)} its own data, of which it has none (alpha_jj = 0); give it a self-weight, or let a "
            "player that it hears stay" + (", or take rule 'proportional'" if rule == "self" else ""),
            stuck,
        )
