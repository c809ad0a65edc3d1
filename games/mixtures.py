"""Class mixtures: what a player is predicted to generate, and how far what it generates is from that."""

__all__ = ["class_histogram", "label_of", "predicted_mixtures", "total_variation"]

from collections.abc import Hashable

import numpy as np

from .. import topology
from .composite import ClassConditional
from .discrete import Categorical
from .family import Array
from .game import Game, GameError
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


def predicted_mixtures(game: Game, label: str | None = None) -> Array:
    """The class shares of each player's equilibrium model, Σ_j B_ij h_j with h_j the private histogram of j: `[N, k]`.

    Where the equilibrium has a closed form with this label, its own class shares, in which smoothing counts too. Where
    the rows of a player hold no label, its `PlayerSpec.class_shares` are taken.

    Arguments:
        game: the game.
        label: the variable that holds the class; None where only `class_shares` tell it.

    Raises:
        GameError: a player with data has neither the label nor class shares, or numbers of classes differ.
    """
    try:
        oracle = Oracle.of(game) if label is not None else None
    except NoClosedFormError:
        oracle = None
    family = None if oracle is None else oracle.family
    if oracle is not None and isinstance(family, ClassConditional) and family.label == label:
        return family.class_shares(oracle.equilibrium)
    if oracle is not None and isinstance(family, Categorical):
        return oracle.equilibrium
    histograms = [_private_shares(game, p, label) for p in game.players]
    sizes = {len(h) for h in histograms if h is not None}
    if len(sizes) != 1:
        raise GameError(f"players have {sorted(sizes)} classes, expected one number; give each its class shares")
    filled = [np.zeros(max(sizes)) if h is None else h for h in histograms]
    mixed: Array = topology.blend(game.graph, np.stack(filled))
    return mixed


def _private_shares(game: Game, player: Hashable, label: str | None) -> Array | None:
    """Class shares of a player's private rows, `[k]`; None where it has none."""
    spec = game.specs[player]
    if spec.class_shares is not None:
        return np.asarray(spec.class_shares, np.float64)
    if not spec.data:
        return None
    if label is None or label not in spec.data.space:
        raise GameError(f"the private rows of player {player} hold no label; give PlayerSpec.class_shares")
    return class_histogram(spec.data, label)


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p − q| of two distributions `[k]`: from 0, alike, to 1, nothing in common.

    >>> total_variation(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    0.5
    """
    return float(np.abs(p - q).sum() / 2)
