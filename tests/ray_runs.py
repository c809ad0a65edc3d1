"""What tests of runs on Ray share: a session, games, processes and journals."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import ray

from nashgossip.games import Game, Gaussian, Gossip, PlayerSpec
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
