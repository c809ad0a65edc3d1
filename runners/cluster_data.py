"""Has data read on a Ray cluster, where players run, so that this process sees no row."""

__all__ = ["asking"]

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, final

import ray
from ray.exceptions import RayError, RayTaskError

from ..games import PlayerSpec
from .cluster_errors import StartError, named
from .cluster_limits import start_limit
from .cluster_session import ray_session
from .deployment import Deployment
from .where import Ask, summaries, summary_here


@contextlib.contextmanager
def asking(deployment: Deployment) -> Iterator[Ask]:
    """Connects to Ray for the time of the block, in which the run is played too; gives the `Ask` that asks there.

    One task reads what players share; a player with data of its own is asked on a node on which its actor may live. The
    `Ask` raises StartError where no node takes a task up, or its process dies.

    Arguments:
        deployment: which cluster, and where players may live.
    """
    with ray_session(deployment):
        yield _Asking(deployment)


@final
class _Asking:
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def __call__(self, experiment_yaml: str, players: list[Hashable] | None) -> list[PlayerSpec]:
        self._require_nodes([""] if players is None else [str(p) for p in players])
        try:
            if players is None:
                found: list[PlayerSpec] = ray.get(self._task(summaries, "").remote(experiment_yaml))
                return found
            return list(ray.get([self._task(summary_here, str(p)).remote(experiment_yaml, p) for p in players]))
        except RayTaskError as error:
            if isinstance(error.cause, ValueError):
                raise error.cause from error
            raise
        except RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise StartError(f"a process that reads the players' data died: {reason}") from error

    def _require_nodes(self, players: Sequence[str]) -> None:
        """Waits, with a bound, until a task that does nothing has run wherever one is to read; reading has no bound.

        Raises:
            StartError: no node takes one up.
        """
        limit = start_limit(len(players))
        tasks = {self._task(_nothing, player).remote(): player for player in players}
        _, waiting = ray.wait(list(tasks), num_returns=len(tasks), timeout=limit)
        if not waiting:
            return
        for task in waiting:
            ray.cancel(task)
        silent = [tasks[task] for task in waiting]
        labels = {str(found): None for player in silent if (found := self._deployment.labels_of(player))}
        who = named(silent) if all(silent) else "the players"
        where, remedy = " with a free CPU", "end other runs, or start more nodes"
        if labels:
            where = f" with labels {', '.join(labels)} and a free CPU"
            remedy = "start nodes with these labels (ray start --labels=…), or change cluster.labels and cluster.nodes"
        raise StartError(f"no node{where} was there within {limit:.0f} s to read the data of {who}; {remedy}")

    def _task(self, function: Any, player: str) -> Any:
        labels = self._deployment.labels_of(player)
        options = {"num_cpus": 1, "max_retries": 0} | ({"label_selector": labels} if labels else {})
        return ray.remote(function).options(**options)


def _nothing() -> None:
    """What it takes to know that a node is there."""
