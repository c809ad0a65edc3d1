"""A journal: what happened, one JSON object a line, bounded in size, and readable while it is written."""

__all__ = ["Journal", "read_journal"]

import atexit
import io
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np

from .finite import finite
from .storage import RunPath, listing, run_path, write_whole

_LEVELS = ("debug", "info", "warning", "error")
_LARGEST = 10_000_000
_LARGEST_REMOTE = 1_000_000
_LONGEST = 100_000
_SECONDS = 2.0
_OLDER = ".old"
_MOST_FIELDS = 100


@final
class Journal:
    """Appends lines `{"time": "2026-01-31T12:00:00.000Z", "level": "info", "event": "saved", "player": "3", …}`.

    On a local file system each line is handed to the operating system at once, so that a killed process loses none.
    Elsewhere nothing can be appended to: lines are gathered for 2 seconds, and the whole object, of at most 1 MB, is
    written anew; a killed process loses what was gathered, an exit of the interpreter nothing.

    A file that has grown to `largest` is renamed to `PATH.old`, in place of the one before. A journal can be used from
    several threads, and pickled: the copy opens the file itself when it is first written to. One process at a time
    writes a file; give each its own.

    Arguments:
        path: the file, made with its folder when it is first written to; a local one is made absolute.
        largest: bytes at which a new file is begun; 10 MB, or 1 MB elsewhere than on a local file system.

    Raises:
        ValueError: `largest` is below 1.
    """

    def __init__(self, path: RunPath | str, *, largest: int | None = None) -> None:
        if largest is not None and largest < 1:
            raise ValueError(f"largest is {largest}, expected at least 1 byte")
        self.path: RunPath = run_path(path).absolute()
        self.largest = largest or (_LARGEST if isinstance(self.path, Path) else _LARGEST_REMOTE)
        self._lock = threading.Lock()
        self._sink: _File | _Object | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "largest": self.largest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], largest=state["largest"])  # the class is final

    def write(self, event: str, *, level: str = "info", player: Any = None, **fields: Any) -> None:
        """Appends a line.

        Arguments:
            event: what happened, a word.
            level: `debug`, `info`, `warning` or `error`.
            player: whom it concerns, written as text; None if it is nobody.
            fields: whatever belongs to it. Numbers that are not finite become null, arrays lists, and what JSON cannot
                hold text. Of a line longer than 100 kB the fields are cut to the beginning of their text, `cut`.

        Raises:
            ValueError: another level, or a field called `time`.
            OSError: the file cannot be written.
        """
        if level not in _LEVELS:
            raise ValueError(f"level is {level!r}, expected one of: {', '.join(_LEVELS)}")
        if "time" in fields:
            raise ValueError("a field is called 'time', which is that of the line; call it otherwise")
        line = _line(event, level, None if player is None else str(player), fields)
        with self._lock:
            self._sink = self._sink or _sink(self.path, self.largest)
            self._sink.append(line)

    def flush(self) -> None:
        """Writes what was gathered; on a local file system there never is anything."""
        with self._lock:
            if self._sink is not None:
                self._sink.flush()

    def close(self) -> None:
        """Writes what was gathered, and closes the file; the next line opens it again."""
        with self._lock:
            if self._sink is not None:
                self._sink.close()
                self._sink = None


def read_journal(path: RunPath | str) -> Iterator[dict[str, Any]]:
    """The lines of a journal, oldest first, those of the file before it included; none where there is no journal.

    What a process that was killed did not write to the end of a line is passed over.
    """
    where = run_path(path)
    for file in _files(where):
        with file:
            for line in file:
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except (ValueError, RecursionError):
                    continue
                if isinstance(entry, dict):
                    yield entry


class _File:
    """A local file that lines are appended to."""

    def __init__(self, path: Path, largest: int) -> None:
        self._path, self._largest = path, largest
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = self._opened()
        if self._size and not self._ends_well():
            self.append(b"\n")  # what a killed process left of a line stays by itself

    def append(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._largest:
            os.close(self._handle)
            os.replace(self._path, _older(self._path))
            self._handle = self._opened()
        left = memoryview(line)
        while left:
            left = left[os.write(self._handle, left) :]
        self._size += len(line)

    def flush(self) -> None:
        """Every line was written at once."""

    def close(self) -> None:
        os.close(self._handle)

    def _ends_well(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def _opened(self) -> int:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._size = os.fstat(handle).st_size
        return handle


class _Object:
    """An object that is written anew, lines gathered for 2 seconds at a time."""

    def __init__(self, path: RunPath, largest: int) -> None:
        self._path, self._largest = path, largest
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._data = bytearray(path.read_bytes() if path.is_file() else b"")
        if self._data and not self._data.endswith(b"\n"):
            self._data += b"\n"
        self._gathered = False
        atexit.register(self.flush)

    def append(self, line: bytes) -> None:
        with self._lock:
            if self._data and len(self._data) + len(line) > self._largest:
                write_whole(_older(self._path), bytes(self._data))
                self._data.clear()
            self._data += line
            self._gathered = True
            if self._timer is None:
                self._timer = threading.Timer(_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._gathered:
                write_whole(self._path, bytes(self._data))
                self._gathered = False

    def close(self) -> None:
        self.flush()
        atexit.unregister(self.flush)


def _sink(path: RunPath, largest: int) -> _File | _Object:
    return _File(path, largest) if isinstance(path, Path) else _Object(path, largest)


def _older(path: RunPath) -> Any:
    return path.with_name(path.name + _OLDER)


def _line(event: str, level: str, player: str | None, fields: dict[str, Any]) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"time": now, "level": level, "event": str(event)[:_LONGEST], "player": player}
    try:
        line = _json({**head, **fields})
    except (TypeError, ValueError, RecursionError):  # keys that are no text, or a value that holds itself
        line = _json({**head, **{name: _text(value) for name, value in fields.items()}})
    if len(line) > _LONGEST:
        some = list(fields.items())[:_MOST_FIELDS]
        cut = {name[:100]: _text(value)[: _LONGEST // (12 * len(some))] for name, value in some}
        short = {**head, "event": str(event)[:1000], "player": None if player is None else player[:1000]}
        line = _json({**short, "cut": cut})
    return line.encode() + b"\n"


def _json(entry: dict[str, Any]) -> str:
    """ASCII alone: newlines and lone surrogates are escaped."""
    return json.dumps(finite(json.loads(json.dumps(entry, default=_plain))), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} whose text fails: {type(error).__name__}>"


def _files(path: RunPath) -> list[BinaryIO]:
    """The file before, and the one that is being written; opened in the other order, for one may become the other."""
    if not isinstance(path, Path):
        there = {entry.name: entry for entry in listing(path.parent)}
        names = [name for name in (path.name + _OLDER, path.name) if name in there]
        return [io.BytesIO(there[name].read_bytes()) for name in names]
    opened: list[BinaryIO] = []
    for name in (path, _older(path)):
        try:
            file = name.open("rb")
        except FileNotFoundError:
            continue
        if opened and os.path.samestat(os.fstat(opened[0].fileno()), os.fstat(file.fileno())):
            file.close()
        else:
            opened.insert(0, file)
    return opened
