"""Schemes of α: every row sums to 1, each formula as documented, each refusal by its own exception."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nashgossip.topology import (
    SCHEMES,
    AlphaError,
    GraphError,
    IsolatedPlayerError,
    RowSumError,
    SchemeError,
    UnknownNameError,
    attach_alpha,
    edge_arrays,
    listening_matrix,
    mixing_matrix,
    normalize,
    self_weights,
    validate,
)

KITE = nx.krackhardt_kite_graph()


@given(n=st.integers(2, 12), seed=st.integers(0, 99), a=st.floats(0.01, 1), scheme=st.sampled_from(SCHEMES[:4]))
def test_rows_sum_to_one(n, seed, a, scheme):
    G = nx.random_labeled_tree(n, seed=seed)
    H = attach_alpha(G, a, scheme, sizes=dict.fromkeys(G, 3) if scheme == "size" else None)
    assert mixing_matrix(H).sum(axis=1) == pytest.approx(np.ones(n), abs=1e-12)
    validate(H)


@pytest.mark.parametrize("scheme", ["uniform", "degree"])
def test_self_weight_is_exact(scheme):
    a = {player: player / 20 for player in KITE}
    assert self_weights(attach_alpha(KITE, a, scheme)).tolist() == list(a.values())


def test_uniform_spreads_the_rest_evenly():
    A = mixing_matrix(attach_alpha(nx.star_graph(3), 0.4))
    assert np.allclose(A[0], [0.4, 0.2, 0.2, 0.2])
    assert np.allclose(A[1], [0.6, 0.4, 0, 0])


def test_degree_favours_those_who_are_heard_by_many():
    A = mixing_matrix(attach_alpha(nx.path_graph([0, 1, 2, 3]), 0.0, "degree"))
    assert np.allclose(A[1], [1 / 3, 0, 2 / 3, 0])


def test_size_is_proportional_to_rows_of_data():
    A = mixing_matrix(attach_alpha(nx.path_graph(3), 0.5, "size", sizes={0: 30, 1: 5, 2: 10}))
    assert np.allclose(A[1], [0.375, 0.5, 0.125])


def test_metropolis_is_symmetric_and_keeps_at_least_the_self_weight():
    H = attach_alpha(KITE, 0.2, "metropolis")
    A = mixing_matrix(H)
    degree = dict(KITE.degree)
    assert np.allclose(A, A.T)
    assert (self_weights(H) >= 0.2).all()
    assert A[0, 1] == pytest.approx(0.8 / (1 + max(degree[0], degree[1])))


def test_explicit_takes_a_mapping_or_what_is_on_the_edges():
    alpha = {(0, 1): 0.25, (1, 1): 0.75, (0, 0): 1.0}
    G = nx.DiGraph([(0, 1)])
    G.add_edges_from([(0, 0), (1, 1)])
    H = attach_alpha(G, scheme="explicit", alpha=alpha)
    again = attach_alpha(H, scheme="explicit")
    assert np.array_equal(mixing_matrix(H), [[1, 0], [0.25, 0.75]])
    assert np.array_equal(mixing_matrix(H), mixing_matrix(again))


def test_explicit_self_loops_left_out_weigh_nothing():
    H = attach_alpha(nx.path_graph(2), scheme="explicit", alpha={(0, 1): 1, (1, 0): 0.5, (0, 0): 0.5})
    assert self_weights(H).tolist() == [0.5, 0.0]


def test_direction_is_from_speaker_to_listener_and_a_source_keeps_to_itself():
    A = mixing_matrix(attach_alpha(nx.DiGraph([("speaker", "listener")]), 0.3))
    assert np.allclose(A, [[1, 0], [0.7, 0.3]])


def test_a_player_on_its_own_learns_from_its_data():
    assert self_weights(attach_alpha(nx.empty_graph(1), 0.3)).tolist() == [1.0]


@pytest.mark.parametrize("given_graph", [nx.path_graph(3), nx.cycle_graph(3, create_using=nx.DiGraph)])
def test_the_given_graph_is_not_modified(given_graph):
    before = nx.to_dict_of_dicts(given_graph.copy())
    H = normalize(attach_alpha(given_graph))
    H.nodes[0]["colour"] = "red"
    assert nx.to_dict_of_dicts(given_graph) == before
    assert given_graph.nodes[0] == {}


def test_attributes_and_order_are_kept():
    G = nx.Graph(name="pair")
    G.add_node("z", rows=3)
    G.add_edge("z", "a", length=2.0)
    H = attach_alpha(G)
    assert list(H) == ["z", "a"]
    assert (H.graph["name"], H.nodes["z"]["rows"], H.edges["a", "z"]["length"]) == ("pair", 3, 2.0)


def test_a_is_w_plus_d_dense_and_sparse():
    H = attach_alpha(KITE, 0.35, "degree")
    A = mixing_matrix(H)
    assert np.allclose(A, listening_matrix(H) + np.diag(self_weights(H)))
    assert np.array_equal(A, mixing_matrix(H, sparse=True).toarray())
    assert np.array_equal(listening_matrix(H), listening_matrix(H, sparse=True).toarray())
    assert edge_arrays(H).row_sums == pytest.approx(np.ones(len(H)))


def test_normalize_rescales_rows():
    G = nx.DiGraph()
    G.add_weighted_edges_from([(0, 0, 0.5), (1, 0, 0.42), (0, 1, 7.0)], weight="alpha")
    A = mixing_matrix(normalize(G))
    assert np.allclose(A, [[0.5 / 0.92, 0.42 / 0.92], [1, 0]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scheme": "unifrom"}, UnknownNameError, "unknown scheme 'unifrom'; did you mean 'uniform'?"),
        ({"scheme": "size"}, SchemeError, "scheme 'size' needs sizes, got none"),
        ({"sizes": {0: 1, 1: 1}}, SchemeError, "scheme 'uniform' takes no sizes"),
        ({"alpha": {}}, SchemeError, "scheme 'uniform' takes no alpha"),
        ({"scheme": "explicit", "alpha": {(0, 7): 1}}, SchemeError, r"alpha names \(0, 7\), expected edges"),
        ({"scheme": "explicit", "alpha": {(0, 1): 1}}, AlphaError, r"alpha on edge \(1, 0\) is missing"),
        ({"scheme": "explicit", "alpha": {(0, 1): 1, (1, 0): 0.5}}, RowSumError, "player 0 sums to 0.5"),
        ({"self_weight": {0: 0.5}}, AlphaError, "self_weight is missing for player 1"),
        ({"self_weight": {0: 0.5, 1: 0.5, 9: 1}}, AlphaError, "self_weight names 9, expected players"),
        ({"self_weight": 1.5}, AlphaError, r"self_weight of player 0 is 1.5, expected a number in \[0, 1\]"),
        ({"self_weight": float("nan")}, AlphaError, "is nan, expected a number"),
        ({"self_weight": True}, AlphaError, "is True, expected a number"),
        ({"self_weight": "0.3"}, AlphaError, "is '0.3', expected a number"),
        (
            {"scheme": "size", "sizes": {0: -1, 1: 2}},
            AlphaError,
            "sizes of player 0 is -1, expected a number >= 0",
        ),
        (
            {"scheme": "size", "sizes": {0: 0, 1: 2}},
            AlphaError,
            "neighbours of player 1 have sizes that sum to 0",
        ),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        attach_alpha(nx.path_graph(2), **arguments)


def test_refused_graphs():
    with pytest.raises(SchemeError, match="'metropolis' needs every edge in both directions"):
        attach_alpha(nx.DiGraph([(0, 1)]), scheme="metropolis")
    with pytest.raises(GraphError, match="got MultiGraph; collapse parallel edges"):
        attach_alpha(nx.MultiGraph([(0, 1)]))
    with pytest.raises(GraphError, match="expected at least one player"):
        attach_alpha(nx.Graph())
    with pytest.raises(IsolatedPlayerError, match="player 2 has no neighbour"):
        attach_alpha(nx.Graph({0: [1], 2: [2]}))
    with pytest.raises(RowSumError, match="alpha into player 1 sums to 0, expected a positive sum"):
        normalize(nx.DiGraph([(0, 1, {"alpha": 0}), (0, 0, {"alpha": 1})]))
