"""Room on this machine: a game far beyond it is refused before anything of Ray is started."""

import re
from pathlib import Path

import networkx as nx
import pytest
import ray
from typer.testing import CliRunner

from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.runners import Deployment, command, play
from nashgossip.runners.cluster_room import PLAYER_BYTES, require_space
from nashgossip.runners.start_estimate import BYTES_PER_PROCESS, PROCESSES_PER_CPU, TooLargeError
from nashgossip.topology import attach_alpha


def game_of(players: int, rows: int = 1, samples: int = 1) -> Game:
    family = Gaussian((1,))
    graph = attach_alpha(nx.cycle_graph(players), 0.5)
    data = family.space.batch({"x": [[0.0]] * rows})
    spec = PlayerSpec(family=family, data=data, samples=samples, smoothing=1.0)
    return Game(graph, dict.fromkeys(graph, spec))


def test_a_game_far_beyond_the_machine_is_refused_before_anything_is_started() -> None:
    with pytest.raises(TooLargeError, match="^500 players in 500 processes: about .* but .*; put more players into"):
        play(game_of(500), "ray", moves=5, deployment=Deployment(workers=2))
    assert not ray.is_initialized()


def test_players_who_share_processes_fit_and_so_does_what_is_wanted_all_the_same() -> None:
    game = game_of(500)
    together = require_space(game, Deployment(workers=2, players_per_actor=50))
    assert (together.processes, together.players) == (10, 500)
    wanted = require_space(game, Deployment(workers=2, oversubscribe=True))
    assert wanted.processes == 500 > PROCESSES_PER_CPU * 2
    assert not ray.is_initialized()


def test_rows_and_letters_are_reckoned_in() -> None:
    few, many = (require_space(game_of(3, rows, samples), Deployment()) for rows, samples in ((1, 1), (1001, 101)))
    assert few.memory == 3 * (BYTES_PER_PROCESS + PLAYER_BYTES + 8 * (1 + 2 * 2))
    assert many.memory - few.memory == 3 * 8 * (1000 + 2 * 2 * 100)


def test_the_command_refuses_it_with_status_2(tmp_path: Path) -> None:
    settings = ["play.workers=1", "topology.arguments.n=200", "play.runner=ray"]
    result = CliRunner().invoke(
        command.app, ["run", "ring", "--json", "--out", str(tmp_path / "run"), *(f"--set={s}" for s in settings)]
    )
    assert result.exit_code == 2
    assert result.stdout == ""
    told = re.sub(r"\s+", " ", result.stderr)
    assert "error: 200 players in 200 processes: about" in told
    assert re.search(
        r"but (1 CPUs take at most 100 processes \(100 each\)|only .* of memory is available); put more", told
    )
    assert "set cluster.oversubscribe: true to try all the same" in told
    assert not ray.is_initialized()


def test_a_player_that_does_not_play_is_refused_with_status_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command.app,
        ["run", "ring", "--runner", "ray", "--out", str(tmp_path / "run"), "--set", "cluster.nodes={zoe: {a: b}}"],
    )
    assert result.exit_code == 2
    assert "cluster.nodes names player zoe, who does not play" in re.sub(r"\s+", " ", result.stderr)
    assert not (tmp_path / "run").exists()
