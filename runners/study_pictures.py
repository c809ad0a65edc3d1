"""Figures of a study: means with confidence bands over seeds, predicted against measured, and curves over time."""

__all__ = ["draw_curves", "draw_dots", "draw_figure", "draw_lines", "draw_scatter", "draw_study"]

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from scipy.special import stdtrit

from .storage import RunPath, write_whole
from .study_columns import require_columns
from .study_file import FigureSection, StudyError
from .study_play import FAILED
from .study_view import Study

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", ":", "-.")
_CLOSE = 0.05
_SURE = 0.975
_GRID = 60
_MOST_SERIES = 24
_MOST_INSIDE = 8
_SIZE = (6.4, 4.4)
_BESIDE: dict[str, Any] = {"fontsize": 7, "loc": "center left", "bbox_to_anchor": (1.02, 0.5), "frameon": False}


def draw_study(found: Study, names: Sequence[str] | None = None) -> list[RunPath]:
    """Draws the figures that the study file asks for into its directory, each as PNG and as SVG.

    Arguments:
        found: the study.
        names: of figures; all if left out.

    Returns:
        The files written; none for a figure of which no trial knows anything.

    Raises:
        StudyError: a figure of columns that there are not.
    """
    written: list[RunPath] = []
    for name in found.file.figures if names is None else names:
        figure = draw_figure(found, name)
        if figure is None:
            continue
        for suffix in ("png", "svg"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, dpi=150)
            written.append(found.path / f"{name}.{suffix}")
            write_whole(written[-1], buffer.getvalue())
    return written


def draw_figure(found: Study, name: str) -> Figure | None:
    """One of the figures that the study file asks for; None where no trial knows anything of it.

    Raises:
        StudyError: no such figure, or one of columns that there are not.
    """
    section = found.file.figures.get(name)
    if section is None:
        known = ", ".join(found.file.figures) or "none"
        raise StudyError(f"study {found.file.name} has no figure {name!r}, expected one of: {known}")
    return _DRAW[section.kind](found, section)


def draw_lines(found: Study, section: FigureSection) -> Figure | None:
    """Columns `y` over column `x`: mean over seeds, and its 95 % confidence interval (Student's) as a band.

    Left out where a trial does not know `y`. On a logarithmic axis means and intervals are those of logarithms. Where
    `x` has values that are no numbers they stand side by side. None where nothing is known.

    Raises:
        StudyError: the table has no such column.
    """
    rows = _rows(found, section, section.x, *section.y)
    places = _places(rows, section.x)
    figure, panel = _panel(section)
    drawn = False
    for k, (label, here) in enumerate(_series(rows, section.by)):
        for m, y in enumerate(section.y):
            points = _means(here, section.x, y, places, section.y_scale == "log")
            if not points:
                continue
            x, mean, low, high = (np.array(column) for column in zip(*points, strict=True))
            colour = _COLOURS[(k if section.by else m) % len(_COLOURS)]
            name = " · ".join([*([label] if section.by else []), *([_words(y)] if len(section.y) > 1 else [])])
            style = _LINES[m % len(_LINES)] if section.by else "-"
            joined = all(isinstance(row[section.x], int | float) for row in rows)
            panel.plot(
                x,
                mean,
                color=colour,
                linestyle=style if joined else "none",
                marker=_MARKS[k % 7],
                markersize=4,
                label=name,
            )
            if joined:
                panel.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            else:
                panel.errorbar(x, mean, yerr=[mean - low, high - mean], fmt="none", color=colour, capsize=3)
            drawn = True
    if not drawn:
        return None
    if places:
        panel.set_xticks(list(places.values()), [str(p) for p in places], rotation=30, ha="right", fontsize=8)
    panel.set(xlabel=_words(section.x), ylabel=", ".join(map(_words, section.y)) if len(section.y) < 3 else "")
    if section.by or len(section.y) > 1:
        many = len(panel.get_legend_handles_labels()[1]) > _MOST_INSIDE
        panel.legend(title=_words(section.by or ""), title_fontsize=8, **(_BESIDE if many else {"fontsize": 8}))
    return figure


def draw_scatter(found: Study, section: FigureSection) -> Figure | None:
    """Every trial: measured `y` over predicted `x`, with the diagonal and a band of ±5 %; None where nothing is known.

    Logarithmic axes show the size of figures that are all negative, as rates are.

    Raises:
        StudyError: the table has no such column.
    """
    figure, panel = _panel(section, square=True)
    values = _dots(found, section, panel)
    if not len(values):
        return None
    margin = 0.06 * float(np.ptp(values)) or 0.06 * float(np.abs(values).max()) or 1.0
    low, high = float(values.min()) - margin, float(values.max()) + margin
    if _log(section):
        low, high = float(values.min()) / 1.3, float(values.max()) * 1.3
    line = np.array([low, high])
    panel.plot(line, line, color="black", linewidth=0.8, label="as predicted", zorder=2)
    grid = np.linspace(low, high, _GRID)
    band = (grid * (1 - _CLOSE), grid * (1 + _CLOSE))
    panel.fill_between(grid, *band, color="0.75", alpha=0.5, linewidth=0, label="±5 %")
    panel.set(xlim=(low, high), ylim=(low, high))
    panel.set_aspect("equal")
    panel.legend(title=_words(section.by or ""), title_fontsize=8, **_BESIDE)
    return figure


def draw_dots(found: Study, section: FigureSection) -> Figure | None:
    """Every trial: column `y` over column `x`, a mark for each value of `by`; else as `draw_scatter`."""
    figure, panel = _panel(section)
    if not len(_dots(found, section, panel)):
        return None
    if section.by:
        panel.legend(title=_words(section.by), title_fontsize=8, **_BESIDE)
    return figure


def _dots(found: Study, section: FigureSection, panel: Axes) -> Any:
    """Draws the trials: their places, `[n, 2]`."""
    rows = _rows(found, section, section.x, *section.y)
    known = [row[name] for row in rows for name in (section.x, *section.y) if row[name] is not None]
    minus = _log(section) and bool(known) and max(known) < 0
    sign = -1 if minus else 1
    drawn: list[tuple[float, float]] = []
    for k, (label, here) in enumerate(_series(rows, section.by)):
        for y in section.y:
            points = [(sign * r[section.x], sign * r[y]) for r in here if None not in (r[section.x], r[y])]
            points = [point for point in points if min(point) > 0 or not _log(section)]
            if points:
                drawn += points
                places, heights = (np.array(column, float) for column in zip(*points, strict=True))
                panel.scatter(
                    places,
                    heights,
                    s=26,
                    marker=_MARKS[k // len(_COLOURS) % 7],
                    color=_COLOURS[k % len(_COLOURS)],
                    alpha=0.85,
                    linewidth=0,
                    label=label,
                    zorder=3,
                )
    labels = _words(section.x), ", ".join(map(_words, section.y))
    panel.set(xlabel="−" * minus + labels[0], ylabel="−" * minus + labels[1])
    return np.array(drawn, float)


def _log(section: FigureSection) -> bool:
    return "log" in (section.x_scale, section.y_scale)


def draw_curves(found: Study, section: FigureSection) -> Figure | None:
    """Column `y` of the curves over `time`, or over `x`: mean over seeds, its 95 % interval as a band, a colour a `by`.

    On a logarithmic axis means and intervals are those of logarithms. None where no curves were kept.

    Raises:
        StudyError: the curves have no such column, or the table has none to tell them apart by.
    """
    if found.curves is None:
        return None
    over, y = section.x or "time", section.y[0]
    require_columns(found.curves.column_names, (over, y), "curves.parquet")
    rows = _rows(found, section)
    curves: dict[int, list[tuple[float, float]]] = {}
    columns = (found.curves.column(name).to_pylist() for name in ("trial", over, y))
    log = section.y_scale == "log"
    for trial, x, value in zip(*columns, strict=True):
        if value is not None and (value > 0 or not log) and (x > 0 or section.x_scale != "log"):
            curves.setdefault(trial, []).append((x, value))
    figure, panel = _panel(section)
    drawn = False
    for k, (label, here) in enumerate(_series(rows, section.by)):
        known = [np.array(curves[row["trial"]]).T for row in here if len(curves.get(row["trial"], ())) > 1]
        if not known:
            continue
        x, stack = _common(known, log=log, log_x=section.x_scale == "log")
        mean, half = stack.mean(axis=0), _half(stack)
        shown = [np.exp(v) if log else v for v in (mean, mean - half, mean + half)]
        style: dict[str, Any] = {"color": _COLOURS[k % len(_COLOURS)], "linestyle": _LINES[k // len(_COLOURS) % 4]}
        panel.plot(x, shown[0], linewidth=1.4, label=label, **style)
        panel.fill_between(x, shown[1], shown[2], color=style["color"], alpha=0.18, linewidth=0)
        drawn = True
    if not drawn:
        return None
    panel.set(xlabel="moves per player" if over == "time" else _words(over), ylabel=_words(y))
    if section.by:
        panel.legend(title=_words(section.by), title_fontsize=8, **_BESIDE)
    return figure


_DRAW: dict[str, Callable[[Study, FigureSection], Figure | None]] = {
    "curves": draw_curves,
    "dots": draw_dots,
    "lines": draw_lines,
    "scatter": draw_scatter,
}


def _panel(section: FigureSection, *, square: bool = False) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.8, 5.0) if square else _SIZE, layout="constrained")
    panel = figure.subplots()
    panel.set(xscale=section.x_scale, yscale=section.y_scale)
    panel.set_title(section.title, pad=14)  # above the power of ten of the axis
    for axis, scale in ((panel.xaxis, section.x_scale), (panel.yaxis, section.y_scale)):
        if scale == "log":
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(_plain))
            axis.set_minor_formatter(NullFormatter())
        else:
            axis.set_major_locator(MaxNLocator(6))
            axis.set_major_formatter(_scalar())
    panel.grid(linewidth=0.4, alpha=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    return figure, panel


def _rows(found: Study, section: FigureSection, *names: str) -> list[dict[str, Any]]:
    """The rows that a figure is of, those of trials that failed left out, once it is known that the columns exist."""
    rows: list[dict[str, Any]] = [row for row in found.table.to_pylist() if row["outcome"] != FAILED]
    if rows:
        asked = [*names, *section.where, *([section.by] if section.by else [])]
        require_columns(found.table.column_names, asked, "table.parquet")
    return [row for row in rows if all(row[name] == value for name, value in section.where.items())]


def _series(rows: list[dict[str, Any]], by: str | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows that share a value of `by`, in the order in which these come."""
    if by is None:
        yield "trials", rows
        return
    for value in list(dict.fromkeys(row[by] for row in rows))[:_MOST_SERIES]:
        yield str(value), [row for row in rows if row[by] == value]


def _places(rows: list[dict[str, Any]], x: str) -> dict[Any, int]:
    """Where values of `x` stand that are no numbers; nothing where all are."""
    values = list(dict.fromkeys(row[x] for row in rows))
    return {} if all(isinstance(v, int | float) for v in values) else {v: k for k, v in enumerate(values)}


def _means(rows: list[dict[str, Any]], x: str, y: str, places: dict[Any, int], log: bool) -> list[tuple[float, ...]]:
    """x, mean, and the ends of its interval, for each value of x at which all trials know y."""
    found: list[tuple[float, ...]] = []
    for value in sorted(dict.fromkeys(row[x] for row in rows), key=lambda v: places.get(v, v)):
        values = [row[y] for row in rows if row[x] == value]
        if None in values or (log and min(values) <= 0):
            continue
        known = np.log(values) if log else np.array(values, float)
        mean, half = float(known.mean()), float(_half(known[:, None])[0])
        ends = (mean, mean - half, mean + half)
        found.append((places.get(value, value), *(float(np.exp(v)) if log else v for v in ends)))
    return found


def _half(stack: Any) -> Any:
    """Half of the 95 % interval of the mean over the first axis; 0 of one alone."""
    n = len(stack)
    return stack.std(axis=0, ddof=1) / np.sqrt(n) * stdtrit(n - 1, _SURE) if n > 1 else np.zeros(stack.shape[1:])


def _common(curves: list[Any], *, log: bool, log_x: bool) -> tuple[Any, Any]:
    """All curves at the same places, where all of them are known."""
    low, high = max(float(c[0].min()) for c in curves), min(float(c[0].max()) for c in curves)
    space = np.geomspace if log_x else np.linspace
    same = all(len(c[0]) == len(curves[0][0]) and np.array_equal(c[0], curves[0][0]) for c in curves)
    x = curves[0][0] if same else space(low, max(high, low), 2 * _GRID)
    return x, np.stack([np.interp(x, c[0], np.log(c[1]) if log else c[1]) for c in curves])


def _scalar() -> ScalarFormatter:
    """A power of ten beside the axis for figures that are very small or large."""
    formatter = ScalarFormatter()
    formatter.set_powerlimits((-2, 4))
    return formatter


def _plain(value: float, _: Any) -> str:
    """A figure on a logarithmic axis; powers of ten only where there are many of them."""
    return f"{value:g}" if 1e-3 <= value < 1e5 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _words(name: str) -> str:
    return name if "." in name else name.replace("_", " ")  # keys of the experiment stay as they are written
