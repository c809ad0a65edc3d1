"""TensorBoard, MLflow and Weights & Biases watch a run: what they have on file, and what they leave alone."""

import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.runners import (
    ExperimentError,
    Look,
    MissingExtraError,
    Outcome,
    Record,
    TooLargeError,
    build_game,
    load_experiment,
    play,
)
from nashgossip.runners import observers as observing
from nashgossip.runners.command import app
from nashgossip.runners.observers import (
    Observers,
    closing_figures,
    look_figures,
    open_observers,
    record_figures,
    require_observers,
    setting_figures,
)
from nashgossip.runners.storage import run_path

PLAN = load_experiment("ring", ["play.moves=20", "play.every=5", "play.samples=50"])
PLAYERS = tuple(build_game(PLAN).players)


class Watched:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.looks: list[Look] = []
        self.closed: list[Outcome | None] = []

    def on_record(self, record: Record) -> None:
        self.records.append(record)

    def on_look(self, look: Look) -> None:
        self.looks.append(look)

    def close(self, outcome: Outcome | None) -> None:
        self.closed.append(outcome)


@pytest.fixture(scope="module")
def played() -> Watched:
    """What an observer is told of a small run."""
    watched = Watched()
    outcome = play(
        build_game(PLAN), seed=1, moves=20, every=5, measure=50, on_record=watched.on_record, on_look=watched.on_look
    )
    watched.close(outcome)
    return watched


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses every connection of this process but those to a file of this machine."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX, f"a connection to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE", "WANDB_ERROR_REPORTING"):
        monkeypatch.delenv(name, raising=False)


def replay(told: Watched, directory: Path, *settings: str, ends: bool = True) -> None:
    """Tells the observers that the settings ask for what was told once."""
    plan = load_experiment("ring", ["play.moves=20", *settings])
    with open_observers(plan, directory, PLAYERS) as opened:
        for record in told.records:
            opened.on_record(record)
        for look in told.looks:
            opened.on_look(look)
        if ends:
            opened.close(told.closed[0])


def events(folder: Path) -> list[Any]:
    """All events of a folder of event files, as TFRecords hold them: length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.rglob("events.out.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += length + 16
    return found


def test_tensorboard_has_curves_settings_and_outcome(played: Watched, tmp_path: Path, no_network: None) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra 'tensorboard'")
    replay(played, tmp_path, "observe.tensorboard.series=2")
    values = [
        (event.step, v.tag, v.simple_value) for event in events(tmp_path / "tensorboard") for v in event.summary.value
    ]
    curve = {step: value for step, tag, value in values if tag == "nash_gap_nats"}
    assert curve == {r.time: pytest.approx(r.nash_gap, rel=1e-6) for r in played.records}
    regrets = {tag for _, tag, _ in values if tag.startswith("regret/")}
    assert regrets == {f"regret/{player}" for player in PLAYERS[:2]}
    floor = next(value for _, tag, value in values if tag == "summary/predicted.noise_floor_rms")
    assert floor == pytest.approx(played.closed[0].prediction.noise_floor_rms, rel=1e-6)
    assert {"settings/text_summary", "outcome/text_summary"} <= {tag for _, tag, _ in values}


def test_mlflow_has_metrics_parameters_and_goes_on_when_resumed(
    played: Watched, tmp_path: Path, no_network: None
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    replay(played, tmp_path, "observe.mlflow.experiment=trial", ends=False)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    group = client.get_experiment_by_name("trial").experiment_id
    (run,) = client.search_runs([group])
    assert run.info.status == "FAILED"
    replay(played, tmp_path, "observe.mlflow.experiment=trial")
    (run,) = client.search_runs([group])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == tmp_path.name
    assert run.data.tags["outcome"] == played.closed[0].outcome
    assert run.data.params["model.family"] == "gaussian"
    assert run.data.params["play.moves"] == "20"
    assert run.data.metrics["error_rms"] == played.records[-1].error_rms
    history = client.get_metric_history(run.info.run_id, f"regret/{PLAYERS[0]}")
    assert [(m.step, m.value) for m in history] == 2 * [(r.time, r.regrets[0]) for r in played.records]


def test_wandb_stays_offline_and_writes_into_the_run_directory(
    played: Watched, tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    replay(played, tmp_path, "observe.wandb.project=trial")
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    wanted = {b"trial", b"model.family", b"nash_gap_nats", b"summary/predicted.noise_floor_rms"}
    wanted.add(json.dumps(played.closed[0].outcome).encode())
    end = time.monotonic() + 30  # another process writes the file, and may end a moment later
    while missing := {text for text in wanted if text not in written.read_bytes()}:
        assert time.monotonic() < end, missing
        time.sleep(0.05)
    assert not list(tmp_path.glob("wandb/*/files/requirements.txt"))


def test_figures_leave_out_what_is_unknown_or_not_finite(played: Watched) -> None:
    last = played.records[-1]
    found = record_figures(last, PLAYERS, 3)
    assert [name for name in found if name.startswith("regret/")] == [f"regret/{p}" for p in PLAYERS[:3]]
    assert found["moves_per_player"] == last.time
    bare = record_figures(Record(1.0, 2.0, 3, 4, last.players, None, None, None), PLAYERS, 3)
    assert bare.keys() == {"moves_per_player", "seconds", "messages", "bytes", "undelivered"}
    broken = Record(1.0, 2.0, 3, 4, last.players, np.full(len(PLAYERS), np.inf), None, None)
    assert "nash_gap_nats" not in record_figures(broken, PLAYERS, 3)
    names = record_figures(last, ["Praha 1/é", *PLAYERS[1:]], 1)
    assert "regret/Praha_1__" in names
    assert look_figures(played.looks[-1]).keys() <= {"look/held_out_nats", "look/total_variation"}
    assert closing_figures(played.closed[0])["summary/moves"] == 20 * len(PLAYERS)


def test_settings_come_by_their_dotted_names() -> None:
    found = setting_figures(PLAN)
    assert found["play.moves"] == 20
    assert found["topology.generator"] == "ring"
    assert found["network.events"] == "[]"
    assert not [name for name in found if name.startswith("observe")]


def test_observers_are_closed_once_and_without_an_outcome_after_an_error(played: Watched) -> None:
    good, bad = Watched(), Watched()
    with Observers([good]) as opened:
        opened.on_record(played.records[0])
        opened.on_look(played.looks[0])
        opened.close(played.closed[0])
    assert (good.records, good.looks, good.closed) == (played.records[:1], played.looks[:1], played.closed)
    with pytest.raises(TooLargeError), Observers([bad]):
        raise TooLargeError("broken off")
    assert bad.closed == [None]


@pytest.mark.parametrize(
    ("name", "package"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow"), ("wandb", "wandb")]
)
def test_a_missing_extra_ends_with_status_2_before_anything_is_written(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "find_spec", lambda asked: None if asked == package else object())
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", "ring", "--set", f"observe.{name}=true", "--out", str(out)])
    assert result.exit_code == 2
    assert f"observe.{name} needs the package {package}, which is not installed" in result.output
    assert f'pip install "nashgossip[{name}]"' in result.output
    assert not out.exists()
    require_observers(load_experiment("ring", [f"observe.{name}=false"]).observe)
    with pytest.raises(MissingExtraError):
        require_observers(load_experiment("ring", [f"observe.{name}=true"]).observe)


def test_observers_on_another_storage_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra 'tensorboard'")
    watched = load_experiment("ring", ["observe.tensorboard=true"])
    with pytest.raises(
        ExperimentError, match=r"observe.tensorboard writes into .* on another storage \(memory:.*local"
    ):
        require_observers(watched.observe, run_path("memory://runs/ring"))
    require_observers(watched.observe, run_path(f"file://{tmp_path}"))
    require_observers(PLAN.observe, run_path("memory://runs/ring"))  # nobody watches
    arguments = ["run", "ring", "--set", "observe.tensorboard=true", "--out", "memory://runs/watched"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert not run_path("memory://runs/watched").exists()


def test_a_section_is_switched_by_true_or_by_any_key() -> None:
    assert not load_experiment("ring").observe.wandb.enabled
    assert load_experiment("ring", ["observe.wandb.project=x"]).observe.wandb.enabled
    assert not load_experiment("ring", ["observe.wandb.project=x", "observe.wandb.enabled=false"]).observe.wandb.enabled
    assert load_experiment("ring", ["wandb=true"]).observe.wandb.online is False


def test_a_run_from_the_command_line_is_watched(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra 'tensorboard'")
    out = tmp_path / "run"
    settings = ["--set", "play.moves=10", "--set", "observe.tensorboard=true"]
    result = CliRunner().invoke(app, ["run", "ring", *settings, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    tags = {v.tag: v.simple_value for event in events(out / "tensorboard") for v in event.summary.value}
    assert tags["messages"] == summary["messages"]
    assert tags["summary/players"] == len(PLAYERS)
