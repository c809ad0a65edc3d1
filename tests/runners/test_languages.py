"""Players with words of different languages and scripts, against the exact law of their equilibrium."""

import itertools
import json
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from typer.testing import CliRunner

from nashgossip.agents import LanguageIdentifier, ModelError, NgramModel
from nashgossip.games import Alphabet, Game, GameError, PlayerSpec, Space, predicted_mixtures
from nashgossip.runners import Examiner, build_game, load_experiment, play
from nashgossip.runners.command import app
from nashgossip.runners.neural_games import build_examiner
from nashgossip.topology import attach_alpha, influence, listening_matrix

LATIN, CYRILLIC = Alphabet("latin", "abcd"), Alphabet("cyrillic", "абцд")
LENGTH = 4
SAMPLES = 4000
WORDS = ["ab", "a", "abc", "b", "cab", "d", "dada", "cc"]
"""Of all languages; how often each has which is up to `LAWS`."""
LAWS = np.array(
    [
        [0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.4, 0.0, 0.3, 0.3, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.2, 0.1],
        [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.6],
    ]
)
SCRIPTS = [("latin",), ("latin",), ("latin", "cyrillic"), ("cyrillic",)]


def space_of(scripts: tuple[str, ...]) -> Space:
    return Space(tuple(a.variable(LENGTH) for a in (LATIN, CYRILLIC) if a.script in scripts))


def two_scripts() -> Game:
    """A chain: two Latin players, one that reads both scripts letter for letter, and a Cyrillic one."""
    rows = LATIN.encode(WORDS, LENGTH)  # the alphabets have one order
    graph = attach_alpha(nx.path_graph(4), {0: 0.5, 1: 0.3, 2: 0.4, 3: 0.6})
    specs = {}
    for player, (law, scripts) in enumerate(zip(LAWS, SCRIPTS, strict=True)):
        own = np.repeat(rows, np.round(law * 200).astype(int), axis=0)
        space = space_of(scripts)
        specs[player] = PlayerSpec(
            model=lambda space=space: NgramModel(space, order=LENGTH + 2, smoothing=1e-9),  # type: ignore[misc]
            data=space.batch(dict.fromkeys(scripts, own)),
            samples=SAMPLES,
            class_shares=np.eye(4)[player],
        )
    return Game(graph, specs)


def test_words_and_their_languages_cross_scripts_as_the_influence_matrix_says() -> None:
    """A model that remembers whole words, and a bridge that spells one to one: p_i* = Σ_j B_ij π_j in any script."""
    game = two_scripts()
    found = play(game, seed=0, moves=25, keep_states=True)
    wanted = influence(game.graph) @ LAWS
    W = listening_matrix(game.graph)
    W = W.toarray() if hasattr(W, "toarray") else np.asarray(W)
    rows = LATIN.encode(WORDS, LENGTH)
    scores = []
    for i, scripts in enumerate(SCRIPTS):
        model = game.specs[i].model()  # type: ignore[misc]
        model.load(found.states[i]["model"])
        p = np.exp(model.log_density(space_of(scripts).batch(dict.fromkeys(scripts, rows))))
        for w in range(len(WORDS)):
            noise = np.diag(wanted[:, w] * (1 - wanted[:, w]) / SAMPLES)
            variance = (W @ solve_discrete_lyapunov(W, noise) @ W.T)[i, i]  # the predicted noise floor
            scores.append((p[w] - wanted[i, w]) / np.sqrt(variance))
    z = np.array(scores)
    assert np.abs(z).max() < 4.5
    assert 0.3 < (z**2).mean() < 3, "neither off nor frozen"
    assert predicted_mixtures(game) == pytest.approx(influence(game.graph))


def small(*settings: str) -> list[str]:
    return [
        "topology.arguments={edges: [[en, fr], [fr, sr], [sr, bg]]}",
        "alpha.self_weight={sr: 0.5, default: 0.4}",
        "data.options={languages: [en, fr, sr, bg], rows: 600, top: 1500}",
        "model.players={sr: {options: {variables: [latin, cyrillic]}}, bg: {options: {variables: [cyrillic]}}}",
        "play.moves=12",
        "play.samples=500",
        "play.looks=3",
        *settings,
    ]


@pytest.fixture
def wordfreq() -> None:
    pytest.importorskip("wordfreq", reason="needs the extra 'languages'")


@pytest.mark.usefixtures("wordfreq")
def test_a_run_holds_languages_against_the_influence_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # the judge of words does without
    place = tmp_path / "run"
    settings = itertools.chain.from_iterable(("--set", s) for s in small())
    result = CliRunner().invoke(app, ["run", "languages", "--json", "--out", str(place), *settings])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["players"] == 4
    assert summary["total_variation"]["max"] < 0.1
    assert (place / "looks.png").is_file()
    sheet = (place / "words.txt").read_text("utf-8").splitlines()
    assert [line.partition(":")[0] for line in sheet if line][4:6] == ["sr before", "sr after"]
    assert all(word.count("=") == 1 for word in sheet[7].partition(": ")[2].split()), "both spellings"
    assert len(sheet[0].split()) == 2 + 12
    players = json.loads((place / "players.json").read_text())
    game = build_game(load_experiment("languages", small()))
    assert isinstance(game, Game)
    assert [p["player"] for p in players] == ["en", "fr", "sr", "bg"]
    assert np.array([p["predicted_mixture"] for p in players]) == pytest.approx(influence(game.graph))
    assert [p["own_classes"] for p in players] == [[0], [1], [2], [3]]
    assert all(p["held_out"] < 0 for p in players)
    assert players[3]["mixture"][0] > 0.005, "English comes to Bulgaria, by way of Serbia"


@pytest.mark.usefixtures("wordfreq")
def test_the_laboratory_draws_words_of_its_own() -> None:
    plan = load_experiment("languages", small())
    game = build_game(plan)
    assert isinstance(game, Game)
    examiner = build_examiner(plan, game)
    assert isinstance(examiner, Examiner)
    assert isinstance(examiner.references, LanguageIdentifier)
    assert examiner.label is None
    assert examiner.quality("en", None, np.random.default_rng(0)) is None
    rows = game.specs["fr"].parts[0]
    assert examiner.shares(rows) == pytest.approx([0, 1, 0, 0], abs=0.03)
    told = examiner.classes(rows)
    assert told is not None
    assert (told == 1).mean() > 0.95


@pytest.mark.usefixtures("wordfreq")
def test_words_without_a_judge_have_no_shares() -> None:
    plan = load_experiment("languages", small("data.judge=false", "play.moves=1"))
    game = build_game(plan)
    assert isinstance(game, Game)
    found = play(game, moves=1, measure=50, examiner=build_examiner(plan, game))
    assert found.summary()["total_variation"] == {"max": None, "mean": None}


@pytest.mark.usefixtures("wordfreq")
def test_an_edge_between_scripts_is_refused_by_name() -> None:
    settings = small("topology.arguments={edges: [[en, fr], [fr, sr], [sr, bg], [fr, bg]]}")
    with pytest.raises(
        GameError, match="nothing travels along edge fr -> bg: player fr publishes latin, and player bg"
    ):
        build_game(load_experiment("languages", settings))


@pytest.mark.usefixtures("wordfreq")
def test_a_player_of_another_script_than_its_language_is_stopped() -> None:
    settings = small("model.players={sr: {options: {variables: [latin, cyrillic]}}}")
    game = build_game(load_experiment("languages", settings))
    assert isinstance(game, Game)
    with pytest.raises(ModelError, match="the model of player bg failed at move 0: .* all words of a source are empty"):
        play(game, moves=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("wordfreq")
@pytest.mark.parametrize("runner", ["rounds", "virtual", "ray"])
def test_the_built_in_experiment_shows_what_it_must(runner: str, tmp_path: Path) -> None:
    settings = ["play.moves=12", "play.looks=2", f"play.runner={runner}"]
    settings += ["network.compute.kind=exponential"] if runner == "virtual" else []
    command = ["run", "languages", "--json", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*command, *itertools.chain.from_iterable(("--set", s) for s in settings)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["total_variation"]["max"] < 0.1
