"""The family of normal vectors of unknown mean and covariance."""

__all__ = ["GaussianFull"]

from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .family import Array, ExponentialFamily, as_variable, box_bound
from .space import Batch, Space, SpaceError, Variable


@final
class GaussianFull(ExponentialFamily):
    """A normal vector of unknown mean m and covariance Σ: φ(x) = (x, x_a x_b for a ≤ b), μ = (m, Σ + mmᵀ).

    θ = (Λm, −½Λ_aa, −Λ_ab for a < b) with Λ = Σ⁻¹, A(θ) = ½ mᵀΛm + ½ log det Σ, h = (2π)^(−k/2).
    """

    def __init__(self, dimension: int, *, variable: str | Variable = "x") -> None:
        self.name = "gaussian-full"
        found = as_variable(variable, "real", (dimension,))
        if found.shape != (dimension,):
            raise SpaceError(f"a full Gaussian needs a vector of {dimension} values, got {found}")
        self.space = Space((found,))
        self._k = dimension
        self._a, self._b = np.triu_indices(dimension)
        self.size = dimension + len(self._a)
        self.reference = np.concatenate([np.zeros(dimension), (self._a == self._b).astype(float)])
        self._variable = found.name
        self._ends = (-np.inf if found.low is None else found.low), (np.inf if found.high is None else found.high)

    @cached_property
    def _halves(self) -> Array:
        return np.where(self._a == self._b, -0.5, -1.0)

    def _matrix(self, upper: Array) -> Array:
        full = np.zeros((*upper.shape[:-1], self._k, self._k))
        full[..., self._a, self._b] = upper
        full[..., self._b, self._a] = upper
        return full

    def _moments(self, mu: Array) -> tuple[Array, Array]:
        m = mu[..., : self._k]
        return m, self._matrix(mu[..., self._k :]) - m[..., :, None] * m[..., None, :]

    def _gather(self, m: Array, sigma: Array) -> Array:
        second = sigma + m[..., :, None] * m[..., None, :]
        return np.concatenate([m, second[..., self._a, self._b]], axis=-1)

    def statistics(self, batch: Batch) -> Array:
        x = batch[self._variable]
        return np.concatenate([x, x[:, self._a] * x[:, self._b]], axis=-1)

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = self.statistics(batch).mean(axis=0)
        return mean

    def natural(self, mu: Array) -> Array:
        inside = self.interior(mu)[..., None]
        m, sigma = self._moments(np.where(inside, mu, self.reference))
        precision = np.linalg.inv(sigma)
        first = np.einsum("...ab,...b->...a", precision, m)
        theta = np.concatenate([first, self._halves * precision[..., self._a, self._b]], axis=-1)
        return np.where(inside, theta, np.inf)

    def _from_natural(self, theta: Array) -> tuple[Array, Array]:
        sigma: Array = np.asarray(np.linalg.inv(self._matrix(theta[..., self._k :] / self._halves)), np.float64)
        return np.einsum("...ab,...b->...a", sigma, theta[..., : self._k]), sigma

    def mean(self, theta: Array) -> Array:
        return self._gather(*self._from_natural(theta))

    def log_partition(self, theta: Array) -> Array:
        m, sigma = self._from_natural(theta)
        value: Array = 0.5 * ((theta[..., : self._k] * m).sum(axis=-1) + np.linalg.slogdet(sigma).logabsdet)
        return value

    def log_base(self, batch: Batch) -> Array:
        return np.full(len(batch), -0.5 * self._k * np.log(2 * np.pi))

    def kl(self, mu: Array, other: Array) -> Array:
        inside = self.interior(other)
        m, sigma = self._moments(mu)
        p, tau = self._moments(np.where(inside[..., None], other, self.reference))
        precision = np.linalg.inv(tau)
        gap = m - p
        trace = np.einsum("...ab,...ba->...", precision, sigma)
        mahalanobis = np.einsum("...a,...ab,...b->...", gap, precision, gap)
        log_ratio = np.linalg.slogdet(sigma).logabsdet - np.linalg.slogdet(tau).logabsdet
        return np.where(inside, 0.5 * (trace + mahalanobis - self._k - log_ratio), np.inf)

    def variance(self, mu: Array) -> Array:
        m, sigma = self._moments(mu)
        diagonal = np.diagonal(sigma, axis1=-2, axis2=-1)
        a, b = self._a, self._b
        cross = sigma[..., a, b]
        second = (
            diagonal[..., a] * diagonal[..., b]
            + cross**2
            + m[..., a] ** 2 * diagonal[..., b]
            + m[..., b] ** 2 * diagonal[..., a]
            + 2 * m[..., a] * m[..., b] * cross
        )
        return np.concatenate([diagonal, second], axis=-1)

    def covariance(self, mu: Array) -> Array:
        m, s = self._moments(mu)
        a, b = self._a, self._b
        first = s
        cross = m[..., None, a] * s[..., :, b] + m[..., None, b] * s[..., :, a]
        ma, mb, na, nb = m[..., a, None], m[..., b, None], m[..., None, a], m[..., None, b]
        aa, ab = s[..., a[:, None], a], s[..., a[:, None], b]
        ba, bb = s[..., b[:, None], a], s[..., b[:, None], b]
        second = aa * bb + ab * ba + ma * na * bb + ma * nb * ba + mb * na * ab + mb * nb * aa
        return np.block([[first, cross], [np.swapaxes(cross, -1, -2), second]])

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        _, sigma = self._moments(mu)
        finite = np.asarray(np.isfinite(mu).all(axis=-1))
        smallest = np.linalg.eigvalsh(np.where(finite[..., None, None], sigma, 0.0))[..., 0]
        return np.asarray(finite & (smallest > 0))

    def bound(self, point: Array) -> float:
        low, high = self._ends
        if not (np.isfinite(low) and np.isfinite(high)):
            return float("inf")
        ends = [low * low, low * high, high * high]
        least = np.where(self._a == self._b, 0.0 if low <= 0 <= high else min(low * low, high * high), min(ends))
        return box_bound(
            np.concatenate([np.full(self._k, low), least]),
            np.concatenate([np.full(self._k, high), np.full(len(self._a), max(ends))]),
            point,
        )

    def project(self, mu: Array) -> Array:
        m, sigma = self._moments(mu)
        values, vectors = np.linalg.eigh(sigma)
        nearest = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        return np.where((values[..., 0] >= 0)[..., None], mu, self._gather(m, nearest))

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        same = len(mu) > 1 and mu.strides[0] == 0
        m, sigma = self._moments(mu[:1] if same else mu)
        noise = rng.standard_normal((len(mu), self._k))
        return {self._variable: m + np.einsum("...ab,...b->...a", _root(sigma), noise)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        m, sigma = self._moments(mu)
        root = _root(sigma)
        counts = np.broadcast_to(np.asarray(n, np.int64), mu.shape[:-1])
        scale = np.maximum(counts, 1)[..., None]
        first = m + np.einsum("...ab,...b->...a", root, rng.standard_normal(m.shape)) / np.sqrt(scale)
        spread = root @ _wishart_root(counts - 1, self._k, rng)
        scatter = spread @ np.swapaxes(spread, -1, -2) / scale[..., None]
        return np.where(counts[..., None] > 0, self._gather(first, scatter), 0.0)


def _root(sigma: Array) -> Array:
    """A square root R of covariances, Σ = RRᵀ, also of singular ones: `[..., k, k]`."""
    values, vectors = np.linalg.eigh(sigma)
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return root


def _wishart_root(freedom: NDArray[np.int64], k: int, rng: np.random.Generator) -> Array:
    """L with LLᵀ standard Wishart of `freedom` degrees (0 gives 0), by Bartlett's decomposition: `[..., k, k]`.

    Below k degrees the same triangle is cut to as many columns as there are degrees (the singular Wishart law).
    """
    column = np.arange(k)
    degrees = np.maximum(freedom[..., None] - column, 0)
    lower = np.tril(rng.standard_normal((*freedom.shape, k, k)), -1)
    lower[..., column, column] = np.sqrt(2.0 * rng.standard_gamma(degrees / 2))
    root: Array = np.where((column < np.maximum(freedom, 0)[..., None])[..., None, :], lower, 0.0)
    return root
