"""A Ray session on loopback: which sockets its processes listen on, with the switch and without."""

import json
import os
import subprocess
import sys

import pytest
from ray._private import ray_constants

from nashgossip.runners.cluster_loopback import LoopbackError, loopback

# Starts a session and an actor in a process of its own, and prints the addresses on which its processes listen.
SESSION = """
import contextlib, json, logging, os, sys, tempfile
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
from nashgossip.runners.cluster_loopback import loopback
import psutil  # Ray's own copy

class Somebody:
    def number(self):
        return os.getpid()

with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
    with loopback() if sys.argv[1] == "loopback" else contextlib.nullcontext():
        ray.init(num_cpus=1, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False,
                 logging_level=logging.ERROR, _temp_dir=folder)
    somebody = ray.remote(Somebody).remote()
    ours = {psutil.Process(), psutil.Process(ray.get(somebody.number.remote()))}
    ours |= {child for process in list(ours) for child in process.children(recursive=True)}
    found = [(p.name(), c.laddr.ip) for p in ours for c in p.net_connections("inet") if c.status == "LISTEN"]
    ray.shutdown()
print(json.dumps(found))
"""


def listening(how: str) -> list[tuple[str, str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", SESSION, how], capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_session_on_loopback_listens_nowhere_else() -> None:
    found = listening("loopback")
    assert {"gcs_server", "raylet"} <= {name for name, _ in found}
    assert len(found) >= 8
    assert {address.removeprefix("::ffff:") for _, address in found} == {"127.0.0.1"}


@pytest.mark.slow
def test_without_the_switch_it_listens_everywhere() -> None:
    assert {"gcs_server", "raylet"} <= {name for name, address in listening("open") if address in ("::", "0.0.0.0")}


@pytest.mark.parametrize("before", [None, "1"])
def test_the_switch_is_put_back(before, monkeypatch) -> None:
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    assert ray_constants.ENABLE_RAY_CLUSTER
    with loopback():
        assert not ray_constants.ENABLE_RAY_CLUSTER
        assert os.environ[name] == "0"
    assert ray_constants.ENABLE_RAY_CLUSTER
    assert os.environ.get(name) == before


def test_a_version_of_ray_without_the_switch_is_refused(monkeypatch) -> None:
    monkeypatch.delattr(ray_constants, "ENABLE_RAY_CLUSTER")
    with (
        pytest.raises(LoopbackError, match="has no switch ENABLE_RAY_CLUSTER .* constraints.txt, or .* namespace"),
        loopback(),
    ):
        pass
