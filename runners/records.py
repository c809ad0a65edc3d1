"""Records on disk: append-only Parquet, streamed in parts that are each written whole or not at all."""

__all__ = ["RecordWriter", "read_records"]

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .monitor import Record

_ROWS = 20_000
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


class RecordWriter:
    """Writes records to `DIR/run-00000.parquet`, … (one row each) and `DIR/players-00000.parquet`, … (one a player).

    A part is written under another name and then renamed, after 20,000 rows or 5 seconds; it is never touched again. A
    crash loses what came after the last part, and nothing before. Use it as a context manager.

    Arguments:
        directory: made if it is not there.
        players: names of the players, in the order of records.
    """

    def __init__(self, directory: Path, players: list[Any]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._players = [str(p) for p in players]
        self._run = _Parts(directory, "run", _RUN)
        self._each = _Parts(directory, "players", _PLAYERS)

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
                "seconds": [record.seconds],
                "messages": [record.messages],
                "bytes": [record.bytes],
                "undelivered": [record.undelivered],
                "nash_gap": [record.nash_gap],
                "error_rms": [record.error_rms],
            }
        )
        views, unknown = record.players, [None] * len(record.players)
        self._each.add(
            {
                "time": [record.time] * len(views),
                "player": self._players,
                "moves": [view.moves for view in views],
                "regret": unknown if record.regrets is None else record.regrets.tolist(),
                "error": unknown if record.errors is None else record.errors.tolist(),
                **{name: [view.letters[name] for view in views] for name in _LETTERS},
                "rejected": [sum(view.rejected.values()) for view in views],
                "staleness": [view.staleness for view in views],
            }
        )

    def close(self) -> None:
        """Writes what is left."""
        self._run.flush()
        self._each.flush()


class _Parts:
    """The rows of one table that are not on disk yet, column by column, and the number of the next part."""

    def __init__(self, directory: Path, name: str, schema: pa.Schema) -> None:
        self._directory, self._name, self._schema = directory, name, schema
        self._columns: dict[str, list[Any]] = {column: [] for column in schema.names}
        self._count = 0
        self._since = time.monotonic()

    def add(self, columns: dict[str, list[Any]]) -> None:
        for name, values in columns.items():
            self._columns[name].extend(values)
        if len(self._columns["time"]) >= _ROWS or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._columns["time"]:
            path = self._directory / f"{self._name}-{self._count:05d}.parquet"
            draft = path.with_suffix(".draft")
            pq.write_table(pa.Table.from_pydict(self._columns, schema=self._schema), draft)
            os.replace(draft, path)
            self._count += 1
        for values in self._columns.values():
            values.clear()
        self._since = time.monotonic()


def read_records(directory: Path | str, name: str = "run") -> Any:
    """All records of a run directory's `records` folder as one `pyarrow.Table`, in the order written.

    Arguments:
        directory: the folder `records`.
        name: `run`, one row per record, or `players`, one per record and player.

    Raises:
        FileNotFoundError: there is no record of this name.
    """
    directory = Path(directory)
    parts = sorted(directory.glob(f"{name}-*.parquet"))
    if not parts:
        raise FileNotFoundError(f"no records {name!r} in {directory}; expected {name}-00000.parquet")
    return pa.concat_tables([pq.read_table(part) for part in parts])
