"""A run says whether its rate and floor agree with the prediction: no false alarms, and a wrong prediction is found."""

from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nashgossip.games import (
    Game,
    Gossip,
    PlayerSpec,
    StepSize,
    array_graph,
    predict,
    synthetic_data,
    synthetic_family,
    synthetic_fleet,
)
from nashgossip.runners import Outcome, play, rounds
from nashgossip.runners.fleet_outcome import diagnose_fleet
from nashgossip.runners.monitor import Monitor
from nashgossip.runners.network import Churn, Duration, Link, Network
from nashgossip.runners.outcome import conclude
from nashgossip.runners.slopes import measured_slope
from nashgossip.runners.tables import run_panel
from nashgossip.topology import attach_alpha, generate_graph

POISSON = Network(compute=Duration("exponential"))
STANDARD_ERRORS = 4


def game_of(
    graph: str = "ring",
    family_name: str = "gaussian",
    *,
    statistics: int = 2,
    samples: int = 500,
    step: float = 1.0,
    gossip: Gossip | None = None,
    shift: float = 0.0,
) -> Game:
    """Players that start from knowing nothing, their data `shift` away from that and 8 times as far apart as noise."""
    weighted = attach_alpha(generate_graph(graph, n=8, seed=1), 0.3)
    family = synthetic_family(family_name, statistics)
    data = synthetic_data(family, len(weighted), 100, np.random.default_rng(1), spread=64.0)
    if shift:
        data = [family.space.batch({"x": rows["x"] + shift}) for rows in data]
    specs = {
        p: PlayerSpec(
            family,
            data=rows,
            samples=samples,
            start="reference",
            smoothing=1.0,
            step=StepSize(step),
            gossip=gossip or Gossip(),
        )
        for p, rows in zip(weighted, data, strict=True)
    }
    return Game(weighted, specs)


def held_against(theory: Game, played: Game, *, seed: int = 0, moves: int = 300) -> Outcome:
    """The outcome of one game with the predictions of another."""
    monitor = Monitor(theory, "synchronous")
    seen = list(rounds(played, seed=seed, moves=moves))
    for observed in seen:
        monitor.read(observed)
    return conclude("rounds", seed, theory, monitor, seen[0], seen[-1])


def verdicts(outcome: Outcome) -> dict[str, str]:
    return {c.figure: c.verdict for c in outcome.diagnosis.comparisons}


def shown(outcome: Outcome) -> str:
    console = Console(width=2000)
    with console.capture() as capture:
        console.print(run_panel(outcome))
    return capture.get()


def test_the_standard_error_of_a_slope_is_that_of_many_runs() -> None:
    """One statistic, for which it is no bound but exact to first order; never below 1 sigma by more than chance."""
    game, runs = game_of(statistics=1, samples=100, shift=30.0), 80
    prediction = predict(game)
    mode = prediction.mode
    assert mode is not None
    scores = []
    for seed in range(runs):
        monitor = Monitor(game, "synchronous")
        for observed in rounds(game, seed=seed, moves=25):
            monitor.read(observed)
        trace = monitor.trace
        slope = measured_slope([r.time for r in trace], [r.amplitude for r in trace], mode, prediction.schedule)
        assert slope is not None
        assert slope.error is not None
        scores.append((slope.value - mode.rate) / slope.error)
    rms = float(np.sqrt(np.mean(np.square(scores))))
    assert 0.6 < rms < 1 + STANDARD_ERRORS / np.sqrt(2 * runs)


@pytest.mark.parametrize("graph", ["ring", "complete", "star"])
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "poisson", "gaussian-diagonal"])
def test_runs_as_predicted_agree(graph: str, family: str) -> None:
    for seed in range(2):
        outcome = play(game_of(graph, family, samples=100), seed=seed, moves=200)
        assert "disagrees" not in verdicts(outcome).values(), outcome.diagnosis.reasons
        assert verdicts(outcome)["floor"] == "agrees"
        assert "disagree" not in shown(outcome)


@pytest.mark.parametrize("step", [1.0, 0.5])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_game_with_a_policy_and_a_step_agrees_with_its_own_prediction(step: float, fresh: bool) -> None:
    outcome = play(
        game_of("complete", step=step, gossip=Gossip(fresh=fresh), shift=30.0, samples=100), seed=1, moves=300
    )
    assert verdicts(outcome) == {"rate": "agrees", "floor": "agrees"}


def test_a_run_that_is_slower_and_quieter_than_predicted_disagrees_in_both() -> None:
    outcome = held_against(game_of(shift=30.0), game_of(step=0.5, shift=30.0))
    assert verdicts(outcome) == {"rate": "disagrees", "floor": "disagrees"}
    rate, floor = outcome.diagnosis.comparisons
    assert rate.measured > 0.8 * rate.predicted > rate.predicted
    assert floor.measured < 0.8 * floor.predicted
    for comparison in (rate, floor):
        assert comparison.error is not None
        assert comparison.error < 0.1 * abs(comparison.predicted)
        words = f"{comparison.figure}: measured {comparison.measured:.4g} ± {comparison.error:.2g}, predicted"
        assert comparison.sentence.startswith(words)
        assert comparison.sentence in outcome.diagnosis.reasons
        assert f"prediction and measurement disagree; {words}" in shown(outcome)


def test_a_floor_of_fresh_batches_is_not_that_of_broadcasts() -> None:
    told, asked = (game_of("complete", gossip=Gossip(fresh=fresh), shift=30.0, samples=100) for fresh in (False, True))
    outcome = held_against(told, asked, moves=600)
    assert verdicts(outcome) == {"rate": "agrees", "floor": "disagrees"}


@pytest.mark.parametrize(
    "network",
    [POISSON, Network(compute=Duration("exponential"), link=Link(loss=0.3)), Network(link=Link(loss=0.3))],
    ids=["clocks", "clocks and loss", "loss"],
)
def test_where_chance_decides_the_rate_of_one_run_is_not_judged_but_its_floor_is(network: Network) -> None:
    for seed in range(2):
        outcome = play(game_of(shift=300.0), "virtual", seed=seed, moves=300, network=network)
        assert verdicts(outcome) == {"rate": "not compared", "floor": "agrees"}
        rate = outcome.diagnosis.comparisons[0]
        assert rate.error is None
        assert "no standard error is known for a single run" in rate.sentence
        assert rate.sentence in shown(outcome)
        assert "disagree" not in shown(outcome)


def test_nothing_is_compared_without_a_prediction_or_before_the_floor() -> None:
    churned = Network(compute=Duration("exponential"), churn=Churn(20.0, 2.0))
    assert verdicts(play(game_of(), "virtual", seed=0, moves=100, network=churned)) == {}
    assert "floor" not in verdicts(play(game_of(samples=10**5), seed=0, moves=12))
    assert "rate" not in verdicts(play(game_of(samples=1), seed=0, moves=100)), "the start lifts no mode"


def test_a_fleet_says_it_too() -> None:
    rng = np.random.default_rng(3)
    options: dict[str, Any] = {"start": "common", "spread": 4.0}
    shares = array_graph("array_k_out", rng, n=3000, k=4)
    game = synthetic_fleet(synthetic_family("gaussian", 3), shares, rng, **options)
    outcome = play(game, "fleet", seed=1, moves=100)
    assert verdicts(outcome) == {"rate": "agrees", "floor": "agrees"}
    fresh = predict(game_of("complete", gossip=Gossip(fresh=True)))
    wrong = diagnose_fleet(outcome.trace, fresh)
    assert {c.verdict for c in wrong.comparisons} == {"disagrees"}
    assert any("disagree by" in reason for reason in wrong.reasons)


def test_an_error_far_below_the_floor_has_a_name_once_it_is_certain() -> None:
    """Steps of 0.3 leave half of the floor of full steps; a short run cannot tell, a long one can."""
    settled = [held_against(game_of(), game_of(step=0.3), moves=moves).outcome for moves in (40, 400)]
    assert settled[0] != "below the floor"
    assert settled[1] == "below the floor"


def test_an_error_that_is_low_by_chance_is_not_below_the_floor() -> None:
    """Short runs of one statistic, of which some end below 70 % of the floor."""
    game, low = game_of("complete", statistics=1), 0
    for seed in range(60):
        outcome = play(game, seed=seed, moves=16)
        assert outcome.outcome != "below the floor", outcome.diagnosis.reasons
        late = [r.error_rms for r in outcome.trace if r.time >= 8 and r.error_rms is not None]
        assert outcome.prediction.noise_floor_rms is not None
        low += float(np.sqrt(np.mean(np.square(late)))) < 0.7 * outcome.prediction.noise_floor_rms
    assert low > 0
