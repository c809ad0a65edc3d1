"""What privacy costs: the closed form against many draws of the noise, and where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import (
    Bernoulli,
    ExponentialFamily,
    Game,
    Gaussian,
    GaussianDiagonal,
    NoClosedFormError,
    PlayerSpec,
    Privacy,
    PrivacyCost,
    equilibrium,
    noise_multiplier,
    predict_privacy,
    without_rows,
)
from nashgossip.topology import attach_alpha, generate_graph, influence

Array = NDArray[np.float64]
SIGMAS = 5.0
DRAWS = 300


def game_of(family: ExponentialFamily, privacy: Privacy | None, seed: int = 0, open_player: int = 1) -> Game:
    """A small world of five; one player has no privacy, and each has another number of rows."""
    graph = attach_alpha(generate_graph("small_world", n=5, k=2, p=0.5, seed=3), 0.3)
    specs = {}
    for k, player in enumerate(graph):
        rng = np.random.default_rng(100 + k)
        n = 60 + 20 * k
        x = rng.random((n, 3)) < 0.5 if isinstance(family, Bernoulli) else rng.normal(k / 2, 1.0, (n, 3))
        budget = None if privacy is None or k == open_player else replace(privacy, seed=1000 * seed + k)
        specs[player] = PlayerSpec(family, data=family.space.batch({"x": x}), smoothing=2.0, privacy=budget)
    return Game(graph, specs)


CASES = [
    (Gaussian((3,)), Privacy(2.0, 1e-4, clip=1.5)),
    (Gaussian((3,)), Privacy(2.0, 1e-4, clip=40.0)),
    (Bernoulli((3,)), Privacy(6.0, 1e-4)),
]


@pytest.mark.parametrize(("family", "privacy"), CASES, ids=["rows clipped", "none clipped", "own bound"])
def test_the_cost_is_that_of_many_draws(family: ExponentialFamily, privacy: Privacy) -> None:
    told = predict_privacy(game_of(family, privacy))
    costs = [predict_privacy(game_of(family, privacy, seed)) for seed in range(1, DRAWS + 1)]
    squares = np.array([cost.measured for cost in costs]) ** 2
    error = squares.std(axis=0, ddof=1) / np.sqrt(DRAWS)
    assert told.predicted is not None
    assert (np.abs(squares.mean(axis=0) - told.predicted**2) <= SIGMAS * error).all()
    shifts = np.stack([cost.shift for cost in costs if cost.shift is not None])
    assert told.bias is not None
    spread = shifts.std(axis=0, ddof=1) / np.sqrt(DRAWS)
    assert (np.abs(shifts.mean(axis=0) - told.bias) <= SIGMAS * spread).all()


def test_the_cost_is_the_noise_of_all_by_their_influence() -> None:
    game = game_of(Gaussian((3,)), Privacy(2.0, 1e-4, clip=40.0))
    sigma = noise_multiplier(2.0, 1e-4)
    scales = np.array([0.0 if k == 1 else sigma * 40.0 / (60 + 20 * k + 2.0) for k in range(5)])
    expected = np.sqrt(influence(game.graph) ** 2 @ scales**2)
    np.testing.assert_allclose(predict_privacy(game).noise, expected, rtol=1e-12)


def test_what_is_measured_is_the_difference_of_two_equilibria() -> None:
    private, plain = (game_of(Gaussian((3,)), privacy) for privacy in (Privacy(1.0, clip=2.0), None))
    cost = predict_privacy(private)
    np.testing.assert_allclose(cost.shift, equilibrium(private) - equilibrium(plain), rtol=1e-9, atol=1e-12)
    assert cost.measured_rms == pytest.approx(float(np.sqrt((cost.shift**2).mean())))


def test_without_privacy_nothing_is_lost() -> None:
    for privacy in (None, Privacy(float("inf"))):
        game = game_of(Bernoulli((3,)), privacy)
        cost = predict_privacy(game)
        assert (cost.predicted_rms, cost.measured_rms) == (0.0, 0.0)
        np.testing.assert_array_equal(equilibrium(game), equilibrium(game_of(Bernoulli((3,)), None)))


def test_where_the_noise_is_wide_projection_wins_some_of_it_back() -> None:
    wide = [predict_privacy(game_of(Bernoulli((3,)), Privacy(0.05, 1e-6), seed)) for seed in range(40)]
    told = wide[0].predicted
    squares = np.array([cost.measured for cost in wide]) ** 2
    error = squares.std(axis=0, ddof=1) / np.sqrt(len(wide))
    assert told is not None
    assert (squares.mean(axis=0) + SIGMAS * error < told**2).all()


def lean(game: Game) -> Game:
    return Game(game.graph, {player: without_rows(spec) for player, spec in game.specs.items()})


def test_without_rows_the_equilibrium_is_the_same_and_the_cost_is_known_as_far_as_it_can_be() -> None:
    clipped, own = game_of(Gaussian((3,)), Privacy(2.0, clip=1.0)), game_of(Bernoulli((3,)), Privacy(2.0))
    for game in (clipped, own):
        np.testing.assert_array_equal(equilibrium(lean(game)), equilibrium(game))
    whole, bare = predict_privacy(clipped), predict_privacy(lean(clipped))
    np.testing.assert_array_equal(bare.noise, whole.noise)
    assert (bare.bias, bare.shift, bare.predicted_rms, bare.measured_rms) == (None, None, None, None)
    assert predict_privacy(lean(own)).predicted_rms == predict_privacy(own).predicted_rms
    assert predict_privacy(lean(own)).measured is None


@pytest.mark.parametrize("huge", [1e200, 1e150])
def test_a_row_without_finite_statistics_leaves_the_game_and_takes_the_cost_alone(huge: float) -> None:
    family = GaussianDiagonal((2,))
    x = np.random.default_rng(0).normal(size=(50, 2))
    x[7] = huge
    rows = family.space.batch({"x": x})
    spec = PlayerSpec(family, data=rows, smoothing=1.0, privacy=Privacy(5.0, clip=3.0))
    cost = predict_privacy(Game(attach_alpha(generate_graph("complete", n=1), 1.0), {0: spec}))
    assert np.isfinite(cost.noise).all()
    assert (cost.bias, cost.shift) == (None, None)


def test_the_summary_of_private_rows_tells_the_release_and_no_more() -> None:
    spec = game_of(Bernoulli((3,)), Privacy(2.0)).specs[0]
    summary = without_rows(spec).summary
    assert summary is not None
    np.testing.assert_array_equal(summary.statistics, spec.mean_statistics())
    assert np.abs(summary.statistics - replace(spec, privacy=None).mean_statistics()).min() > 0
    assert summary.class_shares is None


def test_a_game_without_closed_form_has_no_cost() -> None:
    class Coin:
        space = Bernoulli().space

    specs = {0: PlayerSpec(model=Coin, data=Coin.space.batch({"x": [0, 1]}))}
    graph = attach_alpha(generate_graph("complete", n=1), 1.0)
    with pytest.raises(NoClosedFormError):
        predict_privacy(Game(graph, specs))


def test_a_cost_is_a_root_of_both_its_parts() -> None:
    cost = PrivacyCost(np.array([3.0]), np.array([[4.0, 4.0]]), None)
    assert cost.predicted is not None
    assert cost.predicted.tolist() == [5.0]
