"""The speed of a run: the slope of its log-error along the predicted mode, with a standard error where one is known."""

__all__ = ["Slope", "measured_slope"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..games import Mode
from ..games.prediction import ABOVE_NOISE
from ..games.schedule import Schedule

_LEAST_POINTS = 3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Slope:
    """A measured slope of the log-error per unit of time.

    Arguments:
        value: the slope.
        error: its standard error, or a bound above it; None where chance decides who moves when, or what arrives: that
            multiplies the error of a run by a random factor, whose spread over runs one run does not show.
        points: records that it was fitted to.
    """

    value: float
    error: float | None
    points: int


def measured_slope(
    times: Sequence[float],
    amplitudes: Sequence[float | None],
    mode: Mode,
    schedule: Schedule,
    *,
    before: float = 0.0,
) -> Slope | None:
    """Least squares over the records from `mode.after` on and before the amplitude meets the noise.

    Noise of size σ moves the logarithm of an amplitude a by σ/a, so that records are weighted by a.

    In rounds where everything arrives, noise along a left eigenvector with factor λ = e^rate is an autoregression that
    starts at 0: Cov(n_s, n_t) = σ² λ^|s−t| (1 − λ^(2 min(s, t))). The standard error follows from it to first order,
    with the σ of all statistics together, which is an upper bound; it is stretched where the residuals are larger than
    that (Birge, *The calculation of errors by the method of least squares*, 1932).

    Arguments:
        times: of the records, increasing.
        amplitudes: of the error along the mode, None where there is none.
        mode: the predicted mode.
        schedule: the schedule that was played.
        before: for how long noise had gathered when times began at 0.

    Returns:
        None with fewer than three records.
    """
    kept_times, kept = [], []
    for time, amplitude in zip(times, amplitudes, strict=True):
        if time < mode.after:
            continue
        if amplitude is None or not amplitude > max(ABOVE_NOISE * (mode.noise or 0.0), np.finfo(float).tiny):
            break
        kept_times.append(time)
        kept.append(amplitude)
    if len(kept) < _LEAST_POINTS or kept_times[-1] == kept_times[0] or not np.isfinite(kept).all():
        return None
    t, a = np.array(kept_times, np.float64), np.array(kept, np.float64)
    value = float(np.polyfit(t, np.log(a), 1, w=a / a.max())[0])
    return Slope(value, _error(t, a, value, mode, before) if _certain(schedule) else None, len(kept))


def _certain(schedule: Schedule) -> bool:
    """Whether nothing but the sampled rows is left to chance, and everything arrives by the next round."""
    delivery: Any = schedule.delivery
    chances = delivery.values() if isinstance(delivery, Mapping) else [delivery]
    return schedule.known and schedule.clock == "rounds" and schedule.instant and all(p == 1 for p in chances)


def _error(t: Array, a: Array, value: float, mode: Mode, before: float) -> float | None:
    if mode.noise is None:
        return None
    factor = np.exp(mode.rate)
    earlier = before + np.minimum(t[:, None], t)
    covariance = mode.noise**2 * factor ** np.abs(t[:, None] - t) * (1 - factor ** (2 * earlier)) / np.outer(a, a)
    w = (a / a.max()) ** 2
    design = np.stack([np.ones_like(t), t], axis=1)
    normal = np.linalg.inv(design.T @ (w[:, None] * design))
    functional = normal @ (w[:, None] * design).T  # rows give level and slope
    variance = float(functional[1] @ covariance @ functional[1])
    rest = np.log(a) - design @ (functional @ np.log(a))
    spread = functional @ covariance @ functional.T
    expected = float(w @ np.diag(covariance) - np.trace(np.linalg.inv(normal) @ spread))
    found = float(w @ rest**2)
    stretch = max(1.0, found / expected) if expected > 0 else 1.0
    return float(np.sqrt(max(variance, 0.0) * stretch))
