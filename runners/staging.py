"""From an experiment to the game that it describes: graph, α, data and its split, models."""

__all__ = ["bare_graph", "build_game", "game_of", "player_named"]

from collections.abc import Mapping
from typing import Any

import networkx as nx
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
from ..topology import attach_alpha, generate_graph, read_graph
from .canaries import plant_canaries
from .experiment import Experiment, ExperimentError, require_unused
from .player_specs import player_specs
from .private_data import DATA
from .sections import AlphaSection, TopologySection


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
    return Game(_with_alpha(graph, experiment.alpha, sizes), specs, anchored=experiment.alpha.anchored)


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


def bare_graph(section: TopologySection) -> Any:
    """The graph of an experiment, without α unless its file has some."""
    if section.file is not None:
        require_unused("topology.file", section, ("arguments", "seed"))
        return read_graph(section.file, directed=section.directed)
    require_unused("topology.generator", section, ("directed",))
    return generate_graph(section.generator or "", seed=section.seed, **section.arguments)


def _with_alpha(graph: Any, section: AlphaSection, sizes: dict[Any, int]) -> "nx.DiGraph[Any]":
    by_name = {str(player): player for player in graph}
    self_weight: Any = section.self_weight
    if isinstance(self_weight, dict):
        default = self_weight.get("default")
        named = {player_named(by_name, k, "alpha.self_weight"): v for k, v in self_weight.items() if k != "default"}
        self_weight = {player: named.get(player, default) for player in graph}
        lacking = [str(player) for player, weight in self_weight.items() if weight is None]
        if lacking:
            raise ExperimentError(f"alpha.self_weight lacks player {', '.join(lacking[:10])}; add them, or a `default`")
    explicit = None
    if section.edges is not None:
        explicit = {
            (player_named(by_name, sender, "alpha.edges"), player_named(by_name, listener, "alpha.edges")): alpha
            for sender, listener, alpha in section.edges
        }
    scheme = section.scheme or _scheme(graph, explicit)
    if scheme == "explicit":
        require_unused("alpha.scheme explicit", section, ("self_weight",))
    return attach_alpha(graph, self_weight, scheme, sizes=sizes if scheme == "size" else None, alpha=explicit)


def _scheme(graph: Any, explicit: Any) -> str:
    """The α that the file or the experiment gives, if it does; else uniform."""
    given = explicit is not None or any("alpha" in attributes for _, _, attributes in graph.edges(data=True))
    return "explicit" if given else "uniform"


def player_named(by_name: dict[str, Any], name: str, key: str) -> Any:
    """The player called `name` in an experiment file; `key` is where, for the error.

    Raises:
        ExperimentError: nobody is.
    """
    if name not in by_name:
        known = list(by_name)
        shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        raise ExperimentError(f"{key} names player {name!r}; the players are {shown}")
    return by_name[name]
