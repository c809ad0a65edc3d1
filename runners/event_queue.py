"""What happens next in a simulated world: a queue of events with a total order, which is saved with the messages."""

__all__ = ["CHANGE", "DELIVER", "MOVE", "OBSERVE", "REQUEST", "EventQueue", "moment"]

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping
from operator import index
from typing import Any, final

from ..agents import Message

CHANGE, MOVE, OBSERVE, REQUEST, DELIVER = range(5)
"""Priorities of events at one moment. Everyone moves before anything that was published then arrives."""

_PLAYERS_IN = {"move": 1, "deliver": 2, "request": 2, "event": 1, "link": 2, "churn": 1, "graph": 0}
"""How many players the data of an event begin with."""


def moment(value: Any, earliest: float = 0.0) -> float:
    """A saved time.

    Raises:
        ValueError: it is no number of at least `earliest`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= earliest:
        raise ValueError(f"a time is {value!r:.60}, expected a number of at least {earliest:g}")
    return float(value)


_REST: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "move": (index,),
    "request": (),
    "event": (str,),
    "link": (),
    "churn": (),
    "graph": (moment,),
}
"""How the other data of an event are read back."""


@final
class EventQueue:
    """Events ordered by time, then priority, then in the order in which they were put.

    Arguments:
        players: all players, in the order of the game; saved events name them by position.

    >>> queue = EventQueue(["a", "b"])
    >>> queue.put(2.0, MOVE, "move", "a", 0); queue.put(2.0, CHANGE, "churn", "b")
    >>> queue.take((2.0, OBSERVE)), queue.take((2.0, OBSERVE)), queue.take((2.0, OBSERVE))
    ((2.0, 'churn', ('b',)), (2.0, 'move', ('a', 0)), None)
    """

    def __init__(self, players: Iterable[Hashable]) -> None:
        self._names = dict(enumerate(players))
        self._positions = {player: position for position, player in self._names.items()}
        self._events: list[tuple[float, int, int, str, tuple[Any, ...]]] = []
        self._sequence = 0

    def put(self, at: float, priority: int, kind: str, *data: Any) -> None:
        """Adds an event; its data begin with the players it is about."""
        heapq.heappush(self._events, (at, priority, self._sequence, kind, data))
        self._sequence += 1

    def take(self, limit: tuple[float, int]) -> tuple[float, str, tuple[Any, ...]] | None:
        """Takes out the next event: time, kind and data; None if there is none before a time and priority."""
        events = self._events
        if not events or events[0][:2] >= limit:
            return None
        at, _, _, kind, data = heapq.heappop(events)
        return at, kind, data

    def state(self) -> dict[str, Any]:
        """All events, messages on their way included; players by position."""
        events = [[at, rank, number, kind, self._pack(kind, data)] for at, rank, number, kind, data in self._events]
        return {"sequence": self._sequence, "queue": events}

    def load(self, state: Mapping[str, Any], earliest: float) -> None:
        """Goes on exactly as the queue whose `state()` this is; no event is before the time `earliest`.

        Raises:
            AttributeError, LookupError, TypeError, ValueError: it is no such state.
        """
        self._sequence = index(state["sequence"])
        self._events = [
            (moment(at, earliest), index(rank), index(number), kind, self._unpack(kind, data))
            for at, rank, number, kind, data in state["queue"]
        ]
        numbers = {number for _, _, number, _, _ in self._events}
        if len(numbers) < len(self._events) or max(numbers, default=-1) >= self._sequence:
            raise ValueError("events of the queue have numbers that others have, or will have")
        heapq.heapify(self._events)

    def _pack(self, kind: str, data: tuple[Any, ...]) -> list[Any]:
        count = _PLAYERS_IN[kind]
        packed = [*(self._positions[p] for p in data[:count]), *data[count:]]
        if kind == "deliver":
            _, number, arrays = packed.pop().wire()
            packed += [number, arrays]
        return packed

    def _unpack(self, kind: str, data: list[Any]) -> tuple[Any, ...]:
        names = self._names
        if kind == "deliver":
            sender, listener, number, arrays = data
            return names[sender], names[listener], Message.received(names[sender], number, dict(arrays))
        count, rest = _PLAYERS_IN[kind], _REST[kind]
        if len(data) != count + len(rest):
            raise ValueError(f"an event {kind!r} has {len(data)} values")
        return (*(names[k] for k in data[:count]), *(read(one) for read, one in zip(rest, data[count:], strict=True)))
