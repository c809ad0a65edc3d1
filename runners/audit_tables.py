"""Attacks on tables: singling out, linkability and inference, each beside the same attack on rows held out.

Source: M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnádi, A Unified Framework for Quantifying Privacy Risk in Synthetic
Data, 2023. As there, except that guesses are as many on held-out rows, that published rows which are equal count once,
and that a p-value stands beside each risk.
"""

__all__ = ["TABLE_ATTACKS", "TableRisk", "attack_table", "is_table"]

from collections.abc import Mapping, Sequence
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
_PERMUTATIONS, _MORE_PERMUTATIONS = 1999, 98_000
_BLOCK = 1 << 16
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
        interval: 95 %, from Wilson's half-widths. Of singling out by several columns, whose predicates overlap,
            the jackknife's over rows where they are wider.
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
    seen = int(right[0].sum()) - int(right[1].sum())
    apart = _dealt(holds, n, _PERMUTATIONS, rng)
    above, count = int((apart >= seen).sum()), _PERMUTATIONS
    if above == 0:
        above, count = int((_dealt(holds, n, _MORE_PERMUTATIONS, rng) >= seen).sum()), count + _MORE_PERMUTATIONS
    # Predicates of one column seldom overlap, and the jackknife is crude for so few.
    several = len(predicates[0]) > 1
    doubts = [_jackknife(holds[:, half]) if several else 0.0 for half in (slice(n), slice(n, None))]
    return _risk(right[0], right[1], np.array(naive), (1 + above) / (1 + count), doubts)


def _jackknife(holds: NDArray[np.float32]) -> float:
    """Half-width of the 95 % interval of the share of predicates that hold for exactly one row, over the rows.

    Source: B. Efron and C. Stein, The Jackknife Estimate of Variance, 1981.
    """
    count = holds.sum(axis=1)
    without = (count == 2) @ holds - (count == 1) @ holds  # what leaving out each row adds to those that hold for one
    return float(np.sqrt(_Z2 * (len(without) - 1) * without.var())) / len(holds)


def _dealt(holds: NDArray[np.float32], n: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many more guesses are right of private rows than of the others, where it is dealt anew which these are.

    Guesses are not independent, as predicates overlap. `holds`, `[predicates, 2n]`, is which predicate holds for which
    of the 2n rows, n of which are private; of rows for which none holds it does not matter which they are.
    """
    touched = holds[:, holds.any(axis=0)]
    found, step = np.empty(count, dtype=np.int64), max(1, _BLOCK // max(1, touched.shape[1]))
    for start in range(0, count, step):
        size = min(step, count - start)
        mine = rng.hypergeometric(n, n, touched.shape[1], size=size)
        order = rng.permuted(np.tile(np.arange(touched.shape[1]), (size, 1)), axis=1)
        private = (order < mine[:, None]).T.astype(np.float32)
        hits = touched @ private
        rest = touched.sum(axis=1, keepdims=True) - hits
        found[start : start + size] = (hits == 1).sum(axis=0) - (rest == 1).sum(axis=0)
    return found


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
    scale = np.where(there.ordered, there.scale, 1.0)[columns]
    real, mine, theirs = there.ordered[columns], rows[:, columns] / scale, there.rows[:, columns] / scale
    least, found = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=np.int64)
    step = max(1, _BLOCK // max(1, len(rows)))
    for start in range(0, len(theirs), step):
        block = theirs[start : start + step]
        apart = np.zeros((len(rows), len(block)))
        for k, is_real in enumerate(real):
            between = np.subtract.outer(mine[:, k], block[:, k])
            apart += between * between if is_real else between != 0
        nearest = apart.argmin(axis=1)
        distance = apart[np.arange(len(rows)), nearest]
        closer = distance < least
        least[closer], found[closer] = distance[closer], start + nearest[closer]
    return found


# --- figures ------------------------------------------------------------------------------------------------------


def _exact(mine: Hits, theirs: Hits) -> float:
    """Fisher's exact p-value of private rows being guessed no more often than others."""
    hits = int(mine.sum() + theirs.sum())
    return float(hypergeom.sf(int(mine.sum()) - 1, len(mine) + len(theirs), hits, len(mine)))


def _risk(mine: Hits, theirs: Hits, naive: Hits, p: float, least: Sequence[float] = (0.0, 0.0)) -> TableRisk:
    """The figures of guesses, whose shares are in doubt by `least`, or as much as those of independent guesses."""
    (main, doubt), (control, doubt_control) = (
        _wilson(float(hits.mean()), len(hits), other) for hits, other in zip((mine, theirs), least, strict=True)
    )
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


def _wilson(share: float, n: int, least: float) -> tuple[float, float]:
    """Wilson's estimate of a share of n, and the half-width of its 95 % interval, or `least` if that is more."""
    half = np.sqrt(_Z2 * (n * share * (1 - share) + _Z2 / 4)) / (n + _Z2)
    return (n * share + _Z2 / 2) / (n + _Z2), max(float(half), least)


def _width(variable: Variable) -> int:
    return int(np.prod(variable.shape))


def _flat(batch: Batch) -> Matrix:
    return np.concatenate([batch[v.name].reshape(len(batch), -1).astype(np.float64) for v in batch.space], axis=1)
