"""Gaussians of classes with any values missing: mean parameters, conditionals, densities, expected statistics."""

__all__ = ["ClassGaussians", "Moments"]

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from ..games import BoundaryError

Array: TypeAlias = NDArray[np.float64]

_HALF_LOG_TAU = 0.5 * np.log(2 * np.pi)
_SINGULAR = 1e-12
"""Smallest eigenvalue of a correlation matrix down to which conditionals can be computed in float64."""


@final
@dataclass(frozen=True, eq=False)
class Moments:
    """Mean parameters: expectations of the sufficient statistics 1{c = k}, 1{c = k} x and x xᵀ (or 1{c = k} x xᵀ).

    Arguments:
        shares: E 1{c = k}, `[C]`.
        first: E 1{c = k} x, `[C, d]`.
        second: E x xᵀ, `[1, d, d]`, for one covariance of all classes; E 1{c = k} x xᵀ, `[C, d, d]`, for one each.
    """

    shares: Array
    first: Array
    second: Array

    @staticmethod
    def reference(classes: int, dimension: int, *, shared: bool) -> "Moments":
        """Those of the member that knows nothing: uniform classes, and x ~ N(0, I) in all of them."""
        groups = 1 if shared else classes
        second = np.broadcast_to(np.eye(dimension) / groups, (groups, dimension, dimension)).copy()
        return Moments(np.full(classes, 1 / classes), np.zeros((classes, dimension)), second)

    @staticmethod
    def mixed(parts: "list[tuple[float, Moments]]") -> "Moments":
        """Σ weight · moments."""
        return Moments(
            sum((w * m.shares for w, m in parts), np.zeros(())),
            sum((w * m.first for w, m in parts), np.zeros(())),
            sum((w * m.second for w, m in parts), np.zeros(())),
        )


@final
@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """p(c) N(x; m_c, Σ) with one covariance of all classes, or p(c) N(x; m_c, Σ_c).

    Arguments:
        shares: p(c), `[C]`, all above 0.
        means: m_c, `[C, d]`.
        covariances: `[1, d, d]` or `[C, d, d]`, positive definite.
    """

    shares: Array
    means: Array
    covariances: Array

    @staticmethod
    def of(moments: Moments) -> "ClassGaussians":
        """The member with these mean parameters: Σ = E xxᵀ − Σ_c p(c) m_c m_cᵀ, or Σ_c = E[xxᵀ | c] − m_c m_cᵀ.

        Raises:
            BoundaryError: a class that never occurs, or a covariance that is not positive definite.
        """
        shares = moments.shares
        absent = np.flatnonzero(~(shares > 0))
        if len(absent):
            raise BoundaryError(
                f"class {absent[0]} never occurs in what was learned, so that its Gaussian is not known; "
                "give `smoothing` a pseudo-count above 0"
            )
        means = moments.first / shares[:, None]
        if len(moments.second) == 1:
            between = np.einsum("c,ca,cb->ab", shares, means, means)
            covariances = moments.second - between
        else:
            covariances = moments.second / shares[:, None, None] - means[:, :, None] * means[:, None, :]
        covariances = (covariances + np.swapaxes(covariances, 1, 2)) / 2
        if not _definite(covariances):
            raise BoundaryError(
                f"a covariance of {means.shape[1]} values is singular: too few rows, or values that depend on each "
                "other; give `smoothing` a pseudo-count above 0, or take one covariance for all classes"
            )
        return ClassGaussians(shares, means, covariances)

    @cached_property
    def moments(self) -> Moments:
        """The mean parameters of this member."""
        first = self.shares[:, None] * self.means
        outer = np.einsum("c,ca,cb->cab", self.shares, self.means, self.means)
        if len(self.covariances) == 1:
            return Moments(self.shares, first, self.covariances + outer.sum(axis=0))
        return Moments(self.shares, first, self.shares[:, None, None] * self.covariances + outer)

    def log_joint(self, x: Array, seen: NDArray[np.int64]) -> Array:
        """log p(c) + log N(x; m_c, Σ_c) over the values at `seen`, of rows x `[n, |seen|]`: `[n, C]`."""
        found = np.empty((len(x), len(self.shares)))
        for c, share in enumerate(self.shares):
            root = np.linalg.cholesky(self._covariance(c)[np.ix_(seen, seen)])
            scaled = np.linalg.solve(root, (x - self.means[c, seen]).T)
            log_volume = np.log(np.diagonal(root)).sum() + len(seen) * _HALF_LOG_TAU
            found[:, c] = np.log(share) - 0.5 * (scaled**2).sum(axis=0) - log_volume
        return found

    def conditional(self, c: int, x: Array, seen: NDArray[np.int64], rest: NDArray[np.int64]) -> tuple[Array, Array]:
        """p(x_rest | c, x_seen): its means, one a row, `[n, |rest|]`, and its covariance `[|rest|, |rest|]`.

        With Σ_ss = L Lᵀ and W = L⁻¹ Σ_sr these are m_r + Wᵀ L⁻¹ (x_s − m_s) and Σ_rr − Wᵀ W.
        """
        sigma = self._covariance(c)
        root = np.linalg.cholesky(sigma[np.ix_(seen, seen)])
        both = np.concatenate([sigma[np.ix_(seen, rest)], (x - self.means[c, seen]).T], axis=1)
        solved = np.linalg.solve(root, both)
        gain, scaled = solved[:, : len(rest)], solved[:, len(rest) :]
        return self.means[c, rest] + scaled.T @ gain, sigma[np.ix_(rest, rest)] - gain.T @ gain

    def expected(self, x: Array, seen: NDArray[np.int64], labels: NDArray[np.int32] | None) -> Moments:
        """Mean over rows of E[statistics | what the row holds] under this member: the E step of EM.

        Arguments:
            x: `[n, |seen|]`, n ≥ 1, the values that the rows hold.
            seen: their positions among the d values.
            labels: `[n]`, the class of each row; None where the rows lack it.
        """
        n, (classes, dimension) = len(x), self.means.shape
        rest = np.setdiff1d(np.arange(dimension), seen)
        shared = len(self.covariances) == 1
        belief = self.posterior(x, seen) if labels is None else np.eye(classes)[labels]
        first = np.zeros((classes, dimension))
        second = np.zeros((classes, dimension, dimension))
        whole = np.empty((n, dimension))
        whole[:, seen] = x
        for c in range(classes):
            weight = belief[:, c] / n
            if len(rest):
                whole[:, rest], spread = self.conditional(c, x, seen, rest)
                second[c][np.ix_(rest, rest)] = weight.sum() * spread
            first[c] = weight @ whole
            second[c] += (whole * weight[:, None]).T @ whole
        return Moments(belief.mean(axis=0), first, second.sum(axis=0, keepdims=True) if shared else second)

    def posterior(self, x: Array, seen: NDArray[np.int64]) -> Array:
        """p(c | x_seen) of each row: `[n, C]`."""
        log_joint = self.log_joint(x, seen)
        found: Array = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
        return found

    def draw(
        self, x: Array, seen: NDArray[np.int64], labels: NDArray[np.int32] | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Array]:
        """Classes `[n]` and values `[n, d]` of the rows: what is given is kept, the rest drawn from the conditional."""
        n, (classes, dimension) = len(x), self.means.shape
        chosen: NDArray[np.int64]
        if labels is None:
            ends = self.posterior(x, seen).cumsum(axis=1)[:, :-1]
            chosen = (rng.random((n, 1)) > ends).sum(axis=1)
        else:
            chosen = labels.astype(np.int64)
        rest = np.setdiff1d(np.arange(dimension), seen)
        noise = rng.standard_normal((n, len(rest)))
        whole = np.empty((n, dimension))
        whole[:, seen] = x
        for c in range(classes):
            rows = np.flatnonzero(chosen == c)
            if len(rest) and len(rows):
                centre, spread = self.conditional(c, x[rows], seen, rest)
                whole[np.ix_(rows, rest)] = centre + noise[rows] @ np.linalg.cholesky(spread).T
        return chosen, whole

    def _covariance(self, c: int) -> Array:
        found: Array = self.covariances[0 if len(self.covariances) == 1 else c]
        return found


def _definite(covariances: Array) -> bool:
    """Whether all of `[K, d, d]` are positive definite, whatever the units of the values."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    if not (np.isfinite(covariances).all() and (variances > 0).all()):
        return False
    scale = np.sqrt(variances)
    correlations = covariances / (scale[:, :, None] * scale[:, None, :])
    return bool((np.linalg.eigvalsh(correlations)[:, :1] > _SINGULAR).all())
