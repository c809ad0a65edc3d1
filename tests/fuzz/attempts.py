"""What one fuzzed input comes to: accepted, or refused by a named error; anything else is a defect."""

__all__ = ["BUDGET_S", "Leak", "Surface", "attempt", "is_named"]

import ast
import contextlib
import linecache
import resource
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from hypothesis.strategies import SearchStrategy

import nashgossip.topology

BUDGET_S = 20.0
"""Seconds after which an input counts as a hang."""
_SOURCES = str(Path(nashgossip.topology.__file__).parents[1])
_SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""In memory, where synchronising a file costs nothing."""
_MOST_BYTES = 6 << 30
"""Address space that an input may add to what the process has."""


class Leak(AssertionError):
    """An input came out as something else than a result or a named error, or left files where none belong."""


@dataclass(frozen=True)
class Surface:
    """One way in for data that nobody vouches for.

    Arguments:
        name: what tables call it.
        inputs: what is tried.
        enter: hands an input to the package, in an empty folder that is all it may write to; a text that it returns is
            the verdict, where refusals are no exceptions.
        share: of all inputs of the benchmark.
        vary: makes another input of one that was drawn, cheaply, for the benchmark; None where drawing is cheap enough.
    """

    name: str
    inputs: SearchStrategy[Any]
    enter: Callable[[Any, Path], object]
    share: float = 1.0
    vary: Callable[[Any, Random], Any] | None = None


def attempt(surface: Surface, given: Any) -> str:
    """Hands an input to a surface; `accepted`, or the name of the error that refused it.

    Raises:
        Leak: any other exception, a hang, a memory blow-up, or a file outside the folder.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_SCRATCH) as folder:
        inside = Path(folder) / "inside"
        inside.mkdir()
        with contextlib.chdir(inside):
            verdict = _tried(surface, given, inside)
        outside = sorted(path.name for path in Path(folder).iterdir() if path != inside)
        if outside:
            raise Leak(f"{surface.name}: {outside} were written outside the folder")
        return verdict


def is_named(error: BaseException) -> bool:
    """Whether the package raised an error itself, to say what is wrong with a request.

    It has a class of the package, or is a `ValueError` or `FileNotFoundError` of a `raise` statement in it: what `int`,
    `list.index` or an unpacking raises in a line of the package is none of these.
    """
    if type(error).__module__.startswith("nashgossip."):
        return True
    if not isinstance(error, ValueError | FileNotFoundError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename.startswith(_SOURCES) and (last.lineno, last.end_lineno, last.colno) in _raises(last.filename)


@cache
def _raises(file: str) -> frozenset[tuple[int | None, ...]]:
    """First line, last line and column of every `raise` statement of a file."""
    nodes = ast.walk(ast.parse("".join(linecache.getlines(file))))
    return frozenset((n.lineno, n.end_lineno, n.col_offset) for n in nodes if isinstance(n, ast.Raise))


def _tried(surface: Surface, given: Any, inside: Path) -> str:
    try:
        with _watched():
            verdict = surface.enter(given, inside)
    except _Late:
        raise Leak(f"{surface.name}: still at it after {BUDGET_S:g} s") from None
    except Exception as error:
        if is_named(error):
            return type(error).__name__
        raise Leak(f"{surface.name}: {type(error).__name__}: {error!s:.300}") from error
    return verdict if isinstance(verdict, str) else "accepted"


class _Late(BaseException):
    """The time of an input is over; no `except Exception` on the way stops it."""


@contextmanager
def _watched() -> Iterator[None]:
    """Bounds the time and the memory of the block."""

    def late(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    previous = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (held + _MOST_BYTES, before[1]))
    signal.setitimer(signal.ITIMER_REAL, BUDGET_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, before)
