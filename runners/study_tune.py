"""Plays trials of a study side by side on Ray Tune: each in a worker process that goes on to the next one."""

__all__ = ["play_all"]

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ray import tune

from .cluster_session import ray_session
from .deployment import Deployment
from .study_play import play_trial
from .study_trials import Trial

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # what is finished is decided by our own files
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def play_all(
    base: Mapping[str, Any],
    trials: Sequence[Trial],
    measures: Mapping[str, Mapping[str, Any]],
    *,
    curves: bool,
    jobs: int,
    on_found: Callable[[Trial, dict[str, Any]], None],
    on_lost: Callable[[Trial, str], None],
) -> None:
    """Plays trials, `jobs` at a time, on the Ray session that is open, or one of this machine that ends with it.

    A worker process plays one trial after the other, with one thread of numerical libraries. A trial that raises is
    found like any other, with its error; one whose process dies is lost, and the others go on in a new process.

    Arguments:
        base: the experiment of the study.
        trials: to be played, in this order.
        measures: name → options.
        curves: whether curves are wanted.
        jobs: trials at a time.
        on_found: is told in this process what was found, as trials end.
        on_lost: is told which trial was lost, and why.

    Raises:
        ConnectionError: nobody answers at RAY_ADDRESS.
    """
    by_number = {trial.number: trial for trial in trials}

    with _environment(), ray_session(Deployment(workers=jobs)), _scratch() as folder, _quiet():
        job = {"base": dict(base), "trials": by_number, "measures": dict(measures), "curves": curves}
        trainable = tune.with_resources(tune.with_parameters(_Player, job=job), {"cpu": 1})
        tune.Tuner(
            trainable,
            param_space={"trial": tune.grid_search(list(by_number))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=jobs),
            run_config=tune.RunConfig(
                name="study",
                storage_path=folder,
                verbose=0,
                callbacks=[_Notes(by_number, on_found, on_lost)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


class _Notes(tune.Callback):
    """Hands on what Tune hears of trials."""

    def __init__(
        self,
        trials: Mapping[int, Trial],
        on_found: Callable[[Trial, dict[str, Any]], None],
        on_lost: Callable[[Trial, str], None],
    ) -> None:
        self._trials, self._on_found, self._on_lost = trials, on_found, on_lost

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps a copy on disk, which nobody restores

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self._on_found(self._trials[trial.config["trial"]], result["found"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._on_lost(self._trials[trial.config["trial"]], _why(trial))


class _Player(tune.Trainable):
    """The worker: one step is one whole trial."""

    def setup(self, config: dict[str, Any], job: Any = None) -> None:
        self._job, self._number = job, config["trial"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._number = new_config["trial"]
        return True

    def step(self) -> dict[str, Any]:
        job = self._job
        found = play_trial(job["base"], job["trials"][self._number], job["measures"], curves=job["curves"])
        return {"done": True, "found": found}


def _why(trial: Any) -> str:
    error = trial.get_error() if hasattr(trial, "get_error") else None
    return f"{type(error).__name__}: {' '.join(str(error).split())}" if error is not None else "its process died"


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What Tune, and the processes that Ray starts, read from the environment."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """A folder for Tune's own notes, of which nothing is kept."""
    folder = tempfile.mkdtemp(prefix="nashgossip-tune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Tune complains that it finds no results of its own, which nobody asked it to keep."""
    loggers = [logging.getLogger(name) for name in ("ray.tune", "ray.air", "ray.train")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
