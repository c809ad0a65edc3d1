"""A run as one HTML file that opens without network: words, graph with a time slider, curves, tables, settings."""

__all__ = ["judged", "render_report", "run_page", "write_report"]

import io
from typing import Any

from .directory import RunDirectoryError
from .figure_shares import draw_influence, draw_mixtures
from .pictures import draw_looks
from .reading import RunView, read_run
from .report_data import chosen_records, report_data, sheet_data
from .report_graph import Drawing, draw_plan
from .report_html import png_url, render_page
from .report_study import render_study
from .report_table import players_table
from .report_words import happened, played, predicted_words, standing_words, troubles
from .sheets import read_sheets
from .standing import Standing, foresee, judge
from .storage import RunPath, run_path, write_whole
from .study_view import Study, read_study

_SAMPLES = "What players generate: on the left before they listened to anyone, on the right at the end."
_WIDE = 6.0
_DENSE = 1_000
_SIGNATURES = (
    "Looked for are oscillation or divergence, poor synthetic data of a sender, lagging players, and a communication "
    "bottleneck."
)
_HOSTILE = "Who does not keep to the rules is named under “What happened”, and is not looked for."


def write_report(run: RunPath | str | RunView | Study, out: RunPath | str | None = None) -> RunPath:
    """Writes the report of a run, or of a study, whole or not at all.

    Arguments:
        run: a run directory or that of a study, its URL, or what was read from it.
        out: the file; `report.html` in the directory if None.

    Returns:
        The file.

    Raises:
        RunDirectoryError: `run` is neither, or the file cannot be written.
        StudyError: the study file cannot be read.
        StorageError: nothing here can reach the storage of a URL.
    """
    found = _read(run) if isinstance(run, str | RunPath) else run
    file = found.path / "report.html" if out is None else run_path(out)
    if isinstance(found, Study):
        data = render_study(found).encode("utf-8")
    else:
        data = render_report(found).encode("utf-8", "replace")
    try:
        write_whole(file, data)
    except OSError as error:
        why = error.strerror or error
        raise RunDirectoryError(f"{file} cannot be written: {why}; choose another --out") from None
    return file


def _read(path: RunPath | str) -> RunView | Study:
    where = run_path(path)
    try:
        return read_run(where)
    except RunDirectoryError as error:
        if (where / "experiment.yaml").is_file():
            raise
        if not (where / "study.yaml").is_file():
            raise RunDirectoryError(f"{error}, nor the study.yaml of a study") from None
    return read_study(where)


def render_report(view: RunView) -> str:
    """The report of a run as HTML, with everything in it: no style, script, font or picture comes from elsewhere.

    Times are thinned to at most 600 points, which the page says. A Content-Security-Policy forbids all connections and
    every script but its own, which its hash names. What was predicted of a run that has not ended is computed anew.
    """
    return run_page(view, draw_plan(view), None if view.ended else judge(view, foresee(view.experiment)))


def run_page(view: RunView, drawing: Drawing | None, standing: Standing | None, *, live: str | None = None) -> str:
    """The page of a run, alone or live.

    Arguments:
        view: the run.
        drawing: its graph, see `draw_plan`.
        standing: how it stands, see `judge`; None of a run that has ended.
        live: address of the events that a live page asks for; None for a page that stands alone.
    """
    at = chosen_records(view, drawing)
    predicted = (view.summary or {})["predicted"] if standing is None else dict(standing.predicted)
    table = players_table(view, {} if standing is None else standing.floors)
    sheets = [sheet_data(sheet) for sheet in read_sheets(view.path)]
    data = {
        **report_data(view, at, predicted, drawing),
        "sheets": sheets,
        "live": live,
        "ended": view.ended,
    }
    return render_page(
        "report_page.html",
        scripts=["report_page.js", "report_table.js", *(["watch_page.js"] if live else [])],
        data=data,
        live=live is not None,
        settings=view.experiment.model_dump(mode="json"),
        settings_title="The experiment, every default written out",
        name=view.experiment.name,
        outcome=(view.summary or {}).get("outcome", "not ended"),
        about=view.about,
        notes=view.notes,
        played=played(view),
        predicted=predicted_words(predicted, "" if standing is None else standing.note),
        happened=happened(view),
        judged=judged(view, standing),
        troubles=troubles(view.troubles),
        untold=max(0, len(view.troubles) - 50),
        shown=("There is no record yet." if view.summary is None else "No record can be read.")
        if not len(at)
        else f"Shown are {len(at)} of {len(view.run)} records, evenly spaced."
        if len(at) < len(view.run)
        else f"All {len(at)} records are shown.",
        undrawn="No graph is drawn: the directory holds none." if drawing is None else drawing.note,
        columns=table.heads,
        rows=table.cells,
        left_out=table.left_out,
        table_title=table.title,
        pictures=_pictures(view),
        words=_words(view),
    )


def judged(view: RunView, standing: Standing | None) -> dict[str, Any]:
    """Reasons and failure signatures, in words, for JSON: those of the end, or those of a run as it stands.

    Arguments, see `run_page`.

    Returns:
        `reasons` (sentences), `signatures` (`name` and `text` each), `looked_for` (a sentence).
    """
    if standing is None:
        found = view.diagnosis or {"reasons": [], "signatures": None}
        reasons, signs = found["reasons"], found["signatures"]
    else:
        reasons = standing_words(standing)
        signs = None if standing.diagnosis is None else [vars(sign) for sign in standing.diagnosis.signatures]
    told = [{"name": s["name"], "text": f"{s['sentence']}; {s['remedy']}"} for s in signs or ()]
    if signs is None:
        known = "Nothing is on record of them." if standing is None else "Nothing can be told of them yet."
    else:
        known = "" if told else "None was recognised."
    hostile = _HOSTILE if (view.summary or {}).get("honest_error") is not None else ""
    return {"reasons": list(reasons), "signatures": told, "looked_for": f"{known} {_SIGNATURES} {hostile}".strip()}


def _pictures(view: RunView) -> list[dict[str, Any]]:
    """Pictures as data URLs with their captions: those in the directory, and those drawn from what is read."""
    found = []
    samples = view.path / "samples.png"
    if samples.is_file():
        found.append({"caption": _SAMPLES, "url": png_url(samples.read_bytes()), "wide": True})
    figures = {
        "What close looks showed, over moves per player.": draw_looks(view),
        "Predicted against measured class mixtures of what players generate.": draw_mixtures(view),
        "Influence: whose data (column) each player's model (row) is made of at equilibrium.": draw_influence(view)
        if view.graph is not None and len(view.graph) <= _DENSE
        else None,
    }
    for caption, figure in figures.items():
        if figure is not None:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=120)
            wide = figure.get_figwidth() > _WIDE
            found.append({"caption": caption, "url": png_url(buffer.getvalue()), "wide": wide})
    return found


def _words(view: RunView) -> str:
    """The sheet of words, of players that generate some; empty else."""
    file = view.path / "words.txt"
    try:
        return file.read_text("utf-8") if file.is_file() else ""
    except UnicodeDecodeError as error:
        raise RunDirectoryError(f"{file} is no text ({error}); put it back, or take it away") from None
