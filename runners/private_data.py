"""The private rows of an experiment's players: a data set and its split, or rows made up for a family."""

__all__ = ["DATA", "Part", "families_and_shards", "groups_of", "load_data", "load_tests", "parts_of", "split_data"]

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..games import (
    Batch,
    Dataset,
    ExponentialFamily,
    Shard,
    Space,
    family_for,
    holdout,
    load_dataset,
    load_npz,
    split_dataset,
    synthetic_data,
    synthetic_family,
)
from ..topology import require_name
from .experiment import Experiment, ExperimentError, require_unused
from .option_errors import naming_options

DATA = 1001
"""Where the random numbers for rows begin among those spawned from an experiment's seed."""

_CHOOSING = ("part", "file", "root", "seed")
"""Options of data sets that choose their rows."""

_SPLIT, _NOISE, _TESTS = 1002, 1003, 1008


_MOST_ROWS = 10_000_000
"""Synthetic rows of a player, where they are made: a game of arrays only counts them."""

_MOST_VALUES = 500_000_000
"""Of synthetic rows, of all players together."""

_OF_NPZ = ("file", "label", "classes")


def families_and_shards(
    experiment: Experiment, players: Sequence[str], only: Sequence[int] | None = None
) -> list[tuple[ExponentialFamily, Shard]]:
    """The exponential family of each player, and its rows over the family's variables.

    Players of one data set have the same family.

    Arguments:
        experiment: the experiment.
        players: all of them, by name, in the order of the graph.
        only: positions of those whose rows are wanted, ascending; the data of others is not opened. None for all.

    Raises:
        ValueError: one of the errors of `games`, which say what is wrong.
    """
    section, model = experiment.data, experiment.model
    name = str(model.family)
    if section.source == "synthetic":
        require_unused("data.source synthetic", section, ("options", "file", "label", "split", "test_share", "players"))
        with naming_options("model.options"):
            family = synthetic_family(name, model.dimension, classes=model.classes, **model.options)
        _require_room(len(players), section.rows, family.space)
        rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(DATA,)))
        batches = synthetic_data(family, len(players), section.rows, rng, spread=section.spread)
        wanted = range(len(players)) if only is None else only
        return [(family, _cut(batches[k], section.holdout)) for k in wanted]
    families: dict[int, ExponentialFamily] = {}
    found = []
    for part in parts_of(experiment, players, only):
        dataset, shard = part.dataset, part.shard
        if id(dataset) not in families:
            label = dataset.label if name.startswith("class-conditional-") else None
            space = _space_for(name, dataset.batch.space)
            with naming_options("model.options"):
                families[id(dataset)] = family_for(name, space, **{"label": label, **model.options})
        family = families[id(dataset)]
        held = family.space
        found.append((family, Shard(held.batch(shard.train.arrays), held.batch(shard.holdout.arrays))))
    return found


def load_data(experiment: Experiment, **options: Any) -> Dataset:
    """The data set of an experiment, with the noise that it asks for.

    Arguments:
        experiment: the experiment.
        options: of the data set, besides those of the experiment.

    Raises:
        ExperimentError: there is no data set, or a key that means nothing.
        ValueError: one of the errors of the loaders.
    """
    section = experiment.data
    require_unused(f"data.source {section.source}", section, ("rows", "spread"))
    if section.source == "synthetic":
        raise ExperimentError("data.source is 'synthetic', which makes rows for a family; name a data set or take npz")
    if section.source == "npz":
        require_unused("data.source npz", section, ("test",))
        named = {"file": section.file, "label": section.label, **section.options, **options}
        for option in named:
            require_name("option of data.source npz,", option, _OF_NPZ)
        if named["file"] is None:
            raise ExperimentError("data.source is npz: give data.file, the path of the file")
        with naming_options("data.options"):
            dataset = load_npz(named["file"], named["label"], named.get("classes"))
    else:
        require_unused(f"data.source {section.source}", section, ("file", "label"))
        with naming_options("data.options"):
            try:
                dataset = load_dataset(section.source, **{**section.options, **options})
            except OSError as error:
                raise ExperimentError(
                    f"the files of data set {section.source!r} cannot be read ({error!s:.200}); check their disk, and "
                    "`file` and `root` in data.options"
                ) from error
    return dataset if section.noise == 0 else _noisy(dataset, section.noise, experiment.seed, options)


@dataclass(frozen=True, eq=False)
class Part:
    """The data set that a player has a part of, and that part."""

    dataset: Dataset
    shard: Shard


def groups_of(experiment: Experiment, players: Sequence[str]) -> list[tuple[dict[str, Any], list[int]]]:
    """The players whose options in `data.players` are the same, who share a data set out: options, and positions.

    Nothing is read for it.

    Raises:
        UnknownNameError: `data.players` names somebody who does not play.
    """
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for k, options in enumerate(_own_options(experiment, players)):
        named = {**experiment.data.options, **options}
        groups.setdefault(repr(sorted(named.items())), (options, []))[1].append(k)
    return list(groups.values())


def parts_of(experiment: Experiment, players: Sequence[str], only: Sequence[int] | None = None) -> list[Part]:
    """Each player's part of its data set. Players whose options are the same share one out among them.

    Arguments:
        experiment: the experiment.
        players: all of them, by name, in the order of the graph.
        only: positions of those whose parts are wanted, ascending; data sets of others alone are not opened.

    Raises:
        UnknownNameError: `data.players` names somebody who does not play.
        ValueError: one of the errors of the loaders and splits.
    """
    wanted = range(len(players)) if only is None else only
    found: dict[int, Part] = {}
    for number, (options, members) in enumerate(groups_of(experiment, players)):
        if not set(members).intersection(wanted):
            continue
        dataset = load_data(experiment, **options)
        shards = split_data(experiment, dataset, len(members), number)
        found |= {k: Part(dataset, shard) for k, shard in zip(members, shards, strict=True)}
    return [found[k] for k in wanted]


def load_tests(experiment: Experiment, players: Sequence[str]) -> list[Dataset] | None:
    """The rows on which each player is tested; those of players of one data set are the same object. None for none.

    They depend on the experiment's seed, and on nothing else that tells one method from another.

    Raises:
        ExperimentError: both `data.test` and `data.test_share`, tests on private rows, or a data set without labels.
        ValueError: one of the errors of the loaders.
    """
    section = experiment.data
    if section.test is None and section.test_share == 0:
        return None
    if section.test is not None:
        require_unused("data.test", section, ("test_share",))
    known: dict[str, Dataset] = {}
    found = []
    for options in _own_options(experiment, players):
        key = repr(sorted(options.items()))
        if key not in known:
            _require_other_rows({**section.options, **options}, section.test)
            known[key] = load_data(experiment, **{**options, **(section.test or {})})
            if section.test is None:
                known[key] = _set_aside(experiment, known[key])[1]
        dataset = known[key]
        if dataset.label is None:
            named = "data.test" if section.test is not None else "data.test_share"
            raise ExperimentError(f"{named} needs labels, which data set {dataset.name!r} has not")
        found.append(dataset)
    return found


def _require_other_rows(private: dict[str, Any], test: dict[str, Any] | None) -> None:
    """Refuses tests on the rows that are dealt out: `part: test` beside all parts, or nothing that chooses rows."""
    if test is None:
        return
    part = private.get("part", "all")
    if "part" in test and part in ("all", test["part"]):
        raise ExperimentError(
            f"data.test is part {test['part']!r}, which is among the private rows (part {part!r}); "
            "set data.options.part"
        )
    if all(test.get(key, private.get(key)) == private.get(key) for key in _CHOOSING):
        raise ExperimentError(
            f"data.test chooses the same rows as data.options; change one of {', '.join(_CHOOSING)}, or take test_share"
        )


def split_data(experiment: Experiment, dataset: Dataset, players: int, number: int = 0) -> list[Shard]:
    """The rows of a data set but those set aside for tests, dealt out as the experiment says.

    Arguments:
        experiment: whose `data.split`, `holdout` and `test_share` are followed.
        dataset: the rows.
        players: how many share them.
        number: of the data set among those of the experiment.
    """
    section = experiment.data
    kept, _ = _set_aside(experiment, dataset)
    rng = np.random.default_rng(
        np.random.SeedSequence(experiment.seed, spawn_key=(_SPLIT, number) if number else (_SPLIT,))
    )
    with naming_options("data.split.options"):
        return split_dataset(
            kept,
            players,
            rng,
            kind=section.split.kind,
            holdout_fraction=section.holdout,
            **section.split.options,
        )


def _require_room(players: int, rows: int, space: Space) -> None:
    """Refuses private rows of more values than a machine's memory holds, before any is made."""
    if rows > _MOST_ROWS:
        raise ExperimentError(
            f"data.rows is {rows:,}, expected at most {_MOST_ROWS:,} where rows are made; lower it, or take runner "
            "fleet with a generator of arrays"
        )
    values = players * rows * sum(math.prod(v.shape) for v in space)
    if values > _MOST_VALUES:
        raise ExperimentError(
            f"the private rows of all players are {values:.3g} values, expected at most {_MOST_VALUES:.3g}; lower "
            "data.rows, model.dimension or the number of players, or take runner fleet with a generator of arrays"
        )


def _own_options(experiment: Experiment, players: Sequence[str]) -> list[dict[str, Any]]:
    """What `data.players` says of each player."""
    given = experiment.data.players
    for name in given:
        require_name("player in data.players,", name, [*players, "default"])
    return [given.get(name, given.get("default", {})) for name in players]


def _set_aside(experiment: Experiment, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The rows that are dealt out, and those for tests: `test_share` of each class."""
    share = experiment.data.test_share
    if share == 0:
        return dataset, dataset
    rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_TESTS,)))
    kept, tests = holdout(np.arange(len(dataset)), share, rng, dataset.labels)
    return replace(dataset, batch=dataset.batch.select(kept)), replace(dataset, batch=dataset.batch.select(tests))


def _noisy(dataset: Dataset, sigma: float, seed: int, options: dict[str, Any]) -> Dataset:
    """Real values with independent normal noise, and without bounds, so that they have a density.

    Rows loaded with other `options`, for tests or single players, get other noise.
    """
    loading = hashlib.sha256(repr(sorted(options.items())).encode()).digest()[:4] if options else b""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NOISE, *loading)))
    space = Space(tuple(replace(v, low=None, high=None) if v.kind == "real" else v for v in dataset.batch.space))
    arrays = {
        v.name: rows + sigma * rng.standard_normal(rows.shape) if v.kind == "real" else rows
        for v in space
        for rows in [dataset.batch[v.name]]
    }
    return Dataset(dataset.name, space.batch(arrays), dataset.label)


def _space_for(family: str, space: Space) -> Space:
    """The variables of a data set, as the family needs them: exponential values are at least 0."""
    if not family.endswith("exponential"):
        return space
    return Space(tuple(replace(v, low=0.0) if v.kind == "real" and v.low is None else v for v in space))


def _cut(batch: Batch, fraction: float) -> Shard:
    """Independent rows need no shuffling: the last ones are held out."""
    kept = max(1, round(len(batch) * (1 - fraction)))
    return Shard(batch.select(slice(0, kept)), batch.select(slice(kept, None)))
