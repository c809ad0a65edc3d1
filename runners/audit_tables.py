"""Attacks on tables: singling out, linkability and inference, each beside the same attack on rows held out.

Source: M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnádi, A Unified Framework for Quantifying Privacy Risk in Synthetic
Data, 2023. As there, except that guesses are as many on held-out rows, that published rows which are equal count once,
and that a p-value stands beside each risk.
"""

__all__ = ["TABLE_ATTACKS", "TableRisk", "attack_table", "is_table"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, norm

from ..games import Batch, Space, Variable

TABLE_ATTACKS = ("singling out, one column", "singling out, several columns", "linkability", "inference")

_COLUMNS = (3, 64)
_PREDICATES = 200
_TOGETHER = 3
_SPLITS = 4
_NEAR = 0.05
_PERMUTATIONS = 1999
_LEAST, _MOST = 8, 1000
_FEWEST = 4
_Z2 = float(norm.isf(0.025)) ** 2

Matrix = NDArray[np.float64]
Hits = NDArray[np.bool_]
_Predicate = list[tuple[int, str, float]]


@dataclass(frozen=True)
class TableRisk:
    """How often an attack guesses right, and how much of that is due to the rows that were learned from.

    Arguments:
        guesses: of each of the attacks, the naive one included.
        main: share that is right of private rows.
        control: the same of as many rows held out: what the law of the rows gives away.
        baseline: the same of private rows, by one who guesses without looking at whole published rows.
        risk: (main − control) / (1 − control) of Wilson's estimates of both; below 0 where held-out rows fare worse.
        interval: 95 %, from Wilson's half-widths. Of more predicates than rows only as many count as there are rows:
            they overlap.
        p: one-sided p-value of the hypothesis that private rows and rows held out cannot be told apart.
    """

    guesses: int
    main: float
    control: float
    baseline: float
    risk: float
    interval: tuple[float, float]
    p: float

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "interval": list(self.interval)}


@dataclass(frozen=True, eq=False)
class _Table:
    """Published rows as columns of numbers, which columns are ordered, real numbers and counts, and their units."""

    rows: Matrix
    ordered: NDArray[np.bool_]
    scale: Matrix


def is_table(space: Space) -> bool:
    """Whether rows are those of a table: several variables, each a number or a vector, with 3 to 64 columns in all."""
    flat = all(len(v.shape) <= 1 for v in space)
    return flat and len(tuple(space)) > 1 and _COLUMNS[0] <= sum(map(_width, space)) <= _COLUMNS[1]


def attack_table(
    members: Batch, others: Batch, published: Batch, rng: np.random.Generator
) -> Mapping[str, TableRisk | None]:
    """The risks of a player's rows, all over the same variables; see `is_table`.

    **Singling out**: predicates that hold for exactly one published row are guessed to hold for exactly one private
    row: a rare or extreme value of one column, or what three columns of a published row are, beyond their medians.
    **Linkability**: whoever knows half of a row's columns, and elsewhere the other half, links them if the nearest
    published row is the same for both. **Inference**: a column of a row is guessed from the published row that is
    nearest in the others; right is the same category, or a number within a twentieth of a standard deviation.

    Arguments:
        members: private rows.
        others: rows held out. As many of each are attacked, 1,000 at most, drawn anew.
        published: what the attacker received.
        rng: draws targets, predicates, splits and permutations.

    Returns:
        Attack → its risk; None where there are fewer than 8 rows to attack, or fewer than 4 predicates.
    """
    n = min(len(members), len(others), _MOST)
    if n < _LEAST:
        return dict.fromkeys(TABLE_ATTACKS)
    scale = np.concatenate([_flat(members), _flat(others)]).std(axis=0)
    ordered = np.concatenate([np.full(_width(v), v.kind in ("real", "count")) for v in members.space])
    there = _Table(np.unique(_flat(published), axis=0), ordered, np.where(scale > 0, scale, 1.0))
    mine, theirs = (_flat(rows.select(rng.permutation(len(rows))[:n])) for rows in (members, others))
    single = [_singled_out(found, mine, theirs, there, rng) for found in (_rare(there, rng), _corners(there, rng))]
    rest = [attack(mine, theirs, there, rng) for attack in (_linked, _inferred)]
    return dict(zip(TABLE_ATTACKS, [*single, *rest], strict=True))


# --- singling out -------------------------------------------------------------------------------------------------


def _rare(there: _Table, rng: np.random.Generator) -> list[_Predicate]:
    """A value of one column that one published row has, or the end of what all have."""
    found: list[_Predicate] = []
    for k, column in enumerate(there.rows.T):
        values, counts = np.unique(column, return_counts=True)
        if there.ordered[k]:
            found += [[(k, "<=", values[0])]] * int(counts[0] == 1) + [[(k, ">=", values[-1])]] * int(counts[-1] == 1)
        else:
            found += [[(k, "==", v)] for v in values[counts == 1]]
    return [found[i] for i in rng.permutation(len(found))[:_PREDICATES]]


def _corners(there: _Table, rng: np.random.Generator) -> list[_Predicate]:
    """What three columns of a published row are, of numbers beyond the median; those that hold for that row alone."""
    middle, found = np.median(there.rows, axis=0), []
    for _ in range(5 * _PREDICATES):
        row = there.rows[rng.integers(len(there.rows))]
        columns = rng.choice(len(row), _TOGETHER, replace=False)
        signs = [(">=" if row[k] > middle[k] else "<=") if there.ordered[k] else "==" for k in columns]
        predicate = [(int(k), sign, float(row[k])) for k, sign in zip(columns, signs, strict=True)]
        if _holds(predicate, there.rows).sum() == 1:
            found.append(predicate)
        if len(found) == _PREDICATES:
            break
    return found


def _naive(predicates: list[_Predicate], there: _Table, rng: np.random.Generator) -> list[_Predicate]:
    """The same columns with signs and values of their own, each value that of any published row."""
    rows = there.rows
    return [
        [
            (k, str(rng.choice(["<=", ">="])) if there.ordered[k] else "==", float(rows[rng.integers(len(rows)), k]))
            for k, _, _ in predicate
        ]
        for predicate in predicates
    ]


def _holds(predicate: _Predicate, rows: Matrix) -> Hits:
    holds = np.ones(len(rows), dtype=bool)
    for k, sign, value in predicate:
        column = rows[:, k]
        holds &= column == value if sign == "==" else column <= value if sign == "<=" else column >= value
    return holds


def _singled_out(
    predicates: list[_Predicate], mine: Matrix, theirs: Matrix, there: _Table, rng: np.random.Generator
) -> TableRisk | None:
    if len(predicates) < _FEWEST:
        return None
    both, n = np.concatenate([mine, theirs]), len(mine)
    holds = np.stack([_holds(predicate, both) for predicate in predicates]).astype(np.float32)
    right = [holds[:, half].sum(axis=1) == 1 for half in (slice(n), slice(n, None))]
    naive = [_holds(predicate, mine).sum() == 1 for predicate in _naive(predicates, there, rng)]
    # Predicates overlap, so that guesses are not independent: which rows are the private ones is dealt anew.
    orders = np.argsort(rng.random((_PERMUTATIONS, 2 * n)), axis=1) < n
    dealt = (holds @ orders.T.astype(np.float32) == 1).sum(axis=0, dtype=np.int64)
    rest = (holds @ (~orders).T.astype(np.float32) == 1).sum(axis=0, dtype=np.int64)
    seen = int(right[0].sum()) - int(right[1].sum())
    p = (1 + int((dealt - rest >= seen).sum())) / (1 + _PERMUTATIONS)
    return _risk(right[0], right[1], np.array(naive), p, n)


# --- linkability and inference ------------------------------------------------------------------------------------


def _linked(mine: Matrix, theirs: Matrix, there: _Table, rng: np.random.Generator) -> TableRisk | None:
    """Each of some splits of the columns is tried on a share of the rows."""
    d, n = there.rows.shape[1], len(mine)
    right = [np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)]
    for part in range(_SPLITS):
        order = rng.permutation(d)
        halves = order[: d // 2], order[d // 2 :]
        for rows, found in zip((mine, theirs), right, strict=True):
            one, other = (_nearest(rows[part::_SPLITS], there, half) for half in halves)
            found[part::_SPLITS] = one == other
    naive = rng.random(n) < 1 / len(there.rows)
    return _risk(right[0], right[1], naive, _exact(right[0], right[1]))


def _inferred(mine: Matrix, theirs: Matrix, there: _Table, rng: np.random.Generator) -> TableRisk | None:
    """Each column is guessed of a share of the rows."""
    d, n = there.rows.shape[1], len(mine)
    right = [np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)]
    naive, order = np.zeros(n, dtype=bool), rng.permutation(d)
    for part, k in enumerate(order):
        known = np.delete(np.arange(d), k)
        near = _NEAR * there.scale[k] if there.ordered[k] else 0.0
        for rows, found in zip((mine, theirs), right, strict=True):
            targets = rows[part::d]
            if len(targets):
                guessed = there.rows[_nearest(targets, there, known), k]
                found[part::d] = np.abs(guessed - targets[:, k]) <= near
        targets = mine[part::d]
        naive[part::d] = np.abs(there.rows[rng.integers(len(there.rows), size=len(targets)), k] - targets[:, k]) <= near
    return _risk(right[0], right[1], naive, _exact(right[0], right[1]))


def _nearest(rows: Matrix, there: _Table, columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The published row nearest in some columns: numbers in standard deviations, other values 0 or 1 apart: `[n]`."""
    apart = np.zeros((len(rows), len(there.rows)))
    for k in columns:
        between = np.subtract.outer(rows[:, k], there.rows[:, k])
        apart += (between / there.scale[k]) ** 2 if there.ordered[k] else between != 0
    found: NDArray[np.int64] = apart.argmin(axis=1)
    return found


# --- figures ------------------------------------------------------------------------------------------------------


def _exact(mine: Hits, theirs: Hits) -> float:
    """Fisher's exact p-value of private rows being guessed no more often than others."""
    hits = int(mine.sum() + theirs.sum())
    return float(hypergeom.sf(int(mine.sum()) - 1, len(mine) + len(theirs), hits, len(mine)))


def _risk(mine: Hits, theirs: Hits, naive: Hits, p: float, most: int | None = None) -> TableRisk:
    """The figures of guesses, of which at most so many are taken for independent."""
    apart = len(mine) if most is None else min(len(mine), most)
    (main, doubt), (control, doubt_control) = (_wilson(float(hits.mean()), apart) for hits in (mine, theirs))
    risk = (main - control) / (1 - control)
    reach = float(np.hypot(doubt / (1 - control), (1 - main) * doubt_control / (1 - control) ** 2))
    return TableRisk(
        guesses=len(mine),
        main=float(mine.mean()),
        control=float(theirs.mean()),
        baseline=float(naive.mean()),
        risk=risk,
        interval=(max(-1.0, risk - reach), min(1.0, risk + reach)),
        p=p,
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's estimate of a share of n, and the half-width of its 95 % interval."""
    half = np.sqrt(_Z2 * (n * share * (1 - share) + _Z2 / 4)) / (n + _Z2)
    return (n * share + _Z2 / 2) / (n + _Z2), float(half)


def _width(variable: Variable) -> int:
    return int(np.prod(variable.shape))


def _flat(batch: Batch) -> Matrix:
    return np.concatenate([batch[v.name].reshape(len(batch), -1).astype(np.float64) for v in batch.space], axis=1)
