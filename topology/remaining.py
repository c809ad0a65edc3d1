"""What listeners learn from when some of what they heard is gone: α over the rest, by a named rule."""

__all__ = ["RULES", "remaining"]

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, EdgeArrays

RULES = ("proportional", "neighbours", "self")
"""The names of the rules by which a listener makes up for what it lost."""


def remaining(edges: EdgeArrays, live: NDArray[np.bool_], rule: str) -> Array:
    """α over the edges that are live, 0 elsewhere, rows summing to 1; rows that lost nothing stay as they were.

    With ℓ_i = Σ of the α_ij that are gone:

    - "proportional": α_ij ← α_ij / (1 − ℓ_i), j = i included
    - "neighbours": α_ij ← α_ij (1 − α_ii) / (1 − α_ii − ℓ_i) for j ≠ i; α_ii stays
    - "self": α_ii ← α_ii + ℓ_i; the others stay

    By each of them somebody who hears nobody any more learns from its own data alone, α_ii = 1.

    Arguments:
        edges: of a graph whose rows sum to 1, with a self-loop of every player that lost something.
        live: `[E]`, which edges carry something; self-loops do.
        rule: one of `RULES`.

    Returns:
        α, `[E]`.
    """
    own = edges.speaker == edges.listener
    heard = np.where(live & ~own, edges.alpha, 0.0)
    received: Array = np.bincount(edges.listener, weights=heard, minlength=edges.n_players).astype(np.float64)
    self_weights = edges.self_weights
    alone = received == 0
    kept: Array
    scale: Array
    if rule == "self":
        kept, scale = 1 - received, np.ones_like(received)
    else:
        kept = self_weights if rule == "neighbours" else self_weights / np.where(alone, 1.0, self_weights + received)
        scale = (1 - kept) / np.where(alone, 1.0, received)
    kept = np.where(alone, 1.0, kept)
    alpha = np.where(own, kept[edges.listener], heard * np.where(alone, 0.0, scale)[edges.listener])
    touched = np.zeros(edges.n_players, dtype=bool)
    touched[edges.listener[~live & (edges.alpha > 0)]] = True
    return np.where(touched[edges.listener], alpha, edges.alpha)
