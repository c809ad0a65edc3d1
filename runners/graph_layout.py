"""Where the players of a graph stand in a picture: neighbours near each other, the whole unfolded."""

__all__ = ["lay_out"]

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

_MOST_BY_PATHS = 60
_SWEEPS = 30
_JITTER = 0.005


def lay_out(count: int, edges: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Places in [0, 1]², `[count, 2]`, the same whenever it is called.

    Up to 60 players whose graph hangs together are placed by path lengths, more by springs that start from the two
    smoothest eigenvectors of the graph's Laplacian: from places at random, springs leave a ring folded.

    Source: Kamada & Kawai, *An algorithm for drawing general undirected graphs*, 1989; Fruchterman & Reingold, *Graph
    drawing by force-directed placement*, 1991; Koren, *Drawing graphs by eigenvectors*, 2005.

    Arguments:
        count: number of players.
        edges: pairs of players by number, without loops.

    >>> lay_out(2, [(0, 1)]).tolist() in ([[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]])
    True
    """
    plain: nx.Graph[int] = nx.Graph()
    plain.add_nodes_from(range(count))
    plain.add_edges_from(edges)
    if count <= _MOST_BY_PATHS and nx.is_connected(plain):
        places = nx.kamada_kawai_layout(plain)
    else:
        places = nx.spring_layout(plain, pos=_smooth(plain), seed=0, iterations=_SWEEPS)
    xy = np.array([places[k] for k in range(count)])
    low, high = xy.min(axis=0), xy.max(axis=0)
    wide = high - low > 1e-6
    spread: NDArray[np.float64] = np.where(wide, (xy - low) / np.where(wide, high - low, 1.0), 0.0)
    return spread


def _smooth(plain: "nx.Graph[int]") -> dict[int, NDArray[np.float64]]:
    """Eigenvectors of the Laplacian after the constant one, and a little noise that sets apart what they do not."""
    count = len(plain)
    noise = np.random.default_rng(0).normal(scale=_JITTER, size=(count, 2))
    if count > 2:
        laplacian = nx.laplacian_matrix(plain, range(count)).toarray().astype(float)
        vectors = eigh(laplacian, subset_by_index=[1, 2])[1]
        noise += vectors / np.abs(vectors).max(axis=0)
    return dict(enumerate(noise))
