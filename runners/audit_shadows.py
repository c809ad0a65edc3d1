"""Shadow games: the same game played with other halves of the players' rows, for a likelihood-ratio attack."""

__all__ = ["ShadowGame", "likelihood_ratio", "shadow_games", "twin"]

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents import ModelError
from ..games import Batch, Game, GameError
from .audit_figures import Scores
from .experiment import Experiment
from .kept_batches import KeptBatch, KeptBatches
from .privacy import with_new_noise
from .sections import DurationSection, NetworkSection
from .session import engine_options

_SHADOW = 1022
_TRIES = 10

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ShadowGame:
    """What came of one shadow game.

    Arguments:
        learned: player → whether its model learned from each row of its pool, `[m + n]`: its private rows, then those
            held out.
        batches: what was published, kept as in the run itself.
    """

    learned: Mapping[Hashable, NDArray[np.bool_]]
    batches: Sequence[KeptBatch]


def shadow_games(
    experiment: Experiment,
    game: Game,
    pools: Mapping[Hashable, tuple[Batch, Batch]],
    count: int,
    *,
    seed: int,
    on_game: Callable[[int], None] = lambda number: None,
) -> Iterator[ShadowGame]:
    """Plays the game again and again, each time with other rows held out, as many as before.

    Each row is held out in as many games as any other, within one. What else a player learns from, canaries or rows of
    several batches, stays. An attacker who does so knows the graph, α and the models, and rows of the population
    among which the private ones are: the strongest that the literature grants.

    Arguments:
        experiment: that was played; of one on `ray` its `twin` is.
        game: its game.
        pools: player → its private rows and those held out, of the players that are attacked.
        count: how many games.
        seed: of the games and of who is held out, apart from the seed of the run.
        on_game: called with the number of each game that was played.

    Yields:
        The games.

    Raises:
        GameError: ten draws in a row left a player with rows that its model cannot learn from.
        ModelError: likewise, as it played.
    """
    seeds = np.random.SeedSequence(seed, spawn_key=(_SHADOW,))
    rng = np.random.default_rng(seeds)
    whole = {player: Batch.concatenate(list(pool)) for player, pool in pools.items()}
    missed = {player: np.zeros(len(rows), dtype=np.int64) for player, rows in whole.items()}
    tries = 0
    for number in range(count):
        while True:
            learned = {player: ~_held_out(missed[player], len(pools[player][1]), rng) for player in whole}
            try:
                shadow = int(rng.integers(2**31))
                batches = _play(experiment, _with_rows(game, pools, whole, learned, shadow), shadow)
                break
            except (GameError, ModelError, ValueError):
                tries += 1
                if tries >= _TRIES:
                    raise
        tries = 0
        for player, mask in learned.items():
            missed[player] += ~mask
        on_game(number)
        yield ShadowGame(learned, batches)


def twin(experiment: Experiment) -> Experiment:
    """The same experiment in this process, for one on `ray`: in rounds, or by Poisson clocks in virtual time.

    Rounds with players that join and leave are played in virtual time too, where each move takes one unit and no
    message any. What real time has beside, messages that are late or replaced and machines that are slow, is not in it.
    """
    play = experiment.play
    if play.runner != "ray":
        return experiment
    synchronous = play.mode == "synchronous"
    runner = "rounds" if synchronous and experiment.changes.kind == "none" else "virtual"
    changed = {"runner": runner, "every": None, "workers": None}
    clocks = NetworkSection(compute=DurationSection(kind="constant" if synchronous else "exponential"))
    return experiment.model_copy(update={"play": play.model_copy(update=changed), "network": clocks})


def likelihood_ratio(learned: NDArray[np.bool_], shadows: Matrix, told: Matrix, members: int) -> Scores:
    """Log-likelihood ratio of each row having been learned from, against not, under a Gaussian law.

    Of each row, statistics in shadow games that learned from it are a + b/2 + noise, in the others a − b/2 + noise. b
    is estimated row by row and shrunk to its mean over rows, so that few games suffice; the noise is that of all rows.

    Arguments:
        learned: `[G, n]`, which game learned from which row.
        shadows: `[G, n, k]`, k statistics of each row in each game.
        told: `[n, k]`, the same in the run that is attacked.
        members: how many rows, the first, were learned from in that run.

    Source: N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis and F. Tramèr, Membership Inference Attacks From First
    Principles (LiRA), 2022; statistics of generated rows stand for a model's confidence.
    """
    inside = learned[:, :, None].astype(np.float64)
    count_in, count_out = inside.sum(axis=0), (1 - inside).sum(axis=0)
    usable = ((count_in > 0) & (count_out > 0))[:, 0]
    mean_in = (shadows * inside).sum(axis=0) / np.maximum(count_in, 1)
    mean_out = (shadows * (1 - inside)).sum(axis=0) / np.maximum(count_out, 1)
    rest = shadows - np.where(learned[:, :, None], mean_in, mean_out)
    k = shadows.shape[2]
    freedom = max(1.0, float((count_in + count_out - 2)[usable, 0].sum()))
    flat = rest[:, usable].reshape(-1, k)
    noise = flat.T @ flat / freedom
    noise += np.eye(k) * (1e-9 + 1e-6 * float(np.trace(noise)) / k)
    difference = np.where(usable[:, None], mean_in - mean_out, 0.0)
    error = np.diag(noise) * (1 / np.maximum(count_in, 1) + 1 / np.maximum(count_out, 1))
    centre = difference[usable].mean(axis=0)
    between = np.maximum(difference[usable].var(axis=0) - error[usable].mean(axis=0), 0.0)
    weight = between / (between + error)
    shift = weight * difference + (1 - weight) * centre
    middle = np.where(usable[:, None], (mean_in + mean_out) / 2, shadows.mean(axis=0))
    ratio: Matrix = np.einsum("nk,nk->n", (told - middle) @ np.linalg.inv(noise), shift)
    return Scores(ratio[:members], ratio[members:])


def _held_out(missed: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The rows that were held out least often so far, by lot among equals: `[n]`."""
    chosen = np.lexsort((rng.random(len(missed)), missed))[:count]
    mask = np.zeros(len(missed), dtype=bool)
    mask[chosen] = True
    return mask


def _with_rows(
    game: Game,
    pools: Mapping[Hashable, tuple[Batch, Batch]],
    whole: Mapping[Hashable, Batch],
    learned: Mapping[Hashable, NDArray[np.bool_]],
    seed: int,
) -> Game:
    specs = with_new_noise(game.specs, seed)
    for player, rows in whole.items():
        spec = specs[player]
        mine, mask = spec.parts[0], learned[player]
        canaries = mine.select(slice(len(pools[player][0]), None))
        chosen = rows.select(np.flatnonzero(mask))
        data = Batch.concatenate([chosen, canaries]) if len(canaries) else chosen
        specs[player] = replace(spec, data=data, holdout=rows.select(np.flatnonzero(~mask)))
    return Game(game.graph, specs, anchored=game.anchored)


def _play(experiment: Experiment, game: Game, seed: int) -> list[KeptBatch]:
    from .rounds import rounds
    from .virtual import virtual

    experiment = twin(experiment)
    settings = experiment.play
    kept = KeptBatches.of(game, experiment.audit.batches, experiment.audit.stride)
    options: dict[str, Any] = {**engine_options(experiment, game), "every": settings.moves}
    engine = rounds if settings.runner == "rounds" else virtual
    for _ in engine(game, seed=seed, moves=settings.moves, on_delivery=kept.add, **options):
        pass
    return kept.batches
