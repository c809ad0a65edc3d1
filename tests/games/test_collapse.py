"""Drift and loss of variance against `rounds`, on several graphs, and what small anchors change."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import (
    Game,
    NoClosedFormError,
    Oracle,
    PlayerSpec,
    StepSize,
    predict,
    synthetic_data,
    synthetic_family,
)
from nashgossip.games.collapse import (
    Collapse,
    collapse_factor,
    consensus_weights,
    period,
    predict_collapse,
)
from nashgossip.games.gossip import Gossip
from nashgossip.runners.rounds import rounds
from nashgossip.topology import UnanchoredError, attach_alpha, generate_graph, listening_matrix

STANDARD_ERRORS = 4
STATISTICS = 100
RUNS = 8
ROUNDS = 60
GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "odd ring": ("ring", {"n": 7}),
    "even ring": ("ring", {"n": 8}),
    "complete": ("complete", {"n": 8}),
    "star": ("star", {"n": 8}),
    "small world": ("small_world", {"n": 8, "k": 4, "p": 0.3}),
}


def game_of(
    graph: str, family_name: str, alpha: float = 0.0, *, samples: int = 20, step: float = 1.0, size: int = STATISTICS
) -> Game:
    generator, arguments = GRAPHS[graph]
    weighted = attach_alpha(generate_graph(generator, seed=1, **arguments), alpha)
    family = synthetic_family(family_name, size)
    data = synthetic_data(family, len(weighted), 100, np.random.default_rng(3))
    specs = {
        player: PlayerSpec(family=family, data=rows, samples=samples, smoothing=1.0, step=StepSize(step))
        for player, rows in zip(weighted, data, strict=True)
    }
    return Game(weighted, specs, anchored=False)


def measured(game: Game, predicted: Collapse, expected: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Values over runs and statistics at the end, minus what was predicted for each statistic: name → `[RUNS, k]`.

    `expected`: E πᵀμ of each statistic at the end, `[k]`.
    """
    k = predicted.drift.shape[1]
    family = game.specs[game.players[0]].family
    assert family is not None
    drift, variance = [], []
    for seed in range(RUNS):
        *_, last = rounds(game, seed=seed, moves=ROUNDS, every=ROUNDS)
        means = last.means
        assert means is not None
        drift.append((predicted.weights @ means[:, :k] - expected) ** 2 - predicted.drift[-1])
        variance.append(family.variance(means)[:, :k].mean(axis=0))
    return {"drift": np.array(drift), "variance": np.array(variance)}


@pytest.mark.parametrize("family", ["bernoulli", "gaussian-diagonal", "categorical", "gaussian", "poisson"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_drift_and_loss_of_variance_are_the_predicted_ones(graph: str, family: str) -> None:
    game = game_of(graph, family)
    predicted = predict_collapse(game, ROUNDS)
    start = np.stack([game.specs[p].anchor() for p in game.players])[:, : predicted.drift.shape[1]]
    found = measured(game, predicted, predicted.weights @ start)
    for name, target in (("drift", 0.0), ("variance", predicted.variance[-1].mean())):
        each = found[name].mean(axis=1)  # statistics of one run need not be independent, runs are
        standard = each.std(ddof=1) / np.sqrt(RUNS)
        pooled = found[name].std(ddof=1) / np.sqrt(found[name].size)
        assert abs(each.mean() - target) <= STANDARD_ERRORS * max(standard, pooled) + 1e-12


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_a_small_self_weight_keeps_the_variance(graph: str, alpha: float) -> None:
    game = game_of(graph, "bernoulli", alpha)
    predicted = predict_collapse(game, 3000)
    end = predicted.variance[-1].mean()
    assert end == pytest.approx(predicted.variance[-500].mean(), rel=1e-3)
    assert end > 0.3 * predicted.variance[0].mean()
    oracle = Oracle.of(game)
    reference = oracle.family.variance(oracle.equilibrium).mean()
    floor = predict(game).noise_floor_rms
    assert floor is not None
    # E V = V(μ*) − Var μ exactly, and Var μ is the floor with V(μ*) in place of E V: an upper bound
    assert end == pytest.approx(reference - predicted.error[-1].mean(), rel=1e-6)
    assert predicted.error[-1].mean() <= floor**2 * (1 + 1e-9)
    unanchored = predict_collapse(game_of(graph, "bernoulli"), 3000)
    assert unanchored.variance[-1].mean() < 1e-3 * end


def test_a_small_self_weight_is_met_in_play() -> None:
    game = game_of("complete", "bernoulli", 0.05)
    predicted = predict_collapse(game, ROUNDS)
    oracle = Oracle.of(game)
    mean = oracle.start
    for _ in range(ROUNDS):
        mean = oracle.best_response(mean)
    found = measured(game, predicted, predicted.weights @ mean)
    assert abs(found["drift"].mean()) <= STANDARD_ERRORS * found["drift"].std(ddof=1) / np.sqrt(found["drift"].size)
    standard = found["variance"].std(ddof=1) / np.sqrt(found["variance"].size)
    assert abs(found["variance"].mean() - predicted.variance[-1].mean()) <= STANDARD_ERRORS * standard


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_the_floor_is_met_exactly_where_the_variance_is_known(step: float) -> None:
    game = game_of("small world", "gaussian", 0.2, step=step)
    floor = predict(game).noise_floor_rms
    assert floor is not None
    assert predict_collapse(game, 500).error[-1].mean() == pytest.approx(floor**2, rel=1e-9)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("samples", [5, 100])
def test_the_variance_shrinks_by_the_factor_in_the_long_run(graph: str, samples: int) -> None:
    game = game_of(graph, "bernoulli", samples=samples, size=3)
    predicted = predict_collapse(game, 2000)
    total = predicted.variance.mean(axis=1)
    assert predicted.factor is not None
    assert predicted.well_mixed is not None
    begin, end = (200, 1200) if samples == 100 else (50, 110)  # later it is too small for rounding
    slope = np.log(total[end] / total[begin]) / (end - begin)
    assert slope == pytest.approx(np.log(predicted.factor), rel=1e-3)
    # agreement between players is never complete: the error of the well-mixed limit is of second order in 1/n or mixing
    assert 1 - predicted.factor == pytest.approx(1 - predicted.well_mixed, rel=0.3 if samples == 5 else 0.15)
    assert predicted.half_life == pytest.approx(np.log(0.5) / np.log(predicted.factor))


def test_what_models_lose_is_found_in_their_drift() -> None:
    """With c = 1, π-weighted: E V + Var μ + (E μ)² does not change."""
    game = game_of("star", "bernoulli", size=4)
    predicted = predict_collapse(game, 400)
    start = np.stack([game.specs[p].anchor() for p in game.players])
    w, pi = listening_matrix(game.graph), predicted.weights
    for t in (0, 1, 50, 400):
        mean = np.linalg.matrix_power(w, t) @ start
        total = pi @ (predicted.variance[t] + predicted.error[t] + (mean**2).mean(axis=1))
        assert total == pytest.approx(pi @ start.mean(axis=1), rel=1e-9)


def test_the_star_collapses_sooner_than_the_complete_graph() -> None:
    factors = {graph: predict_collapse(game_of(graph, "bernoulli", size=2), 0).factor for graph in ("star", "complete")}
    assert factors["star"] is not None
    assert factors["complete"] is not None
    assert factors["star"] < factors["complete"]


def test_consensus_weights_are_the_left_perron_vector() -> None:
    for graph in GRAPHS:
        w = listening_matrix(game_of(graph, "bernoulli", size=1).graph)
        pi = consensus_weights(w)
        assert pi.sum() == pytest.approx(1.0)
        assert pi @ w == pytest.approx(pi, abs=1e-12)
    chain = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert consensus_weights(chain) == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)


def test_periods() -> None:
    found = {graph: period(listening_matrix(game_of(graph, "bernoulli", size=1).graph)) for graph in GRAPHS}
    assert found == {"odd ring": 1, "even ring": 2, "complete": 1, "star": 2, "small world": 1}
    assert period(np.roll(np.eye(5), 1, axis=0)) == 5
    assert period(np.zeros((2, 2))) == 1


def test_one_model_that_learns_from_itself_alone() -> None:
    """Shumailov et al., 2024: each generation keeps 1 − 1/n of the variance."""
    assert collapse_factor(np.ones((1, 1)), np.array([20.0])) == pytest.approx(1 - 1 / 20)


def test_a_game_without_anchors_is_only_played_if_asked_for() -> None:
    game = game_of("complete", "bernoulli")
    with pytest.raises(UnanchoredError):
        Game(game.graph, game.specs)
    with pytest.raises(NoClosedFormError, match="there is no unique equilibrium: no real data reaches players 0, 1"):
        Oracle.of(game)
    figures = predict(game)
    assert figures.spectral_radius == pytest.approx(1.0)
    assert (figures.noise_floor_rms, figures.rate, figures.mode) == (None, None, None)


def test_an_anchored_game_is_the_same_with_either_word() -> None:
    game = game_of("complete", "bernoulli", 0.3)
    assert Oracle.of(game).equilibrium == pytest.approx(Oracle.of(Game(game.graph, game.specs)).equilibrium)


def test_games_whose_moments_do_not_close_are_refused() -> None:
    with pytest.raises(NoClosedFormError, match="second moments of the exponential family do not close; those of bern"):
        predict_collapse(game_of("complete", "exponential", size=2), 1)
    game = game_of("complete", "bernoulli", size=2)
    spec = game.specs[0]
    family = spec.family
    assert family is not None
    for changed, words in (
        ({"gossip": Gossip(fresh=True)}, "a decreasing step or a gossip policy"),
        ({"step": StepSize(horizon=3.0)}, "a decreasing step or a gossip policy"),
    ):
        specs = {**game.specs, 0: PlayerSpec(**{"family": family, "data": spec.data, "smoothing": 1.0, **changed})}
        with pytest.raises(NoClosedFormError, match=words):
            predict_collapse(Game(game.graph, specs, anchored=False), 1)
