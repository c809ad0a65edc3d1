"""The laboratory of a cluster: reads the instruments of actors that may die and come back, and adds them up."""

__all__ = ["Laboratory", "PlayerLostError", "Setback", "StallError", "StartError"]

import contextlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter, sleep
from time import time as wall_clock
from typing import Any, NoReturn, final

import ray

from ..agents import Failure, PlayerReport, Report
from ..games import Batch, Game
from .cluster_crew import Crew, Lost
from .cluster_plans import Layout
from .deployment import Deployment
from .journal import Journal
from .looks import Looks
from .observation import Observation, PlayerView

_START_S = 60.0
_START_PER_ACTOR_S = 5.0
_ANSWER_S = 2.0
_RETRY_S = 0.2


class StartError(RuntimeError):
    """The players' actors did not start in time, or died while starting.

    Not `ModelError`: no model was asked to do anything yet.
    """


class PlayerLostError(RuntimeError):
    """A player's process died during the run, and was not to be restarted, or not as often.

    Not `ModelError`: its model did not raise, the process ended. Memory is the usual cause.
    """


class StallError(RuntimeError):
    """A player has not moved, or not answered, for as long as `patience` allows.

    Not `PlayerLostError`: its process lives, or is being restarted.
    """


class Setback(Exception):
    """A process died in synchronous play: everybody goes back to the last checkpoint.

    Not `PlayerLostError`: the run goes on.
    """


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
    ) -> None:
        self.wiring = 0
        self._game, self._layout, self._crew, self._deployment = game, layout, crew, deployment
        self._looks, self._budget, self._keep_states, self._patience = looks, moves, keep_states, patience
        self._spaces = {name: game.space(name) for name in game.players}
        put = {id(rows): ray.put(rows) for player in game.players if (rows := looks.test_of(player)) is not None}
        self._tests = {p: put[id(rows)] for p in game.players if (rows := looks.test_of(p)) is not None}
        storage = deployment.storage
        self._log = None if storage is None else Journal(storage / "logs" / "laboratory.jsonl")
        before = resumed or {}
        self._seconds = before.get("seconds") or 0.0
        self._began = perf_counter()
        self._moves = dict(zip(game.players, before.get("moves", [0] * len(game.players)), strict=True))
        self._behind = dict.fromkeys(game.players, 0)
        self._totals = {name: _Ratchet(before.get(name, 0)) for name in ("messages", "bytes", "undelivered")}
        self._players: dict[Hashable, PlayerReport] = {}
        self._reports: dict[int, Report] = {}
        self._asked: dict[int, Any] = {}
        self._away: dict[int, float] = {}
        self._aside: dict[Hashable, Failure | None] = {}
        self._skipped: set[int] = set()
        self._synchronous = synchronous
        # above those of the laboratories before, whose messages may still be on their way
        self._generation = 0 if resumed is None else int(wall_clock())
        self._kept: tuple[dict[Hashable, int], dict[Hashable, int], dict[str, _Ratchet]] | None = None
        self._processes: dict[int, int] = {}
        self._time = before.get("time", 0.0)
        self._since = (self._time, self._moves.copy())
        self._seen = self._time
        self._moved: dict[Hashable, tuple[int, float]] = dict.fromkeys(game.players, (0, self._began))

    # --- the start and the end ------------------------------------------------------------------------------------

    def start(self, *, attach: bool = False, wiring: int = 0) -> None:
        """Starts the actors of the players that are there, and lets them make their first publications.

        Raises:
            StartError: they did not start in time, or died while starting.
            ModelError: a model failed.
        """
        self.wiring = wiring
        self._admit(self._living(wiring), attach=attach)
        self._began = perf_counter()

    @property
    def totals(self) -> dict[str, Any]:
        """What the run has come to, for a checkpoint."""
        return {
            "time": self._time,
            "seconds": self._seconds + perf_counter() - self._began,
            "moves": list(self._moves.values()),
            **{name: total.value for name, total in self._totals.items()},
        }

    def introduce(self) -> None:
        """Delivers the first publications, and lets everybody move."""
        self.call("introduce")
        self.call("start")

    def stop(self) -> None:
        """Stops everybody, after the moves under way."""
        self.call("stop", False)

    def save_and_stop(self) -> None:
        """Stops everybody, and lets all that live save a checkpoint; the others go on from their last one."""
        with contextlib.suppress(TimeoutError):
            self._crew.call("stop", True, patience=self._patience, lost=lambda error: False)

    def rewire(self, wiring: int) -> None:
        """Goes over to another graph: actors of players that join are started, those of players that leave ended."""
        self._poll(self._patience, thorough=True)  # nobody will ask those who leave
        before, self.wiring = set(self._crew.handles), wiring
        self._since = (self._time, self._moves.copy())
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
        self._end(before - set(self._living(wiring)))

    def _living(self, wiring: int) -> list[int]:
        """The actors there are in a graph; in gossip those of players who leave go on from checkpoints later."""
        saved = self._deployment.storage is not None and not self._synchronous
        living = self._layout.needed(wiring) if saved else self._layout.living(wiring)
        return [index for index in living if index not in self._skipped]

    def _end(self, indices: Iterable[int]) -> None:
        for index in indices:
            if index in self._crew.handles:
                self._crew.end(index)
            for known in (self._reports, self._asked, self._processes):
                known.pop(index, None)

    def _admit(self, indices: Sequence[int], *, attach: bool = False) -> None:
        self._crew.start(indices, attach=attach)
        limit = _START_S + _START_PER_ACTOR_S * len(indices)
        try:
            self._crew.call("begin", on=indices, patience=limit, lost=self._lost_at_start)
        except TimeoutError as error:
            raise StartError(
                f"{len(error.args)} of {len(indices)} actors did not start within {limit:.0f} s; "
                "play fewer players, or give Ray more CPUs and memory"
            ) from None

    # --- calls ----------------------------------------------------------------------------------------------------

    def call(self, method: str, *arguments: Any, on: Sequence[int] | None = None, each: Any = None) -> dict[int, Any]:
        """Calls one method of all actors, as often as it takes where the policy is to restart.

        Raises:
            Setback: a process died in synchronous play, and is restarted.
            ModelError: a model failed.
            PlayerLostError: a process died.
            StallError: nobody answered for as long as patience allows; it names the players of the silent actors.
        """
        try:
            return self._crew.call(method, *arguments, on=on, patience=self._patience, each=each, lost=self._lost)
        except TimeoutError as error:
            self._give_up([p for p, home in self._layout.homes.items() if home in error.args])

    def play_rounds(self, count: int) -> None:
        """Lets everybody play rounds in step."""
        self.call("play_rounds", count)

    def take_back(self, number: int, wiring: int) -> None:
        """Takes everybody back to a checkpoint, those that died and live again included."""
        self._generation += 1
        self._tell("taken back", checkpoint=number)
        living = self._layout.living(wiring)
        self._end(set(self._crew.handles) - set(living))
        synchronous, self._synchronous = self._synchronous, False
        try:
            self._admit([index for index in living if index not in self._crew.handles])
            self.call("abort")
            self.call("restore", number, self._generation)
        finally:
            self._synchronous = synchronous
        if self._kept is not None:  # what is played again is the same, and is counted once
            moves, behind, totals = self._kept
            self._moves, self._behind = moves.copy(), behind.copy()
            self._totals = {name: total.copy() for name, total in totals.items()}
        self.wiring, self._seen = wiring, float(number)
        self._processes.clear()
        self._asked.clear()

    def save(self, number: int) -> None:
        """Lets everybody save a checkpoint between two rounds."""
        self.call("save", number)
        self._keep()

    def _keep(self) -> None:
        totals = {name: total.copy() for name, total in self._totals.items()}
        self._kept = self._moves.copy(), self._behind.copy(), totals

    def observe(
        self, *, time: float | None = None, first: bool = False, last: bool = False, thorough: bool = False
    ) -> Observation:
        """What all players report, about one moment; of those that are away what they reported last.

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
        self._poll(patience=self._patience if thorough else _ANSWER_S, thorough=thorough)
        present = [p for p in self._game.players if p not in self._layout.absent[self.wiring] and p not in self._aside]
        if not present and self._aside:
            raise self._nobody_left()
        if time is not None:
            self._time = time
        elif present:
            began, moves = self._since
            self._time = max(self._time, began + sum(self._moves[p] - moves[p] for p in present) / len(present))
        if self._synchronous and self._kept is None:
            self._keep()
        now = self._time
        close = first or last or (now < self._budget and self._looks.due(self._seen, now, self._budget))
        self._seen = now
        if not thorough:
            self._require_progress(present)
        return Observation(
            time=now,
            seconds=self._seconds + perf_counter() - self._began,
            messages=self._totals["messages"].value,
            bytes=self._totals["bytes"].value,
            players=[self._view(p) for p in self._game.players],
            undelivered=self._totals["undelivered"].value,
            close=close,
            **(self._closely(first=first, last=last) if close else {}),
            states=self._answers("state") if last and self._keep_states else {},
            aside={p: "its process died" if f is None else str(f.error) for p, f in self._aside.items()},
        )

    def _poll(self, patience: float, thorough: bool) -> None:
        """Asks for reports, one at a time of each actor, and takes in those that come in time."""
        for index, handle in self._crew.handles.items():
            if index not in self._asked:
                self._asked[index] = handle.report.remote()
        until = monotonic() + patience
        while calls := {call: index for index, call in self._asked.items() if index in self._crew.handles}:
            expected = sum(thorough or index not in self._away for index in calls.values())
            timeout = max(0.0, until - monotonic()) if expected else 0.0
            ready, _ = ray.wait(list(calls), num_returns=max(expected, 1), timeout=timeout)
            if not ready:
                break
            again = []
            for call in ready:
                index = calls[call]
                del self._asked[index]
                try:
                    self._take(index, self._crew.result(index, call))
                except Lost as error:
                    again += [index] if self._lost(error) else []
            if not (thorough and again):
                break
            sleep(_RETRY_S)
            self._asked |= {index: self._crew.handles[index].report.remote() for index in again}
        silent = [index for index in self._asked if index in self._crew.handles]
        if thorough and silent:
            self._give_up([p for p, home in self._layout.homes.items() if home in silent])

    def _take(self, index: int, report: Report) -> None:
        if report.failure is not None:
            raise report.failure.error
        if self._synchronous and self._processes.setdefault(index, report.process) != report.process:
            raise Setback
        if self._away.pop(index, None) is not None:
            self._tell("back", actor=index, incarnation=report.incarnation)
        self._reports[index] = report
        for player in report.players:
            name = player.name
            self._players[name] = player
            counted = player.moves + self._behind[name]
            self._behind[name] += max(0, self._moves[name] - counted)
            self._moves[name] = player.moves + self._behind[name]
        self._totals["messages"].read(index, sum(p.sent for p in report.players))
        self._totals["bytes"].read(index, sum(p.bytes for p in report.players))
        self._totals["undelivered"].read(index, report.superseded + report.unreachable)
        for name, failure in report.aside.items():
            if name not in self._aside:
                self._aside[name] = failure
                self._tell("aside", player=str(name), move=failure.move, cause=failure.cause)
        if report.wiring != self.wiring:
            self._crew.handles[index].rewire.remote(self.wiring)

    def _view(self, name: Hashable) -> PlayerView:
        report = self._players.get(name)
        if report is None or name in self._layout.absent[self.wiring]:
            return PlayerView(self._moves[name], None, {}, {}, 0.0)
        return PlayerView(
            self._moves[name], report.mean, report.letters, report.rejected, report.staleness, report.bytes
        )

    def _closely(self, *, first: bool, last: bool) -> dict[str, Any]:
        """What the players answer, as the fields of an `Observation`; see `looks.closely`."""
        looks, found = self._looks, {}
        if looks.rows:
            drawn = self._answers("measure", looks.rows)
            found["samples"] = {p: self._batch(p, drawn.get(p)) for p in self._game.players}
        if looks.regret_steps and not first:
            found["regret_estimates"] = self._answers("estimate_regret", looks.regret_steps)
        if self._tests:
            found["scores"] = self._scores()
        if last or (looks.count > 2 and not first):
            found["held_out"] = self._answers("held_out")
        return found

    def _batch(self, player: Hashable, rows: Any) -> Batch | None:
        return None if rows is None else self._spaces[player].batch(rows)

    def _scores(self) -> dict[Hashable, Any]:
        homes = self._layout.homes

        def own(index: int) -> tuple[Any, ...]:
            here = [p for p in self._tests if homes[p] == index]
            rows = list({id(self._tests[p]): self._tests[p] for p in here}.values())
            return (self._looks.label, {p: rows.index(self._tests[p]) for p in here}, *rows)

        answers = self.call("score", each=own)
        return {p: s for answer in answers.values() for p, s in answer.items()}

    def _answers(self, method: str, *arguments: Any) -> dict[Hashable, Any]:
        found = {p: a for answer in self.call(method, *arguments).values() for p, a in answer.items()}
        return {p: found[p] for p in self._game.players if p in found}

    # --- trouble --------------------------------------------------------------------------------------------------

    def _lost(self, error: Lost) -> bool:
        """An actor is not there: whether to call it again.

        Raises:
            PlayerLostError: the policy is to fail, or to skip in rounds, or it has died too often.
        """
        players = [p for p, home in self._layout.homes.items() if home == error.index]
        policy = self._deployment.on_failure
        stuck = policy == "skip" and self._synchronous
        if policy == "fail" or stuck or (policy == "restart" and error.forever):
            often = f" for the last of {self._deployment.restarts + 1} times" if policy == "restart" else ""
            often = ", and rounds wait for everybody (on_failure restart brings it back)" if stuck else often
            raise PlayerLostError(
                f"the process of {_named(players)} died{often}; "
                "if memory is short, play fewer players or smaller models"
            ) from error.error
        if policy == "skip":
            for player in players:
                self._aside.setdefault(player, None)
            self._crew.handles.pop(error.index, None)
            self._skipped.add(error.index)
            self._tell("aside", actor=error.index, players=[str(p) for p in players], cause="its process died")
            return False
        if error.index not in self._away:
            self._away[error.index] = monotonic()
            self._tell("away", actor=error.index, players=[str(p) for p in players], cause=str(error.error))
        if self._synchronous:
            raise Setback
        return True

    def _lost_at_start(self, error: Lost) -> bool:
        if error.forever or self._deployment.on_failure != "restart":
            reason = str(error.error).strip().splitlines()[-1]
            raise StartError(f"an actor died while starting: {reason}") from error.error
        return True

    def _nobody_left(self) -> Exception:
        """What to raise when every player has been set aside."""
        failure = next((f for f in self._aside.values() if f is not None), None)
        if failure is not None:
            return failure.error
        return PlayerLostError("the processes of all players died; if memory is short, play fewer or smaller models")

    def _require_progress(self, players: Sequence[Hashable]) -> None:
        """Raises StallError if a player has made no move for longer than patience allows."""
        now = perf_counter()
        for player in players:
            if self._moves[player] > self._moved[player][0] or player not in self._players:
                self._moved[player] = (self._moves[player], now)
        stuck = [player for player in players if now - self._moved[player][1] > self._patience]
        if stuck:
            self._give_up(stuck)

    def _give_up(self, players: Sequence[Hashable]) -> NoReturn:
        raise StallError(
            f"{_named(players)} did not move or answer for {self._patience:g} s; "
            "look at its model, or raise play.patience if its moves take longer"
        )

    def _tell(self, event: str, **fields: Any) -> None:
        if self._log is not None:
            self._log.write(event, **fields)


@final
class _Ratchet:
    """A total over actors of counts that fall when one is taken back; the total does not.

    Arguments:
        least: what it was before.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._last: dict[int, int] = {}
        self._behind = 0

    def copy(self) -> "_Ratchet":
        """Another one that is where this one is."""
        other = _Ratchet(self._least)
        other._last, other._behind = self._last.copy(), self._behind
        return other

    def read(self, index: int, count: int) -> None:
        """Takes in the count of an actor."""
        self._behind += max(0, self._last.get(index, 0) - count)
        self._last[index] = count

    @property
    def value(self) -> int:
        """The total."""
        total = sum(self._last.values()) + self._behind
        self._behind += max(0, self._least - total)
        self._least = max(self._least, total)
        return self._least


def _named(players: Sequence[Hashable]) -> str:
    shown = ", ".join(map(str, players[:10])) + (", …" if len(players) > 10 else "")
    return f"player {shown}" if players else "a player"
