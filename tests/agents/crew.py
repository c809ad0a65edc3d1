"""Real actors in one event loop, with a transport that stands in for Ray's, and small games for them."""

import asyncio
import pickle
import threading
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import networkx as nx
import numpy as np

from nashgossip import topology
from nashgossip.agents import HostPlan, Move, Player, PlayerActor, Report, Seat, Source, State, seats
from nashgossip.games import Batch, Game, Gaussian, Gossip, PlayerSpec, StepSize
from nashgossip.runners.checkpoint_store import CheckpointStore

FAMILY = Gaussian((2,))
BOUND_S = 30.0


# --- the transport -------------------------------------------------------------------------------------------


class Handle:
    """What a sender has of another process: `handle.method.remote(…)` begins at once, in copies, as between processes.

    `detour` is awaited before the other is called: it decides how slow the way is. `arrived` are sequence numbers, and
    `asked` counts the questions how the other stands.
    """

    def __init__(self, actor: PlayerActor, detour: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._actor, self._detour = actor, detour
        self.under_way = self.most_under_way = 0
        self.arrived: list[int] = []
        self.asked = 0

    def __getattr__(self, name: str) -> "Method":
        return Method(lambda *arguments: self._call(name, arguments))

    async def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        copies = pickle.loads(pickle.dumps(arguments))
        self.asked += name == "standing"
        if self._detour is not None and name != "standing":
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
    """Actors for seats, `size` players each, which find each other's handles; `handles` by (sender, listener) actor.

    `later` are the seats of graphs that follow; `left` tells of each actor whether it has ended itself, and
    `hindrances` are raised one after the other when one tries to.
    """

    def __init__(
        self,
        made: list[Seat],
        make: Maker | None = None,
        *,
        size: int = 1,
        stores: Any = None,
        later: Sequence[list[Seat]] = (),
        **settings: Any,
    ) -> None:
        self._made, self._make, self._stores, self._later = made, make, stores, later
        self._settings = {"absent": [frozenset()] * (1 + len(later))} | settings
        homes = {seat.name: k // size for k, seat in enumerate(made)}
        self.names = {k: [name for name, home in homes.items() if home == k] for k in set(homes.values())}
        self.handles: dict[tuple[int, int], Any] = {}
        self.homes = homes
        self.left = {k: asyncio.Event() for k in self.names}
        self.hindrances: list[Exception] = []
        self._loop = asyncio.get_running_loop()
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
                wirings=[[seat for seat in row if self.homes[seat.name] == k] for row in (self._made, *self._later)],
                homes=self.homes,
                positions={name: n for n, name in enumerate(self.homes)},
                find=lambda home: self.handles[k, home],
                put=lambda content: content,
                leave=partial(self._leave, k),
                pulls=any(seat.spec.gossip.pulls for seat in self._made),
                store=None if self._stores is None else self._stores[k],
                **self._settings,
            )
        )

    def _leave(self, k: int, alone: Callable[[], bool]) -> bool:
        if self.hindrances:
            raise self.hindrances.pop()
        going = alone()
        if going:
            self._loop.call_soon_threadsafe(self.left[k].set)
        return going

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


def uneven(seed: int) -> Callable[[Hashable, Hashable, PlayerActor], Handle]:
    """Ways that take some turns of the event loop more or less, never the same number."""
    rng = np.random.default_rng(seed)

    async def detour() -> None:
        for _ in range(int(rng.integers(0, 40))):
            await asyncio.sleep(0)

    return lambda sender, listener, actor: Handle(actor, detour)


class Gone:
    """The handle of a process that died: every call fails, from the given one on."""

    def __init__(self, error: Exception, handle: Handle | None = None, alive: int = 0) -> None:
        self._error, self._handle, self._alive = error, handle, alive

    def __getattr__(self, name: str) -> Method:
        return Method(lambda *arguments: self._call(name, arguments))

    async def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self._alive == 0 or self._handle is None:
            raise self._error
        self._alive -= 1
        return await getattr(self._handle, name).remote(*arguments)


class Breaking(Late):
    """Raises whatever it is asked, once it has learned k times."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self._left = k

    @property
    def mean_parameters(self) -> Any:
        self._work()
        return np.zeros(2) if self.mean is None else self.mean

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self._work()
        self._left -= 1
        super().learn(sources, rng)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        self._work()
        return super().generate(n, rng)

    def log_density(self, batch: Batch) -> Any:
        self._work()
        return -((batch["x"] - self.mean) ** 2).sum(axis=1) / 2

    def _work(self) -> None:
        if self._left <= 0:
            raise FloatingPointError("diverged")


class Speechless(Late):
    """Raises when it is to generate."""

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        raise FloatingPointError("no words")


class Pondering(Late):
    """Learns the k-th time, counted from 0, until `go_on` is set; `begun` says that it does."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self._left = k
        self.begun, self.go_on = threading.Event(), threading.Event()

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn(sources, rng)
        self._left -= 1
        if self._left == -1:
            self.begun.set()
            assert self.go_on.wait(BOUND_S)


def asking(game: Game) -> Game:
    """The same game, in which players only ask."""
    return Game(game.graph, {name: replace(spec, gossip=Gossip(style="pull")) for name, spec in game.specs.items()})


@contextmanager
def refusing(store: CheckpointStore) -> Iterator[None]:
    """A storage that takes nothing for a while: where the folder of checkpoints was, there is a file."""
    aside = store.folder.with_name("aside")
    store.folder.rename(aside)
    store.folder.touch()
    try:
        yield
    finally:
        store.folder.unlink()
        aside.rename(store.folder)
