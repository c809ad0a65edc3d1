"""Speed and noise floor of a game of arrays: the floor as an unbiased estimate with its standard error."""

__all__ = ["FleetSchedule", "Floor", "predict_fleet"]

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .family import Array
from .fleet_blocks import Blocks
from .fleet_game import FleetGame
from .fleet_oracle import FleetOracle
from .prediction import Mode, Prediction
from .rates import mode_rates
from .schedule import Schedule

_PROBES = (4, 64)
_DRAWS = 4_000_000
_PAIRS = 250_000
_LEFT = 1e-4
_SWEEPS = 500
_EIGEN = 1e-7
_ABOVE_NOISE = 5.0
_SHORTEST = 3.0


@dataclass(frozen=True)
class FleetSchedule:
    """When players of a fleet move, and what becomes of their messages.

    Arguments:
        clock: `rounds`: all move at times 1, 2, …; `poisson`: each moves at the ticks of a clock of rate 1 of its own.
        fresh: whether each listener gets a batch of its own.
        delay: of every message, in moves per player.
        loss: probability that a message is lost.
        fan_out: listeners told after a move, at random; None for all.

    Raises:
        ValueError: a number out of range, or a delay, loss or fan-out in rounds.
    """

    clock: Literal["rounds", "poisson"] = "rounds"
    fresh: bool = False
    delay: float = 0.0
    loss: float = 0.0
    fan_out: int | None = None

    def __post_init__(self) -> None:
        if self.clock not in ("rounds", "poisson"):
            raise ValueError(f"clock is {self.clock!r}, expected rounds or poisson")
        if not (np.isfinite(self.delay) and self.delay >= 0):
            raise ValueError(f"delay is {self.delay}, expected a finite time of at least 0")
        if not 0 <= self.loss < 1:
            raise ValueError(f"loss is {self.loss}, expected a probability of at least 0 and below 1")
        if self.fan_out is not None and self.fan_out < 1:
            raise ValueError(f"fan_out is {self.fan_out}, expected at least 1")
        if self.clock == "rounds" and (self.delay or self.loss or self.fan_out is not None):
            raise ValueError("delay, loss and fan_out belong to asynchronous play; set mode to asynchronous")


@dataclass(frozen=True)
class Floor:
    """An estimate of the noise floor, root mean square over players and statistics, with its standard error."""

    rms: float
    standard_error: float


def predict_fleet(
    game: FleetGame, schedule: FleetSchedule, *, oracle: FleetOracle | None = None, seed: int = 0
) -> tuple[Prediction, Floor | None]:
    """Speed and noise floor of a game of arrays; None where theory gives none.

    Rounds, with W_η = (1 − η)I + ηW and S = Σ_t W_η^t Q W_η^tᵀ, where Q = η² W diag(V/n) Wᵀ for broadcast batches and
    η² diag(Σ_j w_ij² V_j/n_j) for fresh ones: tr S = E Σ_t ‖W_η^t Q^½ z‖² over 4 to 64 vectors z of signs (Hutchinson).
    Poisson clocks, η = 1, instant broadcast: T_ii is the expected sum of V_i/n_i over the meetings of two walkers that
    start at i, move by W one at a time, and both at once from where they meet: 250,000 pairs are followed.

    Slopes are those of `rates.mode_rates` for λ = ρ(W). Where players have different numbers of listeners under a
    fan-out, and for decreasing or unequal steps, none is known.

    Arguments:
        game: the game.
        schedule: when and how it is played.
        oracle: of the game, where the caller has it already.
        seed: of the estimate.

    Source: Hutchinson, *A stochastic estimator of the trace of the influence matrix*, 1989; the walkers are the dual of
    the voter model, Holley & Liggett, *Ergodic theorems for weakly interacting infinite systems*, 1975.
    """
    oracle = oracle or FleetOracle(game)
    rho, played = _radius(game.listening), _played(game, schedule)
    uniform = np.ndim(game.step_sizes) == 0 and np.ndim(game.horizons) == 0
    if not uniform or np.isfinite(game.horizons).any():
        decreasing = bool(np.isfinite(game.horizons).all())
        return Prediction(played, rho, None, None, None, 0.0 if decreasing else None, None), None
    eta, rng = float(game.step_sizes), np.random.default_rng(seed)
    noise = oracle.variances()
    floor = None
    if schedule.clock == "rounds":
        floor = _rounds_floor(game, eta, noise, schedule.fresh, rng, oracle.threads)
    elif eta == 1 and schedule == FleetSchedule("poisson"):
        floor = _clocks_floor(game, noise, rng)
    slope = _slope(rho, eta, played)
    mode = None if slope is None else _mode(game, oracle, eta, noise, rho, slope, schedule)
    rms = floor.rms if floor else None
    return Prediction(played, rho, slope, slope, None, rms, mode), floor


def _played(game: FleetGame, schedule: FleetSchedule) -> Schedule:
    """The schedule as predictions of ordinary games know it."""
    arrives, known = 1 - schedule.loss, True
    if schedule.fan_out is not None:
        listeners = np.bincount(game.listening.indices, minlength=game.size)
        known = bool(np.ptp(listeners) == 0)
        arrives *= min(1.0, schedule.fan_out / max(float(listeners[0]), 1.0)) if known else 1.0
    return Schedule(
        schedule.clock,
        delay=schedule.delay,
        delivery=arrives,
        fresh=schedule.fresh,
        known=known,
        picks=schedule.fan_out,
    )


def _rounds_floor(
    game: FleetGame, eta: float, noise: Array, fresh: bool, rng: np.random.Generator, threads: int | None
) -> Floor:
    """√(tr S / N); the sum ends where what is left is below 10⁻⁴ of it, which is added as a geometric tail."""
    n, w = game.size, game.listening.astype(np.float64)
    probes = int(np.clip(_DRAWS // n, *_PROBES))
    signs = rng.integers(0, 2, size=(n, probes)) * 2.0 - 1.0
    if fresh:
        x = eta * np.sqrt(np.asarray(w.multiply(w) @ noise).reshape(-1))[:, None] * signs
    else:
        x = eta * (w @ (np.sqrt(noise)[:, None] * signs))
    following = np.empty_like(x)
    total, ratio = np.zeros(probes), 0.999
    last: Array | None = None

    def sweep(_: int, rows: slice) -> None:
        following[rows] = w[rows] @ x
        if eta != 1:
            following[rows] *= eta
            following[rows] += (1 - eta) * x[rows]

    with Blocks(threads) as blocks:
        while True:
            now = np.einsum("ij,ij->j", x, x)
            total += now
            if last is not None:
                ratio = min(float((now / np.maximum(last, 1e-300)).max()), 0.999)
            if now.max() * ratio / (1 - ratio) <= _LEFT * max(total.min(), 1e-300):
                break
            last = now
            blocks.run(n, sweep)
            x, following = following, x
    return _floor((total + now * ratio / (1 - ratio)) / n)


def _clocks_floor(game: FleetGame, noise: Array, rng: np.random.Generator) -> Floor:
    """√(Σ_i (T_ii − V_i/n_i) / N) from pairs of walkers that all start together at a random player."""
    walk = _Walk(game)
    first = rng.integers(0, game.size, size=_PAIRS)
    gained = np.zeros(_PAIRS)
    pair, here, there = np.arange(_PAIRS), first, first.copy()
    while len(pair):
        together = here == there
        one = together | (rng.random(len(pair)) < 0.5)
        other = together | ~one
        here = np.where(one, walk.step(here, rng), here)
        there = np.where(other, walk.step(there, rng), there)
        alive = (here >= 0) & (there >= 0)
        pair, here, there = pair[alive], here[alive], there[alive]
        met = here == there
        gained[pair[met]] += noise[here[met]]
    return _floor(gained)


class _Walk:
    """The walk that follows W and is absorbed with what is left of a row."""

    def __init__(self, game: FleetGame) -> None:
        w = game.listening
        self._columns = w.indices
        sums = np.concatenate([[0.0], np.cumsum(w.data, dtype=np.float64)])
        self._low, self._sums = sums[w.indptr[:-1]], sums
        self._start, self._end = w.indptr[:-1], w.indptr[1:]

    def step(self, at: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Where each goes from `at`; −1 if it is absorbed."""
        u = self._low[at] + rng.random(len(at))
        edge = np.searchsorted(self._sums, u, side="right") - 1
        gone = edge >= self._end[at]
        return np.where(gone, -1, self._columns[np.minimum(edge, len(self._columns) - 1)])


def _floor(squares: Array) -> Floor:
    mean = float(squares.mean())
    error = float(squares.std(ddof=1) / np.sqrt(len(squares)))
    rms = float(np.sqrt(mean))
    return Floor(rms, error / (2 * rms) if rms else 0.0)


def _slope(rho: float, eta: float, played: Schedule) -> float | None:
    if not played.known or not isinstance(played.delivery, float | int):
        return None
    return next(iter(mode_rates(rho, eta, float(played.delivery), played)), None)


def _radius(w: Any) -> float:
    """ρ(W) by the power method on W + I/2, from above (Collatz & Wielandt); at once where all row sums are equal."""
    x = np.ones(w.shape[0])
    upper = np.inf
    for _ in range(_SWEEPS):
        image = np.asarray(w @ x)
        ratios = image / x
        upper = min(upper, float(ratios.max()))
        if upper - ratios.min() <= 1e-7:
            break
        x = image + x / 2
        x = np.maximum(x / x.max(), 1e-200)
    return upper


def _mode(
    game: FleetGame,
    oracle: FleetOracle,
    eta: float,
    noise: Array,
    rho: float,
    slope: float,
    schedule: FleetSchedule,
) -> Mode | None:
    """The left eigenvector of ρ(W), where the start lifts it far enough above the noise to be measured."""
    vector = _left_vector(game.listening, rho)
    if vector is None:
        return None
    error = oracle.start - oracle.equilibrium
    kept = 1 - eta + eta * rho
    if schedule.clock == "poisson":  # an upper estimate, of y as published, whose parts of one moment are independent
        drive, kept = noise * eta, np.sqrt(kept)
    elif schedule.fresh:
        drive = np.asarray(game.listening.multiply(game.listening) @ noise).reshape(-1) * eta**2
    else:
        drive = noise * (eta * rho) ** 2
    sigma = float(np.sqrt((vector**2 @ drive) / (1 - kept**2) * game.family.size))
    mode = Mode(vector, slope, sigma)
    span = mode.amplitude(error) / max(_ABOVE_NOISE * sigma, np.finfo(float).tiny)
    return mode if span > 1 and np.log(span) > -slope * _SHORTEST else None


def _left_vector(w: Any, rho: float) -> Array | None:
    """v of length 1 with Wᵀv = ρv by the power method; None where that is too slow."""
    transposed = w.T.tocsr().astype(np.float64)
    v = np.full(w.shape[0], w.shape[0] ** -0.5)
    for _ in range(_SWEEPS):
        image = np.asarray(transposed @ v)
        if np.linalg.norm(image - rho * v) <= _EIGEN * max(rho, 1e-300):
            return v
        v = image + v / 2
        v /= np.linalg.norm(v)
    return None
