"""Hospitals: who has which rows under each method, the same tests for all, and listening against alone and pooled."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from nashgossip.games import Batch, Game, SpaceError, load_breast_cancer, split_iid
from nashgossip.games.splits import SplitError
from nashgossip.runners import ExperimentError, Looks, load_experiment, play
from nashgossip.runners.command import app
from nashgossip.runners.neural_games import build_looks, build_watch
from nashgossip.runners.playing import ENGINES
from nashgossip.runners.staging import build_game
from nashgossip.topology import UnknownNameError

METHODS = ["alone", "listening", "pooled"]
PLAYERS = "01234"


def built(*settings: str, source: str = "hospitals", watched: bool = False) -> tuple[Game, Looks]:
    """The game, and how it is looked at; with `watched` all that a run is watched by is made."""
    plan = load_experiment(source, list(settings))
    game = build_game(plan)
    assert isinstance(game, Game)
    return game, build_watch(plan, game)[0] if watched else build_looks(plan, game.players)


def rows_of_tests(looks: Looks, player: Any) -> Batch:
    rows = looks.test_of(player)
    assert rows is not None
    return rows


# --- who has which rows ------------------------------------------------------------------------------------------


def test_each_feature_is_measured_by_two_hospitals_and_neighbours_share_two() -> None:
    game, _ = built()
    measured = {p: set(game.space(p).names) - {"diagnosis"} for p in game.players}
    features = set(load_breast_cancer().batch.space.names) - {"diagnosis"}
    assert all(sum(f in m for m in measured.values()) == 2 for f in features)
    for p in game.players:
        for q in game.graph.pred[p]:
            if q != p:
                assert len(measured[p] & measured[q]) == 2
                assert set(game.edge_space(q, p).names) == {"diagnosis"} | (measured[p] & measured[q])


def test_nobody_has_a_patient_of_another_or_of_the_tests() -> None:
    game, looks = built()
    whole = load_breast_cancer()
    position = {tuple(row): k for k, row in enumerate(whole.batch["radius"].tolist())}
    assert len(position) == len(whole)
    found: list[set[int]] = []
    for p in game.players:
        rows = game.specs[p].data
        assert isinstance(rows, Batch)
        assert len(rows) == 25
        name = next(v.name for v in rows.space if v.kind == "real")
        columns = [tuple(row) for row in whole.batch[name].tolist()]
        found.append({columns.index(tuple(row)) for row in rows[name].tolist()})
    tests = {position[tuple(row)] for row in rows_of_tests(looks, 0)["radius"].tolist()}
    assert len(tests) == round(0.4 * len(whole))
    assert all(not a & b for a, b in itertools.combinations([*found, tests], 2))


def test_all_methods_of_a_seed_have_the_same_rows_and_tests_and_another_seed_has_others() -> None:
    games = {m: built(f"method={m}") for m in METHODS}
    other, other_looks = built("seed=1")
    for p in range(5):
        tests = [rows_of_tests(looks, p) for _, looks in games.values()]
        assert tests[0] == tests[1] == tests[2]
        assert tests[0] != rows_of_tests(other_looks, p)
        own = [game.specs[p].parts[0] for game, _ in games.values()]
        assert own[0] == own[1] == own[2]
        assert own[0] != other.specs[p].parts[0]
    shares = [np.bincount(rows_of_tests(looks, 0)["diagnosis"]) for _, looks in (games["alone"], (other, other_looks))]
    np.testing.assert_array_equal(shares[0], shares[1])  # each class in proportion


def test_pooled_rows_are_all_rows_over_what_their_owner_and_the_model_measure() -> None:
    alone, pooled = (built(f"method={m}")[0] for m in ("alone", "pooled"))
    for p in pooled.players:
        parts, model = pooled.specs[p].parts, pooled.space(p)
        owners = [p, *(q for q in pooled.players if q != p)]
        assert pooled.specs[p].rows == 125
        for part, q in zip(parts, owners, strict=True):
            rows = alone.specs[q].parts[0]
            assert set(part.space.names) == set(model.names) & set(rows.space.names)
            assert part == rows.restrict(part.space)
        shares = pooled.specs[p].class_shares
        counts = sum(np.bincount(alone.specs[q].parts[0]["diagnosis"], minlength=2) for q in alone.players)
        np.testing.assert_allclose(shares, counts / 125)  # type: ignore[arg-type]


# --- what it comes to --------------------------------------------------------------------------------------------


def scores(method: str, seed: int, *settings: str) -> NDArray[np.float64]:
    """Log-density, log-probability of the diagnosis, and area under the curve, of each hospital: `[3, 5]`."""
    plan = load_experiment("hospitals", [f"method={method}", f"seed={seed}", *settings])
    game = build_game(plan)
    assert isinstance(game, Game)
    looks, examiner = build_watch(plan, game)
    asked = Looks(0, 2, 0, looks.test, looks.label)
    outcome = play(game, "rounds", seed=seed, moves=plan.play.moves, looks=asked, examiner=examiner)
    found = [p.scores for p in outcome.players]
    return np.array([[getattr(s, name) for s in found] for name in ("log_density", "log_class", "auc")])


def test_listening_predicts_better_than_alone_in_every_hospital_over_five_splits() -> None:
    """Per hospital the mean gain is above 0; over all it is so by more than two standard errors over splits."""
    quick = ("play.moves=25", "play.samples=300")
    gains = np.array([scores("listening", s, *quick) - scores("alone", s, "play.moves=1") for s in range(5)])
    assert (gains.mean(axis=0) > 0).all()
    overall = gains.mean(axis=2)
    errors = overall.std(axis=0, ddof=1) / np.sqrt(5)
    assert (overall.mean(axis=0) > 2 * errors).all()


def test_hospitals_that_share_the_diagnosis_alone_learn_how_often_it_is_and_nothing_else() -> None:
    """p(x | c) stays as it was, so that the order in which patients are ranked does too; class shares become Σ B h."""
    alone = scores("alone", 0, "play.moves=1")
    heard = scores("listening", 0, "graph=diagnosis", "play.moves=15")
    np.testing.assert_allclose(heard[2], alone[2], atol=1e-9)
    assert np.abs(heard[1] - alone[1]).max() > 1e-3  # the shares of the diagnoses have moved
    blocks = scores("listening", 0, "play.moves=3")
    assert np.abs(blocks[2] - alone[2]).max() > 1e-3  # where features travel, the order changes


def test_one_command_writes_figures_of_every_hospital(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["run", "hospitals", "--set", "moves=3", "--set", "samples=100", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    players = json.loads((out / "players.json").read_text())
    assert all(0.5 < p["auc"] < 1 and p["log_class"] < 0 and np.isfinite(p["log_density"]) for p in players)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["auc"]["max"] == max(p["auc"] for p in players)


@pytest.mark.parametrize("runner", ["virtual", pytest.param("ray", marks=pytest.mark.slow)])
def test_tests_are_the_same_on_every_engine(runner: str) -> None:
    assert runner in ENGINES
    plan = load_experiment("hospitals", [])
    game = build_game(plan)
    assert isinstance(game, Game)
    looks, _ = build_watch(plan, game)
    asked = Looks(0, 2, 0, looks.test, looks.label)
    options: dict[str, Any] = {"mode": "synchronous", "workers": 1} if runner == "ray" else {}
    rounds = play(game, "rounds", seed=2, moves=3, looks=asked)
    other = play(game, runner, seed=2, moves=3, looks=asked, **options)
    assert rounds.looks[0].scores == other.looks[0].scores  # before the first move nobody has heard anybody
    if runner == "ray":
        assert rounds.looks[-1].scores == other.looks[-1].scores


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (["model.options.step={sise: 1}"], UnknownNameError, "'size'"),
        (["model.options.smooth=1"], UnknownNameError, "'smoothing'"),
        (["model.options.covariance=full"], ValueError, "expected 'shared' or 'per-class'"),
        (["data.split.options.rows=100"], SplitError, "too few for 5 players"),
        (["data.split.options.rows=0"], SplitError, "rows is 0"),
        (["data.pool=true", "data.distil=true"], ExperimentError, "'distil' means nothing with data.pool"),
        (["data.test={part: test}"], ExperimentError, "'test_share' means nothing with data.test"),
        (["data.test={}", "data.test_share=0"], ExperimentError, "chooses the same rows as data.options"),
        (["data.test={part: test}", "data.test_share=0"], ExperimentError, "among the private rows .part 'all'."),
        (["data.players={'9': {}}"], UnknownNameError, "player in data.players"),
        (["data.players={'0': {standardise: false}}"], UnknownNameError, "'standardize'"),
        (["model.players.0={options: {variables: [diagnosis, radious]}}"], UnknownNameError, "'radius'"),
        (["data.test_share=1.0"], ExperimentError, "test_share"),
        (["data.judge=true"], ExperimentError, "data.judge needs images"),
    ],
)
def test_wrong_requests_are_refused_by_name(settings: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        built(*settings, watched=True)


def test_tests_come_from_one_place_and_have_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(60, 2)), c=np.arange(60) % 2)
    for settings, message in (
        (["data.label=c", "data.test={part: test}"], "option 'test' means nothing with data.source npz"),
        (["data.test_share=0.5"], "data.test_share needs labels, which data set 'rows' has not"),
    ):
        (tmp_path / "one.yaml").write_text(
            "name: one\ntopology: {generator: complete, arguments: {n: 2}}\n"
            f"data: {{source: npz, file: {path}}}\nmodel: {{kind: conditional-gaussian, options: {{variables: [x]}}}}\n"
        )
        with pytest.raises(ExperimentError, match=message):
            built(*settings, source=str(tmp_path / "one.yaml"))


def test_so_many_rows_to_each_and_the_others_to_nobody() -> None:
    parts = split_iid(30, 4, np.random.default_rng(0), rows=3)
    assert [len(p) for p in parts] == [3] * 4
    assert len(np.unique(np.concatenate(parts))) == 12
    all_dealt = split_iid(30, 4, np.random.default_rng(0))
    assert sum(map(len, all_dealt)) == 30


def test_pooling_needs_one_meaning_of_a_name() -> None:
    from nashgossip.games import Space, Variable
    from nashgossip.runners.pooled_rows import pooled_rows

    spaces = [Space((Variable("x", "real", shape),)) for shape in ((), (2,))]
    rows: list[Any] = [spaces[0].batch({"x": [0.0]}), spaces[1].batch({"x": [[0.0, 1.0]]})]
    with pytest.raises(SpaceError, match="rename one of them"):
        pooled_rows(spaces, rows)
