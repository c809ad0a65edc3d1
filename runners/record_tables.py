"""One table of records on disk: Parquet parts, each whole or not at all, and a log of what came after them."""

__all__ = [
    "DAMAGE",
    "KEYS",
    "LOG",
    "PART",
    "RecordTable",
    "RecordsError",
    "Recovered",
    "fitting",
    "half_note",
    "half_written",
    "numbered_files",
    "read_part",
    "read_table",
    "whole_batches",
]

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .storage import RunPath, is_local, listing, write_whole

_ROWS = 20_000
_SECONDS = 5.0
_SECONDS_WITHOUT_LOG = 2.0
_FEW, _GATHERED = 200, 2000
_BUFFER = 1 << 20
_ATTEMPTS = 10
PART = ".parquet"
"""Suffix of parts, which are whole."""
LOG = ".arrows"
"""Suffix of the log of what is in no part yet."""
_DRAFT = ".draft"
DAMAGE = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)
"""What reading damaged Parquet and Arrow files raises."""
KEYS = ("time", "player", "moves", "messages", "bytes", "undelivered", "listener", "sender", "share")
"""Columns of which every row has a value."""


class RecordsError(ValueError):
    """Records that cannot be used: a part is damaged, or holds other columns than its table has.

    Not `RunDirectoryError`: the directory is that of a run. What was only half written is no error, see `half_written`.
    """


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
        if _is_whole(data):
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


def read_table(directory: RunPath, name: str, schema: pa.Schema | None = None) -> pa.Table | None:
    """All rows of a table, of its parts and then of whole batches of its log; None where there are none.

    A run that is being written can be read: if it made a part meanwhile, the table is read again.

    Arguments:
        directory: the folder of records.
        name: of the table.
        schema: that the rows are to fit; None takes them as they are, if all have the same columns.

    Raises:
        RecordsError: a part is damaged that is not the last, or the rows do not fit.
    """
    for _ in range(_ATTEMPTS):
        entries = listing(directory)
        parts, logs = numbered_files(entries, name), numbered_files(entries, name, LOG)
        try:
            tables = []
            for number, path in parts.items():
                try:
                    tables.append(read_part(path))
                except pa.ArrowException as error:
                    if number != max(parts):  # the last one may be half written, see half_written
                        raise RecordsError(
                            f"{path} cannot be read: {error}; put it back, or read a copy of the run without what "
                            "comes after it"
                        ) from error
            for number, path in logs.items():
                if number not in parts:
                    batches, _left = whole_batches(path.read_bytes())
                    tables += [pa.Table.from_batches(batches)] if batches else []
            if schema is not None:
                tables = [fitting(table, schema, directory / name) for table in tables]
        except FileNotFoundError:
            continue
        after = listing(directory)
        if [*numbered_files(after, name), *numbered_files(after, name, LOG)] == [*parts, *logs]:
            break
    else:
        raise TimeoutError(
            f"records {name!r} in {directory} changed {_ATTEMPTS} times while they were read; read again"
        )
    try:
        return pa.concat_tables(tables) if tables else None
    except DAMAGE as error:
        raise RecordsError(f"records {name!r} in {directory} have different columns: {error!s:.200}") from error


def fitting(table: pa.Table, schema: pa.Schema, where: RunPath) -> pa.Table:
    """A table whose columns are those of a schema, in its order and of its types, and then its others.

    What earlier versions did not record is null.

    Raises:
        RecordsError: a column of `KEYS` is missing, has unknown values, or one cannot be of its type.
    """
    columns: dict[str, Any] = {}
    try:
        table.validate(full=True)
        for field in schema:
            if field.name in table.column_names:
                columns[field.name] = table.column(field.name).cast(field.type)
            else:
                columns[field.name] = pa.chunked_array([pa.nulls(len(table), field.type)])
            if field.name in KEYS and columns[field.name].null_count:
                raise pa.ArrowInvalid(f"column {field.name!r} has unknown values")
        more = [name for name in table.column_names if name not in columns]
        return pa.table({**columns, **{name: table.column(name) for name in more}})
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise RecordsError(
            f"records {where} do not fit: {error!s:.200}; put them back as the run wrote them"
        ) from error


def half_written(directory: RunPath, name: str) -> int:
    """Bytes of a table that no reader can use: the end of a log, and a last part without its own end.

    Of a run that is going on this can be what is being written at this moment.
    """
    entries = listing(directory)
    parts = numbered_files(entries, name)
    logs = [path for number, path in numbered_files(entries, name, LOG).items() if number not in parts]
    left = sum(whole_batches(path.read_bytes())[1] for path in logs)
    if parts:
        data = parts[max(parts)].read_bytes()
        left += 0 if _is_whole(data) else len(data)
    return left


def whole_batches(data: bytes) -> tuple[list[pa.RecordBatch], int]:
    """The whole batches at the beginning of an Arrow stream, and the number of bytes that come after them."""
    source, batches, end = pa.BufferReader(data), [], 0
    try:
        reader = pa.ipc.open_stream(source)
        end = source.tell()
        while True:
            batch = reader.read_next_batch()
            batch.validate(full=True)
            batches.append(batch)
            end = source.tell()
    except StopIteration:
        end = source.tell()
    except DAMAGE:
        pass  # the process was killed while it wrote what comes here
    return batches, len(data) - end


def numbered_files(entries: list[RunPath], name: str, suffix: str = PART) -> dict[int, RunPath]:
    """The files `NAME-NUMBER.suffix` among entries, by number."""
    found: dict[int, RunPath] = {}
    for path in entries:
        head, _, number = path.stem.rpartition("-")
        if head == name and path.suffix == suffix and number.isascii() and number.isdigit():
            found[int(number)] = path
    return dict(sorted(found.items()))


def read_part(path: RunPath) -> pa.Table:
    """The rows of a part.

    Raises:
        pyarrow.ArrowException: it was not written to its end, or is damaged.
    """
    data = pa.BufferReader(path.read_bytes())
    try:
        return pq.read_table(data)
    except (OSError, UnicodeDecodeError) as error:
        raise pa.ArrowInvalid(str(error)) from error


def half_note(left: int) -> str:
    """That records were read to the last whole batch, and how many bytes are left after it."""
    return f"records were read to the last whole batch; {left} bytes after it are half written"


def _is_whole(data: bytes) -> bool:
    try:
        pq.read_metadata(pa.BufferReader(data))
    except DAMAGE:
        return False
    return True


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data
