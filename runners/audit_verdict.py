"""The verdict of an audit: the players together, by distance, and the tests that are corrected for their number."""

__all__ = ["concluded", "exposed", "pooled_risk"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import combine_pvalues

from .audit_attacks import exposure
from .audit_budgets import Budget
from .audit_figures import Scores, Strength, holm, pooled
from .audit_findings import ATTACKS, Audit, Finding
from .audit_tables import TABLE_ATTACKS, TableRisk
from .experiment import Experiment

_LEVEL = 0.05
_SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class _Test:
    """One test: what it is called, whether it is of a table, and its p-value."""

    distance: int
    words: str
    of_table: bool
    p: float


def concluded(
    experiment: Experiment,
    scores: Sequence[Mapping[str, Scores]],
    planted: Sequence[Mapping[str, Scores]],
    findings: tuple[Finding, ...],
    played: int,
    notes: Sequence[str],
    budgets: tuple[Budget, ...] = (),
) -> Audit:
    """Pools the players by distance, and tests.

    Membership attacks, canaries among them, are one family of tests, the attacks on tables another. Each is corrected
    by Holm's procedure, and where there are both, each has half of the 5 %, so that the many tests of tables cost the
    others a factor of two and no more.

    Arguments:
        experiment: that was played.
        scores: of each finding, attack → what it said of the rows.
        planted: of each finding, attack → what it said of canaries and decoys.
        findings: by player and distance.
        played: shadow games.
        notes: what could not be done.
        budgets: of privacy that players have.
    """
    distances = sorted({f.distance for f in findings})
    together = tuple(_together(d, scores, planted, findings) for d in distances)
    tests = [test for found in (*together, *findings) for test in _tests(found)]
    corrected = _corrected(tests)
    p, reasons = dict.fromkeys(distances, 1.0), dict[int, tuple[str, ...]]()
    for distance in distances:
        here = sorted((c, k) for k, c in enumerate(corrected) if tests[k].distance == distance)
        p[distance] = min([c for c, _ in here], default=1.0)
        reasons[distance] = tuple(tests[k].words for c, k in here if c < _LEVEL)
    leaks = {distance: bool(found) for distance, found in reasons.items()}
    settings = experiment.model_dump(mode="json")
    return Audit(experiment.name, findings, together, leaks, p, played, tuple(notes), settings, reasons, budgets)


def exposed(groups: Mapping[str, Sequence[Scores]]) -> dict[str, tuple[Strength, float]]:
    """Attack → its strength on the canaries of all, and their mean exposure in bits; without those of too few."""
    told = {name: (pooled(found), found) for name, found in groups.items()}
    return {
        name: (found, float(np.mean([exposure(s).bits for s in scores])))
        for name, (found, scores) in told.items()
        if found is not None
    }


def pooled_risk(risks: Sequence[TableRisk]) -> TableRisk | None:
    """The mean risk of players, each attacked on its own rows; None of none.

    Shares and risks are means over players, whose intervals are taken for independent. p-values are combined by
    Fisher's method: given what was published, players' rows are dealt into private ones and others independently.

    Source: R. A. Fisher, Statistical Methods for Research Workers, 1925, § 21.1.
    """
    if len(risks) < 2:
        return risks[0] if risks else None
    main, control, baseline, risk = (
        float(np.mean([getattr(r, name) for r in risks])) for name in ("main", "control", "baseline", "risk")
    )
    # An interval is cut off at −1 and 1, at one end at most of those that say anything.
    wide = [max(r.interval[1] - r.risk, r.risk - r.interval[0]) for r in risks]
    reach = float(np.linalg.norm(wide)) / len(risks)
    ends = max(-1.0, risk - reach), min(1.0, risk + reach)
    told = [max(r.p, _SMALLEST) for r in risks]  # an exact p-value may be too small for a number above 0
    p = float(combine_pvalues(told, method="fisher").pvalue)
    return TableRisk(sum(r.guesses for r in risks), main, control, baseline, risk, ends, p)


def _together(
    distance: int,
    scores: Sequence[Mapping[str, Scores]],
    planted: Sequence[Mapping[str, Scores]],
    findings: Sequence[Finding],
) -> Finding:
    here = [k for k, f in enumerate(findings) if f.distance == distance]
    attacks = {a: pooled([scores[k][a] for k in here if a in scores[k]]) for a in ATTACKS}
    publishers = tuple(dict.fromkeys(p for k in here for p in findings[k].publishers))
    rows = max(findings[k].rows for k in here)
    canaries = exposed({a: [planted[k][a] for k in here] for a in planted[here[0]]})
    of_table = [findings[k].tables for k in here if findings[k].tables]
    tables = {a: pooled_risk([r for t in of_table if (r := t[a]) is not None]) for a in TABLE_ATTACKS if of_table}
    bounds = [findings[k].bound for k in here]
    bound = None if None in bounds else max(b for b in bounds if b is not None)  # the area is the mean of theirs
    return Finding(None, distance, publishers, rows, attacks, None, canaries, tables, bound)


def _tests(found: Finding) -> list[_Test]:
    who = "of all players" if found.player is None else f"of player {found.player}"
    told = {
        **{name: s.p for name, s in found.attacks.items() if s is not None},
        **{f"canaries, {name}": s.p for name, (s, _) in found.canaries.items()},
    }
    tables = {name: r.p for name, r in found.tables.items() if r is not None}
    return [
        _Test(found.distance, f"{name} {who}", of_table, p)
        for of_table, ps in ((False, told), (True, tables))
        for name, p in ps.items()
    ]


def _corrected(tests: Sequence[_Test]) -> list[float]:
    """p-values corrected for the number of tests in a family, and for the number of families."""
    families = [[k for k, test in enumerate(tests) if test.of_table is kind] for kind in (False, True)]
    families = [family for family in families if family]
    found = [1.0] * len(tests)
    for family in families:
        for k, p in zip(family, holm([tests[k].p for k in family]), strict=True):
            found[k] = min(1.0, p * len(families))
    return found
