"""The energy test: its coefficient against the closed form, its level, and its power."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from nashgossip.games import energy_test


def folded(shift: float, sd: float) -> float:
    """E|Z| of a normal Z."""
    ratio = shift / sd
    return float(sd * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + shift * (1 - 2 * norm.cdf(-ratio)))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_the_coefficient_of_shifted_normals_is_the_closed_form(shift: float) -> None:
    rng = np.random.default_rng(1)
    between, within = folded(shift, np.sqrt(2)), folded(0.0, np.sqrt(2))
    expected = (2 * between - 2 * within) / (2 * between)
    found = [energy_test(rng.normal(size=(400, 1)), rng.normal(shift, 1, (400, 1))).coefficient for _ in range(20)]
    bias = within / (400 * between)  # pairs of a row with itself count as distance 0
    assert np.mean(found) == pytest.approx(expected + bias, abs=4 * np.std(found, ddof=1) / np.sqrt(20))


def test_the_permutation_test_is_that_of_the_definition() -> None:
    """Distances drawn one after the other, from the same permutations, of sizes that are and are not taken in parts."""
    for n, m in ((5, 8), (100, 100), (300, 290)):
        rng = np.random.default_rng(n)
        x, y = rng.normal(size=(n, 2)), rng.normal(0.05, 1, (m, 2))
        pooled = np.concatenate([x, y])
        apart = np.sqrt(((pooled[:, None] - pooled) ** 2).sum(axis=2))

        def distance(first: NDArray[np.bool_], apart: NDArray[np.float64] = apart) -> float:
            a, b, c = apart[np.ix_(first, ~first)], apart[np.ix_(first, first)], apart[np.ix_(~first, ~first)]
            return float(2 * a.mean() - b.mean() - c.mean())

        chosen = np.argsort(np.random.default_rng(3).random((39, n + m)), axis=1)[:, :n]
        drawn = [distance(np.isin(np.arange(n + m), one)) for one in chosen]
        found = distance(np.arange(n + m) < n)
        expected = (1 + sum(d >= found for d in drawn)) / 40
        assert energy_test(x, y, permutations=39, rng=np.random.default_rng(3)).p_value == pytest.approx(expected)


def test_it_holds_its_level_and_has_power() -> None:
    rng = np.random.default_rng(2)

    def rejected(shift: float, times: int) -> float:
        p = [
            energy_test(rng.normal(size=(30, 2)), rng.normal(shift, 1, (50, 2)), permutations=19, rng=rng).p_value
            for _ in range(times)
        ]
        return float(np.mean([value is not None and value <= 0.05 for value in p]))

    assert rejected(0.0, 300) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert rejected(1.0, 40) > 0.9


def test_the_smallest_p_value_is_that_of_no_larger_distance() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 1))
    assert energy_test(x, x + 9, permutations=99, rng=rng).p_value == 0.01
    assert energy_test(x, x + 9, permutations=99, rng=rng, above=0.99).p_value is None


def test_equal_rows_have_no_distance() -> None:
    x = np.ones((5, 2))
    assert energy_test(x, x).coefficient == 0.0
    assert energy_test(x, x, permutations=9, rng=np.random.default_rng(0)).p_value is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"samples came with shapes \(2, 1\) and \(2, 2\), expected"):
        energy_test(np.ones((2, 1)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="permutations need a random stream; give `rng`"):
        energy_test(np.ones((2, 1)), np.ones((2, 1)), permutations=9)
