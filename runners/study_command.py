"""A study on the command line: progress with the time it still takes, the table of its points, and its figures."""

__all__ = ["run_study", "varying"]

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .storage import RunPath
from .study_file import StudyError
from .study_play import FAILED
from .study_run import study
from .study_view import Study

_MOST_LINES = 60
_MOST_COLUMNS = 8
_SECONDS = 10.0
"""Between two lines of progress where no bar can be drawn."""

_ROUNDING = 1e-12
_FIRST = ("measured_rate", "predicted_rate", "equilibrium_error_rms", "predicted_noise_floor_rms")
_LAST = "rate_ratio"
"""The last column that all trials have."""


def run_study(
    source: str, settings: Sequence[str], seed: int | None, jobs: int | None, out: str | None, console: Console
) -> Study:
    """Runs a study with its progress on a console, draws its figures, and shows what came of it.

    Raises:
        ValueError, KeyboardInterrupt: see `study`.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    failures = done = total = 0
    begun = told = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(
            "trials", total=None, failed="", visible=False
        )  # until the request is known to be right

        def on_start(path: RunPath, finished: int, pending: int) -> None:
            already = f", {finished} are finished already" if finished else ""
            console.print(f"{finished + pending} trials in {path}{already}", highlight=False, soft_wrap=True)
            nonlocal total, begun
            total, begun = pending, time.monotonic()
            progress.update(task, total=pending, visible=True)

        def on_trial(row: dict[str, Any]) -> None:
            nonlocal failures, done, told
            done += 1
            if row["outcome"] == FAILED:
                failures += 1
                console.print(
                    f"trial {row['trial']} failed: {row['error']}",
                    style="yellow",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )
            progress.update(task, advance=1, failed=f"{failures} failed" if failures else "")
            now = time.monotonic()
            if not console.is_terminal and now - told > _SECONDS:  # a log, where no bar is drawn anew
                told = now
                left = timedelta(seconds=round((now - begun) / done * (total - done)))
                console.print(f"{done} of {total} trials, about {left} left", highlight=False)

        found = study(source, out=out, settings=settings, seed=seed, jobs=jobs, on_start=on_start, on_trial=on_trial)
    console.print(_table(found))
    console.print(f"written to {found.path}: table.parquet, curves.parquet", highlight=False, soft_wrap=True)
    from .study_pictures import draw_study  # matplotlib is slow to import

    for name in found.file.figures:
        try:
            for file in draw_study(found, [name]):
                console.print(f"figure: {file}", highlight=False, soft_wrap=True)
        except StudyError as error:  # all has been played: a figure less is no reason to call the request wrong
            console.print(f"no figure {name}: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return found


def varying(text: str) -> str:
    """The setting that `--vary KEY=A,B,…` stands for; values may be a list or a law of YAML as well.

    >>> varying("alpha.self_weight=0.1,0.3"), varying("play.samples={randint: [10, 99]}")
    ('vary.alpha.self_weight=[0.1,0.3]', 'vary.play.samples={randint: [10, 99]}')
    """
    key, equals, values = text.partition("=")
    if not equals:
        raise StudyError(
            f"--vary {text!r} has no '='; expected a key and its values, such as alpha.self_weight=0.1,0.3"
        )
    return f"vary.{key.strip()}=" + (values if values.lstrip().startswith(("[", "{")) else f"[{values}]")


def _table(found: Study) -> Table:
    points = found.points
    known = [n for n in points.column_names if points.column(n).null_count < len(points)]
    chosen = [n for n in _FIRST if n in known]
    own = points.column_names.index(_LAST) + 1 if _LAST in points.column_names else 0  # where those of measures begin
    rest = [n for n in points.column_names[own:] if n in known and not n.endswith("_error") and n != "seconds"]
    names = [*found.varied, *chosen, *rest][: len(found.varied) + _MOST_COLUMNS]
    table = Table(title=f"{found.file.name}: means over {found.file.replicates} seeds", title_justify="left")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in points.slice(0, _MOST_LINES).to_pylist():
        table.add_row(*(_cell(row[name], row.get(f"{name}_error")) for name in names))
    return table


def _cell(value: Any, error: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} ± {error:.1g}" if error and error > _ROUNDING * abs(value) else text
