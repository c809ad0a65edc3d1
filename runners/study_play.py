"""Plays one trial of a study in this process: a row of its table and a thinned curve, whatever happens."""

__all__ = ["FAILED", "play_trial"]

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..games import FleetGame
from .experiment import experiment_of
from .finite import finite
from .neural_games import build_watch
from .outcome import Outcome
from .playing import play
from .record import Record
from .session import engine_options, staged
from .study_measures import Played, measured
from .study_trials import Trial

FAILED = "failed"
"""The outcome of a trial that raised, or whose process died."""

_POINTS = 100
_LATE = 0.75
_MOST_LATE = 50
_MOST_NUMBERS = 5_000_000


def play_trial(
    base: Mapping[str, Any], trial: Trial, measures: Mapping[str, Mapping[str, Any]], *, curves: bool = True
) -> dict[str, Any]:
    """Plays it, and measures what is asked for; an exception becomes the row's `error`.

    Arguments:
        base: the experiment of the study.
        trial: which trial.
        measures: name → options.
        curves: whether a curve is wanted.

    Returns:
        For JSON: `row`, column → figure, and `curve`, column → at most 100 values, or None.
    """
    begun = time.perf_counter()
    row: dict[str, Any] = {
        "trial": trial.number,
        "point": trial.point,
        "replicate": trial.replicate,
        **trial.values,
        "seed": trial.seed,
        "outcome": FAILED,
        "error": None,
    }
    curve = None
    try:
        played = _play(base, trial)
        row |= measured(played, measures)
        curve = _curve(played.outcome) if curves else None
    except Exception as error:
        row |= {"outcome": FAILED, "error": f"{type(error).__name__}: {error}"}
    row["seconds"] = round(time.perf_counter() - begun, 4)
    found: dict[str, Any] = finite({"row": row, "curve": curve})
    return found


def _play(base: Mapping[str, Any], trial: Trial) -> Played:
    plan = experiment_of(dict(base), settings=trial.settings)
    game = staged(plan)
    options, (looks, examiner) = engine_options(plan, game), build_watch(plan, game)
    late: list[Any] = []
    last: list[Record] = []

    def on_record(record: Record) -> None:
        last[:] = [record]
        if record.time >= _LATE * plan.play.moves and not isinstance(game, FleetGame):
            means = [view.mean for view in record.players if view.mean is not None]
            if len(means) == len(record.players) and len({mean.shape for mean in means}) == 1:
                late.append(np.stack(means))
                while len(late) > _MOST_LATE or (len(late) > 1 and len(late) * late[0].size > _MOST_NUMBERS):
                    del late[0]

    outcome = play(
        game,
        plan.play.runner,
        seed=plan.seed,
        moves=plan.play.moves,
        looks=looks,
        examiner=examiner,
        on_record=on_record,
        **options,
    )
    return Played(plan, game, outcome, np.stack(late) if late else None, last[0])


def _curve(outcome: Outcome) -> dict[str, list[Any]]:
    trace = outcome.trace
    kept = np.unique(np.linspace(0, len(trace) - 1, min(_POINTS, len(trace))).round().astype(int))
    records = [trace[k] for k in kept]
    return {
        "time": [r.time for r in records],
        "messages": [r.messages for r in records],
        "bytes": [r.bytes for r in records],
        "nash_gap": [r.nash_gap for r in records],
        "error_rms": [r.error_rms for r in records],
        "amplitude": [r.amplitude for r in records],
    }
