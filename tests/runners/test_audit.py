"""The audit itself is audited: who memorises is caught, who ignores its rows is not accused, and its words are true."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner, Result

from nashgossip.agents import EmpiricalModel, ExponentialFamilyModel
from nashgossip.games import Batch, Game, Gaussian, PlayerSpec, Space, Variable
from nashgossip.runners import (
    Audit,
    KeptBatches,
    RunDirectoryError,
    audit_batches,
    audit_lines,
    audit_run,
    build_game,
    load_experiment,
    rounds,
    write_audit,
)
from nashgossip.runners.audit_attacks import density_ratio, exposure, nearest, reconstruction
from nashgossip.runners.audit_figures import Scores, strength
from nashgossip.runners.audit_rows import Lens, copies, distances
from nashgossip.runners.audit_shadows import likelihood_ratio, shadow_games, twin
from nashgossip.runners.command import app
from nashgossip.runners.session import engine_options
from nashgossip.topology import attach_alpha, generate_graph

FAMILY = Gaussian((6,))
SPACE = FAMILY.space
PLAN = ["runner=rounds", "moves=8", "audit.batches=4"]


class Deaf:
    """Learns nothing, ever."""

    space = SPACE

    def learn(self, sources: Any, rng: np.random.Generator) -> None:
        pass

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return FAMILY.sample(np.zeros(6), n, rng)

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


def path_game(model: Any, seed: int, *, n: int = 3, rows: int = 40, samples: int = 50, weight: float = 0.5) -> Game:
    """Players on a path, each with rows of one law, and as many held out."""
    G = attach_alpha(generate_graph("path", n=n), weight)
    rng = np.random.default_rng(seed)
    drawn = {i: [FAMILY.sample(np.zeros(6), rows, rng) for _ in range(2)] for i in G}
    specs = {i: PlayerSpec(model=model, data=drawn[i][0], holdout=drawn[i][1], samples=samples) for i in G}
    return Game(G, specs)


def audited(game: Game, seed: int, shadows: int = 8, settings: tuple[str, ...] = ()) -> Audit:
    plan, kept = load_experiment("ring", [*PLAN, *settings]), KeptBatches.of(game, 4)
    for _ in rounds(game, seed=seed, moves=8, every=8, on_delivery=kept.add):
        pass
    return audit_batches(plan, game, kept.batches, shadows=shadows, seed=seed)


def memoriser() -> EmpiricalModel:
    return EmpiricalModel(SPACE)


def test_who_memorises_is_caught_at_every_distance():
    found = audited(path_game(memoriser, 1), 1)
    assert found.leaks == {1: True, 2: True, 3: True}
    first = found.together[0]
    for name in ("nearest", "likelihood-ratio"):
        told = first.attacks[name]
        assert told.auc_interval[0] > 0.9
        assert told.rates[0.01] > 0.9
    assert first.attacks["density-ratio"].auc_interval[0] > 0.6
    for one in found.players:
        if one.distance == 1:  # half of 200 rows or more are copies of its 40: each is missed with e^-2.5 = 0.082
            assert one.reconstruction["copied"]["members"]["share"] > 0.918 - 4 * np.sqrt(0.918 * 0.082 / 40)
        if one.distance == 2:  # what a neighbour hands on
            assert one.reconstruction["copied"]["members"]["share"] > 0.2
        assert one.reconstruction["copied"]["others"]["share"] == 0
    assert audit_lines(found)[0].startswith("distance 1: LEAK")
    assert any("published as they are, most of player" in line for line in audit_lines(found))


@pytest.mark.parametrize("runs", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_who_ignores_its_rows_is_accused_no_more_often_than_promised(runs: int):
    audits = [audited(path_game(Deaf, 100 + k), k) for k in range(runs)]
    assert all(set(a.together[0].attacks) == {"nearest", "density-ratio", "likelihood-ratio"} for a in audits)
    assert all(a.shadows == 8 and not a.notes for a in audits)
    assert sum(any(a.leaks.values()) for a in audits) <= binom.ppf(0.999, runs, 0.05)
    tests = [told for a in audits for f in a.together for told in f.attacks.values()]
    held = sum(told.auc_interval[0] <= 0.5 <= told.auc_interval[1] for told in tests)
    # Distances and attacks of one audit are not independent: the doubt is that of the audits, not of the tests.
    spread = np.sqrt(0.95 * 0.05 / runs)
    assert held / len(tests) >= 0.95 - 3 * spread
    lines = audit_lines(next(a for a in audits if not any(a.leaks.values())))
    assert lines[0].startswith("distance 1: no leak found")
    assert "would likely have gone unseen" in lines[0]


def test_a_trace_in_the_mean_is_found_near_and_fades_with_distance():
    """Few rows of many values: no row is near a published one, but each pulls the mean towards itself."""
    wide = Gaussian((60,))
    G = attach_alpha(generate_graph("path", n=3), 0.6)
    rng = np.random.default_rng(3)
    rows = {i: [wide.sample(np.zeros(60), 24, rng) for _ in range(2)] for i in G}
    game = Game(G, {i: PlayerSpec(family=wide, data=a, holdout=b, samples=100) for i, (a, b) in rows.items()})
    found = audited(game, 3, shadows=16)
    areas = {f.distance: f.attacks["likelihood-ratio"] for f in found.together}
    assert areas[1].auc_interval[0] > 0.6
    assert areas[1].auc > areas[2].auc > areas[3].auc
    assert areas[1].auc_interval[0] > areas[3].auc_interval[1]
    assert found.together[0].attacks["nearest"].auc < areas[1].auc
    assert (found.leaks[1], found.leaks[3]) == (True, False)


def test_the_likelihood_ratio_is_that_of_the_law_where_the_law_is_known():
    """Statistics are drawn from Gaussians with known means; the area is then known too."""
    rng, games, n, shift = np.random.default_rng(4), 64, 2000, 1.0
    base = rng.normal(0, 3, n)
    learned = rng.random((games, n)) < 0.5
    shadows = (base + shift * learned + rng.standard_normal((games, n)))[:, :, None]
    told = (base + shift * (np.arange(n) < n // 2) + rng.standard_normal(n))[:, None]
    measured = strength(likelihood_ratio(learned, shadows, told, n // 2))
    assert measured.auc == pytest.approx(0.760, abs=0.03)  # Φ(1/√2)
    nothing = (base + rng.standard_normal((games, n)))[:, :, None]
    assert (
        strength(likelihood_ratio(learned, nothing, told - shift * (np.arange(n) < n // 2)[:, None], n // 2)).p > 0.01
    )


def test_every_row_is_held_out_as_often_in_shadow_games():
    game = path_game(lambda: ExponentialFamilyModel(FAMILY), 5, rows=12)
    pools = {p: (game.specs[p].data, game.specs[p].holdout) for p in game.players}
    plan = load_experiment("ring", PLAN)
    found = list(shadow_games(plan, game, pools, 6, seed=1))
    for player in game.players:
        learned = np.stack([shadow.learned[player] for shadow in found])
        assert (learned.sum(axis=1) == 12).all()
        assert (learned.sum(axis=0) == 3).all()
    other = next(iter(shadow_games(plan, game, pools, 1, seed=2)))
    assert not np.array_equal(other.learned[0], found[0].learned[0])
    assert {k.sender for k in other.batches} == set(game.players)


LEAVING = ("changes.kind=membership", "changes.events=[[3,'1',leave]]")


@pytest.mark.parametrize(
    ("mode", "changes", "runner", "clock"),
    [
        ("asynchronous", (), "virtual", "exponential"),
        ("asynchronous", LEAVING, "virtual", "exponential"),
        ("synchronous", (), "rounds", "constant"),
        ("synchronous", LEAVING, "virtual", "constant"),
    ],
)
def test_shadow_games_are_those_of_the_twin(mode: str, changes: tuple[str, ...], runner: str, clock: str) -> None:
    settings = ["moves=6", "data.rows=40", "data.holdout=0.5", "play.samples=10", "play.every=2", "audit.batches=6"]
    plan = load_experiment("ring", ["topology.arguments.n=4", *settings, "runner=ray", f"mode={mode}", *changes])
    found, game = twin(plan), build_game(plan)
    assert (found.play.runner, found.play.every, found.play.moves) == (runner, None, 6)
    assert (found.network.compute.kind, found.network.compute.mean) == (clock, 1.0)
    assert found.changes == plan.changes
    engine_options(found, game)  # it can be played
    pools = {p: (game.specs[p].data, game.specs[p].holdout) for p in game.players}
    [shadow] = shadow_games(plan, game, pools, 1, seed=1)
    last = {player: max(k.sequence for k in shadow.batches if k.sender == player) for player in game.players}
    if mode == "synchronous":
        assert last == {0: 5, 1: 2 if changes else 5, 2: 5, 3: 5}  # numbered from 0; who leaves publishes no more


def test_an_experiment_in_this_process_is_its_own_twin() -> None:
    here = load_experiment("ring", ["runner=virtual"])
    assert twin(here) is here


def test_distances_by_hand():
    space = Space((Variable("c", "categorical", categories=3), Variable("b", "binary"), Variable("n", "count")))
    rows = space.batch({"c": [0, 1, 1], "b": [0, 0, 1], "n": [0, 0, 0]})
    lens = Lens(space, rows)
    seen = lens.encode(rows)
    assert distances(seen[:1], seen[1:]) == pytest.approx([np.sqrt(2)])
    assert distances(seen, seen, apart=True) == pytest.approx([np.sqrt(2), 1, 1])
    assert copies(rows, [rows.select([1]), rows.select([0])]).tolist() == [True, True, False]
    scores = nearest(lens, rows.select([0]), rows.select([2]), rows.select([0, 1]))
    assert (scores.members.tolist(), scores.others.tolist()) == ([0.0], [-1.0])


def test_reconstruction_by_hand():
    space = Space((Variable("x", "real"),))

    def at(*values: float) -> Batch:
        return space.batch({"x": np.array(values)})

    members, others, published = at(0, 10), at(20, 30), at(0, 11, 26)
    lens = Lens(space, Batch.concatenate([members, others]))
    told = reconstruction(lens, members, others, [published], published)
    assert (told["copied"]["members"]["share"], told["copied"]["others"]["share"]) == (0.5, 0)
    assert (told["close"]["members"]["share"], told["close"]["others"]["share"]) == (1.0, 1.0)
    assert told["distance"]["members"] == pytest.approx(0.5 / np.std([0, 10, 20, 30]))


def test_a_density_ratio_tells_where_a_model_puts_too_much():
    rng = np.random.default_rng(6)
    members, others = (FAMILY.sample(np.zeros(6), 100, rng) for _ in range(2))
    lens = Lens(SPACE, Batch.concatenate([members, others]))
    jitter = members["x"][rng.integers(100, size=2000)] + 0.1 * rng.standard_normal((2000, 6))
    caught = strength(density_ratio(lens, members, others, SPACE.batch({"x": jitter}), rng))
    fair = strength(density_ratio(lens, members, others, FAMILY.sample(np.zeros(6), 2000, rng), rng))
    assert caught.auc_interval[0] > 0.6
    assert fair.p > 0.01


def test_a_density_ratio_of_fresh_rows_accuses_as_often_as_its_test_says():
    """Rows that are compared are not among those that the population is estimated from, so that all are independent."""
    runs, small, strengths = 200, [0, 0], []
    for k in range(runs):
        rng = np.random.default_rng([7, k])
        members, others, published = (FAMILY.sample(np.zeros(6), n, rng) for n in (40, 40, 100))
        lens = Lens(SPACE, Batch.concatenate([members, others]))
        strengths.append(strength(density_ratio(lens, members, others, published, rng)))
        small = [count + (strengths[-1].p < level) for count, level in zip(small, (0.05, 0.2), strict=True)]
    assert {(s.members, s.others) for s in strengths} == {(40, 20)}
    for count, level in zip(small, (0.05, 0.2), strict=True):
        assert count <= binom.ppf(0.999, runs, level)
    assert sum(s.auc_interval[0] <= 0.5 <= s.auc_interval[1] for s in strengths) >= binom.ppf(0.001, runs, 0.95)


def test_exposure_of_a_guess_is_nothing():
    rng = np.random.default_rng(7)
    scores = [rng.random(2001) for _ in range(400)]
    bits = [exposure(Scores(s[:1], s[1:])).bits for s in scores]
    assert abs(np.mean(bits)) < 4 * np.std(bits) / np.sqrt(len(bits))
    assert exposure(Scores(np.array([2.0]), scores[0])).bits == pytest.approx(np.log2(2002) - 1.44, abs=0.01)


def test_players_that_cannot_be_attacked_are_named():
    game = path_game(memoriser, 8)
    specs = dict(game.specs)
    specs[2] = PlayerSpec(model=memoriser, data=specs[2].data, samples=50)
    found = audited(Game(game.graph, specs), 8, shadows=0)
    assert {f.player for f in found.players} == {0, 1}
    assert found.notes[0] == "Player 2 has no rows, or fewer than 2 held out, and is not attacked."
    assert found.notes[1].startswith("The likelihood-ratio attack was left out")
    assert found.together[0].attacks["likelihood-ratio"] is None


def test_where_nobody_listens_nothing_is_said():
    found = audited(path_game(memoriser, 10, weight=1.0), 10)
    assert (found.players, found.together, found.leaks, found.shadows) == ((), (), {}, 0)
    assert audit_lines(found) == ["No player that was attacked has published anything."]


# --- the command -----------------------------------------------------------------------------------------------------


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of players that hand their rows on, on the command line."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.normal(size=(240, 4)), c=rng.integers(2, size=240))
    (folder / "leaky.yaml").write_text(
        f"""\
name: <leaky>
topology: {{generator: path, arguments: {{n: 3}}}}
alpha: {{self_weight: 0.5}}
data: {{source: npz, file: {folder}/rows.npz, label: c, holdout: 0.4}}
model: {{kind: empirical}}
play: {{moves: 4, samples: 60, measure: 0}}
audit: {{batches: 4, canaries: 10}}
""".replace("<leaky>", "leaky")
    )
    played = call("run", str(folder / "leaky.yaml"), "--out", str(folder / "run"))
    assert played.exit_code == 0
    assert f"now: nashgossip audit {folder / 'run'}" in played.stderr
    return folder / "run"


def test_the_command_tells_a_verdict_and_writes_a_page(run: Path):
    result = call("audit", str(run), "--shadows", "8")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("attack 1 of 8: player 0 at distance 1, then 8 shadow games\n")
    assert "distance 1: LEAK" in result.stderr
    assert "canaries, nearest: AUC" in result.stderr
    told = json.loads((run / "audit.json").read_text("utf-8"))
    assert told["leak"] is True
    assert [d["distance"] for d in told["distances"]] == [1, 2, 3]
    assert told["distances"][0]["canaries"]["nearest"]["true_positives"]["0.001"]["rate"] > 0.5
    assert told["distances"][0]["canaries"]["nearest"]["exposure_bits"] > 5
    near = next(f for f in told["players"] if f["distance"] == 1)
    assert near["tables"]["linkability"]["risk"] > 0.5
    assert told["distances"][0]["tables"]["linkability"]["risk"] > 0.5
    assert told["distances"][0]["reasons"]
    assert "distance 1: found by " in result.stderr
    assert "tables, greatest risk: " in result.stderr
    assert len(told["players"]) == 8  # of the middle player nobody is three steps away
    page = (run / "audit.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in page
    assert page.count("<script") == 1  # which sorts tables and says where they go on
    assert page.count("<svg") == 1
    assert "canaries, trace" in page[page.index("<svg") : page.index("</svg>")]
    assert "distance 1: LEAK" in page
    assert "Where it was audited" in page
    assert "Singling out, linkability and inference" in page
    assert "kind: empirical" in page  # the experiment is written out


def test_json_is_one_object_and_the_seed_decides(run: Path):
    first, again, other = (call("audit", str(run), "--json", "--shadows", "0", "--seed", k) for k in ("1", "1", "2"))
    assert first.exit_code == 0
    assert first.stdout.count("\n") == 1
    assert first.stdout == again.stdout
    assert first.stdout != other.stdout
    assert json.loads(other.stdout) == json.loads((run / "audit.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def found() -> Audit:
    return audited(path_game(memoriser, 9), 9, shadows=0)


def test_the_page_escapes_what_others_wrote(found: Audit, tmp_path: Path):
    evil = "<script>alert(1)</script>"
    _, page = write_audit(tmp_path, replace(found, notes=(evil,)))
    assert evil not in page.read_text("utf-8")


def complaint(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_wrong_requests_are_refused(run: Path, tmp_path: Path):
    assert "is no run directory: it holds no experiment.yaml" in complaint(call("audit", str(tmp_path)))
    plain = tmp_path / "plain"
    assert call("run", "ring", "--runner", "rounds", "--set", "moves=2", "--out", str(plain)).exit_code == 0
    told = complaint(call("audit", str(plain)))
    assert "has kept no published batches (audit.batches is 0); play it again with --set audit.batches=20" in told
    assert not (plain / "audit.json").exists()
    assert "shadows is 3, expected 0 for none, or at least 8 games" in complaint(
        call("audit", str(run), "--shadows", "3")
    )
    with pytest.raises(ValueError, match="shadows is -1"):
        audit_run(run, shadows=-1)


def test_a_directory_that_cannot_be_written_to_is_told(found: Audit, tmp_path: Path):
    with pytest.raises(RunDirectoryError, match="cannot be written to: No such file or directory; make it writable"):
        write_audit(tmp_path / "nowhere", found)


def test_built_games_are_audited_in_virtual_time_too():
    plan = load_experiment("ring", ["runner=virtual", "moves=3", "audit.batches=3", "data.rows=30", "play.samples=20"])
    game = build_game(plan)
    kept = KeptBatches.of(game, 3)
    from nashgossip.runners import virtual

    for _ in virtual(game, seed=1, moves=3, on_delivery=kept.add):
        pass
    found = audit_batches(plan, game, kept.batches, shadows=8)
    assert found.shadows == 8
    assert len(found.players) == 30
    assert found.together[0].attacks["likelihood-ratio"] is not None
