"""Players as a Ray actor: they move at their own pace while messages arrive, and talk to neighbours themselves."""

__all__ = ["PlayerActor"]

import asyncio
import os
from collections.abc import Callable, Container, Hashable, Mapping
from typing import Any, TypeVar, final

from numpy.typing import NDArray
from ray.exceptions import RayError, RayTaskError

from ..games import Batch
from .ensemble import Ensemble
from .failures import Failures
from .gossiper import Gossiper
from .hosting import HostPlan, Report
from .inspection import RegretEstimate
from .instruments import Instruments
from .keeper import Keeper
from .lease import Lease
from .outbox import Outbox
from .parcels import Bundle, Parcel, opened
from .peers import Peers
from .player import Player
from .protocols import State
from .scores import Scores
from .side_thread import SideThread
from .stepper import Stepper

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
        self._failures = Failures(plan, lambda player: self._keeper.restart(player))
        self._ensemble = Ensemble(
            plan.wirings,
            plan.absent,
            plan.positions,
            plan.wiring,
            silent=self._failures.silent,
            failed=self._failures.meet,
            archive=None if plan.archive is None else plan.archive(),
        )
        if plan.settled is not None:
            plan.settled()
        self._thread = SideThread()
        self._peers = Peers(plan.find, plan.put)
        self._outbox = Outbox(self._send, plan.homes.__getitem__)
        self._stepper = Stepper(plan, self._ensemble, self._peers, self._thread.run)
        self._keeper = Keeper(plan, self._ensemble, self._stepper, self._failures)
        self._gossiper = Gossiper(plan, self._ensemble, self._failures, self._keeper, self._outbox, self._thread)
        self._instruments = Instruments(self._ensemble, self._failures, self._thread)
        self._lease = Lease(plan.lease, self._needed, self._leave)
        self._starting = asyncio.Lock()
        self._begun = self._keeper.resume()
        if self._begun and not plan.synchronous:
            self._gossiper.start()

    # --- the start and the end ------------------------------------------------------------------------------------

    async def begin(self) -> bool:
        """Makes the first publications, without sending them, and saves the first checkpoint; whether it did.

        One that has begun before, in this process or in one that died, does nothing.

        Raises:
            ModelError: a model failed.
        """
        self._lease.renew()
        begun, self._begun = self._begun, True
        if not begun:
            self._stepper.held = await self._asked(lambda: self._ensemble.publications(Player.open))
            self._failures.require_none()
            await self._asked(lambda: self._keeper.save(0))
            self._plan.tell("begun", players=len(self._ensemble.players), process=os.getpid())
        return not begun

    async def introduce(self) -> None:
        """Delivers the first publications to all listeners, so that nobody moves before it has heard its neighbours."""
        self._lease.renew()
        if self._stepper.held:
            held, self._stepper.held = self._stepper.held, []
            self._outbox.post(await self._asked(lambda: self._ensemble.deliver(held)))
            await self._outbox.sent()

    async def start(self) -> None:
        """Begins to move, asynchronously, until `stop`: at the ticks of Poisson clocks, or without pause.

        One that was stopped goes on; one that plays does nothing.
        """
        self._lease.renew()
        async with self._starting:  # whoever is being stopped is stopped before
            self._gossiper.start()

    async def stop(self, save: bool = False) -> None:
        """Ends play after the move under way, and once the messages on their way have arrived.

        Arguments:
            save: whether to save a checkpoint that another run can go on from.
        """
        self._lease.renew()
        async with self._starting:
            await self._gossiper.stop()
            if save:
                await self._asked(self._keeper.save)
        self._plan.tell("stopped", saved=save)

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
            self._outbox.post(await self._thread.run(lambda: self._ensemble.answers(sent[1])))

    async def rewire(self, wiring: int) -> tuple[int, int]:
        """Goes over to another graph; see `Ensemble.rewire`. Nothing if it is on it already.

        Returns:
            Generation and turn, for those who join play in rounds; see `enter`.

        Raises:
            ModelError: a model failed.
        """
        self._lease.renew()
        at = self._stepper.at
        if wiring == self._ensemble.wiring:
            return at
        before = set(self._ensemble.players)
        self._peers.forget()  # who left and comes back may live elsewhere
        parcels = await self._asked(lambda: self._rewire(wiring))
        self._failures.require_none()
        for player in self._ensemble.players.keys() - before:
            self._plan.tell("joined", player)
        for player in before - self._ensemble.players.keys():
            self._plan.tell("left", player)
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
        if self._plan.synchronous:
            return publish
        self._gossiper.rewired(before)
        parcels = self._ensemble.deliver(publish)
        joined = [player for name, player in self._ensemble.players.items() if name not in before]
        if any(player.spending for player in joined):
            self._keeper.save()  # before other processes hear of it
        else:
            self._keeper.attempt()
        return parcels

    # --- play in rounds -------------------------------------------------------------------------------------------

    async def play_rounds(self, count: int) -> None:
        """Plays `count` rounds in step with the neighbours; see `Stepper.play`.

        Raises:
            ModelError: a model failed.
            TurnsEnded: play was broken off, see `abort`.
            RayActorError: the process of a neighbour died.
        """
        self._lease.renew()
        try:
            await self._stepper.play(count)
        finally:
            self._lease.renew()

    async def take_turn(
        self, source: int, generation: int, turn: int, sent: Bundle, *beside: Mapping[str, Any]
    ) -> None:
        """Takes in what the players of another process send in a turn, when this process is there too.

        Raises:
            TurnsEnded: play was broken off, or this is of before.
        """
        await self._stepper.take(source, generation, turn, sent, beside)

    async def standing(self) -> tuple[bool, int]:
        """Whether it plays rounds, and its turn; for neighbours who have waited long."""
        return self._stepper.playing, self._stepper.turn

    async def abort(self) -> None:
        """Breaks off play in rounds, because another process died: everybody goes back to a checkpoint."""
        self._lease.renew()
        await self._stepper.end()

    async def enter(self, generation: int, turn: int) -> None:
        """Joins play in rounds where the others are."""
        self._lease.renew()
        await self._stepper.begin(generation, turn)

    async def restore(self, number: int, generation: int) -> None:
        """Goes back to a checkpoint, in a new generation of turns; later ones are removed.

        Raises:
            CheckpointError: it cannot be read.
        """
        self._lease.renew()
        turn = await self._asked(lambda: self._keeper.go_back(number))
        self._peers.forget()
        self._begun = True
        await self._stepper.begin(generation, turn)

    # --- what the laboratory asks ---------------------------------------------------------------------------------

    async def renew(self) -> None:
        """The laboratory is there, and waits for others."""
        self._lease.renew()

    async def report(self) -> Report:
        """What the laboratory's instruments read."""
        self._lease.renew()
        self._gossiper.require_sound()
        return Report(
            process=os.getpid(),
            incarnation=self._keeper.incarnation,
            wiring=self._ensemble.wiring,
            players=self._instruments.reports(),
            superseded=self._outbox.superseded,
            unreachable=self._outbox.unreachable,
            failure=self._failures.ended,
            aside=dict(self._failures.aside),
            restarted=self._failures.restarted,
        )

    async def published(self) -> Any:
        """What is kept of its players' publications; None if nothing is. No listener has heard less."""
        return await self._asked(self._ensemble.published)

    async def measure(self, n: int) -> dict[Hashable, dict[str, NDArray[Any]] | None]:
        """Of each player n rows that its model generates for measurement; None while it knows nothing.

        As in all close looks, players that were set aside are left out, and so is one whose model fails now, if the
        policy is to skip it.
        """

        def rows(player: Player) -> dict[str, NDArray[Any]] | None:
            batch = player.measure(n)
            return None if batch is None else dict(batch.arrays)

        return await self._looks(rows)

    async def held_out(self) -> dict[Hashable, float | None]:
        """See `Player.held_out`."""
        return await self._looks(Player.held_out)

    async def estimate_regret(self, steps: int) -> dict[Hashable, RegretEstimate | None]:
        """See `Player.estimate_regret`."""
        return await self._looks(lambda player: player.estimate_regret(steps))

    async def score(self, label: str, tests: Mapping[Hashable, int], *rows: Batch) -> dict[Hashable, Scores | None]:
        """See `Player.score`; `tests` says of each player which of `rows` are its own."""
        return await self._looks(lambda p: p.score(rows[tests[p.name]], label), tests)

    async def state(self) -> dict[Hashable, State]:
        """See `Player.state`."""
        players = list(self._ensemble.players.items())
        return await self._asked(lambda: {name: player.state() for name, player in players})

    async def save(self, number: int | None = None) -> int:
        """Saves a checkpoint between two rounds or moves; its number.

        Raises:
            OSError: the storage refused.
        """
        await self._asked(lambda: self._keeper.save(number))
        return self._keeper.number

    # --- helpers --------------------------------------------------------------------------------------------------

    async def _looks(self, look: Callable[[Player], T], names: Container[Hashable] | None = None) -> dict[Hashable, T]:
        return await self._asked(lambda: self._instruments.of_each(look, names))

    async def _asked(self, call: Callable[[], T]) -> T:
        """The result of a call in the thread, for which the laboratory waits."""
        with self._lease.held():
            return await self._thread.run(call)

    async def _needed(self, seconds: float) -> bool:
        """Whether it plays a round that can end, though nobody has asked anything for so long."""
        return self._stepper.playing and not await self._stepper.hopeless(seconds)

    async def _leave(self, alone: Callable[[], bool]) -> bool:
        """Ends its own process, if nobody observes it still; whether it has."""
        self._plan.tell("unobserved", level="warning", seconds=self._plan.lease)
        try:
            if not self._plan.synchronous:  # rounds go back to a checkpoint that all have
                await self._thread.run(self._keeper.save)
        except Exception as error:  # of the storage, or of a model: it leaves without
            self._plan.tell("checkpoint failed", level="error", cause=f"{type(error).__name__}: {error}")
        try:
            return await asyncio.to_thread(self._plan.leave, alone)
        except Exception as error:  # whatever the cluster raises: it is asked again
            self._plan.tell("leaving failed", level="error", cause=f"{type(error).__name__}: {error}")
            return False

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
