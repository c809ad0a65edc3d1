"""Linear equations between matrices, X = L(X) + C, solved without writing L down."""

__all__ = ["fixed_point"]

from collections.abc import Callable
from typing import Any

import numpy as np

from .family import Array

_DIRECT = 32
_TOLERANCE = 1e-10
_KEPT = 30
_RESTARTS = 20


def fixed_point(linear: Callable[[Array], Array], constant: Array) -> Array | None:
    """X with X = L(X) + C: directly for small matrices, else by GMRES; None where that does not converge.

    Arguments:
        linear: L, a linear map of matrices `[n, n]`.
        constant: C, `[n, n]`.
    """
    from scipy.sparse.linalg import LinearOperator, gmres

    shape, size = constant.shape, constant.size

    def residual(x: Array) -> Array:
        return x.reshape(-1) - linear(x.reshape(shape)).reshape(-1)

    if len(constant) <= _DIRECT:
        matrix = np.stack([residual(unit) for unit in np.eye(size)], axis=1)
        try:
            return np.asarray(np.linalg.solve(matrix, constant.reshape(-1)).reshape(shape), np.float64)
        except np.linalg.LinAlgError:
            return None
    operator: Any = LinearOperator((size, size), matvec=residual, dtype=np.float64)
    solution, info = gmres(operator, constant.reshape(-1), rtol=_TOLERANCE, restart=_KEPT, maxiter=_RESTARTS)
    return np.asarray(solution, np.float64).reshape(shape) if info == 0 else None
