"""Records on disk: append-only Parquet, streamed in parts that are each written whole or not at all."""

__all__ = ["RecordWriter", "read_looks", "read_records", "read_trace"]

import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..agents import RegretEstimate, Scores
from .examination import Look
from .monitor import Record
from .observation import PlayerView
from .views import PlayerArrays

_ROWS = 20_000
_MOST_PLAYERS = 10_000
_SECONDS = 5.0
_LETTERS = ("accepted", "duplicate", "outdated", "replaced")

_RUN = pa.schema(
    [
        ("time", pa.float64()),
        ("seconds", pa.float64()),
        ("messages", pa.int64()),
        ("bytes", pa.int64()),
        ("undelivered", pa.int64()),
        ("nash_gap", pa.float64()),
        ("error_rms", pa.float64()),
        ("amplitude", pa.float64()),
    ]
)
_PLAYERS = pa.schema(
    [
        ("time", pa.float64()),
        ("player", pa.string()),
        ("moves", pa.int64()),
        ("regret", pa.float64()),
        ("error", pa.float64()),
        *((name, pa.int64()) for name in (*_LETTERS, "rejected")),
        ("staleness", pa.float64()),
    ]
)


_LOOKS = pa.schema(
    [
        ("time", pa.float64()),
        ("seconds", pa.float64()),
        ("player", pa.string()),
        ("shares", pa.list_(pa.float64())),
        ("total_variation", pa.float64()),
        ("regret_estimate", pa.float64()),
        ("regret_error", pa.float64()),
        ("held_out", pa.float64()),
        ("accuracy", pa.float64()),
        ("auc", pa.float64()),
        ("log_class", pa.float64()),
        ("log_density", pa.float64()),
    ]
)

_SCORES = ("accuracy", "auc", "log_class", "log_density")


class RecordWriter:
    """Writes records to `DIR/run-00000.parquet`, … (one row each) and `DIR/players-00000.parquet`, … (one a player).

    Close looks go to `DIR/looks-00000.parquet`, …, a row a player.

    A part is written under another name and then renamed, after 20,000 rows or 5 seconds; it is never touched again. A
    crash loses what came after the last part, and nothing before. Of a fleet of more than 10,000 players the
    single ones are not recorded. Use it as a context manager.

    Arguments:
        directory: made if it is not there.
        players: names of the players, in the order of records.
        parts: table → number of parts to go on after, as `flush` gave it; later ones are removed.
        timed: whether wall-clock seconds are recorded. Without, a run in virtual time always leaves the same records.
    """

    def __init__(
        self, directory: Path, players: Sequence[Any], *, parts: Mapping[str, int] | None = None, timed: bool = True
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._names, self._players = players, [str(p) for p in players[:_MOST_PLAYERS]]
        self._timed = timed
        begun = {"run": 0, "players": 0, "looks": 0, **(parts or {})}
        self._run = _Parts(directory, "run", _RUN, begun["run"])
        self._each = _Parts(directory, "players", _PLAYERS, begun["players"])
        self._looks = _Parts(directory, "looks", _LOOKS, begun["looks"])

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, record: Record) -> None:
        """Adds a record."""
        self._run.add(
            {
                "time": [record.time],
                "seconds": [record.seconds if self._timed else None],
                "messages": [record.messages],
                "bytes": [record.bytes],
                "undelivered": [record.undelivered],
                "nash_gap": [record.nash_gap],
                "error_rms": [record.error_rms],
                "amplitude": [record.amplitude],
            }
        )
        if isinstance(record.players, PlayerArrays) and len(record.players) > _MOST_PLAYERS:
            return
        if len(self._players) < len(record.players):
            self._players = [str(p) for p in self._names]
        views, unknown = record.players, [None] * len(record.players)
        self._each.add(
            {
                "time": [record.time] * len(views),
                "player": self._players,
                "moves": [view.moves for view in views],
                "regret": unknown if record.regrets is None else record.regrets.tolist(),
                "error": unknown if record.errors is None else record.errors.tolist(),
                **{name: [view.letters.get(name) for view in views] for name in _LETTERS},
                "rejected": [sum(view.rejected.values()) for view in views],
                "staleness": [view.staleness for view in views],
            }
        )

    def write_look(self, look: Look) -> None:
        """Adds what a close look showed."""
        count = len(look.players)
        self._looks.add(
            {
                "time": [look.time] * count,
                "seconds": [look.seconds if self._timed else None] * count,
                "player": [str(p) for p in look.players],
                "shares": [None if s is None else s.tolist() for s in look.shares],
                "total_variation": list(look.total_variations),
                "regret_estimate": [None if r is None else r.gain for r in look.regrets],
                "regret_error": [None if r is None else r.error for r in look.regrets],
                "held_out": list(look.held_out),
                **{name: [None if s is None else getattr(s, name) for s in look.scores] for name in _SCORES},
            }
        )

    def flush(self) -> dict[str, int]:
        """Writes what is left, and tells the number of parts of each table."""
        return {"run": self._run.flush(), "players": self._each.flush(), "looks": self._looks.flush()}

    def close(self) -> None:
        """Writes what is left."""
        self.flush()


class _Parts:
    """The rows of one table that are not on disk yet, column by column, and the number of the next part."""

    def __init__(self, directory: Path, name: str, schema: pa.Schema, count: int) -> None:
        self._directory, self._name, self._schema = directory, name, schema
        self._columns: dict[str, list[Any]] = {column: [] for column in schema.names}
        self._count = count
        self._since = time.monotonic()
        for part in _parts(directory, name)[count:]:
            part.unlink()

    def add(self, columns: dict[str, list[Any]]) -> None:
        for name, values in columns.items():
            self._columns[name].extend(values)
        if len(self._columns["time"]) >= _ROWS or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> int:
        if self._columns["time"]:
            path = self._directory / f"{self._name}-{self._count:05d}.parquet"
            draft = path.with_suffix(".draft")
            pq.write_table(pa.Table.from_pydict(self._columns, schema=self._schema), draft)
            os.replace(draft, path)
            self._count += 1
        for values in self._columns.values():
            values.clear()
        self._since = time.monotonic()
        return self._count


def read_records(directory: Path | str, name: str = "run") -> Any:
    """All records of a run directory's `records` folder as one `pyarrow.Table`, in the order written.

    Arguments:
        directory: the folder `records`.
        name: `run`, one row per record, `players`, one per record and player, or `looks`, one per look and player.

    Raises:
        FileNotFoundError: there is no record of this name.
    """
    parts = _parts(Path(directory), name)
    if not parts:
        raise FileNotFoundError(f"no records {name!r} in {directory}; expected {name}-00000.parquet")
    return pa.concat_tables([pq.read_table(part) for part in parts])


def read_trace(directory: Path) -> Iterator[Record]:
    """The records of a run that was interrupted, one after the other, as its monitor saw them.

    Refused messages are counted, but their reasons are not on record.

    Raises:
        FileNotFoundError: there is no record.
    """
    run, players = read_records(directory, "run"), read_records(directory, "players")
    count = len(players) // max(len(run), 1)
    for number, row in enumerate(run.to_pylist()):
        views = players.slice(number * count, count).to_pylist()
        regrets, errors = (_column(views, name) for name in ("regret", "error"))
        yield Record(
            time=row["time"],
            seconds=row["seconds"] or 0.0,
            messages=row["messages"],
            bytes=row["bytes"],
            players=[
                PlayerView(v["moves"], None, {n: v[n] for n in _LETTERS}, {"any": v["rejected"]}, v["staleness"])
                for v in views
            ],
            regrets=regrets,
            errors=errors,
            amplitude=row["amplitude"],
        )


def read_looks(directory: Path) -> Iterator[Look]:
    """The close looks of a run that was interrupted, one after the other."""
    if not _parts(directory, "looks"):
        return
    rows = read_records(directory, "looks").to_pylist()
    for time_, group in itertools.groupby(rows, key=lambda row: row["time"]):
        views = list(group)
        yield Look(
            time_,
            views[0]["seconds"] or 0.0,
            tuple(v["player"] for v in views),
            tuple(None if v["shares"] is None else np.array(v["shares"]) for v in views),
            tuple(v["total_variation"] for v in views),
            tuple(
                None if v["regret_estimate"] is None else RegretEstimate(v["regret_estimate"], v["regret_error"])
                for v in views
            ),
            tuple(v["held_out"] for v in views),
            tuple(_scores(v) for v in views),
        )


def _scores(row: dict[str, Any]) -> Scores | None:
    """The scores in one row of the looks; None where there are none."""
    found = {name: row.get(name) for name in _SCORES}  # runs of an earlier version have fewer
    return None if all(value is None for value in found.values()) else Scores(**found)


def _column(rows: list[dict[str, Any]], name: str) -> NDArray[np.float64] | None:
    """One figure of each player; NaN for those who lack it, who are absent, and None where nobody has it."""
    values = [row[name] for row in rows]
    return None if all(value is None for value in values) else np.array(values, np.float64)


def _parts(directory: Path, name: str) -> list[Path]:
    return sorted(directory.glob(f"{name}-*.parquet"))
