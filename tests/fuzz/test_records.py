"""Run directories of any content are read, reported, watched and resumed, or an error says which file is at fault."""

import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from typer.testing import CliRunner

from nashgossip.runners import RecordWriter, read_records, read_run
from nashgossip.runners.command import app
from nashgossip.runners.records import read_looks, read_trace
from nashgossip.runners.report import write_report
from nashgossip.runners.report_data import chosen_records, fresh_data, report_data
from nashgossip.runners.watch_feed import Feed, PageFacts, state_of
from nashgossip.runners.watch_tail import RunTail

from .attempts import Leak, Surface, is_named
from .mutations import havoc, mutated_bytes, mutated_text, mutated_trees, numbers, plain

PLAN = """
name: small
topology: {generator: ring, arguments: {n: 3}}
model: {family: gaussian, dimension: 2}
data: {rows: 20}
play: {runner: virtual, moves: 6, samples: 5, measure: 20}
"""


@cache
def template() -> dict[str, bytes]:
    """Files of a run that has ended, by name, with the checkpoint of its middle, and logs as of a killed run."""
    with tempfile.TemporaryDirectory() as folder:
        plan, out = Path(folder) / "small.yaml", Path(folder) / "run"
        plan.write_text(PLAN, "utf-8")
        result = CliRunner().invoke(app, ["run", str(plan), "--out", str(out)])
        assert result.exit_code == 0, result.output
        files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
        whole = {name: read_records(out / "records", name) for name in ("run", "players", "looks")}
    files = {name: data for name, data in files.items() if not name.startswith("records/")}
    for name, table in whole.items():
        first = {"run": 4, "players": 12}.get(name, len(table))
        files[f"records/{name}-00000.parquet"] = _parquet(table.slice(0, first))
        if first < len(table):
            files[f"records/{name}-00001.arrows"] = _log(table.slice(first))
    files["logs/laboratory.jsonl"] = b'{"time": "2026-01-01", "level": "error", "event": "x", "player": "0"}\n'
    return {name: data for name, data in files.items() if not name.endswith(".png")}


def _laid_out(given: dict[str, bytes], folder: Path) -> Path:
    run = folder / "run"
    for name, data in {**template(), **given}.items():
        file = run / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return run


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _log(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        for batch in table.to_batches(max_chunksize=3):
            stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


COLUMNS = ["time", "seconds", "messages", "nash_gap", "player", "regret", "error", "moves", "shares", "x"]
columns = st.lists(numbers | st.floats(), min_size=1, max_size=3) | st.lists(
    st.sampled_from("abc"), min_size=1, max_size=3
)


@st.composite
def tables(draw: st.DrawFn, name: str) -> bytes:
    """A part with a column taken out, put in, or of another type, or with rows out of order, doubled or gone."""
    table = pq.read_table(pa.BufferReader(template()[name]))
    for _ in range(draw(st.integers(1, 2))):
        kind, column = (
            draw(st.sampled_from(["drop", "null", "text", "cut", "turn", "double"])),
            draw(st.sampled_from(COLUMNS)),
        )
        at = table.schema.get_field_index(column)
        if kind == "drop" and at >= 0:
            table = table.drop_columns([column])
        elif kind in ("null", "text") and at >= 0:
            values = pa.nulls(len(table)) if kind == "null" else pa.array(["x"] * len(table))
            table = table.set_column(at, column, values)
        elif kind == "cut":
            table = table.slice(draw(st.integers(0, len(table))))
        elif kind == "turn":
            table = table.take(list(range(len(table)))[::-1])
        elif kind == "double":
            table = pa.concat_tables([table, table])
    return _parquet(table)


PARTS = ["records/run-00000.parquet", "records/players-00000.parquet", "records/looks-00000.parquet"]
RECORDS = [*PARTS, "records/run-00001.arrows", "records/players-00001.arrows"]


@st.composite
def damaged_records(draw: st.DrawFn) -> dict[str, bytes]:
    """Some files of records, damaged byte by byte or column by column, and some under other numbers."""
    found = {}
    for name in draw(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=2, unique=True)):
        mutated = mutated_bytes([template()[name]], least=1)
        data = draw(mutated if name.endswith(".arrows") else mutated | tables(name))
        number = draw(st.sampled_from(["00000", "00000", "00000", "00001", "00002", "9" * 30, "-1", "x"]))
        found[name.rpartition("-")[0] + "-" + number + Path(name).suffix] = data
    return found


@st.composite
def damaged_files(draw: st.DrawFn) -> dict[str, bytes]:
    """Some of the other files, damaged as bytes or as what they hold."""
    found = {}
    names = sorted(name for name in template() if not name.startswith(("records/", "checkpoints/")))
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        whole = template()[name]
        if name.endswith(".json"):
            tree = mutated_trees([json.loads(whole)], plain | numbers).map(lambda t: json.dumps(t).encode())
            found[name] = draw(tree | plain.map(lambda t: json.dumps(t).encode()) | mutated_bytes([whole], least=1))
        elif name.endswith((".yaml", ".graphml", ".jsonl")):
            text = mutated_text(
                [whole.decode()], ["<x>", "{}", "null", "[]", "<script>alert(1)</script>", "1e999"], least=1
            )
            found[name] = draw(text.map(lambda t: t.encode("utf-8", "replace")) | mutated_bytes([whole], least=1))
        else:
            found[name] = draw(mutated_bytes([whole], least=1))
    return found


def is_damage(given: dict[str, bytes]) -> bool:
    """Whether files differ from those of the run; `players.json` is taken away before a run goes on."""
    return any(data != template().get(name) for name, data in given.items() if name != "players.json")


damaged = (damaged_files() | damaged_records()).filter(is_damage)


def read_tables(given: dict[str, bytes], folder: Path) -> str:
    """What a report and a live page read of records, and what a run that goes on recovers, whatever refused before."""
    for name, data in {**{n: d for n, d in template().items() if n.startswith("records/")}, **given}.items():
        (folder / Path(name).name).write_bytes(data)
    refused = [error for error in map(_named, [_read, _follow, _recover, _read], [folder] * 4) if error is not None]
    return type(refused[0]).__name__ if refused else "accepted"


def _named(call: Any, folder: Path) -> Exception | None:
    try:
        call(folder)
    except Exception as error:
        if is_named(error):
            return error
        raise
    return None


def _read(folder: Path) -> None:
    assert len(list(read_trace(folder))) >= 0
    list(read_looks(folder))


def _follow(folder: Path) -> None:
    tail = RunTail(folder, ["0", "1", "2"])
    fresh_data(tail.read(), ("0", "1", "2"), None)
    fresh_data(tail.read(), ("0", "1", "2"), None)


def _recover(folder: Path) -> None:
    with RecordWriter(folder, ["0", "1", "2"], resume=True):
        pass


def read_files(given: dict[str, bytes], folder: Path) -> None:
    """What a report and a live page read of a run, but the drawing of it."""
    run = _laid_out(given, folder)
    view = read_run(run)
    report_data(view, chosen_records(view), {}, None)
    feed = Feed(run, PageFacts(0, state_of(run), -1.0, view.names, None, {}, view.ended), 0)
    feed.read()


def report(given: dict[str, bytes], folder: Path) -> None:
    """The page of a run, in which nothing of its files is markup."""
    page = write_report(_laid_out(given, folder)).read_text("utf-8")
    assert "<script>alert(1)" not in page


@st.composite
def interrupted(draw: st.DrawFn) -> dict[str, bytes]:
    """A run without its end, of which something is damaged."""
    found = draw(damaged_records() | damaged_files())
    name = draw(st.sampled_from([name for name in template() if name.startswith("checkpoints/")]))
    return found | ({name: draw(mutated_bytes([template()[name]], least=1))} if draw(st.booleans()) else {})


def resume(given: dict[str, bytes], folder: Path) -> str:
    """`nashgossip resume` ends with status 0 or 2, and says why."""
    run = _laid_out(given, folder)
    (run / "players.json").unlink(missing_ok=True)
    result = CliRunner().invoke(app, ["resume", str(run), "--json"])
    if result.exit_code not in (0, 2) or not isinstance(result.exception, SystemExit | None):
        raise Leak(f"status {result.exit_code}: {result.exception!r}: {result.output[-300:]}") from result.exception
    return "accepted" if result.exit_code == 0 else "status 2"


def _more_damage(given: dict[str, bytes], rng: Random) -> dict[str, bytes]:
    return {name: havoc(data, rng) for name, data in given.items()}


SURFACES = [
    Surface("records", damaged_records().filter(is_damage), read_tables, 0.2, _more_damage),
    Surface("files of runs", damaged, read_files, 0.05),
    Surface("reports", damaged, report, 0.01),
    Surface("resumed runs", interrupted().filter(is_damage), resume, 0.006),
]
