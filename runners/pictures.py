"""Pictures of a run: how it converged against the prediction, and what players generate before and after."""

__all__ = ["draw_convergence", "draw_run", "draw_samples"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..games import Batch, Space, class_histogram, label_of
from .outcome import CAN_GENERATE, Outcome

_PER_PLAYER = 10
_MOST_PLAYERS = 20


def draw_run(outcome: Outcome, directory: Path) -> list[Path]:
    """Draws every picture that the run has material for, as PNG files.

    Returns:
        The files written: `convergence.png` where the equilibrium is known, `samples.png` where players generate
        images.
    """
    figures = {"convergence": draw_convergence(outcome), "samples": draw_samples(outcome)}
    written = []
    for name, figure in figures.items():
        if figure is not None:
            written.append(directory / f"{name}.png")
            figure.savefig(written[-1], dpi=150)
    return written


def draw_convergence(outcome: Outcome) -> Figure | None:
    """RMS error with the predicted floor, and Nash gap, over moves per player; None without closed form."""
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
    predicted = outcome.prediction
    if predicted.noise_floor_rms:
        left.axhline(predicted.noise_floor_rms, color="black", linestyle="--", label="predicted floor")
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


def draw_samples(outcome: Outcome) -> Figure | None:
    """What players generate before and after, a line per player, single draws ordered by class.

    None if they generate no images.
    """
    images = {p.player: _image_variable(outcome.after.get(p.player)) for p in outcome.players}
    image = next((name for name in images.values() if name is not None), None)
    players = [player for player, name in images.items() if name == image][:_MOST_PLAYERS]
    if image is None:
        return None
    figure = Figure(figsize=(10.5, 0.55 + 0.52 * len(players)), layout="constrained")
    for panel, title, batches in zip(
        figure.subplots(1, 2),
        ("before: from their own data alone", "after listening to synthetic data"),
        (outcome.before, outcome.after),
        strict=True,
    ):
        shape = next(v.shape for v in _space_of(outcome.after[players[0]]) if v.name == image)
        rows = [_strip(batches, player, image, shape[0]) for player in players]
        width = max(row.shape[1] for row in rows)
        sheet = np.concatenate(
            [np.pad(row, ((0, 2), (0, width - row.shape[1])), constant_values=np.nan) for row in rows]
        )
        panel.imshow(sheet, cmap="gray_r", interpolation="nearest", vmin=0, vmax=1)
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
    found = [v.name for v in _space_of(batch) if len(v.shape) == 2 and v.kind in ("binary", "real")]
    return found[0] if found else None


def _space_of(batch: Batch | None) -> Space | tuple[()]:
    return () if batch is None else batch.space


def _strip(batches: Mapping[Any, Batch | None], player: Any, image: str, height: int) -> NDArray[np.float64]:
    """Ten draws side by side: of each class that it can generate as evenly as ten allow, or the first ten."""
    batch = batches.get(player)
    if not batch:
        return np.full((height, 1), np.nan)
    chosen = _even_choice(batch)
    tiles = [np.pad(batch[image][k].astype(float), ((0, 0), (0, 2)), constant_values=np.nan) for k in chosen]
    return np.concatenate(tiles, axis=1)


def _even_choice(batch: Batch) -> list[int]:
    label = label_of(batch.space)
    if label is None:
        return list(range(min(_PER_PLAYER, len(batch))))
    shares = class_histogram(batch, label)
    rows = [np.flatnonzero(batch[label] == c) for c in np.flatnonzero(shares >= CAN_GENERATE)]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < min(_PER_PLAYER, sum(map(len, rows))):
        chosen += [int(r[turn]) for r in rows if turn < len(r)][: _PER_PLAYER - len(chosen)]
        turn += 1
    return sorted(chosen, key=lambda k: (int(batch[label][k]), k))
