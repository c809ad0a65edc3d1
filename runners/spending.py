"""What the players of a run spent of their budgets of privacy, and what privacy cost their equilibrium."""

__all__ = ["has_private", "privacy_figures", "privacy_sentence"]

from collections.abc import Mapping, Sequence
from typing import Any

from ..games import FleetGame, Game, NoClosedFormError, PrivacyCost, predict_privacy
from .observation import PlayerView

_MOST = 2000
"""Players beyond which no cost is told: it takes the whole matrix of influence."""

_NAMES = ("epsilon_max", "delta_max", "exhausted", "predicted_cost_rms", "measured_cost_rms")


def has_private(game: Game | FleetGame) -> bool:
    """Whether some players of the game have a budget of privacy."""
    return isinstance(game, Game) and any(spec.private is not None for spec in game.specs.values())


def privacy_figures(game: Game | FleetGame, views: Sequence[PlayerView], *, changing: bool) -> dict[str, Any]:
    """What was spent, and the cost of it; null of each where nobody has a budget.

    Arguments:
        game: the game.
        views: the players at the end.
        changing: whether the graph is not one throughout, so that there is no one equilibrium.

    Returns:
        `epsilon_max` and `delta_max`, of the player that spent most; `exhausted`, how many have nothing left to spend;
        `predicted_cost_rms` and `measured_cost_rms`, root mean squares of μ* − μ* without privacy, see
        `games.predict_privacy`.
    """
    if not isinstance(game, Game) or not has_private(game):
        return dict.fromkeys(_NAMES)
    spent = [view.privacy for view in views if view.privacy is not None]
    cost = None if changing else _cost(game)
    return {
        "epsilon_max": max((one.epsilon for one in spent), default=None),
        "delta_max": max((one.delta for one in spent), default=None),
        "exhausted": sum(one.exhausted for one in spent),
        "predicted_cost_rms": None if cost is None else cost.predicted_rms,
        "measured_cost_rms": None if cost is None else cost.measured_rms,
    }


def privacy_sentence(figures: Mapping[str, Any]) -> str | None:
    """The same in words, without a full stop; None where nobody has a budget."""
    if figures.get("epsilon_max") is None:
        return None
    told = f"Privacy spent: ε up to {figures['epsilon_max']:.3g}, δ up to {figures['delta_max']:.3g}"
    measured, predicted = figures["measured_cost_rms"], figures["predicted_cost_rms"]
    if predicted is None:
        return told
    shift = f"RMS {predicted:.3g} predicted" if measured is None else f"RMS {measured:.3g}, predicted {predicted:.3g}"
    return f"{told}; it shifts the equilibrium by {shift}"


def _cost(game: Game) -> PrivacyCost | None:
    if len(game.players) > _MOST:
        return None
    try:
        return predict_privacy(game)
    except NoClosedFormError:
        return None
