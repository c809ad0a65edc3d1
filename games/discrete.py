"""Families over binary, categorical and count variables: Bernoulli vector, categorical, Poisson."""

__all__ = ["Bernoulli", "Categorical", "Poisson", "draw_categories", "onto_simplex"]

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .family import Array, ExponentialFamily, as_variable, box_bound, xlogy
from .space import Batch, Space, SpaceError, Variable


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)


def _trials(n: int | NDArray[np.int64], mu: Array) -> tuple[NDArray[np.int64], Array]:
    """Number of rows broadcast over the statistics, and the factor that turns sums into means (0 for no rows)."""
    count = np.broadcast_to(np.asarray(n, np.int64)[..., None], mu.shape)
    return count, 1.0 / np.maximum(count, 1)


@final
class Bernoulli(ExponentialFamily):
    """Independent binary values: φ(x) = x, μ = P(x = 1), θ = log μ/(1−μ), A(θ) = Σ log(1 + e^θ).

    >>> family = Bernoulli((2,))
    >>> family.natural(np.array([0.5, 0.5]))
    array([0., 0.])
    """

    def __init__(self, shape: tuple[int, ...] = (), *, variable: str | Variable = "x") -> None:
        self.name = "bernoulli"
        self._variable = as_variable(variable, "binary", shape)
        self.space = Space((self._variable,))
        self.size = int(np.prod(self._variable.shape, dtype=int))
        self.reference = np.full(self.size, 0.5)

    def statistics(self, batch: Batch) -> Array:
        return _flat(batch[self._variable.name]).astype(np.float64)

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = _flat(batch[self._variable.name]).mean(axis=0, dtype=np.float64)
        return mean

    def natural(self, mu: Array) -> Array:
        with np.errstate(divide="ignore"):
            theta: Array = np.log(mu) - np.log1p(-mu)
        return theta

    def mean(self, theta: Array) -> Array:
        mu: Array = np.exp(-np.logaddexp(0.0, -theta))
        return mu

    def log_partition(self, theta: Array) -> Array:
        value: Array = np.logaddexp(0.0, theta).sum(axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        return np.zeros(len(batch))

    def kl(self, mu: Array, other: Array) -> Array:
        terms = xlogy(mu, mu) - xlogy(mu, other) + xlogy(1 - mu, 1 - mu) - xlogy(1 - mu, 1 - other)
        value: Array = terms.sum(axis=-1)
        return value

    def variance(self, mu: Array) -> Array:
        return mu * (1 - mu)

    def covariance(self, mu: Array) -> Array:
        return self.variance(mu)[..., None] * np.eye(self.size)

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray(((mu > 0) & (mu < 1)).all(axis=-1))

    def bound(self, point: Array) -> float:
        return box_bound(0.0, 1.0, point)

    def project(self, mu: Array) -> Array:
        return np.clip(mu, 0.0, 1.0)

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        x = (rng.random(mu.shape) < mu).view(np.uint8)
        return {self._variable.name: x.reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        count, scale = _trials(n, mu)
        return rng.binomial(count, np.clip(mu, 0.0, 1.0)) * scale


@final
class Categorical(ExponentialFamily):
    """One of k categories: φ(x) the k indicators, μ = P(x = ·), θ = log μ, A(θ) = log Σ e^θ.

    The representation is overcomplete (Σ μ = 1), so that μ is the vector of all k probabilities; θ is the member of its
    class with A(θ) = 0, and V(μ) = diag μ − μμᵀ is singular along the vector of ones.

    >>> Categorical(4).reference
    array([0.25, 0.25, 0.25, 0.25])
    """

    def __init__(self, categories: int, *, variable: str | Variable = "x") -> None:
        self.name = "categorical"
        found = as_variable(variable, "categorical", categories=categories)
        if found.shape or found.categories != categories:
            raise SpaceError(f"a categorical family needs one value of {categories} categories, got {found}")
        self.space = Space((found,))
        self.size = categories
        self.reference = np.full(categories, 1.0 / categories)
        self._variable = found.name

    def statistics(self, batch: Batch) -> Array:
        return np.asarray(batch[self._variable][:, None] == np.arange(self.size), np.float64)

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = np.bincount(batch[self._variable], minlength=self.size) / len(batch)
        return mean

    def natural(self, mu: Array) -> Array:
        with np.errstate(divide="ignore"):
            theta: Array = np.log(mu)
        return theta

    def mean(self, theta: Array) -> Array:
        mu: Array = np.exp(theta - self.log_partition(theta)[..., None])
        return mu

    def log_partition(self, theta: Array) -> Array:
        value: Array = np.logaddexp.reduce(theta, axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        return np.zeros(len(batch))

    def kl(self, mu: Array, other: Array) -> Array:
        value: Array = (xlogy(mu, mu) - xlogy(mu, other)).sum(axis=-1)
        return value

    def variance(self, mu: Array) -> Array:
        return mu * (1 - mu)

    def covariance(self, mu: Array) -> Array:
        return mu[..., None] * np.eye(self.size) - mu[..., :, None] * mu[..., None, :]

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray((mu > 0).all(axis=-1) & (np.abs(mu.sum(axis=-1) - 1) < 1e-6))

    def bound(self, point: Array) -> float:
        return float(np.linalg.norm(np.eye(self.size) - point, axis=1).max())

    def project(self, mu: Array) -> Array:
        return onto_simplex(mu)

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        return {self._variable: draw_categories(mu, rng)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        _, scale = _trials(n, mu)
        total = np.maximum(mu.sum(axis=-1, keepdims=True), np.finfo(float).tiny)
        return rng.multinomial(n, np.clip(mu / total, 0.0, 1.0)) * scale


@final
class Poisson(ExponentialFamily):
    """Independent counts: φ(x) = x, μ = E x, θ = log μ, A(θ) = Σ e^θ, h(x) = 1/Π x!."""

    def __init__(self, shape: tuple[int, ...] = (), *, variable: str | Variable = "x") -> None:
        self.name = "poisson"
        self._variable = as_variable(variable, "count", shape)
        self.space = Space((self._variable,))
        self.size = int(np.prod(self._variable.shape, dtype=int))
        self.reference = np.ones(self.size)

    def statistics(self, batch: Batch) -> Array:
        return _flat(batch[self._variable.name]).astype(np.float64)

    def mean_statistics(self, batch: Batch) -> Array:
        mean: Array = _flat(batch[self._variable.name]).mean(axis=0, dtype=np.float64)
        return mean

    def natural(self, mu: Array) -> Array:
        with np.errstate(divide="ignore"):
            theta: Array = np.log(mu)
        return theta

    def mean(self, theta: Array) -> Array:
        mu: Array = np.exp(theta)
        return mu

    def log_partition(self, theta: Array) -> Array:
        value: Array = np.exp(theta).sum(axis=-1)
        return value

    def log_base(self, batch: Batch) -> Array:
        from scipy.special import (
            gammaln,
        )  # not at import: an actor that computes no density does not pay for it

        value: Array = -gammaln(self.statistics(batch) + 1.0).sum(axis=-1)
        return value

    def kl(self, mu: Array, other: Array) -> Array:
        value: Array = (xlogy(mu, mu) - xlogy(mu, other) - mu + other).sum(axis=-1)
        return value

    def variance(self, mu: Array) -> Array:
        return mu

    def covariance(self, mu: Array) -> Array:
        return mu[..., None] * np.eye(self.size)

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray(((mu > 0) & np.isfinite(mu)).all(axis=-1))

    def bound(self, point: Array) -> float:
        return float("inf")

    def project(self, mu: Array) -> Array:
        return np.maximum(mu, 0.0)

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        return {self._variable.name: rng.poisson(mu).reshape(len(mu), *self._variable.shape)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        count, scale = _trials(n, mu)
        return rng.poisson(count * mu) * scale


def draw_categories(probabilities: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """One category per row of `probabilities`, `[n, k]`, by inversion: `[n]`."""
    cumulative = np.cumsum(probabilities, axis=-1)
    u = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    drawn: NDArray[np.int64] = (u >= cumulative[:, :-1]).sum(axis=-1)
    return drawn


def onto_simplex(values: Array) -> Array:
    """The nearest probabilities, `values`: `[..., k]`.

    Source: Held, Wolfe & Crowder, *Validation of subgradient optimization*, 1974.

    >>> onto_simplex(np.array([1.5, 0.5, -0.2]))
    array([1., 0., 0.])
    """
    ordered = -np.sort(-values, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1.0) / np.arange(1, values.shape[-1] + 1)
    kept = (ordered > excess).sum(axis=-1, keepdims=True)
    nearest: Array = np.maximum(values - np.take_along_axis(excess, kept - 1, axis=-1), 0.0)
    return nearest
