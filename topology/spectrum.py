"""The spectral radius of W: the factor by which the error of a network of players shrinks in a round."""

__all__ = ["spectral_radius"]

import numpy as np
from scipy import sparse as sp
from scipy.sparse import csgraph
from scipy.sparse import linalg as sla

from .arrays import Array, DiGraph, edge_arrays
from .matrices import SparseMatrix, sparse_listening

_DENSE = 400
_TOLERANCE = 1e-11
_SWEEPS = 1000


def spectral_radius(G: DiGraph) -> float:
    """ρ(W), the largest modulus of an eigenvalue of the listening matrix W = A − D.

    ρ(W) lies between the smallest and the largest row sum of W, so a uniform α_ii = a gives 1 − a on any
    graph. Otherwise W is split into its strongly connected blocks, whose largest ρ is that of W (a graph
    without cycles has none, ρ = 0). On each block runs the power method on W + I/2, which does not mind
    periodic blocks, until the Collatz-Wielandt bounds min_i (Wx)_i/x_i ≤ ρ ≤ max_i (Wx)_i/x_i meet; where
    they are slow to, LAPACK takes over on a small block, Noda's inverse iteration on a large one.

    Arguments:
        G: directed graph; edge (j, i) with attribute `alpha` means that i learns from j. Rows need not sum
            to 1.

    Returns:
        ρ(W) ≥ 0, accurate to 1e-8. Of a graph that `validate` accepts it is below 1.

    Raises:
        GraphError, AlphaError: as `edge_arrays`.

    Source: Horn & Johnson, *Matrix Analysis*, 2013, ch. 8; Noda, *Note on the computation of the maximal
    eigenvalue of a non-negative irreducible matrix*, 1971.

    >>> import networkx as nx
    >>> from nashgossip.topology import attach_alpha
    >>> round(spectral_radius(attach_alpha(nx.star_graph(5), self_weight=0.3)), 12)
    0.7
    """
    W = sparse_listening(edge_arrays(G))
    low, high = _bounds(W, np.ones(W.shape[0]))
    if high - low <= 1e-14:
        return float(high)
    n_blocks, label = csgraph.connected_components(W, directed=True, connection="strong")
    sizes = np.bincount(label, minlength=n_blocks)
    by_block = np.split(np.argsort(label, kind="stable"), np.cumsum(sizes)[:-1])
    return max((_block_radius(W[block][:, block]) for block in by_block if len(block) > 1), default=0.0)


def _block_radius(W: SparseMatrix) -> float:
    x = np.ones(W.shape[0])
    for _ in range(_SWEEPS):
        low, high = _bounds(W, x)
        if high - low <= _TOLERANCE:
            return (low + high) / 2
        x = W @ x + x / 2
        x /= x.max()
        if x.min() < 1e-200:
            break
    if W.shape[0] <= _DENSE:
        return float(np.abs(np.linalg.eigvals(W.toarray())).max())
    return _noda(W, x)


def _noda(W: SparseMatrix, x: Array) -> float:
    """ρ of an irreducible W from above: t ← max_i (Wx)_i/x_i, x ← (tI − W)⁻¹ x, converging quadratically.

    A floor under x keeps components that decay along a long chain from vanishing; any x > 0 bounds ρ.
    """
    identity = sp.eye_array(W.shape[0], format="csr")
    upper = min(_bounds(W, np.maximum(x, 1e-100))[1], float(W.sum(axis=1).max()))
    for _ in range(_SWEEPS):
        x = np.maximum(x / x.max(), 1e-100)
        try:
            x = sla.splu((upper * identity - W).tocsc()).solve(x)
        except RuntimeError:
            return upper
        if not (np.isfinite(x).all() and (x > 0).all()):
            return upper
        tighter = _bounds(W, x)[1]
        if upper - tighter <= 1e-13:
            return min(upper, tighter)
        upper = tighter
    return upper


def _bounds(W: SparseMatrix, x: Array) -> tuple[float, float]:
    ratios = np.asarray(W @ x) / x
    return float(ratios.min()), float(ratios.max())
