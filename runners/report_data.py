"""The figures that the script of a report draws: thinned in time, packed, and laid out."""

__all__ = ["MOST_POINTS", "chosen_records", "report_data"]

import base64
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..topology import UnanchoredError, influence
from .reading import RunView

MOST_POINTS = 600
"""Points in time that a report shows."""
_MOST_CELLS = 300_000
"""Points in time × players; beyond, there are fewer points."""
_MOST_DRAWN = 1_500
"""Players of a graph that is drawn: the layout of a larger one takes too long."""
_MOST_LAID_BY_PATHS = 60
_STEPS = 65_534
_MEASURES = {"regret": "regret (nats)", "error": "RMS error to the equilibrium"}


def chosen_records(view: RunView) -> NDArray[np.int64]:
    """The numbers of the records that a report shows, the first and the last among them.

    Evenly spaced, at most `MOST_POINTS`, and so few that there are at most 300,000 figures of single players.
    """
    count = len(view.run)
    most = max(2, min(MOST_POINTS, _MOST_CELLS // max(1, len(view.names))))
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64))


def report_data(view: RunView, at: NDArray[np.int64], predicted: dict[str, Any]) -> dict[str, Any]:
    """What the script draws, for JSON.

    Arguments:
        view: the run.
        at: numbers of the records shown.
        predicted: `rate` and `noise_floor_rms`, null where unknown.

    Returns:
        `times`, `curves` (name → values), `predicted`, `names`, `measures` (figures of players: 16 bit on a logarithmic
        scale, base64, time by time; code 0 is unknown), and `graph` (positions in [0, 1], edges by number, α).
    """
    floor, rate = predicted.get("noise_floor_rms"), predicted.get("rate")
    curves = {name: _plain(view.column(name)[at]) for name in ("error_rms", "nash_gap", "amplitude")}
    measures = {}
    if len(view.player_rows):
        curves["regret_mean"] = _plain(_row_means(view.figures("regret", at)))
        for name, label in _MEASURES.items():
            values = view.figures(name, at)
            if np.isfinite(values).any():
                measures[name] = {"label": label, **_packed(values)}
    graph = None if view.graph is None or len(view.graph) > _MOST_DRAWN else view.graph
    if graph is not None and (shares := _influence_of(graph, view.names)) is not None:
        measures["influence"] = {"label": "influence (mean share in all models)", **_packed(shares[None])}
    return {
        "times": _plain(view.times[at]),
        "curves": {name: values for name, values in curves.items() if any(v is not None for v in values)},
        "predicted": {"floor": floor, "rate": rate},
        "names": list(view.names),
        "measures": measures,
        "graph": None if graph is None else _laid_out(graph, view.names),
    }


def _influence_of(graph: Any, names: tuple[str, ...]) -> NDArray[np.float64] | None:
    """The mean over all players of the share of each one's data in their models, `[N]`."""
    try:
        shares = dict(zip(map(str, graph), influence(graph).mean(axis=0), strict=True))
    except UnanchoredError:
        return None
    return np.array([shares[name] for name in names])


def _laid_out(graph: Any, names: tuple[str, ...]) -> dict[str, Any]:
    plain: nx.Graph[Any] = nx.Graph()
    plain.add_nodes_from(graph)
    plain.add_edges_from((i, j) for i, j in graph.edges if i != j)
    if len(plain) <= _MOST_LAID_BY_PATHS and nx.is_connected(plain):
        places = nx.kamada_kawai_layout(plain)
    else:
        places = nx.spring_layout(plain, seed=0, iterations=40)
    where = {str(player): place for player, place in places.items()}
    xy = np.array([where[name] for name in names])
    low, high = xy.min(axis=0), xy.max(axis=0)
    xy = (xy - low) / np.where(high > low, high - low, 1.0)
    number = {name: k for k, name in enumerate(names)}
    edges = [
        [number[str(i)], number[str(j)], round(float(a.get("alpha", 0)), 4)]
        for i, j, a in graph.edges(data=True)
        if i != j
    ]
    return {"x": xy[:, 0].round(4).tolist(), "y": xy[:, 1].round(4).tolist(), "edges": edges}


def _packed(values: NDArray[np.float64]) -> dict[str, Any]:
    """`[T, N]` as 16-bit codes: k ≥ 1 is low·(high/low)^((k−1)/65534), 0 what is unknown; zeros count as the least."""
    known = np.isfinite(values)
    positive = values[known & (values > 0)]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1e-12, 1.0)
    span = max(np.log(high / low), 1e-12)
    scaled = np.log(np.where(known & (values > 0), values, low) / low) / span
    codes = np.where(known, 1 + (scaled * _STEPS).round(), 0).clip(0, _STEPS + 1).astype("<u2")
    return {"low": low, "high": high, "times": len(values), "codes": base64.b64encode(codes.tobytes()).decode()}


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    means: NDArray[np.float64] = np.where(known, values, 0.0).sum(axis=1) / np.where(
        known.any(axis=1), known.sum(axis=1), np.nan
    )
    return means


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
