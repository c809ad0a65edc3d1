"""Which variables a player's private rows hold: those that it observes, less what single rows lack."""

__all__ = ["private_rows"]

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space
from ..topology import require_name
from .experiment import Experiment, ExperimentError
from .private_data import Part

_MISSING = 1007

T = TypeVar("T")
PrivateRows: TypeAlias = Batch | tuple[Batch, ...]


def private_rows(
    experiment: Experiment,
    players: Sequence[Hashable],
    spaces: Sequence[Space],
    parts: Sequence[Part],
    only: Sequence[int] | None = None,
) -> list[tuple[PrivateRows, Batch]]:
    """Each player's rows to learn from, and its holdout.

    Rows hold the variables of the player's model that the data set has and, with `data.observed`, that it observes.
    With `data.missing` some rows to learn from lack some of them: of n rows, round(share · n) lack a variable, drawn at
    random for each player and variable. Rows that lack everything are left out. Those which hold the same variables
    make a batch, whole ones first. Held-out rows lack nothing.

    Arguments:
        experiment: whose `data.observed` and `data.missing` are followed.
        players: all of them, in the order of the graph.
        spaces: the variables of the model of each player that is wanted.
        parts: the data set of each of them, and its part of it.
        only: positions of those that are wanted; None for all.

    Raises:
        UnknownNameError: no such player or variable; the nearest is suggested.
        ExperimentError: a player that observes nothing of its model, or something that its model has not; a share out
            of range; rows that all lack everything.
    """
    names = [str(player) for player in players]
    section = experiment.data
    known = list(dict.fromkeys(name for part in parts for name in part.dataset.batch.space.names))
    titles = ", ".join(dict.fromkeys(repr(part.dataset.name) for part in parts))
    observed = _by_player("data.observed", section.observed, names)
    missing = _by_player("data.missing", section.missing, names)
    wanted = range(len(players)) if only is None else only
    asked = {*(names[k] for k in wanted), *(["default"] if only is None else [])}  # a default may name data of others
    for key, listed in {**observed, **missing}.items():
        for name in listed if key.split(".", 2)[2] in asked else ():
            require_name(f"variable of data set {titles} in {key},", name, known)
    found: list[tuple[PrivateRows, Batch]] = []
    for k, space, part in zip(wanted, spaces, parts, strict=True):
        name = names[k]
        shard, there = part.shard, part.dataset.batch.space
        held = [v for v in space if v.name in there]
        key, seen = _of_player("data.observed", observed, name)
        if seen is not None:
            _require_modelled(key, seen, name, space)
            held = [v for v in held if v.name in seen]
        if not held:
            raise ExperimentError(
                f"player {name} observes nothing of its model: the model is over {', '.join(space.names)}, the rows "
                f"hold {', '.join(there.names if seen is None else seen) or 'nothing'}; change data.observed or the "
                "model's `variables`"
            )
        over = Space(tuple(held))
        train, holdout = (over.batch({v.name: rows[v.name] for v in over}) for rows in (shard.train, shard.holdout))
        key, lacked = _of_player("data.missing", missing, name)
        if not lacked:
            found.append((train, holdout))
            continue
        _require_modelled(key, lacked, name, over)
        rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_MISSING, k)))
        found.append((_lacking(train, {n: s for n, s in lacked.items() if n in over}, key, rng), holdout))
    return found


def _by_player(key: str, section: Mapping[str, T], names: Sequence[str]) -> dict[str, T]:
    """The entries of a section by their dotted key."""
    for name in section:
        require_name(f"player in {key},", name, [*names, "default"])
    return {f"{key}.{name}": value for name, value in section.items()}


def _of_player(key: str, entries: Mapping[str, T], name: str) -> tuple[str, T | None]:
    """The entry that holds for a player, and its dotted key."""
    own = f"{key}.{name}"
    found = own if own in entries else f"{key}.default"
    return found, entries.get(found)


def _require_modelled(key: str, listed: Sequence[str] | Mapping[str, float], player: str, space: Space) -> None:
    """Refuses what is said of one player alone and does not apply to it; a default may name more."""
    strange = [name for name in listed if name not in space]
    if strange and not key.endswith(".default"):
        raise ExperimentError(
            f"{key} names {', '.join(strange)}, but player {player} has {', '.join(space.names)}; leave it out, or "
            "give its model this variable"
        )


def _lacking(rows: Batch, shares: Mapping[str, float], key: str, rng: np.random.Generator) -> PrivateRows:
    """The rows, those that hold the same variables together, whole ones first."""
    there: NDArray[np.bool_] = np.ones((len(rows), len(rows.space.names)), bool)
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ExperimentError(f"{key}.{name} is {share}, expected a share of the rows between 0 and 1")
        chosen = rng.permutation(len(rows))[: round(share * len(rows))]
        there[chosen, rows.space.names.index(name)] = False
    kinds = [kind for kind in np.unique(there, axis=0)[::-1] if kind.any()]
    parts = [
        rows.select(np.flatnonzero((there == kind).all(axis=1))).restrict(
            Space(tuple(v for v, held in zip(rows.space, kind, strict=True) if held))
        )
        for kind in kinds
    ]
    if not parts:
        raise ExperimentError(f"{key} leaves nothing of the rows; make a share smaller")
    return parts[0] if len(parts) == 1 else tuple(parts)
