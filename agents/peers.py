"""The actors of other processes: found by their numbers, and called with what players here send to players there."""

__all__ = ["Peers"]

import asyncio
from collections.abc import Callable
from typing import Any, final

from .parcels import Parcel, bundle


@final
class Peers:
    """Handles of other actors, which are looked up when they are first needed, and again after a call that failed.

    Arguments:
        find: number of an actor → its handle, or LookupError; called in a thread.
        put: keeps a large content once for all who hear it, and gives what travels in its place.
    """

    def __init__(self, find: Callable[[int], Any], put: Callable[[Any], Any]) -> None:
        self._find, self._put = find, put
        self._handles: dict[int, Any] = {}

    def forget(self) -> None:
        """Looks everybody up anew: who left and comes back lives in another process."""
        self._handles.clear()

    async def call(self, home: int, method: str, parcels: list[Parcel], *arguments: Any) -> None:
        """Calls a method of an actor, and returns when it has taken the parcels in.

        Arguments:
            home: number of the actor.
            method: its name. It takes the arguments, then a bundle, then the contents that travel beside it.
            parcels: what is sent.
            arguments: whatever comes first.

        Raises:
            LookupError: there is no such actor now.
            Exception: what comes of the call.
        """
        sent, beside = bundle(parcels)
        await self.ask(home, method, *arguments, sent, *map(self._content, beside))

    async def ask(self, home: int, method: str, *arguments: Any) -> Any:
        """What a method of an actor returns.

        Raises:
            LookupError: there is no such actor now.
            Exception: what comes of the call.
        """
        try:
            peer = self._handles.get(home)
            if peer is None:
                peer = self._handles[home] = await asyncio.to_thread(self._find, home)
            return await getattr(peer, method).remote(*arguments)
        except Exception:
            self._handles.pop(home, None)  # one that is dead for good may have a successor of the same number
            raise

    def _content(self, parcel: Parcel) -> Any:
        """The content of a large message, kept once for all who hear it."""
        assert parcel.message is not None  # requests have none
        if "content" not in parcel.shared:
            parcel.shared["content"] = self._put(parcel.message.wire()[2])
        return parcel.shared["content"]
