"""The cluster of raylets that other tests play on: a death is noticed, a new one joins, and nothing is left behind."""

import os
import time

import pytest
import ray
from ray.exceptions import ActorDiedError


class Placed:
    """An actor that says where it is."""

    def where(self) -> tuple[str, int]:
        return ray.get_runtime_context().get_node_id(), os.getpid()


@pytest.mark.slow
def test_a_killed_raylet_is_noticed_and_replaced_and_nothing_is_left(raylets) -> None:
    cluster = raylets(workers=2, cpus=1)
    assert cluster.alive() == {cluster.head, *cluster.workers}
    actors = [ray.remote(Placed).options(num_cpus=1).remote() for _ in range(2)]
    places = ray.get([actor.where.remote() for actor in actors], timeout=60)
    assert {node for node, _ in places} == set(cluster.workers)

    began = time.monotonic()
    cluster.kill(places[0][0])
    assert time.monotonic() - began < 10
    with pytest.raises(ActorDiedError):
        ray.get(actors[0].where.remote(), timeout=60)
    assert ray.get(actors[1].where.remote(), timeout=60) == places[1]

    added = cluster.add()
    assert cluster.alive() == {cluster.head, places[1][0], added}
    another = ray.remote(Placed).options(num_cpus=1).remote()
    assert ray.get(another.where.remote(), timeout=60)[0] == added

    noted = cluster._processes
    cluster.close()
    assert not ray.is_initialized()
    assert len(noted) > 5
    cluster.wait(lambda: not any(process.is_running() for process in noted), "a process is left", 10)
    assert not any(os.path.exists(f"/proc/{pid}") for _, pid in places)
