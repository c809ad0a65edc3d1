"""The conditional Gaussian with missing blocks: closed forms, EM against direct maximisation, draws against moments."""

from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from nashgossip.agents import ConditionalGaussianModel, ConformanceError, HasClasses, HasCompletion, Source, check_model
from nashgossip.games import Batch, BoundaryError, Space, SpaceError, StepSize, Variable

Covariance = Literal["shared", "per-class"]
KINDS: list[Covariance] = ["shared", "per-class"]

C = Variable("c", "categorical", categories=2)
A = Variable("a", "real", (2,))
B = Variable("b", "real")
SPACE = Space((C, A, B))
ROOTS = np.array([[[1.0, 0, 0], [0.5, 0.8, 0], [-0.6, 0.3, 0.7]], [[0.7, 0, 0], [-0.2, 1.1, 0], [0.4, 0.4, 0.5]]])
MEANS = np.array([[0.0, 1.0, -1.0], [1.5, -0.5, 0.5]])


def unused() -> np.random.Generator:
    """A stream for `learn`, which is exact and must not draw from it."""
    return np.random.default_rng(0)


def real_rows(n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classes `[n]` and values `[n, 3]` of a known conditional Gaussian."""
    rng = np.random.default_rng(seed)
    c = (rng.random(n) < 0.4).astype(np.int64)
    return c, MEANS[c] + np.einsum("nab,nb->na", ROOTS[c], rng.standard_normal((n, 3)))


def batch(c: NDArray[np.int64], x: NDArray[np.float64], names: str = "cab") -> Batch:
    """The rows, of which only the named variables are kept."""
    whole = SPACE.batch({"c": c, "a": x[:, :2], "b": x[:, 2]})
    return whole.restrict(Space(tuple(SPACE[name] for name in names)))


def partial_sources(seed: int = 3) -> list[Source]:
    """Own rows of which some lack the class and some a block, and two neighbours that share a part."""
    found = [("cab", 12, True), ("ab", 9, True), ("cb", 15, True), ("ca", 20, False), ("b", 25, False)]
    weights = (0.25, 0.15, 0.2, 0.3, 0.1)
    return [
        Source(batch(*real_rows(n, seed + k), names), w, own)
        for k, ((names, n, own), w) in enumerate(zip(found, weights, strict=True))
    ]


def taught(sources: list[Source], calls: int, **options: Any) -> ConditionalGaussianModel:
    model = ConditionalGaussianModel(SPACE, **options)
    for _ in range(calls):
        model.learn(sources, unused())
    return model


# --- rows that hold everything: closed forms ----------------------------------------------------------------------


@pytest.mark.parametrize("covariance", KINDS)
def test_whole_rows_give_the_weighted_maximum_likelihood_at_once(covariance: Covariance) -> None:
    parts, weights = [real_rows(40, 0), real_rows(70, 1)], (0.7, 0.3)
    model = taught([Source(batch(*p), w) for p, w in zip(parts, weights, strict=True)], 1, covariance=covariance)
    c, x = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    w = np.concatenate([np.full(len(p[0]), v / len(p[0])) for p, v in zip(parts, weights, strict=True)])
    scatters = []
    for k in (0, 1):
        mine = w * (c == k)
        mean = mine @ x / mine.sum()
        scatters.append((mine[:, None] * (x - mean)).T @ (x - mean))
        np.testing.assert_allclose(model.parameters.shares[k], mine.sum(), rtol=1e-12)
        np.testing.assert_allclose(model.parameters.means[k], mean, rtol=1e-10)
    shares = [w[c == k].sum() for k in (0, 1)]
    expected = [sum(scatters)] if covariance == "shared" else [s / p for s, p in zip(scatters, shares, strict=True)]
    np.testing.assert_allclose(model.parameters.covariances, expected, rtol=1e-9, atol=1e-12)


def test_smoothing_adds_pseudo_rows_of_the_reference_to_the_own_rows_alone() -> None:
    c, x = real_rows(30, 2)
    own, theirs = (taught([Source(batch(c, x), 1.0, own=own)], 1, smoothing=6.0) for own in (True, False))
    moments = own.parameters.moments
    np.testing.assert_allclose(moments.shares, (30 * np.bincount(c) / 30 + 6 / 2) / 36, rtol=1e-12)
    np.testing.assert_allclose(moments.first[1], x[c == 1].sum(axis=0) / 36, rtol=1e-12)
    np.testing.assert_allclose(moments.second[0], (x.T @ x + 6 * np.eye(3)) / 36, rtol=1e-10)
    np.testing.assert_allclose(theirs.parameters.moments.second[0], x.T @ x / 30, rtol=1e-10)
    halves = [Source(batch(c[part], x[part]), 0.5, own=True) for part in (slice(0, 15), slice(15, 30))]
    cut = taught(halves, 1, smoothing=6.0).parameters  # the prior counts once, into however many batches rows fall
    np.testing.assert_allclose(cut.covariances, own.parameters.covariances, rtol=1e-10)


def test_a_step_goes_part_of_the_way_and_the_first_learning_is_no_step() -> None:
    first, second = (batch(*real_rows(50, seed)) for seed in (4, 5))
    model = ConditionalGaussianModel(SPACE, step=StepSize(0.5, horizon=1.0))
    whole = [taught([Source(b, 1.0)], 1).parameters.moments.second for b in (first, second)]
    model.learn([Source(first, 1.0)], unused())
    np.testing.assert_allclose(model.parameters.moments.second, whole[0], rtol=1e-9)
    for eta in (0.5, 0.25):
        whole[0] = (1 - eta) * whole[0] + eta * whole[1]
        model.learn([Source(second, 1.0)], unused())
        np.testing.assert_allclose(model.parameters.moments.second, whole[0], rtol=1e-9)


# --- rows that lack variables: EM ---------------------------------------------------------------------------------


def parameters(theta: NDArray[np.float64], groups: int) -> tuple[Any, Any, Any]:
    """Class shares, means and covariances from free numbers: log-shares, means, Cholesky roots with log-diagonals."""
    shares, means = np.exp(log_softmax(np.append(theta[0], 0.0))), theta[1:7].reshape(2, 3)
    roots = np.zeros((groups, 3, 3))
    rows, columns = np.tril_indices(3)
    roots[:, rows, columns] = theta[7:].reshape(groups, 6)
    diagonal = np.arange(3)
    roots[:, diagonal, diagonal] = np.exp(roots[:, diagonal, diagonal])
    return shares, means, roots @ np.swapaxes(roots, 1, 2)


def log_likelihood(rows: Batch, shares: Any, means: Any, covariances: Any) -> NDArray[np.float64]:
    """log p of what the rows hold, by inverse and determinant."""
    names = rows.space.names
    places = [k for k, name in enumerate("aab") if name in names]
    x = np.concatenate([rows[n].reshape(len(rows), -1) for n in names if n != "c"], axis=1)
    gaps = x - means[:, None, places]
    sigma = covariances[:, places][:, :, places]
    distances = np.einsum("kna,kab,knb->nk", gaps, np.broadcast_to(np.linalg.inv(sigma), (2, *sigma.shape[1:])), gaps)
    per_class = np.log(shares) - 0.5 * (distances + np.linalg.slogdet(2 * np.pi * sigma).logabsdet)
    if "c" in names:
        return np.asarray(per_class[np.arange(len(rows)), rows["c"]])
    return np.asarray(np.logaddexp.reduce(per_class, axis=1))


def objective(sources: list[Source], smoothing: float, shares: Any, means: Any, covariances: Any) -> float:
    """Σ_k weight_k · mean log-likelihood of source k; own rows joined by E log p under the prior's reference member."""
    rows = sum(len(s.batch) for s in sources if s.own)
    kept = rows / (rows + smoothing)
    prior = 0.0
    for k in (0, 1):  # E log N(x; m, Σ) under N(0, I) is −½ (tr Σ⁻¹ + mᵀΣ⁻¹m + log |2πΣ|)
        sigma = covariances[min(k, len(covariances) - 1)]
        inverse = np.linalg.inv(sigma)
        volume = np.linalg.slogdet(2 * np.pi * sigma).logabsdet
        prior += 0.5 * (np.log(shares[k]) - 0.5 * (np.trace(inverse) + means[k] @ inverse @ means[k] + volume))
    total = sum(s.weight * (1 - kept) * prior for s in sources if s.own)
    for s in sources:
        total += s.weight * (kept if s.own else 1.0) * log_likelihood(s.batch, shares, means, covariances).mean()
    return float(total)


@pytest.mark.parametrize("covariance", KINDS)
def test_a_fixed_point_of_em_is_where_direct_maximisation_ends(covariance: Covariance) -> None:
    sources, smoothing = partial_sources(), 3.0
    model = taught(sources, 1000, covariance=covariance, smoothing=smoothing)
    found = model.parameters
    groups = len(found.covariances)

    def loss(theta: NDArray[np.float64]) -> float:
        return -objective(sources, smoothing, *parameters(theta, groups))

    start = taught(sources, 20, covariance=covariance, smoothing=smoothing).parameters
    roots = np.linalg.cholesky(start.covariances)
    roots[:, range(3), range(3)] = np.log(roots[:, range(3), range(3)])
    theta = np.concatenate(
        [[np.log(start.shares[0] / start.shares[1])], start.means.ravel(), roots[:, *np.tril_indices(3)].ravel()]
    )
    best = minimize(loss, theta + 0.05, method="BFGS", options={"gtol": 1e-7})
    reached = objective(sources, smoothing, found.shares, found.means, found.covariances)
    assert abs(reached + best.fun) < 1e-8  # the optimiser's gradient of 1e-7 leaves less than that
    shares, means, covariances = parameters(best.x, groups)
    for mine, theirs in zip((found.shares, found.means, found.covariances), (shares, means, covariances), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-4)


@pytest.mark.parametrize("covariance", KINDS)
def test_every_step_of_em_raises_the_observed_likelihood_until_it_rests(covariance: Covariance) -> None:
    sources = partial_sources(11)
    model = taught(sources, 1, covariance=covariance, smoothing=2.0)
    heights = []
    for _ in range(60):
        now = model.parameters
        heights.append(objective(sources, 2.0, now.shares, now.means, now.covariances))
        model.learn(sources, unused())
    rises = np.diff(heights)
    assert (rises > -1e-12).all()
    assert heights[-1] - heights[0] > 1e-3
    assert rises[-1] < rises[:10].max() / 10


def test_an_edge_that_shares_the_class_alone_teaches_the_class_shares_alone() -> None:
    own = batch(*real_rows(400, 6))
    model = taught([Source(own, 1.0, own=True)], 1)
    before = model.parameters
    ones = Space((C,)).batch({"c": np.ones(50, int)})
    for _ in range(200):
        model.learn([Source(own, 0.4, own=True), Source(ones, 0.6)], unused())
    after = model.parameters
    np.testing.assert_allclose(after.shares[1], 0.4 * before.shares[1] + 0.6, rtol=1e-9)
    np.testing.assert_allclose(after.means, before.means, rtol=1e-6)
    shared = taught([Source(own, 0.4, own=True), Source(batch(*real_rows(50, 9), "ca"), 0.6)], 300).parameters
    assert np.abs(shared.means[:, :2] - before.means[:, :2]).max() > 0.02  # a block along the edge does


# --- the conditional: exact moments and draws ---------------------------------------------------------------------


@pytest.mark.parametrize("covariance", KINDS)
def test_densities_are_the_integrals_whatever_the_rows_hold(covariance: Covariance) -> None:
    model = taught(partial_sources(), 5, covariance=covariance, smoothing=1.0)
    now = model.parameters
    c, x = real_rows(8, 21)
    for names in ("cab", "ab", "cb", "ca", "b", "a"):
        rows = batch(c, x, names)
        np.testing.assert_allclose(
            model.log_density(rows), log_likelihood(rows, now.shares, now.means, now.covariances), rtol=1e-9
        )
        joint = [
            log_likelihood(batch(np.full(8, k), x, "c" + names.strip("c")), now.shares, now.means, now.covariances)
            for k in (0, 1)
        ]
        told = np.exp(log_softmax(np.stack(joint, axis=1), axis=1))
        np.testing.assert_allclose(model.class_probabilities(rows), told, rtol=1e-8)
    only = Space((C,)).batch({"c": [0, 1]})
    np.testing.assert_allclose(model.log_density(only), np.log(now.shares), rtol=1e-12)


@pytest.mark.parametrize("covariance", KINDS)
def test_completed_rows_have_the_moments_of_the_exact_conditional(covariance: Covariance) -> None:
    model = taught(partial_sources(), 5, covariance=covariance, smoothing=1.0)
    now = model.parameters
    n, at = 20_000, 0.7
    given = Space((B,)).batch({"b": np.full(n, at)})
    drawn = model.complete(given, np.random.default_rng(5))
    assert (drawn["b"] == at).all()
    told = model.class_probabilities(given.select([0]))[0]
    for k in (0, 1):
        sigma = now.covariances[min(k, len(now.covariances) - 1)]
        slope = sigma[:2, 2] / sigma[2, 2]
        mean = now.means[k, :2] + slope * (at - now.means[k, 2])
        spread = sigma[:2, :2] - np.outer(slope, sigma[2, :2])
        mine = drawn["c"] == k
        count = int(mine.sum())
        assert abs(count / n - told[k]) < 4 * np.sqrt(told[0] * told[1] / n)
        gap = drawn["a"][mine].mean(axis=0) - mean
        assert (np.abs(gap) < 4 * np.sqrt(np.diag(spread) / count)).all()
        variances = np.outer(np.diag(spread), np.diag(spread)) + spread**2  # of the entries of a sample covariance, · n
        assert (np.abs(np.cov(drawn["a"][mine].T) - spread) < 4 * np.sqrt(variances / count)).all()
    generated = model.generate(n, np.random.default_rng(6))
    error = np.sqrt(now.shares.prod() / n)
    assert abs((generated["c"] == 1).mean() - now.shares[1]) < 4 * error


def test_what_is_given_is_kept_and_the_rest_depends_on_the_stream() -> None:
    model = taught(partial_sources(), 3, smoothing=1.0)
    rows = batch(*real_rows(20, 8), "cb")
    first, same, other = (model.complete(rows, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.restrict(rows.space) == rows
    assert first == same
    assert not np.array_equal(first["a"], other["a"])
    whole = batch(*real_rows(20, 8))
    assert model.complete(whole, np.random.default_rng(1)) == whole


# --- the protocol -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", KINDS)
def test_it_keeps_the_protocol_of_a_player(covariance: Covariance) -> None:
    wide = Space((Variable("y", "real", (2, 2)), C, B))
    assert check_model(lambda: ConditionalGaussianModel(wide, covariance=covariance, smoothing=1.0))
    assert check_model(lambda: ConditionalGaussianModel(Space((A, B)), covariance=covariance))
    model = ConditionalGaussianModel(SPACE)
    assert isinstance(model, HasCompletion)
    assert isinstance(model, HasClasses)


def test_the_check_tells_a_broken_one() -> None:
    class Forgetful:
        """Does not say all that its next step depends on."""

        def __init__(self) -> None:
            self._inner = ConditionalGaussianModel(SPACE, step=StepSize(horizon=1.0))
            self.space, self.learn, self.generate = SPACE, self._inner.learn, self._inner.generate

        def state(self) -> dict[str, Any]:
            return {**self._inner.state(), "steps": 5}

        def load(self, state: dict[str, Any]) -> None:
            self._inner.load(state)

    with pytest.raises(ConformanceError, match="resumes"):
        check_model(Forgetful)


def test_what_cannot_be_is_refused_by_name() -> None:
    one = batch(np.zeros(5, np.int64), real_rows(5, 0)[1])
    with pytest.raises(BoundaryError, match="class 1 never occurs .* `smoothing`"):
        taught([Source(one, 1.0)], 1)
    few = batch(np.array([0, 1]), real_rows(2, 0)[1])
    with pytest.raises(BoundaryError, match="covariance of 3 values is singular"):
        taught([Source(few, 1.0)], 1)
    assert taught([Source(few, 1.0, own=True)], 1, smoothing=0.1).parameters.shares[0] == 0.5
    model = ConditionalGaussianModel(SPACE)
    stranger = Space((Variable("q", "real"),)).batch({"q": [0.0]})
    for ask in (model.log_density, model.class_probabilities):
        with pytest.raises(SpaceError, match="rows hold q, but the model is over c, a, b"):
            ask(stranger)
    for space in (
        Space((C,)),
        Space((C, Variable("d", "categorical", categories=2), B)),
        Space((Variable("e", "categorical", (2,), categories=2), B)),
    ):
        with pytest.raises(SpaceError, match="at most one categorical variable"):
            ConditionalGaussianModel(space)
    with pytest.raises(SpaceError, match="is over real variables"):
        ConditionalGaussianModel(Space((C, Variable("n", "count"))))
    with pytest.raises(SpaceError, match="knows no bounds"):
        ConditionalGaussianModel(Space((C, Variable("u", "real", low=0.0))))
    with pytest.raises(SpaceError, match="no class variable"):
        ConditionalGaussianModel(Space((B,))).class_probabilities(Space((B,)).batch({"b": [0.0]}))
    with pytest.raises(ValueError, match="covariance is 'diagonal', expected 'shared' or 'per-class'"):
        ConditionalGaussianModel(SPACE, covariance="diagonal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="smoothing is -1"):
        ConditionalGaussianModel(SPACE, smoothing=-1)
    with pytest.raises(ValueError, match="make the model as it was"):
        model.load(ConditionalGaussianModel(Space((C, B))).state())


def test_units_do_not_matter_to_what_counts_as_singular() -> None:
    c, x = real_rows(50, 1)
    model = taught([Source(batch(c, x * np.array([1e-6, 1.0, 1e6])), 1.0)], 1)
    assert np.isfinite(model.log_density(batch(c, x * np.array([1e-6, 1.0, 1e6])))).all()
