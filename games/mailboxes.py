"""Noise floors where messages get lost or take time: second moments of what the mailboxes hold."""

__all__ = ["delayed_covariance", "lossy_covariance"]

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .family import Array
from .fixed_point import fixed_point
from .schedule import Links, Schedule

_LARGEST = 1200
_LARGEST_EXPONENT = 300.0
_WORST_BASIS = 1e7
_NODES = 32
_SWEEPS = 100
_SMALL = 1e-4
_SPARSE = 200


def lossy_covariance(eta: Array, noise: Array, links: Links, schedule: Schedule) -> Array | None:
    """S where edge (j, i) delivers with probability p_ij, on Poisson clocks at once, in rounds `lag` = k rounds late.

    x = (e, z), in rounds (e(t), …, e(t−k), z). A component a becomes (Rx)_a + noise with probability q_a, and a and b
    both with probability Q_ab, so that M = E xxᵀ becomes

        F(M) = Q∘(RMRᵀ + V) + (q1ᵀ − Q)∘RM + (1qᵀ − Q)∘MRᵀ + (1 − q1ᵀ − 1qᵀ + Q)∘M,

    V the covariance of new noise. In rounds the contents of mailboxes change so, and then all move, x ← Lx:
    M = L F(M) Lᵀ. On clocks one player at a time changes its error and the mailboxes that it reaches; Q_ab = 0 unless
    one and the same player changes both, and M = F(M).

    Arguments and Returns as `covariance.stationary_covariance`.
    """
    n, edges = links.players, len(links.alpha)
    rounds = schedule.clock == "rounds"
    errors = n * (schedule.lag + 1) if rounds else n
    if errors + edges > _LARGEST:
        return None
    w, p = links.listening.toarray(), links.publishing.toarray()
    size, sender = errors + edges, links.sender
    q, both = np.zeros(size), np.zeros((size, size))
    q[errors:] = links.chance
    both[errors:, errors:] = _both(links)
    fresh = np.zeros((size, size))
    fresh[errors:, errors:] = _new_noise(noise, links, schedule)
    picks, moves = np.zeros((2, size, size))
    if rounds:
        both[errors:, errors:] = np.where(sender[:, None] == sender, _both(links), np.outer(links.chance, links.chance))
        picks[errors:, errors - n : errors] = p
        moves[:n, :n] = np.diag(1 - eta)
        moves[:n, errors:] = eta[:, None] * w
        moves[n:errors, : errors - n] = np.eye(errors - n)
        moves[errors:, errors:] = np.eye(edges)
    else:
        q[:n] = 1.0
        both[:n, :n] = np.eye(n)
        both[:n, errors:] = (np.arange(n)[:, None] == sender) * links.chance
        both[errors:, :n] = both[:n, errors:].T
        picks[:n, :n] = np.diag(1 - eta)
        picks[:n, n:] = eta[:, None] * w
        picks[n:] = p @ picks[:n]
    first = q[:, None] - both
    either = first + q
    r, l_ = _sparse(picks), _sparse(moves)

    def changed(m: Array) -> Array:
        rm = r @ m
        one = first * rm
        return np.asarray(both * (r @ rm.T) + one + one.T, np.float64)

    def linear(m: Array) -> Array:
        m = (m + m.T) / 2
        if not rounds:
            return changed(m) / either
        return np.asarray(l_ @ (l_ @ (changed(m) + (1 - either) * m)).T, np.float64)

    drive = both * fresh
    found = fixed_point(linear, np.asarray(l_ @ (l_ @ drive).T) if rounds else drive / either)
    return None if found is None else found[:n, :n]


def delayed_covariance(noise: Array, links: Links, schedule: Schedule) -> Array | None:
    """S on Poisson clocks with full steps, delay τ on every edge, and one delivery probability p for all.

    z(t) are the mailboxes as they will be at time t + τ, so that who moves at t learns m = Hz(t − τ).
    X(θ) = E z(t) z(t − θ)ᵀ obeys X' = p (P H Y − X) with Y(θ) = X(τ − θ)ᵀ, hence Y' = p (Y − X (PH)ᵀ), and Y(τ) = X(0).
    In the basis of eigenvectors of W from the left and of PH from the right this is a system of two numbers, and
    HY(0) is known from X(0), see `_Memory`. X = X(0) itself solves
    (q1ᵀ + 1qᵀ − Q)∘X = Q∘(PHX(PH)ᵀ + V) + (q1ᵀ − Q)∘PHY(0) + its transpose, with q and Q as in `lossy_covariance`.

    D(θ) = E e(t) z(t − θ)ᵀ obeys D' = HY − D, and its start is stationary. For i ≠ k, 2S = D(τ)Hᵀ + its transpose;
    S_ii = (HXHᵀ)_ii.

    Returns None where p differs between edges, for large systems, and where W has no basis of eigenvectors.

    Arguments and Returns as `covariance.stationary_covariance`.
    """
    p, tau = links.even, schedule.delay or 0.0
    broadcast = links.certain and not schedule.fresh
    size = links.players if broadcast else len(links.alpha)
    if p is None or p * tau > _LARGEST_EXPONENT or size > _LARGEST:
        return None
    w = links.listening @ links.publishing
    owner = np.arange(links.players) if broadcast else links.sender
    h = w if broadcast else links.listening
    memory = _Memory.of(w.toarray(), p * tau)
    if memory is None:
        return None
    if broadcast:
        both, new = np.eye(size), np.diag(noise)
    else:
        both, new = _both(links), _new_noise(noise, links, schedule)
    first, either = p - both, 2 * p - both
    weights = h.toarray() if size <= _SPARSE else h

    def heard(x: Array) -> tuple[Array, Array, Array]:
        hx = np.asarray(weights @ x)
        hxh = np.asarray(weights @ hx.T).T
        return hx, hxh, memory.recall(hx, hxh, owner)

    def linear(x: Array) -> Array:
        _, hxh, hy = heard((x + x.T) / 2)
        one = first * hy[owner]
        return np.asarray((both * hxh[np.ix_(owner, owner)] + one + one.T) / either, np.float64)

    x = fixed_point(linear, both * new / either)
    if x is None:
        return None
    hx, hxh, hy = heard(x)
    gathered = memory.gathered(hx, hxh, owner, tau)
    own = np.arange(links.players)[:, None] == owner
    d = hy
    for _ in range(_SWEEPS):
        met = np.asarray(weights @ (np.exp(-tau) * d + gathered).T).T
        d = np.where(own, p * np.diag(hxh)[:, None] + (1 - p) * hy, (hy + p * met[:, owner]) / (1 + p))
    s: Array = (met + met.T) / 2
    s[np.diag_indices(links.players)] = np.diag(hxh)
    return s


class _Memory:
    """HY(θ) from HX(0) for all θ, where time runs p times as fast: x' = λy − x, y' = y − μx for eigenvalues λ, μ.

    With κ² = 1 − λμ, s = sinh(κt)/κ, C = cosh(κt) + s and y(t) = x(0) at t = pτ, y(0) = f x(0), f = (1 + μs)/C. As a
    function of PH, f(PH) = f(0) + P g(W) H with g(μ) = (f(μ) − f(0))/μ, so that eigenvectors of W are enough.
    """

    def __init__(self, values: NDArray[Any], basis: NDArray[Any], span: float) -> None:
        self._values, self._basis, self._inverse = values, basis, np.linalg.inv(basis)
        self._span = span
        total, s, slope = self._functions(span)
        self._g = (s - np.exp(-span) * slope) / total

    @staticmethod
    def of(w: Array, span: float) -> "_Memory | None":
        """None where W has no basis of eigenvectors that numbers can tell."""
        values, basis = np.linalg.eig(w)
        return _Memory(values, basis, span) if np.linalg.cond(basis) < _WORST_BASIS else None

    def recall(self, hx: Array, hxh: Array, owner: NDArray[np.intp]) -> Array:
        """HY(0), `[N, size]`."""
        return self._applied(np.exp(-self._span), self._g, hx, hxh, owner)

    def gathered(self, hx: Array, hxh: Array, owner: NDArray[np.intp], tau: float) -> Array:
        """∫ e^(−(τ − θ)) HY(θ) dθ from 0 to τ, `[N, size]`."""
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        plain, mixed = 0.0, np.zeros_like(self._g)
        for node, weight in zip((nodes + 1) / 2, weights / 2 * tau, strict=True):
            weight *= np.exp(-(1 - node) * tau)
            total, s, slope = self._functions(node * self._span)
            plain += weight * np.exp((node - 1) * self._span)
            mixed += weight * (total * self._g + np.exp(-self._span) * slope - s)
        return self._applied(plain, mixed, hx, hxh, owner)

    def _applied(self, plain: float, mixed: NDArray[Any], hx: Array, hxh: Array, owner: NDArray[np.intp]) -> Array:
        inside = mixed * (self._inverse @ hxh @ self._inverse.T)
        return np.asarray(plain * hx + (self._basis @ inside @ self._basis.T).real[:, owner], np.float64)

    def _functions(self, t: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """C, s and (C − e^t)/μ for all pairs of eigenvalues."""
        product = np.outer(self._values, self._values).astype(np.complex128)
        total, s = _cosh_sinh(1 - product, t)
        # near 0 the difference quotient of C over κ² becomes its derivative halfway
        near = np.abs(product) < _SMALL
        middle, half = _cosh_sinh(1 - product / 2, t)
        middle = middle - half
        derivative = (t * half + (t * middle - half) / (1 - product / 2)) / 2
        quotient = np.where(near, -derivative, (total - np.exp(t)) / np.where(near, 1.0, product))
        return total, s, self._values[:, None] * quotient


def _cosh_sinh(square: NDArray[Any], t: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """cosh(κt) + sinh(κt)/κ and sinh(κt)/κ for κ² = `square`."""
    root = np.sqrt(square)
    flat = np.abs(root) < 1e-8
    s = np.where(flat, t, np.sinh(root * t) / np.where(flat, 1.0, root))
    return np.cosh(root * t) + s, s


def _both(links: Links) -> Array:
    """Q between the mailboxes, 0 for different senders: `[E, E]`."""
    same = links.sender[:, None] == links.sender
    both: Array = np.where(same, np.outer(links.chance, links.chance) * links.together[links.sender], 0.0)
    both[np.diag_indices(len(links.chance))] = links.chance
    return both


def _new_noise(noise: Array, links: Links, schedule: Schedule) -> Array:
    """V between the mailboxes: one batch of the sender for all, or one each: `[E, E]`."""
    if schedule.fresh:
        return np.diag(noise[links.sender])
    return np.where(links.sender[:, None] == links.sender, noise[links.sender], 0.0)


def _sparse(matrix: Array) -> Any:
    from scipy.sparse import csr_array

    return csr_array(matrix) if len(matrix) > _SPARSE else matrix
