"""Sources out of private rows: the parts of a player's data, with shares of its weight in proportion to their rows."""

__all__ = ["own_sources", "scaled"]

from collections.abc import Sequence

from ..games import Batch
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


def scaled(sources: Sequence[Source]) -> list[Source]:
    """The sources with weights that sum to 1; nothing where nothing has weight."""
    total = sum(source.weight for source in sources)
    if total == 0:
        return []
    return [Source(s.batch, s.weight / total, s.own) for s in sources] if total != 1.0 else list(sources)
