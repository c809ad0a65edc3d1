"""Play on Ray: one actor per player, gossiping directly with each other, asynchronously or in rounds."""

__all__ = ["PlayerLostError", "StallError", "StartError", "cluster"]

import contextlib
import logging
import os
import time
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from ..agents import ModelError, PlayerActor, Seat, seats
from ..games import Game
from .looks import Looks
from .observation import Observation, PlayerView, require_whole

_START_S = 60.0
_START_PER_PLAYER_S = 5.0


class StartError(RuntimeError):
    """The players' actors did not start in time, or died while starting.

    Not `ModelError`: no model was asked to do anything yet.
    """


class PlayerLostError(RuntimeError):
    """A player's process died during the run.

    Not `ModelError`: its model did not raise, the process ended. Memory is the usual cause.
    """


class StallError(RuntimeError):
    """A player has not moved, or not answered, for as long as `patience` allows.

    Not `PlayerLostError`: its process lives.
    """


def cluster(
    game: Game,
    *,
    seed: int,
    moves: int,
    every: float | None = None,
    looks: Looks | None = None,
    keep_states: bool = False,
    mode: Literal["asynchronous", "synchronous"] = "asynchronous",
    rate: float | None = 20.0,
    workers: int | None = None,
    patience: float = 600.0,
) -> Iterator[Observation]:
    """Plays with one Ray actor per player. Nobody stands in the middle: this process only starts them and looks on.

    Arguments:
        game: the game.
        seed: of all random streams. Synchronous play gives the very states of `rounds`; asynchronous play depends on
            the timing of the machine as well.
        moves: rounds, or moves per player on average.
        every: rounds between observations (default 1), or seconds for asynchronous play (default 0.1).
        looks: when players are looked at closely, and what they are asked.
        keep_states: whether the last observation holds the players' states.
        mode: `asynchronous` gossip or `synchronous` rounds.
        rate: moves per second of each player's Poisson clock in asynchronous play; None moves without pause, of which
            nothing is predicted. Time is counted in moves, so that slower clocks change no prediction; but on a machine
            that cannot keep up messages come late or are replaced, and errors settle below the predicted floor.
        workers: CPUs that Ray may use when it is started here; all by default. The actors share them equally.
        patience: seconds that a player may take for a move before the run is given up.

    Yields:
        Observations: before the first move, then as `every` says, and at the end.

    Raises:
        ModelError: a model failed; the other players are stopped.
        StartError: the actors did not start.
        PlayerLostError: a player's process died.
        StallError: a player did not move for `patience` seconds.
        ValueError: `moves`, or `every` in rounds, is not a whole number of at least 1.
    """
    require_whole(moves=moves, every=(every or 1) if mode == "synchronous" else 1)
    with _ray(workers), _actors(seats(game, seed)) as actors:
        lab = _Laboratory(game, actors, looks or Looks(), moves, keep_states, patience)
        yield lab.observe(first=True)
        if mode == "synchronous":
            yield from _in_rounds(lab, moves, int(every or 1))
        else:
            yield from _gossip(lab, moves, every or 0.1, rate)


def _in_rounds(lab: "_Laboratory", moves: int, every: int) -> Iterator[Observation]:
    done = 0
    while done < moves:
        count = min(every - done % every, moves - done)
        lab.wait([a.play_rounds.remote(count) for a in lab.actors.values()])
        done += count
        yield lab.observe(last=done == moves)


def _gossip(lab: "_Laboratory", moves: int, interval: float, rate: float | None) -> Iterator[Observation]:
    lab.wait([a.introduce.remote() for a in lab.actors.values()])
    games = [a.gossip.remote(rate) for a in lab.actors.values()]
    while True:
        ended, _ = ray.wait(games, num_returns=1, timeout=interval)
        lab.results(ended)
        observed = lab.observe()
        lab.require_progress(observed)
        if observed.time >= moves:
            break
        yield observed
    lab.wait([a.stop.remote() for a in lab.actors.values()])
    lab.wait(games)
    yield lab.observe(last=True)


class _Laboratory:
    """Reads the instruments: asks all actors, and adds up what they report."""

    def __init__(
        self,
        game: Game,
        actors: dict[Hashable, Any],
        looks: Looks,
        moves: int,
        keep_states: bool,
        patience: float,
    ) -> None:
        self.actors = actors
        self._spaces = {name: game.space(name) for name in actors}
        self._looks, self._moves, self._seen = looks, moves, 0.0
        self._keep_states, self._patience = keep_states, patience
        put = {id(rows): ray.put(rows) for player in actors if (rows := looks.test_of(player)) is not None}
        self._tests = {p: put[id(rows)] for p in actors if (rows := looks.test_of(p)) is not None}
        self._began = time.perf_counter()
        self._moved: dict[Hashable, tuple[int, float]] = dict.fromkeys(actors, (0, self._began))

    def wait(self, calls: list[Any], players: Sequence[Hashable] | None = None) -> list[Any]:
        """Results of one remote call per player; the first failure ends the wait, so that nobody waits for the dead.

        Arguments:
            calls: the calls.
            players: whose they are; None for all players, in order.

        Raises:
            ModelError: a model failed.
            PlayerLostError: a process died.
            StallError: no call ended for as long as patience allows; it names the players whose calls are open.
        """
        asked = dict(zip(calls, list(self.actors) if players is None else players, strict=True))
        waiting = list(calls)
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1, timeout=self._patience)
            if not ready:
                self._give_up([asked[call] for call in waiting])
            self.results(ready)
        return self.results(calls)

    def results(self, calls: list[Any]) -> list[Any]:
        """Results of calls that have ended."""
        try:
            results: list[Any] = ray.get(calls)
            return results
        except RayTaskError as error:
            if isinstance(error.cause, ModelError):
                cause = error.cause
                raise ModelError(cause.player, cause.move, cause.cause) from error
            if isinstance(error.cause, RayActorError):
                raise self._lost(error.cause) from error
            raise
        except RayActorError as error:
            raise self._lost(error) from error

    def require_progress(self, observed: Observation) -> None:
        """Raises StallError if a player has made no move for longer than patience allows."""
        now = time.perf_counter()
        for name, view in zip(self.actors, observed.players, strict=True):
            if view.moves > self._moved[name][0]:
                self._moved[name] = (view.moves, now)
        stuck = [name for name, (_, since) in self._moved.items() if now - since > self._patience]
        if stuck:
            self._give_up(stuck)

    def observe(self, *, first: bool = False, last: bool = False) -> Observation:
        """What all players report, about one moment."""
        reports = self._ask("report")
        now = sum(r.moves for r in reports) / len(reports)
        close = first or last or (now < self._moves and self._looks.due(self._seen, now, self._moves))
        self._seen = now
        return Observation(
            time=now,
            seconds=time.perf_counter() - self._began,
            messages=sum(r.sent for r in reports),
            bytes=sum(r.bytes for r in reports),
            players=[PlayerView(r.moves, r.mean, r.letters, r.rejected, r.staleness) for r in reports],
            undelivered=sum(r.superseded + r.unreachable for r in reports),
            close=close,
            **(self._closely(first=first, last=last) if close else {}),
            states=self._answers("state") if last and self._keep_states else {},
        )

    def _closely(self, *, first: bool, last: bool) -> dict[str, Any]:
        """What the players answer, as the fields of an `Observation`; see `looks.closely`."""
        looks, found = self._looks, {}
        if looks.rows:
            drawn = self._answers("measure", looks.rows)
            found["samples"] = {p: None if r is None else self._spaces[p].batch(r) for p, r in drawn.items()}
        if looks.regret_steps and not first:
            found["regret_estimates"] = self._answers("estimate_regret", looks.regret_steps)
        if self._tests:
            asked = [self.actors[p].score.remote(rows, looks.label) for p, rows in self._tests.items()]
            found["scores"] = dict(zip(self._tests, self.wait(asked, list(self._tests)), strict=True))
        if last or (looks.count > 2 and not first):
            found["held_out"] = self._answers("held_out")
        return found

    def _answers(self, method: str, *arguments: Any) -> dict[Hashable, Any]:
        return dict(zip(self.actors, self._ask(method, *arguments), strict=True))

    def _ask(self, method: str, *arguments: Any) -> list[Any]:
        return self.wait([getattr(a, method).remote(*arguments) for a in self.actors.values()])

    def _give_up(self, players: list[Hashable]) -> NoReturn:
        shown = ", ".join(map(str, players[:10]))
        raise StallError(
            f"player {shown} did not move or answer for {self._patience:g} s; "
            "look at its model, or raise play.patience if its moves take longer"
        )

    def _lost(self, error: RayActorError) -> PlayerLostError:
        found = [name for name, a in self.actors.items() if a._actor_id.hex() == error.actor_id]
        who = f"player {found[0]}" if found else "a player"
        return PlayerLostError(f"the process of {who} died; if memory is short, play fewer players or smaller models")


@contextlib.contextmanager
def _ray(workers: int | None) -> Iterator[None]:
    """A Ray session: the one that is there, or a local one that ends with the block."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    ray.init(
        num_cpus=workers or len(os.sched_getaffinity(0)),
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _actors(built_from: list[Seat]) -> Iterator[dict[Hashable, Any]]:
    """One actor per seat, connected to its listeners and opened; all killed at the end of the block."""
    cpus = ray.cluster_resources().get("CPU", 1.0)  # type: ignore[no-untyped-call]
    share = min(1.0, cpus / len(built_from))
    made = ray.remote(PlayerActor)
    actors: dict[Hashable, Any] = {}
    try:
        for seat in built_from:
            # in rounds every neighbour may have a message of this round and one of the next waiting
            concurrency = 1000 + 2 * len(seat.neighbours)
            options = {"num_cpus": _rounded(share), "max_restarts": 0, "max_concurrency": concurrency}
            actors[seat.name] = made.options(**options).remote(seat)
        limit = _START_S + _START_PER_PLAYER_S * len(built_from)
        try:
            ray.get(
                [
                    a.connect.remote({name: actors[name] for name in seat.listeners})
                    for seat, a in _pairs(built_from, actors)
                ],
                timeout=limit,
            )
            ray.get([a.open.remote() for a in actors.values()], timeout=limit)
        except GetTimeoutError:
            raise StartError(
                f"{len(actors)} actors did not start within {limit:.0f} s; "
                "play fewer players, or give Ray more CPUs and memory"
            ) from None
        except RayActorError as error:
            reason = str(error).strip().splitlines()[-1]
            raise StartError(f"an actor died while starting: {reason}") from error
        except RayTaskError as error:
            if isinstance(error.cause, ModelError):
                raise ModelError(error.cause.player, error.cause.move, error.cause.cause) from error
            raise
        yield actors
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _pairs(built_from: list[Seat], actors: dict[Hashable, Any]) -> list[tuple[Seat, Any]]:
    return [(seat, actors[seat.name]) for seat in built_from]


def _rounded(share: float) -> float:
    """A share of a CPU in Ray's resolution of 1/10,000, rounded down so that all shares fit."""
    return max(int(share * 10_000), 1) / 10_000
