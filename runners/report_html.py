"""The frame of every page: one HTML file that holds all it needs, under a policy that lets nothing else in."""

__all__ = ["png_url", "render_page", "svg_markup"]

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure


def render_page(
    template: str,
    *,
    scripts: Sequence[str],
    data: dict[str, Any] | None,
    settings: Any,
    live: bool = False,
    **fields: Any,
) -> str:
    """A page as HTML: no style, script, font or picture of it comes from elsewhere.

    A Content-Security-Policy forbids every script but its own, which their hashes name, and all connections but, of a
    live page, those to its own server.

    Arguments:
        template: the file beside this one that extends `report_frame.html`.
        scripts: names of the scripts, in order.
        data: what they draw, for JSON; None for nothing.
        settings: what was played, written as YAML.
        live: whether the page goes on asking its server.
        fields: of the template.
    """
    sources = [_source(name) for name in scripts]
    digests = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in sources)
    policy = [
        "default-src 'none'",
        f"script-src {digests}",
        "style-src 'unsafe-inline'",
        "img-src data:",
        *(["connect-src 'self'"] if live else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(
        policy=Markup("; ".join(policy)),
        style=Markup(_source("report_page.css")),
        scripts=[Markup(source) for source in sources],
        data=None if data is None else Markup(_json(data)),
        settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
        live=live,
        **fields,
    )


def png_url(png: bytes) -> str:
    """A picture as a URL that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def svg_markup(figure: Figure, label: str, salt: str) -> Markup:
    """A figure as SVG that stands in a page: its text stays text, and no name in it is that of another figure.

    Arguments:
        figure: the figure.
        label: what it shows, for those who do not see it.
        salt: from which the names in it are made; another for each figure of a page.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))


def _json(value: Any) -> str:
    """JSON that no HTML parser can leave: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
