"""Sample means drawn straight into large arrays, from the exact law of their family and in either precision."""

__all__ = ["Law", "edge_noise", "law_of"]

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .discrete import Poisson
from .family import ExponentialFamily
from .gaussian import Exponential, Gaussian

Law: TypeAlias = Callable[[NDArray[Any], Any, np.random.Generator, NDArray[Any]], None]
"""`law(mu, n, rng, out)`: fills `out` `[m, d]` with means of φ over n rows of p_μ; `mu` `[m, d]`, n one or `[m]`."""


def law_of(family: ExponentialFamily, dtype: DTypeLike) -> Law:
    """The law of the family's sample means, into arrays of the given precision.

    Gaussian of known variance: μ + σξ/√n. Exponential: μ·Gamma(n)/n. Poisson: Poisson(nμ)/n. All others go through
    `family.sample_mean` in float64: Bernoulli and categorical Binomial and Multinomial(n, μ)/n; a Gaussian of unknown
    variance its mean and an independent χ² (Wishart); products and class-conditional families block by block.

    The law is exact, up to the rounding of `dtype`: numbers drawn in float32 lie on a grid of 2⁻²⁴ of their size.
    """
    kind: Any = np.dtype(dtype)
    if isinstance(family, Gaussian):
        sigma = np.sqrt(family.variance(family.reference)).astype(kind)

        def gaussian(mu: NDArray[Any], n: Any, rng: np.random.Generator, out: NDArray[Any]) -> None:
            rng.standard_normal(dtype=kind, out=out)
            out *= sigma / _root(n, kind)
            out += mu

        return gaussian
    if isinstance(family, Exponential):

        def exponential(mu: NDArray[Any], n: Any, rng: np.random.Generator, out: NDArray[Any]) -> None:
            rows = _column(n, kind)
            rng.standard_gamma(np.broadcast_to(rows, out.shape) if np.ndim(n) else rows, dtype=kind, out=out)
            out *= mu / rows

        return exponential
    if isinstance(family, Poisson):

        def poisson(mu: NDArray[Any], n: Any, rng: np.random.Generator, out: NDArray[Any]) -> None:
            rows = _column(n, np.float64)
            np.divide(rng.poisson(rows * mu), rows, out=out, casting="same_kind")

        return poisson

    def exact(mu: NDArray[Any], n: Any, rng: np.random.Generator, out: NDArray[Any]) -> None:
        out[...] = family.sample_mean(np.asarray(mu, np.float64), n, rng)

    return exact


def edge_noise(family: ExponentialFamily, w: Any, samples: Any, dtype: DTypeLike) -> NDArray[Any] | None:
    """`[N, d]`, σ√(Σ_j w_ij²/n_j): the noise in what a listener makes of a batch of its own from each neighbour.

    A weighted sum of normal variables is normal, so that for a Gaussian of known variance one draw does for all edges
    of a listener. None for other families, where each edge needs a draw.
    """
    if not isinstance(family, Gaussian):
        return None
    shares = np.broadcast_to(1.0 / np.asarray(samples), (w.shape[0],))
    spread = np.sqrt(np.asarray(w.multiply(w) @ shares).reshape(-1))
    sigma = np.sqrt(family.variance(family.reference))
    return np.asarray(spread[:, None] * sigma, dtype)


def _root(n: Any, kind: Any) -> Any:
    return np.sqrt(_column(n, kind))


def _column(n: Any, kind: Any) -> Any:
    return np.asarray(n, kind)[:, None] if np.ndim(n) else np.dtype(kind).type(n)
