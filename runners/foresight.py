"""What is known before anyone plays: figures of a graph alone, and of an experiment as it will be played."""

__all__ = ["array_figures", "describe", "graph_figures", "played_schedule", "stages_of"]

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..games import (
    FleetGame,
    FleetOracle,
    FleetSchedule,
    Game,
    NoClosedFormError,
    Prediction,
    Schedule,
    oracle_of,
    predict,
    predict_fleet,
)
from ..topology import GraphSequence, UnanchoredError, effective_sources, influence, require_name, spectral_radius
from .network import Duration, Network, schedule_of
from .stages import Stages

_MOST_SHOWN = 100
"""Players up to whose number the influence matrix is given."""
_BASIC = ("synchronous", "poisson")
_POISSON = Network(compute=Duration("exponential"))


def played_schedule(runner: str, game: Game, options: Mapping[str, Any]) -> Schedule:
    """The schedule whose prediction holds for a game on an engine, gossip policy included.

    Arguments:
        runner: the engine.
        game: the game.
        options: what the engine is called with.

    Raises:
        UnknownNameError: no such mode of `ray`.
    """
    if runner == "fleet":
        from .fleet_world import fleet_schedule, prediction_schedule  # experiment files, which players need not import

        return prediction_schedule(game, options.get("schedule") or fleet_schedule(game))
    if runner == "rounds":
        return schedule_of(Network(), game, changing=False)
    if runner == "virtual":
        network = options.get("network") or Network()
        return schedule_of(network, game, changing=options.get("graphs") is not None)
    mode = require_name("mode", options.get("mode", "asynchronous"), ("asynchronous", "synchronous"))
    if mode == "synchronous":
        return schedule_of(Network(), game, changing=False)
    schedule = schedule_of(_POISSON, game, changing=False)
    return replace(schedule, known=schedule.known and options.get("rate", 20.0) is not None)


def stages_of(runner: str, game: Game, options: Mapping[str, Any]) -> Stages | None:
    """Who plays when on an engine, and what is predicted then; None where nobody comes or goes.

    Arguments, Raises as `played_schedule`.
    """
    graphs: GraphSequence | None = options.get("graphs")
    if graphs is None or not graphs.elastic:
        return None
    network, plain = options.get("network") or Network(), {**options, "graphs": None}
    return Stages(game, graphs, network.compute.average, lambda rest: played_schedule(runner, rest, plain))


def describe(schedule: Schedule) -> str:
    """A schedule in a few words."""
    if not schedule.known:
        return "a schedule of which theory says nothing"
    words = ["rounds" if schedule.clock == "rounds" else "Poisson clocks"]
    if schedule.delay is None:
        words.append("delays that are not one constant")
    elif schedule.delay:
        words.append(f"delay {schedule.delay:.3g}")
    delivery: Any = schedule.delivery
    chances = list(delivery.values()) if isinstance(delivery, Mapping) else [delivery]
    if min(chances) < 1:
        low, high = (f"{100 * p:.3g}" for p in (min(chances), max(chances)))
        words.append(f"a listener is reached by {low if low == high else f'{low} to {high}'} % of publications")
    if schedule.fresh:
        words.append("a fresh batch for every listener")
    return ", ".join(words)


def graph_figures(
    graph: Any,
    game: Game | None = None,
    *,
    runner: str | None = None,
    played: Schedule | None = None,
    found: Prediction | None = None,
) -> dict[str, Any]:
    """What a graph decides; with a game also the floors, and with a schedule also what is predicted for that one.

    Arguments:
        graph: a graph with α.
        game: the game on it, if there is one.
        runner: the engine that the game would be played on.
        played: the schedule that it would be played by.
        found: the prediction for it, where it is not that of a game from its start.

    Returns:
        Figures for JSON, None where one is not known. `predicted` has the keys `synchronous` and `poisson`, and
        `as_played` where there is a schedule: its `rate` is that of a start in general position, as for the others,
        `rate_from_start` that of the slowest mode that this start lifts above the noise.
    """
    rho = spectral_radius(graph)
    predicted: dict[str, Any] = {
        "synchronous": {"rate": float(np.log(rho)) if rho > 0 else None, "noise_floor_rms": None},
        "poisson": {"rate": rho - 1.0, "noise_floor_rms": None},
    }
    oracle = None
    if game is not None:
        with contextlib.suppress(NoClosedFormError):
            oracle = oracle_of(game)
    if game is not None and oracle is not None:
        predicted = {name: _basic(predict(game, name, oracle=oracle)) for name in _BASIC}
    if game is not None and played is not None:
        if found is None and oracle is not None:
            found = predict(game, played, oracle=oracle)
        predicted["as_played"] = _as_played(runner, played, found if oracle is not None else None)
    return {
        "players": len(graph),
        "edges": sum(i != j for i, j in graph.edges),
        "spectral_radius": rho,
        **_readings(graph),
        "predicted": predicted,
    }


def _readings(graph: Any) -> dict[str, Any]:
    """Who ends up with whose data; nothing where real data does not reach everyone."""
    try:
        sources = effective_sources(graph)
    except UnanchoredError:
        return {"effective_sources": None, "influence": None}
    return {
        "effective_sources": dict(zip(map(str, graph), map(float, sources), strict=True)),
        "influence": influence(graph).tolist() if len(graph) <= _MOST_SHOWN else None,
    }


def array_figures(game: FleetGame, played: FleetSchedule) -> dict[str, Any]:
    """The same for a game of arrays, whose floors are estimates with a standard error; nothing of single players."""
    oracle = FleetOracle(game)
    known: dict[FleetSchedule, tuple[Prediction, float | None]] = {}

    def found(schedule: FleetSchedule) -> tuple[Prediction, float | None]:
        if schedule not in known:  # of a million players each takes half a minute
            prediction, floor = predict_fleet(game, schedule, oracle=oracle)
            known[schedule] = prediction, None if floor is None else floor.standard_error
        return known[schedule]

    predicted: dict[str, Any] = {}
    for name, schedule in zip(_BASIC, (FleetSchedule(), FleetSchedule("poisson")), strict=True):
        prediction, error = found(schedule)
        predicted[name] = {**_basic(prediction), "standard_error": error}
    prediction, error = found(played)
    predicted["as_played"] = {**_as_played("fleet", prediction.schedule, prediction), "standard_error": error}
    radius = prediction.spectral_radius
    return {"players": game.size, "edges": game.edges, "spectral_radius": radius, "predicted": predicted}


def _basic(found: Prediction) -> dict[str, Any]:
    return {"rate": found.asymptotic_rate, "noise_floor_rms": found.noise_floor_rms}


def _as_played(runner: str | None, schedule: Schedule, found: Prediction | None) -> dict[str, Any]:
    return {
        "runner": runner,
        "schedule": describe(schedule),
        "rate": None if found is None else found.asymptotic_rate,
        "rate_from_start": None if found is None else found.rate,
        "noise_floor_rms": None if found is None else found.noise_floor_rms,
    }
