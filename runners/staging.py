"""From an experiment to the game that it describes: graph, α, data and its split, models."""

__all__ = ["bare_graph", "build_game", "player_named"]

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from ..games import (
    ARRAY_GRAPHS,
    Batch,
    ExponentialFamily,
    FleetGame,
    Game,
    Gossip,
    PlayerSpec,
    Shard,
    Space,
    StepSize,
    array_graph,
    family_for,
    load_dataset,
    load_npz,
    split_dataset,
    synthetic_data,
    synthetic_family,
    synthetic_fleet,
)
from ..topology import attach_alpha, generate_graph, read_graph
from .experiment import AlphaSection, Experiment, ExperimentError, TopologySection

_DATA, _SPLIT = 1001, 1002


def build_game(experiment: Experiment) -> Game | FleetGame:
    """The game of an experiment.

    Random numbers for data and split are spawned from the experiment's seed, apart from those of play.

    Raises:
        ValueError: one of the errors of `topology` and `games`, which say what is wrong.
    """
    if experiment.topology.generator in ARRAY_GRAPHS:
        return _array_game(experiment)
    graph = bare_graph(experiment.topology)
    family, shards = _private_data(experiment, len(graph))
    sizes = {player: len(shard.train) for player, shard in zip(graph, shards, strict=True)}
    weighted = _with_alpha(graph, experiment.alpha, sizes)
    model = experiment.model
    if model.start == "common":
        raise ExperimentError(f"model.start is 'common', which needs a generator of arrays: {', '.join(ARRAY_GRAPHS)}")
    step = StepSize(model.step.size, model.step.horizon)
    specs = {
        player: PlayerSpec(
            family=family,
            data=shard.train,
            holdout=shard.holdout,
            smoothing=model.smoothing,
            step=step,
            start=model.start,
            samples=experiment.play.samples,
            gossip=Gossip(**experiment.gossip.model_dump()),
        )
        for player, shard in zip(weighted, shards, strict=True)
    }
    return Game(weighted, specs, anchored=experiment.alpha.anchored)


def _array_game(experiment: Experiment) -> FleetGame:
    """A game without an object for any player; the rows of the private data are not made either."""
    play, model, data, alpha = experiment.play, experiment.model, experiment.data, experiment.alpha
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
    if not isinstance(alpha.self_weight, float | int):
        raise ExperimentError("alpha.self_weight must be one number for all players of a graph of arrays")
    graph_rng = np.random.default_rng(experiment.topology.seed)
    shares = array_graph(experiment.topology.generator or "", graph_rng, **experiment.topology.arguments)
    return synthetic_fleet(
        synthetic_family(model.family, model.dimension, classes=model.classes),
        shares,
        np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_DATA,))),
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
        _require_unused("topology.file", section, ("arguments", "seed"))
        return read_graph(section.file, directed=section.directed)
    _require_unused("topology.generator", section, ("directed",))
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
        _require_unused("alpha.scheme explicit", section, ("self_weight",))
    return attach_alpha(graph, self_weight, scheme, sizes=sizes if scheme == "size" else None, alpha=explicit)


def _scheme(graph: Any, explicit: Any) -> str:
    """The α that the file or the experiment gives, if it does; else uniform."""
    given = explicit is not None or any("alpha" in attributes for _, _, attributes in graph.edges(data=True))
    return "explicit" if given else "uniform"


def _require_unused(where: str, section: Any, keys: tuple[str, ...]) -> None:
    """Refuses keys that are set but mean nothing here, instead of passing over them."""
    fields = type(section).model_fields
    for key in keys:
        if getattr(section, key) != fields[key].get_default(call_default_factory=True):
            raise ExperimentError(f"option {key!r} means nothing with {where}; leave it out")


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


def _private_data(experiment: Experiment, players: int) -> tuple[ExponentialFamily, list[Shard]]:
    section, model = experiment.data, experiment.model
    data_seed, split_seed = (np.random.SeedSequence(experiment.seed, spawn_key=(k,)) for k in (_DATA, _SPLIT))
    if section.source == "synthetic":
        _require_unused("data.source synthetic", section, ("options", "file", "label", "split"))
        family = synthetic_family(model.family, model.dimension, classes=model.classes, **model.options)
        rng = np.random.default_rng(data_seed)
        batches = synthetic_data(family, players, section.rows, rng, spread=section.spread)
        return family, [_cut(batch, section.holdout) for batch in batches]
    _require_unused(f"data.source {section.source}", section, ("rows", "spread"))
    if section.source == "npz":
        _require_unused("data.source npz", section, ("options",))
        if section.file is None:
            raise ExperimentError("data.source is npz: give data.file, the path of the file")
        dataset = load_npz(section.file, label=section.label)
    else:
        _require_unused(f"data.source {section.source}", section, ("file", "label"))
        dataset = load_dataset(section.source, **section.options)
    label = dataset.label if model.family.startswith("class-conditional-") else None
    family = family_for(model.family, _space_for(model.family, dataset.batch.space), label=label, **model.options)
    shards = split_dataset(
        dataset,
        players,
        np.random.default_rng(split_seed),
        kind=section.split.kind,
        holdout_fraction=section.holdout,
        **section.split.options,
    )
    held = family.space
    return family, [Shard(held.batch(s.train.arrays), held.batch(s.holdout.arrays)) for s in shards]


def _space_for(family: str, space: Space) -> Space:
    """The variables of a data set, as the family needs them: exponential values are at least 0."""
    if not family.endswith("exponential"):
        return space
    return Space(tuple(replace(v, low=0.0) if v.kind == "real" and v.low is None else v for v in space))


def _cut(batch: Batch, fraction: float) -> Shard:
    """Independent rows need no shuffling: the last ones are held out."""
    kept = max(1, round(len(batch) * (1 - fraction)))
    return Shard(batch.select(slice(0, kept)), batch.select(slice(kept, None)))
