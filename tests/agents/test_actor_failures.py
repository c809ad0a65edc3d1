"""Players whose models fail, processes that die, storage that refuses: what an actor does then."""

import asyncio
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from nashgossip.agents import seats
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import (
    BOUND_S,
    Crew,
    FailingAfter,
    Flaky,
    Gone,
    connected,
    ended,
    only,
    pair,
    undirected,
    until,
)


async def test_a_model_error_ends_gossip_and_names_player_move_cause_and_trace() -> None:
    crew = await connected(seats(pair(model=lambda: FailingAfter(3), family=None), 0))
    await crew.each("start")
    await until(lambda: crew.actors[0]._failures.ended is not None)
    await crew.each("stop")
    failure = (await crew.actors[0].report()).failure
    assert failure is not None
    assert (failure.player, failure.move, failure.cause) == ("0", 3, "learn raised FloatingPointError: diverged")
    assert str(failure.error).startswith("the model of player 0 failed at move 3: learn raised FloatingPointError: div")
    assert "in learn" in failure.trace
    assert failure.error.__notes__ == [failure.trace]
    assert (await crew.actors[1].report()).failure is None


async def test_a_player_that_is_set_aside_leaves_the_others_its_last_rows() -> None:
    crew = await connected(seats(pair(model=lambda: FailingAfter(3), family=None), 0), size=2, policy="skip")
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: crew.players()[1].moves >= 50)
    await crew.each("stop")
    (report,) = await crew.each("report")
    assert report.failure is None
    assert report.aside.keys() == {0}
    mine, other = report.players
    assert (mine.moves, other.moves >= 50) == (2, True)
    assert other.staleness > 40


async def test_a_model_is_taken_back_to_its_checkpoint_until_it_fails_there_again(tmp_path: Path) -> None:
    Flaky.failures = [4, 6, 6]
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(
        seats(pair(model=Flaky, family=None), 0), size=2, policy="restart", stores=[store], checkpoint_seconds=1e9
    )
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: crew.actors[0]._failures.ended is not None)
    await crew.each("stop")
    (report,) = await crew.each("report")
    assert (report.restarted, report.incarnation) == (2, 2)
    assert report.failure is not None
    assert report.failure.move == 6


async def test_restart_needs_a_store() -> None:
    with pytest.raises(ValueError, match="policy is restart, but there is no store to go on from"):
        Crew(seats(pair(), 0), policy="restart")


@pytest.mark.parametrize("size", [1, 2])
async def test_an_actor_that_died_goes_on_from_its_checkpoint_with_higher_numbers(tmp_path: Path, size: int) -> None:
    stores = [CheckpointStore(tmp_path, f"actor-{k}") for k in range(2)]
    crew = await connected(seats(pair(), 0), size=size, stores=stores, checkpoint_seconds=0.0, rate=500.0)
    heard: list[int] = []
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: crew.actors[0]._keeper.number >= 3)
    before = crew.players()[0].moves
    crew.actors[0]._gossiper._stopping.set()  # it will never be heard of again
    heard = list(crew.handles[0, size % 2].arrived)
    crew.renew(0)
    again = crew.players()[0]
    assert 0 < again.moves <= before + 1
    await until(lambda: again.moves >= before + 5)
    await crew.each("stop")
    report = (await crew.each("report"))[0]
    assert report.incarnation == 1
    if size == 1:
        numbers = crew.handles[0, 1].arrived
        assert numbers == sorted(set(numbers))
        assert max(heard) < 1 << 32 <= numbers[-1]
        assert crew.players()[1].mailbox.counts["outdated"] == 0


@pytest.mark.parametrize("alive", [0, 3])
@pytest.mark.parametrize("error", [RayActorError(), ActorDiedError(), ActorUnavailableError("away", None)])
async def test_a_dead_peer_is_counted_and_the_player_goes_on(error: RayActorError, alive: int) -> None:
    made = seats(undirected(), 0)
    speaker = max(made, key=lambda seat: len(seat.listeners))
    dead, *others = speaker.listeners
    assert others
    crew = await connected(made)
    index = {seat.name: k for k, seat in enumerate(made)}
    mine = index[speaker.name]
    handle = crew.handles[mine, index[dead]]
    crew.handles[mine, index[dead]] = Gone(error, handle, alive)
    actor = crew.actors[mine]
    await actor.start()
    await until(lambda: actor._outbox.unreachable >= 3 and crew.players()[speaker.name].moves >= 20)
    await asyncio.wait_for(actor.stop(), BOUND_S)
    report = await actor.report()
    arrived = {name: crew.handles[mine, index[name]].arrived for name in others}
    assert len(handle.arrived) == alive
    assert only(report).sent == alive + sum(map(len, arrived.values()))
    assert all(len(numbers) > 1 for numbers in arrived.values())


async def test_what_goes_wrong_inside_another_actor_is_not_passed_over() -> None:
    crew = await connected(seats(pair(), 0))
    broken = RayTaskError("deliver", "the traceback", KeyError("x"))
    crew.handles[0, 1] = Gone(broken)
    await crew.actors[0].start()
    await until(lambda: ended(crew.actors[0]))
    with pytest.raises(RayTaskError):
        await crew.actors[0].report()
