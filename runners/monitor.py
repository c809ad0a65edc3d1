"""Holds every observation of a run against the oracle: regret, error, and the measured speed."""

__all__ = ["Monitor", "Record"]

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..games import Game, NoClosedFormError, Oracle, Prediction, predict
from ..games.prediction import ABOVE_NOISE, Schedule
from .observation import Observation, PlayerView

_WINDOW = 0.25
_KEPT = 2048
_LEAST_POINTS = 3


@dataclass(frozen=True, eq=False)
class Record:
    """One observation and what the oracle says of it; None where the game has no closed form.

    Arguments:
        time: moves per player.
        seconds: since the first publication.
        messages: delivered so far.
        bytes: of their values.
        players: in the order of the graph; none in the trace that the monitor keeps.
        regrets: in nats, `[N]`.
        errors: root mean square over the statistics of μ_i − μ*_i, `[N]`.
        amplitude: of the error along the mode whose speed is measured.
        undelivered: messages that never reached their listener.
    """

    time: float
    seconds: float
    messages: int
    bytes: int
    players: list[PlayerView]
    regrets: NDArray[np.float64] | None
    errors: NDArray[np.float64] | None
    amplitude: float | None
    undelivered: int = 0

    @property
    def nash_gap(self) -> float | None:
        """The largest regret."""
        return None if self.regrets is None else float(self.regrets.max())

    @property
    def error_rms(self) -> float | None:
        """Root mean square over the players of `errors`."""
        return None if self.errors is None else float(np.sqrt((self.errors**2).mean()))


class Monitor:
    """Turns observations into records and keeps a bounded trace of them for the summary.

    Stationary figures are means over the last quarter of the run. The trace is thinned to at most 2,048 records, so
    that memory does not grow with time.

    Arguments:
        game: the game.
        schedule: which prediction it is held against.
    """

    def __init__(self, game: Game, schedule: Schedule) -> None:
        try:
            self.oracle: Oracle | None = Oracle.of(game)
        except NoClosedFormError:
            self.oracle = None
        self.players: list[Hashable] = game.players
        self.prediction: Prediction = predict(game, schedule, oracle=self.oracle)
        self.trace: list[Record] = []
        self.last: Record | None = None
        self._stride = 1
        self._seen = 0

    def read(self, observed: Observation) -> Record:
        """The record of an observation, which is also added to the trace."""
        means, mode = observed.means, self.prediction.mode
        regrets = errors = amplitude = None
        if self.oracle is not None and means is not None:
            regrets, errors = self.oracle.regrets(means), self.oracle.errors(means)
            amplitude = mode.amplitude(means - self.oracle.equilibrium) if mode else None
        record = Record(
            observed.time,
            observed.seconds,
            observed.messages,
            observed.bytes,
            observed.players,
            regrets,
            errors,
            amplitude,
            observed.undelivered,
        )
        self._keep(record)
        return record

    @property
    def window(self) -> list[Record]:
        """The records of the last quarter of the run."""
        if not self.trace:
            return []
        start = self.trace[-1].time * (1 - _WINDOW)
        return [r for r in self.trace if r.time >= start]

    def regrets(self) -> NDArray[np.float64] | None:
        """Mean regret of each player over the window, in nats: `[N]`."""
        return _mean([r.regrets for r in self.window], lambda stack: stack.mean(axis=0))

    def errors(self) -> NDArray[np.float64] | None:
        """Root mean square error of each player over the window: `[N]`."""
        return _mean([r.errors for r in self.window], lambda stack: np.sqrt((stack**2).mean(axis=0)))

    def nash_gap(self) -> float | None:
        """Mean over the window of the largest regret, in nats."""
        regrets = [r.nash_gap for r in self.window if r.nash_gap is not None]
        return float(np.mean(regrets)) if regrets else None

    def rate(self) -> float | None:
        """Slope of the log-error along the predicted mode, by least squares over the records before it meets the noise.

        Noise of size σ moves the logarithm of an amplitude a by σ/a, so that records are weighted by a. None
        if there is no such mode, or fewer than three records.
        """
        mode = self.prediction.mode
        if mode is None:
            return None
        times, logs = [], []
        for record in self.trace:
            if record.amplitude is None or record.amplitude <= max(
                ABOVE_NOISE * (mode.noise or 0.0), np.finfo(float).tiny
            ):
                break
            times.append(record.time)
            logs.append(np.log(record.amplitude))
        if len(times) < _LEAST_POINTS or times[-1] == times[0]:
            return None
        return float(np.polyfit(times, logs, 1, w=np.exp(logs))[0])

    def _keep(self, record: Record) -> None:
        self.last = replace(record, players=[])
        if self._seen % self._stride == 0:
            self.trace.append(self.last)
            if len(self.trace) > _KEPT:
                self.trace = self.trace[::2]
                self._stride *= 2
        self._seen += 1


def _mean(
    arrays: list[NDArray[np.float64] | None], reduce: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    known = [a for a in arrays if a is not None]
    return reduce(np.stack(known)) if known else None
