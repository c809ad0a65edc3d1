"""The private release of an exponential family: mean statistics of clipped rows, with noise, computed once and for all.

Source: Balle & Wang, *Improving the Gaussian mechanism for differential privacy*, 2018.
"""

__all__ = ["clipped_mean", "noise_multiplier", "release_noise", "released_mean", "row_bound"]

from functools import lru_cache
from hashlib import blake2b

import numpy as np

from .family import Array, ExponentialFamily
from .privacy import Privacy, PrivacyError
from .space import Batch

_BLOCK = 1024


def released_mean(family: ExponentialFamily, batch: Batch, privacy: Privacy) -> Array:
    """What a player tells of its private rows: project(r + mean_k clip_C(φ(x_k) − r) + N(0, (σC/n)² I)): `[size]`.

    r is the reference of the family, C = `row_bound` and σ = `noise_multiplier`. Where a row counts as one that teaches
    nothing, φ = r, in its place, the mean moves by at most C/n, so that the release, and whatever is computed of it, is
    (ε, δ)-differentially private. The same arguments give the same release wherever it is computed.

    Arguments:
        family: the family.
        batch: the private rows, at least 1.
        privacy: the budget. Other budgets, and other rows, with the same seed have other noise: two releases with
            multiples of the same noise would together give the mean, or the row that they differ by, away. Who knows
            the seed and guesses the rows can check the guess: it must be secret.

    Raises:
        PrivacyError: see `row_bound` and `noise_multiplier`.

    >>> from nashgossip.games import Bernoulli
    >>> family = Bernoulli((2,))
    >>> rows = family.space.batch({"x": np.ones((10_000, 2), np.uint8)})
    >>> released_mean(family, rows, Privacy(epsilon=1.0)).round(2).tolist()
    [1.0, 1.0]
    """
    clip = row_bound(family, privacy)
    scale = release_noise(family, len(batch), privacy)
    words = np.array([privacy.epsilon, privacy.delta, clip], np.float64).view(np.uint64).tolist()
    rng = np.random.default_rng(np.random.SeedSequence([privacy.seed, *words, len(batch), *_digest(batch)]))
    noisy = clipped_mean(family, batch, clip) + scale * rng.standard_normal(family.size)
    return family.project(noisy)


def _digest(batch: Batch) -> list[int]:
    """Four words of 64 bits that tell these rows from all others, as the noise of other rows must be another."""
    found = blake2b(digest_size=32)
    for name in sorted(batch.arrays):
        values = np.ascontiguousarray(batch[name])
        found.update(repr((name, values.dtype.str, values.shape)).encode())
        found.update(values.data.cast("B") if values.size else b"")
    return [int(word) for word in np.frombuffer(found.digest(), "<u8")]


def row_bound(family: ExponentialFamily, privacy: Privacy) -> float:
    """C, what one row can do to n times the mean: `privacy.clip`, or the family's own bound where that is less.

    Raises:
        PrivacyError: the statistics of the family have no bound, and there is no `clip`.
    """
    own = family.bound(family.reference)
    clip = own if privacy.clip is None else min(own, privacy.clip)
    if not np.isfinite(clip):
        raise PrivacyError(
            f"the statistics of the {family.name} family have no bound, so that one row could do anything, expected a "
            "bound; set privacy.clip to a norm that most rows keep, or give real variables low and high"
        )
    return clip


def release_noise(family: ExponentialFamily, rows: int, privacy: Privacy) -> float:
    """σC/n, the standard deviation of the noise of each statistic.

    Raises:
        PrivacyError: see `row_bound` and `noise_multiplier`.
    """
    return noise_multiplier(privacy.epsilon, privacy.delta) * row_bound(family, privacy) / rows


@lru_cache(maxsize=1024)
def noise_multiplier(epsilon: float, delta: float) -> float:
    """σ, the least standard deviation of Gaussian noise that makes a sum of sensitivity 1 (ε, δ)-private.

    It solves Φ(1/2σ − εσ) − e^ε Φ(−1/2σ − εσ) = δ.

    Raises:
        PrivacyError: `dp-accounting` is not installed.

    Source: Balle & Wang, *Improving the Gaussian mechanism for differential privacy*, 2018, theorem 8.
    """
    try:
        from dp_accounting import get_sigma_gaussian  # a second of imports, for private players alone
    except ModuleNotFoundError as error:
        raise PrivacyError.without_extra("privacy", error) from None
    return float(get_sigma_gaussian(epsilon, delta))


def clipped_mean(family: ExponentialFamily, batch: Batch, clip: float) -> Array:
    """r + mean_k clip_C(φ(x_k) − r): rows further from the reference r than C = `clip` are drawn to that distance.

    Rows whose statistics are not finite, such as x² of x = 1e200, count as rows that teach nothing.
    """
    if clip >= family.bound(family.reference):
        return family.mean_statistics(batch)
    total = np.zeros(family.size)
    for first in range(0, len(batch), _BLOCK):
        with np.errstate(over="ignore", invalid="ignore"):  # x² of a large x is infinite, and no number times 0
            away = family.statistics(batch.select(slice(first, first + _BLOCK))) - family.reference
        away[~np.isfinite(away).all(axis=1)] = 0.0
        peak = np.maximum(1.0, np.abs(away).max(axis=1, keepdims=True))
        away /= peak  # so that no norm is infinite
        norms = np.linalg.norm(away, axis=1)
        total += away.T @ (clip / np.maximum(norms, clip / peak[:, 0]))
    mean: Array = family.reference + total / len(batch)
    return mean
