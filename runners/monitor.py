"""Holds every observation of a run against the oracle: regret, error, and the measured speed."""

__all__ = ["Monitor"]

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..games import (
    FleetGame,
    FleetOracle,
    FleetSchedule,
    Game,
    NoClosedFormError,
    Oracle,
    Prediction,
    TableOracle,
    honest_players,
    oracle_of,
    predict,
    predict_fleet,
)
from ..games.schedule import Schedule
from ..topology import GraphSequence
from .examination import Examiner, Look
from .machine import whole_cpus
from .observation import Observation, PlayerView
from .record import Record
from .shares import SharesTrace
from .slopes import measured_slope
from .stages import Stages

_WINDOW = 0.25
_KEPT = 2048
_ARRAYS_KEPT = 20_000_000
"""Numbers of single players that the trace of a game of arrays holds; beyond, only the newest records keep theirs."""


class Monitor:
    """Turns observations into records and keeps a bounded trace of them for the summary.

    Stationary figures are means over the last quarter of the run, but only since the last player came or went. The
    trace is thinned to at most 2,048 records, so that memory does not grow with time.

    Arguments:
        game: the game.
        schedule: which prediction it is held against.
        graphs: graphs that take over from each other; each moment is then held against the equilibrium of its graph.
        unit: length of a unit of the records' time, in that of `graphs`.
        examiner: examines close looks; they are not kept without one.
        stages: who is present when, and what is predicted then; made from `graphs` and the one schedule by default.
            Those absent are left out, `prediction` is that of the last stage, with NaN as floors of the absent.
    """

    def __init__(
        self,
        game: Game | FleetGame,
        schedule: Schedule | FleetSchedule | str,
        *,
        graphs: GraphSequence | None = None,
        unit: float = 1.0,
        examiner: Examiner | None = None,
        stages: Stages | None = None,
    ) -> None:
        self.stages, self.stage = stages, 0
        self.players: Sequence[Hashable] = game.players
        self.oracle: Oracle | FleetOracle | TableOracle | None
        self.prediction: Prediction
        self._light = isinstance(game, FleetGame)
        if isinstance(game, FleetGame):
            if not isinstance(schedule, FleetSchedule):
                raise ValueError(f"schedule is {schedule!r}, expected a FleetSchedule for a game of arrays")
            self.oracle = FleetOracle(game, whole_cpus())
            self.prediction = predict_fleet(game, schedule, oracle=self.oracle)[0]
        else:
            if isinstance(schedule, FleetSchedule):
                raise ValueError(f"schedule is {schedule!r}, expected a Schedule; see games.Schedule")
            plain = schedule
            if graphs is not None and graphs.elastic and stages is None:
                self.stages = Stages(game, graphs, unit, lambda _: plain)
            if self.stages is None:
                self.oracle = _oracle(game)
                self.prediction = predict(game, schedule, oracle=self.oracle)
            else:
                self.oracle = self.stages.oracle(0)
                last = len(self.stages) - 1
                self.prediction = replace(self.stages.prediction(last), floors=self.stages.all_floors(last))
                graphs = None
        self._pieces = [] if graphs is None or isinstance(game, FleetGame) else _pieces(game, graphs, unit)
        self._named = isinstance(game, Game) and any(s.family is not None for s in game.specs.values())
        self.trace: list[Record] = []
        self.looks: list[Look] = []
        self._examiner = examiner
        self.last: Record | None = None
        self._stride = 1
        self._seen = 0
        self.honest = None
        if isinstance(game, Game) and not (honest := honest_players(game.specs, game.players)).all():
            self.honest = honest
        self.shares = SharesTrace(self.players)

    def read(self, observed: Observation) -> Record:
        """The record of an observation, which is also added to the trace."""
        if self.stages is not None:
            return self._read_stage(observed, self.stages)
        mode = self.prediction.mode
        regrets = errors = amplitude = None
        for start, oracle in self._pieces:
            if start <= observed.time:
                self.oracle = oracle
        if isinstance(self.oracle, TableOracle):
            tables = [view.mean for view in observed.players if view.mean is not None]
            if len(tables) == len(self.players):
                regrets, errors = self.oracle.regrets(tables), self.oracle.errors(tables)
                amplitude = mode.amplitude(self.oracle.deviation(tables)) if mode else None
        elif self.oracle is not None and (means := observed.means) is not None:
            regrets, errors = self.oracle.regrets(means), self.oracle.errors(means)
            amplitude = mode.amplitude(means - self.oracle.equilibrium) if mode else None
        record = self._keep(Record.of(observed, regrets, errors, amplitude))
        if observed.close and self._examiner is not None:
            self.looks.append(self._examiner.look(observed))
        return record

    def remember(self, record: Record) -> None:
        """Adds a record of the same run, as read back from disk, to the trace."""
        if self.stages is not None:
            self._enter(record.time, self.stages)
            record = replace(record, present=self.stages.present[self.stage])
        self._keep(record)

    def _enter(self, time: float, stages: Stages) -> None:
        self.stage = stages.at(time)
        self.oracle = stages.oracle(self.stage)

    def _read_stage(self, observed: Observation, stages: Stages) -> Record:
        """The record of those present; of the others nothing is asked."""
        self._enter(observed.time, stages)
        number, oracle = self.stage, stages.oracle(self.stage)
        present = stages.present[number]
        regrets = errors = amplitude = None
        means = [v.mean for v, here in zip(observed.players, present, strict=True) if here]
        known = [m for m in means if m is not None]
        if oracle is not None and len(known) == len(means):
            mode = self.prediction.mode if number == len(stages) - 1 else None
            if isinstance(oracle, TableOracle):
                found = oracle.regrets(known), oracle.errors(known)
            else:
                mu = np.stack(known)
                found = oracle.regrets(mu), oracle.errors(mu)
                amplitude = mode.amplitude(mu - oracle.equilibrium) if mode else None
            regrets, errors = (stages.spread(values, number) for values in found)
        record = self._keep(replace(Record.of(observed, regrets, errors, amplitude), present=present))
        if observed.close and self._examiner is not None:
            self.looks.append(stages.look(self._examiner, observed))
        return record

    @property
    def changing(self) -> bool:
        """Whether the graph is not one and the same throughout."""
        return bool(self._pieces) or self.stages is not None

    @property
    def evidence(self) -> list[Record]:
        """What a diagnosis goes by: the trace, or one record a close look where only class shares have a closed form.

        The errors are then those of the class shares to their prediction.

        The share of a class is a mean over a model's rows as every mean parameter is, and its equilibrium is known
        for any model that can hit a mixture: Σ_j B_ij h_j. Where it is not known of every player, nothing is said.
        """
        predicted = None if self._examiner is None else self._examiner.predicted
        if self.oracle is not None or predicted is None or self.changing or self._named or np.isnan(predicted).any():
            return self.trace
        found = []
        for look in self.looks:
            record = next((r for r in self.trace if r.time == look.time), None)
            shares = [s for s in look.shares if s is not None]
            if record is not None and len(shares) == len(predicted):
                found.append(replace(record, errors=np.sqrt(((np.stack(shares) - predicted) ** 2).mean(axis=1))))
        return found or self.trace

    @property
    def window(self) -> list[Record]:
        """The records of the last quarter of the run, but none before the last player came or went."""
        if not self.trace:
            return []
        start = self.trace[-1].time * (1 - _WINDOW)
        if self.stages is not None:
            start = max(start, self.stages.starts[-1])
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
        """Slope of the log-error along the predicted mode, see `slopes.measured_slope`; None where there is none."""
        mode = self.prediction.mode
        if mode is None:
            return None
        begun = 0.0 if self.stages is None else self.stages.starts[-1]
        kept = [r for r in self.trace if r.time >= begun]
        times, amplitudes = [r.time - begun for r in kept], [r.amplitude for r in kept]
        slope = measured_slope(times, amplitudes, mode, self.prediction.schedule)
        return None if slope is None else slope.value

    def _keep(self, record: Record) -> Record:
        if self.honest is not None:
            record = replace(record, honest=self.honest)
        self.shares.add(record.time, record.players)
        self.last = replace(record, players=_without_means(record.players)) if self.oracle is not None else record
        if self._seen % self._stride == 0:
            self.trace.append(self.last)
            if len(self.trace) > _KEPT:
                self.trace = self.trace[::2]
                self._stride *= 2
        self._seen += 1
        self._lighten()
        return record

    def _lighten(self) -> None:
        """Keeps the arrays of as many of the newest records as fit."""
        numbers = 4 * len(self.players)
        if not self._light or numbers * len(self.trace) <= _ARRAYS_KEPT:
            return
        kept = max(1, _ARRAYS_KEPT // numbers)
        if len(self.trace) > kept and self.trace[-1 - kept].players:
            self.trace[-1 - kept] = self.trace[-1 - kept].without_players()


def _pieces(game: Game, graphs: GraphSequence, unit: float) -> list[tuple[float, Oracle | TableOracle | None]]:
    """When each graph takes over, and the oracle of the game played on it."""
    return [(piece.start / unit, _oracle(Game(piece.graph, game.specs, anchored=game.anchored))) for piece in graphs]


def _oracle(game: Game) -> Oracle | TableOracle | None:
    try:
        return oracle_of(game)
    except NoClosedFormError:
        return None


def _mean(
    arrays: list[NDArray[np.float64] | None], reduce: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    known = [a for a in arrays if a is not None]
    return reduce(np.stack(known)) if known else None


def _without_means(players: Sequence[PlayerView]) -> Sequence[PlayerView]:
    """The same players without their mean parameters and shares, which would fill the memory."""
    return [replace(view, mean=None, shares=None) for view in players] if isinstance(players, list) else players
