"""Estimated regret against the exact one of exponential families."""

from typing import Any

import numpy as np
import pytest

from nashgossip.agents import EstimatorModel, ExponentialFamilyModel, Player, RegretEstimate, Source
from nashgossip.agents.inspection import estimate_regret
from nashgossip.games import Batch, Gaussian, Space, Variable

FAMILY = Gaussian((2,))


def rows(mean: float, n: int, seed: int) -> Batch:
    return FAMILY.sample(np.full(2, mean), n, np.random.default_rng(seed))


def taught(mean: float, n: int = 20_000) -> ExponentialFamilyModel:
    model = ExponentialFamilyModel(FAMILY)
    model.learn([Source(rows(mean, n, 7), 1.0)], np.random.default_rng(0))
    return model


def estimate(model: Any, sources: list[Source], holdout: Batch | None = None, seed: int = 0) -> RegretEstimate:
    made = estimate_regret(
        model, lambda: ExponentialFamilyModel(FAMILY), sources, holdout, 1, np.random.default_rng(seed)
    )
    assert made is not None
    return made


@pytest.mark.parametrize("at", [0.0, 0.5, 2.0])
def test_a_clone_that_answers_best_gains_the_regret(at: float) -> None:
    """Of a Gaussian with unit variance at μ the regret is ½‖m − μ‖², m the mean of the mixture."""
    sources = [Source(rows(0.0, 40_000, 1), 0.25, own=True), Source(rows(1.0, 40_000, 2), 0.75)]
    model = taught(at)
    regret = 0.5 * float(((np.full(2, 0.75) - model.mean_parameters) ** 2).sum())
    found = estimate(model, sources)
    assert abs(found.gain - regret) < 4 * found.error + 1e-3  # the means of the sources have errors of their own
    low, high = found.interval
    assert low < found.gain < high


def test_at_the_best_response_nothing_is_gained_however_often_one_asks() -> None:
    sources = [Source(rows(0.0, 4000, 1), 0.5, own=True), Source(rows(1.0, 4000, 2), 0.5)]
    model = ExponentialFamilyModel(FAMILY)
    model.learn(sources, np.random.default_rng(0))
    gains = [estimate(model, sources, seed=k) for k in range(20)]
    assert np.mean([g.gain for g in gains]) < 2 * np.mean([g.error for g in gains])


def test_the_model_is_not_changed_and_private_rows_are_compared_on_the_holdout() -> None:
    own, holdout = rows(0.0, 500, 1), rows(3.0, 800, 2)
    model = taught(3.0)
    before = model.mean_parameters.copy()
    found = estimate(model, [Source(own, 1.0, own=True)], holdout)
    assert (model.mean_parameters == before).all()
    assert found.gain < -5  # the clone moved to its rows, away from the holdout


def test_there_is_none_without_density_or_rows() -> None:
    class Silent:
        pass

    few = [Source(rows(0.0, 3, 1), 1.0)]
    rng = np.random.default_rng(0)
    assert estimate_regret(Silent(), Silent, few, None, 1, rng) is None  # type: ignore[arg-type]
    assert estimate_regret(taught(0.0), lambda: taught(0.0), few, None, 1, rng) is None


def test_a_player_estimates_on_what_it_hears_from_a_stream_of_its_own() -> None:
    from sklearn.mixture import GaussianMixture

    space = Space((Variable("x", "real"),))

    def make() -> EstimatorModel:
        return EstimatorModel(GaussianMixture(2), space, rows=300)

    data = space.batch({"x": np.random.default_rng(0).normal(size=200)})

    def player(clone: Any) -> Player:
        made = Player(
            "a",
            make(),
            data=data,
            self_weight=1.0,
            neighbours={},
            listeners={},
            samples=5,
            seed=1,
            index=0,
            clone=clone,
        )
        made.open()
        return made

    asked, silent = player(make), player(make)
    assert isinstance(asked.estimate_regret(1), RegretEstimate)
    asked.move(), silent.move()
    assert asked.measure(20) == silent.measure(20)
    assert player(None).estimate_regret(1) is None
