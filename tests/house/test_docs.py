"""The code and the commands of README and docs/ do what they say."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nashgossip.runners.command import app
from nashgossip.runners.experiment import Experiment
from nashgossip.runners.sections import PlaySection

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "page"}
    for number, code in enumerate(blocks(page, "python")):
        if ">>>" not in code:
            exec(compile(code, f"{page.name}, block {number}", "exec"), space)


def commands() -> list[str]:
    lines = [line for code in blocks(ROOT / "README.md", "sh") for line in code.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith("nashgossip ")]


def test_the_readme_shows_commands() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=pytest.mark.slow) if "--runner" not in c and "run digits" in c else c for c in commands()],
)
def test_a_command_of_the_readme_ends_well(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


def test_every_key_of_an_experiment_is_documented() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text("utf-8")
    for name in [*PlaySection.model_fields, *Experiment.model_fields]:
        if name not in ("name", "description"):
            assert f"{name}`" in text or f"`{name}." in text, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
