"""Scikit-learn estimators as players: they keep to the protocol, resume exactly and reach the predicted equilibrium."""

from collections.abc import Hashable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from nashgossip import topology
from nashgossip.agents import EstimatorModel, Source, check_model, seats
from nashgossip.games import Game, PlayerSpec, Space, SpaceError, Variable

PLANE = Space((Variable("x", "real", (2,)),))
MIXED = Space((Variable("x", "real", (2, 2)), Variable("y", "real")))
BANDWIDTH = 0.5


def mixture(components: int = 1) -> GaussianMixture:
    return GaussianMixture(
        components, init_params="random_from_data"
    )  # the usual start by k-means takes ten times as long


def density() -> KernelDensity:
    return KernelDensity(bandwidth=BANDWIDTH)


def normal(space: Space, n: int, seed: int, mean: float = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    return space.batch({v.name: rng.normal(mean, 1.0, (n, *v.shape)) for v in space})


# --- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [PLANE, MIXED], ids=["one variable", "two variables"])
@pytest.mark.parametrize("make", [mixture, lambda: mixture(2), density], ids=["mixture", "two components", "density"])
def test_estimators_keep_to_the_protocol(make: Any, space: Space) -> None:
    checks = check_model(lambda: EstimatorModel(make(), space, rows=200), rows=200)
    assert {"learns", "weights", "resumes", "global-randomness", "abilities"} <= set(checks)


@pytest.mark.parametrize("make", [mixture, density])
def test_the_estimator_given_is_a_pattern_and_stays_unfitted(make: Any) -> None:
    pattern = make()
    before = dict(vars(pattern))
    model = EstimatorModel(pattern, PLANE, rows=50)
    model.learn([Source(normal(PLANE, 30, 0), 1.0)], np.random.default_rng(0))
    model.generate(5, np.random.default_rng(0))
    assert vars(pattern) == before


def test_variables_that_are_not_real_are_refused() -> None:
    space = Space((Variable("x", "real"), Variable("k", "count"), Variable("c", "categorical", categories=2)))
    expected = r"a scikit-learn density is over real variables, the space has k \(count\), c \(categorical\)"
    with pytest.raises(SpaceError, match=expected):
        EstimatorModel(mixture(), space)


def test_nothing_is_generated_before_anything_was_learned() -> None:
    with pytest.raises(ValueError, match="this estimator has not learned yet; a player without data starts when it"):
        EstimatorModel(mixture(), PLANE).generate(3, np.random.default_rng(0))


# --- what is learned and generated ---------------------------------------------------------------------------


def test_each_source_gives_its_share_of_the_rows() -> None:
    model = EstimatorModel(mixture(), PLANE, rows=10)
    near, far = normal(PLANE, 6, 0), normal(PLANE, 6, 1, mean=100.0)
    model.learn([Source(near, 0.7), Source(far, 0.3)], np.random.default_rng(2))
    training = model.state()["training"]
    assert training.shape == (10, 2)
    assert [(training > 50).all(axis=1).sum(), (training < 50).all(axis=1).sum()] == [3, 7]
    heard = np.concatenate([near["x"], far["x"]])
    assert all((heard == row).all(axis=1).any() for row in training)


def test_values_come_back_in_the_place_of_their_variable() -> None:
    """The density of a single row repeated is that row, blurred by the bandwidth."""
    one = MIXED.batch({"x": [[[1.0, 2.0], [3.0, 4.0]]], "y": [5.0]})
    model = EstimatorModel(KernelDensity(bandwidth=1e-9), MIXED, rows=3)
    model.learn([Source(one, 1.0)], np.random.default_rng(0))
    made = model.generate(4, np.random.default_rng(1))
    np.testing.assert_allclose(made["x"], np.repeat(one["x"], 4, axis=0), atol=1e-6)
    np.testing.assert_allclose(made["y"], [5.0] * 4, atol=1e-6)


def test_the_density_is_the_estimator_s() -> None:
    batch = normal(PLANE, 40, 0)
    model = EstimatorModel(mixture(), PLANE, rows=60)
    model.learn([Source(batch, 1.0)], np.random.default_rng(0))
    training = model.state()["training"]
    covariance = np.cov(training.T, bias=True) + 1e-6 * np.eye(2)  # scikit-learn's own ridge, `reg_covar`
    gap = batch["x"] - training.mean(axis=0)
    square = np.einsum("na,ab,nb->n", gap, np.linalg.inv(covariance), gap)
    expected = -0.5 * (square + np.linalg.slogdet(covariance).logabsdet) - np.log(2 * np.pi)
    np.testing.assert_allclose(model.log_density(batch), expected, rtol=1e-9)


# --- state ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: mixture(3), density], ids=["mixture", "density"])
def test_a_state_restores_the_fit_exactly(make: Any) -> None:
    first, second = (EstimatorModel(make(), PLANE, rows=80) for _ in range(2))
    streams = [np.random.default_rng(4), np.random.default_rng(4)]
    first.learn([Source(normal(PLANE, 30, 0), 0.5), Source(normal(PLANE, 30, 1, mean=3.0), 0.5)], streams[0])
    streams[1].bit_generator.state = streams[0].bit_generator.state
    second.load(first.state())
    for batch in (normal(PLANE, 20, 2), normal(PLANE, 20, 3, mean=-1.0)):
        made = [model.generate(25, rng) for model, rng in zip((first, second), streams, strict=True)]
        assert made[0] == made[1]
        assert first.log_density(batch).tobytes() == second.log_density(batch).tobytes()
        for model, rng in zip((first, second), streams, strict=True):
            model.learn([Source(batch, 1.0)], rng)
    assert first.state()["training"].tobytes() == second.state()["training"].tobytes()
    assert first.state()["seed"] == second.state()["seed"]


def test_an_untaught_state_makes_a_model_forget() -> None:
    model = EstimatorModel(mixture(), PLANE, rows=20)
    model.learn([Source(normal(PLANE, 10, 0), 1.0)], np.random.default_rng(0))
    model.load(EstimatorModel(mixture(), PLANE).state())
    assert model.state()["training"] is None
    with pytest.raises(ValueError, match="has not learned yet"):
        model.generate(1, np.random.default_rng(0))


# --- in a game -----------------------------------------------------------------------------------------------

SAMPLES, ROWS, ROUNDS, BURN_IN = 200, 200, 100, 30


def three_players(make: Any) -> tuple[Game, np.ndarray]:
    """A directed triangle with one edge back, and its players' data."""
    graph = nx.DiGraph([(0, 1), (1, 2), (2, 0), (1, 0)])
    rng = np.random.default_rng(21)
    data = rng.normal([[[0.0, 0.0]], [[4.0, 0.0]], [[0.0, 4.0]]], 1.0, (3, 300, 2))
    specs: dict[Hashable, PlayerSpec] = {
        i: PlayerSpec(
            model=lambda: EstimatorModel(make(), PLANE, rows=ROWS), data=PLANE.batch({"x": rows}), samples=SAMPLES
        )
        for i, rows in enumerate(data)
    }
    weighted = topology.attach_alpha(graph, self_weight={0: 0.3, 1: 0.4, 2: 0.5})
    weighted_in_order: nx.DiGraph[int] = nx.DiGraph()
    weighted_in_order.add_nodes_from(range(3))
    weighted_in_order.add_edges_from(weighted.edges(data=True))
    return Game(weighted_in_order, specs), data


def standard_errors(game: Game, data: np.ndarray, added: float, length: int) -> np.ndarray:
    """Standard error of each player's mean, averaged over `length` rounds: `[3, 2]`.

    A round adds noise to the mean of player i: of its neighbours' messages, Σ_j w_ij ε_j with Var ε_j = V_j/n, and
    of the rows drawn for its fit, at most V_i/rows. Averaged over T rounds, noise of covariance Σ becomes
    (I − W)⁻¹ Σ (I − W)⁻ᵀ / T. V is the variance of rows at equilibrium, where second moments mix by B like means;
    `added` is what a fit adds to them.
    """
    b = topology.influence(game.graph)
    w = topology.listening_matrix(game.graph)
    inverse = np.linalg.inv(np.eye(3) - w)
    second = b @ (data**2).mean(axis=1) + added * (inverse @ np.ones((3, 1)))
    variance = second - (b @ data.mean(axis=1)) ** 2
    errors = []
    for v in variance.T:
        noise = w @ np.diag(v / SAMPLES) @ w.T + np.diag(v / ROWS)
        errors.append(np.sqrt(np.diag(inverse @ noise @ inverse.T) / length))
    return np.array(errors).T


@pytest.mark.parametrize(
    ("make", "added"), [(mixture, 1e-6), (density, BANDWIDTH**2)], ids=["mixture", "kernel density"]
)
def test_black_boxes_reach_the_predicted_equilibrium(make: Any, added: float) -> None:
    game, data = three_players(make)
    players = {seat.name: seat.build() for seat in seats(game, seed=5)}
    made = {name: p.open() for name, p in players.items()}
    means = []
    for t in range(ROUNDS):
        for move in made.values():
            for listener, message in move.messages.items():
                assert players[listener].receive(message) is None
        made = {name: p.move() for name, p in players.items()}
        if t >= BURN_IN:
            means.append([p.model.state()["training"].mean(axis=0) for p in players.values()])
    predicted = topology.influence(game.graph) @ data.mean(axis=1)
    error = standard_errors(game, data, added, len(means))
    assert (np.abs(np.mean(means, axis=0) - predicted) < 4 * error).all()
    # The tolerance has power: every player's own data are far from its equilibrium.
    assert (np.abs(data.mean(axis=1) - predicted).max(axis=1) > 20 * error.max(axis=1)).all()
    assert all(not p.rejected for p in players.values())
