"""Play on Ray: one actor per player, gossiping directly with each other, asynchronously or in rounds."""

__all__ = ["StartError", "cluster"]

import contextlib
import logging
import os
import time
from collections.abc import Hashable, Iterator
from typing import Any, Literal

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from ..agents import ModelError, PlayerActor, Seat, seats
from ..games import Game
from .observation import Observation, PlayerView

_ANSWER_S = 60.0
_START_S = 60.0
_START_PER_PLAYER_S = 5.0


class StartError(RuntimeError):
    """The players' actors did not start in time, or died while starting.

    Not `ModelError`: no model was asked to do anything yet.
    """


def cluster(
    game: Game,
    *,
    seed: int,
    moves: int,
    every: float | None = None,
    measure: int = 0,
    keep_states: bool = False,
    mode: Literal["asynchronous", "synchronous"] = "asynchronous",
    rate: float | None = 20.0,
    workers: int | None = None,
) -> Iterator[Observation]:
    """Plays with one Ray actor per player. Nobody stands in the middle: this process only starts them and looks on.

    Arguments:
        game: the game.
        seed: of all random streams. Synchronous play gives the very states of `rounds`; asynchronous play depends on
            the timing of the machine as well.
        moves: rounds, or moves per player on average.
        every: rounds between observations (default 1), or seconds for asynchronous play (default 0.1).
        measure: rows that each player generates for measurement at the first and the last observation.
        keep_states: whether the last observation holds the players' states.
        mode: `asynchronous` gossip or `synchronous` rounds.
        rate: moves per second of each player's Poisson clock in asynchronous play; None moves without pause. A machine
            that cannot keep up makes the clocks slower, not the prediction wrong: time is counted in moves.
        workers: CPUs that Ray may use when it is started here; all by default. The actors share them equally.

    Yields:
        Observations: before the first move, then as `every` says, and at the end.

    Raises:
        ModelError: a model failed; the other players are stopped.
        StartError: the actors did not start.
    """
    with _ray(workers), _actors(seats(game, seed)) as actors:
        lab = _Laboratory(game, actors, measure, keep_states)
        yield lab.observe(first=True, last=moves == 0)
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
    games = [a.gossip.remote(rate) for a in lab.actors.values()]
    try:
        while True:
            ended, _ = ray.wait(games, num_returns=1, timeout=interval)
            lab.wait(ended)
            observed = lab.observe()
            if observed.time >= moves:
                break
            yield observed
    finally:
        with contextlib.suppress(RayActorError, RayTaskError):
            ray.get([a.stop.remote() for a in lab.actors.values()], timeout=_ANSWER_S)
    lab.wait(games)
    yield lab.observe(last=True)


class _Laboratory:
    """Reads the instruments: asks all actors, and adds up what they report."""

    def __init__(self, game: Game, actors: dict[Hashable, Any], measure: int, keep_states: bool) -> None:
        self.actors = actors
        self._spaces = {name: game.space(name) for name in actors}
        self._measure, self._keep_states = measure, keep_states
        self._began = time.perf_counter()

    def wait(self, calls: list[Any]) -> list[Any]:
        """Results of remote calls; the first failure ends the wait, so that nobody waits for a dead player.

        Raises:
            ModelError: a model failed.
        """
        waiting = list(calls)
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            _results(ready)
        return _results(calls)

    def observe(self, *, first: bool = False, last: bool = False) -> Observation:
        reports = self._ask("report")
        measure = self._measure if first or last else 0
        drawn = zip(self.actors, self._ask("measure", measure) if measure else [], strict=False)
        return Observation(
            time=sum(r.moves for r in reports) / len(reports),
            seconds=time.perf_counter() - self._began,
            messages=sum(r.sent for r in reports),
            bytes=sum(r.bytes for r in reports),
            players=[PlayerView(r.moves, r.mean, r.letters, r.rejected, r.staleness) for r in reports],
            samples={name: None if rows is None else self._spaces[name].batch(rows) for name, rows in drawn},
            held_out=dict(zip(self.actors, self._ask("held_out"), strict=True)) if last else {},
            states=dict(zip(self.actors, self._ask("state"), strict=True)) if last and self._keep_states else {},
        )

    def _ask(self, method: str, *arguments: Any) -> list[Any]:
        return _results([getattr(a, method).remote(*arguments) for a in self.actors.values()], _ANSWER_S)


@contextlib.contextmanager
def _ray(workers: int | None) -> Iterator[None]:
    """A Ray session: the one that is there, or a local one that ends with the block."""
    if ray.is_initialized():
        yield
        return
    ray.init(num_cpus=workers or len(os.sched_getaffinity(0)), log_to_driver=False, logging_level=logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _actors(built_from: list[Seat]) -> Iterator[dict[Hashable, Any]]:
    """One actor per seat, connected to its listeners and opened; all killed at the end of the block."""
    cpus = ray.cluster_resources().get("CPU", 1.0)  # type: ignore[no-untyped-call]
    share = min(1.0, cpus / len(built_from))
    made = ray.remote(PlayerActor).options(num_cpus=_rounded(share), max_restarts=0)
    actors: dict[Hashable, Any] = {}
    try:
        for seat in built_from:
            actors[seat.name] = made.remote(seat)
        limit = _START_S + _START_PER_PLAYER_S * len(built_from)
        try:
            connected = [
                actors[seat.name].connect.remote({name: actors[name] for name in seat.listeners}) for seat in built_from
            ]
            _results(connected, limit)
            _results([a.open.remote() for a in actors.values()], limit)
        except GetTimeoutError:
            raise StartError(
                f"{len(actors)} actors did not start within {limit:.0f} s; "
                "play fewer players, or give Ray more CPUs and memory"
            ) from None
        except RayActorError as error:
            raise StartError(f"an actor died while starting: {error}") from None
        yield actors
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _rounded(share: float) -> float:
    """A share of a CPU in Ray's resolution of 1/10,000, rounded down so that all shares fit."""
    return max(int(share * 10_000), 1) / 10_000


def _results(calls: list[Any], timeout: float | None = None) -> list[Any]:
    try:
        results: list[Any] = ray.get(calls, timeout=timeout)
        return results
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ModelError):
            raise ModelError(cause.player, cause.move, cause.cause) from error
        raise
