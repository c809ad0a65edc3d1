"""Records that a run still writes: each is told once, in order, whether it lies in a part or in a log."""

from pathlib import Path

import numpy as np
import pytest

from nashgossip.runners import PlayerView, Record, RecordWriter, run_path
from nashgossip.runners.watch_tail import Fresh, RunTail, TakenBackError

NAMES = ["a", "b", "c"]


def record(k: int) -> Record:
    sizes = np.arange(1.0, 4.0) / (k + 1)
    return Record(float(k), k / 10, k, 8 * k, [PlayerView(k, None, {}, {}, 1.0)] * 3, sizes, sizes, 1.0)


def times(fresh: Fresh) -> list[float]:
    assert fresh.players.column("player").to_pylist() == NAMES * len(fresh.run)
    assert fresh.players.column("time").to_pylist() == np.repeat(fresh.run.column("time"), 3).tolist()
    return list(fresh.run.column("time").to_pylist())


@pytest.mark.parametrize(
    ("every", "more"), [(1, {}), (3, {}), (7, {}), (3, {"hostile": True, "private": True})], ids=str
)
def test_each_record_is_told_once_wherever_it_lies(tmp_path: Path, every: int, more: dict[str, bool]) -> None:
    tail = RunTail(tmp_path / "records", NAMES)
    assert tail.read().records == 0, "before the folder is there"
    told = list[float]()
    with RecordWriter(tmp_path / "records", NAMES, **more) as writer:
        for k in range(40):
            writer.write(record(k))
            if k % every == 0:
                told += times(tail.read())
                assert told == [float(i) for i in range(k + 1)]
            if k in (10, 11, 25):
                writer.flush()
    told += times(last := tail.read())
    assert told == [float(k) for k in range(40)]
    assert (last.records, last.half) == (40, 0)
    assert times(tail.read()) == []


def test_one_goes_on_after_any_number_of_records(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, NAMES) as writer:
        for k in range(20):
            writer.write(record(k))
            if k in (4, 5, 12):
                writer.flush()
        for after in range(21):
            fresh = RunTail(tmp_path, NAMES, after).read()
            assert times(fresh) == [float(k) for k in range(after, 20)]
            assert fresh.records == 20


def test_what_is_half_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, NAMES) as writer:
        for k in range(4):
            writer.write(record(k))
        log = tmp_path / "run-00000.arrows"
        whole = log.read_bytes()
    (tmp_path / "run-00000.parquet").unlink()
    tail = RunTail(tmp_path, NAMES)
    for size, expected in ((10, 0), (len(whole) - 300, 3), (len(whole) - 1, 3)):
        log.write_bytes(whole[:size])
        fresh = tail.read()
        assert fresh.records == expected
        assert fresh.half > 0
    log.write_bytes(whole)
    fresh = tail.read()
    assert (times(fresh), fresh.records, fresh.half) == ([3.0], 4, 0)


def test_a_part_without_its_end_is_not_told_and_counted(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, NAMES) as writer:
        writer.write(record(0))
    (tmp_path / "run-00001.parquet").write_bytes(b"PAR1half")
    fresh = RunTail(tmp_path, NAMES).read()
    assert (fresh.records, fresh.half) == (1, 8)


def test_records_that_are_taken_back_are_noticed(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, NAMES) as writer:
        for k in range(6):
            writer.write(record(k))
            writer.flush()
    shorter, again = RunTail(tmp_path, NAMES), RunTail(tmp_path, NAMES, 5)
    assert shorter.read().records == again.read().records == 6
    with RecordWriter(tmp_path, NAMES, parts={"run": 2, "players": 2, "looks": 0}) as writer:
        with pytest.raises(TakenBackError, match="part 5 of 'run' is gone"):
            shorter.read()
        for k in range(2, 6):
            writer.write(record(k))
            writer.flush()
        writer.write(record(4))
    with pytest.raises(TakenBackError, match="a record of time 4.0 comes after one of 5.0"):
        again.read()


def test_single_players_need_not_be_on_record(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, NAMES) as writer:
        writer.write(record(0))
    fresh = RunTail(tmp_path, ()).read()
    assert (fresh.records, len(fresh.players)) == (1, 0)


def test_records_on_other_storage_are_told_part_by_part() -> None:
    folder = run_path("memory://watched/records")
    tail = RunTail(folder, NAMES)
    assert tail.read().records == 0
    with RecordWriter(folder, NAMES) as writer:
        for k in range(6):
            writer.write(record(k))
            if k % 2:
                writer.flush()
                assert times(tail.read()) == [k - 1.0, float(k)]
    assert times(RunTail(folder, NAMES, 3).read()) == [3.0, 4.0, 5.0]
