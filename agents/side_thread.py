"""The one thread beside an actor's event loop, in which models learn while messages arrive."""

__all__ = ["SideThread"]

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, final

T = TypeVar("T")


@final
class SideThread:
    """Calls functions one after the other beside the running event loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._loop = asyncio.get_running_loop()
        self._under_way = 0

    @property
    def busy(self) -> bool:
        """Whether a call is under way, or waits for its turn."""
        return self._under_way > 0

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call; what it raises is raised here."""
        self._under_way += 1
        try:
            return await self._loop.run_in_executor(self._executor, call)
        finally:
            self._under_way -= 1
