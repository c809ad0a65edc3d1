"""The documentation site: its reference is complete, and what is wrong with a page is told."""

import io
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

application = pytest.importorskip("sphinx.application", reason="the extra docs is not installed")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    yield
    for name in ("linked_names", "mathml", "reference_pages"):
        sys.modules.pop(name, None)


def build(folder: Path, text: str) -> tuple[str, str]:
    """The HTML of a page that is built with our extensions, and the warnings about it."""
    source, warnings = folder / "source", io.StringIO()
    source.mkdir()
    (source / "conf.py").write_text("", "utf-8")
    (source / "index.md").write_text(f"# Page\n\n{text}\n\n```{{toctree}}\nreference\n```\n", "utf-8")
    (source / "reference.rst").write_text(
        "Reference\n=========\n\n.. py:function:: nashgossip.topology.influence(G)\n", "utf-8"
    )
    settings = {
        "extensions": ["myst_parser", "linked_names", "mathml"],
        "myst_enable_extensions": ["dollarmath"],
        "toc_object_entries": False,
    }
    app = application.Sphinx(
        source, source, folder / "html", folder / "trees", "html", settings, status=None, warning=warnings
    )
    app.build()
    return (folder / "html" / "index.html").read_text("utf-8"), warnings.getvalue()


@pytest.mark.parametrize("package", ["topology", "games", "agents", "agents.models", "runners"])
def test_the_reference_holds_every_public_name(package, extensions):
    listed = [n for names in import_module("reference_pages").public_names(package).values() for n in names]
    assert sorted(listed) == sorted(import_module(f"nashgossip.{package}").__all__)


def test_each_page_is_in_a_table_of_contents():
    index = (DOCS / "index.md").read_text("utf-8").splitlines()
    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or page.stem in index, page.name


def test_formulas_are_mathml_and_names_are_links(tmp_path, extensions):
    html, warnings = build(tmp_path, "$$\\frac{1}{2}$$\n\n`topology.influence(G)`, `influence`, `topology.nothing`")
    assert warnings == ""
    assert "<mfrac>" in html
    assert "MathJax.js" not in html
    assert "mathjax@" not in html
    links = re.findall(r'<a class="reference internal" href="(reference[^"]*)"[^>]*><code[^>]*>(.*?)</code>', html)
    assert [target for target, _ in links] == ["reference.html#nashgossip.topology.influence"]
    assert re.sub("<.*?>", "", links[0][1]) == "topology.influence(G)"


def test_a_formula_that_cannot_be_read_and_a_link_that_leads_nowhere_are_warned_of(tmp_path, extensions):
    _, warnings = build(tmp_path, "$$\\nosuchcommand$$\n\n[away](nowhere.md)")
    assert "index.md:3: WARNING: formula" in warnings
    assert "nosuchcommand" in warnings
    assert "nowhere.md" in warnings
