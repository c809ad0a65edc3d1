"""Equilibrium, regret and duality against iteration, optimisation and the influence matrix."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from nashgossip.games import (
    Bernoulli,
    BoundaryError,
    ExponentialFamily,
    Game,
    Gaussian,
    NoClosedFormError,
    Oracle,
    PlayerSpec,
    Poisson,
    dual_residual,
    equilibrium,
    nash_conv,
    nash_gap,
    regrets,
    synthetic_family,
)
from nashgossip.topology import attach_alpha, blend, influence, listening_matrix, self_weights

Array = NDArray[np.float64]

ROUNDING = 1e-9
PROPERTY = settings(derandomize=True, deadline=None, max_examples=25)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = ("bernoulli", "categorical", "gaussian-diagonal", "poisson", "class-conditional-bernoulli")
every_family = pytest.mark.parametrize("name", NAMES)


def random_graph(rng: np.random.Generator, n: int) -> "nx.DiGraph[Any]":
    """A ring with random chords, random α, and a third of the players without data of their own."""
    G = nx.DiGraph(nx.cycle_graph(n, create_using=nx.DiGraph))
    G.add_edges_from((j, i) for j in range(n) for i in range(n) if i != j and rng.random() < 0.3)
    for i in G:
        G.add_edge(i, i)
        sources = list(G.predecessors(i))
        for j, alpha in zip(sources, rng.dirichlet(np.ones(len(sources))), strict=True):
            G.edges[j, i]["alpha"] = alpha
        if i % 3 == 2:
            rest = 1.0 - G.edges[i, i]["alpha"]
            for j in sources:
                G.edges[j, i]["alpha"] = 0.0 if j == i else G.edges[j, i]["alpha"] / rest
    return G


def random_game(family: ExponentialFamily, seed: int, n: int = 6, **spec: Any) -> Game:
    rng = np.random.default_rng(seed)
    G = random_graph(rng, n)
    specs = {}
    for i in G:
        mu = family.smooth(family.mean_statistics(family.sample(family.reference, 20, rng)), 20, 2.0)
        specs[i] = PlayerSpec(family, data=family.sample(mu, 15, rng), smoothing=1.0, **spec)
    return Game(G, specs)


def random_state(game: Game, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    family = game.specs[game.players[0]].family
    assert family is not None
    rows = [family.mean_statistics(family.sample(family.reference, 30, rng)) for _ in game.players]
    return family.smooth(np.array(rows), 30, 3.0)


# --- equilibrium -----------------------------------------------------------------------------------------


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_the_equilibrium_is_where_best_responses_settle(name: str, seed: int) -> None:
    game = random_game(synthetic_family(name, 2), seed)
    A = {(i, j): game.graph.edges[j, i]["alpha"] for j, i in game.graph.edges}
    anchors = {i: game.specs[i].anchor() for i in game.players}
    mu = random_state(game, seed)
    change = 1.0
    while change > ROUNDING / 1e4:
        response = np.array(
            [
                A[i, i] * anchors[i] + sum(A[i, j] * mu[j] for j in game.graph.predecessors(i) if j != i)
                for i in game.players
            ]
        )
        change, mu = float(np.abs(response - mu).max()), response
    np.testing.assert_allclose(equilibrium(game), mu, atol=ROUNDING)
    np.testing.assert_allclose(Oracle.of(game).best_response(mu), mu, atol=ROUNDING)


@every_family
def test_the_equilibrium_blends_the_private_data_by_influence(name: str) -> None:
    game = random_game(synthetic_family(name, 2), 1)
    anchors = np.array([game.specs[i].anchor() for i in game.players])
    np.testing.assert_allclose(equilibrium(game), influence(game.graph) @ anchors, atol=ROUNDING)


def test_large_games_are_solved_sparsely_and_alike() -> None:
    n = 2001
    family = Gaussian()
    G = attach_alpha(nx.cycle_graph(n), 0.3)
    values = np.random.default_rng(2).normal(size=n)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": values[[i]]})) for i in G})
    oracle = Oracle.of(game)
    assert not isinstance(oracle.listening, np.ndarray)
    np.testing.assert_allclose(oracle.equilibrium[:, 0], blend(G, values), atol=ROUNDING)
    np.testing.assert_allclose(oracle.best_response(oracle.equilibrium), oracle.equilibrium, atol=ROUNDING)


def test_a_player_that_listens_to_itself_alone_fits_its_own_data() -> None:
    family = Poisson((2,))
    rows = family.space.batch({"x": [[1, 4], [3, 2]]})
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_edge(0, 0, alpha=1.0)
    assert equilibrium(Game(G, {0: PlayerSpec(family, data=rows)})).tolist() == [[2.0, 3.0]]


@given(seed=SEEDS, order=st.permutations(range(6)))
@PROPERTY
def test_relabelling_the_players_permutes_the_results(seed: int, order: list[int]) -> None:
    game = random_game(Bernoulli((2,)), seed)
    shuffled: nx.DiGraph[Any] = nx.DiGraph()
    shuffled.add_nodes_from(f"p{i}" for i in order)
    shuffled.add_edges_from((f"p{j}", f"p{i}", {"alpha": alpha}) for j, i, alpha in game.graph.edges.data("alpha"))
    other = Game(shuffled, {f"p{i}": game.specs[i] for i in order})
    state = random_state(game, seed)
    np.testing.assert_allclose(equilibrium(other), equilibrium(game)[order], atol=ROUNDING)
    np.testing.assert_allclose(regrets(other, state[order]), regrets(game, state)[order], atol=ROUNDING)
    assert nash_gap(other, state[order]) == pytest.approx(nash_gap(game, state))
    assert nash_conv(other, state[order]) == pytest.approx(nash_conv(game, state))
    assert dual_residual(other, state[order]) == pytest.approx(dual_residual(game, state))


def test_an_edge_of_weight_0_changes_nothing() -> None:
    game = random_game(Bernoulli((2,)), 3)
    G = game.graph.copy()
    missing = next((j, i) for j in G for i in G if not G.has_edge(j, i))
    G.add_edge(*missing, alpha=0.0)
    more = Game(G, game.specs)
    state = random_state(game, 3)
    assert np.array_equal(equilibrium(more), equilibrium(game))
    assert np.array_equal(regrets(more, state), regrets(game, state))


# --- regret ----------------------------------------------------------------------------------------------


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_regrets_are_not_negative_and_sum_up(name: str, seed: int) -> None:
    game = random_game(synthetic_family(name, 2), seed)
    state = random_state(game, seed + 1)
    each = regrets(game, state)
    assert each.shape == (6,)
    assert (each >= 0).all()
    assert nash_gap(game, state) == each.max() > 0
    assert nash_conv(game, state) == pytest.approx(each.sum())


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_regrets_and_duality_gap_vanish_at_equilibrium_only(name: str, seed: int) -> None:
    game = random_game(synthetic_family(name, 2), seed)
    mu = equilibrium(game)
    assert nash_gap(game, mu) <= ROUNDING
    assert nash_conv(game, mu) <= ROUNDING
    assert dual_residual(game, mu) <= ROUNDING
    moved = mu + 0.01 * (random_state(game, seed) - mu)
    assert nash_gap(game, moved) > 0
    assert dual_residual(game, moved) > ROUNDING


def utility(game: Game, player: int, theta: Array, state: Array) -> float:
    """L_i(θ; θ_−i) of a Bernoulli player, by summing over the four rows that there are."""
    cube = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    data = game.specs[player].data
    assert data is not None
    real = np.array([(data["x"] == x).all(axis=1).mean() for x in cube])
    log_p = cube @ theta - np.logaddexp(0.0, theta).sum()
    value = game.graph.edges[player, player]["alpha"] * real @ log_p
    for j in set(game.graph.predecessors(player)) - {player}:
        q = np.prod(np.where(cube == 1, state[j], 1 - state[j]), axis=1)
        value += game.graph.edges[j, player]["alpha"] * q @ log_p
    return float(value)


@pytest.mark.parametrize("player", range(4))
def test_regret_is_what_the_best_deviation_gains(player: int) -> None:
    family = Bernoulli((2,))
    rng = np.random.default_rng(4)
    G = random_graph(rng, 4)
    data = [family.space.batch({"x": rng.permuted(np.arange(16).reshape(8, 2) % 3 == 0, axis=0)}) for _ in G]
    game = Game(G, {i: PlayerSpec(family, data=data[i]) for i in G})
    state = random_state(game, 5)
    theta = np.log(state[player] / (1 - state[player]))
    best = minimize(lambda t: -utility(game, player, t, state), np.zeros(2), options={"gtol": ROUNDING})
    gain = -best.fun - utility(game, player, theta, state)
    assert gain > 0
    assert regrets(game, state)[player] == pytest.approx(gain, abs=ROUNDING)
    response = Oracle.of(game).best_response(state)[player]
    # the gradient of the utility is m − μ, and finite differences know it up to √ε
    np.testing.assert_allclose(1 / (1 + np.exp(-best.x)), response, atol=10 * np.sqrt(np.finfo(float).eps))


@every_family
def test_utility_is_the_expected_log_likelihood_of_what_a_player_answers(name: str) -> None:
    family = synthetic_family(name, 3)
    game = random_game(family, 7)
    state, oracle, rng = random_state(game, 8), Oracle.of(game), np.random.default_rng(9)
    alpha = np.diag(oracle.self_weights) + oracle.listening
    for i, found in enumerate(oracle.utilities(state)):
        expected = variance = 0.0
        for j, weight in enumerate(alpha[i]):
            mu = oracle.anchors[i] if j == i else state[j]
            rows = family.sample(mu, 4000, rng)
            values = family.log_density(rows, state[i]) - family.log_base(rows)
            expected += weight * values.mean()
            variance += weight**2 * values.var() / len(values)
        assert abs(found - expected) < 4 * np.sqrt(variance) + ROUNDING


@every_family
@given(seed=SEEDS)
@PROPERTY
def test_the_best_response_has_the_utility_that_regret_says_is_missing(name: str, seed: int) -> None:
    game = random_game(synthetic_family(name, 3), seed)
    oracle, state = Oracle.of(game), random_state(game, seed)
    best = oracle.best_response(state)
    theta, family = oracle.family.natural(best), oracle.family
    utmost = (theta * best).sum(axis=-1) - family.log_partition(theta)
    now = oracle.utilities(state)
    np.testing.assert_allclose(utmost - now, oracle.regrets(state), rtol=1e-6, atol=1e-8)
    direct = family.natural(state)
    np.testing.assert_allclose(now, (direct * best).sum(axis=-1) - family.log_partition(direct), rtol=1e-6, atol=1e-8)


def test_utility_has_its_limit_on_the_boundary() -> None:
    G = attach_alpha(nx.cycle_graph(2), self_weight=0.5)
    family = Bernoulli((1,))
    data = {i: family.space.batch({"x": np.array([[i], [i], [i], [not i]], bool)}) for i in G}
    game = Game(G, {i: PlayerSpec(family=family, data=data[i], start="reference") for i in G})
    oracle = Oracle.of(game)
    heard = oracle.utilities(np.array([[0.5], [1.0]]))  # player 1 answers 0.625 and holds a 0 for impossible
    assert heard[0] == pytest.approx(-np.log(2))
    assert heard[1] == -np.inf


def test_errors_are_the_root_mean_square_over_statistics() -> None:
    oracle = Oracle.of(random_game(Poisson((2,)), 6))
    shift = np.outer(np.arange(6), [3.0, 4.0])
    expected = np.arange(6) * np.sqrt((9 + 16) / 2)
    np.testing.assert_allclose(oracle.errors(oracle.equilibrium + shift), expected, atol=ROUNDING)


# --- what the oracle is made of --------------------------------------------------------------------------


def test_the_oracle_holds_the_game_in_arrays() -> None:
    game = random_game(Bernoulli((2,)), 7)
    oracle = Oracle.of(game)
    assert np.array_equal(oracle.listening, listening_matrix(game.graph))
    assert np.array_equal(oracle.self_weights, self_weights(game.graph))
    assert np.array_equal(oracle.anchors, [game.specs[i].anchor() for i in game.players])
    assert np.array_equal(oracle.start, oracle.anchors)


def test_players_without_rows_or_told_so_start_at_the_reference() -> None:
    family = Poisson((2,))
    rows = family.space.batch({"x": [[2, 3]]})
    G = attach_alpha(nx.path_graph(3), {0: 0.5, 1: 0.0, 2: 0.5})
    specs = {
        0: PlayerSpec(family, data=rows),
        1: PlayerSpec(family),
        2: PlayerSpec(family, data=rows, start="reference"),
    }
    assert Oracle.of(Game(G, specs)).start.tolist() == [[2.0, 3.0], [1.0, 1.0], [1.0, 1.0]]


# --- refusals --------------------------------------------------------------------------------------------


class BlackBox:
    """A model of which only the space is known."""

    space = Bernoulli((2,)).space


@pytest.mark.parametrize("family", [None, Bernoulli((2,))], ids=["no family", "own model of a family"])
def test_black_boxes_have_no_closed_form(family: ExponentialFamily | None) -> None:
    game = random_game(Bernoulli((2,)), 8)
    data = game.specs[0].data
    mixed = Game(game.graph, {**game.specs, 0: PlayerSpec(family, model=BlackBox, data=data, smoothing=1.0)})
    for ask in (equilibrium, lambda g: nash_gap(g, np.zeros((6, 2))), lambda g: dual_residual(g, np.zeros(1))):
        with pytest.raises(
            NoClosedFormError, match="a player is not an exponential family: the equilibrium has no closed form"
        ):
            ask(mixed)


def test_different_families_have_no_closed_form() -> None:
    simple, full = synthetic_family("gaussian", 2), synthetic_family("gaussian-diagonal", 2)
    rows = simple.space.batch({"x": [[0.0, 1.0], [1.0, 0.0]]})
    game = Game(attach_alpha(nx.path_graph(2)), {0: PlayerSpec(simple, data=rows), 1: PlayerSpec(full, data=rows)})
    with pytest.raises(NoClosedFormError, match="players have different families: the equilibrium has no closed form"):
        equilibrium(game)


def test_gaussians_of_different_variance_are_different_families() -> None:
    narrow, wide = Gaussian(variance=1.0), Gaussian(variance=9.0)
    rows = narrow.space.batch({"x": [0.0, 1.0]})
    game = Game(attach_alpha(nx.path_graph(2)), {0: PlayerSpec(narrow, data=rows), 1: PlayerSpec(wide, data=rows)})
    with pytest.raises(NoClosedFormError, match="players have different families"):
        regrets(game, np.zeros((2, 1)))


@pytest.mark.parametrize("ask", [regrets, nash_gap, nash_conv, dual_residual])
def test_a_state_of_another_shape_is_refused(ask: Any) -> None:
    game = random_game(Bernoulli((2,)), 9)
    message = r"state has shape \(2, 6\), expected mean parameters \(6, 2\) \(players, statistics\)"
    with pytest.raises(ValueError, match=message):
        ask(game, np.full((2, 6), 0.5))


def test_a_state_on_the_boundary_has_no_dual() -> None:
    game = random_game(Bernoulli((2,)), 10)
    state = np.full((6, 2), 0.5)
    state[3, 1] = 1.0
    with pytest.raises(BoundaryError, match="mean parameters of the bernoulli family lie on the boundary"):
        dual_residual(game, state)
    assert nash_gap(game, state) == np.inf


@pytest.mark.parametrize("name", ["exponential", "gaussian-diagonal", "gaussian-full"])
def test_regret_is_infinite_for_a_model_without_spread(name: str) -> None:
    family = synthetic_family(name, 2)
    specs = random_game(family, 11).specs
    game = Game(attach_alpha(nx.complete_graph(6)), specs)
    state = random_state(game, 12)
    state[1] = 0.0
    each = regrets(game, state)
    assert each[1] == np.inf
    assert np.isfinite(np.delete(each, 1)).all()
