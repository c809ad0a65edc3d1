"""Poisson clocks of the players of one process: whose turn it is, in the order of their ticks."""

__all__ = ["Clocks"]

import heapq
from collections.abc import Callable, Hashable, Iterable
from typing import final


@final
class Clocks:
    """One clock a player, which ticks at the events of a Poisson process.

    A process that cannot keep up serves the ticks in their order, late, so that who moves when is still decided by the
    clocks alone; when it is more than a mean period behind, all its clocks stop until it has caught up.

    Arguments:
        rate: ticks per second; None for players that take turns without pause.
        pause: player → seconds to its next tick, drawn anew at each call.
        now: the time at the start, in seconds.

    >>> clocks = Clocks(None, pause=lambda player: 0.0, now=0.0)
    >>> clocks.start(["a", "b"], 0.0)
    >>> [clocks.due(0.0) for _ in range(3)]
    ['a', 'b', 'a']
    """

    def __init__(self, rate: float | None, pause: Callable[[Hashable], float], now: float) -> None:
        self._rate, self._pause = rate, pause
        self._behind = now
        self._queue: list[tuple[float, int, Hashable]] = []
        self._count = 0

    def start(self, players: Iterable[Hashable], now: float) -> None:
        """Starts the clocks of players."""
        taking_turns = self._rate is None and self._queue  # who joins them has to be where they are
        begin = self._queue[0][0] if taking_turns else self._time(now)
        for player in players:
            self._schedule(player, begin)

    def stop(self, player: Hashable) -> None:
        """Stops the clock of a player."""
        self._queue = [entry for entry in self._queue if entry[2] != player]
        heapq.heapify(self._queue)

    def due(self, now: float) -> Hashable | None:
        """A player whose clock has ticked, the earliest first, and whose next tick is drawn; None if there is none."""
        if not self._queue or self._queue[0][0] > self._time(now):
            return None
        tick, _, player = heapq.heappop(self._queue)
        slack = 0.0 if self._rate is None else 1.0 / self._rate
        self._behind += max(0.0, self._time(now) - tick - slack)
        self._schedule(player, tick)
        return player

    def wait(self, now: float) -> float | None:
        """Seconds to the next tick, at least 0; None if no clock goes."""
        return max(0.0, self._queue[0][0] - self._time(now)) if self._queue else None

    def _time(self, now: float) -> float:
        """The time of the clocks, which began at 0 and was stopped now and then."""
        return now - self._behind

    def _schedule(self, player: Hashable, after: float) -> None:
        pause = 0.0 if self._rate is None else self._pause(player)
        heapq.heappush(self._queue, (after + pause, self._count, player))
        self._count += 1
