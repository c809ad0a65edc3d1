"""Records on disk: what is written comes back, in parts that are whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.runners import PlayerView, Record, RecordWriter, read_records
from nashgossip.runners import record_tables as module

PLAYERS: list[Any] = [0, "b"]


def record(number: int, *, closed_form: bool = True) -> Record:
    letters = {"accepted": number, "duplicate": 1, "outdated": 2, "replaced": 3}
    views = [
        PlayerView(number, None, letters, {"shape": 1, "finite": number}, 0.5),
        PlayerView(number + 1, None, letters, {}, 1.5),
    ]
    known = closed_form or None
    return Record(
        time=float(number),
        seconds=number / 10,
        messages=2 * number,
        bytes=16 * number,
        players=views,
        regrets=known and np.array([0.1, 0.3]),
        errors=known and np.array([3.0, 4.0]),
        amplitude=known and 1.0,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "records"
    with RecordWriter(folder, PLAYERS) as writer:
        writer.write(record(0))
        writer.write(record(1))
    assert read_records(folder).to_pylist() == [
        {
            "time": float(n),
            "seconds": n / 10,
            "messages": 2 * n,
            "bytes": 16 * n,
            "undelivered": 0,
            "nash_gap": 0.3,
            "error_rms": pytest.approx(np.sqrt(12.5)),
            "amplitude": 1.0,
        }
        for n in (0, 1)
    ]
    each = read_records(folder, "players").to_pylist()
    assert [(row["time"], row["player"], row["moves"]) for row in each] == [
        (0.0, "0", 0),
        (0.0, "b", 1),
        (1.0, "0", 1),
        (1.0, "b", 2),
    ]
    assert each[2] == {
        "time": 1.0,
        "player": "0",
        "moves": 1,
        "regret": 0.1,
        "error": 3.0,
        "accepted": 1,
        "duplicate": 1,
        "outdated": 2,
        "replaced": 3,
        "rejected": 2,
        "staleness": 0.5,
    }


def test_figures_without_closed_form_are_null(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, PLAYERS) as writer:
        writer.write(record(0, closed_form=False))
    assert read_records(tmp_path)["nash_gap"].to_pylist() == [None]
    assert read_records(tmp_path)["error_rms"].to_pylist() == [None]
    assert read_records(tmp_path, "players")["regret"].to_pylist() == [None, None]


def test_parts_are_appended_and_never_touched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 4)
    with RecordWriter(tmp_path, PLAYERS) as writer:
        for number in range(4):
            writer.write(record(number))
        first = {path: path.read_bytes() for path in tmp_path.iterdir()}
        assert names(tmp_path) == ["players-00000.parquet", "players-00001.parquet", "run-00000.parquet"]
        for number in range(4, 10):
            writer.write(record(number))
    assert all(path.read_bytes() == content for path, content in first.items() if path.suffix == ".parquet")
    assert not [name for name in names(tmp_path) if not name.endswith(".parquet")]
    assert read_records(tmp_path)["time"].to_pylist() == [float(n) for n in range(10)]
    assert len(read_records(tmp_path, "players")) == 20


def test_parts_are_written_as_time_goes_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    with RecordWriter(tmp_path, PLAYERS) as writer:
        writer.write(record(0))
        assert names(tmp_path) == ["players-00000.parquet", "run-00000.parquet"]


def test_an_error_in_the_run_leaves_all_records(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), RecordWriter(tmp_path, PLAYERS) as writer:  # noqa: PT012
        writer.write(record(0))
        raise RuntimeError("stop")
    assert len(read_records(tmp_path)) == 1


def test_missing_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no records 'run' in .*; expected run-00000.parquet"):
        read_records(tmp_path)
