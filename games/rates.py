"""Speeds: how fast the mean error of a schedule falls, in general and along one eigenvector of W."""

__all__ = ["asymptotic_rate", "mode_rates"]

from typing import Any

import numpy as np

from .family import Array
from .schedule import Links, Schedule

_DENSE = 400
_LONGEST_LAG = 100
_LARGEST_EXPONENT = 300.0
_NOTHING = 1e-12


def asymptotic_rate(rho: float, eta: Array, links: Links, schedule: Schedule) -> float | None:
    """Slope of the log-error for a start in general position; None where it is unknown or the error ends at once.

    Where η and p are the same for all, the slowest solution of `mode_rates` with λ = ρ(W), which is real. Otherwise
    the block system of errors e and contents of mailboxes z decides, `_blocks`. Both are non-negative systems: the
    slope is the only one where the dominant eigenvalue that it leads to is its own.

    Arguments:
        rho: ρ(W).
        eta: step sizes, `[N]`.
        links: the edges.
        schedule: the schedule.
    """
    if schedule.delay is None:
        return None
    step, p = float(eta[0]), links.even
    if p is not None and bool((eta == step).all()):
        return _even_rate(rho, step, p, schedule)
    return _block_rate(eta, links, schedule)


def mode_rates(value: complex, eta: float, p: float, schedule: Schedule) -> list[float]:
    """Slopes of the exponentials that the error along a left eigenvector of W with eigenvalue λ is made of.

    With e along it and m the best response to what the mailboxes hold, step η and delivery p, the means follow in
    rounds that are `lag` = k late, e(t) = (1 − η) e(t−1) + η m(t), m(t) = (1 − p) m(t−1) + pλ e(t−1−k), so that
    (x − 1 + η)(x − 1 + p) x^k = pηλ x for factors x a round; on Poisson clocks with delay τ, ė = η (m − e),
    ṁ = pλ (e + ė)(t − τ) − pm, so that (s + η)(s + p) = pηλ (1 + s) e^(−sτ) for slopes s. For η = 1 or p = 1 these are
    s = W_k(cλτ e^(cτ))/τ − c with c = pη and all branches W_k of the Lambert function.

    Arguments:
        value: λ.
        eta: η.
        p: p.
        schedule: the schedule.

    Returns:
        The slopes, the slowest first, as far as a second exponential is told apart; none where they are not known, or
        the error ends at once.
    """
    if schedule.clock == "rounds":
        lag = schedule.lag
        if lag > _LONGEST_LAG:
            return []
        polynomial = np.polymul([1.0, eta - 1.0], [1.0, p - 1.0]).astype(np.complex128)
        if lag:
            polynomial = np.append(polynomial, np.zeros(lag - 1))
            polynomial[-1] -= p * eta * value
        else:
            polynomial[-2] -= p * eta * value
        factors = np.abs(np.roots(polynomial))
        slopes = np.log(factors[factors > _NOTHING])
    elif not schedule.delay:
        slopes = np.roots([1.0, p + eta - p * eta * value, p * eta * (1 - value)]).real
    else:
        slopes = _delayed_slopes(value, eta, p, schedule.delay)
    return [float(slope) for slope in np.sort(slopes)[::-1]]


def _delayed_slopes(value: complex, eta: float, p: float, delay: float) -> Array:
    from scipy.special import lambertw

    c = p * eta
    if max(p, eta) < 1 or c * delay > _LARGEST_EXPONENT:
        return np.empty(0)
    alone = [-1.0] if p < 1 else []  # e follows the mailboxes at rate 1; where everything arrives it is what they held
    if abs(value) < _NOTHING:
        return np.array([-c, *alone])
    found = lambertw(c * value * delay * np.exp(c * delay), np.array([0, -1, 1])).real / delay - c
    return np.array([*found, *alone])


def _even_rate(rho: float, eta: float, p: float, schedule: Schedule) -> float | None:
    """The real solution of the equations of `mode_rates` between those of the diagonal and 0."""
    from scipy.optimize import brentq

    if schedule.clock == "rounds":
        lag, low = schedule.lag, max(1 - eta, 1 - p)
        if low == 0 and lag == 0:
            return float(np.log(rho)) if rho > 0 else None
        x = brentq(
            lambda x: (x - 1 + eta) * (x - 1 + p) * x ** max(lag - 1, 0) - p * eta * rho * (x if lag == 0 else 1.0),
            low,
            1.0,
            xtol=1e-15,
        )
        return float(np.log(x)) if x > _NOTHING else None
    delay, c = schedule.delay or 0.0, p * eta
    if max(p, eta) == 1:  # 1 + s cancels
        s = brentq(lambda s: (s + c) * np.exp(s * delay) - c * rho, -c, 0.0, xtol=1e-15)
    else:
        s = brentq(lambda s: (s + eta) * (s + p) * np.exp(s * delay) - c * rho * (1 + s), -min(eta, p), 0.0, xtol=1e-15)
    return float(s)


def _block_rate(eta: Array, links: Links, schedule: Schedule) -> float | None:
    """The fixed point of x ↦ dominant eigenvalue of `_blocks` at x: the left side falls with x, the right one rises."""
    from scipy.optimize import brentq
    from scipy.sparse.linalg import ArpackError

    late = schedule.lag if schedule.clock == "rounds" else schedule.delay
    low = max(1 - eta.min(), 1 - links.chance.min()) if schedule.clock == "rounds" else -1.0
    try:
        if not late:
            found = _dominant(_blocks(eta, links, schedule, 1.0))
        else:
            found = brentq(lambda x: _dominant(_blocks(eta, links, schedule, _faded(x, late, schedule))) - x, low, 1.0)
    except (ArpackError, OverflowError):
        return None
    if schedule.clock == "rounds":
        return float(np.log(found)) if found > _NOTHING else None
    return float(found)


def _faded(x: float, late: float, schedule: Schedule) -> float:
    """What a message that is `late` weighs against one of now, in a solution that grows as x says."""
    return float(x**-late if schedule.clock == "rounds" else np.exp(-x * late))


def _blocks(eta: Array, links: Links, schedule: Schedule, faded: float) -> Any:
    """The mean system of (e, z), sparse `[N + E, N + E]`.

    Rounds: z⁺ = (1 − p) z + p Pe, e⁺ = (1 − η) e + η Hz⁺. Poisson clocks: ė = η (Hz − e),
    ż = p (P((1 − η) e + η Hz) − z). `faded` multiplies what messages bring.
    """
    from scipy.sparse import block_array, diags_array

    p = diags_array(links.chance)
    step, rest = diags_array(eta), diags_array(1 - eta)
    listen = step @ links.listening
    arrive = faded * (p @ links.publishing)
    if schedule.clock == "rounds":
        kept = diags_array(1 - links.chance)
        return block_array([[rest + listen @ arrive, listen @ kept], [arrive, kept]], format="csr")
    return block_array([[-step, listen], [arrive @ rest, arrive @ listen - p]], format="csr")


def _dominant(matrix: Any) -> float:
    """The eigenvalue with the largest real part, of a matrix that is non-negative off its diagonal: it is real."""
    from scipy.sparse.linalg import eigs

    size = matrix.shape[0]
    if size <= _DENSE:
        return float(np.linalg.eigvals(matrix.toarray()).real.max())
    values = eigs(matrix, k=1, which="LR", v0=np.ones(size), ncv=40, return_eigenvectors=False)
    return float(values[0].real)
