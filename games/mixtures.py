"""Class mixtures: what a player is predicted to generate, and how far what it generates is from that."""

__all__ = ["class_histogram", "class_shares_among", "label_of", "predicted_mixtures", "total_variation"]

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import topology
from .composite import ClassConditional
from .discrete import Categorical
from .family import Array
from .game import Game
from .oracle import NoClosedFormError, Oracle
from .space import Batch, Space
from .specs import GameError
from .table_oracle import TableOracle, oracle_of


def label_of(space: Space) -> str | None:
    """The name of the space's only scalar categorical variable; None if there is none or more than one."""
    found = [v.name for v in space if v.kind == "categorical" and not v.shape]
    return found[0] if len(found) == 1 else None


def class_histogram(batch: Batch, label: str) -> Array:
    """The share of each class among the rows: `[k]`, all 0 for no rows."""
    counts = np.bincount(batch[label].reshape(-1), minlength=batch.space[label].categories or 0)
    shares: Array = counts / max(len(batch), 1)
    return shares


def class_shares_among(parts: Sequence[Batch], label: str) -> Array:
    """The share of each class among the rows of several batches, at least one row in all: `[k]`."""
    counts = sum(len(rows) * class_histogram(rows, label) for rows in parts)
    return np.asarray(counts / sum(map(len, parts)))


def predicted_mixtures(game: Game, label: str | None = None, *, carrier: str | None = None) -> Array:
    """The class shares of each player's equilibrium model, Σ_j B_ij h_j with h_j the private histogram of j: `[N, k]`.

    Where the equilibrium is known with this label, in closed form or as the fixed point of tables, its own class
    shares, in which smoothing counts too. Where the rows of a player hold no label, its `PlayerSpec.class_shares` are
    taken.

    Where players have different variables this holds of those to whom the class travels: summed over all other
    variables, the map of the game is p_i(c) ← α_ii π_i(c) + Σ_j α_ij p_j(c) along edges that carry c, whatever
    listeners complete. The rows of players who hear somebody, at any remove, along an edge that does not carry it are
    NaN, as are those of players without it.

    Arguments:
        game: the game.
        label: the variable that holds the class; None where only `class_shares` tell it.
        carrier: the variable that the class is told by, such as an image that a judge looks at; the label unless given.

    Raises:
        GameError: a player with data has neither the label nor class shares, numbers of classes differ, or the class
            travels to nobody.
    """
    try:
        oracle = oracle_of(game) if label is not None else None
    except NoClosedFormError:
        oracle = None
    if isinstance(oracle, TableOracle) and label is not None:
        return _of_tables(oracle, label)
    if isinstance(oracle, Oracle):
        family = oracle.family
        if isinstance(family, ClassConditional) and family.label == label:
            return family.class_shares(oracle.equilibrium)
        if isinstance(family, Categorical):
            return oracle.equilibrium
    carrier = label if carrier is None else carrier
    reached = np.ones(len(game.players), bool) if carrier is None else _reached(game, carrier)
    histograms = [
        _private_shares(game, p, label) if known else None for p, known in zip(game.players, reached, strict=True)
    ]
    if not reached.any():
        raise GameError(
            f"everybody without {carrier}, or reached by an edge that does not carry it: no class shares are predicted"
        )
    sizes = {len(h) for h in histograms if h is not None}
    if len(sizes) != 1:
        raise GameError(f"players have {sorted(sizes)} classes, expected one number; give each its class shares")
    filled = [np.zeros(max(sizes)) if h is None else h for h in histograms]
    mixed: Array = topology.blend(game.graph, np.stack(filled))
    return np.where(reached[:, None], mixed, np.nan)


def _of_tables(oracle: TableOracle, label: str) -> Array:
    """The class shares of tables at their fixed point; NaN for those without the label."""
    shares = [
        np.bincount(cells.part(Space((cells.space[label],))), weights=table) if label in cells.space else None
        for cells, table in zip(oracle.game.cells, oracle.equilibrium, strict=True)
    ]
    sizes = {len(s) for s in shares if s is not None}
    if len(sizes) != 1:
        raise GameError(f"players have {sorted(sizes)} classes, expected one number")
    return np.stack([np.full(max(sizes), np.nan) if s is None else s for s in shares])


def _reached(game: Game, carrier: str) -> NDArray[np.bool_]:
    """Whether a variable travels along every edge by which a player hears of others, at any remove: `[N]`."""
    heard = {
        player: [j for j, edge in game.graph.pred[player].items() if j != player and edge["alpha"] > 0]
        for player in game.players
    }
    blind = {
        player
        for player in game.players
        if carrier not in game.space(player) or any(carrier not in game.edge_space(j, player) for j in heard[player])
    }
    found = set(blind)
    while blind:
        blind = {player for player in heard if player not in found and blind.intersection(heard[player])}
        found |= blind
    return np.array([player not in found for player in game.players])


def _private_shares(game: Game, player: Hashable, label: str | None) -> Array | None:
    """Class shares of a player's private rows, `[k]`; None where it has none."""
    spec = game.specs[player]
    if spec.class_shares is not None:
        return np.asarray(spec.class_shares, np.float64)
    if not spec.rows:
        return None
    told = spec.summary
    if told is not None and told.class_shares is not None and told.label == label:
        return told.class_shares
    if told is not None or label is None or any(label not in rows.space for rows in spec.parts):
        which = "hold no label" if len(spec.parts) == 1 else "do not all hold the label"
        raise GameError(f"the private rows of player {player} {which}; give PlayerSpec.class_shares")
    return class_shares_among(spec.parts, label)


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p − q| of two distributions `[k]`: from 0, alike, to 1, nothing in common.

    >>> total_variation(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    0.5
    """
    return float(np.abs(p - q).sum() / 2)
