"""Where runs are kept: a local folder, or any storage that fsspec reaches, behind one kind of path."""

__all__ = ["RunPath", "StorageError", "is_local", "listing", "run_path", "write_whole"]

import os
import re
import secrets
import warnings
from pathlib import Path
from typing import TypeAlias

from fsspec import get_filesystem_class
from upath import UPath

RunPath: TypeAlias = Path | UPath
"""A plain local path, or a path on another storage: both join by `/`, and read and write alike."""

_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)(?:::[A-Za-z][A-Za-z0-9+.-]*)*://")
_LONGEST_NAME, _LONGEST_PATH = 255, 4000
_LOCAL = ("", "file", "local")


class StorageError(ValueError):
    """A URL on a storage that nothing installed here can reach, or a path that no file can have.

    Not `RunDirectoryError`: it is not known whether there is anything.
    """


def run_path(text: str | RunPath) -> RunPath:
    """The path that a text names: a plain one stays a `pathlib.Path`, a URL becomes a `UPath`.

    `file://` and `local://` name local paths, and become plain ones. Credentials are found as fsspec finds them: in the
    environment, or in its configuration files.

    Arguments:
        text: a local path, or a URL such as `s3://bucket/runs/ring`; a path is handed on.

    Raises:
        StorageError: the protocol is unknown, or its package is missing; or no file can have such a name.

    >>> run_path("runs/ring"), run_path("file:///tmp/ring")
    (PosixPath('runs/ring'), PosixPath('/tmp/ring'))
    >>> run_path("memory://runs/ring") / "records"
    MemoryPath('/runs/ring/records', protocol='memory')
    """
    if isinstance(text, Path):
        return text
    if not isinstance(text, UPath):
        found = _URL.match(text)
        if found is None:
            return Path(_possible(text))
        text = _remote(text, found["protocol"])
    return Path(text.path) if text.protocol in _LOCAL else text


def is_local(path: RunPath) -> bool:
    """Whether a path is on a file system of this machine, where files can be appended to and renamed at once."""
    return isinstance(path, Path)


def listing(folder: RunPath) -> list[RunPath]:
    """What is in a folder at this moment, by name; nothing where there is no such folder."""
    if isinstance(folder, UPath) and not is_local(folder):
        folder.fs.invalidate_cache(folder.path)  # others may have written since it was last looked at
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_whole(path: RunPath, data: bytes) -> None:
    """Writes a file whole or not at all, in place of one that is there; its folder must exist.

    On a local file system it is written under another name, synchronised to disk with its folder, and renamed.
    Elsewhere it is one put of one object, which object stores (S3, GCS, Azure) make at once; on SFTP, SMB and their
    like a process that is killed can leave the beginning of a file.
    """
    if not isinstance(path, Path):
        path.write_bytes(data)
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _synchronise(path.parent)


def _synchronise(folder: Path) -> None:
    """A renaming survives a loss of power once the folder itself is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _possible(text: str) -> str:
    """A local path that the file system can be asked about."""
    try:
        name = os.fsencode(text)
    except UnicodeEncodeError:
        name = b"\0"
    if b"\0" in name or len(name) > _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in name.split(b"/")):
        raise StorageError(
            f"{text!r:.80} can name no file, expected names of at most {_LONGEST_NAME} bytes without NUL; mend the path"
        )
    return text


def _remote(text: str, protocol: str) -> UPath:
    try:
        get_filesystem_class(protocol)
    except ValueError:
        raise StorageError(
            f"{text} is on a storage {protocol!r} that is unknown here, expected a local path or a URL such as "
            "s3://bucket/run; install the package that brings this protocol to fsspec, or mend the URL"
        ) from None
    except ImportError as error:
        raise StorageError(f"{text} is on a storage {protocol!r} whose package is not installed: {error}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that upath knows nothing special of a protocol
        try:
            return UPath(text)
        except (ValueError, TypeError) as error:
            raise StorageError(f"{text} is no URL of a storage {protocol!r}: {error}; mend it") from None
