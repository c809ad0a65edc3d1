"""A run on three raylets whose actors, nodes and driver are killed while it plays: it ends where theory says."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from nashgossip.runners import read_journal, read_records

from ..ray_runs import alive

pytestmark = pytest.mark.slow

PLAYERS = 10
CHAOS = f"""\
name: chaos
seed: 5
topology: {{generator: small_world, arguments: {{n: {PLAYERS}, k: 4, p: 0.2}}}}
alpha: {{self_weight: 0.5}}
data: {{rows: 60}}
model: {{family: gaussian, dimension: 6}}
play:
  {{runner: ray, moves: 240, samples: 30, rate: 5.0, every: 0.25, measure: 50, checkpoint_seconds: 2.0, patience: 120}}
cluster: {{on_failure: restart, restarts: 30, cpus: 0.5}}
"""
BOUND_S = 120.0
KILLS = 8


class Run:
    """A run in a process of its own, seen through what it writes."""

    def __init__(self, folder: Path, address: str) -> None:
        self.path, self._folder, self._address = folder / "run", folder, address
        (folder / "chaos.yaml").write_text(CHAOS)
        self.process: Any = None

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nashgossip.runners", *arguments, "--address", self._address, "--json"]
        self.process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def records(self, name: str = "run") -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = read_records(self.path / "records", name).to_pylist()
        except FileNotFoundError:
            return []
        return found

    def events(self, pattern: str = "actor-*.jsonl") -> Iterator[dict[str, Any]]:
        for path in sorted((self.path / "logs").glob(pattern)):
            yield from read_journal(path)

    def processes(self) -> dict[int, int]:
        """Number of each actor → its process now, as its journal tells."""
        return {event["actor"]: event["process"] for event in self.events() if "process" in event}


def started(run: Run, records: int) -> bool:
    assert run.process.poll() is None, run.process.communicate()[1][-3000:]
    return len(run.records()) >= records


def wait_for(holds: Callable[[], Any], what: str, bound: float = BOUND_S) -> None:
    end = time.monotonic() + bound
    while not holds():
        assert time.monotonic() < end, f"{what} has not happened in {bound:g} s"
        time.sleep(0.05)


def kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(420)
def test_what_is_killed_comes_back_and_the_run_ends_at_the_predicted_floor(
    tmp_path: Path, raylets: Callable[..., Any]
) -> None:
    cluster, rng = raylets(workers=2, cpus=8), np.random.default_rng(1)
    run = Run(tmp_path, cluster.address)
    run.start("run", "chaos.yaml", "--out", "run")
    wait_for(lambda: started(run, 8), "the start")
    killed: Counter[int] = Counter()

    def kill_an_actor() -> None:
        living = run.processes()
        actor = int(rng.choice(sorted(living)))
        if kill(living[actor]):
            killed[actor] += 1
        time.sleep(float(rng.uniform(1.5, 3.0)))

    for number in range(KILLS):
        kill_an_actor()
        if number == 2:
            cluster.kill(cluster.workers.pop())
            cluster.workers.append(cluster.add())
        if number == 5:
            before = run.records(), run.records("players")
            run.process.kill()
            run.process.wait()
            kill_an_actor()  # while nobody looks on
            run.start("resume", "run")
            seen = len(before[0])
            wait_for(lambda n=seen: started(run, n + 5), "the second start")
    output, errors = run.process.communicate(timeout=BOUND_S + 120)
    assert run.process.returncode == 0, errors[-3000:]
    summary = json.loads(output)

    # every player went on, and the run settled where theory says
    assert summary["outcome"] == "converged", summary
    floor, rms = summary["predicted"]["noise_floor_rms"], summary["equilibrium_error"]["rms"]
    assert 0.7 <= rms / floor <= 1.3
    assert sum(killed.values()) >= KILLS // 2
    restored = Counter(event["actor"] for event in run.events() if event["event"] == "restored")
    assert all(restored[actor] >= 1 for actor in killed)

    # no record is lost or doubled, and nothing that is counted falls
    records, players = run.records(), run.records("players")
    assert records[: len(before[0])] == before[0]
    assert players[: len(before[1])] == before[1]
    assert all(a["time"] <= b["time"] for a, b in itertools.pairwise(records))
    assert all(a["messages"] <= b["messages"] and a["bytes"] <= b["bytes"] for a, b in itertools.pairwise(records))
    assert len(players) == PLAYERS * len(records)
    assert [p["player"] for p in players] == [str(k) for k in range(PLAYERS)] * len(records)
    for name in map(str, range(PLAYERS)):
        moves = [p["moves"] for p in players if p["player"] == name]
        assert moves == sorted(moves)
        assert moves[-1] > 0.5 * summary["moves"] / PLAYERS
    assert summary["bytes"] == summary["messages"] * 30 * 6 * 8

    # no neighbour ever met a number that it had met before, or one below
    last = players[-PLAYERS:]
    assert sum(p["duplicate"] + p["outdated"] + p["rejected"] for p in players) == 0
    assert sum(p["accepted"] for p in last) > 0
    for _, group in itertools.groupby(
        sorted((e for e in run.events() if e["event"] == "restored"), key=lambda e: (e["actor"], e["time"])),
        key=lambda e: e["actor"],
    ):
        incarnations = [event["incarnation"] for event in group]
        assert incarnations == sorted(set(incarnations))

    # and nothing is left running
    wait_for(lambda: not any(alive(process) for process in run.processes().values()), "the end of all actors", 30.0)
    free = ray.cluster_resources()["CPU"]  # type: ignore[no-untyped-call]
    wait_for(lambda: ray.available_resources().get("CPU") == free, "the release of all CPUs", 30.0)  # type: ignore[no-untyped-call]
