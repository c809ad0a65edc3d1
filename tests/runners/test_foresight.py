"""What is said before play: the schedule that an experiment is really run under, on every engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from nashgossip.games import FleetSchedule, Game, Gossip, Schedule, predict
from nashgossip.runners import command
from nashgossip.runners.experiment import experiment_names, load_experiment
from nashgossip.runners.foresight import array_figures, describe, played_schedule
from nashgossip.runners.playing import play
from nashgossip.runners.session import engine_options
from nashgossip.runners.staging import build_game


def topology(*arguments: str) -> Any:
    result = CliRunner().invoke(command.app, ["topology", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def staged(name: str, *settings: str) -> tuple[Any, Game, dict[str, Any]]:
    plan = load_experiment(name, list(settings))
    game = build_game(plan)
    assert isinstance(game, Game)
    return plan, game, engine_options(plan, game)


POISSON = Schedule("poisson")
CASES = [
    ("ring", (), Schedule()),
    ("ring", ("gossip.fresh=true",), Schedule(fresh=True)),
    ("ring", ("gossip.fan_out=1",), Schedule(delivery=0.5, picks=1)),
    ("ring", ("play.runner=ray",), POISSON),
    ("ring", ("play.runner=ray", "gossip.fresh=true"), Schedule("poisson", fresh=True)),
    ("ring", ("play.runner=ray", "play.mode=synchronous", "gossip.fresh=true"), Schedule(fresh=True)),
    ("ring", ("play.runner=ray", "play.rate=null"), Schedule("poisson", known=False)),
    ("ring", ("play.runner=fleet",), POISSON),
    ("ring", ("play.runner=fleet", "play.mode=synchronous"), Schedule()),
    ("ring", ("play.runner=fleet", "network.loss=0.2"), Schedule("poisson", delivery=0.8)),
    ("poisson", (), POISSON),
    ("delay", (), Schedule("poisson", delay=3.0)),
    ("loss", (), Schedule("poisson", delivery=0.5)),
    ("one-neighbour", (), Schedule("poisson", delivery=0.25, picks=1)),
    ("churn", (), Schedule(known=False)),
    ("rewiring", (), Schedule(known=False)),
]


@pytest.mark.parametrize(("name", "settings", "schedule"), CASES)
def test_the_schedule_is_the_one_that_is_played(name: str, settings: tuple[str, ...], schedule: Schedule) -> None:
    plan, game, options = staged(name, *settings)
    assert played_schedule(plan.play.runner, game, options) == schedule


def test_a_run_is_held_against_what_was_foretold() -> None:
    settings = ("topology.arguments.n=8", "play.samples=50", "gossip.fresh=true", "play.moves=3")
    for runner in ("rounds", "virtual", "fleet"):
        plan, game, options = staged("ring", *settings, f"play.runner={runner}")
        told = topology("ring", *(f"--set={setting}" for setting in settings), f"--set=play.runner={runner}")
        outcome = play(game, runner, seed=0, moves=3, **options)
        foretold = told["predicted"]["as_played"]
        assert foretold["runner"] == runner == plan.play.runner
        assert foretold["noise_floor_rms"] == outcome.prediction.noise_floor_rms
        assert foretold["rate_from_start"] == outcome.prediction.rate
        assert foretold["rate"] == outcome.prediction.asymptotic_rate


def test_the_three_predictions_differ_where_the_schedule_does() -> None:
    figures = topology("delay", "--set=topology.arguments.n=12")["predicted"]
    assert list(figures) == ["synchronous", "poisson", "as_played"]
    rates = [figures[name]["rate"] for name in figures]
    assert rates == sorted(rates)
    assert len(set(rates)) == 3
    _, game, _ = staged("delay", "topology.arguments.n=12")
    assert figures["as_played"]["noise_floor_rms"] == predict(game, Schedule("poisson", delay=3.0)).noise_floor_rms


def test_what_is_not_known_is_null_and_said_so() -> None:
    figures = topology("churn")["predicted"]["as_played"]
    assert figures == {
        "runner": "virtual",
        "schedule": "a schedule of which theory says nothing",
        "rate": None,
        "rate_from_start": None,
        "noise_floor_rms": None,
    }
    shown = CliRunner().invoke(command.app, ["topology", "churn"]).stdout
    assert "as played on virtual (a schedule of which theory says nothing): log-error per move unknown" in shown


def test_without_anchors_nobody_has_sources() -> None:
    figures = topology("collapse")
    assert (figures["effective_sources"], figures["influence"]) == (None, None)
    assert figures["spectral_radius"] == pytest.approx(1.0)
    shown = CliRunner().invoke(command.app, ["topology", "collapse"])
    assert shown.exit_code == 0, shown.output
    assert "as played on rounds (rounds)" in shown.stdout


def test_arrays_are_told_of_their_own_schedule() -> None:
    settings = ["topology.arguments={n: 500, k: 4}"]
    game: Any = build_game(load_experiment("fleet", settings))
    figures = array_figures(game, FleetSchedule("poisson", loss=0.5))["predicted"]
    assert figures["as_played"]["rate"] == pytest.approx(figures["poisson"]["rate"] / 2)
    assert figures["as_played"]["schedule"] == "Poisson clocks, a listener is reached by 50 % of publications"
    told = topology("fleet", "--set", settings[0])["predicted"]
    assert told["as_played"]["noise_floor_rms"] == told["synchronous"]["noise_floor_rms"]


def test_schedules_in_words() -> None:
    several = {("a", "b"): 0.25, ("b", "a"): 1.0}
    words = {
        describe(Schedule()): "rounds",
        describe(Schedule("poisson", delay=0.5, fresh=True)): (
            "Poisson clocks, delay 0.5, a fresh batch for every listener"
        ),
        describe(Schedule("poisson", delay=None)): "Poisson clocks, delays that are not one constant",
        describe(Schedule(delivery=several)): "rounds, a listener is reached by 25 to 100 % of publications",
        describe(Schedule(known=False)): "a schedule of which theory says nothing",
    }
    assert all(found == expected for found, expected in words.items())


@pytest.mark.parametrize("name", [n for n in experiment_names() if not n.startswith("fleet")])
def test_every_built_in_experiment_can_be_foretold(name: str, require_data: Callable[[str], None]) -> None:
    require_data(name)
    few = ["--set", "topology.arguments.n=10"] if name in ("delay", "loss", "one-neighbour", "poisson") else []
    assert topology(name, *few)["predicted"]["as_played"]["runner"]


def test_policies_reach_the_prediction_of_rounds() -> None:
    _, game, _ = staged("ring", "gossip.fresh=true")
    assert next(iter(game.specs.values())).gossip == Gossip(fresh=True)
    outcome = play(game, seed=0, moves=2)
    assert outcome.prediction.noise_floor_rms == predict(game, Schedule(fresh=True)).noise_floor_rms
