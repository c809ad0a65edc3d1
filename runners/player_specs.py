"""What the players of an experiment bring: rows and models, of all of them or of some."""

__all__ = ["player_specs"]

from collections.abc import Hashable, Sequence
from dataclasses import replace

from ..games import ARRAY_GRAPHS, Gossip, PlayerSpec, StepSize
from .experiment import Experiment, ExperimentError, require_unused
from .hostility import with_conducts
from .neural_games import black_box_specs
from .privacy import budgets_of
from .private_data import families_and_shards


def player_specs(
    experiment: Experiment, players: Sequence[Hashable], only: Sequence[int] | None = None
) -> dict[Hashable, PlayerSpec]:
    """What each player brings to the game of an experiment, with its rows.

    The same specification comes out whether others are wanted too or not.

    Arguments:
        experiment: the experiment.
        players: all of them, in the order of the graph.
        only: positions of those that are wanted, ascending; data sets of others alone are not opened. None for all.

    Raises:
        ValueError: one of the errors of `games` and of the models, which say what is wrong.
    """
    if experiment.model.start == "common":
        raise ExperimentError(f"model.start is 'common', which needs a generator of arrays: {', '.join(ARRAY_GRAPHS)}")
    budgets = budgets_of(experiment, players)
    make = black_box_specs if experiment.model.family is None else _family_specs
    found = with_conducts(experiment, players, make(experiment, players, only))
    return {player: replace(spec, privacy=budgets[player]) for player, spec in found.items()}


def _family_specs(
    experiment: Experiment, players: Sequence[Hashable], only: Sequence[int] | None
) -> dict[Hashable, PlayerSpec]:
    """What each player brings to a game of exponential families."""
    found = families_and_shards(experiment, [str(p) for p in players], only)
    model = experiment.model
    require_unused("model.family", model, ("players",))
    require_unused("model.family", experiment.data, ("distil", "observed", "missing", "pool"))
    if experiment.data.source == "synthetic":
        require_unused("model.family", experiment.data, ("noise",))
    return {
        players[k]: PlayerSpec(
            family=family,
            data=shard.train,
            holdout=shard.holdout,
            smoothing=model.smoothing,
            step=StepSize(model.step.size, model.step.horizon),
            start="reference" if model.start == "reference" else "data",
            samples=experiment.play.samples,
            gossip=Gossip(**experiment.gossip.model_dump()),
        )
        for k, (family, shard) in zip(range(len(players)) if only is None else only, found, strict=True)
    }
