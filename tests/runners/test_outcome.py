"""What a run leaves: the keys of the summary, figures that do not apply, class mixtures."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.games import (
    Batch,
    ClassConditional,
    Game,
    Gaussian,
    PlayerSpec,
    synthetic_data,
    synthetic_family,
    total_variation,
)
from nashgossip.runners import Outcome, play
from nashgossip.topology import UnknownNameError, attach_alpha, generate_graph, influence

SUMMARY = {
    "runner": None,
    "players": None,
    "moves": None,
    "messages": None,
    "bytes": None,
    "seconds": None,
    "seed": None,
    "outcome": None,
    "nash_gap": {"max": None, "mean": None},
    "equilibrium_error": {"max": None, "rms": None},
    "predicted": {"spectral_radius": None, "rate": None, "noise_floor_rms": None},
    "measured": {"rate": None},
    "total_variation": {"max": None, "mean": None},
    "accuracy": {"max": None, "mean": None},
    "auc": {"max": None, "mean": None},
    "nash_gap_estimate": {"max": None, "error": None, "mean": None},
    "privacy": dict.fromkeys(
        [
            *("budgets", "epsilon_max", "delta_max", "exhausted", "exhausted_networks"),
            *("predicted_cost_rms", "measured_cost_rms"),
        ],
    ),
    "changes": None,
    "aside": {},
}


def shape(value: Any) -> Any:
    """The keys of nested mappings, in order."""
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def ring(family_name: str = "gaussian", *, samples: int = 50, players: int = 5, **spec: Any) -> Game:
    graph, family = attach_alpha(generate_graph("ring", n=players), 0.4), synthetic_family(family_name, 2, classes=3)
    data = synthetic_data(family, players, 60, np.random.default_rng(1))
    specs = {
        player: PlayerSpec(family=family, data=rows, samples=samples, **spec)
        for player, rows in zip(graph, data, strict=True)
    }
    return Game(graph, specs)


def labelled(players: int = 4) -> tuple[Game, NDArray[np.float64]]:
    """A ring in which player i owns class i alone; and the private histograms, the identity matrix."""
    family = ClassConditional(players, Gaussian((2,)))
    graph = attach_alpha(generate_graph("ring", n=players), 0.4)
    rng = np.random.default_rng(4)
    data: dict[int, Batch] = {
        c: family.space.batch({"label": np.full(50, c), "x": rng.normal(float(c), 1.0, (50, 2))}) for c in graph
    }
    specs = {player: PlayerSpec(family=family, data=data[player], samples=500, smoothing=1e-6) for player in graph}
    return Game(graph, specs), np.eye(players)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return play(ring(), seed=9, moves=120, measure=30)


def test_the_summary_has_the_keys_of_the_contract(outcome: Outcome) -> None:
    assert shape(outcome.summary()) == SUMMARY
    assert list(outcome.summary()) == list(SUMMARY)


def test_the_figures_of_the_summary(outcome: Outcome) -> None:
    summary = outcome.summary()
    assert (summary["runner"], summary["players"], summary["seed"]) == ("rounds", 5, 9)
    assert (summary["moves"], summary["messages"]) == (600, 1200)
    assert summary["bytes"] == 1200 * 50 * 2 * 8
    assert summary["outcome"] == "converged"
    assert summary["predicted"]["spectral_radius"] == pytest.approx(0.6)
    assert summary["equilibrium_error"]["max"] >= summary["equilibrium_error"]["rms"] > 0
    assert summary["nash_gap"]["max"] >= summary["nash_gap"]["mean"] > 0
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_figures_that_are_not_finite_are_null(outcome: Outcome) -> None:
    broken = dataclasses.replace(
        outcome,
        nash_gap={"max": math.inf, "mean": -math.inf},
        equilibrium_error={"max": None, "rms": math.nan},
        rate=math.nan,
    )
    summary = broken.summary()
    assert shape(summary) == SUMMARY
    assert summary["nash_gap"] == {"max": None, "mean": None}
    assert summary["equilibrium_error"] == {"max": None, "rms": None}
    assert summary["measured"] == {"rate": None}
    json.dumps(summary, allow_nan=False)


def test_players_are_in_the_order_of_the_graph_and_average_to_the_summary(outcome: Outcome) -> None:
    assert [p.player for p in outcome.players] == [0, 1, 2, 3, 4]
    regrets = [p.regret for p in outcome.players if p.regret is not None]
    errors = [p.error for p in outcome.players if p.error is not None]
    assert outcome.nash_gap["mean"] == pytest.approx(np.mean(regrets))
    assert outcome.equilibrium_error["max"] == max(errors)
    assert outcome.equilibrium_error["rms"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    floors = [p.floor for p in outcome.players if p.floor is not None]
    assert np.sqrt(np.mean(np.square(floors))) == pytest.approx(outcome.prediction.noise_floor_rms)


def test_without_classes_there_is_no_mixture(outcome: Outcome) -> None:
    player = outcome.players[0]
    assert (player.mixture, player.predicted_mixture, player.total_variation) == (None, None, None)
    assert (player.own_classes, player.generates) == ([], [])


def test_not_converging_has_a_name() -> None:
    assert play(ring(samples=10**5, start="reference"), moves=2).outcome == "budget reached"


def test_measured_mixtures_are_the_predicted_rows_of_influence() -> None:
    game, histograms = labelled()
    outcome = play(game, seed=2, moves=60, measure=4000)
    expected = influence(game.graph) @ histograms
    for i, player in enumerate(outcome.players):
        assert player.own_classes == [i]
        assert player.generates == [0, 1, 2, 3]
        assert player.predicted_mixture == pytest.approx(expected[i], abs=1e-6)
        assert player.mixture is not None
        assert player.mixture.sum() == pytest.approx(1.0)
        # measured on 4,000 rows of a model that itself wavers with messages of 500 rows and a few neighbours
        shares = np.sqrt(expected[i] * (1 - expected[i]) * (1 / 4000 + 1 / 500))
        assert (np.abs(player.mixture - expected[i]) < 4 * shares).all()
        assert player.total_variation == pytest.approx(total_variation(player.mixture, expected[i]), abs=1e-6)


def test_before_the_first_move_players_generate_what_they_own() -> None:
    game, _ = labelled()
    outcome = play(game, seed=2, moves=30, measure=200)
    before, after = outcome.before[1], outcome.after[1]
    assert before is not None
    assert after is not None
    assert np.unique(before["label"]).tolist() == [1]
    assert np.unique(after["label"]).tolist() == [0, 1, 2, 3]
    assert len(before) == len(after) == 200


def test_without_measurement_there_are_predictions_alone() -> None:
    game, _ = labelled()
    player = play(game, moves=5).players[0]
    assert (player.mixture, player.generates, player.total_variation) == (None, [], None)
    assert player.predicted_mixture is not None


def test_a_holdout_is_judged_by_its_density() -> None:
    rows = Gaussian((1,)).space.batch({"x": np.zeros((5, 1))})
    specs = {0: PlayerSpec(family=Gaussian((1,)), data=rows, holdout=rows)}
    graph = attach_alpha(generate_graph("path", n=1), 1.0)
    assert play(Game(graph, specs), moves=3).players[0].held_out == pytest.approx(-0.5 * np.log(2 * np.pi))
    assert play(ring(), moves=3).players[0].held_out is None


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(ValueError, match="moves is 0, expected at least 1"):
        play(ring(), moves=0)
    with pytest.raises(UnknownNameError, match="unknown runner 'round'; did you mean 'rounds'"):
        play(ring(), "round")
