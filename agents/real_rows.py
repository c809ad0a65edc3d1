"""Rows over real variables as matrices, for models that know vectors alone, and back."""

__all__ = ["from_matrix", "require_real", "to_matrix"]

import math

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space, SpaceError, Variable


def require_real(space: Space, model: str) -> None:
    """Checks that a space has real variables without bounds only.

    Arguments:
        space: the variables.
        model: what the error calls the model, with its article.

    Raises:
        SpaceError: a variable that is not real, or that has bounds.
    """
    odd = [f"{v.name} ({v.kind})" for v in space if v.kind != "real"]
    if odd:
        raise SpaceError(f"{model} is over real variables, the space has {', '.join(odd)}")
    bounded = [v.name for v in space if v.low is not None or v.high is not None]
    if bounded:
        raise SpaceError(
            f"{model} knows no bounds, but {', '.join(bounded)} has some; "
            "transform it, or declare it without low and high"
        )


def to_matrix(space: Space, batch: Batch) -> NDArray[np.float64]:
    """The values of each row, flattened and joined in the order of `space`: `[n, d]`.

    Raises:
        SpaceError: the batch lacks a variable, which a model of vectors cannot complete.

    >>> space = Space((Variable("x", "real", (2,)), Variable("y", "real")))
    >>> to_matrix(space, space.batch({"x": [[1, 2]], "y": [3]}))
    array([[1., 2., 3.]])
    """
    missing = [name for name in space.names if name not in batch.space]
    if missing:
        raise SpaceError(
            f"rows came without {', '.join(missing)}, which this model cannot complete; "
            "let the sender publish it, or take a model that completes missing variables"
        )
    return np.concatenate([batch[v.name].reshape(len(batch), _width(v)) for v in space], axis=1)


def from_matrix(space: Space, matrix: NDArray[np.float64]) -> Batch:
    """The rows over `space` whose values, flattened and joined, are `matrix`, `[n, d]`.

    Raises:
        BatchError: a value that is not finite.
    """
    parts = np.split(matrix, np.cumsum([_width(v) for v in space])[:-1], axis=1)
    return space.batch({v.name: part.reshape(len(matrix), *v.shape) for v, part in zip(space, parts, strict=True)})


def _width(variable: Variable) -> int:
    return math.prod(variable.shape)
