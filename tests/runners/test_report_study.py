"""The report of a study: its words, its figures, its tables, escaped and closed to the network."""

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nashgossip.runners import RunDirectoryError, read_study, render_study, write_report
from nashgossip.runners.command import app
from nashgossip.runners.study_file import parse_study
from nashgossip.runners.study_play import play_trial
from nashgossip.runners.study_store import StudyStore
from nashgossip.runners.study_trials import plan_trials

EVIL = "</script><script>alert('x')</script>"
CONTENT: dict[str, Any] = {
    "name": "small",
    "description": "Three sizes & a typing error.",
    "experiment": "ring",
    "set": {"play.moves": 12, "play.samples": 5000, "play.measure": 0},
    "vary": {"topology.arguments": [{"n": 4}, {"n": EVIL}, {"n": 6}]},
    "seeds": 2,
    "measure": ["graph"],
    "figures": {
        "rates": {"kind": "scatter", "x": "predicted_rate", "y": ["measured_rate"], "title": "speed"},
        "errors": {"kind": "curves", "y": ["error_rms"], "by": "topology.arguments", "y_scale": "log"},
        "nothing": {"x": "topology.arguments", "y": ["accuracy_max"]},
        "unknown": {"x": "topology.arguments", "y": ["no_such_column"]},
    },
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which all trials but the last one have been played, one after the other in this process."""
    path = tmp_path_factory.mktemp("studies") / "small"
    file = parse_study(CONTENT).whole()
    base, store = file.base(), StudyStore(path, file)
    for trial in plan_trials(file, base)[:-1]:
        store.finish(trial.number, play_trial(base, trial, file.measure))
    return path


def columns_of(page: str, title: str) -> dict[str, list[str]]:
    """Heading → cells of a table of the page."""
    table = page[page.index(f"<caption><span>{title}") :].partition("</table>")[0]
    heads = re.findall(r'<button type="button">(.*?)</button>', table)
    cells = re.findall(r"<t[hd][^>]* data-value=\"[^\"]*\">(.*?)</t[hd]>", table)
    return {head.replace("<wbr>", ""): cells[k :: len(heads)] for k, head in enumerate(heads)}


def test_a_study_says_what_was_varied_and_what_happened(small: Path) -> None:
    found = read_study(small)
    page = render_study(found)
    assert "Three sizes &amp; a typing error. Varied: topology.arguments (all combinations)." in page
    assert "3 points, each played with 2 seeds." in page
    assert "5 of 6 trials are finished, 2 of them failed: " in page
    assert "1 of 6 trials have not been played" in page
    rates = found.summary()["rates"]
    assert f"Of {rates['compared']} trials the measured rate" in page
    assert f"by {100 * rates['largest_deviation']:.2g} % at most" in page
    assert page.count('<th scope="row">2</th>') == 1, "the failed trials are listed with their errors"


def test_the_tables_hold_the_means_and_every_trial(small: Path) -> None:
    found = read_study(small)
    page = render_study(found)
    points = columns_of(page, "Means over seeds ± standard error")
    assert list(points)[:3] == ["topology.arguments", "trials", "measured rate"]
    assert [html.unescape(cell) for cell in points["topology.arguments"]] == ['{"n": 4}', '{"n": 6}']
    for row, text in zip(found.points.to_pylist(), points["measured rate"], strict=True):
        error = row["measured_rate_error"]
        assert text == f"{row['measured_rate']:.4g}" + ("" if error is None else f" ± {error:.2g}")
    trials = columns_of(page, "Every finished trial")
    assert trials["trial"] == ["0", "1", "2", "3", "4"]
    assert trials["outcome"] == found.table.column("outcome").to_pylist()


def test_figures_are_drawn_that_know_something_and_the_rest_is_said_to_be_left_out(small: Path) -> None:
    page = render_study(read_study(small))
    assert page.count("<svg ") == 2
    assert "Speed: measured_rate over predicted_rate; every trial, beside the diagonal" in page
    assert "figure &#39;nothing&#39; is left out: no trial knows anything of it" in page
    assert "figure &#39;unknown&#39; is left out: a figure asks for column" in page
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names)), "no name stands twice in a page"
    assert render_study(read_study(small)) == page, "the same study gives the same page"


def test_nothing_comes_from_elsewhere_and_values_stay_text(small: Path) -> None:
    page = render_study(read_study(small))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "default-src 'none'; script-src 'sha256-" in page
    links = re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)", page)
    assert links == []


def test_the_command_reports_on_studies_too(small: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(small, copy)
    result = CliRunner().invoke(app, ["report", str(copy)])
    assert result.exit_code == 0, result.output
    assert (copy / "report.html").read_text("utf-8") == render_study(read_study(copy))
    assert write_report(read_study(copy), tmp_path / "other.html") == tmp_path / "other.html"
    shutil.rmtree(copy / "trials")
    (copy / "about.json").write_text("{")
    page = render_study(read_study(copy))
    assert "No trial is finished yet." in page
    assert "where it was played is left out: " in page


def test_a_directory_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="holds no experiment.yaml, nor the study.yaml of a study"):
        write_report(tmp_path)
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert json.dumps(str(tmp_path))[1:-1] in result.stderr
