"""What a study measures of each of its trials: columns of its table, by the name of the measure."""

__all__ = ["MEASURES", "PLAYER_FIGURES", "Played", "measured", "require_measures"]

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from ..games import FleetGame, Game, NoClosedFormError, Oracle, oracle_of, predict_privacy
from ..games.collapse import predict_collapse
from ..topology import UnanchoredError, homogenisation, influence, require_name, self_weights
from .experiment import Experiment
from .outcome import Outcome, PlayerOutcome
from .record import Record
from .study_file import StudyError

Figures: TypeAlias = dict[str, Any]

_MOST_ROUNDS = 100_000


@dataclass(frozen=True, eq=False)
class Played:
    """One trial that has been played.

    Arguments:
        plan: the experiment.
        game: its game.
        outcome: how it ended.
        late: mean parameters of all players at records of the last quarter, `[K, N, d]`; None where they have none.
        last: the last record, with all players.
    """

    plan: Experiment
    game: Game | FleetGame
    outcome: Outcome
    late: NDArray[np.float64] | None
    last: Record


def measured(played: Played, measures: Mapping[str, Mapping[str, Any]]) -> Figures:
    """The figures of `summary`, which every trial has, and of the measures that are asked for.

    Arguments:
        played: the trial.
        measures: name → options.
    """
    found = _summary(played)
    for name, options in measures.items():
        found |= MEASURES[name](played, **options)
    return found


def require_measures(measures: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks names and options of measures before anything is played.

    Raises:
        UnknownNameError: there is no such measure.
        StudyError: it does not take such options.
    """
    for name, options in measures.items():
        signature = inspect.signature(MEASURES[require_name("measure", name, MEASURES)])
        try:
            signature.bind(None, **options)
        except TypeError as error:
            taken = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
            raise StudyError(f"measure {name}: {error}; it takes {', '.join(taken) or 'no options'}") from None
        if "gap" in signature.parameters and sum(v is not None for v in options.values()) != 1:
            raise StudyError(
                f"measure {name} has {dict(options)}, expected one target: gap (nats), error (root mean square), or "
                "floors (multiples of the predicted noise floor)"
            )


def _summary(played: Played) -> Figures:
    """Figures of `Outcome.summary`, one column each; `rate_ratio` is measured ÷ predicted."""
    found: Figures = {}
    summary = played.outcome.summary()
    summary.pop("seconds")
    for name, value in summary.items():
        if isinstance(value, dict):
            found |= {f"{name}_{inner}": v for inner, v in value.items() if name != "aside"}
        elif not isinstance(value, list):
            found[name] = value
    rates = found["measured_rate"], found["predicted_rate"]
    found["rate_ratio"] = rates[0] / rates[1] if None not in rates and rates[1] else None
    return found


def _graph(played: Played) -> Figures:
    """What the graph decides of who is made of whose data.

    `effective_sources`: mean over players. `influence_top`: the largest mean share of one player's data in all models.
    `influence_concentration`: N Σ_j b̄_j², with b̄_j that share: 1 where all count alike, N where one counts alone.
    """
    graph = _objects(played, "graph").graph
    found: Figures = {"edges": sum(i != j for i, j in graph.edges)}
    try:
        shares = influence(graph)
    except UnanchoredError:
        return found | dict.fromkeys(("effective_sources", "influence_top", "influence_concentration"))
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    mean = shares.mean(axis=0)
    return found | {
        "effective_sources": float(np.exp(-(shares * logs).sum(axis=1)).mean()),
        "influence_top": float(mean.max()),
        "influence_concentration": float(len(mean) * (mean**2).sum()),
    }


def _likeness(played: Played) -> Figures:
    """Mean distance of two players' mean parameters: of their own data, predicted at equilibrium, and measured.

    `likeness` is 1 − measured ÷ own: 0 if they are as far apart as their data, 1 if all are one. Measured is the mean
    over records of the last quarter; sampled rows add their noise to it.
    """
    game = _objects(played, "likeness")
    oracle = _oracle(game, "likeness")
    own = _distance(oracle.anchors)
    now = None if played.late is None else float(np.mean([_distance(means) for means in played.late]))
    return {
        "distance_own": own,
        "distance_predicted": homogenisation(game.graph, oracle.anchors),
        "distance_measured": now,
        "likeness": None if now is None or own == 0 else 1 - now / own,
    }


def _reach(
    played: Played, *, gap: float | None = None, error: float | None = None, floors: float | None = None
) -> Figures:
    """When the target was reached and not left again for the next tenth of the run: time, messages and bytes."""
    trace = played.outcome.trace
    limit, of = _target(played, gap, error, floors)
    values = np.array([np.nan if (v := of(r)) is None else v for r in trace], float)
    first = _settled(values <= limit, len(trace) // 10) if limit is not None else None
    record = None if first is None else trace[first]
    return {
        "target": limit,
        "reached": record is not None,
        "moves_to_target": None if record is None else record.time,
        "messages_to_target": None if record is None else record.messages,
        "bytes_to_target": None if record is None else record.bytes,
    }


def _averaging(
    played: Played, *, gap: float | None = None, error: float | None = None, floors: float | None = None
) -> Figures:
    """The baseline in which players send parameters instead of rows, in rounds and without noise, to the same target.

    Everyone sends its mean parameters, d float64, to each listener, and sets its own to the mean weighted by α:
    μ ← D μ̂ + W μ. That is the game with messages of infinitely many rows, and what decentralised averaging with private
    anchors does (Lian et al., *Can decentralized algorithms outperform centralized algorithms?*, 2017, has the mixing).
    """
    game = _objects(played, "averaging")
    oracle = _oracle(game, "averaging")
    limit, _ = _target(played, gap, error, floors)
    size = 8 * oracle.anchors.shape[1] * sum(i != j for i, j in game.graph.edges)
    means, rounds = oracle.start.copy(), 0
    while limit is not None and rounds < _MOST_ROUNDS:
        if gap is not None:
            now = float(oracle.regrets(means).max())
        else:
            now = float(np.sqrt((oracle.errors(means) ** 2).mean()))
        if now <= limit:
            return {"averaging_rounds": rounds, "averaging_bytes": rounds * size}
        means = oracle.best_response(means)
        rounds += 1
    return {"averaging_rounds": None, "averaging_bytes": None}


def _collapse(played: Played) -> Figures:
    """Variance of the models, and squared drift of their consensus, in the end: predicted, and of this run.

    Both are means over players and location statistics. Drift is that of πᵀμ from its start, without anchors alone.
    """
    game = _objects(played, "collapse")
    rounds = played.plan.play.moves
    predicted = predict_collapse(game, rounds)
    family = game.specs[game.players[0]].family
    if family is None or played.late is None:
        raise NoClosedFormError("measure collapse needs players of an exponential family; leave it out")
    end, k = played.late[-1], predicted.drift.shape[1]
    found: Figures = {
        "variance_start": float(predicted.variance[0].mean()),
        "variance_predicted": float(predicted.variance[-1].mean()),
        "variance_measured": float(family.variance(end)[..., :k].mean()),
        "collapse_factor": None,
        "half_life": None,
        "drift_predicted": None,
        "drift_measured": None,
    }
    if self_weights(game.graph).any():
        return found
    start = np.stack([game.specs[p].anchor() for p in game.players])[:, :k]
    return found | {
        "collapse_factor": predicted.factor,
        "half_life": predicted.half_life,
        "drift_predicted": float(predicted.drift[-1].mean()),
        "drift_measured": float(((predicted.weights @ end[:, :k] - predicted.weights @ start) ** 2).mean()),
    }


def _letters(played: Played) -> Figures:
    """How old the letters are that players hold, in their moves, and which share of all was never delivered."""
    last = played.last
    ages = [view.staleness for view in last.players]
    sent = last.messages + last.undelivered
    return {
        "staleness": float(np.mean(ages)),
        "staleness_max": float(np.max(ages)),
        "undelivered_share": last.undelivered / sent if sent else None,
    }


def _privacy(played: Played) -> Figures:
    """Root mean square of μ* − μ* without privacy, predicted and of these releases; 0 where nobody has a budget.

    `cost_nats` is the mean over players of the utility lost, KL(p without privacy ‖ p), at the equilibria.
    """
    game = _objects(played, "privacy")
    oracle, cost = _oracle(game, "privacy"), predict_privacy(game)
    now, shift = oracle.equilibrium, cost.shift
    return {
        "cost_predicted": cost.predicted_rms,
        "cost_measured": cost.measured_rms,
        "cost_nats": None if shift is None else float(oracle.family.kl(now - shift, now).mean()),
    }


def _speed(played: Played) -> Figures:
    """Wall-clock speed of the engine, which is another in every run: moves of players a second, and seconds."""
    seconds, moves = played.last.seconds, played.outcome.summary()["moves"]
    return {"play_seconds": seconds, "moves_per_second": moves / seconds if seconds > 0 else None}


PLAYER_FIGURES: dict[str, Callable[[PlayerOutcome], float | None]] = {
    "total_variation": lambda p: p.total_variation,
    "classes": lambda p: float(len(p.generates)),
    "frechet_own": lambda p: None if p.quality is None else p.quality.frechet.get("own"),
    "frechet_other": lambda p: None if p.quality is None else p.quality.frechet.get("other"),
    "frechet_all": lambda p: None if p.quality is None else p.quality.frechet.get("all"),
    "two_sample": lambda p: None if p.quality is None else p.quality.two_sample,
    "held_out": lambda p: p.held_out,
    "regret_estimate": lambda p: None if p.regret_estimate is None else p.regret_estimate.gain,
    "accuracy": lambda p: p.accuracy,
    "auc": lambda p: p.auc,
    "log_class": lambda p: None if p.scores is None else p.scores.log_class,
    "log_density": lambda p: None if p.scores is None else p.scores.log_density,
}
"""What the measure `players` reads of each player."""


def _players(played: Played, *, single: bool = False) -> Figures:
    """Means over players of what `players.json` tells of each, as far as it is known; with `single` also of each."""
    _objects(played, "players")
    found: Figures = {}
    for name, read in PLAYER_FIGURES.items():
        each = {str(p.player): read(p) for p in played.outcome.players if p.present}
        known = [v for v in each.values() if v is not None]
        found[f"mean_{name}"] = float(np.mean(known)) if known else None
        if single and known:
            found |= {f"{name}_{player}": value for player, value in each.items()}
    return found


MEASURES: dict[str, Callable[..., Figures]] = {
    "averaging": _averaging,
    "collapse": _collapse,
    "graph": _graph,
    "letters": _letters,
    "likeness": _likeness,
    "players": _players,
    "privacy": _privacy,
    "reach": _reach,
    "speed": _speed,
}
"""The measures that a study may ask for; each takes what was played, and options by name."""


def _target(
    played: Played, gap: float | None, error: float | None, floors: float | None
) -> tuple[float | None, Callable[[Record], float | None]]:
    if gap is not None:
        return gap, lambda record: record.nash_gap
    if error is not None:
        return error, lambda record: record.error_rms
    floor = played.outcome.prediction.noise_floor_rms
    return (None if floor is None or floors is None else floors * floor), lambda record: record.error_rms


def _settled(within: NDArray[np.bool_], hold: int) -> int | None:
    """The first record from which on the next `hold` are within, too."""
    held = 0
    for k, here in enumerate(within):
        held = held + 1 if here else 0
        if held > hold:
            return k - hold
    return None


def _distance(points: NDArray[np.float64]) -> float:
    return float(pdist(points).mean()) if len(points) > 1 else 0.0


def _objects(played: Played, measure: str) -> Game:
    if isinstance(played.game, FleetGame):
        raise StudyError(f"measure {measure} is of single players, whom a graph of arrays has not; leave it out")
    return played.game


def _oracle(game: Game, measure: str) -> Oracle:
    oracle = oracle_of(game)
    if not isinstance(oracle, Oracle):
        raise NoClosedFormError(f"measure {measure} needs one exponential family of all players; leave it out")
    return oracle
