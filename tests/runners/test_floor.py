"""Whole runs of `rounds` against the oracle: noise floor, regret, decreasing steps and speed."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import (
    FAMILIES,
    Game,
    Gaussian,
    Oracle,
    PlayerSpec,
    StepSize,
    predict,
    synthetic_data,
    synthetic_family,
)
from nashgossip.runners import Outcome, play
from nashgossip.topology import attach_alpha, generate_graph, listening_matrix

PLAYERS = 10
BATCHES = 10
STANDARD_ERRORS = 4
TOPOLOGIES = ("ring", "complete", "star", "directed cycle", "small world", "scale-free", "two anchored")
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "ring": ("ring", {"n": PLAYERS}),
    "complete": ("complete", {"n": PLAYERS}),
    "star": ("star", {"n": PLAYERS}),
    "directed cycle": ("directed_cycle", {"n": PLAYERS}),
    "small world": ("small_world", {"n": PLAYERS, "k": 4, "p": 0.2}),
    "scale-free": ("scale_free", {"n": PLAYERS, "m": 2}),
    "two anchored": ("complete", {"n": PLAYERS}),
}
BASE = [family for family in FAMILIES if not family.startswith("class-conditional-")]
FIRST = [*BASE, "class-conditional-bernoulli", "class-conditional-gaussian-diagonal"]
QUICK = {(family, TOPOLOGIES[(k + step) % len(TOPOLOGIES)]) for k, family in enumerate(FIRST) for step in (0, 1, 3)}
"""Of the first families three topologies each, so that every two topologies meet in one of them; the rest is slow."""
MATRIX = [
    pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow, id="-".join(pair))
    for pair in itertools.product(FAMILIES, TOPOLOGIES)
]


def weighted(topology: str) -> "nx.DiGraph[Any]":
    generator, arguments = GENERATORS[topology]
    graph = generate_graph(generator, seed=1, **arguments)
    if topology == "two anchored":
        return attach_alpha(graph, {player: 0.9 if player in (0, 5) else 0.0 for player in graph})
    return attach_alpha(graph, 0.3)


def game_of(
    family_name: str, topology: str, *, samples: int, step: StepSize | None = None, start: Any = "data"
) -> Game:
    graph = weighted(topology)
    family = synthetic_family(family_name, 3, classes=2)
    data = synthetic_data(family, len(graph), 100, np.random.default_rng(5), spread=3.0)
    specs = {
        player: PlayerSpec(
            family=family, data=rows, smoothing=1.0, samples=samples, step=step or StepSize(), start=start
        )
        for player, rows in zip(graph, data, strict=True)
    }
    return Game(graph, specs)


def moves_for(topology: str) -> int:
    """Rounds for which the window, the last quarter, holds enough independent moments: the slower ρ(W), the more."""
    return {"two anchored": 700, "complete": 500, "star": 500}.get(topology, 400)


def window(outcome: Outcome, figure: str, share: float = 0.25) -> NDArray[np.float64]:
    """`[records, N]`: errors or regrets of all players over the last quarter of a run, or another share of it."""
    start = (1 - share) * outcome.trace[-1].time
    return np.stack([getattr(record, figure) for record in outcome.trace if record.time >= start])


def standard_error(series: NDArray[np.float64]) -> float:
    """Standard error of the mean of a correlated series `[n]`, by the means of ten batches."""
    means = [batch.mean() for batch in np.array_split(series, BATCHES)]
    return float(np.std(means, ddof=1) / np.sqrt(BATCHES))


def predicted_regret(game: Game) -> NDArray[np.float64]:
    """½ tr(V_i⁻¹ Cov(μ_i − m_i)) at the equilibrium, to which the regret expands: `[N]`, in nats.

    In play ε_j of covariance V_j/n enters each message of j, so that μ − m = Σ_s (I − W) W^(s+1) ε_(t−s).
    """
    oracle = Oracle.of(game)
    w = listening_matrix(game.graph)
    shares, power = np.zeros_like(w), w.copy()
    while np.abs(power).max() > 1e-9:
        shares += ((np.eye(len(w)) - w) @ power) ** 2
        power = power @ w
    covariances = oracle.family.covariance(oracle.equilibrium)
    samples = np.array([game.specs[player].samples for player in game.players])
    differences = np.einsum("ij,jab->iab", shares / samples, covariances)
    return np.array([np.trace(np.linalg.pinv(v) @ c) / 2 for v, c in zip(covariances, differences, strict=True)])


@pytest.mark.parametrize(("family", "topology"), MATRIX)
def test_error_and_regret_settle_where_theory_says(family: str, topology: str) -> None:
    game = game_of(family, topology, samples=200)
    outcome = play(game, seed=3, moves=moves_for(topology))
    floor = predict(game).noise_floor_rms
    rms = outcome.equilibrium_error["rms"]
    assert floor is not None
    assert rms is not None
    mean_squares = (window(outcome, "errors") ** 2).mean(axis=1)
    relative = standard_error(mean_squares) / mean_squares.mean() / 2  # a root halves a small relative error
    assert relative < 0.1, "the window is too short to judge by"
    assert 0.7 <= rms / floor <= 1.3
    assert rms == pytest.approx(np.sqrt(mean_squares.mean()), rel=1e-9)

    first, gap, mean = outcome.trace[0].nash_gap, outcome.nash_gap["max"], outcome.nash_gap["mean"]
    assert first is not None
    assert gap is not None
    assert mean is not None
    assert gap < first / 5
    assert 0.7 <= mean / predicted_regret(game).mean() <= 1.3


@pytest.mark.parametrize(
    ("family", "topology"),
    [("gaussian", "star"), pytest.param("gaussian", "two anchored", marks=pytest.mark.slow), ("poisson", "ring")],
)
def test_figures_are_exact_where_the_noise_does_not_depend_on_the_state(family: str, topology: str) -> None:
    """V is constant for the Gaussian and linear for Poisson, so that E V(μ) = V(μ*), and the floor is no expansion.

    The regret of the Gaussian is quadratic, so that its expectation is exact as well.
    """
    game = game_of(family, topology, samples=20)
    runs = [play(game, seed=seed, moves=160) for seed in range(10)]
    floor = predict(game).noise_floor_rms
    assert floor is not None
    figures = {"errors": [(window(run, "errors", 0.5) ** 2).mean() / floor**2 for run in runs]}
    if family == "gaussian":
        figures["regrets"] = [window(run, "regrets", 0.5).mean() / predicted_regret(game).mean() for run in runs]
    for ratios in figures.values():
        standard = np.std(ratios, ddof=1) / np.sqrt(len(ratios))
        assert abs(np.mean(ratios) - 1) < STANDARD_ERRORS * standard
        assert standard < 0.1


@pytest.mark.parametrize(
    ("family", "topology"),
    [
        ("gaussian", "ring"),
        ("bernoulli", "star"),
        ("categorical", "directed cycle"),
        ("gaussian-full", "ring"),
        pytest.param("class-conditional-gaussian", "small world", marks=pytest.mark.slow),
        pytest.param("poisson", "two anchored", marks=pytest.mark.slow),
    ],
)
def test_a_decreasing_step_goes_below_a_tenth_of_the_floor(family: str, topology: str) -> None:
    game = game_of(family, topology, samples=20, step=StepSize(horizon=6.0))
    floor = predict(game_of(family, topology, samples=20)).noise_floor_rms
    outcome = play(game, seed=1, moves=2000, every=5)
    rms = outcome.equilibrium_error["rms"]
    assert floor is not None
    assert rms is not None
    assert rms < floor / 10
    assert outcome.prediction.noise_floor_rms == 0.0


def test_a_decreasing_step_follows_its_exact_law() -> None:
    """e ← A_t e + η_t W ε with A_t = (1 − η_t)I + η_t W gives the Gaussian's mean and covariance at any time."""
    step, moves = StepSize(horizon=6.0), 100
    game = game_of("gaussian", "ring", samples=20, step=step)
    oracle, w = Oracle.of(game), listening_matrix(game.graph)
    mean, covariance = oracle.start - oracle.equilibrium, np.zeros_like(w)
    for t in range(moves):
        eta = step.at(t)
        a = (1 - eta) * np.eye(len(w)) + eta * w
        mean, covariance = a @ mean, a @ covariance @ a.T + eta**2 * (w @ w.T) / 20
    expected = (mean**2).mean() + np.diag(covariance).mean()
    found = []
    for seed in range(16):
        last = play(game, seed=seed, moves=moves, every=moves).trace[-1]
        assert last.error_rms is not None
        found.append(last.error_rms**2)
    standard = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected) < STANDARD_ERRORS * standard
    assert standard < 0.2 * expected


@pytest.mark.parametrize("size", [1.0, 0.5])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_measured_speed_is_the_predicted_one(topology: str, size: float) -> None:
    """From a start far away in a common direction, with little noise; the slope is log ρ((1 − η)I + ηW)."""
    graph, family = weighted(topology), Gaussian((3,))
    rng = np.random.default_rng(7)
    specs = {
        player: PlayerSpec(
            family=family,
            data=family.sample(rng.normal(10.0, 1.0, 3), 50, rng),
            samples=5000,
            step=StepSize(size),
            start="reference",
        )
        for player in graph
    }
    outcome = play(Game(graph, specs), seed=2, moves=60)
    w = listening_matrix(graph)
    slope = float(np.log(np.abs(np.linalg.eigvals((1 - size) * np.eye(len(w)) + size * w)).max()))
    assert outcome.prediction.rate == pytest.approx(slope, rel=1e-6)
    assert outcome.rate == pytest.approx(slope, rel=0.05)
