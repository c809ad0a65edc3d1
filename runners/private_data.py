"""The private rows of an experiment's players: a data set and its split, or rows made up for a family."""

__all__ = ["DATA", "family_and_shards", "load_data", "split_data"]

from dataclasses import replace
from typing import Any

import numpy as np

from ..games import (
    Batch,
    Dataset,
    ExponentialFamily,
    Shard,
    Space,
    family_for,
    load_dataset,
    load_npz,
    split_dataset,
    synthetic_data,
    synthetic_family,
)
from .experiment import Experiment, ExperimentError, require_unused

DATA = 1001
"""Where the random numbers for rows begin among those spawned from an experiment's seed."""

_SPLIT, _NOISE = 1002, 1003


def family_and_shards(experiment: Experiment, players: int) -> tuple[ExponentialFamily, list[Shard]]:
    """The exponential family of an experiment, and each player's rows over its variables.

    Raises:
        ValueError: one of the errors of `games`, which say what is wrong.
    """
    section, model = experiment.data, experiment.model
    name = str(model.family)
    if section.source == "synthetic":
        require_unused("data.source synthetic", section, ("options", "file", "label", "split"))
        family = synthetic_family(name, model.dimension, classes=model.classes, **model.options)
        rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(DATA,)))
        batches = synthetic_data(family, players, section.rows, rng, spread=section.spread)
        return family, [_cut(batch, section.holdout) for batch in batches]
    dataset = load_data(experiment)
    label = dataset.label if name.startswith("class-conditional-") else None
    family = family_for(name, _space_for(name, dataset.batch.space), label=label, **model.options)
    held = family.space
    shards = split_data(experiment, dataset, players)
    return family, [Shard(held.batch(s.train.arrays), held.batch(s.holdout.arrays)) for s in shards]


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
        require_unused("data.source npz", section, ("options",))
        if section.file is None:
            raise ExperimentError("data.source is npz: give data.file, the path of the file")
        dataset = load_npz(section.file, label=section.label)
    else:
        require_unused(f"data.source {section.source}", section, ("file", "label"))
        dataset = load_dataset(section.source, **{**section.options, **options})
    return dataset if section.noise == 0 else _noisy(dataset, section.noise, experiment.seed)


def split_data(experiment: Experiment, dataset: Dataset, players: int) -> list[Shard]:
    """The rows of a data set, dealt out as the experiment says."""
    section = experiment.data
    return split_dataset(
        dataset,
        players,
        np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_SPLIT,))),
        kind=section.split.kind,
        holdout_fraction=section.holdout,
        **section.split.options,
    )


def _noisy(dataset: Dataset, sigma: float, seed: int) -> Dataset:
    """Real values with independent normal noise, and without bounds, so that they have a density."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NOISE,)))
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
