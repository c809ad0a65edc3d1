"""Games of black boxes: each player's model and rows, and what the laboratory knows to examine them by."""

__all__ = ["black_box_specs", "build_examiner", "build_looks", "build_watch"]

from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..agents import GenerativeModel, HasClasses, Source
from ..games import Batch, Dataset, FleetGame, Game, Gossip, PlayerSpec, Space, class_histogram
from ..topology import require_name
from .blackboxes import black_box, model_variables, neural
from .examination import Examiner, References
from .experiment import Experiment, ExperimentError, require_unused
from .looks import Looks
from .partial_rows import private_rows
from .private_data import load_data, split_data

_WEIGHTS, _TEACHING, _REFERENCES = 1004, 1005, 1006
_MOST_REFERENCES = 20_000
_MOST_TESTS = 10_000

Factory = Callable[[], GenerativeModel]


def black_box_specs(experiment: Experiment, players: Sequence[Hashable]) -> dict[Hashable, PlayerSpec]:
    """What each player brings: a model of its kind, and its rows over the variables that model and data share.

    Raises:
        ExperimentError: overrides for players that are not there, or a distillation without labels.
        ValueError: one of the errors of `games` and of the models, which say what is wrong.
    """
    require_unused("black boxes", experiment.model, ("smoothing", "step", "dimension", "classes"))
    dataset = load_data(experiment)
    shards = split_data(experiment, dataset, len(players))
    factories = _factories(experiment, players, dataset)
    rows = private_rows(experiment, players, [_space_of(factory) for factory in factories], dataset, shards)
    data = [train for train, _ in rows]
    if experiment.data.distil:
        data = list(_distilled(experiment, players, dataset, data))
    gossip = Gossip(**experiment.gossip.model_dump())
    return {
        player: PlayerSpec(
            model=factory,
            data=train,
            holdout=holdout,
            start="reference" if experiment.model.start == "reference" else "data",
            samples=experiment.play.samples,
            gossip=gossip,
            class_shares=None if dataset.label is None else class_histogram(shard.train, dataset.label),
        )
        for player, factory, train, (_, holdout), shard in zip(players, factories, data, rows, shards, strict=True)
    }


def build_watch(experiment: Experiment, game: Game | FleetGame) -> tuple[Looks, Examiner | None]:
    """How the players of an experiment are looked at, and by what they are examined; arrays have no examiner.

    Raises:
        ExperimentError: keys that mean nothing for arrays, or what `build_examiner` and `build_looks` say.
    """
    if isinstance(game, FleetGame):
        require_unused("a graph of arrays", experiment.data, ("judge", "test", "distil", "observed", "missing"))
        require_unused("a graph of arrays", experiment.play, ("looks", "regret_steps"))
        return Looks(experiment.play.measure), None
    return build_looks(experiment), build_examiner(experiment, game)


def build_examiner(experiment: Experiment, game: Game) -> Examiner:
    """What examines the players of an experiment: with a judge and real rows where it asks for them.

    Raises:
        ExperimentError: a judge is asked for, and the data has no images or labels.
    """
    if not experiment.data.judge:
        several = any(sum(v.kind == "categorical" for v in game.space(p)) > 1 for p in game.players)
        return Examiner(game, label=load_data(experiment).label if several and not experiment.model.family else None)
    dataset = load_data(experiment)
    images = [v for v in dataset.batch.space if len(v.shape) == 2]
    labels = dataset.labels
    if len(images) != 1 or labels is None:
        raise ExperimentError(f"data.judge needs images with labels, which data set {dataset.name!r} has not")
    pixels = dataset.batch[images[0].name]
    judge = neural("Judge").cached(pixels, labels, classes=dataset.classes or 0, seed=0)
    rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_REFERENCES,)))
    chosen = rng.permutation(len(labels))[:_MOST_REFERENCES]
    features = judge.features(pixels[chosen])
    return Examiner(game, References(judge, images[0].name, features, labels[chosen].astype(np.int64)), dataset.label)


def build_looks(experiment: Experiment) -> Looks:
    """How often the players of an experiment are looked at closely, and what they are asked."""
    play, test, label = experiment.play, None, ""
    if experiment.data.test is not None:
        dataset = load_data(experiment, **experiment.data.test)
        if dataset.label is None:
            raise ExperimentError(f"data.test needs labels, which data set {dataset.name!r} has not")
        label = dataset.label
        rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_REFERENCES,)))
        rows = np.sort(rng.permutation(len(dataset))[:_MOST_TESTS])
        test = model_variables(dataset, label=True).batch(dataset.batch.select(rows).arrays)
    return Looks(play.measure, play.looks, play.regret_steps, test, label)


def _factories(experiment: Experiment, players: Sequence[Hashable], dataset: Dataset, **changes: Any) -> list[Factory]:
    """The function that makes each player's model, with its own weights before learning."""
    model, names = experiment.model, [str(p) for p in players]
    for name, override in model.players.items():
        require_name("player", name, names)
        for key in override:
            require_name(f"key of model.players.{name},", key, ("kind", "options"))
    made = []
    for k, name in enumerate(names):
        own = model.players.get(name, {})
        if not isinstance(own.get("options", {}), dict):
            raise ExperimentError(f"model.players.{name}.options is {own['options']!r}, expected options by name")
        seed = int(np.random.SeedSequence(experiment.seed, spawn_key=(_WEIGHTS, k)).generate_state(1)[0])
        kind = own.get("kind", model.kind)
        options = {**(model.options if kind == model.kind else {}), **own.get("options", {}), **changes}
        made.append(black_box(kind, options, dataset, seed))
    return made


def _space_of(factory: Factory) -> Space:
    try:
        return factory().space
    except (TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise ExperimentError(f"an option of the model has a value that it cannot have: {error}") from None


def _distilled(
    experiment: Experiment, players: Sequence[Hashable], dataset: Dataset, data: Sequence[Batch | tuple[Batch, ...]]
) -> list[Batch]:
    """Each player's rows, and a copy of them labelled by each other player's classifier.

    The classifiers learn from their owner's rows alone, for as many calls as a player moves. They are the laboratory's:
    no player of the game could show its rows to another, or hand its classifier out.

    Source: Hinton, Vinyals & Dean, *Distilling the Knowledge in a Neural Network*, 2015, with hard labels.
    """
    label = dataset.label
    require_unused("data.distil", experiment.data, ("missing",))
    whole = [rows for rows in data if isinstance(rows, Batch)]
    if label is None or any(label not in rows.space for rows in whole):
        raise ExperimentError("data.distil needs models with a label; set model.options.label")
    teachers = _factories(experiment, players, dataset, learns="classifier")
    taught = []
    for k, (factory, rows) in enumerate(zip(teachers, whole, strict=True)):
        teacher = factory()
        if not isinstance(teacher, HasClasses):
            raise ExperimentError(
                f"data.distil needs models that tell classes, which that of player {players[k]} does not"
            )
        rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_TEACHING, k)))
        for _ in range(experiment.play.moves):
            teacher.learn([Source(rows, 1.0, own=True)], rng)
        taught.append(cast("HasClasses", teacher))
    found = []
    for k, rows in enumerate(whole):
        labels: list[NDArray[Any]] = [t.class_probabilities(rows).argmax(1) for j, t in enumerate(taught) if j != k]
        copies = [rows.space.batch({**rows.arrays, label: told}) for told in labels]
        found.append(Batch.concatenate([rows, *copies]))
    return found
