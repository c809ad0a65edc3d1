"""Sampled play of joint tables on different spaces against the exact map: total variation and its standard error.

Prints the table of docs/spaces.md for random games of 3 to 6 players, three seeds each: in rounds (on `rounds`, and on
`virtual` without delays), on Poisson clocks in virtual time, and with `--ray` on asynchronous Ray. `--json` prints one
JSON object.
"""

import argparse
import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.special import ndtr, stdtrit

from nashgossip.games import Game, StepSize, forecast_tables, table_equilibrium, total_variation_law
from nashgossip.runners import Duration, Network, cluster, random_table_game, rounds, virtual

SEEDS, PLAYERS = (0, 1, 2), (3, 4, 5, 6)
ROUNDS, RUNS = 300, 12
STEP = StepSize(horizon=100.0)
CLOCKS = Network(compute=Duration("exponential"))
COLUMNS = ("engine", "players", "games", "TV measured", "TV expected", "largest", "beyond 3 s.e.", "fixed point in")


@cache
def make(players: int, seed: int) -> tuple[Game, Any]:
    """A random game and its fixed point."""
    game = random_table_game(players, np.random.default_rng([seed, players]), step=STEP, samples=1000)
    return game, table_equilibrium(game)


def last_tables(engine: Callable[..., Any], game: Game, seed: int, **options: Any) -> list[Any]:
    """Every player's table at the end of a run."""
    *_, last = engine(game, seed=seed, moves=ROUNDS, every=ROUNDS, **options)
    return [np.asarray(view.mean) for view in last.players]


@cache
def runs_on_clocks(players: int, seed: int) -> list[list[Any]]:
    """Every player's table at the end of independent runs in virtual time."""
    game, _ = make(players, seed)
    return [last_tables(virtual, game, seed * RUNS + k, network=CLOCKS) for k in range(RUNS)]


def in_rounds(engine: Callable[..., Any]) -> Callable[[Game, Any, int], list[tuple[float, float, float]]]:
    """One run a game; what is expected comes from the linearised map."""

    def measure(game: Game, exact: Any, seed: int) -> list[tuple[float, float, float]]:
        forecast = forecast_tables(game, ROUNDS)
        laws = [forecast.total_variation(k, table) for k, table in enumerate(exact)]
        made = last_tables(engine, game, seed)
        return [(_distance(p, q), *law) for p, q, law in zip(made, exact, laws, strict=True)]

    return measure


def on_clocks(game: Game, exact: Any, seed: int) -> list[tuple[float, float, float]]:
    """The mean table of independent runs; what is expected of it comes from their covariance."""
    runs = runs_on_clocks(len(game.players), seed)
    found = []
    for k, table in enumerate(exact):
        stack = np.stack([tables[k] for tables in runs])
        mean, error = total_variation_law(np.zeros(len(table)), np.cov(stack.T) / RUNS)
        found.append((_distance(stack.mean(axis=0), table), mean, error * _stretch()))
    return found


def on_ray(game: Game, exact: Any, seed: int) -> list[tuple[float, float, float]]:
    """One asynchronous run; what is expected of it comes from independent runs in virtual time."""
    runs = runs_on_clocks(len(game.players), seed)
    *_, last = cluster(game, seed=seed, moves=ROUNDS, rate=20.0, every=5.0, workers=2)
    found = []
    for k, table in enumerate(exact):
        law = total_variation_law(np.zeros(len(table)), np.cov(np.stack([t[k] for t in runs]).T) * (1 + 1 / RUNS))
        found.append((_distance(np.asarray(last.players[k].mean), table), law[0], law[1] * _stretch()))
    return found


def bench(engine: str, players: int, measure: Callable[..., Any]) -> dict[str, Any]:
    """One row: all players of three games."""
    rows, iterations = [], []
    for seed in SEEDS:
        game, found = make(players, seed)
        rows += measure(game, found.tables, seed)
        iterations.append(found.iterations)
    measured, expected, error = np.array(rows).T
    apart = (measured - expected) / error
    return {
        "engine": engine,
        "players": players,
        "games": len(SEEDS),
        "measured": float(measured.mean()),
        "expected": float(expected.mean()),
        "largest": float(np.abs(apart).max()),
        "beyond": f"{int((apart > 3).sum())} of {len(apart)}",
        "iterations": [min(iterations), max(iterations)],
    }


def _distance(p: Any, q: Any) -> float:
    return float(np.abs(p - q).sum() / 2)


def _stretch() -> float:
    """Standard errors of few runs are uncertain: 3 of them are as many as Student's t says."""
    return float(stdtrit(RUNS - 1, ndtr(3.0))) / 3.0


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ray", action="store_true")
    arguments = parser.parse_args()
    engines = {"`rounds`": in_rounds(rounds), "`virtual`": in_rounds(virtual), "`virtual`, clocks": on_clocks}
    if arguments.ray:
        engines["`ray`"] = on_ray
    rows = []
    for engine, measure in engines.items():
        for players in PLAYERS:
            rows.append(bench(engine, players, measure))
            if not arguments.json:
                if len(rows) == 1:
                    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
                print(_line(rows[-1]), flush=True)
    if arguments.json:
        print(json.dumps({"rows": rows}))


def _line(row: dict[str, Any]) -> str:
    shown = [row["engine"], str(row["players"]), str(row["games"]), f"{row['measured']:.4f}", f"{row['expected']:.4f}"]
    shown += [f"{row['largest']:.1f} s.e.", row["beyond"], "{} to {}".format(*row["iterations"])]
    return "| " + " | ".join(shown) + " |"


if __name__ == "__main__":
    main()
