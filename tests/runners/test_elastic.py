"""The experiment `elastic` and its keys: what is told of players that come and go, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from nashgossip.games import Game
from nashgossip.runners import ExperimentError, build_game, command, load_experiment, read_records
from nashgossip.runners.checkpoint import checkpoints
from nashgossip.runners.pictures import draw_convergence
from nashgossip.runners.playing import play
from nashgossip.runners.session import engine_options
from nashgossip.topology import SequenceError, UnknownNameError

QUICK = ["play.samples=200", "play.every=2.0"]
SHORT = ["changes.events=[[10, '8', join], [20, '0', leave]]", "play.moves=100"]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)


def sets(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def options_of(*settings: str) -> dict[str, Any]:
    plan = load_experiment("elastic", list(settings))
    return engine_options(plan, build_game(plan))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("elastic") / "run"
    return folder, call("run", "elastic", "--out", str(folder), "--json", *sets(*QUICK))


def test_it_ends_converged_at_the_floor_of_the_last_graph(run: tuple[Path, Result]) -> None:
    folder, result = run
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    options = options_of(*QUICK)
    assert summary["outcome"] == "converged"
    assert summary["players"] == 10
    assert [(c["time"], c["joined"], c["left"], c["players"], c["rule"]) for c in summary["changes"]] == [
        (40.0, ["8"], [], 9, "proportional"),
        (80.0, ["9"], [], 10, "proportional"),
        (120.0, [], ["0"], 9, "proportional"),
    ]
    last = summary["changes"][-1]
    assert last["spectral_radius"] == summary["predicted"]["spectral_radius"]
    assert last["noise_floor_rms"] == summary["predicted"]["noise_floor_rms"]
    assert last["error_rms"] == pytest.approx(summary["equilibrium_error"]["rms"], rel=0.3)
    assert options["graphs"].absent[-1] == {0}
    players = json.loads((folder / "players.json").read_text("utf-8"))
    assert [p["present"] for p in players] == [False] + [True] * 9
    assert (players[0]["error"], players[0]["regret"], players[0]["floor"]) == (None, None, None)
    assert players[0]["moves"] < 0.6 * players[1]["moves"]


def test_each_change_is_told_as_it_comes(run: tuple[Path, Result]) -> None:
    told = re.sub(r"\s+", " ", run[1].stderr)
    for change in json.loads(run[1].stdout)["changes"]:
        who = f"{change['joined'][0]} joined" if change["joined"] else f"{change['left'][0]} left"
        shift = change["shift"]
        assert (
            f"t = {change['time']:g}: {who} ({change['players']} players, rule proportional); "
            f"ρ {change['spectral_radius']:.3g}, noise floor {change['noise_floor_rms']:.3g}; "
            f"the largest shift of an equilibrium is {shift['max']:.3g} (player {shift['player']})"
        ) in told


def test_records_know_no_error_of_the_absent(run: tuple[Path, Result]) -> None:
    table = read_records(run[0] / "records", "players").to_pylist()
    unknown = {(r["time"], r["player"]) for r in table if r["error"] is None or np.isnan(r["error"])}
    times = sorted({r["time"] for r in table})
    expected = {(t, "8") for t in times if t < 40} | {(t, "9") for t in times if t < 80}
    assert unknown == expected | {(t, "0") for t in times if t >= 120}
    assert all(np.isfinite(read_records(run[0] / "records")["error_rms"].to_numpy()))


def test_the_table_and_the_panel_say_who_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("run", "elastic", "--out", "run", *sets(*QUICK, *SHORT))
    assert result.exit_code == 0, result.output
    told = re.sub(r"[\s│]+", " ", result.stderr)
    assert "0 (absent) – –" in told
    assert re.search(r"8 joined .* measured before the next change: RMS error 0\.\d+", told)


def test_pictures_show_the_changes() -> None:
    plan = load_experiment("elastic", [*QUICK, *SHORT])
    outcome = play(build_game(plan), "virtual", seed=0, moves=100, **engine_options(plan, build_game(plan)))
    figure = draw_convergence(outcome)
    assert figure is not None
    lines = {str(line.get_label()): np.asarray(line.get_xdata(), float) for line in figure.axes[0].get_lines()}
    assert lines["predicted floor"].tolist() == [20.0, 100.0]
    assert [x.tolist() for x in lines.values()].count([10.0, 10.0]) == 1


def test_it_is_known_before_play(run: tuple[Path, Result]) -> None:
    result = call("topology", "elastic", "--json", *sets(*QUICK))
    planned, came = json.loads(result.stdout), json.loads(run[1].stdout)
    assert [c | {"error_rms": None} for c in came["changes"]] == planned["changes"]
    assert planned["players"] == 9
    assert planned["predicted"]["as_played"]["noise_floor_rms"] == came["predicted"]["noise_floor_rms"]
    assert planned["predicted"]["as_played"]["rate_from_start"] == came["predicted"]["rate"]
    table = call("topology", "elastic", *sets(*QUICK)).stdout
    assert "3 changes, rule proportional" in table
    for change in planned["changes"]:
        assert f"{change['shift']['max']:.3g} (player {change['shift']['player']})" in table
    assert json.loads(call("topology", "ring", "--json").stdout)["changes"] == []


def test_a_resumed_run_leaves_the_same(
    run: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if killed after a change: the newest checkpoint is the one to go on from."""
    monkeypatch.chdir(tmp_path)
    often = sets(*QUICK, "play.checkpoint_seconds=0.2")
    assert call("run", "elastic", "--out", "run", "--json", *often).exit_code == 0
    kept = checkpoints(Path("run") / "checkpoints")
    assert kept
    assert int(kept[-1].stem) * 2 > 120
    result = call("resume", "run", "--json")
    assert result.exit_code == 0, result.output
    found, expected = json.loads(result.stdout), json.loads(run[1].stdout)
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    names = ("run/players.json", str(run[0] / "players.json"))
    assert Path(names[0]).read_text("utf-8") == Path(names[1]).read_text("utf-8")
    assert " joined (" not in result.stderr, "changes before the checkpoint are not told again"


def test_the_rule_and_the_graphs_are_those_of_the_experiment() -> None:
    graphs = options_of("changes.rule=self")["graphs"]
    assert graphs.rule == "self"
    assert graphs.absent == ({8, 9}, {9}, frozenset(), {0})
    assert graphs.at(0).edges[0, 0]["alpha"] > 0.3
    ray = options_of("play.runner=ray", "play.moves=200")
    assert ray["graphs"].times == (0.0, 40.0, 80.0, 120.0)
    plan = load_experiment("ring", ["play.runner=ray"])
    assert "graphs" not in engine_options(plan, build_game(plan))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            ["changes.events=[[40, '88', join]]"],
            UnknownNameError,
            "unknown player in changes.events '88'; did you mean",
        ),
        (["changes.events=[[40, '8', jion]]"], UnknownNameError, "unknown event 'jion'; did you mean 'join'"),
        (
            ["changes.events=[[400, '8', join]]"],
            ExperimentError,
            "has player 8 at time 400, expected before the end of",
        ),
        (["changes.events=[]"], ExperimentError, "changes.kind is membership: give changes.events, "),
        (["changes.events=[[40, '8', join], [3, '9', join]]"], SequenceError, "event 2 is at time 3 and follows one"),
        (["changes.rule=selfish"], UnknownNameError, "unknown rule 'selfish'; did you mean 'self'"),
        (["play.runner=rounds"], ExperimentError, "changes.kind is 'membership', which runner 'rounds' does not play"),
        (
            ["play.runner=ray", "changes.kind=rewiring"],
            ExperimentError,
            "changes.kind is 'rewiring', which runner 'ray' does not play; take runner virtual",
        ),
    ],
)
def test_what_cannot_be_played_is_refused(settings: list[str], error: type[ValueError], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        options_of(*settings)


def test_a_bad_event_ends_with_status_2_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("run", "elastic", *sets("changes.events=[[40, '0', join], [50, '0', join]]"))
    assert result.exit_code == 2
    assert "player 0 is to join at time 50 but is present then" in re.sub(r"\s+", " ", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_events_need_three_parts() -> None:
    with pytest.raises(ExperimentError, match=re.escape("changes.events.0.2 is missing")):
        load_experiment("elastic", ["changes.events=[[40, '8']]"])


def test_the_game_holds_everybody_that_ever_plays() -> None:
    game = build_game(load_experiment("elastic"))
    assert isinstance(game, Game)
    assert len(game.players) == 10
