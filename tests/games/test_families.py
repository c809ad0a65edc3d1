"""Every exponential family against calculus, scipy's distributions and its own samples."""

from collections.abc import Callable
from itertools import product
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from nashgossip.games import (
    FAMILIES,
    Batch,
    Bernoulli,
    BoundaryError,
    Categorical,
    ClassConditional,
    Exponential,
    ExponentialFamily,
    Game,
    Gaussian,
    GaussianDiagonal,
    GaussianFull,
    Kind,
    PlayerSpec,
    Poisson,
    Product,
    Space,
    SpaceError,
    Variable,
    equilibrium,
    family_for,
    synthetic_family,
)
from nashgossip.topology import UnknownNameError, attach_alpha

Array = NDArray[np.float64]

SIGMAS = 5.0
"""Standard errors that a sampled figure may be off; some thousand figures are compared."""
LEVEL = 2 * stats.norm.sf(SIGMAS)
"""The same as a probability."""
ROUNDING = 1e-9
PROPERTY = settings(derandomize=True, deadline=None, max_examples=15)
SEEDS = st.integers(0, 2**32 - 1)

every_family = pytest.mark.parametrize("name", FAMILIES)


def family_of(name: str) -> ExponentialFamily:
    return synthetic_family(name, 2, classes=2)


def arbitrary_rows(family: ExponentialFamily, n: int, rng: np.random.Generator) -> Batch:
    """Rows over the family's space that were not drawn from the family."""
    arrays: dict[str, Any] = {}
    for v in family.space:
        shape = (n, *v.shape)
        if v.kind == "binary":
            arrays[v.name] = rng.random(shape) < rng.uniform(0.2, 0.8, v.shape)
        elif v.kind == "categorical":
            arrays[v.name] = rng.choice(v.categories or 1, shape, p=rng.dirichlet(np.full(v.categories or 1, 4.0)))
        elif v.kind == "count":
            arrays[v.name] = rng.poisson(rng.uniform(0.5, 3.0, v.shape), shape)
        elif v.low == 0.0:
            arrays[v.name] = rng.uniform(0.5, 2.0, v.shape) * rng.standard_exponential(shape)
        else:
            arrays[v.name] = rng.normal(rng.normal(size=v.shape), rng.uniform(0.5, 1.5, v.shape), shape)
    return family.space.batch(arrays)


def interior_mean(family: ExponentialFamily, seed: int) -> Array:
    """Mean parameters in the interior, far enough from its boundary for finite differences."""
    batch = arbitrary_rows(family, 40, np.random.default_rng(seed))
    return family.smooth(family.mean_statistics(batch), len(batch), 4.0)


def several_means(family: ExponentialFamily, *shape: int) -> Array:
    means = [interior_mean(family, seed) for seed in range(int(np.prod(shape)))]
    return np.reshape(means, (*shape, family.size))


def derivative(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """Central differences of f after one extrapolation, last axis x, and a bound on their error.

    The bound is the change that the extrapolation made, plus what rounding makes of it.
    """
    step = 1e-3 * max(1.0, float(np.abs(x).max()))
    coarse, fine = (
        np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=-1) for h in (step, step / 2)
    )
    rounding = 1e2 * np.finfo(float).eps * (1.0 + np.abs(f(x)).max()) / step
    return (4 * fine - coarse) / 3, np.abs(fine - coarse) + rounding


def standard_errors_off(samples: Array, expected: Array) -> Array:
    """How far the mean over the first axis is off, in standard errors; 0 where it is exact."""
    error = np.abs(samples.mean(axis=0) - expected)
    spread = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return np.where(error < ROUNDING, 0.0, error / np.maximum(spread, np.finfo(float).tiny))


# --- parameters ------------------------------------------------------------------------------------------


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_mean_and_natural_parameters_are_inverse(name: str, seed: int) -> None:
    family = family_of(name)
    mu = interior_mean(family, seed)
    theta = family.natural(mu)
    np.testing.assert_allclose(family.mean(theta), mu, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(family.natural(family.mean(theta)), theta, rtol=ROUNDING, atol=ROUNDING)


@every_family
def test_the_gradient_of_the_log_partition_is_the_mean(name: str) -> None:
    family = family_of(name)
    mu = interior_mean(family, 1)
    gradient, bound = derivative(family.log_partition, family.natural(mu))
    assert (np.abs(gradient - mu) <= bound).all()


@every_family
def test_the_hessian_of_the_log_partition_is_the_covariance(name: str) -> None:
    family = family_of(name)
    mu = interior_mean(family, 2)
    jacobian, bound = derivative(family.mean, family.natural(mu))
    covariance = family.covariance(mu)
    assert (np.abs(jacobian - covariance) <= bound).all()
    np.testing.assert_allclose(np.diagonal(covariance), family.variance(mu), rtol=ROUNDING)
    assert np.linalg.eigvalsh(covariance).min() >= -ROUNDING


@every_family
@given(seed=SEEDS, other=SEEDS)
@PROPERTY
def test_kl_is_the_bregman_divergence_of_the_conjugate(name: str, seed: int, other: int) -> None:
    family = family_of(name)
    mu, nu = interior_mean(family, seed), interior_mean(family, other)
    bregman = family.conjugate(mu) - family.conjugate(nu) - family.natural(nu) @ (mu - nu)
    kl = family.kl(mu, nu)
    np.testing.assert_allclose(kl, bregman, rtol=ROUNDING, atol=ROUNDING)
    assert kl >= -ROUNDING
    assert abs(family.kl(mu, mu)) <= ROUNDING
    if np.abs(mu - nu).max() > np.sqrt(ROUNDING):
        assert kl > ROUNDING**2


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_the_conjugate_is_dual_to_the_log_partition(name: str, seed: int) -> None:
    family = family_of(name)
    mu, theta = interior_mean(family, seed), family.natural(interior_mean(family, seed + 1))
    gap = family.conjugate(mu) + family.log_partition(theta) - theta @ mu
    np.testing.assert_allclose(gap, family.kl(mu, family.mean(theta)), rtol=ROUNDING, atol=ROUNDING)


@every_family
def test_leading_axes_are_the_same_as_a_loop(name: str) -> None:
    family = family_of(name)
    mu, nu = several_means(family, 2, 3), several_means(family, 3, 2).reshape(2, 3, -1)
    theta = family.natural(mu)
    for function, batched, *arguments in [
        (family.natural, theta, mu),
        (family.mean, family.mean(theta), theta),
        (family.log_partition, family.log_partition(theta), theta),
        (family.conjugate, family.conjugate(mu), mu),
        (family.kl, family.kl(mu, nu), mu, nu),
        (family.variance, family.variance(mu), mu),
        (family.covariance, family.covariance(mu), mu),
        (family.interior, family.interior(mu), mu),
        (lambda m: family.smooth(m, 10, 2.0), family.smooth(mu, 10, 2.0), mu),
    ]:
        looped = [[function(*(a[i, j] for a in arguments)) for j in range(3)] for i in range(2)]
        np.testing.assert_allclose(batched, looped, rtol=ROUNDING, atol=ROUNDING)


# --- densities -------------------------------------------------------------------------------------------

X = np.array([[0.3, -1.2], [2.0, 0.5]])
COUNTS = np.array([[0, 3], [5, 1]])
BITS = np.array([[0, 1], [1, 1]])
SIGMA = np.array([[1.5, -0.6], [-0.6, 0.8]])


@pytest.mark.parametrize(
    ("family", "mu", "values", "expected"),
    [
        (Bernoulli((2,)), [0.3, 0.8], BITS, stats.bernoulli([0.3, 0.8]).logpmf(BITS).sum(axis=1)),
        (Categorical(3), [0.5, 0.2, 0.3], [2, 0], np.log([0.3, 0.5])),
        (Poisson((2,)), [0.7, 2.5], COUNTS, stats.poisson([0.7, 2.5]).logpmf(COUNTS).sum(axis=1)),
        (
            Gaussian((2,), variance=np.array([4.0, 0.25])),
            [1.0, -1.0],
            X,
            stats.norm([1.0, -1.0], [2.0, 0.5]).logpdf(X).sum(axis=1),
        ),
        (
            GaussianDiagonal((2,)),
            [1.0, -1.0, 1.0 + 4.0, 1.0 + 0.25],
            X,
            stats.norm([1.0, -1.0], [2.0, 0.5]).logpdf(X).sum(axis=1),
        ),
        (
            GaussianFull(2),
            [1.0, -1.0, 1.0 + 1.5, -1.0 - 0.6, 1.0 + 0.8],
            X,
            stats.multivariate_normal([1.0, -1.0], SIGMA).logpdf(X),
        ),
        (Exponential((2,)), [0.5, 3.0], np.abs(X), stats.expon(scale=[0.5, 3.0]).logpdf(np.abs(X)).sum(axis=1)),
    ],
    ids=lambda value: value.name if isinstance(value, ExponentialFamily) else "",
)
def test_densities_are_those_of_scipy(family: ExponentialFamily, mu: Any, values: Any, expected: Array) -> None:
    batch = family.space.batch({"x": values})
    np.testing.assert_allclose(family.log_density(batch, np.array(mu)), expected, rtol=ROUNDING)


def test_the_density_of_a_product_is_the_sum_of_its_blocks() -> None:
    family = Product([Bernoulli(variable="b"), Poisson(variable="n"), GaussianDiagonal(variable="x")])
    batch = family.space.batch({"b": [1, 0], "n": [2, 0], "x": [0.5, -1.0]})
    expected = (
        stats.bernoulli(0.4).logpmf([1, 0])
        + stats.poisson(1.5).logpmf([2, 0])
        + stats.norm(1.0, 2.0).logpdf([0.5, -1.0])
    )
    mu = np.array([0.4, 1.5, 1.0, 5.0])
    np.testing.assert_allclose(family.log_density(batch, mu), expected, rtol=ROUNDING)


def test_the_density_of_a_class_conditional_family_is_that_of_its_class() -> None:
    family = ClassConditional(2, Gaussian(variance=4.0))
    batch = family.space.batch({"label": [0, 1], "x": [0.5, 0.5]})
    expected = np.log([0.25, 0.75]) + stats.norm([-1.0, 3.0], 2.0).logpdf(0.5)
    mu = np.array([0.25, 0.75, 0.25 * -1.0, 0.75 * 3.0])
    np.testing.assert_allclose(family.log_density(batch, mu), expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    "name",
    [
        "bernoulli",
        "categorical",
        "poisson",
        *(f"class-conditional-{n}" for n in ("bernoulli", "categorical", "poisson")),
    ],
)
def test_probabilities_sum_to_1(name: str) -> None:
    family = family_of(name)
    values = [
        list(product(range(60 if v.kind == "count" else v.categories or 2), repeat=int(np.prod(v.shape))))
        for v in family.space
    ]
    rows = list(product(*values))
    batch = family.space.batch(
        {v.name: np.reshape([row[k] for row in rows], (-1, *v.shape)) for k, v in enumerate(family.space)}
    )
    total = np.exp(family.log_density(batch, interior_mean(family, 3))).sum()
    assert total == pytest.approx(1.0, rel=ROUNDING)


@pytest.mark.parametrize("name", ["exponential", "gaussian", "gaussian-diagonal"])
def test_densities_integrate_to_1(name: str) -> None:
    family = synthetic_family(name, 1)
    x = np.linspace(0.0 if name == "exponential" else -60.0, 60.0, 400_001)
    density = np.exp(family.log_density(family.space.batch({"x": x[:, None]}), interior_mean(family, 3)))
    step = x[1] - x[0]
    coarse, fine = np.trapezoid(density[::2], dx=2 * step), np.trapezoid(density, dx=step)
    assert abs(fine - 1) <= abs(fine - coarse) + ROUNDING


@every_family
def test_kl_is_the_mean_log_ratio_of_densities(name: str) -> None:
    family = family_of(name)
    mu, nu = interior_mean(family, 4), interior_mean(family, 5)
    batch = family.sample(mu, 20_000, np.random.default_rng(6))
    ratio = family.log_density(batch, mu) - family.log_density(batch, nu)
    assert standard_errors_off(ratio, family.kl(mu, nu)) < SIGMAS


# --- samples ---------------------------------------------------------------------------------------------


@every_family
def test_samples_have_the_mean_and_covariance_of_the_statistics(name: str) -> None:
    family = family_of(name)
    mu = interior_mean(family, 7)
    batch = family.sample(mu, 20_000, np.random.default_rng(8))
    phi = family.statistics(batch)
    np.testing.assert_allclose(family.mean_statistics(batch), phi.mean(axis=0), rtol=ROUNDING, atol=ROUNDING)
    assert standard_errors_off(phi, mu).max() < SIGMAS
    products = (phi - mu)[:, :, None] * (phi - mu)[:, None, :]
    assert standard_errors_off(products, family.covariance(mu)).max() < SIGMAS


@every_family
def test_each_row_follows_its_own_mean_parameters(name: str) -> None:
    family = family_of(name)
    each = several_means(family, 2)
    mu = np.tile(each, (5000, 1))
    phi = family.statistics(family.space.batch(family.sample_rows(mu, np.random.default_rng(9))))
    for k in range(2):
        assert standard_errors_off(phi[k::2], each[k]).max() < SIGMAS


@every_family
def test_samples_depend_on_the_seed_and_on_nothing_else(name: str) -> None:
    family = family_of(name)
    mu = interior_mean(family, 10)

    def draw(seed: int) -> tuple[Batch, Array]:
        rng = np.random.default_rng(seed)
        return family.sample(mu, 20, rng), family.sample_mean(mu, 1000, rng)

    rows, mean = draw(1)
    same_rows, same_mean = draw(1)
    other_rows, other_mean = draw(2)
    assert rows == same_rows
    assert np.array_equal(mean, same_mean)
    assert rows != other_rows
    assert not np.array_equal(mean, other_mean)


@every_family
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_mean_of_rows_is_drawn_from_its_exact_law(name: str, n: int) -> None:
    family = family_of(name)
    mu, replicates = interior_mean(family, 11), 4000
    rng = np.random.default_rng(12)
    drawn = family.sample_mean(np.broadcast_to(mu, (replicates, family.size)), n, rng)
    rows = family.statistics(family.sample(mu, replicates * n, rng))
    averaged = rows.reshape(replicates, n, -1).mean(axis=1)
    centred = drawn - mu
    assert standard_errors_off(drawn, mu).max() < SIGMAS
    products = centred[:, :, None] * centred[:, None, :]
    assert standard_errors_off(products, family.covariance(mu) / n).max() < SIGMAS
    direction = np.random.default_rng(13).normal(size=family.size)
    for project in (lambda phi: phi.T, lambda phi: [phi @ direction, np.prod(1 + phi, axis=1)]):
        for ours, theirs in zip(project(drawn), project(averaged), strict=True):
            assert stats.ks_2samp(ours.round(9), theirs.round(9), method="asymp").pvalue > LEVEL


def test_the_comparison_of_laws_tells_a_normal_one_of_the_same_moments() -> None:
    rng, replicates = np.random.default_rng(12), 4000
    drawn = Exponential().sample_mean(np.ones((replicates, 1)), 2, rng)[:, 0]
    normal = rng.normal(1.0, np.sqrt(0.5), replicates)
    assert standard_errors_off(drawn, np.array(1.0)) < SIGMAS
    assert stats.ks_2samp(drawn, normal, method="asymp").pvalue < LEVEL


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_the_sample_covariance_of_a_gaussian_follows_wisharts_law(n: int) -> None:
    family, replicates = GaussianFull(3), 3000
    mu = interior_mean(family, 14)
    rng = np.random.default_rng(15)
    upper = np.triu_indices(3)

    def scatters(phi: Array) -> Array:
        full = np.zeros((len(phi), 3, 3))
        full[:, *upper] = phi[:, 3:]
        full[:, upper[1], upper[0]] = phi[:, 3:]
        return full - phi[:, :3, None] * phi[:, None, :3]

    drawn = scatters(family.sample_mean(np.broadcast_to(mu, (replicates, 9)), n, rng))
    rows = family.statistics(family.sample(mu, replicates * n, rng)).reshape(replicates, n, -1)
    averaged = scatters(rows.mean(axis=1))
    assert (np.linalg.matrix_rank(drawn, tol=1e-9) == min(n - 1, 3)).all()
    for ours, theirs in zip(np.linalg.eigvalsh(drawn).T, np.linalg.eigvalsh(averaged).T, strict=True):
        assert stats.ks_2samp(ours.round(9), theirs.round(9), method="asymp").pvalue > LEVEL


@every_family
def test_the_mean_of_no_rows_is_0(name: str) -> None:
    family = family_of(name)
    rng = np.random.default_rng(16)
    assert not family.sample_mean(interior_mean(family, 17), 0, rng).any()
    assert not family.sample_mean(several_means(family, 2, 3), 0, rng).any()
    assert len(family.sample(interior_mean(family, 17), 0, rng)) == 0


@every_family
def test_every_mean_may_be_of_its_own_number_of_rows(name: str) -> None:
    family = family_of(name)
    means, replicates = several_means(family, 3), 4000
    sizes = np.array([0, 2, 50])
    rng = np.random.default_rng(18)
    drawn = family.sample_mean(np.broadcast_to(means, (replicates, *means.shape)), sizes, rng)
    assert drawn.shape == (replicates, 3, family.size)
    assert not drawn[:, 0].any()
    for k in (1, 2):
        assert standard_errors_off(drawn[:, k], means[k]).max() < SIGMAS
        squares = (drawn[:, k] - means[k]) ** 2
        assert standard_errors_off(squares, family.variance(means[k]) / sizes[k]).max() < SIGMAS


@pytest.mark.parametrize("family", [GaussianDiagonal((2,)), GaussianFull(2)], ids=lambda f: f.name)
def test_a_point_mass_samples_its_point(family: ExponentialFamily) -> None:
    point = family.statistics(family.space.batch({"x": [[1.5, -2.0]]}))[0]
    rng = np.random.default_rng(19)
    rows = family.statistics(family.sample(point, 3, rng))
    np.testing.assert_allclose(rows, np.tile(point, (3, 1)), rtol=ROUNDING)
    np.testing.assert_allclose(family.sample_mean(point, 10, rng), point, rtol=ROUNDING)


def test_classes_without_mass_are_never_drawn() -> None:
    family = ClassConditional(3, GaussianDiagonal())
    mu = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0])
    rng = np.random.default_rng(20)
    assert set(family.sample(mu, 50, rng)["label"]) == {1}
    drawn = family.sample_mean(mu, 50, rng)
    assert drawn[[0, 2, 3, 4, 7, 8]].tolist() == [0.0] * 6
    assert family.class_shares(drawn).tolist() == [0.0, 1.0, 0.0]
    assert family.classes == 3


# --- boundary and smoothing ------------------------------------------------------------------------------

CLASSES = (0.5, 0.5)
BOUNDARY = {
    "bernoulli": ([0.5, 1.0], [0.5, 0.0]),
    "categorical": ([0.0, 1.0], [1.0, 0.0]),
    "exponential": ([1.0, 0.0], [np.inf, 1.0]),
    "gaussian": ([np.inf, 0.0], [np.nan, 0.0]),
    "gaussian-diagonal": ([1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.5, 1.0]),
    "gaussian-full": ([1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 2.0, 1.0]),
    "poisson": ([1.0, 0.0], [np.nan, 1.0]),
    "product": ([0.5, 1.0, *[1.0] * 2, 0.0, 0.0, 1.0, 1.0], [*[0.5] * 2, *[1.0] * 2, 0.0, 0.0, 0.0, 1.0]),
}
ON_BOUNDARY = [(name, np.array(mu)) for name, means in BOUNDARY.items() for mu in means]
ON_BOUNDARY += [
    (f"class-conditional-{name}", np.concatenate([CLASSES, 0.5 * family_of(name).reference, 0.5 * mu]))
    for name, mu in ON_BOUNDARY
]


@pytest.mark.parametrize(("name", "mu"), ON_BOUNDARY)
def test_the_boundary_is_refused_with_its_remedy(name: str, mu: Array) -> None:
    family = family_of(name)
    assert not family.interior(mu)
    message = (
        f"mean parameters of the {name} family lie on the boundary of their set .a frequency of 0 or 1, "
        "or no variance., expected the interior; set smoothing to a pseudo-count above 0"
    )
    with pytest.raises(BoundaryError, match=message):
        family.require_interior(mu)
    with pytest.raises(BoundaryError, match=message):
        family.log_density(family.space.empty(), mu)


def test_a_class_without_mass_is_on_the_boundary() -> None:
    family = family_of("class-conditional-poisson")
    assert not family.interior(np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0]))


@every_family
def test_the_interior_is_told_apart_in_batches_and_handed_through(name: str) -> None:
    family = family_of(name)
    inside = interior_mean(family, 21)
    outside = next(mu for n, mu in ON_BOUNDARY if n == name)
    assert family.interior(np.stack([inside, outside, family.reference])).tolist() == [True, False, True]
    assert family.require_interior(inside) is inside


@pytest.mark.parametrize(
    ("name", "mu", "other"),
    [
        ("bernoulli", [0.5, 0.5], [0.5, 0.0]),
        ("bernoulli", [0.5, 0.5], [1.0, 0.5]),
        ("categorical", [0.5, 0.5], [1.0, 0.0]),
        ("exponential", [1.0, 1.0], [1.0, 0.0]),
        ("gaussian-diagonal", [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]),
        ("gaussian-full", [0.0, 0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 1.0]),
        ("poisson", [1.0, 1.0], [0.0, 1.0]),
        ("product", [0.5] * 2 + [1.0] * 2 + [0.0, 0.0, 1.0, 1.0], [0.5] * 2 + [1.0] * 2 + [0.0, 0.0, 0.0, 1.0]),
        ("class-conditional-poisson", [0.5, 0.5, 1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]),
        ("class-conditional-poisson", [0.5, 0.5, 1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0, 1.0, 0.0]),
    ],
)
def test_kl_is_infinite_where_the_other_gives_no_density(name: str, mu: list[float], other: list[float]) -> None:
    assert family_of(name).kl(np.array(mu), np.array(other)) == np.inf


@pytest.mark.parametrize(
    ("name", "mu", "kl"),
    [
        ("bernoulli", [0.0, 1.0], 2 * np.log(2)),
        ("categorical", [0.0, 1.0], np.log(2)),
        ("poisson", [0.0, 0.0], 2.0),
        ("class-conditional-poisson", [0.0, 1.0, 0.0, 0.0, 1.0, 1.0], np.log(2)),
    ],
)
def test_kl_from_the_boundary_to_the_reference_is_finite(name: str, mu: list[float], kl: float) -> None:
    family = family_of(name)
    assert family.kl(np.array(mu), family.reference) == pytest.approx(kl)


@every_family
def test_the_reference_is_a_member(name: str) -> None:
    family = family_of(name)
    assert family.reference.shape == (family.size,)
    assert family.interior(family.reference)


@every_family
@given(seed=SEEDS, rows=st.integers(1, 50), pseudo_count=st.floats(1e-3, 100.0))
@PROPERTY
def test_smoothing_takes_any_rows_to_the_interior(name: str, seed: int, rows: int, pseudo_count: float) -> None:
    family = family_of(name)
    mean = family.mean_statistics(arbitrary_rows(family, rows, np.random.default_rng(seed)))
    smoothed = family.smooth(mean, rows, pseudo_count)
    assert family.interior(smoothed)
    share = pseudo_count / (rows + pseudo_count)
    np.testing.assert_allclose(smoothed, (1 - share) * mean + share * family.reference, atol=ROUNDING)
    assert np.array_equal(family.smooth(mean, rows, 0.0), rows * mean / rows)


@pytest.mark.parametrize(
    ("name", "typical"),
    [
        ("bernoulli", [[0, 0], [1, 1]]),
        ("categorical", [0, 1]),
        ("exponential", [[1.0, 1.0]]),
        ("gaussian", [[0.0, 0.0]]),
        ("gaussian-diagonal", [[1.0, 1.0], [-1.0, -1.0]]),
        ("gaussian-full", [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]),
        ("poisson", [[1, 1]]),
    ],
)
def test_smoothing_is_one_more_anchored_player(name: str, typical: list[Any]) -> None:
    family = family_of(name)
    rng = np.random.default_rng(22)
    data = [arbitrary_rows(family, n, rng) for n in (4, 6, 8)]
    weight, pseudo_count = {0: 0.6, 1: 0.3, 2: 0.2}, 2.5
    ring = attach_alpha(nx.cycle_graph(3), weight)
    smoothed = equilibrium(Game(ring, {i: PlayerSpec(family, data=data[i], smoothing=pseudo_count) for i in ring}))

    prior = ring.copy()
    for i in ring:
        share = pseudo_count / (len(data[i]) + pseudo_count)
        prior.add_edge("prior", i, alpha=share * weight[i])
        prior.edges[i, i]["alpha"] = (1 - share) * weight[i]
    prior.add_edge("prior", "prior", alpha=1.0)
    rows = family.space.batch({"x": typical})
    np.testing.assert_allclose(family.mean_statistics(rows), family.reference, rtol=ROUNDING, atol=ROUNDING)
    specs = {i: PlayerSpec(family, data=data[i], smoothing=1e-12) for i in ring}
    specs["prior"] = PlayerSpec(family, data=rows, smoothing=1e-12)
    np.testing.assert_allclose(equilibrium(Game(prior, specs))[:3], smoothed, rtol=ROUNDING, atol=ROUNDING)


# --- families by name ------------------------------------------------------------------------------------


@every_family
def test_every_name_makes_the_family_of_that_name(name: str) -> None:
    family = family_of(name)
    assert family.name == name
    again = family_for(name, family.space, label="label" if "label" in family.space else None)
    assert (again.name, again.size) == (name, family.size)
    assert again.space == family.space


def test_the_names_are_sorted_and_all_there() -> None:
    simple = {"bernoulli", "categorical", "exponential", "gaussian", "gaussian-diagonal", "gaussian-full", "poisson"}
    assert list(FAMILIES) == sorted(FAMILIES)
    assert set(FAMILIES) == {f"{prefix}{n}" for n in simple | {"product"} for prefix in ("", "class-conditional-")}


def test_options_reach_the_family() -> None:
    space = Space((Variable("label", "categorical", categories=2), Variable("x", "real")))
    family = family_for("class-conditional-gaussian", space, variance=4.0)
    assert isinstance(family, ClassConditional)
    assert family.family.variance(np.zeros(1)).tolist() == [4.0]


def test_a_product_takes_each_variables_usual_family() -> None:
    space = Space(
        (
            Variable("b", "binary", (2,)),
            Variable("c", "categorical", categories=3),
            Variable("n", "count"),
            Variable("x", "real"),
        )
    )
    family = family_for("product", space)
    assert isinstance(family, Product)
    assert [block.name for block in family.blocks] == ["bernoulli", "categorical", "poisson", "gaussian-diagonal"]
    assert family.space == space


def test_the_label_may_be_chosen() -> None:
    labels = (Variable("a", "categorical", categories=2), Variable("b", "categorical", categories=3))
    family = family_for("class-conditional-categorical", Space(labels), label="b")
    assert isinstance(family, ClassConditional)
    assert (family.label, family.classes) == ("b", 3)


@pytest.mark.parametrize(
    ("name", "kind"), [("bernoulli", "binary"), ("gaussian", "real"), ("poisson", "count"), ("product", "real")]
)
def test_a_variable_that_is_not_published_stays_so(name: str, kind: Kind) -> None:
    space = Space((Variable("x", kind, (2,), publish=False),))
    assert family_for(name, space).space == space


BINARY, CLASS, REAL = Variable("x", "binary"), Variable("c", "categorical", categories=2), Variable("r", "real")


@pytest.mark.parametrize(
    ("name", "variables", "options", "error", "message"),
    [
        ("bernouli", (BINARY,), {}, UnknownNameError, "unknown family 'bernouli'; did you mean 'bernoulli'?"),
        ("poisson", (BINARY,), {}, SpaceError, r"'poisson' needs exactly one count variable, the space has x \(bin"),
        ("bernoulli", (BINARY, REAL), {}, SpaceError, r"exactly one binary variable, the space has x .binary., r .r"),
        ("gaussian-full", (REAL,), {}, SpaceError, r"'gaussian-full' needs a vector, variable 'r' has shape \(\)"),
        ("gaussian", (REAL,), {"variance": 0.0}, ValueError, "variance is 0.0, expected finite numbers above 0"),
        ("gaussian", (REAL,), {"variance": np.inf}, ValueError, "variance is inf, expected finite numbers above 0"),
        (
            "class-conditional-bernoulli",
            (BINARY, CLASS),
            {"label": "x"},
            SpaceError,
            "the label 'x' is binary, expected categorical",
        ),
        ("class-conditional-bernoulli", (BINARY, CLASS), {"label": "y"}, SpaceError, "no variable 'y' in this space"),
        (
            "class-conditional-bernoulli",
            (BINARY,),
            {},
            SpaceError,
            "a class-conditional family needs one categorical variable or a `label`; found 0",
        ),
        (
            "class-conditional-product",
            (BINARY, CLASS, Variable("d", "categorical", categories=2)),
            {},
            SpaceError,
            "a class-conditional family needs one categorical variable or a `label`; found 2",
        ),
        (
            "class-conditional-bernoulli",
            (CLASS,),
            {},
            SpaceError,
            "a class-conditional family needs a variable besides the label 'c'",
        ),
    ],
)
def test_variables_that_do_not_suit_are_refused(
    name: str, variables: tuple[Variable, ...], options: dict[str, Any], error: type[ValueError], message: str
) -> None:
    with pytest.raises(error, match=message.replace("?", "[?]")):
        family_for(name, Space(variables), **options)


@pytest.mark.parametrize("name", ["categorical", "product"])
def test_vectors_of_categories_have_no_family(name: str) -> None:
    with pytest.raises(SpaceError):
        family_for(name, Space((Variable("c", "categorical", (3,), categories=2),)))


def test_options_that_no_block_takes_are_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        family_for("product", Space((REAL,)), variance=4.0)


def test_an_unknown_synthetic_family_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown family 'gausian'; did you mean 'gaussian'"):
        synthetic_family("gausian", 2)
