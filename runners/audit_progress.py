"""The progress of an audit: what is attacked now, and about how long it still takes."""

__all__ = ["AuditProgress", "told"]

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar, final

from rich.console import Console

from .study_progress import about

_SECONDS = 5.0
"""Between two lines of progress where none can be drawn anew."""

T = TypeVar("T")


@final
class AuditProgress:
    """What an audit tells as it goes on; used with `with`: one line drawn anew, or in a log a line from time to time.

    Arguments:
        console: to write to.
        seconds: between two lines of a log.
    """

    def __init__(self, console: Console, seconds: float = _SECONDS) -> None:
        self._console, self._seconds = console, seconds
        self._status = console.status("reading the run") if console.is_terminal else None
        self._last: float | None = None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, words: str) -> None:
        """Says what is done now."""
        now = time.monotonic()
        if self._status is not None:
            self._status.update(words)
        elif self._last is None or now - self._last >= self._seconds:
            self._last = now
            self._console.print(words, highlight=False, markup=False, soft_wrap=True)


def told(
    items: Iterable[T], total: int, words: Callable[[int], str], on_step: Callable[[str], None], after: str = ""
) -> Iterator[T]:
    """The items, before each of which `on_step` hears its words, and how long it takes from there to the last one.

    Arguments:
        items: what takes time: to be made, or between one and the next.
        total: how many; fewer may come.
        words: of the item of each number, from 0.
        on_step: called with the words.
        after: what follows the last one, in words.

    >>> list(told("ab", 2, lambda k: f"letter {k + 1} of 2", print))
    letter 1 of 2
    letter 2 of 2, about 0:00:00 left
    ['a', 'b']
    """
    begun, source = time.monotonic(), iter(items)
    for number in range(total):
        left = f", {about((time.monotonic() - begun) / number * (total - number))}" if number else ""
        on_step(f"{words(number)}{left}{after}")
        try:
            item = next(source)
        except StopIteration:
            return
        yield item
