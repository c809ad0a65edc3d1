"""From the section `privacy` of an experiment to the budgets of its players."""

__all__ = ["with_new_noise", "with_privacy"]

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


def with_privacy(
    experiment: Experiment, players: Sequence[Hashable], specs: Mapping[Hashable, PlayerSpec]
) -> dict[Hashable, PlayerSpec]:
    """The specifications with the budgets of the experiment; each player, and each seed of a run, has its own noise.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.
        specs: of all players, or of some.

    Raises:
        ExperimentError: a player who does not play, or rows of others that would be counted as a player's own.
    """
    section = experiment.privacy
    own = by_player(section.players, players, "privacy.players")
    position = {player: k for k, player in enumerate(players)}
    budgets = {player: _budget(own.get(player, section), experiment.seed, position[player]) for player in specs}
    if any(budgets.values()):
        _require_own_rows(experiment)
    return {player: replace(spec, privacy=budgets[player]) for player, spec in specs.items()}


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
