"""The mixing matrix A of a graph of players and its two parts, A = W + D, dense or sparse."""

__all__ = ["SparseMatrix", "listening_matrix", "mixing_matrix", "self_weights", "sparse_listening"]

from typing import Literal, TypeAlias, overload

import numpy as np
from scipy import sparse as sp

from .arrays import Array, DiGraph, EdgeArrays, edge_arrays

SparseMatrix: TypeAlias = "sp.csr_array[np.float64, tuple[int, int]]"


@overload
def mixing_matrix(G: DiGraph, *, sparse: Literal[False] = False) -> Array: ...
@overload
def mixing_matrix(G: DiGraph, *, sparse: Literal[True]) -> SparseMatrix: ...
def mixing_matrix(G: DiGraph, *, sparse: bool = False) -> "Array | SparseMatrix":
    """A, with A_ij = α_ij: row i is the listener, column j the one it learns from.

    Arguments:
        G: directed graph; edge (j, i) with attribute `alpha` means that i learns from j.
        sparse: whether to return a `scipy.sparse.csr_array`, for large networks.

    Returns:
        `[N, N]`, rows and columns in the order of `list(G)`.

    Raises:
        GraphError, AlphaError: as `edge_arrays`. Row sums are not checked here, see `validate`.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> mixing_matrix(attach_alpha(nx.path_graph(2), 0.25))
    array([[0.25, 0.75],
           [0.75, 0.25]])
    """
    edges = edge_arrays(G)
    if sparse:
        return _csr(edges)
    A = np.zeros((edges.n_players, edges.n_players))
    A[edges.listener, edges.speaker] = edges.alpha
    return A


@overload
def listening_matrix(G: DiGraph, *, sparse: Literal[False] = False) -> Array: ...
@overload
def listening_matrix(G: DiGraph, *, sparse: Literal[True]) -> SparseMatrix: ...
def listening_matrix(G: DiGraph, *, sparse: bool = False) -> "Array | SparseMatrix":
    """W = A − D: what players learn from each other, the diagonal 0.

    Arguments, Returns and Raises as `mixing_matrix`.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> listening_matrix(attach_alpha(nx.path_graph(2), 0.25))
    array([[0.  , 0.75],
           [0.75, 0.  ]])
    """
    edges = edge_arrays(G)
    if sparse:
        return sparse_listening(edges)
    W = np.zeros((edges.n_players, edges.n_players))
    W[edges.listener, edges.speaker] = edges.alpha
    np.fill_diagonal(W, 0.0)
    return W


def self_weights(G: DiGraph) -> Array:
    """The diagonal of D: α_ii of each player, `[N]`, in the order of `list(G)`; 0 without a self-loop.

    Raises:
        GraphError, AlphaError: as `edge_arrays`.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> self_weights(attach_alpha(nx.path_graph(3), {0: 0.5, 1: 0.0, 2: 1.0})).tolist()
    [0.5, 0.0, 1.0]
    """
    return edge_arrays(G).self_weights


def sparse_listening(edges: EdgeArrays) -> SparseMatrix:
    """W as a `csr_array`, `[N, N]`, without stored zeros."""
    kept = (edges.listener != edges.speaker) & (edges.alpha > 0)
    return _csr(EdgeArrays(edges.listener[kept], edges.speaker[kept], edges.alpha[kept], edges.n_players))


def _csr(edges: EdgeArrays) -> SparseMatrix:
    shape = (edges.n_players, edges.n_players)
    return sp.coo_array((edges.alpha, (edges.listener, edges.speaker)), shape=shape).tocsr()
