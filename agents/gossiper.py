"""Asynchronous play of the players of one process: each moves at its own pace, while messages arrive."""

__all__ = ["Gossiper"]

import asyncio
import time
from collections.abc import Hashable, Iterable
from typing import final

from .clocks import Clocks
from .ensemble import Ensemble
from .failures import Failures
from .hosting import HostPlan
from .keeper import Keeper
from .outbox import Outbox
from .parcels import Parcel
from .side_thread import SideThread

_SLICE_S = 0.002
_QUICK_S = 0.0005


@final
class Gossiper:
    """Moves players at the ticks of Poisson clocks, or without pause, until it is stopped, and saves now and then.

    Arguments:
        plan: what the actor is made from.
        ensemble: its players.
        failures: who was set aside, and what ended play.
        keeper: of its checkpoints.
        outbox: takes what is published for others.
        thread: in which models learn.
    """

    def __init__(
        self,
        plan: HostPlan,
        ensemble: Ensemble,
        failures: Failures,
        keeper: Keeper,
        outbox: Outbox,
        thread: SideThread,
    ) -> None:
        self._plan, self._ensemble, self._failures, self._keeper = plan, ensemble, failures, keeper
        self._outbox, self._thread = outbox, thread
        self._clocks = Clocks(plan.rate, self._pause, time.monotonic())
        self._playing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._quick = False

    def start(self) -> None:
        """Begins to move, or goes on after `stop`; nothing if it plays."""
        if self._playing is None or self._playing.done():
            self._stopping.clear()
            for player in self._ensemble.players:
                self._clocks.stop(player)
            self._wind(self._ensemble.players)
            self._playing = asyncio.create_task(self._play())

    async def stop(self) -> None:
        """Ends play after the move under way, and once the messages on their way have arrived.

        Raises:
            Exception: what ended play before.
        """
        self._stopping.set()
        if self._playing is not None:
            await self._playing
        self._outbox.clear()
        await self._outbox.sent()

    def require_sound(self) -> None:
        """Raises what has ended play though nobody stopped it."""
        if self._playing is not None and self._playing.done() and not self._stopping.is_set():
            self._playing.result()

    def rewired(self, before: Iterable[Hashable]) -> None:
        """The ensemble has gone over to another graph; `before` are the players that it had."""
        before = set(before)
        for player in before - self._ensemble.players.keys():
            self._clocks.stop(player)
        if self._playing is not None:
            self._wind(p for p in self._ensemble.players if p not in before)

    def _wind(self, players: Iterable[Hashable]) -> None:
        """Starts the clocks of those of these players who have not been set aside."""
        self._clocks.start([p for p in players if p not in self._failures.aside], time.monotonic())

    async def _play(self) -> None:
        while not self._stopping.is_set() and self._failures.ended is None:
            wait = self._clocks.wait(time.monotonic())
            if wait is None or wait > 0:
                await self._sleep(1.0 if wait is None else min(wait, 1.0))
            else:
                quick = self._quick and not self._thread.busy
                self._outbox.post(self._moves() if quick else await self._thread.run(self._moves))
                await asyncio.sleep(0)  # the loop has its turn, also where nothing is to be sent
                if self._plan.rate is None:
                    await self._outbox.room()
            if self._outbox.failure is not None:
                raise self._outbox.failure
            if self._keeper.due:
                await self._thread.run(self._keeper.attempt)

    def _moves(self) -> list[Parcel]:
        """Moves the players whose turn it is, for a millisecond or two; what they leave for other processes.

        The event loop works on while a model learns in the other thread. Moves that are over sooner than another thread
        could take them up are made between two messages, without it. Players who never pause move when what they have
        to send is on its way.
        """
        parcels: list[Parcel] = []
        began, moves = time.monotonic(), 0
        until = began + _SLICE_S
        while (now := time.monotonic()) < until and (player := self._clocks.due(now)) is not None:
            spent = self._ensemble.players[player].spending
            parcels += self._ensemble.move(player)
            if self._ensemble.players[player].spending != spent:
                self._keeper.save()  # before anybody hears of it: who is taken back has spent it all the same
            if player in self._failures.aside:
                self._clocks.stop(player)
            moves += 1
            if self._failures.ended is not None or (parcels and self._plan.rate is None):
                break
        self._quick = time.monotonic() - began < _QUICK_S * max(moves, 1)
        return parcels

    def _pause(self, player: Hashable) -> float:
        rate = self._plan.rate
        return 0.0 if rate is None else self._ensemble.players[player].pause(rate)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
