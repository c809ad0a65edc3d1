"""The boundary: recognisable rows are planted, and every byte that is written or sent is searched for them.

Each planted value is a number of fifteen digits that occurs once. It is looked for as eight bytes, as four beside
those of its neighbour in the row, and by its first ten digits in text; in Parquet and Arrow by column, in base64 and
PNG decoded.
"""

import base64
import io
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from typer.testing import CliRunner

from nashgossip.agents import EmpiricalModel, EstimatorModel, ExponentialFamilyModel, Move, Player, seats
from nashgossip.agents.parcels import bundle, parcels_of
from nashgossip.games import Batch, Game, Gaussian, PlayerSpec
from nashgossip.runners import build_game, load_experiment, read_kept
from nashgossip.runners.checkpoint import checkpoints, load_tree
from nashgossip.runners.command import app
from nashgossip.topology import attach_alpha, generate_graph

NUMBERS = re.compile(rb"\d{3,}\.\d{3,}")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")


class Search:
    """Looks for numbers, and for nothing else."""

    def __init__(self, values: Any) -> None:
        planted = np.asarray(values, np.float64)
        self._doubles = planted.reshape(-1).view(np.int64)
        rows = planted.reshape(-1, planted.shape[-1]).astype(np.float32)
        self._floats = np.ascontiguousarray(rows[:, :2]).view(np.int64).reshape(-1) if rows.shape[1] > 1 else []
        self._digits = {repr(float(abs(v)))[:11].encode() for v in planted.reshape(-1)}

    def hits(self, data: bytes) -> int:
        """How many of the numbers are found, in binary or in text, base64 and PNG decoded too."""
        found = sum(self._binary(data, shift) for shift in range(8))
        found += sum(text[:11] in self._digits for text in NUMBERS.findall(data))
        if data.startswith(b"\x89PNG"):
            return found + self.hits(_pixels(data))
        for text in BASE64.findall(data):
            found += self.hits(base64.b64decode(text[: len(text) // 4 * 4]))
        return found

    def of(self, thing: Any) -> int:
        """The same of a value in memory: arrays wherever they are in it, and its pickle."""
        inside = b"".join(np.ascontiguousarray(a).tobytes() + b"\0" * 8 for a in _arrays(thing))
        return self.hits(inside) + self.hits(pickle.dumps(thing)) + self.hits(repr(thing).encode())

    def file(self, path: Path) -> int:
        """The same of a file."""
        found = self.hits(path.read_bytes())
        if path.suffix == ".parquet":
            found += self.hits(_columns(pq.read_table(path)))
        if path.suffix == ".arrows":
            found += self.hits(_columns(pa.ipc.open_stream(path).read_all()))
        return found

    def _binary(self, data: bytes, shift: int) -> int:
        words = np.frombuffer(data, np.int64, max(0, len(data) - shift) // 8, shift) if len(data) >= shift + 8 else []
        return int(np.isin(words, self._doubles).sum() + np.isin(words, self._floats).sum())


def _arrays(thing: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(thing, np.ndarray):
        yield thing
    elif isinstance(thing, Batch):
        yield from thing.arrays.values()
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from _arrays(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from _arrays(value)


def _columns(table: pa.Table) -> bytes:
    plain = [str(column.to_pylist()).encode() for column in table.columns]
    binary = [c.to_numpy().tobytes() for c in table.columns if pa.types.is_floating(c.type)]
    return b"\0".join([*plain, *binary])


def _pixels(png: bytes) -> bytes:
    """The pixels, and what is written beside them."""
    with Image.open(io.BytesIO(png)) as picture:
        return picture.tobytes() + b"\0" + repr(picture.info).encode()


def recognisable(players: int, rows: int, width: int) -> np.ndarray[Any, Any]:
    """`[players, rows, width]`: numbers of fifteen digits, no two alike in the first ten."""
    rng = np.random.default_rng(2511_01740)
    return 500.0 + rng.permutation(10**6)[: players * rows * width].reshape(players, rows, width) / 3001.7


def game_of(model: Any = None) -> tuple[Game, np.ndarray[Any, Any]]:
    family = Gaussian((3,))
    planted = recognisable(3, 24, 3)
    G = attach_alpha(generate_graph("path", n=3), 0.5)
    specs = {
        i: PlayerSpec(
            family=None if model else family,
            model=model,
            data=family.space.batch({"x": planted[i, :20]}),
            holdout=family.space.batch({"x": planted[i, 20:]}),
            samples=10,
        )
        for i in G
    }
    return Game(G, specs), planted


# --- the search finds what is there ----------------------------------------------------------------------------------


def test_the_search_finds_numbers_wherever_they_are(tmp_path: Path) -> None:
    planted = recognisable(1, 4, 3)
    search, row = Search(planted), planted[0, 2]
    assert search.hits(b"abc" + row.tobytes()) == 3
    assert search.hits(b"abcde" + row.astype(np.float32).tobytes()) == 1
    assert search.hits(f'{{"x": [{row[0]}, {row[1]:.12g}]}}'.encode()) == 2
    assert search.hits(b'"' + base64.b64encode(row.tobytes() * 8) + b'"') == 24
    assert search.of({"a": [row, {"b": row}]}) >= 6
    pq.write_table(pa.table({"x": row}), tmp_path / "a.parquet", compression="zstd")
    assert search.file(tmp_path / "a.parquet") >= 3
    picture = io.BytesIO()
    Image.frombytes("L", (8, 3), row.tobytes()).save(picture, "PNG")
    assert search.hits(picture.getvalue()) >= 3  # packed or not
    others = recognisable(2, 4, 3)[1]
    assert search.hits(others.tobytes() + str(others.tolist()).encode()) == 0


def test_the_search_finds_rows_that_a_memoriser_sends() -> None:
    game, planted = game_of(lambda: EmpiricalModel(Gaussian((3,)).space))
    players = [seat.build() for seat in seats(game, 1)]
    move = players[0].open()
    assert Search(planted[0]).of(move.messages[1].wire()) >= 30
    assert Search(planted[0]).of(players[0].state()) > 0  # it keeps rows, and so does its checkpoint


# --- no sequence of public calls -------------------------------------------------------------------------------------

CALLS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["open", "move", "answer", "measure", "look", "state", "rewire", "again"])
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(CALLS)
def test_no_sequence_of_public_calls_hands_out_a_private_row(calls: list[tuple[int, str]]) -> None:
    game, planted = game_of()
    made = seats(game, 1)
    players = [seat.build() for seat in made]
    out: list[Any] = []
    for k, call in calls:
        out.append(_called(players, made, k, call))
    out += [
        [player.state(), dict(player.rejected), player.mailbox.counts, str(player), repr(player)] for player in players
    ]
    own = Search(planted)
    assert [own.of(one) for one in out] == [0] * len(out)


def _called(players: list[Player], made: list[Any], k: int, call: str) -> Any:
    player, seat = players[k], made[k]
    if call in ("open", "move"):
        move: Move = getattr(player, call)()
        for listener, message in move.messages.items():
            players[int(str(listener))].receive(message)
        sent, beside = bundle(parcels_of(player.name, move))
        return sent, [p.message.wire() for p in beside if p.message]
    if call == "answer":
        answers = [player.answer(listener) for listener in range(3)]
        return [a.wire() for a in answers if a is not None]
    if call == "measure":
        return player.measure(7)
    if call == "look":
        return player.held_out(), player.estimate_regret(2), player.mean_parameters
    if call == "rewire":
        return player.rewire(seat.self_weight, seat.neighbours, seat.listeners)
    if call == "again":  # as after a death: from its checkpoint
        players[k] = seat.build()
        return players[k].load(player.state())
    return player.state()


def test_no_parameter_is_in_a_message() -> None:
    game, _ = game_of()
    players = [seat.build() for seat in seats(game, 1)]
    for _ in range(3):
        moves = [player.open() if not player.moves else player.move() for player in players]
        parameters = Search(np.stack([player.mean_parameters for player in players]))
        for player, move in zip(players, moves, strict=True):
            assert parameters.of(player.state()) > 0  # the player's own state holds them
            assert parameters.of([m.wire() for m in move.messages.values()]) == 0
            for listener, message in move.messages.items():
                players[int(str(listener))].receive(message)
        for player in players:
            player.move()


SPACE = Gaussian((3,)).space
STATES = {
    "family": (lambda: ExponentialFamilyModel(Gaussian((3,))), False),
    "empirical": (lambda: EmpiricalModel(SPACE), True),
    "kernel-density": (lambda: EstimatorModel(KernelDensity(), SPACE), True),
    "gaussian-mixture": (lambda: EstimatorModel(GaussianMixture(2), SPACE), True),
}


@pytest.mark.parametrize("name", STATES)
def test_what_a_checkpoint_holds_of_rows_is_what_the_docs_say(name: str) -> None:
    """The state of an exponential family holds means; those of models that are made of rows hold rows."""
    model, holds = STATES[name]
    game, planted = game_of(model)
    player = seats(game, 1)[0].build()
    player.open()
    assert (Search(planted[0]).of(player.state()) > 0) == holds
    text = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")
    assert (f"`{name}`" in text.partition("Rows stand in the checkpoints of")[2].partition(".")[0]) == holds


# --- every byte of a run ---------------------------------------------------------------------------------------------

PLAN = """\
name: planted
seed: 3
topology: {{generator: path, arguments: {{n: 3}}}}
alpha: {{self_weight: 0.5}}
data: {{source: npz, file: {file}, label: c, holdout: 0.25}}
model: {model}
play: {{runner: {runner}, moves: 6, samples: 20, measure: 30, checkpoint_seconds: 0.001{more}}}
{audit}
"""
FAMILY = "{family: product}"
EMPIRICAL = "{kind: empirical}"


def play_planted(
    folder: Path, runner: str, model: str = FAMILY, more: str = "", audit: str = ""
) -> tuple[Path, Search, str]:
    """Plays, reports and audits an experiment on planted rows; the directory, the search, and all that was printed."""
    planted = recognisable(1, 72, 3)[0]
    np.savez(folder / "rows.npz", x=planted, c=np.arange(72) % 2)
    text = PLAN.format(file=folder / "rows.npz", model=model, runner=runner, more=more, audit=audit)
    (folder / "planted.yaml").write_text(text)
    run = folder / "run"
    printed = ""
    commands = [["run", str(folder / "planted.yaml"), "--out", str(run), "--json"], ["report", str(run)]]
    commands += [["audit", str(run), "--shadows", "8", "--json"]] if audit else []
    for command in commands:
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        printed += result.output
    return run, Search(planted), printed


def files(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize("runner", ["rounds", "virtual"])
def test_no_byte_of_a_run_is_that_of_a_private_row(runner: str, tmp_path: Path) -> None:
    run, search, printed = play_planted(tmp_path, runner, audit="audit: {batches: 5}")
    assert {"report.html", "audit.html", "audit.json", "published"} <= {path.name for path in run.iterdir()}
    assert (runner == "virtual") == bool(checkpoints(run / "checkpoints"))
    assert {path.name: search.file(path) for path in files(run) if search.file(path)} == {}
    assert search.hits(printed.encode()) == 0
    assert search.file(tmp_path / "rows.npz") >= 3 * 72  # where they are, they are found


def test_no_parameter_is_in_what_others_read_of_a_run(tmp_path: Path) -> None:
    run, _, printed = play_planted(tmp_path, "virtual", audit="audit: {batches: 5}")
    (checkpoint,) = checkpoints(run / "checkpoints")[-1:]
    states = load_tree(checkpoint)["simulation"]["players"]
    means = np.stack([state["model"]["mean"][-3:] for state in states])
    parameters = Search(means)
    holding = {path.relative_to(run).parts[0] for path in files(run) if parameters.file(path)}
    assert holding == {"checkpoints"}  # of which each player has its own
    assert parameters.hits(printed.encode()) == 0


def test_a_run_of_memorisers_is_caught_at_it(tmp_path: Path) -> None:
    run, search, _ = play_planted(tmp_path, "rounds", model=EMPIRICAL, audit="audit: {batches: 5}")
    holding = {path.relative_to(run).parts[0] for path in files(run) if search.file(path)}
    assert "published" in holding
    game_rows = read_kept(run, _game(tmp_path))
    assert sum(search.of(kept.batch) for kept in game_rows) > 100


def _game(folder: Path) -> Game:
    game = build_game(load_experiment(folder / "planted.yaml"))
    assert isinstance(game, Game)
    return game


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_no_byte_of_a_run_on_ray_is_that_of_a_private_row(mode: str, tmp_path: Path) -> None:
    run, search, printed = play_planted(tmp_path, "ray", more=f", mode: {mode}, workers: 2")
    names = {path.relative_to(run).parts[0] for path in files(run)}
    assert {"records", "logs", "report.html", "checkpoints"} <= names
    assert {str(path.relative_to(run)): search.file(path) for path in files(run) if search.file(path)} == {}
    assert search.hits(printed.encode()) == 0
