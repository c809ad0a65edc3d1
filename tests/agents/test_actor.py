"""The actor around a player, driven in one event loop: real actors, and a transport that stands in for Ray's."""

import asyncio
import pickle
import threading
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
from ray.exceptions import ActorDiedError, RayActorError

from nashgossip import topology
from nashgossip.agents import ModelError, Move, Player, PlayerActor, Seat, Source, State, seats
from nashgossip.games import Batch, Game, Gaussian, PlayerSpec, StepSize

FAMILY = Gaussian((2,))
BOUND_S = 30.0


# --- the transport -------------------------------------------------------------------------------------------


class Handle:
    """What a sender has of a peer: `handle.method.remote(…)` begins at once, in copies, as between processes.

    `detour` is awaited before the peer is called: it decides how slow the way is.
    """

    def __init__(self, actor: PlayerActor, detour: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._actor, self._detour = actor, detour
        self.under_way = self.most_under_way = 0
        self.arrived: list[int] = []

    def __getattr__(self, name: str) -> "Method":
        return Method(lambda *arguments: self._call(name, arguments))

    async def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        copies = pickle.loads(pickle.dumps(arguments))
        if self._detour is not None:
            await self._detour()
        answer = await getattr(self._actor, name)(*copies)
        self.arrived.append(copies[1])
        self.under_way -= 1
        return answer


class Method:
    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._call = call

    def remote(self, *arguments: Any) -> "asyncio.Task[Any]":
        return asyncio.create_task(self._call(*arguments))


async def connected(
    made: list[Seat], handles: Callable[[Hashable, Hashable, PlayerActor], Handle] | None = None
) -> tuple[dict[Hashable, PlayerActor], dict[tuple[Hashable, Hashable], Handle]]:
    """An opened actor for every seat, and the handles by (sender, listener)."""
    actors = {seat.name: PlayerActor(seat) for seat in made}
    peers = {
        (seat.name, listener): handles(seat.name, listener, actors[listener]) if handles else Handle(actors[listener])
        for seat in made
        for listener in seat.listeners
    }
    for seat in made:
        await actors[seat.name].connect({listener: peers[seat.name, listener] for listener in seat.listeners})
    for actor in actors.values():
        await actor.open()
    return actors, peers


async def until(condition: Callable[[], bool]) -> None:
    """Lets the others run until the condition holds; TimeoutError if it never does."""
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0)


# --- games ---------------------------------------------------------------------------------------------------


def specs(graph: "nx.DiGraph[Any]") -> dict[Hashable, PlayerSpec]:
    made: dict[Hashable, PlayerSpec] = {}
    for k, name in enumerate(graph):
        data = FAMILY.sample(np.array([k, -k], float), 20, np.random.default_rng(k))
        made[name] = PlayerSpec(family=FAMILY, data=data, samples=4 + k, step=StepSize(0.8))
    return made


def undirected() -> Game:
    graph = topology.attach_alpha(nx.connected_watts_strogatz_graph(6, 2, 0.4, seed=3), self_weight=0.3)
    return Game(graph, specs(graph))


def directed() -> Game:
    """A source (0), a cycle with a chord (1, 2, 3), a sink (4), and a player without data (5) fed by the cycle."""
    edges = [(0, 1), (1, 2), (2, 3), (3, 1), (1, 3), (3, 4), (0, 4), (3, 5), (5, 4)]
    graph = topology.attach_alpha(nx.DiGraph(edges), self_weight={0: 1.0, 1: 0.3, 2: 0.2, 3: 0.5, 4: 0.1, 5: 0.0})
    made = specs(graph)
    made[5] = PlayerSpec(model=Late, samples=3)
    return Game(graph, made)


class Late:
    """Normal rows around what it heard last; knows nothing, and is silent, before."""

    space = FAMILY.space

    def __init__(self) -> None:
        self.mean: Any = None

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self.mean = np.sum([s.weight * s.batch["x"].mean(axis=0) for s in sources], axis=0)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self.space.batch({"x": self.mean + rng.standard_normal((n, 2))})

    def state(self) -> State:
        return {"mean": None if self.mean is None else self.mean.copy()}

    def load(self, state: State) -> None:
        self.mean = state["mean"]


class FailingAfter(Late):
    """Raises when it learns for the k-th time, counted from 0."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self._left = k

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        if self._left == 0:
            raise FloatingPointError("diverged")
        self._left -= 1
        super().learn(sources, rng)


def pair(**changes: Any) -> Game:
    """Two players that hear each other."""
    graph = topology.attach_alpha(nx.path_graph(2), self_weight=0.5)
    made = specs(graph)
    made[0] = PlayerSpec(**({"family": FAMILY, "data": made[0].data, "samples": 4} | changes))
    return Game(graph, made)


def plain_rounds(game: Game, seed: int, rounds: int) -> dict[Hashable, Player]:
    """The reference: all messages of a round are delivered before anybody moves."""
    players = {seat.name: seat.build() for seat in seats(game, seed)}
    made: list[Move] = [p.open() for p in players.values()]
    for _ in range(rounds):
        for move in made:
            for listener, message in move.messages.items():
                assert players[listener].receive(message) is None
        made = [p.move() for p in players.values()]
    return players


def frozen(node: Any) -> Any:
    """A state in a form in which == compares every bit."""
    if isinstance(node, Mapping):
        return {key: frozen(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [frozen(value) for value in node]
    return (node.dtype.str, node.shape, node.tobytes()) if isinstance(node, np.ndarray) else node


# --- rounds --------------------------------------------------------------------------------------------------


def uneven(seed: int) -> Callable[[Hashable, Hashable, PlayerActor], Handle]:
    """Ways that take some turns of the event loop more or less, never the same number."""
    rng = np.random.default_rng(seed)

    async def detour() -> None:
        for _ in range(int(rng.integers(0, 40))):
            await asyncio.sleep(0)

    return lambda sender, listener, actor: Handle(actor, detour)


@pytest.mark.parametrize("speeds", [None, 1, 2])
@pytest.mark.parametrize("make", [undirected, directed])
async def test_rounds_are_those_of_the_plain_loop_bit_for_bit(make: Callable[[], Game], speeds: int | None) -> None:
    game, seed = make(), 13
    expected = plain_rounds(game, seed, 12)
    actors, peers = await connected(seats(game, seed), uneven(speeds) if speeds is not None else None)
    async with asyncio.timeout(BOUND_S):
        for count in (1, 4, 7):
            await asyncio.gather(*[actor.play_rounds(count) for actor in actors.values()])
    for name, actor in actors.items():
        assert frozen(await actor.state()) == frozen(expected[name].state())
    assert all(handle.arrived == list(range(12)) for handle in peers.values())
    assert all(handle.most_under_way == 1 for handle in peers.values())


async def test_another_seed_gives_other_states() -> None:
    game = undirected()
    actors, _ = await connected(seats(game, 13))
    await asyncio.gather(*[actor.play_rounds(3) for actor in actors.values()])
    other = plain_rounds(game, 14, 3)
    assert all([frozen(await a.state()) != frozen(other[name].state()) for name, a in actors.items()])


async def test_rounds_count_what_was_sent() -> None:
    game = directed()
    actors, _ = await connected(seats(game, 0))
    await asyncio.gather(*[actor.play_rounds(5) for actor in actors.values()])
    reports = {name: await actor.report() for name, actor in actors.items()}
    assert {name: r.moves for name, r in reports.items()} == dict.fromkeys(actors, 5)
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
    actors, _ = await connected(made, lambda j, i, actor: Handle(actor, held_up if (j, i) == slow else None))
    playing = asyncio.gather(*[actor.play_rounds(4) for actor in actors.values()])
    players = {name: actor._player for name, actor in actors.items()}
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
    actors, _ = await connected(seats(game, 0))
    other = asyncio.create_task(actors[1].play_rounds(5))
    with pytest.raises(
        ModelError, match="the model of player 0 failed at move .: learn raised FloatingPointError: div"
    ):
        await asyncio.wait_for(actors[0].play_rounds(5), BOUND_S)
    other.cancel()


# --- gossip --------------------------------------------------------------------------------------------------


async def test_one_message_at_most_is_on_its_way_and_the_newest_replaces_one_that_waits() -> None:
    gate, knocked = asyncio.Event(), asyncio.Event()

    async def held_up() -> None:
        knocked.set()
        await gate.wait()

    actors, peers = await connected(seats(pair(), 0), lambda j, i, actor: Handle(actor, held_up if j == 0 else None))
    handle, player = peers[0, 1], actors[0]._player
    gossip = asyncio.create_task(actors[0].gossip(None))
    await asyncio.wait_for(knocked.wait(), BOUND_S)
    await until(lambda: player.moves >= 30)
    assert (handle.under_way, handle.arrived) == (1, [])
    report = await actors[0].report()
    assert report.sent == 0
    assert report.superseded >= 27  # of the publications since the first, all but the newest
    before = player.moves
    gate.set()
    await until(lambda: len(handle.arrived) >= 2)
    assert handle.arrived[0] == 1
    assert handle.arrived[1] >= before - 1
    await actors[0].stop()
    await asyncio.wait_for(gossip, BOUND_S)
    assert handle.arrived == sorted(set(handle.arrived))
    assert handle.most_under_way == 1
    assert handle.under_way == 0


async def test_every_publication_is_sent_or_superseded_or_was_waiting_at_the_end() -> None:
    actors, peers = await connected(seats(undirected(), 0), uneven(5))
    gossips = [asyncio.create_task(actor.gossip(None)) for actor in actors.values()]
    await until(lambda: all(a._player.moves >= 40 for a in actors.values()))
    for actor in actors.values():
        await actor.stop()
    await asyncio.wait_for(asyncio.gather(*gossips), BOUND_S)
    for name, actor in actors.items():
        report = await actor.report()
        ways = [handle for (sender, _), handle in peers.items() if sender == name]
        published = report.moves * len(ways)
        assert report.sent == sum(len(handle.arrived) for handle in ways)
        assert published - len(ways) <= report.sent + report.superseded <= published
        assert all(handle.most_under_way == 1 for handle in ways)
        assert report.bytes == report.sent * 16 * (4 + int(str(name)))
        assert not report.rejected
        assert report.unreachable == 0
    accepted = sum([(await a.report()).letters["accepted"] for a in actors.values()])
    assert accepted == sum(len(handle.arrived) for handle in peers.values())


async def test_messages_are_taken_in_while_the_model_learns() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Pondering(Late):
        def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
            super().learn(sources, rng)
            if len(sources) > 1:
                begun.set()
                assert go_on.wait(BOUND_S)

    actors, _ = await connected(seats(pair(model=Pondering, family=None), 0))
    actor = actors[0]
    await actor.deliver(1, 0, {"x": np.zeros((2, 2))})
    gossip = asyncio.create_task(actor.gossip(None))
    await until(begun.is_set)
    for t in range(1, 6):
        assert await asyncio.wait_for(actor.deliver(1, t, {"x": np.ones((2, 2))}), BOUND_S) is None
    report = await asyncio.wait_for(actor.report(), BOUND_S)
    assert report.letters == {"accepted": 6, "duplicate": 0, "outdated": 0, "replaced": 4}
    await actor.stop()
    go_on.set()
    await asyncio.wait_for(gossip, BOUND_S)


@pytest.mark.parametrize("rate", [None, 1e-6, 1e4])
async def test_stop_ends_gossip_also_in_a_long_pause(rate: float | None) -> None:
    actors, _ = await connected(seats(pair(), 0))
    gossips = [asyncio.create_task(actor.gossip(rate)) for actor in actors.values()]
    moves = 0 if rate == 1e-6 else 5
    await until(lambda: all(a._player.moves >= moves for a in actors.values()))
    for actor in actors.values():
        await actor.stop()
    await asyncio.wait_for(asyncio.gather(*gossips), BOUND_S)
    reports = [await actor.report() for actor in actors.values()]
    assert all(r.moves >= moves and r.sent >= min(moves, 1) for r in reports)
    again = [await actor.report() for actor in actors.values()]
    assert [r.moves for r in again] == [r.moves for r in reports]


async def test_players_have_heard_each_other_before_anyone_moves() -> None:
    actors, peers = await connected(seats(pair(), 0))
    for actor in actors.values():
        await asyncio.wait_for(actor.introduce(), BOUND_S)
    assert peers[0, 1].arrived == peers[1, 0].arrived == [0]
    for actor in actors.values():
        report = await actor.report()
        assert (report.moves, report.sent, report.letters["accepted"]) == (0, 1, 1)


async def test_a_model_error_ends_gossip_and_names_player_move_and_cause() -> None:
    actors, _ = await connected(seats(pair(model=lambda: FailingAfter(3), family=None), 0))
    other = asyncio.create_task(actors[1].gossip(None))
    with pytest.raises(
        ModelError, match="the model of player 0 failed at move .: learn raised FloatingPointError: div"
    ):
        await asyncio.wait_for(actors[0].gossip(None), BOUND_S)
    await actors[1].stop()
    await asyncio.wait_for(other, BOUND_S)


class Gone:
    """The handle of a peer that died: every call fails, from the given one on."""

    def __init__(self, error: RayActorError, handle: Handle | None = None, alive: int = 0) -> None:
        self._error, self._handle, self._alive = error, handle, alive

    @property
    def deliver(self) -> Method:
        return Method(self._call)

    async def _call(self, *arguments: Any) -> Any:
        if self._alive == 0 or self._handle is None:
            raise self._error
        self._alive -= 1
        return await self._handle.deliver.remote(*arguments)


@pytest.mark.parametrize("alive", [0, 3])
@pytest.mark.parametrize("error", [RayActorError(), ActorDiedError()])
async def test_a_dead_peer_is_counted_and_the_player_goes_on(error: RayActorError, alive: int) -> None:
    game = undirected()
    made = seats(game, 0)
    speaker = max(made, key=lambda seat: len(seat.listeners))
    dead, *others = speaker.listeners
    assert others
    actors, peers = await connected(made)
    handles: dict[Hashable, Any] = {name: peers[speaker.name, name] for name in speaker.listeners}
    handles[dead] = Gone(error, peers[speaker.name, dead], alive)
    actor = actors[speaker.name]
    await actor.connect(handles)
    gossip = asyncio.create_task(actor.gossip(None))
    await until(lambda: actor._counts["unreachable"] >= 3 and actor._player.moves >= 20)
    await actor.stop()
    await asyncio.wait_for(gossip, BOUND_S)
    report = await actor.report()
    assert len(peers[speaker.name, dead].arrived) == alive
    assert report.sent == alive + sum(len(peers[speaker.name, name].arrived) for name in others)
    assert all(len(peers[speaker.name, name].arrived) > 1 for name in others)


# --- what the laboratory asks --------------------------------------------------------------------------------


async def test_a_bad_message_is_answered_with_its_reason_and_reported() -> None:
    actors, _ = await connected(seats(pair(), 0))
    actor = actors[0]
    assert await actor.deliver("stranger", 0, {"x": np.zeros((1, 2))}) == "sender"
    assert await actor.deliver(1, -1, {"x": np.zeros((1, 2))}) == "sequence"
    assert await actor.deliver(1, 0, {"x": np.full((1, 2), np.nan)}) == "finite"
    assert await actor.deliver(1, 0, {"x": np.zeros((1, 2))}) is None
    report = await actor.report()
    assert report.rejected == {"sender": 1, "sequence": 1, "finite": 1}
    assert report.letters["accepted"] == 1


async def test_reports_measurements_and_scores_are_the_player_s() -> None:
    game = pair(holdout=FAMILY.space.batch({"x": [[0.5, 0.5]]}))
    actors, _ = await connected(seats(game, 0))
    await asyncio.gather(*[actor.play_rounds(3) for actor in actors.values()])
    player = plain_rounds(game, 0, 3)[0]
    report = await actors[0].report()
    assert report.moves == player.moves == 3
    np.testing.assert_array_equal(report.mean, player.mean_parameters)
    measured, expected = await actors[0].measure(6), player.measure(6)
    assert measured is not None
    assert expected is not None
    np.testing.assert_array_equal(measured["x"], expected["x"])
    assert await actors[0].held_out() == player.held_out()
    assert await actors[1].held_out() is None


async def test_staleness_is_reported_in_the_listener_s_moves() -> None:
    actors, _ = await connected(seats(pair(), 0))
    await actors[0].deliver(1, 0, {"x": np.zeros((1, 2))})
    gossip = asyncio.create_task(actors[0].gossip(None))
    await until(lambda: actors[0]._player.moves >= 7)
    await actors[0].stop()
    await asyncio.wait_for(gossip, BOUND_S)
    report = await actors[0].report()
    assert report.staleness == report.moves >= 7


async def test_a_player_that_knows_nothing_measures_nothing() -> None:
    actors, _ = await connected(seats(directed(), 0))
    assert await actors[5].measure(3) is None
    assert await actors[5].held_out() is None
    report = await actors[5].report()
    assert (report.mean, report.sent) == (None, 0)
