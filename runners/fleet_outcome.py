"""How a run of an array game ended: figures of players kept as arrays, and a verdict from those of all together."""

__all__ = ["PlayerOutcomes", "diagnose_fleet"]

from collections.abc import Callable, Iterator, Sequence
from typing import Any, final, overload

import numpy as np

from ..games import Prediction
from .agreement import compare
from .diagnosis import Diagnosis
from .evidence import critical, fit
from .record import Record

_TOLERANCE = 0.2
_SIGNIFICANCE = 1e-3


@final
class PlayerOutcomes(Sequence[Any]):
    """A sequence of `PlayerOutcome` that makes one only when it is asked for.

    Arguments:
        n: number of players.
        make: position → outcome.
        moves: of all players together.
    """

    def __init__(self, n: int, make: Callable[[int], Any], moves: int) -> None:
        self._n, self._make, self.moves = n, make, moves

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self._make(k) for k in range(*at.indices(self._n))]
        return self._make(range(self._n)[at])

    def __iter__(self) -> Iterator[Any]:
        return (self._make(k) for k in range(self._n))


def diagnose_fleet(trace: Sequence[Record], prediction: Prediction) -> Diagnosis:
    """`converged` where the squared error has no trend over the last half and agrees with the predicted floor.

    As `diagnose`, from the error of all players together alone: within 20 % and the standard error of the floor.
    """
    times = np.array([r.time for r in trace])
    errors = np.array([np.nan if r.error_rms is None else r.error_rms for r in trace])
    half = slice(int(np.searchsorted(times, times[-1] / 2)), None)
    floor = prediction.noise_floor_rms
    line = fit(times[half], errors[half] ** 2, slowest=prediction.asymptotic_rate)
    root = float(np.sqrt(line.level))
    if not np.isfinite(errors).all():
        return Diagnosis("diverging", ("mean parameters are no longer finite numbers",))
    if floor is None or floor == 0:
        return Diagnosis("budget reached", (f"no floor above 0 is known for this schedule; the error is {root:.3g}",))
    if not line.enough:
        return Diagnosis("budget reached", ("the last half holds too few independent records: play longer",))
    limit = critical(_SIGNIFICANCE / 2, line.freedom)
    amplitudes = [r.amplitude for r in trace]
    compared = compare(times, errors**2, amplitudes, prediction, significance=_SIGNIFICANCE)
    score = line.slope / line.slope_error if line.slope_error > 0 else 0.0
    allowed = float(np.sqrt(((1 + _TOLERANCE) * floor) ** 2 + limit * line.level_error))
    settled = abs(score) <= limit and root <= allowed
    text = (
        f"the squared error over the last half has slope {score:+.1f} standard errors (limit ±{limit:.1f}); its root "
        f"mean square is {root:.4g}, the predicted floor {floor:.4g}"
    )
    reasons = (text, *(c.sentence for c in compared))
    return Diagnosis("converged" if settled else "budget reached", reasons, comparisons=compared)
