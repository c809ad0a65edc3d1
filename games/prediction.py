"""What theory predicts of a run before it starts: speed of convergence and noise floor."""

__all__ = ["ABOVE_NOISE", "Mode", "Prediction", "predict"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..topology import spectral_radius
from .covariance import stationary_covariance
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle
from .rates import asymptotic_rate, mode_rates
from .schedule import Links, Schedule

if TYPE_CHECKING:
    from .table_oracle import TableOracle

_NAMED = {"synchronous": Schedule("rounds"), "poisson": Schedule("poisson")}
_DENSE = 1000
ABOVE_NOISE = 5.0
"""A mode counts as measurable while it stands this many times above its own noise."""

_SHORTEST = 3.0
_ROUNDING = 1e-9
_FADED = np.log(20.0)


@dataclass(frozen=True, eq=False)
class Mode:
    """A left eigenvector of the step's matrix: the mean error projected on it decays exponentially.

    Arguments:
        vector: v, `[N]`, with vᴴW = λvᴴ, of Euclidean length 1; of tables `[D]`, over all cells, with vᴴA = λvᴴ.
        rate: slope of log‖vᴴ(μ − μ*)‖ per unit of time.
        noise: predicted stationary root mean square of ‖vᴴ(μ − μ*)‖, over the statistics together; None if unknown.
        after: time from which there is one exponential alone: 0 where everything arrives by the next move, else when
            mailboxes are filled and the second exponential has faded to a twentieth of the first.
    """

    vector: Any
    rate: float
    noise: float | None
    after: float = 0.0

    def amplitude(self, error: Array) -> float:
        """‖vᴴ e‖ of an error `[N, d]`, of tables `[D]`."""
        return float(np.linalg.norm(self.vector.conj() @ error))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Figures known before the run; None where theory gives none, or beyond 1,000 players for floors and modes.

    Time is counted in moves per player: one round, or one unit of a Poisson clock of rate 1.

    Arguments:
        schedule: the schedule predicted for.
        spectral_radius: ρ(W) of the graph.
        asymptotic_rate: slope of the log-error for a start in general position: log ρ (synchronous), ρ − 1 (Poisson),
            see `rates.asymptotic_rate` for the others.
        rate: slope of the slowest mode that this start lifts so far above the noise that a run can measure it (5 times,
            for at least 3 units of time); where there is no such mode, `asymptotic_rate`. The two differ where the
            start is orthogonal to the slowest mode, as it is when players start from their own data and α_ii is
            uniform.
        floors: `[N]`, stationary root mean square of μ_i − μ*_i over time and statistics.
        noise_floor_rms: the same over all players.
        mode: the mode that `rate` belongs to, on which a run measures its own rate.
    """

    schedule: Schedule
    spectral_radius: float
    asymptotic_rate: float | None
    rate: float | None
    floors: Array | None
    noise_floor_rms: float | None
    mode: Mode | None


def predict(
    game: Game, schedule: Schedule | str = "synchronous", *, oracle: "Oracle | TableOracle | None" = None
) -> Prediction:
    """Speed and noise floor of a game under a schedule.

    The slopes are those of `rates.asymptotic_rate` and `rates.mode_rates`, the floors come from
    `covariance.stationary_covariance`, with V taken at μ*. For games of joint tables see `table_oracle.predict_tables`.

    Arguments:
        game: the game.
        schedule: a schedule, or `synchronous` or `poisson` for rounds and Poisson clocks where everything arrives at
            once.
        oracle: `oracle_of(game)`, where the caller has it already.

    Returns:
        The prediction. A decreasing step has a floor of 0 and no rate; games without closed form have neither, nor
        have schedules of which too little is known.

    Raises:
        ValueError: an unknown name, or a schedule that does not fit the game's edges.

    Source: Chazan & Miranker, *Chaotic relaxation*, 1969, for convergence; the rates and covariances are derived in
    docs/theory.md.
    """
    schedule = _schedule(schedule)
    rho = spectral_radius(game.graph)
    unknown = Prediction(schedule, rho, None, None, None, None, None)
    if not schedule.known:
        return unknown
    links = Links.of(game, schedule)
    from .table_oracle import TableOracle, oracle_of, predict_tables  # built on what stands here

    try:
        oracle = oracle or oracle_of(game)
    except NoClosedFormError:
        return unknown
    if isinstance(oracle, TableOracle):
        return predict_tables(game, schedule, oracle)
    steps = [game.specs[p].step for p in game.players]
    if any(s.horizon is not None for s in steps):
        decreasing = all(s.horizon is not None for s in steps)
        floors = np.zeros(len(steps)) if decreasing else None
        return Prediction(schedule, rho, None, None, floors, 0.0 if decreasing else None, None)
    eta = np.array([s.size for s in steps])
    samples = np.array([game.specs[p].samples for p in game.players])
    noise = oracle.family.variance(oracle.equilibrium).mean(axis=-1) / samples
    covariance = stationary_covariance(eta, noise, links, schedule)
    floors = None if covariance is None else np.sqrt(np.maximum(np.diag(covariance), 0.0))
    mode = _mode(oracle, eta, covariance, links, schedule)
    asymptotic = asymptotic_rate(rho, eta, links, schedule)
    rms = None if floors is None else float(np.sqrt((floors**2).mean()))
    return Prediction(schedule, rho, asymptotic, mode.rate if mode else asymptotic, floors, rms, mode)


def _schedule(named: Schedule | str) -> Schedule:
    if isinstance(named, Schedule):
        return named
    if named not in _NAMED:
        raise ValueError(f"schedule is {named!r}, expected a Schedule or one of {', '.join(_NAMED)}")
    return _NAMED[named]


def _mode(oracle: Oracle, eta: Array, covariance: Array | None, links: Links, schedule: Schedule) -> Mode | None:
    """The slowest mode that the start lifts above the noise, for long enough to be measured."""
    if not isinstance(oracle.listening, np.ndarray) or len(eta) > _DENSE or schedule.delay is None:
        return None
    prompt = links.certain and schedule.instant
    if prompt:
        values, vectors = np.linalg.eig((np.diag(1 - eta) + eta[:, None] * oracle.listening).T)
    elif links.even is not None and bool((eta == eta[0]).all()):
        values, vectors = np.linalg.eig(oracle.listening.T)
    else:
        return None
    error, alone = oracle.start - oracle.equilibrium, oracle.anchors - oracle.equilibrium
    share = 1.0 if prompt else _remembered(float(eta[0]), links, schedule)
    scale, statistics = float(np.linalg.norm(error)), error.shape[1]
    speeds = [_prompt(v, schedule) if prompt else _late(v, float(eta[0]), links, schedule) for v in values]
    for rate, after, k in sorted(((*s, k) for k, s in enumerate(speeds) if s is not None), reverse=True):
        vector, noise = vectors[:, k].conj(), None
        if covariance is not None:
            noise = float(np.sqrt(max((vector.conj() @ covariance @ vector).real, 0.0) * statistics))
        mode = Mode(vector, rate, noise, after)
        above = _shortest(vector.conj() @ error, vector.conj() @ alone, share)
        span = above / max(ABOVE_NOISE * (noise or 0.0), _ROUNDING * scale, np.finfo(float).tiny)
        if span > 1 and np.log(span) > -rate * (_SHORTEST + after):
            return mode
    return None


def _prompt(value: complex, schedule: Schedule) -> tuple[float, float]:
    """Slope of a mode, and when it is alone, where everything arrives at once: eigenvalues of W_η decide."""
    slope = np.log(max(abs(value), _ROUNDING)) if schedule.clock == "rounds" else value.real - 1
    return float(slope), 0.0


def _remembered(eta: float, links: Links, schedule: Schedule) -> float:
    """Share of the start that players keep at least, until mailboxes fill: before that, they learn from themselves."""
    kept = (1 - eta) ** schedule.lag if schedule.clock == "rounds" else np.exp(-eta * (schedule.delay or 0.0))
    return float((links.even or 0.0) * kept)


def _shortest(start: Any, alone: Any, share: float) -> float:
    """Smallest length of a mixture of two vectors with at least this share of the first."""
    apart = start - alone
    square = float(np.vdot(apart, apart).real)
    best = -float(np.vdot(apart, alone).real) / square if square > 0 else 1.0
    return float(np.linalg.norm(alone + min(max(best, share), 1.0) * apart))


def _late(value: complex, eta: float, links: Links, schedule: Schedule) -> tuple[float, float] | None:
    """The same where messages come late or get lost; None where the exponentials cannot be told apart."""
    p = links.even or 1.0
    slopes = mode_rates(value, eta, p, schedule)
    if not slopes:
        return None
    others = slopes[1:]
    if not links.certain:  # mailboxes still empty
        others.append(float(np.log1p(-p)) if schedule.clock == "rounds" else -p)
    gap = slopes[0] - max(others, default=-np.inf)
    if gap < _ROUNDING:
        return None
    return slopes[0], (schedule.delay or 0.0) + float(_FADED / gap)
