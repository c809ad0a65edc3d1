"""Studies on Ray Tune: the table, what is gone on with, trials that fail, SIGKILL in the middle, and the command."""

import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import yaml
from rich.console import Console
from typer.testing import CliRunner

from nashgossip.runners import (
    StudyError,
    command,
    loopback,
    read_study,
    render_study,
    study,
    study_progress,
    study_tune,
)
from nashgossip.runners.study_pictures import draw_study
from nashgossip.runners.study_play import play_trial
from nashgossip.runners.study_store import tabulate
from nashgossip.runners.study_trials import plan_trials

SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": "ring",
    "set": {"play.moves": 8, "play.samples": 5000, "play.measure": 0, "topology.arguments": {"n": 4}},
    "vary": {"alpha.self_weight": [0.2, 0.4, 0.6]},
    "seeds": 2,
    "measure": ["graph"],
    "figures": {
        "rates": {"kind": "scatter", "x": "predicted_rate", "y": ["measured_rate"], "x_scale": "log"},
        "speed": {"x": "alpha.self_weight", "y": ["measured_rate", "predicted_rate"]},
        "errors": {"kind": "curves", "y": ["error_rms"], "by": "alpha.self_weight", "y_scale": "log"},
        "nothing": {"x": "alpha.self_weight", "y": ["accuracy_max"]},
    },
}
FAILING = {
    **SMALL,
    "vary": {"topology.arguments": [{"n": 4}, {"n": -1}, {"n": 5}]},
    "figures": {"wrong": {"x": "trial", "y": ["honest_error_max"]}, "right": {"x": "trial", "y": ["predicted_rate"]}},
}


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """One Ray session for the studies of this file that ask for it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with loopback():
        ray.init(num_cpus=2, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plays trials one after the other in this process, for what has nothing to do with Ray, which takes seconds."""

    def play_all(base: Any, trials: Any, measures: Any, *, curves: bool, on_found: Any, **_: Any) -> None:
        for trial in trials:
            on_found(trial, play_trial(base, trial, measures, curves=curves))

    monkeypatch.setattr(study_tune, "play_all", play_all)


def results(table: pa.Table) -> pa.Table:
    """The table without wall-clock times."""
    return table.drop_columns(["seconds"])


def file_of(tmp_path: Path, content: dict[str, Any]) -> str:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.mark.usefixtures("session")
def test_trials_are_played_side_by_side_in_workers_and_those_that_raise_stop_no_other(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    found = study(FAILING, out=tmp_path / "s", jobs=2, on_trial=rows.append)
    assert sorted(row["trial"] for row in rows) == list(range(6))
    assert found.table.column("trial").to_pylist() == list(range(6))
    failed = [outcome == "failed" for outcome in found.table.column("outcome").to_pylist()]
    assert failed == [False, False, True, True, False, False]
    trial = plan_trials(found.file, found.file.base())[5]
    here = play_trial(found.file.base(), trial, found.file.measure)["row"]
    assert {**here, "seconds": 0} in [{**row, "seconds": 0} for row in rows]  # the very same in another process


@pytest.mark.usefixtures("in_process")
def test_a_study_is_played_read_back_drawn_and_gone_on_with(tmp_path: Path) -> None:
    found = study(SMALL, out=tmp_path / "s")
    table = found.table
    assert table.column("trial").to_pylist() == list(range(6))
    assert table.column_names[:5] == ["trial", "point", "replicate", "alpha.self_weight", "seed"]
    assert len(set(table.column("seed").to_pylist())) == 6
    assert table.column("error").null_count == 6
    assert pq.read_table(tmp_path / "s" / "table.parquet").equals(table)
    assert read_study(tmp_path / "s").table.equals(table)
    assert found.points.column("alpha.self_weight").to_pylist() == [0.2, 0.4, 0.6]
    assert found.points.column("predicted_rate_error").to_pylist() == pytest.approx([0, 0, 0], abs=1e-12)
    html = found._repr_html_()
    assert "<caption>small: 6 of 6 trials, 0 failed" in html
    assert html.count("<tr>") == 4
    assert html.count("<img ") == 3
    drawn = {path.name for path in draw_study(found)}
    assert drawn == {f"{name}.{kind}" for name in ("rates", "speed", "errors") for kind in ("png", "svg")}

    assert pq.read_table(tmp_path / "s" / "points.parquet").equals(found.points)

    (tmp_path / "s" / "trials" / "000003.json").unlink()
    (tmp_path / "s" / "trials" / "000004.json").write_text('{"row": {"tri', encoding="utf-8")  # half written
    started: list[tuple[int, int]] = []
    again = study(SMALL, out=tmp_path / "s", on_start=lambda path, finished, left: started.append((finished, left)))
    assert started == [(4, 2)]
    assert results(again.table).equals(results(table))
    assert again.curves is not None
    assert again.curves.equals(found.curves)

    with pytest.raises(StudyError, match="holds another study: seed differs; choose another --out"):
        study(SMALL, out=tmp_path / "s", seed=5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StudyError, match="exists already and holds no study.yaml"):
        study(SMALL, out=tmp_path / "full")


@pytest.mark.usefixtures("in_process")
def test_failed_trials_are_rows_and_do_not_stop_the_others(tmp_path: Path) -> None:
    call = ["study", file_of(tmp_path, FAILING), "--out", str(tmp_path / "s"), "--json", "--set", "seeds=1"]
    done = CliRunner().invoke(command.app, [*call, "--concurrency", "1"])
    assert done.exit_code == 1, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["trials"], summary["finished"], summary["failed"]) == (3, 3, 1)
    assert "trial 1 failed: GeneratorError: " in done.stderr
    assert "no figure wrong: a figure asks for column 'honest_error_max', which table.parquet has not" in done.stderr
    assert (tmp_path / "s" / "right.svg").is_file()
    table = read_study(tmp_path / "s").table
    assert [error is None for error in table.column("error").to_pylist()] == [True, False, True]
    assert table.column("outcome").to_pylist()[1] == "failed"
    assert summary["table"] == str(tmp_path / "s" / "table.parquet")


@pytest.mark.usefixtures("in_process")
def test_a_point_shows_the_mean_over_the_seeds_that_know_a_figure(tmp_path: Path) -> None:
    call = ["study", file_of(tmp_path, {**SMALL, "seeds": 3, "figures": {}}), "--out", str(tmp_path / "s")]

    def told(rates: list[float | None]) -> str:
        """What the finished study tells once its trials have these rates."""
        for number, rate in enumerate(rates):
            file = tmp_path / "s" / "trials" / f"{number:06d}.json"
            content = json.loads(file.read_text())
            file.write_text(json.dumps({**content, "row": {**content["row"], "measured_rate": rate}}))
        done = CliRunner().invoke(command.app, call)
        assert done.exit_code == 0
        return done.stderr

    assert CliRunner().invoke(command.app, call).exit_code == 0
    shown = told([None, -0.2, -0.4, None, None, None, -0.9, -0.9, -0.9])
    assert "9 trials in" in shown
    assert "all are finished already" in shown
    assert "0/0" not in shown
    points = pq.read_table(tmp_path / "s" / "points.parquet")
    assert points["measured_rate"].to_pylist() == [pytest.approx(-0.3), None, pytest.approx(-0.9)]
    assert points["measured_rate_count"].to_pylist() == [2, 0, 3]
    assert points["measured_rate_error"].to_pylist() == [pytest.approx(0.1), None, pytest.approx(0)]
    assert "-0.3 ± 0.1" in shown
    found = read_study(tmp_path / "s")
    assert "<td>-0.3 ± 0.1 (2 of 3)</td>" in found._repr_html_()
    assert ">-0.3 ± 0.1 (2 of 3)</td>" in render_study(found)
    assert "measured" in told([None] * 9), "the column stays where a rate is predicted"


def test_progress_counts_from_when_the_first_trial_began(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(study_progress.time, "monotonic", lambda: now)
    shown = io.StringIO()
    with study_progress.Progressed(Console(file=shown, width=200)) as told:
        told.started(Path("s"), 2, 10)
        now = 130.0  # as long as Ray took, and the first trial
        told.ended({"trial": 2, "outcome": "converged", "seconds": 5.0})
        now = 141.0
        told.ended({"trial": 3, "outcome": "failed", "error": "it is hot", "seconds": 5.0})
    lines = shown.getvalue().splitlines()
    assert lines[0] == "12 trials in s, 2 are finished already"
    assert lines[1] == "1 of 10 trials, about 0:00:45 left"
    assert lines[2] == "trial 3 failed: it is hot"
    assert lines[3] == "2 of 10 trials, about 0:01:04 left"
    assert re.search(r"2/10 +1 failed +0:00:\d\d elapsed, about 0:01:04 left", lines[4]) is not None


def test_requests_that_are_wrong_end_with_status_2(tmp_path: Path) -> None:
    wrong = file_of(tmp_path, {**SMALL, "vary": {"alpha.self_wieght": [0.1]}})
    figures = tmp_path / "figures.yaml"
    figures.write_text(yaml.safe_dump({**SMALL, "figures": {"speed": {"x": "trial", "y": ["mesured_rate"]}}}))
    for arguments, message in (
        (
            [str(figures)],
            "error: figure 'speed' asks for column 'mesured_rate', which table.parquet has not; did you mean "
            "'measured_rate'?",
        ),
        ([wrong], "unknown key 'alpha.self_wieght'; did you mean 'alpha.self_weight'?"),
        (["topology-zo"], "did you mean 'topology-zoo'?"),
        (["topology-zoo", "--jobs", "0"], "jobs is 0, expected at least 1"),
        (["topology-zoo", "--seed", "-1"], "seed is -1, expected a whole number of at least 0"),
    ):
        done = CliRunner().invoke(command.app, ["study", *arguments, "--out", str(tmp_path / "none")])
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "none").exists()
    with pytest.raises(StudyError, match="is no directory of a study: it holds no study.yaml"):
        read_study(tmp_path / "none")


@pytest.mark.usefixtures("in_process")
def test_frames(tmp_path: Path) -> None:
    found = study({**SMALL, "seeds": 1, "curves": False}, out=tmp_path / "s")
    assert list(found.frame()["trial"]) == [0, 1, 2]
    assert len(found.frame("points")) == 3
    with pytest.raises(ValueError, match="frame is 'curves', expected one of: table, points"):
        found.frame("curves")


@pytest.mark.usefixtures("in_process")
def test_differences_are_taken_seed_by_seed(tmp_path: Path) -> None:
    found = study({**SMALL, "paired": True, "curves": False}, out=tmp_path / "s")
    table = found.differences("alpha.self_weight", 0.2)
    assert table.column("alpha.self_weight").to_pylist() == [0.4, 0.6]
    rows = {(r["alpha.self_weight"], r["replicate"]): r["equilibrium_error_rms"] for r in found.table.to_pylist()}
    apart = [rows[0.4, k] - rows[0.2, k] for k in range(2)]
    assert table.column("equilibrium_error_rms").to_pylist()[0] == pytest.approx(sum(apart) / 2)
    assert table.column("equilibrium_error_rms_error").to_pylist()[0] == pytest.approx(abs(apart[0] - apart[1]) / 2)
    assert table.column("trials").to_pylist() == [2, 2]
    with pytest.raises(StudyError, match="no trial has alpha.self_weight = 0.3, expected a varied key"):
        found.differences("alpha.self_weight", 0.3)
    with pytest.raises(StudyError, match="has other seeds at every point; play it with paired: true"):
        study(SMALL, out=tmp_path / "t").differences("alpha.self_weight", 0.2)


@pytest.mark.usefixtures("in_process")
def test_a_study_on_another_storage(tmp_path: Path) -> None:
    where = f"memory://{tmp_path.name}/s"
    found = study({**SMALL, "seeds": 1}, out=where)
    assert len(draw_study(found)) == 6
    assert read_study(where).table.equals(found.table)
    described = study({**SMALL, "seeds": 1, "description": "other words"}, out=where)
    assert read_study(where).file.description == "other words"
    assert described.table.equals(found.table)


def test_columns_of_several_kinds() -> None:
    rows = [{"trial": 0, "a": 1, "b": 1, "c": None}, {"trial": 1, "a": 2.5, "b": [1, 2], "c": None}]
    table, curves = tabulate({"row": row, "curve": None} for row in rows)
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.float64()]
    assert table.column("b").to_pylist() == ["1", "[1, 2]"]
    assert curves is None


def test_the_list_names_studies() -> None:
    done = CliRunner().invoke(command.app, ["list"])
    assert "topology-zoo" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("session")
def test_a_study_killed_in_the_middle_ends_with_the_same_table(tmp_path: Path) -> None:
    content = {**SMALL, "set": {**SMALL["set"], "play.moves": 150, "play.samples": 500}, "seeds": 4, "figures": {}}
    whole = study(content, out=tmp_path / "whole", jobs=2)
    out = tmp_path / "killed"
    call = [sys.executable, "-m", "nashgossip.runners", "study", file_of(tmp_path, content), "--out", str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    with subprocess.Popen([*call, "--jobs", "1"], env=environment, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 90
        while len(list(out.glob("trials/*.json"))) < 3:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end, "no trial was finished"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    before = {path.name: path.read_bytes() for path in out.glob("trials/*.json")}
    assert 3 <= len(before) < 12
    again = study(content, out=out, jobs=2)
    assert results(again.table).equals(results(whole.table))
    assert again.curves is not None
    assert again.curves.equals(whole.curves)
    assert {name: (out / "trials" / name).read_bytes() for name in before} == before


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("session")
def test_a_trial_whose_process_dies_is_a_row_and_is_played_again_when_the_study_goes_on(tmp_path: Path) -> None:
    import psutil  # Ray's own copy, on the path since ray was imported

    content = {**SMALL, "set": {**SMALL["set"], "play.moves": 150}, "figures": {}, "seeds": 1}
    killed = threading.Event()

    def kill_one_that_plays() -> None:
        end = time.monotonic() + 90
        while time.monotonic() < end and not killed.is_set():
            time.sleep(0.02)
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "Trainable.train" in " ".join(process.cmdline()):
                        process.kill()
                        killed.set()
                        break

    killer = threading.Thread(target=kill_one_that_plays)

    def on_trial(row: dict[str, Any]) -> None:
        if row["trial"] == 0:
            killer.start()

    found = study(content, out=tmp_path / "s", jobs=1, on_trial=on_trial)
    killer.join()
    assert killed.is_set()
    (lost,) = (row for row in found.table.to_pylist() if row["outcome"] == "failed")
    assert lost["error"] == "its process died"
    assert len(found.table) == 3
    assert read_study(tmp_path / "s").table.column("trial").to_pylist() == sorted({0, 1, 2} - {lost["trial"]})
    again: list[dict[str, Any]] = []
    assert study(content, out=tmp_path / "s", jobs=1, on_trial=again.append).failed == 0
    assert [row["trial"] for row in again] == [lost["trial"]]
