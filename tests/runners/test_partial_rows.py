"""Experiments whose players observe parts of a data set, model parts of it, and have rows that lack variables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nashgossip.games import GameError
from nashgossip.runners import Examiner, Experiment, ExperimentError, build_game, play
from nashgossip.runners.neural_games import build_examiner
from nashgossip.topology import UnknownNameError

ROWS = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real blocks, a count and a class, so that players can have different parts."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "blocks.npz"
    label = np.arange(ROWS) % 3
    np.savez(
        path,
        c=label,
        a=rng.normal(label[:, None], 1.0, (ROWS, 2)),
        b=rng.normal(size=ROWS),
        x=rng.random((ROWS, 8, 8)) < 0.5,
    )
    return path


def planned(file: Path, data: dict[str, Any] | None = None, **model: Any) -> Experiment:
    """Three players on a triangle, Gaussian mixtures over a and b unless told otherwise."""
    content = {
        "name": "blocks",
        "topology": {"generator": "complete", "arguments": {"n": 3}},
        "data": {"source": "npz", "file": str(file), "label": "c", "holdout": 0.1, **(data or {})},
        "model": model or {"kind": "gaussian-mixture", "options": {"variables": ["a", "b"]}},
    }
    return Experiment.model_validate(yaml.safe_load(yaml.safe_dump(content)))


def refusal(plan: Experiment, kind: type[ValueError] = ExperimentError) -> str:
    with pytest.raises(kind) as caught:
        build_game(plan)
    return str(caught.value)


def hvae(**options: Any) -> dict[str, Any]:
    return {
        "kind": "hvae",
        "options": {"latents": {"z": 2}, "networks": {"width": 4}, "steps": 1, "batch": 4, **options},
    }


# --- what a model is over -----------------------------------------------------------------------------------


def test_a_model_is_over_the_variables_that_are_named(file: Path) -> None:
    game = build_game(planned(file))
    assert [game.space(p).names for p in game.players] == [("a", "b")] * 3  # in the order of the data set
    assert game.specs[0].parts[0].space.names == ("a", "b")
    assert game.specs[0].class_shares is not None
    game = build_game(planned(file, **hvae(variables=["x", "c"])))
    assert game.space(0).names == ("c", "z", "x")
    assert game.specs[0].parts[0].space.names == ("c", "x")


def test_unknown_variables_of_a_model_are_refused(file: Path) -> None:
    message = refusal(planned(file, kind="gaussian-mixture", options={"variables": ["a", "bb"]}), UnknownNameError)
    assert "variable of data set 'blocks', 'bb'" in message
    assert "did you mean 'b'" in message
    assert "expected a list of names" in refusal(planned(file, kind="flow", options={"variables": "a"}))
    message = refusal(planned(file, **hvae(variables=["x"], label=True)))
    assert message == "model 'hvae' has `label: true`, but its `variables` are x; add c to them"
    message = refusal(planned(file, **hvae()))
    assert "model 'hvae' is over one image and the label, but not over a, b; name what it is over" in message


# --- what players observe -----------------------------------------------------------------------------------


def test_a_player_observes_what_it_is_told_to(file: Path) -> None:
    data = {"observed": {"default": ["c", "x"], "2": ["x"]}}
    game = build_game(planned(file, data, **hvae(variables=["x", "c"])))
    assert [game.specs[p].parts[0].space.names for p in game.players] == [("c", "x"), ("c", "x"), ("x",)]
    assert [game.specs[p].holdout.space.names for p in game.players] == [("c", "x"), ("c", "x"), ("x",)]  # type: ignore[union-attr]


def test_what_a_player_cannot_observe_is_refused(file: Path) -> None:
    def message(observed: dict[str, list[str]], kind: type[ValueError] = ExperimentError) -> str:
        return refusal(planned(file, {"observed": observed}), kind)

    assert "'3'" in message({"3": ["a"]}, UnknownNameError)
    assert "did you mean 'default'" in message({"defualt": ["a"]}, UnknownNameError)
    found = message({"default": ["aa"]}, UnknownNameError)
    assert "data.observed.default" in found
    assert "did you mean 'a'" in found
    assert message({"0": ["c"]}).startswith("data.observed.0 names c, but player 0 has a, b; leave it out")
    found = message({"default": ["c", "x"]})
    assert found.startswith(
        "player 0 observes nothing of its model: the model is over a, b, the rows hold c, x; change"
    )
    found = message({"0": ["a"]}, GameError)
    assert found.startswith("player 0 has data over a, but its model is over a, b and has no `complete`")


def test_families_and_arrays_know_no_partial_rows(file: Path) -> None:
    for key, value in {"observed": {"default": ["a"]}, "missing": {"0": {"a": 0.5}}}.items():
        plan = planned(file, {key: value}, family="product")
        assert refusal(plan) == f"option {key!r} means nothing with model.family; leave it out"


# --- rows that lack variables -------------------------------------------------------------------------------


def test_as_many_rows_lack_a_variable_as_asked_for(file: Path) -> None:
    data = {"missing": {"default": {"c": 0.5}, "1": {"c": 0.25, "x": 0.5}, "2": {}}}
    plan = planned(file, data, **hvae(variables=["x", "c"]))
    game = build_game(plan)
    n = build_game(planned(file, {}, **hvae(variables=["x", "c"]))).specs[0].rows
    assert [(p.space.names, len(p)) for p in game.specs[0].parts] == [(("c", "x"), n - n // 2), (("x",), n // 2)]
    lacking = {p.space.names: len(p) for p in game.specs[1].parts}
    assert lacking[("c", "x")] + lacking.get(("c",), 0) == n - round(0.25 * n)
    assert lacking[("c", "x")] + lacking.get(("x",), 0) == n - round(0.5 * n)
    assert [p.space.names for p in game.specs[2].parts] == [("c", "x")]
    assert all(game.specs[p].holdout.space.names == ("c", "x") for p in game.players)  # type: ignore[union-attr]
    shares = game.specs[0].class_shares
    assert shares is not None
    assert shares.sum() == pytest.approx(1)  # the laboratory knows the classes of all rows


def test_the_same_seed_takes_the_same_values_away(file: Path) -> None:
    def labelled(seed: int, player: int = 0) -> np.ndarray[Any, Any]:
        data = {"split": {"kind": "whole"}, "holdout": 0.0, "missing": {"default": {"c": 0.5}}}
        plan = planned(file, data, **hvae(variables=["x", "c"]))
        return build_game(plan.model_copy(update={"seed": seed})).specs[player].parts[0]["x"]

    assert (labelled(1) == labelled(1)).all()
    assert (labelled(1) != labelled(2)).any()
    assert (labelled(1) != labelled(1, player=1)).any()


def test_a_share_of_0_changes_nothing_and_one_of_1_leaves_a_part(file: Path) -> None:
    plan = planned(file, {"missing": {"default": {"c": 0.0}}}, **hvae(variables=["x", "c"]))
    assert build_game(plan).specs[0].data == build_game(planned(file, **hvae(variables=["x", "c"]))).specs[0].data
    plan = planned(file, {"missing": {"default": {"c": 1.0}}}, **hvae(variables=["x", "c"]))
    assert [p.space.names for p in build_game(plan).specs[0].parts] == [("x",)]


def test_what_cannot_be_missing_is_refused(file: Path) -> None:
    def message(missing: dict[str, dict[str, float]], kind: type[ValueError] = ExperimentError, **data: Any) -> str:
        return refusal(planned(file, {"missing": missing, **data}, **hvae(variables=["x", "c"])), kind)

    assert message({"0": {"c": 1.5}}) == "data.missing.0.c is 1.5, expected a share of the rows between 0 and 1"
    assert (
        message({"default": {"c": 1.0, "x": 1.0}})
        == "data.missing.default leaves nothing of the rows; make a share smaller"
    )
    assert message({"0": {"a": 0.5}}).startswith("data.missing.0 names a, but player 0 has c, x; leave it out, or give")
    assert "did you mean 'c'" in message({"0": {"cc": 0.5}}, UnknownNameError)
    assert "'7'" in message({"7": {"c": 0.5}}, UnknownNameError)
    assert "'missing' means nothing with data.distil" in message({"0": {"c": 0.5}}, distil=True)


# --- played -------------------------------------------------------------------------------------------------


def test_partial_rows_are_played_and_figures_that_do_not_apply_are_none(file: Path) -> None:
    data = {"observed": {"2": ["x"]}, "missing": {"0": {"c": 0.5}}, "test": {}}
    options = hvae(variables=["x", "c"])
    players = {"2": {"kind": "hvae", "options": {**options["options"], "variables": ["x"]}}}
    plan = planned(file, {**data, "test": None}, kind="hvae", options=options["options"], players=players)
    game = build_game(plan)
    outcome = play(game, moves=2, measure=20, examiner=build_examiner(plan, game))
    assert [p.mixture is None for p in outcome.players] == [False, False, True]
    assert [p.predicted_mixture for p in outcome.players] == [None] * 3  # all hear of player 2, who has no label
    assert [p.own_classes for p in outcome.players] == [[0, 1, 2]] * 3
    assert outcome.summary()["total_variation"] == {"max": None, "mean": None}


def test_the_label_is_that_of_the_data_where_players_have_several_categorical_variables(file: Path) -> None:
    game = build_game(planned(file, **hvae(variables=["x", "c"])))
    assert Examiner(game).label == "c"
    assert Examiner(game, label="nobody has it").label is None
