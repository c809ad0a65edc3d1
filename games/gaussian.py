"""Families over real variables, one by one: Gaussian (known variance, unknown diagonal) and exponential."""

__all__ = ["Exponential", "Gaussian", "GaussianDiagonal"]

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .family import Array, ExponentialFamily, as_variable, box_bound
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

    def bound(self, point: Array) -> float:
        return box_bound(*_ends(self._variable), point)

    def project(self, mu: Array) -> Array:
        return mu

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

    def bound(self, point: Array) -> float:
        low, high = _ends(self._variable)
        if not (np.isfinite(low) and np.isfinite(high)):
            return float("inf")
        pairs, counts = np.unique(point.reshape(2, -1), axis=1, return_counts=True)
        return float(np.sqrt(sum(n * _farthest(low, high, p, q) for (p, q), n in zip(pairs.T, counts, strict=True))))

    def project(self, mu: Array) -> Array:
        m = mu[..., : self._k]
        return np.concatenate([m, np.maximum(mu[..., self._k :], m**2)], axis=-1)

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

    def bound(self, point: Array) -> float:
        return box_bound(*_ends(self._variable), point)

    def project(self, mu: Array) -> Array:
        return np.maximum(mu, 0.0)

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        x = mu * rng.standard_exponential(mu.shape)
        return {self._variable.name: x.reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        count = _counts(n)
        mean: Array = mu * rng.standard_gamma(np.broadcast_to(count, mu.shape)) / np.maximum(count, 1)
        return mean


def _ends(variable: Variable) -> tuple[float, float]:
    """The least and the greatest value allowed; infinite where there is none."""
    return (-np.inf if variable.low is None else variable.low), (np.inf if variable.high is None else variable.high)


def _farthest(low: float, high: float, p: float, q: float) -> float:
    """The largest (x − p)² + (x² − q)² of an x from `low` to `high`: at an end, or where the derivative is 0."""
    inner = np.clip(np.roots([4.0, 0.0, 2.0 - 4.0 * q, -2.0 * p]).real, low, high)
    x = np.concatenate([[low, high], inner])
    return float(((x - p) ** 2 + (x**2 - q) ** 2).max())
