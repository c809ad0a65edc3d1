"""Attacks on tables: who memorises is caught by all, who publishes fresh rows of the law by none, and by hand."""

import json

import numpy as np
import pytest
from scipy.stats import binom

from nashgossip.games import Batch, Space, Variable
from nashgossip.runners.audit_tables import TABLE_ATTACKS, attack_table, is_table

SPACE = Space(
    (
        Variable("age", "real"),
        Variable("pressure", "real", (2,)),
        Variable("ward", "categorical", categories=4),
        Variable("smokes", "binary"),
        Variable("visits", "count"),
    )
)


def patients(n: int, *seed: int) -> Batch:
    """Rows whose columns depend on each other, so that something can be inferred by whoever knows the law."""
    rng = np.random.default_rng(seed)
    health = rng.normal(size=n)
    return SPACE.batch(
        {
            "age": health + rng.normal(size=n),
            "pressure": health[:, None] + rng.normal(size=(n, 2)),
            "ward": rng.integers(4, size=n),
            "smokes": (health + rng.normal(size=n) > 0).astype(int),
            "visits": rng.poisson(np.exp(1 + health / 3)),
        }
    )


def test_who_memorises_is_caught_by_every_attack():
    rng, mine = np.random.default_rng(1), patients(60, 1)
    found = attack_table(mine, patients(80, 2), mine.select(rng.integers(60, size=600)), rng)
    assert tuple(found) == TABLE_ATTACKS
    for name, risk in found.items():
        few = name == "singling out, one column"  # which has the ends of columns, and what is rare
        assert risk.interval[0] > (0.2 if few else 0.6)
        assert risk.interval[0] < risk.risk <= risk.interval[1]
        assert risk.p < 0.05
        assert risk.main > (0.8 if name == "linkability" else 0.9)  # halves of coarse columns fit several rows
        assert max(risk.control, risk.baseline) < 0.5
    assert found["linkability"].guesses == 60
    assert json.loads(json.dumps(found["inference"].figures()))["main"] > 0.9


def test_who_publishes_fresh_rows_is_accused_no_more_often_than_promised():
    runs, accused, covered = 40, dict.fromkeys(TABLE_ATTACKS, 0), dict.fromkeys(TABLE_ATTACKS, 0)
    for k in range(runs):
        rng = np.random.default_rng([3, k])
        found = attack_table(patients(40, k, 4), patients(40, k, 5), patients(300, k, 6), rng)
        for name, risk in found.items():
            accused[name] += risk is not None and risk.p < 0.05
            covered[name] += risk is None or risk.interval[0] <= 0 <= risk.interval[1]
    assert max(accused.values()) <= binom.ppf(0.999, runs, 0.05)
    assert min(covered.values()) >= binom.ppf(0.001, runs, 0.95)


@pytest.mark.slow
def test_the_interval_of_singling_out_covers_where_predicates_overlap():
    runs, covered = 200, dict.fromkeys(TABLE_ATTACKS[:2], 0)
    for k in range(runs):
        drawn = (patients(150, k, 7), patients(150, k, 8), patients(300, k, 9))
        found = attack_table(*drawn, np.random.default_rng([10, k]))
        for name in covered:
            risk = found[name]
            covered[name] += risk is None or risk.interval[0] <= 0 <= risk.interval[1]
    assert min(covered.values()) >= binom.ppf(0.001, runs, 0.95)


def test_a_rare_row_among_many_published_ones_is_found():
    """However much is published beside them, copies of private rows are there to be found."""
    space, rng = Space(tuple(Variable(name, "real") for name in "abcd")), np.random.default_rng(1)
    mine, theirs, fresh = (space.batch({v.name: rng.normal(size=n) for v in space}) for n in (100, 100, 20_000))
    found = attack_table(mine, theirs, Batch.concatenate([fresh, mine]), rng)
    for name in ("linkability", "inference"):
        assert (found[name].main, found[name].p < 1e-30) == (1.0, True)
        assert found[name].control < 0.1


def test_what_the_law_gives_away_is_no_risk():
    """A column that is a function of another is inferred of everybody, and more often than by a guess."""
    space = Space((*(Variable(name, "categorical", categories=8) for name in "ab"), Variable("x", "real")))

    def rows(n: int, seed: int) -> Batch:
        drawn = np.random.default_rng(seed).integers(8, size=n)
        return space.batch({"a": drawn, "b": 7 - drawn, "x": drawn.astype(float)})

    found = attack_table(rows(50, 1), rows(50, 2), rows(400, 3), np.random.default_rng(4))["inference"]
    assert (found.main, found.control) == (1.0, 1.0)
    assert found.baseline < 0.5
    assert found.interval[0] <= 0 <= found.interval[1]
    assert found.p == 1.0


def test_the_seed_decides():
    mine, theirs, published = patients(40, 1), patients(40, 2), patients(200, 3)
    same, again, other = (attack_table(mine, theirs, published, np.random.default_rng(k)) for k in (1, 1, 2))
    assert same == again
    assert same != other


def test_too_few_rows_say_nothing():
    found = attack_table(patients(7, 1), patients(40, 2), patients(100, 3), np.random.default_rng(1))
    assert found == dict.fromkeys(TABLE_ATTACKS)


def test_published_rows_that_are_all_alike_count_once():
    published = patients(1, 3).select(np.zeros(50, dtype=np.int64))
    space = Space(tuple(SPACE)[:3])  # both ends of three columns, and a ward, which only this row has
    rows = [b.restrict(space) for b in (patients(30, 1), patients(30, 2), published)]
    found = attack_table(*rows, np.random.default_rng(1))
    assert found["singling out, one column"].guesses == 7
    assert found["linkability"].main == 1.0  # there is one published row, nearest to everybody: no risk
    assert found["linkability"].control == 1.0


@pytest.mark.parametrize(
    ("variables", "table"),
    [
        ((Variable("a", "real"), Variable("b", "real", (2,))), True),
        ((Variable("a", "real"), Variable("b", "real")), False),  # two columns
        ((Variable("x", "real", (6,)),), False),  # one variable
        ((Variable("label", "categorical", categories=10), Variable("x", "real", (8, 8))), False),  # images
        ((Variable("a", "binary"), Variable("b", "binary", (64,))), False),  # too many columns
    ],
)
def test_what_a_table_is(variables, table):
    assert is_table(Space(variables)) is table
