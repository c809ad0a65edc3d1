"""The run directory: new, self-describing, and never another's."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from nashgossip.games import Game
from nashgossip.runners import Outcome, RunDirectory, RunDirectoryError, build_game, load_experiment, play
from nashgossip.runners.experiment import dump_experiment
from nashgossip.topology import read_graph

PLAN = load_experiment("ring", ["moves=5", "samples=20"])


@pytest.fixture(scope="module")
def game() -> Game:
    return build_game(PLAN)


@pytest.fixture(scope="module")
def outcome(game: Game) -> Outcome:
    return play(game, seed=PLAN.seed, moves=5)


def test_a_directory_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RunDirectoryError, match="exists already; choose another --out, or move it away"):
        RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError, match="exists already"):
        RunDirectory(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="cannot be made: Not a directory; choose another --out"):
        RunDirectory(tmp_path / "file" / "run")


def test_parents_are_made(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path / "a" / "b").path.is_dir()


def test_fresh_directories_of_one_second_differ(tmp_path: Path) -> None:
    made = [RunDirectory.fresh("digits", tmp_path / "runs").path for _ in range(3)]
    assert len(set(made)) == 3
    assert all(path.is_dir() and path.name.startswith("digits-") for path in made)


def test_it_tells_what_is_played_before_it_is(tmp_path: Path, game: Game) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.describe(dump_experiment(PLAN), game, PLAN.seed)
    assert load_experiment(str(directory.path / "experiment.yaml")) == PLAN
    assert yaml.safe_load((directory.path / "experiment.yaml").read_text("utf-8"))["play"]["moves"] == 5
    about = json.loads((directory.path / "about.json").read_text("utf-8"))
    assert about["seed"] == PLAN.seed
    assert {"numpy", "networkx", "ray"} <= {name for name, found in about["versions"].items() if found}
    assert {"started", "python", "platform"} <= set(about)
    graph: Any = read_graph(directory.path / "graph.graphml")
    played: Any = game.graph
    found, expected = ({(str(j), str(i)): a for j, i, a in g.edges(data="alpha")} for g in (graph, played))
    assert found == expected
    assert not (directory.path / "summary.json").exists()


def test_it_tells_what_came_of_it(tmp_path: Path, outcome: Outcome) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.conclude(outcome)
    assert json.loads((directory.path / "summary.json").read_text("utf-8")) == outcome.summary()
    players = json.loads((directory.path / "players.json").read_text("utf-8"))
    assert [p["player"] for p in players] == [str(n) for n in range(10)]
    assert [p["regret"] for p in players] == [p.regret for p in outcome.players]
    assert [p["moves"] for p in players] == [5] * 10


def test_figures_that_are_not_finite_are_null(tmp_path: Path, outcome: Outcome) -> None:
    odd = dataclasses.replace(outcome.players[0], regret=math.inf, held_out=-math.inf, error=math.nan)
    directory = RunDirectory(tmp_path / "run")
    directory.conclude(dataclasses.replace(outcome, players=[odd, *outcome.players[1:]]))

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    players = json.loads((directory.path / "players.json").read_text("utf-8"), parse_constant=refuse)
    assert (players[0]["regret"], players[0]["held_out"], players[0]["error"]) == (None, None, None)
