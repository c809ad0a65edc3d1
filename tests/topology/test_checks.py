"""Validation: which networks are refused, by which exception, and in which words."""

import pickle

import networkx as nx
import numpy as np
import pytest

from nashgossip.topology import (
    AlphaError,
    GraphError,
    IsolatedPlayerError,
    RowSumError,
    UnanchoredError,
    attach_alpha,
    influence,
    listening_matrix,
    normalize,
    spectral_radius,
    validate,
)


def weighted(*edges):
    G = nx.DiGraph()
    G.add_weighted_edges_from(edges, weight="alpha")
    return G


@pytest.mark.parametrize(
    ("G", "message"),
    [
        (nx.path_graph(2), "got an undirected Graph; call topology.attach_alpha"),
        (nx.MultiDiGraph([(0, 1)]), "got a MultiDiGraph with parallel edges; collapse them"),
        (nx.DiGraph(), "expected at least one player, got an empty graph"),
        ([(0, 1)], "expected a networkx.DiGraph, got list"),
    ],
)
def test_wrong_kind_of_graph(G, message):
    with pytest.raises(GraphError, match=message):
        validate(G)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, r"alpha on edge \(0, 1\) is -0.1, expected a finite number >= 0"),
        (float("nan"), r"alpha on edge \(0, 1\) is nan"),
        (float("inf"), r"alpha on edge \(0, 1\) is inf"),
        (None, r"alpha on edge \(0, 1\) is missing, .*; call topology.attach_alpha"),
        ("0.5", r"alpha on edge \(0, 1\) is '0.5', .* no text"),
        (True, r"alpha on edge \(0, 1\) is True, .* no truth values"),
    ],
)
def test_a_bad_alpha(value, message):
    with pytest.raises(AlphaError, match=message) as caught:
        validate(weighted((0, 0, 1.0), (0, 1, value), (1, 1, 0.5)))
    assert caught.value.players == ((0, 1),)


def test_rows_that_do_not_sum_to_one():
    G = weighted((3, 3, 0.5), (4, 3, 0.42), (3, 4, 1.0))
    with pytest.raises(RowSumError, match="^alpha into player 3 sums to 0.92, expected 1; call topology.normalize"):
        validate(G)
    validate(normalize(G))


def test_many_culprits_are_counted():
    G = nx.DiGraph((j, (j + 1) % 12, {"alpha": 0.5}) for j in range(12))
    with pytest.raises(RowSumError, match=r"players 0, 1, .*, 9 and 2 more sums to 0.5, .*, \.\.\., exp") as caught:
        validate(G)
    assert caught.value.players == tuple(range(12))


def test_row_sums_within_tolerance_pass():
    validate(weighted((0, 0, 0.5 + 5e-10), (1, 0, 0.5), (0, 1, 1.0)))


def test_players_without_company():
    with pytest.raises(IsolatedPlayerError, match="players 'b', 'c' have no neighbour") as caught:
        validate(weighted((0, 0, 1.0), (0, 1, 1.0), ("b", "b", 1.0), ("c", "c", 1.0)))
    assert caught.value.players == ("b", "c")
    validate(weighted((0, 0, 1.0)))
    validate(attach_alpha(nx.path_graph(3), 1.0))


def test_players_that_no_data_reaches():
    G = weighted((0, 0, 1.0), (0, 1, 1.0), (2, 3, 1.0), (3, 2, 1.0))
    with pytest.raises(UnanchoredError, match="no real data reaches players 2, 3, expected .* give one") as caught:
        validate(G)
    assert caught.value.players == (2, 3)
    validate(G, anchored=False)


def test_an_edge_of_no_weight_does_not_carry_data():
    G = weighted((0, 0, 1.0), (0, 1, 0.0), (2, 1, 1.0), (1, 2, 1.0))
    with pytest.raises(UnanchoredError, match="players 1, 2"):
        validate(G)


def test_nobody_anchored():
    G = attach_alpha(nx.cycle_graph(4), 0.0)
    with pytest.raises(UnanchoredError):
        validate(G)
    validate(G, anchored=False)
    assert spectral_radius(G) == pytest.approx(1)


def test_anchored_exactly_if_the_spectral_radius_is_below_one():
    refused = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        G = nx.DiGraph()
        G.add_nodes_from(range(8))
        for i in range(8):
            others = [j for j in range(8) if j != i]
            own = 0.5 * float(rng.random() < 0.1)
            G.add_weighted_edges_from([(i, i, own)], weight="alpha")
            heard = rng.choice(others, size=2, replace=False).tolist()
            G.add_weighted_edges_from([(j, i, (1 - own) / 2) for j in heard], weight="alpha")
        rho = np.abs(np.linalg.eigvals(listening_matrix(G))).max()
        try:
            validate(G)
        except UnanchoredError:
            refused += 1
            assert rho > 1 - 1e-12
        else:
            assert rho < 1 - 1e-6
    assert 10 < refused < 50


def test_exceptions_are_value_errors_and_travel_between_processes():
    error = UnanchoredError("text", [1, 2])
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ValueError)
    assert (str(copy), copy.players) == ("text", (1, 2))


def test_results_refuse_what_validate_refuses():
    with pytest.raises(UnanchoredError):
        influence(attach_alpha(nx.cycle_graph(3), 0.0))
