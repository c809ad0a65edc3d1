"""The monitor: its trace is bounded, its window the last quarter, its rate the slope of the mode."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import Game, Oracle, PlayerSpec, synthetic_data, synthetic_family
from nashgossip.runners import Monitor, Observation, PlayerView, play
from nashgossip.topology import attach_alpha, generate_graph


def game(samples: int = 100, start: Any = "data") -> Game:
    graph = attach_alpha(generate_graph("small_world", n=6, k=4, p=0.2, seed=1), 0.3)
    family = synthetic_family("gaussian", 2)
    data = synthetic_data(family, len(graph), 40, np.random.default_rng(2))
    return Game(
        graph,
        {
            player: PlayerSpec(family=family, data=rows, samples=samples, start=start)
            for player, rows in zip(graph, data, strict=True)
        },
    )


def observed(time: float, means: NDArray[np.float64] | None, players: int = 6) -> Observation:
    letters = {"accepted": 0, "duplicate": 0, "outdated": 0, "replaced": 0}
    views = [PlayerView(int(time), None if means is None else means[i], letters, {}, 0.0) for i in range(players)]
    return Observation(time=time, seconds=time / 100, messages=int(7 * time), bytes=int(56 * time), players=views)


def test_a_record_holds_what_the_oracle_says() -> None:
    played = game()
    oracle = Oracle.of(played)
    means = oracle.equilibrium + np.arange(12).reshape(6, 2) / 10
    record = Monitor(played, "synchronous").read(observed(3.0, means))
    assert record.errors == pytest.approx(np.sqrt(((np.arange(12).reshape(6, 2) / 10) ** 2).mean(axis=1)))
    assert record.regrets == pytest.approx(((oracle.best_response(means) - means) ** 2).sum(axis=1) / 2)
    assert record.regrets is not None
    assert record.errors is not None
    assert record.nash_gap == record.regrets.max()
    assert record.error_rms == pytest.approx(np.sqrt((record.errors**2).mean()))
    assert (record.time, record.seconds, record.messages, record.bytes) == (3.0, 0.03, 21, 168)


def test_without_closed_form_there_is_nothing_to_compare_with() -> None:
    monitor = Monitor(game(), "synchronous")
    record = monitor.read(observed(1.0, None))
    assert (record.regrets, record.errors, record.amplitude) == (None, None, None)
    assert (record.nash_gap, record.error_rms) == (None, None)
    assert (monitor.regrets(), monitor.errors(), monitor.nash_gap(), monitor.rate()) == (None, None, None, None)


def test_an_empty_trace_has_no_window() -> None:
    assert Monitor(game(), "synchronous").window == []


@pytest.mark.parametrize("observations", [2048, 2049, 2050, 5000, 9999, 30_000])
def test_the_trace_is_bounded_and_evenly_spaced_from_first_to_last(observations: int) -> None:
    played = game()
    means = Oracle.of(played).equilibrium
    monitor = Monitor(played, "synchronous")
    most = 0
    for t in range(observations):
        monitor.read(observed(float(t), means))
        most = max(most, len(monitor.trace))
    assert most <= 2050
    times = np.array([record.time for record in monitor.trace])
    assert times[0] == 0.0
    assert len(times) >= min(observations, 1000)
    assert len(set(np.diff(times)[:-1])) == 1, "but for the last, all gaps are equal"
    assert observations - 1 - times[-1] < times[1]


def test_the_summary_of_a_long_run_counts_all_of_it() -> None:
    outcome = play(game(samples=2), seed=1, moves=2051)
    edges = sum(i != j for i, j in game().graph.edges)
    summary = outcome.summary()
    assert summary["moves"] == 6 * 2051
    assert summary["messages"] == edges * 2051
    assert summary["bytes"] == edges * 2051 * 2 * 2 * 8


def test_stationary_figures_are_those_of_the_last_quarter() -> None:
    played = game()
    oracle = Oracle.of(played)
    monitor = Monitor(played, "synchronous")
    for t in range(101):
        offset = 5.0 if t < 75 else (0.1 if t % 2 else 0.3)
        monitor.read(observed(float(t), oracle.equilibrium + offset))
    assert [record.time for record in monitor.window] == [float(t) for t in range(75, 101)]
    mean_square = (13 * 0.1**2 + 13 * 0.3**2) / 26
    assert monitor.errors() == pytest.approx(np.full(6, np.sqrt(mean_square)))
    # an offset common to all leaves α_ii of it between μ and the best response, in each of two statistics
    assert monitor.regrets() == pytest.approx(np.full(6, 0.3**2 * mean_square))
    assert monitor.nash_gap() == pytest.approx(0.3**2 * mean_square)


@pytest.mark.parametrize("every", [1, 3])
def test_the_rate_of_a_trace_without_noise_is_the_predicted_one(every: int) -> None:
    played = game(samples=10**9, start="reference")
    oracle = Oracle.of(played)
    monitor = Monitor(played, "synchronous")
    means = oracle.start
    for t in range(61):
        if t % every == 0:
            monitor.read(observed(float(t), means))
        means = oracle.best_response(means)
    assert monitor.rate() == pytest.approx(np.log(0.7), rel=1e-9)
    assert monitor.prediction.rate == pytest.approx(np.log(0.7), rel=1e-9)


def test_the_rate_stops_where_the_noise_begins() -> None:
    played = game(samples=10**6, start="reference")
    oracle = Oracle.of(played)
    monitor = Monitor(played, "synchronous")
    mode = monitor.prediction.mode
    assert mode is not None
    assert mode.noise is not None
    means = oracle.start
    for t in range(200):
        shift = means - oracle.equilibrium
        if mode.amplitude(shift) < 5 * mode.noise:
            means = oracle.equilibrium + 4.9 * mode.noise / mode.amplitude(np.ones_like(means))
        monitor.read(observed(float(t), means))
        means = oracle.best_response(means)
    assert monitor.rate() == pytest.approx(np.log(0.7), rel=1e-9)


def test_too_short_a_transient_has_no_rate() -> None:
    played = game(samples=10**9, start="reference")
    monitor = Monitor(played, "synchronous")
    means = Oracle.of(played).start
    monitor.read(observed(0.0, means))
    monitor.read(observed(1.0, means))
    assert monitor.rate() is None
