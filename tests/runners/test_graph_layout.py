"""Where players stand in pictures: in the unit square, apart, a ring unfolded, and the same every time."""

import networkx as nx
import numpy as np
import pytest

from nashgossip.runners.graph_layout import lay_out


@pytest.mark.parametrize(
    "graph",
    [
        nx.empty_graph(1),
        nx.path_graph(2),
        nx.star_graph(9),
        nx.complete_graph(80),
        nx.star_graph(100),
        nx.empty_graph(70),
        nx.disjoint_union(nx.cycle_graph(40), nx.cycle_graph(50)),
    ],
)
def test_all_stand_apart_in_the_unit_square(graph: "nx.Graph[int]") -> None:
    xy = lay_out(len(graph), list(graph.edges))
    assert xy.shape == (len(graph), 2)
    assert (xy >= 0).all()
    assert (xy <= 1).all()
    assert len(np.unique(xy.round(9), axis=0)) == len(graph)
    np.testing.assert_array_equal(xy, lay_out(len(graph), list(graph.edges)))


@pytest.mark.parametrize("count", [20, 200])
def test_a_ring_is_drawn_unfolded(count: int) -> None:
    xy = lay_out(count, list(nx.cycle_graph(count).edges)) - 0.5
    turns = np.unwrap(np.arctan2(xy[:, 1], xy[:, 0]))
    assert abs(turns[-1] - turns[0]) == pytest.approx(2 * np.pi, rel=0.15)
    assert np.hypot(*xy.T).min() > 0.2, "nothing crosses the middle"


def test_neighbours_are_nearer_than_others() -> None:
    graph = nx.random_regular_graph(3, 120, seed=1)
    xy = lay_out(120, list(graph.edges))
    far = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    assert np.mean([far[i, j] for i, j in graph.edges]) < 0.7 * far.mean()
