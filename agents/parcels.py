"""What players of one process send to those of others: parcels, and bundles of them for the wire."""

__all__ = ["Bundle", "BundleError", "Parcel", "bundle", "opened", "parcels_of"]

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .message import Message
from .speaker import Move

Bundle: TypeAlias = tuple[list[tuple[Hashable, int, list[Hashable], Any]], list[tuple[Hashable, Hashable]]]
"""For the wire: messages, each as sender, sequence number, listeners and content, and requests as asker and neighbour.
A content is arrays by name, or the position of one that travels beside the bundle."""

LARGE = 100 * 1024
"""Bytes from which on a content travels beside its bundle, so that one copy serves all listeners. Ray itself keeps
arguments of this size in its object store."""


class BundleError(ValueError):
    """What another process sent is no bundle; none of it was delivered.

    Not a refusal of `Player.receive`, which is about one message, and is counted.
    """


@dataclass(frozen=True, eq=False, slots=True)
class Parcel:
    """A message to one listener; without message, the request that it send one.

    Arguments:
        sender: who sends.
        listener: whom it is for.
        message: what is sent, or None.
        shared: one dictionary for all parcels of a message: where its content is kept for them all.
    """

    sender: Hashable
    listener: Hashable
    message: Message | None
    shared: dict[str, Any] = field(default_factory=dict)


def parcels_of(sender: Hashable, move: Move) -> Iterator[Parcel]:
    """What a move leaves for others: messages first, then requests."""
    shared: dict[int, dict[str, Any]] = {}
    for listener, message in move.messages.items():
        yield Parcel(sender, listener, message, shared.setdefault(id(message), {}))
    for listener, message in move.more:
        yield Parcel(sender, listener, message, shared.setdefault(id(message), {}))
    for neighbour in move.requests:
        yield Parcel(sender, neighbour, None)


def bundle(parcels: Iterable[Parcel]) -> tuple[Bundle, list[Parcel]]:
    """Parcels for one process, each message once whoever hears it there, and those whose content travels beside it."""
    messages: dict[int, tuple[Hashable, int, list[Hashable], Any]] = {}
    requests: list[tuple[Hashable, Hashable]] = []
    beside: list[Parcel] = []
    for parcel in parcels:
        message = parcel.message
        if message is None:
            requests.append((parcel.sender, parcel.listener))
            continue
        known = messages.get(id(message))
        if known is None:
            content: Any = len(beside)
            if message.nbytes < LARGE:
                content = message.wire()[2]
            else:
                beside.append(parcel)
            known = messages[id(message)] = (message.sender, message.sequence, [], content)
        known[2].append(parcel.listener)
    return (list(messages.values()), requests), beside


def opened(sent: Bundle, beside: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Hashable, Message]]:
    """The messages in a bundle: listener and message, not trusted before the listener has checked it.

    Raises:
        BundleError: it is none; nothing was handed out then.
    """
    try:
        messages, requests = sent
        for asker, neighbour in requests:
            hash((asker, neighbour))
        found = [
            (list(listeners), Message.received(sender, sequence, beside[at] if isinstance(at, int) else at))
            for sender, sequence, listeners, at in messages
        ]
        for listeners, _ in found:
            hash(tuple(listeners))
    except Exception as error:
        raise BundleError(
            f"a {type(sent).__name__} came that is no bundle ({type(error).__name__}), expected messages and requests "
            "as parcels.bundle packs them; play all actors with one version of nashgossip"
        ) from None
    for listeners, message in found:
        for listener in listeners:
            yield listener, message
