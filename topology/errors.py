"""What can be wrong with a graph of players: one exception a meaning, all of them `ValueError`."""

__all__ = [
    "AlphaError",
    "GeneratorError",
    "GraphError",
    "GraphFileError",
    "IsolatedPlayerError",
    "RowSumError",
    "SchemeError",
    "UnanchoredError",
    "name_some",
]

from collections.abc import Hashable, Iterable
from itertools import islice

_SHOWN = 10


class GraphError(ValueError):
    """The graph as a whole is not one that can be played on, or a player asked for is not in it.

    The parent of the precise errors below, which are about the weights of a graph of the right kind. Not
    `GraphFileError`: there is a graph.

    Attributes:
        players: the players (or the edges, for `AlphaError`) that the message is about, all of them.
    """

    def __init__(self, message: str, players: Iterable[Hashable] = ()) -> None:
        """Keep the culprits beside the message, which names only some of them."""
        super().__init__(message)
        self.players: tuple[Hashable, ...] = tuple(players)


class AlphaError(GraphError):
    """A single α is missing, not a number, not finite, or negative.

    Not `RowSumError`: that one is about α that are each fine but do not add up. Here `players` holds
    edges, or players whose self-weight or size is at fault.
    """


class RowSumError(GraphError):
    """The α into a player do not add up to 1.

    Not `AlphaError`: every α is a finite number ≥ 0. The remedy is `normalize`.
    """


class IsolatedPlayerError(GraphError):
    """A player has no edge to or from anyone, so it takes no part in the game.

    Not `UnanchoredError`: an isolated player may well have data of its own.
    """


class UnanchoredError(GraphError):
    """No real data reaches a player: nobody upstream of it, itself included, has α_jj > 0.

    The equilibrium would not be unique, and the player would drift and collapse. Not
    `IsolatedPlayerError`: the player may have many neighbours.
    """


class SchemeError(ValueError):
    """A scheme of `attach_alpha` without what it needs, or with what it does not use.

    Not `AlphaError`: the numbers were never made. Not `UnknownNameError`: there is such a scheme.
    """


class GeneratorError(ValueError):
    """Arguments that a generator of `generate_graph` does not take, or from which it makes no graph.

    Not `GraphError`: no graph was made. Not `UnknownNameError`: there is such a generator.
    """


class GraphFileError(ValueError):
    """A file that cannot be read, or written, as a graph: missing, empty, damaged, unsafe, of unknown format.

    Not `GraphError`: no graph was read.
    """


def name_some(names: Iterable[object]) -> str:
    """Up to ten names, then a count of the others.

    >>> name_some([3, "b"])
    "3, 'b'"
    >>> name_some(range(12))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    rest = iter(names)
    shown = ", ".join(repr(name) for name in islice(rest, _SHOWN))
    more = sum(1 for _ in rest)
    return f"{shown} and {more} more" if more else shown
