"""Families made of families: products of independent blocks, and class-conditional families over (label, x)."""

__all__ = ["ClassConditional", "Product"]

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .discrete import Categorical, draw_categories
from .family import Array, ExponentialFamily, xlogy
from .space import Batch, Space, Variable


@final
class Product(ExponentialFamily):
    """Independent blocks: φ, μ and θ are the concatenations of the blocks', A is their sum.

    >>> from nashgossip.games import Bernoulli, Poisson
    >>> Product([Bernoulli((2,), variable="x"), Poisson(variable="n")]).size
    3
    """

    def __init__(self, blocks: Sequence[ExponentialFamily]) -> None:
        self.name = "product"
        self.blocks = tuple(blocks)
        self.parameters = tuple((block.name, block.parameters) for block in self.blocks)
        self.space = Space(tuple(v for block in self.blocks for v in block.space))
        self.size = sum(block.size for block in self.blocks)
        self.reference = np.concatenate([block.reference for block in self.blocks])
        ends = np.cumsum([block.size for block in self.blocks])
        self._slices = [slice(int(end) - block.size, int(end)) for end, block in zip(ends, self.blocks, strict=True)]

    def _parts(self, mu: Array) -> list[tuple[ExponentialFamily, Array]]:
        return [(block, mu[..., part]) for block, part in zip(self.blocks, self._slices, strict=True)]

    def statistics(self, batch: Batch) -> Array:
        return np.concatenate([block.statistics(batch) for block in self.blocks], axis=-1)

    def mean_statistics(self, batch: Batch) -> Array:
        return np.concatenate([block.mean_statistics(batch) for block in self.blocks])

    def natural(self, mu: Array) -> Array:
        return np.concatenate([block.natural(part) for block, part in self._parts(mu)], axis=-1)

    def mean(self, theta: Array) -> Array:
        return np.concatenate([block.mean(part) for block, part in self._parts(theta)], axis=-1)

    def log_partition(self, theta: Array) -> Array:
        return np.asarray(np.stack([block.log_partition(part) for block, part in self._parts(theta)]).sum(axis=0))

    def log_base(self, batch: Batch) -> Array:
        return np.asarray(np.stack([block.log_base(batch) for block in self.blocks]).sum(axis=0))

    def kl(self, mu: Array, other: Array) -> Array:
        pairs = zip(self._parts(mu), self._parts(other), strict=True)
        return np.asarray(np.stack([block.kl(part, theirs) for (block, part), (_, theirs) in pairs]).sum(axis=0))

    def variance(self, mu: Array) -> Array:
        return np.concatenate([block.variance(part) for block, part in self._parts(mu)], axis=-1)

    def covariance(self, mu: Array) -> Array:
        full = np.zeros((*mu.shape, self.size))
        for (block, part), place in zip(self._parts(mu), self._slices, strict=True):
            full[..., place, place] = block.covariance(part)
        return full

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        return np.asarray(np.stack([block.interior(part) for block, part in self._parts(mu)]).all(axis=0))

    def bound(self, point: Array) -> float:
        return float(np.linalg.norm([block.bound(part) for block, part in self._parts(point)]))

    def project(self, mu: Array) -> Array:
        return np.concatenate([block.project(part) for block, part in self._parts(mu)], axis=-1)

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        rows: dict[str, NDArray[Any]] = {}
        for block, part in self._parts(mu):
            rows |= block.sample_rows(part, rng)
        return rows

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        return np.concatenate([block.sample_mean(part, n, rng) for block, part in self._parts(mu)], axis=-1)


@final
class ClassConditional(ExponentialFamily):
    """p(c) p(x | c) with a member of one family for each of k classes; an exponential family itself.

    φ(c, x) = (1[c = j], 1[c = j] φ_f(x)) for j = 1…k, μ = (π, π_j m_j), with π the class shares and m_j the mean
    parameters of class j. θ = (log π_j − A_f(θ_j), θ_j), A(θ) = log Σ_j exp(θ_0j + A_f(θ_j)).

    >>> from nashgossip.games import Bernoulli
    >>> family = ClassConditional(10, Bernoulli((8, 8)))
    >>> family.size
    650
    """

    def __init__(self, classes: int, family: ExponentialFamily, *, label: str | Variable = "label") -> None:
        self.name = f"class-conditional-{family.name}"
        self.family = family
        self.parameters = (family.name, family.parameters)
        self._label = Categorical(classes, variable=label)
        self.label = self._label.space.names[0]
        self.space = Space((*self._label.space, *family.space))
        self._k = classes
        self.size = classes * (1 + family.size)
        self.reference = self._join(self._label.reference, np.tile(family.reference, (classes, 1)))
        self._classes = np.arange(classes, dtype=np.int32)

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return self._k

    def class_shares(self, mu: Array) -> Array:
        """π, the share of each class: `[..., k]`."""
        return mu[..., : self._k]

    def _join(self, shares: Array, means: Array) -> Array:
        flat = (shares[..., None] * means).reshape(*shares.shape[:-1], -1)
        return np.concatenate([shares, flat], axis=-1)

    def _joint(self, mu: Array) -> tuple[Array, Array]:
        return mu[..., : self._k], mu[..., self._k :].reshape(*mu.shape[:-1], self._k, self.family.size)

    def _split(self, mu: Array) -> tuple[Array, Array]:
        """π `[..., k]` and m `[..., k, size of x]`; the reference for classes without mass."""
        shares, joint = self._joint(mu)
        some = shares[..., None] > 0
        return shares, np.where(some, joint / np.where(some, shares[..., None], 1.0), self.family.reference)

    def _indicators(self, batch: Batch) -> Array:
        return np.asarray(batch[self.label][:, None] == self._classes, np.float64)

    def statistics(self, batch: Batch) -> Array:
        shares = self._indicators(batch)
        joint = shares[:, :, None] * self.family.statistics(batch)[:, None, :]
        return np.concatenate([shares, joint.reshape(len(batch), -1)], axis=-1)

    def mean_statistics(self, batch: Batch) -> Array:
        indicators = self._indicators(batch)
        mean = np.empty(self.size)
        mean[: self._k] = indicators.sum(axis=0)
        mean[self._k :] = np.einsum("nk,nd->kd", indicators, self.family.statistics(batch)).reshape(-1)
        mean /= len(batch)
        return mean

    def natural(self, mu: Array) -> Array:
        shares, means = self._split(mu)
        theta = self.family.natural(means)
        with np.errstate(divide="ignore"):
            first = np.log(shares) - self.family.log_partition(theta)
        return np.concatenate([first, theta.reshape(*first.shape[:-1], -1)], axis=-1)

    def mean(self, theta: Array) -> Array:
        first, natural = self._joint(theta)
        shares = self._label.mean(first + self.family.log_partition(natural))
        return self._join(shares, self.family.mean(natural))

    def log_partition(self, theta: Array) -> Array:
        first, natural = self._joint(theta)
        return np.asarray(self._label.log_partition(first + self.family.log_partition(natural)))

    def log_base(self, batch: Batch) -> Array:
        return self.family.log_base(batch)

    def kl(self, mu: Array, other: Array) -> Array:
        shares, means = self._split(mu)
        others, theirs = self._split(other)
        within = np.where(shares > 0, self.family.kl(means, theirs), 0.0)
        with np.errstate(invalid="ignore"):
            value: Array = (xlogy(shares, shares) - xlogy(shares, others) + shares * within).sum(axis=-1)
        return value

    def variance(self, mu: Array) -> Array:
        shares, means = self._split(mu)
        second = shares[..., None] * (self.family.variance(means) + means**2) - (shares[..., None] * means) ** 2
        return np.concatenate([shares * (1 - shares), second.reshape(*shares.shape[:-1], -1)], axis=-1)

    def covariance(self, mu: Array) -> Array:
        shares, means = self._split(mu)
        d = self.family.size
        second = np.zeros((*mu.shape, self.size))
        within = self.family.covariance(means) + means[..., :, None] * means[..., None, :]
        for c in range(self._k):
            block = slice(self._k + c * d, self._k + (c + 1) * d)
            second[..., c, c] = shares[..., c]
            second[..., c, block] = shares[..., c, None] * means[..., c, :]
            second[..., block, c] = second[..., c, block]
            second[..., block, block] = shares[..., c, None, None] * within[..., c, :, :]
        return second - mu[..., :, None] * mu[..., None, :]

    def interior(self, mu: Array) -> NDArray[np.bool_]:
        shares, means = self._split(mu)
        return self._label.interior(shares) & self.family.interior(means).all(axis=-1)

    def bound(self, point: Array) -> float:
        """Of class c: √(‖e_c − π‖² + B_f(J_c)² + Σ_{j≠c} ‖J_j‖²) at `point` (π, J), the largest over c."""
        shares, joint = self._joint(point)
        label = ((np.eye(self._k) - shares) ** 2).sum(axis=1)
        norms = (joint**2).sum(axis=1)
        own = np.array([self.family.bound(j) ** 2 for j in joint])
        return float(np.sqrt((label + own + norms.sum() - norms).max()))

    def project(self, mu: Array) -> Array:
        """The nearest class shares, and for them the class means projected one by one."""
        shares = self._label.project(mu[..., : self._k])
        _, means = self._split(np.concatenate([shares, mu[..., self._k :]], axis=-1))
        return self._join(shares, self.family.project(means))

    def sample_rows(self, mu: Array, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        rows = np.arange(len(mu))
        same = len(mu) > 1 and mu.strides[0] == 0
        shares, means = self._split(mu[:1] if same else mu)
        labels = draw_categories(np.broadcast_to(shares, (len(mu), self._k)), rng)
        chosen = means[0 if same else rows, labels]
        return {self.label: labels, **self.family.sample_rows(chosen, rng)}

    def sample_mean(self, mu: Array, n: int | NDArray[np.int64], rng: np.random.Generator) -> Array:
        shares, means = self._split(mu)
        total = np.asarray(n, np.int64)
        drawn = self._label.sample_mean(shares, total, rng)
        counts = np.rint(drawn * total[..., None]).astype(np.int64)
        return self._join(drawn, self.family.sample_mean(means, counts, rng))
