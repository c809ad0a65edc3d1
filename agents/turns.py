"""Play in step without anyone in the middle: what belongs to a later turn waits until this process is there."""

__all__ = ["Turns", "TurnsEnded"]

import asyncio
from collections.abc import Callable
from typing import final


class TurnsEnded(Exception):
    """Play in step was broken off, because one of the others died.

    Not `ModelError`: nothing failed here.
    """


@final
class Turns:
    """Counts turns, and lets in what the others send in each.

    A run that is taken back to a checkpoint begins a new generation: what comes from before it is refused.
    """

    def __init__(self) -> None:
        self.turn = 0
        self._generation = 0
        self._ended = False
        self._heard: set[int] = set()
        self._changed = asyncio.Condition()

    @property
    def generation(self) -> int:
        """Times that the run was taken back."""
        return self._generation

    async def take(self, source: int, generation: int, turn: int, accept: Callable[[], None]) -> None:
        """Lets in what the process `source` sends in a turn, when this process is there too.

        Raises:
            TurnsEnded: play was broken off meanwhile, or this belongs to before.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    (self._generation > generation)
                    or (self._generation == generation and (self._ended or self.turn >= turn))
                )
            )
            if self._ended or (self._generation, self.turn) != (generation, turn):
                raise TurnsEnded
            accept()
            self._heard.add(source)
            self._changed.notify_all()

    async def heard(self, sources: set[int]) -> None:
        """Waits until all of these processes have been let in in this turn.

        Raises:
            TurnsEnded: play was broken off.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or self._heard >= sources)
            if self._ended:
                raise TurnsEnded

    def require(self) -> None:
        """Raises TurnsEnded if play was broken off."""
        if self._ended:
            raise TurnsEnded

    async def advance(self) -> None:
        """Begins the next turn."""
        async with self._changed:
            self._heard.clear()
            self.turn += 1
            self._changed.notify_all()

    async def end(self) -> None:
        """Breaks off: everybody who waits is told."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def begin(self, generation: int, turn: int) -> None:
        """Goes on at a turn, in a new generation."""
        async with self._changed:
            self._generation, self.turn, self._ended = generation, turn, False
            self._heard.clear()
            self._changed.notify_all()
