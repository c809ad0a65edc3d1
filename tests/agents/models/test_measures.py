"""Measures of generated rows: a distance with a known value, and a test that is neither blind nor nervous."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import binom

from nashgossip.agents.models import Judge, frechet_distance, two_sample_test
from nashgossip.games import load_digits

# --- the Fréchet distance ------------------------------------------------------------------------------------


def closed_form(m: Any, s: Any, m2: Any, s2: Any) -> float:
    return float(np.sum((m - m2) ** 2) + np.trace(s + s2 - 2 * np.real(sqrtm(s @ s2))))


def test_the_distance_of_two_gaussians_is_that_of_the_formula() -> None:
    """The error is judged by the scatter over twenty pairs of samples, the bias, of order d/n, being below it."""
    rng = np.random.default_rng(0)
    first, second = np.array([0.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.0])
    root = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, -0.3, 0.7]])
    s, s2 = root @ root.T, np.diag([2.0, 0.5, 1.0])
    found = [
        frechet_distance(rng.multivariate_normal(first, s, 4000), rng.multivariate_normal(second, s2, 4000))
        for _ in range(20)
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - closed_form(first, s, second, s2)) < 4 * error
    assert closed_form(first, s, second, s2) > 50 * error


def test_it_is_exact_for_the_moments_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(100.0, 1.0, (60, 4)), rng.normal(100.5, 2.0, (80, 4))
    expected = closed_form(a.mean(axis=0), np.cov(a.T), b.mean(axis=0), np.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_a_sample_is_at_distance_0_from_itself() -> None:
    rows = np.random.default_rng(2).standard_normal((100, 8))
    scale = np.trace(np.cov(rows.T))
    assert 0.0 <= frechet_distance(rows, rows) < 1e-9 * scale


def test_too_few_rows_for_the_features_are_refused() -> None:
    rows = np.random.default_rng(0).standard_normal((9, 8))
    assert frechet_distance(rows, rows) < 1e-6
    for pair, name in (((rows[:8], rows), "real"), ((rows, rows[:8]), "generated")):
        with pytest.raises(ValueError, match=f"8 {name} rows came, expected at least 9 for 8 features; give more rows"):
            frechet_distance(*pair)


@pytest.mark.parametrize("measure", [frechet_distance, lambda a, b: two_sample_test(a, b, np.random.default_rng(0))])
def test_features_of_another_form_are_refused(measure: Any) -> None:
    rows = np.zeros((20, 3))
    with pytest.raises(ValueError, match=r"features came with shapes \(20, 3\) and \(20, 2\), expected \[n, d\]"):
        measure(rows, rows[:, :2])
    with pytest.raises(ValueError, match="features hold NaN or an infinity, expected finite numbers; look at the rows"):
        measure(rows, np.full((20, 3), np.nan))


# --- the two-sample test -------------------------------------------------------------------------------------


def p_values(shift: float, seeds: int, rows: int = 120) -> Any:
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 5])
        a, b = rng.standard_normal((rows, 3)), rng.standard_normal((rows, 3)) + shift
        found.append(two_sample_test(a, b, rng).p_value)
    return np.array(found)


def test_under_one_distribution_the_p_value_is_small_as_often_as_it_says() -> None:
    """Counts of p ≤ level are binomial. Answers being whole numbers, an exact test may stay below its level, but a
    useless one would stay far below: at least half of the level is asked for."""
    found = p_values(0.0, 400)
    for level in (0.05, 0.2, 0.5):
        count = int((found <= level).sum())
        assert binom.sf(count - 1, len(found), level) > 1e-3, level
        assert binom.cdf(count, len(found), level / 2) > 1e-3, level


def test_a_shift_is_found_and_a_larger_one_more_surely() -> None:
    small, large = p_values(0.3, 60), p_values(1.0, 60)
    assert np.median(small) < 0.1
    assert large.max() < 0.01
    assert (large < 1e-6).mean() > (small < 1e-6).mean()


def test_the_accuracy_is_that_of_the_best_answer() -> None:
    """Two normals at distance 2 are told apart by their middle: Φ(1) of the answers are right."""
    rng = np.random.default_rng(3)
    found = two_sample_test(rng.normal(0.0, 1.0, 8000)[:, None], rng.normal(2.0, 1.0, 8000)[:, None], rng)
    best = 0.8413447
    assert found.n == 8000
    assert abs(found.accuracy - best) < 4 * np.sqrt(best * (1 - best) / found.n)
    assert found.p_value < 1e-100


def test_the_larger_sample_is_cut_to_the_smaller() -> None:
    rng = np.random.default_rng(4)
    assert two_sample_test(rng.normal(size=(1000, 2)), rng.normal(size=(41, 2)), rng).n == 42


def test_one_stream_gives_one_answer() -> None:
    rows = np.random.default_rng(5).standard_normal((200, 2))
    first, again, other = (two_sample_test(rows[:100], rows[100:], np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_samples_too_small_to_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="a sample has 3 rows, expected at least 4; generate more"):
        two_sample_test(np.zeros((3, 1)), np.zeros((9, 1)), np.random.default_rng(0))


# --- both, in the eyes of a judge ----------------------------------------------------------------------------


def test_other_digits_are_farther_than_more_of_the_same() -> None:
    digits = load_digits()
    judge = Judge.train(digits.batch["x"], digits.labels, classes=10, seed=0)
    features, low = judge.features(digits.batch["x"]), np.asarray(digits.labels) < 5
    half = np.random.default_rng(0).random(len(features)) < 0.5
    same = frechet_distance(features[low & half], features[low & ~half])
    other = frechet_distance(features[low & half], features[~low & ~half])
    assert other > 5 * same
    rng = np.random.default_rng(1)
    assert two_sample_test(features[low & half], features[~low & ~half], rng).p_value < 1e-6
    assert two_sample_test(features[low & half], features[low & ~half], rng).p_value > 1e-3
