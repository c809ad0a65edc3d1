"""A run as one HTML file that opens without network: words, graph with a time slider, curves, tables, settings."""

__all__ = ["render_report", "write_report"]

import base64
import hashlib
import io
import json
from importlib import resources
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from ..topology import spectral_radius
from .directory import RunDirectoryError
from .figure_shares import draw_influence, draw_mixtures
from .reading import RunView, read_run
from .report_data import chosen_records, report_data
from .report_words import happened, played, predicted_words, troubles
from .storage import RunPath, run_path, write_whole

_PICTURES = {
    "samples.png": "What players generate: on the left before they listened to anyone, on the right at the end.",
    "looks.png": "What close looks showed, over moves per player.",
}
_MOST_ROWS = 1_000
_DENSE = 1_000
_COLUMNS = {
    "player": "player",
    "moves": "moves",
    "regret": "regret (nats)",
    "error": "RMS error",
    "floor": "predicted floor",
    "held_out": "held-out (nats a row)",
    "total_variation": "total variation",
    "accuracy": "accuracy",
    "staleness": "staleness (moves)",
}


def write_report(run: RunPath | str | RunView, out: RunPath | str | None = None) -> RunPath:
    """Writes the report of a run, whole or not at all.

    Arguments:
        run: a run directory, its URL, or what was read from it.
        out: the file; `report.html` in the run directory if None.

    Returns:
        The file.

    Raises:
        RunDirectoryError: `run` is none, or the file cannot be written.
        StorageError: nothing here can reach the storage of a URL.
    """
    view = run if isinstance(run, RunView) else read_run(run)
    file = view.path / "report.html" if out is None else run_path(out)
    data = render_report(view).encode("utf-8")
    try:
        write_whole(file, data)
    except OSError as error:
        why = error.strerror or error
        raise RunDirectoryError(f"{file} cannot be written: {why}; choose another --out") from None
    return file


def render_report(view: RunView) -> str:
    """The report of a run as HTML, with everything in it: no style, script, font or picture comes from elsewhere.

    Times are thinned to at most 600 points, which the page says. A Content-Security-Policy forbids all connections and
    every script but its own, which its hash names.
    """
    at = chosen_records(view)
    predicted = _predicted(view)
    script, style = _source("report_page.js"), _source("report_page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    columns, rows = _table(view)
    return environment.from_string(_source("report_page.html")).render(
        name=view.experiment.name,
        outcome=(view.summary or {}).get("outcome", "not ended"),
        played=played(view),
        predicted=predicted_words(predicted),
        happened=happened(view),
        reasons=(view.diagnosis or {}).get("reasons", []),
        signatures=(view.diagnosis or {}).get("signatures", []),
        troubles=troubles(view),
        untold=max(0, len(view.troubles) - 50),
        notes=view.notes,
        shown=len(at),
        records=len(view.run),
        columns=columns,
        rows=rows,
        left_out=max(0, len(view.players or ()) - len(rows)),
        pictures=_pictures(view),
        settings=yaml.safe_dump(view.experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        about=view.about,
        digest=digest,
        script=Markup(script),
        style=Markup(style),
        data=Markup(_json(report_data(view, at, predicted))),
    )


def _json(value: Any) -> str:
    """JSON that no HTML parser can leave: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _predicted(view: RunView) -> dict[str, Any]:
    """What the run was held against; before its end what the graph alone tells."""
    if view.summary is not None:
        return dict(view.summary["predicted"])
    rho = None if view.graph is None else float(spectral_radius(view.graph))
    return {"spectral_radius": rho, "rate": None, "noise_floor_rms": None}


def _table(view: RunView) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the players' table, with the columns that at least one player has."""
    players = (view.players or [])[:_MOST_ROWS]
    names = [name for name in _COLUMNS if any(p.get(name) is not None for p in players)]
    cells = [[_cell(p.get(name)) for name in names] for p in players]
    return [_COLUMNS[name] for name in names], cells


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pictures(view: RunView) -> list[dict[str, str]]:
    """Pictures as data URLs with their captions: those in the directory, and those drawn from what is read."""
    found = []
    for file, caption in _PICTURES.items():
        path = view.path / file
        if path.is_file():
            found.append({"caption": caption, "url": _url(path.read_bytes())})
    figures = {
        "Predicted against measured class mixtures of what players generate.": draw_mixtures(view),
        "Influence: whose data (column) each player's model (row) is made of at equilibrium.": draw_influence(view)
        if view.graph is not None and len(view.graph) <= _DENSE
        else None,
    }
    for caption, figure in figures.items():
        if figure is not None:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=120)
            found.append({"caption": caption, "url": _url(buffer.getvalue())})
    return found


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
