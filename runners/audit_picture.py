"""The picture of an audit: how strong each attack is, by distance in the graph."""

__all__ = ["draw_audit"]

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from .audit_figures import Strength
from .audit_findings import Audit

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_MARKS = ("o", "s", "^", "D", "v")
_WIDTH = 0.6
_MARGIN = 0.02


def draw_audit(audit: Audit) -> Figure | None:
    """Areas under the curve of all players together with 95 % intervals; None where no attack had rows enough.

    A dashed line is a guess; thick lines above are what budgets of privacy allow, where all players have one.
    """
    shown: dict[str, list[tuple[int, Strength]]] = {}
    for found in audit.together:
        told = {**found.attacks, **{f"canaries, {name}": s for name, (s, _) in found.canaries.items()}}
        for name, s in told.items():
            if s is not None:
                shown.setdefault(name, []).append((found.distance, s))
    if not shown:
        return None
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0.5, color="black", linestyle="--", linewidth=1, label="a guess")
    offsets = (np.arange(len(shown)) - (len(shown) - 1) / 2) * _WIDTH / len(shown)
    for k, (name, points) in enumerate(shown.items()):
        areas = np.array([s.auc for _, s in points])
        ends = np.array([s.auc_interval for _, s in points])
        axes.errorbar(
            [distance + offsets[k] for distance, _ in points],
            areas,
            yerr=np.maximum(0.0, [areas - ends[:, 0], ends[:, 1] - areas]),
            color=_COLOURS[k],
            marker=_MARKS[k],
            linestyle="none",
            capsize=3,
            label=name,
        )
    bounds = [(f.distance, f.bound) for f in audit.together if f.bound is not None]
    if bounds:
        distances, at_most = np.array([d for d, _ in bounds]), [bound for _, bound in bounds]
        axes.hlines(at_most, distances - 0.45, distances + 0.45, color="#8C6D31", linewidth=3, label="at most, by ε")
    low, high = axes.get_ylim()
    axes.set(xlabel="distance of the attacker", ylabel="AUC", ylim=(max(-_MARGIN, low), min(1 + _MARGIN, high)))
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.set_xlim(min(f.distance for f in audit.together) - 0.5, max(f.distance for f in audit.together) + 0.5)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure
