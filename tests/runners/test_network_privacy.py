"""Experiments whose networks learn with a budget: what is planned, what is spent, and who is refused."""

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.games import PrivacyError
from nashgossip.runners import build_game, build_lean_game, load_experiment, play, read_run
from nashgossip.runners.command import app
from nashgossip.runners.network_privacy import private_learning
from nashgossip.runners.neural_games import build_examiner
from nashgossip.runners.report_words import happened
from nashgossip.runners.spending import unpaid_sentence
from nashgossip.runners.where import answer_here

SMALL = [
    "model.options={latents: {z0: 4, z1: 8}, networks: {width: 16}, batch: 50, steps: 3}",
    "data.judge=false",
    "play.samples=100",
    "play.moves=2",
    "play.regret_steps=0",
]


def experiment(*settings):
    return load_experiment("digits-hvae", [*SMALL, *settings])


def spent(outcome_or_game, states):
    """What the players' models have spent, by player."""
    found = {}
    for player, spec in outcome_or_game.specs.items():
        model = spec.model()
        model.load(states[player]["model"])
        found[player] = model.privacy_spent()
    return found


def test_the_plan_is_once_alone_and_then_as_often_as_is_played():
    asked = experiment("privacy.epsilon=3", "alpha.self_weight={default: 0.5, '1': 0.25}")
    found = private_learning(asked, [0, 1], {0: 300, 1: 400})
    assert {k: (f.plan.rows, f.plan.calls) for k, f in found.items()} == {
        0: (300, ((1.0, 1), (0.5, 2))),
        1: (400, ((1.0, 1), (0.25, 2))),
    }
    silent = private_learning(experiment("privacy.epsilon=3", "model.start=reference"), [0, 1], {1: 400})
    assert silent[1].plan.calls == ((0.5, 2),)
    edges = "alpha.edges=[['0', '0', 0.2], ['1', '0', 0.8], ['1', '1', 0.7], ['0', '1', 0.3]]"
    explicit = private_learning(experiment("privacy.epsilon=3", "alpha.self_weight=0.3", edges), [0, 1], {0: 9, 1: 9})
    assert [f.plan.calls[1] for f in explicit.values()] == [(0.2, 2), (0.7, 2)]


def test_models_are_made_with_the_budgets_of_their_players_seeds_included():
    specs = build_game(experiment("privacy.epsilon=3", "privacy.players={'1': {epsilon: .inf}}")).specs
    assert specs[0].privacy is not None
    assert specs[0].model().privacy == specs[0].privacy
    assert specs[1].model().privacy is specs[1].private is None
    other = build_game(experiment("privacy.epsilon=3", "seed=5")).specs
    assert len({spec.model().privacy.seed for spec in (specs[0], *other.values())}) == 3


def test_players_without_rows_or_without_a_finite_epsilon_need_no_plan():
    assert private_learning(experiment(), [0, 1], {0: 300, 1: 400}) == {}
    one = experiment("privacy.epsilon=3", "privacy.players={'1': {epsilon: .inf}}")
    assert list(private_learning(one, [0, 1], {0: 300, 1: 400})) == [0]
    assert list(private_learning(experiment("privacy.epsilon=3"), [0, 1], {0: 0, 1: 400})) == [1]


@pytest.mark.parametrize("runner", ["rounds", "virtual"])
def test_a_run_spends_its_budget_and_no_more(runner):
    settings = ["privacy.epsilon=3", "privacy.players={'1': {epsilon: 1.0, clip: 2.0}}"]
    game = build_game(experiment(*settings))
    outcome = play(game, runner, seed=1, moves=2, keep_states=True)
    found = spent(game, outcome.states)
    assert all(0 < found[player].epsilon <= limit for player, limit in {0: 3.0, 1: 1.0}.items())
    if runner == "rounds":  # as planned: everybody moves as often
        assert all(one.exhausted for one in found.values())
        assert found[0].epsilon > 2.99


def test_a_network_whose_budget_pays_for_no_step_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "digits-hvae", "--runner", "rounds", "--seed", "1", "--out", "run"]
    settings = [*SMALL, "privacy.players={'1': {epsilon: 3, noise: 0.3}}"]
    result = CliRunner().invoke(app, [*words, *(word for one in settings for word in ("--set", one))])
    assert result.exit_code == 0, result.output
    warning = "layer 1 learned nothing from private rows: the budget pays for no step at this `privacy.noise`; take"
    assert warning in " ".join(result.output.replace("│", " ").split())
    said = " ".join(happened(read_run("run")))
    assert warning in said
    assert "(1 of 2 players has a budget); 1 network has nothing left for another step" in said
    assert unpaid_sentence([(0, None, None), (1, 2.0, True), (2, 0.0, False)]) is None


def test_an_infinite_epsilon_changes_nothing():
    outcomes = [
        play(build_game(experiment(*settings)), "rounds", seed=1, moves=2, keep_states=True)
        for settings in ([], ["privacy.epsilon=.inf", "privacy.clip=3"], ["privacy.epsilon=3"])
    ]
    weights = [o.states[0]["model"]["module"] for o in outcomes]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(np.array_equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.parametrize("kind", ["gaussian-mixture", "kernel-density", "empirical", "table"])
def test_models_that_cannot_learn_with_a_budget_are_refused(kind):
    over = "label" if kind == "table" else "x"
    settings = [f"model.kind={kind}", f"model.options={{variables: [{over}]}}", "data.options={}"]
    build_game(experiment(*settings))
    expected = (
        f"player 0: model kind '{kind}' cannot learn with a budget of privacy, expected an exponential family, .*hvae"
    )
    with pytest.raises(PrivacyError, match=expected):
        build_game(experiment("privacy.epsilon=3", *settings))


def test_where_players_read_their_rows_the_laboratory_has_no_class_shares_of_private_ones():
    asked = experiment(
        "play.runner=ray", "data.where=players", "privacy.epsilon=3", "privacy.players={'1': {epsilon: .inf}}"
    )
    game = build_lean_game(asked, answer_here)
    private, plain = (game.specs[player] for player in (0, 1))
    assert private.class_shares is None
    assert private.summary.class_shares is None
    assert plain.class_shares.sum() == pytest.approx(1.0)
    examiner = build_examiner(asked, game)
    assert examiner.predicted is None
    assert (examiner.own_classes(0), len(examiner.own_classes(1)) > 0) == ([], True)


def test_a_budget_that_no_noise_keeps_is_refused_by_name():
    with pytest.raises(PrivacyError, match="player 1: "):
        build_game(experiment("privacy.players={'1': {epsilon: 0.001}}"))
