"""Rows that are read where players run: nobody else holds them, theory says the same, and the players are the same."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ray import cloudpickle
from typer.testing import CliRunner

from nashgossip.agents import Seat, seats
from nashgossip.games import ARRAY_GRAPHS, Game, NoClosedFormError, PlayerSpec, oracle_of, predict
from nashgossip.runners import (
    Examiner,
    Experiment,
    ExperimentError,
    answer_here,
    build_game,
    build_lean_game,
    forget_specs,
    lean_game,
    load_experiment,
    spec_here,
    spec_sources,
    specs_here,
    summaries,
    summary_here,
)
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment
from nashgossip.runners.neural_games import build_watch
from nashgossip.runners.session import engine_options, staged
from nashgossip.topology import UnknownNameError

NAMES = ("ann", "bob", "cyd")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Tests share a process."""
    forget_specs()
    yield
    forget_specs()


def planted(path: Path, names: tuple[str, ...] = NAMES, rows: int = 12) -> dict[str, np.ndarray[Any, Any]]:
    """A file for each player, with rows that nothing else could be: player → `x`, `[rows, 2]`."""
    found = {}
    for k, name in enumerate(names):
        rng = np.random.default_rng(k)
        found[name] = 1000 * (k + 1) + rng.normal(size=(rows + k, 2))
        np.savez(path / f"{name}.npz", x=found[name], c=rng.integers(0, k + 1, rows + k))
    return found


def experiment(path: Path, where: str = "players", model: dict[str, Any] | None = None, **data: Any) -> Experiment:
    """Three players on a path, each with a file of its own."""
    files = {name: {"file": str(path / f"{name}.npz")} for name in NAMES}
    return Experiment.model_validate(
        {
            "name": "local",
            "seed": 3,
            "topology": {"generator": "edges", "arguments": {"edges": [["ann", "bob"], ["bob", "cyd"]]}},
            "data": {
                "source": "npz",
                "label": "c",
                "options": {"classes": 3},
                "players": files,
                "where": where,
                **data,
            },
            "model": model or {"family": "class-conditional-gaussian", "smoothing": 1.0},
            "play": {"runner": "ray", "samples": 20, "moves": 4},
        }
    )


BOXES = {"kind": "conditional-gaussian", "options": {"smoothing": 1.0}}
"""Black boxes, over the class and x."""


def builtin(name: str, where: str, *more: str) -> Experiment:
    changes = ["play.runner=ray", "data.judge=false", f"data.where={where}", *more]
    return load_experiment(name, changes)


def built(plan: Experiment) -> Game:
    game = build_game(plan)
    assert isinstance(game, Game)
    return game


def played(made: list[Seat], moves: int = 3) -> list[bytes]:
    """All that players tell each other in rounds, and how they fare on what they hold out."""
    players = {seat.name: seat.build() for seat in made}
    said, found = [player.open() for player in players.values()], []
    for _ in range(moves):
        for move in said:
            for listener, message in move.messages.items():
                found += [array.tobytes() for array in message.wire()[2].values()]
                assert players[listener].receive(message) is None
        said = [player.move() for player in players.values()]
    assert found
    return [*found, repr([player.held_out() for player in players.values()]).encode()]


# --- what the process that starts the game holds ------------------------------------------------------------


@pytest.mark.parametrize("model", [None, BOXES])
def test_rows_are_in_the_game_of_the_driver_and_in_no_lean_game_or_seat(
    model: dict[str, Any] | None, tmp_path: Path
) -> None:
    rows = [row.tobytes() for x in planted(tmp_path).values() for row in x]
    values = [value.tobytes() for x in planted(tmp_path).values() for value in x.ravel()]
    whole = built(experiment(tmp_path, "driver", model))
    carried = cloudpickle.dumps((whole, seats(whole, 3)))
    assert all(row in carried for row in rows)
    plan = experiment(tmp_path, model=model)
    lean = build_lean_game(plan, answer_here)
    carried = cloudpickle.dumps((plan, lean, seats(lean, 3, spec_sources(plan))))
    assert not any(value in carried for value in values)


def test_a_player_s_process_opens_its_own_file_alone(tmp_path: Path) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path)
    text, everywhere = dump_experiment(plan), built(experiment(tmp_path, "driver"))
    for absent in ("ann", "cyd"):
        (tmp_path / f"{absent}.npz").unlink()
    assert spec_here(text, "bob").data == everywhere.specs["bob"].data
    assert summary_here(text, "bob").rows == everywhere.specs["bob"].rows
    for read in (spec_here, summary_here):
        with pytest.raises(ValueError, match=r"ann.npz cannot be read"):
            read(text, "ann")
    with pytest.raises(ValueError, match=r"ann.npz cannot be read"):
        summaries(text)


def test_each_is_asked_for_its_own_data_and_one_process_for_data_that_is_dealt_out(tmp_path: Path) -> None:
    planted(tmp_path)
    asked: list[list[Hashable] | None] = []

    def ask(text: str, players: list[Hashable] | None) -> list[PlayerSpec]:
        asked.append(players)
        return answer_here(text, players)

    build_lean_game(experiment(tmp_path), ask)
    build_lean_game(builtin("digits", "players"), ask)
    assert asked == [["ann", "bob", "cyd"], None]


# --- theory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("digits", []),
        ("ring", []),
        ("digits", ["data.split={kind: quantity, options: {exponent: 0.5}}", "scheme=size"]),
    ],
)
def test_theory_of_the_lean_game_is_that_of_the_game(name: str, more: list[str]) -> None:
    whole = built(builtin(name, "driver", *more))
    plan = builtin(name, "players", *more)
    lean = build_lean_game(plan, answer_here)
    assert lean.players == whole.players
    assert [*lean.graph.edges(data="alpha")] == [*whole.graph.edges(data="alpha")]
    here, there = oracle_of(whole), oracle_of(lean)
    assert np.asarray(there.equilibrium).tobytes() == np.asarray(here.equilibrium).tobytes()
    assert repr(predict(lean)) == repr(predict(whole))
    watch, whole_watch = build_watch(plan, lean)[1], build_watch(builtin(name, "driver", *more), whole)[1]
    assert watch is not None
    assert whole_watch is not None
    assert repr(watch.predicted) == repr(whole_watch.predicted)
    assert (watch.predicted is None) == (name == "ring")
    assert [watch.own_classes(p) for p in lean.players] == [whole_watch.own_classes(p) for p in whole.players]


def test_black_boxes_have_their_predicted_mixtures(tmp_path: Path) -> None:
    planted(tmp_path)
    whole = built(experiment(tmp_path, "driver", BOXES))
    plan = experiment(tmp_path, model=BOXES)
    lean = build_lean_game(plan, answer_here)
    found, expected = (build_watch(plan, game)[1] for game in (lean, whole))
    assert found is not None
    assert expected is not None
    assert found.predicted is not None
    assert repr(found.predicted) == repr(expected.predicted)
    assert [found.own_classes(p) for p in NAMES] == [expected.own_classes(p) for p in NAMES] == [[0], [0, 1], [0, 1, 2]]


def test_the_label_is_known_where_players_have_several_categorical_variables() -> None:
    plan = builtin("tables", "players")
    lean = build_lean_game(plan, answer_here)
    whole = built(builtin("tables", "driver"))
    assert [s.summary and s.summary.label for s in lean.specs.values()] == [s.label for s in whole.specs.values()]
    with pytest.raises(NoClosedFormError, match="rows of player"):
        oracle_of(lean)
    found, expected = (build_watch(p, g)[1] for p, g in ((plan, lean), (builtin("tables", "driver"), whole)))
    assert isinstance(found, Examiner)
    assert isinstance(expected, Examiner)
    assert found.label == expected.label


# --- players ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (None, {"split": {"kind": "iid", "options": {"rows": 9}}}),
        (BOXES, {}),
        (BOXES, {"observed": {"ann": ["x"], "default": ["c", "x"]}, "missing": {"cyd": {"c": 0.5}}, "noise": 0.5}),
    ],
)
def test_players_of_files_of_their_own_are_the_same_to_the_last_bit(
    model: dict[str, Any] | None, data: dict[str, Any], tmp_path: Path
) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path, model=model, **data)
    lean = build_lean_game(plan, answer_here)
    here = played(seats(built(experiment(tmp_path, "driver", model, **data)), 3))
    assert played(seats(lean, 3, spec_sources(plan))) == here
    assert played(seats(lean, 4, spec_sources(plan))) != here


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("digits", []),
        ("ring", []),
        ("tables", []),
        ("hospitals", ["data.test_share=0", "data.missing={default: {diagnosis: 0.3}}"]),
    ],
)
def test_players_who_share_a_data_set_out_are_the_same_to_the_last_bit(name: str, more: list[str]) -> None:
    plan = builtin(name, "players", *more)
    lean = build_lean_game(plan, answer_here)
    made = seats(lean, 1, spec_sources(plan))
    assert played(made, 2) == played(seats(built(builtin(name, "driver", *more)), 1), 2)


def test_another_process_builds_the_same_players(tmp_path: Path) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path)
    made = seats(build_lean_game(plan, answer_here), 3, spec_sources(plan))
    (tmp_path / "seats").write_bytes(cloudpickle.dumps(made))
    program = (
        "import pickle, sys\n"
        "made = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for seat in made:\n"
        "    for message in seat.build().open().messages.values():\n"
        "        print(*(a.tobytes().hex() for a in message.wire()[2].values()))\n"
        "assert 'ray' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "seats")], capture_output=True, text=True, timeout=60, check=True
    )
    here = [
        " ".join(a.tobytes().hex() for a in message.wire()[2].values())
        for seat in seats(built(experiment(tmp_path, "driver")), 3)
        for message in seat.build().open().messages.values()
    ]
    assert done.stdout.splitlines() == here


# --- what stays in memory -----------------------------------------------------------------------------------


def test_data_is_read_once_a_process_and_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "all.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(30, 2)))
    plan = experiment(tmp_path, file=str(path), label=None, options={}, players={}, holdout=0.2)
    plan = plan.model_copy(update={"model": plan.model.model_copy(update={"family": "gaussian"})})
    text = dump_experiment(plan)
    first, player = specs_here(text), spec_here(text, "ann")
    path.unlink()
    assert spec_here(text, "ann") is player is first["ann"]
    assert set(first) == set(NAMES)
    other = weakref.ref(first["bob"])
    del first
    gc.collect()
    assert other() is not None
    forget_specs()
    gc.collect()
    assert other() is None
    assert player.rows == 8
    with pytest.raises(ValueError, match=r"all.npz cannot be read"):
        spec_here(text, "ann")


def test_players_built_at_once_read_their_data_once() -> None:
    text = dump_experiment(builtin("ring", "players"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: spec_here(text, k % 2), range(8)))
    assert all(spec is found[k % 2] for k, spec in enumerate(found))
    assert found[0].data != found[1].data


def with_rows() -> int:
    """Specifications with rows that are alive in this process."""
    gc.collect()
    return sum(type(o) is PlayerSpec and o.data is not None for o in gc.get_objects())


def test_nothing_is_kept_of_a_file_of_one_s_own_nor_of_summaries(tmp_path: Path) -> None:
    planted(tmp_path)
    text = dump_experiment(experiment(tmp_path))
    kept = weakref.ref(spec_here(text, "bob"))
    gc.collect()
    assert kept() is None
    before = with_rows()
    assert [summary_here(text, name).rows for name in NAMES] == [spec.rows for spec in summaries(text)] == [10, 10, 11]
    assert with_rows() == before
    everything = specs_here(text)
    assert with_rows() == before + len(everything)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("runner", ["rounds", "virtual", "fleet"])
def test_other_runners_have_no_processes_of_players(runner: str, tmp_path: Path) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path)
    plan = plan.model_copy(update={"play": plan.play.model_copy(update={"runner": runner})})
    words = f"data.where is 'players', but runner '{runner}' has no processes of players"
    with pytest.raises(ExperimentError, match=words):
        build_lean_game(plan, answer_here)
    (tmp_path / "plan.yaml").write_text(dump_experiment(plan))
    for command in (["run", "--out", str(tmp_path / "out")], ["topology"]):
        result = CliRunner().invoke(app, [command[0], str(tmp_path / "plan.yaml"), *command[1:]])
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("judge", True), ("pool", True), ("distil", True), ("test", {"part": "test"}), ("test_share", 0.1)],
)
def test_what_needs_rows_in_the_laboratory_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    def ask(text: str, players: list[Hashable] | None) -> list[PlayerSpec]:
        raise AssertionError("nothing may be read")

    with pytest.raises(
        ExperimentError, match=rf"data.{key} needs rows in the laboratory, which has none with data.where"
    ):
        build_lean_game(experiment(tmp_path, **{key: value}), ask)


def test_a_graph_of_arrays_has_no_players() -> None:
    changes = [f"topology={{generator: {sorted(ARRAY_GRAPHS)[0]}, arguments: {{n: 20}}}}"]
    with pytest.raises(ExperimentError, match=r"but generator '.*' makes arrays, without players"):
        build_lean_game(builtin("ring", "players", *changes), answer_here)


def test_summaries_that_do_not_make_the_game_are_refused(tmp_path: Path) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path)
    found = summaries(dump_experiment(plan))
    assert lean_game(plan, found).players == list(NAMES)
    with pytest.raises(ExperimentError, match="summaries of 2 players came, expected one for each of 3"):
        lean_game(plan, found[:2])
    rows = spec_here(dump_experiment(plan), "bob")
    with pytest.raises(ExperimentError, match="rows of player bob came, expected specifications without rows"):
        lean_game(plan, [found[0], rows, found[2]])


def test_rows_are_not_read_by_those_who_should_not(tmp_path: Path) -> None:
    """Nobody to ask is an error; it is not answered by reading here."""
    plan = experiment(tmp_path)  # there are no files
    with pytest.raises(ExperimentError, match="data.where is 'players', so that rows are not read here"):
        build_game(plan)
    with pytest.raises(ExperimentError, match="data.where is 'players', but there is no process to ask"):
        staged(plan)


def test_nobody_reads_for_a_player_who_does_not_play(tmp_path: Path) -> None:
    planted(tmp_path)
    with pytest.raises(ExperimentError, match="data.where names player 'dan'; the players are ann, bob, cyd"):
        spec_here(dump_experiment(experiment(tmp_path)), "dan")


def test_what_is_said_of_a_player_s_variables_is_checked_where_its_data_is(tmp_path: Path) -> None:
    planted(tmp_path)
    text = dump_experiment(experiment(tmp_path, model=BOXES, observed={"ann": ["y"]}))
    with pytest.raises(UnknownNameError, match=r"variable of data set 'ann' in data.observed.ann, 'y'"):
        summary_here(text, "ann")
    assert summary_here(text, "bob").rows == 10


def test_an_option_that_npz_has_not_is_refused(tmp_path: Path) -> None:
    planted(tmp_path)
    with pytest.raises(UnknownNameError, match="unknown option of data.source npz, 'fil'; did you mean 'file'"):
        built(experiment(tmp_path, "driver", players={"default": {"fil": "x.npz"}}))


# --- the command --------------------------------------------------------------------------------------------


def test_the_engine_is_handed_what_reads_rows_where_players_run(tmp_path: Path) -> None:
    planted(tmp_path)
    plan = experiment(tmp_path)
    game = staged(plan, answer_here)
    assert isinstance(game, Game)
    options = engine_options(plan, game)
    assert played(seats(game, 3, options["source"])) == played(seats(built(experiment(tmp_path, "driver")), 3))
    assert "source" not in engine_options(experiment(tmp_path, "driver"), game)


def test_where_is_driver_unless_told_and_nothing_else(tmp_path: Path) -> None:
    assert load_experiment("digits").data.where == "driver"
    (tmp_path / "odd.yaml").write_text(
        yaml.safe_dump({"name": "odd", "topology": {"generator": "ring", "arguments": {"n": 3}},
                        "model": {"family": "gaussian"}, "data": {"where": "cloud"}})
    )  # fmt: skip
    with pytest.raises(ExperimentError, match="data.where: .*driver.*players.*came: 'cloud'"):
        load_experiment(str(tmp_path / "odd.yaml"))
