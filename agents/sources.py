"""Sources out of private rows and of letters: what a player learns from, with the weight of each batch."""

__all__ = ["heard_sources", "own_sources", "scaled"]

from collections.abc import Hashable, Mapping, Sequence

from ..games import Batch
from .mailbox import Letter
from .protocols import Source


def own_sources(parts: Sequence[Batch], weight: float) -> list[Source]:
    """The private rows as sources; each part has its share of `weight` = α_ii by its number of rows.

    So that every private row counts alike, whatever variables it lacks: π_i is the mixture of the parts.

    Arguments:
        parts: batches over parts of the model's space.
        weight: α_ii; nothing is learned from the rows if it is 0.

    >>> from nashgossip.games import Space, Variable
    >>> c, x = Variable("c", "categorical", categories=2), Variable("x", "binary")
    >>> labelled = Space((c, x)).batch({"c": [1], "x": [0]})
    >>> unlabelled = Space((x,)).batch({"x": [1, 0, 0]})
    >>> [source.weight for source in own_sources([labelled, unlabelled], 0.4)]
    [0.1, 0.30000000000000004]
    """
    rows = sum(map(len, parts))
    if rows == 0 or weight <= 0:
        return []
    return [Source(part, weight * (len(part) / rows), own=True) for part in parts if part]


def heard_sources(heard: Mapping[Hashable, tuple[float, Sequence[Letter]]]) -> list[Source]:
    """What was heard as sources; the letters of one neighbour share its weight equally.

    Arguments:
        heard: neighbour → its weight and its letters.
    """
    return [Source(letter.batch, weight / len(letters)) for weight, letters in heard.values() for letter in letters]


def scaled(sources: Sequence[Source]) -> list[Source]:
    """The sources with weights that sum to 1; nothing where nothing has weight."""
    total = sum(source.weight for source in sources)
    if total == 0:
        return []
    return [Source(s.batch, s.weight / total, s.own) for s in sources] if total != 1.0 else list(sources)
