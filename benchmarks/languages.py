"""Plays an experiment with words on several seeds and prints the total variation of each player, mean ± standard error.

python benchmarks/languages.py --seeds 0,1,2 --picture shares.png
python benchmarks/languages.py --set play.runner=virtual --set network.compute.kind=exponential
python benchmarks/languages.py --mixtures 12

Each seed draws the words anew. `noise` is the total variation that the identifier's own standard errors would give if
the shares were the predicted ones; `other script` is measured by the second spelling of players that have two.
`--mixtures` plays nothing, but tries the identifier on so many known mixtures of fresh words.
"""

import argparse
import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from nashgossip.games import Batch, Game, Space, total_variation
from nashgossip.runners import Experiment, Outcome, build_game, load_experiment, play
from nashgossip.runners.neural_games import build_examiner, build_watch
from nashgossip.runners.private_data import load_data
from nashgossip.runners.session import engine_options
from nashgossip.runners.word_sheet import word_sheet


def main() -> None:
    """Plays, then prints the table and the words of the first seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="languages")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--picture", type=Path, help="predicted and measured shares as heat maps, mean over seeds")
    parser.add_argument("--mixtures", type=int, help="try the identifier on known mixtures instead")
    given = parser.parse_args()
    if given.mixtures:
        print(on_known_mixtures(load_experiment(given.experiment, given.settings), given.mixtures))
        return
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    outcomes = [played(given, seed, figures) for seed in map(int, given.seeds.split(","))]
    columns = list(dict.fromkeys(itertools.chain.from_iterable(figures.values())))
    print("| player | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for player, found in figures.items():
        print(f"| {player} | " + " | ".join(shown(found.get(c, [])) for c in columns) + " |")
    below = sum(np.mean(found["total variation"]) <= 0.1 for found in figures.values())
    print(f"\n{below} of {len(figures)} players at most 0.10 in the mean; outcomes: {[o.outcome for o in outcomes]}")
    print(f"seconds of play: {[round(o.last.seconds, 1) for o in outcomes]}\n\n{word_sheet(outcomes[0])}")
    if given.picture is not None:
        draw(outcomes, given.picture)


def played(given: argparse.Namespace, seed: int, figures: Any) -> Outcome:
    """One run; its figures are added by player."""
    plan = load_experiment(given.experiment, [*given.settings, f"data.options.seed={seed}", f"seed={seed}"])
    game = build_game(plan)
    assert isinstance(game, Game)
    looks, examiner = build_watch(plan, game)
    assert examiner is not None
    options = {"seed": seed, "moves": plan.play.moves, "looks": looks, "examiner": examiner}
    outcome = play(game, plan.play.runner, **options, **engine_options(plan, game))
    for player in outcome.players:
        batch, found = outcome.after[player.player], figures[str(player.player)]
        assert batch is not None
        assert player.mixture is not None
        assert player.predicted_mixture is not None
        own = player.own_classes[0]
        found["own share, predicted"].append(player.predicted_mixture[own])
        found["own share, measured"].append(player.mixture[own])
        found["total variation"].append(player.total_variation)
        told = examiner.references.estimate(batch)  # type: ignore[union-attr]
        found["noise"].append(np.sqrt(2 / np.pi) * told.errors.sum() / 2)
        found["held-out"].append(player.held_out)
        for shares in other_spellings(examiner.references, batch):
            found["other script"].append(total_variation(shares, player.predicted_mixture))
    return outcome


def on_known_mixtures(plan: Experiment, number: int) -> str:
    """Total variation of the identifier, and of counting each word for its likeliest language, on real words."""
    game = build_game(plan)
    assert isinstance(game, Game)
    ear: Any = build_examiner(plan, game).references
    fresh, rng, found = load_data(plan, seed=1).batch, np.random.default_rng(0), []
    first = Space((tuple(fresh.space)[1],))
    words, labels = fresh.restrict(first), fresh["language"]
    end = (fresh.space[first.names[0]].categories or 0) - 1
    written = np.unique(labels[words[first.names[0]][:, 0] != end])
    classes = fresh.space["language"].categories or 0
    for _ in range(number):
        truth = np.zeros(classes)
        truth[written] = rng.dirichlet(np.ones(len(written)))
        counts = rng.multinomial(2000, truth)
        rows = [rng.choice(np.flatnonzero(labels == c), k, replace=False) for c, k in enumerate(counts)]
        heard = words.select(np.concatenate(rows))
        likeliest = np.bincount(ear.log_likelihoods(heard).argmax(axis=1), minlength=classes)
        shares = (ear.shares(heard), likeliest / 2000)
        found.append([total_variation(told, counts / 2000) for told in shares])
    errors = np.array(found)
    return f"total variation: likeliest shares {shown(list(errors[:, 0]))}, likeliest words {shown(list(errors[:, 1]))}"


def other_spellings(ear: Any, batch: Batch) -> list[Any]:
    """Shares by the spellings that the identifier does not go by."""
    return [ear.shares(batch.restrict(Space((v,)))) for v in tuple(batch.space)[1:]]


def shown(values: list[float]) -> str:
    """Mean ± standard error of the mean."""
    if not values:
        return ""
    error = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{error}"


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Predicted shares, measured ones and their difference, mean over the runs."""
    from matplotlib.figure import Figure

    names = [str(p.player) for p in outcomes[0].players]
    predicted = np.mean([[p.predicted_mixture for p in o.players] for o in outcomes], axis=0)
    measured = np.mean([[p.mixture for p in o.players] for o in outcomes], axis=0)
    figure = Figure(figsize=(15, 5), layout="constrained")
    panels = figure.subplots(1, 3)
    most = float(max(predicted.max(), measured.max()))
    parts = (
        (predicted, "predicted: the influence matrix B, in per cent", {"cmap": "viridis", "vmin": 0, "vmax": most}, 0),
        (measured, "measured on generated words, in per cent", {"cmap": "viridis", "vmin": 0, "vmax": most}, 0),
        (measured - predicted, "difference, in per cent", {"cmap": "RdBu_r", "vmin": -0.05, "vmax": 0.05}, 1),
    )
    for panel, (shares, title, how, digits) in zip(panels, parts, strict=True):
        image = panel.imshow(shares, **how)
        for i, j in itertools.product(range(len(names)), repeat=2):
            if abs(shares[i, j]) >= 0.005:
                ink = "white" if not digits and shares[i, j] < 0.6 * most else "black"
                text = f"{100 * shares[i, j]:.{digits}f}"
                panel.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)
        panel.set_xticks(range(len(names)), names)
        panel.set_yticks(range(len(names)), names)
        panel.set(title=title, xlabel="language of the words", ylabel="player")
        figure.colorbar(image, ax=panel, shrink=0.8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
