"""The cluster beside bare Ray loops of the same run: messages between actors, many players in few actors, a soak.

Run: python benchmarks/cluster.py throughput | start | packed | memory | costs | soak | all [--seconds S]
"""

import argparse
import asyncio
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray

from nashgossip.agents import Source, State
from nashgossip.games import Batch, Game, PlayerSpec, Space, Variable, synthetic_data, synthetic_family
from nashgossip.runners import Deployment, cluster, play
from nashgossip.runners.cluster_loopback import loopback
from nashgossip.topology import attach_alpha, generate_graph

ACTORS = 4


class Parrot:
    """Says the same rows again and again and learns nothing: what is left is the way from actor to actor."""

    def __init__(self, size: int) -> None:
        self.space = Space((Variable("x", "real", (max(1, size // 8),)),))
        self._rows = self.space.batch({"x": np.random.default_rng(0).standard_normal((1, max(1, size // 8)))})

    def learn(self, sources: list[Source], rng: np.random.Generator) -> None:
        return

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self._rows

    def state(self) -> State:
        return {}

    def load(self, state: State) -> None:
        return


class Bare:
    """The same pattern without anything around it: each actor sends to two neighbours, one call on its way to each."""

    def __init__(self, size: int) -> None:
        self._content = {"x": np.random.default_rng(0).standard_normal((1, max(1, size // 8)))}
        self._held: dict[int, Any] = {}

    async def meet(self, peers: list[Any]) -> None:
        self._peers = peers

    async def take(self, sender: int, number: int, content: dict[str, Any]) -> None:
        self._held[sender] = content

    async def play(self, seconds: float) -> int:
        """How many messages were sent in these seconds."""
        until = time.monotonic() + seconds

        async def to(peer: Any, k: int) -> int:
            number = 0
            while time.monotonic() < until:
                await peer.take.remote(k, number, self._content)
                number += 1
            return number

        return sum(await asyncio.gather(*(to(peer, k) for k, peer in enumerate(self._peers))))


def ring(size: int) -> Game:
    """A ring of players with messages of `size` bytes."""
    graph = attach_alpha(generate_graph("ring", n=ACTORS), 0.5)
    rows = Parrot(size).generate(1, np.random.default_rng(0))
    return Game(graph, {p: PlayerSpec(model=lambda: Parrot(size), data=rows, samples=1) for p in graph})


def bare(size: int, seconds: float) -> float:
    """Messages a second of the bare loop."""
    actors = [ray.remote(Bare).options(num_cpus=0.1, max_concurrency=1000).remote(size) for _ in range(ACTORS)]
    ray.get([a.meet.remote([actors[(k + 1) % ACTORS], actors[(k - 1) % ACTORS]]) for k, a in enumerate(actors)])
    ray.get([a.play.remote(0.5) for a in actors])
    before = time.monotonic()
    sent = sum(ray.get([a.play.remote(seconds) for a in actors]))
    took = time.monotonic() - before
    for actor in actors:
        ray.kill(actor)
    return sent / took


def ours(size: int, seconds: float) -> tuple[float, bool]:
    """Messages a second of players who move without pause, and whether every byte was accounted for."""
    game = ring(size)
    first: Any = None
    for observed in cluster(game, seed=0, moves=10**9, every=0.5, rate=None, deployment=Deployment()):
        if first is None and observed.seconds > 1.0 and observed.messages:
            first = observed
        if first is not None and observed.seconds - first.seconds > seconds:
            break
    rate = (observed.messages - first.messages) / (observed.seconds - first.seconds)
    each = max(1, size // 8) * 8
    return rate, observed.bytes == observed.messages * each


def throughput(seconds: float, repeats: int) -> None:
    """Messages a second between actors, bare and ours in turn, for three sizes."""
    print(f"{'bytes':>10} {'bare /s':>10} {'ours /s':>10} {'ratio':>6}  bytes exact")
    for size in (1_000, 100_000, 10_000_000):
        pairs = []
        exact = True
        for _ in range(repeats):
            plain = bare(size, seconds)
            rate, right = ours(size, seconds)
            exact &= right
            pairs.append((plain, rate))
        plain, rate = (float(np.median(column)) for column in zip(*pairs, strict=True))
        print(f"{size:>10} {plain:>10.0f} {rate:>10.0f} {rate / plain:>6.2f}  {exact}", flush=True)


def gaussians(players: int, *, graph: str = "small_world", **arguments: Any) -> Game:
    """A game of Gaussian players on a small world."""
    options = arguments or {"n": players, "k": 4, "p": 0.1}
    weighted = attach_alpha(generate_graph(graph, seed=1, **options), 0.3)
    family = synthetic_family("gaussian", 4)
    data = synthetic_data(family, players, 50, np.random.default_rng(0))
    return Game(
        weighted, {p: PlayerSpec(family=family, data=rows, samples=20) for p, rows in zip(weighted, data, strict=True)}
    )


def start() -> None:
    """A hundred actors of one player each."""
    game = gaussians(100)
    began = time.monotonic()
    for observed in cluster(game, seed=0, moves=10**9, rate=1.0, every=1.0, deployment=Deployment()):
        if observed.time == 0:
            print(f"100 actors: started in {time.monotonic() - began:.1f} s", flush=True)
        if observed.time > 5:
            break
    print(f"100 actors: {observed.messages} messages in {observed.seconds:.1f} s, time {observed.time:.1f}", flush=True)


def packed(players: int = 2_000, actors: int = 4, seconds: float = 20.0) -> None:
    """Many players in few actors."""
    game = gaussians(players)
    began, first = time.monotonic(), None
    deployment = Deployment(players_per_actor=math.ceil(players / actors))
    for observed in cluster(game, seed=0, moves=10**9, rate=50.0, deployment=deployment):
        made = sum(p.moves for p in observed.players)
        if observed.time == 0:
            print(f"{players} players in {actors} actors: started in {time.monotonic() - began:.1f} s", flush=True)
        if first is None and observed.time > 0:
            first = (observed.seconds, made, observed.messages, observed.undelivered)
        if first is not None and observed.seconds - first[0] > seconds:
            break
    assert first is not None
    took = observed.seconds - first[0]
    print(
        f"{players} players in {actors} actors: {(made - first[1]) / took:.0f} moves/s, "
        f"{(observed.messages - first[2]) / took:.0f} messages/s, "
        f"{(observed.undelivered - first[3]) / took:.0f} replaced/s",
        flush=True,
    )


def memory(players: int = 10_000, actors: int = 4) -> None:
    """Unique memory of all processes with many players."""
    game = gaussians(players)
    deployment = Deployment(players_per_actor=math.ceil(players / actors))
    for observed in cluster(game, seed=0, moves=10**9, rate=1.0, every=5.0, deployment=deployment):
        if observed.time > 3:
            break
        used = usage()
    print(f"{players} players in {actors} actors: {json.dumps({k: round(v / 2**20) for k, v in used.items()})} MiB")
    print(f"all processes together: {sum(used.values()) / 1e9:.2f} GB", flush=True)


def costs(seconds: float) -> None:
    """What a player, an actor, a move, a message and a byte cost, fitted to runs of several sizes."""
    memory_rows, move_rows, message_rows = [], [], []
    for players, actors in ((100, 1), (1_000, 1), (4_000, 1), (100, 8), (1_000, 8)):
        game = gaussians(players)
        deployment = Deployment(players_per_actor=math.ceil(players / actors))
        marks: list[tuple[float, float, int, int]] = []
        for observed in cluster(game, seed=0, moves=10**9, rate=2.0, every=2.0, deployment=deployment):
            made = sum(p.moves for p in observed.players)
            marks.append((observed.seconds, processor_seconds(), made, observed.messages))
            if observed.seconds > seconds + 2:
                break
            used = usage()["actors"]
        first, last = marks[1], marks[-1]
        memory_rows.append((players, actors, used))
        if actors == 1:
            spent, moved = last[1] - first[1], last[2] - first[2]
            move_rows.append((players, moved / (last[0] - first[0]), 1e3 * spent / moved))
    for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        marks = []
        for observed in cluster(ring(size), seed=0, moves=10**9, every=0.5, rate=None, deployment=Deployment()):
            marks.append((observed.seconds, processor_seconds(), 0, observed.messages))
            if observed.seconds > seconds / 2 + 1:
                break
        first, last = marks[2], marks[-1]
        message_rows.append((size, 1e3 * (last[1] - first[1]) / (last[3] - first[3])))
    table = np.array(memory_rows)
    design = np.column_stack([table[:, 0], table[:, 1]])
    (each, base), *_ = np.linalg.lstsq(design, table[:, 2], rcond=None)
    print(f"memory: {each / 1e3:.1f} kB a player, {base / 2**20:.0f} MiB an actor")
    for players, rate, spent in move_rows:
        print(f"one actor, {players} players: {rate:.0f} moves/s, {spent:.3f} ms of a core a move with its 4 messages")
    sizes, spent = (np.array(column) for column in zip(*message_rows, strict=True))
    weights = 1 / spent  # the same relative error everywhere
    design = np.column_stack([np.ones_like(sizes), sizes]) * weights[:, None]
    (fixed, per_byte), *_ = np.linalg.lstsq(design, spent * weights, rcond=None)
    for size, one in message_rows:
        print(f"message of {size} bytes between actors: {one:.2f} ms of a core, fit {fixed + per_byte * size:.2f}")
    print(f"message: {fixed:.2f} ms + {1e6 * per_byte:.2f} ns a byte", flush=True)


def processor_seconds() -> float:
    """Processor time of this process and all of its children so far."""
    import psutil  # Ray's own copy, on the path since ray was imported

    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.Error:
            continue
    return total


def usage() -> dict[str, float]:
    """Unique bytes of this process, the actors and the rest of Ray."""
    import psutil  # Ray's own copy, on the path since ray was imported

    me = psutil.Process()
    found = {"driver": float(me.memory_full_info().uss), "actors": 0.0, "ray": 0.0}
    for child in me.children(recursive=True):
        try:
            name = "actors" if "PlayerActor" in " ".join(child.cmdline()) else "ray"
            found[name] += child.memory_full_info().uss
        except psutil.Error:
            continue
    return found


def soak(seconds: float, out: Path | None) -> None:
    """Memory of actors, driver and object store over a long run, and its slope."""
    game = gaussians(10, graph="small_world", n=10, k=4, p=0.2)
    family = synthetic_family("gaussian", 64)
    data = synthetic_data(family, 10, 100, np.random.default_rng(0))
    specs = {p: PlayerSpec(family=family, data=d, samples=250) for p, d in zip(game.graph, data, strict=True)}
    rows: list[dict[str, float]] = []
    last = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(storage=Path(folder), checkpoint_seconds=10.0, on_failure="restart")

        def read(record: Any) -> None:
            if record.seconds - last[0] < 5.0:
                return
            last[0] = record.seconds
            total, free = (
                r.get("object_store_memory", 0.0) for r in (ray.cluster_resources(), ray.available_resources())
            )
            store = total - free
            rows.append({"seconds": record.seconds, **usage(), "store": store, "messages": record.messages})

        moves = int(seconds * 2)
        play(Game(game.graph, specs), "ray", seed=0, moves=moves, rate=2.0, deployment=deployment, on_record=read)
    if out is not None:
        out.write_text(json.dumps(rows))
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    kept = table["seconds"] > table["seconds"][-1] * 0.3
    t = table["seconds"][kept]
    print(f"{len(rows)} readings over {table['seconds'][-1]:.0f} s, {int(table['messages'][-1])} messages")
    for name in ("driver", "actors", "ray", "store"):
        y = table[name][kept] / 2**20
        design = np.column_stack([np.ones_like(t), t])
        slope = np.linalg.lstsq(design, y, rcond=None)[0][1]
        blocks = [np.polyfit(a, b, 1)[0] for a, b in zip(np.array_split(t, 6), np.array_split(y, 6), strict=True)]
        error = np.std(blocks, ddof=1) / np.sqrt(len(blocks))
        print(f"{name:>7}: {y.mean():8.1f} MiB, slope {3600 * slope:+8.2f} ± {3600 * error:.2f} MiB/h", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "start", "packed", "memory", "costs", "soak", "all"])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with loopback():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    runs: dict[str, Callable[[], None]] = {
        "throughput": lambda: throughput(chosen.seconds or 4.0, chosen.repeats),
        "start": start,
        "packed": lambda: packed(seconds=chosen.seconds or 20.0),
        "memory": memory,
        "costs": lambda: costs(chosen.seconds or 10.0),
        "soak": lambda: soak(chosen.seconds or 900.0, chosen.out),
    }
    for name, run in runs.items():
        if chosen.what in (name, "all"):
            run()
    ray.shutdown()


if __name__ == "__main__":
    main()
