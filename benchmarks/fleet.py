"""Fleets beside the raw limit of the same run, a bare sparse product and noise draw; and how cost grows with N."""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nashgossip.games import (
    FleetGame,
    FleetOracle,
    FleetSchedule,
    array_graph,
    predict_fleet,
    synthetic_family,
    synthetic_fleet,
)
from nashgossip.games.fleet_blocks import Blocks
from nashgossip.runners.fleet import fleet
from nashgossip.runners.fleet_clocks import Clocks
from nashgossip.runners.fleet_rounds import Rounds

STATISTICS, DEGREE = 16, 8
FLOAT = np.dtype("float32")


def game_of(n: int) -> FleetGame:
    rng = np.random.default_rng(0)
    shares = array_graph("array_k_out", rng, n=n, k=DEGREE)
    return synthetic_fleet(synthetic_family("gaussian", STATISTICS), shares, rng, spread=4.0, start="common")


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Every work in turn, `repeats` times, so that a busy machine is as busy for all."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            found[name].append(seconds(work))
    return {name: times[1:] for name, times in found.items()}  # the first one touches new memory


def one_size(n: int, threads: int | None, repeats: int) -> dict[str, Any]:
    """Medians over interleaved repeats, in seconds; `ratio` is of a round to product plus noise."""
    game = game_of(n)
    y = np.random.default_rng(1).standard_normal((n, STATISTICS), dtype=np.float32)
    out, rng = np.empty_like(y), np.random.default_rng(2)
    with Blocks(threads) as blocks, Blocks(1) as alone:
        rounds = Rounds(game, 1, FLOAT, blocks, fresh=False)
        single = Rounds(game, 1, FLOAT, alone, fresh=False)
        clocks = Clocks(game, 1, FLOAT, blocks, FleetSchedule("poisson"))
        times = interleaved(
            {
                "product": lambda: game.listening @ y,
                "noise": lambda: rng.standard_normal(dtype=np.float32, out=out),
                "round": lambda: rounds.play(rounds.time + 1),
                "round on one thread": lambda: single.play(single.time + 1),
                "move per player on clocks": lambda: clocks.play(clocks.time + 1),
            },
            repeats,
        )
        used = blocks.threads
    medians = {name: statistics.median(found) for name, found in times.items()}
    raw = [a + b for a, b in zip(times["product"], times["noise"], strict=True)]
    for name in ("round", "round on one thread"):
        medians[f"{name} ÷ raw"] = statistics.median([a / b for a, b in zip(times[name], raw, strict=True)])
    return {"players": n, "threads": used, **medians, "ns per player and round": medians["round"] / n * 1e9}


def to_the_floor(n: int, threads: int | None) -> dict[str, Any]:
    """A whole run, with equilibrium and predicted floor, until the error is within 1 % of the floor."""
    began = time.perf_counter()
    game = game_of(n)
    built = time.perf_counter()
    oracle = FleetOracle(game, threads)
    _, floor = predict_fleet(game, FleetSchedule(), oracle=oracle)
    predicted = time.perf_counter()
    assert floor is not None
    for observed in fleet(game, seed=1, moves=200, every=2, threads=threads):
        error = float(np.sqrt((oracle.errors(observed.mean_parameters) ** 2).mean()))
        if error <= 1.01 * floor.rms:
            break
    done = time.perf_counter()
    return {
        "players": n,
        "building the game": built - began,
        "equilibrium and floor": predicted - built,
        "playing": done - predicted,
        "whole": done - began,
        "rounds": observed.time,
        "error": error,
        "floor": floor.rms,
        "largest memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def main() -> None:
    """Prints one JSON object a line: sizes from 10³ on, then the run to the floor at the largest size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=1_000_000, help="players of the largest game")
    parser.add_argument("--threads", type=int, default=None, help="by default one for each processor")
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    print(json.dumps(to_the_floor(chosen.largest, chosen.threads)), flush=True)
    n = 1000
    while n <= chosen.largest:
        print(json.dumps(one_size(n, chosen.threads, chosen.repeats)), flush=True)
        n *= 10


if __name__ == "__main__":
    main()
