"""The linearised map against differences and repeated draws, and what is predicted of noise and speed."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from nashgossip.games import (
    Game,
    Gossip,
    Linearised,
    NoClosedFormError,
    Schedule,
    StepSize,
    TableGame,
    TableOracle,
    TableSizeError,
    forecast_tables,
    predict_tables,
    table_equilibrium,
    total_variation_law,
)
from nashgossip.runners import play, random_table_game, rounds


def numbers(tables: Any) -> np.ndarray:
    return np.concatenate(list(tables))


def test_the_linearised_step_is_the_derivative_of_the_map() -> None:
    game = TableGame.of(random_table_game(4, np.random.default_rng(3), step=StepSize(0.7)))
    tables = list(table_equilibrium(game).tables)
    linear, rng, h = Linearised.of(game, tables), np.random.default_rng(0), 1e-6
    for _ in range(5):
        moved = [p + h * d for p, d in zip(tables, map(tangent, tables, [rng] * 4), strict=True)]
        found = 0.3 * (numbers(moved) - numbers(tables)) + 0.7 * (
            numbers(game.response(moved)) - numbers(game.response(tables))
        )
        expected = linear.step @ (numbers(moved) - numbers(tables))
        np.testing.assert_allclose(found / h, expected / h, atol=1e-4)
        np.testing.assert_allclose(linear.tangent @ (numbers(moved) - numbers(tables)), expected, atol=1e-15)


def tangent(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    d = rng.normal(size=len(table)) * table
    return d - d.sum() * table


def test_a_forecast_is_the_law_of_many_runs() -> None:
    """150 runs of 10 rounds: z² of every cell has mean 1; its average over runs and cells has a standard error."""
    game = random_table_game(3, np.random.default_rng(8), samples=2000, step=StepSize(horizon=5.0))
    forecast, runs = forecast_tables(game, 10), 150
    last = [tables_of(game, seed, 10) for seed in range(runs)]
    for i in range(3):
        sigma = np.sqrt(np.diag(forecast.covariances[i]))
        z = (np.stack([tables[i] for tables in last]) - forecast.tables[i]) / sigma
        square = (z**2).mean(axis=1)
        assert abs(square.mean() - 1) < 4 * square.std(ddof=1) / np.sqrt(runs) + 0.02  # noise of second order
        distances = np.array([np.abs(t[i] - forecast.tables[i]).sum() / 2 for t in last])
        mean, error = forecast.total_variation(i, forecast.tables[i])
        assert abs(distances.mean() - mean) < 4 * error / np.sqrt(runs) + 0.02 * mean
        assert distances.std() == pytest.approx(error, rel=4 / np.sqrt(2 * runs) + 0.02)


def tables_of(game: Game, seed: int, moves: int) -> list[np.ndarray]:
    *_, last = rounds(game, seed=seed, moves=moves, every=moves)
    return [np.asarray(view.mean) for view in last.players]


def test_a_forecast_goes_to_the_stationary_law() -> None:
    game = random_table_game(3, np.random.default_rng(4))
    exact = TableGame.of(game)
    forecast = forecast_tables(exact, 400)
    linear = Linearised.of(exact, table_equilibrium(exact).tables)
    stationary = linear.stationary()
    for i in range(3):
        mine = linear.owner == i
        np.testing.assert_allclose(forecast.covariances[i], stationary[np.ix_(mine, mine)], atol=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.02, -1.0])
def test_the_law_of_a_total_variation(shift: float) -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5)) * 0.01
    drawn = shift + rng.standard_normal((40_000, 5)) @ root.T
    found = np.abs(drawn).sum(axis=1) / 2
    mean, error = total_variation_law(np.full(5, shift), root @ root.T)
    assert abs(found.mean() - mean) < 4 * found.std() / 200
    assert found.std() == pytest.approx(error, rel=0.05)
    assert total_variation_law(np.array([0.1, -0.3]), np.zeros((2, 2))) == pytest.approx((0.2, 0.0))


# --- predictions ---------------------------------------------------------------------------------------------


def test_speed_is_that_of_play_without_noise() -> None:
    game = random_table_game(4, np.random.default_rng(6))
    oracle = TableOracle.of(game)
    predicted = predict_tables(game, Schedule(), oracle)
    far = [np.linalg.norm(oracle.deviation(t)) for t in islice(oracle.game.rounds(), 200)]
    late = [a for a in far if 1e-8 < a < 1e-3]
    assert predicted.rate == pytest.approx(np.log(late[-1] / late[-6]) / 5, rel=0.03)
    assert predicted.floors is not None
    assert predicted.noise_floor_rms == pytest.approx(np.sqrt((predicted.floors**2).mean()))


def test_what_is_not_predicted_is_none() -> None:
    game = random_table_game(3, np.random.default_rng(0))
    oracle = TableOracle.of(game)
    clocks = predict_tables(game, Schedule("poisson"), oracle)
    assert clocks.rate is not None
    assert clocks.floors is None
    for schedule in (Schedule(delay=2.0), Schedule(delivery=0.5), Schedule(fresh=True), Schedule(known=False)):
        assert predict_tables(game, schedule, oracle).rate is None
    falling = random_table_game(3, np.random.default_rng(0), step=StepSize(horizon=10.0))
    assert predict_tables(falling, Schedule(), TableOracle.of(falling)).noise_floor_rms is None


def test_a_forecast_is_of_players_who_tell_everybody_at_every_move() -> None:
    game = random_table_game(3, np.random.default_rng(0))
    seldom = Game(game.graph, {p: replace(spec, gossip=Gossip(every=5)) for p, spec in game.specs.items()})
    with pytest.raises(NoClosedFormError, match="has gossip Gossip.*expected one that tells everybody at every move"):
        forecast_tables(seldom, 3)


def test_the_slope_is_measured_where_the_start_lifts_it_above_the_noise() -> None:
    game = random_table_game(4, np.random.default_rng(6), samples=20_000)
    outcome = play(game, seed=0, moves=100)
    assert outcome.prediction.mode is not None
    assert outcome.rate is not None
    rate = next(c for c in outcome.diagnosis.comparisons if c.figure == "rate")
    assert rate.verdict == "agrees"
    few = random_table_game(4, np.random.default_rng(2), samples=10)
    assert predict_tables(few, Schedule(), TableOracle.of(few)).mode is None


def test_large_games_have_no_forecast() -> None:
    game = random_table_game(40, np.random.default_rng(0), variables=5)
    with pytest.raises(TableSizeError, match=r"the tables of the game have \d+ cells together, expected at most 1500"):
        forecast_tables(game, 1)
