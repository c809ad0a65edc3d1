"""The directory of a run that is to be watched: one that does not exist yet is waited for, a study is told apart."""

__all__ = ["awaited_run"]

import time
from collections.abc import Callable

from .directory import RunDirectory, RunDirectoryError
from .storage import RunPath, is_local, listing, run_path

_EVERY, _EVERY_REMOTE = 0.1, 2.0


def awaited_run(run: RunPath | str, *, patience: float, on_wait: Callable[[str], None]) -> RunPath:
    """The directory of a run, as soon as it says what is played.

    Arguments:
        run: the directory, or its URL; it may be missing, or empty, for a while.
        patience: how long it is waited for, in seconds.
        on_wait: is told in a sentence that it is waited for.

    Raises:
        RunDirectoryError: it is that of a study, or of something else, or has not come.
        StorageError: nothing here can reach the storage of the URL.
    """
    path = run_path(run)
    end = time.monotonic() + patience
    if _is_missing(path):
        on_wait(f"there is no run in {path} yet; waiting for it for at most {patience:g} s")
        while _is_missing(path):
            if time.monotonic() > end:
                raise RunDirectoryError(
                    f"no run has come to {path} in {patience:g} s; begin one with `nashgossip run … --out {path}`, or "
                    "name another directory"
                )
            time.sleep(_EVERY if is_local(path) else _EVERY_REMOTE)
    try:
        return RunDirectory.existing(path).path
    except RunDirectoryError as error:
        if error.__cause__ is not None or not (path / "study.yaml").is_file():
            raise
    raise RunDirectoryError(
        f"{path} is the directory of a study, and runs are watched one by one; `nashgossip report {path}` makes a page "
        "of its trials so far"
    )


def _is_missing(path: RunPath) -> bool:
    """Whether there is nothing yet: a run makes its directory a moment before it says there what is played."""
    try:
        RunDirectory.existing(path)
    except RunDirectoryError as error:
        if error.__cause__ is not None:  # its storage cannot be read
            return False
        return not path.exists() or (path.is_dir() and not listing(path))
    return False
