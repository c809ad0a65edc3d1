"""Canaries: made-up rows planted among a player's private rows, and others of the same law that are not."""

__all__ = ["DECOYS", "canaries_of", "plant_canaries"]

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..games import Batch, PlayerSpec
from .experiment import Experiment, ExperimentError

DECOYS = 5000
"""Rows of the law of canaries that are not planted, a player: enough to tell 0.1 % of false positives and its doubt."""

_CANARIES = 1021


def plant_canaries(
    experiment: Experiment, players: Sequence[Hashable], specs: Mapping[Hashable, PlayerSpec]
) -> dict[Hashable, PlayerSpec]:
    """The players' specifications, each with `audit.canaries` rows more at the end of its private rows.

    Each value of a canary is that of one of the player's own rows, drawn anew for every value: its columns look like
    the player's, its rows like nobody's.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.
        specs: of those that are wanted.

    Raises:
        ExperimentError: a player's private rows lack different variables, or there are none.
    """
    count = experiment.audit.canaries
    if count == 0:
        return dict(specs)
    planted = {}
    order = {player: index for index, player in enumerate(players)}
    for player, spec in specs.items():
        if len(spec.parts) != 1 or spec.summary is not None:
            raise ExperimentError(
                f"audit.canaries is {count}, but the rows of player {player} come in {len(spec.parts)} batches, "
                "expected one; set audit.canaries=0"
            )
        own = spec.parts[0]
        made = _shuffled(own, count, _stream(experiment, order[player], 0))
        planted[player] = replace(spec, data=Batch.concatenate([own, made]))
    return planted


def canaries_of(experiment: Experiment, spec: PlayerSpec, index: int) -> tuple[Batch, Batch, Batch]:
    """A player's own rows, the canaries planted among them, and `DECOYS` rows of the same law that were not.

    Arguments:
        experiment: with `audit.canaries` above 0.
        spec: as `plant_canaries` gives it.
        index: position of the player in the graph's order.
    """
    rows = spec.parts[0]
    own, planted = (
        rows.select(s) for s in (slice(-experiment.audit.canaries), slice(-experiment.audit.canaries, None))
    )
    return own, planted, _shuffled(own, DECOYS, _stream(experiment, index, 1))


def _stream(experiment: Experiment, index: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_CANARIES, index, purpose)))


def _shuffled(own: Batch, n: int, rng: np.random.Generator) -> Batch:
    """n rows whose every single value is that of a row of `own` drawn for it."""
    arrays: dict[str, Any] = {}
    for variable in own.space:
        flat = own[variable.name].reshape(len(own), -1)
        drawn = np.take_along_axis(flat, rng.integers(len(own), size=(n, flat.shape[1])), axis=0)
        arrays[variable.name] = drawn.reshape(n, *variable.shape)
    return own.space.batch(arrays)
