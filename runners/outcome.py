"""How a run ended: the summary, one line per player, and what they generated before and after."""

__all__ = ["CAN_GENERATE", "Outcome", "PlayerOutcome", "conclude"]

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents import RegretEstimate, Scores, State
from ..games import Batch, FleetGame, Game, Prediction, PrivacySpent, total_variation
from .diagnosis import Diagnosis, diagnose
from .examination import Examiner, Look, Quality
from .finite import finite
from .fleet_outcome import PlayerOutcomes, diagnose_fleet
from .honesty import conduct_name, honest_error
from .last_stage import changes_of, last_stage
from .monitor import Monitor
from .observation import Observation
from .record import Record
from .spending import privacy_figures
from .stages import Change
from .views import total_moves

CAN_GENERATE = 0.005
"""Share from which on a class counts as one that a player can generate."""


@dataclass(frozen=True, eq=False)
class PlayerOutcome:
    """One player at the end of a run; None where a figure does not apply.

    Arguments:
        player: its name.
        moves: moves made.
        regret: in nats, mean over the last quarter of the run.
        error: root mean square of μ − μ*, over the last quarter of the run and the statistics.
        floor: the predicted noise floor of `error`.
        held_out: mean log-density of its holdout, in nats a row.
        mixture: class shares measured on what it generates, `[k]`.
        predicted_mixture: class shares predicted from its row of the influence matrix, `[k]`.
        own_classes: classes in its private data.
        rejected: messages refused, by reason.
        staleness: mean age of the letters it holds, in its moves.
        regret_estimate: of a black box, at the end.
        scores: how it does on test rows.
        quality: how close what it generates is to real rows.
        present: whether it took part in the end; of one that did not only what it did before is told.
        privacy: what it spent of its budget of privacy; None for a player without.
        conduct: what experiment files call its conduct, such as `poisoner`; None for an honest player.
    """

    player: Hashable
    moves: int
    regret: float | None
    error: float | None
    floor: float | None
    held_out: float | None
    mixture: NDArray[np.float64] | None
    predicted_mixture: NDArray[np.float64] | None
    own_classes: list[int]
    rejected: Mapping[str, int]
    staleness: float
    regret_estimate: RegretEstimate | None = None
    scores: Scores | None = None
    quality: Quality | None = None
    present: bool = True
    privacy: PrivacySpent | None = None
    conduct: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of test rows whose class it tells."""
        return None if self.scores is None else self.scores.accuracy

    @property
    def auc(self) -> float | None:
        """Area under the curve of what it tells of two classes."""
        return None if self.scores is None else self.scores.auc

    @property
    def total_variation(self) -> float | None:
        """Distance of the measured mixture from the predicted one."""
        if self.mixture is None or self.predicted_mixture is None:
            return None
        return total_variation(self.mixture, self.predicted_mixture)

    @property
    def generates(self) -> list[int]:
        """Classes that make up at least 0.5 % of what it generates."""
        return [] if self.mixture is None else [int(c) for c in np.flatnonzero(self.mixture >= CAN_GENERATE)]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run leaves.

    Arguments:
        runner: the engine.
        seed: of all random streams.
        outcome: how it ended, one of `diagnosis.OUTCOMES`.
        nash_gap: mean over the last quarter of the largest and of the mean regret, in nats.
        equilibrium_error: root mean square over the last quarter: of the worst player, and of all.
        prediction: what theory said.
        rate: measured slope of the log-error per move.
        players: in the order of the graph.
        trace: thinned records.
        last: the last record.
        before: rows generated before the first move, if measured; none of a run that was resumed.
        after: rows generated after the last, if measured.
        states: the players' states, if asked for.
        diagnosis: the reasons for the outcome, and the ways of failing that were recognised.
        looks: what the close looks showed; nothing for a game of arrays.
        examiner: what they were examined by.
        changes: of who is present, in turn.
        aside: players that failed and that the run went on without → why.
        honest_error: of the honest players alone, see `honesty.honest_error`; None where all are.
        privacy: what was spent, and the cost of it, see `spending.privacy_figures`.
    """

    runner: str
    seed: int
    outcome: str
    nash_gap: Mapping[str, float | None]
    equilibrium_error: Mapping[str, float | None]
    prediction: Prediction
    rate: float | None
    players: Sequence[PlayerOutcome]
    trace: list[Record]
    last: Record
    before: Mapping[Hashable, Batch | None]
    after: Mapping[Hashable, Batch | None]
    states: Mapping[Hashable, State]
    diagnosis: Diagnosis
    looks: Sequence[Look] = ()
    examiner: Examiner | None = None
    changes: Sequence[Change] = ()
    aside: Mapping[Hashable, str] = field(default_factory=dict)
    honest_error: Mapping[str, float | int | None] | None = None
    privacy: Mapping[str, float | int | None] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        from .outcome_html import outcome_html  # for notebooks alone

        return outcome_html(self)

    def summary(self) -> dict[str, Any]:
        """The figures of the run, for JSON; null where one does not apply or is not finite."""
        last = self.last
        listed = [] if isinstance(self.players, PlayerOutcomes) else list(self.players)
        figures = {
            "runner": self.runner,
            "players": len(self.players),
            "moves": self.players.moves
            if isinstance(self.players, PlayerOutcomes)
            else sum(p.moves for p in self.players),
            "messages": last.messages,
            "bytes": last.bytes,
            "seconds": round(last.seconds, 3),
            "seed": self.seed,
            "outcome": self.outcome,
            "nash_gap": dict(self.nash_gap),
            "equilibrium_error": dict(self.equilibrium_error),
            "predicted": {
                "spectral_radius": self.prediction.spectral_radius,
                "rate": self.prediction.rate,
                "noise_floor_rms": self.prediction.noise_floor_rms,
            },
            "measured": {"rate": self.rate},
            "total_variation": _extremes([p.total_variation for p in listed]),
            "accuracy": _extremes([p.accuracy for p in listed]),
            "auc": _extremes([p.auc for p in listed]),
            "nash_gap_estimate": _gap_estimate([p.regret_estimate for p in listed]),
            "privacy": dict(self.privacy),
            "changes": [change.figures() for change in self.changes],
            "aside": {str(player): why for player, why in self.aside.items()},
            **({} if self.honest_error is None else {"honest_error": dict(self.honest_error)}),
        }
        cleaned: dict[str, Any] = finite(figures)
        return cleaned


def conclude(
    runner: str,
    seed: int,
    game: Game | FleetGame,
    monitor: Monitor,
    first: Observation,
    last: Observation,
    examiner: Examiner | None = None,
) -> Outcome:
    """The outcome of a run from its monitor, its first and last observations and its examiner."""
    stages = monitor.stages
    errors, regrets = (
        found if found is None or stages is None else found[stages.present[-1]]
        for found in (monitor.errors(), monitor.regrets())
    )
    rms = None if errors is None else float(np.sqrt((errors**2).mean()))
    if monitor.last is None:
        raise ValueError("the monitor has seen no observation, expected at least one")
    if isinstance(game, FleetGame):
        diagnosis = diagnose_fleet(monitor.trace, monitor.prediction)
        players: Sequence[PlayerOutcome] = _array_players(monitor, last)
    elif stages is not None:
        examiner = examiner or Examiner(game)
        trace, begun = last_stage(monitor.trace, stages)
        diagnosis = diagnose(stages.games[-1], trace, stages.prediction(len(stages) - 1), before=begun)
        players = _players(game, monitor, last, examiner, np.random.default_rng(seed))
    else:
        examiner = examiner or Examiner(game)
        diagnosis = diagnose(game, monitor.trace, monitor.prediction)
        if monitor.evidence is not monitor.trace and diagnosis.outcome != "stalled":  # whom looks are too few to miss
            diagnosis = diagnose(game, monitor.evidence, monitor.prediction)
        players = _players(game, monitor, last, examiner, np.random.default_rng(seed))
    return Outcome(
        runner=runner,
        seed=seed,
        outcome=diagnosis.outcome,
        nash_gap={"max": monitor.nash_gap(), "mean": None if regrets is None else float(regrets.mean())},
        equilibrium_error={"max": None if errors is None else float(errors.max()), "rms": rms},
        prediction=monitor.prediction,
        rate=monitor.rate(),
        players=players,
        trace=monitor.trace,
        last=monitor.last,
        before=first.samples if first.time == 0 else {},
        after=last.samples,
        states=last.states,
        diagnosis=diagnosis,
        looks=tuple(monitor.looks),
        examiner=examiner,
        aside=last.aside,
        privacy=privacy_figures(game, last.players, changing=monitor.changing),
        honest_error=None if isinstance(game, FleetGame) else honest_error(game, monitor),
        changes=() if stages is None else changes_of(monitor.trace, monitor.last.time, stages),
    )


def _players(
    game: Game, monitor: Monitor, last: Observation, examiner: Examiner, rng: np.random.Generator
) -> list[PlayerOutcome]:
    errors, regrets, floors = monitor.errors(), monitor.regrets(), monitor.prediction.floors
    stages = monitor.stages
    look = examiner.look(last) if stages is None else stages.look(examiner, last)
    judge = examiner if stages is None else replace(examiner, game=stages.games[-1])
    players = []
    for i, (name, view) in enumerate(zip(game.players, last.players, strict=True)):
        here = stages is None or bool(stages.present[-1][i])
        players.append(
            PlayerOutcome(
                player=name,
                moves=view.moves,
                regret=None if regrets is None or not here else float(regrets[i]),
                error=None if errors is None or not here else float(errors[i]),
                floor=None if floors is None or not here else float(floors[i]),
                held_out=look.held_out[i],
                mixture=look.shares[i],
                predicted_mixture=judge.predicted_of(name) if here else None,
                own_classes=examiner.own_classes(name),
                rejected=view.rejected,
                staleness=view.staleness,
                regret_estimate=look.regrets[i],
                scores=look.scores[i],
                quality=judge.quality(name, last.samples.get(name), rng) if here else None,
                present=here,
                privacy=view.privacy,
                conduct=conduct_name(game.specs[name].conduct),
            )
        )
    return players


def _array_players(monitor: Monitor, last: Observation) -> PlayerOutcomes:
    errors, regrets = monitor.errors(), monitor.regrets()

    def make(i: int) -> PlayerOutcome:
        view = last.players[i]
        return PlayerOutcome(
            player=monitor.players[i],
            moves=view.moves,
            regret=None if regrets is None else float(regrets[i]),
            error=None if errors is None else float(errors[i]),
            floor=None,
            held_out=None,
            mixture=None,
            predicted_mixture=None,
            own_classes=[],
            rejected=view.rejected,
            staleness=view.staleness,
        )

    return PlayerOutcomes(len(last.players), make, total_moves(last.players))


def _extremes(values: Sequence[float | None]) -> dict[str, float | None]:
    """The largest and the mean of what is known."""
    known = [v for v in values if v is not None]
    return {"max": max(known), "mean": float(np.mean(known))} if known else {"max": None, "mean": None}


def _gap_estimate(estimates: Sequence[RegretEstimate | None]) -> dict[str, float | None]:
    """The largest estimate of a regret with its standard error, and the mean: lower bounds, in nats."""
    known = [e for e in estimates if e is not None]
    if not known:
        return {"max": None, "error": None, "mean": None}
    largest = max(known, key=lambda e: e.gain)
    return {"max": largest.gain, "error": largest.error, "mean": float(np.mean([e.gain for e in known]))}
