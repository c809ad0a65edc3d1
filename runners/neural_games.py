"""Games of black boxes: each player's model and rows, and what the laboratory knows to examine them by."""

__all__ = ["black_box_specs", "build_examiner", "build_looks", "build_watch"]

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..agents import GenerativeModel, HasClasses, LanguageIdentifier, Source
from ..games import Batch, Dataset, FleetGame, Game, Gossip, Lexicon, PlayerSpec, PrivacyError, Space, class_histogram
from ..topology import require_name
from .blackboxes import black_box, model_variables, neural
from .examination import Examiner, References
from .experiment import Experiment, ExperimentError, require_unused
from .looks import Looks
from .network_privacy import PrivateLearning, private_learning
from .partial_rows import private_rows
from .pooled_rows import pooled_rows
from .private_data import Part, load_data, load_tests, parts_of

_WEIGHTS, _TEACHING, _REFERENCES = 1004, 1005, 1006
_MOST_REFERENCES = 20_000
_MOST_TESTS = 10_000

_OF_BLACK_BOXES = ("judge", "test", "test_share", "distil", "pool", "players", "observed", "missing")

Factory = Callable[[], GenerativeModel]


def black_box_specs(
    experiment: Experiment, players: Sequence[Hashable], only: Sequence[int] | None = None
) -> dict[Hashable, PlayerSpec]:
    """What each player brings: a model of its kind, and its rows over the variables that model and data share.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.
        only: positions of those that are wanted, ascending; data sets of others alone are not opened. None for all.

    Raises:
        ExperimentError: overrides for players that are not there, or a distillation without labels.
        ValueError: one of the errors of `games` and of the models, which say what is wrong.
    """
    require_unused("black boxes", experiment.model, ("smoothing", "step", "dimension", "classes"))
    if experiment.data.pool:
        require_unused("data.pool", experiment.data, ("distil",))
    parts = parts_of(experiment, [str(p) for p in players], only)
    positions = range(len(players)) if only is None else only
    factories = _factories(experiment, players, {k: part.dataset for k, part in zip(positions, parts, strict=True)})
    spaces = [_space_of(factory) for factory in factories]
    rows = private_rows(experiment, players, spaces, parts, only)
    data = [train for train, _ in rows]
    sizes = [sum(map(len, own)) if isinstance(own, tuple) else len(own) for own in data]
    private = private_learning(experiment, players, dict(zip(positions, sizes, strict=True)))
    if private:
        datasets = {k: part.dataset for k, part in zip(positions, parts, strict=True)}
        factories = _factories(experiment, players, datasets, private)
    shares = [_class_shares(part) for part in parts]
    if experiment.data.distil:
        data = list(_distilled(experiment, players, [part.dataset for part in parts], data))
    if experiment.data.pool:
        data, shares = list(pooled_rows(spaces, data)), _pooled_shares(parts, shares)
    gossip = Gossip(**experiment.gossip.model_dump())
    return {
        players[k]: PlayerSpec(
            model=factory,
            data=train,
            holdout=holdout,
            start="reference" if experiment.model.start == "reference" else "data",
            samples=experiment.play.samples,
            gossip=gossip,
            class_shares=share,
            label=part.dataset.label,
        )
        for k, factory, train, (_, holdout), share, part in zip(
            positions, factories, data, rows, shares, parts, strict=True
        )
    }


def build_watch(experiment: Experiment, game: Game | FleetGame) -> tuple[Looks, Examiner | None]:
    """How the players of an experiment are looked at, and by what they are examined; arrays have no examiner.

    Raises:
        ExperimentError: keys that mean nothing for arrays, or what `build_examiner` and `build_looks` say.
    """
    if isinstance(game, FleetGame):
        require_unused("a graph of arrays", experiment.data, _OF_BLACK_BOXES)
        require_unused("a graph of arrays", experiment.play, ("looks", "regret_steps"))
        return Looks(experiment.play.measure), None
    return build_looks(experiment, game.players), build_examiner(experiment, game)


def build_examiner(experiment: Experiment, game: Game) -> Examiner:
    """What examines the players of an experiment: with a judge and real rows where it asks for them.

    Raises:
        ExperimentError: a judge is asked for, and the data has no images or words, or no labels.
    """
    if not experiment.data.judge:
        several = any(sum(v.kind == "categorical" for v in game.space(p)) > 1 for p in game.players)
        return Examiner(game, label=_label(game) if several and not experiment.model.family else None)
    require_unused("data.judge", experiment.data, ("players",))
    if experiment.data.source == "words":
        return _examiner_of_words(experiment, game)
    dataset = load_data(experiment)
    images = [v for v in dataset.batch.space if len(v.shape) == 2]
    words = [v for v in dataset.batch.space if v.kind == "categorical" and len(v.shape) == 1]
    labels = dataset.labels
    if words and not images and dataset.label is not None:
        return Examiner(game, LanguageIdentifier.train(dataset.batch, dataset.label))
    if len(images) != 1 or labels is None:
        raise ExperimentError(f"data.judge needs images or words with labels, which data set {dataset.name!r} has not")
    pixels = dataset.batch[images[0].name]
    judge = neural("Judge").cached(pixels, labels, classes=dataset.classes or 0, seed=0)
    rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_REFERENCES,)))
    chosen = rng.permutation(len(labels))[:_MOST_REFERENCES]
    features = judge.features(pixels[chosen])
    return Examiner(game, References(judge, images[0].name, features, labels[chosen].astype(np.int64)), dataset.label)


def _examiner_of_words(experiment: Experiment, game: Game) -> Examiner:
    """With an identifier that has learned from words which the laboratory drew for itself, not from the players'."""
    options = experiment.data.options
    lexicon = Lexicon.read(options["languages"], **{k: v for k, v in options.items() if k in ("length", "top")})
    words = lexicon.dataset(_MOST_REFERENCES, seed=_REFERENCES)
    ear = LanguageIdentifier.train(words.batch, str(words.label))
    return Examiner(game, ear, alphabets=lexicon.alphabets)


def build_looks(experiment: Experiment, players: Sequence[Hashable]) -> Looks:
    """How often the players of an experiment are looked at closely, and what they are asked.

    Raises:
        ExperimentError: see `load_tests`; or players are tested on labels of different names.
    """
    play = experiment.play
    datasets = load_tests(experiment, [str(p) for p in players])
    if datasets is None:
        return Looks(play.measure, play.looks, play.regret_steps)
    rows: dict[int, Batch] = {}
    for dataset in datasets:
        if id(dataset) not in rows:
            rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_REFERENCES,)))
            chosen = np.sort(rng.permutation(len(dataset))[:_MOST_TESTS])
            space = model_variables(dataset, label=True)
            rows[id(dataset)] = space.batch(dataset.batch.select(chosen).arrays)
    labels = {str(dataset.label) for dataset in datasets}
    if len(labels) > 1:
        raise ExperimentError(f"players are tested on labels {', '.join(sorted(labels))}, expected one name for all")
    tests = {player: rows[id(dataset)] for player, dataset in zip(players, datasets, strict=True)}
    return Looks(play.measure, play.looks, play.regret_steps, tests, labels.pop())


def _label(game: Game) -> str | None:
    """The name of the label of all players' data sets; None if they have none, or not the same one."""
    labels = {spec.label for spec in game.specs.values()}
    return labels.pop() if len(labels) == 1 else None


def _class_shares(part: Part) -> NDArray[np.float64] | None:
    label = part.dataset.label
    return None if label is None else class_histogram(part.shard.train, label)


def _pooled_shares(
    parts: Sequence[Part], shares: Sequence[NDArray[np.float64] | None]
) -> list[NDArray[np.float64] | None]:
    """Class shares of all private rows together, for everyone; None where the rows of somebody have no class."""
    known = [s for s in shares if s is not None]
    if len(known) < len(shares) or len({len(s) for s in known}) > 1:
        return [None] * len(shares)
    sizes = [len(part.shard.train) for part in parts]
    return [np.average(known, axis=0, weights=sizes)] * len(shares)


def _factories(
    experiment: Experiment,
    players: Sequence[Hashable],
    datasets: Mapping[int, Dataset],
    private: Mapping[int, PrivateLearning] | None = None,
    **changes: Any,
) -> list[Factory]:
    """The function that makes the model of each player whose data set is given by its position.

    Each model has its own weights before learning. Those of `private` learn with a budget of privacy.
    """
    model, names = experiment.model, [str(p) for p in players]
    for name, override in model.players.items():
        require_name("player", name, names)
        for key in override:
            require_name(f"key of model.players.{name},", key, ("kind", "options"))
    made = []
    for k, dataset in datasets.items():
        own = model.players.get(names[k], {})
        if not isinstance(own.get("options", {}), dict):
            raise ExperimentError(f"model.players.{names[k]}.options is {own['options']!r}, expected options by name")
        seed = int(np.random.SeedSequence(experiment.seed, spawn_key=(_WEIGHTS, k)).generate_state(1)[0])
        kind = own.get("kind", model.kind)
        options = {**(model.options if kind == model.kind else {}), **own.get("options", {}), **changes}
        try:
            made.append(black_box(kind, options, dataset, seed, private=(private or {}).get(k)))
        except PrivacyError as error:
            raise PrivacyError(f"player {names[k]}: {error}") from None
    return made


def _space_of(factory: Factory) -> Space:
    try:
        return factory().space
    except (TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise ExperimentError(f"an option of the model has a value that it cannot have: {error}") from None


def _distilled(
    experiment: Experiment,
    players: Sequence[Hashable],
    datasets: Sequence[Dataset],
    data: Sequence[Batch | tuple[Batch, ...]],
) -> list[Batch]:
    """Each player's rows, and a copy of them labelled by each other player's classifier.

    The classifiers learn from their owner's rows alone, for as many calls as a player moves. They are the laboratory's:
    no player of the game could show its rows to another, or hand its classifier out.

    Source: Hinton, Vinyals & Dean, *Distilling the Knowledge in a Neural Network*, 2015, with hard labels.
    """
    label = datasets[0].label
    require_unused("data.distil", experiment.data, ("missing", "players"))
    whole = [rows for rows in data if isinstance(rows, Batch)]
    if label is None or any(label not in rows.space for rows in whole):
        raise ExperimentError("data.distil needs models with a label; set model.options.label")
    teachers = _factories(experiment, players, dict(enumerate(datasets)), learns="classifier")
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
