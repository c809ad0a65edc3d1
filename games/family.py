"""What an exponential family is: statistics, mean and natural parameters, and the laws that the game needs."""

__all__ = ["BoundaryError", "ExponentialFamily", "as_variable", "box_bound", "xlogy"]

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .space import Batch, Kind, Space, SpaceError, Variable

Array: TypeAlias = NDArray[np.float64]


class BoundaryError(ValueError):
    """Mean parameters on the boundary of their set, where natural parameters are infinite.

    Not `BatchError`: each row is fine, but together they leave no randomness (a frequency of 0 or 1, a
    variance of 0). The remedy is conjugate smoothing.
    """


class ExponentialFamily(ABC):
    """p_θ(x) = h(x) exp(⟨θ, φ(x)⟩ − A(θ)) over the rows of a space, parametrised by μ = ∇A(θ) = E φ(x).

    Every method takes mean parameters with any leading axes, `mu`: `[..., size]`, and works along the last one.
    Rao-Blackwell in one line: a batch enters the game only through `mean_statistics`.

    Source: Wainwright & Jordan, *Graphical Models, Exponential Families, and Variational Inference*, 2008, ch. 3.
    """

    name: str
    """The name under which experiment files know the family."""
    space: Space
    """The variables of a row."""
    size: int
    """Number of statistics, d."""
    parameters: tuple[Any, ...] = ()
    """What besides name and space tells one family from another, such as a known variance."""
    reference: Array
    """`[size]`, mean parameters of the reference member: the prior of smoothing, and a start that knows nothing."""

    @abstractmethod
    def statistics(self, batch: Batch) -> Array:
        """φ of each row: `[n, size]`."""

    @abstractmethod
    def mean_statistics(self, batch: Batch) -> Array:
        """The mean of φ over the rows of a batch, n ≥ 1: `[size]`."""

    @abstractmethod
    def natural(self, mu: Array) -> Array:
        """θ(μ) = ∇A*(μ): `[..., size]`. Infinite on the boundary; see `require_interior`."""

    @abstractmethod
    def mean(self, theta: Array) -> Array:
        """μ(θ) = ∇A(θ): `[..., size]`."""

    @abstractmethod
    def log_partition(self, theta: Array) -> Array:
        """A(θ), the logarithm of ∫ h(x) exp⟨θ, φ(x)⟩: `[...]`."""

    @abstractmethod
    def log_base(self, batch: Batch) -> Array:
        """log h of each row: `[n]`."""

    @abstractmethod
    def kl(self, mu: Array, other: Array) -> Array:
        """KL(p_μ ‖ p_other) = A*(μ) − A*(other) − ⟨θ(other), μ − other⟩: `[...]`, infinite where it is."""

    @abstractmethod
    def variance(self, mu: Array) -> Array:
        """The variance of each statistic under p_μ, the diagonal of V(μ): `[..., size]`."""

    @abstractmethod
    def covariance(self, mu: Array) -> Array:
        """V(μ) = Cov φ(x) under p_μ: `[..., size, size]`."""

    @abstractmethod
    def interior(self, mu: Array) -> NDArray[np.bool_]:
        """Whether μ lies in the interior of the mean-parameter set: `[...]`."""

    @abstractmethod
    def bound(self, point: Array) -> float:
        """A bound on ‖φ(x) − point‖ over all rows x that the variables allow, `point`: `[size]`.

        The least bound there is, but for `GaussianFull`; infinite where there is none.
        """

    @abstractmethod
    def project(self, mu: Array) -> Array:
        """A point of the closed mean-parameter set near `mu`, which may lie anywhere: `[..., size]`.

        `mu` itself up to rounding where it is in the set. The result may lie on the boundary, see `smooth`.
        """

    @abstractmethod
    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """One row for each of the n mean parameters, `mu`: `[n, size]`; name → `[n, *shape]`."""

    @abstractmethod
    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        """The mean of φ over n fresh rows, drawn from its exact law without making the rows.

        Arguments:
            mu: `[..., size]`.
            n: rows averaged, one number or `[...]`; where it is 0 the result is 0.
            rng: random stream.

        Returns:
            `[..., size]`.
        """

    def same_as(self, other: "ExponentialFamily") -> bool:
        """Whether both are the same family over the same variables."""
        mine, theirs = ((f.name, f.space, f.parameters) for f in (self, other))
        return mine == theirs

    def sample(self, mu: Array, n: int, rng: np.random.Generator) -> Batch:
        """n independent rows of p_μ, `mu`: `[size]`."""
        return self.space.batch(self.sample_rows(np.broadcast_to(mu, (n, self.size)), rng))

    def log_density(self, batch: Batch, mu: Array) -> Array:
        """log p_μ of each row: `[n]`.

        Raises:
            BoundaryError: μ has no finite natural parameters.
        """
        theta = self.natural(self.require_interior(mu))
        return self.statistics(batch) @ theta - self.log_partition(theta) + self.log_base(batch)

    def conjugate(self, mu: Array) -> Array:
        """A*(μ) = ⟨θ, μ⟩ − A(θ), the negative entropy relative to h: `[...]`."""
        theta = self.natural(mu)
        value: Array = np.einsum("...d,...d->...", theta, mu) - self.log_partition(theta)
        return value

    def smooth(self, mu: Array, rows: int, pseudo_count: float) -> Array:
        """Conjugate smoothing, (rows·μ + λ·reference) / (rows + λ) with λ = `pseudo_count`: `[..., size]`.

        The same as one more anchored player of weight λ/(rows + λ) inside α_ii.
        """
        smoothed: Array = (rows * mu + pseudo_count * self.reference) / (rows + pseudo_count)
        return smoothed

    def require_interior(self, mu: Array) -> Array:
        """`mu` itself, if it is in the interior of the mean-parameter set.

        Raises:
            BoundaryError: it is not.
        """
        if not np.all(self.interior(mu)):
            raise BoundaryError(
                f"mean parameters of the {self.name} family lie on the boundary of their set (a frequency of 0 or 1, "
                "or no variance), expected the interior; set smoothing to a pseudo-count above 0"
            )
        return mu


def as_variable(variable: str | Variable, kind: Kind, shape: tuple[int, ...] = (), **details: Any) -> Variable:
    """The variable itself, or one of this name, kind and shape.

    Raises:
        SpaceError: a variable of another kind.
    """
    if isinstance(variable, str):
        return Variable(variable, kind, shape, **details)
    if variable.kind != kind:
        raise SpaceError(f"variable {variable.name!r} is {variable.kind}, expected {kind}")
    return variable


def box_bound(low: Array | float, high: Array | float, point: Array) -> float:
    """The largest distance from `point`, `[d]`, in the box from `low` to `high`; infinite where the box is.

    >>> box_bound(0.0, 1.0, np.array([0.5, 0.5, 0.5, 0.5]))
    1.0
    """
    return float(np.sqrt((np.maximum(np.abs(low - point), np.abs(high - point)) ** 2).sum()))


def xlogy(x: Array, y: Array) -> Array:
    """x·log y with 0·log y = 0, elementwise."""
    from scipy.special import xlogy as exact  # not at import: an actor that computes no divergence does not pay for it

    return np.asarray(exact(x, y), np.float64)
