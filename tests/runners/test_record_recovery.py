"""Records of a run that was killed: none that was written is lost, none is doubled, and a live run can be read."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.runners import (
    PlayerView,
    Record,
    RecordWriter,
    Recovered,
    RunPath,
    read_records,
    record_files,
    run_path,
)
from nashgossip.runners import record_tables as module
from nashgossip.runners.records import read_trace

PLAYERS = ["a", "b", "c"]


def record(number: int, regrets: Any = (0.1, 0.3, 0.2)) -> Record:
    views = [PlayerView(number + k, None, {"accepted": number}, {}, 0.5) for k in range(3)]
    return Record(float(number), 0.1, 2 * number, number, views, np.array(regrets), np.array(regrets), None)


def abandoned(folder: RunPath | str, count: int, first: int = 0, **options: Any) -> RecordWriter:
    """A writer that wrote some records and was never closed, as if its process had been killed."""
    writer = RecordWriter(folder, PLAYERS, **options)
    for number in range(first, first + count):
        writer.write(record(number))
    return writer


def times(folder: RunPath | str, table: str = "run") -> list[float]:
    found: list[float] = read_records(folder, table)["time"].to_pylist()
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def whole(folder: RunPath | str, count: int) -> bool:
    """Whether records 0, 1, …, `count` − 1 are there, once each, with all their players."""
    numbers = [float(n) for n in range(count)]
    return times(folder) == numbers and times(folder, "players") == [n for n in numbers for _ in PLAYERS]


def test_a_live_run_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 6)
    writer = RecordWriter(tmp_path, PLAYERS)
    for number in range(10):
        writer.write(record(number))
        assert whole(tmp_path, number + 1)
    assert names(tmp_path) == [*(f"players-{k:05d}.parquet" for k in range(5)), "run-00000.parquet", "run-00001.arrows"]
    writer.close()
    assert whole(tmp_path, 10)
    assert not list(tmp_path.glob("*.arrows"))


def test_what_a_killed_process_wrote_is_recovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 6)
    abandoned(tmp_path, 9)
    with RecordWriter(tmp_path, PLAYERS, resume=True) as writer:
        assert writer.recovered == Recovered({"run": 3, "players": 3, "looks": 0}, 0, 0)
        assert whole(tmp_path, 9)
        assert not list(tmp_path.glob("*.arrows"))
        for number in range(9, 12):
            writer.write(record(number))
    assert whole(tmp_path, 12)


def test_recovering_twice_changes_nothing(tmp_path: Path) -> None:
    abandoned(tmp_path, 4)
    abandoned(tmp_path, 0, resume=True)
    writer = abandoned(tmp_path, 0, resume=True)
    assert writer.recovered == Recovered({"run": 0, "players": 0, "looks": 0}, 0, 0)
    assert whole(tmp_path, 4)


def test_without_resume_nothing_is_recovered_and_all_removed(tmp_path: Path) -> None:
    abandoned(tmp_path, 4).flush()
    abandoned(tmp_path, 2, first=4)
    assert RecordWriter(tmp_path, PLAYERS).recovered is None
    assert names(tmp_path) == []


def test_a_log_whose_part_is_written_doubles_nothing(tmp_path: Path) -> None:
    """A process that was killed between writing a part and removing the log."""
    writer = abandoned(tmp_path, 5)
    logs = {path: path.read_bytes() for path in tmp_path.glob("*.arrows")}
    writer.flush()
    for path, data in logs.items():
        path.write_bytes(data)
    assert whole(tmp_path, 5)
    again = abandoned(tmp_path, 0, resume=True)
    assert again.recovered == Recovered({"run": 0, "players": 0, "looks": 0}, 0, 0)
    assert whole(tmp_path, 5)


def test_going_back_to_parts_removes_what_came_later(tmp_path: Path) -> None:
    writer = abandoned(tmp_path, 4)
    parts = writer.flush()
    writer.write(record(4))
    assert len(list(tmp_path.glob("*.arrows"))) == 2
    with RecordWriter(tmp_path, PLAYERS, parts=parts) as again:
        assert again.recovered is None
        assert whole(tmp_path, 4)
        again.write(record(4))
    assert whole(tmp_path, 5)


def test_both_ways_of_going_on_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parts and resume were both given, expected one"):
        RecordWriter(tmp_path, PLAYERS, parts={"run": 0}, resume=True)


@settings(deadline=None, max_examples=60)
@given(table=st.sampled_from(["run", "players"]), share=st.floats(0, 1))
def test_wherever_a_log_ends_the_whole_records_are_there(table: str, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        abandoned(folder, 5)
        log = Path(folder) / f"{table}-00000.arrows"
        data = log.read_bytes()
        log.write_bytes(data[: round(share * len(data))])
        writer = abandoned(folder, 0, resume=True)
        assert writer.recovered is not None
        rows = writer.recovered.rows
        if table == "run":
            assert rows["players"] == 3 * rows["run"]
            assert whole(folder, rows["run"]) if rows["run"] else not list(Path(folder).glob("*.parquet"))
            assert writer.recovered.dropped_rows == 15 - 3 * rows["run"]
        else:
            assert (rows["run"], rows["players"] % 3, writer.recovered.dropped_rows) == (5, 0, 0)
        assert (rows[table] < (5 if table == "run" else 15)) == (round(share * len(data)) < len(data))
        assert not list(Path(folder).glob("*.arrows"))


def test_the_players_of_half_a_record_are_dropped_from_parts_too(tmp_path: Path) -> None:
    abandoned(tmp_path, 4).flush()
    (tmp_path / "run-00000.parquet").unlink()
    log = abandoned(tmp_path / "other", 2)
    log.flush()
    (tmp_path / "other" / "run-00000.parquet").rename(tmp_path / "run-00000.parquet")
    writer = abandoned(tmp_path, 0, resume=True)
    assert writer.recovered == Recovered({"run": 0, "players": 0, "looks": 0}, 6, 0)
    assert str(writer.recovered) == (
        "recovered rows of records: 0 of run, 0 of players, 0 of looks; dropped what was half written: 6 rows, 0 bytes"
    )
    assert whole(tmp_path, 2)


def test_a_process_killed_in_the_midst_loses_no_record(tmp_path: Path) -> None:
    """The child says which records it has written; all of them, and no half one, are there after SIGKILL."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_record_recovery import PLAYERS, record, module, RecordWriter\n"
        "module._ROWS = 50\n"
        "writer = RecordWriter(sys.argv[1], PLAYERS)\n"
        "number = 0\n"
        "while True:\n"
        "    writer.write(record(number)); number += 1\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 230:
                break
        os.kill(process.pid, signal.SIGKILL)
        told = [int(line), *(int(rest) for rest in process.stdout.read().split("\n")[:-1])][-1]
    finally:
        process.kill()
        process.wait(30)
    writer = abandoned(tmp_path, 0, resume=True)
    count = len(read_records(tmp_path))
    assert told <= count <= told + 1  # the last one may have been written and not told
    assert whole(tmp_path, count)
    assert writer.recovered is not None
    assert writer.recovered.dropped_bytes == 0


def test_the_figures_of_absent_players_are_null(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, PLAYERS) as writer:
        writer.write(record(0, regrets=(0.1, np.nan, 0.2)))
        writer.write(record(1))
    assert read_records(tmp_path, "players")["regret"].to_pylist() == [0.1, None, 0.2, 0.1, 0.3, 0.2]
    assert read_records(tmp_path, "players")["error"].null_count == 1
    assert read_records(tmp_path)["nash_gap"].to_pylist() == [None, 0.3]
    first, second = read_trace(tmp_path)
    assert first.regrets is not None
    np.testing.assert_array_equal(first.regrets, [0.1, np.nan, 0.2])
    assert second.regrets is not None
    assert not np.isnan(second.regrets).any()


@pytest.mark.parametrize("count", [3, 300])
def test_few_and_many_rows_are_written_alike(count: int, tmp_path: Path) -> None:
    regrets = np.where(np.arange(count) % 2, np.nan, 0.5)
    views = [PlayerView(k, None, {"accepted": k}, {}, 0.5) for k in range(count)]
    with RecordWriter(tmp_path, range(count)) as writer:
        writer.write(Record(1.0, 0.1, 2, 3, views, regrets, None, None))
    (row, other) = read_records(tmp_path, "players").to_pylist()[:2]
    assert (row["player"], row["regret"], row["error"], row["accepted"]) == ("0", 0.5, None, 0)
    assert (other["player"], other["regret"], other["duplicate"], other["moves"]) == ("1", None, None, 1)


def test_elsewhere_parts_alone_are_written_and_more_often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = run_path(f"memory://{tmp_path.name}/records")
    abandoned(folder, 3).flush()
    assert [path.name for path in folder.iterdir()] == ["players-00000.parquet", "run-00000.parquet"]
    monkeypatch.setattr(module, "_SECONDS_WITHOUT_LOG", -1.0)
    writer = abandoned(folder, 2, first=3, resume=True)
    assert whole(folder, 5)
    data = (folder / "run-00002.parquet").read_bytes()
    (folder / "run-00002.parquet").write_bytes(data[:-5])  # as a storage may leave it where no put is whole or nothing
    writer = abandoned(folder, 0, resume=True)
    assert writer.recovered == Recovered({"run": 0, "players": 0, "looks": 0}, 3, len(data) - 5)
    assert whole(folder, 4)
    assert pq.read_metadata(folder.joinpath("run-00001.parquet").open("rb")).num_rows == 1


def test_records_that_never_hold_still_are_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "_ATTEMPTS", 3)
    writer = abandoned(tmp_path, 1)
    read = record_files.read_part

    def meanwhile(path: RunPath) -> Any:
        writer.write(record(1))
        writer.flush()
        return read(path)

    writer.flush()
    monkeypatch.setattr(record_files, "read_part", meanwhile)
    with pytest.raises(TimeoutError, match="changed 3 times while they were read; read again"):
        read_records(tmp_path)
