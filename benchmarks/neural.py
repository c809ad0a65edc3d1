"""Speed of neural players beside a plain script, and of the fast networks beside the paper's. Ratios are of one run.

python benchmarks/neural.py            all of it, some ten minutes
python benchmarks/neural.py plain      the paper's networks: ours against a plain loop over the same networks
python benchmarks/neural.py overhead   what the engine adds to the models' own learning
python benchmarks/neural.py fast       the fast networks against the paper's, in time and in quality
python benchmarks/neural.py cores      asynchronous play of four unequal players on one core and on all
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nashgossip.agents import Source, seats
from nashgossip.agents.models import HVAE, Fast, PaperDigits
from nashgossip.agents.models.training import Trainer
from nashgossip.games import Game, PlayerSpec, Space, Variable, load_dataset
from nashgossip.runners import build_game, load_experiment, play
from nashgossip.topology import attach_alpha, generate_graph

IMAGE = Variable("x", "binary", (28, 28))
PAPER: dict[str, Any] = {"architecture": PaperDigits(), "batch": 1000, "steps": 1, "rate": 1e-4}
PAPER_LATENTS = {"z0": 30, "z1": 100}


def paper(seed: int, **changes: Any) -> HVAE:
    """A model at the paper's scale."""
    return HVAE(IMAGE, PAPER_LATENTS, seed=seed, **(PAPER | changes))


def private_rows() -> list[Any]:
    """Digits 0-4 and 5-9, binarised."""
    digits = load_dataset("mnist", binarize=0.4375, part="train")
    space = Space((IMAGE,))
    return [space.batch({"x": digits.batch["x"][digits.labels // 5 == k]}) for k in range(2)]


def split_game(make: Callable[[int], HVAE], samples: int) -> Game:
    """The paper's game A with α = ½."""
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    rows = private_rows()
    return Game(graph, {k: PlayerSpec(model=partial(make, k), data=rows[k], samples=samples) for k in graph})


def plain(steps: int = 4) -> None:
    """Ours, one core a player and a minibatch in parts, against one process, all threads, whole minibatches."""
    cores = len(os.sched_getaffinity(0))
    game = split_game(paper, 500)
    play(game, "rounds", moves=1, workers=cores)  # warm
    began = time.perf_counter()
    play(game, "rounds", moves=steps, workers=cores)
    ours = (steps + 1) / (time.perf_counter() - began)  # the opening is a step too
    chunked = one_model(partial(paper, 0), 1, steps)
    whole = one_model(partial(paper, 0, chunk=1_000_000), 1, steps)
    theirs = plain_loop(cores, steps)
    print(f"paper's networks, minibatches of 1000, two players, {cores} cores: steps of both players a second")
    print(f"| plain script | ours | ratio |\n|---|---|---|\n| {theirs:.3f} | {ours:.3f} | {ours / theirs:.2f} |")
    print(f"one player on one thread: parts of 125 rows {whole / chunked:.2f} times as fast as whole minibatches")


def one_model(make: Callable[[], HVAE], threads: int, steps: int) -> float:
    """Seconds a step of one model alone."""
    model = make()
    torch.set_num_threads(threads)
    source = [Source(private_rows()[0], 1.0, own=True)]
    rng = np.random.default_rng(0)
    model.learn(source, rng)
    began = time.perf_counter()
    for _ in range(steps):
        model.learn(source, rng)
    return (time.perf_counter() - began) / steps


def plain_loop(threads: int, steps: int) -> float:
    """Steps of both players a second, as one would write it down: a loop over the players, whole minibatches."""
    torch.set_num_threads(threads)
    nets = [paper(k)._net for k in range(2)]
    trainers = [Trainer(net, 1e-4) for net in nets]
    rows = [torch.from_numpy(np.array(r["x"])).float() for r in private_rows()]
    stream, whole = torch.Generator().manual_seed(0), 1_000_000

    def step() -> None:
        with torch.no_grad():
            made = [net.generate(500, stream, whole) for net in nets]
        for k, net in enumerate(nets):
            own = {"x": rows[k][torch.randint(len(rows[k]), (500,), generator=stream)]}
            with torch.no_grad():
                whole_own, dreamt = net.complete(own, stream, whole), net.generate(500, stream, whole)
            optimizer = trainers[k]._optimizer
            optimizer.zero_grad()
            loss = sum(net.decoder_losses([whole_own, made[1 - k]], whole))
            loss = loss + sum(net.encoder_losses([dreamt, made[1 - k]], whole))
            loss.backward()
            optimizer.step()

    step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    found = steps / (time.perf_counter() - began)
    torch.set_num_threads(1)
    return found


def overhead(moves: int = 30) -> None:
    """The time of a run against that of the same calls of learn and generate without players, messages and engine."""
    settings = ["play.runner=rounds", "data.judge=false", "play.measure=0", "play.regret_steps=0", "play.looks=2"]
    experiment = load_experiment("mnist-split", [*settings, f"play.moves={moves}"])
    game = build_game(experiment)
    assert isinstance(game, Game)
    play(game, "rounds", moves=2)
    began = time.perf_counter()
    play(game, "rounds", moves=moves)
    ran = time.perf_counter() - began
    players = [seat.build() for seat in seats(game, 0)]
    models, data = [p.model for p in players], [game.specs[p].parts[0] for p in game.players]
    samples, rng = experiment.play.samples, np.random.default_rng(0)
    space = game.edge_space(*game.players)
    began = time.perf_counter()
    for model, rows in zip(models, data, strict=True):
        model.learn([Source(rows, 1.0, own=True)], rng)
    made = [model.generate(samples, rng).restrict(space) for model in models]
    for _ in range(moves):
        for k, model in enumerate(models):
            model.learn([Source(data[k], 0.5, own=True), Source(made[1 - k], 0.5)], rng)
        made = [model.generate(samples, rng).restrict(space) for model in models]
    bare = time.perf_counter() - began
    print(f"mnist-split, {moves} moves a player: the run takes {ran / bare:.3f} of what its models take alone")


def fast(seconds: float = 60.0) -> None:
    """Steps of 1000 rows a second, and the held-out log-density that each reaches in the same time on one core."""
    holdout = Space((IMAGE,)).batch({"x": load_dataset("mnist", binarize=0.4375, part="test").batch["x"][:1000]})
    digits = load_dataset("mnist", binarize=0.4375, part="train")
    source = [Source(Space((IMAGE,)).batch({"x": digits.batch["x"]}), 1.0, own=True)]
    options = load_experiment("mnist-split").model.options
    quick = HVAE(
        IMAGE, options["latents"], architecture=Fast(**options["networks"]), batch=100, steps=10, rate=options["rate"]
    )
    figures = {}
    for name, model in {"paper": paper(0), "fast": quick}.items():
        rng, rows = np.random.default_rng(0), 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            model.learn(source, rng)
            rows += 1000
        figures[name] = (rows / (time.perf_counter() - began), float(model.log_density(holdout).mean()))
    print("| networks | rows a second | held-out log-density after the same time, nats |\n|---|---|---|")
    for name, (rate, density) in figures.items():
        print(f"| {name} | {rate:.0f} | {density:.1f} |")
    print(f"ratio of speed {figures['fast'][0] / figures['paper'][0]:.1f}")


def cores(moves: int = 25) -> None:
    """Moves a second of `fashion`'s four unequal players on asynchronous Ray, on one core and on all."""
    speeds, each = {}, {}
    available = sorted(os.sched_getaffinity(0))
    for used in (available[:1], available):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            settings = ["play.rate=null", "play.measure=0", "play.looks=2", f"play.moves={moves}", "play.every=1.0"]
            settings += ["data.test=null", f"play.workers={len(used)}"]
            command = ["taskset", "-c", ",".join(map(str, used)), sys.executable, "-m", "nashgossip.runners", "run"]
            command += ["fashion", "--runner", "ray", "--out", str(out), "--json"]
            command += [part for setting in settings for part in ("--set", setting)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            summary = json.loads(done.stdout)
            players = json.loads((out / "players.json").read_text())
        speeds[len(used)] = summary["moves"] / summary["seconds"]
        each[len(used)] = [p["moves"] for p in players]
    first, last = min(speeds), max(speeds)
    for count, speed in speeds.items():
        print(f"{count} core(s): {speed:.2f} moves/s, moves of each player {each[count]}")
    print(f"{last} cores are {speeds[last] / speeds[first]:.2f} times as fast as {first}")


if __name__ == "__main__":
    parts = {"plain": plain, "overhead": overhead, "fast": fast, "cores": cores}
    for part in sys.argv[1:] or list(parts):
        parts[part]()
