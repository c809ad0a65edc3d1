"""Pictures of a run: how it converged against the prediction, and what players generate before and after."""

__all__ = ["draw_convergence", "draw_looks", "draw_run", "draw_samples"]

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..agents import RegretEstimate
from ..games import Batch, Space, Variable
from .examination import Examiner, Look
from .outcome import CAN_GENERATE, Outcome
from .storage import RunPath, write_whole

_PER_LINE = 10
_FEW_LINES = 6
_FEWEST_LOOKS = 2
_MOST_PLAYERS = 20
_COLOURS = 3


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


def draw_looks(outcome: Outcome) -> Figure | None:
    """What close looks showed over moves per player; None where there were only the first and the last.

    Panels, as far as there is material: total variation to the predicted mixture, estimated regret with its 95 %
    interval, accuracy on test rows.
    """
    looks = outcome.looks
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
    images = {p.player: _image_variable(outcome.after.get(p.player)) for p in outcome.players}
    colourful = [
        name
        for player, name in images.items()
        if name and (batch := outcome.after[player]) is not None and batch[name].ndim > 3
    ]
    image = next((name for name in [*colourful, *images.values()] if name is not None), None)
    players = [player for player, name in images.items() if name == image][:_MOST_PLAYERS]
    if image is None:
        return None
    style = _style_variable(outcome.after[players[0]], outcome.examiner)
    lines = max(1, _FEW_LINES // len(players)) if style is None else style.categories or 1
    gap = 2 if lines > 1 else 0  # sets players apart
    figure = Figure(figsize=(10.5, 0.55 + 0.52 * len(players) * lines), layout="constrained")
    blank = np.full_like(_tiles(outcome.after[players[0]], image)[0], np.nan)
    for panel, title, batches in zip(
        figure.subplots(1, 2),
        ("before: from their own data alone", "after listening to synthetic data"),
        (outcome.before, outcome.after),
        strict=True,
    ):
        rows = [_sheet(batches.get(p), image, blank, lines, style, outcome.examiner) for p in players]
        width = max(row.shape[1] for row in rows)
        sheet = np.concatenate([_padded(row, gap, width - row.shape[1]) for row in rows])
        shown = np.where(np.isnan(sheet), 1.0, sheet.clip(0, 1)) if sheet.ndim == 3 else sheet
        panel.imshow(shown, cmap="gray_r", interpolation="nearest", vmin=0, vmax=1)
        height = sheet.shape[0] / len(players)
        panel.set_yticks([height * (k + 0.5) - 1.5 for k in range(len(players))], [str(p) for p in players], fontsize=8)
        panel.set_xticks([])
        panel.set_title(title, fontsize=10)
        panel.tick_params(length=0)
        for spine in panel.spines.values():
            spine.set_visible(False)
    figure.axes[0].set_ylabel("player", fontsize=9)
    return figure


def _image_variable(batch: Batch | None) -> str | None:
    """The last variable that is a picture: (rows, columns), or three colours (3, rows, columns)."""
    found = [v.name for v in _space_of(batch) if v.kind in ("binary", "real") and _is_picture(v.shape)]
    return found[-1] if found else None


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == _COLOURS)


def _space_of(batch: Batch | None) -> Space | tuple[()]:
    return () if batch is None else batch.space


def _style_variable(batch: Batch | None, examiner: Examiner | None) -> Variable | None:
    """A categorical variable besides the class, with few values, whose values have a line of a sheet each."""
    label = None if examiner is None else examiner.label
    found = [v for v in _space_of(batch) if v.kind == "categorical" and not v.shape and v.name != label]
    few = label is not None and len(found) == 1 and (found[0].categories or 0) <= _PER_LINE
    return found[0] if few else None


def _sheet(
    batch: Batch | None,
    image: str,
    blank: NDArray[np.float64],
    lines: int,
    style: Variable | None,
    examiner: Examiner | None,
) -> NDArray[np.float64]:
    """`lines` rows of ten draws: of each class that it can generate as evenly as they allow, or the first ones."""
    if not batch:
        return np.concatenate([blank[:, :1]] * lines)
    classes = None if examiner is None else examiner.classes(batch)
    tiles = _tiles(batch, image)
    if style is not None and style.name in batch.space and classes is not None:
        chosen = [_one_of_each(np.where(batch[style.name] == value, classes, -1)) for value in range(lines)]
    else:
        even: list[int | None] = [*_even_choice(batch, lines * _PER_LINE, classes)]
        even += [None] * (-len(even) % lines)
        chosen = [even[k::lines] for k in range(lines)]  # down first: draws of one class stand below each other
    return np.concatenate([np.concatenate([blank if k is None else tiles[k] for k in line], axis=1) for line in chosen])


def _one_of_each(classes: NDArray[Any]) -> list[int | None]:
    """The first row of each class up to ten, None where there is none."""
    found = [np.flatnonzero(classes == c) for c in range(_PER_LINE)]
    return [int(rows[0]) if len(rows) else None for rows in found]


def _tiles(batch: Batch | None, image: str) -> NDArray[np.float64]:
    """Each picture with a margin of NaN to its right and below: `[n, rows, columns]`, or `[n, rows, columns, 3]`."""
    values = np.empty((1, 1, 1)) if batch is None else batch[image].astype(float)
    if values.ndim == 4:
        values = values.transpose(0, 2, 3, 1)
    margins = ((0, 0), (0, 2), (0, 2)) + ((0, 0),) * (values.ndim - 3)
    return np.pad(values, margins, constant_values=np.nan)


def _padded(sheet: NDArray[np.float64], below: int, right: int) -> NDArray[np.float64]:
    return np.pad(sheet, ((0, below), (0, right)) + ((0, 0),) * (sheet.ndim - 2), constant_values=np.nan)


def _even_choice(batch: Batch, count: int, classes: NDArray[Any] | None) -> list[int]:
    if classes is None:
        return list(range(min(count, len(batch))))
    shares = np.bincount(classes) / len(batch)
    rows = [np.flatnonzero(classes == c) for c in np.flatnonzero(shares >= CAN_GENERATE)]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < min(count, sum(map(len, rows))):
        chosen += [int(r[turn]) for r in rows if turn < len(r)][: count - len(chosen)]
        turn += 1
    return sorted(chosen, key=lambda k: (int(classes[k]), k))
