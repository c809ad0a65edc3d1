"""How the actors of a run find each other, and end themselves: what goes with them into their processes."""

__all__ = ["AbsentError", "find", "finder", "leave", "living"]

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
from ray.util import list_named_actors

from .cluster_pack import find_pack, remove_pack

_LAST_S = 60.0
_LOOK_S = 0.5


class AbsentError(LookupError):
    """A run has no actor of a number now.

    Not `ray.exceptions.RayActorError`, which tells of one that was there.
    """

    def __init__(self, run: str, index: int) -> None:
        super().__init__(run, index)
        self.index = index

    def __str__(self) -> str:
        return f"run {self.args[0]} has no actor {self.index} now"


def find(namespace: str, run: str, index: int) -> Any:
    """The handle of an actor of a run; None if there is none, or it is dead for good."""
    try:
        return ray.get_actor(f"{run}/{index}", namespace)
    except ValueError:
        return None


def finder(namespace: str, run: str) -> Callable[[int], Any]:
    """For actors: number → handle, or AbsentError."""
    return partial(_found, namespace, run)


def living(namespace: str, run: str) -> set[int]:
    """The numbers of the actors of a run that live, or are being restarted."""
    found = list_named_actors(all_namespaces=True)
    here = [entry["name"] for entry in found if entry["namespace"] == namespace]
    return {int(name.rpartition("/")[2]) for name in here if name.rpartition("/")[0] == run}


def leave(namespace: str, run: str, alone: Callable[[], bool]) -> bool:
    """Ends the actor that calls it, for good; whether it has.

    Of a run whose actors were packed the first of those that live goes last, and gives back what was reserved.

    Arguments:
        namespace: of the actors' names.
        run: name of the run.
        alone: whether nobody wants the actor still; if not it stays.
    """
    context = ray.get_runtime_context()
    me, number = context.current_actor, int(str(context.get_actor_name()).rpartition("/")[2])
    if find_pack(run) is not None and number == min(living(namespace, run), default=number):
        end = time.monotonic() + _LAST_S
        while (others := living(namespace, run) - {number}) and alone() and time.monotonic() < end:
            time.sleep(_LOOK_S)
        if not others and alone():
            remove_pack(run)
    if not alone():
        return False
    ray.kill(me)
    return True


def _found(namespace: str, run: str, index: int) -> Any:
    handle = find(namespace, run, index)
    if handle is None:
        raise AbsentError(run, index)
    return handle
