"""The checkpoints of one player: the newest that can be read is found, in whatever process."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.runners import CheckpointError, CheckpointStore, RunPath, file_name, run_path


@pytest.fixture(params=["local", "memory"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> RunPath:
    return tmp_path / "players" if request.param == "local" else run_path(f"memory://{tmp_path.name}/players")


def damage(store: CheckpointStore, number: int) -> None:
    path = store.folder / f"{number:09d}.safetensors"
    path.write_bytes(path.read_bytes()[:-3])


def test_the_newest_is_found(parent: RunPath) -> None:
    store = CheckpointStore(parent, file_name("St. Mary's", 3))
    assert (store.latest(), store.numbers()) == (None, [])
    for number in (1, 2, 10):
        store.save({"mean": np.full(2, float(number))}, number)
    assert store.numbers() == [2, 10]
    number, tree = store.latest() or (None, None)
    assert (number, tree["mean"].tolist()) == (10, [10.0, 10.0])
    assert store.load(2)["mean"].tolist() == [2.0, 2.0]
    with pytest.raises(CheckpointError, match=r"000000001\.safetensors cannot be read"):
        store.load(1)


def test_stores_of_one_folder_do_not_meet(parent: RunPath) -> None:
    stores = [CheckpointStore(parent, file_name("same", k), kept=3) for k in range(2)]
    for k, store in enumerate(stores):
        for number in range(4):
            store.save([k, number], number)
    assert [store.latest() for store in stores] == [(3, [0, 3]), (3, [1, 3])]
    assert stores[0].numbers() == [1, 2, 3]


def test_a_damaged_newest_is_told_and_passed_over(parent: RunPath, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(parent, "a", kept=3)
    for number in (1, 2, 3):
        store.save(number, number)
    for number in (2, 3):
        damage(store, number)
    told: list[CheckpointError] = []
    assert store.latest(told.append) == (1, 1)
    assert ["000000003" in str(told[0]), "000000002" in str(told[1]), len(told)] == [True, True, 2]
    assert store.latest() == (1, 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    store.save(20, 2)  # going on from the first: the damaged third is of a future that was taken back
    assert store.numbers() == [1, 2]
    assert store.latest() == (2, 20)


def test_later_ones_are_forgotten_where_a_history_is_undone(parent: RunPath) -> None:
    store = CheckpointStore(parent, "a", kept=5)
    store.forget_after(0)
    for number in (0, 2, 5, 7):
        store.save(number, number)
    store.forget_after(7)
    assert store.numbers() == [0, 2, 5, 7]
    store.forget_after(2)
    assert store.numbers() == [0, 2]
    assert store.latest() == (2, 2)


def test_that_none_can_be_read_is_an_error(parent: RunPath) -> None:
    store = CheckpointStore(parent, "a")
    store.save(1, 1)
    damage(store, 1)
    with pytest.raises(CheckpointError, match=r"none of the checkpoints \[1\] in .* can be read; remove them"):
        store.latest()


def test_a_store_works_from_another_process_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store: Any = CheckpointStore(Path("runs"), "a")
    assert store.folder == tmp_path / "runs" / "a"
    code = "import pickle, sys; pickle.load(sys.stdin.buffer).save({'moves': 7}, 4)"
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(store), cwd="/", check=True, timeout=60)
    assert store.latest() == (4, {"moves": 7})
    assert pickle.loads(pickle.dumps(store)) == store


def test_what_is_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kept is 0, expected at least 1 checkpoint to stay"):
        CheckpointStore(tmp_path, "a", kept=0)
    with pytest.raises(ValueError, match="is no file name"):
        CheckpointStore(tmp_path, "../a")
