"""How well an attack tells members from others: areas, true-positive rates, their intervals, and tests."""

__all__ = ["RATES", "Scores", "Strength", "holm", "pooled", "strength"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, mannwhitneyu, norm, rankdata

RATES = (0.01, 0.001)
"""False-positive rates at which the true-positive rate is told."""

_LEVEL = 0.95
_REPLICATES = 4000
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
        auc_interval: by DeLong.
        rates: false-positive rate → true-positive rate; None where there are fewer than 1/rate others.
        rate_intervals: of these, by bootstrap over members and others, widened to that of Clopper and Pearson, as a
            bootstrap of no hits knows no doubt.
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


def strength(scores: Scores, rng: np.random.Generator) -> Strength | None:
    """The strength of an attack on one player's rows; None with fewer than 8 members or 8 others.

    Source of the interval: E. DeLong, D. DeLong and D. Clarke-Pearson, Comparing the Areas under Two or More Correlated
    Receiver Operating Characteristic Curves, 1988.

    >>> told = strength(Scores(np.arange(50.0) + 100, np.arange(50.0)), np.random.default_rng(0))
    >>> told.auc, told.p < 1e-9
    (1.0, True)
    """
    return pooled([scores], rng)


def pooled(groups: Sequence[Scores], rng: np.random.Generator) -> Strength | None:
    """The strength of an attack over several players, each of whose members are compared with its own others.

    The area is the mean of the players' areas. True-positive rates are of one threshold for all.

    Arguments:
        groups: of each player; those with fewer than 2 members or 2 others are left out.
        rng: draws the bootstrap.

    Returns:
        The strength; None with fewer than 8 members or 8 others in all.
    """
    groups = [g for g in groups if len(g.members) >= _FEWEST_EACH and len(g.others) >= _FEWEST_EACH]
    if min(sum(len(g.members) for g in groups), sum(len(g.others) for g in groups)) < _FEWEST:
        return None
    areas, variances = zip(*map(_area, groups), strict=True)
    auc, spread = float(np.mean(areas)), float(np.sqrt(np.sum(variances)) / len(groups))
    null = [(len(g.members) + len(g.others) + 1) / (12 * len(g.members) * len(g.others)) for g in groups]
    null_spread = float(np.sqrt(np.sum(null)) / len(groups))
    if len(groups) == 1:
        p = float(mannwhitneyu(groups[0].members, groups[0].others, alternative="greater").pvalue)
    else:
        p = float(norm.sf((auc - 0.5) / null_spread))
    reach = float(norm.ppf(0.5 + _LEVEL / 2)) * max(spread, 0.5 / sum(len(g.members) + len(g.others) for g in groups))
    members = np.concatenate([g.members for g in groups])
    others = np.concatenate([g.others for g in groups])
    told = {rate: _rate(members, others, rate, rng) for rate in RATES}
    return Strength(
        len(members),
        len(others),
        auc,
        (max(0.0, auc - reach), min(1.0, auc + reach)),
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


def _rate(
    members: NDArray[np.float64], others: NDArray[np.float64], rate: float, rng: np.random.Generator
) -> tuple[float, Interval] | None:
    """Share of members above all but `rate` of the others, and its interval."""
    if len(others) * rate < 1:
        return None
    m, n, allowed = len(members), len(others), int(len(others) * rate)
    rising, below = np.sort(others), np.sort(members)

    def share(position: NDArray[np.int64]) -> NDArray[np.float64]:
        above: NDArray[np.float64] = 1 - np.searchsorted(below, rising[position], "right") / m
        return above

    # The order statistic of n draws with replacement is the others' at ⌊n U⌋, with U that of n uniform numbers.
    resampled = (n * rng.beta(n - allowed, allowed + 1, _REPLICATES)).astype(np.int64)
    drawn = rng.binomial(m, share(resampled)) / m
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    found = float(share(np.array([n - 1 - allowed]))[0])
    exact = binomtest(round(found * m), m).proportion_ci(_LEVEL)
    return found, (min(float(low), float(exact.low)), max(float(high), float(exact.high)))
