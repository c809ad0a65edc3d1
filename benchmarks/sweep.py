"""Plays an experiment over settings and seeds, one process a core, and prints mean ± standard error as a table.

python benchmarks/sweep.py mnist-split --vary alpha.self_weight=0.3,0.5 --seeds 0,1,2 --out runs/split
python benchmarks/sweep.py fashion --vary method=cooperative,symmetric --vary images=10,50 --seeds 0,1,2 --show accuracy

python benchmarks/sweep.py hospitals --vary method=alone,listening,pooled --seeds 0,1,2,3,4 --show AUC --against alone

python benchmarks/sweep.py digits-hvae --vary alpha.self_weight=0.1,0.5 --show "FD own,FD other" --picture curves.png

Runs that are in --out already are not played again, so that a sweep that was stopped goes on.
"""

import argparse
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

FIGURES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "TV": lambda p: p["total_variation"],
    "classes": lambda p: len(p["generates"]),
    "FD own": lambda p: (p["quality"] or {}).get("frechet", {}).get("own"),
    "FD other": lambda p: (p["quality"] or {}).get("frechet", {}).get("other"),
    "FD all": lambda p: (p["quality"] or {}).get("frechet", {}).get("all"),
    "two-sample": lambda p: (p["quality"] or {}).get("two_sample"),
    "held-out": lambda p: p["held_out"],
    "gap": lambda p: (p["regret_estimate"] or {}).get("gain"),
    "accuracy": lambda p: p["accuracy"],
    "AUC": lambda p: p["auc"],
    "log p(class)": lambda p: p["log_class"],
    "log p(row)": lambda p: p["log_density"],
}
"""Figures of one player, from players.json."""


def main() -> None:
    """Plays what is missing, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=A,B,…")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--show", default=",".join(FIGURES))
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    parser.add_argument(
        "--picture",
        type=Path,
        help="curves of the means over the first varied key, or each player where its values are no numbers",
    )
    parser.add_argument(
        "--against",
        metavar="VALUE",
        help="of the first varied key: differences to it seed by seed, in tables of their own",
    )
    parser.add_argument(
        "--line", action="append", default=[], metavar="NAME=VALUE", help="of the picture, for comparison"
    )
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    axes = [(key, values.split(",")) for key, _, values in (v.partition("=") for v in given.vary)]
    points = [list(zip([k for k, _ in axes], p, strict=True)) for p in itertools.product(*(v for _, v in axes))]
    seeds = given.seeds.split(",")
    jobs = [(point, seed) for point in points for seed in seeds]
    with ThreadPoolExecutor(given.processes) as pool:
        ended = list(pool.map(lambda job: play(given, *job), jobs))
    found = dict(zip(((str(p), s) for p, s in jobs), ended, strict=True))
    show = given.show.split(",")
    names = list(dict.fromkeys(p["player"] for run in ended if run for p in run["players"]))  # in the graph's order
    print("| " + " | ".join([*(k for k, _ in axes), "figure", *names, "mean", "outcomes", "s"]) + " |")
    print("|" + "---|" * (len(axes) + len(names) + 4))
    for point in points:
        runs = [run for seed in seeds if (run := found[str(point), seed])]
        for figure in show:
            table(point, figure, runs, names, len(seeds))
    if given.against is not None:
        differences(given, axes, points, found, names)
    if given.picture is not None:
        by_value = {p[0][1]: [run for s in seeds if (run := found[str(p), s])] for p in points}
        if all(_is_number(value) for value in by_value):
            draw(given, {float(value): runs for value, runs in by_value.items()}, show)
        else:
            draw_players(given, by_value, show)


def directory(given: argparse.Namespace, point: Sequence[tuple[str, str]], seed: str) -> Path:
    """Where a run goes."""
    name = [given.experiment, *(f"{key.split('.')[-1]}={value}" for key, value in point), seed]
    if given.settings:
        name.append(hashlib.sha256(repr(sorted(given.settings)).encode()).hexdigest()[:8])
    return Path(given.out) / "-".join(name)


def play(given: argparse.Namespace, point: Sequence[tuple[str, str]], seed: str) -> dict[str, Any] | None:
    """One run, read back; None if it failed."""
    place = directory(given, point, seed)
    if not (place / "players.json").is_file():
        shutil.rmtree(place, ignore_errors=True)  # what a run that was stopped has left
        settings = [f"{key}={value}" for key, value in point] + given.settings
        command = [sys.executable, "-m", "nashgossip.runners", "run", given.experiment, "--seed", seed]
        command += ["--out", str(place), "--json", *(part for s in settings for part in ("--set", s))]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if done.returncode:
            print(f"{place}: {done.stderr[-600:]}", file=sys.stderr)
            return None
        print(f"{place}: done", file=sys.stderr, flush=True)
    summary = json.loads((place / "summary.json").read_text())
    return {"summary": summary, "players": json.loads((place / "players.json").read_text())}


def table(
    point: Sequence[tuple[str, str]], figure: str, runs: Sequence[dict[str, Any]], names: Sequence[str], expected: int
) -> None:
    """One row: the figure of each player, and of their mean, over the seeds; says if some of the runs failed."""
    values = [[FIGURES[figure](p) for p in run["players"]] for run in runs]
    if not values or all(v is None for row in values for v in row):
        return
    array = np.array([[np.nan if v is None else v for v in row] for row in values], float)
    columns = [shown(array[:, k]) if k < array.shape[1] else "–" for k in range(len(names))]
    outcomes = ", ".join(sorted({run["summary"]["outcome"] for run in runs}))
    if len(runs) < expected:
        outcomes += f" ({len(runs)} of {expected} runs)"
    seconds = np.mean([run["summary"]["seconds"] for run in runs])
    mean = shown(np.nanmean(array, axis=1))
    cells = [*(value for _, value in point), figure, *columns, mean, outcomes, f"{seconds:.0f}"]
    print("| " + " | ".join(cells) + " |")


def differences(
    given: argparse.Namespace,
    axes: Sequence[tuple[str, Sequence[str]]],
    points: Sequence[Sequence[tuple[str, str]]],
    found: dict[tuple[str, str], dict[str, Any] | None],
    names: Sequence[str],
) -> None:
    """Mean ± standard error over seeds of each figure less that of the same seed with the first key at `--against`."""
    first = axes[0][0]
    if given.against not in axes[0][1]:
        sys.exit(f"--against is {given.against!r}, expected one of the values of {first}: {', '.join(axes[0][1])}")
    print(f"\n| {' | '.join([*(k for k, _ in axes), f'figure − that of {given.against}', *names, 'mean'])} |")
    print("|" + "---|" * (len(axes) + len(names) + 2))
    for point in points:
        base = [(first, given.against), *point[1:]]
        pairs = [(found[str(point), s], found[str(base), s]) for s in given.seeds.split(",")]
        for figure in given.show.split(",") if point[0][1] != given.against else []:
            rows = [
                [_less(FIGURES[figure](p), FIGURES[figure](q)) for p, q in zip(a["players"], b["players"], strict=True)]
                for a, b in pairs
                if a and b
            ]
            array = np.array(rows, float)
            if array.size and not np.isnan(array).all():
                cells = [*(v for _, v in point), figure, *map(shown, array.T), shown(array.mean(axis=1))]
                print("| " + " | ".join(cells) + " |")


def _less(one: float | None, other: float | None) -> float:
    return np.nan if one is None or other is None else one - other


def draw(given: argparse.Namespace, runs: dict[float, list[dict[str, Any]]], show: Sequence[str]) -> None:
    """Mean over players, ± standard error over seeds, of each figure over the first varied key."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    panel = figure.subplots()
    for name in show:
        means = {
            x: [
                float(np.mean(known))
                for run in some
                if (known := [v for p in run["players"] if (v := FIGURES[name](p)) is not None])
            ]
            for x, some in runs.items()
        }
        points = [
            (x, np.mean(v), np.std(v, ddof=1) / np.sqrt(len(v)) if len(v) > 1 else 0.0) for x, v in means.items() if v
        ]
        if points:
            panel.errorbar(
                *(np.array(column) for column in zip(*points, strict=True)), marker=".", capsize=2, label=name
            )
    for k, line in enumerate(given.line):
        name, _, value = line.rpartition("=")
        panel.axhline(float(value), color="black", linestyle=("--", ":", "-.")[k % 3], linewidth=1, label=name)
    panel.set(
        xlabel=given.vary[0].partition("=")[0],
        ylabel=", ".join(show) if len(show) < 2 else "mean over players",
        title=given.experiment,
    )
    panel.legend(fontsize=8)
    figure.savefig(given.picture, dpi=130)


def draw_players(given: argparse.Namespace, runs: dict[str, list[dict[str, Any]]], show: Sequence[str]) -> None:
    """Each player's figures, ± standard error over seeds, a panel a figure and a colour for each value of the key."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4 * len(show), 3.6), layout="constrained")
    for panel, name in zip(np.atleast_1d(figure.subplots(1, len(show))), show, strict=True):
        for k, (value, some) in enumerate(runs.items()):
            array = np.array([[FIGURES[name](p) for p in run["players"]] for run in some], float)
            error = array.std(axis=0, ddof=1) / np.sqrt(len(array)) if len(array) > 1 else None
            places = np.arange(array.shape[1]) + 0.16 * (k - (len(runs) - 1) / 2)
            panel.errorbar(places, array.mean(axis=0), yerr=error, fmt="o", capsize=3, label=value)
        names = [p["player"] for p in next(iter(runs.values()))[0]["players"]]
        panel.set(xlabel="player", title=name, xticks=range(len(names)), xticklabels=names)
        panel.grid(axis="y", linewidth=0.4)
        panel.legend(fontsize=8)
    figure.suptitle(f"{given.experiment}: mean ± standard error over {len(next(iter(runs.values())))} seeds")
    figure.savefig(given.picture, dpi=110)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(values: np.ndarray[Any, Any]) -> str:
    """Mean ± standard error of the mean; a dash where a run does not know the figure."""
    if np.isnan(values).any():
        return "–"
    if len(values) < 2:
        return f"{values.mean():.4g}"
    return f"{values.mean():.4g} ± {values.std(ddof=1) / np.sqrt(len(values)):.2g}"


if __name__ == "__main__":
    main()
