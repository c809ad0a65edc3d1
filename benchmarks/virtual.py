"""Speed of the virtual engine beside the bare work of the same moves, measured in the same run.

1,000 Gaussian players with 8 statistics on a 4-regular graph, 100 samples a message, latency and loss on.
"""

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import Game, Gaussian, PlayerSpec, synthetic_data
from nashgossip.runners import Duration, Link, Network, virtual
from nashgossip.topology import attach_alpha, generate_graph


def main() -> None:
    """Prints moves per second of the engine, and of drawing and averaging the same rows in plain numpy."""
    players, size, samples, degree, units = 1000, 8, 100, 4, 30
    family, graph = Gaussian((size,)), attach_alpha(generate_graph("regular", n=players, d=degree, seed=1), 0.3)
    data = synthetic_data(family, players, 50, np.random.default_rng(0))
    game = Game(graph, {p: PlayerSpec(family=family, data=data[k], samples=samples) for k, p in enumerate(graph)})
    latency = Duration("exponential", 0.3)
    network = Network(compute=Duration("exponential"), link=Link(latency=latency, loss=0.1))
    engine = virtual(game, seed=0, moves=units, every=10.0, network=network)
    next(engine)
    began = time.perf_counter()
    *_, last = engine
    ours = sum(view.moves for view in last.players) / (time.perf_counter() - began)
    rng, count = np.random.default_rng(0), 20_000
    began = time.perf_counter()
    for _ in range(count):
        rows = rng.standard_normal((samples, size))
        for _ in range(degree):
            rows.mean(axis=0)
    raw = count / (time.perf_counter() - began)
    print(f"virtual: moves_per_s {ours:.4g}, raw_moves_per_s {raw:.4g}, ratio {ours / raw:.3g}")


if __name__ == "__main__":
    main()
