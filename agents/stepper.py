"""Rounds of the players of one process, in step with those of others: what each sends, awaits and answers."""

__all__ = ["Stepper"]

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias, final

from .ensemble import Ensemble
from .hosting import HostPlan
from .parcels import Bundle, Parcel, opened
from .peers import Peers
from .player import Player
from .turns import Turns

_Work: TypeAlias = Callable[[], list[Parcel]]
_Sending: TypeAlias = "list[asyncio.Future[Any]]"


@final
class Stepper:
    """Plays rounds without anyone in the middle.

    In round t every player sends what it published last, answers those who ask in the order of the graph, and moves
    once it has heard everything of round t. A neighbour that is ahead waits until it can be let in.

    Arguments:
        plan: what the actor is made from.
        ensemble: its players.
        peers: the actors of others.
        in_thread: calls a function beside the event loop, and gives its result.

    `held` is what the players have published and nobody has been sent yet.
    """

    def __init__(
        self,
        plan: HostPlan,
        ensemble: Ensemble,
        peers: Peers,
        in_thread: Callable[[_Work], Awaitable[list[Parcel]]],
    ) -> None:
        self._plan, self._ensemble, self._peers, self._in_thread = plan, ensemble, peers, in_thread
        self._turns = Turns()
        self._requests: list[tuple[Hashable, Hashable]] = []
        self.held: list[Parcel] = []
        self._rounds: asyncio.Task[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether rounds are played."""
        return self._rounds is not None and not self._rounds.done()

    @property
    def turn(self) -> int:
        """The turn under way; a round has one, or three where players of the game ask others."""
        return self._turns.turn

    @property
    def at(self) -> tuple[int, int]:
        """Generation and turn, where somebody who joins has to begin."""
        return self._turns.generation, self._turns.turn

    async def play(self, count: int) -> None:
        """Plays `count` rounds.

        Raises:
            ModelError: a model failed.
            TurnsEnded: play was broken off, see `end`.
            LookupError, Exception: a neighbour's actor is not there, or what it raised.
        """
        self._rounds = asyncio.create_task(self._play_rounds(count))
        await self._rounds

    async def hopeless(self, patience: float) -> bool:
        """Whether a neighbour whom the round under way needs is gone, or has given up before.

        Arguments:
            patience: seconds after which one who gives no answer is gone.
        """
        homes = self._others("neighbours") | self._others("listeners")
        found = await asyncio.gather(*(self._gone(home, patience) for home in homes))
        return any(found)

    async def take(
        self, source: int, generation: int, turn: int, sent: Bundle, beside: Sequence[Mapping[str, Any]]
    ) -> None:
        """Takes in what the players of the actor `source` send in a turn, when this one is there too.

        Raises:
            TurnsEnded: play was broken off, or this is of before.
        """

        def accept() -> None:
            for listener, message in opened(sent, beside):
                self._ensemble.receive(listener, message)
            self._requests += sent[1]

        await self._turns.take(source, generation, turn, accept)

    async def end(self) -> None:
        """Breaks off: whoever waits for a turn gets TurnsEnded, and of the rounds under way nothing more comes."""
        await self._turns.end()
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait([self._rounds])

    async def begin(self, generation: int, turn: int) -> None:
        """Goes on at a turn, in a new generation; the players and `held` are those of then."""
        self._requests = []
        await self._turns.begin(generation, turn)

    async def _play_rounds(self, count: int) -> None:
        try:
            for _ in range(count):
                sending: _Sending = []
                try:
                    await self._play_round(sending)
                    await asyncio.gather(*sending)
                except BaseException:
                    for sent in sending:
                        sent.cancel()
                    await asyncio.gather(*sending, return_exceptions=True)
                    raise
        except asyncio.CancelledError:
            self._turns.require()
            raise

    async def _play_round(self, sending: _Sending) -> None:
        """Plays one round; what is on its way to others is added to `sending`."""
        speakers, listeners = self._others("neighbours"), self._others("listeners")
        sending.append(self._exchange([p for p in self.held if p.message is not None], listeners))
        await self._heard(speakers, sending)
        if self._plan.pulls:
            await self._turns.advance()
            sending.append(self._exchange([p for p in self.held if p.message is None], speakers))
            await self._heard(listeners, sending)
            requests, self._requests = self._requests, []
            answers = await self._in_thread(lambda: self._ensemble.answers(requests))
            await self._turns.advance()
            sending.append(self._exchange(answers, listeners))
            await self._heard(speakers, sending)
        self.held = await self._in_thread(lambda: self._ensemble.publications(Player.move))
        await self._turns.advance()

    async def _heard(self, homes: set[int], sending: _Sending) -> None:
        """Waits until these have been heard in this turn, or somebody cannot be reached: it will not be heard either.

        Raises:
            TurnsEnded: play was broken off.
            LookupError, Exception: what came of the sending.
        """
        heard = asyncio.create_task(self._turns.heard(homes))
        waiting: set[asyncio.Future[Any]] = {heard, *sending}
        try:
            while not heard.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
        finally:
            heard.cancel()
            await asyncio.gather(heard, return_exceptions=True)

    def _exchange(self, parcels: list[Parcel], homes: set[int]) -> "asyncio.Future[Any]":
        """Delivers what stays here, and sends each of the other actors its part, which may be nothing."""
        parts: dict[int, list[Parcel]] = {home: [] for home in homes}
        for parcel in parcels:
            if parcel.listener in self._ensemble.players:
                if parcel.message is None:
                    self._requests.append((parcel.sender, parcel.listener))
                else:
                    self._ensemble.deliver([parcel])
            elif (home := self._plan.homes[parcel.listener]) in parts:
                parts[home].append(parcel)
        turn = self._turns.generation, self._turns.turn
        return asyncio.gather(*(self._send(home, *turn, part) for home, part in parts.items()))

    async def _send(self, home: int, generation: int, turn: int, parcels: list[Parcel]) -> None:
        await self._peers.call(home, "take_turn", parcels, self._plan.index, generation, turn)
        for parcel in parcels:
            self._ensemble.count(parcel)

    async def _gone(self, home: int, patience: float) -> bool:
        turn = self._turns.turn
        try:
            playing, its_turn = await asyncio.wait_for(self._peers.ask(home, "standing"), patience)
        except Exception:  # whatever comes of it: nobody is there to take a turn
            return True
        return not playing and its_turn <= turn

    def _others(self, side: str) -> set[int]:
        """The other actors in which those live whom players here listen to (`neighbours`), or tell (`listeners`)."""
        seats = self._plan.wirings[self._ensemble.wiring]
        homes = {self._plan.homes[p] for seat in seats for p in getattr(seat, side)}
        return homes - {self._plan.index}
