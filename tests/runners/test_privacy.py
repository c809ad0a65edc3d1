"""Privacy in experiments: who has which budget, what is refused, the same releases in all engines, and what is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.games import Game, PlayerSpec, Privacy, equilibrium, predict_privacy
from nashgossip.runners import (
    build_game,
    build_lean_game,
    command,
    load_experiment,
    play,
    read_records,
    read_run,
    rounds,
    study,
    summaries,
    virtual,
)
from nashgossip.runners.audit_shadows import shadow_games
from nashgossip.runners.privacy import with_new_noise
from nashgossip.runners.record_schemas import PLAYER_SCHEMA
from nashgossip.runners.report_words import happened
from nashgossip.runners.spending import privacy_sentence
from nashgossip.runners.study_measures import Played, measured
from nashgossip.runners.where import answer_here

from ..small_runs import run, small

SMALL = """\
name: small
seed: 3
topology: {generator: ring, arguments: {n: 4}}
data: {rows: 50}
model: {family: bernoulli, dimension: 3, smoothing: 1.0}
play: {moves: 12, samples: 40, measure: 0}
"""
PRIVATE = "privacy.epsilon=2"


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)


def privacies(game: Game) -> list[Privacy | None]:
    return [spec.privacy for spec in game.specs.values()]


def test_all_have_a_budget_with_single_exceptions() -> None:
    game = small("privacy={epsilon: 2, clip: 1, players: {'1': {epsilon: .inf}, '2': {epsilon: 0.5, delta: 0.001}}}")
    found = [None if p is None else (p.epsilon, p.delta, p.clip) for p in privacies(game)]
    assert found == [(2.0, 1e-5, 1.0), None, (0.5, 0.001, None), (2.0, 1e-5, 1.0)]
    assert privacies(small("privacy.players={'1': {epsilon: 1}}"))[0] is None


def test_every_player_and_every_seed_has_its_own_noise() -> None:
    found = [{p.seed for p in privacies(small(PRIVATE, f"seed={s}")) if p is not None} for s in (3, 3, 4)]
    assert found[0] == found[1]
    assert len(found[0] | found[2]) == 8


def test_an_infinite_epsilon_changes_nothing() -> None:
    plain, off = small(), small("privacy={epsilon: .inf, delta: 0.001, clip: 0.1}")
    assert privacies(off) == privacies(plain) == [None] * 4
    first, second = (play(game, "rounds", seed=1, moves=5, keep_states=True) for game in (plain, off))
    assert repr(first.states) == repr(second.states)
    np.testing.assert_array_equal(equilibrium(plain), equilibrium(off))
    assert set(first.summary()["privacy"].values()) == {None}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["privacy.players={'9': {epsilon: 1}}"], "privacy.players names player '9'; the players are 0, 1, 2, 3"),
        (["privacy.epsilon=0"], "privacy.epsilon: Input should be greater than 0"),
        (["privacy.delta=1"], "privacy.delta: Input should be less than 1"),
        ([PRIVATE, "privacy.delta=0.1"], "expected below 1/40"),
        ([PRIVATE, "privacy.noise=1"], "privacy.noise 1, which means nothing for an exponential family"),
        ([PRIVATE, "defence.screen={}"], "leave `screen` and `trust` out of its defence, or privacy"),
        ([PRIVATE, "model.family=poisson"], "set privacy.clip to a norm that most rows keep"),
        ([PRIVATE, "play.runner=fleet"], "a budget of privacy, which arrays do not account for"),
        ([PRIVATE, "audit={batches: 2, canaries: 3}"], "set audit.canaries=0, or privacy.epsilon=.inf for all"),
        (
            ["privacy.players={'2': {epsilon: 1}}", "audit={batches: 2, canaries: 3}"],
            "audit.canaries is 3, but canaries are made of values of a player's own rows",
        ),
        (
            [PRIVATE, "topology={generator: array_k_out, arguments: {n: 10, k: 2}}", "play.runner=fleet"],
            "option 'privacy' means nothing with a graph of arrays",
        ),
    ],
)
def test_a_wrong_request_ends_with_status_2(settings: list[str], message: str) -> None:
    result = run(*(word for setting in settings for word in ("--set", setting)), "--out", "run")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not Path("run").exists()


@pytest.mark.parametrize("key", ["pool", "distil"])
def test_rows_of_others_are_never_counted_as_own(key: str) -> None:
    Path("small.yaml").write_text(
        """\
name: small
topology: {generator: ring, arguments: {n: 3}}
data: {source: digits}
model: {kind: conditional-gaussian}
play: {moves: 2}
"""
    )
    result = run("--set", PRIVATE, "--set", f"data.{key}=true", "--out", "run")
    assert result.exit_code == 2
    assert f"data.{key} gives players rows of others for their own" in " ".join(result.output.split())


def test_a_black_box_that_does_not_account_is_refused_by_name() -> None:
    Path("small.yaml").write_text(
        """\
name: small
topology: {generator: ring, arguments: {n: 3}}
data: {source: digits}
model: {kind: gaussian-mixture}
play: {moves: 2}
"""
    )
    result = run("--set", PRIVATE, "--out", "run")
    assert result.exit_code == 2
    expected = "player 0: model kind 'gaussian-mixture' cannot learn with a budget of privacy, expected an exponential"
    assert expected in " ".join(result.output.split())


def test_all_engines_play_the_same_releases() -> None:
    game = small(PRIVATE)
    anchors = np.stack([spec.anchor() for spec in game.specs.values()])
    for engine in (rounds, virtual):
        first, *_, last = engine(game, seed=1, moves=4)
        np.testing.assert_array_equal(first.means, anchors)
        assert [view.privacy.epsilon for view in last.players if view.privacy] == [2.0] * 4


@pytest.mark.slow
def test_on_ray_the_players_are_those_of_rounds_and_tell_what_they_spent() -> None:
    game = small(PRIVATE)
    here = play(game, "rounds", seed=1, moves=4, keep_states=True)
    there = play(game, "ray", seed=1, moves=4, keep_states=True, mode="synchronous", workers=1)
    assert repr(here.states) == repr(there.states)
    assert here.summary()["privacy"] == there.summary()["privacy"]


def test_the_summary_tells_what_was_spent_and_what_it_cost() -> None:
    game = small("privacy={epsilon: 2, players: {'1': {epsilon: .inf}, '2': {epsilon: 0.5, delta: 0.001}}}")
    outcome = play(game, "rounds", seed=1, moves=4)
    cost = predict_privacy(game)
    assert outcome.summary()["privacy"] == {
        "budgets": 3,
        "epsilon_max": 2.0,
        "delta_max": 0.001,
        "exhausted": 3,
        "exhausted_networks": 0,
        "predicted_cost_rms": cost.predicted_rms,
        "measured_cost_rms": cost.measured_rms,
    }


def test_budgets_are_on_record() -> None:
    result = run("--set", PRIVATE, "--set", "privacy.players={'1': {epsilon: .inf}}", "--out", "run", "--json")
    assert result.exit_code == 0
    rows = read_records("run/records", "players").to_pylist()
    spent = {(row["player"], row["epsilon"], row["delta"]) for row in rows}
    assert spent == {("0", 2.0, 1e-5), ("1", None, None), ("2", 2.0, 1e-5), ("3", 2.0, 1e-5)}
    players = json.loads(Path("run/players.json").read_text())
    told = [(player["epsilon"], player["delta"], player["exhausted"]) for player in players]
    assert told == [(2.0, 1e-5, True), (None, None, None), (2.0, 1e-5, True), (2.0, 1e-5, True)]
    assert json.loads(Path("run/summary.json").read_text())["privacy"]["exhausted"] == 3


def test_before_anything_was_learned_nothing_is_spent() -> None:
    first, *_, last = rounds(small(PRIVATE, "model.start=reference"), seed=1, moves=2)
    spent = [[view.privacy.epsilon for view in seen.players if view.privacy] for seen in (first, last)]
    assert spent == [[0.0] * 4, [2.0] * 4]


def test_records_without_privacy_have_no_such_columns() -> None:
    assert run("--out", "run", "--json").exit_code == 0
    assert read_records("run/records", "players").schema.names == PLAYER_SCHEMA.names


SPENT = "Privacy spent: ε up to 2, δ up to 1e-05"
FAR = "RMS 0.01, predicted 0.02 before releases are drawn back into the set of mean parameters"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, f"{SPENT}; it shifts the equilibrium by RMS 0.03, predicted 0.02"),
        ({"measured_cost_rms": None}, f"{SPENT}; it shifts the equilibrium by RMS 0.02 predicted"),
        ({"measured_cost_rms": None, "predicted_cost_rms": None}, SPENT),
        ({"measured_cost_rms": 0.01}, f"{SPENT}; it shifts the equilibrium by {FAR}"),
        (
            {"budgets": 4, "exhausted_networks": 0},
            f"{SPENT}; it shifts the equilibrium by RMS 0.03, predicted 0.02",
        ),
        (
            {"budgets": 3, "exhausted_networks": 2, "measured_cost_rms": None, "predicted_cost_rms": None},
            f"{SPENT} (3 of 4 players have a budget); 2 networks have nothing left for another step",
        ),
        (
            {"budgets": 1, "exhausted_networks": 1, "measured_cost_rms": None, "predicted_cost_rms": None},
            f"{SPENT} (1 of 4 players has a budget); 1 network has nothing left for another step",
        ),
    ],
)
def test_what_is_known_is_told_in_words(changes: dict[str, Any], told: str) -> None:
    figures = {"epsilon_max": 2.0, "delta_max": 1e-5, "exhausted": 1, "predicted_cost_rms": 0.02}
    assert privacy_sentence({**figures, "measured_cost_rms": 0.03, **changes}, players=4) == told
    assert privacy_sentence(dict.fromkeys(figures), players=4) is None


def test_a_run_tells_how_many_have_a_budget_and_where_projection_makes_it_cheaper_than_predicted() -> None:
    result = run("--set", "privacy.players={'1': {epsilon: 0.05}}", "--set", "smoothing=0.1", "--out", "run")
    told = " ".join(result.output.replace("│", " ").split())
    assert "(1 of 4 players has a budget); it shifts the equilibrium by RMS" in told
    assert "before releases are drawn back into the set of mean parameters" in told
    assert "(1 of 4 players has a budget)" in " ".join(happened(read_run("run")))


def test_the_terminal_and_the_report_tell_of_it() -> None:
    result = run("--set", PRIVATE, "--runner", "virtual", "--out", "run")
    told = "Privacy spent: ε up to 2, δ up to 1e-05; it shifts the equilibrium by RMS"
    assert told in " ".join(result.output.replace("│", " ").split())
    call = CliRunner().invoke(command.app, ["report", "run"], catch_exceptions=False)
    assert call.exit_code == 0
    page = Path("run/report.html").read_text("utf-8")
    assert told in page
    assert "ε spent" in page


@pytest.mark.slow
def test_a_study_measures_the_cost() -> None:
    found = study(
        {
            "experiment": "small.yaml",
            "set": {"play.moves": 2},
            "vary": {"privacy.epsilon": [1.0]},
            "measure": ["privacy"],
        },
        out="study",
        jobs=1,
    )
    assert [row["cost_predicted"] > 0 for row in found.table.to_pylist()] == [True] * 3
    for row in found.table.to_pylist():
        assert row["cost_measured"] == row["privacy_measured_cost_rms"]
        assert row["cost_nats"] > 0
        assert row["privacy_epsilon_max"] == 1.0
    assert len({row["cost_measured"] for row in found.table.to_pylist()}) == 3  # other seeds, other rows and noise


def test_without_privacy_a_study_measures_no_cost() -> None:
    plan, game = load_experiment("small.yaml"), small()
    outcome = play(game, "rounds", seed=1, moves=2)
    found = measured(Played(plan, game, outcome, None, outcome.last), {"privacy": {}})
    assert (found["cost_predicted"], found["cost_measured"], found["cost_nats"]) == (0.0, 0.0, 0.0)
    assert found["privacy_epsilon_max"] is None


def test_where_players_read_their_rows_the_laboratory_has_the_release() -> None:
    settings = [PRIVATE, "data.where=players", "play.runner=ray", "play.mode=synchronous"]
    lean = build_lean_game(load_experiment("small.yaml", settings), answer_here)
    whole = small(PRIVATE)
    np.testing.assert_array_equal(equilibrium(lean), equilibrium(whole))
    plain = summaries(SMALL)
    for private, spec in zip(lean.specs.values(), plain, strict=True):
        assert np.abs(private.mean_statistics() - spec.mean_statistics()).max() > 0


def test_shadow_games_have_other_noise_and_the_same_budgets() -> None:
    specs = small(PRIVATE, "privacy.players={'1': {epsilon: .inf}}").specs
    found = [with_new_noise(specs, seed) for seed in (1, 1, 2)]

    def seeds(some: dict[Any, PlayerSpec]) -> list[int | None]:
        return [None if spec.privacy is None else spec.privacy.seed for spec in some.values()]

    assert seeds(found[0]) == seeds(found[1])
    assert len({*seeds(dict(specs)), *seeds(found[0]), *seeds(found[2])}) == 10  # 3 players, 3 games, and None
    assert found[0][1] is specs[1]
    assert [s.privacy and s.privacy.epsilon for s in found[0].values()] == [2.0, None, 2.0, 2.0]


def test_an_audit_plays_games_with_new_noise() -> None:
    """Rows held out of a game change its release; beyond that, releases of equal rows differ by their noise alone."""
    plan = load_experiment("small.yaml", ["privacy.epsilon=0.5", "audit.batches=4", "play.samples=4000"])
    game = build_game(plan)
    assert isinstance(game, Game)
    rows = game.specs[0].parts[0]
    pools = {0: (rows, rows.select(slice(0, 0)))}  # nothing is held out: all games have the same rows
    means = []
    for shadow in shadow_games(plan, game, pools, 3, seed=1):
        first = next(batch for batch in shadow.batches if batch.sender == 0)
        means.append(first.batch["x"].mean())
    spread = np.abs(np.subtract.outer(means, means))[np.triu_indices(3, 1)]
    sampling = np.sqrt(2 * 0.25 / (4000 * 3))
    assert (spread > 5 * sampling).any()
