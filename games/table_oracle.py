"""What the laboratory knows of a game of tables: its fixed point, how far play is from it, how fast and how noisily."""

__all__ = ["TableOracle", "oracle_of", "predict_tables"]

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..topology import spectral_radius
from .cells import TableSizeError
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle
from .prediction import ABOVE_NOISE, Mode, Prediction
from .schedule import Schedule
from .table_noise import Linearised
from .tables import TableConvergenceError, TableGame, table_equilibrium

_TOL = 1e-10
_ITERATIONS = 20_000
_PATH = 2000
_STRAIGHT = 0.02
_SHORTEST = 3.0


@dataclass(frozen=True, eq=False)
class TableOracle:
    """A fixed point of the exact map, from where play starts. Built once, asked often.

    Arguments:
        game: the game of tables.
        equilibrium: the tables at the fixed point, `[cells]` each.
    """

    game: TableGame
    equilibrium: tuple[Array, ...]

    @staticmethod
    def of(game: Game) -> "TableOracle":
        """The oracle of a game.

        Raises:
            NoClosedFormError: a player is no table, or the exact map does not come to rest.
        """
        played = TableGame.of(game)
        try:
            return TableOracle(played, table_equilibrium(played, tol=_TOL, most=_ITERATIONS).tables)
        except TableConvergenceError as error:
            raise NoClosedFormError(f"the fixed point of the tables is not known: {error}") from None

    def regrets(self, tables: Sequence[Array]) -> Array:
        """KL(F_i(p) ‖ p_i), what a player gains on the rows as it has completed them, in nats: `[N]`, ≥ 0.

        A lower bound of what it can gain on what the sources hold. It is 0 at every fixed point, also at one that is no
        equilibrium because cells have come to 0.
        """
        return np.array([_divergence(f, p) for f, p in zip(self.game.response(tables), tables, strict=True)])

    def errors(self, tables: Sequence[Array]) -> Array:
        """Root mean square over the cells of p_i − p_i*: `[N]`."""
        return np.array([np.sqrt(((p - q) ** 2).mean()) for p, q in zip(tables, self.equilibrium, strict=True)])

    def deviation(self, tables: Sequence[Array]) -> Array:
        """p − p* of all players, in the cells of `Linearised`: `[D]`."""
        star = np.concatenate(self.equilibrium)
        return np.asarray((np.concatenate(list(tables)) - star)[star > 0])


def oracle_of(game: Game) -> Oracle | TableOracle:
    """What is known of a game in closed form, or by its exact map.

    Raises:
        NoClosedFormError: nothing is.
    """
    return TableOracle.of(game) if game.tables else Oracle.of(game)


def predict_tables(game: Game, schedule: Schedule, oracle: TableOracle) -> Prediction:
    """Speed and noise floor of a game of tables near its fixed point.

    Rounds in which everything arrives: slope log ρ(A), A the linearised step, and floors from Σ = A Σ Aᵀ + noise. On
    Poisson clocks with prompt delivery the slope alone, max Re λ(A) − 1. Of other schedules, of decreasing steps and
    beside other equilibria (ρ(A) = 1) nothing is predicted, nor of more than 1,500 cells.

    The mode to measure the slope on is that of the largest eigenvalue, from when play without noise follows it within
    2 %, if it is then still 5 times above its noise for 3 units of time.
    """
    radius = spectral_radius(game.graph)
    unknown = Prediction(schedule, radius, None, None, None, None, None)
    delivery: Any = schedule.delivery
    prompt = (
        schedule.known and schedule.instant and not schedule.fresh and not isinstance(delivery, dict) and delivery == 1
    )
    if not prompt or any(s.horizon is not None for s in oracle.game.steps):
        return unknown
    try:
        linear = Linearised.of(oracle.game, oracle.equilibrium)
    except TableSizeError:
        return unknown
    values, vectors = np.linalg.eig(linear.tangent.T)
    if schedule.clock != "rounds":
        rate = float(values.real.max()) - 1
        return Prediction(schedule, radius, rate, rate, None, None, None) if rate < -1e-9 else unknown
    largest = int(np.abs(values).argmax())
    size = float(np.abs(values[largest]))
    if not 0 < size < 1 - 1e-9:
        return unknown
    covariance = linear.stationary()
    players = len(game.players)
    sizes = np.array([c.count for c in oracle.game.cells])
    total = np.bincount(linear.owner, weights=np.maximum(np.diag(covariance), 0.0), minlength=players)
    floors = np.sqrt(total / sizes)
    rate = float(np.log(size))
    mode = _mode(oracle, vectors[:, largest], rate, covariance)
    return Prediction(schedule, radius, rate, rate, floors, float(np.sqrt((floors**2).mean())), mode)


def _mode(oracle: TableOracle, vector: NDArray[Any], rate: float, covariance: Array) -> Mode | None:
    owner = np.searchsorted(np.cumsum([(p > 0).sum() for p in oracle.equilibrium]), np.arange(len(vector)), "right")
    sums = np.bincount(owner, vector.real) + 1j * np.bincount(owner, vector.imag)
    vector = vector - (sums / np.bincount(owner))[owner]  # deviations sum to 0 over each table
    vector = vector / np.linalg.norm(vector)
    left = vector.conj()
    noise = float(np.sqrt(max((vector.T @ covariance @ left).real, 0.0)))
    kept: list[float] = []
    for tables in islice(oracle.game.rounds(), _PATH):
        amplitude = float(np.abs(vector @ oracle.deviation(tables)))
        if not amplitude > max(noise, 1e-9 * kept[0] if kept else 0.0, np.finfo(float).tiny):
            break
        kept.append(amplitude)
    slopes = np.array([np.log(b / a) for a, b in pairwise(kept)])
    bent = np.flatnonzero(np.abs(slopes - rate) > _STRAIGHT * abs(rate))
    after = 0 if not len(bent) else int(bent[-1]) + 1
    if after >= len(kept) or not kept[after] > ABOVE_NOISE * noise * np.exp(-rate * _SHORTEST):
        return None
    return Mode(left, rate, noise, float(after))


def _divergence(p: Array, q: Array) -> float:
    """KL(p ‖ q) in nats; cells that p excludes count nothing."""
    held = p > 0
    with np.errstate(divide="ignore"):
        return max(float((p[held] * (np.log(p[held]) - np.log(q[held]))).sum()), 0.0)
