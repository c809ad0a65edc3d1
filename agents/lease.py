"""How long an actor stays that nobody observes: so that none is left over when the laboratory has died."""

__all__ = ["Lease"]

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import final

_MOST_BETWEEN_S = 10.0


@final
class Lease:
    """Ends an actor once nobody has asked anything of it for a while, also when its play was stopped.

    Arguments:
        seconds: that it stays unobserved; None for ever.
        needed: seconds → whether it has to stay though nobody observes it, found out within that time.
        leave: ends it, unless it is observed again meanwhile, as the function that it is given says; whether it has. If
            not, it is asked again.
    """

    def __init__(
        self,
        seconds: float | None,
        needed: Callable[[float], Awaitable[bool]],
        leave: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> None:
        self._needed, self._leave = needed, leave
        self._renewed, self._held = time.monotonic(), 0
        self._watching = None if seconds is None else asyncio.create_task(self._watch(seconds))

    def renew(self) -> None:
        """Somebody has asked something."""
        self._renewed = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Somebody waits for what is done in the block, however long it takes."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.renew()

    async def _watch(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(min(seconds / 4, _MOST_BETWEEN_S))
            idle = self._over(seconds) and not await self._needed(seconds) and self._over(seconds)
            if idle and await self._leave(lambda: self._over(seconds)):
                return

    def _over(self, seconds: float) -> bool:
        return not self._held and time.monotonic() - self._renewed > seconds
