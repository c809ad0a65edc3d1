"""A Ray cluster of several raylets on this machine, whose raylets tests kill and replace."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import ray
from ray._private import node as ray_node
from ray._private.parameter import RayParams

from nashgossip.runners.cluster_loopback import loopback

# A raylet that was killed refuses the connection at once, and is given up after three of these checks; one that is slow
# to answer on a busy machine has three times 5 s.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 200,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3,
}
START_S = 120.0


class Raylets:
    """A head and `workers` more raylets on loopback; this process has joined them, connected to the head.

    Neither dashboard, log monitor nor autoscaler is started: 4 s for the head, 2 s for each further raylet on 2 cores.
    The address is not left in /tmp/ray, where `ray.init()` of another process would find it. All processes end with
    this one, however it ends.

    Arguments:
        workers: raylets besides the head; they can be killed.
        cpus: of each worker.
        head_cpus: of the head; 0 keeps every actor on a raylet that can be killed.
        memory: bytes of each object store.
        config: of Ray's `_system_config`, over `HEALTH`.
        labels: of each worker's node; none by default.
    """

    def __init__(
        self,
        workers: int = 2,
        *,
        cpus: float = 2,
        head_cpus: float = 0,
        memory: int = 200 * 2**20,
        config: dict[str, Any] | None = None,
        labels: Sequence[dict[str, str]] = (),
    ) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._cpus, self._memory = cpus, memory
        self._folder = tempfile.mkdtemp(prefix="raylets-", dir="/tmp")  # sockets allow for 107 characters
        self._nodes: dict[str, Any] = {}
        self._processes: list[Any] = []
        self._held = contextlib.ExitStack()
        self._held.enter_context(loopback())  # whoever joins a cluster on loopback needs the switch too
        try:
            self._head = self._start(head_cpus, head=True, config={**HEALTH, **(config or {})})
            self.workers = [self.add(labels=mine) for mine in labels or [{}] * workers]
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """What `ray.init(address=…)` and RAY_ADDRESS take."""
        return str(self._nodes[self._head].gcs_address)

    @property
    def head(self) -> str:
        """The node id of the head."""
        return self._head

    def alive(self) -> set[str]:
        """Node ids of the raylets that Ray holds for alive."""
        return {node["NodeID"] for node in ray.nodes() if node["Alive"]}

    def add(self, cpus: float | None = None, labels: dict[str, str] | None = None) -> str:
        """Starts one more raylet and waits until it is known: its node id."""
        return self._start(self._cpus if cpus is None else cpus, labels=labels)

    def kill(self, node_id: str) -> None:
        """Kills a raylet with SIGKILL, and waits until Ray has noticed; its workers end by themselves."""
        node = self._nodes.pop(node_id)
        (info,) = node.all_processes["raylet"]
        self._remember(info.process.pid)
        info.process.kill()
        info.process.wait(START_S)
        self.wait(lambda: node_id not in self.alive(), f"raylet {node_id} is still held for alive")

    def wait(self, holds: Callable[[], bool], otherwise: str, seconds: float = START_S) -> None:
        """Waits until something holds.

        Raises:
            TimeoutError: it does not.
        """
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{otherwise} after {seconds:g} s")
            time.sleep(0.02)

    def close(self) -> None:
        """Leaves the cluster and ends all of its processes."""
        ray.shutdown()
        for node in reversed(self._nodes.values()):
            for infos in node.all_processes.values():
                self._remember(*(info.process.pid for info in infos))
            node.kill_all_processes(check_alive=False, allow_graceful=True, wait=True)
        self._nodes.clear()
        for process in self._processes:
            if process.is_running():
                process.kill()
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(
        self,
        cpus: float,
        *,
        head: bool = False,
        config: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
    ) -> str:
        settings = RayParams(
            num_cpus=cpus,
            num_gpus=0,
            object_store_memory=self._memory,
            min_worker_port=0,
            max_worker_port=0,
            include_log_monitor=False,
            temp_dir=self._folder,
            dashboard_agent_listen_port=0,
            node_manager_port=0,
            labels=labels or {},
            **(
                {"include_dashboard": False, "dashboard_port": None, "no_monitor": True, "_system_config": config}
                if head
                else {"gcs_address": self.address, "redis_address": self._nodes[self._head].redis_address}
            ),
        )
        node = ray_node.Node(settings, head=head, shutdown_at_exit=False, spawn_reaper=True)
        self._nodes[str(node.node_id)] = node
        return str(node.node_id)

    def _remember(self, *pids: int) -> None:
        """Notes processes and their children, which would otherwise be lost sight of when these end."""
        import psutil  # Ray's own copy, on the path since ray was imported

        for pid in pids:
            try:
                process = psutil.Process(pid)
                self._processes += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue


@pytest.fixture
def raylets() -> Iterator[Callable[..., Raylets]]:
    """Starts clusters, `raylets(workers=2)`, which end with the test."""
    started: list[Raylets] = []

    def start(**options: Any) -> Raylets:
        started.append(Raylets(**options))
        return started[-1]

    yield start
    for cluster in started:
        cluster.close()
