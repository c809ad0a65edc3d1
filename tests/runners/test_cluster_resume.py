"""Runs on Ray that are interrupted or killed, and resumed from the command line: nothing is lost, doubled or left."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nashgossip.runners import build_game, command, load_experiment, play, read_journal, read_records
from nashgossip.runners.checkpoint import checkpoints
from nashgossip.runners.directory import RunDirectory
from nashgossip.runners.keeping import keeper_of
from nashgossip.runners.records import RecordWriter
from nashgossip.runners.session import _interruptible as interruptible
from nashgossip.runners.session import engine_options

from ..ray_runs import alive, ray_session

PATIENCE = 180.0
EXPERIMENT = """\
name: stopped
seed: 4
topology: {generator: ring, arguments: {n: 4}}
data: {rows: 40}
model: {family: gaussian, dimension: 3}
play: {runner: ray, moves: 60, samples: 10, measure: 20, looks: 4, checkpoint_seconds: 0.2, workers: 2, rate: 10.0}
"""
ROUNDS = ["play.mode=synchronous", "play.moves=240", "play.every=2"]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "stopped.yaml").write_text(EXPERIMENT)
    return tmp_path


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nashgossip.runners", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(out: str, settings: list[str]) -> "subprocess.Popen[str]":
    return start("run", "stopped.yaml", "--out", out, *(f"--set={setting}" for setting in settings))


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, output, re.sub(r"\s+", " ", errors)


def resumed() -> tuple[int, str, str]:
    """Goes on in this process; the one that began is another."""
    result = CliRunner().invoke(command.app, ["resume", "run", "--json"])
    return result.exit_code, result.stdout, result.stderr


def wait_for(holds: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes(path: Path) -> set[int]:
    """The processes of all actors that have ever lived, as their journals tell."""
    found = (event for file in (path / "logs").glob("actor-*.jsonl") for event in read_journal(file))
    return {event["process"] for event in found if "process" in event}


def saved(path: Path) -> int:
    found = checkpoints(path / "checkpoints" / "laboratory")
    return int(found[-1].stem) if found else -1


def rows(path: Path, table: str = "run") -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = read_records(path / "records", table).to_pylist()
    except FileNotFoundError:
        return []
    return found


def timeless(some: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in some]


def require_nobody_left(path: Path) -> None:
    found = processes(path)
    assert found
    wait_for(lambda: not any(alive(process) for process in found))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Rounds that nothing interrupted: where they are, and their summary."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "stopped.yaml").write_text(EXPERIMENT)
    settings = [part for setting in ROUNDS for part in ("--set", setting)]
    arguments = ["run", str(folder / "stopped.yaml"), "--out", str(folder / "whole"), *settings, "--json"]
    result = CliRunner().invoke(command.app, arguments)
    assert result.exit_code == 0, result.output
    return folder / "whole", result.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_rounds_that_are_resumed_leave_what_uninterrupted_ones_do(
    how: signal.Signals, desk: Path, whole: tuple[Path, str]
) -> None:
    there, expected = whole
    process = run("run", ROUNDS)
    wait_for(lambda: saved(desk / "run") >= 20, process)
    process.send_signal(how)
    status, output, errors = ended(process)
    assert status == (130 if how == signal.SIGINT else -how), errors
    assert output == ""
    if how == signal.SIGINT:
        assert "interrupted; what was recorded until then is in run; go on with: nashgossip resume run" in errors
    assert not (desk / "run" / "summary.json").exists()
    require_nobody_left(desk / "run")
    assert saved(desk / "run") < 240
    status, output, errors = resumed()
    assert status == 0, errors
    require_nobody_left(desk / "run")
    assert json.loads(output) | {"seconds": 0} == json.loads(expected) | {"seconds": 0}
    for table in ("run", "players", "looks"):
        assert timeless(rows(desk / "run", table)) == timeless(rows(there, table)), table
    players = [json.loads((path / "players.json").read_text("utf-8")) for path in (desk / "run", there)]
    assert players[0] == players[1]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_gossip_goes_on_without_losing_or_doubling_a_record(how: signal.Signals, desk: Path) -> None:
    process = run("run", [])
    wait_for(lambda: len(rows(desk / "run")) >= 10, process)
    process.send_signal(how)
    status, output, errors = ended(process)
    assert (status, output) == (130 if how == signal.SIGINT else -how, ""), errors
    require_nobody_left(desk / "run")
    before = {table: rows(desk / "run", table) for table in ("run", "players", "looks")}
    assert before["run"][-1]["time"] < 60.0
    status, output, errors = resumed()
    assert status == 0, errors
    require_nobody_left(desk / "run")
    after = {table: rows(desk / "run", table) for table in before}
    assert all(after[table][: len(kept)] == kept for table, kept in before.items())
    records = after["run"]
    assert len(records) > len(before["run"])
    assert len(after["players"]) == 4 * len(records)
    for a, b in itertools.pairwise(records):
        assert a["time"] <= b["time"]
        assert a["seconds"] < b["seconds"]
        assert (a["messages"], a["bytes"]) <= (b["messages"], b["bytes"])
    for name in map(str, range(4)):
        moves = [row["moves"] for row in after["players"] if row["player"] == name]
        assert moves == sorted(moves)
        assert moves[-1] > 40
    summary = json.loads(output)
    assert records[-1]["time"] >= 60.0
    assert summary["moves"] == sum(row["moves"] for row in after["players"][-4:])
    if how == signal.SIGINT:  # everybody has saved itself, and goes on from there
        for k in range(4):
            told = list(read_journal(desk / f"run/logs/actor-{k:05d}.jsonl"))
            assert [e["event"] for e in told] == ["begun", "stopped", "restored", "stopped"]
            assert [e["saved"] for e in told if e["event"] == "stopped"] == [True, False]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_run_that_was_killed_before_its_first_record_is_played_from_the_start(desk: Path) -> None:
    process = run("run", ["play.moves=15"])
    wait_for(lambda: (desk / "run" / "cluster.json").exists(), process)
    process.kill()
    ended(process)
    assert rows(desk / "run") == []
    result = CliRunner().invoke(command.app, ["resume", "run", "--json"])
    assert result.exit_code == 0, result.output
    records = rows(desk / "run")
    assert records[0]["time"] < 5.0
    assert records[-1]["time"] >= 15.0
    assert json.loads(result.stdout)["moves"] >= 4 * 15
    require_nobody_left(desk / "run")


@pytest.mark.slow
def test_a_sigint_at_the_last_moment_finds_nothing_to_save_and_the_run_ends(desk: Path) -> None:
    with ray_session():
        for mode in ("synchronous", "asynchronous"):
            settings = [f"play.mode={mode}", "play.moves=6", "cluster.players_per_actor=4"]
            plan = load_experiment(str(desk / "stopped.yaml"), settings)
            game, directory = build_game(plan), RunDirectory(desk / mode)
            options = engine_options(plan, game)
            keeper = keeper_of(plan, directory, options)
            assert keeper is not None
            with RecordWriter(directory.records, game.players) as writer, interruptible(enabled=True) as told_to_stop:

                def on_record(record: Any, writer: RecordWriter = writer) -> None:
                    writer.write(record)
                    if record.time >= 6.0:
                        os.kill(os.getpid(), signal.SIGINT)

                options |= keeper.options(writer, told_to_stop)
                outcome = play(game, "ray", seed=4, moves=6, on_record=on_record, **options)
                assert told_to_stop()
            assert outcome.last.time >= 6.0
            assert rows(desk / mode)[-1]["time"] == outcome.last.time


def test_a_run_that_has_not_begun_to_play_is_refused(desk: Path) -> None:
    (desk / "run").mkdir()
    (desk / "run" / "experiment.yaml").write_text(EXPERIMENT)
    result = CliRunner().invoke(command.app, ["resume", "run", "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    told = re.sub(r"\s+", " ", result.stderr)
    assert "cluster.json cannot be read" in told
    assert "the run has not begun to play, so play it again with `nashgossip run`" in told


def test_rounds_without_checkpoint_are_refused(desk: Path) -> None:
    (desk / "run").mkdir()
    (desk / "run" / "experiment.yaml").write_text(EXPERIMENT.replace("runner: ray", "runner: ray, mode: synchronous"))
    (desk / "run" / "cluster.json").write_text('{"run": "stopped-0"}')
    result = CliRunner().invoke(command.app, ["resume", "run"])
    assert result.exit_code == 2
    told = re.sub(r"\s+", " ", result.stderr)
    assert "run/checkpoints holds no checkpoint; play it again with `nashgossip run`" in told
