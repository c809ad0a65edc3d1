"""Attack strength on digits, by self-weight α and by distance in the graph: the table of docs/audit.md.

Prints it as Markdown; one JSON object with `--json`. `--shadows` sets the shadow games of each run, `--seeds` the runs.
`--vary KEY=A,B,…` goes through values of another key of the experiment, and `--set KEY=VALUE` changes one for all.
"""

import argparse
import json
import os
import sys
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from nashgossip.games import Game
from nashgossip.runners import Audit, KeptBatches, audit_batches, build_game, load_experiment, rounds
from nashgossip.runners.audit_figures import Strength, pooled

VARIED = "self_weight=0.1,0.3,0.5,0.7,0.9"
SETTINGS = [
    *("runner=rounds", "play.moves=40", "play.samples=100", "data.holdout=0.5"),
    *("audit.batches=20", "audit.canaries=10"),
]
ATTACKS = ("likelihood-ratio", "density-ratio", "nearest", "canaries, trace")


def audited(settings: list[str], seed: int, shadows: int) -> Audit:
    """One run, and its audit."""
    plan = load_experiment("digits", [*SETTINGS, *settings, f"seed={seed}"])
    game = build_game(plan)
    assert isinstance(game, Game)
    kept = KeptBatches.of(game, plan.audit.batches)
    for _ in rounds(game, seed=seed, moves=plan.play.moves, every=plan.play.moves, on_delivery=kept.add):
        pass
    return audit_batches(plan, game, kept.batches, shadows=shadows, seed=seed)


def row(audits: list[Audit], distance: int, attack: str) -> Strength | None:
    """The strength of an attack at a distance, over all players of all seeds."""
    found = [f.scores[attack] for a in audits for f in a.players if f.distance == distance and attack in f.scores]
    return pooled(found)


def area(found: Strength | None) -> str:
    """The area under the curve, with its interval."""
    return "–" if found is None else told(found.auc, found.auc_interval, ".3f")


def share(found: Strength | None, rate: float) -> str:
    """The true-positive rate at a false-positive rate in per cent, with its interval."""
    interval = None if found is None else found.rate_intervals[rate]
    if found is None or interval is None:
        return "–"
    return told(100 * (found.rates[rate] or 0.0), (100 * interval[0], 100 * interval[1]), ".1f")


def told(value: float, interval: tuple[float, float], form: str) -> str:
    """A figure with its interval."""
    return f"{value:{form}} ({interval[0]:{form}}–{interval[1]:{form}})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vary", metavar="KEY=A,B,…", default=VARIED)
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    key, _, values = arguments.vary.partition("=")
    rows: list[dict[str, Any]] = []
    for value in values.split(","):
        audits = []
        for seed in range(1, arguments.seeds + 1):
            print(f"{key} = {value}, seed {seed}", file=sys.stderr, flush=True)
            audits.append(audited([*arguments.settings, f"{key}={value}"], seed, arguments.shadows))
        for distance in (1, 2, 3):
            leaks = sum(a.leaks.get(distance, False) for a in audits)
            measured = {attack: row(audits, distance, attack) for attack in ATTACKS}
            rows.append({key: value, "distance": distance, "leaks": leaks, "attacks": measured})
    if arguments.json:
        plain = [{**r, "attacks": {n: s and s.figures() for n, s in r["attacks"].items()}} for r in rows]
        print(json.dumps({"seeds": arguments.seeds, "rows": plain}))
        return
    heads = ["α" if key == "self_weight" else key, "distance", "leak found", "LiRA AUC", "LiRA TPR, % at 1 % FPR"]
    heads += ["at 0.1 % FPR", "DOMIAS AUC", "nearest AUC", "canaries AUC", "canaries TPR, % at 0.1 % FPR"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for r in rows:
        lira, domias, near, canaries = (r["attacks"][attack] for attack in ATTACKS)
        cells = [r[key], f"{r['distance']}", f"{r['leaks']} of {arguments.seeds}"]
        cells += [area(lira), share(lira, 0.01), share(lira, 0.001)]
        cells += [area(domias), area(near), area(canaries), share(canaries, 0.001)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
