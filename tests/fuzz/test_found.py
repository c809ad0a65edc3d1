"""What fuzzing has found, each input with the error that it is refused by now."""

import json
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nashgossip.agents import Message
from nashgossip.agents.parcels import BundleError, opened
from nashgossip.games import DatasetCorrupt, FleetGame, load_npz
from nashgossip.runners import build_game, run_path
from nashgossip.runners.checkpoint import CheckpointError
from nashgossip.runners.command import app
from nashgossip.runners.directory import RunDirectoryError
from nashgossip.runners.experiment import ExperimentError, parse_experiment
from nashgossip.runners.option_errors import naming_options
from nashgossip.runners.record_files import RecordsError
from nashgossip.runners.records import read_trace
from nashgossip.runners.report import write_report
from nashgossip.runners.storage import StorageError
from nashgossip.runners.yaml_text import YamlError, read_yaml
from nashgossip.topology import GeneratorError, GraphFileError, generate_graph, read_graph, read_sequence
from nashgossip.topology.graph_sizes import require_size

from .test_checkpoints import go_on, state
from .test_data_files import _npy, _zip
from .test_experiments import BOMB
from .test_messages import Endless, Liar, Proud, Rude, RudeMapping, listener
from .test_records import _laid_out, template

GOOD = {"x": np.zeros((2, 2))}


@pytest.mark.parametrize(
    ("reason", "sender", "sequence", "content"),
    [
        ("sender", Rude(), 0, GOOD),
        ("sequence", "a", Proud(1), GOOD),
        ("type", "a", 0, {"x": Rude()}),
        ("type", "a", 0, {"x": [Rude()]}),
        ("type", "a", 0, {"x": Endless()}),
        ("type", "a", 0, {"x": [[Endless()]]}),
        ("type", "a", 0, {"x": np.zeros((60, 2)).view(Liar)}),
        ("type", "a", 0, RudeMapping()),
        ("space", "a", 0, UserDict({Proud(1): np.zeros((2, 2))})),
        ("size", "a", 0, {"x": np.broadcast_to(0.0, (2**40, 2))}),
    ],
)
def test_a_message_with_methods_of_its_own_is_refused(reason: str, sender: Any, sequence: Any, content: Any) -> None:
    player = listener()
    assert player.receive(Message.received(sender, sequence, content)) == reason
    assert player.rejected == {reason: 1}


@pytest.mark.parametrize(
    "sent", [0, [], {}, ([],), ([("a", 0, ["p"], 3)], []), ([("a", 0, [[]], GOOD)], []), ([], [[]])]
)
def test_what_is_no_bundle_is_refused_as_a_whole(sent: Any) -> None:
    with pytest.raises(BundleError, match="came that is no bundle .* play all actors with one version of nashgossip"):
        list(opened(sent, []))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "values once aliases are written out, expected at most 1000000"),
        ("a: &a [*a]", "an alias of what the alias is in; write it out"),
        ("a: !!bool maybe", "a value does not fit its tag"),
        ("a: !!python/name:os.system", "could not determine a constructor|the tag 'tag:yaml.org,2002:python"),
        ("a: !!binary aGVsbG8=", "the tag 'tag:yaml.org,2002:binary', expected plain values"),
        ("a: 2024-02-02", "2024-02-02, which YAML takes for a date; put it in quotes"),
        ("a: 0x" + "f" * 5000, "a number of 5002 digits, expected at most 100"),
        ("[" * 900, "nested more than 100 deep; make it flatter"),
        ("[" * 200 + "]" * 200, "nested more than 100 deep; make it flatter"),
        ('a: "\\ud800"', "which is no text; leave surrogates out"),
        ("a" * ((1 << 24) + 1), "has 16777217 characters, expected at most 16777216"),
    ],
)
def test_yaml_that_is_no_plain_text_is_refused(text: str, told: str) -> None:
    with pytest.raises(YamlError, match=told):
        read_yaml(text)


PLAN = "name: a\nmodel: {{family: gaussian, dimension: {dimension}}}\ndata: {{rows: {rows}}}\ntopology: {topology}\n"
RING = "{generator: ring, arguments: {n: 4}}"


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        (PLAN.format(dimension=4, rows=10**13, topology=RING), ExperimentError, "data.rows: .* less than or equal to"),
        (
            PLAN.format(dimension=4, rows=10**12, topology=RING),
            ExperimentError,
            "data.rows is 1,000,000,000,000, expected at most 10,000,000 where rows are made; lower it, or take runner",
        ),
        (
            PLAN.format(dimension=10**9, rows=9, topology=RING),
            ExperimentError,
            "model.dimension: .* less than or equal",
        ),
        (
            PLAN.format(dimension=5000, rows=10**6, topology=RING),
            ExperimentError,
            r"2e\+10 values, expected at most 5e\+08",
        ),
        (
            PLAN.format(dimension=2, rows=9, topology=RING.replace("4", str(10**12))),
            GeneratorError,
            "ring has n=1000000000000, expected at most 1,000,000; make a smaller graph",
        ),
        (
            PLAN.format(dimension=2, rows=9, topology='{file: "a\\0b.graphml"}'),
            GraphFileError,
            "cannot be read, expected a file",
        ),
        (
            "name: a\nmodel: {kind: table}\ndata: {source: random-tables, options: {seed: a}}\ntopology: " + RING,
            ExperimentError,
            "data.options has a value that cannot be taken",
        ),
        (
            "name: a\nmodel: {family: bernoulli}\ndata: {source: medmnist, options: {file: "
            + "x" * 300
            + "}}\ntopology: "
            + RING,
            ExperimentError,
            "the files of data set 'medmnist' cannot be read .*File name too long",
        ),
        (
            "name: a\nmodel: {kind: table}\ndata: {source: random-tables, options: {rows: 100000000}}\ntopology: "
            + RING,
            ValueError,
            "at most 10,000,000 rows in all",
        ),
    ],
)
def test_an_experiment_that_asks_for_too_much_is_refused(text: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        build_game(parse_experiment(text))


@pytest.mark.parametrize("family", ["bernoulli", "gaussian", "poisson", "exponential", "categorical"])
def test_a_game_of_arrays_counts_more_rows_than_could_be_made(family: str) -> None:
    text = (
        f"name: a\nmodel: {{family: {family}, dimension: 3}}\ndata: {{rows: 1000000000000}}\n"
        "topology: {generator: array_k_out, arguments: {n: 50, k: 3}}\nplay: {runner: fleet}\n"
    )
    game = build_game(parse_experiment(text))
    assert isinstance(game, FleetGame)
    assert game.size == 50


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("complete", {"n": 10**5}, "expected at most 3,000"),
        ("hypercube_graph", {"n": 40}, "expected at most 16"),
        ("balanced_tree", {"r": 9, "h": 60}, "edges, expected at most 10,000,000"),
        ("grid_graph", {"dim": [1000, 1000, 1000]}, "about 3e\\+09 edges"),
        ("gnp_random_graph", {"n": 10_000, "p": 0.9}, "about 4.5e\\+07 edges, expected at most"),
        ("fast_gnp_random_graph", {"n": 10**6, "p": 0.9}, "about 4.5e\\+11 edges"),
        ("random_regular_graph", {"n": 10**6, "d": 40}, "about 2e\\+07 edges"),
        ("gnm_random_graph", {"n": 10**6, "m": 10**8}, "about 1e\\+08 edges"),
        ("configuration_model", {"deg_sequence": [10**5] * 1000}, "about 5e\\+07 edges"),
        ("circulant_graph", {"n": 10**6, "offsets": [*range(1, 50)]}, "about 4.9e\\+07 edges"),
        ("random_geometric_graph", {"n": 10**5, "radius": 0.5}, "about 5e\\+09 edges"),
        ("navigable_small_world_graph", {"n": 10, "dim": 40}, "edges, expected at most 10,000,000"),
        ("planted_partition_graph", {"l": 1000, "k": 1000, "p_in": 0.5, "p_out": 0}, "about 2.5e\\+11 edges"),
        ("complete", {"n": 3001}, "expected at most 3,000"),
        ("caveman_graph", {"l": 3, "k": 10**4}, "expected at most 200"),
        ("random_internet_as_graph", {"n": 10**5}, "expected at most 10,000"),
    ],
)
def test_a_graph_that_would_fill_the_memory_is_refused(name: str, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(GeneratorError, match=told):
        generate_graph(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gnm_random_graph", {"n": 1000, "m": 20_000}),
        ("gnm_random_graph", {"n": 10**6, "m": 2 * 10**6}),
        ("LFR_benchmark_graph", {"n": 250, "tau1": 3, "tau2": 1.5, "mu": 0.1, "average_degree": 5, "max_degree": 50}),
        ("powerlaw_cluster_graph", {"n": 7000, "m": 3, "p": 0.5}),
        ("dual_barabasi_albert_graph", {"n": 8000, "m1": 2, "m2": 3, "p": 0.5}),
        ("circulant_graph", {"n": 5000, "offsets": [1, 2500]}),
        ("havel_hakimi_graph", {"deg_sequence": [6] * 2000}),
        ("configuration_model", {"deg_sequence": [6] * 2000}),
        ("random_degree_sequence_graph", {"sequence": [6] * 2000}),
        ("expected_degree_graph", {"w": [12] * 1000}),
        ("grid_graph", {"dim": [101, 100]}),
        ("small_world", {"n": 10**6, "k": 12}),
        ("regular", {"n": 10**6, "d": 20}),
        ("full_rary_tree", {"r": 100, "n": 200_000}),
        ("random_geometric_graph", {"n": 10_001, "radius": 0.02}),
        ("fast_gnp_random_graph", {"n": 10**6, "p": 1e-5}),
        ("edges", {"edges": [[10**9, "a"], ["a", "b"]]}),
        ("visibility_graph", {"series": [10**6, 3, 10**9]}),
        ("stochastic_block_model", {"sizes": [3000, 3000], "p": [[0.1, 0.01], [0.01, 0.1]]}),
    ],
)
def test_a_graph_of_usual_size_is_not_refused(name: str, arguments: dict[str, Any]) -> None:
    """The size alone is judged: some of these take minutes to make."""
    require_size(name, arguments)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "a/" * 3000])
def test_a_name_that_no_file_can_have_is_a_wrong_request(name: str) -> None:
    with pytest.raises(
        StorageError, match="can name no file, expected names of at most 255 bytes without NUL; mend the"
    ):
        run_path(name)
    for command in (["run", name], ["resume", name], ["report", name], ["run", "ring", "--out", name]):
        assert CliRunner().invoke(app, command).exit_code == 2


def test_graph_files_of_impossible_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphFileError, match="cannot be read, expected a file"):
        read_graph("a\0b.graphml")
    (tmp_path / "s.json").write_text('[{"time": 0, "file": "\\ud800.txt"}]', "utf-8")
    with pytest.raises(GraphFileError, match="leads nowhere"):
        read_sequence(tmp_path / "s.json")


@pytest.mark.parametrize("encoding", ["utf-9", "idna", "rot13", "big5"])
def test_graphml_of_another_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.graphml").write_bytes(f"<?xml version='1.0' encoding='{encoding}'?><graphml/>".encode())
    with pytest.raises(GraphFileError, match="is not well-formed XML|is not GraphML that networkx can read"):
        read_graph(tmp_path / "a.graphml")


def test_an_array_whose_header_is_no_literal_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(_zip({"x.npy": _npy("(" * 50)}))
    with pytest.raises(DatasetCorrupt, match="no archive of plain arrays as numpy.savez writes it, or is damaged"):
        load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", float("nan")),
        ("time", []),
        ("every", 1e-300),
        ("every", 0.0),
        ("sequence", 0),
        ("queue", [[-1e300, 1, 1, "move", [0, 0]]]),
        ("queue", [[1.5, 1, 1, "move", [0, 0]], [1.5, 1, 1, "move", [0, 0]]]),
        ("queue", [[1.5, 1, 1, "move", [-1, 0]]]),
        ("queue", [[1.5, 1, 1, "deliver", [0, 1, 0, 7]]]),
        ("queue", [[1.5, 1, 1, "nothing", [0]]]),
        ("counts", {"delivered": "many"}),
        ("presence", None),
        ("players", []),
    ],
)
def test_a_state_that_play_could_not_go_on_from_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    """Some of these would have been played without end."""
    with pytest.raises(CheckpointError, match=r"the state (is not one of this game|has an observation every)"):
        go_on({**state(), key: value}, tmp_path)


def summary() -> dict[str, Any]:
    """A good one."""
    found: dict[str, Any] = json.loads(template()["summary.json"])
    return found


def _records(tmp_path: Path, name: str, change: Any) -> Path:
    whole = pq.read_table(pa.BufferReader(template()[f"records/{name}-00000.parquet"]))
    sink = pa.BufferOutputStream()
    pq.write_table(change(whole), sink)
    return _laid_out({f"records/{name}-00000.parquet": sink.getvalue().to_pybytes()}, tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("run", lambda t: t.drop_columns(["messages"]), "column 'messages' has unknown values"),
        ("run", lambda t: t.set_column(0, "time", pa.nulls(len(t), pa.float64())), "column 'time' has unknown values"),
        ("run", lambda t: t.set_column(0, "time", pa.array(["x"] * len(t))), "do not fit: Failed to parse string"),
        ("players", lambda t: t.slice(1), "rows of players for 7 records, expected one for each player and record"),
    ],
)
def test_records_of_other_columns_or_players_are_refused(name: str, change: Any, told: str, tmp_path: Path) -> None:
    run = _records(tmp_path, name, change)
    with pytest.raises(RecordsError, match=told):
        list(read_trace(run / "records"))
    (run / "players.json").unlink()
    assert CliRunner().invoke(app, ["resume", str(run)]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("diagnosis", {"signatures": []}, r"diagnosis.json holds what no run writes \(outcome: Field required"),
        ("diagnosis", {"reasons": None, "signatures": [1], "outcome": ""}, "holds what no run writes"),
        ("diagnosis", [], "diagnosis.json holds what no run writes .the whole: Input should be a valid dictionary"),
        ("summary", {"outcome": 3}, "holds what no run writes"),
        ("summary", summary() | {"bytes": float("inf")}, "bytes: Input should be a finite number"),
        ("summary", summary() | {"predicted": {"rate": "fast"}}, "predicted.rate: Input should be a valid number"),
        ("summary", summary() | {"privacy": {"epsilon_max": 1.0}}, "expected both or neither"),
        ("players", [{"player": "0", "mixture": [0.5], "predicted_mixture": [0.5, 0.5]}], "1 and 2 shares of classes"),
        ("players", [{"player": "0", "mixture": [None], "predicted_mixture": None}], "0.mixture.0: Input should be"),
        ("about", {"started": {"x": 1}}, "holds what no run writes"),
        ("about", {"versions": "."}, "holds what no run writes"),
        ("about", ".", "about.json holds what no run writes .the whole: Input should be"),
    ],
)
def test_a_report_of_files_that_no_run_writes_is_refused(name: str, value: Any, told: str, tmp_path: Path) -> None:
    run = _laid_out({f"{name}.json": json.dumps(value).encode()}, tmp_path)
    with pytest.raises(RunDirectoryError, match=told):
        write_report(run)


def test_an_error_of_our_own_is_not_blamed_on_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in drawing a page comes out as it is."""

    def broken(value: Any) -> str:
        raise AttributeError("a bug")

    monkeypatch.setattr("nashgossip.runners.report_table._cell", broken)
    with pytest.raises(AttributeError, match="a bug"):
        write_report(_laid_out({}, tmp_path))


@pytest.mark.parametrize("error", [OSError, ConnectionResetError, MemoryError, RuntimeError])
def test_errors_of_the_machine_are_not_blamed_on_options(error: type[Exception]) -> None:
    with pytest.raises(error, match="disk gone"), naming_options("data.options"):
        raise error("disk gone")


def test_words_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"words.txt is no text .*; put it back, or take it away"):
        write_report(_laid_out({"words.txt": b"\xff"}, tmp_path))
