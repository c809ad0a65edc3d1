"""Figures of all players as arrays, which look like a sequence of players to those who ask for one."""

__all__ = ["PlayerArrays", "total_moves", "total_rejected"]

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final, overload

import numpy as np
from numpy.typing import NDArray

from .observation import PlayerView


@final
class PlayerArrays(Sequence[PlayerView]):
    """A sequence of `PlayerView` that holds arrays, and makes a view only when it is asked for one.

    Arguments:
        moves: moves made, `[N]`.
        mean: mean parameters, `[N, size]`.
        letters: what became of messages, name → `[N]`; what is not followed is missing.
        staleness: mean age of the letters held, one number for all; NaN where it is not followed.
    """

    def __init__(
        self, moves: NDArray[np.int64], mean: NDArray[Any], letters: Mapping[str, NDArray[np.int64]], staleness: float
    ) -> None:
        self.moves, self.mean, self.letters, self.staleness = moves, mean, letters, staleness

    def __len__(self) -> int:
        return len(self.moves)

    @overload
    def __getitem__(self, at: int) -> PlayerView: ...
    @overload
    def __getitem__(self, at: slice) -> list[PlayerView]: ...
    def __getitem__(self, at: int | slice) -> PlayerView | list[PlayerView]:
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(len(self)))]
        return PlayerView(
            int(self.moves[at]),
            np.asarray(self.mean[at], np.float64),
            {name: int(counts[at]) for name, counts in self.letters.items()},
            {},
            self.staleness,
        )

    def __iter__(self) -> Iterator[PlayerView]:
        return (self[k] for k in range(len(self)))


def total_moves(players: Sequence[PlayerView]) -> int:
    """Moves of all players together."""
    if isinstance(players, PlayerArrays):
        return int(players.moves.sum())
    return sum(p.moves for p in players)


def total_rejected(players: Sequence[PlayerView]) -> int:
    """Messages that all players together refused."""
    return 0 if isinstance(players, PlayerArrays) else sum(sum(p.rejected.values()) for p in players)
