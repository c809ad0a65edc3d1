"""Systems with I − W: how far anything said by one player carries through the network."""

__all__ = ["solve_listening"]

import numpy as np
from scipy import sparse as sp
from scipy.sparse import linalg as sla

from .arrays import Array
from .matrices import SparseMatrix

_DENSE = 1000
_ACCURACY = 1e-11
_COLUMNS = 128
_FEW_STEPS = 40.0


def solve_listening(W: SparseMatrix, rhs: Array, *, transpose: bool = False) -> Array:
    """X with (I − W) X = R, or (I − Wᵀ) X = R, for W ≥ 0 with row sums ≤ 1 and ρ(W) < 1.

    With h = (I − W)⁻¹ 1, h_i the expected number of steps of the walk that starts at i and follows W until it
    is absorbed, ‖(I − W)⁻¹‖_∞ = max h. That turns a residual into a bound on the error, which an
    iterative answer is held to: 1e-11 of the largest entry (transposed: of the sum) of the right-hand side, a
    column each. Small systems are solved densely; large ones by X ← WX + R where walks are short, by BiCGSTAB
    where they are long, and by sparse LU, slow on random graphs, where even that does not meet the bound.

    Arguments:
        W: `[N, N]`, sparse.
        rhs: `[N, k]`, R.
        transpose: whether to solve with Wᵀ.

    Returns:
        X, `[N, k]`; not negative where R is not.

    Source: Saad, *Iterative Methods for Sparse Linear Systems*, 2003; Kemeny & Snell, *Finite Markov Chains*,
        1960.
    """
    n = W.shape[0]
    M = W.T.tocsr() if transpose else W
    if n <= _DENSE:
        direct: Array = np.linalg.solve(np.eye(n) - M.toarray(), rhs).astype(np.float64)
        return _like(rhs, direct)
    scale = _norms(rhs, transpose)
    steps = _longest_walk(W)
    if steps is not None:
        target = _ACCURACY * np.where(scale > 0, scale, 1.0) / steps
        X = np.empty_like(rhs)
        if steps <= _FEW_STEPS:
            for k in range(0, rhs.shape[1], _COLUMNS):
                part = slice(k, k + _COLUMNS)
                X[:, part] = _fixed_point(M, rhs[:, part], int(40 * steps), target[part], transpose)
        else:
            for k in range(rhs.shape[1]):
                X[:, k] = _krylov(M, rhs[:, k])
        if (_norms(rhs + M @ X - X, transpose) <= target).all():
            return _like(rhs, X)
    return _like(rhs, sla.splu((sp.eye_array(n) - M).tocsc()).solve(rhs))


def _longest_walk(W: SparseMatrix) -> float | None:
    """An upper bound on max h, or None where none is found.

    If (I − W) h ≥ 1/2 for some h ≥ 0, then (I − W)⁻¹ 1 ≤ 2h, whatever the error in h.
    """
    one = np.ones(W.shape[0])
    largest = float(np.asarray(W @ one).max())
    if largest < 1 - 1 / _FEW_STEPS:
        return 1 / (1 - largest)
    h = _krylov(W, one)
    least = float((h - W @ h).min())
    return float(h.max()) / least if least >= 0.5 and (h >= 0).all() else None


def _fixed_point(M: SparseMatrix, R: Array, sweeps: int, target: Array, transpose: bool) -> Array:
    X = R
    for _ in range(sweeps):
        X, previous = M @ X + R, X
        if (_norms(X - previous, transpose) <= target).all():
            break
    return X


def _krylov(M: SparseMatrix, r: Array) -> Array:
    """BiCGSTAB with refinement: each pass solves for what the last one left, to a part in 10⁸."""
    operator = sp.eye_array(M.shape[0], format="csr") - M
    x = np.zeros_like(r)
    for _ in range(4):
        residual = r - operator @ x
        if np.abs(residual).max() <= 1e-16 * np.abs(r).max():
            break
        step, _ = sla.bicgstab(operator, residual, rtol=1e-8, atol=0.0, maxiter=1000)
        if not np.isfinite(step).all():
            break
        x = x + step
    return x


def _norms(X: Array, transpose: bool) -> Array:
    """Of each column the norm in which the error is bounded: `[k]`."""
    size = np.abs(X)
    norms: Array = size.sum(axis=0) if transpose else size.max(axis=0)
    return norms


def _like(rhs: Array, X: Array) -> Array:
    return np.maximum(X, 0.0) if (rhs >= 0).all() else X
