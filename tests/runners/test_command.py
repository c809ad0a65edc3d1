"""The command line: what it prints where, its exit status, and how it refuses a request that is wrong."""

import gzip
import json
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from nashgossip.agents import ExponentialFamilyModel, Source, State
from nashgossip.games import Batch, Game, Gaussian, PlayerSpec, Space, mnist_format
from nashgossip.runners import command, experiment_names, read_records, session, study_names
from nashgossip.topology import attach_alpha, generate_graph

KEYS = [
    "runner",
    "players",
    "moves",
    "messages",
    "bytes",
    "seconds",
    "seed",
    "outcome",
    "nash_gap",
    "equilibrium_error",
    "predicted",
    "measured",
    "total_variation",
    "accuracy",
    "auc",
    "nash_gap_estimate",
    "privacy",
    "changes",
    "aside",
]
QUICK = ["--set", "play.moves=5", "--set", "play.samples=20"]
SMALL = """\
name: small
topology: {generator: path, arguments: {n: 3}}
alpha: {scheme: uniform, self_weight: 0.3}
model: {family: gaussian, dimension: 2}
play: {moves: 5, samples: 10}
"""


def explicit(edges: str) -> str:
    scheme = f"alpha: {{scheme: explicit, edges: {edges}}}"
    return SMALL.replace("alpha: {scheme: uniform, self_weight: 0.3}", scheme)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)


def settings(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def complaint(result: Result, *, told_before: str = "") -> str:
    """The message of a refused request, on one line: exit status 2, one paragraph on standard error, nothing else."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    before, _, text = f"\n{result.stderr.strip()}".partition("\nerror: ")
    assert re.fullmatch(told_before, before.strip())
    assert text
    assert "\n\n" not in text
    return re.sub(r"\s+", " ", text)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left_behind(desk: Path) -> list[str]:
    return sorted(path.name for path in desk.iterdir())


def test_json_is_one_object_on_standard_output_and_nothing_else(desk: Path) -> None:
    """In a process of its own, so that nothing can slip past to the file descriptor."""
    done = subprocess.run(
        [sys.executable, "-m", "nashgossip.runners", "run", "ring", "--json", "--seed", "4", *QUICK],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    summary = json.loads(done.stdout)
    assert list(summary) == KEYS
    assert (summary["runner"], summary["seed"], summary["players"], summary["moves"]) == ("rounds", 4, 10, 50)
    (run,) = (desk / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text("utf-8")) == summary


def test_json_on_ray_is_one_object_too(desk: Path) -> None:
    (desk / "small.yaml").write_text(SMALL)
    done = subprocess.run(
        [sys.executable, "-m", "nashgossip.runners", "run", "small.yaml", "--json", "--runner", "ray", "--out", "run"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    summary = json.loads(done.stdout)
    assert list(summary) == KEYS
    assert (summary["runner"], summary["players"]) == ("ray", 3)
    assert summary["moves"] >= 15
    assert len(read_records(desk / "run" / "records")) >= 2


def test_a_run_leaves_everything_in_its_directory(desk: Path) -> None:
    result = call("run", "ring", "--out", "deep/run", *QUICK)
    assert result.exit_code == 0, result.output
    assert left_behind(desk / "deep" / "run") == [
        "about.json",
        "convergence.png",
        "diagnosis.json",
        "experiment.yaml",
        "graph.graphml",
        "players.json",
        "records",
        "summary.json",
    ]
    assert read_records(desk / "deep" / "run" / "records")["time"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert "written to deep/run" in result.stderr


def test_a_run_tells_what_came_of_it(desk: Path) -> None:
    result = call("run", "digits", "--runner", "rounds", *QUICK, "--set", "measure=200", "--out", "run")
    assert result.exit_code == 0, result.output
    told = result.stdout + result.stderr
    for words in ("10 players on rounds, seed 1", "predicted noise floor", "Nash gap", "spectral radius 0.7", "TV"):
        assert words in told
    players = json.loads((desk / "run" / "players.json").read_text("utf-8"))
    assert [p["own_classes"] for p in players] == [sorted((i, (i + 1) % 10)) for i in range(10)]
    assert (desk / "run" / "samples.png").exists()


def test_the_same_seed_gives_the_same_summary_and_another_seed_another() -> None:
    def summary(seed: int) -> dict[str, Any]:
        result = call("run", "ring", "--json", "--seed", str(seed), *QUICK)
        found: dict[str, Any] = json.loads(result.stdout)
        return found | {"seconds": None}

    assert summary(3) == summary(3)
    assert summary(3) != summary(4)


def test_options_win_over_the_experiment() -> None:
    result = call("run", "ring", "--json", "--set", "seed=3", "--seed", "8", "--set", "self_weight=0.5", *QUICK)
    summary = json.loads(result.stdout)
    assert summary["seed"] == 8
    assert summary["predicted"]["spectral_radius"] == pytest.approx(0.5)


def test_list_names_the_built_in_experiments_and_studies() -> None:
    result = call("list")
    assert result.exit_code == 0
    experiments, _, studies = result.stdout.partition("\n\nStudies, for `nashgossip study`:\n")
    assert [line.split()[0] for line in studies.splitlines()] == list(study_names())
    lines = experiments.splitlines()
    assert [line.split()[0] for line in lines] == list(experiment_names())
    assert all(description in line for line, description in zip(lines, experiment_names().values(), strict=True))


def test_topology_of_an_experiment(desk: Path) -> None:
    result = call("topology", "ring")
    assert result.exit_code == 0, result.output
    for words in ("10 players, 20 edges", "spectral radius 0.7", "effective sources", "noise floor (RMS)"):
        assert words in result.stdout
    assert left_behind(desk) == []


def test_topology_as_json() -> None:
    result = call("topology", "ring", "--json", "--set", "topology.arguments.n=6")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["players"], figures["edges"]) == (6, 12)
    assert figures["spectral_radius"] == pytest.approx(0.7)
    assert np.sum(figures["influence"], axis=1) == pytest.approx(np.ones(6))
    assert figures["predicted"]["synchronous"]["rate"] == pytest.approx(np.log(0.7))
    assert figures["predicted"]["poisson"]["rate"] == pytest.approx(-0.3)
    assert figures["predicted"]["synchronous"]["noise_floor_rms"] > 0
    assert list(figures["effective_sources"]) == [str(n) for n in range(6)]


def test_topology_of_a_graph_file(desk: Path) -> None:
    nx.write_graphml(nx.cycle_graph(4), desk / "bare.graphml")
    nx.write_graphml(attach_alpha(generate_graph("star", n=5), 0.6), desk / "weighted.graphml")
    bare, weighted = call("topology", "bare.graphml"), call("topology", "weighted.graphml", "--json")
    assert (bare.exit_code, weighted.exit_code) == (0, 0)
    assert "4 players, 8 edges, spectral radius 0.7" in bare.stdout
    assert "has no `alpha`: taking scheme uniform with self-weight 0.3" in bare.stderr
    figures = json.loads(weighted.stdout)
    assert figures["spectral_radius"] == pytest.approx(0.4)
    assert figures["predicted"]["synchronous"] == {"rate": pytest.approx(np.log(0.4)), "noise_floor_rms": None}


def test_topology_refuses_a_graph_that_cannot_be_played(desk: Path) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "a", 1.0), ("a", "d", 1.0), ("b", "c", 1.0), ("c", "b", 1.0)], weight="alpha")
    nx.write_graphml(graph, desk / "lost.graphml")
    assert "no real data reaches players 'b', 'c'" in complaint(call("topology", "lost.graphml"))
    assert "missing.graphml" in complaint(call("topology", "missing.graphml"))
    assert "unknown experiment 'rings'; did you mean 'ring'?" in complaint(call("topology", "rings"))


WRONG_FILES = {
    "a row that does not sum to 1": (
        explicit('[["0", "0", 0.5], ["1", "0", 0.42], ["0", "1", 0.5], ["2", "1", 0.5], ["1", "2", 1.0]]'),
        ["alpha into player 0 sums to 0.92, expected 1"],
    ),
    "a negative alpha": (
        explicit('[["0", "0", 1.5], ["1", "0", -0.5], ["0", "1", 1.0], ["2", "1", 0.0], ["1", "2", 1.0]]'),
        ["alpha", "-0.5"],
    ),
    "an alpha that is no number": (
        explicit('[["0", "0", .nan], ["1", "0", 0.5], ["0", "1", 1.0], ["2", "1", 0.0], ["1", "2", 1.0]]'),
        ["alpha", "nan"],
    ),
    "players that no real data reaches": (
        explicit('[["0", "0", 0.5], ["1", "0", 0.5], ["2", "1", 1.0], ["0", "1", 0.0], ["1", "2", 1.0]]'),
        ["no real data reaches players 1, 2"],
    ),
    "no anchor at all": (
        SMALL.replace("0.3", "0.0"),
        ["no real data reaches players 0, 1, 2", "self-weight"],
    ),
    "a self-weight that is no number": (SMALL.replace("0.3", ".nan"), ["self_weight of player 0 is nan"]),
    "a negative self-weight": (SMALL.replace("0.3", "-0.1"), ["self_weight of player 0 is -0.1"]),
    "a broken file": ("name: [", ["wrong.yaml is not YAML"]),
    "no experiment": ("- 1", ["wrong.yaml holds list"]),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_an_experiment_that_cannot_be_played_is_refused(case: str, desk: Path) -> None:
    text, words = WRONG_FILES[case]
    (desk / "wrong.yaml").write_text(text)
    message = complaint(call("run", "wrong.yaml"))
    assert all(word in message for word in words), message
    assert left_behind(desk) == ["wrong.yaml"]


WRONG_REQUESTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "experiment": (["digit"], ["unknown experiment 'digit'; did you mean 'digits'?"]),
    "experiment file": (["none.yaml"], ["there is no file none.yaml"]),
    "runner": (["ring", "--runner", "raz"], ["unknown runner 'raz'; did you mean 'ray'?"]),
    "key": (["ring", *settings("play.move=3")], ["unknown key 'play.move'; did you mean 'play.moves'?"]),
    "setting": (["ring", *settings("moves")], ["has no '='"]),
    "value": (["ring", *settings("moves=0")], ["play.moves", "greater than or equal to 1"]),
    "generator": (["ring", *settings("generator=rng")], ["unknown generator 'rng'; did you mean 'ring'?"]),
    "argument": (["ring", *settings("topology.arguments.m=3")], ["ring got m, expected n"]),
    "argument's value": (["ring", *settings("topology.arguments.n=-3")], ["ring"]),
    "argument's type": (["ring", *settings("topology.arguments.n=ten")], ["ring", "ten"]),
    "scheme": (["ring", *settings("scheme=unifrom")], ["unknown scheme 'unifrom'; did you mean 'uniform'?"]),
    "family": (["ring", *settings("family=gausian")], ["unknown family 'gausian'; did you mean 'gaussian'?"]),
    "data": (["digits", *settings("source=digitz")], ["unknown data set 'digitz'; did you mean 'digits'?"]),
    "data's option": (
        ["digits", *settings("data.options.binarise=0.5")],
        ["unknown option of data set 'digits', 'binarise'; did you mean 'binarize'?"],
    ),
    "data's option's value": (["digits", *settings("data.options.binarize=7")], ["binarize is 7", "between 0 and 1"]),
    "split": (["digits", *settings("data.split.kind=lable")], ["unknown split 'lable'; did you mean 'label'?"]),
    "split's option": (
        ["digits", *settings("data.split.options={class_per_player: 2}")],
        ["unknown option of split 'label', 'class_per_player'; did you mean 'classes_per_player'?"],
    ),
    "split's option's type": (
        ["digits", *settings("data.split.options.classes_per_player=two")],
        ["classes_per_player is"],
    ),
    "more labels than there are": (
        ["digits", *settings("data.split.options.classes_per_player=11")],
        ["classes_per_player is 11, expected 1 to 10 (classes)"],
    ),
    "empty private data": (
        ["digits", *settings("data.split={kind: dirichlet, options: {concentration: 0.01, minimum: 0}}")],
        ["player"],
    ),
    "boundary statistics": (
        ["digits", *settings("smoothing=0")],
        ["player 0: mean parameters", "lie on the boundary", "set smoothing to a pseudo-count above 0"],
    ),
    "family for other variables": (
        ["digits", *settings("family=poisson")],
        ["family 'poisson' needs exactly one count variable", "label (categorical)", "x (binary)"],
    ),
    "family's option": (["digits", *settings("model.options.variance=2")], ["variance"]),
    "isolated player": (
        ["ring", *settings("topology={generator: empty_graph, arguments: {n: 3}}")],
        ["players 0, 1, 2 have no neighbour"],
    ),
    "rounds between observations": (["ring", *settings("play.every=0.5", "play.moves=3")], ["every"]),
    "samples that nobody takes": (["ring", *settings("play.samples=200000", "play.moves=3")], ["samples"]),
    "graph file": (
        ["ring", *settings("topology={file: none.graphml}")],
        ["none.graphml"],
    ),
    "negative compute time": (
        ["poisson", *settings("network.compute.mean=-1")],
        ["mean of a duration is -1.0, expected a finite time of at least 0"],
    ),
    "negative latency": (
        ["poisson", *settings("network.latency.mean=-0.5")],
        ["mean of a duration is -0.5, expected a finite time of at least 0"],
    ),
    "negative time of an event": (
        ["poisson", *settings("network.events=[[-1, 0, down]]")],
        ["an event of player 0 is at time -1.0, expected a finite time of at least 0"],
    ),
    "probability above 1": (["poisson", *settings("network.loss=1.5")], ["loss is 1.5, expected a probability"]),
    "negative probability": (
        ["poisson", *settings("network.duplication=-0.1")],
        ["duplication is -0.1, expected a probability in [0, 1]"],
    ),
    "probability of a fleet": (
        ["fleet", *settings("topology.arguments={n: 50, k: 4}", "play.mode=asynchronous", "network.loss=1.5")],
        ["loss is 1.5, expected a probability of at least 0 and below 1"],
    ),
    "event of an unknown player": (
        ["churn", *settings("network.events=[[1, stranger, down]]")],
        ["network.events names player 'stranger'; the players are 0, 1, 2"],
    ),
    "speed of an unknown player": (
        ["churn", *settings("network.speed={stranger: 2}")],
        ["network.speed names player 'stranger'"],
    ),
    "policy wider than the degree": (
        ["one-neighbour", *settings("gossip.fan_out=5")],
        ["player 0 has 4 listeners, fewer than its gossip fan-out of 5"],
    ),
    "policy of a fleet wider than the degree": (
        [
            "fleet",
            *settings("topology.generator=array_regular", "topology.arguments={n: 50, d: 4}"),
            *settings("play.mode=asynchronous", "gossip.fan_out=5"),
        ],
        ["fan_out is 5, but no player has more than 4 listeners"],
    ),
    "what a fleet cannot play": (
        ["churn", "--runner", "fleet"],
        ["the fleet cannot play network.churn", "take runner virtual"],
    ),
}


@pytest.mark.parametrize("case", WRONG_REQUESTS)
def test_a_wrong_request_is_refused_and_leaves_nothing(case: str, desk: Path) -> None:
    arguments, words = WRONG_REQUESTS[case]
    message = complaint(call("run", *arguments))
    assert all(word in message for word in words), message
    assert left_behind(desk) == []


def test_a_trace_of_events_for_unknown_players_is_refused(desk: Path) -> None:
    (desk / "events.csv").write_text("1.0,0,down\n2.0,stranger,up\n")
    message = complaint(call("run", "churn", *settings("network.events_file=events.csv")))
    assert "network.events names player 'stranger'; the players are 0, 1" in message
    assert left_behind(desk) == ["events.csv"]


def test_graphs_that_change_the_players_are_refused(desk: Path) -> None:
    for name, n in (("first", 10), ("second", 9)):
        nx.write_graphml(attach_alpha(generate_graph("ring", n=n), 0.3), desk / f"{name}.graphml")
    pieces = [{"time": 0, "file": "first.graphml"}, {"time": 5, "file": "second.graphml"}]
    (desk / "changes.json").write_text(json.dumps(pieces))
    change = settings("changes={kind: files, file: changes.json}", "play.runner=virtual")
    change += settings("topology={file: first.graphml}")
    message = complaint(call("run", "ring", *change))
    assert "graph from time 5 lacks" in message
    assert "expected the players of the graph at time 0" in message
    (desk / "changes.json").write_text(json.dumps([{"time": 0, "file": "second.graphml"}]))
    message = complaint(call("run", "ring", *change))
    assert "the graph sequence has other players than the game; give it the same ones" in message
    assert not (desk / "runs").exists()


def test_a_family_that_a_fleet_cannot_shortcut_is_refused(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, family = attach_alpha(generate_graph("ring", n=3), 0.5), Gaussian((2,))
    data = family.sample(np.zeros(2), 30, np.random.default_rng(0))
    specs = {player: PlayerSpec(model=Failing, data=data, samples=10) for player in graph}
    monkeypatch.setattr(command, "staged", lambda plan, ask: Game(graph, specs))
    message = complaint(call("run", "ring", "--runner", "fleet"))
    assert "player 0 is a black box" in message
    assert "the fleet plays players that all learn one of these families: bernoulli, " in message
    assert left_behind(desk) == []


def test_a_wrong_request_ends_the_process_with_status_2(desk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nashgossip.runners", "run", "digitz", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown experiment 'digitz'; did you mean 'digits'?\n"
    assert left_behind(desk) == []


def test_an_existing_directory_is_not_touched(desk: Path) -> None:
    (desk / "mine").mkdir()
    (desk / "mine" / "notes.txt").write_text("precious")
    message = complaint(call("run", "ring", "--out", "mine"))
    assert message == "mine exists already; choose another --out, or move it away"
    assert left_behind(desk) == ["mine"]
    assert left_behind(desk / "mine") == ["notes.txt"]
    assert (desk / "mine" / "notes.txt").read_text() == "precious"


def test_a_directory_that_cannot_be_made_is_refused(desk: Path) -> None:
    (desk / "file").write_text("")
    assert "file/run cannot be made" in complaint(call("run", "ring", "--out", "file/run"))
    assert left_behind(desk) == ["file"]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_of_wrong_shapes_are_refused(desk: Path) -> None:
    npz(desk / "rows.npz", x=np.zeros((10, 2)), label=np.zeros(7, dtype=np.int64))
    change = settings("data={source: npz, file: rows.npz, label: label}", "family=class-conditional-gaussian")
    message = complaint(call("run", "ring", *change))
    assert "10" in message
    assert "7" in message
    assert left_behind(desk) == ["rows.npz"]


def test_fewer_rows_than_players_are_refused(desk: Path) -> None:
    npz(desk / "rows.npz", x=np.random.default_rng(0).normal(size=(6, 2)))
    assert complaint(call("run", "ring", *settings("data={source: npz, file: rows.npz}")))
    assert left_behind(desk) == ["rows.npz"]


def test_no_rows_at_all_are_refused(desk: Path) -> None:
    npz(desk / "rows.npz", x=np.zeros((0, 2)))
    assert complaint(call("run", "ring", *settings("data={source: npz, file: rows.npz}")))
    assert left_behind(desk) == ["rows.npz"]


def test_a_file_that_is_not_there_or_no_npz_is_refused(desk: Path) -> None:
    (desk / "text.npz").write_text("not an archive")
    for name in ("none.npz", "text.npz"):
        assert name in complaint(call("run", "ring", *settings(f"data={{source: npz, file: {name}}}")))
    assert left_behind(desk) == ["text.npz"]


def idx(values: np.ndarray[Any, Any]) -> bytes:
    """A file in MNIST's format."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def mnist(folder: Path, rows: int = 200) -> None:
    """A made-up copy of MNIST, of images of 4 by 4."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for stem in ("train", "t10k"):
        images = idx(rng.integers(0, 256, (rows, 4, 4)))
        labels = idx(np.arange(rows) % 10)
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


MNIST = settings("data.source=mnist", "runner=rounds", "moves=2", "samples=10", "measure=0")


@pytest.fixture
def nowhere_else(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the cache, nothing in the system's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk / "cache"))
    monkeypatch.setattr(mnist_format, "_SYSTEM", desk / "no-system")


@pytest.mark.usefixtures("nowhere_else")
def test_a_copy_of_mnist_is_played(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist(desk / "data" / "mnist")
    monkeypatch.setenv("NASHGOSSIP_DATA", str(desk / "data"))
    assert call("run", "digits", "--json", *MNIST).exit_code == 0


@pytest.mark.usefixtures("nowhere_else")
@pytest.mark.parametrize("damage", ["truncated archive", "truncated file", "no archive", "no labels", "empty"])
def test_a_damaged_copy_of_mnist_is_refused(damage: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist(desk / "data" / "mnist")
    monkeypatch.setenv("NASHGOSSIP_DATA", str(desk / "data"))
    victim = desk / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    whole = victim.read_bytes()
    if damage == "truncated archive":
        victim.write_bytes(whole[: len(whole) // 2])
    elif damage == "truncated file":
        victim.write_bytes(gzip.compress(gzip.decompress(whole)[:-100]))
    elif damage == "no archive":
        victim.write_bytes(b"<html>404</html>")
    elif damage == "no labels":
        victim = desk / "data" / "mnist" / "train-labels-idx1-ubyte.gz"
        victim.write_bytes(gzip.compress(idx(np.full(200, 77))))
    else:
        victim.write_bytes(b"")
    kept = victim.read_bytes()
    message = complaint(call("run", "digits", *MNIST))
    assert victim.name in message
    assert left_behind(desk) == ["data"]
    assert victim.read_bytes() == kept


@pytest.mark.usefixtures("nowhere_else")
def test_without_network_the_remedy_is_told(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "data").mkdir()
    monkeypatch.setenv("NASHGOSSIP_DATA", str(desk / "data"))
    with socket.socket() as listener:  # bound and never listening: connections to it are refused
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        result = call("run", "digits", *MNIST, *settings(f"data.options.base_url={url}"))
        message = complaint(result, told_before="(?s)(Downloading file .*)?")
    assert f"cannot be downloaded from {url}" in message
    assert "set NASHGOSSIP_DATA to a folder that has them, or connect to the network once" in message
    assert not (desk / "runs").exists()


class Failing:
    """The Gaussian's own model until it shall make its fourth move."""

    def __init__(self) -> None:
        self._inner = ExponentialFamilyModel(Gaussian((2,)))
        self._calls = 0

    @property
    def space(self) -> Space:
        return self._inner.space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self._calls += 1
        if self._calls > 4:
            raise ArithmeticError("the matrix is singular")
        self._inner.learn(sources, rng)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self._inner.generate(n, rng)

    def state(self) -> State:
        return self._inner.state()

    def load(self, state: State) -> None:
        self._inner.load(state)


def test_a_model_that_raises_ends_the_run_with_status_1(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, family = attach_alpha(generate_graph("ring", n=3), 0.5), Gaussian((2,))
    data = family.sample(np.zeros(2), 30, np.random.default_rng(0))
    specs = {player: PlayerSpec(family=family, data=data, samples=10) for player in graph}
    specs[1] = PlayerSpec(model=Failing, data=data, samples=10)
    monkeypatch.setattr(command, "staged", lambda plan, ask: Game(graph, specs))
    result = call("run", "ring", "--json", "--out", "run", *settings("moves=50"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert (
        "error: the model of player 1 failed at move 4: learn raised ArithmeticError: the matrix is singular; "
        "what was recorded until then is in run" in result.stderr
    )
    assert read_records(desk / "run" / "records")["time"].to_pylist() == [0, 1, 2, 3]
    assert not (desk / "run" / "summary.json").exists()


def test_an_interrupted_run_keeps_its_records(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, on_record: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "play", interrupted)
    result = call("run", "ring", "--out", "run")
    assert result.exit_code == 130
    assert "interrupted; what was recorded until then is in run" in result.stderr
    assert "experiment.yaml" in left_behind(desk / "run")


def test_help_is_given(desk: Path) -> None:
    assert os.getcwd() == str(desk)
    for arguments in (["--help"], ["run", "--help"], ["topology", "--help"], ["list", "--help"]):
        result = call(*arguments)
        assert result.exit_code == 0
        assert "Usage" in result.stdout
