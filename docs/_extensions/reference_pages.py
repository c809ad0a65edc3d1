"""Writes the pages of the reference from what each package hands on, so that no name is forgotten."""

import ast
import re
import textwrap
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

PACKAGES = ("topology", "games", "agents", "agents.models", "runners")
_INTERNAL = """\
Functions of `nashgossip.games` that hold an equation of the :doc:`mathematics </theory>` and are no part of the public
interface: they may change without notice."""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _write_all)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def public_names(package: str) -> dict[str, list[str]]:
    """Module → its public names, from the package's stub; a submodule that is handed on itself is left out."""
    origin = find_spec(f"nashgossip.{package}").origin  # type: ignore[union-attr]
    found: dict[str, list[str]] = {}
    for node in ast.parse(Path(str(origin)).with_suffix(".pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, []).extend(alias.asname or alias.name for alias in node.names)
    return dict(sorted(found.items()))


def internal_names(page: str) -> dict[str, list[str]]:
    """Module of games → its functions that a page names as `module.function` and that are not public."""
    found: dict[str, list[str]] = {}
    public = {name for names in public_names("games").values() for name in names}
    for module, name in re.findall(r"`(\w+)\.(\w+)`", page):
        if find_spec(f"nashgossip.games.{module}") and name not in public | set(found.get(module, [])):
            found.setdefault(module, []).append(name)
    return dict(sorted(found.items()))


def _write_all(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / f"{package}.rst": _page(package, public_names(package)) for package in PACKAGES}
    internal = internal_names((Path(app.srcdir) / "theory.md").read_text("utf-8"))
    pages[folder / "internal.rst"] = _page("games", internal, "Inside the mathematics", _INTERNAL)
    for old in set(folder.iterdir()) - set(pages):
        old.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _page(package: str, modules: dict[str, list[str]], title: str = "", says: str = "") -> str:
    """A section for each module: what it is for, then its names."""
    title = title or f"nashgossip.{package}"
    says = says or (import_module(f"nashgossip.{package}").__doc__ or "").strip()
    parts = [f"{title}\n{'=' * len(title)}", says]
    for module, names in modules.items():
        parts.append(f"{module}\n{'-' * len(module)}")
        parts.append((import_module(f"nashgossip.{package}.{module}").__doc__ or "").strip())
        parts += [_entry(package, module, name) for name in names]
    return "\n\n".join(parts) + "\n"


def _entry(package: str, module: str, name: str) -> str:
    public = name in public_names(package).get(module, [])
    full = f"nashgossip.{package}.{name}" if public else f"nashgossip.{package}.{module}.{name}"
    thing = getattr(import_module(f"nashgossip.{package}.{module}"), name)
    if isinstance(thing, type):
        return f".. {'autoexception' if issubclass(thing, BaseException) else 'autoclass'}:: {full}"
    if callable(thing):
        return f".. autofunction:: {full}"
    comments = ModuleAnalyzer.for_module(f"nashgossip.{package}.{module}").find_attr_docs()
    says = "\n".join(comments.get(("", name), []))  # a constant says what it is below its assignment
    return f".. py:data:: {full}\n\n{textwrap.indent(says, '   ')}"
