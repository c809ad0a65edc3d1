"""What the players of a run spent of their budgets of privacy, and what privacy cost their equilibrium."""

__all__ = ["has_private", "privacy_figures", "privacy_sentence", "unpaid_sentence"]

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..games import FleetGame, Game, NoClosedFormError, PrivacyCost, predict_privacy
from .observation import PlayerView
from .signatures import names_of

_MOST = 2000
"""Players beyond which no cost is told: it takes the whole matrix of influence."""

_NAMES = (
    *("budgets", "epsilon_max", "delta_max", "exhausted", "exhausted_networks"),
    *("predicted_cost_rms", "measured_cost_rms"),
)
_CLOSE = 2 / 3
"""Share of the predicted cost below which it is said that theory leaves out the projection of releases."""

_BEFORE = " before releases are drawn back into the set of mean parameters"


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
        `budgets`, how many players have one; `epsilon_max` and `delta_max`, of the player that spent most; `exhausted`,
        how many have nothing left to spend, and `exhausted_networks`, how many of these are no families, and would
        learn on; `predicted_cost_rms` and `measured_cost_rms`, root mean squares of μ* − μ* without privacy, see
        `games.predict_privacy`.
    """
    if not isinstance(game, Game) or not has_private(game):
        return dict.fromkeys(_NAMES)
    specs = [game.specs[player] for player in game.players]
    told = [(view.privacy, spec) for view, spec in zip(views, specs, strict=True) if view.privacy is not None]
    spent = [one for one, _ in told]
    cost = None if changing else _cost(game)
    return {
        "budgets": sum(spec.private is not None for spec in specs),
        "epsilon_max": max((one.epsilon for one in spent), default=None),
        "delta_max": max((one.delta for one in spent), default=None),
        "exhausted": sum(one.exhausted for one in spent),
        "exhausted_networks": sum(one.exhausted and spec.model is not None for one, spec in told),
        "predicted_cost_rms": None if cost is None else cost.predicted_rms,
        "measured_cost_rms": None if cost is None else cost.measured_rms,
    }


def privacy_sentence(figures: Mapping[str, Any], players: int) -> str | None:
    """The same in words, without a full stop; None where nobody has a budget.

    Arguments:
        figures: those of `privacy_figures`; runs of earlier versions have fewer.
        players: all there are.
    """
    if figures.get("epsilon_max") is None:
        return None
    told = f"Privacy spent: ε up to {figures['epsilon_max']:.3g}, δ up to {figures['delta_max']:.3g}"
    budgets, over = figures.get("budgets"), figures.get("exhausted_networks")
    if budgets and budgets < players:
        told += f" ({budgets} of {players} players {'has' if budgets == 1 else 'have'} a budget)"
    if over:
        told += f"; {over} {'network has' if over == 1 else 'networks have'} nothing left for another step"
    measured, predicted = figures["measured_cost_rms"], figures["predicted_cost_rms"]
    if predicted is None:
        return told
    if measured is None:
        return f"{told}; it shifts the equilibrium by RMS {predicted:.3g} predicted"
    told += f"; it shifts the equilibrium by RMS {measured:.3g}, predicted {predicted:.3g}"
    return told + (_BEFORE if measured < _CLOSE * predicted else "")


def unpaid_sentence(players: Sequence[tuple[Hashable, float | None, bool | None]]) -> str | None:
    """Warns of networks whose budget did not pay for a single step, without a full stop; None if there are none.

    Arguments:
        players: of each its name, the ε that it spent, and whether it has nothing left; None of those without a budget.
    """
    unpaid = [player for player, epsilon, exhausted in players if exhausted and epsilon == 0]
    if not unpaid:
        return None
    return (
        f"{names_of(unpaid)} learned nothing from private rows: the budget pays for no step at this `privacy.noise`; "
        "take more noise, or a larger epsilon"
    )


def _cost(game: Game) -> PrivacyCost | None:
    if len(game.players) > _MOST:
        return None
    try:
        return predict_privacy(game)
    except NoClosedFormError:
        return None
