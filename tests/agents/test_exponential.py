"""The exponential-family model: the exact best response, steps towards it, and a state that says it all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.agents import ExponentialFamilyModel, Source
from nashgossip.games import FAMILIES, Batch, Bernoulli, ExponentialFamily, Gaussian, StepSize, synthetic_family

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
WEIGHTS = (0.5, 0.3, 0.2)


def unused() -> np.random.Generator:
    """A stream for `learn`, which is exact and must not draw from it."""
    return np.random.default_rng(0)


def batches(family: ExponentialFamily, seed: int = 0, rows: tuple[int, ...] = (7, 11, 5)) -> list[Batch]:
    rng = np.random.default_rng(seed)
    return [family.sample(family.reference, n, rng) for n in rows]


def sources(drawn: list[Batch], weights: tuple[float, ...] = WEIGHTS) -> list[Source]:
    """The first of the batches is the player's own."""
    return [Source(b, w, own=k == 0) for k, (b, w) in enumerate(zip(drawn, weights, strict=True))]


def response(family: ExponentialFamily, drawn: list[Batch], smoothing: float) -> np.ndarray:
    """m = α_ii (r φ̄ + λ·reference)/(r + λ) + Σ_j α_ij φ̄_j, from the rows themselves."""
    means = [family.statistics(b).mean(axis=0) for b in drawn]
    rows = len(drawn[0])
    means[0] = (rows * means[0] + smoothing * family.reference) / (rows + smoothing)
    best: np.ndarray = np.einsum("k,kd->d", WEIGHTS, means)
    return best


# --- best response -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 2.5])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_whole_step_is_the_best_response(name: str, smoothing: float) -> None:
    family = synthetic_family(name, 3)
    drawn = batches(family)
    model = ExponentialFamilyModel(family, smoothing=smoothing, mean=family.reference)
    model.learn(sources(drawn), unused())
    np.testing.assert_allclose(model.mean_parameters, response(family, drawn, smoothing), rtol=1e-12, atol=1e-12)


def test_smoothing_is_for_the_own_rows_alone() -> None:
    family = Bernoulli((2,))
    ones = family.space.batch({"x": np.ones((4, 2), int)})
    mine, theirs = ExponentialFamilyModel(family, smoothing=4.0), ExponentialFamilyModel(family, smoothing=4.0)
    mine.learn([Source(ones, 1.0, own=True)], unused())
    theirs.learn([Source(ones, 1.0)], unused())
    assert mine.mean_parameters.tolist() == [0.75, 0.75]  # (4·1 + 4·½)/8
    assert theirs.mean_parameters.tolist() == [1.0, 1.0]


def test_learning_draws_nothing_from_its_stream() -> None:
    family, rng = Gaussian((2,)), np.random.default_rng(5)
    before = rng.bit_generator.state
    ExponentialFamilyModel(family).learn(sources(batches(family)), rng)
    assert rng.bit_generator.state == before


# --- steps ---------------------------------------------------------------------------------------------------


@given(start=st.floats(-10, 10), target=st.floats(-10, 10), eta=st.floats(0.01, 1.0), steps=st.integers(1, 12))
@PROPERTY
def test_a_constant_step_shrinks_the_error_geometrically(start: float, target: float, eta: float, steps: int) -> None:
    family = Gaussian((1,))
    batch = family.space.batch({"x": [[target]]})
    model = ExponentialFamilyModel(family, step=StepSize(eta), mean=np.array([start]))
    for _ in range(steps):
        model.learn([Source(batch, 1.0)], unused())
    expected = target + (1 - eta) ** steps * (start - target)
    assert model.mean_parameters[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_step_of_one_over_t_averages_what_was_heard() -> None:
    """With η_t = 1/(1 + t) after a first step that counts for nothing, μ is the plain mean of all batches."""
    family, rng = Gaussian((2,)), np.random.default_rng(3)
    rows = rng.normal(size=(20, 2))
    model = ExponentialFamilyModel(family, step=StepSize(horizon=1.0), mean=np.array([99.0, 99.0]))
    for row in rows:
        model.learn([Source(family.space.batch({"x": row[None]}), 1.0)], unused())
    np.testing.assert_allclose(model.mean_parameters, rows.mean(axis=0), rtol=1e-12)


def test_a_model_without_parameters_takes_the_first_response_whole_and_counts_no_step() -> None:
    family = Gaussian((1,))
    five, one = (family.space.batch({"x": [[value]]}) for value in (5.0, 1.0))
    model = ExponentialFamilyModel(family, step=StepSize(0.5))
    assert model.mean_parameters.tolist() == family.reference.tolist()
    model.learn([Source(five, 1.0)], unused())
    assert model.mean_parameters.tolist() == [5.0]
    assert model.state()["steps"] == 0
    model.learn([Source(one, 1.0)], unused())
    assert model.mean_parameters.tolist() == [3.0]
    assert model.state()["steps"] == 1


# --- statistics kept from the last move ----------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_statistics_kept_from_the_last_move_equal_fresh_ones(name: str) -> None:
    family = synthetic_family(name, 3)
    kept = ExponentialFamilyModel(family, smoothing=1.5, step=StepSize(0.4))
    own, *others = batches(family, seed=2)
    for other in batches(family, seed=4, rows=(6, 6, 6)):
        now = [own, others[0], other]
        state = kept.state()
        fresh = ExponentialFamilyModel(family, smoothing=1.5, step=StepSize(0.4))
        fresh.load(state)
        for model in (kept, fresh):
            model.learn(sources(now), unused())
        assert kept.mean_parameters.tobytes() == fresh.mean_parameters.tobytes()


def test_one_batch_heard_as_own_and_as_anothers_is_smoothed_as_own_alone() -> None:
    family = Bernoulli((2,))
    ones = family.space.batch({"x": np.ones((4, 2), int)})
    model = ExponentialFamilyModel(family, smoothing=4.0)
    model.learn([Source(ones, 1.0, own=True)], unused())
    model.learn([Source(ones, 1.0)], unused())
    assert model.mean_parameters.tolist() == [1.0, 1.0]


# --- generation and density ----------------------------------------------------------------------------------


def test_rows_have_the_mean_parameters_of_the_model() -> None:
    family, n = Gaussian((3,), variable="y"), 20_000
    mu = np.array([-1.0, 0.0, 2.0])
    model = ExponentialFamilyModel(family, mean=mu)
    batch = model.generate(n, np.random.default_rng(8))
    assert batch.space == model.space == family.space
    error = np.sqrt(family.variance(mu) / n)
    assert (np.abs(family.mean_statistics(batch) - mu) < 4 * error).all()


def test_density_is_the_family_s() -> None:
    family, mu = Gaussian((2,)), np.array([0.5, -0.5])
    batch = family.space.batch({"x": [[0.5, -0.5], [1.5, -0.5]]})
    density = ExponentialFamilyModel(family, mean=mu).log_density(batch)
    np.testing.assert_allclose(density, [-np.log(2 * np.pi), -np.log(2 * np.pi) - 0.5])


# --- state ---------------------------------------------------------------------------------------------------


def test_a_state_restores_parameters_and_steps() -> None:
    family = Gaussian((2,))
    step = StepSize(horizon=3.0)
    first, second = ExponentialFamilyModel(family, step=step), ExponentialFamilyModel(family, step=step)
    for seed in range(4):
        first.learn(sources(batches(family, seed)), unused())
    second.load(first.state())
    for model in (first, second):
        model.learn(sources(batches(family, 9)), unused())
    assert first.mean_parameters.tobytes() == second.mean_parameters.tobytes()
    assert first.state()["steps"] == second.state()["steps"] == 4


def test_an_untaught_state_restores_an_untaught_model() -> None:
    family = Gaussian((2,))
    model = ExponentialFamilyModel(family, step=StepSize(0.5), mean=np.ones(2))
    model.load(ExponentialFamilyModel(family).state())
    assert model.mean_parameters.tolist() == family.reference.tolist()
    assert model.state() == {"mean": None, "steps": 0}


def test_neither_the_start_nor_a_loaded_state_is_shared() -> None:
    family, start = Gaussian((2,)), np.ones(2)
    model = ExponentialFamilyModel(family, mean=start)
    state = model.state()
    other = ExponentialFamilyModel(family)
    other.load(state)
    start[:] = 7.0
    state["mean"][:] = 8.0
    assert model.mean_parameters.tolist() == other.mean_parameters.tolist() == [1.0, 1.0]


def test_a_state_of_another_size_is_refused() -> None:
    model = ExponentialFamilyModel(Gaussian((2,)))
    with pytest.raises(ValueError, match=r"state has \(3,\) mean parameters, expected \(2,\)"):
        model.load({"mean": np.zeros(3), "steps": 0})
