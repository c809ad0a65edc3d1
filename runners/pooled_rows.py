"""The ideal that no player can reach: the private rows of all, as far as they are over one player's variables."""

__all__ = ["pooled_rows"]

from collections.abc import Sequence
from typing import TypeAlias

from ..games import Batch, Space

PrivateRows: TypeAlias = Batch | tuple[Batch, ...]


def pooled_rows(spaces: Sequence[Space], data: Sequence[PrivateRows]) -> list[tuple[Batch, ...]]:
    """Each player's own rows, and those of all others, less the variables that its model has not.

    A row stays as partial as it is: where its owner has not measured a variable, nobody has. Rows that share nothing
    with the model are left out. Every row counts alike. Real rows never leave a player of the game; it is the
    laboratory that brings them together here, to see what there is to be gained.

    Arguments:
        spaces: the variables of each player's model.
        data: its private rows.

    Raises:
        SpaceError: one name stands for different variables.

    >>> from nashgossip.games import Variable
    >>> c, x, y = Variable("c", "categorical", categories=2), Variable("x", "real"), Variable("y", "real")
    >>> rows = [Space((c, v)).batch({"c": [0, 1], v.name: [0.5, 1.5]}) for v in (x, y)]
    >>> [part.space.names for part in pooled_rows([Space((c, x)), Space((c, y))], rows)[0]]
    [('c', 'x'), ('c',)]
    """
    parts = [(rows,) if isinstance(rows, Batch) else rows for rows in data]
    found = []
    for k, space in enumerate(spaces):
        ordered = [parts[k], *parts[:k], *parts[k + 1 :]]
        shared = [(rows, space.intersection(rows.space)) for part in ordered for rows in part]
        found.append(tuple(rows.restrict(over) for rows, over in shared if over is not None))
    return found
