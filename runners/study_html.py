"""What a notebook shows of a study: its points in a table, and the figures that its file asks for."""

__all__ = ["study_html"]

import base64
import io
from html import escape
from typing import TYPE_CHECKING

from .study_file import StudyError
from .study_words import figure_columns, mean_words

if TYPE_CHECKING:
    from .study_view import Study

_MOST_POINTS = 200


def study_html(found: "Study") -> str:
    """An HTML table with a caption, means ± standard errors over seeds, and the figures as pictures.

    Columns of which no point knows anything are left out, as are points beyond 200.
    """
    return _table(found) + "".join(_picture(found, name) for name in found.file.figures)


def _table(found: "Study") -> str:
    points = found.points
    names = [n for n in figure_columns(points.column_names) if points.column(n).null_count < len(points)]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = ""
    for row in points.slice(0, _MOST_POINTS).to_pylist():
        cells = (f"<td>{escape(mean_words(row, n))}</td>" for n in names)
        body += f"<tr>{''.join(cells)}</tr>"
    title = f"{found.file.name}: {len(found.table)} of {found.planned} trials, {found.failed} failed"
    more = f"<p>{len(points) - _MOST_POINTS} more points</p>" if len(points) > _MOST_POINTS else ""
    return (
        f"<table><caption>{escape(title)}; mean ± standard error over seeds</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def _picture(found: "Study", name: str) -> str:
    from .study_pictures import draw_figure  # matplotlib is slow to import, and only a notebook needs it

    try:
        figure = draw_figure(found, name)
    except StudyError as error:
        return f"<p>no figure {escape(name)}: {escape(str(error))}</p>"
    if figure is None:
        return ""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    picture = base64.b64encode(buffer.getvalue()).decode()
    words = escape(found.file.figures[name].title or name, quote=True)
    return f'<img alt="{words}" src="data:image/png;base64,{picture}">'
