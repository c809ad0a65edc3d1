"""What the networks of an experiment's private players are made with: their budgets, and how much they will learn."""

__all__ = ["PrivateLearning", "private_learning"]

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..agents import PrivacyPlan
from ..games import Privacy
from ..topology import self_weights
from .experiment import Experiment
from .experiment_graph import bare_graph, graph_with_alpha
from .privacy import budgets_of


@dataclass(frozen=True)
class PrivateLearning:
    """A budget, and the plan that its noise is chosen for."""

    privacy: Privacy
    plan: PrivacyPlan


def private_learning(
    experiment: Experiment, players: Sequence[Hashable], rows: Mapping[int, int]
) -> dict[int, PrivateLearning]:
    """Of each player with rows and a finite ε, by its position: once from its rows alone, then `play.moves` times.

    A run may turn out otherwise: players move more or less often than on average, or their α change. The budget is
    kept then too; what is planned decides the noise alone.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.
        rows: the number of private rows of those that are wanted, by position.

    Raises:
        ExperimentError: see `budgets_of`.
        ValueError: what `topology` says of the graph and its α.
    """
    of_players = budgets_of(experiment, players)
    budgets = {k: of_players[players[k]] for k, count in rows.items() if count}
    if not any(budgets.values()):
        return {}
    sizes: dict[Hashable, int] = dict.fromkeys(players, 1)  # how α is shared among neighbours leaves α_ii as it is
    graph = graph_with_alpha(bare_graph(experiment.topology), experiment.alpha, sizes)
    weights = dict(zip(graph, self_weights(graph), strict=True))
    found = {}
    for k, budget in budgets.items():
        if budget is None:
            continue
        first = [(1.0, 1)] if experiment.model.start != "reference" else []
        weight = float(weights[players[k]])
        later = [(weight, experiment.play.moves)] if weight > 0 else []
        found[k] = PrivateLearning(budget, PrivacyPlan(rows[k], tuple(first + later) or ((1.0, 1),)))
    return found
