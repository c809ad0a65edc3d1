"""Runs a study: plays the trials that are not finished yet, and makes tables and figures of all."""

__all__ = ["study"]

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .machine import whole_cpus
from .storage import RunPath, run_path
from .study_columns import require_figures
from .study_file import StudyError, StudyFile, load_study, parse_study
from .study_play import FAILED
from .study_store import StudyStore
from .study_trials import Trial, plan_trials
from .study_view import Study

_SECONDS = 5.0
"""Between two writings of the tables while trials are played."""


def study(
    source: str | RunPath | Mapping[str, Any] | StudyFile,
    *,
    out: RunPath | str | None = None,
    settings: Sequence[str] = (),
    seed: int | None = None,
    jobs: int | None = None,
    on_start: Callable[[RunPath, int, int], None] | None = None,
    on_trial: Callable[[dict[str, Any]], None] | None = None,
) -> Study:
    """Plays the trials of a study that are not finished yet, side by side, and returns what was found.

    Arguments:
        source: a built-in study's name, a YAML file, a mapping as YAML gives it, or the directory of a study to go on
            with.
        out: directory of the study; if it holds this very study already, only what is not finished is played. A new one
            in `runs` if left out, or that of `source`.
        settings: `key=value` each, see `load_study`.
        seed: of the study, instead of that in the file.
        jobs: trials at a time; as many as there are processors if left out.
        on_start: is told the directory, how many trials are finished, and how many are to be played.
        on_trial: is told the row of each trial as it ends.

    Raises:
        UnknownNameError: no such built-in study.
        StudyError: a file, a setting, a column of a figure or a directory that is wrong.
        ExperimentError: a key or value that the experiment refuses.
        KeyboardInterrupt: SIGINT came; what is finished stands in the directory.
    """
    if jobs is not None and jobs < 1:
        raise StudyError(f"jobs is {jobs}, expected at least 1")
    file = _file(source, settings)
    if seed is not None:
        if seed < 0:
            raise StudyError(f"seed is {seed}, expected a whole number of at least 0")
        file = file.model_copy(update={"seed": seed})
    file = file.whole()
    base = file.base()
    trials = plan_trials(file, base)
    require_figures(file)
    store = StudyStore(out if out is not None else _place(source, file), file)
    found = {number: one for number, one in store.finished().items() if number < len(trials)}
    pending = [trial for trial in trials if trial.number not in found]
    if on_start is not None:
        on_start(store.path, len(found), len(pending))
    since = time.monotonic()

    def on_found(trial: Trial, result: dict[str, Any]) -> None:
        nonlocal since
        store.finish(trial.number, result)
        found[trial.number] = result
        if on_trial is not None:
            on_trial(result["row"])
        if time.monotonic() - since > _SECONDS:
            store.tabulate(found)
            since = time.monotonic()

    def on_lost(trial: Trial, why: str) -> None:
        row = {"trial": trial.number, "point": trial.point, "replicate": trial.replicate, **trial.values}
        row |= {"seed": trial.seed, "outcome": FAILED, "error": why}
        found[trial.number] = {"row": row, "curve": None}
        if on_trial is not None:
            on_trial(row)

    if pending:
        from .study_tune import play_all  # Ray is imported only by those who use it

        try:
            play_all(
                base,
                pending,
                file.measure,
                curves=file.curves,
                jobs=min(jobs or whole_cpus(), len(pending)),
                on_found=on_found,
                on_lost=on_lost,
            )
        finally:
            played = _written(store, file, len(trials), found)
        if len(found) < len(trials):
            raise KeyboardInterrupt(f"go on with: nashgossip study {store.path}")
        return played
    return _written(store, file, len(trials), found)


def _written(store: StudyStore, file: StudyFile, planned: int, found: Mapping[int, Mapping[str, Any]]) -> Study:
    played = Study(store.path, file, planned, *store.tabulate(found))
    store.average(played.points)
    return played


def _file(source: str | RunPath | Mapping[str, Any] | StudyFile, settings: Sequence[str]) -> StudyFile:
    if isinstance(source, StudyFile):
        source = source.model_dump(mode="json", by_alias=True)
    return parse_study(source, settings=settings) if isinstance(source, Mapping) else load_study(source, settings)


def _place(source: Any, file: StudyFile) -> RunPath | str:
    """The directory of a study that goes on, else a new one."""
    if isinstance(source, Mapping | StudyFile):
        return StudyStore.fresh(file.name)
    where = run_path(source)
    return where if where.is_dir() and (where / "study.yaml").is_file() else StudyStore.fresh(file.name)
