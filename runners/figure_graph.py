"""Figure of the communication graph, its players coloured by regret, error or influence."""

__all__ = ["draw_graph"]

import networkx as nx
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ..topology import influence, require_name
from .graph_layout import lay_out
from .reading import RunView

_FEW = 40


def draw_graph(view: RunView, by: str = "regret") -> Figure | None:
    """Who listens to whom, lines as wide as α, players coloured by a figure of the last record.

    Arguments:
        view: the run.
        by: `regret` (nats), `error` (root mean square to the equilibrium), or `influence` (mean share of a player's
            data in all models at equilibrium).

    Returns:
        None where the run has no graph, or nobody has that figure.

    Raises:
        UnknownNameError: another `by`.
        UnanchoredError: influence, where real data does not reach everyone.
    """
    labels = {"regret": "regret (nats)", "error": "RMS error", "influence": "mean share in all models"}
    require_name("by", by, labels)
    graph = view.graph
    if graph is None:
        return None
    if by == "influence":
        values = influence(graph).mean(axis=0)
    elif len(view.player_rows):
        last = view.figures(by, [len(view.run) - 1])[0]
        known = dict(zip(view.names, last, strict=True))
        values = np.array([known[str(player)] for player in graph])
    else:
        return None
    if not np.isfinite(values).any():
        return None
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    panel = figure.subplots()
    lines = [(i, j) for i, j in graph.edges if i != j]
    number = {player: k for k, player in enumerate(graph)}
    xy = lay_out(len(graph), [(number[i], number[j]) for i, j in lines])
    places = dict(zip(graph, xy, strict=True))
    widths = [0.3 + 2 * float(graph.edges[line].get("alpha", 0.0)) for line in lines]
    nx.draw_networkx_edges(
        nx.DiGraph(lines), places, ax=panel, edgelist=lines, width=widths, edge_color="0.6", arrows=False
    )
    positive = bool((values[np.isfinite(values)] > 0).all())
    dots = panel.scatter(
        xy[:, 0],
        xy[:, 1],
        c=values,
        cmap="cividis",
        norm=LogNorm() if positive and by != "influence" else Normalize(),
        s=max(12.0, min(160.0, 4000.0 / len(graph))),
        edgecolor="black",
        linewidth=0.6,
        zorder=2,
    )
    if len(graph) <= _FEW:
        for player, place in zip(graph, xy, strict=True):
            text = str(player)[:20]
            panel.annotate(text, place, xytext=(8, 4), textcoords="offset points", fontsize=8, parse_math=False)
    panel.set_axis_off()
    figure.colorbar(dots, label=labels[by])
    return figure
