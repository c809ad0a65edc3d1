"""The outbox: bounded, the newest of each pair wins, one batch on its way to each process, and failures are kept."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import Message
from nashgossip.agents import outbox as module
from nashgossip.agents.outbox import Outbox
from nashgossip.agents.parcels import Parcel

BOUND_S = 20.0
HOMES = {"a": 0, "b": 0, "c": 1}


def parcel(listener: str, number: int, sender: str = "s", size: int = 1) -> Parcel:
    return Parcel(sender, listener, Message.received(sender, number, {"x": np.zeros(size, np.uint8)}))


def request(listener: str, sender: str = "s") -> Parcel:
    return Parcel(sender, listener, None)


class Way:
    """Batches as they are sent; each arrives once its process's gate is open."""

    def __init__(self) -> None:
        self.gates = {home: asyncio.Event() for home in set(HOMES.values())}
        self.batches: list[tuple[int, list[Parcel]]] = []
        self.under_way = dict.fromkeys(self.gates, 0)
        self.most_under_way = 0
        self.answer: Callable[[int], bool] = lambda home: True

    async def deliver(self, home: int, batch: list[Parcel]) -> bool:
        self.batches.append((home, batch))
        self.under_way[home] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[home])
        await self.gates[home].wait()
        self.under_way[home] -= 1
        return self.answer(home)

    def open(self) -> None:
        for gate in self.gates.values():
            gate.set()

    def sent(self, home: int) -> list[list[tuple[Any, int | None]]]:
        """Of each batch to a process, listener and number of its parcels; None for a request."""
        return [
            [(p.listener, None if p.message is None else p.message.sequence) for p in batch]
            for to, batch in self.batches
            if to == home
        ]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not holds():
            await asyncio.sleep(0)


def made() -> tuple[Way, Outbox]:
    way = Way()
    return way, Outbox(way.deliver, HOMES.__getitem__)


async def test_one_batch_is_on_its_way_to_each_process_and_the_newest_of_each_pair_follows() -> None:
    way, outbox = made()
    outbox.post([parcel("a", 0)])
    await until(lambda: len(way.batches) == 1)
    for number in range(1, 6):
        outbox.post([parcel("a", number), parcel("b", number), request("b"), parcel("b", number, sender="t")])
        await asyncio.sleep(0)
    assert way.sent(0) == [[("a", 0)]]
    assert outbox.superseded == 4 * 4  # of four kinds all but the last
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.sent(0) == [[("a", 0)], [("a", 5), ("b", 5), ("b", None), ("b", 5)]]
    assert way.most_under_way == 1
    assert outbox.unreachable == 0


async def test_a_process_that_is_slow_holds_up_no_other() -> None:
    way, outbox = made()
    way.gates[1].set()
    for number in range(3):
        outbox.post([parcel("a", number), parcel("c", number)])
        await until(lambda n=number: len(way.sent(1)) == n + 1 and way.under_way[1] == 0)
    assert way.sent(1) == [[("c", 0)], [("c", 1)], [("c", 2)]]
    assert way.sent(0) == [[("a", 0)]]
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.sent(0) == [[("a", 0)], [("a", 2)]]


async def test_no_more_waits_than_there_are_edges() -> None:
    way, outbox = made()
    for number in range(1000):
        outbox.post([parcel("a", number), parcel("b", number)])
    await until(lambda: len(way.batches) == 1)
    outbox.post([parcel(listener, 1000 + k) for k in range(50) for listener in "ab"])
    assert sum(map(len, outbox._waiting.values())) == 2
    assert outbox.superseded == 2 * 999 + 2 * 49
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)


async def test_a_batch_holds_32_mb_or_one_message() -> None:
    way, outbox = made()
    way.open()
    assert module._BATCH_BYTES == 32_000_000
    sizes = [12_000_000] * 4 + [40_000_000, 1]
    outbox.post([parcel("a", k, sender=f"s{k}", size=size) for k, size in enumerate(sizes)])
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert [[number for _, number in batch] for batch in way.sent(0)] == [[0, 1], [2, 3], [4], [5]]


async def test_who_cannot_be_reached_is_counted_and_tried_again_after_a_while() -> None:
    way, outbox = made()
    way.open()
    tries: list[float] = []

    def answer(home: int) -> bool:
        tries.append(asyncio.get_running_loop().time())
        return len(tries) > 2

    way.answer = answer
    outbox.post([parcel("a", 0), parcel("b", 0)])
    await until(lambda: len(tries) == 1)
    outbox.post([parcel("a", 1)])
    await until(lambda: len(tries) == 2)
    outbox.post([parcel("a", 2)])
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.sent(0) == [[("a", 0), ("b", 0)], [("a", 1)], [("a", 2)]]
    assert outbox.unreachable == 3
    assert all(later - earlier >= 0.9 * module._BACK_OFF_S for earlier, later in itertools.pairwise(tries))


async def test_what_goes_wrong_on_the_way_is_kept_and_nothing_more_is_sent() -> None:
    way, outbox = made()
    way.open()

    def answer(home: int) -> bool:
        raise KeyError("no such method")

    way.answer = answer
    outbox.post([parcel("a", 0)])
    await until(lambda: outbox.failure is not None)
    outbox.post([parcel("a", 1), parcel("c", 1)])
    with pytest.raises(KeyError, match="no such method"):
        await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.batches == [(0, way.batches[0][1])]


async def test_what_waits_can_be_dropped_and_what_is_on_its_way_arrives() -> None:
    way, outbox = made()
    outbox.post([parcel("a", 0)])
    await until(lambda: len(way.batches) == 1)
    outbox.post([parcel("a", 1)])
    outbox.clear()
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.sent(0) == [[("a", 0)]]
    outbox.post([parcel("a", 2)])
    await asyncio.wait_for(outbox.sent(), BOUND_S)
    assert way.sent(0) == [[("a", 0)], [("a", 2)]]


async def test_room_is_there_until_something_waits_for_every_process() -> None:
    way, outbox = made()
    outbox.post([parcel("a", 0), parcel("c", 0)])
    await until(lambda: len(way.batches) == 2)
    await asyncio.wait_for(outbox.room(), BOUND_S)  # both are on their way, and nothing waits
    outbox.post([parcel("a", 1), parcel("c", 1)])
    waiting = asyncio.create_task(outbox.room())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    way.gates[1].set()
    await asyncio.wait_for(waiting, BOUND_S)
    assert len(way.sent(1)) == 2
    assert len(way.sent(0)) == 1
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)


async def test_who_waits_for_room_waits_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    way, outbox = made()
    outbox.post([parcel("a", 0)])
    await until(lambda: len(way.batches) == 1)
    outbox.post([parcel("a", 1)])
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(outbox.room(), BOUND_S)
    assert asyncio.get_running_loop().time() - began >= 0.04
    assert len(way.sent(0)) == 1
    way.open()
    await asyncio.wait_for(outbox.sent(), BOUND_S)
