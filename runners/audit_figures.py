"""How well an attack tells members from others: areas, true-positive rates, their intervals, and tests."""

__all__ = ["RATES", "Scores", "Strength", "holm", "pooled", "strength"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta, binom, mannwhitneyu, norm, rankdata

RATES = (0.01, 0.001)
"""False-positive rates at which the true-positive rate is told."""

_DOUBT = 0.05
_Z = float(norm.isf(_DOUBT / 2))
_EDGE = 1e-12
_FEWEST, _FEWEST_EACH = 8, 2

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Scores:
    """What an attack says of rows whose truth is known; higher is more likely a member.

    Arguments:
        members: `[m]`, of rows that the player learned from.
        others: `[n]`, of rows of the same law that it did not.
    """

    members: NDArray[np.float64]
    others: NDArray[np.float64]


@dataclass(frozen=True)
class Strength:
    """How strong an attack is, with 95 % intervals.

    Arguments:
        members: rows that were members.
        others: rows that were not.
        auc: area under the receiver operating characteristic; 0.5 is a guess.
        auc_interval: by DeLong on the logit scale, widened to Newcombe's, as DeLong knows no doubt where none is seen.
        rates: false-positive rate → true-positive rate; None where there are fewer than 1/rate others.
        rate_intervals: of these. They are exact, and hold whatever the laws of the scores; the lower end is 0 with
            fewer than 3.7/rate others, among which no threshold is known to let so few pass.
        p: one-sided p-value of the hypothesis that members and others cannot be told apart (Mann and Whitney).
        visible: smallest area that would have been seen with probability 0.8, by a test of 5 % that is not corrected.
    """

    members: int
    others: int
    auc: float
    auc_interval: Interval
    rates: dict[float, float | None]
    rate_intervals: dict[float, Interval | None]
    p: float
    visible: float

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "members": self.members,
            "others": self.others,
            "auc": self.auc,
            "auc_interval": list(self.auc_interval),
            "true_positives": {
                f"{rate:g}": {"rate": value, "interval": None if interval is None else list(interval)}
                for (rate, value), interval in zip(self.rates.items(), self.rate_intervals.values(), strict=True)
            },
            "p": self.p,
            "visible_auc": self.visible,
        }


def strength(scores: Scores) -> Strength | None:
    """The strength of an attack on one player's rows; None with fewer than 8 members or 8 others.

    >>> told = strength(Scores(np.arange(50.0) + 100, np.arange(50.0)))
    >>> told.auc, told.p < 1e-9
    (1.0, True)
    """
    return pooled([scores])


def pooled(groups: Sequence[Scores]) -> Strength | None:
    """The strength of an attack over several players, each of whose members are compared with its own others.

    The area is the mean of the players' areas. True-positive rates are of one threshold for all.

    Arguments:
        groups: of each player; those with fewer than 2 members or 2 others are left out.

    Returns:
        The strength; None with fewer than 8 members or 8 others in all.
    """
    groups = [g for g in groups if len(g.members) >= _FEWEST_EACH and len(g.others) >= _FEWEST_EACH]
    if min(sum(len(g.members) for g in groups), sum(len(g.others) for g in groups)) < _FEWEST:
        return None
    areas, variances = zip(*map(_area, groups), strict=True)
    auc = float(np.mean(areas))
    null = [(len(g.members) + len(g.others) + 1) / (12 * len(g.members) * len(g.others)) for g in groups]
    null_spread = float(np.sqrt(np.sum(null)) / len(groups))
    if len(groups) == 1:
        p = float(mannwhitneyu(groups[0].members, groups[0].others, alternative="greater").pvalue)
    else:
        p = float(norm.sf((auc - 0.5) / null_spread))
    members = np.concatenate([g.members for g in groups])
    others = np.concatenate([g.others for g in groups])
    told = {rate: _rate(members, others, rate) for rate in RATES}
    return Strength(
        len(members),
        len(others),
        auc,
        _interval(auc, float(np.sum(variances)) / len(groups) ** 2, [(len(g.members), len(g.others)) for g in groups]),
        {rate: None if found is None else found[0] for rate, found in told.items()},
        {rate: None if found is None else found[1] for rate, found in told.items()},
        p,
        min(1.0, 0.5 + float(norm.ppf(0.95) + norm.ppf(0.8)) * null_spread),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number, so that one below 0.05 comes by chance in 5 % of all families at most.

    Source: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    order = sorted(range(len(ps)), key=lambda k: ps[k])
    corrected, largest = [1.0] * len(ps), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, ps[k] * (len(ps) - rank)))
        corrected[k] = largest
    return corrected


def _area(scores: Scores) -> tuple[float, float]:
    """The area, and DeLong's estimate of its variance."""
    m, n = len(scores.members), len(scores.others)
    both = rankdata(np.concatenate([scores.members, scores.others]))
    above = (both[:m] - rankdata(scores.members)) / n  # share of others below each member
    below = 1 - (both[m:] - rankdata(scores.others)) / m  # share of members above each other
    return float(above.mean()), float(above.var(ddof=1) / m + below.var(ddof=1) / n)


def _interval(auc: float, variance: float, sizes: Sequence[tuple[int, int]]) -> Interval:
    """The interval of a mean of areas, each of so many members and others, from DeLong's variance of it.

    Source: E. DeLong, D. DeLong and D. Clarke-Pearson, Comparing the Areas under Two or More Correlated Receiver
    Operating Characteristic Curves, 1988; R. Newcombe, Confidence Intervals for an Effect Size Measure Based on the
    Mann–Whitney Statistic, Part 2, 2006 (method 5).
    """

    def lacking(x: float) -> float:
        """How far from the area an area of x is, beyond what chance allows."""
        spread = sum(
            x * (1 - x) * (1 + ((m + n) / 2 - 1) * ((1 - x) / (2 - x) + x / (1 + x))) / (m * n) for m, n in sizes
        )
        return abs(auc - x) - _Z * float(np.sqrt(spread)) / len(sizes)

    inside = min(max(auc, _EDGE), 1 - _EDGE)
    low = 0.0 if auc <= _EDGE else float(brentq(lacking, 0.0, inside))
    high = 1.0 if auc >= 1 - _EDGE else float(brentq(lacking, inside, 1.0))
    if variance == 0 or inside != auc:
        return low, high
    logit, reach = np.log(auc / (1 - auc)), _Z * np.sqrt(variance) / (auc * (1 - auc))
    ends = 1 / (1 + np.exp(-logit + np.array([reach, -reach])))
    return min(low, float(ends[0])), max(high, float(ends[1]))


def _rate(members: NDArray[np.float64], others: NDArray[np.float64], rate: float) -> tuple[float, Interval] | None:
    """Share of members above a threshold that `rate` of the others' law exceeds, and its interval.

    The k-th largest of n others is exceeded by a share of their law that follows Beta(k, n + 1 − k). For the figure k
    is ⌊n · rate⌋, where the mean share is just below `rate`; ends of the interval take a k whose share is on the right
    side of `rate` with certainty enough, and the interval of Clopper and Pearson there.
    """
    m, n, k = len(members), len(others), int(len(others) * rate + 1e-9)
    if k < 1:
        return None
    falling, rising = np.sort(others)[::-1], np.sort(members)
    low, high = 0.0, 1.0
    strict = max(int(binom.ppf(_DOUBT / 4, n, rate)), 1)
    left = _DOUBT / 2 - float(binom.cdf(strict - 1, n, rate))
    hits = m - int(np.searchsorted(rising, falling[strict - 1], "right"))
    if left > 0 and hits:
        low = float(beta.ppf(left, hits, m - hits + 1))
    lax = int(binom.ppf(1 - _DOUBT / 4, n, rate)) + 1
    if lax <= n:
        left = _DOUBT / 2 - float(binom.sf(lax - 1, n, rate))
        hits = m - int(np.searchsorted(rising, falling[lax - 1], "left"))
        high = float(beta.isf(left, hits + 1, m - hits)) if hits < m else 1.0
    found = 1 - int(np.searchsorted(rising, falling[k - 1], "right")) / m
    return found, (low, high)
