"""Players that join and leave: rows sum to 1, and who is present plays the game without the absent, by each rule."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.topology import (
    RULES,
    GraphSequence,
    RowSumError,
    SequenceError,
    UnanchoredError,
    UnknownNameError,
    attach_alpha,
    generate_graph,
    influence,
    membership,
    mixing_matrix,
    self_weights,
    spectral_radius,
    validate,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=25)
SEEDS = st.integers(0, 2**32 - 1)
NAMED = st.sampled_from(RULES)


def weighted(seed: int, n: int = 7, *, directed: bool = False) -> Any:
    """A ring with random chords, every α drawn, all self-weights above 0."""
    rng = np.random.default_rng(seed)
    G = nx.cycle_graph(n, create_using=nx.DiGraph)
    G.add_edges_from((j, i) for j in range(n) for i in range(n) if abs(j - i) > 1 and rng.random() < 0.3)
    if not directed:
        G.add_edges_from([(i, j) for j, i in G.edges])
    return explicit(G, rng)


def explicit(G: Any, rng: np.random.Generator) -> Any:
    weights = {(i, i): rng.uniform(0.05, 1.0) for i in G} | {edge: rng.uniform(0.05, 1.0) for edge in G.edges}
    totals = {i: sum(w for (_, k), w in weights.items() if k == i) for i in G}
    return attach_alpha(G, scheme="explicit", alpha={(j, i): w / totals[i] for (j, i), w in weights.items()})


def random_events(G: Any, seed: int, count: int = 12) -> list[tuple[float, Any, str]]:
    """Players come and go in turn, the first one stays; some things happen at one time."""
    rng = np.random.default_rng(seed)
    here = {p: bool(rng.random() < 0.6) for p in list(G)[1:]}
    events, time = [], 0.0
    for _ in range(count):
        time += float(rng.integers(0, 3))
        player = list(here)[rng.integers(len(here))]
        events.append((time, player, "leave" if here[player] else "join"))
        here[player] = not here[player]
    return events


def by_hand(G: Any, present: list[Any], rule: str) -> Any:
    """The subgraph of those present, with α renormalised player by player."""
    H = nx.DiGraph(G.subgraph(present))
    K: Any = nx.DiGraph()
    K.add_nodes_from(present)
    for i in present:
        own = G.edges[i, i]["alpha"]
        heard = {j: H.edges[j, i]["alpha"] for j in H.pred[i] if j != i}
        lost = 1 - own - sum(heard.values())
        if not heard:
            own = 1.0
        elif rule == "proportional":
            heard = {j: a / (1 - lost) for j, a in heard.items()}
            own /= 1 - lost
        elif rule == "neighbours":
            heard = {j: a * (1 - own) / (1 - own - lost) for j, a in heard.items()}
        else:
            own += lost
        K.add_edge(i, i, alpha=own)
        K.add_weighted_edges_from(((j, i, a) for j, a in heard.items()), weight="alpha")
    return K


def equilibrium(G: Any, values: dict[Any, float], order: list[Any]) -> Any:
    """(I − W)⁻¹ D μ̂ by numpy alone."""
    A = nx.to_numpy_array(G, nodelist=order, weight="alpha").T
    D = np.diag(np.diag(A))
    return np.linalg.solve(np.eye(len(order)) - (A - D), D @ np.array([values[p] for p in order]))


@given(SEEDS, NAMED, st.booleans())
@PROPERTY
def test_those_present_play_the_game_without_the_absent(seed: int, rule: str, directed: bool) -> None:
    G = weighted(seed, directed=directed)
    changing = membership(G, random_events(G, seed), rule)
    values = dict(zip(G, np.random.default_rng(seed).normal(size=len(G)), strict=True))
    for (_, _, graph), away in zip(changing, changing.absent, strict=True):
        present = [p for p in G if p not in away]
        found = dict(zip(G, equilibrium(graph, values, list(G)), strict=True))
        expected = equilibrium(by_hand(G, present, rule), values, present)
        assert [found[p] for p in present] == pytest.approx(expected, abs=1e-12)
        assert all(found[p] == pytest.approx(values[p]) for p in away)


@given(SEEDS, NAMED)
@PROPERTY
def test_every_graph_can_be_played_on_and_the_absent_are_apart(seed: int, rule: str) -> None:
    G = weighted(seed)
    changing = membership(G, random_events(G, seed), rule)
    assert changing.players == list(G)
    assert changing.rule == rule
    for graph, away in zip(changing.graphs, changing.absent, strict=True):
        validate(graph)
        A = mixing_matrix(graph)
        assert A.sum(axis=1) == pytest.approx(np.ones(len(G)), abs=1e-12)
        gone = np.array([p in away for p in G])
        assert np.array_equal(A[gone], np.eye(len(G))[gone])
        assert not A[~gone][:, gone].any()
        assert set(graph.edges) == set(G.edges)
        assert graph is G or away


@given(SEEDS, NAMED)
@PROPERTY
def test_the_order_and_the_names_of_players_do_not_matter(seed: int, rule: str) -> None:
    G, rng = weighted(seed), np.random.default_rng(seed)
    events = random_events(G, seed)
    order = [int(k) for k in rng.permutation(len(G))]
    names = {p: f"player {p}" for p in G}
    H: Any = nx.DiGraph()
    H.add_nodes_from(names[p] for p in order)
    H.add_weighted_edges_from(((names[j], names[i], a) for j, i, a in G.edges(data="alpha")), weight="alpha")
    first = membership(G, events, rule)
    second = membership(H, [(time, names[p], what) for time, p, what in events], rule)
    assert second.times == first.times
    assert second.absent == tuple(frozenset(names[p] for p in away) for away in first.absent)
    for one, other in zip(first.graphs, second.graphs, strict=True):
        assert mixing_matrix(other) == pytest.approx(mixing_matrix(one)[np.ix_(order, order)], abs=1e-12)


@given(SEEDS, NAMED)
@PROPERTY
def test_who_comes_and_goes_at_one_time_changes_nothing(seed: int, rule: str) -> None:
    G = weighted(seed)
    quick = membership(G, [(3.0, 1, "leave"), (3.0, 1, "join"), (5.0, 2, "leave")], rule)
    plain = membership(G, [(5.0, 2, "leave")], rule)
    assert quick.times == plain.times == (0.0, 5.0)
    assert quick.absent == plain.absent
    assert quick.graphs[0] is G
    assert np.array_equal(mixing_matrix(quick.graphs[1]), mixing_matrix(plain.graphs[1]))


@given(SEEDS, NAMED)
@PROPERTY
def test_who_is_not_heard_changes_nothing_for_the_others(seed: int, rule: str) -> None:
    """An edge of weight 0 carries nothing: whoever listens along it loses nothing, to the last bit."""
    G = weighted(seed)
    G.add_node("mute")
    G.add_edge("mute", "mute", alpha=1.0)
    G.add_edge("mute", 0, alpha=0.0)
    away = membership(G, [(1.0, "mute", "leave")], rule).at(1.0)
    assert np.array_equal(mixing_matrix(away), mixing_matrix(G))


def test_each_rule_in_numbers() -> None:
    """Player 0 hears 1 and 2 with weight 0.2 and 0.5 beside its own 0.3; player 2 is absent."""
    G = nx.complete_graph(3, create_using=nx.DiGraph)
    alpha = {(0, 0): 0.3, (1, 0): 0.2, (2, 0): 0.5, (0, 1): 0.5, (1, 1): 0.5, (2, 1): 0.0}
    alpha |= {(0, 2): 0.5, (1, 2): 0.0, (2, 2): 0.5}
    G = attach_alpha(G, scheme="explicit", alpha=alpha)
    row = {rule: mixing_matrix(membership(G, [(2, 2, "join")], rule).at(1.9))[0] for rule in RULES}
    assert row["proportional"] == pytest.approx([0.6, 0.4, 0.0])
    assert row["neighbours"] == pytest.approx([0.3, 0.7, 0.0])
    assert row["self"] == pytest.approx([0.8, 0.2, 0.0])


def test_who_hears_nobody_any_more_learns_from_its_own_data() -> None:
    star = attach_alpha(nx.star_graph(3), 0.4)
    for rule in RULES:
        alone = membership(star, [(4.0, 0, "leave")], rule).at(4.0)
        assert self_weights(alone).tolist() == [1.0, 1.0, 1.0, 1.0]
        assert spectral_radius(alone) == 0.0
        assert influence(alone) == pytest.approx(np.eye(4))


def test_it_is_told_who_is_absent_when() -> None:
    G = attach_alpha(generate_graph("complete", n=4))
    events = [(0.0, 3, "join"), (2.0, 1, "join"), (5.0, 1, "leave"), (7.0, 1, "join"), (7.0, 0, "leave")]
    changing = membership(G, events)
    assert changing.times == (0.0, 2.0, 5.0, 7.0)
    assert changing.absent == ({1}, frozenset(), {1}, {0})
    assert [changing.absent_at(t) for t in (0, 1.9, 2, 6.9, 7, 99)] == [{1}, {1}, set(), {1}, {0}, {0}]
    assert changing.elastic
    assert changing.at(2) is G
    with pytest.raises(SequenceError, match="time is -1"):
        changing.absent_at(-1)


def test_without_events_the_graph_stays() -> None:
    G = attach_alpha(nx.cycle_graph(4))
    changing = membership(G, [])
    assert (changing.times, changing.graphs, changing.absent) == ((0.0,), (G,), (frozenset(),))
    assert not changing.elastic
    assert GraphSequence((0.0, 1.0), (G, G)).absent == (frozenset(), frozenset())


def test_the_graph_given_is_left_as_it_is() -> None:
    G: Any = nx.DiGraph()
    G.add_weighted_edges_from([(0, 1, 0.5), (1, 0, 1.0), (1, 1, 0.5), (2, 1, 0.0), (1, 2, 1.0)], weight="alpha")
    before = sorted(G.edges(data="alpha"))
    changing = membership(G, [(1.0, 2, "leave")])
    assert sorted(G.edges(data="alpha")) == before
    assert self_weights(changing.at(1.0)).tolist() == [0.0, 0.5, 1.0], "a player without self-loop gets one"


COMPLETE = attach_alpha(nx.complete_graph(3))


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        ([(1, "b", "join")], UnknownNameError, "unknown player 'b'"),
        ([(1, 2, "jion")], UnknownNameError, "unknown event 'jion'; did you mean 'join'"),
        ([(-1, 2, "join")], SequenceError, "time of event 1 is -1, expected a finite number >= 0"),
        ([(float("nan"), 2, "join")], SequenceError, "time of event 1 is nan"),
        ([(5, 2, "join"), (4, 1, "leave")], SequenceError, "event 2 is at time 4 and follows one at 5.*sort the ev"),
        ([(1, 2, "leave"), (3, 2, "leave")], SequenceError, "player 2 is to leave at time 3 but is absent then"),
        ([(1, 2, "join"), (3, 2, "join")], SequenceError, "player 2 is to join at time 3 but is present then.*in turn"),
        ([(1, k, "leave") for k in range(3)], SequenceError, "nobody is present from time 1 on.*let one stay"),
        ([(1, k, "join") for k in range(3)], SequenceError, "nobody is present from time 0 on"),
    ],
)
def test_events_that_cannot_be_are_refused(events: Any, error: type[ValueError], message: str) -> None:
    with pytest.raises(error, match=message):
        membership(COMPLETE, events)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown rule 'neighbors'; did you mean 'neighbours'"):
        membership(COMPLETE, [], "neighbors")


def test_a_graph_that_cannot_be_played_on_is_refused() -> None:
    G = COMPLETE.copy()
    G.edges[0, 1]["alpha"] = 0.1
    with pytest.raises(RowSumError, match="alpha into player 1 sums to"):
        membership(G, [])


def test_no_real_data_is_an_error_that_names_time_players_and_remedy() -> None:
    """Only player 0 of a line has data of its own: without it the others, who hear each other, drift."""
    line = attach_alpha(nx.path_graph(3), {0: 0.5, 1: 0.0, 2: 0.0})
    told = "graph from time 6: no real data reaches players 1, 2, expected .* give one of them a self-weight"
    with pytest.raises(UnanchoredError, match=told) as caught:
        membership(line, [(6, 0, "leave")])
    assert caught.value.players == (1, 2)


@pytest.mark.parametrize(("rule", "who"), [("proportional", 1), ("neighbours", 1), ("self", 0)])
def test_who_has_no_data_is_not_left_alone_with_it(rule: str, who: int) -> None:
    """Players 0 and 1 have α_ii = 0. Rule self makes up with own data already where one of two neighbours is lost."""
    line = attach_alpha(nx.path_graph(4), {0: 0.0, 1: 0.0, 2: 0.4, 3: 0.4})
    star = attach_alpha(nx.star_graph(2), {0: 0.0, 1: 0.4, 2: 0.4})
    if rule == "self":
        told = "while 1 is absent, rule 'self' leaves player 0 its own data.*self-weight.*or take rule 'proportional'$"
        with pytest.raises(UnanchoredError, match=told):
            membership(star, [(2, 1, "leave")], rule)
        assert self_weights(membership(star, [(2, 1, "leave")]).at(2)).tolist() == [0.0, 1.0, 0.4]
    else:
        told = f"graph from time 2: while 1 is absent, rule '{rule}' leaves player 0 its own data, of which it has none"
        with pytest.raises(UnanchoredError, match=told) as caught:
            membership(line, [(2, 1, "leave")], rule)
        assert caught.value.players == (0,)


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ((frozenset(),), "got 1 sets of absent players for 2 graphs"),
        ((frozenset({9}), frozenset()), "absent from time 0 are 9, expected players of the graph"),
        (
            (frozenset(), frozenset({0})),
            "player 0 is absent from time 3 but has edges of alpha > 0 with 1, 2, expected",
        ),
    ],
)
def test_absences_that_a_graph_contradicts_are_refused(absent: Any, message: str) -> None:
    with pytest.raises(SequenceError, match=message):
        GraphSequence((0.0, 3.0), (COMPLETE, COMPLETE), absent)
