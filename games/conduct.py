"""Hostile and careless players, as data: what a player that does not keep to the rules does instead."""

__all__ = [
    "CONDUCTS",
    "Conduct",
    "ConductError",
    "Flooder",
    "FreeRider",
    "Liar",
    "Mute",
    "Poisoner",
    "conduct_for",
]

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from ..topology import require_name


class ConductError(ValueError):
    """A conduct that does not exist, or a setting of one that means nothing.

    Not `GameError`, which is about parts that do not fit together: a conduct is checked before there is a game.
    """


@dataclass(frozen=True)
class Poisoner:
    """Learns as others do, but sends rows that are not its model's.

    Arguments:
        how: `shift` adds `by` to real values and counts, inside their bounds; of bits and categories the share
            min(|by|, 1) is set to 1 and to the first category, or to 0 and to the last one where `by` is below 0.
            `flip` moves each label c, a scalar categorical variable, to (c + by) mod k. `collapse` sends copies of one
            row of its model, another one in each message.
        by: see there. Of a flip a whole number.
    """

    how: str = "shift"
    by: float = 1.0

    def __post_init__(self) -> None:
        require_name("way of a poisoner", self.how, ("shift", "flip", "collapse"))
        if not math.isfinite(self.by) or (self.how == "flip" and self.by != int(self.by)):
            raise ConductError(f"`by` of a poisoner is {self.by}, expected a finite number, and a whole one of a flip")


@dataclass(frozen=True)
class FreeRider:
    """Takes without giving.

    Arguments:
        how: `constant` sends the first batch that it ever made, again and again under new numbers. `copy` sends on
            what it heard last from a neighbour, drawn anew for each message, and nothing before it has heard somebody.
    """

    how: str = "constant"

    def __post_init__(self) -> None:
        require_name("way of a free rider", self.how, ("constant", "copy"))


@dataclass(frozen=True)
class Flooder:
    """Sends more than it should, from an honest model.

    Arguments:
        messages: to each listener at each move, all of the same rows under numbers of their own.
        rows: times that a message is longer than the game says.
    """

    messages: int = 10
    rows: int = 1

    def __post_init__(self) -> None:
        for name in ("messages", "rows"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConductError(f"`{name}` of a flooder is {value!r}, expected a whole number of at least 1")


@dataclass(frozen=True)
class Mute:
    """Listens and learns, and says nothing.

    Arguments:
        after: moves that it makes as an honest player before it falls silent; with 0 nobody ever hears it.
    """

    after: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.after, int) or isinstance(self.after, bool) or self.after < 0:
            raise ConductError(f"`after` of a mute is {self.after!r}, expected a whole number of at least 0")


@dataclass(frozen=True)
class Liar:
    """Sends honest rows under false numbers.

    Arguments:
        how: `ahead` calls every message the newest there can ever be, `behind` counts down, so that in both cases the
            first one heard is never replaced; `invalid` uses negative numbers.
    """

    how: str = "ahead"

    def __post_init__(self) -> None:
        require_name("way of a liar", self.how, ("ahead", "behind", "invalid"))


Conduct: TypeAlias = Poisoner | FreeRider | Flooder | Mute | Liar

CONDUCTS: Mapping[str, type[Conduct]] = {
    "flooder": Flooder,
    "free-rider": FreeRider,
    "liar": Liar,
    "mute": Mute,
    "poisoner": Poisoner,
}
"""Conducts by the names that experiment files use."""


def conduct_for(kind: str, options: Mapping[str, Any]) -> Conduct:
    """The conduct of a kind.

    Arguments:
        kind: one of `CONDUCTS`.
        options: its arguments.

    Raises:
        ConductError: no such kind, or option of it, or a value out of range.
        UnknownNameError: no such way.

    >>> conduct_for("poisoner", {"how": "shift", "by": 3.0})
    Poisoner(how='shift', by=3.0)
    """
    if kind not in CONDUCTS:
        raise ConductError(f"unknown kind of conduct {kind!r}, expected one of {', '.join(CONDUCTS)}")
    chosen = CONDUCTS[kind]
    taken = [one.name for one in fields(chosen)]
    for name in options:
        if name not in taken:
            raise ConductError(
                f"unknown option {name!r} of conduct {kind!r}, expected one of {', '.join(taken) or 'none'}"
            )
    try:
        return chosen(**options)
    except TypeError:
        shown = ", ".join(f"{name}: {value!r}" for name, value in options.items())
        raise ConductError(f"options of conduct {kind!r} are {shown}, expected numbers and names") from None
