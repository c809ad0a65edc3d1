"""A speaker: what a player says, to whom and how often."""

__all__ = ["Move", "Speaker"]

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias, final

import numpy as np

from ..games import Batch, Gossip, Space, SpaceError
from .conduct import Occasion, Speech, Way
from .mailbox import Mailbox
from .message import Message

Rows: TypeAlias = Callable[[int], Batch]


@dataclass(frozen=True, eq=False, slots=True)
class Move:
    """What a move leaves for others.

    Arguments:
        number: the player's number of moves.
        messages: listener → message; none while the model knows nothing.
        requests: neighbours that are asked to answer.
        more: (listener, message) besides, of one who floods its listeners.
    """

    number: int
    messages: Mapping[Hashable, Message]
    requests: tuple[Hashable, ...] = ()
    more: tuple[tuple[Hashable, Message], ...] = ()


@final
class Speaker:
    """Makes a player's messages out of what its model generates, or of what its way makes of that.

    Arguments:
        name: what messages call the player.
        space: of its model.
        listeners: players that listen → variables that travel to them.
        samples: rows of a message.
        gossip: whom it tells or asks, and how often.
        way: what it says in place of what its model generates; None for an honest player.
        mailbox: what it has heard, which a way may use.
        streams: the player's random streams by purpose; those of `gossip` and `conduct` are drawn from here.

    Raises:
        SpaceError: a listener is to be sent a variable that the model lacks, or that may not be published.
    """

    def __init__(
        self,
        name: Hashable,
        space: Space,
        listeners: Mapping[Hashable, Space],
        *,
        samples: int,
        gossip: Gossip,
        way: Way | None,
        mailbox: Mailbox,
        streams: Mapping[str, np.random.Generator],
    ) -> None:
        published = space.publishable()
        for listener, asked in listeners.items():
            kept_back = [n for n in asked.names if published is None or n not in published]
            if kept_back:
                raise SpaceError(
                    f"player {name} is to send {', '.join(kept_back)} to player {listener}, but does not publish it; "
                    "change `publish` or the edge"
                )
        self.listeners = dict(listeners)
        self._name, self._space, self._samples, self._gossip, self._way = name, space, samples, gossip, way
        self._mailbox, self._streams = mailbox, streams
        self._sequence = 0
        self._turns = {"listeners": 0, "neighbours": 0}
        self._first: Batch | None = None

    def publish(self, number: int, neighbours: Sequence[Hashable], rows: Rows | None) -> Move:
        """What a move leaves for others.

        Arguments:
            number: the player's number of moves.
            neighbours: whom it may ask, in order.
            rows: makes n rows by the model; None while that knows nothing.
        """
        if number % self._gossip.every:
            return Move(number, {})
        requests = self._chosen("neighbours", neighbours) if self._gossip.pulls else ()
        if rows is None or not self.listeners or not self._gossip.pushes:
            return Move(number, {}, requests)
        told = self._chosen("listeners", list(self.listeners))
        if self._gossip.fresh:
            answers = {who: self._message(self.listeners[who], number, rows) for who in told}
            return Move(number, {who: m for who, m in answers.items() if m is not None}, requests)
        speech = self._speech(number, rows)
        if speech is None:
            return Move(number, {}, requests)
        messages = self._addressed(speech, told, 0)
        more = [item for k in range(1, speech.messages) for item in self._addressed(speech, told, k).items()]
        self._sequence += speech.messages
        return Move(number, messages, requests, tuple(more))

    def answer(self, listener: Hashable, number: int, rows: Rows | None) -> Message | None:
        """A fresh message for a listener that asks; None for a stranger, and from one who knows or says nothing.

        Arguments:
            listener: who asks.
            number, rows: as those of `publish`.
        """
        space = self.listeners.get(listener)
        return None if space is None or rows is None else self._message(space, number, rows)

    def number_from(self, sequence: int) -> None:
        """Numbers the publications to come from `sequence` on, or from where they are if that is higher."""
        self._sequence = max(self._sequence, sequence)

    def state(self) -> dict[str, Any]:
        """What the next message depends on besides the streams; `first` only if a way may come back to it."""
        return {
            **({} if self._first is None else {"first": {n: a.copy() for n, a in self._first.arrays.items()}}),
            "sequence": self._sequence,
            "turns": dict(self._turns),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restores `state()`; other keys than those of that are left alone."""
        self._sequence = index(state["sequence"])
        self._turns = {side: index(state["turns"][side]) for side in self._turns}
        self._first = self._space.batch(state["first"]) if "first" in state else None

    def _addressed(self, speech: Speech, told: Sequence[Hashable], number: int) -> dict[Hashable, Message]:
        """One of the messages that say it, to all who are told; one object for those who hear the same variables."""
        by_space: dict[int, Message] = {}
        messages: dict[Hashable, Message] = {}
        for listener in told:
            space = self.listeners[listener]
            message = by_space.get(id(space))
            if message is None:
                rows = speech.batch.restrict(space)
                message = by_space[id(space)] = Message.of(rows, sender=self._name, sequence=speech.sequence + number)
            messages[listener] = message
        return messages

    def _message(self, space: Space, number: int, rows: Rows) -> Message | None:
        speech = self._speech(number, rows)
        if speech is None:
            return None
        self._sequence += 1
        return Message.of(speech.batch.restrict(space), sender=self._name, sequence=speech.sequence)

    def _speech(self, number: int, rows: Rows) -> Speech | None:
        """What the model generates, or whatever the player's way makes of it; None for nothing."""
        if self._way is None:
            return Speech(rows(self._samples), self._sequence)
        heard = [letters[0].batch for letters in self._mailbox.read().values()]
        occasion = Occasion(rows, self._samples, number, self._sequence, heard, self._first, self._streams["conduct"])
        speech = self._way(occasion)
        if speech is not None and self._first is None:
            self._first = speech.batch
        return speech

    def _chosen(self, side: str, others: Sequence[Hashable]) -> tuple[Hashable, ...]:
        """All of `others`, or as many as the fan-out says, at random or in turn."""
        count = self._gossip.fan_out
        if count is None or count >= len(others):
            return tuple(others)
        if self._gossip.order == "random":
            positions = self._streams["gossip"].choice(len(others), size=count, replace=False)
            return tuple(others[k] for k in sorted(positions))
        first = self._turns[side]
        self._turns[side] = (first + count) % len(others)
        return tuple(others[(first + k) % len(others)] for k in range(count))
