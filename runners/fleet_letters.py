"""Which letter a listener holds when it moves: publications of a slice of time, found by channel and moment."""

__all__ = ["Deliveries", "Listeners", "Slots", "gather"]

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Deliveries:
    """What is published in a slice of time and gets through, in the order of publication.

    A channel is where a listener looks for the newest letter of a neighbour: the neighbour itself where all hear the
    same, else the edge.

    Arguments:
        channel: `[D]`.
        moment: `[D]`, time since the slice began, rising.
        event: `[D]`, number of the move in its slice that the publication belongs to, rising.
        row: `[D]`, where the sample mean stands in `values`.
        values: `[rows, d]`, filled as players move.
    """

    channel: Ints
    moment: NDArray[np.float64]
    event: Ints
    row: Ints
    values: NDArray[Any]

    def newest_of_all(self) -> tuple[Ints, Ints, Ints]:
        """Each channel that has a delivery, how many it has, and the number of the newest."""
        order = np.argsort(self.channel, kind="stable")
        ordered = self.channel[order]
        ends = np.flatnonzero(np.diff(ordered, append=-1))
        return ordered[ends], np.diff(ends, prepend=-1), order[ends]


@final
class Slots:
    """Finds the newest delivery on a channel before a moment, without a search: each channel that has any has a slot.

    Arguments:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        self._slot = np.full(channels, -1, np.int32)

    def newest(self, deliveries: Deliveries, channel: Ints, moment: NDArray[np.float64]) -> Ints:
        """For each reading, the newest delivery on `channel` `[R]` earlier than `moment` `[R]`; −1 for none: `[R]`."""
        order = np.argsort(deliveries.channel, kind="stable")
        ordered = deliveries.channel[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        counts = np.diff(starts, append=len(ordered))
        used = ordered[starts]
        self._slot[used] = np.arange(len(used), dtype=np.int32)
        slot = self._slot[channel]
        self._slot[used] = -1
        found = np.full(len(channel), -1, np.int64)
        left = np.flatnonzero(slot >= 0)
        turn = 0
        while len(left):
            place = slot[left]
            some = turn < counts[place]
            left, place = left[some], place[some]
            candidate = order[starts[place] + turn]
            earlier = deliveries.moment[candidate] < moment[left]
            left = left[earlier]
            found[left] = candidate[earlier]
            turn += 1
        return found


@final
class Listeners:
    """The edges of each speaker, and a choice of them.

    Arguments:
        speakers: `[E]`, the speaker of each edge.
        players: number of players.
    """

    def __init__(self, speakers: NDArray[Any], players: int) -> None:
        self._edges = np.argsort(speakers, kind="stable")
        self._pointers = np.concatenate([[0], np.cumsum(np.bincount(speakers, minlength=players))])

    def chosen(self, player: Ints, fan_out: int | None, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """The edges along which publications of these players go, and the number of the publication for each.

        All edges of the player, or `fan_out` of them at random, without replacement.
        """
        places, ends = gather(self._pointers, player)
        counts = np.diff(ends)
        event = np.repeat(np.arange(len(player)), counts)
        if fan_out is not None and (counts > fan_out).any():
            shuffled = np.argsort(event + rng.random(len(event)))
            rank = np.arange(len(event)) - np.repeat(ends[:-1], counts)
            kept = np.sort(shuffled[rank < fan_out])
            places, event = places[kept], event[kept]
        return self._edges[places], event


def gather(pointers: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Positions of all entries of the given rows of a compressed sparse matrix, one row after the other.

    Returns:
        Positions, `[R]`, and pointers into them, `[len(rows) + 1]`.

    >>> gather(np.array([0, 2, 2, 5]), np.array([2, 0]))
    (array([2, 3, 4, 0, 1]), array([0, 3, 5]))
    """
    low = pointers[rows]
    counts = pointers[rows + 1] - low
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    return np.arange(ends[-1]) + np.repeat(low - ends[:-1], counts), ends
