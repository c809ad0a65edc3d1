"""Noise floors where every message arrives: covariances of the error in rounds and on Poisson clocks."""

__all__ = ["stationary_covariance"]

from typing import Any

import numpy as np

from .family import Array
from .fixed_point import fixed_point
from .mailboxes import delayed_covariance, lossy_covariance
from .schedule import Links, Schedule

_LARGEST = 1000
_SPARSE = 200


def stationary_covariance(eta: Array, noise: Array, links: Links, schedule: Schedule) -> Array | None:
    """S, the stationary covariance over players of one coordinate of μ − μ*; None where it is not known.

    Arguments:
        eta: step sizes, `[N]`.
        noise: v_j, variance of the mean of a message of j, `[N]`.
        links: the edges.
        schedule: the schedule. On Poisson clocks a delay is solved for full steps and one delivery for all edges.

    Returns:
        `[N, N]`, or None, also where there are too many players or edges to solve for.
    """
    if schedule.delay is None or len(eta) > _LARGEST:
        return None
    if schedule.clock == "rounds":
        if not links.certain:
            return lossy_covariance(eta, noise, links, schedule)
        return _rounds(eta, noise, links, schedule)
    if schedule.delay:
        return delayed_covariance(noise, links, schedule) if bool((eta == 1).all()) else None
    return _clocks(eta, noise, links, schedule) if links.certain else lossy_covariance(eta, noise, links, schedule)


def _rounds(eta: Array, noise: Array, links: Links, schedule: Schedule) -> Array | None:
    """S = W_η S W_ηᵀ + Q, Q = η² W diag(v) Wᵀ for broadcast batches, η² diag(Σ_j w_ij² v_j) for fresh ones.

    Messages that are k rounds late make the equation one of (e(t), …, e(t−k)). A batch is used once, so that its noise
    may be thought to be drawn when it arrives.
    """
    from scipy.linalg import solve_discrete_lyapunov

    n, late = links.players, schedule.lag
    if n * (late + 1) > _LARGEST:
        return None
    w = (links.listening @ links.publishing).toarray()
    heard = np.diag(w**2 @ noise) if schedule.fresh else (w * noise) @ w.T
    step, drive = np.zeros((2, n * (late + 1), n * (late + 1)))
    step[:n, :n] += np.diag(1 - eta)
    step[:n, n * late :] += eta[:, None] * w
    step[n:, : n * late] += np.eye(n * late)
    drive[:n, :n] = eta[:, None] * heard * eta
    return np.asarray(solve_discrete_lyapunov(step, drive)[:n, :n], np.float64)


def _clocks(eta: Array, noise: Array, links: Links, schedule: Schedule) -> Array | None:
    """S on Poisson clocks with instant delivery: mailboxes hold z_ij = e_j + ε_ij, ε_ij the noise of j's last batch.

    G_ik = Σ_j w_ij E ε_ij e_k is closed, `_heard_noise`. Then, for i ≠ k,
    (η_i + η_k) S_ik = η_i (WS + G)_ik + η_k (WS + G)_ki, and
    (2 − η_i) S_ii = 2 (1 − η_i)(WS + G)_ii + η_i (WSWᵀ + 2WGᵀ)_ii + η_i Σ_j w_ij² v_j.
    """
    sparse = links.listening @ links.publishing
    dense = sparse.toarray()
    w: Any = dense if len(eta) <= _SPARSE else sparse
    heard = _heard_noise(dense, eta, noise, fresh=schedule.fresh)
    diagonal = np.diag_indices(len(eta))
    rates = eta[:, None] + eta

    def pull(ws: Array, own: Array) -> Array:
        """The right sides from WS or G, and the part of the diagonal that is quadratic in W."""
        s: Array = (eta[:, None] * ws + (eta[:, None] * ws).T) / rates
        s[diagonal] = (2 * (1 - eta) * np.diag(ws) + eta * own) / (2 - eta)
        return s

    def linear(s: Array) -> Array:
        ws = np.asarray(w @ s)
        return pull(ws, (w * ws).sum(axis=1))

    return fixed_point(linear, pull(heard, 2 * (w * heard).sum(axis=1) + (w**2) @ noise))


def _heard_noise(w: Array, eta: Array, noise: Array, *, fresh: bool) -> Array:
    """G of `_clocks`, `[N, N]`.

    c_k = E ε_ij e_k is 0 for k = j, who forgets e and makes new noise at once. Others take it in when they move and
    lose it when j does: (1 + η_k) c_k − η_k Σ_{l≠j} w_kl c_l = η_k w_kj v_j for all k that hear this ε. With
    K = I + diag(η) − diag(η) W its solution is that of K without row and column j,
    c_k = (K⁻¹r)_k − K⁻¹_kj (K⁻¹r)_j / K⁻¹_jj.
    """
    k = np.linalg.inv(np.diag(1 + eta) - eta[:, None] * w)
    scaled = k / np.diag(k)  # K⁻¹_kj / K⁻¹_jj
    if fresh:
        drive = w**2 * noise
        g = eta[:, None] * (drive.sum(axis=1)[:, None] * k.T - (drive * k.T) @ scaled.T)
        return np.asarray(g, np.float64)
    told = k @ (eta[:, None] * w)
    c = (told - scaled * np.diag(told)) * noise  # [k, j]
    return np.asarray(w @ c.T, np.float64)
