"""Honest players among hostile ones: error with and without each defence, predicted and measured; what defences cost.

Prints the tables of docs/hostile.md; one JSON object with `--json`. `--seeds` sets the number of seeds a row, `--part`
chooses one table. A seed decides the graph, the data, who is hostile, and play.
"""

import argparse
import json
import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import honest_players
from nashgossip.runners import Outcome, Record, build_game, load_experiment, play

GRAPHS = {
    "ring": "topology={generator: ring, arguments: {n: 20}}",
    "small world": "topology={generator: small_world, arguments: {n: 20, k: 4, p: 0.2}}",
    "complete": "topology={generator: complete, arguments: {n: 20}}",
}
DEFENCES = {
    "none": [],
    "screen": ["defence.screen={limit: 0.2}"],
    "trust": ["defence.trust={}"],
    "clip": ["defence.clip=0.1"],
}
CONDUCTS = (
    "{kind: poisoner, how: shift, by: 3.0}",
    "{kind: poisoner, how: collapse}",
    "{kind: free-rider, how: constant}",
    "{kind: free-rider, how: copy}",
    "{kind: flooder, messages: 10}",
    "{kind: mute}",
    "{kind: liar, how: ahead}",
    "{kind: liar, how: behind}",
    "{kind: liar, how: invalid}",
)
DIGITS = [
    "data={source: digits, options: {binarize: 0.5}}",
    "model={family: class-conditional-bernoulli, smoothing: 1}",
]
LABELS = "data.split={kind: label, options: {classes_per_player: 2}}"
MOVES, QUARTER = 60, 45


class Refusals:
    """Counts in the last quarter how often a message of an honest and of a hostile player had no share."""

    def __init__(self, honest: dict[Any, bool]) -> None:
        self._honest = honest
        self._counts = {True: [0, 0], False: [0, 0]}

    def __call__(self, record: Record) -> None:
        if record.time <= QUARTER:
            return
        for player, view in zip(self._honest, record.players, strict=True):
            for sender, share in (view.shares or {}).items() if self._honest[player] else ():
                count = self._counts[self._honest[sender]]
                count[0] += share == 0
                count[1] += 1

    def share(self, *, honest: bool) -> float | None:
        """Share of messages that were left out by honest listeners."""
        refused, all_of_them = self._counts[honest]
        return refused / all_of_them if all_of_them else None


def played(seed: int, settings: list[str]) -> tuple[Outcome, Refusals]:
    """One run of the experiment `poisoned` with other settings."""
    seeds = [f"seed={seed}", f"conduct.seed={seed}", f"topology.seed={seed}"]
    plan = load_experiment("poisoned", [*settings, *seeds])
    game = build_game(plan)
    refusals = Refusals(dict(zip(game.players, honest_players(game.specs, game.players), strict=True)))
    return play(game, "rounds", seed=seed, moves=MOVES, on_record=refusals), refusals


def row(names: dict[str, Any], settings: list[str], seeds: int) -> dict[str, Any]:
    """One row: the error of honest players, predicted and measured, and what was left out; means over seeds."""
    runs = [played(seed, settings) for seed in range(seeds)]
    errors = [o.honest_error or {**_all(o), "predicted_rms": o.prediction.noise_floor_rms} for o, _ in runs]
    measured = [e["rms"] for e in errors]
    return {
        **names,
        "predicted": _mean([e["predicted_rms"] for e in errors]),
        "measured": _mean(measured),
        "low": min(measured),
        "high": max(measured),
        "floor": _mean([o.prediction.noise_floor_rms for o, _ in runs]),
        "honest_refused": _mean([r.share(honest=True) for _, r in runs]),
        "hostile_refused": _mean([r.share(honest=False) for _, r in runs]),
    }


def shares(seeds: int) -> list[dict[str, Any]]:
    """Graphs × shares of poisoners × defences."""
    return [
        row(
            {"graph": graph, "poisoners": share, "defence": defence},
            [GRAPHS[graph], f"conduct.share={share}", *DEFENCES[defence]],
            seeds,
        )
        for graph in GRAPHS
        for share in (0.1, 0.2, 0.3)
        for defence in DEFENCES
    ]


def kinds(seeds: int) -> list[dict[str, Any]]:
    """What each conduct does where a fifth of the players have it, without a defence and with a screen."""
    return [
        row(
            {"conduct": conduct.strip("{}"), "defence": defence},
            [GRAPHS["small world"], f"conduct.behaviour={conduct}", *DEFENCES[defence]],
            seeds,
        )
        for conduct in CONDUCTS
        for defence in ("none", "screen")
    ]


def stealth(seeds: int) -> list[dict[str, Any]]:
    """Poison of several strengths against a screen that tolerates differences, and one that tolerates none."""
    return [
        row(
            {"shift": by, "limit": limit},
            [
                GRAPHS["small world"],
                f"conduct.behaviour={{kind: poisoner, by: {by}}}",
                f"defence.screen={{limit: {limit}}}",
            ],
            seeds,
        )
        for by in (0.25, 0.5, 1.0, 2.0, 3.0)
        for limit in (0.0, 0.2)
    ]


def heterogeneity(seeds: int) -> list[dict[str, Any]]:
    """A screen where nobody is hostile: honest neighbours with other data are left out too."""
    games = {f"gaussian, spread {spread:g}": [f"data.spread={spread}"] for spread in (0.1, 1.0, 4.0, 16.0)}
    games |= {"digits, iid": DIGITS, "digits, two classes each": [*DIGITS, LABELS]}
    return [
        row(
            {"game": name, "limit": limit},
            [GRAPHS["small world"], *settings, "conduct={}", f"defence.screen={{limit: {limit}}}"],
            seeds,
        )
        for name, settings in games.items()
        for limit in (0.0, 0.1, 0.2)
    ]


def flips(seeds: int) -> list[dict[str, Any]]:
    """A fifth of the players gives every digit the label of the next; nothing is predicted of that."""
    flip = "conduct.behaviour={kind: poisoner, how: flip, by: 1}"
    return [
        row({"game": name, "defence": defence}, [GRAPHS["small world"], *settings, flip, *extra], seeds)
        for name, settings in {"digits, iid": DIGITS, "digits, two classes each": [*DIGITS, LABELS]}.items()
        for defence, extra in {
            "none": [],
            "screen, limit 0": ["defence.screen={}"],
            "trust": ["defence.trust={}"],
        }.items()
    ]


PARTS = {"shares": shares, "kinds": kinds, "stealth": stealth, "heterogeneity": heterogeneity, "flips": flips}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    tables = {part: PARTS[part](arguments.seeds) for part in arguments.part or PARTS}
    if arguments.json:
        print(json.dumps(tables))
        return
    for part, rows in tables.items():
        print(f"\n{part}\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        for one in rows:
            print("| " + " | ".join(_shown(value) for value in one.values()) + " |")


def _all(outcome: Outcome) -> dict[str, Any]:
    return dict(outcome.equilibrium_error)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
