"""Prediction beside measurement: whether the rate and the floor of a run agree with theory, or differ beyond noise."""

__all__ = ["Comparison", "compare"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..games import Prediction
from .evidence import Array, critical, fit
from .slopes import measured_slope

_CLOSE = 0.05
"""Deviations below this are left to what the theory neglects: floors are the first order of an expansion in 1/n."""


@dataclass(frozen=True)
class Comparison:
    """One figure of a run beside its prediction.

    Arguments:
        figure: `rate` or `floor`.
        verdict: `agrees`, `disagrees` (beyond noise, and by more than 5 %), or `not compared`, if the figure of a
            single run has no known standard error.
        predicted: what theory said.
        measured: what came.
        error: standard error of `measured`; None where none is known.
        sentence: the same in words, with the numbers.
    """

    figure: Literal["rate", "floor"]
    verdict: Literal["agrees", "disagrees", "not compared"]
    predicted: float
    measured: float
    error: float | None
    sentence: str


def compare(
    times: Array,
    squares: Array | None,
    amplitudes: Sequence[float | None],
    prediction: Prediction,
    *,
    significance: float,
    before: float = 0.0,
) -> tuple[Comparison, ...]:
    """Rate and floor, each where there is a prediction and a measurement.

    A floor is measured only where the squared error over the last half has no slope: before, there is none.

    Arguments:
        times: of the records, `[T]`.
        squares: mean square error of all players, `[T]`; None where it is not known.
        amplitudes: of the error along the predicted mode, T of them.
        prediction: what theory said.
        significance: probability with which one comparison may raise a false alarm.
        before: for how long the players had played when times began at 0.
    """
    found = (
        _rate(times, amplitudes, prediction, significance, before),
        _floor(times, squares, prediction, significance),
    )
    return tuple(comparison for comparison in found if comparison is not None)


def _rate(
    times: Array, amplitudes: Sequence[float | None], prediction: Prediction, significance: float, before: float
) -> Comparison | None:
    mode = prediction.mode
    if mode is None:
        return None
    slope = measured_slope(times.tolist(), amplitudes, mode, prediction.schedule, before=before)
    if slope is None:
        return None
    if slope.error is None:
        sentence = (
            f"rate: measured {slope.value:.4g}, predicted {mode.rate:.4g} for the mean over many runs; not compared: "
            "chance decides who moves when or what arrives, and no standard error is known for a single run"
        )
        return Comparison("rate", "not compared", mode.rate, slope.value, None, sentence)
    limit = critical(significance / 2, slope.points - 2)
    return _judged("rate", mode.rate, slope.value, slope.error, limit)


def _floor(times: Array, squares: Array | None, prediction: Prediction, significance: float) -> Comparison | None:
    floor = prediction.noise_floor_rms
    if not floor or squares is None or not np.isfinite(squares).all():
        return None
    late = times >= times[-1] / 2
    line = fit(times[late], squares[late], slowest=_slowest(prediction))
    if not line.enough or line.level <= 0 or line.level_error == 0:
        return None
    limit = critical(significance / 2, line.freedom)
    if abs(line.slope) > limit * line.slope_error:
        return None
    root = float(np.sqrt(line.level))
    # squares that happen to be small scatter little; those of the predicted floor would scatter in proportion to it
    relative = line.level_error / (2 * line.level)
    return _judged("floor", floor, root, relative * max(root, floor), limit)


def _slowest(prediction: Prediction) -> float | None:
    """Half the rate at which what is left of a square fades.

    In rounds that is the slope s of the error itself. On clocks a player stays where it is until it moves, and squares
    fade like (1 + s)² − 1 = 2s (1 + s/2) a unit of time.
    """
    slope = prediction.asymptotic_rate
    if slope is None or prediction.schedule.clock == "rounds":
        return slope
    return slope * (1 + max(slope, -1.0) / 2)


def _judged(
    figure: Literal["rate", "floor"], predicted: float, measured: float, error: float, limit: float
) -> Comparison:
    apart = abs(measured - predicted)
    differs = apart > limit * error and apart > _CLOSE * abs(predicted)
    sentence = (
        f"{figure}: measured {measured:.4g} ± {error:.2g}, predicted {predicted:.4g}: they "
        + (f"disagree by {apart / error:.1f} standard errors" if differs else "agree")
        + f" (limit {limit:.1f} standard errors and {100 * _CLOSE:.0f} %)"
    )
    return Comparison(figure, "disagrees" if differs else "agrees", predicted, measured, error, sentence)
