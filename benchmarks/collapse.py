"""The collapse experiment: drift and loss of variance without real data, predicted and measured, on several graphs.

Prints the table of docs/outcomes.md; one JSON object with `--json`. `--runs` sets the number of runs a row.
"""

import argparse
import json
import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import Game, PlayerSpec, synthetic_data, synthetic_family
from nashgossip.games.collapse import predict_collapse
from nashgossip.runners import rounds
from nashgossip.topology import attach_alpha, generate_graph

GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "ring of 9": ("ring", {"n": 9}),
    "ring of 10": ("ring", {"n": 10}),
    "complete": ("complete", {"n": 10}),
    "star": ("star", {"n": 10}),
    "small world": ("small_world", {"n": 10, "k": 4, "p": 0.2}),
}
FAMILIES = ("bernoulli", "gaussian-diagonal")
ALPHAS = (0.0, 0.01, 0.1)
COLUMNS = (
    *("family", "α_ii", "graph", "factor a round", "well mixed", "half-life"),
    *("variance at first", "predicted", "measured", "drift predicted", "measured"),
)
SAMPLES, ROUNDS, STATISTICS = 20, 120, 100


def collapse_game(graph: str, family_name: str, alpha: float) -> Game:
    """Ten players with 100 rows each of 100 independent variables."""
    generator, arguments = GRAPHS[graph]
    weighted = attach_alpha(generate_graph(generator, seed=1, **arguments), alpha)
    family = synthetic_family(family_name, STATISTICS)
    data = synthetic_data(family, len(weighted), 100, np.random.default_rng(0))
    specs = {
        player: PlayerSpec(family=family, data=rows, samples=SAMPLES, smoothing=1.0)
        for player, rows in zip(weighted, data, strict=True)
    }
    return Game(weighted, specs, anchored=False)


def bench(graph: str, family_name: str, alpha: float, runs: int) -> dict[str, Any]:
    """One row: the mean variance of the models, and the drift of their consensus, after 120 rounds."""
    game = collapse_game(graph, family_name, alpha)
    predicted = predict_collapse(game, ROUNDS)
    k = predicted.drift.shape[1]
    family = game.specs[game.players[0]].family
    assert family is not None
    ends = np.stack([_end(game, seed) for seed in range(runs)])
    variance = family.variance(ends)[..., :k].mean(axis=1)
    consensus = predicted.weights @ ends[..., :k]
    start = np.stack([game.specs[p].anchor() for p in game.players])
    drift = (consensus - predicted.weights @ start[:, :k]) ** 2 if alpha == 0 else None
    return {
        "graph": graph,
        "family": family_name,
        "alpha": alpha,
        "factor": predicted.factor if alpha == 0 else None,
        "well_mixed": predicted.well_mixed if alpha == 0 else None,
        "half_life": predicted.half_life if alpha == 0 else None,
        "start": float(predicted.variance[0].mean()),
        "variance": {"predicted": float(predicted.variance[-1].mean()), **_measured(variance)},
        "drift": None if drift is None else {"predicted": float(predicted.drift[-1].mean()), **_measured(drift)},
    }


def _end(game: Game, seed: int) -> Any:
    *_, last = rounds(game, seed=seed, moves=ROUNDS, every=ROUNDS)
    return last.means


def _measured(values: Any) -> dict[str, float]:
    """Mean over runs and variables, and its standard error."""
    return {"measured": float(values.mean()), "error": float(values.std(ddof=1) / np.sqrt(values.size))}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    rows = [bench(g, f, a, arguments.runs) for f in FAMILIES for a in ALPHAS for g in GRAPHS]
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for row in rows:
        free = row["factor"] is not None
        shown = [row["family"], f"{row['alpha']:g}", row["graph"]]
        shown += [f"{row['factor']:.5f}", f"{row['well_mixed']:.5f}", f"{row['half_life']:.0f}"] if free else ["–"] * 3
        shown += [f"{row['start']:.4f}", f"{row['variance']['predicted']:.4f}", _plus_minus(row["variance"])]
        shown += ["–", "–"] if not free else [f"{row['drift']['predicted']:.4f}", _plus_minus(row["drift"])]
        print("| " + " | ".join(shown) + " |")


def _plus_minus(figure: dict[str, float]) -> str:
    return f"{figure['measured']:.4f} ± {figure['error']:.4f}"


if __name__ == "__main__":
    main()
