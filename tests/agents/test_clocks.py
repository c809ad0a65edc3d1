"""Poisson clocks of the players of one process."""

import numpy as np
import pytest

from nashgossip.agents.clocks import Clocks


def drawn(rate: float, seed: int) -> Clocks:
    rng = np.random.default_rng(seed)
    return Clocks(rate, lambda player: float(rng.exponential(1 / rate)), now=100.0)


def ticks(clocks: Clocks, now: float) -> list[object]:
    found = []
    while (player := clocks.due(now)) is not None:
        found.append(player)
    return found


def test_as_many_ticks_as_the_rate_says() -> None:
    clocks = drawn(50.0, 1)
    clocks.start(["a", "b", "c"], 100.0)
    counted = {"a": 0, "b": 0, "c": 0}
    for now in np.arange(100.0, 140.0, 0.001):
        for player in ticks(clocks, float(now)):
            counted[player] += 1
    for count in counted.values():
        assert count == pytest.approx(2000, abs=4 * np.sqrt(2000))


def test_a_process_that_is_late_serves_the_ticks_in_order_and_loses_none_within_a_period() -> None:
    pauses = {"a": 0.3, "b": 0.5}
    clocks = Clocks(1.0, pauses.__getitem__, now=0.0)
    clocks.start(["a", "b"], 0.0)
    assert ticks(clocks, 0.29) == []
    assert clocks.wait(0.29) == pytest.approx(0.01)
    assert ticks(clocks, 1.25) == ["a", "b", "a", "a", "b", "a"]  # at 0.3, 0.5, 0.6, 0.9, 1.0, 1.2


def test_the_clocks_of_a_process_that_is_more_than_a_period_behind_stop_until_it_has_caught_up() -> None:
    clocks = Clocks(1.0, lambda player: 1.0, now=0.0)
    clocks.start(["a"], 0.0)
    assert ticks(clocks, 50.0) == ["a", "a"]  # not fifty
    assert clocks.wait(50.0) == pytest.approx(1.0)


def test_without_rate_players_take_turns() -> None:
    clocks = Clocks(None, lambda player: 0.0, now=5.0)
    clocks.start(["a", "b", "c"], 5.0)
    assert [clocks.due(5.0 + k) for k in range(7)] == ["a", "b", "c", "a", "b", "c", "a"]


def test_who_joins_players_that_take_turns_has_its_turn_too() -> None:
    clocks = Clocks(None, lambda player: 0.0, now=0.0)
    clocks.start(["a"], 0.0)
    assert clocks.due(0.5) == "a"
    clocks.start(["b"], 1.0)
    assert [clocks.due(2.0 + k) for k in range(4)] == ["a", "b", "a", "b"]


def test_a_clock_that_is_stopped_ticks_no_more() -> None:
    clocks = Clocks(None, lambda player: 0.0, now=0.0)
    assert clocks.wait(0.0) is None
    clocks.start(["a", "b"], 0.0)
    clocks.stop("a")
    assert [clocks.due(1.0) for _ in range(3)] == ["b", "b", "b"]
    clocks.stop("b")
    assert clocks.due(2.0) is None
