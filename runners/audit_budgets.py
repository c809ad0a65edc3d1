"""What budgets of privacy promise against an audit's attacks: a bound on the area under their curves."""

__all__ = ["Budget", "auc_bound", "budgets_of"]

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from scipy.stats import norm

from ..games import Game, PlayerSpec, noise_multiplier


@dataclass(frozen=True)
class Budget:
    """A budget of privacy, and who has it.

    Arguments:
        epsilon: ε of the whole run, for a row that is there or counts as nothing.
        delta: δ.
        players: that have it.
        auc: see `auc_bound`.
    """

    epsilon: float
    delta: float
    players: tuple[Hashable, ...]
    auc: float | None

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "players": [str(p) for p in self.players],
            "auc_bound": self.auc,
        }


def auc_bound(spec: PlayerSpec) -> float | None:
    """What the AUC of no attack on a row's membership exceeds, on average over noise and over which rows are private.

    Φ(1/σ), with σ of `games.noise_multiplier`. An audit compares a member a with another row b by what one run
    published: whether a scores higher says which of the two is private. As far as anybody knows it could as well be b:
    the release would have another mean, by ‖φ(a) − φ(b)‖/n ≤ 2C/n, and the same noise, of standard deviation σC/n. Two
    such Gaussians are told apart with probability Φ(1/σ) at most. Of rows whose statistics are orthogonal it is
    Φ(1/(σ√2)).

    Arguments:
        spec: of a player.

    Returns:
        The bound; None without a finite budget, and for networks, whose noise is counted otherwise.

    Raises:
        PrivacyError: `dp-accounting` is not installed.
    """
    budget = spec.private
    if budget is None or spec.model is not None:
        return None
    return float(norm.cdf(1 / noise_multiplier(budget.epsilon, budget.delta)))


def budgets_of(game: Game) -> tuple[Budget, ...]:
    """The budgets in a game, smallest first, each with the players that have it."""
    players: dict[tuple[float, float, float | None], list[Hashable]] = {}
    for player in game.players:
        spec = game.specs[player]
        if (budget := spec.private) is not None:
            players.setdefault((budget.epsilon, budget.delta, auc_bound(spec)), []).append(player)
    found = [Budget(epsilon, delta, tuple(who), auc) for (epsilon, delta, auc), who in players.items()]
    return tuple(sorted(found, key=lambda b: (b.epsilon, b.delta)))
