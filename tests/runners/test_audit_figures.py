"""The figures of an attack: the known areas, intervals that cover, p-values that are no smaller than they should be."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from nashgossip.runners.audit_figures import Scores, holm, pooled, strength


def drawn(shift: float, m: int, n: int, *seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(rng.normal(shift, 1, m), rng.normal(0, 1, n))


@pytest.mark.parametrize("whole", [False, True])
def test_the_area_is_that_of_scikit_learn_ties_included(whole):
    scores = drawn(0.7, 30, 45, 1)
    if whole:
        scores = Scores(scores.members.round(), scores.others.round())
    truth = np.repeat([1, 0], [30, 45])
    expected = roc_auc_score(truth, np.concatenate([scores.members, scores.others]))
    assert strength(scores).auc == pytest.approx(expected, abs=1e-12)


def covered(held: int, runs: int) -> bool:
    return held >= binom.ppf(0.001, runs, 0.95)


@pytest.mark.parametrize(("m", "n"), [(8, 8), (10, 400), (40, 40)])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_interval_of_the_area_covers_it(shift, m, n):
    area, runs = norm.cdf(shift / np.sqrt(2)), 200
    held = sum(
        low <= area <= high for k in range(runs) for low, high in [strength(drawn(shift, m, n, 2, k)).auc_interval]
    )
    assert covered(held, runs)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_interval_of_the_area_covers_where_some_rows_are_memorised(share):
    """Areas of players that differ, with members in two clumps: DeLong's variance is larger than Newcombe's here."""
    area, runs = (1 - share) / 2 + share, 200

    def one(*seed: int) -> Scores:
        scores, rng = drawn(0, 40, 40, *seed), np.random.default_rng([9, *seed])
        return Scores(np.where(rng.random(40) < share, 99.0, scores.members), scores.others)

    held = sum(
        low <= area <= high
        for k in range(runs)
        for low, high in [pooled([one(k, 0), one(k, 1), one(k, 2)]).auc_interval]
    )
    assert covered(held, runs)


def test_perfect_separation_is_not_taken_for_certainty():
    told = strength(Scores(np.arange(8.0) + 8, np.arange(8.0)))
    low, high = told.auc_interval
    assert (told.auc, high) == (1.0, 1.0)
    assert 0.6 < low < 0.8
    low, high = strength(Scores(np.arange(8.0), np.arange(8.0) + 8)).auc_interval
    assert low == 0
    assert 0.2 < high < 0.4


def test_of_scores_of_one_law_five_per_cent_are_accused():
    runs = 300
    single = sum(strength(drawn(0, 30, 15, 3, k)).p < 0.05 for k in range(runs))
    together = sum(pooled([drawn(0, 20, 10, 4, k, j) for j in range(4)]).p < 0.05 for k in range(runs))
    assert max(single, together) <= binom.ppf(0.999, runs, 0.05)
    assert min(single, together) >= binom.ppf(0.001, runs, 0.03)


def test_an_area_that_is_called_visible_is_seen_in_four_of_five():
    visible = strength(drawn(0, 60, 60, 5)).visible
    shift, runs = np.sqrt(2) * norm.ppf(visible), 400
    seen = sum(strength(drawn(shift, 60, 60, 6, k)).p < 0.05 for k in range(runs))
    assert binom.ppf(0.001, runs, 0.75) <= seen <= binom.ppf(0.999, runs, 0.85)


def test_true_positive_rates_are_those_of_the_normal_law():
    told = strength(drawn(2.0, 4000, 20_000, 7))
    for rate in (0.01, 0.001):
        expected = norm.sf(norm.isf(rate) - 2.0)
        low, high = told.rate_intervals[rate]
        assert low < told.rates[rate] < high
        assert low < expected < high
        assert high - low < 0.15


@pytest.mark.parametrize(("m", "n"), [(60, 120), (300, 1000)])
@pytest.mark.parametrize("whole", [False, True])
def test_true_positive_rates_are_not_too_high_on_average_and_their_intervals_cover(m, n, whole):
    """The largest of n scores is exceeded by a share 1/(n + 1) of their law: no threshold is more lenient than told."""
    runs, shift = 200, 1.5
    for rate in (0.01, 0.001):
        if n * rate < 1:
            continue
        rates, held = [], 0
        for k in range(runs):
            scores = drawn(shift, m, n, 12, k)
            if whole:
                scores = Scores(scores.members.round(1), scores.others.round(1))
            told = strength(scores)
            low, high = told.rate_intervals[rate]
            rates.append(told.rates[rate])
            held += low <= norm.sf(norm.isf(rate) - shift) <= high
        assert covered(held, runs)
        leave = np.random.default_rng(0).beta(int(n * rate), n + 1 - int(n * rate), 20_000)
        expected = norm.sf(norm.isf(leave) - shift).mean()
        assert np.mean(rates) <= expected + 4 * np.std(rates) / np.sqrt(runs)


def test_a_threshold_among_too_few_others_promises_nothing():
    scores = Scores(np.full(50, 9.0), np.zeros(1000))
    told = strength(scores)
    assert (told.rates[0.001], told.rate_intervals[0.001]) == (1.0, (0.0, 1.0))
    assert told.rate_intervals[0.01][0] > 0.9
    more = strength(Scores(np.full(50, 9.0), np.zeros(4000)))
    assert more.rate_intervals[0.001][0] > 0.85


def test_a_rate_that_there_are_too_few_others_to_tell_is_not_told():
    told = strength(drawn(2.0, 300, 300, 8))
    assert told.rates[0.01] is not None
    assert (told.rates[0.001], told.rate_intervals[0.001]) == (None, None)
    assert told.figures()["true_positives"]["0.001"] == {"rate": None, "interval": None}


def test_no_hits_are_not_taken_for_certainty():
    scores = Scores(np.zeros(50), np.arange(1.0, 201.0))
    low, high = strength(scores).rate_intervals[0.01]
    assert low == 0.0
    assert 1 - 0.025 ** (1 / 50) <= high <= 1 - 0.0125 ** (1 / 50)


def test_too_few_rows_say_nothing():
    assert strength(drawn(9, 7, 50, 9)) is None
    assert strength(drawn(9, 50, 7, 9)) is None
    assert pooled([]) is None
    assert strength(drawn(9, 8, 8, 9)).auc > 0.95


def test_players_are_compared_with_their_own_others_only():
    """Scores of two players on scales of their own, which tell nothing within either."""
    high = Scores(*(s + 100 for s in vars(drawn(0, 300, 20, 10)).values()))
    low = drawn(0, 20, 300, 11)
    assert strength(Scores(*map(np.concatenate, zip(*(vars(s).values() for s in (high, low)), strict=True)))).auc > 0.9
    assert pooled([high, low]).p > 0.01


def test_holm_is_no_larger_than_bonferroni_and_keeps_the_order():
    ps = [0.03, 0.001, 0.2, 0.04]
    assert holm(ps) == pytest.approx([0.09, 0.004, 0.2, 0.09])
    assert holm([]) == []
