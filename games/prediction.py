"""What theory predicts of a run before it starts: speed of convergence and noise floor."""

__all__ = ["Mode", "Prediction", "Schedule", "predict"]

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..topology import spectral_radius
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle

Schedule = Literal["synchronous", "poisson"]

_DENSE = 1000
_ABOVE_NOISE = 5.0
_SHORTEST = 3.0
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Mode:
    """A left eigenvector of the step's matrix: the error projected on it decays exactly as its eigenvalue says.

    Arguments:
        vector: v, `[N]`, with vᴴW = λvᴴ, of Euclidean length 1.
        rate: slope of log‖vᴴ(μ − μ*)‖ per unit of time.
        noise: predicted stationary root mean square of ‖vᴴ(μ − μ*)‖, over the statistics together.
    """

    vector: Any
    rate: float
    noise: float

    def amplitude(self, error: Array) -> float:
        """‖vᴴ e‖ of an error `[N, d]`."""
        return float(np.linalg.norm(self.vector.conj() @ error))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Figures known before the run; None where theory gives none.

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
        schedule: `synchronous` or `poisson`.
        oracle: `Oracle.of(game)`, where the caller has it already.

    Returns:
        The prediction. A decreasing step has a floor of 0 and no rate; games without closed form have neither.

    Source: Chazan & Miranker, *Chaotic relaxation*, 1969, for convergence; the covariances are derived in
    docs/theory.md.
    """
    rho = spectral_radius(game.graph)
    try:
        oracle = oracle or Oracle.of(game)
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
    asymptotic, mode = _modes(oracle, eta, covariance, schedule)
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
    if not (eta == 1).all():
        return None
    return _poisson(w, noise)


def _poisson(w: Array, noise: Array) -> Array:
    """S of `predict` between all players, from T = E yyᵀ and C = E eyᵀ y = e + ε as published: `[N, N]`.

    Off the diagonal 2C = WT + CWᵀ and 2S = WCᵀ + CWᵀ; on it C = S = T − V/n. The iteration for C halves its error.
    """
    t = _published(w, noise)
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


def _published(w: Array, noise: Array) -> Array:
    """T of `predict`, by GMRES on its linear equations: `[N, N]`."""
    from scipy.sparse.linalg import LinearOperator, gmres

    n = len(noise)
    diagonal = np.diag_indices(n)

    def image(t: Array) -> Array:
        t = t.reshape(n, n)
        wt = w @ t
        out: Array = (wt + t @ w.T) / 2
        out[diagonal] = np.einsum("ij,ij->i", wt, w)
        return out.reshape(-1)

    operator: Any = LinearOperator((n * n, n * n), matvec=lambda t: t.reshape(-1) - image(t), dtype=np.float64)
    solution, info = gmres(operator, np.diag(noise).reshape(-1), rtol=1e-10, restart=100, maxiter=200)
    if info != 0:
        raise ArithmeticError("the covariance equations of Poisson clocks did not converge; is ρ(W) almost 1?")
    solved: Array = solution.reshape(n, n)
    return solved


def _modes(
    oracle: Oracle, eta: Array, covariance: Array | None, schedule: Schedule
) -> tuple[float | None, Mode | None]:
    """Asymptotic slope, and the slowest mode that the start lifts above the noise."""
    if covariance is None and not (isinstance(oracle.listening, np.ndarray) and len(eta) <= _DENSE):
        return None, None
    step = np.diag(1 - eta) + eta[:, None] * oracle.listening
    values, vectors = np.linalg.eig(step.T)
    with np.errstate(divide="ignore"):
        slopes = np.log(np.abs(values)) if schedule == "synchronous" else values.real - 1
    slopes = np.where(np.abs(values) < _ROUNDING, -np.inf, slopes)
    error = oracle.start - oracle.equilibrium
    scale = float(np.linalg.norm(error))
    for k in np.argsort(-slopes):
        vector = vectors[:, k].conj()
        noise = 0.0
        if covariance is not None:
            noise = float(np.sqrt(max((vector.conj() @ covariance @ vector).real, 0.0) * error.shape[1]))
        mode = Mode(vector, float(slopes[k]), noise)
        span = mode.amplitude(error) / max(_ABOVE_NOISE * noise, _ROUNDING * scale, np.finfo(float).tiny)
        if np.isfinite(slopes[k]) and span > 1 and np.log(span) > -slopes[k] * _SHORTEST:
            return _finite(slopes.max()), mode
    return _finite(slopes.max()), None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
