"""The verdict: who hands its rows of a table on is named, by every attack that can tell, and the others are not."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, kstest

from nashgossip.agents import EmpiricalModel
from nashgossip.games import Batch, Game, PlayerSpec, Space, Variable
from nashgossip.runners import Audit, KeptBatches, audit_batches, audit_lines, load_experiment, rounds
from nashgossip.runners.audit_tables import TableRisk
from nashgossip.runners.audit_verdict import pooled_risk
from nashgossip.runners.kept_batches import KeptBatch
from nashgossip.topology import attach_alpha, generate_graph

SPACE = Space((Variable("x", "real", (4,)), Variable("ward", "categorical", categories=4), Variable("n", "count")))
PLAYERS = 10
SEVERAL = "singling out, several columns"


def rows(n: int, rng: np.random.Generator) -> Batch:
    return SPACE.batch({"x": rng.normal(size=(n, 4)), "ward": rng.integers(4, size=n), "n": rng.poisson(3, size=n)})


class Deaf:
    """Learns nothing, ever."""

    space = SPACE

    def learn(self, sources: Any, rng: np.random.Generator) -> None:
        pass

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return rows(n, rng)

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


def audited(memorisers: set[int], seed: int, n: int = PLAYERS) -> Audit:
    """Of players on a ring, each with 40 rows and as many held out, some of whom hand theirs on; they hardly listen."""
    G, rng = attach_alpha(generate_graph("cycle_graph", n=n), 0.98), np.random.default_rng(seed)
    specs = {
        i: PlayerSpec(
            model=(lambda: EmpiricalModel(SPACE)) if i in memorisers else Deaf,
            data=rows(40, rng),
            holdout=rows(40, rng),
            samples=60,
        )
        for i in G
    }
    game = Game(G, specs)
    kept = KeptBatches.of(game, 3)
    for _ in rounds(game, seed=seed, moves=4, every=4, on_delivery=kept.add):
        pass
    plan = load_experiment("ring", ["runner=rounds", "moves=4", "audit.batches=3"])
    return audit_batches(plan, game, kept.batches, shadows=0, seed=seed)


def test_one_who_memorises_among_ten_is_named() -> None:
    found = audited({7}, 1)
    assert len(found.players) == 3 * PLAYERS
    assert {name.rpartition(" of ")[2] for name in found.reasons[1] if "of player" in name} == {"player 7"}
    for name in (SEVERAL, "linkability", "inference", "nearest"):
        assert f"{name} of player 7" in found.reasons[1]
    told = found.together[0].tables["linkability"]
    alone = [f.tables["linkability"] for f in found.players if f.distance == 1]
    assert told.guesses == 40 * PLAYERS
    assert told.main == pytest.approx(np.mean([r.main for r in alone]))
    assert any(line.startswith("distance 1: found by ") and "of player 7" in line for line in audit_lines(found))


def test_where_all_memorise_every_attack_finds_it_in_all_and_several_in_each() -> None:
    found = audited(set(range(PLAYERS)), 2)
    for name in ("singling out, one column", SEVERAL, "linkability", "inference", "nearest"):
        assert f"{name} of all players" in found.reasons[1]
    assert {f"{SEVERAL} of player {i}" for i in range(PLAYERS)} <= set(found.reasons[1])
    assert found.figures()["distances"][0]["reasons"] == list(found.reasons[1])
    assert " more tests" in audit_lines(found)[1]


@pytest.mark.parametrize("runs", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_who_ignores_its_table_is_accused_no_more_often_than_promised(runs: int) -> None:
    audits = [audited(set(), 100 + k, n=4) for k in range(runs)]
    assert sum(any(a.leaks.values()) for a in audits) <= binom.ppf(0.999, runs, 0.05)
    assert all(a.leaks[d] == bool(a.reasons[d]) == (a.p[d] < 0.05) for a in audits for d in a.leaks)


@pytest.mark.parametrize("fresh", [100, 20_000])
def test_tables_are_searched_whole_however_much_was_published_and_samples_are_told(fresh: int) -> None:
    """Each private row was published once, somewhere among many others."""
    rng = np.random.default_rng(4)
    G = attach_alpha(generate_graph("path", n=2), 0.5)
    game = Game(G, {i: PlayerSpec(model=Deaf, data=rows(40, rng), holdout=rows(40, rng), samples=9) for i in G})
    published = Batch.concatenate([rows(fresh, rng), game.specs[0].data])
    kept = KeptBatch(0, 1, (1,), published.select(rng.permutation(len(published))))
    plan = load_experiment("ring", ["runner=rounds", "moves=4", "audit.batches=3"])
    found = audit_batches(plan, game, [kept], shadows=0)
    assert found.players[0].tables["inference"].main > 0.9
    assert f"inference of player {found.players[0].player}" in found.reasons[1]
    notes = [note for note in found.notes if note.startswith("Of up to 20,040 published rows")]
    assert len(notes) == (fresh > 4000)
    assert all("distances and densities are taken to 4,000" in note for note in notes)


def risk(p: float, at: float, reach: float) -> TableRisk:
    return TableRisk(50, at, 0.0, 0.0, at, (at - reach, min(1.0, at + reach)), p)


def test_a_pooled_risk_is_a_mean_whose_interval_shrinks_and_whose_p_is_as_told() -> None:
    assert pooled_risk([]) is None
    one = risk(0.03, 0.4, 0.2)
    assert pooled_risk([one]) == one
    four = pooled_risk([one] * 4)
    assert (four.guesses, four.main, four.risk) == (200, pytest.approx(0.4), pytest.approx(0.4))
    assert four.interval == (pytest.approx(0.3), pytest.approx(0.5))
    assert pooled_risk([risk(0.03, 0.9, 0.2)] * 4).interval == (pytest.approx(0.8), 1.0)
    assert pooled_risk([risk(0.0, 0.9, 0.1), risk(1.0, 0.0, 0.1)]).p < 1e-300
    rng = np.random.default_rng(1)
    combined = [pooled_risk([risk(p, 0.0, 1.0) for p in rng.random(5)]).p for _ in range(300)]
    assert kstest(combined, "uniform").pvalue > 0.001
