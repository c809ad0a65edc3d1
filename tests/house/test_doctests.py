"""Every example in a docstring runs and says the truth."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["agents", "games", "runners", "topology"]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    ".".join(["nashgossip", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__main__.py"  # to import it is to run it
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name, tmp_path, monkeypatch, capsys):
    module = import_module(name)
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(module, optionflags=OPTIONS)
    assert results.failed == 0, capsys.readouterr().out
