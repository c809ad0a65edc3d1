"""MLflow watches a run: a store of files in the run directory, or a tracking server."""

__all__ = ["MlflowObserver"]

import os
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from .examination import Look
from .observers import closing_figures, look_figures, record_figures
from .outcome import Outcome
from .record import Record

_LONGEST = 6000
_MOST = 100
_TAG = "nashgossip.directory"


@final
class MlflowObserver:
    """One MLflow run per run directory; a run that is resumed goes on in it. Steps are moves per player, rounded.

    MLflow's own telemetry is switched off (MLFLOW_DISABLE_TELEMETRY), and its store of files, which MLflow no longer
    develops and asks to be told of, is allowed (MLFLOW_ALLOW_FILE_STORE); variables that are set already prevail.

    Arguments:
        tracking: URI of the store: `file:///…`, or `http://…` of a server.
        experiment: MLflow's name for a group of runs; made if there is none.
        directory: of the run; its name becomes that of the MLflow run.
        settings: of the run, as parameters (the first 6,000 letters of each).
        players: their names, in the order of the records.
        series: players whose regret is a metric of its own, the first so many.
    """

    def __init__(
        self,
        tracking: str,
        experiment: str,
        directory: Path,
        settings: Mapping[str, Any],
        players: Sequence[Hashable],
        series: int = 100,
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric: Any = Metric
        self._players, self._series, self._step = players, series, 0
        self._client: Any = MlflowClient(tracking_uri=tracking)
        found = self._client.get_experiment_by_name(experiment)
        group = self._client.create_experiment(experiment) if found is None else found.experiment_id
        path = str(directory.resolve())
        before = self._client.search_runs([group], f"tags.`{_TAG}` = '{path.replace(chr(39), '_')}'", max_results=1)
        if before:
            self._run = before[0].info.run_id
            self._client.update_run(self._run, "RUNNING")
            return
        tags = {_TAG: path.replace("'", "_")}
        self._run = self._client.create_run(group, run_name=directory.name, tags=tags).info.run_id
        for part in _parts([Param(name, str(value)[:_LONGEST]) for name, value in settings.items()]):
            self._client.log_batch(self._run, params=part)

    @property
    def run_id(self) -> str:
        """MLflow's name for the run."""
        return str(self._run)

    def on_record(self, record: Record) -> None:
        """Adds the figures of a record."""
        self._step = round(record.time)
        self._add(record_figures(record, self._players, self._series))

    def on_look(self, look: Look) -> None:
        """Adds the figures of a close look."""
        self._step = round(look.time)
        self._add(look_figures(look))

    def close(self, outcome: Outcome | None) -> None:
        """Adds the outcome, as a tag, and ends the run: FINISHED, or FAILED without an outcome."""
        if outcome is not None:
            self._add(closing_figures(outcome))
            self._client.set_tag(self._run, "outcome", outcome.outcome)
        self._client.set_terminated(self._run, "FAILED" if outcome is None else "FINISHED")

    def _add(self, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, self._step) for name, value in figures.items()]
        for part in _parts(metrics):
            self._client.log_batch(self._run, metrics=part)


def _parts(entries: list[Any]) -> Iterator[list[Any]]:
    """As many as MLflow takes at a time."""
    for low in range(0, len(entries), _MOST):
        yield entries[low : low + _MOST]
