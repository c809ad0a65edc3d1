"""A study as one HTML file in the frame of reports: what was varied, figures, a table that sorts, settings."""

__all__ = ["render_study"]

import json
from typing import Any

import pyarrow as pa

from .report_html import render_page, svg_markup
from .study_file import FigureSection, StudyError
from .study_pictures import draw_figure
from .study_play import FAILED
from .study_view import Study
from .study_words import figure_columns, mean_words

_ORDER = (
    "measured_rate",
    "predicted_rate",
    "equilibrium_error_rms",
    "predicted_noise_floor_rms",
    "rate_ratio",
    "likeness",
    "bytes_to_target",
    "predicted_spectral_radius",
    "nash_gap_max",
)
"""Columns that come before the rest."""
_MOST_ROWS = 1_000
_MOST_FAILURES = 50
_KINDS = {
    "dots": "every trial",
    "scatter": "every trial, beside the diagonal and a band of ±5 %",
    "lines": "means over seeds with their 95 % confidence bands",
    "curves": "means over seeds with their 95 % confidence bands",
}


def render_study(found: Study) -> str:
    """The report of a study as HTML, with everything in it; of one that goes on, with the trials finished so far.

    Figures are those that the study file asks for, as SVG. The tables show at most 1,000 points and trials each.
    """
    rows = found.table.to_pylist()
    failed = [row for row in rows if row["outcome"] == FAILED]
    figures, notes = _figures(found)
    if len(rows) < found.planned:
        notes.append(f"{found.planned - len(rows)} of {found.planned} trials have not been played")
    points, about = found.points, _about(found, notes)
    return render_page(
        "report_study.html",
        scripts=["report_table.js"],
        data=None,
        settings=found.file.model_dump(mode="json", by_alias=True),
        settings_title="The study, with its experiment written out",
        name=found.file.name,
        outcome=f"{len(rows)} of {found.planned} trials",
        about=about,
        notes=notes,
        studied=_studied(found),
        happened=_happened(found, rows),
        failures=[(row["trial"], str(row["error"])) for row in failed[:_MOST_FAILURES]],
        untold=max(0, len(failed) - _MOST_FAILURES),
        figures=figures,
        points=_table(points, [*found.varied, "trials"], spread=True),
        points_left=max(0, len(points) - _MOST_ROWS),
        trials=_table(found.table, ["trial", *found.varied, "replicate", "outcome"], spread=False),
        trials_left=max(0, len(rows) - _MOST_ROWS),
    )


def _studied(found: Study) -> list[str]:
    file, varied = found.file, ", ".join(found.varied)
    how = "all combinations" if file.mode == "grid" else "a sample"
    said = [file.description or f"The study {file.name}."]
    said.append(f"Varied: {varied} ({how})." if varied else "Nothing is varied but the seed.")
    said.append(f"{found.planned // file.replicates} points, each played with {file.replicates} seeds.")
    return said


def _happened(found: Study, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["No trial is finished yet."]
    summary = found.summary()
    outcomes = ", ".join(f"{count} {name}" for name, count in summary["outcomes"].items())
    said = [f"{len(rows)} of {found.planned} trials are finished, {found.failed} of them failed: {outcomes}."]
    rates = summary["rates"]
    if rates["compared"]:
        said.append(
            f"Of {rates['compared']} trials the measured rate could be held against the predicted one: it deviates by "
            f"{100 * rates['mean_deviation']:.2g} % on average, by {100 * rates['largest_deviation']:.2g} % at most."
        )
    return said


def _figures(found: Study) -> tuple[list[dict[str, Any]], list[str]]:
    """Figures with their captions, and what could not be drawn, in sentences."""
    drawn, notes = [], []
    for name, section in found.file.figures.items():
        try:
            figure = draw_figure(found, name)
        except StudyError as error:
            notes.append(f"figure {name!r} is left out: {error}")
            continue
        if figure is None:
            notes.append(f"figure {name!r} is left out: no trial knows anything of it")
            continue
        caption = _caption(name, section)
        drawn.append({"svg": svg_markup(figure, caption, f"{found.file.name} {name}"), "caption": caption})
    return drawn, notes


def _caption(name: str, section: FigureSection) -> str:
    over = section.x or "time"
    by = f", by {section.by}" if section.by else ""
    title = section.title or name
    return f"{title[0].upper()}{title[1:]}: {', '.join(section.y)} over {over}{by}; {_KINDS[section.kind]}."


def _table(table: pa.Table, first: list[str], *, spread: bool) -> dict[str, Any]:
    """Headings and cells, each with the number that it sorts by: columns that tell rows apart, and the first ones.

    Arguments:
        table: the rows.
        first: columns that come first.
        spread: whether the rows are points, of which the error and the count of a mean stand beside it.
    """
    known = figure_columns(table.column_names) if spread else table.column_names
    told = [
        name
        for name in known
        if name not in (*first, "point") and len(set(map(repr, table.column(name).to_pylist()))) > 1
    ]
    told.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    names = [*(name for name in first if name in table.column_names), *told]
    cells = [[_cell(row, name) for name in names] for row in table.slice(0, _MOST_ROWS).to_pylist()]
    return {"heads": [name.replace("_", " ") if "." not in name else name for name in names], "rows": cells}


def _cell(row: dict[str, Any], name: str) -> dict[str, str]:
    """Text, and the number by which it sorts; of what is not known a dash."""
    value, text = row[name], mean_words(row, name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"text": text, "value": "" if text == "–" else repr(float(value)) if number else text}


def _about(found: Study, notes: list[str]) -> dict[str, Any]:
    file = found.path / "about.json"
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError) as error:
        notes.append(f"where it was played is left out: {file} cannot be read ({error})")
        return {}
