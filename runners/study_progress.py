"""The progress of a study on a console: a bar, or in a log a line from time to time, with the time it still takes."""

__all__ = ["Progressed", "about"]

import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from .storage import RunPath
from .study_play import FAILED

_SECONDS = 10.0
"""Between two lines of progress where no bar can be drawn."""


@final
class Progressed:
    """What a study tells as it goes on; used with `with`, for as long as it is played."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._done = self._failed = 0
        self._begun: float | None = None  # when the first trial did, which is later than Ray
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            _Times(),
            console=console,
        )
        self._task = self._bar.add_task("trials", total=None, failed="", end=None, visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, path: RunPath, finished: int, pending: int) -> None:
        """That the request is right: the directory, and how many trials are finished and are to be played."""
        already = "" if not finished else f", {finished if pending else 'all'} are finished already"
        self._console.print(f"{finished + pending} trials in {path}{already}", highlight=False, soft_wrap=True)
        self._total = pending
        self._bar.update(self._task, total=pending, visible=pending > 0)

    def ended(self, row: dict[str, Any]) -> None:
        """That a trial has ended, and how."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now - row.get("seconds", 0.0)
        self._done += 1
        if row["outcome"] == FAILED:
            self._failed += 1
            text = f"trial {row['trial']} failed: {row['error']}"
            self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
        left = (now - self._begun) / self._done * (self._total - self._done)
        failed = f"{self._failed} failed" if self._failed else ""
        self._bar.update(self._task, advance=1, failed=failed, end=now + left)
        if not self._console.is_terminal and now - self._told > _SECONDS:  # a log, where no bar is drawn anew
            self._told = now
            self._console.print(f"{self._done} of {self._total} trials, {about(left)}", highlight=False)


class _Times(ProgressColumn):
    """The time that has passed, and what is still to come as the trials so far foretell it."""

    def render(self, task: Task) -> Text:
        passed, end = (task.finished_time if task.finished else task.elapsed) or 0.0, task.fields["end"]
        left = "" if task.finished else ", left unknown" if end is None else f", {about(end - time.monotonic())}"
        return Text(f"{timedelta(seconds=int(passed))} elapsed{left}", style="progress.elapsed")


def about(seconds: float) -> str:
    """How long something still takes, in words."""
    return f"about {timedelta(seconds=round(max(0.0, seconds)))} left"
