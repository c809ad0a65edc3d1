"""Resuming: a run that was interrupted or killed leaves the very records of one that was not."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from nashgossip.runners import build_game, command, load_experiment, play, read_records
from nashgossip.runners.checkpoint import checkpoints, load_tree, save_tree
from nashgossip.runners.record import Record
from nashgossip.runners.session import engine_options
from nashgossip.runners.simulation import Simulation

NASTY = """\
name: nasty
seed: 7
topology: {generator: small_world, arguments: {n: 20, k: 4, p: 0.2}}
model: {family: gaussian, dimension: 2}
gossip: {style: push-pull, fan_out: 2, order: round-robin, keep: 2}
network:
  compute: {kind: exponential, mean: 0.7}
  speed: {"2": 3.0}
  latency: {kind: lognormal, mean: 0.5, sigma: 1.0}
  bandwidth: 10000.0
  loss: 0.1
  duplication: 0.1
  churn: {up: 50.0, down: 5.0}
  link_churn: {up: 50.0, down: 5.0}
  edges: [{sender: "0", listener: "1", latency: {kind: trace, trace: [0.1, 2.0, 0.4]}, ordered: true}]
  events: [[20.0, "3", join], [160.0, "4", leave], [30.0, "5", down], [90.0, "5", up]]
  partitions: [{start: 60.0, end: 90.0, groups: [["0", "1", "2", "3", "4"]]}]
changes: {kind: rewiring, every: 37.0, fraction: 0.2}
play: {runner: virtual, moves: 400, samples: 5, every: 2.0, measure: 20}
"""
OFTEN = ["--set", "play.checkpoint_seconds=0.1"]
SHORT = [
    "play.moves=20",
    "topology.arguments.n=10",
    "network.churn={up: 6.0, down: 2.0}",
    "changes.every=2.5",
    "play.every=1.0",
]
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own, with the experiment in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nasty.yaml").write_text(NASTY)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happened to; its one checkpoint is that of the start."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "nasty.yaml").write_text(NASTY)
    arguments = "--out", str(folder / "run"), "--set", "play.checkpoint_seconds=1000"
    assert call("run", str(folder / "nasty.yaml"), *arguments).exit_code == 0
    return folder / "run"


def start(verb: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "nashgossip.runners", verb, *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, output, errors


def stop(process: "subprocess.Popen[str]", number: int, how: signal.Signals, run: Path) -> str:
    """Sends a signal once observation `number` is in a checkpoint; what the process said on standard error."""
    deadline = time.monotonic() + PATIENCE
    while saved(run) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    status, output, errors = ended(process)
    assert status == (130 if how == signal.SIGINT else -how), errors
    assert output == ""
    assert not (run / "summary.json").exists()
    assert len(read_records(run / "records")) < 201
    return re.sub(r"\s+", " ", errors)


def saved(run: Path) -> int:
    found = checkpoints(run / "checkpoints")
    return int(found[-1].stem) if found else -1


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)


def complaint(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return re.sub(r"\s+", " ", result.stderr).strip()


def timeless(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "seconds"}


def require_same(run: Path, other: Path) -> None:
    """Every column of both tables, the summary but for its seconds, and what is told of every player."""
    for table in ("run", "players"):
        found, expected = (read_records(path / "records", table) for path in (run, other))
        assert found.schema == expected.schema
        for column in expected.column_names:
            assert found[column].to_pylist() == expected[column].to_pylist(), (table, column)
    found, expected = (json.loads((path / "summary.json").read_text("utf-8")) for path in (run, other))
    assert timeless(found) == timeless(expected)
    assert (run / "players.json").read_text("utf-8") == (other / "players.json").read_text("utf-8")


def go_on(run: Path) -> None:
    """In this process; the one that began was another."""
    result = call("resume", str(run), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((run / "summary.json").read_text("utf-8"))


def test_the_world_is_as_nasty_as_it_should_be(uninterrupted: Path) -> None:
    """A run in which nothing happens would show nothing; and another seed leaves other records."""
    assert len(read_records(uninterrupted / "records")) == 201
    summary = json.loads((uninterrupted / "summary.json").read_text("utf-8"))
    undisturbed = 400 * (19 + 3)  # one of the twenty is three times as fast
    assert undisturbed * 0.5 < summary["moves"] < undisturbed * 0.95
    result = call("run", "nasty.yaml", "--out", "other", "--seed", "8", "--json", "--set", "play.moves=20")
    assert result.exit_code == 0, result.output
    found, expected = (read_records(path / "records")["bytes"] for path in (Path("other"), uninterrupted))
    assert found.to_pylist() != expected.to_pylist()[: len(found)]


def test_a_run_interrupted_by_sigint_resumes_exactly(uninterrupted: Path) -> None:
    run = Path("run")
    told = stop(start("run", "nasty.yaml", "--out", "run", *OFTEN), 30, signal.SIGINT, run)
    assert "interrupted; what was recorded until then is in run; go on with: nashgossip resume run" in told
    assert "Traceback" not in told
    assert len(read_records(run / "records")) == saved(run) + 1
    go_on(run)
    require_same(run, uninterrupted)


def test_a_run_killed_by_sigkill_resumes_exactly(uninterrupted: Path) -> None:
    """As if killed while it wrote: a part that no checkpoint counts, and drafts of a part and a checkpoint."""
    run = Path("run")
    stop(start("run", "nasty.yaml", "--out", "run", *OFTEN), 60, signal.SIGKILL, run)
    for table in ("run", "players"):
        parts = sorted((run / "records").glob(f"{table}-*.parquet"))
        shutil.copy(parts[-1], parts[-1].with_name(f"{table}-{len(parts):05d}.parquet"))
        (run / "records" / f"{table}-{len(parts) + 1:05d}.draft").write_bytes(b"PAR1")
    (run / "checkpoints" / ".000000180.safetensors.00000000.draft").write_text("{")
    go_on(run)
    require_same(run, uninterrupted)


@pytest.mark.slow
def test_a_run_stopped_again_and_again_resumes_exactly(uninterrupted: Path) -> None:
    run = Path("run")
    stop(start("run", "nasty.yaml", "--out", "run", *OFTEN), 0, signal.SIGINT, run)
    for number, how in ((40, signal.SIGKILL), (75, signal.SIGINT), (110, signal.SIGKILL), (145, signal.SIGINT)):
        stop(start("resume", "run"), number, how, run)
    go_on(run)
    require_same(run, uninterrupted)


def test_a_finished_run_resumes_to_the_same_end(desk: Path, uninterrupted: Path) -> None:
    shutil.copytree(uninterrupted, desk / "run")
    (desk / "run" / "summary.json").unlink()
    result = call("resume", "run", "--json")
    assert result.exit_code == 0, result.output
    require_same(desk / "run", uninterrupted)


def test_a_directory_that_is_no_run_is_refused(desk: Path) -> None:
    (desk / "empty").mkdir()
    for name in ("empty", "nowhere", "nasty.yaml"):
        told = complaint(call("resume", name))
        assert told == f"error: {name} is no run directory: it holds no experiment.yaml"
    assert list((desk / "empty").iterdir()) == []


def test_a_run_on_another_engine_is_refused(desk: Path) -> None:
    assert call("run", "ring", "--out", "run", "--set", "play.moves=3").exit_code == 0
    before = sorted(path for path in (desk / "run").rglob("*"))
    told = complaint(call("resume", "run"))
    assert told == "error: run was played on rounds; runs on virtual and ray resume"
    assert sorted(path for path in (desk / "run").rglob("*")) == before


def test_a_run_without_checkpoint_is_refused(desk: Path) -> None:
    assert call("run", "nasty.yaml", "--out", "run", *(f"--set={change}" for change in SHORT)).exit_code == 0
    shutil.rmtree(desk / "run" / "checkpoints")
    told = complaint(call("resume", "run"))
    assert told == "error: run holds no checkpoint; play it again with `nashgossip run`"


def test_a_damaged_checkpoint_is_refused_until_it_is_removed(desk: Path) -> None:
    """The remedy that the message tells does help."""
    run, every_time = desk / "run", "--set=play.checkpoint_seconds=1e-9"
    changes = [f"--set={change}" for change in SHORT]
    assert call("run", "nasty.yaml", "--out", "run", every_time, *changes).exit_code == 0
    shutil.copytree(run, desk / "whole")
    newest = checkpoints(run / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    told = complaint(call("resume", "run"))
    assert re.fullmatch(r"error: checkpoint run/checkpoints/\d{9}\.safetensors cannot be read: .*", told)
    assert told.endswith("; remove it to go on from the one before")
    assert read_records(run / "records").equals(read_records(desk / "whole" / "records"))
    newest.unlink()
    assert call("resume", "run").exit_code == 0
    require_same(run, desk / "whole")


def each_observation(keep: Callable[[int, Any], None], **options: Any) -> tuple[Any, list[Record]]:
    """A short run, and the saved state of every observation but the last."""
    plan = load_experiment("nasty.yaml", SHORT)
    game = build_game(plan)
    records: list[Record] = []
    settings: dict[str, Any] = engine_options(plan, game) | {"keep_states": True, "moves": 20} | options

    def save(simulation: Simulation) -> None:
        if simulation.time < 20:
            keep(simulation.observations, simulation.state())

    outcome = play(game, "virtual", seed=plan.seed, on_record=records.append, on_observation=save, **settings)
    return outcome, records


@pytest.mark.parametrize("every", [1.0, 0.7])
def test_resuming_at_every_observation_gives_the_same_outcome(every: float, desk: Path) -> None:
    saved_states: dict[int, Path] = {}

    def keep(number: int, state: Any) -> None:
        saved_states[number] = save_tree(state, desk / f"at-{number}", number)

    expected, records = each_observation(keep, every=every)
    assert list(saved_states) == list(range(len(records) - 1))
    for number, path in saved_states.items():
        found, rest = each_observation(
            lambda *_: None, every=every, resume=load_tree(path), history=records[: number + 1]
        )
        assert timeless(found.summary()) == timeless(expected.summary())
        assert [r.time for r in rest] == [r.time for r in records[number + 1 :]]
        assert [r.players[0].moves for r in rest] == [r.players[0].moves for r in records[number + 1 :]]
        assert as_text(found.states) == as_text(expected.states)


def as_text(states: Any) -> str:
    return json.dumps(states, default=lambda array: array.tolist())


def test_a_run_whose_last_checkpoint_is_near_its_end_resumes(desk: Path) -> None:
    often = "--set=play.checkpoint_seconds=1e-9"
    assert call("run", "nasty.yaml", "--out", "run", often, *(f"--set={c}" for c in SHORT)).exit_code == 0
    shutil.copytree(desk / "run", desk / "whole")
    assert call("resume", "run").exit_code == 0
    require_same(desk / "run", desk / "whole")
