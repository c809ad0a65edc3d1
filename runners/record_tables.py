"""One table of records on disk: Parquet parts, each whole or not at all, and a log of what came after them."""

__all__ = ["RecordTable", "Recovered"]

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .record_files import DAMAGE, LOG, PART, RecordsError, fitting, is_whole, numbered_files, read_part, whole_batches
from .storage import RunPath, is_local, listing, write_whole

_ROWS = 20_000
_SECONDS = 5.0
_SECONDS_WITHOUT_LOG = 2.0
_FEW, _GATHERED = 200, 2000
_BUFFER = 1 << 20
_DRAFT = ".draft"


@dataclass(frozen=True)
class Recovered:
    """What opening the records of a run that was killed brought back, and what was only half there.

    Arguments:
        rows: table → rows of its write-ahead log that are now in a part.
        dropped_rows: of players, whose record was not written to its end.
        dropped_bytes: of the last rows of a log, or of a part, that were not written to their end.
    """

    rows: Mapping[str, int]
    dropped_rows: int
    dropped_bytes: int

    def __str__(self) -> str:
        rows = ", ".join(f"{count} of {name}" for name, count in self.rows.items())
        return (
            f"recovered rows of records: {rows}; dropped what was half written: "
            f"{self.dropped_rows} rows, {self.dropped_bytes} bytes"
        )


class RecordTable:
    """Rows are appended to `DIR/NAME-NNNNN.arrows`, and after 20,000 rows or 5 seconds become `DIR/NAME-NNNNN.parquet`.

    The log is an Arrow IPC stream, handed to the operating system with every batch, so that a killed process loses
    none. It bears the number of the part that its rows will make: a log beside a part of its number is over, and
    doubles nothing. Storage other than a local file system cannot append: there is no log there, and parts are made
    every 2 seconds.

    Arguments:
        directory: where, existing.
        name: of the table.
        schema: of its rows.
        begun: number of parts to go on after; later ones and all logs are removed. None keeps all: call `recover`.
    """

    def __init__(self, directory: RunPath, name: str, schema: pa.Schema, begun: int | None) -> None:
        self._directory, self._name, self._schema = directory, name, schema
        self._row = pa.struct(list(schema))
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[pa.RecordBatch] = []
        self._pending = 0
        self._sink: Any = None
        self._stream: Any = None
        self._since = time.monotonic()
        entries = listing(directory)
        for path in entries:
            if path.name.startswith(f".{name}-") and path.suffix == _DRAFT:
                path.unlink(missing_ok=True)
        parts = numbered_files(entries, name)
        self._count = max(parts, default=-1) + 1 if begun is None else begun
        if begun is not None:
            logs = numbered_files(entries, name, LOG).values()
            for path in (*logs, *(path for number, path in parts.items() if number >= begun)):
                path.unlink(missing_ok=True)

    def add(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Adds rows, column by column, to the log at once; `flush` makes a part of them when `due`."""
        values = [columns[name] for name in self._schema.names]
        count = len(values[0])
        if count < _FEW:  # is converted faster row by row, and held with less memory as it came
            rows = list(zip(*values, strict=True))
            self._log(rows)
            self._rows += rows
            if len(self._rows) >= _GATHERED:
                self._gather()
        else:
            arrays = [pa.array(column, field.type) for column, field in zip(values, self._schema, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            self._log(batch)
            self._gather()
            self._batches.append(batch)
        self._pending += count

    def _log(self, rows: list[tuple[Any, ...]] | pa.RecordBatch) -> None:
        if is_local(self._directory):
            if self._stream is None:
                self._sink = pa.BufferedOutputStream(pa.OSFile(str(self._path(LOG)), "wb"), _BUFFER)
                self._stream = pa.ipc.new_stream(self._sink, self._schema)
            self._stream.write_batch(self._batch(rows) if isinstance(rows, list) else rows)
            self._sink.flush()

    def _gather(self) -> None:
        if self._rows:
            self._batches.append(self._batch(self._rows))
            self._rows = []

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        return pa.RecordBatch.from_struct_array(pa.array(rows, self._row))

    @property
    def due(self) -> bool:
        """Whether it is time for a part: there are many rows in none, or the last part is some time ago."""
        seconds = _SECONDS if is_local(self._directory) else _SECONDS_WITHOUT_LOG
        return self._pending >= _ROWS or time.monotonic() - self._since > seconds

    def flush(self) -> int:
        """Makes a part of the rows that are in none, and tells the number of parts."""
        if self._pending:
            self._gather()
            self._write(pa.Table.from_batches(self._batches, self._schema))
            self._batches, self._pending = [], 0
        self._since = time.monotonic()
        return self._count

    def recover(self) -> tuple[int, int]:
        """Makes a part of the rows in the log of a process that was killed.

        Returns:
            The number of rows, and of bytes at the end of the log, or of the last part, that were not written whole.
        """
        entries = listing(self._directory)
        dropped = self._drop_half_part(numbered_files(entries, self._name))
        rows = 0
        for number, path in numbered_files(entries, self._name, LOG).items():
            if number >= self._count:
                batches, left = whole_batches(path.read_bytes())
                dropped += left
                table = self._schema.empty_table()
                if batches:
                    table = fitting(pa.Table.from_batches(batches), self._schema, path)
                rows += len(table)
                if len(table):
                    self._write(table)
            path.unlink(missing_ok=True)
        return rows, dropped

    def rows(self) -> int:
        """Rows in parts.

        Raises:
            RecordsError: one is damaged.
        """
        parts = numbered_files(listing(self._directory), self._name)
        try:
            return sum(pq.read_metadata(pa.BufferReader(path.read_bytes())).num_rows for path in parts.values())
        except DAMAGE as error:
            raise RecordsError(f"a part of records {self._name!r} cannot be read: {error}; put it back") from error

    def cut(self, rows: int) -> None:
        """Takes the last rows out of the parts."""
        while rows > 0 and self._count:
            path = self._directory / f"{self._name}-{self._count - 1:05d}{PART}"
            try:
                table = read_part(path)
            except pa.ArrowException as error:
                raise RecordsError(f"{path} cannot be read: {error}; put it back") from error
            if len(table) > rows:
                write_whole(path, _parquet(table.slice(0, len(table) - rows)))
            else:
                path.unlink()
                self._count -= 1
            rows -= len(table)

    def _drop_half_part(self, parts: dict[int, RunPath]) -> int:
        """Removes the last part if it was not written to its end, as can be where no put is whole or nothing."""
        if not parts:
            return 0
        last = parts[max(parts)]
        data = last.read_bytes()
        if is_whole(data):
            return 0
        last.unlink()
        self._count -= 1
        return len(data)

    def _write(self, table: pa.Table) -> None:
        write_whole(self._path(PART), _parquet(table))
        if self._stream is not None:
            self._stream.close()
            self._sink.close()
            self._path(LOG).unlink()
            self._sink = self._stream = None
        self._count += 1

    def _path(self, suffix: str) -> RunPath:
        return self._directory / f"{self._name}-{self._count:05d}{suffix}"


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data
