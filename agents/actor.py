"""A player as a Ray actor: it moves at its own pace while messages arrive, and talks to its neighbours itself."""

__all__ = ["PlayerActor", "Report"]

import asyncio
from collections import Counter
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError

from ..games import Batch
from .inspection import RegretEstimate
from .message import Message
from .player import Move
from .protocols import State
from .scores import Scores
from .seat import Seat

Wire = tuple[Hashable, int, dict[str, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class Report:
    """What the laboratory reads of a player at one moment.

    Arguments:
        moves: moves made.
        mean: mean parameters, `[size]`, or None.
        sent: messages delivered to neighbours.
        bytes: bytes of their values.
        superseded: messages replaced by newer ones before they could be sent.
        unreachable: messages that could not be delivered, because the neighbour's actor is dead.
        letters: counts of the mailbox.
        rejected: refused messages by reason.
        staleness: mean age of the letters held, in moves.
    """

    moves: int
    mean: NDArray[np.float64] | None
    sent: int
    bytes: int
    superseded: int
    unreachable: int
    letters: Mapping[str, int]
    rejected: Mapping[str, int]
    staleness: float


@final
class PlayerActor:
    """Runs one `Player` in a process of its own; made with `ray.remote(PlayerActor)`.

    Learning runs in a thread beside the event loop, so that messages arrive meanwhile. Sending is fire-and-forget: at
    most one message is on its way to a neighbour, and a newer one replaces an older one that waits.

    Arguments:
        seat: what the player is built from.
    """

    def __init__(self, seat: Seat) -> None:
        self._name = seat.name
        self._player = seat.build()
        self._peers: dict[Hashable, Any] = {}
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._waiting: dict[Hashable, Message] = {}
        self._sending: dict[Hashable, asyncio.Task[None]] = {}
        self._counts: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._failure: Exception | None = None
        self._round = 0
        self._last: Move | None = None
        self._heard: set[Hashable] = set()
        self._senders = set(seat.neighbours)
        self._turn = asyncio.Condition()

    async def connect(self, peers: Mapping[Hashable, Any]) -> None:
        """Learns the actor handles of the players that listen."""
        self._peers = dict(peers)

    async def open(self) -> None:
        """Makes the first publication, without sending it."""
        self._last = await self._in_thread(self._player.open)

    async def introduce(self) -> None:
        """Delivers the first publication to all listeners, so that nobody moves before it has heard its neighbours."""
        if self._last is not None:
            self._post(self._last)
        await asyncio.gather(*self._sending.values())

    async def gossip(self, rate: float | None) -> None:
        """Moves asynchronously until `stop`: at the ticks of a Poisson clock of `rate` per second, or without pause.

        Raises:
            ModelError: the model failed.
        """
        while not self._stopping.is_set():
            await self._pause(rate)
            if not self._stopping.is_set():
                self._post(await self._in_thread(self._player.move))
            if self._failure is not None:
                raise self._failure
        await asyncio.gather(*self._sending.values())

    async def stop(self) -> None:
        """Ends `gossip` after the move under way, and once the messages on their way have arrived."""
        self._stopping.set()
        self._waiting.clear()

    async def deliver(self, sender: Hashable, sequence: int, content: Mapping[str, Any]) -> str | None:
        """Takes a message in; the reason if it was refused."""
        return self._player.receive(Message.received(sender, sequence, content))

    async def play_rounds(self, count: int) -> None:
        """Plays `count` rounds in step with the neighbours, without anyone in the middle.

        In round t every player sends what it published last and moves once it has heard all its neighbours of round
        t. A neighbour that is a round ahead waits until its message can be taken in.

        Raises:
            ModelError: the model failed.
        """
        for _ in range(count):
            messages = self._last.messages if self._last is not None else {}
            sends = [self._send_round(listener, messages.get(listener)) for listener in self._peers]
            sending = asyncio.gather(*sends)
            async with self._turn:
                await self._turn.wait_for(lambda: self._heard >= self._senders)
            self._last = await self._in_thread(self._player.move)
            async with self._turn:
                self._heard.clear()
                self._round += 1
                self._turn.notify_all()
            await sending

    async def deliver_round(self, sender: Hashable, number: int, message: Wire | None) -> None:
        """Takes in what a neighbour sends in a round (None if it has nothing to say), when this player is there too."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._round == number)
            if message is not None:
                self._player.receive(Message.received(*message))
            self._heard.add(sender)
            self._turn.notify_all()

    async def report(self) -> Report:
        """What the laboratory's instruments read."""
        player = self._player
        return Report(
            moves=player.moves,
            mean=player.mean_parameters,
            sent=self._counts["sent"],
            bytes=self._counts["bytes"],
            superseded=self._counts["superseded"],
            unreachable=self._counts["unreachable"],
            letters=dict(player.mailbox.counts),
            rejected=dict(player.rejected),
            staleness=player.mailbox.staleness(player.moves),
        )

    async def measure(self, n: int) -> dict[str, NDArray[Any]] | None:
        """n rows that the model generates for measurement; None while it knows nothing."""
        batch = await self._in_thread(lambda: self._player.measure(n))
        return None if batch is None else dict(batch.arrays)

    async def held_out(self) -> float | None:
        """See `Player.held_out`."""
        value: float | None = await self._in_thread(self._player.held_out)
        return value

    async def estimate_regret(self, steps: int) -> RegretEstimate | None:
        """See `Player.estimate_regret`."""
        found: RegretEstimate | None = await self._in_thread(lambda: self._player.estimate_regret(steps))
        return found

    async def score(self, test: Batch, label: str) -> Scores | None:
        """See `Player.score`."""
        found: Scores | None = await self._in_thread(lambda: self._player.score(test, label))
        return found

    async def state(self) -> State:
        """See `Player.state`."""
        state: State = await self._in_thread(self._player.state)
        return state

    async def _in_thread(self, call: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    async def _pause(self, rate: float | None) -> None:
        if rate is None:
            await asyncio.sleep(0)
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), self._player.pause(rate))
        except TimeoutError:
            return

    def _post(self, move: Move) -> None:
        for listener, message in move.messages.items():
            if listener in self._sending and not self._sending[listener].done():
                self._counts["superseded"] += listener in self._waiting
                self._waiting[listener] = message
            else:
                self._sending[listener] = asyncio.create_task(self._send(listener, message))

    async def _send(self, listener: Hashable, message: Message | None) -> None:
        while message is not None:
            try:
                await self._peers[listener].deliver.remote(*message.wire())
                self._count(message)
            except RayActorError:
                self._counts["unreachable"] += 1
            except Exception as error:
                self._failure = error
                return
            message = self._waiting.pop(listener, None)

    async def _send_round(self, listener: Hashable, message: Message | None) -> None:
        await self._peers[listener].deliver_round.remote(self._name, self._round, message.wire() if message else None)
        if message is not None:
            self._count(message)

    def _count(self, message: Message) -> None:
        self._counts["sent"] += 1
        self._counts["bytes"] += message.nbytes
