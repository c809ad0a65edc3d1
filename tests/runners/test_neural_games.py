"""Experiments of black boxes: how files become players, variants, distillation, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.agents import Source
from nashgossip.agents.models import HVAE, Fast
from nashgossip.games import BatchError, Game, SpaceError, Variable, load_digits
from nashgossip.runners import ExperimentError, build_game, load_experiment, play
from nashgossip.runners.blackboxes import black_box
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment
from nashgossip.runners.neural_games import build_examiner, build_looks
from nashgossip.runners.private_data import load_data
from nashgossip.topology import UnknownNameError, influence

LABELLED = """
name: small
topology: {generator: complete, arguments: {n: 3}}
alpha: {self_weight: 0.4}
data: {source: digits, split: {kind: few, options: {rows_per_class: 4}}, holdout: 0.0, test_share: 0.2}
model:
  kind: hvae
  options: {latents: {z0: 2, z1: 4}, label: true, publish_latents: false, networks: {width: 16}, steps: 3, batch: 20}
  players:
    "1": {options: {latents: {z0: 3, z1: 5}, networks: {width: 32}}}
play: {moves: 2, samples: 30, measure: 40}
variants:
  method:
    alone: {alpha.self_weight: 1.0}
    distillation: {alpha.self_weight: 1.0, data.distil: true, model.options.learns: classifier}
"""


PAPER = ["model.options.networks={}", "model.players={}"]


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(LABELLED)
    return str(path)


def game_of(source: str, *settings: str) -> Game:
    game = build_game(load_experiment(source, list(settings)))
    assert isinstance(game, Game)
    return game


# --- players -------------------------------------------------------------------------------------------------


def test_players_have_their_own_networks_rows_and_weights(small: str) -> None:
    game = game_of(small)
    assert [game.space(p)["z1"].shape for p in game.players] == [(4,), (5,), (4,)]
    assert game.edge_space(0, 1).names == ("label", "x")
    assert [len(game.specs[p].data or ()) for p in game.players] == [40, 40, 40]
    assert game.specs[0].class_shares == pytest.approx(np.full(10, 0.1))
    first, third = (game.specs[p].model for p in (0, 2))
    assert first is not None
    assert third is not None
    one, again, other = first().state(), first().state(), third().state()
    name = "pixels.dense.hidden.0.weight"
    assert (one["module"][name] == again["module"][name]).all()
    assert (one["module"][name] != other["module"][name]).any()


def test_another_seed_makes_other_players(small: str) -> None:
    def weights(seed: int) -> Any:
        model = game_of(small, f"seed={seed}").specs[0].model
        assert model is not None
        return model().state()["module"]["pixels.dense.hidden.0.weight"]

    assert (weights(1) == weights(1)).all()
    assert (weights(1) != weights(2)).any()


def test_a_run_of_black_boxes_from_file_to_summary(small: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", small, "--out", str(out), "--json", "--set", "looks=3"])
    assert result.exit_code == 0, result.output
    players = json.loads((out / "players.json").read_text())
    assert all(0 <= p["accuracy"] <= 1 and p["total_variation"] <= 1 for p in players)
    assert {p.name for p in out.glob("*.png")} == {"looks.png", "samples.png"}
    assert list((out / "records").glob("looks-*.parquet"))


def test_one_seed_gives_the_same_run_on_rounds_in_threads_and_in_virtual_time(small: str) -> None:
    def ended(runner: str, **options: Any) -> Any:
        return play(game_of(small), runner, seed=4, moves=3, keep_states=True, **options).states[1]["model"]["module"]

    reference = ended("rounds")
    for found in (ended("rounds", workers=3), ended("virtual")):
        assert all((reference[name] == found[name]).all() for name in reference)


@pytest.mark.slow
def test_synchronous_ray_plays_neural_games_bit_for_bit(small: str) -> None:
    reference = play(game_of(small), "rounds", seed=4, moves=3, keep_states=True)
    found = play(game_of(small), "ray", seed=4, moves=3, keep_states=True, mode="synchronous", workers=2)
    for p in reference.states:
        one, other = (o.states[p]["model"]["module"] for o in (reference, found))
        assert all((one[name] == other[name]).all() for name in one)


def test_three_kinds_of_models_play_one_game() -> None:
    settings = ["play.moves=1", "play.samples=60", "play.measure=0", "play.regret_steps=0", "data.judge=false"]
    fewer = [f"model.players.{player}.options.steps=10" for player in (0, 1)]
    plan = load_experiment("three-kinds", settings + fewer)
    game = build_game(plan)
    assert isinstance(game, Game)
    assert game.edge_space(0, 1).names == game.edge_space(2, 0).names == ("x",)
    assert play(game, moves=1).last.messages == 6


# --- variants ------------------------------------------------------------------------------------------------


def test_a_variant_is_a_named_choice_and_other_settings_prevail(small: str, tmp_path: Path) -> None:
    alone = load_experiment(small, ["method=alone"])
    assert (alone.alpha.self_weight, alone.chosen) == (1.0, {"method": "alone"})
    assert load_experiment(small, ["self_weight=0.7", "method=alone"]).alpha.self_weight == 0.7
    written = tmp_path / "again.yaml"
    written.write_text(dump_experiment(load_experiment(small, ["self_weight=0.7", "method=alone"])))
    again = load_experiment(str(written))
    assert (again.alpha.self_weight, again.chosen) == (0.7, {"method": "alone"})


def test_an_unknown_choice_is_refused(small: str) -> None:
    with pytest.raises(ExperimentError, match="method is 'aloan', expected one of: alone, distillation"):
        load_experiment(small, ["method=aloan"])


@pytest.mark.parametrize("method", ["cooperative", "symmetric", "discriminative", "distillation", "optimal"])
@pytest.mark.parametrize("images", ["10", "50"])
def test_the_variants_of_fashion_are_experiments(method: str, images: str) -> None:
    plan = load_experiment("fashion", [f"images={images}", f"method={method}"])
    assert plan.chosen == {"method": method, "images": images}
    assert plan.data.distil == (method == "distillation")
    assert plan.data.split.kind == ("whole" if method == "optimal" else "few")
    assert load_experiment("fashion", ["scale=paper"]).model.options["architecture"] == "paper-fashion"
    assert load_experiment("mnist-split", ["scale=paper"]).play.moves == 1_000_000


# --- distillation --------------------------------------------------------------------------------------------


def test_distillation_adds_copies_with_the_labels_that_others_tell(small: str) -> None:
    plain, game = game_of(small), game_of(small, "method=distillation")
    for p in game.players:
        rows, own = game.specs[p].data, plain.specs[p].data
        assert rows is not None
        assert own is not None
        assert len(rows) == 3 * len(own)
        for k in range(3):
            part = rows.select(slice(k * len(own), (k + 1) * len(own)))
            assert (part["x"] == own["x"]).all()
            assert (part["label"] == own["label"]).all() == (k == 0)
        assert game.specs[p].class_shares == pytest.approx(np.full(10, 0.1))


# --- examination ---------------------------------------------------------------------------------------------


def test_the_judge_examines_against_rows_of_own_and_other_classes() -> None:
    settings = ["play.moves=1", "play.samples=50", "play.measure=300", "play.regret_steps=0"]
    plan = load_experiment("digits-hvae", settings)
    game = build_game(plan)
    assert isinstance(game, Game)
    examiner = build_examiner(plan, game)
    assert examiner.own_classes(0) == [0, 1, 2, 3, 4]
    assert examiner.predicted is not None
    shares = np.stack([spec.class_shares for spec in game.specs.values() if spec.class_shares is not None])
    assert examiner.predicted == pytest.approx(influence(game.graph) @ shares)
    outcome = play(game, "rounds", moves=1, looks=build_looks(plan, game.players), examiner=examiner)
    for player in outcome.players:
        assert player.quality is not None
        assert set(player.quality.frechet) == {"own", "other", "all"}
        assert player.quality.p_value is not None
        assert player.quality.p_value < 1e-3  # after one move anybody can tell


def test_real_rows_examined_as_generated_ones_are_like_themselves() -> None:
    plan = load_experiment("digits-hvae")
    game = build_game(plan)
    assert isinstance(game, Game)
    examiner = build_examiner(plan, game)
    dataset = load_data(plan)
    rng = np.random.default_rng(0)
    assert dataset.labels is not None
    low = np.flatnonzero(dataset.labels < 5)
    x = dataset.batch.select(rng.permutation(low)[:400])["x"]
    made = game.edge_space(0, 1).batch(
        {"z0": np.zeros((400, 8), np.uint8), "z1": np.zeros((400, 24), np.uint8), "x": x}
    )
    quality = examiner.quality(0, made, rng)
    assert quality is not None
    assert quality.frechet["own"] < 0.1 * quality.frechet["other"]


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        (["model.kind=hvea"], UnknownNameError, "model kind"),
        (["model.options.latnets={z: 3}"], UnknownNameError, "did you mean 'latents'"),
        (["model.options.architecture=paper-digits", *PAPER], ValueError, r"shape \(8, 8\), expected \(28, 28\)"),
        (["model.options.architecture=quick"], UnknownNameError, "architecture"),
        (["model.options.networks={widht: 3}"], UnknownNameError, "did you mean 'width'"),
        (['model.players={"7": {}}'], UnknownNameError, "player"),
        (['model.players={"1": {option: {}}}'], UnknownNameError, "key of model.players.1"),
        (["model.family=gaussian"], ExperimentError, "give `family`, or a `kind`"),
        (["data.source=synthetic", "data.split={}", "data.test=null"], ExperimentError, "name a data set"),
        (["model.options.label=false", "data.distil=true"], ExperimentError, "set model.options.label"),
        (["model.options.latents={}"], SpaceError, "expected at least one name"),
        (["model.options.rate=fast"], ExperimentError, "a value that it cannot have"),
        (["model.options.latents=[8, 16]"], ExperimentError, "a value that it cannot have"),
        (["model.options.networks={width: -5}"], ExperimentError, "a value that it cannot have"),
        (['model.players={"0": {options: }}'], ExperimentError, "expected options by name"),
        (['model.players={"0": {kind: family}}'], UnknownNameError, "model kind"),
        (["model.step.size=0.5"], ExperimentError, "option 'step' means nothing with black boxes"),
        (["model.start=common"], ExperimentError, "needs a generator of arrays"),
        (["data.split.options.rows_per_class=400"], ValueError, "make rows_per_class smaller"),
    ],
)
def test_what_is_refused(small: str, settings: list[str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        game_of(small, *settings)


def test_a_refused_experiment_ends_with_status_two(small: str, tmp_path: Path) -> None:
    wrong = [*PAPER, "model.options.architecture=paper-digits"]
    result = CliRunner().invoke(
        app,
        ["run", small, *(f"--set={s}" for s in wrong), "--out", str(tmp_path / "none")],
    )
    assert result.exit_code == 2
    assert "take architecture 'fast' for other sizes" in " ".join(result.output.split())
    assert not (tmp_path / "none").exists()


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(BatchError, match="variable 'label' .categorical. holds 11, above 9"):
        load_digits().batch.space.batch({"label": [11], "x": np.zeros((1, 8, 8))})


def test_a_run_whose_loss_is_not_finite_fails_by_name(small: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", small, "--set", "model.options.rate=1.0e+30", "--out", str(out)])
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "LossError" in text
    assert "reduce the learning rate" in text


def test_without_torch_the_extra_is_named(small: str) -> None:
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Hidden())
from nashgossip.runners.command import app
sys.argv = ["nashgossip", "run", {small!r}]
app()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "needs the extra 'neural', and torch is not installed" in " ".join(done.stderr.split())


def test_black_boxes_learn_what_the_data_has() -> None:
    model = black_box("gaussian-mixture", {"n_components": 2, "rows": 100}, load_digits(), 0)()
    assert model.space.names == ("x",)
    rows = model.space.batch({"x": load_digits().batch["x"][:50]})
    model.learn([Source(rows, 1.0)], np.random.default_rng(0))
    assert len(model.generate(3, np.random.default_rng(0))) == 3


# --- what a run is watched with ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [["ring", "data.judge=true"], ["ring", "data.test={}"], ["fleet", "play.looks=5"], ["fleet", "data.judge=true"]],
)
def test_what_cannot_be_watched_is_refused_before_anything_is_written(settings: list[str], tmp_path: Path) -> None:
    name, *changes = settings
    small_fleet = ["topology.arguments={n: 100, k: 4}"] if name == "fleet" else []
    arguments = [f"--set={s}" for s in [*changes, *small_fleet]]
    result = CliRunner().invoke(app, ["run", name, *arguments, "--out", str(tmp_path / "none")])
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "none").exists()


def test_few_measured_rows_leave_distances_out_and_no_label_no_accuracy(tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = ["runner=rounds", "moves=1", "measure=20", "regret_steps=0", "looks=2", "data.test_share=0.1"]
    arguments = [f"--set={s}" for s in settings]
    result = CliRunner().invoke(app, ["run", "digits-hvae", *arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    for player in json.loads((out / "players.json").read_text()):
        assert player["quality"] == {"frechet": {}, "two_sample": None, "p_value": None}
        assert player["accuracy"] is None
        assert player["total_variation"] is not None


def test_a_prior_of_the_top_latents_may_depend_on_the_class() -> None:
    """Each bit of z0 is learned to be the class; a prior whose first bit does not see the class could not be."""
    x, c = Variable("x", "binary", (8, 8)), Variable("c", "categorical", categories=2)
    model = HVAE(x, {"z0": 3}, label=c, architecture=Fast(16), batch=50, steps=400, rate=1e-2)
    labels = np.arange(200) % 2
    rows = {"c": labels, "z0": np.repeat(labels[:, None], 3, axis=1), "x": np.zeros((200, 8, 8), int)}
    model.learn([Source(model.space.batch(rows), 1.0)], np.random.default_rng(0))
    made = model.generate(400, np.random.default_rng(1))
    assert (made["z0"] == made["c"][:, None]).mean(axis=0).min() > 0.95
