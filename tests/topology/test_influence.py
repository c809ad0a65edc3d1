"""Influence against its three readings, and what is computed from it."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nashgossip.topology import (
    GraphError,
    attach_alpha,
    blend,
    effective_sources,
    homogenisation,
    influence,
    listening_matrix,
    mixing_matrix,
    self_weights,
)


def network(n, seed, scheme="uniform"):
    """A strongly connected directed graph with self-weights in [0, 1], one at least positive."""
    rng = np.random.default_rng(seed)
    G = nx.gnp_random_graph(n, 0.3, seed=seed, directed=True)
    G.add_edges_from((k, (k + 1) % n) for k in range(n))
    a = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    a[0] = 0.3
    return attach_alpha(G, dict(enumerate(a.tolist())), scheme)


@given(n=st.integers(2, 20), seed=st.integers(0, 10**6), scheme=st.sampled_from(["uniform", "degree"]))
def test_rows_are_distributions_over_players(n, seed, scheme):
    B = influence(network(n, seed, scheme))
    assert (B >= 0).all()
    assert B.sum(axis=1) == pytest.approx(np.ones(n), abs=1e-9)


@pytest.mark.parametrize("directed", [False, True])
def test_uniform_self_weight_is_personalised_pagerank(directed):
    a = 0.15
    G = attach_alpha(nx.gnp_random_graph(30, 0.2, seed=4, directed=directed), a)
    assert (self_weights(G) == a).all()
    walker = nx.DiGraph()
    walker.add_nodes_from(G)
    walker.add_weighted_edges_from((i, j, alpha / (1 - a)) for j, i, alpha in G.edges(data="alpha") if i != j)
    B = influence(G)
    for i in (0, 7, 29):
        rank = nx.pagerank(walker, alpha=1 - a, personalization={i: 1}, tol=1e-16, max_iter=10_000)
        assert B[i] == pytest.approx(np.array([rank[j] for j in G]), abs=1e-10)


def test_absorbing_walk():
    G = network(8, 3)
    A, start, walks = mixing_matrix(G), 5, 20_000
    rng = np.random.default_rng(11)
    cumulated = A.cumsum(axis=1)
    at, stopped = np.full(walks, start), np.full(walks, -1)
    while (stopped < 0).any():
        going = np.flatnonzero(stopped < 0)
        chosen = np.minimum((rng.random((len(going), 1)) > cumulated[at[going]]).sum(axis=1), len(A) - 1)
        stopped[going[chosen == at[going]]] = at[going[chosen == at[going]]]
        at[going] = chosen
    expected = influence(G)[start]
    error = np.sqrt(expected * (1 - expected) / walks)
    assert (np.abs(np.bincount(stopped, minlength=len(A)) / walks - expected) <= 4.5 * error + 1e-12).all()


def test_friedkin_johnsen_opinions_settle_at_the_blend():
    G = network(12, 5)
    first = np.random.default_rng(0).normal(size=(12, 3))
    opinions = first
    for _ in range(5000):
        opinions = listening_matrix(G) @ opinions + self_weights(G)[:, None] * first
    assert influence(G) @ first == pytest.approx(opinions, abs=1e-10)
    assert blend(G, first) == pytest.approx(opinions, abs=1e-10)
    assert blend(G, first[:, 0]) == pytest.approx(opinions[:, 0], abs=1e-10)


@given(seed=st.integers(0, 10**6))
def test_relabelling_permutes(seed):
    G = network(9, seed)
    order = np.random.default_rng(seed).permutation(9)
    H = nx.DiGraph()
    H.add_nodes_from(f"p{k}" for k in order)
    H.add_edges_from((f"p{j}", f"p{i}", {"alpha": alpha}) for j, i, alpha in G.edges(data="alpha"))
    assert influence(H) == pytest.approx(influence(G)[np.ix_(order, order)], abs=1e-9)


@given(seed=st.integers(0, 10**6))
def test_an_edge_of_weight_zero_changes_nothing(seed):
    G = network(9, seed)
    H = G.copy()
    H.add_edges_from([(j, i, {"alpha": 0.0}) for j, i in nx.non_edges(G)][:5])
    assert influence(H) == pytest.approx(influence(G), abs=1e-12)


@pytest.mark.parametrize("n", [30, 1500])
@pytest.mark.parametrize("anchors", ["all", "few"])
def test_rows_and_columns_on_request(n, anchors):
    a = 0.3 if anchors == "all" else {k: 0.5 if k % 10 == 0 else 0.0 for k in range(n)}
    G = attach_alpha(nx.random_regular_graph(4, n, seed=2), a)
    B = np.linalg.solve(np.eye(n) - listening_matrix(G), np.diag(self_weights(G)))
    some, others = [7, 0, 21], [3, 20]
    assert influence(G, listeners=some) == pytest.approx(B[some], abs=1e-10)
    assert influence(G, sources=others) == pytest.approx(B[:, others], abs=1e-10)
    assert influence(G, listeners=some, sources=others) == pytest.approx(B[np.ix_(some, others)], abs=1e-10)
    assert influence(G, listeners=others, sources=some) == pytest.approx(B[np.ix_(others, some)], abs=1e-10)


def test_one_anchor_at_the_end_of_a_long_chain():
    n = 1200
    G = attach_alpha(nx.path_graph(n), {k: 1.0 if k == 0 else 0.0 for k in range(n)})
    assert influence(G, sources=[0])[:, 0] == pytest.approx(np.ones(n), abs=1e-6)
    assert influence(G, listeners=[n - 1])[0, 0] == pytest.approx(1, abs=1e-6)


def test_ten_thousand_players():
    G = attach_alpha(nx.random_regular_graph(8, 10_000, seed=1), 0.3)
    B = influence(G, listeners=[5])
    assert B.shape == (1, 10_000)
    assert B.sum() == pytest.approx(1, abs=1e-10)
    with pytest.raises(GraphError, match="of 10000 players takes 0.8 GB, expected at most 5000 .* listeners="):
        influence(G)


def test_effective_sources():
    G = attach_alpha(nx.complete_graph(6), 1e-3)
    alone = attach_alpha(nx.complete_graph(6), 1.0)
    assert effective_sources(G) == pytest.approx(np.full(6, 6), rel=1e-4)
    assert effective_sources(alone) == pytest.approx(np.ones(6))
    assert effective_sources(G) == pytest.approx(effective_sources(influence(G)))


def test_homogenisation():
    means = np.random.default_rng(1).normal(size=(600, 2))
    G = attach_alpha(nx.cycle_graph(600), 0.5)
    models = influence(G) @ means
    pairs = np.triu_indices(600, 1)
    expected = np.linalg.norm(models[pairs[0]] - models[pairs[1]], axis=1).mean()
    assert homogenisation(G, means) == pytest.approx(expected, rel=1e-12)
    assert homogenisation(attach_alpha(nx.cycle_graph(600), 0.05), means) < homogenisation(G, means)
    assert homogenisation(attach_alpha(nx.empty_graph(1)), [1.0]) == 0.0


def test_refusals():
    G = attach_alpha(nx.path_graph(2))
    with pytest.raises(GraphError, match="no player 'x' in the graph, expected some of 0, 1"):
        influence(G, listeners=["x"])
    with pytest.raises(GraphError, match=r"values have shape \(3,\), expected finite \[2\] or \[2, d\]"):
        blend(G, [1, 2, 3])
    with pytest.raises(GraphError, match=r"values have shape \(2,\) and are not all finite"):
        blend(G, [1, float("nan")])
    with pytest.raises(GraphError, match=r"expected rows of an influence matrix, .*, got shape \(2, 2\)"):
        effective_sources([[0.5, 0.2], [0, 1]])
