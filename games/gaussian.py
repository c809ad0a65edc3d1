"""Families over real variables: Gaussian (known variance, unknown diagonal, full covariance) and exponential."""

__all__ = ["Exponential", "Gaussian", "GaussianDiagonal", "GaussianFull"]

from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .family import Array, ExponentialFamily, as_variable
from .space import Batch, Space, SpaceError, Variable


def _flat(values: NDArray[Any]) -> Array:
    return values.reshape(len(values), -1)


def _counts(n: int | NDArray[np.int64]) -> Array:
    return np.asarray(n, np.float64)[..., None]


@final
class Gaussian(ExponentialFamily):
    """Independent normal values of known variance σ²: φ(x) = x, μ = E x, θ = μ/σ², A(θ) = Σ σ²θ²/2.

    Arguments:
        shape: shape of a row.
        variance: σ², one number or one per value.
    """

    def __init__(
        self, shape: tuple[int, ...] = (), *, variance: float | Array = 1.0, variable: str | Variable = "x"
    ) -> None:
        self.name = "gaussian"
        self._variable = as_variable(variable, "real", shape)
        self.space = Space((self._variable,))
        self.size = int(np.prod(self._variable.shape, dtype=int))
        self.reference = np.zeros(self.size)
        try:
            self._sigma2: Array = np.broadcast_to(np.asarray(variance, float).reshape(-1), (self.size,))
        except (TypeError, ValueError):
            raise ValueError(f"variance is {variance!r}, expected one number above 0 or {self.size} of them") from None
        self.parameters = tuple(self._sigma2.tolist())
        if not (self._sigma2 > 0).all() or not np.isfinite(self._sigma2).all():
            raise ValueError(f"variance is {variance}, expected finite numbers above 0")

    def statistics(self, batch: Batch) -> Array:
        return _flat(batch[self._variable.name])

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = _flat(batch[self._variable.name]).mean(axis=0)
        return mean

    def natural(self, mu: Array) -> Array:
        return mu / self._sigma2

    def mean(self, theta: Array) -> Array:
        return theta * self._sigma2

    def log_partition(self, theta: Array) -> Array:
        value: Array = 0.5 * (theta**2 * self._sigma2).sum(axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        x = self.statistics(batch)
        value: Array = -0.5 * (x**2 / self._sigma2 + np.log(2 * np.pi * self._sigma2)).sum(axis=-1)
        return value

    def kl(self, mu: Array, other: Array) -> Array:
        value: Array = 0.5 * ((mu - other) ** 2 / self._sigma2).sum(axis=-1)
        return value

    def variance(self, mu: Array) -> Array:
        return np.broadcast_to(self._sigma2, mu.shape)

    def covariance(self, mu: Array) -> Array:
        return self.variance(mu)[..., None] * np.eye(self.size)

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(mu).all(axis=-1))

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        x = mu + np.sqrt(self._sigma2) * rng.standard_normal(mu.shape)
        return {self._variable.name: x.reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        count = _counts(n)
        noise = np.sqrt(self._sigma2 / np.maximum(count, 1)) * rng.standard_normal(mu.shape)
        return np.where(count > 0, mu + noise, 0.0)


@final
class GaussianDiagonal(ExponentialFamily):
    """Independent normal values of unknown mean m and variance v: φ(x) = (x, x²), μ = (m, m² + v).

    θ = (m/v, −1/2v), A(θ) = Σ m²/2v + ½ log v, h = (2π)^(−k/2) for k values.
    """

    def __init__(self, shape: tuple[int, ...] = (), *, variable: str | Variable = "x") -> None:
        self.name = "gaussian-diagonal"
        self._variable = as_variable(variable, "real", shape)
        self.space = Space((self._variable,))
        self._k = int(np.prod(self._variable.shape, dtype=int))
        self.size = 2 * self._k
        self.reference = np.repeat([0.0, 1.0], self._k)

    def _moments(self, mu: Array) -> tuple[Array, Array]:
        m = mu[..., : self._k]
        return m, mu[..., self._k :] - m**2

    def statistics(self, batch: Batch) -> Array:
        x = _flat(batch[self._variable.name])
        return np.concatenate([x, x**2], axis=-1)

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = self.statistics(batch).mean(axis=0)
        return mean

    def natural(self, mu: Array) -> Array:
        m, v = self._moments(mu)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([m / v, -0.5 / v], axis=-1)

    def mean(self, theta: Array) -> Array:
        v = -0.5 / theta[..., self._k :]
        m = theta[..., : self._k] * v
        return np.concatenate([m, m**2 + v], axis=-1)

    def log_partition(self, theta: Array) -> Array:
        v = -0.5 / theta[..., self._k :]
        value: Array = (0.5 * theta[..., : self._k] ** 2 * v + 0.5 * np.log(v)).sum(axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        return np.full(len(batch), -0.5 * self._k * np.log(2 * np.pi))

    def kl(self, mu: Array, other: Array) -> Array:
        inside = self.interior(other)
        m, v = self._moments(mu)
        p, w = self._moments(np.where(inside[..., None], other, self.reference))
        v = np.maximum(v, 0.0)
        with np.errstate(divide="ignore"):
            value = 0.5 * ((v + (m - p) ** 2) / w - 1.0 - np.log(v / w)).sum(axis=-1)
        return np.where(inside, value, np.inf)

    def variance(self, mu: Array) -> Array:
        m, v = self._moments(mu)
        return np.concatenate([v, 2 * v**2 + 4 * m**2 * v], axis=-1)

    def covariance(self, mu: Array) -> Array:
        m, v = self._moments(mu)
        eye = np.eye(self._k)
        first, cross, second = (
            v[..., None] * eye,
            (2 * m * v)[..., None] * eye,
            (2 * v**2 + 4 * m**2 * v)[..., None] * eye,
        )
        return np.block([[first, cross], [cross, second]])

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        _, v = self._moments(mu)
        return np.asarray((v > 0).all(axis=-1) & np.isfinite(mu).all(axis=-1))

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        m, v = self._moments(mu)
        x = m + np.sqrt(np.maximum(v, 0.0)) * rng.standard_normal(m.shape)
        return {self._variable.name: x.reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        m, v = self._moments(mu)
        v = np.maximum(v, 0.0)
        count = np.maximum(_counts(n), 1)
        first = m + np.sqrt(v / count) * rng.standard_normal(m.shape)
        scatter = v * 2.0 * rng.standard_gamma(np.broadcast_to((count - 1) / 2, m.shape)) / count
        return np.where(_counts(n) > 0, np.concatenate([first, first**2 + scatter], axis=-1), 0.0)


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


@final
class Exponential(ExponentialFamily):
    """Independent exponential values, x ≥ 0: φ(x) = x, μ = E x, θ = −1/μ, A(θ) = −Σ log(−θ)."""

    def __init__(self, shape: tuple[int, ...] = (), *, variable: str | Variable = "x") -> None:
        self.name = "exponential"
        self._variable = as_variable(variable, "real", shape, low=0.0)
        if self._variable.low is None or self._variable.low < 0:
            raise SpaceError(f"an exponential family needs a variable with low ≥ 0, got {self._variable}")
        self.space = Space((self._variable,))
        self.size = int(np.prod(self._variable.shape, dtype=int))
        self.reference = np.ones(self.size)

    def statistics(self, batch: Batch) -> Array:
        return _flat(batch[self._variable.name])

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = _flat(batch[self._variable.name]).mean(axis=0)
        return mean

    def natural(self, mu: Array) -> Array:
        with np.errstate(divide="ignore"):
            return -1.0 / mu

    def mean(self, theta: Array) -> Array:
        return -1.0 / theta

    def log_partition(self, theta: Array) -> Array:
        value: Array = -np.log(-theta).sum(axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        return np.zeros(len(batch))

    def kl(self, mu: Array, other: Array) -> Array:
        inside = self.interior(other)
        ratio = mu / np.where(inside[..., None], other, self.reference)
        with np.errstate(divide="ignore"):
            value = (ratio - 1.0 - np.log(ratio)).sum(axis=-1)
        return np.where(inside, value, np.inf)

    def variance(self, mu: Array) -> Array:
        return mu**2

    def covariance(self, mu: Array) -> Array:
        return (mu**2)[..., None] * np.eye(self.size)

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray(((mu > 0) & np.isfinite(mu)).all(axis=-1))

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        x = mu * rng.standard_exponential(mu.shape)
        return {self._variable.name: x.reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        count = _counts(n)
        mean: Array = mu * rng.standard_gamma(np.broadcast_to(count, mu.shape)) / np.maximum(count, 1)
        return mean


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
