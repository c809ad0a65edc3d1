"""Players whose models fail, processes that die, storage that refuses: what an actor does then."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from nashgossip import topology
from nashgossip.agents import ModelError, seats
from nashgossip.games import Game, PlayerSpec, Space, Variable
from nashgossip.runners import Journal, read_journal
from nashgossip.runners.checkpoint_store import CheckpointStore
from nashgossip.topology import membership

from .crew import (
    BOUND_S,
    FAMILY,
    Breaking,
    Crew,
    FailingAfter,
    Flaky,
    Gone,
    Pondering,
    Speechless,
    asking,
    connected,
    ended,
    only,
    pair,
    refusing,
    specs,
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


# --- players set aside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2])
async def test_who_fails_while_it_answers_is_set_aside_and_not_who_asks(size: int) -> None:
    game = asking(pair(model=Speechless, family=None))
    crew = await connected(seats(game, 0), size=size, policy="skip")
    await crew.each("start")
    await until(lambda: bool(crew.actors[0]._failures.aside) and crew.players()[1].moves >= 20)
    await crew.each("stop")
    reports = await crew.each("report")
    assert {name for report in reports for name in report.aside} == {0}
    assert reports[0].aside[0].cause == "generate raised FloatingPointError: no words"
    assert [report.failure for report in reports] == [None] * len(reports)


@pytest.mark.parametrize("size", [1, 2])
async def test_in_rounds_too_who_fails_while_it_answers_is_set_aside(size: int) -> None:
    game = asking(pair(model=Speechless, family=None))
    crew = await connected(seats(game, 0), size=size, policy="skip", synchronous=True)
    await crew.each("play_rounds", 4)
    reports = await crew.each("report")
    assert {name for report in reports for name in report.aside} == {0}
    assert {name: p.moves for name, p in crew.players().items()} == {0: 0, 1: 4}


async def test_an_answer_that_fails_ends_rounds_where_nobody_is_skipped() -> None:
    crew = await connected(seats(asking(pair(model=Speechless, family=None)), 0), size=2, synchronous=True)
    with pytest.raises(ModelError, match="the model of player 0 failed at move 0: generate raised FloatingPointError"):
        await crew.each("play_rounds", 1)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_player_set_aside_answers_nobody(size: int) -> None:
    game = asking(pair(model=lambda: FailingAfter(3), family=None))  # learns once from its data, and moves twice
    crew = await connected(seats(game, 0), size=size, policy="skip")
    await crew.each("start")
    await until(lambda: bool(crew.actors[0]._failures.aside) and crew.players()[1].moves >= 5)
    await crew.each("stop")  # and what was on its way has arrived
    heard = crew.players()[1].mailbox.counts["accepted"]
    moves = crew.players()[1].moves
    await crew.each("start")
    await until(lambda: crew.players()[1].moves >= moves + 20)
    await crew.each("stop")
    assert crew.players()[1].mailbox.counts["accepted"] == heard
    assert crew.players()[0].moves == 2


@pytest.mark.parametrize("size", [1, 2])
async def test_in_rounds_too_a_player_set_aside_answers_nobody(size: int) -> None:
    game = asking(pair(model=lambda: FailingAfter(3), family=None))
    crew = await connected(seats(game, 0), size=size, policy="skip", synchronous=True)
    await crew.each("play_rounds", 9)
    assert crew.players()[1].mailbox.counts["accepted"] == 3
    assert {name: p.moves for name, p in crew.players().items()} == {0: 2, 1: 9}


HOLDOUT = FAMILY.space.batch({"x": [[0.5, 0.5]]})
TEST = Space((*FAMILY.space, Variable("kind", "categorical", categories=2))).batch({"x": [[0.5, 0.5]], "kind": [1]})
LOOKS = [("measure", 3), ("held_out",), ("estimate_regret", 2), ("score", "kind", {0: 0}, TEST)]


@pytest.mark.parametrize("synchronous", [False, True])
async def test_a_player_set_aside_is_not_looked_at(synchronous: bool) -> None:
    game = pair(model=lambda: Breaking(3), family=None, holdout=HOLDOUT)
    crew = await connected(seats(game, 0), size=2, policy="skip", synchronous=synchronous)
    if synchronous:
        await crew.each("play_rounds", 4)
    else:
        await crew.each("start")
        await until(lambda: bool(crew.actors[0]._failures.aside) and crew.players()[1].moves >= 4)
        await crew.each("stop")
    for look in LOOKS:
        assert 0 not in await crew.of_each(*look)
    assert (await crew.of_each("measure", 3)).keys() == {1}
    (report,) = await crew.each("report")
    assert [player.name for player in report.players] == [0, 1]
    assert report.players[0].mean is None
    assert report.players[1].mean is not None


@pytest.mark.parametrize("look", [*LOOKS, ("report",)])
async def test_who_fails_while_it_is_looked_at_is_set_aside_or_ends_the_run(look: tuple[Any, ...]) -> None:
    game = pair(model=lambda: Breaking(1), family=None, holdout=HOLDOUT)
    for policy in ("skip", "fail"):
        crew = await connected(seats(asking(game), 0), size=2, policy=policy)  # who tells would fail before
        if policy == "skip":
            await crew.each(*look)
            assert (await crew.actors[0].report()).aside.keys() == {0}
            assert (await crew.of_each("measure", 3)).keys() == {1}
        else:
            with pytest.raises(ModelError, match="the model of player 0 failed at move 0: "):
                await crew.each(*look)


@pytest.mark.parametrize("rate", [None, 500.0])
@pytest.mark.parametrize("away", [False, True])
async def test_a_change_of_graph_revives_nobody(away: bool, rate: float | None) -> None:
    graph = topology.attach_alpha(nx.path_graph(3), self_weight=0.5)
    made = specs(graph)
    made[0] = PlayerSpec(model=lambda: FailingAfter(3), data=made[0].data, samples=4)
    other = 0 if away else 2
    graphs = membership(graph, [(10, other, "leave"), (20, other, "join")])
    wirings = [seats(Game(piece, made), 3) for piece in graphs.graphs]
    absent = [graphs.absent_at(piece.start) for piece in graphs]
    crew = await connected(wirings[0], size=3, policy="skip", rate=rate, later=wirings[1:], absent=absent)
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: 0 in crew.actors[0]._failures.aside)
    stood = crew.players()[0].moves
    for wiring in (1, 2):
        await crew.each("rewire", wiring)
        moves = crew.players()[1].moves
        await until(lambda least=moves + 20: crew.players()[1].moves >= least)
    assert crew.players()[0].moves == stood
    moves = crew.players()[2].moves
    await until(lambda: crew.players()[2].moves > moves)
    await crew.each("stop")


class Torn(Pondering):
    """Cannot tell its mean while it learns for the k-th time."""

    @property
    def mean_parameters(self) -> Any:
        if self.begun.is_set() and not self.go_on.is_set():
            raise IndexError("half of it is there")
        return np.zeros(2) if self.mean is None else self.mean


async def test_a_model_that_is_read_half_way_through_an_update_has_not_failed() -> None:
    model = Torn(3)
    crew = await connected(seats(pair(model=lambda: model, family=None), 0), size=2, policy="skip")
    await crew.each("start")
    await until(model.begun.is_set)
    (report,) = await crew.each("report")
    assert [player.mean is None for player in report.players] == [True, False]
    assert report.aside == {}
    model.go_on.set()
    moves = crew.players()[0].moves
    await until(lambda: crew.players()[0].moves > moves)
    await crew.each("stop")
    (report,) = await crew.each("report")
    assert [player.mean is None for player in report.players] == [False, False]
    assert report.aside == {}


# --- storage that refuses ------------------------------------------------------------------------------------


def refused(log: Journal) -> list[dict[str, Any]]:
    return [entry for entry in read_journal(log.path) if entry["event"] == "checkpoint failed"]


async def test_play_outlives_a_storage_that_refuses_checkpoints_for_a_while(tmp_path: Path) -> None:
    store, log = CheckpointStore(tmp_path, "actor"), Journal(tmp_path / "log.jsonl")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], log=log, checkpoint_seconds=0.01)
    await crew.each("start")
    await until(lambda: crew.actors[0]._keeper.number >= 2)
    for _ in range(2):
        with refusing(store):
            moves, before = crew.players()[0].moves, len(refused(log))
            await until(lambda least=before + 2: len(refused(log)) >= least)
            with pytest.raises(FileExistsError):  # who asks for one is told
                await crew.actors[0].save()
            assert crew.players()[0].moves > moves
        before = crew.actors[0]._keeper.number
        await until(lambda number=before: crew.actors[0]._keeper.number > number)
    await crew.each("report")
    await crew.each("stop", True)
    told = refused(log)
    assert {(entry["level"], entry["of"]) for entry in told} == {("error", 5)}
    attempts = [entry["attempt"] for entry in told]
    again = attempts.index(1, 1)  # counted anew after one that was saved
    assert attempts == [*range(1, again + 1), *range(1, len(attempts) - again + 1)]
    assert 2 <= again <= len(attempts) - 2


async def test_play_ends_when_storage_has_refused_five_checkpoints_in_a_row(tmp_path: Path) -> None:
    store, log = CheckpointStore(tmp_path, "actor"), Journal(tmp_path / "log.jsonl")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], log=log, checkpoint_seconds=0.02, policy="skip")
    with refusing(store):
        await crew.each("start")
        await until(lambda: ended(crew.actors[0]))
        with pytest.raises(FileExistsError):
            await crew.actors[0].report()
        with pytest.raises(FileExistsError):
            await crew.actors[0].stop(save=True)
    times = [datetime.fromisoformat(entry["time"]) for entry in refused(log)]
    assert len(times) == 5
    assert (times[4] - times[0]).total_seconds() > 0.3  # at least half of 0.02 (2 + 4 + 8 + 16) s


async def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").touch()
    crew = await connected(seats(pair(), 0), size=2, log=Journal(tmp_path / "logs" / "actor.jsonl"))
    assert [p.moves for p in (await crew.actors[0].report()).players] == [0, 0]
    assert "actor 0: begun" in caplog.text
