"""Actors that nobody observes: who leaves, and who stays."""

import asyncio
from pathlib import Path

from nashgossip.agents import seats
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import (
    BOUND_S,
    connected,
    pair,
)


async def test_an_actor_that_nobody_observes_saves_itself_and_leaves(tmp_path: Path) -> None:
    left = asyncio.Event()
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05, leave=left.set)
    await crew.each("start")
    await asyncio.wait_for(left.wait(), BOUND_S)
    await crew.each("stop")
    assert store.numbers()[-1] >= 1


async def test_an_actor_in_rounds_that_nobody_observes_leaves_when_it_plays_none(tmp_path: Path) -> None:
    left = asyncio.Event()
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05, leave=left.set, synchronous=True)
    await crew.each("play_rounds", 3)
    await asyncio.wait_for(left.wait(), BOUND_S)
    assert store.numbers() == [0]  # it adds none to the checkpoints that all have


async def test_an_actor_that_is_observed_stays(tmp_path: Path) -> None:
    left = asyncio.Event()
    crew = await connected(seats(pair(), 0), size=2, lease=2.0, leave=left.set, synchronous=True)
    until_then = asyncio.get_running_loop().time() + 3.0
    while asyncio.get_running_loop().time() < until_then:
        await crew.each("report")
        await asyncio.sleep(0.05)
    assert not left.is_set()
