"""From the sections `conduct` and `defence` of an experiment to what its players do, and do against each other."""

__all__ = ["by_player", "with_conducts"]

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from ..games import Conduct, Defence, PlayerSpec, Screen, Trust, conduct_for
from .experiment import Experiment, ExperimentError
from .sections import DefenceSection, OneDefenceSection

T = TypeVar("T", Screen, Trust)


def with_conducts(
    experiment: Experiment, players: Sequence[Hashable], specs: Mapping[Hashable, PlayerSpec]
) -> dict[Hashable, PlayerSpec]:
    """The specifications with the conducts and defences of the experiment.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph: who is hostile does not depend on whose specifications come.
        specs: of all players, or of some.

    Raises:
        ExperimentError: a player who does not play, a `kind` that is missing, a share without behaviour or the reverse,
            or an option of a defence that does not exist.
        ConductError, DefenceError: see `conduct_for` and `Defence`.
    """
    conducts = _conducts(experiment, players)
    own = by_player(experiment.defence.players, players, "defence.players")
    common = _defence(experiment.defence, "defence")
    single = {player: _defence(section, f"defence.players.{player}") for player, section in own.items()}
    return {
        player: replace(spec, conduct=conducts.get(player), defence=single.get(player, common))
        for player, spec in specs.items()
    }


def _conducts(experiment: Experiment, players: Sequence[Hashable]) -> dict[Hashable, Conduct]:
    section = experiment.conduct
    named = by_player(section.players, players, "conduct.players")
    found = {player: _conduct(options, f"conduct.players.{player}") for player, options in named.items()}
    if (section.share > 0) != bool(section.behaviour):
        raise ExperimentError(
            f"conduct.share is {section.share:g} and conduct.behaviour {section.behaviour or 'missing'}; give both, "
            "such as share: 0.2 and behaviour: {kind: poisoner}, or neither"
        )
    if section.behaviour:
        conduct = _conduct(section.behaviour, "conduct.behaviour")
        others = [player for player in players if player not in found]
        count = min(round(section.share * len(players)), len(others))
        chosen = np.random.default_rng(section.seed).permutation(len(others))[:count]
        found |= {others[k]: conduct for k in sorted(chosen)}
    return found


def by_player(values: Mapping[str, Any], players: Sequence[Hashable], key: str) -> dict[Hashable, Any]:
    """What a section says of single players by name, by player.

    Raises:
        ExperimentError: a name that nobody has.
    """
    by_name = {str(player): player for player in players}
    for name in values:
        if name not in by_name:
            shown = ", ".join(list(by_name)[:10]) + (", …" if len(by_name) > 10 else "")
            raise ExperimentError(f"{key} names player {name!r}; the players are {shown}")
    return {by_name[name]: value for name, value in values.items()}


def _conduct(options: Mapping[str, Any], key: str) -> Conduct:
    if "kind" not in options:
        raise ExperimentError(f"{key} has no kind; give one, such as kind: poisoner")
    return conduct_for(str(options["kind"]), {name: value for name, value in options.items() if name != "kind"})


def _defence(section: OneDefenceSection | DefenceSection, key: str) -> Defence | None:
    if section.screen is None and section.trust is None and section.clip is None:
        return None
    return Defence(
        screen=_made(Screen, section.screen, f"{key}.screen"),
        trust=_made(Trust, section.trust, f"{key}.trust"),
        clip=section.clip,
        rows=section.rows,
    )


def _made(kind: type[T], options: Mapping[str, float] | None, key: str) -> T | None:
    if options is None:
        return None
    taken = [one.name for one in fields(kind)]
    for name in options:
        if name not in taken:
            raise ExperimentError(f"unknown key '{key}.{name}'; expected {' or '.join(taken)}")
    return kind(**options)
