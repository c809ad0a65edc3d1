"""What a player says instead of what its model generates: hostile and careless conducts, each a function."""

__all__ = ["Occasion", "Speech", "Way", "way_of"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..games import Batch, Conduct, Flooder, FreeRider, Liar, Mute, Poisoner, Space, Variable

_LAST = 2**63 - 1


@dataclass(frozen=True, eq=False, slots=True)
class Occasion:
    """What a player has before it publishes.

    Arguments:
        rows: makes n rows by its model.
        samples: rows that a message should have.
        move: its number of moves.
        sequence: the number that the message should have.
        heard: the newest batch of each neighbour that was heard.
        first: the first batch that it ever published; None before.
        rng: a random stream for this alone.
    """

    rows: Callable[[int], Batch]
    samples: int
    move: int
    sequence: int
    heard: Sequence[Batch]
    first: Batch | None
    rng: np.random.Generator


@dataclass(frozen=True, eq=False, slots=True)
class Speech:
    """What a player says: rows over its model's space, their number, and how many messages say it.

    More messages than one have the numbers that follow.
    """

    batch: Batch
    sequence: int
    messages: int = 1


Way: TypeAlias = Callable[[Occasion], Speech | None]
"""What a player says on an occasion; None for nothing. Listeners check it as they check everything."""


def way_of(conduct: Conduct, space: Space) -> Way:
    """The conduct as a function.

    Arguments:
        conduct: what it does.
        space: of the player's model. Where there are no labels, none are flipped; `games.Game` refuses that.
    """
    if isinstance(conduct, Poisoner):
        return partial(_poison, {"shift": _shift, "flip": _flip, "collapse": _collapse}[conduct.how], conduct.by)
    if isinstance(conduct, FreeRider):
        return _constant if conduct.how == "constant" else partial(_copy, space)
    if isinstance(conduct, Flooder):
        return partial(_flood, conduct)
    if isinstance(conduct, Mute):
        return partial(_mute, conduct.after)
    return partial(_lie, conduct)


def _honest(occasion: Occasion) -> Speech:
    return Speech(occasion.rows(occasion.samples), occasion.sequence)


def _poison(change: Callable[..., Batch], by: float, occasion: Occasion) -> Speech:
    said = _honest(occasion)
    return replace(said, batch=change(said.batch, by, occasion.rng))


def _shift(batch: Batch, by: float, rng: np.random.Generator) -> Batch:
    return batch.space.batch({v.name: _shifted(v, batch[v.name], by, rng) for v in batch.space})


def _shifted(variable: Variable, values: Any, by: float, rng: np.random.Generator) -> Any:
    if variable.kind == "real":
        return np.clip(values + by, variable.low, variable.high)
    if variable.kind == "count":
        return np.maximum(values + round(by), 0)
    first, last = (1, 0) if variable.kind == "binary" else (0, (variable.categories or 1) - 1)
    chosen = rng.random(values.shape) < min(abs(by), 1.0)
    return np.where(chosen, first if by > 0 else last, values)


def _flip(batch: Batch, by: float, rng: np.random.Generator) -> Batch:
    flipped = {v.name: (batch[v.name] + int(by)) % v.categories for v in _labels(batch.space)}
    return batch.space.batch({**batch.arrays, **flipped})


def _labels(space: Space) -> list[Variable]:
    return [v for v in space if v.kind == "categorical" and not v.shape]


def _collapse(batch: Batch, by: float, rng: np.random.Generator) -> Batch:
    return batch.select(np.full(len(batch), rng.integers(len(batch))))


def _constant(occasion: Occasion) -> Speech:
    return _honest(occasion) if occasion.first is None else Speech(occasion.first, occasion.sequence)


def _copy(space: Space, occasion: Occasion) -> Speech | None:
    whole = [batch for batch in occasion.heard if all(name in batch.space for name in space.names)]
    if not whole:
        return None
    return Speech(whole[int(occasion.rng.integers(len(whole)))].restrict(space), occasion.sequence)


def _flood(conduct: Flooder, occasion: Occasion) -> Speech:
    return Speech(occasion.rows(occasion.samples * conduct.rows), occasion.sequence, conduct.messages)


def _mute(after: int, occasion: Occasion) -> Speech | None:
    return _honest(occasion) if occasion.move < after else None


def _lie(conduct: Liar, occasion: Occasion) -> Speech:
    number = {"ahead": _LAST, "behind": _LAST - occasion.sequence, "invalid": -1 - occasion.sequence}[conduct.how]
    return replace(_honest(occasion), sequence=number)
