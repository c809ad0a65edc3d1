"""What is new in the records of a run that goes on: each row is read once, half-written ones not yet."""

__all__ = ["Fresh", "RunTail", "TableTail", "TakenBackError"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import pyarrow as pa
import pyarrow.parquet as pq

from .record_files import DAMAGE, LOG, fitting, numbered_files, read_part, whole_batches
from .record_schemas import PLAYER_SCHEMA, RUN_SCHEMA
from .storage import RunPath, listing


class TakenBackError(Exception):
    """Records that were told are no longer there: the run went back to a checkpoint, and writes them anew.

    Not `RunDirectoryError`: nothing is wrong, but everything is to be read again from the beginning.
    """


@dataclass(frozen=True, eq=False)
class Fresh:
    """Records that came since one last asked.

    Arguments:
        records: number of all records so far, these included.
        run: a row a record, see `RUN_SCHEMA`.
        players: the rows of the players in these records, in the order of the run; empty where they are not recorded.
        half: bytes at the end of the files that are half written.
    """

    records: int
    run: pa.Table
    players: pa.Table
    half: int


@final
class RunTail:
    """The records of a run, as they come.

    Arguments:
        folder: the folder `records` of a run; it need not be there yet.
        names: of the players on record; empty where single ones are not.
        after: number of records that are known already.
    """

    def __init__(self, folder: RunPath, names: Sequence[str], after: int = 0) -> None:
        self._count, self._records = len(names), after
        self._run = TableTail(folder, "run", RUN_SCHEMA, after)
        self._players = TableTail(folder, "players", PLAYER_SCHEMA, after * len(names))
        self._ahead = [RUN_SCHEMA.empty_table(), PLAYER_SCHEMA.empty_table()]
        self._last = float("-inf")

    def read(self) -> Fresh:
        """What came since the last call.

        Raises:
            TakenBackError: records that were told are no longer there.
        """
        run = pa.concat_tables([self._ahead[0], self._run.read()])  # before the players, whose rows are written first
        players = self._ahead[1]
        if self._count:
            players = pa.concat_tables([players, self._players.read()])
        whole = min(len(run), len(players) // self._count) if self._count else len(run)
        self._ahead = [run.slice(whole), players.slice(whole * self._count)]
        fresh = run.slice(0, whole)
        for time in fresh.column("time").to_pylist():
            if time < self._last:
                raise TakenBackError(f"a record of time {time} comes after one of {self._last}")
            self._last = time
        self._records += whole
        half = self._run.half + (self._players.half if self._count else 0)
        return Fresh(self._records, fresh, players.slice(0, whole * self._count), half)


@final
class TableTail:
    """One table of records, as it grows.

    A part that is complete is opened once, and not at all if its rows are known; of the log only what was appended is
    read.

    Arguments:
        folder: where the table is or will be.
        name: of the table.
        schema: of its rows.
        after: number of rows that are known already.

    Attributes:
        half: bytes that the last `read` found half written.
    """

    def __init__(self, folder: RunPath, name: str, schema: pa.Schema, after: int = 0) -> None:
        self._folder, self._name, self._schema, self._after = folder, name, schema, after
        self._number = 0  # of the part that is written now
        self._told = 0  # rows of it that were read from its log
        self._offset, self._head = 0, b""
        self.half = 0

    def read(self) -> pa.Table:
        """The rows that came since the last call, in their order.

        Raises:
            TakenBackError: a part that was told is gone, or shorter.
        """
        entries, self.half = listing(self._folder), 0
        parts, logs = numbered_files(entries, self._name), numbered_files(entries, self._name, LOG)
        if self._number and self._number - 1 not in parts:
            raise TakenBackError(f"part {self._number - 1} of {self._name!r} is gone")
        found = list[pa.Table]()
        try:
            while (path := parts.get(self._number)) is not None:
                rows = self._part(path)
                if rows is None:
                    return self._joined(found)  # a log beside a part of its number is over
                found.append(rows)
            if (path := logs.get(self._number)) is not None:
                found.append(self._log(path))
        except FileNotFoundError:
            pass  # it became a part this moment, which the next call reads
        return self._joined(found)

    def _joined(self, found: list[pa.Table]) -> pa.Table:
        return pa.concat_tables(found) if found else self._schema.empty_table()

    def _part(self, path: RunPath) -> pa.Table | None:
        """The rows of a part that are not known; None of one that is not written to its end."""
        try:
            with path.open("rb") as file:
                count = pq.ParquetFile(file).metadata.num_rows
            if count < self._told:
                raise TakenBackError(f"part {self._number} of {self._name!r} holds fewer rows than were told")
            if self._after >= count - self._told:
                self._after -= count - self._told
                rows = self._schema.empty_table()
            else:
                rows = self._unknown(self._fitting(read_part(path), path).slice(self._told))
        except DAMAGE as error:
            if isinstance(error, FileNotFoundError):
                raise
            self.half = path.stat().st_size
            return None
        self._number, self._told, self._offset, self._head = self._number + 1, 0, 0, b""
        return rows

    def _log(self, path: RunPath) -> pa.Table:
        """The whole batches that were appended to the log."""
        with path.open("rb") as file:
            if file.seek(0, 2) < self._offset:
                raise TakenBackError(f"the log of part {self._number} of {self._name!r} is shorter than it was")
            file.seek(self._offset)
            data = file.read()
        if not self._head:
            self._head, data = _schema_and_rest(data)
            self._offset = len(self._head)
        batches, left = whole_batches(self._head + data) if self._head else ([], len(data))
        self.half = left
        self._offset += len(data) - left if self._head else 0
        rows = self._schema.empty_table()
        if batches:
            rows = self._fitting(pa.Table.from_batches(batches), path)
        self._told += len(rows)
        return self._unknown(rows)

    def _fitting(self, rows: pa.Table, path: RunPath) -> pa.Table:
        """Rows in the columns of the schema: some runs have more."""
        return fitting(rows, self._schema, path).select(self._schema.names)

    def _unknown(self, rows: pa.Table) -> pa.Table:
        """Rows without those that are passed over."""
        known = min(self._after, len(rows))
        self._after -= known
        return rows.slice(known)


def _schema_and_rest(data: bytes) -> tuple[bytes, bytes]:
    """The message at the beginning of a stream that tells its schema, if it is whole, and what comes after it."""
    source = pa.BufferReader(data)
    try:
        pa.ipc.read_schema(source)
    except DAMAGE:
        return b"", data
    return data[: source.tell()], data[source.tell() :]
