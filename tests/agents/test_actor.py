"""The actor around players: gossip at their own pace, and what the laboratory asks."""

import asyncio
import threading
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nashgossip.agents import PlayerActor, Source, seats
from nashgossip.games import Game, Gossip
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import (
    BOUND_S,
    FAMILY,
    Handle,
    Late,
    connected,
    directed,
    ended,
    message,
    only,
    pair,
    plain_rounds,
    specs,
    undirected,
    uneven,
    until,
)


async def test_one_message_at_most_is_on_its_way_and_the_newest_replaces_one_that_waits() -> None:
    gate, knocked = asyncio.Event(), asyncio.Event()

    async def held_up() -> None:
        knocked.set()
        await gate.wait()

    def make(j: Hashable, i: Hashable, actor: PlayerActor) -> Handle:
        return Handle(actor, held_up if j == 0 else None)

    crew = await connected(seats(pair(), 0), make, rate=500.0)  # without a clock it would wait for the way to be free
    actor, handle, player = crew.actors[0], crew.handles[0, 1], crew.players()[0]
    await actor.start()
    await asyncio.wait_for(knocked.wait(), BOUND_S)
    await until(lambda: player.moves >= 30)
    assert (handle.under_way, handle.arrived) == (1, [])
    report = await actor.report()
    assert only(report).sent == 0
    assert report.superseded >= 27  # of the publications, all but the one that is on its way and the newest
    before = player.moves
    gate.set()
    await until(lambda: len(handle.arrived) >= 2)
    assert 1 <= handle.arrived[0] < before
    assert handle.arrived[1] >= before - 1
    await asyncio.wait_for(actor.stop(), BOUND_S)
    assert handle.arrived == sorted(set(handle.arrived))
    assert handle.most_under_way == 1
    assert handle.under_way == 0


@pytest.mark.parametrize("size", [1, 2])
async def test_every_publication_is_sent_or_superseded_or_was_waiting_at_the_end(size: int) -> None:
    game = undirected()
    crew = await connected(seats(game, 0), uneven(5), size=size)
    await crew.each("start")
    await until(lambda: all(p.moves >= 40 for p in crew.players().values()))
    await crew.each("stop")
    accepted = 0
    for actor, report in zip(crew.actors, await crew.each("report"), strict=True):
        published = sum(p.moves * len(game.graph.succ[p.name]) - p.moves for p in report.players)
        edges = sum(len(game.graph.succ[p.name]) - 1 for p in report.players)
        sent = sum(p.sent for p in report.players)
        assert published - edges <= sent + report.superseded <= published
        assert all(p.bytes == p.sent * 16 * (4 + int(str(p.name))) for p in report.players)
        assert not any(p.rejected for p in report.players)
        assert report.unreachable == 0
        accepted += sum(p.letters["accepted"] for p in report.players) - sent
        ways = [handle for (a, _), handle in crew.handles.items() if crew.actors[a] is actor]
        assert all(handle.most_under_way <= 1 for handle in ways)
        assert sum(len(handle.arrived) for handle in ways) == sent if size == 1 else sent > 0
    assert accepted == 0  # all that was sent was taken in, and nothing else


async def test_players_who_ask_are_answered(tmp_path: Path) -> None:
    graph = undirected().graph
    game = Game(graph, {n: replace(spec, gossip=Gossip(style="pull")) for n, spec in specs(graph).items()})
    crew = await connected(seats(game, 0), size=2)
    await crew.each("start")
    await until(lambda: all(p.mailbox.counts["accepted"] >= 20 for p in crew.players().values()))
    await crew.each("stop")
    assert all(not p.rejected for p in crew.players().values())


async def test_messages_are_taken_in_while_the_model_learns() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Pondering(Late):
        def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
            super().learn(sources, rng)
            if len(sources) > 1:
                begun.set()
                assert go_on.wait(BOUND_S)

    crew = await connected(seats(pair(model=Pondering, family=None), 0))
    actor = crew.actors[0]
    await actor.deliver(message(1, 0, 0, np.zeros((2, 2))))
    await actor.start()
    await until(begun.is_set)
    for t in range(1, 6):
        await asyncio.wait_for(actor.deliver(message(1, t, 0, np.ones((2, 2)))), BOUND_S)
    report = await asyncio.wait_for(actor.report(), BOUND_S)
    assert only(report).letters == {"accepted": 6, "duplicate": 0, "outdated": 0, "replaced": 4}
    stopping = asyncio.create_task(actor.stop())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(stopping, BOUND_S)


async def test_players_without_pause_leave_the_event_loop_its_turns_though_they_send_nothing() -> None:
    crew = await connected(seats(pair(model=Late, family=None), 0), size=2)
    await crew.each("start")
    moved: list[int] = []

    def enough() -> bool:
        moved.append(crew.players()[0].moves)
        return moved[-1] >= 3000

    await until(enough)
    await crew.each("stop")
    assert np.diff(moved).max() < 300  # a slice lasts two milliseconds


@pytest.mark.parametrize("rate", [None, 1e-6, 1e4])
async def test_stop_ends_gossip_also_in_a_long_pause(rate: float | None) -> None:
    crew = await connected(seats(pair(), 0), rate=rate)
    await crew.each("start")
    moves = 0 if rate == 1e-6 else 5
    await until(lambda: all(p.moves >= moves for p in crew.players().values()))
    await crew.each("stop")
    reports = [only(report) for report in await crew.each("report")]
    assert all(r.moves >= moves and r.sent >= min(moves, 1) for r in reports)
    again = [only(report) for report in await crew.each("report")]
    assert [r.moves for r in again] == [r.moves for r in reports]


@pytest.mark.parametrize("rate", [None, 500.0])
async def test_an_actor_that_was_stopped_can_be_started_again(rate: float | None, tmp_path: Path) -> None:
    stores = [CheckpointStore(tmp_path, "actor")]
    crew = await connected(seats(pair(), 0), rate=rate, size=2, stores=stores)
    await crew.each("introduce")
    await crew.each("start")
    for _ in range(2):
        most = max(p.moves for p in crew.players().values())
        await until(lambda before=most: all(p.moves >= before + 5 for p in crew.players().values()))
        stopping = asyncio.create_task(crew.actors[0].stop(True))
        await asyncio.sleep(0)
        await crew.each("start")  # while it is being stopped: that comes first
        assert stopping.done()
        assert not ended(crew.actors[0])
    clocks = crew.actors[0]._gossiper._clocks
    await crew.each("stop")
    assert sorted(player for _, _, player in clocks._queue) == [0, 1]  # each has one clock


async def test_an_actor_that_has_begun_is_not_begun_again() -> None:
    crew = await connected(seats(pair(), 0))
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: all(p.moves >= 5 for p in crew.players().values()))
    means = [p.mean_parameters for p in crew.players().values()]
    assert await crew.each("begin") == [False, False]  # as whoever takes over a run that plays does
    await crew.each("introduce")
    await crew.each("start")
    await crew.each("stop")
    for player, before, data in zip(crew.players().values(), means, pair().specs.values(), strict=True):
        assert player.moves >= 5
        assert not np.allclose(player.mean_parameters, FAMILY.mean_statistics(data.data))
        assert before is not None


@pytest.mark.parametrize("size", [1, 2])
async def test_players_have_heard_each_other_before_anyone_moves(size: int) -> None:
    crew = await connected(seats(pair(), 0), size=size)
    await crew.each("introduce")
    for report in await crew.each("report"):
        for player in report.players:
            assert (player.moves, player.sent, player.letters["accepted"]) == (0, 1, 1)


async def test_bad_messages_are_reported_with_their_reasons() -> None:
    crew = await connected(seats(pair(), 0))
    actor = crew.actors[0]
    for bad in (
        message("stranger", 0, 0, np.zeros((1, 2))),
        message(1, -1, 0, np.zeros((1, 2))),
        message(1, 0, 0, np.full((1, 2), np.nan)),
        message(1, 0, 0, np.zeros((1, 2))),
        message(1, 1, "nobody", np.zeros((1, 2))),
    ):
        await actor.deliver(bad)
    report = only(await actor.report())
    assert report.rejected == {"sender": 1, "sequence": 1, "finite": 1}
    assert report.letters["accepted"] == 1


@pytest.mark.parametrize("size", [1, 2])
async def test_reports_measurements_and_scores_are_the_players(size: int) -> None:
    game = pair(holdout=FAMILY.space.batch({"x": [[0.5, 0.5]]}))
    crew = await connected(seats(game, 0), size=size, synchronous=True)
    await crew.each("play_rounds", 3)
    player = plain_rounds(game, 0, 3)[0]
    report = (await crew.actors[0].report()).players[0]
    assert report.moves == player.moves == 3
    np.testing.assert_array_equal(report.mean, player.mean_parameters)
    measured, expected = (await crew.of_each("measure", 6))[0], player.measure(6)
    assert measured is not None
    assert expected is not None
    np.testing.assert_array_equal(measured["x"], expected["x"])
    assert await crew.of_each("held_out") == {0: player.held_out(), 1: None}


async def test_staleness_is_reported_in_the_listener_s_moves() -> None:
    crew = await connected(seats(pair(), 0))
    actor = crew.actors[0]
    await actor.deliver(message(1, 0, 0, np.zeros((1, 2))))
    await actor.start()
    await until(lambda: crew.players()[0].moves >= 7)
    await asyncio.wait_for(actor.stop(), BOUND_S)
    report = only(await actor.report())
    assert report.staleness == report.moves >= 7


async def test_a_player_that_knows_nothing_measures_nothing() -> None:
    crew = await connected(seats(directed(), 0))
    assert (await crew.of_each("measure", 3))[5] is None
    assert (await crew.of_each("held_out"))[5] is None
    report = only(await crew.actors[5].report())
    assert (report.mean, report.sent) == (None, 0)
