"""The laboratory of a cluster: reads the instruments of actors that may die and come back, and adds them up."""

__all__ = ["Laboratory"]

import contextlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter, sleep
from time import time as wall_clock
from typing import Any, final

from ..agents import PlayerReport, Report
from ..agents.hosting import tell
from ..games import Game
from .cluster_counts import Counts
from .cluster_crew import Crew, Lost
from .cluster_errors import Setback
from .cluster_limits import start_limit
from .cluster_looks import Interview
from .cluster_losses import Losses
from .cluster_plans import Layout
from .deployment import Deployment
from .journal import Journal
from .kept_batches import KeptBatches
from .looks import Looks
from .observation import Observation, PlayerView

_ANSWER_S = 2.0
_RETRY_S = 0.2


@final
class Laboratory:
    """Looks on, and does what the policy says when an actor dies.

    Moves, messages and bytes never fall from one observation to the next: in gossip a player that was taken back to its
    checkpoint is counted on from where it was last seen, for what it does again it does with other messages. Rounds
    that are played again are the very same, and are counted once.

    Arguments:
        game: the game.
        layout: who lives where.
        crew: the actors.
        looks: when players are looked at closely, and what they are asked.
        moves: of each player, when the run ends.
        deployment: the policy.
        keep_states: whether the last observation holds the players' states.
        patience: seconds that a player may take for a move, or an actor for an answer.
        synchronous: whether a process that dies takes everybody back, see `Setback`.
        resumed: the totals of a run to go on with: moves of each player, messages, bytes, undelivered, seconds.
        kept: takes in what is kept of publications at close looks, and of those who leave; None if nothing is.
    """

    def __init__(
        self,
        game: Game,
        layout: Layout,
        crew: Crew,
        looks: Looks,
        moves: int,
        deployment: Deployment,
        *,
        keep_states: bool,
        patience: float,
        synchronous: bool = False,
        resumed: Mapping[str, Any] | None = None,
        kept: KeptBatches | None = None,
    ) -> None:
        self.wiring = 0
        self._game, self._layout, self._crew, self._deployment = game, layout, crew, deployment
        self._looks, self._budget, self._keep_states, self._patience = looks, moves, keep_states, patience
        self._synchronous = synchronous
        self._asking = Interview(game, layout.homes, looks, self.call, kept)
        storage = deployment.storage
        self._log = None if storage is None else Journal(storage / "logs" / "laboratory.jsonl")
        self._losses = Losses(layout, crew, deployment, self._tell, patience=patience, synchronous=synchronous)
        before = resumed or {}
        self._counts = Counts(game.players, before)
        self._seconds = before.get("seconds") or 0.0
        self._began = perf_counter()
        self._players: dict[Hashable, PlayerReport] = {}
        self._asked: dict[int, Any] = {}
        self._processes: dict[int, int] = {}
        # above those of the laboratories before, whose messages may still be on their way
        self._generation = 0 if resumed is None else int(wall_clock())
        self._time = self._seen = before.get("time", 0.0)
        self._since = (self._time, self._counts.moves.copy())

    # --- the start and the end ------------------------------------------------------------------------------------

    def start(self, *, attach: bool = False, wiring: int = 0) -> None:
        """Starts the actors of the players that are there, and lets them make their first publications.

        Arguments:
            attach: whether to take over the actors that live already; in gossip those that are no longer needed save
                what they have done and end.
            wiring: number of the graph in force.

        Raises:
            StartError: they did not start in time, or died while starting.
            ModelError: a model failed.
        """
        self.wiring = wiring
        left = self._crew.attach() - set(self._living(wiring)) if attach else set()
        self._admit(self._living(wiring))
        if attach and not self._synchronous:  # rounds are taken back to their checkpoint next, and end them then
            with contextlib.suppress(TimeoutError):
                calm: dict[str, Any] = {"on": sorted(left), "patience": self._patience, "lost": lambda error: False}
                self._crew.call("rewire", wiring, **calm)
                self._asking.collect(self._crew.call, **calm)
            self._end(left)
            self.call("rewire", wiring)
        self._began = perf_counter()

    @property
    def totals(self) -> dict[str, Any]:
        """What the run has come to, for a checkpoint."""
        return {
            "time": self._time,
            "seconds": self._seconds + perf_counter() - self._began,
            "moves": list(self._counts.moves.values()),
            **{name: self._counts.total(name) for name in ("messages", "bytes", "undelivered")},
        }

    def introduce(self) -> None:
        """Delivers the first publications, and lets everybody move."""
        self.call("introduce")
        self.call("start")

    def rest(self, seconds: float) -> None:
        """Lets them play for a while."""
        self._crew.wait([], 0, seconds)

    def stop(self) -> None:
        """Stops everybody, after the moves under way."""
        self.call("stop", False)

    def save_and_stop(self) -> None:
        """Stops everybody, and lets all that live save a checkpoint; the others go on from their last one."""
        with contextlib.suppress(TimeoutError):
            calm: dict[str, Any] = {"patience": self._patience, "lost": lambda error: False}
            self._crew.call("stop", True, **calm)
            self._asking.collect(self._crew.call, **calm)

    def rewire(self, wiring: int) -> None:
        """Goes over to another graph: actors of players that join are started, those of players that leave ended."""
        self._poll(self._patience, thorough=True)  # nobody will ask those who leave
        before, self.wiring = set(self._crew.handles), wiring
        self._since = (self._time, self._counts.moves.copy())
        turns = self.call("rewire", wiring)
        joining = [index for index in self._living(wiring) if index not in before]
        self._admit(joining)
        if self._synchronous:
            if self._deployment.storage is not None:  # where they have been taken back, there are later checkpoints
                self.call("restore", 0, self._generation, on=joining)
            self.call("enter", *max(turns.values()), on=joining)
        self.call("rewire", wiring, on=joining)
        if not self._synchronous:
            self.call("introduce", on=joining)
            self.call("start", on=joining)
        leaving = before - set(self._living(wiring))
        self._asking.collect(self.call, on=sorted(leaving))
        self._end(leaving)

    def _living(self, wiring: int) -> list[int]:
        """The actors there are in a graph; in gossip those of players who leave go on from checkpoints later."""
        saved = self._deployment.storage is not None and not self._synchronous
        living = self._layout.needed(wiring) if saved else self._layout.living(wiring)
        return [index for index in living if index not in self._losses.skipped]

    def _end(self, indices: Iterable[int]) -> None:
        for index in indices:
            if index in self._crew.handles:
                self._crew.end(index)
            for known in (self._asked, self._processes):
                known.pop(index, None)

    def _admit(self, indices: Sequence[int]) -> None:
        self._crew.start(indices)
        limit = start_limit(len(indices))
        try:
            self._crew.call("begin", on=indices, patience=limit, lost=self._losses.lost_at_start)
        except TimeoutError as error:
            raise self._losses.start_error(error.args, len(indices), limit) from None

    # --- calls ----------------------------------------------------------------------------------------------------

    def call(self, method: str, *arguments: Any, on: Sequence[int] | None = None, each: Any = None) -> dict[int, Any]:
        """Calls one method of all actors, as often as it takes where the policy is to restart.

        Raises:
            Setback: a process died in synchronous play, and is restarted.
            ModelError: a model failed.
            PlayerLostError: a process died.
            StallError: nobody answered for as long as patience allows; it names the players of the silent actors.
        """
        return self._call(method, *arguments, on=on, each=each, lost=self._losses.lost)

    def _call(self, method: str, *arguments: Any, **options: Any) -> dict[int, Any]:
        try:
            return self._crew.call(method, *arguments, patience=self._patience, **options)
        except TimeoutError as error:
            self._losses.give_up(error.args)

    def play_rounds(self, count: int) -> None:
        """Lets everybody play rounds in step."""
        self.call("play_rounds", count)

    def take_back(self, number: int, wiring: int) -> None:
        """Takes everybody back to a checkpoint, those that died and live again included."""
        self._generation += 1
        self._tell("taken back", checkpoint=number)
        living = self._layout.living(wiring)
        self._end(set(self._crew.handles) - set(living))
        self._admit([index for index in living if index not in self._crew.handles])
        self._call("abort", lost=self._losses.lost_at_restore)
        self._call("restore", number, self._generation, lost=self._losses.lost_at_restore)
        self._counts.go_back()
        self.wiring, self._seen = wiring, float(number)
        self._processes.clear()
        self._asked.clear()

    def save(self, number: int) -> None:
        """Lets everybody save a checkpoint between two rounds."""
        self.call("save", number)
        self._counts.keep()

    def collect(self) -> None:
        """Takes over what is kept of publications, as close looks do."""
        self._asking.collect(self.call)

    # --- what is seen ---------------------------------------------------------------------------------------------

    def observe(
        self, *, time: float | None = None, first: bool = False, last: bool = False, thorough: bool = False
    ) -> Observation:
        """What all players report, about one moment; of those that are away what they reported last.

        In gossip a change whose time has come takes place before, so that those who join are seen from then on.

        Arguments:
            time: rounds played; None for the moves per player present, counted on from graph to graph.
            first: before the first move, and thorough.
            last: after the last move, and thorough.
            thorough: waits for everybody.

        Raises:
            ModelError: a model failed.
            PlayerLostError: a process died.
            StallError: a player has made no move for longer than patience allows.
        """
        thorough = thorough or first or last or self._synchronous
        present = self._read(time, thorough=thorough)
        if not self._synchronous and (wiring := self._layout.in_force(self._time)) != self.wiring and not last:
            self.rewire(wiring)
            present = self._read(time, thorough=True)
        if self._synchronous and not self._counts.kept:
            self._counts.keep()
        now = self._time
        close = first or last or (now < self._budget and self._looks.due(self._seen, now, self._budget))
        self._seen = now
        if not thorough:
            self._losses.require_progress([p for p in present if p in self._players], self._counts.moves)
        return Observation(
            time=now,
            seconds=self._seconds + perf_counter() - self._began,
            messages=self._counts.total("messages"),
            bytes=self._counts.total("bytes"),
            players=[self._view(p) for p in self._game.players],
            undelivered=self._counts.total("undelivered"),
            close=close,
            **(self._asking.closely(first=first, last=last) if close else {}),
            states=self._asking.answers("state") if last and self._keep_states else {},
            aside=self._losses.causes,
        )

    def _read(self, time: float | None, *, thorough: bool) -> list[Hashable]:
        """Asks everybody, and counts the time on; who is present and plays."""
        self._poll(patience=self._patience if thorough else _ANSWER_S, thorough=thorough)
        away = self._layout.absent[self.wiring] | self._losses.aside.keys()
        present = [p for p in self._game.players if p not in away]
        self._losses.require_somebody(present)
        if time is not None:
            self._time = time
        elif present:
            began, moves = self._since
            made = sum(self._counts.moves[p] - moves[p] for p in present)
            self._time = max(self._time, began + made / len(present))
        return present

    def _poll(self, patience: float, thorough: bool) -> None:
        """Asks for reports, one at a time of each actor, and takes in those that come in time."""
        for index, handle in self._crew.handles.items():
            if index not in self._asked:
                self._asked[index] = handle.report.remote()
        until = monotonic() + patience
        while calls := {call: index for index, call in self._asked.items() if index in self._crew.handles}:
            expected = sum(thorough or index not in self._losses.away for index in calls.values())
            timeout = max(0.0, until - monotonic()) if expected else 0.0
            ready = self._crew.wait(list(calls), max(expected, 1), timeout)
            if not ready:
                break
            again = []
            for call in ready:
                index = calls[call]
                del self._asked[index]
                try:
                    self._take(index, self._crew.result(index, call))
                except Lost as error:
                    again += [index] if self._losses.lost(error) else []
            if not (thorough and again):
                break
            sleep(_RETRY_S)
            self._asked |= {index: self._crew.handles[index].report.remote() for index in again}
        silent = [index for index in self._asked if index in self._crew.handles]
        if thorough and silent:
            self._losses.give_up(silent)

    def _take(self, index: int, report: Report) -> None:
        if report.failure is not None:
            raise report.failure.error
        if self._synchronous and self._processes.setdefault(index, report.process) != report.process:
            raise Setback
        self._losses.read(index, report)
        self._counts.take(index, report)
        self._players |= {player.name: player for player in report.players}
        if report.wiring != self.wiring:
            self._crew.handles[index].rewire.remote(self.wiring)

    def _view(self, name: Hashable) -> PlayerView:
        report, moves = self._players.get(name), self._counts.moves[name]
        if report is None or name in self._layout.absent[self.wiring]:
            return PlayerView(moves, None, {}, {}, 0.0, privacy=None if report is None else report.privacy)
        return PlayerView(
            moves,
            report.mean,
            report.letters,
            report.rejected,
            report.staleness,
            report.bytes,
            report.shares,
            report.privacy,
        )

    def _tell(self, event: str, **fields: Any) -> None:
        tell(self._log, "laboratory", event, **fields)
