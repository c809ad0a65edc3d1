"""Class mixtures: what a player is predicted to generate, and how far what it generates is from that."""

__all__ = ["class_histogram", "label_of", "predicted_mixtures", "total_variation"]

import numpy as np

from .. import topology
from .composite import ClassConditional
from .discrete import Categorical
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle
from .space import Batch, Space


def label_of(space: Space) -> str | None:
    """The name of the space's only categorical variable; None if there is none or more than one."""
    found = [v.name for v in space if v.kind == "categorical"]
    return found[0] if len(found) == 1 else None


def class_histogram(batch: Batch, label: str) -> Array:
    """The share of each class among the rows: `[k]`, all 0 for no rows."""
    counts = np.bincount(batch[label].reshape(-1), minlength=batch.space[label].categories or 0)
    shares: Array = counts / max(len(batch), 1)
    return shares


def predicted_mixtures(game: Game, label: str) -> Array:
    """The class shares of each player's equilibrium model, Σ_j B_ij h_j with h_j the private histogram of j: `[N, k]`.

    Where the equilibrium has a closed form with this label, its own class shares, in which smoothing counts too.
    """
    try:
        oracle = Oracle.of(game)
    except NoClosedFormError:
        oracle = None
    family = None if oracle is None else oracle.family
    if oracle is not None and isinstance(family, ClassConditional) and family.label == label:
        return family.class_shares(oracle.equilibrium)
    if oracle is not None and isinstance(family, Categorical):
        return oracle.equilibrium
    histograms = [
        class_histogram(data if (data := game.specs[p].data) else game.space(p).empty(), label) for p in game.players
    ]
    mixed: Array = topology.blend(game.graph, np.stack(histograms))
    return mixed


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p − q| of two distributions `[k]`: from 0, alike, to 1, nothing in common.

    >>> total_variation(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    0.5
    """
    return float(np.abs(p - q).sum() / 2)
