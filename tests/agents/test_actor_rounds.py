"""The actor around players in rounds: the very states of the plain loop, whatever the timing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from ray.exceptions import ActorDiedError

from nashgossip.agents import ModelError, seats
from nashgossip.agents.turns import TurnsEnded
from nashgossip.games import Game, Gossip
from nashgossip.runners import play
from nashgossip.runners.checkpoint_store import CheckpointStore

from ..trees import frozen
from .crew import (
    BOUND_S,
    FailingAfter,
    Gone,
    Handle,
    Pondering,
    asking,
    connected,
    directed,
    message,
    pair,
    plain_rounds,
    specs,
    undirected,
    uneven,
    until,
)


@pytest.mark.parametrize("size", [1, 2, 4, 6])
@pytest.mark.parametrize("speeds", [None, 1])
@pytest.mark.parametrize("make", [undirected, directed])
async def test_rounds_are_those_of_the_plain_loop_bit_for_bit(
    make: Callable[[], Game], speeds: int | None, size: int
) -> None:
    game, seed = make(), 13
    expected = plain_rounds(game, seed, 12)
    crew = await connected(
        seats(game, seed), uneven(speeds) if speeds is not None else None, size=size, synchronous=True
    )
    for count in (1, 4, 7):
        await crew.each("play_rounds", count)
    states = await crew.of_each("state")
    assert list(states) == list(expected)
    for name, state in states.items():
        assert frozen(state) == frozen(expected[name].state())
    if size == 1:
        used = [handle for handle in crew.handles.values() if handle.arrived]
        assert all(h.arrived == list(range(len(h.arrived))) and len(h.arrived) >= 11 for h in used)
        assert all(handle.most_under_way == 1 for handle in used)


@pytest.mark.parametrize("style", ["pull", "push-pull"])
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_rounds_in_which_players_ask_are_those_of_the_engine_rounds(style: Any, size: int) -> None:
    graph = undirected().graph
    gossip = Gossip(style=style, fan_out=1)
    game = Game(graph, {name: replace(spec, gossip=gossip) for name, spec in specs(graph).items()})
    expected = play(game, "rounds", seed=13, moves=9, keep_states=True)
    crew = await connected(seats(game, 13), uneven(1), size=size, synchronous=True)
    await crew.each("play_rounds", 9)
    states = await crew.of_each("state")
    assert frozen(states) == frozen(expected.states)
    assert sum(p.sent for report in await crew.each("report") for p in report.players) == expected.last.messages


async def test_another_seed_gives_other_states() -> None:
    game = undirected()
    crew = await connected(seats(game, 13), synchronous=True)
    await crew.each("play_rounds", 3)
    other = plain_rounds(game, 14, 3)
    assert all(frozen(s) != frozen(other[name].state()) for name, s in (await crew.of_each("state")).items())


@pytest.mark.parametrize("size", [1, 3])
async def test_rounds_count_what_was_sent(size: int) -> None:
    game = directed()
    crew = await connected(seats(game, 0), size=size, synchronous=True)
    await crew.each("play_rounds", 5)
    reports = {player.name: player for report in await crew.each("report") for player in report.players}
    assert {name: r.moves for name, r in reports.items()} == dict.fromkeys(game.players, 5)
    # One message a round and listener; the player without data is silent in the first round.
    assert {name: r.sent for name, r in reports.items()} == {0: 10, 1: 10, 2: 5, 3: 15, 4: 0, 5: 4}
    assert {name: r.bytes for name, r in reports.items()} == {
        name: r.sent * 16 * game.specs[name].samples for name, r in reports.items()
    }
    assert reports[4].letters == {"accepted": 5 + 5 + 4, "duplicate": 0, "outdated": 0, "replaced": 0}


async def test_a_player_waits_for_the_last_of_its_neighbours() -> None:
    gate = asyncio.Event()

    async def held_up() -> None:
        await gate.wait()

    game = undirected()
    made = seats(game, 0)
    slow = made[0].name, next(iter(made[0].listeners))
    crew = await connected(
        made, lambda j, i, actor: Handle(actor, held_up if (j, i) == slow else None), synchronous=True
    )
    playing = asyncio.gather(*[actor.play_rounds(4) for actor in crew.actors])
    players = crew.players()
    distance = nx.shortest_path_length(game.graph, slow[1])
    await until(lambda: players[slow[0]].moves >= 1)
    for _ in range(200):
        await asyncio.sleep(0)
    assert players[slow[1]].moves == 0
    assert all(p.moves <= distance[name] for name, p in players.items())
    gate.set()
    await asyncio.wait_for(playing, BOUND_S)
    assert {p.moves for p in players.values()} == {4}


async def test_a_model_error_ends_the_rounds_of_its_player() -> None:
    game = pair(model=lambda: FailingAfter(2), family=None)
    crew = await connected(seats(game, 0), synchronous=True)
    other = asyncio.create_task(crew.actors[1].play_rounds(5))
    with pytest.raises(
        ModelError, match="the model of player 0 failed at move .: learn raised FloatingPointError: div"
    ):
        await asyncio.wait_for(crew.actors[0].play_rounds(5), BOUND_S)
    await crew.actors[1].abort()
    with pytest.raises(TurnsEnded):
        await asyncio.wait_for(other, BOUND_S)


async def test_rounds_broken_off_go_on_from_a_checkpoint_as_if_nothing_had_been(tmp_path: Path) -> None:
    game, seed = undirected(), 13
    expected = plain_rounds(game, seed, 12)
    stores = [CheckpointStore(tmp_path, f"actor-{k}") for k in range(3)]
    crew = await connected(seats(game, seed), uneven(2), size=2, synchronous=True, stores=stores)
    await crew.each("play_rounds", 5)
    assert await crew.each("save", 5) == [5, 5, 5]
    arrived = {pair: len(handle.arrived) for pair, handle in crew.handles.items()}
    survivors = [asyncio.create_task(actor.play_rounds(9)) for actor in crew.actors[:2]]  # the third has died
    await until(lambda: any(len(crew.handles[pair].arrived) > count for pair, count in arrived.items()))
    for actor in crew.actors[:2]:
        await actor.abort()
    for ended in await asyncio.wait_for(asyncio.gather(*survivors, return_exceptions=True), BOUND_S):
        assert isinstance(ended, TurnsEnded)
    crew.renew(2)
    await crew.each("restore", 5, 1)
    await crew.each("play_rounds", 7)
    for name, state in (await crew.of_each("state")).items():
        assert frozen(state) == frozen(expected[name].state())
    with pytest.raises(TurnsEnded):  # what is left over from before the fall is not let in
        await crew.actors[0].take_turn(1, 0, 12, message(2, 99, 0, np.zeros((1, 2))))


async def test_of_a_round_that_was_broken_off_while_a_model_learned_nothing_comes_after(tmp_path: Path) -> None:
    model = Pondering(3)
    made = seats(pair(model=lambda: model, family=None), 0)
    crew = await connected(made, size=2, synchronous=True, stores=[CheckpointStore(tmp_path, "actor")])
    (actor,) = crew.actors
    await actor.play_rounds(2)
    await actor.save(2)
    held = frozen(actor._ensemble.packed(actor._stepper.held))
    playing = asyncio.create_task(actor.play_rounds(3))
    await until(model.begun.is_set)
    await asyncio.wait_for(actor.abort(), BOUND_S)
    with pytest.raises(TurnsEnded):
        await asyncio.wait_for(playing, BOUND_S)
    assert await actor.standing() == (False, 2)
    restoring = asyncio.create_task(actor.restore(2, 1))
    model.go_on.set()
    await asyncio.wait_for(restoring, BOUND_S)
    assert frozen(actor._ensemble.packed(actor._stepper.held)) == held
    await actor.play_rounds(1)
    assert await actor.standing() == (False, 3)


@pytest.mark.parametrize("make", [pair, lambda: asking(pair())])
async def test_a_round_with_a_dead_neighbour_raises_at_once(make: Callable[[], Game]) -> None:
    crew = await connected(seats(make(), 0), synchronous=True)
    crew.handles[0, 1] = Gone(ActorDiedError())  # it will not be heard either
    with pytest.raises(ActorDiedError):
        await asyncio.wait_for(crew.actors[0].play_rounds(3), BOUND_S)
    assert await crew.actors[0].standing() == (False, 0)


async def test_checkpoints_of_a_history_that_was_undone_are_removed(tmp_path: Path) -> None:
    stores = [CheckpointStore(tmp_path, f"actor-{k}", kept=5) for k in range(2)]
    crew = await connected(seats(pair(), 0), synchronous=True, stores=stores)
    for number in (3, 6, 9):
        await crew.each("play_rounds", 3)
        await crew.each("save", number)
    await crew.each("abort")
    await crew.each("restore", 6, 1)
    for store in stores:
        assert store.numbers() == [0, 3, 6]
        found = store.latest()
        assert found is not None
        assert (found[0], found[1]["turn"]) == (6, 6)
    await crew.each("play_rounds", 1)
    assert {p.moves for p in crew.players().values()} == {7}
