"""Speed of the foundation, each figure beside a raw limit measured in the same run.

`make bench` runs all of it: moves per second of `rounds`, one column of the influence matrix of 10,000 players, and the
start of ten Ray actors. Prints one JSON object with `--json`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import Game, PlayerSpec, load_digits, split_dataset
from nashgossip.games.families import family_for
from nashgossip.runners import play
from nashgossip.topology import attach_alpha, generate_graph, influence, listening_matrix, self_weights


def digits_game(players: int, samples: int) -> Game:
    """Players on a 4-regular graph with optical digits, class-conditional Bernoulli pixels."""
    data = load_digits(binarize=0.5)
    family = family_for("class-conditional-bernoulli", data.batch.space, label=data.label)
    graph = attach_alpha(generate_graph("regular", n=players, d=4, seed=1), 0.3)
    shards = split_dataset(data, players, np.random.default_rng(0), kind="iid")
    specs = {
        p: PlayerSpec(family=family, data=shard.train, smoothing=1.0, samples=samples)
        for p, shard in zip(graph, shards, strict=True)
    }
    return Game(graph, specs)


def bench_rounds(seconds: float) -> dict[str, Any]:
    """Moves per second of `rounds` with monitoring on every round, against the bare arithmetic of the same moves.

    The raw limit draws the same rows and sums the same statistics for every edge in plain numpy, without messages,
    checks, mailboxes, weights or measurement.
    """
    players, samples, degree, classes, pixels = 100, 16, 4, 10, 64
    game = digits_game(players, samples)
    play(game, "rounds", moves=3)
    rounds = max(int(seconds * 4000 / players), 10)
    began = time.perf_counter()
    play(game, "rounds", moves=rounds, seed=1)
    ours = players * rounds / (time.perf_counter() - began)

    rng = np.random.default_rng(0)
    shares, means = np.full(classes, 1 / classes), rng.random((classes, pixels))
    cumulative, each = np.cumsum(shares), np.arange(classes)

    def bare_move() -> None:
        labels = np.searchsorted(cumulative[:-1], rng.random(samples), side="right")
        x = (rng.random((samples, pixels)) < means[labels]).view(np.uint8)
        total = np.zeros((classes, pixels))
        for _ in range(degree):
            total += (labels[:, None] == each).astype(float).T @ x.astype(float)

    raw = rate_of(bare_move, seconds / 2)
    return {"moves_per_s": ours, "raw_moves_per_s": raw, "ratio": ours / raw}


def bench_influence() -> dict[str, Any]:
    """One column of B for 10,000 players of mean degree 8, against the bare products of a fixed-point iteration."""
    graph = attach_alpha(generate_graph("small_world", n=10_000, k=8, p=0.2, seed=3), 0.3)
    influence(graph, sources=[0])
    began = time.perf_counter()
    influence(graph, sources=[0])
    ours = time.perf_counter() - began
    w, d = listening_matrix(graph, sparse=True), self_weights(graph)
    began = time.perf_counter()
    start = np.zeros(len(d))
    start[0] = d[0]
    column = start
    for _ in range(80):
        column = start + w @ column
    return {"column_s": ours, "raw_column_s": time.perf_counter() - began}


def bench_start() -> dict[str, Any]:
    """Start of ten Ray actors, from the call to the first observation, against ten bare Ray actors."""
    import ray

    import nashgossip.agents.actor  # noqa: F401 - the driver's own imports are not what is measured
    from nashgossip.runners import cluster

    began = time.perf_counter()
    ray.init(num_cpus=len(os.sched_getaffinity(0)), log_to_driver=False, logging_level="ERROR")
    session = time.perf_counter() - began

    class Bare:
        def hello(self) -> int:
            return 1

    def start_bare() -> None:
        actors = [ray.remote(Bare).options(num_cpus=0.1).remote() for _ in range(10)]
        ray.get([a.hello.remote() for a in actors])
        for a in actors:
            ray.kill(a)

    def start_ours() -> None:
        engine = cluster(game, seed=0, moves=1)
        next(engine)
        engine.close()

    game = digits_game(10, 16)
    times = {name: once(call) for name, call in (("actors_s", start_ours), ("raw_actors_s", start_bare))}
    ray.shutdown()
    return {"session_s": session, **times}


def once(call: Callable[[], None]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def rate_of(call: Callable[[], None], seconds: float) -> float:
    """Calls per second, over about `seconds`."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(50):
            call()
        count += 50
    return count / (time.perf_counter() - began)


def main() -> None:
    """Runs the benchmarks and prints them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the timed loops")
    options = parser.parse_args()
    figures = {"rounds": bench_rounds(options.seconds), "influence": bench_influence(), "start": bench_start()}
    if options.json:
        print(json.dumps(figures))
        return
    for name, values in figures.items():
        print(name + ": " + ", ".join(f"{key} {value:.4g}" for key, value in values.items()))


if __name__ == "__main__":
    main()
