"""The live view: a page and its events on loopback, nothing else, for as long as it is asked to."""

import http.client
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.runners import (
    Journal,
    MissingExtraError,
    PlayerView,
    Record,
    RecordWriter,
    RunDirectory,
    RunDirectoryError,
    WatchError,
    build_game,
    load_experiment,
    play,
    watch_app,
    watch_run,
)
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment

pytest.importorskip("sse_starlette", reason="the extra watch is not installed")
pytest.importorskip("uvicorn", reason="the extra watch is not installed")

PLAN = load_experiment("ring", ["topology.arguments.n=4"])
GAME = build_game(PLAN)


def record(k: int) -> Record:
    sizes = np.arange(1.0, 5.0) / (k + 1)
    return Record(float(k), k / 10, k, 8 * k, [PlayerView(k, None, {}, {}, 1.0)] * 4, sizes, sizes, 1.0)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.describe(dump_experiment(PLAN), GAME, PLAN.seed)
    return directory


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for news twenty times a second, and waits five seconds for pages that nobody closed."""
    monkeypatch.setattr("nashgossip.runners.watch._EVERY", 0.05)
    monkeypatch.setattr("nashgossip.runners.watch._LINGER", 5.0)


@contextmanager
def watched(run: RunDirectory) -> Iterator[int]:
    """The port of a live view of the run, which is played to its end afterwards, so that the view stops by itself."""
    started: Queue[str] = Queue()
    thread = threading.Thread(
        target=watch_run, args=(run.path,), kwargs={"until_end": True, "on_start": started.put}, daemon=True
    )
    thread.start()
    try:
        yield int(started.get(timeout=60).rstrip("/").rpartition(":")[2])
    finally:
        if not (run.path / "players.json").exists():
            run.conclude(play(GAME, seed=1, moves=5))
        thread.join(60)
    assert not thread.is_alive()


def asked(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    found = response.status, {name.lower(): value for name, value in response.headers.items()}, response.read().decode()
    connection.close()
    return found


def events(port: int, query: str, **headers: str) -> Iterator[tuple[str, Any]]:
    """Events as they come, until the server ends them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/events?{query}", headers=headers)
    response, name = connection.getresponse(), ""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    with closing(response), closing(connection):
        for line in response:
            field, _, value = line.decode().rstrip("\r\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def live_of(page: str) -> str:
    found = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["live"]
    return str(found).removeprefix("events?")


def test_a_run_is_followed_from_before_its_first_record_to_its_end(run: RunDirectory) -> None:
    with watched(run) as port:
        status, headers, page = asked(port)
        assert status == 200
        assert headers["cache-control"] == "no-store"
        assert "There is no record yet" in page
        assert "connect-src 'self'" in page
        stream = events(port, live_of(page))
        with RecordWriter(run.records, GAME.players) as writer:
            writer.write(record(0))
            assert next(stream) == ("reload", {}), "only now the names of the players on record are known"
            stream = events(port, live_of(asked(port)[2]))
            writer.write(record(1))
            name, told = next(stream)
            assert (name, told["records"], told["times"]) == ("records", 2, [1.0])
            assert told["measures"]["regret"] == [[0.5, 1.0, 1.5, 2.0]]
            assert told["curves"]["nash_gap"] == [2.0]
            assert told["happened"].startswith("The run has not ended: it goes on, or was interrupted. 2 records")
            assert told["players"][3][:3] == ["3", "1", "2"]
            Journal(run.path / "logs" / "x.jsonl").write("player failed", level="error", player="2", why="heat")
            name, told = next(stream)
            assert name == "troubles"
            assert told["rows"][0][1:] == ["2", "player failed", "why: heat"]
            assert next(events(port, live_of(page), **{"Last-Event-ID": "1"}))[1]["times"] == [1.0], "it goes on there"
        run.conclude(play(GAME, seed=1, moves=5))
        assert next(stream) == ("reload", {})
        page = asked(port)[2]
        assert "The outcome is “" in page
        assert list(events(port, live_of(page)))[-1] == ("bye", {}), "the server stops by itself"


def test_nothing_else_is_served_and_foreign_names_are_refused(run: RunDirectory) -> None:
    with watched(run) as port:
        assert asked(port, Host=f"localhost:{port}")[0] == 200
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example"):
            assert asked(port, Host=host)[0] == 400
            assert asked(port, "/events?after=0", Host=host)[0] == 400
        for path in ("/experiment.yaml", "/records/run-00000.parquet", "/..%2fexperiment.yaml", "/docs"):
            assert asked(port, path)[0] == 404
        assert asked(port, method="POST")[0] == 405
        assert asked(port, "/events?after=-1")[0] == 400
        status, _, text = asked(port, "/events")
        assert (status, text) == (400, "after is a number of records\n")


def test_half_written_records_are_said_to_be(run: RunDirectory) -> None:
    with RecordWriter(run.records, GAME.players) as writer:
        writer.write(record(0))
    with watched(run) as port:
        (run.records / "run-00001.parquet").write_bytes(b"PAR1half")
        told = next(events(port, live_of(asked(port)[2])))[1]
        assert told["notes"] == ["records were read to the last whole batch; 8 bytes after it are half written"]
        assert "8 bytes after it are half written" in asked(port)[2]


def test_a_run_that_is_not_there_yet_is_waited_for(run: RunDirectory, tmp_path: Path) -> None:
    waits: Queue[str] = Queue()
    started: Queue[str] = Queue()
    later = tmp_path / "later"
    options = {"until_end": True, "on_start": started.put, "on_wait": waits.put}
    thread = threading.Thread(target=watch_run, args=(later,), kwargs=options, daemon=True)
    thread.start()
    assert waits.get(timeout=60) == f"there is no run in {later} yet; waiting for it for at most 30 s"
    run.conclude(play(GAME, seed=1, moves=5))
    shutil.move(run.path, later)
    assert started.get(timeout=60).startswith("http://127.0.0.1:")
    thread.join(60)
    assert not thread.is_alive()


def test_a_run_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nashgossip.runners.watch._PATIENCE", 0.1)
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "empty"):
        result = CliRunner().invoke(app, ["watch", str(tmp_path / name)])
        assert result.exit_code == 2
        said = " ".join(result.stderr.split())
        assert f"there is no run in {tmp_path / name} yet; waiting for it for at most 0.1 s" in said
        assert f"no run has come to {tmp_path / name} in 0.1 s; begin one with `nashgossip run … --out" in said


def test_a_study_is_not_watched_but_reported_on(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("{experiment: ring}")
    result = CliRunner().invoke(app, ["watch", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path} is the directory of a study, and runs are watched one by one" in result.stderr
    assert f"`nashgossip report {tmp_path}` makes a page of its trials so far" in result.stderr


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = CliRunner().invoke(app, ["watch", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no run directory: it holds no experiment.yaml" in result.stderr
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        watch_app(tmp_path)
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        watch_run(tmp_path / "notes.txt")


def test_an_address_that_cannot_be_had_is_refused(run: RunDirectory) -> None:
    with pytest.raises(WatchError, match="--host is '0.0.0.0', which names no one address"):
        watch_run(run.path, host="0.0.0.0")
    with watched(run) as port, pytest.raises(WatchError, match=f"127.0.0.1:{port} cannot be listened on: .*; choose"):
        watch_run(run.path, port=port)


def test_a_live_view_names_its_extra(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match='pip install "nashgossip\\[watch\\]"'):
        watch_run(run.path)
    result = CliRunner().invoke(app, ["watch", str(run.path)])
    assert result.exit_code == 2
    assert "a live view needs the package uvicorn, which is not installed" in result.stderr
