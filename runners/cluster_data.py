"""Has data read on a Ray cluster, where players run, so that this process sees no row."""

__all__ = ["asking"]

import contextlib
from collections.abc import Hashable, Iterator
from typing import Any

import ray
from ray.exceptions import RayTaskError

from ..games import PlayerSpec
from .cluster_session import ray_session
from .deployment import Deployment
from .where import Ask, summaries, summary_here


@contextlib.contextmanager
def asking(deployment: Deployment) -> Iterator[Ask]:
    """Connects to Ray for the time of the block, in which the run is played too; gives the `Ask` that asks there.

    One task reads what players share; a player with data of its own is asked on a node on which its actor may live.

    Arguments:
        deployment: which cluster, and where players may live.
    """

    def ask(experiment_yaml: str, players: list[Hashable] | None) -> list[PlayerSpec]:
        def task(function: Any, name: str) -> Any:
            labels = deployment.labels_of(name)
            options = {"num_cpus": 1, "max_retries": 0} | ({"label_selector": labels} if labels else {})
            return ray.remote(function).options(**options)

        try:
            if players is None:
                found: list[PlayerSpec] = ray.get(task(summaries, "").remote(experiment_yaml))
                return found
            return list(ray.get([task(summary_here, str(p)).remote(experiment_yaml, p) for p in players]))
        except RayTaskError as error:
            if isinstance(error.cause, ValueError):
                raise error.cause from error
            raise

    with ray_session(deployment):
        yield ask
