"""Estimated regret against the exact one of exponential families."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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


def test_parts_of_the_private_rows_are_compared_on_what_they_hold() -> None:
    """The holdout has all variables, of which the marginal density of a part counts the part's alone."""
    x, y = Variable("x", "real"), Variable("y", "real")

    class Means:
        """Independent normal variables of unit variance; the density is that of what rows hold."""

        space = Space((x, y))

        def __init__(self) -> None:
            self.means = {"x": 0.0, "y": 0.0}

        def learn(self, sources: list[Source], rng: Any) -> None:
            for s in sources:
                self.means |= {name: float(s.batch[name].mean()) for name in s.batch.space.names}

        def log_density(self, batch: Batch) -> NDArray[np.float64]:
            return -0.5 * np.sum([(batch[n] - self.means[n]) ** 2 for n in batch.space.names], axis=0)

        def state(self) -> dict[str, float]:
            return dict(self.means)

        def load(self, state: dict[str, float]) -> None:
            self.means = dict(state)

        generate = None

    rng = np.random.default_rng(0)
    holdout = Means.space.batch({"x": rng.normal(1.0, 1.0, 4000), "y": rng.normal(2.0, 1.0, 4000)})
    parts = [Space((v,)).batch({v.name: rng.normal(m, 1.0, 4000)}) for v, m in ((x, 1.0), (y, 2.0))]
    sources = [Source(part, 0.5, own=True) for part in parts]
    found = estimate_regret(Means(), Means, sources, holdout, 1, rng)  # type: ignore[arg-type]
    assert found is not None
    assert abs(found.gain - 0.5 * (0.5 * 1.0 + 0.5 * 4.0)) < 5 * found.error + 1e-2


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


def test_parts_compared_on_the_same_rows_are_no_independent_evidence() -> None:
    """A source cut into two equal parts tells nothing more: neither gain nor error change."""
    model, own, held = taught(1.0), rows(0.0, 200, 1), rows(0.0, 100, 2)
    one = estimate(model, [Source(own, 1.0, own=True)], held)
    two = estimate(model, [Source(own, 0.5, own=True), Source(own, 0.5, own=True)], held)
    assert two.gain == pytest.approx(one.gain)
    assert two.error == pytest.approx(one.error)
