"""How the actors of a run find each other, and end themselves: what goes with them into their processes."""

__all__ = ["find", "finder", "leave"]

from collections.abc import Callable
from functools import partial
from typing import Any

import ray


def find(namespace: str, run: str, index: int) -> Any:
    """The handle of an actor of a run; None if there is none, or it is dead for good."""
    try:
        return ray.get_actor(f"{run}/{index}", namespace)
    except ValueError:
        return None


def finder(namespace: str, run: str) -> Callable[[int], Any]:
    """For actors: number → handle, or LookupError."""
    return partial(_found, namespace, run)


def leave() -> None:
    """Ends the actor that calls it, for good."""
    ray.kill(ray.get_runtime_context().current_actor)


def _found(namespace: str, run: str, index: int) -> Any:
    handle = find(namespace, run, index)
    if handle is None:
        raise LookupError(f"run {run} has no actor {index} now")
    return handle
