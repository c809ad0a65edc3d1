"""The files of a table of records: their names, and what whole rows are in them, also while they are written."""

__all__ = [
    "DAMAGE",
    "KEYS",
    "LOG",
    "PART",
    "RecordsError",
    "fitting",
    "half_note",
    "half_written",
    "is_whole",
    "numbered_files",
    "read_part",
    "read_table",
    "whole_batches",
]

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .storage import RunPath, listing

PART = ".parquet"
"""Suffix of parts, which are whole."""
LOG = ".arrows"
"""Suffix of the log of what is in no part yet."""
DAMAGE = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)
"""What reading damaged Parquet and Arrow files raises."""
KEYS = ("time", "player", "moves", "messages", "bytes", "undelivered", "listener", "sender", "share")
"""Columns of which every row has a value."""
_ATTEMPTS = 10


class RecordsError(ValueError):
    """Records that cannot be used: a part is damaged, or holds other columns than its table has.

    Not `RunDirectoryError`: the directory is that of a run. What was only half written is no error, see `half_written`.
    """


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
        left += 0 if is_whole(data) else len(data)
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


def is_whole(data: bytes) -> bool:
    """Whether the bytes of a part were written to their end."""
    try:
        pq.read_metadata(pa.BufferReader(data))
    except DAMAGE:
        return False
    return True
