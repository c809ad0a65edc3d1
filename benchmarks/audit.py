"""Attack strength on digits, by self-weight α and by distance in the graph: the table of docs/audit.md.

Prints it as Markdown; one JSON object with `--json`. `--shadows` sets the shadow games of each run, `--seeds` the runs.
"""

import argparse
import json
import os
import sys
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import Game
from nashgossip.runners import Audit, KeptBatches, audit_batches, build_game, load_experiment, rounds
from nashgossip.runners.audit_figures import Strength, pooled

ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
SETTINGS = [
    *("runner=rounds", "play.moves=40", "play.samples=100", "data.holdout=0.5"),
    *("audit.batches=20", "audit.canaries=10"),
]
ATTACKS = ("likelihood-ratio", "density-ratio", "nearest", "canaries, trace")


def audited(alpha: float, seed: int, shadows: int) -> Audit:
    """One run, and its audit."""
    plan = load_experiment("digits", [*SETTINGS, f"self_weight={alpha}", f"seed={seed}"])
    game = build_game(plan)
    assert isinstance(game, Game)
    kept = KeptBatches.of(game, plan.audit.batches)
    for _ in rounds(game, seed=seed, moves=plan.play.moves, every=plan.play.moves, on_delivery=kept.add):
        pass
    return audit_batches(plan, game, kept.batches, shadows=shadows, seed=seed)


def row(audits: list[Audit], distance: int, attack: str) -> Strength | None:
    """The strength of an attack at a distance, over all players of all seeds."""
    found = [f.scores[attack] for a in audits for f in a.players if f.distance == distance and attack in f.scores]
    return pooled(found, np.random.default_rng(0))


def told(value: float | None, interval: tuple[float, float] | None, *, percent: bool) -> str:
    """A figure with its interval."""
    if value is None or interval is None:
        return "–"
    scale, form = (100, ".1f") if percent else (1, ".3f")
    return f"{value * scale:{form}} ({interval[0] * scale:{form}}–{interval[1] * scale:{form}})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for alpha in ALPHAS:
        audits = []
        for seed in range(1, arguments.seeds + 1):
            print(f"α = {alpha}, seed {seed}", file=sys.stderr, flush=True)
            audits.append(audited(alpha, seed, arguments.shadows))
        for distance in (1, 2, 3):
            leaks = sum(a.leaks.get(distance, False) for a in audits)
            measured = {attack: row(audits, distance, attack) for attack in ATTACKS}
            rows.append({"alpha": alpha, "distance": distance, "leaks": leaks, "attacks": measured})
    if arguments.json:
        plain = [{**r, "attacks": {n: s and s.figures() for n, s in r["attacks"].items()}} for r in rows]
        print(json.dumps({"seeds": arguments.seeds, "rows": plain}))
        return
    heads = ["α", "distance", "leak found", "LiRA AUC", "LiRA TPR, % at 1 % FPR", "at 0.1 % FPR", "DOMIAS AUC"]
    heads += ["nearest AUC", "canaries AUC", "canaries TPR, % at 0.1 % FPR"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for r in rows:
        lira, domias, near, canaries = (r["attacks"][attack] for attack in ATTACKS)
        cells = [f"{r['alpha']:g}", f"{r['distance']}", f"{r['leaks']} of {arguments.seeds}"]
        cells += [told(lira.auc, lira.auc_interval, percent=False)]
        cells += [told(lira.rates[k], lira.rate_intervals[k], percent=True) for k in (0.01, 0.001)]
        cells += [told(s.auc, s.auc_interval, percent=False) for s in (domias, near, canaries)]
        cells += [told(canaries.rates[0.001], canaries.rate_intervals[0.001], percent=True)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
