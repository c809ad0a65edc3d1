"""From an experiment to the game that it describes: graph, α, data and its split, models."""

__all__ = ["build_game", "game_of"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..games import (
    ARRAY_GRAPHS,
    FleetGame,
    Game,
    PlayerSpec,
    array_graph,
    synthetic_family,
    synthetic_fleet,
)
from .canaries import plant_canaries
from .experiment import Experiment, ExperimentError, require_unused
from .experiment_graph import bare_graph, graph_with_alpha
from .player_specs import player_specs
from .private_data import DATA


def build_game(experiment: Experiment) -> Game | FleetGame:
    """The game of an experiment.

    Random numbers for data and split are spawned from the experiment's seed, apart from those of play.

    Raises:
        ExperimentError: `data.where` is `players`: see `where.build_lean_game`.
        ValueError: one of the errors of `topology` and `games`, which say what is wrong.
    """
    if experiment.data.where == "players":
        raise ExperimentError(
            "data.where is 'players', so that rows are not read here; call build_lean_game, or set data.where=driver"
        )
    if experiment.topology.generator in ARRAY_GRAPHS:
        return _array_game(experiment)
    graph = bare_graph(experiment.topology)
    players = list(graph)
    return game_of(experiment, graph, plant_canaries(experiment, players, player_specs(experiment, players)))


def game_of(experiment: Experiment, graph: Any, specs: Mapping[Any, PlayerSpec]) -> Game:
    """The game of an experiment on its bare graph, once it is known what the players bring.

    Raises:
        ValueError: one of the errors of `topology` and `games`.
    """
    sizes = {player: spec.rows for player, spec in specs.items()}
    return Game(graph_with_alpha(graph, experiment.alpha, sizes), specs, anchored=experiment.alpha.anchored)


def _array_game(experiment: Experiment) -> FleetGame:
    """A game without an object for any player; the rows of the private data are not made either."""
    play, model, data, alpha = experiment.play, experiment.model, experiment.data, experiment.alpha
    require_unused("a graph of arrays", experiment, ("privacy",))
    wanted = {
        "play.runner": (play.runner, "fleet"),
        "data.source": (data.source, "synthetic"),
        "alpha.scheme": (alpha.scheme or "uniform", "uniform"),
    }
    for key, (value, expected) in wanted.items():
        if value != expected:
            raise ExperimentError(
                f"{key} is {value!r}, but generator {experiment.topology.generator!r} makes arrays, for which it must "
                f"be {expected!r}; take a generator of networkx for anything else"
            )
    require_unused(f"generator {experiment.topology.generator}", experiment, ("conduct", "defence"))
    if not isinstance(alpha.self_weight, float | int):
        raise ExperimentError("alpha.self_weight must be one number for all players of a graph of arrays")
    graph_rng = np.random.default_rng(experiment.topology.seed)
    shares = array_graph(experiment.topology.generator or "", graph_rng, **experiment.topology.arguments)
    return synthetic_fleet(
        synthetic_family(str(model.family), model.dimension, classes=model.classes),
        shares,
        np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(DATA,))),
        self_weight=float(alpha.self_weight),
        samples=play.samples,
        rows=max(1, round(data.rows * (1 - data.holdout))),
        spread=data.spread,
        smoothing=model.smoothing,
        step_size=model.step.size,
        horizon=model.step.horizon,
        start=model.start,
    )
