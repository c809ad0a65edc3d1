"""The actor around players, driven in one event loop: real actors, and a transport that stands in for Ray's."""

import asyncio
import pickle
import threading
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import networkx as nx
import numpy as np
import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from nashgossip import topology
from nashgossip.agents import HostPlan, ModelError, Move, Player, PlayerActor, Report, Seat, Source, State, seats
from nashgossip.agents.turns import TurnsEnded
from nashgossip.games import Batch, Game, Gaussian, Gossip, PlayerSpec, StepSize
from nashgossip.runners import play
from nashgossip.runners.checkpoint_store import CheckpointStore

FAMILY = Gaussian((2,))
BOUND_S = 30.0


# --- the transport -------------------------------------------------------------------------------------------


class Handle:
    """What a sender has of another process: `handle.method.remote(…)` begins at once, in copies, as between processes.

    `detour` is awaited before the other is called: it decides how slow the way is. `arrived` are sequence numbers.
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
        if name in ("deliver", "take_turn"):
            sent = copies[0] if name == "deliver" else copies[3]
            self.arrived += [number for _, number, listeners, _ in sent[0] for _ in listeners]
        self.under_way -= 1
        return answer


class Method:
    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._call = call

    def remote(self, *arguments: Any) -> "asyncio.Task[Any]":
        return asyncio.create_task(self._call(*arguments))


Maker = Callable[[Hashable, Hashable, PlayerActor], Any]


class Crew:
    """Actors for seats, `size` players each, which find each other's handles; `handles` by (sender, listener) actor."""

    def __init__(
        self, made: list[Seat], make: Maker | None = None, *, size: int = 1, stores: Any = None, **settings: Any
    ) -> None:
        self._made, self._make, self._stores = made, make, stores
        self._settings = {"leave": lambda: None} | settings
        homes = {seat.name: k // size for k, seat in enumerate(made)}
        self.names = {k: [name for name, home in homes.items() if home == k] for k in set(homes.values())}
        self.handles: dict[tuple[int, int], Any] = {}
        self.homes = homes
        self.actors = [self._actor(k) for k in self.names]
        for k in self.names:
            self._meet(k)

    def renew(self, k: int) -> None:
        """Makes an actor anew, as Ray does when its process has died."""
        self.actors[k] = self._actor(k)
        self._meet(k)

    def _actor(self, k: int) -> PlayerActor:
        return PlayerActor(
            HostPlan(
                index=k,
                wirings=[[seat for seat in self._made if self.homes[seat.name] == k]],
                absent=[frozenset()],
                homes=self.homes,
                positions={name: n for n, name in enumerate(self.homes)},
                find=lambda home: self.handles[k, home],
                put=lambda content: content,
                pulls=any(seat.spec.gossip.pulls for seat in self._made),
                store=None if self._stores is None else self._stores[k],
                **self._settings,
            )
        )

    def _meet(self, k: int) -> None:
        for a in self.names:
            first = self.names[a][0], self.names[k][0]
            made = self._make(*first, self.actors[k]) if self._make else Handle(self.actors[k])
            if (a, k) in self.handles:  # the same handle leads to the new process
                self.handles[a, k]._actor = self.actors[k]
            else:
                self.handles[a, k] = made

    async def each(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of all actors."""
        calls = [getattr(actor, method)(*arguments) for actor in self.actors]
        return await asyncio.wait_for(asyncio.gather(*calls), BOUND_S)

    async def of_each(self, method: str, *arguments: Any) -> dict[Hashable, Any]:
        """The answers for all players."""
        return {name: answer for found in await self.each(method, *arguments) for name, answer in found.items()}

    def players(self) -> dict[Hashable, Player]:
        return {name: player for actor in self.actors for name, player in actor._ensemble.players.items()}


async def connected(made: list[Seat], make: Maker | None = None, **settings: Any) -> Crew:
    """Actors that have made their first publications."""
    crew = Crew(made, make, **settings)
    assert await crew.each("begin") == [True] * len(crew.actors)
    return crew


def only(report: Report) -> Any:
    """What an actor of one player reports of it."""
    (player,) = report.players
    return player


def message(sender: Hashable, number: int, listener: Hashable, rows: Any) -> Any:
    """A bundle of one message."""
    return [(sender, number, [listener], {"x": rows})], []


def ended(actor: PlayerActor) -> bool:
    """Whether asynchronous play has ended, for whatever reason."""
    playing = actor._gossiper._playing
    return playing is not None and playing.done()


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


class Flaky(Late):
    """Raises at the calls of `learn` in `failures`, each once, counted from its state."""

    failures: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.learned = 0

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        if Flaky.failures and self.learned == Flaky.failures[0]:
            Flaky.failures.pop(0)
            raise FloatingPointError("diverged")
        self.learned += 1
        super().learn(sources, rng)

    def state(self) -> State:
        return {**super().state(), "learned": self.learned}

    def load(self, state: State) -> None:
        super().load(state)
        self.learned = state["learned"]


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


# --- gossip --------------------------------------------------------------------------------------------------


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


# --- failures ------------------------------------------------------------------------------------------------


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


class Gone:
    """The handle of a process that died: every call fails, from the given one on."""

    def __init__(self, error: Exception, handle: Handle | None = None, alive: int = 0) -> None:
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


async def test_an_actor_that_nobody_observes_saves_itself_and_leaves(tmp_path: Path) -> None:
    left = asyncio.Event()
    store = CheckpointStore(tmp_path, "actor")
    crew = await connected(seats(pair(), 0), size=2, stores=[store], lease=0.05, leave=left.set)
    await crew.each("start")
    await asyncio.wait_for(left.wait(), BOUND_S)
    await crew.each("stop")
    assert store.numbers()[-1] >= 1


# --- what the laboratory asks --------------------------------------------------------------------------------


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
