"""The spectral radius: cases known in closed form, and dense eigenvalues elsewhere."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nashgossip.topology import AlphaError, attach_alpha, listening_matrix, spectral_radius


def dense(G):
    return np.abs(np.linalg.eigvals(listening_matrix(G))).max()


@given(n=st.integers(2, 15), seed=st.integers(0, 10**6), a=st.floats(0, 1))
def test_uniform_self_weight_decides_alone(n, seed, a):
    G = attach_alpha(nx.random_labeled_tree(n, seed=seed), a)
    assert spectral_radius(G) == pytest.approx(1 - a, abs=1e-12)


@given(n=st.integers(3, 25), seed=st.integers(0, 10**6))
def test_like_dense_eigenvalues(n, seed):
    rng = np.random.default_rng(seed)
    G = nx.gnp_random_graph(n, 0.3, seed=seed, directed=True)
    G.add_edges_from((k, k + 1) for k in range(n - 1))
    H = attach_alpha(G, dict(enumerate(rng.random(n).tolist())))
    acyclic = nx.is_directed_acyclic_graph(G)
    assert spectral_radius(H) == pytest.approx(0 if acyclic else dense(H), abs=1e-8)


@pytest.mark.parametrize("n", [4, 300, 2000])
def test_directed_cycle_has_the_geometric_mean(n):
    G = attach_alpha(nx.cycle_graph(n, create_using=nx.DiGraph), {k: 0.1 + 0.3 * (k % 2) for k in range(n)})
    assert spectral_radius(G) == pytest.approx((0.9 * 0.6) ** 0.5, abs=1e-10)


@pytest.mark.parametrize("n", [5, 2000])
def test_data_that_only_flows_downhill_dies_out(n):
    G = attach_alpha(nx.path_graph(n, create_using=nx.DiGraph), 0.0)
    assert spectral_radius(G) == 0.0


@pytest.mark.parametrize("n", [50, 1500])
def test_a_path_with_one_anchor(n):
    G = attach_alpha(nx.path_graph(n), {k: 1.0 if k == 0 else 0.0 for k in range(n)})
    assert spectral_radius(G) == pytest.approx(np.cos(np.pi / (2 * (n - 1))), abs=1e-9)


def test_a_radius_that_lives_in_one_corner_of_a_long_chain():
    a = {k: 0.01 if k < 10 else 0.9 for k in range(3000)}
    corner = attach_alpha(nx.path_graph(60), {k: a[k] for k in range(60)})
    assert spectral_radius(attach_alpha(nx.path_graph(3000), a)) == pytest.approx(dense(corner), abs=1e-9)


def test_the_slowest_of_several_blocks():
    G = nx.DiGraph([(0, 1), (1, 0), (2, 3), (3, 2), (1, 2)])
    H = attach_alpha(G, {0: 0.1, 1: 0.1, 2: 0.6, 3: 0.6})
    assert spectral_radius(H) == pytest.approx(0.9, abs=1e-12)


def test_large_random_graph():
    rng = np.random.default_rng(0)
    G = attach_alpha(nx.random_regular_graph(6, 600, seed=1), dict(enumerate(rng.random(600).tolist())))
    assert spectral_radius(G) == pytest.approx(dense(G), abs=1e-9)


def test_needs_alpha():
    with pytest.raises(AlphaError, match="is missing"):
        spectral_radius(nx.DiGraph([(0, 1)]))
