"""From the section `privacy` of an experiment to the budgets of its players."""

__all__ = ["budgets_of", "with_new_noise"]

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..games import PlayerSpec, Privacy
from .experiment import Experiment, ExperimentError
from .hostility import by_player
from .sections import OnePrivacySection, PrivacySection

_NOISE = 1031
"""Where the random numbers for the noise of releases begin among those spawned from a seed."""


def budgets_of(experiment: Experiment, players: Sequence[Hashable]) -> dict[Hashable, Privacy | None]:
    """The budget of each player; each player, and each seed of an experiment, has its own noise. Nothing is read.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.

    Raises:
        ExperimentError: a player who does not play, rows of others that would be counted as a player's own, or
            canaries.
    """
    section = experiment.privacy
    own = by_player(section.players, players, "privacy.players")
    found = {player: _budget(own.get(player, section), experiment.seed, k) for k, player in enumerate(players)}
    if any(found.values()):
        _require_own_rows(experiment)
        _require_no_canaries(experiment)
    return found


def with_new_noise(specs: Mapping[Any, PlayerSpec], seed: int) -> dict[Any, PlayerSpec]:
    """The same budgets with noise of other seeds; specifications without a budget as they are."""
    return {
        player: spec
        if spec.privacy is None
        else replace(spec, privacy=replace(spec.privacy, seed=_noise_seed(seed, k)))
        for k, (player, spec) in enumerate(specs.items())
    }


def _budget(section: OnePrivacySection | PrivacySection, seed: int, position: int) -> Privacy | None:
    """None for an infinite ε, so that nothing is another than without the section."""
    if section.epsilon == float("inf"):
        return None
    return Privacy(
        section.epsilon,
        delta=section.delta,
        clip=section.clip,
        noise=section.noise,
        seed=_noise_seed(seed, position),
    )


def _noise_seed(seed: int, position: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(_NOISE, position)).generate_state(1, np.uint64)[0])


def _require_own_rows(experiment: Experiment) -> None:
    for key in ("pool", "distil"):
        if getattr(experiment.data, key):
            raise ExperimentError(
                f"data.{key} gives players rows of others for their own, which no budget of privacy covers; leave it "
                "out, or set privacy.epsilon=.inf"
            )


def _require_no_canaries(experiment: Experiment) -> None:
    if experiment.audit.canaries:
        raise ExperimentError(
            f"audit.canaries is {experiment.audit.canaries}, but canaries are made of values of a player's own rows, "
            "so that one row would change many, which no budget of privacy covers; set audit.canaries=0, or "
            "privacy.epsilon=.inf for all"
        )
