"""The figures that the script of a report draws: thinned in time, and packed; and those of records that come later."""

__all__ = ["MOST_POINTS", "chosen_records", "fresh_data", "report_data", "sheet_data"]

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import RunView
from .report_graph import Drawing
from .report_html import png_url
from .sheets import Sheet
from .watch_tail import Fresh

MOST_POINTS = 600
"""Points in time that a report shows."""
_MOST_CELLS = 300_000
"""Points in time × players; beyond, there are fewer points."""
_MOST_FRESH = 20_000
"""The same of one message of a live view."""
_STEPS = 65_534
_CURVES = ("error_rms", "nash_gap", "amplitude")
_MEASURES = {"regret": "regret (nats)", "error": "RMS error to the equilibrium"}


def chosen_records(view: RunView, drawing: Drawing | None = None) -> NDArray[np.int64]:
    """The numbers of the records that a report shows, the first and the last among them.

    Evenly spaced, at most `MOST_POINTS`, and so few that there are at most 300,000 figures of single players.
    """
    return _spaced(len(view.run), MOST_POINTS, _MOST_CELLS, len(_columns(view.names, drawing)))


def report_data(
    view: RunView, at: NDArray[np.int64], predicted: dict[str, Any], drawing: Drawing | None
) -> dict[str, Any]:
    """What the script draws, for JSON.

    Arguments:
        view: the run.
        at: numbers of the records shown.
        predicted: `rate` and `noise_floor_rms`, null where unknown.
        drawing: who is drawn, and where; None where there is no graph.

    Returns:
        `times`, `curves` (name → values), `predicted`, `names`, `measures` (figures of players: 16 bit on a logarithmic
        scale, base64, time by time; code 0 is unknown), and `graph` (positions in [0, 1], edges by number, α).
    """
    floor, rate = predicted.get("noise_floor_rms"), predicted.get("rate")
    curves = {name: _plain(view.column(name)[at]) for name in _CURVES}
    measures = {}
    columns = _columns(view.names, drawing)
    if len(view.player_rows):
        curves["regret_mean"] = _plain(_row_means(view.figures("regret", at)))
        for name, label in _MEASURES.items():
            values = _drawn(view.figures(name, at), columns)
            if np.isfinite(values).any():
                measures[name] = {"label": label, **_packed(values)}
    if drawing is not None and drawing.influence is not None:
        measures["influence"] = {"label": "influence (mean share in all models)", **_packed(drawing.influence[None])}
    return {
        "times": _plain(view.times[at]),
        "curves": {name: values for name, values in curves.items() if any(v is not None for v in values)},
        "predicted": {"floor": floor, "rate": rate},
        "names": list(view.names if drawing is None else drawing.names),
        "measures": measures,
        "graph": None if drawing is None else drawing.data(),
    }


def fresh_data(fresh: Fresh, names: tuple[str, ...], drawing: Drawing | None) -> dict[str, Any]:
    """What records that came add to `report_data`, for JSON: figures of players are numbers, time by time.

    Arguments:
        fresh: the records.
        names: of the players on record.
        drawing: who is drawn.
    """
    columns = _columns(names, drawing)
    at = _spaced(len(fresh.run), MOST_POINTS, _MOST_FRESH, len(columns))
    curves = {name: _plain(_numbers(fresh.run, name)[at]) for name in _CURVES}
    measures = {}
    if names and len(at):
        each = {name: _numbers(fresh.players, name).reshape(-1, len(names))[at] for name in _MEASURES}
        curves["regret_mean"] = _plain(_row_means(each["regret"]))
        measures = {name: [_plain(row) for row in _drawn(values, columns)] for name, values in each.items()}
    times = _plain(_numbers(fresh.run, "time")[at])
    return {"records": fresh.records, "times": times, "curves": curves, "measures": measures}


def sheet_data(sheet: Sheet) -> dict[str, Any]:
    """A sheet of samples for JSON: `time`, `players` (names), `url`, which holds the picture."""
    return {"time": sheet.time, "players": sheet.players, "url": png_url(sheet.png)}


def _spaced(count: int, points: int, cells: int, players: int) -> NDArray[np.int64]:
    if not count:
        return np.empty(0, np.int64)
    most = min(count, max(2, min(points, cells // max(1, players))))
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def _columns(names: tuple[str, ...], drawing: Drawing | None) -> NDArray[np.int64]:
    return np.arange(len(names)) if drawing is None else drawing.columns


def _drawn(values: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """The columns of those drawn, `[T, n]`, NaN for those of whom nothing is recorded."""
    picked: NDArray[np.float64] = np.where(columns >= 0, values[:, columns], np.nan)
    return picked


def _numbers(table: Any, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.column(name).cast("float64").to_numpy()
    return values


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
