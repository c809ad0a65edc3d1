"""Play as arrays: exponential-family games of up to millions of players, whose messages are never made."""

__all__ = ["fleet"]

import time as wall
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal

import numpy as np

from ..games import Batch, BoundaryError, FleetGame, FleetSchedule, Game
from ..games.fleet_blocks import Blocks
from .fleet_clocks import Clocks
from .fleet_rounds import Rounds
from .fleet_world import fleet_schedule, require_listeners
from .looks import Looks
from .machine import whole_cpus
from .observation import Observation
from .views import PlayerArrays

_MEASURED = 1000
_ROUNDING = 1e-6
_MEASURE = 4


def fleet(
    game: Game | FleetGame,
    *,
    seed: int,
    moves: int,
    every: float = 1.0,
    looks: Looks | None = None,
    keep_states: bool = False,
    schedule: FleetSchedule | None = None,
    precision: Literal["float32", "float64"] = "float32",
    threads: int | None = None,
) -> Iterator[Observation]:
    """Plays a game of one exponential family as arrays; of a message only its sample mean is drawn, from its exact law.

    In rounds, y_j being the mean statistics of a batch: y_j ~ law(μ_j, n_j), m = D μ̂ + W y, μ ← (1 − η_t)μ + η_t m.
    On Poisson clocks the same one player at a time, with the newest y_j that has reached the listener. Nothing but
    the rounding of numbers is approximated; see docs/fleet.md.

    Arguments:
        game: an ordinary game, or one made of arrays.
        seed: of all random streams. The result does not depend on the number of threads.
        moves: rounds, or moves per player on average.
        every: rounds or moves per player between observations; on clocks an observation waits for the end of a slice
            of a quarter of a move (or less, if a delay asks for it).
        looks: how many rows each player generates for measurement at the first and the last observation, in ordinary
            games of up to 1,000 players; nothing else of it has a meaning here.
        keep_states: not possible, since there are no player objects.
        schedule: rounds or clocks, broadcast or fresh batches, delay, loss, fan-out; by default rounds, and the batches
            that the players of the game send.
        precision: of μ and of what is drawn.
        threads: by default one for each processor that may be used, see `available_cpus`.

    Yields:
        Observations: before the first move, then as `every` says, and after the last.

    Raises:
        NoShortcutError: the game cannot be played as arrays; the message names the families that can.
        ValueError: `keep_states`, an unknown precision, or no positive `every`.
    """
    if keep_states:
        raise ValueError("the fleet has no player objects whose states it could keep; take runner rounds")
    if precision not in ("float32", "float64"):
        raise ValueError(f"precision is {precision!r}, expected float32 or float64")
    if not every > 0:
        raise ValueError(f"every is {every}, expected above 0")
    arrays = game if isinstance(game, FleetGame) else FleetGame.of(game)
    schedule = schedule or fleet_schedule(game)
    require_listeners(arrays, schedule)
    with Blocks(whole_cpus() if threads is None else threads) as blocks:
        lab = _Laboratory(arrays, game if isinstance(game, Game) else None, seed, looks.rows if looks else 0)
        if schedule.clock == "poisson":
            clocks = Clocks(arrays, seed, np.dtype(precision), blocks, schedule)
            yield from _observed(clocks, clocks.play, lab, moves, every)
        else:
            rounds = Rounds(arrays, seed, np.dtype(precision), blocks, fresh=schedule.fresh)
            yield from _observed(rounds, rounds.play, lab, moves, max(1, round(every)))


def _observed(
    state: Clocks | Rounds, play: Callable[[float], None], lab: "_Laboratory", moves: int, every: float
) -> Iterator[Observation]:
    yield lab.observe(state, first=True, last=moves == 0)
    due = every
    while state.time < moves - _ROUNDING:
        play(min(due, moves))
        yield lab.observe(state, last=state.time >= moves - _ROUNDING)
        while due <= state.time + _ROUNDING:
            due += every


class _Laboratory:
    """Reads the instruments."""

    def __init__(self, arrays: FleetGame, game: Game | None, seed: int, rows: int) -> None:
        self._game = game if arrays.size <= _MEASURED else None
        self._family, self._drawn_rows = arrays.family, rows
        self._bytes = arrays.row_bytes
        self._rows = float(np.mean(arrays.samples))
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_MEASURE,)))
        self._began = wall.perf_counter()

    def observe(self, state: Clocks | Rounds, *, first: bool = False, last: bool = False) -> Observation:
        mean = state.mean.copy()
        accepted = state.accepted
        none = np.broadcast_to(np.int64(0), accepted.shape)
        letters = {"accepted": accepted, "duplicate": none, "outdated": none}
        if isinstance(state, Rounds):
            letters["replaced"] = none
        return Observation(
            time=float(state.time),
            seconds=wall.perf_counter() - self._began,
            messages=state.messages,
            bytes=int(state.messages * self._bytes * self._rows),
            players=PlayerArrays(state.moves.copy(), mean, letters, state.staleness),
            close=first or last,
            samples=self._drawn(mean) if (first or last) and self._drawn_rows else {},
            held_out=self._held_out(mean) if last else {},
            mean_parameters=mean,
        )

    def _drawn(self, mean: Any) -> dict[Hashable, Batch | None]:
        if self._game is None:
            return {}
        wide = np.asarray(mean, np.float64)
        return {p: self._family.sample(wide[k], self._drawn_rows, self._rng) for k, p in enumerate(self._game.players)}

    def _held_out(self, mean: Any) -> dict[Hashable, float | None]:
        if self._game is None:
            return {}
        found: dict[Hashable, float | None] = {}
        for k, player in enumerate(self._game.players):
            rows = self._game.specs[player].holdout
            try:
                found[player] = (
                    float(self._family.log_density(rows, np.asarray(mean[k], np.float64)).mean()) if rows else None
                )
            except BoundaryError:
                found[player] = None
        return found
