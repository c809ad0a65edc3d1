"""Predicted speeds and noise floors against matrix powers and small simulations of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm

from nashgossip.games import (
    Bernoulli,
    ExponentialFamily,
    Game,
    Gaussian,
    Oracle,
    PlayerSpec,
    Poisson,
    Prediction,
    Schedule,
    StepSize,
    predict,
)
from nashgossip.topology import attach_alpha, spectral_radius

Array = NDArray[np.float64]
Draw = Callable[[Array, Array, np.random.Generator], Array]

SIGMAS = 4.0
ROUNDING = 1e-9
PROPERTY = settings(derandomize=True, deadline=None, max_examples=25)
VARIANCE = np.array([1.0, 4.0])


@dataclass(frozen=True)
class Law:
    """A family, the private means of its players, and the law of a message, written anew."""

    family: ExponentialFamily
    values: tuple[Any, ...]
    draw: Draw
    variance: Callable[[Array], Array]


LAWS = {
    "gaussian": Law(
        Gaussian((2,), variance=VARIANCE),
        ([[0.0, 9.0]], [[3.0, -4.0]], [[-2.0, 1.0]], [[7.0, 0.0]], [[1.0, 1.0]]),
        lambda mu, n, rng: mu + np.sqrt(VARIANCE / n[:, None]) * rng.standard_normal(mu.shape),
        lambda mu: np.broadcast_to(VARIANCE, mu.shape),
    ),
    "poisson": Law(
        Poisson((2,)),
        ([[3, 1]], [[8, 2]], [[1, 5]], [[2, 2]], [[4, 9]]),
        lambda mu, n, rng: rng.poisson(n[:, None] * mu) / n[:, None],
        lambda mu: mu,
    ),
    "bernoulli": Law(
        Bernoulli((2,)),
        tuple([[0, 1]] * a + [[1, 0]] * b + [[1, 1], [0, 0]] for a, b in ((1, 4), (2, 2), (5, 1), (0, 3), (3, 3))),
        lambda mu, n, rng: rng.binomial(n[:, None].astype(int), mu) / n[:, None],
        lambda mu: mu * (1 - mu),
    ),
}


def directed() -> "nx.DiGraph[Any]":
    """Uneven α, one player without data of its own, one edge without its reverse."""
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_nodes_from(range(4))
    edges = [(0, 0, 0.5), (1, 0, 0.3), (3, 0, 0.2), (0, 1, 0.6), (2, 1, 0.4)]
    edges += [(2, 2, 0.2), (1, 2, 0.8), (2, 3, 0.5), (3, 3, 0.1), (0, 3, 0.4)]
    G.add_weighted_edges_from(edges, weight="alpha")
    return G


GRAPHS: Mapping[str, "nx.DiGraph[Any]"] = {
    "ring": attach_alpha(nx.cycle_graph(5), 0.3),
    "star": attach_alpha(nx.star_graph(4), {0: 0.1, 1: 0.5, 2: 0.3, 3: 0.7, 4: 0.2}),
    "directed": directed(),
    "cycle": attach_alpha(nx.cycle_graph(5, create_using=nx.DiGraph), {0: 0.1, 1: 0.5, 2: 0.0, 3: 0.3, 4: 0.2}),
}


def game_on(graph: str, law: str = "gaussian", **spec: Any) -> Game:
    """A game; `samples` and `step` may be one for all or one for each player."""
    G, family = GRAPHS[graph], LAWS[law].family
    specs = {}
    for i in G:
        own = {name: value[i] if isinstance(value, tuple) else value for name, value in spec.items()}
        specs[i] = PlayerSpec(family, data=family.space.batch({"x": LAWS[law].values[i]}), **own)
    return Game(G, specs)


def matrices(game: Game) -> tuple[Array, Array, Array]:
    """W, η and n, read off the game edge by edge."""
    W = np.zeros((len(game.players),) * 2)
    for j, i, alpha in game.graph.edges(data="alpha"):
        if i != j:
            W[game.players.index(i), game.players.index(j)] = alpha
    specs = [game.specs[p] for p in game.players]
    return W, np.array([s.step.size for s in specs]), np.array([float(s.samples) for s in specs])


def settled(game: Game) -> Array:
    W, _, _ = matrices(game)
    anchors = np.array([game.specs[p].anchor() for p in game.players])
    return np.linalg.inv(np.eye(len(W)) - W) @ ((1 - W.sum(axis=1))[:, None] * anchors)


# --- noise floors ----------------------------------------------------------------------------------------


def simulate_synchronous(
    game: Game, law: Law, measure: Callable[[Array], Array], *, replicates: int, rounds: int, rng: np.random.Generator
) -> Array:
    """Time average of `measure(μ − μ*)` over `rounds` rounds, one row a replicate: `[replicates, …]`."""
    W, eta, n = matrices(game)
    star = settled(game)
    own = star - W @ star  # α_ii μ̂_i
    mu = np.tile(star, (replicates, 1, 1))
    total: Any = 0.0
    burn = 80
    for t in range(burn + rounds):
        messages = law.draw(mu, n, rng)
        mu = (1 - eta)[:, None] * mu + eta[:, None] * (own + W @ messages)
        if t >= burn:
            total = total + measure(mu - star)
    return np.asarray(total / rounds)


def simulate_poisson(
    game: Game, law: Law, measure: Callable[[Array], Array], *, replicates: int, rounds: int, rng: np.random.Generator
) -> Array:
    """The same with clocks: somebody at random moves, publishes once, and all hear the last of everybody.

    Times between moves do not depend on who moves, so that an average over moves is one over time.
    """
    W, _, n = matrices(game)
    star = settled(game)
    own = star - W @ star
    players, each = len(W), np.arange(replicates)
    mu = np.tile(star, (replicates, 1, 1))
    published = law.draw(mu, n, rng)
    total: Any = 0.0
    burn = 80 * players
    for t in range(burn + rounds * players):
        i = rng.integers(0, players, replicates)
        moved = own[i] + np.einsum("rj,rjd->rd", W[i], published)
        mu[each, i] = moved
        published[each, i] = law.draw(moved, n[i], rng)
        if t >= burn and t % players == 0:
            total = total + measure(mu - star)
    return np.asarray(total / rounds)


def square(error: Array) -> Array:
    return (error**2).mean(axis=-1)


def assert_agrees(replicates: Array, predicted: Array, slack: float = 0.0) -> None:
    """The mean over replicates is in [(1 − slack) predicted, predicted], give or take its standard errors."""
    mean, error = replicates.mean(axis=0), replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates))
    assert (error < 0.02 * predicted).all(), "too few replicates to tell anything"
    assert (mean <= predicted + SIGMAS * error).all()
    assert (mean >= (1 - slack) * predicted - SIGMAS * error).all()


SIZES = (50, 400, 100, 200, 1000)
HALF = StepSize(0.5)
UNEVEN = tuple(StepSize(size) for size in (1.0, 0.5, 0.25, 0.8, 0.6))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("step", [StepSize(), HALF, UNEVEN], ids=["full", "half", "uneven"])
@pytest.mark.parametrize("samples", [100, SIZES], ids=["equal", "uneven"])
def test_the_synchronous_floor_is_that_of_a_simulation(graph: str, step: Any, samples: Any) -> None:
    game = game_on(graph, samples=samples, step=step)
    prediction = predict(game, "synchronous")
    assert prediction.floors is not None
    errors = simulate_synchronous(
        game, LAWS["gaussian"], square, replicates=400, rounds=300, rng=np.random.default_rng(1)
    )
    assert_agrees(errors, prediction.floors**2)
    assert prediction.noise_floor_rms == pytest.approx(np.sqrt((prediction.floors**2).mean()))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("samples", [100, SIZES], ids=["equal", "uneven"])
def test_the_floor_of_poisson_clocks_is_that_of_a_simulation(graph: str, samples: Any) -> None:
    game = game_on(graph, samples=samples)
    prediction = predict(game, "poisson")
    assert prediction.floors is not None
    errors = simulate_poisson(game, LAWS["gaussian"], square, replicates=2000, rounds=60, rng=np.random.default_rng(2))
    assert_agrees(errors, prediction.floors**2)
    assert prediction.noise_floor_rms == pytest.approx(np.sqrt((prediction.floors**2).mean()))


@pytest.mark.parametrize("law", ["poisson", "bernoulli"])
@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_the_floor_takes_the_noise_of_the_family(law: str, schedule: Any) -> None:
    game = game_on("star", law, samples=SIZES)
    prediction = predict(game, schedule)
    assert prediction.floors is not None
    simulate, size = (
        (simulate_synchronous, {"replicates": 400, "rounds": 300})
        if schedule == "synchronous"
        else (simulate_poisson, {"replicates": 2000, "rounds": 60})
    )
    errors = simulate(game, LAWS[law], square, rng=np.random.default_rng(3), **size)
    # E μ(1 − μ) = μ*(1 − μ*) − Var μ: the prediction takes V at μ*, at most this share too large
    curved = law == "bernoulli"
    slack = float((prediction.floors**2 / LAWS[law].variance(settled(game)).mean(axis=1)).max()) if curved else 0.0
    assert_agrees(errors, prediction.floors**2, slack)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_the_noise_of_a_mode_is_that_of_a_simulation(graph: str, schedule: Any) -> None:
    game = game_on(graph, samples=100, start="reference")
    mode = predict(game, schedule).mode
    assert mode is not None

    def projected(error: Array) -> Array:
        return (np.abs(mode.vector.conj() @ error) ** 2).sum(axis=-1)

    simulate, size = (
        (simulate_synchronous, {"replicates": 400, "rounds": 300})
        if schedule == "synchronous"
        else (simulate_poisson, {"replicates": 2000, "rounds": 60})
    )
    errors = simulate(game, LAWS["gaussian"], projected, rng=np.random.default_rng(4), **size)
    assert_agrees(errors, np.array(mode.noise**2))


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
@given(samples=st.integers(1, 10**6), factor=st.integers(2, 100))
@PROPERTY
def test_the_floor_falls_with_the_root_of_the_samples(schedule: Any, samples: int, factor: int) -> None:
    few = predict(game_on("star", samples=samples), schedule)
    many = predict(game_on("star", samples=samples * factor), schedule)
    assert few.floors is not None
    np.testing.assert_allclose(many.floors, few.floors / np.sqrt(factor), rtol=1e-6)


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
@given(order=st.permutations(range(5)))
@PROPERTY
def test_relabelling_the_players_permutes_the_floors(schedule: Any, order: list[int]) -> None:
    game = game_on("star", samples=SIZES, start="reference")
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_nodes_from(f"p{i}" for i in order)
    G.add_edges_from((f"p{j}", f"p{i}", {"alpha": alpha}) for j, i, alpha in game.graph.edges.data("alpha"))
    here = predict(game, schedule)
    there = predict(Game(G, {f"p{i}": game.specs[i] for i in order}), schedule)
    assert here.floors is not None
    np.testing.assert_allclose(there.floors, here.floors[order], rtol=1e-6)
    assert there.rate == pytest.approx(here.rate)
    assert there.asymptotic_rate == pytest.approx(here.asymptotic_rate)
    assert there.spectral_radius == pytest.approx(here.spectral_radius)


def test_a_decreasing_step_drives_the_floor_to_0() -> None:
    prediction = predict(game_on("star", step=StepSize(horizon=10.0)))
    assert prediction.floors is not None
    assert prediction.floors.tolist() == [0.0] * 5
    assert prediction.noise_floor_rms == 0.0
    assert (prediction.rate, prediction.asymptotic_rate, prediction.mode) == (None, None, None)


def test_decreasing_and_constant_steps_together_have_no_known_floor() -> None:
    prediction = predict(game_on("star", step=(StepSize(horizon=10.0), *[StepSize()] * 4)))
    assert (prediction.floors, prediction.noise_floor_rms, prediction.rate) == (None, None, None)


def test_damped_poisson_clocks_are_slower_and_quieter() -> None:
    prediction = predict(game_on("star", step=HALF, start="reference"), "poisson")
    full = predict(game_on("star"), "poisson")
    assert prediction.floors is not None
    assert full.floors is not None
    assert (prediction.floors < full.floors).all()
    rho = spectral_radius(GRAPHS["star"])
    assert prediction.rate == pytest.approx(-0.5 * (1 - rho))


# --- rates -----------------------------------------------------------------------------------------------


def start_error(game: Game) -> Array:
    return np.array([s.anchor() if s.start == "data" else s.family.reference for s in game.specs.values()]) - settled(  # type: ignore[union-attr]
        game
    )


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("start", ["data", "reference"])
@pytest.mark.parametrize("step", [StepSize(), HALF, UNEVEN], ids=["full", "half", "uneven"])
def test_the_error_decays_at_the_rate_of_its_mode_in_rounds(graph: str, start: str, step: Any) -> None:
    game = game_on(graph, samples=10**6, start=start, step=step)
    prediction = predict(game)
    assert prediction.mode is not None
    assert prediction.rate == prediction.mode.rate
    W, eta, _ = matrices(game)
    error = start_error(game)
    first = prediction.mode.amplitude(error)
    for t in range(1, 12):
        error = (1 - eta)[:, None] * error + eta[:, None] * (W @ error)
        assert prediction.mode.amplitude(error) == pytest.approx(first * np.exp(prediction.rate * t), rel=1e-6)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("start", ["data", "reference"])
def test_the_mean_error_decays_at_the_rate_of_its_mode_in_time(graph: str, start: str) -> None:
    game = game_on(graph, samples=10**6, start=start)
    prediction = predict(game, "poisson")
    assert prediction.mode is not None
    assert prediction.rate == prediction.mode.rate
    W, _, _ = matrices(game)
    error = start_error(game)
    for t in (0.5, 2.0, 7.0):
        mean = expm(-(np.eye(len(W)) - W) * t) @ error
        expected = prediction.mode.amplitude(error) * np.exp(prediction.rate * t)
        # a complex λ turns the mean without changing its length
        assert prediction.mode.amplitude(mean) == pytest.approx(expected, rel=1e-6)


def test_the_mean_error_of_simulated_clocks_decays_as_predicted() -> None:
    game = game_on("directed", samples=10**6, start="reference")
    prediction = predict(game, "poisson")
    assert prediction.mode is not None
    assert prediction.rate is not None
    W, _, _ = matrices(game)
    first, horizon, replicates = start_error(game), 4.0, 4000
    rng = np.random.default_rng(5)
    projected = []
    for _ in range(replicates):
        error = first.copy()
        for i in rng.integers(0, len(W), rng.poisson(len(W) * horizon)):
            error[i] = W[i] @ error
        projected.append(prediction.mode.vector.conj() @ error)
    found = np.array(projected)
    expected = prediction.mode.vector.conj() @ first * np.exp(prediction.rate * horizon)
    assert (np.abs(found.mean(axis=0) - expected) < SIGMAS * found.std(axis=0) / np.sqrt(replicates)).all()


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_slowest_possible_rate_is_that_of_the_spectral_radius(graph: str) -> None:
    W, _, _ = matrices(game_on(graph))
    rho = np.abs(np.linalg.eigvals(W)).max()
    rounds, time = predict(game_on(graph)), predict(game_on(graph), "poisson")
    assert rounds.spectral_radius == time.spectral_radius == pytest.approx(rho)
    assert rounds.asymptotic_rate == pytest.approx(np.log(rho))
    assert time.asymptotic_rate == pytest.approx(rho - 1)
    assert predict(game_on(graph, step=HALF)).asymptotic_rate == pytest.approx(np.log((1 + rho) / 2))


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_players_that_start_from_their_data_miss_the_slowest_mode_of_a_uniform_graph(schedule: Any) -> None:
    data = predict(game_on("ring", samples=10**6), schedule)
    reference = predict(game_on("ring", samples=10**6, start="reference"), schedule)
    # on a ring the next modes have (1 − a) cos(2πk/5)
    lambdas = 0.7 * np.cos(2 * np.pi * np.arange(5) / 5)
    slopes = np.log(np.abs(lambdas)) if schedule == "synchronous" else lambdas - 1
    assert data.rate == pytest.approx(np.sort(slopes[1:])[-1])
    for rate in (reference.rate, reference.asymptotic_rate, data.asymptotic_rate):
        assert rate == pytest.approx(slopes[0])
    assert data.rate != pytest.approx(data.asymptotic_rate)


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_players_of_an_uneven_graph_meet_the_slowest_mode_from_anywhere(schedule: Any) -> None:
    for start in ("data", "reference"):
        prediction = predict(game_on("star", samples=10**6, start=start), schedule)
        assert prediction.rate == pytest.approx(prediction.asymptotic_rate)


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_a_start_below_the_noise_is_left_with_the_slowest_rate(schedule: Any) -> None:
    family = Gaussian((2,))
    rows = family.space.batch({"x": [[1.0, 2.0]]})
    game = Game(GRAPHS["ring"], {i: PlayerSpec(family, data=rows, samples=10) for i in GRAPHS["ring"]})
    prediction = predict(game, schedule)
    assert prediction.mode is None
    assert (
        prediction.rate
        == prediction.asymptotic_rate
        == pytest.approx(np.log(0.7) if schedule == "synchronous" else -0.3)
    )
    assert predict(game_on("ring", samples=1), schedule).mode is None
    assert predict(game_on("ring", samples=10**6), schedule).mode is not None


@pytest.mark.parametrize(("schedule", "rate"), [("synchronous", None), ("poisson", -1.0)])
def test_a_graph_without_cycles_settles_in_rounds_but_not_in_time(schedule: Any, rate: float | None) -> None:
    family = Gaussian()
    G = attach_alpha(nx.path_graph(4, create_using=nx.DiGraph), 0.2)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [float(i)]})) for i in G})
    prediction = predict(game, schedule)
    assert prediction.spectral_radius == 0.0
    assert prediction.asymptotic_rate == rate


# --- where theory says nothing ---------------------------------------------------------------------------


class BlackBox:
    """A model of which only the space is known."""

    space = LAWS["gaussian"].family.space


def nothing_but_radius(prediction: Prediction, radius: float) -> bool:
    fields = (prediction.rate, prediction.asymptotic_rate, prediction.floors)
    fields += (prediction.noise_floor_rms, prediction.mode)
    return fields == (None,) * 5 and prediction.spectral_radius == pytest.approx(radius)


@pytest.mark.parametrize("schedule", ["synchronous", "poisson"])
def test_games_without_closed_form_have_only_a_spectral_radius(schedule: Any) -> None:
    game = game_on("ring")
    mixed = Game(game.graph, {**game.specs, 0: PlayerSpec(model=BlackBox, data=game.specs[0].data)})
    prediction = predict(mixed, schedule)
    assert nothing_but_radius(prediction, 0.7)
    assert prediction.schedule == Schedule("rounds" if schedule == "synchronous" else "poisson")


def test_games_too_large_to_solve_have_a_rate_but_no_floor() -> None:
    family = Gaussian()
    G = attach_alpha(nx.cycle_graph(1001), 0.4)
    rows = family.space.batch({"x": [0.0]})
    prediction = predict(Game(G, {i: PlayerSpec(family, data=rows) for i in G}))
    assert prediction.rate == prediction.asymptotic_rate == pytest.approx(np.log(0.6))
    assert (prediction.floors, prediction.noise_floor_rms, prediction.mode) == (None, None, None)


def test_an_oracle_at_hand_is_used() -> None:
    game = game_on("star", start="reference")
    mine, theirs = predict(game, oracle=Oracle.of(game)), predict(game)
    assert np.array_equal(mine.floors, theirs.floors)  # type: ignore[arg-type]
    assert (mine.rate, mine.noise_floor_rms) == (theirs.rate, theirs.noise_floor_rms)


def test_clocks_of_players_that_are_hardly_anchored_have_a_floor_or_none() -> None:
    family = Gaussian()
    G = attach_alpha(nx.cycle_graph(3), {0: 1e-9, 1: 0.0, 2: 0.0})
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [float(i)]})) for i in G})
    floors = predict(game, "poisson").floors
    assert floors is None or np.isfinite(floors).all()


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="fortnightly"):
        predict(game_on("ring"), "fortnightly")
