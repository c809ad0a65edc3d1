"""What theory predicts of a run before it starts: speed of convergence and noise floor."""

__all__ = ["ABOVE_NOISE", "Mode", "Prediction", "Schedule", "predict"]

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..topology import spectral_radius
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle

Schedule = Literal["synchronous", "poisson", "unknown"]

_DENSE = 1000
ABOVE_NOISE = 5.0
"""A mode counts as measurable while it stands this many times above its own noise."""

_SHORTEST = 3.0
_DIRECT = 32
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Mode:
    """A left eigenvector of the step's matrix: the error projected on it decays exactly as its eigenvalue says.

    Arguments:
        vector: v, `[N]`, with vᴴW = λvᴴ, of Euclidean length 1.
        rate: slope of log‖vᴴ(μ − μ*)‖ per unit of time.
        noise: predicted stationary root mean square of ‖vᴴ(μ − μ*)‖, over the statistics together; None if unknown.
    """

    vector: Any
    rate: float
    noise: float | None

    def amplitude(self, error: Array) -> float:
        """‖vᴴ e‖ of an error `[N, d]`."""
        return float(np.linalg.norm(self.vector.conj() @ error))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Figures known before the run; None where theory gives none, or beyond 1,000 players for floors and modes.

    Time is counted in moves per player: one round, or one unit of a Poisson clock of rate 1.

    Arguments:
        schedule: the schedule predicted for.
        spectral_radius: ρ(W) of the graph.
        asymptotic_rate: slope of the log-error for a start in general position: log ρ (synchronous), ρ − 1 (Poisson).
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


def predict(game: Game, schedule: Schedule = "synchronous", *, oracle: Oracle | None = None) -> Prediction:
    """Speed and noise floor of a game under a schedule.

    Synchronous play with one broadcast batch per move, step η and n samples a message:
    S = W_η S W_ηᵀ + η² W diag(V/n) Wᵀ with W_η = (1 − η)I + ηW; slope log ρ(W_η).
    Poisson clocks of rate 1, instant delivery, broadcast, η = 1: 2T_ik = (WT)_ik + (TWᵀ)_ik for i ≠ k,
    T_ii = (WTWᵀ)_ii + V_i/n, S_ii = T_ii − V_i/n; slope ρ(W) − 1. V is taken at μ*.

    Arguments:
        game: the game.
        schedule: `synchronous`, `poisson`, or `unknown`, of which only the spectral radius is predicted.
        oracle: `Oracle.of(game)`, where the caller has it already.

    Returns:
        The prediction. A decreasing step has a floor of 0 and no rate; games without closed form have neither.

    Source: Chazan & Miranker, *Chaotic relaxation*, 1969, for convergence; the covariances are derived in
    docs/theory.md.
    """
    if schedule not in get_args(Schedule):
        raise ValueError(f"schedule is {schedule!r}, expected one of {', '.join(get_args(Schedule))}")
    rho = spectral_radius(game.graph)
    try:
        oracle = oracle or Oracle.of(game)
        if schedule == "unknown":
            return Prediction(schedule, rho, None, None, None, None, None)
    except NoClosedFormError:
        return Prediction(schedule, rho, None, None, None, None, None)
    steps = [game.specs[p].step for p in game.players]
    if any(s.horizon is not None for s in steps):
        decreasing = all(s.horizon is not None for s in steps)
        floors = np.zeros(len(steps)) if decreasing else None
        return Prediction(schedule, rho, None, None, floors, 0.0 if decreasing else None, None)
    eta = np.array([s.size for s in steps])
    samples = np.array([game.specs[p].samples for p in game.players])
    noise = oracle.family.variance(oracle.equilibrium).mean(axis=-1) / samples
    covariance = _covariance(oracle, eta, noise, schedule)
    floors = None if covariance is None else np.sqrt(np.maximum(np.diag(covariance), 0.0))
    mode = _mode(oracle, eta, covariance, schedule)
    asymptotic = _asymptotic(rho, eta, schedule)
    rms = None if floors is None else float(np.sqrt((floors**2).mean()))
    return Prediction(schedule, rho, asymptotic, mode.rate if mode else asymptotic, floors, rms, mode)


def _covariance(oracle: Oracle, eta: Array, noise: Array, schedule: Schedule) -> Array | None:
    """S, averaged over the statistics: `[N, N]`; None where it is not known or too large to solve for."""
    if not isinstance(oracle.listening, np.ndarray) or len(eta) > _DENSE:
        return None
    w = oracle.listening
    if schedule == "synchronous":
        from scipy.linalg import solve_discrete_lyapunov

        step = np.diag(1 - eta) + eta[:, None] * w
        drive = eta[:, None] * (w * noise) @ w.T * eta
        return np.asarray(solve_discrete_lyapunov(step, drive), np.float64)
    return _poisson(w, noise) if (eta == 1).all() else None


def _poisson(w: Array, noise: Array) -> Array | None:
    """S of `predict` between all players, from T = E yyᵀ and C = E eyᵀ y = e + ε as published: `[N, N]`.

    Off the diagonal 2C = WT + CWᵀ and 2S = WCᵀ + CWᵀ; on it C = S = T − V/n. The iteration for C halves its error.
    """
    t = _published(w, noise)
    if t is None:
        return None
    own = np.diag(t) - noise
    diagonal = np.diag_indices(len(noise))
    half = w @ t / 2
    c = np.diag(own)
    for _ in range(60):
        c = half + c @ w.T / 2
        c[diagonal] = own
    s: Array = (w @ c.T + c @ w.T) / 2
    s[diagonal] = own
    return s


def _published(w: Array, noise: Array) -> Array | None:
    """T of `predict`, `[N, N]`: a direct solution for few players, else GMRES; None where that does not converge."""
    from scipy.sparse.linalg import LinearOperator, gmres

    n = len(noise)
    diagonal = np.diag_indices(n)

    def image(t: Array) -> Array:
        t = t.reshape(n, n)
        wt = w @ t
        out: Array = (wt + t @ w.T) / 2
        out[diagonal] = np.einsum("ij,ij->i", wt, w)
        return out.reshape(-1)

    if n <= _DIRECT:
        matrix = np.stack([unit - image(unit) for unit in np.eye(n * n)], axis=1)
        return np.asarray(np.linalg.solve(matrix, np.diag(noise).reshape(-1)).reshape(n, n), np.float64)
    operator: Any = LinearOperator((n * n, n * n), matvec=lambda t: t.reshape(-1) - image(t), dtype=np.float64)
    solution, info = gmres(operator, np.diag(noise).reshape(-1), rtol=1e-10, restart=100, maxiter=5)
    return solution.reshape(n, n) if info == 0 else None


def _asymptotic(rho: float, eta: Array, schedule: Schedule) -> float | None:
    """Slope of the slowest mode: W is non-negative, so that ρ is its eigenvalue; None where steps differ or ρ is 0."""
    if not (eta == eta[0]).all():
        return None
    slowest = 1 - eta[0] + eta[0] * rho
    if schedule == "poisson":
        return float(slowest - 1)
    return float(np.log(slowest)) if slowest > 0 else None


def _mode(oracle: Oracle, eta: Array, covariance: Array | None, schedule: Schedule) -> Mode | None:
    """The slowest mode that the start lifts above the noise, for long enough to be measured."""
    if not isinstance(oracle.listening, np.ndarray) or len(eta) > _DENSE:
        return None
    step = np.diag(1 - eta) + eta[:, None] * oracle.listening
    values, vectors = np.linalg.eig(step.T)
    sizes = np.maximum(np.abs(values), _ROUNDING)
    slopes = np.log(sizes) if schedule == "synchronous" else values.real - 1
    error = oracle.start - oracle.equilibrium
    scale = float(np.linalg.norm(error))
    for k in np.argsort(-slopes):
        vector, noise = vectors[:, k].conj(), None
        if covariance is not None:
            noise = float(np.sqrt(max((vector.conj() @ covariance @ vector).real, 0.0) * error.shape[1]))
        mode = Mode(vector, float(slopes[k]), noise)
        span = mode.amplitude(error) / max(ABOVE_NOISE * (noise or 0.0), _ROUNDING * scale, np.finfo(float).tiny)
        if span > 1 and np.log(span) > -slopes[k] * _SHORTEST:
            return mode
    return None
