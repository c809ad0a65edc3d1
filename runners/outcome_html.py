"""What a notebook shows of an outcome: its figures in a table, and how it converged."""

__all__ = ["outcome_html"]

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .outcome import Outcome


def outcome_html(outcome: "Outcome") -> str:
    """The summary as an HTML table with a caption, and the curves as a picture where there is a closed form."""
    from .pictures import draw_convergence  # matplotlib is slow to import, and only a notebook needs it

    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in _lines(outcome.summary())
    )
    table = f"<table><caption>{escape(outcome.outcome)}</caption><tbody>{rows}</tbody></table>"
    figure = draw_convergence(outcome)
    if figure is None:
        return table
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return f'{table}<img alt="Error and regret over moves per player" src="data:image/png;base64,{picture}">'


def _lines(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each known figure with its path."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name} ")
        elif value is not None and not isinstance(value, list):
            yield (prefix + name).replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value)
