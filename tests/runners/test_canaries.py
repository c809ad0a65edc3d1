"""Canaries: as many as asked for, of the player's own values, the same again, and none unless asked for."""

import numpy as np
import pytest

from nashgossip.games import Gaussian, PlayerSpec
from nashgossip.runners import ExperimentError, build_game, load_experiment, spec_here, summaries
from nashgossip.runners.canaries import DECOYS, canaries_of, plant_canaries
from nashgossip.runners.experiment import dump_experiment

PLANTED = ["runner=rounds", "audit.batches=1", "audit.canaries=7", "data.rows=50"]


def test_a_game_has_its_canaries_after_its_own_rows():
    plain, planted = (build_game(load_experiment("ring", s)) for s in (PLANTED[:2] + PLANTED[3:], PLANTED))
    for player in plain.players:
        before, after = plain.specs[player], planted.specs[player]
        own = before.data
        assert after.rows == before.rows + 7
        assert after.data.select(slice(0, -7)) == own
        assert after.holdout == before.holdout


def test_canaries_are_made_of_the_players_values_but_are_none_of_its_rows():
    plan = load_experiment("ring", PLANTED)
    game = build_game(plan)
    for index, player in enumerate(game.players):
        own, planted, decoys = canaries_of(plan, game.specs[player], index)
        x, made, others = own["x"], planted["x"], decoys["x"]
        assert (len(x), len(made), len(others)) == (40, 7, DECOYS)
        for rows in (made, others):
            assert all(np.isin(rows[:, k], x[:, k]).all() for k in range(x.shape[1]))
            assert not any((x == row).all(axis=1).any() for row in rows[:7])
        # One law: each column of the decoys is within five standard errors of the own rows' mean.
        assert (np.abs(others.mean(axis=0) - x.mean(axis=0)) < 5 * x.std(axis=0) / np.sqrt(DECOYS)).all()


def test_the_seed_decides():
    same, again, other = (
        build_game(load_experiment("ring", [*PLANTED, f"seed={seed}"])).specs[0].data for seed in (3, 3, 4)
    )
    assert same == again
    assert same != other


def test_players_who_read_their_own_rows_plant_the_same():
    plan = load_experiment("ring", ["runner=ray", *PLANTED[1:]])
    text, players = dump_experiment(plan), build_game(plan).specs
    for player in (0, 7):
        assert spec_here(text, player).data == players[player].data
    assert [spec.rows for spec in summaries(text)] == [spec.rows for spec in players.values()]


def test_no_canaries_among_rows_in_several_batches():
    rng, plan = np.random.default_rng(0), load_experiment("ring", PLANTED)
    rows = Gaussian((2,)).sample(np.zeros(2), 5, rng)
    spec = PlayerSpec(model=lambda: None, data=(rows, rows))
    with pytest.raises(ExperimentError, match="the rows of player 0 come in 2 batches, expected one; set audit.canar"):
        plant_canaries(plan, [0], {0: spec})
    assert plant_canaries(load_experiment("ring", ["runner=rounds"]), [0], {0: spec}) == {0: spec}
