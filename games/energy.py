"""Whether two samples come from one distribution: the energy distance, and its permutation test."""

__all__ = ["EnergyTest", "energy_test", "features"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .family import Array
from .space import Batch, Space

_ONE_THREAD = 2**18
"""Multiplications up to which OpenBLAS computes a product in the thread that asks for it."""


@dataclass(frozen=True, slots=True)
class EnergyTest:
    """What the comparison of two samples gave.

    Arguments:
        coefficient: H = (2 E|X−Y| − E|X−X'| − E|Y−Y'|) / (2 E|X−Y|), in [0, 1]; 0 for equal distributions.
        p_value: share of permutations of the pooled rows with at least this distance; None if it was not asked for.
    """

    coefficient: float
    p_value: float | None


def energy_test(
    x: Array, y: Array, *, permutations: int = 0, rng: np.random.Generator | None = None, above: float = 0.0
) -> EnergyTest:
    """Compares two samples by the energy distance.

    The permutation test holds its level whatever the distribution: with B permutations p = (1 + #{D_b ≥ D}) / (B + 1).

    Arguments:
        x: `[n, d]`.
        y: `[m, d]`.
        permutations: B; 0 leaves the test out.
        rng: random stream of the permutations.
        above: the test is left out where the coefficient is at most this, which spares most of its time.

    Raises:
        ValueError: samples of another form, an empty one, or permutations without `rng`.

    Source: Székely & Rizzo, *Energy statistics: a class of statistics based on distances*, 2013.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 2)), rng.normal(size=(100, 2))
    >>> energy_test(x, y, permutations=99, rng=rng).p_value > 0.05, energy_test(x, y + 3).coefficient > 0.5
    (True, True)
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(f"samples came with shapes {x.shape} and {y.shape}, expected [n, d] and [m, d] with rows")
    if permutations and rng is None:
        raise ValueError("permutations need a random stream; give `rng`")
    from scipy.spatial.distance import cdist  # only listeners that compare pay for it

    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    distances = cdist(pooled, pooled)
    between = float(distances[:n, n:].mean())
    found = 2 * between - float(distances[:n, :n].mean()) - float(distances[n:, n:].mean())
    coefficient = max(found / (2 * between), 0.0) if between > 0 else 0.0
    if not permutations or rng is None or coefficient <= above:
        return EnergyTest(coefficient, None)
    mine = np.zeros((permutations, n + m))
    np.put_along_axis(mine, np.argsort(rng.random(mine.shape), axis=1)[:, :n], 1.0, axis=1)
    reach = _product(mine, distances)
    inside, total = np.einsum("bi,bi->b", reach, mine), reach.sum(axis=1)
    outside = total - inside  # the sum over pairs of which the first is mine and the second is not
    rest = distances.sum() - inside - 2 * outside
    drawn = 2 * outside / (n * m) - inside / n**2 - rest / m**2
    return EnergyTest(coefficient, float((1 + (drawn >= found - 1e-9 * abs(found)).sum()) / (permutations + 1)))


def _product(chosen: Array, distances: Array) -> Array:
    """`chosen @ distances`, in parts so small that BLAS takes one thread.

    A product of this size gains nothing by more, and waits for them long where cores have other work.
    """
    rows = max(1, _ONE_THREAD // distances.size)
    return np.concatenate([chosen[k : k + rows] @ distances for k in range(0, len(chosen), rows)])


def features(batch: Batch, space: Space) -> Array:
    """Rows as vectors: categories as indicators, all other values as they are: `[n, d]`.

    >>> from nashgossip.games import Variable
    >>> space = Space((Variable("c", "categorical", categories=3), Variable("x", "real", (2,))))
    >>> features(space.batch({"c": [1], "x": [[0.5, 2.0]]}), space)
    array([[0. , 1. , 0. , 0.5, 2. ]])
    """
    columns: list[NDArray[np.float64]] = []
    for variable in space:
        values = batch[variable.name]
        if variable.categories is not None:
            values = values[..., None] == np.arange(variable.categories)
        columns.append(values.reshape(len(batch), -1).astype(np.float64))
    return np.concatenate(columns, axis=1)
