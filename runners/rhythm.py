"""Finds a periodic movement of the models that does not die away."""

__all__ = ["Rhythm", "find_rhythm"]

from dataclasses import dataclass

import numpy as np

from .evidence import Array, Evidence

_LONGEST = 512
_SHORTEST = 24
_LEAST_PERIODS = 4.0
_COHERENT = 0.5
_KEEPS = 0.7
_SLOWLY = 0.5
_FINER = 8


@dataclass(frozen=True)
class Rhythm:
    """A periodic movement.

    Arguments:
        period: in units of time.
        amplitude: root mean square over players and statistics.
        share: of the movement over the last half that it accounts for.
    """

    period: float
    amplitude: float
    share: float

    @property
    def sentence(self) -> str:
        """It in words."""
        return (
            f"the models swing with period {self.period:.3g} and amplitude {self.amplitude:.3g}, which does not die "
            f"away and makes up {100 * self.share:.0f} % of their movement"
        )


def find_rhythm(seen: Evidence, significance: float, tolerance: float) -> Rhythm | None:
    """The strongest periodic component of the movement in its main direction, if there is one.

    Over the last half of the run: the first principal component of μ has a line in its periodogram, significant by
    Fisher's test, of at least four periods. What tells it from noise that a negative eigenvalue of W makes alternate:
    sine and cosine fitted to the first part predict more than half of the second part's variance, and their
    amplitude neither falls by more than 30 % nor as much as by half the predicted slope: a slow mode with a negative
    eigenvalue swings for long, but dies away. Where the noise floor is known, the swing must exceed it. A line of
    period 2 is seen only if every move is recorded.

    Arguments:
        seen: the evidence.
        significance: probability with which white noise may look like it.
        tolerance: by how much the swing must exceed the floor.

    Source: Fisher, *Tests of significance in harmonic analysis*, 1929.
    """
    if seen.means is None:
        return None
    means = seen.means[seen.half][-_LONGEST:]
    times = seen.times[seen.half][-_LONGEST:]
    if len(means) > 2 and not np.isclose(times[-1] - times[-2], times[1] - times[0]):
        means, times = means[:-1], times[:-1]
    if len(means) < _SHORTEST or not np.isfinite(means).all():
        return None
    flat = means.reshape(len(means), -1)
    flat = flat - flat.mean(axis=0)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    if not values[-1] > 1e-24 * max(float((means**2).sum()), 1e-300):
        return None
    main: Array = vectors[:, -1] * np.sqrt(values[-1])
    power = np.abs(np.fft.rfft(main)[1:]) ** 2
    peak, total = float(power.max()), float(power.sum())
    if len(power) * (1 - peak / total) ** (len(power) - 1) > significance:
        return None
    fine = np.abs(np.fft.rfft(main, _FINER * len(main))) ** 2
    fine[: int(_LEAST_PERIODS * _FINER) - 1] = 0.0
    frequency = float(np.argmax(fine)) / (_FINER * len(main))
    if not _LEAST_PERIODS / len(main) <= frequency:
        return None
    steps = np.arange(len(main))
    waves = np.column_stack([np.cos(2 * np.pi * frequency * steps), np.sin(2 * np.pi * frequency * steps)])
    if frequency > 0.5 - 0.25 / len(main):
        waves = waves[:, :1]
    middle = len(main) // 2
    first, second = (np.linalg.lstsq(waves[s], main[s], rcond=None)[0] for s in (steps < middle, steps >= middle))
    late = main[middle:]
    share = 1 - float(((late - waves[middle:] @ first) ** 2).sum() / (late**2).sum())
    sizes = np.linalg.norm(first), np.linalg.norm(second)
    apart = float(times[-1] - times[0]) / 2
    kept = max(_KEEPS, float(np.exp(_SLOWLY * (seen.slowest or 0.0) * apart)))
    if share < _COHERENT or sizes[1] < kept * sizes[0]:
        return None
    spacing = float(times[1] - times[0])
    amplitude = float(sizes[1]) / np.sqrt(flat.shape[1])
    swing = np.sqrt(((waves @ second) ** 2).mean() / flat.shape[1])
    if seen.floors is not None and swing <= (1 + tolerance) * np.sqrt((seen.floors**2).mean()):
        return None
    return Rhythm(spacing / frequency, amplitude, float(share * values[-1] / values.sum()))
