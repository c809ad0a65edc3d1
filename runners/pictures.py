"""Pictures of a run: how it converged against the prediction, and what players generate before and after."""

__all__ = ["draw_convergence", "draw_looks", "draw_run", "draw_samples"]

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..agents import RegretEstimate
from .examination import Look
from .outcome import Outcome
from .reading import RunView
from .sheet_pixels import plan_sheet
from .storage import RunPath, write_whole

_FEWEST_LOOKS = 2
_MOST_PLAYERS = 20


def draw_run(outcome: Outcome, directory: RunPath) -> list[RunPath]:
    """Draws every picture that the run has material for, as PNG files.

    Returns:
        The files written: `convergence.png` where the equilibrium is known, `looks.png` where players were looked at
        closely more than twice, `samples.png` where they generate images.
    """
    figures = {
        "convergence": draw_convergence(outcome),
        "looks": draw_looks(outcome),
        "samples": draw_samples(outcome),
    }
    written = []
    for name, figure in figures.items():
        if figure is not None:
            written.append(directory / f"{name}.png")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=150)
            write_whole(written[-1], buffer.getvalue())
    return written


def draw_convergence(outcome: Outcome) -> Figure | None:
    """RMS error with the predicted floor, and Nash gap, over moves per player; None without closed form.

    Thin lines show when players came or went; the floor is that of those present since.
    """
    records = [r for r in outcome.trace if r.error_rms is not None and r.nash_gap is not None]
    if not records:
        return None
    times = [r.time for r in records]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    errors = np.array([r.error_rms for r in records])
    left.plot(times, np.where(errors > 0, errors, np.nan), label="all players")
    if (errors > 0).any():
        left.set_yscale("log")
    for change in outcome.changes:
        for panel in (left, right):
            panel.axvline(change.time, color="tab:gray", linewidth=0.8, linestyle=":")
    predicted = outcome.prediction
    if predicted.noise_floor_rms:
        since = max((change.time for change in outcome.changes), default=times[0])
        left.plot(
            [since, times[-1]],
            [predicted.noise_floor_rms] * 2,
            color="black",
            linestyle="--",
            label="predicted floor",
        )
    amplitudes = [(r.time, r.amplitude) for r in records if r.amplitude]
    if predicted.mode is not None and amplitudes:
        mode_times, mode_sizes = (np.array(column) for column in zip(*amplitudes, strict=True))
        left.plot(mode_times, mode_sizes, color="tab:green", linewidth=1, label="slowest mode that the start excites")
        line = mode_sizes[0] * np.exp(predicted.mode.rate * (mode_times - mode_times[0]))
        lowest = 0.3 * np.min([*mode_sizes, *errors[errors > 0]])
        shown = line > lowest
        left.plot(
            mode_times[shown],
            line[shown],
            color="tab:green",
            linestyle=":",
            label=f"predicted slope {predicted.mode.rate:.3g}",
        )
    left.set(xlabel="moves per player", ylabel="RMS error to the equilibrium", title="error")
    left.legend(fontsize=8)
    gaps = np.array([r.nash_gap for r in records])
    mean = np.array([np.nan if r.regret_mean is None else r.regret_mean for r in records])
    right.plot(times, np.where(gaps > 0, gaps, np.nan), label="largest regret (Nash gap)")
    right.plot(times, np.where(mean > 0, mean, np.nan), label="mean regret")
    if (mean > 0).any():
        right.set_yscale("log")
    right.set(xlabel="moves per player", ylabel="nats", title="regret")
    right.legend(fontsize=8)
    return figure


def draw_looks(run: Outcome | RunView) -> Figure | None:
    """What close looks showed over moves per player; None where there were only the first and the last.

    Panels, as far as there is material: total variation to the predicted mixture, estimated regret with its 95 %
    interval, accuracy on test rows.
    """
    looks = run.looks
    if len(looks) <= _FEWEST_LOOKS:
        return None
    series: dict[str, tuple[Callable[[Look], Sequence[Any]], str]] = {
        "total variation to the predicted mixture": (lambda look: look.total_variations, "total variation"),
        "what a clone gains by learning on": (lambda look: look.regrets, "nats (lower bound of the regret)"),
        "accuracy on test rows": (lambda look: look.accuracies, "share of right answers"),
        "log-probability of the true class of test rows": (
            lambda look: [None if s is None else s.log_class for s in look.scores],
            "nats a row",
        ),
    }
    shown = {name: how for name, how in series.items() if any(v is not None for x in looks for v in how[0](x))}
    if not shown:
        return None
    figure = Figure(figsize=(4.6 * len(shown), 3.6), layout="constrained")
    for panel, (title, (read, unit)) in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown.items(), strict=True):
        for k, player in list(enumerate(looks[0].players))[:_MOST_PLAYERS]:
            points = [(look.time, value) for look in looks if (value := read(look)[k]) is not None]
            if not points:
                continue
            times, values = zip(*points, strict=True)
            if isinstance(values[0], RegretEstimate):
                gains = [v.gain for v in values]
                bars = [1.96 * v.error for v in values]
                panel.errorbar(times, gains, yerr=bars, capsize=2, linewidth=1, label=f"player {player}")
            else:
                panel.plot(times, values, marker=".", label=f"player {player}")
        panel.axhline(0, color="black", linewidth=0.6)
        panel.set(xlabel="moves per player", ylabel=unit, title=title)
        panel.legend(fontsize=8)
    return figure


def draw_samples(outcome: Outcome) -> Figure | None:
    """What players generate before and after, as many of each class as fit, ordered by class.

    Where players have different images, those with the same colour image, else with the same image as the first. Rows
    that hold another categorical variable besides the class, such as a style, have a line for each of its values.
    None if players generate no images.
    """
    after = {p.player: outcome.after.get(p.player) for p in outcome.players}
    plan = plan_sheet(after, outcome.examiner)
    if plan is None:
        return None
    figure = Figure(figsize=(10.5, 0.55 + 0.52 * len(plan.players) * plan.lines), layout="constrained")
    for panel, title, batches in zip(
        figure.subplots(1, 2),
        ("before: from their own data alone", "after listening to synthetic data"),
        (outcome.before, outcome.after),
        strict=True,
    ):
        sheet = plan.pixels(batches, outcome.examiner)
        shown = np.where(np.isnan(sheet), 1.0, sheet.clip(0, 1)) if sheet.ndim == 3 else sheet
        panel.imshow(shown, cmap="gray_r", interpolation="nearest", vmin=0, vmax=1)
        height = sheet.shape[0] / len(plan.players)
        ticks = [height * (k + 0.5) - 1.5 for k in range(len(plan.players))]
        panel.set_yticks(ticks, [str(p) for p in plan.players], fontsize=8)
        panel.set_xticks([])
        panel.set_title(title, fontsize=10)
        panel.tick_params(length=0)
        for spine in panel.spines.values():
            spine.set_visible(False)
    figure.axes[0].set_ylabel("player", fontsize=9)
    return figure
