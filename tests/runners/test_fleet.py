"""Fleets against the oracle and against `rounds`: laws, slopes, floors, threads, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import (
    FAMILIES,
    FleetGame,
    FleetOracle,
    FleetSchedule,
    Game,
    GameError,
    Gaussian,
    NoShortcutError,
    Oracle,
    PlayerSpec,
    StepSize,
    array_graph,
    predict,
    predict_fleet,
    synthetic_data,
    synthetic_family,
    synthetic_fleet,
)
from nashgossip.games.fleet_blocks import BLOCK, Blocks
from nashgossip.games.fleet_laws import law_of
from nashgossip.runners import play
from nashgossip.runners.experiment import ExperimentError, load_experiment
from nashgossip.runners.fleet import fleet
from nashgossip.runners.fleet_world import fleet_options, prediction_schedule
from nashgossip.runners.staging import build_game
from nashgossip.topology import GeneratorError, UnanchoredError, attach_alpha, generate_graph

STANDARD_ERRORS = 4
SCHEDULES = {
    "rounds": FleetSchedule(),
    "fresh": FleetSchedule(fresh=True),
    "poisson": FleetSchedule("poisson"),
    "delay": FleetSchedule("poisson", delay=0.6),
    "loss": FleetSchedule("poisson", loss=0.3),
    "single neighbour": FleetSchedule("poisson", fan_out=1),
    "all at once": FleetSchedule("poisson", fresh=True, delay=0.3, loss=0.2, fan_out=2),
}

SLOW = ("delay", "loss", "single neighbour")


def game_of(n: int, family: Any, *, samples: int = 50, step: StepSize | None = None, shift: float = 0.0) -> Game:
    graph = attach_alpha(generate_graph("regular", n=n, d=4, seed=1), 0.3)
    rng = np.random.default_rng(5)
    if shift:
        data = [family.sample(rng.normal(shift, 1.0, family.size), 50, rng) for _ in graph]
    else:
        data = synthetic_data(family, n, 100, rng, spread=3.0)
    start: Any = "reference" if shift else "data"
    specs = {
        p: PlayerSpec(family=family, data=d, smoothing=1.0, samples=samples, step=step or StepSize(), start=start)
        for p, d in zip(graph, data, strict=True)
    }
    return Game(graph, specs)


def squared_errors(
    game: Game, schedule: FleetSchedule, *, moves: int, seed: int, skip: int = 20
) -> NDArray[np.float64]:
    """Mean squared error of all players at each moment after `skip` moves: `[records]`."""
    oracle = Oracle.of(game)
    seen = fleet(game, seed=seed, moves=moves, schedule=schedule, precision="float64")
    return np.array([(oracle.errors(o.mean_parameters) ** 2).mean() for o in seen if o.time >= skip])


def mean_and_error(series: NDArray[np.float64], batches: int = 10) -> tuple[float, float]:
    means = [part.mean() for part in np.array_split(series, batches)]
    return float(series.mean()), float(np.std(means, ddof=1) / np.sqrt(batches))


def arrays(n: int, family: str = "gaussian", **options: Any) -> FleetGame:
    rng = np.random.default_rng(3)
    shares = array_graph("array_k_out", rng, n=n, k=4)
    return synthetic_fleet(synthetic_family(family, 3), shares, rng, smoothing=1.0, **options)


@pytest.mark.parametrize(
    "schedule", ["rounds", "fresh", "poisson", *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)]
)
def test_the_floor_is_the_predicted_one(schedule: str) -> None:
    """200 Gaussian players, whose V does not depend on the state, so that the prediction is no expansion."""
    game = game_of(200, Gaussian((3,)))
    floor = predict(game, prediction_schedule(game, SCHEDULES[schedule])).noise_floor_rms
    assert floor is not None
    level, error = mean_and_error(squared_errors(game, SCHEDULES[schedule], moves=400, seed=1))
    assert error / level < 0.0125, "the run is too short to judge by"
    assert abs(level - floor**2) < STANDARD_ERRORS * error
    assert np.sqrt(level) == pytest.approx(floor, rel=0.05)


def test_a_fleet_in_rounds_settles_where_rounds_do() -> None:
    game = game_of(50, synthetic_family("bernoulli", 3))
    ours = squared_errors(game, FleetSchedule(), moves=400, seed=1)
    theirs = np.array([r.error_rms for r in play(game, "rounds", seed=2, moves=400).trace if r.time >= 20]) ** 2
    (one, one_error), (other, other_error) = mean_and_error(ours), mean_and_error(theirs)
    assert abs(one - other) < STANDARD_ERRORS * np.hypot(one_error, other_error)
    assert np.sqrt(one / other) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("step", [StepSize(), pytest.param(StepSize(0.5), marks=pytest.mark.slow)])
def test_a_fleet_in_rounds_is_as_fast_as_rounds(step: StepSize) -> None:
    game = game_of(50, Gaussian((3,)), samples=5000, step=step, shift=10.0)
    ours, theirs = (play(game, runner, seed=1, moves=40) for runner in ("fleet", "rounds"))
    assert ours.prediction.rate == theirs.prediction.rate
    assert ours.rate == pytest.approx(ours.prediction.rate, rel=0.05)
    assert ours.rate == pytest.approx(theirs.rate, rel=0.05)


@pytest.mark.parametrize("schedule", ["poisson", *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)])
def test_on_clocks_the_slope_is_the_predicted_one(schedule: str) -> None:
    """The mean over all players moves along the slowest mode of a regular graph; noise is 10⁻⁶ of the start."""
    game = game_of(1000, Gaussian((3,)), samples=10**9, shift=10.0)
    slope = predict(game, prediction_schedule(game, SCHEDULES[schedule])).asymptotic_rate
    assert slope is not None
    goal = Oracle.of(game).equilibrium.mean(axis=0)
    slopes = []
    for seed in range(6):
        seen = fleet(game, seed=seed, moves=round(10 / -slope), schedule=SCHEDULES[schedule], precision="float64")
        path = [(o.time, np.linalg.norm(o.means.mean(axis=0) - goal)) for o in seen if o.means is not None]
        times, sizes = np.array([step for step in path if step[0] >= 4 / -slope]).T
        slopes.append(np.polyfit(times, np.log(sizes), 1)[0])
    error = np.std(slopes, ddof=1) / np.sqrt(len(slopes))
    assert error < 0.0125 * abs(slope)
    assert np.mean(slopes) == pytest.approx(slope, rel=0.05)
    assert abs(np.mean(slopes) - slope) < STANDARD_ERRORS * error + 0.01 * abs(slope)  # of the second exponential


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("class-conditional-product")])
def test_the_law_of_a_sample_mean_is_that_of_rows(name: str, precision: str) -> None:
    family = synthetic_family(name, 2, classes=2)
    rng = np.random.default_rng(7)
    mu = family.smooth(family.mean_statistics(family.sample(family.reference, 20, rng)), 20, 20.0)
    n, draws = 7, 40_000
    out = np.empty((draws, family.size), precision)
    law_of(family, precision)(np.broadcast_to(mu, out.shape).astype(precision), n, rng, out)
    covariance = family.covariance(mu) / n
    centred = out.astype(np.float64) - mu
    deviation = np.sqrt(np.diag(covariance) / draws)
    assert (np.abs(centred.mean(axis=0)) < 5 * deviation + 1e-6).all()
    products = centred[:, :, None] * centred[:, None, :]
    spread = products.std(axis=0) / np.sqrt(draws)
    assert (np.abs(products.mean(axis=0) - covariance) < 5 * spread + 1e-6).all()


def test_rows_of_different_number_have_each_their_own_law() -> None:
    family = synthetic_family("exponential", 1)
    out = np.empty((80_000, 1))
    n = np.tile([2, 50], 40_000)
    law_of(family, "float64")(np.full((80_000, 1), 3.0), n, np.random.default_rng(1), out)
    for rows in (2, 50):
        assert out[n == rows].var() == pytest.approx(9.0 / rows, rel=0.05)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_threads_change_nothing_and_seeds_do(schedule: str) -> None:
    game = arrays(2 * BLOCK + 100)
    ends = {}
    for key, seed, threads in (("one", 1, 1), ("three", 1, 3), ("other", 2, 3)):
        *_, last = fleet(game, seed=seed, moves=2, schedule=SCHEDULES[schedule], threads=threads)
        ends[key] = last
    assert np.array_equal(ends["one"].mean_parameters, ends["three"].mean_parameters)
    assert ends["one"].messages == ends["three"].messages
    assert not np.array_equal(ends["one"].mean_parameters, ends["other"].mean_parameters)


def test_precision_is_that_of_the_state() -> None:
    for precision in ("float32", "float64"):
        *_, last = fleet(arrays(100), seed=1, moves=2, precision=precision)
        assert last.mean_parameters.dtype == precision


@pytest.mark.parametrize("clock", ["rounds", pytest.param("poisson", marks=pytest.mark.slow)])
def test_a_decreasing_step_goes_below_the_floor(clock: Any) -> None:
    game = game_of(50, Gaussian((3,)), step=StepSize(horizon=6.0))
    floor = predict(game_of(50, Gaussian((3,)))).noise_floor_rms
    late = squared_errors(game, FleetSchedule(clock), moves=1500, seed=1, skip=1300)
    assert np.sqrt(late.mean()) < floor / 8


def test_players_with_data_alone_go_to_it_in_one_move() -> None:
    game = replace(arrays(50), samples=10**12)
    lonely = replace(game, listening=game.listening * 0.0, self_weights=np.ones(50))
    *_, last = fleet(lonely, seed=0, moves=1, precision="float64")
    assert np.allclose(last.mean_parameters, lonely.anchors)


@pytest.mark.parametrize("name", ["array_k_out", "array_regular", "array_small_world"])
def test_equilibrium_and_estimated_floors_are_those_of_the_oracle(name: str) -> None:
    rng = np.random.default_rng(2)
    shares = array_graph(name, rng, n=400, **({"d": 4} if name == "array_regular" else {"k": 4}))
    game = synthetic_fleet(synthetic_family("poisson", 3), shares, rng, smoothing=1.0)
    w, oracle = game.listening.toarray().astype(np.float64), FleetOracle(game)
    exact = np.linalg.solve(np.eye(400) - w, game.self_weights[:, None] * game.anchors)
    assert np.abs(oracle.equilibrium - exact).max() <= 1e-8 * np.abs(game.anchors).max()
    own = Oracle(game.family, w, game.self_weights, game.anchors, game.start)
    assert np.allclose(oracle.regrets(exact + 0.1), own.regrets(exact + 0.1))
    assert np.allclose(oracle.errors(exact + 0.1), 0.1, rtol=1e-6)
    noise = oracle.variances()
    power, broadcast, fresh = np.eye(400), 0.0, 0.0
    drive = (w**2) @ noise
    for _ in range(100):
        fresh += float(((power**2) @ drive).mean())
        power = w @ power
        broadcast += float(((power**2) @ noise).mean())
    for schedule, square in ((FleetSchedule(), broadcast), (FleetSchedule(fresh=True), fresh)):
        _, floor = predict_fleet(game, schedule, oracle=oracle)
        assert floor is not None
        assert abs(floor.rms - np.sqrt(square)) < STANDARD_ERRORS * floor.standard_error + 1e-4 * floor.rms


def test_the_floor_of_clocks_is_the_one_of_the_covariances() -> None:
    game = game_of(200, Gaussian((3,)))
    exact = predict(game, "poisson").noise_floor_rms
    prediction, floor = predict_fleet(FleetGame.of(game), FleetSchedule("poisson"))
    assert floor is not None
    assert exact is not None
    assert floor.standard_error < 0.01 * floor.rms
    assert abs(floor.rms - exact) < STANDARD_ERRORS * floor.standard_error
    assert prediction.noise_floor_rms == floor.rms


def test_a_played_game_of_arrays_ends_with_an_outcome() -> None:
    outcome = play(arrays(20_000, start="common"), "fleet", seed=1, moves=100)
    summary = outcome.summary()
    assert summary["outcome"] == "converged", outcome.diagnosis
    assert summary["players"] == 20_000
    assert summary["moves"] == 2_000_000
    assert summary["messages"] == 20_000 * 4 * 100
    assert summary["equilibrium_error"]["rms"] == pytest.approx(summary["predicted"]["noise_floor_rms"], rel=0.05)
    assert summary["measured"]["rate"] == pytest.approx(summary["predicted"]["rate"], rel=0.05)
    assert [p.player for p in outcome.players[:2]] == [0, 1]
    assert outcome.players[-1].moves == 100


def test_an_observation_holds_arrays_that_look_like_players() -> None:
    *_, last = fleet(arrays(10), seed=1, moves=3)
    assert len(last.players) == 10
    assert [view.moves for view in last.players] == [3] * 10
    assert last.players[2].letters == {"accepted": 12, "duplicate": 0, "outdated": 0, "replaced": 0}
    assert np.allclose(last.players[-1].mean, last.mean_parameters[-1])


def test_loss_and_fan_out_deliver_their_share() -> None:
    game = arrays(20_000)
    counts = {}
    for name in ("poisson", "loss", "single neighbour"):
        *_, last = fleet(game, seed=1, moves=10, schedule=SCHEDULES[name])
        counts[name] = last.messages
        assert last.messages == sum(view.letters["accepted"] for view in last.players)
    assert counts["loss"] / counts["poisson"] == pytest.approx(0.7, abs=0.005)
    assert counts["single neighbour"] / counts["poisson"] == pytest.approx(0.25, abs=0.01)


def test_a_black_box_is_refused_and_the_families_are_named() -> None:
    game = game_of(10, Gaussian((3,)))
    family = synthetic_family("bernoulli", 3)
    rows = family.sample(family.reference, 20, np.random.default_rng(0))
    lone = attach_alpha(generate_graph("complete", n=2), 0.5)
    box = Game(lone, {p: replace(game.specs[0], model=lambda: _Box(Gaussian((3,)).space)) for p in lone})
    with pytest.raises(NoShortcutError, match=r"player 0 is a black box.*bernoulli, .*poisson"):
        FleetGame.of(box)
    mixed = {
        0: PlayerSpec(family=family, data=rows),
        1: PlayerSpec(family=_Other((3,)), data=rows),
    }
    with pytest.raises(NoShortcutError, match="learns another family"):
        FleetGame.of(Game(lone, mixed))


class _Box:
    def __init__(self, space: Any) -> None:
        self.space = space


class _Other(type(synthetic_family("bernoulli", 3))):  # type: ignore[misc]
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.parameters = ("other",)


class _Unknown(type(synthetic_family("bernoulli", 3))):  # type: ignore[misc]
    def sample_mean(self, mu: Any, n: Any, rng: Any) -> Any:
        raise NotImplementedError


def test_a_family_without_law_is_refused() -> None:
    family = _Unknown((3,))
    rows = family.sample(np.full(3, 0.5), 20, np.random.default_rng(0))
    lone = attach_alpha(generate_graph("complete", n=2), 0.5)
    with pytest.raises(NoShortcutError, match="has no exact law of sample means; the fleet plays"):
        FleetGame.of(Game(lone, {p: PlayerSpec(family=family, data=rows, smoothing=1.0) for p in lone}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delay": -1.0, "clock": "poisson"}, "delay is -1.0"),
        ({"loss": 1.5, "clock": "poisson"}, "loss is 1.5"),
        ({"fan_out": 0, "clock": "poisson"}, "fan_out is 0"),
        ({"loss": 0.5}, "belong to asynchronous play"),
        ({"clock": "sundial"}, "clock is 'sundial'"),
    ],
)
def test_a_schedule_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FleetSchedule(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_states": True}, "no player objects"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"every": 0.0}, "every is 0.0"),
        ({"threads": 0}, "threads is 0"),
        ({"schedule": FleetSchedule("poisson", fan_out=1000)}, "no player has more than"),
    ],
)
def test_an_engine_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(fleet(arrays(10), seed=1, moves=1, **options))


def test_a_game_of_arrays_refuses_what_does_not_fit() -> None:
    game = arrays(10)
    with pytest.raises(GameError, match="sums to"):
        replace(game, self_weights=np.full(10, 0.5))
    with pytest.raises(GameError, match="anchors has shape"):
        replace(game, anchors=game.anchors[:5])
    with pytest.raises(GameError, match="samples of a message"):
        replace(game, samples=0)
    with pytest.raises(UnanchoredError, match="no real data reaches player"):
        replace(game, listening=game.listening * (1 / 0.7), self_weights=np.zeros(10))
    with pytest.raises(ValueError, match="runner 'rounds' needs one object"):
        play(game, "rounds")
    with pytest.raises(GeneratorError, match="expected at least 1 and below n"):
        array_graph("array_k_out", np.random.default_rng(0), n=3, k=3)
    with pytest.raises(GeneratorError, match="it takes n, d"):
        array_graph("array_regular", np.random.default_rng(0), n=3, k=3)


def test_an_experiment_of_arrays_is_for_the_fleet_alone() -> None:
    small = "topology.arguments={n: 50, k: 4}"
    plan = load_experiment("fleet", [small])
    assert isinstance(build_game(plan), FleetGame)
    with pytest.raises(ExperimentError, match="makes arrays"):
        build_game(load_experiment("fleet", [small, "play.runner=rounds"]))
    with pytest.raises(ExperimentError, match=r"the fleet cannot play network.bandwidth, gossip.every"):
        fleet_options(load_experiment("fleet", [small, "network.bandwidth=3.0", "gossip.every=2"]))
    with pytest.raises(ExperimentError, match="belong to asynchronous play"):
        fleet_options(load_experiment("fleet", [small, "network.loss=0.5"]))


def test_threads_end_with_the_engine() -> None:
    with Blocks(2) as blocks:
        blocks.run(3 * BLOCK, lambda number, rows: None)
    with pytest.raises(RuntimeError):
        blocks.run(3 * BLOCK, lambda number, rows: None)
