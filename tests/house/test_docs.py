"""The code and the commands of README and docs/ do what they say."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nashgossip import games
from nashgossip.runners.command import app
from nashgossip.runners.experiment import Experiment
from nashgossip.runners.sections import PlaySection

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


SLOW_COMMAND = re.compile(r"run (delay|digits-hvae|hospitals)|run digits (?!--runner)|study")
FEWER = {"digits-hvae": 2, "digits": 40, "hospitals": 20, "delay": 40}
"""Moves with which a slow command is tried that sets none itself."""
SLOW_PAGES = ["models.md", "neural.md", "studies.md"]
WALKED = ["own-graph.md", "report.md", "tutorial.md"]
"""Pages whose commands run too, in the order of the page and in one folder."""


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks in these languages."""
    text = page.read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(language, code) for language, code in found if language in languages]


def shell_lines(code: str) -> list[str]:
    return [line for line in (line.split("#")[0].strip() for line in code.splitlines()) if line]


def run_command(line: str) -> None:
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page.name in SLOW_PAGES else page for page in PAGES],
    ids=lambda page: page.name,
)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python in one namespace; files that a page tells to save; commands, where they need nothing from elsewhere."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "page"}
    for number, (language, code) in enumerate(blocks(page, "python", "sh", "yaml")):
        if language == "python" and ">>>" not in code:
            exec(compile(code, f"{page.name}, block {number}", "exec"), space)
        elif language == "yaml" and (name := re.match(r"# ([\w-]+\.yaml)\n", code)):
            (tmp_path / name.group(1)).write_text(code, "utf-8")
        elif language == "sh" and page.name in WALKED:
            for line in shell_lines(code):
                if line.startswith("nashgossip "):
                    run_command(line)


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs" / name for name in WALKED)], ids=lambda p: p.name)
def test_a_page_shows_no_command_that_is_not_tried(page: Path) -> None:
    lines = [line for _, code in blocks(page, "sh") for line in shell_lines(code)]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert any(line.startswith("nashgossip ") for line in lines)
    for line in lines:
        if line.startswith("make "):
            assert line.split()[1] in targets, line
        else:
            assert line.startswith("nashgossip ") or line == "source .venv/bin/activate", line


def commands() -> list[str]:
    lines = [line for _, code in blocks(ROOT / "README.md", "sh") for line in shell_lines(code)]
    return [line for line in lines if line.startswith("nashgossip ")]


def test_the_readme_shows_commands() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=pytest.mark.slow) if SLOW_COMMAND.search(c) else c for c in commands()],
)
def test_a_command_of_the_readme_ends_well(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.match(r"nashgossip run (\S+)", command)
    long = found and SLOW_COMMAND.search(command) and "moves=" not in command
    fewer = f" --set play.moves={FEWER[found.group(1)]}" if found and long else ""
    run_command(command + fewer)


def test_every_key_of_an_experiment_is_documented() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text("utf-8")
    for name in [*PlaySection.model_fields, *Experiment.model_fields]:
        if name not in ("name", "description"):
            assert f"{name}`" in text or f"`{name}." in text, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target and not target.startswith("gallery/"):  # made with the site, which checks them
            assert (page.parent / target).exists(), target


def names_that_exist(text: str) -> tuple[list[str], list[str]]:
    """Names in code such as `games.predict` or `Mode.after`: those that stand for something, and those that do not."""
    good, bad = [], []
    for name in re.findall(r"`([A-Za-z_]+(?:\.[A-Za-z_]+)+)`", text):
        first, *rest = name.split(".")
        thing = _package_module_or_class(first)
        for part in rest:
            thing = getattr(thing, part, None) or _field(thing, part)
        (good if thing is not None else bad).append(name)
    return good, bad


def _package_module_or_class(name: str) -> object:
    for path in (f"nashgossip.{name}", f"nashgossip.games.{name}"):
        try:
            return import_module(path)
        except ModuleNotFoundError:
            continue
    return getattr(games, name, None)


def _field(thing: object, name: str) -> object:
    return getattr(thing, "__dataclass_fields__", {}).get(name)


def test_each_equation_names_the_function_that_holds_it() -> None:
    """Between a displayed equation and the heading above it stands a function; the site makes links of their names."""
    text = (ROOT / "docs" / "theory.md").read_text("utf-8")
    assert names_that_exist(text)[1] == []
    sections = re.split(r"^#+ ", text, flags=re.MULTILINE)
    equations = 0
    for section in sections:
        for before in re.finditer(r"^ *\$\$", section, re.MULTILINE):
            equations += 1
            assert names_that_exist(section[: before.start()])[0], section[: before.end() + 80]
    assert equations >= 10


def test_a_name_that_does_not_exist_is_seen() -> None:
    assert names_that_exist("`games.predict`, `games.foretell`, `Oracle.worst_response`, `Mode.after`") == (
        ["games.predict", "Mode.after"],
        ["games.foretell", "Oracle.worst_response"],
    )
