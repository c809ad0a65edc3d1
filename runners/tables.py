"""What a run and a graph look like in a terminal."""

__all__ = [
    "NARROWEST",
    "changes_table",
    "player_table",
    "prediction_lines",
    "run_panel",
    "topology_table",
    "width_of",
]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table

from ..topology import UnanchoredError, effective_sources, self_weights, spectral_radius
from .fleet_outcome import PlayerOutcomes
from .honesty import honesty_sentence
from .outcome import Outcome, PlayerOutcome
from .spending import privacy_sentence, unpaid_sentence
from .stages import Change

NARROWEST = 118
"""Columns that the widest table of an ordinary run needs, ten classes included."""

_WIDEST = 1_000
_SHOWN = 40
_CLASSES_SHOWN = 12
_MEANINGS = {
    "regret": "regret in nats",
    "err÷floor": "err÷floor: RMS error over the last quarter against the predicted noise floor",
    "gap ≥": "gap ≥: what a clone gained by learning on, in nats: a lower bound of the regret, ± standard error",
    "FD": "FD: Fréchet distance to real rows of all classes, in the judge's features",
}
_MIXTURE_MEANING = "TV: total variation; 0, 1, …: share of each class in per cent, measured·predicted (its row of B)"


def player_table(outcome: Outcome) -> Table:
    """One line per player, with the columns that apply.

    Regret and error against the floor, or the estimates of black boxes; the measured against the predicted mixture.
    """
    classes = _classes(outcome.players)
    columns = _columns(outcome.players[:_SHOWN] if len(outcome.players) > _SHOWN else list(outcome.players))
    table = Table(box=None, header_style="bold underline", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("player", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    if classes:
        table.add_column("owns", no_wrap=True)
        table.add_column("generates", no_wrap=True)
        table.add_column("TV", justify="right", no_wrap=True)
        for c in classes:
            table.add_column(f"{c}", justify="right", no_wrap=True)
    for player in outcome.players[:_SHOWN]:
        figures = [read(player) for read in columns.values()]
        name = str(player.player) if player.present else f"{player.player} (absent)"
        table.add_row(name, *figures, *_mixture_cells(player, classes))
    if len(outcome.players) > _SHOWN:
        table.caption = f"{len(outcome.players) - _SHOWN} more players in players.json"
    else:
        meant = [_MEANINGS[name] for name in columns if name in _MEANINGS] if classes or len(columns) > 2 else []
        table.caption = ";\n".join(meant + ([_MIXTURE_MEANING] if classes else [])) or None
    return table


def width_of(table: Table, console: Console) -> int:
    """Columns in which nothing of a table is cut off."""
    return Measurement.get(console, console.options.update(width=_WIDEST), table).maximum


def run_panel(outcome: Outcome) -> Panel:
    """The run in a few lines: what was predicted and what came."""
    s = outcome.summary()
    predicted, error, gap = s["predicted"], s["equilibrium_error"], s["nash_gap"]
    seconds = max(s["seconds"], 1e-9)
    listed = () if isinstance(outcome.players, PlayerOutcomes) else outcome.players
    lines = [
        f"{s['players']} players on {s['runner']}, seed {s['seed']}: {s['moves']} moves, {s['messages']} messages, "
        f"{s['bytes'] / 1e6:.1f} MB in {s['seconds']:.1f} s "
        f"({s['moves'] / seconds:.0f} moves/s, {s['messages'] / seconds:.0f} messages/s)",
        f"RMS error to the equilibrium {_number(error['rms'])}, "
        f"predicted noise floor {_number(predicted['noise_floor_rms'])}; "
        f"Nash gap {_number(gap['max'])}, mean regret {_number(gap['mean'])} nats",
        f"log-error per move: measured {_number(s['measured']['rate'])}, predicted {_number(predicted['rate'])}; "
        f"spectral radius {_number(predicted['spectral_radius'])}",
    ]
    if predicted["rate"] is not None and outcome.prediction.mode is None:
        lines[-1] += " (the start lifts no mode far enough above the noise to measure)"
    lines += [
        f"prediction and measurement disagree; {c.sentence}" if c.verdict == "disagrees" else c.sentence
        for c in outcome.diagnosis.comparisons
        if c.verdict != "agrees"
    ]
    if (fared := honesty_sentence({p.player: p.conduct for p in listed}, s.get("honest_error"))) is not None:
        lines.append(fared)
    spent = [(p.player, p.privacy.epsilon, p.privacy.exhausted) for p in listed if p.privacy is not None]
    lines += [told for told in (privacy_sentence(s["privacy"], s["players"]), unpaid_sentence(spent)) if told]
    lines += [_passed(change) for change in outcome.changes]
    lines += [f"player {player} was set aside, and the others went on: {why}" for player, why in outcome.aside.items()]
    late = outcome.last.undelivered
    if late:
        lines.append(
            f"{late} messages were lost, replaced by newer ones before they were sent, or found their receiver away "
            "or their sender gone"
        )
    rejected = sum(sum(p.rejected.values()) for p in listed)
    if rejected:
        lines.append(f"{rejected} messages were rejected; players.json names the reasons")
    lines += [
        f"{signature.name}: {signature.sentence}; {signature.remedy}" for signature in outcome.diagnosis.signatures
    ]
    return Panel("\n".join(lines), title=outcome.outcome, title_align="left")


def changes_table(changes: Sequence[Change]) -> Table:
    """One line for the start of a game and for each time players come or go: who, and what is predicted then."""
    rules = {change.rule for change in changes} - {None}
    title = f"{len(changes) - 1} changes" + (f", rule {rules.pop()}" if rules else "")
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("time", "joined", "left", "players", "spectral radius", "noise floor (RMS)", "largest shift"):
        table.add_column(name, justify="left" if name in ("joined", "left") else "right")
    for change in changes:
        table.add_row(
            f"{change.time:g}",
            ", ".join(map(str, change.joined)),
            ", ".join(map(str, change.left)),
            str(change.players),
            f"{change.spectral_radius:.3g}",
            _number(change.noise_floor_rms),
            "–" if change.shift is None else f"{change.shift:.3g} (player {change.shifted})",
        )
    return table


def topology_table(graph: Any) -> Table:
    """One line per player of a weighted graph: self-weight, neighbours, effective number of sources."""
    table = Table(
        title=f"{len(graph)} players, {sum(i != j for i, j in graph.edges)} edges, "
        f"spectral radius {spectral_radius(graph):.6g}",
        title_justify="left",
        header_style="bold",
    )
    for name in ("player", "self-weight", "listens to", "heard by", "effective sources"):
        table.add_column(name, justify="left" if name == "player" else "right")
    weights = self_weights(graph)
    try:
        sources = effective_sources(graph)
    except UnanchoredError:
        sources = np.full(len(graph), np.nan)  # players that no real data reaches have no sources
    for player, weight, effective in list(zip(graph, weights, sources, strict=True))[:_SHOWN]:
        heard, listeners = ([j for j in side if j != player] for side in (graph.pred[player], graph.succ[player]))
        table.add_row(
            str(player),
            f"{weight:.3g}",
            str(len(heard)),
            str(len(listeners)),
            "–" if np.isnan(effective) else f"{effective:.2f}",
        )
    if len(graph) > _SHOWN:
        table.caption = f"{len(graph) - _SHOWN} more players"
    return table


def prediction_lines(predicted: Mapping[str, Any]) -> list[str]:
    """One line for each schedule, as `foresight` gives them: what it is, its slope, its floor."""
    lines = []
    for name, figures in predicted.items():
        title = f"as played on {figures['runner']} ({figures['schedule']})" if "schedule" in figures else name
        rate, start, floor = (figures.get(key) for key in ("rate", "rate_from_start", "noise_floor_rms"))
        line = f"{title}: log-error per move {_told(rate)}"
        if start is not None and _told(start) != _told(rate):
            line += f" ({_told(start)} from this start)"
        if floor is not None or "schedule" in figures:
            line += f", noise floor (RMS) {_told(floor)}"
        if figures.get("standard_error") is not None:
            line += f", estimated to ±{_told(figures['standard_error'])}"
        lines.append(line)
    return lines


def _passed(change: Change) -> str:
    return f"{change.sentence}; measured before the next change: RMS error {_number(change.error_rms)}"


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _classes(players: Sequence[PlayerOutcome]) -> list[int]:
    mixture = next((p.mixture for p in players[:_SHOWN] if p.mixture is not None), None)
    if mixture is None or len(mixture) > _CLASSES_SHOWN:
        return []
    return list(range(len(mixture)))


def _columns(players: Sequence[PlayerOutcome]) -> dict[str, Callable[[PlayerOutcome], str]]:
    """The figures that at least one player has; regret and error also where nothing at all is known."""
    closed = any(p.regret is not None or p.error is not None for p in players)
    black = any(p.accuracy is not None or p.regret_estimate is not None or p.quality is not None for p in players)
    found: dict[str, Callable[[PlayerOutcome], str]] = {}
    if any(p.conduct is not None for p in players):
        found["conduct"] = lambda p: p.conduct or "–"
    if closed or not black:
        found["regret"] = lambda p: _number(p.regret)
        found["err÷floor"] = lambda p: _number(p.error / p.floor if p.error is not None and p.floor else None)
    if any(p.regret_estimate is not None for p in players):
        found["gap ≥"] = _estimate
    if any(p.held_out is not None for p in players):
        found["held-out"] = lambda p: _number(p.held_out)
    if any(p.privacy is not None for p in players):
        found["ε"] = lambda p: _number(None if p.privacy is None else p.privacy.epsilon)
    if any(p.accuracy is not None for p in players):
        found["accuracy"] = lambda p: _number(p.accuracy)
    if any(p.auc is not None for p in players):
        found["AUC"] = lambda p: _number(p.auc)
    if any(p.quality is not None for p in players):
        found["FD"] = lambda p: _number(None if p.quality is None else p.quality.frechet.get("all"))
    return found


def _estimate(player: PlayerOutcome) -> str:
    found = player.regret_estimate
    return "–" if found is None else f"{found.gain:.2g}±{found.error:.1g}"


def _mixture_cells(player: PlayerOutcome, classes: list[int]) -> list[str]:
    if not classes:
        return []
    measured, predicted = (_percent(m, len(classes)) for m in (player.mixture, player.predicted_mixture))
    shares = [f"{m}·{p}" for m, p in zip(measured, predicted, strict=True)]
    return [_ranges(player.own_classes), _ranges(player.generates), _number(player.total_variation), *shares]


def _percent(mixture: Any, classes: int) -> list[str]:
    return ["–"] * classes if mixture is None else [str(round(100 * share)) for share in np.asarray(mixture)]


def _ranges(classes: list[int]) -> str:
    """`[0, 1, 2, 5]` as `0-2,5`."""
    runs: list[list[int]] = []
    for c in classes:
        if runs and c == runs[-1][1] + 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
