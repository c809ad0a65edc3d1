"""Sampled play of joint tables agrees with the exact map within its standard error, on every engine."""

import logging
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from nashgossip.games import (
    Game,
    GameError,
    NoShortcutError,
    StepSize,
    forecast_tables,
    load_dataset,
    load_random_tables,
    predict,
    predicted_mixtures,
    table_equilibrium,
    total_variation_law,
)
from nashgossip.games.dataset_errors import DatasetOptionError
from nashgossip.runners import (
    Duration,
    ExperimentError,
    Link,
    Network,
    Outcome,
    build_game,
    load_experiment,
    play,
    random_table_game,
)
from nashgossip.runners import rounds as by_rounds
from nashgossip.runners import virtual as by_virtual
from nashgossip.runners.foresight import graph_figures, played_schedule
from nashgossip.topology import UnknownNameError, influence

ROUNDS = 200
FALLING = StepSize(horizon=30.0)
SLOWLY = StepSize(horizon=100.0)
"""Falls so late that nothing is left of the start, of which on clocks nothing is predicted."""
CLOCKS = Network(compute=Duration("exponential"))


def game_of(players: int, seed: int = 0, **options: Any) -> Game:
    """A falling step drives the noise down; what is left of the start is predicted as well."""
    return random_table_game(players, np.random.default_rng([seed, players]), **{"step": FALLING, **options})


def last_tables(engine: Any, game: Game, seed: int, moves: int = ROUNDS, **options: Any) -> list[NDArray[np.float64]]:
    *_, last = engine(game, seed=seed, moves=moves, every=moves, **options)
    return [np.asarray(view.mean) for view in last.players]


def distances(tables: Any, reference: Any) -> NDArray[np.float64]:
    return np.array([np.abs(p - q).sum() / 2 for p, q in zip(tables, reference, strict=True)])


@pytest.mark.parametrize(
    "engine", [by_rounds, pytest.param(by_virtual, marks=pytest.mark.slow)], ids=["rounds", "virtual"]
)
@pytest.mark.parametrize("players", [3, 4, 5, 6])
def test_total_variation_to_the_oracle_is_within_3_standard_errors(players: int, engine: Any) -> None:
    game = game_of(players)
    exact = table_equilibrium(game).tables
    forecast = forecast_tables(game, ROUNDS)
    found = distances(last_tables(engine, game, seed=players), exact)
    expected = np.array([forecast.total_variation(k, exact[k]) for k in range(players)])
    assert (np.abs(found - expected[:, 0]) <= 3 * expected[:, 1]).all()
    assert (found < 0.03).all()
    other = table_equilibrium(game_of(players, seed=9)).tables  # not just any tables are that near
    sizes = [p.shape == q.shape for p, q in zip(exact, other, strict=True)]
    far = [k for k in range(players) if sizes[k]]
    assert all(np.abs(exact[k] - other[k]).sum() / 2 > 0.1 for k in far)


def test_on_poisson_clocks_the_mean_of_runs_is_within_its_standard_error() -> None:
    """The law of each player's mean table comes from the runs, whose number decides what 3 standard errors are."""
    game, runs = game_of(3, step=SLOWLY, samples=2000), 12
    exact = table_equilibrium(game).tables
    made = [last_tables(by_virtual, game, seed, 120, network=CLOCKS) for seed in range(runs)]
    for k in range(3):
        stack = np.stack([tables[k] for tables in made])
        mean, error = total_variation_law(np.zeros(stack.shape[1]), np.cov(stack.T) / runs)
        assert np.abs(stack.mean(axis=0) - exact[k]).sum() / 2 <= mean + three(runs) * error


def three(runs: int) -> float:
    """What Student's t of `runs` − 1 degrees exceeds as seldom as a normal number does 3."""
    return float(stdtrit(runs - 1, ndtr(3.0)))


@pytest.mark.slow
def test_on_ray_the_same_players_come_to_the_same_tables_and_asynchronously_as_near() -> None:
    """Synchronously to the last bit; asynchronously as near as a run of Poisson clocks in virtual time, of which the
    law is taken from independent runs."""
    import ray

    game, runs = game_of(3, step=SLOWLY), 8
    exact = table_equilibrium(game).tables
    ray.init(num_cpus=2, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    try:
        options: dict[str, Any] = {"seed": 3, "keep_states": True}
        same = play(game, "ray", moves=60, mode="synchronous", every=60, **options)
        free = play(game, "ray", moves=ROUNDS, rate=40.0, **options)
    finally:
        ray.shutdown()
    here = last_tables(by_rounds, game, seed=3, moves=60)
    assert all((p == q).all() for p, q in zip(tables_of(same), here, strict=True))
    made = [last_tables(by_virtual, game, seed, network=CLOCKS) for seed in range(runs)]
    for k, found in enumerate(tables_of(free)):
        stack = np.stack([tables[k] for tables in made])
        mean, error = total_variation_law(np.zeros(len(found)), np.cov(stack.T) * (1 + 1 / runs))
        assert np.abs(found - exact[k]).sum() / 2 <= mean + three(runs) * error


def tables_of(outcome: Outcome) -> list[NDArray[np.float64]]:
    return [np.asarray(state["model"]["table"]) for state in outcome.states.values()]


def test_a_fleet_has_no_tables() -> None:
    with pytest.raises(NoShortcutError):
        play(game_of(3), "fleet", moves=3)


# --- the experiment ------------------------------------------------------------------------------------------


def test_the_built_in_experiment_measures_what_is_predicted() -> None:
    plan = load_experiment("tables", ["moves=200"])
    game = build_game(plan)
    assert isinstance(game, Game)
    assert [len(spec.parts) for spec in game.specs.values()] == [2, 1, 1, 2, 2]  # three of them observe a
    outcome = play(game, seed=plan.seed, moves=200)
    summary = outcome.summary()
    floor, error = summary["predicted"]["noise_floor_rms"], summary["equilibrium_error"]["rms"]
    assert error == pytest.approx(floor, rel=0.1)
    assert 0 < summary["nash_gap"]["max"] < 0.01
    assert summary["predicted"]["rate"] < 0
    assert summary["total_variation"] == {"max": None, "mean": None}  # no class that all of them have
    assert outcome.outcome == "converged"
    assert all(p.held_out is not None for p in outcome.players)


def test_what_is_predicted_can_be_asked_for_before_anyone_plays() -> None:
    game = build_game(load_experiment("tables"))
    assert isinstance(game, Game)
    played = played_schedule("rounds", game, {})
    figures = graph_figures(game.graph, game, runner="rounds", played=played)["predicted"]
    assert figures["as_played"]["noise_floor_rms"] == predict(game).noise_floor_rms is not None
    assert np.log(0.6) < figures["synchronous"]["rate"] < 0  # completion from one's own conditional is slow
    assert figures["poisson"]["noise_floor_rms"] is None


def test_on_a_schedule_of_which_nothing_is_known_floors_are_null() -> None:
    game = random_table_game(3, np.random.default_rng(0))
    lossy = play(game, "virtual", moves=20, network=Network(link=Link(loss=0.3))).summary()
    assert lossy["predicted"]["noise_floor_rms"] is None
    assert lossy["equilibrium_error"]["rms"] is not None


def test_tables_of_a_data_set_tell_classes_and_have_a_mixture() -> None:
    options = ["data.split={kind: dirichlet, options: {concentration: 0.5}}", "data.test_share=0.2", "data.missing={}"]
    plan = load_experiment("tables", [*options, "model.players={}", "moves=5"])
    game = build_game(plan)
    assert game.space(0).names == ("table", "a", "b", "c", "d", "e")
    from nashgossip.runners.neural_games import build_watch

    looks, examiner = build_watch(plan, game)
    outcome = play(game, moves=60, looks=looks, examiner=examiner)
    assert all(0.2 < (p.accuracy or 0) <= 1 for p in outcome.players)
    n, k = 1000, 5
    for p in outcome.players:
        shares = p.predicted_mixture
        assert shares is not None
        assert p.total_variation is not None
        noise = 2 * (np.diag(shares) - np.outer(shares, shares)) / n  # of the rows measured, and no more of messages
        mean, error = total_variation_law(np.zeros(k), noise)
        assert p.total_variation < mean + 4 * error
    counts = np.stack([np.bincount(s.parts[0]["table"], minlength=k) for s in game.specs.values()])
    smoothed = (counts + 5.0 / k) / (counts.sum(axis=1, keepdims=True) + 5.0)
    np.testing.assert_allclose(predicted_mixtures(game, "table"), influence(game.graph) @ smoothed, atol=1e-9)


def test_random_tables_are_data_by_seed() -> None:
    first, same, other = (load_random_tables(rows=20, seed=seed) for seed in (1, 1, 2))
    assert first.batch == same.batch
    assert first.batch != other.batch
    assert load_dataset("random-tables", rows=20, seed=1).batch == first.batch
    assert [v.kind for v in load_random_tables(sizes={"u": 2, "v": 4}).batch.space] == [
        "categorical",
        "binary",
        "categorical",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tables": 0}, "tables is 0, rows 400, concentration 1.0, expected at least 1, 1, and above 0"),
        ({"concentration": -1.0}, "concentration -1.0"),
        ({"sizes": {"table": 2}}, "expected names other than `table` with whole numbers of at least 2"),
        ({"sizes": {"a": 1}}, "whole numbers of at least 2"),
        ({"sizes": {"a": 1000, "b": 1000}}, "make more than 262144 cells"),
    ],
)
def test_random_tables_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetOptionError, match=message):
        load_random_tables(**options)


def test_what_a_table_cannot_be_over_is_refused_before_the_run() -> None:
    with pytest.raises(ValueError, match="variable 'x' is real, but a joint table has binary and categorical"):
        build_game(
            load_experiment("tables", ["data.source=digits", "data.options={}", "data.missing={}", "model.players={}"])
        )
    with pytest.raises(UnknownNameError, match="key of option 'step' of model 'table', 'sizes'; did you mean 'size'"):
        build_game(load_experiment("tables", ["model.options={step: {sizes: 1}}"]))
    strangers = 'model.players={"0": {options: {variables: [a]}}, "1": {options: {variables: [b]}}}'
    with pytest.raises(GameError, match="nothing travels along edge 0 -> 1: player 0 publishes a, and player 1 has b"):
        build_game(load_experiment("tables", [strangers]))
    with pytest.raises(ExperimentError, match="expected a list of names"):
        build_game(load_experiment("tables", ["model.options={variables: a}", "model.players={}"]))
