"""Hostile players and defences in experiments: who they are, what is refused, and what is told of honest ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from nashgossip.agents import Player, seats
from nashgossip.agents.ensemble import Ensemble
from nashgossip.games import Defence, FreeRider, Game, Mute, Poisoner, Screen, Trust
from nashgossip.runners import (
    ExperimentError,
    build_game,
    experiment_names,
    load_experiment,
    play,
    read_records,
    read_run,
    render_report,
    rounds,
    virtual,
)
from nashgossip.runners.deployment import Deployment
from nashgossip.runners.honesty import has_hostile, honesty_sentence
from nashgossip.runners.network import Network
from nashgossip.runners.record_schemas import RUN_SCHEMA
from nashgossip.runners.records import RecordWriter
from nashgossip.runners.report_table import players_table
from nashgossip.runners.report_words import happened
from nashgossip.runners.simulation import Simulation

from ..ray_runs import ray_session
from ..small_runs import run, small

SMALL = """\
name: small
seed: 3
topology: {generator: ring, arguments: {n: 6}}
model: {family: gaussian, dimension: 2}
play: {moves: 20, samples: 50}
"""
POISON = "conduct.players={'1': {kind: poisoner, by: 3.0}}"
GUARDED = "defence={screen: {limit: 0.3}, trust: {rate: 0.5}, clip: 0.3, rows: 30}"


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)


def test_players_are_seated_by_name_and_by_share() -> None:
    game = small(POISON, "conduct.share=0.5", "conduct.behaviour={kind: mute}", "conduct.seed=1")
    conducts = {p: s.conduct for p, s in game.specs.items()}
    assert conducts[1] == Poisoner(by=3.0)
    assert list(conducts.values()).count(Mute()) == 3
    share = ["conduct.share=0.5", "conduct.behaviour={kind: mute}"]
    drawn = [[s.conduct for s in small(*share, f"conduct.seed={n}").specs.values()] for n in (1, 1, 4)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert {s.conduct for s in small().specs.values()} == {None}


def test_defences_are_of_all_with_single_exceptions() -> None:
    game = small("defence={trust: {rate: 0.5}, players: {'2': {}, '3': {screen: {}, clip: 0.2, rows: 50}}}")
    defences = [s.defence for s in game.specs.values()]
    common = Defence(trust=Trust(rate=0.5))
    assert defences == [common, common, None, Defence(Screen(), clip=0.2, rows=50), common, common]
    assert small("defence.screen.level=0.05").specs[0].defence == Defence(Screen(level=0.05))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("conduct.players={'9': {kind: mute}}", "conduct.players names player '9'; the players are 0, 1, 2, 3, 4, 5"),
        ("defence.players={'9': {}}", "defence.players names player '9'; the players are 0, 1, 2, 3, 4, 5"),
        (
            "conduct.players={'1': {kind: thief}}",
            "unknown kind of conduct 'thief', expected one of flooder, free-rider",
        ),
        ("conduct.players={'1': {by: 2}}", "conduct.players.1 has no kind; give one, such as kind: poisoner"),
        ("conduct.share=0.5", "conduct.share is 0.5 and conduct.behaviour missing; give both"),
        ("conduct.behaviour={kind: mute}", "conduct.share is 0 and conduct.behaviour {'kind': 'mute'}; give both"),
        ("conduct.share=2", "conduct.share: Input should be less than or equal to 1"),
        ("defence.screen={levle: 0.1}", "unknown key 'defence.screen.levle'; expected level or limit"),
        ("defence.trust={rate: 2}", "rate of trust is 2.0, expected above 0 and at most 1"),
        ("defence.players={'1': {clip: 3}}", "clip is 3.0, expected a share above 0 and at most 1"),
        ("conduct.players={'1': {kind: poisoner, how: flip}}", "player 1 is to flip labels, but x have no scalar"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        small(setting)
    assert message in str(caught.value)


@pytest.mark.parametrize("who", ["'9': {kind: mute}", "'1': {kind: thief}"])
def test_a_wrong_request_ends_with_status_2(who: str) -> None:
    result = run("--set", f"conduct.players={{{who}}}", "--out", "run")
    assert result.exit_code == 2
    assert "the players are 0, 1" in result.output or "expected one of flooder" in " ".join(result.output.split())
    assert not Path("run").exists()


@pytest.mark.parametrize("setting", [POISON, "defence.clip=0.2"])
def test_a_graph_of_arrays_has_no_room_for_them(setting: str) -> None:
    with pytest.raises(ExperimentError, match="means nothing with generator"):
        build_game(load_experiment("fleet", [setting]))


def test_a_run_tells_how_the_honest_players_fared(tmp_path: Path) -> None:
    result = run("--set", POISON, "--set", GUARDED, "--json", "--out", "run")
    assert result.exit_code == 0, result.output
    summary = json.loads(Path("run/summary.json").read_text())
    told = summary["honest_error"]
    assert told["players"] == 5
    table = read_records("run/records").to_pydict()
    last = [e for t, e in zip(table["time"], table["honest_error_rms"], strict=True) if t >= 15]
    assert told["rms"] == pytest.approx(np.sqrt(np.mean(np.square(last))))
    players = read_records("run/records", "players").to_pylist()
    at_the_end = [p["error"] for p in players if p["time"] == 20 and p["player"] != "1"]
    assert table["honest_error_rms"][-1] == pytest.approx(np.sqrt(np.mean(np.square(at_the_end))))
    shares = read_records("run/records", "shares").to_pylist()
    assert len(shares) == 21 * 6 * 2
    by_row: dict[tuple[float, str], float] = {}
    for row in shares:
        by_row[row["time"], row["listener"]] = by_row.get((row["time"], row["listener"]), 0.0) + row["share"]
        assert 0 <= row["share"] <= 0.3
    assert max(by_row.values()) <= 0.6
    assert {r["share"] for r in shares if r["sender"] == "1" and r["time"] > 0} == {0.0}
    rejected = {p["player"]: p["rejected"] for p in json.loads(Path("run/players.json").read_text())}
    assert rejected["0"]["screened"] == 20


def words(output: str) -> str:
    return " ".join(output.replace("│", " ").split())


def test_the_terminal_and_the_report_name_who_is_hostile_and_what_that_does() -> None:
    named = "conduct.players={'1': {kind: poisoner, by: 3.0}, '2': {kind: mute}, '4': {kind: poisoner, by: 3.0}}"
    result = run("--set", named, "--set", "moves=60", "--out", "run")
    assert result.exit_code == 0, result.output
    figures = json.loads(Path("run/summary.json").read_text())["honest_error"]
    fared = f"RMS {figures['rms']:.4g}, predicted {figures['predicted_rms']:.4g}"
    told = f"3 of 6 players do not keep to the rules (poisoner: 1, 4; mute: 2); honest players are off the honest \
equilibrium by {fared}"
    assert told in words(result.output)
    of_honest = "; the prediction is of the honest game, in which everybody keeps to the rules"
    assert of_honest in words(result.output)
    reasons = json.loads(Path("run/diagnosis.json").read_text())["reasons"]
    assert [of_honest in reason for reason in reasons if "disagree by" in reason] == [True]
    players = json.loads(Path("run/players.json").read_text())
    assert [p["conduct"] for p in players] == [None, "poisoner", "mute", None, "poisoner", None]
    table = [line.split()[:2] for line in result.output.splitlines() if line[:1] in set("012345")]
    assert table == [["0", "–"], ["1", "poisoner"], ["2", "mute"], ["3", "–"], ["4", "poisoner"], ["5", "–"]]
    view = read_run("run")
    assert f"{told}." in render_report(view)
    shown = players_table(view)
    assert [row[shown.heads.index("conduct")] for row in shown.cells] == [line[1] for line in table]


def test_who_is_hostile_is_told_where_nothing_is_predicted_and_nowhere_else() -> None:
    assert run("--set", "conduct.players={'1': {kind: mute, after: 3}}", "--json", "--out", "run").exit_code == 0
    said = " ".join(happened(read_run("run")))
    assert "1 of 6 players does not keep to the rules (mute: 1); honest players are off" in said
    assert said.endswith(", of which nothing is predicted.")
    assert honesty_sentence({}, {"rms": None}) is None  # a run of an earlier version
    assert honesty_sentence(dict.fromkeys(range(12), "mute"), {"rms": None}) == (
        "12 of 12 players do not keep to the rules (mute: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)"
    )
    assert run("--json", "--out", "plain").exit_code == 0
    assert "conduct" not in json.loads(Path("plain/players.json").read_text())[0]
    assert "conduct" not in players_table(read_run("plain")).heads
    assert "keep to the rules" not in " ".join(happened(read_run("plain")))


def test_without_them_nothing_is_told_and_nothing_is_different() -> None:
    tables = []
    for name, settings in {"plain": [], "open": ["defence={players: {'1': {}}}"]}.items():
        game = small(*settings)
        with RecordWriter(name, game.players, timed=False, hostile=has_hostile(game)) as writer:
            outcome = play(game, seed=1, moves=10, on_record=writer.write)
            assert writer.flush().keys() == {"run", "players", "looks"}
        assert "honest_error" not in outcome.summary()
        assert read_records(name).schema.equals(RUN_SCHEMA)
        assert not list(Path(name).glob("shares*"))
        tables.append([read_records(name, table) for table in ("run", "players")])
    assert tables[0] == tables[1]


def test_records_of_shares_are_recovered_up_to_the_last_whole_record() -> None:
    game = small(POISON, GUARDED)
    writer = RecordWriter("records", game.players, hostile=True)
    play(game, seed=1, moves=3, on_record=writer.write)
    more = writer._shares
    more.add({"time": [9.0], "listener": ["0"], "sender": ["1"], "share": [0.5]})  # killed before its row of the run
    with RecordWriter("records", game.players, hostile=True, resume=True) as again:
        play(game, seed=1, moves=1, on_record=again.write)
    assert set(read_records("records", "shares")["time"].to_pylist()) == {0.0, 1.0, 2.0, 3.0}
    assert len(read_records("records", "shares")) == 6 * 6 * 2
    assert len(read_records("records")) == 6
    with RecordWriter("records", game.players, hostile=True) as fresh:
        assert fresh.flush() == {"run": 0, "players": 0, "looks": 0}


def test_defended_players_are_nearer_to_the_honest_equilibrium_as_predicted() -> None:
    found = {}
    for name, settings in {"none": [], "screen": ["defence.screen={limit: 0.3}"], "clip": ["defence.clip=0.1"]}.items():
        outcome = play(small(POISON, "play.samples=400", *settings), seed=1, moves=40)
        assert outcome.honest_error is not None
        found[name] = outcome.honest_error
        assert outcome.honest_error["rms"] == pytest.approx(outcome.honest_error["predicted_rms"], rel=0.25)
        assert outcome.honest_error["max"] >= outcome.honest_error["rms"]
    rms = {name: told["rms"] or np.nan for name, told in found.items()}
    assert rms["screen"] < rms["clip"]
    assert rms["clip"] < rms["none"] / 2


def test_one_row_for_many_makes_the_noise_that_is_predicted() -> None:
    told = play(small("conduct.players={'1': {kind: poisoner, how: collapse}}"), seed=1, moves=200).honest_error
    plain = play(small(), seed=1, moves=10)
    assert told is not None
    assert told["predicted_shift_rms"] == pytest.approx(0.0, abs=1e-9)
    assert told["predicted_rms"] is not None
    assert told["rms"] == pytest.approx(told["predicted_rms"], rel=0.3)
    assert told["predicted_rms"] > 2 * (plain.prediction.noise_floor_rms or np.nan)


def test_what_has_no_closed_form_is_null() -> None:
    told = play(small("conduct.players={'1': {kind: mute, after: 3}}"), seed=1, moves=10).honest_error
    assert told is not None
    assert told["rms"] is not None
    assert told["predicted_rms"] is told["predicted_shift_rms"] is None


CONDUCTS = (
    "conduct.players={'0': {kind: free-rider, how: copy}, '1': {kind: poisoner, by: 2.0}, '2': {kind: flooder}, "
    "'4': {kind: liar, how: behind}}"
)


def test_players_of_one_process_play_as_in_rounds() -> None:
    """What a Ray actor is made of, in step with the rounds of this process."""
    game = small(CONDUCTS, GUARDED)
    *_, last = rounds(game, seed=2, moves=5, keep_states=True)
    made = seats(game, 2)
    ensemble = Ensemble([made], [frozenset()], {seat.name: seat.index for seat in made})
    held = ensemble.publications(Player.open)
    for _ in range(5):
        assert ensemble.deliver(held) == []
        held = ensemble.publications(Player.move)
    for name, player in ensemble.players.items():
        assert json.dumps(player.state(), default=lambda a: a.tolist()) == json.dumps(
            last.states[name], default=lambda a: a.tolist()
        )


@pytest.mark.slow
def test_ray_plays_them_as_rounds_do() -> None:
    game = small(CONDUCTS, GUARDED)
    layout = Deployment(workers=1, players_per_actor=3, on_failure="fail")
    one = play(game, "rounds", seed=1, moves=5, keep_states=True)
    other = play(game, "ray", seed=1, moves=5, keep_states=True, mode="synchronous", deployment=layout)
    assert other.honest_error == one.honest_error
    for name in game.players:
        assert other.states[name]["guard"] == one.states[name]["guard"]
        assert (other.states[name]["model"]["mean"] == one.states[name]["model"]["mean"]).all()


@pytest.mark.slow
def test_a_screen_keeps_poison_out_of_asynchronous_ray() -> None:
    """Poison shifts the fixed point tenfold; over seeds of virtual time the errors spread by 3 % and 9 %."""
    told, rejected = {}, {}
    layout = Deployment(players_per_actor=3)
    with ray_session():
        for name, settings in {"none": [], "screen": ["defence.screen={limit: 0.3}"]}.items():
            outcome = play(small(POISON, *settings), "ray", seed=1, moves=40, deployment=layout)
            assert outcome.honest_error is not None
            told[name] = outcome.honest_error
            rejected[name] = [player.rejected.get("screened", 0) for player in outcome.players]
    assert rejected["none"] == [0] * 6
    assert [count > 0 for count in rejected["screen"]] == [True, False, True, False, False, False]  # who hears player 1
    assert told["none"]["rms"] == pytest.approx(told["none"]["predicted_rms"], rel=0.25)
    assert (told["screen"]["rms"] or np.nan) < (told["none"]["rms"] or np.nan) / 4


def test_virtual_time_plays_them_and_another_seed_otherwise() -> None:
    game = small(CONDUCTS, GUARDED)
    means = []
    for seed in (1, 1, 2):
        *_, last = virtual(game, seed=seed, moves=8)
        assert last.players[3].shares is not None
        assert last.means is not None
        means.append(last.means)
    assert (means[0] == means[1]).all()
    assert not (means[0] == means[2]).all()


def test_an_interrupted_run_with_them_leaves_the_same_records() -> None:
    game = small(CONDUCTS, GUARDED)
    whole, half = Simulation(game, 5, Network()), Simulation(game, 5, Network())
    for one in (whole, half):
        one.open(1.0)
        one.advance(6.0)
    rest = Simulation(game, 5, Network())
    rest.load(half.state())
    for one in (whole, rest):
        one.advance(12.0)
    seen = [one.observe(0.0, None) for one in (whole, rest)]
    assert [v.shares for v in seen[0].players] == [v.shares for v in seen[1].players]
    assert [v.rejected for v in seen[0].players] == [v.rejected for v in seen[1].players]
    assert (np.asarray(seen[0].means) == np.asarray(seen[1].means)).all()


def test_the_built_in_experiment_is_listed() -> None:
    assert "predicted" in experiment_names()["poisoned"]
    game = build_game(load_experiment("poisoned"))
    assert isinstance(game, Game)
    assert sum(s.conduct is not None for s in game.specs.values()) == 3
    assert FreeRider() not in [s.conduct for s in game.specs.values()]
