"""The players of one process: they move one after the other, and hear each other without a wire."""

__all__ = ["Ensemble"]

import threading
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, final

from .hosting import Archive
from .message import Message
from .model_errors import ModelError
from .parcels import Parcel, parcels_of
from .player import Player
from .protocols import State
from .seat import Seat
from .speaker import Move

T = TypeVar("T")


def _raised(player: Hashable, error: ModelError) -> NoReturn:
    raise error


@final
class Ensemble:
    """Players that live together. Whoever runs them decides when they move.

    Arguments:
        wirings: for each graph in turn, the seats of the players.
        absent: for each graph, who is not there.
        positions: player → position in the graph's order, for saved messages and the order of answers.
        wiring: number of the graph in force.
        silent: players who publish and answer nothing any more; looked at each time.
        failed: told whose model failed, and how. Unless it raises, that player publishes or answers nothing, and the
            others go on. By default it raises the error.
        archive: keeps what they have published; None keeps nothing.
    """

    def __init__(
        self,
        wirings: Sequence[Sequence[Seat]],
        absent: Sequence[frozenset[Hashable]],
        positions: Mapping[Hashable, int],
        wiring: int = 0,
        *,
        silent: Container[Hashable] = frozenset(),
        failed: Callable[[Hashable, ModelError], None] = _raised,
        archive: Archive | None = None,
    ) -> None:
        self._silent, self._failed, self._archive = silent, failed, archive
        self._wirings, self._absent, self._positions = wirings, absent, dict(positions)
        self.wiring = wiring
        self.players: dict[Hashable, Player] = {
            seat.name: seat.build() for seat in wirings[wiring] if seat.name not in absent[wiring]
        }
        self._away: dict[Hashable, Player] = {}
        self.sent: Counter[Hashable] = Counter()
        self.bytes: Counter[Hashable] = Counter()
        self._counting = threading.Lock()

    def move(self, player: Hashable) -> list[Parcel]:
        """Moves one player, and delivers what it publishes to those who are here; the parcels for others."""
        return self.deliver(self.publication(player, Player.move))

    def publications(self, make: Callable[[Player], Move]) -> list[Parcel]:
        """What all players publish by `make`, in their order, not delivered to anybody yet."""
        return [parcel for name in self.players for parcel in self.publication(name, make)]

    def publication(self, player: Hashable, make: Callable[[Player], Move]) -> list[Parcel]:
        """What one player publishes by `make`, not delivered to anybody yet."""
        move = self._asked(player, make)
        return [] if move is None else list(parcels_of(player, move))

    def deliver(self, parcels: Iterable[Parcel]) -> list[Parcel]:
        """Hands parcels to those who are here, and answers requests at once; the parcels for others."""
        others = []
        for parcel in parcels:
            listener = self.players.get(parcel.listener)
            if listener is None:
                if parcel.listener not in self._away:
                    others.append(parcel)
            elif parcel.message is not None:
                listener.receive(parcel.message)
                self.count(parcel)
            else:
                others += self.deliver(self._answer(parcel.listener, parcel.sender))
        return others

    def answers(self, requests: Iterable[tuple[Hashable, Hashable]]) -> list[Parcel]:
        """Answers to requests (asker, neighbour), drawn in the order of the askers whatever that of the requests."""
        order = sorted(requests, key=lambda pair: self._positions[pair[0]])
        return [parcel for asker, neighbour in order for parcel in self._answer(neighbour, asker)]

    def receive(self, listener: Hashable, message: Message) -> None:
        """Takes in what came from another process; nothing for a player that is not here."""
        player = self.players.get(listener)
        if player is not None:
            player.receive(message)

    def count(self, parcel: Parcel) -> None:
        """Notes that a message has arrived."""
        if parcel.message is not None:
            size = parcel.message.nbytes
            with self._counting:  # those who are here and those elsewhere are counted in two threads
                self.sent[parcel.sender] += 1
                self.bytes[parcel.sender] += size
                if self._archive is not None:
                    self._archive.add(parcel.sender, parcel.listener, parcel.message)

    def published(self) -> Any:
        """What is kept of the publications; None if nothing is."""
        with self._counting:
            return None if self._archive is None else self._archive.batches

    def rewire(self, wiring: int) -> list[Parcel]:
        """Goes over to another graph: players join, leave, or listen to others.

        A player that comes back goes on from where it was.

        Returns:
            The first publications of those who join, not delivered to anybody yet.
        """
        self.wiring = wiring
        here: dict[Hashable, Player] = {}
        opened: list[Player] = []
        for seat in self._wirings[wiring]:
            player = self.players.get(seat.name) or self._away.pop(seat.name, None)
            absent = seat.name in self._absent[wiring]
            if player is not None:
                player.rewire(seat.self_weight, seat.neighbours, seat.listeners)
            elif absent:
                continue
            else:
                player = seat.build()
                opened.append(player)
            (self._away if absent else here)[seat.name] = player
        self.players = here
        return [parcel for player in opened for parcel in self.publication(player.name, Player.open)]

    def state(self) -> dict[str, Any]:
        """Everything that the next moves depend on."""
        with self._counting:
            sent, sizes = dict(self.sent), dict(self.bytes)
            kept = {} if self._archive is None else {"published": self._archive.state()}
        return {
            **kept,
            "wiring": self.wiring,
            "players": [[self._positions[name], player.state()] for name, player in self.players.items()],
            "away": [[self._positions[name], player.state()] for name, player in self._away.items()],
            "sent": [[self._positions[name], count] for name, count in sent.items()],
            "bytes": [[self._positions[name], count] for name, count in sizes.items()],
        }

    def load(self, state: State) -> None:
        """Goes on as the ensemble of the same seats whose `state()` this is."""
        names = {position: name for name, position in self._positions.items()}
        seats = {seat.name: seat for seat in self._wirings[state["wiring"]]}
        self.wiring = state["wiring"]
        known = self.players | self._away
        found: dict[str, dict[Hashable, Player]] = {"players": {}, "away": {}}
        for side, players in found.items():
            for position, saved in state[side]:
                seat = seats[names[position]]
                player = known.get(seat.name) or seat.build()
                player.rewire(seat.self_weight, seat.neighbours, seat.listeners)
                player.load(saved)
                players[seat.name] = player
        self.players, self._away = found["players"], found["away"]
        self.sent = Counter({names[position]: count for position, count in state["sent"]})
        self.bytes = Counter({names[position]: count for position, count in state["bytes"]})
        if self._archive is not None:
            self._archive.load(state["published"])

    def restart(self, player: Hashable, state: State) -> None:
        """Takes one player back to its part of a `state()`; what it spent of a budget of privacy stays spent.

        Raises:
            LookupError: the state has no such player.
        """
        position = self._positions[player]
        everybody = [*state["players"], *state["away"]]  # it may have come back since
        saved = next((one for place, one in everybody if place == position), None)
        if saved is None:
            raise LookupError(f"the checkpoint has no player {player}")
        self._wire(player, state["wiring"])  # the letters are those of its neighbours of then
        self.players[player].take_back(saved)
        self._wire(player, self.wiring)

    def packed(self, parcels: Iterable[Parcel]) -> list[Any]:
        """Parcels as a tree of plain values, for a checkpoint."""
        order = self._positions
        return [
            [order[p.sender], order[p.listener], *([None, {}] if p.message is None else p.message.wire()[1:])]
            for p in parcels
        ]

    def unpacked(self, saved: Iterable[Any]) -> list[Parcel]:
        """The parcels of `packed`."""
        names = {position: name for name, position in self._positions.items()}
        return [
            Parcel(names[a], names[b], None if number is None else Message.received(names[a], number, arrays))
            for a, b, number, arrays in saved
        ]

    def _wire(self, player: Hashable, wiring: int) -> None:
        seat = next(seat for seat in self._wirings[wiring] if seat.name == player)
        self.players[player].rewire(seat.self_weight, seat.neighbours, seat.listeners)

    def _answer(self, player: Hashable, asker: Hashable) -> list[Parcel]:
        """The answer of a player; nothing if it is not here, or has none."""
        answer = self._asked(player, lambda asked: asked.answer(asker)) if player in self.players else None
        return [] if answer is None else [Parcel(player, asker, answer)]

    def _asked(self, player: Hashable, ask: Callable[[Player], T]) -> T | None:
        """What a player gives; None if it is silent, or its model fails."""
        if player in self._silent:
            return None
        try:
            return ask(self.players[player])
        except ModelError as error:
            self._failed(player, error)
            return None
