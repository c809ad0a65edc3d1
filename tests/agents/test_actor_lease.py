"""Actors that nobody observes: who leaves, and who stays."""

import asyncio
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from ray.exceptions import ActorDiedError

from nashgossip import topology
from nashgossip.agents import seats
from nashgossip.games import Game, PlayerSpec
from nashgossip.runners import Journal, read_journal
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import BOUND_S, Crew, Gone, Handle, Pondering, connected, pair, refusing, specs, until


async def gone(crew: Crew, k: int) -> None:
    await asyncio.wait_for(crew.left[k].wait(), BOUND_S)


async def test_an_actor_that_nobody_observes_saves_itself_and_leaves(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05)
    await crew.each("start")
    await gone(crew, 0)
    await crew.each("stop")
    assert store.numbers()[-1] >= 1


async def test_an_actor_that_was_stopped_leaves_too(tmp_path: Path) -> None:
    crew = await connected(seats(pair(), 0), size=2, lease=0.05)
    await crew.each("start")
    await crew.each("stop")
    await gone(crew, 0)


async def test_an_actor_that_cannot_save_itself_leaves_nevertheless(tmp_path: Path) -> None:
    store, log = CheckpointStore(tmp_path, "actor"), Journal(tmp_path / "log.jsonl")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05, log=log)
    with refusing(store):
        await gone(crew, 0)
    told = [entry for entry in read_journal(log.path) if entry["event"] in ("unobserved", "checkpoint failed")]
    assert [(e["event"], e["level"]) for e in told] == [("unobserved", "warning"), ("checkpoint failed", "error")]
    assert "FileExistsError" in told[1]["cause"]


async def test_an_actor_that_is_asked_while_it_saves_itself_stays(tmp_path: Path) -> None:
    store, log, model = CheckpointStore(tmp_path, "actor"), Journal(tmp_path / "log.jsonl"), Pondering(1)
    made = seats(pair(model=lambda: model, family=None), 0)
    crew = await connected(made, size=2, stores=[store], lease=0.5, log=log, checkpoint_seconds=1e9)
    await crew.each("start")
    await until(lambda: "unobserved" in [entry["event"] for entry in read_journal(log.path)])
    saved = crew.actors[0]._keeper.number
    model.go_on.set()
    await crew.each("renew")
    await until(lambda: crew.actors[0]._keeper.number > saved)
    assert not crew.left[0].is_set()
    await gone(crew, 0)  # now nobody asks
    assert [entry["event"] for entry in read_journal(log.path)].count("unobserved") == 2
    await crew.each("stop")


async def test_an_actor_that_could_not_leave_tries_again(tmp_path: Path) -> None:
    log = Journal(tmp_path / "log.jsonl")
    crew = await connected(seats(pair(), 0), size=2, lease=0.05, log=log)
    crew.hindrances.append(ConnectionError("the control store is away"))
    await gone(crew, 0)
    told = [entry for entry in read_journal(log.path) if entry["event"] == "leaving failed"]
    assert [(e["level"], e["cause"]) for e in told] == [("error", "ConnectionError: the control store is away")]


@pytest.mark.parametrize("within", ["begin", "save"])
async def test_an_actor_stays_while_it_works_for_the_laboratory(within: str, tmp_path: Path) -> None:
    model = Pondering(0 if within == "begin" else 1)
    made = seats(pair(model=lambda: model, family=None), 0)
    crew = Crew(made, size=2, stores=[CheckpointStore(tmp_path, "actor")], lease=0.05, checkpoint_seconds=1e9)
    if within == "save":
        await crew.each("begin")
        await crew.each("start")
    asked = asyncio.create_task(crew.each(within))  # and the move under way comes first
    await until(model.begun.is_set)
    await asyncio.sleep(0.2)
    assert not crew.left[0].is_set()
    model.go_on.set()
    await asked
    await gone(crew, 0)


@pytest.mark.parametrize("asks", [("report",), ("measure", 3), ("renew",)])
async def test_an_actor_that_is_asked_anything_stays(asks: tuple[Any, ...]) -> None:
    crew = await connected(seats(pair(), 0), size=2, lease=1.0, synchronous=True)
    until_then = asyncio.get_running_loop().time() + 1.5
    while asyncio.get_running_loop().time() < until_then:
        await crew.each(*asks)
        await asyncio.sleep(0.02)
    assert not crew.left[0].is_set()


# --- rounds --------------------------------------------------------------------------------------------------


def listening(**changes: Any) -> Game:
    """Player 1 listens to 0, and tells it nothing."""
    graph = topology.attach_alpha(nx.DiGraph([(0, 1)]), self_weight={0: 1.0, 1: 0.5})
    made = specs(graph)
    if changes:
        made[1] = PlayerSpec(data=made[1].data, samples=4, **changes)
    return Game(graph, made)


async def test_an_actor_in_rounds_leaves_when_it_plays_none(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05, synchronous=True)
    await crew.each("play_rounds", 3)
    await gone(crew, 0)
    assert store.numbers() == [0]  # it adds none to the checkpoints that all have


async def test_who_waits_in_a_round_for_a_dead_neighbour_leaves() -> None:
    crew = await connected(seats(listening(), 0), synchronous=True, lease=0.05)
    crew.handles[1, 0] = Gone(ActorDiedError())
    playing = asyncio.create_task(crew.actors[1].play_rounds(3))
    await gone(crew, 1)
    assert not playing.done()
    playing.cancel()


async def test_who_waits_in_a_round_for_one_that_has_given_up_leaves() -> None:
    crew = await connected(seats(listening(), 0), synchronous=True, lease=0.05)
    playing = asyncio.create_task(crew.actors[1].play_rounds(3))  # the other is not told to play any more
    await gone(crew, 1)
    assert crew.handles[1, 0].asked > 0
    assert not playing.done()
    playing.cancel()


async def test_who_waits_in_a_round_for_a_slow_neighbour_stays() -> None:
    gate = asyncio.Event()

    async def held_up() -> None:
        await gate.wait()

    crew = await connected(
        seats(listening(), 0), lambda j, i, actor: Handle(actor, held_up), synchronous=True, lease=0.05
    )
    playing = asyncio.gather(*[actor.play_rounds(3) for actor in crew.actors])
    await until(lambda: all(crew.handles[pair].asked >= 3 for pair in ((0, 1), (1, 0))))
    assert not any(left.is_set() for left in crew.left.values())
    gate.set()
    await asyncio.wait_for(playing, BOUND_S)
    assert {p.moves for p in crew.players().values()} == {3}


async def test_who_is_slow_in_its_last_round_stays_though_the_others_have_ended_theirs() -> None:
    model = Pondering(1)
    game = listening(model=lambda: model)
    crew = await connected(seats(game, 0), synchronous=True, lease=0.05)
    playing = asyncio.create_task(crew.actors[1].play_rounds(1))
    await asyncio.wait_for(crew.actors[0].play_rounds(1), BOUND_S)
    await until(model.begun.is_set)
    await until(lambda: crew.handles[1, 0].asked >= 3)
    assert not crew.left[1].is_set()
    model.go_on.set()
    await asyncio.wait_for(playing, BOUND_S)
    await gone(crew, 1)  # now it plays none
