"""Private releases of families: noise, sensitivity, clipping, projection, and an attack that must not succeed."""

import sys
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from nashgossip.games import (
    FAMILIES,
    Batch,
    Bernoulli,
    Categorical,
    ClassConditional,
    Exponential,
    ExponentialFamily,
    Gaussian,
    GaussianDiagonal,
    GaussianFull,
    Privacy,
    PrivacyError,
    Product,
    Variable,
    noise_multiplier,
    release_noise,
    released_mean,
    synthetic_family,
)
from nashgossip.games.release import clipped_mean, row_bound

Array = NDArray[np.float64]
ROUNDING = 1e-12
SIGMAS = 5.0
PROPERTY = settings(derandomize=True, deadline=None, max_examples=25)
UNIT = Variable("x", "real", (2,), low=-0.5, high=1.5)

every_family = pytest.mark.parametrize("name", FAMILIES)


def rows_of(family: ExponentialFamily, n: int, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    return family.sample(family.reference, n, rng)


def leading(family: ExponentialFamily, seed: int, *shape: int) -> Array:
    """Vectors anywhere, mean parameters or not."""
    return np.random.default_rng(seed).normal(0.3, 1.5, (*shape, family.size))


# --- noise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-5), (3.0, 1e-3), (20.0, 1e-9)])
def test_the_noise_is_the_least_that_keeps_the_budget(epsilon: float, delta: float) -> None:
    sigma = noise_multiplier(epsilon, delta)
    # The law of Balle & Wang: what the mechanism of this noise needs for δ is exactly this ε.
    needed = stats.norm.cdf(1 / (2 * sigma) - epsilon * sigma) - np.exp(epsilon) * stats.norm.cdf(
        -1 / (2 * sigma) - epsilon * sigma
    )
    assert needed == pytest.approx(delta, rel=1e-6)
    accountant = PLDAccountant()
    accountant.compose(GaussianDpEvent(sigma))
    # Privacy loss distributions are made discrete at 1e-4, and rounded up.
    assert epsilon - 1e-6 <= accountant.get_epsilon(delta) <= epsilon + 2e-3


def test_the_noise_of_a_release_has_the_deviation_that_is_told() -> None:
    family, privacy = Gaussian((200,)), Privacy(2.0, delta=1e-4, clip=3.0)
    rows = rows_of(family, 50, 1)
    clean = clipped_mean(family, rows, 3.0)
    noise = np.concatenate(
        [released_mean(family, rows, Privacy(2.0, delta=1e-4, clip=3.0, seed=s)) - clean for s in range(20)]
    )
    scale = release_noise(family, 50, privacy)
    assert scale == noise_multiplier(2.0, 1e-4) * 3.0 / 50
    assert stats.kstest(noise / scale, "norm").pvalue > 2 * stats.norm.sf(SIGMAS)


def test_a_release_is_one_for_all_and_others_have_other_noise() -> None:
    family = Gaussian((3,))
    rows = rows_of(family, 40, 2)
    first = released_mean(family, rows, Privacy(1.0, clip=2.0, seed=7))
    np.testing.assert_array_equal(first, released_mean(family, rows, Privacy(1.0, clip=2.0, seed=7)))
    clean = clipped_mean(family, rows, 2.0)
    drawn = []
    for other in (Privacy(1.0, clip=2.0, seed=8), Privacy(2.0, clip=2.0, seed=7), Privacy(1.0, 1e-6, 2.0, seed=7)):
        noise = released_mean(family, rows, other) - clean
        drawn.append(noise / np.linalg.norm(noise))
    drawn.append((first - clean) / np.linalg.norm(first - clean))
    # No two are multiples of each other, or both together would give the mean away.
    assert np.abs(np.array(drawn) @ np.array(drawn).T - np.eye(4)).max() < 0.999


def test_releases_of_other_rows_with_one_seed_have_other_noise() -> None:
    family, budget = Gaussian((3,)), Privacy(0.1, clip=2.0, seed=123)
    rows = rows_of(family, 100, 2)
    x = rows["x"].copy()
    x[-1] = 0.0
    others = [rows.select(slice(None, -1)), rows.select(slice(1, None)), family.space.batch({"x": x})]
    drawn = []
    for some in (rows, *others):
        noise = (released_mean(family, some, budget) - clipped_mean(family, some, 2.0)) * len(some)
        drawn.append(noise / np.linalg.norm(noise))
    # Else 100 μ̃(all) − 99 μ̃(all but the last) would be the last row.
    assert np.abs(np.array(drawn) @ np.array(drawn).T - np.eye(4)).max() < 0.999
    copied = family.space.batch({"x": np.asfortranarray(rows["x"])})
    np.testing.assert_array_equal(released_mean(family, copied, budget), released_mean(family, rows, budget))


def test_without_the_library_a_release_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(PrivacyError, match=r"the extra 'privacy', and dp_accounting is not installed: pip install"):
        noise_multiplier(1.2345, 1e-5)


# --- what one row can do -----------------------------------------------------------------------------------


@every_family
@given(seed=st.integers(0, 2**32 - 1), clip=st.floats(0.01, 30.0), gone=st.integers(0, 11))
@PROPERTY
def test_a_row_that_counts_as_nothing_moves_the_mean_by_at_most_its_bound(
    name: str, seed: int, clip: float, gone: int
) -> None:
    family = synthetic_family(name, 2, classes=2)
    n, r = 12, family.reference
    rows = rows_of(family, n, seed)
    bound = row_bound(family, Privacy(1.0, clip=clip))
    whole = clipped_mean(family, rows, bound) - r
    rest = clipped_mean(family, rows.select(np.delete(np.arange(n), gone)), bound) - r
    assert bound <= clip
    assert np.linalg.norm(whole - (n - 1) / n * rest) <= bound / n * (1 + ROUNDING) + ROUNDING


def test_the_bound_is_reached() -> None:
    family = Gaussian((2,))
    rows = family.space.batch({"x": np.array([[0.0, 0.0], [300.0, 400.0]])})
    np.testing.assert_allclose(clipped_mean(family, rows, 2.0), [0.6, 0.8], rtol=ROUNDING)


HUGE = [GaussianDiagonal((2,)), GaussianFull(2), ClassConditional(2, GaussianDiagonal((2,)))]


@pytest.mark.parametrize("family", HUGE, ids=lambda f: f.name)
def test_a_row_whose_statistics_are_not_finite_counts_as_one_that_teaches_nothing(family: ExponentialFamily) -> None:
    rows = rows_of(family, 20, 8)
    x = rows["x"].copy()
    x[3] = 1e200
    found = clipped_mean(family, family.space.batch({**rows.arrays, "x": x}), 2.0)
    rest = clipped_mean(family, rows.select(np.delete(np.arange(20), 3)), 2.0) - family.reference
    np.testing.assert_allclose(found, family.reference + 19 / 20 * rest, rtol=ROUNDING, atol=ROUNDING)


def test_a_row_whose_norm_is_not_finite_is_drawn_to_the_bound() -> None:
    family = Gaussian((2,))
    rows = family.space.batch({"x": np.array([[0.0, 0.0], [3e300, 4e300]])})
    np.testing.assert_allclose(clipped_mean(family, rows, 2.0), [0.6, 0.8], rtol=ROUNDING)


def test_rows_within_the_bound_are_taken_as_they_are() -> None:
    family = Gaussian((2,))
    rows = rows_of(family, 3000, 3)
    np.testing.assert_allclose(clipped_mean(family, rows, 50.0), family.mean_statistics(rows), atol=ROUNDING)
    bits = Bernoulli((4,))
    told = rows_of(bits, 30, 3)
    np.testing.assert_array_equal(clipped_mean(bits, told, 1.0), bits.mean_statistics(told))
    assert row_bound(bits, Privacy(1.0, clip=9.0)) == row_bound(bits, Privacy(1.0)) == 1.0


def corners(family: ExponentialFamily) -> Array:
    """φ of every row of a family of few bits and categories: `[n, size]`."""
    values: list[Any] = []
    for v in family.space:
        flat = int(np.prod(v.shape, dtype=int))
        found = list(product(range(v.categories or 2), repeat=flat))
        values.append([np.reshape(x, v.shape) for x in found])
    table = list(product(*values))
    arrays = {v.name: np.array([row[k] for row in table]) for k, v in enumerate(family.space)}
    return family.statistics(family.space.batch(arrays))


BITS = [
    Bernoulli((3,)),
    Categorical(4),
    ClassConditional(3, Bernoulli((2,))),
    ClassConditional(2, Categorical(3, variable="y")),
    Product([Bernoulli((2,)), Categorical(3, variable="y")]),
    ClassConditional(2, Product([Bernoulli((2,)), Categorical(3, variable="y")])),
]


@pytest.mark.parametrize("family", BITS, ids=lambda f: f.name)
def test_the_bound_of_bits_and_categories_is_the_largest_of_all_rows(family: ExponentialFamily) -> None:
    for point in (family.reference, np.random.default_rng(4).normal(0.3, 0.5, family.size)):
        largest = np.linalg.norm(corners(family) - point, axis=1).max()
        assert family.bound(point) == pytest.approx(largest, rel=ROUNDING)


@pytest.mark.parametrize(
    ("family", "tight"),
    [
        (Gaussian((2,), variable=UNIT), True),
        (Exponential((2,), variable=Variable("x", "real", (2,), low=0.0, high=3.0)), True),
        (GaussianDiagonal((2,), variable=UNIT), True),
        (GaussianFull(2, variable=UNIT), False),
        (ClassConditional(2, GaussianDiagonal((2,), variable=UNIT)), True),
    ],
    ids=lambda f: getattr(f, "name", None),
)
def test_the_bound_of_bounded_numbers_holds(family: ExponentialFamily, tight: bool) -> None:
    x = family.space["x"]
    grid = np.linspace(float(x.low or 0), float(x.high or 0), 61)
    rows = np.array(list(product(grid, grid)))
    arrays: dict[str, Any] = {"x": rows}
    if "label" in family.space:
        arrays = {"x": np.tile(rows, (2, 1)), "label": np.repeat([0, 1], len(rows))}
    phi = family.statistics(family.space.batch(arrays))
    for point in (family.reference, np.random.default_rng(5).normal(0.3, 0.5, family.size)):
        largest = np.linalg.norm(phi - point, axis=1).max()
        assert largest <= family.bound(point) * (1 + ROUNDING)
        if tight:  # up to what lies between the points of the grid
            assert family.bound(point) == pytest.approx(largest, rel=1e-2)


@pytest.mark.parametrize("name", ["gaussian", "poisson", "exponential", "gaussian-full", "class-conditional-gaussian"])
def test_without_a_bound_and_a_clip_nothing_is_released(name: str) -> None:
    family = synthetic_family(name, 2)
    with pytest.raises(PrivacyError, match=r"the statistics of the .* family have no bound.*set privacy.clip"):
        released_mean(family, rows_of(family, 9, 0), Privacy(1.0))


# --- projection --------------------------------------------------------------------------------------------


@every_family
@given(seed=st.integers(0, 2**32 - 1))
@PROPERTY
def test_a_projection_is_in_the_set_and_stays_there(name: str, seed: int) -> None:
    family = synthetic_family(name, 2, classes=2)
    found = family.project(leading(family, seed, 2, 3))
    scale = 1 + np.abs(found).max()
    np.testing.assert_allclose(family.project(found), found, rtol=1e-9, atol=1e-9 * scale)
    assert family.interior(family.smooth(found, 10, 0.1)).all()


@every_family
def test_mean_parameters_stay_where_they_are(name: str) -> None:
    family = synthetic_family(name, 2, classes=2)
    mu = family.smooth(family.mean_statistics(rows_of(family, 60, 6)), 60, 2.0)
    np.testing.assert_allclose(family.project(mu), mu, rtol=ROUNDING, atol=ROUNDING)


@given(seed=st.integers(0, 2**32 - 1))
@PROPERTY
def test_no_probabilities_are_nearer_than_the_projection(seed: int) -> None:
    family, rng = Categorical(4), np.random.default_rng(seed)
    far = rng.normal(0.2, 1.0, 4)
    nearest = family.project(far)
    assert nearest.sum() == pytest.approx(1.0, abs=ROUNDING)
    others = rng.dirichlet(np.full(4, 0.5), 200)
    assert np.linalg.norm(far - nearest) <= np.linalg.norm(far - others, axis=1).min() + ROUNDING


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "gaussian-diagonal", "class-conditional-bernoulli"])
def test_a_release_of_few_rows_is_in_the_set(name: str) -> None:
    family = synthetic_family(name, 3)
    rows = rows_of(family, 4, 7)
    for seed in range(20):
        found = released_mean(family, rows, Privacy(0.5, clip=2.0, seed=seed))
        assert family.interior(family.smooth(found, 4, 0.5))


# --- the promise, attacked ---------------------------------------------------------------------------------

EPSILON, DELTA, CLIP, ROWS, GAMES = 1.0, 0.05, 1.0, 5, 6000


@lru_cache
def attack(spent: float | None) -> tuple[Array, Array]:
    """What an attacker sees of a data set with the row C and of the same with a row that teaches nothing."""
    family = Gaussian((1,))
    seen = []
    for k, last in enumerate((CLIP, 0.0)):
        rows = family.space.batch({"x": np.array([[0.0]] * (ROWS - 1) + [[last]])})
        if spent is None:
            seen.append(np.full(GAMES, family.mean_statistics(rows)[0]))
            continue
        budgets = (Privacy(spent, DELTA, CLIP, seed=2 * s + k) for s in range(GAMES))
        seen.append(np.array([released_mean(family, rows, budget)[0] for budget in budgets]))
    return seen[0], seen[1]


def excess(spent: float) -> tuple[float, float]:
    """TPR − e^ε FPR of the best attack on the promised ε, and its standard error; at most δ if the promise is kept."""
    step = CLIP / ROWS
    sigma = noise_multiplier(spent, DELTA) * step
    threshold = EPSILON * sigma**2 / step + step / 2  # where the likelihood ratio is e^ε
    true, false = (float((seen > threshold).mean()) for seen in attack(spent))
    error = np.sqrt((true * (1 - true) + np.exp(2 * EPSILON) * false * (1 - false)) / GAMES)
    return true - np.exp(EPSILON) * false, float(error)


def broken(spent: float | None) -> bool:
    """Whether some threshold tells the data sets apart better than was promised, beyond what chance explains."""
    level = stats.norm.sf(SIGMAS) / 200
    for threshold in np.linspace(-1.5, 2.0, 100):
        true, false = (int((seen > threshold).sum()) for seen in attack(spent))
        lowest = stats.beta.ppf(level, true, GAMES - true + 1) if true else 0.0
        highest = stats.beta.isf(level, false + 1, GAMES - false) if false < GAMES else 1.0
        if lowest > np.exp(EPSILON) * highest + DELTA:
            return True
    return False


def test_the_best_attack_on_a_release_wins_what_was_promised_and_no_more() -> None:
    found, error = excess(EPSILON)
    assert abs(found - DELTA) <= SIGMAS * error
    assert not broken(EPSILON)


def test_an_attack_finds_that_there_is_too_little_noise_or_none() -> None:
    found, error = excess(3.0)
    assert found > DELTA + SIGMAS * error
    assert broken(3.0)
    assert broken(None)
