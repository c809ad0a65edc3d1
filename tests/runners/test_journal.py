"""The journal: every line comes back, whatever is in it, from threads, killed processes and other storage."""

import json
import math
import pickle
import re
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.runners import Journal, RunPath, read_journal, run_path
from nashgossip.runners import journal as module

anything = st.text(st.characters(codec=None), max_size=30)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything


@pytest.fixture(params=["local", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> RunPath:
    return (tmp_path if request.param == "local" else run_path(f"memory://{tmp_path.name}")) / "deep" / "events.jsonl"


def test_what_is_written_comes_back(path: RunPath) -> None:
    assert list(read_journal(path)) == []
    journal = Journal(path)
    journal.write("begun")
    journal.write("saved", level="warning", player=3, number=7, mean=np.arange(2.0), loss=np.float32(0.5), bad=math.nan)
    journal.close()
    first, second = read_journal(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert abs(datetime.fromisoformat(first["time"]).timestamp() - datetime.now().timestamp()) < 60
    assert {k: v for k, v in first.items() if k != "time"} == {"level": "info", "event": "begun", "player": None}
    assert second | {"time": None} == {
        "time": None,
        "level": "warning",
        "event": "saved",
        "player": "3",
        "number": 7,
        "mean": [0.0, 1.0],
        "loss": 0.5,
        "bad": None,
    }
    journal.write("again")
    journal.close()
    assert [entry["event"] for entry in read_journal(path)] == ["begun", "saved", "again"]


@settings(deadline=None, max_examples=60)
@given(event=anything, player=anything, value=st.recursive(plain, lambda x: st.lists(x) | st.dictionaries(anything, x)))
def test_any_text_comes_back_on_one_line(event: str, player: str, value: Any) -> None:
    line = module._line(event, "info", player, {"value": value})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    entry = json.loads(line)
    assert (entry["event"], entry["player"], entry["value"]) == (event, player, value)


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_what_json_cannot_hold_becomes_text(path: RunPath) -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    journal = Journal(path)
    journal.write("odd", a={1, 2}, b=Mute(), c=ring, d={(1, 2): 3}, e=Path("x"), f=b"\xff", g=10**5000)
    journal.write("deep", value=deep)
    journal.close()
    odd, nested = read_journal(path)
    assert (odd["a"], odd["c"], odd["d"], odd["e"]) == ("{1, 2}", "[[...]]", "{(1, 2): 3}", "x")
    assert odd["b"] == "<Mute whose text fails: RuntimeError>"
    assert odd["g"] == "<int whose text fails: ValueError>"
    assert nested["value"] == "<list whose text fails: RecursionError>"


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.write("x" * 200_000, player="\U0001f600" * 200_000, text="\U0001f600" * 300_000, number=1)
    journal.write("many", **{f"{k:0200d}": "y" * 1000 for k in range(2000)})
    journal.close()
    assert (tmp_path / "j").stat().st_size < 300_000
    first, second = read_journal(tmp_path / "j")
    assert first["cut"]["number"] == "1"
    assert 1000 < len(first["cut"]["text"]) < 10_000
    assert len(second["cut"]) <= 100


def test_the_file_is_bounded_and_one_older_kept(path: RunPath) -> None:
    journal = Journal(path, largest=5000)
    for number in range(300):
        journal.write("tick", number=number)
    journal.close()
    sizes = {entry.name: len(entry.read_bytes()) for entry in path.parent.iterdir()}
    assert set(sizes) == {"events.jsonl", "events.jsonl.old"}
    assert max(sizes.values()) <= 5000
    numbers = [entry["number"] for entry in read_journal(path)]
    assert numbers == list(range(numbers[0], 300))
    assert 50 < len(numbers) < 150


def test_half_a_line_is_passed_over_and_spoils_no_other(path: RunPath) -> None:
    journal = Journal(path)
    journal.write("first")
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"time": "2026')
    assert [entry["event"] for entry in read_journal(path)] == ["first"]
    journal.write("second")
    journal.close()
    assert [entry["event"] for entry in read_journal(path)] == ["first", "second"]
    path.write_bytes(path.read_bytes() + b'{"event": "whole but for its end"}')
    assert [entry["event"] for entry in read_journal(path)] == ["first", "second"]


def test_lines_of_several_threads_stay_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", largest=200_000)

    def work(worker: int) -> None:
        for number in range(200):
            journal.write("tick", player=worker, number=number, pad="é" * 50)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    journal.close()
    entries = list(read_journal(tmp_path / "j"))
    for worker in range(4):
        numbers = [entry["number"] for entry in entries if entry["player"] == str(worker)]
        assert numbers == list(range(200))[-len(numbers) :]
    assert len(entries) > 400


def test_a_killed_process_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal("j")
    journal.write("before")
    code = (
        "import os, pickle, signal, sys\n"
        "journal = pickle.load(sys.stdin.buffer)\n"
        "for number in range(50): journal.write('tick', number=number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(journal), cwd="/", timeout=60)
    assert done.returncode == -9
    journal.write("after")
    journal.close()
    assert [e.get("number", e["event"]) for e in read_journal("j")] == ["before", *range(50), "after"]


def test_elsewhere_lines_are_gathered_and_written_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.05)
    path = run_path(f"memory://{tmp_path.name}/j")
    written = threading.Event()
    whole = module.write_whole

    def write(*given_: Any) -> None:
        whole(*given_)
        written.set()

    monkeypatch.setattr(module, "write_whole", write)
    journal = Journal(path)
    journal.write("one")
    journal.write("two")
    assert written.wait(30)
    assert [entry["event"] for entry in read_journal(path)] == ["one", "two"]
    journal.close()


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with pytest.raises(ValueError, match="level is 'loud', expected one of: debug, info, warning, error"):
        journal.write("x", level="loud")
    with pytest.raises(ValueError, match="a field is called 'time', which is that of the line; call it otherwise"):
        journal.write("x", time=3)
    with pytest.raises(ValueError, match="largest is 0, expected at least 1 byte"):
        Journal(tmp_path / "j", largest=0)
    assert not (tmp_path / "j").exists()
