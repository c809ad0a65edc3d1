"""What an adversary learns of each player's private rows from what was exchanged, by distance in the graph."""

__all__ = ["audit_batches", "audit_run"]

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..agents import ModelError
from ..games import Batch, Game, PlayerSpec, Space
from .audit_attacks import density_ratio, nearest, reconstruction
from .audit_budgets import auc_bound, budgets_of
from .audit_figures import Scores, strength
from .audit_findings import ATTACKS, Audit, Finding
from .audit_progress import told
from .audit_rows import Lens, distances, one_thread
from .audit_shadows import likelihood_ratio, shadow_games
from .audit_tables import TableRisk, attack_table, is_table
from .audit_verdict import concluded, exposed
from .canaries import canaries_of
from .directory import RunDirectory
from .experiment import Experiment, load_experiment
from .kept_batches import KeptBatch, NoBatchesError, read_kept
from .staging import build_game
from .storage import RunPath

_FARTHEST = 3
_MOST_ROWS = 4_000


@dataclass(frozen=True, eq=False)
class _Victim:
    """A player as it is attacked: its rows, those held out, and what is known of its canaries."""

    player: Hashable
    spec: PlayerSpec
    members: Batch
    others: Batch
    canaries: tuple[Batch, Batch] | None
    whole: bool
    """Whether its rows come in one batch, so that shadow games can hold others out."""


@dataclass(frozen=True, eq=False)
class _Unit:
    """One victim and one distance: what is heard there."""

    victim: _Victim
    distance: int
    publishers: tuple[Hashable, ...]
    published: tuple[Batch, ...]
    lens: Lens

    def heard(self, batches: Sequence[Batch] | None = None) -> tuple[Batch, NDArray[np.float64]]:
        """Rows that arrive, thinned, and the mean statistics of them all; those of other batches if given."""
        parts = [b.restrict(self.lens.space) for b in (self.published if batches is None else batches)]
        whole = Batch.concatenate(parts)
        return _thinned(whole), self.lens.mean_statistics(whole)


def audit_run(
    run: RunPath | str,
    *,
    shadows: int = 32,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda words: None,
) -> Audit:
    """Attacks what a run has kept of its exchange.

    Private rows are made again here from the experiment and its seed; they are on no record. An attacker at distance d
    of a player pools what all players at distance d − 1 from it published: more than any single listener hears.

    Arguments:
        run: a run directory or its URL, of an experiment with `audit.batches` above 0.
        shadows: shadow games of the likelihood-ratio attack, each as long as the run itself; 0 leaves it out.
        seed: of everything random in the audit.
        on_step: called with words as it goes on.

    Raises:
        RunDirectoryError: `run` is none.
        NoBatchesError: it has kept no batches.
        ValueError: `shadows` is below 0 or from 1 to 7, or what comes from making the game.
    """
    if shadows < 0 or 0 < shadows < 8:
        raise ValueError(f"shadows is {shadows}, expected 0 for none, or at least 8 games")
    directory = RunDirectory.existing(run)
    experiment = load_experiment(directory.path / "experiment.yaml")
    if experiment.audit.batches == 0:
        raise NoBatchesError(
            f"{directory.path} has kept no published batches (audit.batches is 0); play it again with "
            "--set audit.batches=20"
        )
    game = build_game(_read_here(experiment))
    assert isinstance(game, Game)  # arrays are played by the runner fleet alone
    return audit_batches(experiment, game, read_kept(directory.path, game), shadows=shadows, seed=seed, on_step=on_step)


def audit_batches(
    experiment: Experiment,
    game: Game,
    kept: Sequence[KeptBatch],
    *,
    shadows: int = 32,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda words: None,
) -> Audit:
    """As `audit_run`, of a game that was played in this process.

    Arguments:
        experiment: that was played.
        game: that was played.
        kept: what was kept of its exchange.
        shadows: as there.
        seed: as there.
        on_step: as there.
    """
    notes: list[str] = []
    victims = _victims(experiment, game, notes)
    units = _units(game, kept, victims, notes)
    scores: list[dict[str, Scores]] = []
    after = f", then {shadows} shadow games" if shadows else ""
    for number, unit in enumerate(_told(units, "attack", on_step, after)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        with one_thread():
            scores.append(_scores(unit, rng))
    played = 0
    if shadows and units:
        played = _shadow_attack(experiment, game, units, scores, shadows, seed, notes, on_step)
    elif units:
        notes.append("The likelihood-ratio attack was left out: no shadow games were played.")
    what = "canaries, tables and copies" if experiment.audit.canaries else "tables and copies"
    planted, findings = list[dict[str, Scores]](), list[Finding]()
    for number, unit in enumerate(_told(units, what, on_step)):
        with one_thread():
            planted.append(_canary_scores(unit))
            findings.append(_finding(unit, scores[number], planted[number], _table_risks(unit, seed, number)))
    return concluded(experiment, scores, planted, tuple(findings), played, notes, budgets_of(game))


def _told(units: Sequence[_Unit], what: str, on_step: Callable[[str], None], after: str = "") -> Iterator[_Unit]:
    """The units, each announced."""

    def words(k: int) -> str:
        return f"{what} {k + 1} of {len(units)}: player {units[k].victim.player} at distance {units[k].distance}"

    return told(units, len(units), words, on_step, after)


def _read_here(experiment: Experiment) -> Experiment:
    """The same experiment with all rows read in this process, whoever read them when it was played."""
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"where": "driver"})})


def _victims(experiment: Experiment, game: Game, notes: list[str]) -> list[_Victim]:
    found = []
    for index, (player, spec) in enumerate((p, game.specs[p]) for p in game.players):
        if not spec.rows or not spec.holdout or len(spec.holdout) < 2:
            notes.append(f"Player {player} has no rows, or fewer than 2 held out, and is not attacked.")
            continue
        canaries = None
        rows: tuple[Batch, ...] = spec.parts
        if experiment.audit.canaries:
            own, planted, decoys = canaries_of(experiment, spec, index)
            rows, canaries = (own,), (planted, decoys)
        space = _common([b.space for b in (*rows, spec.holdout)])
        if space is None:
            notes.append(f"No variable is in all rows of player {player}, which is not attacked.")
            continue
        members = Batch.concatenate([b.restrict(space) for b in rows])
        whole = len(rows) == 1 and rows[0].space == spec.holdout.space
        if not whole:
            notes.append(f"Rows of player {player} lack different variables, so that no shadow game attacks them.")
        found.append(_Victim(player, spec, members, spec.holdout.restrict(space), canaries, whole))
    return found


def _units(game: Game, kept: Sequence[KeptBatch], victims: Sequence[_Victim], notes: list[str]) -> list[_Unit]:
    by_sender: dict[Hashable, list[Batch]] = {}
    for one in kept:
        by_sender.setdefault(one.sender, []).append(one.batch)
    heard: nx.DiGraph[Any] = nx.DiGraph()
    heard.add_nodes_from(game.graph)
    heard.add_edges_from((i, j) for i, j, a in game.graph.edges(data=True) if i != j and a["alpha"] > 0)
    units = []
    for victim in victims:
        steps = nx.single_source_shortest_path_length(heard, victim.player, cutoff=_FARTHEST - 1)
        for distance in range(1, _FARTHEST + 1):
            publishers = tuple(p for p in game.players if steps.get(p) == distance - 1 and by_sender.get(p))
            batches = [b for p in publishers for b in by_sender[p]]
            space = _common([victim.members.space, *(b.space for b in batches)]) if batches else None
            if space is None:
                continue
            scale = Batch.concatenate([b.restrict(space) for b in (victim.members, victim.others)])
            lens = Lens(space, scale, victim.spec.family)
            units.append(_Unit(victim, distance, publishers, tuple(batches), lens))
    if not units:
        notes.append("No player that was attacked has published anything.")
    most = max((sum(map(len, unit.published)) for unit in units), default=0)
    if most > _MOST_ROWS:
        notes.append(
            f"Of up to {most:,} published rows that an attacker has received, distances and densities are taken to "
            f"{_MOST_ROWS:,}, evenly spaced; the trace in the mean, copies, and attacks on tables take all."
        )
    return units


def _shadow_attack(
    experiment: Experiment,
    game: Game,
    units: Sequence[_Unit],
    scores: Sequence[dict[str, Scores]],
    shadows: int,
    seed: int,
    notes: list[str],
    on_step: Callable[[str], None],
) -> int:
    """Adds the likelihood-ratio attack to the scores of the units it can attack; how many games were played."""
    attacked = [k for k, unit in enumerate(units) if unit.victim.whole]
    victims = {units[k].victim.player: units[k].victim for k in attacked}
    pools = {player: (victim.members, victim.others) for player, victim in victims.items()}
    rows = {player: Batch.concatenate(list(pool)) for player, pool in pools.items()}
    found: dict[int, list[NDArray[np.float64]]] = {k: [] for k in attacked}
    learned: dict[int, list[NDArray[np.bool_]]] = {k: [] for k in attacked}
    played = 0
    try:
        games = shadow_games(experiment, game, pools, shadows, seed=seed)
        for shadow in told(games, shadows, lambda k: f"shadow game {k + 1} of {shadows}", on_step):
            played += 1
            by_sender: dict[Hashable, list[Batch]] = {}
            for one in shadow.batches:
                by_sender.setdefault(one.sender, []).append(one.batch)
            with one_thread():
                for k in attacked:
                    unit = units[k]
                    heard = unit.heard([b for p in unit.publishers for b in by_sender.get(p, [])])
                    found[k].append(_statistics(unit.lens, rows[unit.victim.player], *heard))
                    learned[k].append(shadow.learned[unit.victim.player])
    except (ModelError, ValueError) as error:
        notes.append(f"Shadow games came to an end after {played} of {shadows} ({type(error).__name__}: {error}).")
    if played < min(shadows, 8):
        return played
    for k in attacked:
        unit = units[k]
        seen = _statistics(unit.lens, rows[unit.victim.player], *unit.heard())
        scores[k]["likelihood-ratio"] = likelihood_ratio(
            np.stack(learned[k]), np.stack(found[k]), seen, len(unit.victim.members)
        )
    return played


def _scores(unit: _Unit, rng: np.random.Generator) -> dict[str, Scores]:
    """What attacks that need no shadow games say of private rows and of those held out."""
    members, others = (b.restrict(unit.lens.space) for b in (unit.victim.members, unit.victim.others))
    rows, _ = unit.heard()
    return {
        "nearest": nearest(unit.lens, members, others, rows),
        "density-ratio": density_ratio(unit.lens, members, others, rows, rng),
    }


def _statistics(lens: Lens, rows: Batch, published: Batch, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the likelihood-ratio attack looks at: the trace in the mean, and the nearest published row: `[n, 2]`."""
    seen = rows.restrict(lens.space)
    near = distances(lens.encode(seen), lens.encode(published))
    return np.stack([lens.trace(seen, mean), -np.log(near + 1e-3)], axis=1)


def _canary_scores(unit: _Unit) -> dict[str, Scores]:
    """What attacks that need no shadow games say of canaries and of decoys."""
    if unit.victim.canaries is None:
        return {}
    lens, (rows, mean) = unit.lens, unit.heard()
    planted, decoys = (b.restrict(lens.space) for b in unit.victim.canaries)
    return {
        "nearest": nearest(lens, planted, decoys, rows),
        "trace": Scores(lens.trace(planted, mean), lens.trace(decoys, mean)),
    }


def _table_risks(unit: _Unit, seed: int, number: int) -> Mapping[str, TableRisk | None]:
    if not is_table(unit.lens.space):
        return {}
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 1)))
    members, others = (b.restrict(unit.lens.space) for b in (unit.victim.members, unit.victim.others))
    published = Batch.concatenate([b.restrict(unit.lens.space) for b in unit.published])
    return attack_table(members, others, published, rng)


def _finding(
    unit: _Unit,
    scores: Mapping[str, Scores],
    on_canaries: Mapping[str, Scores],
    tables: Mapping[str, TableRisk | None],
) -> Finding:
    victim, space = unit.victim, unit.lens.space
    members, others = (b.restrict(space) for b in (victim.members, victim.others))
    published = [b.restrict(space) for b in unit.published]
    return Finding(
        victim.player,
        unit.distance,
        unit.publishers,
        sum(map(len, published)),
        {name: strength(scores[name]) if name in scores else None for name in ATTACKS},
        reconstruction(unit.lens, members, others, published, unit.heard()[0]),
        exposed({name: [found] for name, found in on_canaries.items()}),
        tables,
        auc_bound(victim.spec),
        {**scores, **{f"canaries, {name}": found for name, found in on_canaries.items()}},
    )


def _common(spaces: Sequence[Space]) -> Space | None:
    """The variables that all have, in the order of the first."""
    found: Space | None = spaces[0]
    for space in spaces[1:]:
        found = None if found is None else found.intersection(space)
    return found


def _thinned(batch: Batch) -> Batch:
    """At most 4,000 rows, evenly spaced over what was received: enough for distances and densities."""
    if len(batch) <= _MOST_ROWS:
        return batch
    return batch.select(np.linspace(0, len(batch) - 1, _MOST_ROWS).astype(np.int64))
