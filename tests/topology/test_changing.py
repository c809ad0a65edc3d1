"""Graphs that change: every piece can be played on, and edges move, fail and recover as the law says."""

import json
import math
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.topology import (
    AlphaError,
    GraphError,
    GraphFileError,
    GraphSequence,
    IsolatedPlayerError,
    RowSumError,
    SchemeError,
    SequenceError,
    UnanchoredError,
    UnknownNameError,
    attach_alpha,
    failing_edges,
    mixing_matrix,
    normalize,
    read_sequence,
    rewired,
    self_weights,
    sequence,
    spectral_radius,
    time_average,
    validate,
    write_graph,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=25)
SEEDS = st.integers(0, 2**32 - 1)
METHODS = ("swap", "ends")
RING, STAR = attach_alpha(nx.cycle_graph(4)), attach_alpha(nx.star_graph(3))
KITE = nx.krackhardt_kite_graph()


def random_graph(n, seed, directed=False):
    """A ring with random chords; a directed one has no pair of edges back and forth."""
    rng = np.random.default_rng(seed)
    G = nx.cycle_graph(n, create_using=nx.DiGraph if directed else nx.Graph)
    G.add_edges_from((j, i) for j in range(n) for i in range(n) if abs(j - i) > 1 and rng.random() < 0.15)
    return G


def matrices(changing):
    return np.array([mixing_matrix(G) for G in changing.graphs])


def without_own(G):
    H = nx.DiGraph(G)
    H.remove_edges_from(list(nx.selfloop_edges(H)))
    return H


# --- a sequence ------------------------------------------------------------------------------------------


def test_a_graph_is_in_force_until_the_next():
    changing = GraphSequence((0, 5, 7.5), (RING, STAR, RING))
    assert changing.changes == (5.0, 7.5)
    assert changing.players == [0, 1, 2, 3]
    assert len(changing) == 3
    assert [(start, end) for start, end, _ in changing] == [(0, 5), (5, 7.5), (7.5, math.inf)]
    assert [changing.at(time) is STAR for time in (0, 4.999, 5, 7.499, 7.5, 1e9)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert [piece.graph for piece in changing] == list(changing.graphs)


def test_it_cannot_be_reassigned():
    with pytest.raises(AttributeError):
        GraphSequence((0,), (RING,)).times = (0.0, 1.0)


@pytest.mark.parametrize(
    ("times", "graphs", "message"),
    [
        ((), (), "got 0 times for 0 graphs, expected one each, at least one"),
        ((0, 1), (RING,), "got 2 times for 1 graphs"),
        ((1,), (RING,), "the first graph starts at time 1, expected 0"),
        ((-1,), (RING,), "a time of the sequence is -1, expected a finite number >= 0"),
        ((0, float("nan")), (RING, STAR), "a time of the sequence is nan, expected"),
        ((0, math.inf), (RING, STAR), "a time of the sequence is inf, expected"),
        ((0, 10**400), (RING, STAR), "a time of the sequence is 1000.*, expected"),
        ((0, True), (RING, STAR), "a time of the sequence is True, expected"),
        ((0, "1"), (RING, STAR), "a time of the sequence is '1', expected"),
        ((0, 2, 1), (RING, STAR, RING), "time 1 follows 2, expected times that increase"),
        ((0, 2, 2), (RING, STAR, RING), "time 2 follows 2, expected times that increase"),
    ],
)
def test_times_that_are_refused(times, graphs, message):
    with pytest.raises(SequenceError, match=message):
        GraphSequence(times, graphs)


@pytest.mark.parametrize(
    ("G", "message"),
    [
        (
            nx.cycle_graph(3),
            "graph from time 2 lacks 3, expected the players of the graph at time 0; a player that is away",
        ),
        (nx.cycle_graph(5), "graph from time 2 adds 4, expected the players of the graph at time 0"),
        (nx.relabel_nodes(nx.cycle_graph(4), {0: "a"}), "graph from time 2 lacks 0 and adds 'a', expected the players"),
        (nx.cycle_graph([0, 2, 1, 3]), "graph from time 2 has players 2, 1 in another order than the graph at time 0"),
    ],
)
def test_other_players_are_named(G, message):
    with pytest.raises(SequenceError, match=message):
        GraphSequence((0, 2), (RING, attach_alpha(G)))


def test_every_graph_must_be_one_to_play_on():
    drained = STAR.copy()
    drained.edges[0, 0]["alpha"] = 0.0
    with pytest.raises(RowSumError, match="graph from time 3: alpha into player 0 sums to 0.7, expected 1") as caught:
        GraphSequence((0, 3), (RING, drained))
    assert caught.value.players == (0,)
    with pytest.raises(UnanchoredError, match="graph from time 3: no real data reaches players 0, 1, 2, 3"):
        GraphSequence((0, 3), (RING, attach_alpha(nx.cycle_graph(4), 0.0)))
    with pytest.raises(GraphError, match="graph from time 0: expected a networkx.DiGraph"):
        GraphSequence((0,), (nx.cycle_graph(4),))


@pytest.mark.parametrize("time", [-0.1, float("nan"), math.inf, None])
def test_no_graph_is_in_force_at_a_time_that_is_none(time):
    with pytest.raises(SequenceError, match=f"time is {time}, expected a finite number >= 0"):
        GraphSequence((0,), (RING,)).at(time)


def test_given_graphs_keep_or_get_their_alpha():
    kept = sequence([(0, RING), (4, STAR)])
    made = sequence([(0, nx.cycle_graph(4)), (4, nx.star_graph(3))], scheme="degree", self_weight=0.6)
    assert np.array_equal(matrices(kept), [mixing_matrix(RING), mixing_matrix(STAR)])
    assert np.array_equal(made.at(4).edges[0, 1]["alpha"], 0.4)
    with pytest.raises(AlphaError, match="graph from time 4: alpha on edges .* is missing"):
        sequence([(0, RING), (4, nx.star_graph(3))])
    with pytest.raises(IsolatedPlayerError, match="graph from time 4: player 9 has no neighbour"):
        sequence([(0, RING), (4, nx.Graph({0: [1], 9: [9]}))], scheme="uniform")
    with pytest.raises(SequenceError, match="expected one each, at least one"):
        sequence([])


# --- properties of all makers ------------------------------------------------------------------------------


def changing_graphs(G, seed, scheme="uniform"):
    """One sequence of each kind from the same bare graph."""
    weighted = attach_alpha(G, 0.25, scheme)
    yield rewired(G, fraction=0.3, every=1, until=4, seed=seed, self_weight=0.25, scheme=scheme)
    yield rewired(G, fraction=0.3, times=[0.5, 2], seed=seed, method="ends", self_weight=0.25, scheme=scheme)
    for one_way in (False, True):
        for keep in (False, True):
            yield failing_edges(
                weighted, failure_rate=0.3, repair_rate=0.4, until=2, seed=seed, one_way=one_way, keep_self_weight=keep
            )
    yield sequence([(0, G), (2, nx.cycle_graph(list(G)))], scheme=scheme)


@given(n=st.integers(6, 10), seed=SEEDS, directed=st.booleans(), scheme=st.sampled_from(["uniform", "degree"]))
@settings(PROPERTY, max_examples=10)
def test_rows_of_every_piece_sum_to_one(n, seed, directed, scheme):
    for changing in changing_graphs(random_graph(n, seed, directed), seed, scheme):
        A = matrices(changing)
        assert (A >= 0).all()
        np.testing.assert_allclose(A.sum(axis=2), 1, atol=1e-12)
        for G in (*changing.graphs, time_average(changing, 3.0)):
            validate(G)


@given(n=st.integers(6, 10), seed=SEEDS)
@settings(PROPERTY, max_examples=10)
def test_relabelling_players_changes_names_alone(n, seed):
    G = random_graph(n, seed)
    H = nx.relabel_nodes(G, {i: f"p{(7 * i) % 11}" for i in G})
    assert list(H) == [f"p{(7 * i) % 11}" for i in G]
    for ours, theirs in zip(changing_graphs(G, seed), changing_graphs(H, seed), strict=True):
        assert ours.times == theirs.times
        assert np.array_equal(matrices(ours), matrices(theirs))


def test_same_seed_same_sequence_other_seed_another():
    drawn = zip(*(list(changing_graphs(KITE, seed))[:-1] for seed in (1, 1, 2)), strict=True)
    for first, same, other in drawn:
        assert first.times == same.times
        assert np.array_equal(matrices(first), matrices(same))
        assert first.times != other.times or not np.array_equal(matrices(first), matrices(other))


def test_the_order_in_which_edges_were_added_does_not_matter():
    H = nx.Graph()
    H.add_nodes_from(KITE)
    H.add_edges_from(reversed([(i, j) for j, i in KITE.edges]))
    for ours, theirs in zip(changing_graphs(KITE, 3), changing_graphs(H, 3), strict=True):
        assert ours.times == theirs.times
        assert np.array_equal(matrices(ours), matrices(theirs))


@pytest.mark.parametrize("directed", [False, True])
def test_the_given_graph_is_not_modified(directed):
    G = random_graph(8, 1, directed)
    weighted = attach_alpha(G)
    before = [nx.to_dict_of_dicts(H.copy()) for H in (G, weighted)]
    for changing in (*changing_graphs(G, 2), failing_edges(weighted, failure_rate=1, repair_rate=1, until=2, seed=0)):
        for H in changing.graphs:
            H.nodes[0]["colour"] = "red"
    assert [nx.to_dict_of_dicts(H) for H in (G, weighted)] == before
    assert G.nodes[0] == weighted.nodes[0] == {}


# --- rewiring ----------------------------------------------------------------------------------------------


def test_changes_come_at_multiples_before_the_end():
    assert rewired(KITE, fraction=0.2, every=2, until=6, seed=0).times == (0, 2, 4)
    assert rewired(KITE, fraction=0.2, every=2, until=6.5, seed=0).times == (0, 2, 4, 6)
    assert rewired(KITE, fraction=0.2, every=0.1, until=0.3, seed=0).times == (0, 0.1, 0.2)
    assert rewired(KITE, fraction=0.2, every=2, until=0, seed=0).times == (0,)
    assert rewired(KITE, fraction=0.2, times=(0.5, 9), seed=0).times == (0, 0.5, 9)


@pytest.mark.parametrize("method", METHODS)
def test_it_begins_with_the_graph_itself(method):
    G = rewired(KITE, fraction=1, every=1, until=2, seed=0, method=method, self_weight=0.4).at(0)
    assert np.array_equal(mixing_matrix(G), mixing_matrix(attach_alpha(KITE, 0.4)))


@pytest.mark.parametrize("method", METHODS)
@given(n=st.integers(6, 20), seed=SEEDS, fraction=st.floats(0.01, 1), directed=st.booleans())
@PROPERTY
def test_the_number_of_edges_stays_and_a_fraction_moves(method, n, seed, fraction, directed):
    G = random_graph(n, seed, directed)
    changing = rewired(G, fraction=fraction, every=1, until=4, seed=seed, method=method)
    most = max(2 if method == "swap" else 1, round(fraction * len(G.edges)))
    graphs = [without_own(H) if directed else nx.Graph(without_own(H)) for H in changing.graphs]
    for before, after in pairwise(graphs):
        assert len(after.edges) == len(G.edges)
        new = [edge for edge in after.edges if not before.has_edge(*edge)]
        assert len(new) <= most
    if not directed:
        assert all(set(H.edges) == {(i, j) for j, i in H.edges} for H in map(without_own, changing.graphs))


@given(n=st.integers(6, 20), seed=SEEDS, directed=st.booleans())
@PROPERTY
def test_swaps_keep_every_degree(n, seed, directed):
    changing = rewired(random_graph(n, seed, directed), fraction=0.5, every=1, until=4, seed=seed)
    degrees = [(dict(H.in_degree), dict(H.out_degree)) for H in changing.graphs]
    assert degrees == [degrees[0]] * 4


@given(n=st.integers(6, 20), seed=SEEDS, directed=st.booleans())
@PROPERTY
def test_new_ends_leave_everybody_someone_to_hear(n, seed, directed):
    G = random_graph(n, seed, directed)
    changing = rewired(G, fraction=1, every=1, until=4, seed=seed, method="ends")
    for H in map(without_own, changing.graphs):
        assert min(degree for _, degree in H.in_degree) >= 1
        if directed:
            assert dict(H.out_degree) == dict(G.out_degree)


@pytest.mark.parametrize("method", METHODS)
def test_exactly_the_fraction_moves_where_there_is_room(method):
    G = nx.random_regular_graph(4, 200, seed=1)
    changing = rewired(G, fraction=0.25, times=[1], seed=2, method=method)
    common = sum(changing.at(1).has_edge(*edge) for edge in G.edges)
    # a moved edge falls on the place of another one that moved with probability of about 2/200 · 4/2 at most
    assert 300 <= common <= 300 + 100 * 0.04 * 2
    assert nx.Graph(without_own(rewired(G, fraction=0, times=[1], seed=2).at(1))).edges == G.edges


def test_rewiring_forgets_the_first_graph():
    G = nx.cycle_graph(60)
    changing = rewired(G, fraction=0.5, every=1, until=40, seed=4)
    common = [sum(H.has_edge(*edge) for edge in G.edges) for H in changing.graphs]
    assert common[0] == 60
    # of 60 edges placed at random among 1770 pairs Poisson(2) fall on those of the ring
    assert np.mean(common[20:]) <= 2 + 4 * math.sqrt(2)


def test_every_graph_is_weighed_by_the_scheme():
    sizes = {i: i + 1 for i in KITE}
    changing = rewired(KITE, fraction=0.4, every=1, until=4, seed=5, scheme="size", sizes=sizes, self_weight=0.2)
    for G in changing.graphs:
        again = attach_alpha(nx.Graph(without_own(G)), 0.2, "size", sizes=sizes)
        np.testing.assert_allclose(mixing_matrix(G), mixing_matrix(again), atol=1e-15)
        assert spectral_radius(G) == pytest.approx(0.8)


def test_attributes_stay_with_players_and_move_with_edges():
    G = nx.Graph(name="six")
    G.add_nodes_from((i, {"rows": i}) for i in range(6))
    G.add_edges_from((i, (i + 1) % 6, {"length": i}) for i in range(6))
    changed = rewired(G, fraction=1, times=[1], seed=1).at(1)
    assert changed.graph == {"name": "six"}
    assert dict(changed.nodes(data="rows")) == {i: i for i in range(6)}
    lengths = [length for j, i, length in changed.edges(data="length") if j != i]
    assert sorted(lengths) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("method", METHODS)
def test_a_change_that_cuts_players_off_from_all_data_is_drawn_again(method):
    G = nx.cycle_graph(6)
    a = {0: 0.5, 1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0}
    changing = rewired(G, fraction=0.5, every=1, until=60, seed=3, method=method, self_weight=a)
    assert len(changing) == 60
    assert all(nx.is_connected(nx.Graph(H)) for H in changing.graphs)
    cut = rewired(G, fraction=0.5, every=1, until=60, seed=3, method=method)
    assert not all(nx.is_connected(nx.Graph(H)) for H in cut.graphs)


@pytest.mark.parametrize(
    ("G", "arguments", "error", "message"),
    [
        (KITE, {"fraction": -0.1}, SequenceError, "fraction is -0.1, expected a finite number >= 0"),
        (KITE, {"fraction": 1.1}, SequenceError, "fraction is 1.1, expected at most 1"),
        (KITE, {"fraction": float("nan")}, SequenceError, "fraction is nan, expected"),
        (KITE, {"every": 0}, SequenceError, "every is 0, expected above 0"),
        (
            KITE,
            {"every": None},
            SequenceError,
            "expected either every and until, or times of change, got neither or both",
        ),
        (KITE, {"times": [1]}, SequenceError, "got neither or both"),
        (KITE, {"until": math.inf}, SequenceError, "until is inf, expected a finite"),
        (
            KITE,
            {"every": None, "until": None, "times": [2, 1]},
            SequenceError,
            "times of change are .2.0, 1.0., expected",
        ),
        (
            KITE,
            {"every": None, "until": None, "times": [0]},
            SequenceError,
            "expected increasing ones above 0; sort them",
        ),
        (
            KITE,
            {"every": None, "until": None, "times": [-1]},
            SequenceError,
            "a time of change is -1, expected a finite",
        ),
        (KITE, {"until": 1e6}, SequenceError, "a graph of 46 edges may change 86956 times at most, got more"),
        (KITE, {"method": "swaps"}, UnknownNameError, "unknown method 'swaps'; did you mean 'swap'?"),
        (KITE, {"scheme": "explicit"}, SchemeError, "scheme 'explicit' gives alpha edge by edge"),
        (KITE, {"scheme": "size"}, SchemeError, "scheme 'size' needs sizes"),
        (
            nx.star_graph(4),
            {},
            SequenceError,
            "found no edge to move among 4 edges of 5 players, expected one at least",
        ),
        (nx.complete_graph(4), {"method": "ends"}, SequenceError, "found no edge to move among 6 edges of 4 players"),
        (KITE, {"self_weight": 0.0}, UnanchoredError, "no real data reaches players 0"),
        (nx.Graph({0: [1], 2: [2]}), {}, IsolatedPlayerError, "player 2 has no neighbour"),
    ],
)
def test_rewiring_refuses(G, arguments, error, message):
    with pytest.raises(error, match=message):
        rewired(G, **{"fraction": 0.5, "every": 1, "until": 3, "seed": 0, **arguments})


def test_the_ends_of_a_star_can_move():
    changing = rewired(nx.star_graph(4), fraction=0.5, times=[1], seed=0, method="ends")
    assert changing.at(1).edges != changing.at(0).edges


# --- failing edges -----------------------------------------------------------------------------------------


def up_pairs(G, H):
    """Which edges of G between two players carry something in H."""
    return np.array([H.edges[j, i]["alpha"] > 0 for j, i in G.edges if j != i])


def test_links_are_up_a_stationary_share_of_the_time():
    f, r, T, n = 0.5, 1.5, 20.0, 25
    G = attach_alpha(nx.cycle_graph(n))
    changing = failing_edges(G, failure_rate=f, repair_rate=r, until=T, seed=1, start="stationary", one_way=True)
    share = sum((min(end, T) - start) * up_pairs(G, H).mean() for start, end, H in changing) / T
    pi, k = r / (f + r), f + r
    variance = 2 * pi * (1 - pi) / (k * T) * (1 - (1 - math.exp(-k * T)) / (k * T)) / (2 * n)
    assert share == pytest.approx(pi, abs=4 * math.sqrt(variance))


@pytest.mark.parametrize(("f", "r", "start"), [(0.5, 1.5, "up"), (0.7, 0.0, "up"), (2.0, 1.0, "stationary")])
def test_links_fail_and_recover_by_the_law(f, r, start):
    time, n = 0.6, 150
    G = attach_alpha(nx.cycle_graph(n))
    changing = failing_edges(G, failure_rate=f, repair_rate=r, until=time, seed=2, start=start)
    pi = r / (f + r)
    expected = pi if start == "stationary" else pi + (1 - pi) * math.exp(-(f + r) * time)
    assert up_pairs(G, changing.at(time)).mean() == pytest.approx(
        expected, abs=4 * math.sqrt(expected * (1 - expected) / n)
    )
    assert max(changing.times) < time


def test_jumps_come_at_the_rate_of_the_law():
    f, r, T, n = 1.0, 1.0, 10.0, 60
    changing = failing_edges(
        attach_alpha(nx.cycle_graph(n)), failure_rate=f, repair_rate=r, until=T, seed=3, start="stationary"
    )
    # with f = r jumps of a link are a Poisson process of rate f
    assert len(changing.changes) == pytest.approx(n * T, abs=4 * math.sqrt(n * T))
    gaps = np.diff(changing.times)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=4 / math.sqrt(len(gaps)))


def test_one_link_jumps_at_a_time_both_ways_or_one():
    G = attach_alpha(KITE)
    for one_way, at_once in ((False, 2), (True, 1)):
        changing = failing_edges(G, failure_rate=1, repair_rate=1, until=3, seed=4, one_way=one_way)
        up = np.array([up_pairs(G, H) for H in changing.graphs])
        assert up[0].all()
        assert (np.abs(np.diff(up.astype(int), axis=0)).sum(axis=1) == at_once).all()
    pairs = [(j, i) for j, i in G.edges if j != i]
    failing = failing_edges(G, failure_rate=1, repair_rate=1, until=3, seed=4)
    for H in failing.graphs:
        alive = dict(zip(pairs, up_pairs(G, H), strict=True))
        assert all(alive[j, i] == alive[i, j] for j, i in pairs)


def test_what_is_left_is_normalised():
    G = attach_alpha(KITE, 0.2, "degree")
    for H in failing_edges(G, failure_rate=0.5, repair_rate=1, until=3, seed=5).graphs:
        left = G.copy()
        for j, i, alpha in H.edges(data="alpha"):
            if alpha == 0:
                left.edges[j, i]["alpha"] = 0.0
        np.testing.assert_allclose(mixing_matrix(H), mixing_matrix(normalize(left)), atol=1e-15)
        assert list(H.edges) == list(G.edges)


def test_own_weight_may_stay_while_somebody_is_heard():
    G = attach_alpha(KITE, 0.2)
    for H in failing_edges(G, failure_rate=1, repair_rate=1, until=5, seed=6, keep_self_weight=True).graphs:
        A = mixing_matrix(H)
        hears = (A > 0).sum(axis=1) > 1
        assert self_weights(H) == pytest.approx(np.where(hears, 0.2, 1.0))
        shares = [A[i][(A[i] > 0) & (np.arange(10) != i)] for i in np.flatnonzero(hears)]
        assert all(share == pytest.approx(0.8 / len(share)) for share in shares)


def test_where_all_links_are_down_everybody_plays_alone():
    G = attach_alpha(KITE)
    changing = failing_edges(G, failure_rate=9, repair_rate=0, until=50, seed=7)
    assert len(changing) == 1 + len(KITE.edges)
    assert np.array_equal(mixing_matrix(changing.graphs[-1]), np.eye(10))
    dark = failing_edges(G, failure_rate=9, repair_rate=0, until=50, seed=7, start="stationary")
    assert len(dark) == 1
    assert np.array_equal(mixing_matrix(dark.at(0)), np.eye(10))


def test_players_cut_off_from_all_data_keep_what_they_heard():
    G = attach_alpha(nx.path_graph(4), {0: 0.5, 1: 0.5, 2: 0.0, 3: 0.0})
    changing = failing_edges(G, failure_rate=1, repair_rate=0.2, until=40, seed=8)
    held = 0
    for H in changing.graphs:
        A = mixing_matrix(H)
        assert A[2, 2] == A[3, 3] == 0
        assert A[2, 1] > 0
        assert A[3, 2] == 1
        held += A[1, 2] == 0 and A[2, 1] > 0
    assert held


@pytest.mark.parametrize("rates", [(0, 0), (0, 1)])
def test_links_that_do_not_fail_leave_the_graph_alone(rates):
    G = attach_alpha(KITE, 0.3, "degree")
    changing = failing_edges(G, failure_rate=rates[0], repair_rate=rates[1], until=100, seed=0)
    assert changing.times == (0,)
    assert np.array_equal(mixing_matrix(changing.at(50)), mixing_matrix(G))


def test_an_edge_of_weight_0_changes_nothing():
    G = attach_alpha(nx.cycle_graph(6))
    H = G.copy()
    H.add_edge(0, 3, alpha=0.0)
    ours, theirs = (failing_edges(g, failure_rate=1, repair_rate=1, until=4, seed=9) for g in (G, H))
    assert ours.times == theirs.times
    assert np.array_equal(matrices(ours), matrices(theirs))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"failure_rate": -1}, SequenceError, "failure_rate is -1, expected a finite number >= 0"),
        ({"repair_rate": float("nan")}, SequenceError, "repair_rate is nan, expected"),
        ({"until": -2}, SequenceError, "until is -2, expected"),
        ({"until": math.inf}, SequenceError, "until is inf, expected"),
        (
            {"until": 1e9},
            SequenceError,
            "about 8e.09 jumps of 12 edges are expected until 1e.09, more than graphs of 4e.06",
        ),
        ({"start": "down"}, UnknownNameError, "unknown start 'down'; known are: stationary, up"),
        ({"G": nx.cycle_graph(4)}, GraphError, "expected a networkx.DiGraph, got an undirected Graph"),
        ({"G": nx.DiGraph([(0, 1)])}, AlphaError, r"alpha on edge \(0, 1\) is missing"),
        ({"G": attach_alpha(nx.cycle_graph(4), 0.0)}, UnanchoredError, "no real data reaches players 0, 1, 2, 3"),
    ],
)
def test_failing_edges_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        failing_edges(**{"G": RING, "failure_rate": 2, "repair_rate": 2, "until": 3, "seed": 0, **arguments})


# --- the mean over time ------------------------------------------------------------------------------------


@given(seed=SEEDS, horizon=st.floats(0.1, 20))
@PROPERTY
def test_the_mean_weighs_each_graph_by_its_time(seed, horizon):
    changing = failing_edges(attach_alpha(random_graph(6, seed)), failure_rate=1, repair_rate=1, until=4, seed=seed)
    ends = np.append(changing.times[1:], np.inf).clip(max=horizon)
    spans = np.maximum(ends - np.array(changing.times), 0)
    expected = np.einsum("k,kij->ij", spans / horizon, matrices(changing))
    mean = time_average(changing, horizon)
    np.testing.assert_allclose(mixing_matrix(mean), expected, atol=1e-12)
    assert list(mean) == changing.players


def test_the_mean_of_one_graph_is_that_graph():
    assert np.array_equal(mixing_matrix(time_average(sequence([(0, STAR)]), 7)), mixing_matrix(STAR))


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        (0, "horizon is 0, expected above 0"),
        (-1, "horizon is -1, expected a finite"),
        (math.inf, "horizon is inf, exp"),
    ],
)
def test_no_mean_over_no_time(horizon, message):
    with pytest.raises(SequenceError, match=message):
        time_average(sequence([(0, STAR)]), horizon)


# --- files -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "graphs").mkdir()
    write_graph(RING, tmp_path / "ring.graphml")
    write_graph(STAR, tmp_path / "graphs" / "star.graphml.gz")
    (tmp_path / "hole.edges").write_text("3 1\n2 3\n1 0\n")
    return tmp_path


def listed(folder, *entries):
    path = folder / "changes.json"
    path.write_text(json.dumps([{"time": time, "file": file} for time, file in entries]))
    return path


def test_a_sequence_comes_from_files_beside_the_list(folder):
    path = listed(folder, (0, "ring.graphml"), (2.5, "graphs/star.graphml.gz"), (4, "ring.graphml"))
    changing = read_sequence(path)
    assert changing.times == (0, 2.5, 4)
    assert np.array_equal(matrices(changing), [mixing_matrix(G) for G in (RING, STAR, RING)])


def test_players_stand_in_the_order_of_the_first_file(folder):
    path = listed(folder, (0, "hole.edges"), (3, "graphs/star.graphml.gz"))
    changing = read_sequence(path, scheme="degree", self_weight=0.5)
    assert changing.players == [3, 1, 2, 0]
    assert changing.at(3).edges[0, 3]["alpha"] == 0.5
    with pytest.raises(AlphaError, match="graph from time 0: alpha on edges .* is missing"):
        read_sequence(path)


def test_a_directed_list_is_read_as_one(folder):
    path = listed(folder, (0, "hole.edges"))
    assert read_sequence(path, scheme="uniform", directed=True).at(0).has_edge(3, 1)
    assert not read_sequence(path, scheme="uniform", directed=True).at(0).has_edge(1, 3)


def test_other_players_in_a_file_are_named(folder):
    (folder / "five.edges").write_text("0 1\n1 2\n2 3\n3 4\n")
    with pytest.raises(SequenceError, match="graph from time 1 adds 4, expected the players of the graph at time 0"):
        read_sequence(listed(folder, (0, "ring.graphml"), (1, "five.edges")), scheme="uniform")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[", GraphFileError, "changes.json is not JSON: .*; check that it was written in full"),
        ("\xff", GraphFileError, "changes.json is not JSON"),
        ("[" * 100_000, GraphFileError, "changes.json is not JSON"),
        ("[]", GraphFileError, "changes.json holds no list, expected"),
        ('{"time": 0}', GraphFileError, "changes.json holds no list, expected"),
        ("[3]", GraphFileError, "entry 1 of .*changes.json is 3, expected .*time.*file"),
        ('[{"time": 0}]', GraphFileError, "entry 1 of"),
        ('[{"time": 0, "file": "ring.graphml", "scheme": "x"}]', GraphFileError, "entry 1 of"),
        ('[{"time": 0, "file": 3}]', GraphFileError, "entry 1 of"),
        ('[{"time": NaN, "file": "ring.graphml"}]', SequenceError, "time of entry 1 of .* is nan, expected a finite"),
        ('[{"time": "0", "file": "ring.graphml"}]', SequenceError, "time of entry 1 of .* is '0', expected a finite"),
        ('[{"time": 1, "file": "ring.graphml"}]', SequenceError, "the first graph starts at time 1, expected 0"),
        ('[{"time": 0, "file": "none.graphml"}]', GraphFileError, "no file .*none.graphml"),
        ('[{"time": 0, "file": "changes.json"}]', GraphFileError, "has suffix '.json', expected"),
    ],
)
def test_lists_that_are_refused(folder, text, error, message):
    path = folder / "changes.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(error, match=message):
        read_sequence(path)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../ring.graphml",
        "graphs/../../ring.graphml",
        "..\\ring.graphml",
        "C:\\ring.graphml",
        "a\0b",
        "link",
    ],
)
def test_files_elsewhere_are_not_opened(folder, name):
    inner = folder / "graphs"
    (inner / "link").symlink_to(folder / "ring.graphml")
    with pytest.raises(GraphFileError, match="entry 1 of .* names .*, expected a file in its folder or below"):
        read_sequence(listed(inner, (0, name)))


def test_the_list_must_be_there_and_of_modest_size(folder):
    with pytest.raises(GraphFileError, match="no file .*none.json, expected a sequence of graphs there"):
        read_sequence(folder / "none.json")
    with pytest.raises(GraphFileError, match="cannot be read, expected a file"):
        read_sequence(folder)
    (folder / "large.json").write_bytes(b" " * (2**24 + 1))
    with pytest.raises(GraphFileError, match="holds more than 16 MiB"):
        read_sequence(folder / "large.json")
