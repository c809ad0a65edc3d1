"""Turns: what is early waits, what is of before is refused, and who waits is told when play is broken off."""

import asyncio
from typing import Any

import pytest

from nashgossip.agents.turns import Turns, TurnsEnded

BOUND_S = 20.0


def begun(call: Any) -> "asyncio.Task[Any]":
    return asyncio.create_task(call)


async def settle() -> None:
    """Lets all tasks go as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_of_this_turn_is_let_in_at_once() -> None:
    turns, came = Turns(), list[str]()
    await asyncio.wait_for(turns.take(1, 0, 0, lambda: came.append("now")), BOUND_S)
    assert came == ["now"]
    await asyncio.wait_for(turns.heard({1}), BOUND_S)


async def test_what_is_early_waits_for_its_turn_and_is_let_in_then() -> None:
    turns, came = Turns(), list[int]()
    calls = [begun(turns.take(source, 0, turn, lambda t=turn: came.append(t))) for source, turn in ((1, 2), (2, 1))]
    await settle()
    assert came == []
    await turns.advance()
    await settle()
    assert came == [1]
    await turns.advance()
    await settle()
    assert came == [1, 2]
    await asyncio.wait_for(asyncio.gather(*calls), BOUND_S)


async def test_everybody_that_is_waited_for_has_to_come_anew_in_each_turn() -> None:
    turns = Turns()
    for turn in range(3):
        waiting = begun(turns.heard({1, 2}))
        await turns.take(2, 0, turn, lambda: None)
        await settle()
        assert not waiting.done()
        await turns.take(1, 0, turn, lambda: None)
        await asyncio.wait_for(waiting, BOUND_S)
        await turns.advance()
    assert turns.turn == 3
    await asyncio.wait_for(turns.heard(set()), BOUND_S)  # who hears nobody waits for nobody


async def test_who_waits_is_told_that_play_was_broken_off() -> None:
    turns, came = Turns(), list[str]()
    calls = [begun(turns.heard({1})), begun(turns.take(1, 0, 5, lambda: came.append("early")))]
    await settle()
    await turns.end()
    for call in calls:
        with pytest.raises(TurnsEnded):
            await asyncio.wait_for(call, BOUND_S)
    with pytest.raises(TurnsEnded):
        await asyncio.wait_for(turns.take(1, 0, 0, lambda: came.append("late")), BOUND_S)
    with pytest.raises(TurnsEnded):
        await asyncio.wait_for(turns.heard({1}), BOUND_S)
    assert came == []


async def test_a_new_generation_refuses_what_is_of_the_one_before_and_lets_its_own_in() -> None:
    turns, came = Turns(), list[str]()
    old = begun(turns.take(1, 0, 7, lambda: came.append("old")))
    ahead = begun(turns.take(2, 1, 4, lambda: came.append("of the next generation")))
    await settle()
    await turns.end()
    await turns.begin(1, 4)
    for call in (old, begun(turns.take(1, 0, 4, lambda: came.append("older")))):
        with pytest.raises(TurnsEnded):
            await asyncio.wait_for(call, BOUND_S)
    await asyncio.wait_for(ahead, BOUND_S)
    assert came == ["of the next generation"]
    assert (turns.generation, turns.turn) == (1, 4)


async def test_what_was_heard_before_does_not_count_in_a_new_generation() -> None:
    turns = Turns()
    await turns.take(1, 0, 0, lambda: None)
    await turns.begin(1, 0)
    waiting = begun(turns.heard({1}))
    await settle()
    assert not waiting.done()
    await turns.take(1, 1, 0, lambda: None)
    await asyncio.wait_for(waiting, BOUND_S)


async def test_what_comes_after_its_turn_is_refused() -> None:
    turns = Turns()
    await turns.advance()
    with pytest.raises(TurnsEnded):
        await asyncio.wait_for(turns.take(1, 0, 0, lambda: None), BOUND_S)
