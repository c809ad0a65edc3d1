"""What tests of runs on Ray share: a session, games, processes and journals, and trees that are compared bit by bit."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import ray

from nashgossip.games import Batch, Game, Gaussian, Gossip, PlayerSpec
from nashgossip.runners import read_journal
from nashgossip.topology import attach_alpha, generate_graph

PAIR = Gaussian((2,))


@contextlib.contextmanager
def ray_session(cpus: int = 2, models: ModuleType | None = None) -> Iterator[None]:
    """A session of this machine for the tests of a file.

    Arguments:
        cpus: of the session.
        models: a module whose classes travel to the actors by value, as they cannot import it.
    """
    cloudpickle: Any = ray.cloudpickle
    if models is not None:
        cloudpickle.register_pickle_by_value(models)
    ray.init(num_cpus=cpus, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()
        if models is not None:
            cloudpickle.unregister_pickle_by_value(models)


def ring_game(
    players: int = 4, model: Callable[[], Any] | None = None, *, generator: str = "ring", **settings: Any
) -> Game:
    """Pairs of normal variables, around another mean at each player; player 2 may bring a model of its own.

    Arguments:
        players: how many.
        model: makes the model of player 2.
        generator: of the graph.
        settings: `samples`, `rows`, and the `style` of gossip.
    """
    graph = attach_alpha(generate_graph(generator, n=players), 0.4)
    rows, samples = settings.get("rows", 24), settings.get("samples", 8)
    specs = {}
    for k, player in enumerate(graph):
        data = PAIR.space.batch({"x": np.random.default_rng(k).normal(k, 1.0, (rows, 2))})
        own: dict[str, Any] = {"model": model} if model is not None and k == 2 else {"smoothing": 1.0}
        gossip = Gossip(style=settings.get("style", "push"))
        specs[player] = PlayerSpec(family=PAIR, data=data, samples=samples, gossip=gossip, **own)
    return Game(graph, specs)


def frozen(tree: Any) -> Any:
    """A tree of arrays as something that == compares bit for bit."""
    if isinstance(tree, np.ndarray):
        return str(tree.dtype), tree.shape, tree.tobytes()
    if isinstance(tree, Batch):
        return frozen(dict(tree.arrays))
    if isinstance(tree, Mapping):
        return {str(key): frozen(value) for key, value in tree.items()}
    return [frozen(value) for value in tree] if isinstance(tree, list | tuple) else tree


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two trees of mappings, lists, arrays and values are not the same to the last bit."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if list(first) != list(second):
            return [f"{path}: keys {list(first)} and {list(second)}"]
        return [found for key in first for found in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if len(first) != len(second):
            return [f"{path}: lengths {len(first)} and {len(second)}"]
        pairs = enumerate(zip(first, second, strict=True))
        return [found for k, (a, b) in pairs for found in differences(a, b, f"{path}/{k}")]
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        same = first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
    else:
        same = type(first) is type(second) and first == second
    return [] if same else [f"{path}: {first!r} and {second!r}"]


def wait_until(holds: Callable[[], Any], seconds: float = 30.0) -> bool:
    """Whether a condition comes true before the bound."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(process: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def free_cpus() -> float:
    """CPUs of the session that nobody holds."""
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return free.get("CPU", 0.0)


def journal(storage: Path, actor: int) -> list[dict[str, Any]]:
    """The events of an actor."""
    return list(read_journal(storage / "logs" / f"actor-{actor:05d}.jsonl"))


def process_of(storage: Path, actor: int) -> int:
    """The process of an actor now, as its journal tells."""
    return int([e["process"] for e in journal(storage, actor) if "process" in e][-1])
