"""A study on the command line: its progress, the table of its points, and its figures."""

__all__ = ["run_study", "varying"]

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .study_file import StudyError
from .study_progress import Progressed
from .study_run import study
from .study_view import Study
from .study_words import figure_columns, mean_words

_MOST_LINES = 60
_MOST_COLUMNS = 8
_BORDER = 3
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
    with Progressed(console) as told:
        found = study(
            source,
            out=out,
            settings=settings,
            seed=seed,
            jobs=jobs,
            on_start=told.started,
            on_trial=told.ended,
        )
    console.print(_table(found, console.width))
    curves = "" if found.curves is None else ", curves.parquet"
    console.print(f"written to {found.path}: table.parquet, points.parquet{curves}", highlight=False, soft_wrap=True)
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


def _table(found: Study, width: int) -> Table:
    """As many columns as fit without a word or a number that is broken."""
    title = f"{found.file.name}: means over {found.file.replicates} seeds"
    table, names = Table(title=title, title_justify="left"), _columns(found)
    rows = found.points.slice(0, _MOST_LINES).to_pylist()
    texts = [[_head(name), *(mean_words(row, name, digits=1) for row in rows)] for name in names]
    widths = _widths(texts, width - 1)
    for (head, *_), wide in zip(texts, widths, strict=False):
        table.add_column(head, width=wide, overflow="fold")
    for cells in list(zip(*texts[: len(widths)], strict=True))[1:]:
        table.add_row(*cells)
    if len(widths) < len(names):
        table.caption, table.caption_justify = f"in points.parquet besides: {', '.join(names[len(widths) :])}", "left"
    return table


def _head(name: str) -> str:
    return name.replace(".", ".\n") if "." in name else name.replace("_", " ")


def _widths(texts: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of as many columns as have room: at least their longest word, and no more than they need."""
    widths: list[int] = []
    for column in texts:
        least = max(map(len, " ".join(column).split()))
        if widths and least + _BORDER > room:
            break
        widths.append(least)
        room -= least + _BORDER
    for k, column in enumerate(texts[: len(widths)]):
        more = min(max(map(len, column[1:]), default=0) - widths[k], room)
        if more > 0:
            widths[k] += more
            room -= more
    return widths


def _columns(found: Study) -> list[str]:
    """The varied keys, and the first figures that are known; the measured rate wherever one is predicted."""
    points = found.points
    known = [n for n in figure_columns(points.column_names) if points.column(n).null_count < len(points)]
    chosen = [n for n in _FIRST if n in known or (n == "measured_rate" and "predicted_rate" in known)]
    own = points.column_names.index(_LAST) + 1 if _LAST in points.column_names else 0  # where those of measures begin
    rest = [n for n in points.column_names[own:] if n in known and n != "seconds"]
    missing = ["trials"] if any(n < found.file.replicates for n in points.column("trials").to_pylist()) else []
    return [*found.varied, *missing, *chosen, *rest][: len(found.varied) + _MOST_COLUMNS]
