"""Figures of who is made of whose data: the influence matrix, and measured against predicted class mixtures."""

__all__ = ["draw_influence", "draw_mixtures"]

import numpy as np
from matplotlib.figure import Figure

from ..topology import UnanchoredError, influence
from .outcome import Outcome
from .reading import RunView

_MOST_NAMED = 40


def draw_influence(view: RunView) -> Figure | None:
    """The influence matrix B as a heat map; None without a graph, or where real data does not reach everyone.

    Row i tells the shares of all players' data in player i's model at equilibrium; rows sum to 1.
    """
    if view.graph is None:
        return None
    try:
        shares = influence(view.graph)
    except UnanchoredError:
        return None
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(shares, cmap="cividis", interpolation="nearest", vmin=0)
    panel.set(xlabel="player whose data it is", ylabel="player whose model it is")
    names = [str(player)[:20] for player in view.graph]
    if len(names) <= _MOST_NAMED:
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=8, parse_math=False)
        panel.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    figure.colorbar(image, label="share")
    return figure


def draw_mixtures(run: RunView | Outcome) -> Figure | None:
    """Measured over predicted share of each class in what each player generates; None where there are no classes."""
    if isinstance(run, RunView):
        pairs = [(p["mixture"], p["predicted_mixture"]) for p in run.players or ()]
    else:
        pairs = [(p.mixture, p.predicted_mixture) for p in run.players]
    known = [(np.asarray(m, float), np.asarray(q, float)) for m, q in pairs if m is not None and q is not None]
    if not known:
        return None
    measured, predicted = (np.concatenate(side) for side in zip(*known, strict=True))
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as predicted")
    panel.scatter(predicted, measured, s=16, color="#0072B2", alpha=0.7, linewidth=0, label="a class of a player")
    most = 1.05 * float(max(measured.max(), predicted.max()))
    panel.set(xlim=(0, most), ylim=(0, most), xlabel="predicted share", ylabel="measured share")
    panel.set_aspect("equal")
    panel.legend(fontsize=8)
    return figure
