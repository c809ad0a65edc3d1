"""The words of a report: what was played, what was predicted, what happened, and who failed."""

__all__ = ["happened", "played", "predicted_words", "so_far", "standing_words", "troubles"]

from collections.abc import Mapping, Sequence
from typing import Any

from .honesty import honesty_sentence
from .reading import RunView
from .spending import privacy_sentence, unpaid_sentence
from .standing import Standing

_MOST_TROUBLES = 50


def played(view: RunView) -> list[str]:
    """What was played, in sentences."""
    plan = view.experiment
    count = len(view.graph) if view.graph is not None else len(view.names) or (view.summary or {}).get("players", 0)
    edges = "" if view.graph is None else f", {sum(i != j for i, j in view.graph.edges)} edges between them"
    shape = plan.topology.generator or plan.topology.file or "a file"
    scheme = "" if plan.alpha.scheme is None else f" by the scheme {plan.alpha.scheme}"
    model = plan.model.family if plan.model.kind == "family" else plan.model.kind
    return [
        plan.description or f"The experiment {plan.name}.",
        f"{count} players on the graph {shape}{edges}; each listens to itself and its neighbours"
        f"{scheme}, and its model is {model}.",
        f"Played on the runner {plan.play.runner} with seed {plan.seed}, for {plan.play.moves} moves a player.",
    ]


def predicted_words(predicted: Mapping[str, Any], note: str = "") -> list[str]:
    """What theory said, in sentences.

    Arguments:
        predicted: `spectral_radius`, `rate` per move and `noise_floor_rms`, None where unknown.
        note: why no more is known.
    """
    rate, floor, rho = (predicted.get(key) for key in ("rate", "noise_floor_rms", "spectral_radius"))
    said = [] if rho is None else [f"The spectral radius of the listening matrix is {rho:.4g}."]
    said += [
        "No slope of the log-error is predicted."
        if rate is None
        else f"The log-error should fall by {-rate:.3g} a move, until the noise hides it."
    ]
    said += [
        "No noise floor is known."
        if floor is None
        else f"The RMS error to the equilibrium should end on the noise floor {floor:.3g}."
    ]
    return [*said, f"{note[0].upper()}{note[1:]}."] if note else said


def happened(view: RunView) -> list[str]:
    """What came, in sentences."""
    if view.summary is None:
        if not len(view.run):
            return ["There is no record yet, and the run has not ended."]
        return [so_far(len(view.run), *(float(view.column(name)[-1]) for name in ("time", "error_rms", "nash_gap")))]
    s = view.summary
    error, gap = s["equilibrium_error"], s["nash_gap"]
    said = [
        f"The outcome is “{s['outcome']}”.",
        f"{s['moves']:,} moves and {s['messages']:,} messages ({s['bytes'] / 1e6:,.1f} MB) took {s['seconds']:.1f} s.",
    ]
    if error["rms"] is not None:
        said.append(f"Over the last quarter the RMS error to the equilibrium was {error['rms']:.3g}.")
    if gap["max"] is not None:
        said.append(f"The largest regret (the Nash gap) was {gap['max']:.3g} nats.")
    if s["measured"]["rate"] is not None:
        said.append(f"The measured slope of the log-error is {s['measured']['rate']:.3g} a move.")
    conducts = {p["player"]: p.get("conduct") for p in view.players or ()}
    if (fared := honesty_sentence(conducts, s.get("honest_error"))) is not None:
        said.append(f"{fared[0].upper()}{fared[1:]}.")
    if (told := privacy_sentence(s.get("privacy", {}), s.get("players", 0))) is not None:
        said.append(f"{told}.")
    spent = [(p["player"], p.get("epsilon"), p.get("exhausted")) for p in view.players or ()]
    if (warned := unpaid_sentence(spent)) is not None:
        said.append(f"{warned[0].upper()}{warned[1:]}.")
    if view.diagnosis is None:
        said.append("The directory holds no diagnosis, so that the reasons for the outcome are not shown.")
    return said


def standing_words(standing: Standing) -> list[str]:
    """How a run that has not ended stands, in sentences."""
    said = [] if standing.rate is None else [f"The slope of the log-error so far is {standing.rate:.3g} a move."]
    if standing.diagnosis is not None:
        said.append(f"If it ended now, its outcome would be “{standing.diagnosis.outcome}”.")
        said += [f"{reason[0].upper()}{reason[1:]}." for reason in standing.diagnosis.reasons]
    return said


def so_far(records: int, time: float, error: float, gap: float) -> str:
    """What can be said of a run that has not ended.

    Arguments:
        records: their number.
        time: of the last one, in moves per player.
        error: RMS error in it; NaN where it is not known.
        gap: Nash gap in it, in nats; NaN where it is not known.
    """
    return (
        f"The run has not ended: it goes on, or was interrupted. {records} records reach to {time:g} moves a player; "
        f"last RMS error {_told(error)}, Nash gap {_told(gap)} nats."
    )


def troubles(events: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Players that failed, were restarted or given up, and other warnings of the journals: the first fifty.

    Arguments:
        events: of level `warning` or `error`, see `RunView.troubles`.

    Returns:
        For each `time`, `player`, `event` and `detail`, as text.
    """
    heads = ("time", "player", "event", "level")
    return [
        {
            "time": str(event.get("time", "")),
            "player": "" if event.get("player") is None else str(event["player"]),
            "event": str(event.get("event", "")),
            "detail": "; ".join(f"{k}: {v}"[:300] for k, v in event.items() if k not in heads and v is not None),
        }
        for event in events[:_MOST_TROUBLES]
    ]


def _told(value: float) -> str:
    return "unknown" if value != value else f"{value:.3g}"
