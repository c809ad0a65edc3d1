"""The figures of an attack: the known areas, intervals that cover, p-values that are no smaller than they should be."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from nashgossip.runners.audit_figures import Scores, holm, pooled, strength


def drawn(shift: float, m: int, n: int, *seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(rng.normal(shift, 1, m), rng.normal(0, 1, n))


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("whole", [False, True])
def test_the_area_is_that_of_scikit_learn_ties_included(whole):
    scores = drawn(0.7, 30, 45, 1)
    if whole:
        scores = Scores(scores.members.round(), scores.others.round())
    truth = np.repeat([1, 0], [30, 45])
    expected = roc_auc_score(truth, np.concatenate([scores.members, scores.others]))
    assert strength(scores, rng(0)).auc == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_of_the_area_covers_it(shift):
    area, runs = norm.cdf(shift / np.sqrt(2)), 200
    held = sum(
        low <= area <= high
        for k in range(runs)
        for low, high in [strength(drawn(shift, 40, 40, 2, k), rng(k)).auc_interval]
    )
    assert held >= binom.ppf(0.001, runs, 0.95) - 0.01 * runs  # DeLong is asymptotic: it may cover 1 % less


def test_of_scores_of_one_law_five_per_cent_are_accused():
    runs = 300
    single = sum(strength(drawn(0, 30, 15, 3, k), rng(k)).p < 0.05 for k in range(runs))
    together = sum(pooled([drawn(0, 20, 10, 4, k, j) for j in range(4)], rng(k)).p < 0.05 for k in range(runs))
    assert max(single, together) <= binom.ppf(0.999, runs, 0.05)
    assert min(single, together) >= binom.ppf(0.001, runs, 0.03)


def test_an_area_that_is_called_visible_is_seen_in_four_of_five():
    visible = strength(drawn(0, 60, 60, 5), rng(0)).visible
    shift, runs = np.sqrt(2) * norm.ppf(visible), 400
    seen = sum(strength(drawn(shift, 60, 60, 6, k), rng(k)).p < 0.05 for k in range(runs))
    assert binom.ppf(0.001, runs, 0.75) <= seen <= binom.ppf(0.999, runs, 0.85)


def test_true_positive_rates_are_those_of_the_normal_law():
    told = strength(drawn(2.0, 4000, 20_000, 7), rng(0))
    for rate in (0.01, 0.001):
        expected = norm.sf(norm.isf(rate) - 2.0)
        low, high = told.rate_intervals[rate]
        assert low < told.rates[rate] < high
        assert low - 0.01 < expected < high + 0.01
        assert high - low < 0.15


def test_a_rate_that_there_are_too_few_others_to_tell_is_not_told():
    told = strength(drawn(2.0, 300, 300, 8), rng(0))
    assert told.rates[0.01] is not None
    assert (told.rates[0.001], told.rate_intervals[0.001]) == (None, None)
    assert told.figures()["true_positives"]["0.001"] == {"rate": None, "interval": None}


def test_no_hits_are_not_taken_for_certainty():
    scores = Scores(np.zeros(50), np.arange(1.0, 201.0))
    low, high = strength(scores, rng(0)).rate_intervals[0.01]
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))


def test_too_few_rows_say_nothing():
    assert strength(drawn(9, 7, 50, 9), rng(0)) is None
    assert strength(drawn(9, 50, 7, 9), rng(0)) is None
    assert pooled([], rng(0)) is None
    assert strength(drawn(9, 8, 8, 9), rng(0)).auc > 0.95


def test_players_are_compared_with_their_own_others_only():
    """Scores of two players on scales of their own, which tell nothing within either."""
    high = Scores(*(s + 100 for s in vars(drawn(0, 300, 20, 10)).values()))
    low = drawn(0, 20, 300, 11)
    assert (
        strength(Scores(*map(np.concatenate, zip(*(vars(s).values() for s in (high, low)), strict=True))), rng(0)).auc
        > 0.9
    )
    assert pooled([high, low], rng(0)).p > 0.01


def test_holm_is_no_larger_than_bonferroni_and_keeps_the_order():
    ps = [0.03, 0.001, 0.2, 0.04]
    assert holm(ps) == pytest.approx([0.09, 0.004, 0.2, 0.09])
    assert holm([]) == []
