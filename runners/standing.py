"""How a run that has not ended stands: what is predicted of it, computed anew, and what its records so far show."""

__all__ = ["Foreseen", "Standing", "foresee", "judge"]

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..games import FleetGame, Game
from ..topology import spectral_radius
from .diagnosis import Diagnosis, diagnose
from .experiment import Experiment
from .fleet_outcome import diagnose_fleet
from .foresight import played_schedule, stages_of
from .last_stage import last_stage
from .monitor import Monitor
from .network import Network
from .observation import PlayerView
from .reading import RunView
from .record import Record, Totals
from .record_schemas import LETTERS
from .session import engine_options, staged

_MOST_PLAYERS = 3_000
_MOST_IN_ARRAYS = 200_000
_MOST_RECORDS, _MOST_CELLS = 2_000, 100_000


@dataclass(frozen=True, eq=False)
class Foreseen:
    """The game of an experiment and what theory says of it.

    Arguments:
        game: the game; None where it was not built.
        monitor: holds records against the prediction; it has seen none.
        note: why nothing is foreseen, in a sentence; empty if something is.
    """

    game: Game | FleetGame | None
    monitor: Monitor | None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Standing:
    """How a run stands at its last record.

    Arguments:
        predicted: `spectral_radius`, `rate` per move and `noise_floor_rms`; None where one is not known.
        floors: predicted noise floor of each player, by name.
        rate: measured slope of the log-error per move; None where none can be measured yet.
        diagnosis: how it would end if it ended now; None without records or prediction.
        note: why nothing is foreseen, in a sentence; empty if something is.
    """

    predicted: Mapping[str, float | None]
    floors: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    diagnosis: Diagnosis | None = None
    note: str = ""


def foresee(plan: Experiment) -> Foreseen:
    """Builds the game of an experiment, and its prediction as when it is played.

    Of black boxes nothing is foreseen: their games have no closed form. Neither of players that read their own data,
    nor of more than 3,000 players, or 200,000 in arrays, which takes long.
    """
    if plan.model.kind not in ("family", "table"):
        return Foreseen(None, None, "of black boxes neither slope nor floor is predicted before the end")
    if plan.data.where == "players":
        return Foreseen(None, None, "the players read their own data, so that no prediction is computed before the end")
    try:
        game = staged(plan)
        size = game.size if isinstance(game, FleetGame) else len(game.players)
        most = _MOST_IN_ARRAYS if isinstance(game, FleetGame) else _MOST_PLAYERS
        if size > most:
            return Foreseen(game, None, f"of {size:,} players no prediction is computed before the end")
        return Foreseen(game, _monitor(plan, game))
    except (ValueError, OSError, np.linalg.LinAlgError) as error:
        return Foreseen(None, None, f"the prediction could not be computed anew: {error}")


def judge(view: RunView, foreseen: Foreseen) -> Standing:
    """How the run of a view stands, from at most 2,000 of its records.

    Arguments:
        view: a run that has not ended.
        foreseen: of its experiment.
    """
    game, monitor = foreseen.game, foreseen.monitor
    if game is None or monitor is None:
        rho = None if view.graph is None else float(spectral_radius(view.graph))
        return Standing({"spectral_radius": rho, "rate": None, "noise_floor_rms": None}, note=foreseen.note)
    monitor = copy.copy(monitor)
    monitor.trace, monitor.looks = [], []
    for record in _records(view, isinstance(game, FleetGame)):
        monitor.remember(record)
    found = monitor.prediction
    predicted = {name: getattr(found, name) for name in ("spectral_radius", "rate", "noise_floor_rms")}
    floors = {} if found.floors is None else dict(zip(map(str, monitor.players), found.floors.tolist(), strict=True))
    if not monitor.trace:
        return Standing(predicted, floors)
    return Standing(predicted, floors, monitor.rate(), _diagnosis(game, monitor))


def _monitor(plan: Experiment, game: Game | FleetGame) -> Monitor:
    options, runner = engine_options(plan, game), plan.play.runner
    if isinstance(game, FleetGame):
        return Monitor(game, options["schedule"])
    network: Network = options.get("network") or Network()
    return Monitor(
        game,
        played_schedule(runner, game, options),
        graphs=options.get("graphs"),
        unit=network.compute.average,
        stages=stages_of(runner, game, options),
    )


def _diagnosis(game: Game | FleetGame, monitor: Monitor) -> Diagnosis | None:
    stages = monitor.stages
    if isinstance(game, FleetGame):
        return diagnose_fleet(monitor.trace, monitor.prediction)
    if stages is None:
        return diagnose(game, monitor.trace, monitor.prediction)
    number = stages.at(monitor.trace[-1].time)
    if number < len(stages) - 1:
        return None  # what is predicted is of those present in the end
    trace, begun = last_stage(monitor.trace, stages)
    return diagnose(stages.games[-1], trace, stages.prediction(number), before=begun)


def _records(view: RunView, arrays: bool) -> list[Record]:
    """Evenly spaced records, with the figures of single players where the game is not one of arrays."""
    count, size = len(view.run), 0 if arrays else len(view.names)
    most = min(count, _MOST_RECORDS, max(2, _MOST_CELLS // max(1, size)))
    at = np.unique(np.linspace(0, max(count - 1, 0), most).round().astype(np.int64))
    run = {name: view.column(name)[at] for name in view.run.column_names}
    single = size > 0 and len(view.player_rows) > 0
    names = ("moves", "regret", "error", *LETTERS, "rejected", "staleness")
    each = {name: view.figures(name, at) for name in names} if single else {}
    return [
        Record(
            time=float(run["time"][k]),
            seconds=float(np.nan_to_num(run["seconds"][k])),
            messages=int(run["messages"][k]),
            bytes=int(run["bytes"][k]),
            players=_views(each, k, size) if single else (),
            regrets=_known(each["regret"][k]) if single else None,
            errors=_known(each["error"][k]) if single else None,
            amplitude=_number(run["amplitude"][k]),
            undelivered=int(run["undelivered"][k]),
            totals=None if single else Totals(_number(run["nash_gap"][k]), None, _number(run["error_rms"][k])),
        )
        for k in range(len(at))
    ]


def _views(each: Mapping[str, NDArray[np.float64]], k: int, size: int) -> list[PlayerView]:
    rows = {name: values[k].tolist() for name, values in each.items()}
    letters = [name for name in LETTERS if not np.isnan(each[name][k]).any()]
    return [
        PlayerView(
            int(rows["moves"][i]),
            None,
            {name: int(rows[name][i]) for name in letters},
            {"any": int(rows["rejected"][i])},
            rows["staleness"][i],
        )
        for i in range(size)
    ]


def _known(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    return None if np.isnan(values).all() else values


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
