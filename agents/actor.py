"""Players as a Ray actor: they move at their own pace while messages arrive, and talk to neighbours themselves."""

__all__ = ["PlayerActor"]

import asyncio
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, final

from numpy.typing import NDArray
from ray.exceptions import RayError, RayTaskError

from ..games import Batch
from .clocks import Clocks
from .ensemble import Ensemble
from .hosting import Failure, HostPlan, PlayerReport, Report
from .inspection import RegretEstimate
from .outbox import Outbox
from .parcels import Bundle, Parcel, opened
from .peers import Peers
from .player import ModelError, Player
from .protocols import State
from .scores import Scores
from .stepper import Stepper

_SLICE_S = 0.002
_QUICK_S = 0.0005
_LEAST_SPACING = 20.0
"""Checkpoints take at most one part in so many of the time."""
_NUMBERS = 1 << 32
"""Sequence numbers that an incarnation has for itself; no player publishes as often."""

T = TypeVar("T")


@final
class PlayerActor:
    """Runs the players of one process, one or many; made with `ray.remote(PlayerActor)`.

    Learning runs in a thread beside the event loop, so that messages arrive meanwhile. Sending is fire-and-forget: at
    most one batch is on its way to another process, and newer messages replace older ones that wait.

    An actor that finds a checkpoint in its store goes on from there, by itself in asynchronous play: nobody need tell
    it that it died. It begins a new incarnation, whose publications are numbered above all those before.

    Arguments:
        plan: what it is made from.
    """

    def __init__(self, plan: HostPlan) -> None:
        self._plan = plan
        self._ensemble = Ensemble(plan.wirings, plan.absent, plan.positions, plan.wiring)
        if plan.settled is not None:
            plan.settled()
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._peers = Peers(plan.find, plan.put)
        self._outbox = Outbox(self._send, plan.homes.__getitem__)
        self._stepper = Stepper(plan, self._ensemble, self._peers, self._round, self._in_thread)
        self._quick, self._in_worker = False, 0
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._playing: asyncio.Task[None] | None = None
        self._failure: Failure | None = None
        self._aside: dict[Hashable, Failure] = {}
        self._failed_at: dict[Hashable, int] = {}
        self._incarnation = self._restarted = self._checkpoint = 0
        self._clocks = Clocks(plan.rate, self._pause, time.monotonic())
        self._reported = self._saved = time.monotonic()
        self._in_rounds = False
        self._watching = None if plan.lease is None else self._loop.create_task(self._watch(plan.lease))
        self._spacing = plan.checkpoint_seconds
        saved = plan.store.latest() if plan.store is not None else None
        self._begun = saved is not None
        if saved is not None:
            self._checkpoint = saved[0]
            self._load(saved[1])
            if not plan.synchronous:
                self._stepper.held = []  # they may have been heard, and those who play publish soon
                self._reincarnate(list(self._ensemble.players.values()))
                self._play()
            self._log("restored", checkpoint=saved[0], incarnation=self._incarnation, process=os.getpid())

    # --- the start and the end ------------------------------------------------------------------------------------

    async def begin(self) -> bool:
        """Makes the first publications, without sending them, and saves the first checkpoint; whether it did.

        One that has begun before, in this process or in one that died, does nothing.

        Raises:
            ModelError: a model failed.
        """
        begun, self._begun = self._begun, True
        if not begun:
            self._stepper.held = await self._in_thread(lambda: self._ensemble.publications(Player.open))
            await self._in_thread(lambda: self._save(0))
            self._log("begun", players=len(self._ensemble.players), process=os.getpid())
        return not begun

    async def introduce(self) -> None:
        """Delivers the first publications to all listeners, so that nobody moves before it has heard its neighbours."""
        if self._stepper.held:
            held, self._stepper.held = self._stepper.held, []
            self._outbox.post(await self._in_thread(lambda: self._ensemble.deliver(held)))
            await self._outbox.sent()

    async def start(self) -> None:
        """Begins to move, asynchronously, until `stop`: at the ticks of Poisson clocks, or without pause."""
        if self._playing is None:
            self._play()

    async def stop(self, save: bool = False) -> None:
        """Ends play after the move under way, and once the messages on their way have arrived.

        Arguments:
            save: whether to save a checkpoint that another run can go on from.
        """
        self._stopping.set()
        if self._playing is not None:
            await self._playing
        self._outbox.clear()
        await self._outbox.sent()
        if save:
            await self._in_thread(lambda: self._save(self._checkpoint + 1))
        self._log("stopped", saved=save)

    # --- asynchronous play ----------------------------------------------------------------------------------------

    async def deliver(self, sent: Bundle, *beside: Mapping[str, Any]) -> None:
        """Takes in what players of another process send, and answers what they ask.

        Arguments:
            sent: messages and requests.
            beside: large contents.
        """
        for listener, message in opened(sent, beside):
            self._ensemble.receive(listener, message)
        if sent[1]:
            self._outbox.post(await self._in_thread(lambda: self._answers(sent[1])))

    async def rewire(self, wiring: int) -> tuple[int, int]:
        """Goes over to another graph; see `Ensemble.rewire`. Nothing if it is on it already.

        Returns:
            Generation and turn, for those who join play in rounds; see `enter`.

        Raises:
            ModelError: a model failed.
        """
        at = self._stepper.at
        if wiring == self._ensemble.wiring:
            return at
        before = set(self._ensemble.players)
        self._peers.forget()  # who left and comes back may live elsewhere
        parcels = await self._in_thread(lambda: self._rewire(wiring))
        for player in self._ensemble.players.keys() - before:
            self._log("joined", player)
        for player in before - self._ensemble.players.keys():
            self._log("left", player)
        if self._plan.synchronous:
            self._stepper.held = [*self._travelling(), *parcels]
        else:
            self._outbox.post(parcels)
        return at

    def _travelling(self) -> list[Parcel]:
        """What is held for edges that the graph in force has."""
        seats = {seat.name: seat for seat in self._plan.wirings[self._ensemble.wiring]}
        return [
            parcel
            for parcel in self._stepper.held
            if parcel.listener in getattr(seats[parcel.sender], "listeners" if parcel.message else "neighbours")
        ]

    def _rewire(self, wiring: int) -> list[Parcel]:
        before = set(self._ensemble.players)
        publish = self._ensemble.rewire(wiring)
        if self._plan.settled is not None:
            self._plan.settled()
        for player in before:
            if player not in self._ensemble.players:
                self._clocks.stop(player)
        if self._playing is not None:
            self._clocks.start([p for p in self._ensemble.players if p not in before], time.monotonic())
        if self._plan.synchronous:
            return publish
        parcels = self._ensemble.deliver(publish)
        self._save(self._checkpoint + 1)
        return parcels

    def _play(self) -> None:
        self._clocks.start([p for p in self._ensemble.players if p not in self._aside], time.monotonic())
        self._playing = self._loop.create_task(self._gossip())

    async def _gossip(self) -> None:
        while not self._stopping.is_set() and self._failure is None:
            wait = self._clocks.wait(time.monotonic())
            if wait is None or wait > 0:
                await self._sleep(1.0 if wait is None else min(wait, 1.0))
            else:
                quick = self._quick and not self._in_worker
                self._outbox.post(self._moves() if quick else await self._in_thread(self._moves))
                await (asyncio.sleep(0) if self._plan.rate is not None else self._outbox.room())
            if self._outbox.failure is not None:
                raise self._outbox.failure
            if time.monotonic() - self._saved > self._spacing:
                await self._in_thread(lambda: self._save(self._checkpoint + 1))

    async def _watch(self, lease: float) -> None:
        """Ends this actor when nobody has observed it for longer than the lease; in rounds, when it plays none."""
        while not self._stopping.is_set():
            await self._sleep(min(lease / 4, 10.0))
            if not self._in_rounds and time.monotonic() - self._reported > lease:
                try:
                    self._log("unobserved", level="warning", seconds=lease)
                    if not self._plan.synchronous:  # rounds go back to a checkpoint that all have
                        await self._in_thread(lambda: self._save(self._checkpoint + 1))
                finally:
                    self._plan.leave()
                return

    def _moves(self) -> list[Parcel]:
        """Moves the players whose turn it is, for a millisecond or two; what they leave for other processes.

        The event loop works on while a model learns in the other thread. Moves that are over sooner than another thread
        could take them up are made between two messages, without it. Players who never pause move when what they have
        to send is on its way.
        """
        parcels: list[Parcel] = []
        began, moves = time.monotonic(), 0
        until = began + _SLICE_S
        while (now := time.monotonic()) < until and (player := self._clocks.due(now)) is not None:
            try:
                parcels += self._ensemble.move(player)
            except ModelError as error:  # of this player, or of one here that it asked
                self._fail(next((p for p in self._ensemble.players if str(p) == error.player), player), error)
            moves += 1
            if self._failure is not None or (parcels and self._plan.rate is None):
                break
        self._quick = time.monotonic() - began < _QUICK_S * max(moves, 1)
        return parcels

    def _answers(self, requests: list[tuple[Hashable, Hashable]]) -> list[Parcel]:
        parcels: list[Parcel] = []
        for asker, neighbour in requests:
            try:
                parcels += self._ensemble.answers([(asker, neighbour)])
            except ModelError as error:
                self._fail(neighbour, error)
        return parcels

    def _pause(self, player: Hashable) -> float:
        rate = self._plan.rate
        return 0.0 if rate is None else self._ensemble.players[player].pause(rate)

    # --- play in rounds -------------------------------------------------------------------------------------------

    async def play_rounds(self, count: int) -> None:
        """Plays `count` rounds in step with the neighbours; see `Stepper.play`.

        Raises:
            ModelError: a model failed.
            TurnsEnded: play was broken off, see `abort`.
            RayActorError: the process of a neighbour died.
        """
        self._in_rounds = True
        try:
            await self._stepper.play(count)
        finally:
            self._in_rounds, self._reported = False, time.monotonic()

    async def take_turn(
        self, source: int, generation: int, turn: int, sent: Bundle, *beside: Mapping[str, Any]
    ) -> None:
        """Takes in what the players of another process send in a turn, when this process is there too.

        Raises:
            TurnsEnded: play was broken off, or this is of before.
        """
        await self._stepper.take(source, generation, turn, sent, beside)

    async def abort(self) -> None:
        """Breaks off play in rounds, because another process died: everybody goes back to a checkpoint."""
        await self._stepper.end()

    async def enter(self, generation: int, turn: int) -> None:
        """Joins play in rounds where the others are."""
        await self._stepper.begin(generation, turn)

    async def restore(self, number: int, generation: int) -> None:
        """Goes back to a checkpoint, in a new generation of turns.

        Raises:
            CheckpointError: it cannot be read.
        """
        store = self._plan.store
        assert store is not None  # nobody is restored who saved nothing
        tree = await self._in_thread(lambda: store.load(number))
        self._load(tree)
        self._peers.forget()
        self._checkpoint, self._begun = number, True
        await self._stepper.begin(generation, tree["turn"])

    def _round(self) -> list[Parcel]:
        """Moves all players; what they publish, delivered to nobody yet."""

        def move(player: Player) -> list[Parcel]:
            try:
                return self._ensemble.publication(player.name, Player.move)
            except ModelError as error:
                self._fail(player.name, error)
                if self._failure is not None:
                    raise
                return []

        players = [p for name, p in self._ensemble.players.items() if name not in self._aside]
        return [parcel for player in players for parcel in move(player)]

    # --- what the laboratory asks ---------------------------------------------------------------------------------

    async def report(self) -> Report:
        """What the laboratory's instruments read."""
        self._reported = time.monotonic()
        if self._playing is not None and self._playing.done() and not self._stopping.is_set():
            self._playing.result()
        ensemble = self._ensemble
        return Report(
            process=os.getpid(),
            incarnation=self._incarnation,
            wiring=ensemble.wiring,
            players=[
                PlayerReport(
                    name,
                    player.moves,
                    player.mean_parameters,
                    ensemble.sent[name],
                    ensemble.bytes[name],
                    dict(player.mailbox.counts),
                    dict(player.rejected),
                    player.mailbox.staleness(player.moves),
                )
                for name, player in list(ensemble.players.items())
            ],
            superseded=self._outbox.superseded,
            unreachable=self._outbox.unreachable,
            failure=self._failure,
            aside=dict(self._aside),
            restarted=self._restarted,
        )

    async def measure(self, n: int) -> dict[Hashable, dict[str, NDArray[Any]] | None]:
        """Of each player n rows that its model generates for measurement; None while it knows nothing."""

        def rows(player: Player) -> dict[str, NDArray[Any]] | None:
            batch = player.measure(n)
            return None if batch is None else dict(batch.arrays)

        return await self._of_each(rows)

    async def held_out(self) -> dict[Hashable, float | None]:
        """See `Player.held_out`."""
        return await self._of_each(Player.held_out)

    async def estimate_regret(self, steps: int) -> dict[Hashable, RegretEstimate | None]:
        """See `Player.estimate_regret`."""
        return await self._of_each(lambda player: player.estimate_regret(steps))

    async def score(self, label: str, tests: Mapping[Hashable, int], *rows: Batch) -> dict[Hashable, Scores | None]:
        """See `Player.score`; `tests` says of each player which of `rows` are its own."""
        return await self._of_each(lambda p: p.score(rows[tests[p.name]], label), tests)

    async def state(self) -> dict[Hashable, State]:
        """See `Player.state`."""
        return await self._of_each(Player.state)

    async def save(self, number: int | None = None) -> int:
        """Saves a checkpoint between two rounds or moves; its number."""
        await self._in_thread(lambda: self._save(self._checkpoint + 1 if number is None else number))
        return self._checkpoint

    # --- helpers --------------------------------------------------------------------------------------------------

    async def _of_each(
        self, call: Callable[[Player], T], names: Mapping[Hashable, Any] | None = None
    ) -> dict[Hashable, T]:
        players = self._ensemble.players
        asked = {name: players[name] for name in (players if names is None else names) if name in players}
        return await self._in_thread(lambda: {name: call(player) for name, player in asked.items()})

    async def _in_thread(self, call: Callable[[], T]) -> T:
        self._in_worker += 1
        try:
            return await self._loop.run_in_executor(self._worker, call)
        finally:
            self._in_worker -= 1

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _send(self, home: int, parcels: list[Parcel]) -> bool:
        """Sends a batch; False if the other process is away, dead or not there yet."""
        try:
            await self._peers.call(home, "deliver", parcels)
        except RayTaskError:
            raise
        except (RayError, LookupError):
            return False
        for parcel in parcels:
            self._ensemble.count(parcel)
        return True

    def _fail(self, player: Hashable, error: ModelError) -> None:
        """A model failed: what happens now is what the policy says."""
        failure, policy = Failure.of(error), self._plan.policy
        self._log(
            "failed", player, level="error", move=error.move, cause=error.cause, trace=failure.trace, policy=policy
        )
        again = error.move <= self._failed_at.get(player, -1)
        if policy == "skip":
            self._aside[player] = failure
            self._clocks.stop(player)
        elif policy == "restart" and not (self._plan.synchronous or again or self._restarted >= self._plan.restarts):
            self._failed_at[player] = error.move
            self._restart(player)
        else:
            self._failure = failure

    def _restart(self, player: Hashable) -> None:
        assert self._plan.store is not None  # the plan requires it of this policy
        saved = self._plan.store.latest()
        assert saved is not None  # the first checkpoint is older than the first move
        self._ensemble.restart(player, saved[1]["ensemble"])
        self._restarted += 1
        self._reincarnate([self._ensemble.players[player]])
        self._log("restarted", player, checkpoint=saved[0], incarnation=self._incarnation)

    def _reincarnate(self, players: Sequence[Player]) -> None:
        """Numbers what these players publish above all that they have published, and notes so before they do."""
        self._incarnation += 1
        for player in players:
            player.number_from(self._incarnation * _NUMBERS)
        self._save(self._checkpoint + 1)

    def _save(self, number: int) -> None:
        store = self._plan.store
        self._saved = time.monotonic()
        if store is None:
            return
        order = self._plan.positions
        tree = {
            "incarnation": self._incarnation,
            "restarted": self._restarted,
            "turn": self._stepper.turn,
            "ensemble": self._ensemble.state(),
            "held": self._ensemble.packed(self._stepper.held),
            "aside": [[order[p], f.player, f.move, f.cause, f.trace] for p, f in self._aside.items()],
            "failed_at": [[order[p], move] for p, move in self._failed_at.items()],
        }
        store.save(tree, number)
        self._checkpoint = number
        took = time.monotonic() - self._saved
        self._saved += took
        self._spacing = max(self._plan.checkpoint_seconds, _LEAST_SPACING * took)

    def _load(self, tree: Mapping[str, Any]) -> None:
        names = {position: player for player, position in self._plan.positions.items()}
        self._ensemble.load(tree["ensemble"])
        self._stepper.held = self._ensemble.unpacked(tree["held"])
        self._incarnation, self._restarted = tree["incarnation"], tree["restarted"]
        self._aside = {names[p]: Failure(*rest) for p, *rest in tree["aside"]}
        self._failed_at = {names[p]: move for p, move in tree["failed_at"]}

    def _log(self, event: str, player: Hashable = None, *, level: str = "info", **fields: Any) -> None:
        if self._plan.log is not None:
            name = None if player is None else str(player)
            self._plan.log.write(event, level=level, player=name, actor=self._plan.index, **fields)
