"""What waits to be sent: bounded, the newest of each pair of players, one batch on its way to each process."""

__all__ = ["Outbox"]

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import TypeAlias, final

from .parcels import Parcel

_BATCH_BYTES = 32_000_000
_BACK_OFF_S = 0.1
_PATIENCE_S = 1.0

_Key: TypeAlias = tuple[Hashable, Hashable, bool]


@final
class Outbox:
    """Sends parcels to other processes without anybody waiting for it.

    At most one batch is on its way to a process. What comes meanwhile waits, the newest message of each sender to each
    listener alone, so that no more can wait than there are edges. A batch holds at most 32 MB, or one message.

    Arguments:
        deliver: sends a batch to the process of a number, and returns when it has arrived; False if it is away.
        home: listener → number of its process.

    `failure` is what `deliver` raised, after which nothing more is sent.
    """

    def __init__(
        self, deliver: Callable[[int, list[Parcel]], Awaitable[bool]], home: Callable[[Hashable], int]
    ) -> None:
        self._deliver, self._home = deliver, home
        self._waiting: dict[int, dict[_Key, Parcel]] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}
        self.superseded = self.unreachable = 0
        self.failure: Exception | None = None
        self._taken = asyncio.Event()

    def post(self, parcels: Iterable[Parcel]) -> None:
        """Takes parcels to be sent; those that wait for the same listener are replaced."""
        touched = set()
        for parcel in parcels:
            home = self._home(parcel.listener)
            waiting = self._waiting.setdefault(home, {})
            key = (parcel.sender, parcel.listener, parcel.message is None)
            self.superseded += key in waiting
            waiting[key] = parcel
            touched.add(home)
        for home in touched:
            if home not in self._sending or self._sending[home].done():
                self._sending[home] = asyncio.create_task(self._send(home))

    def clear(self) -> None:
        """Drops what waits; what is on its way arrives."""
        self._waiting.clear()

    async def room(self) -> None:
        """Waits until nothing waits for some process, a second at most: more would only replace what waits."""
        if self._waiting and all(self._waiting.values()):
            self._taken.clear()
            timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._taken.set)
            await self._taken.wait()
            timer.cancel()

    async def sent(self) -> None:
        """Waits until nothing waits and nothing is on its way.

        Raises:
            Exception: what `deliver` raised.
        """
        await asyncio.gather(*self._sending.values())
        if self.failure is not None:
            raise self.failure

    async def _send(self, home: int) -> None:
        while (waiting := self._waiting.get(home)) and self.failure is None:
            batch: list[Parcel] = []
            size = 0
            for key, parcel in list(waiting.items()):
                size += parcel.message.nbytes if parcel.message is not None else 0
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(waiting.pop(key))
            if not waiting:
                self._taken.set()
            try:
                arrived = await self._deliver(home, batch)
            except Exception as error:
                self.failure = error
                return
            if not arrived:
                self.unreachable += len(batch)
                await asyncio.sleep(_BACK_OFF_S)
