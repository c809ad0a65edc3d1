"""Weights & Biases watches a run: offline, into the run directory, unless it is told to go online."""

__all__ = ["WandbObserver"]

import hashlib
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from .examination import Look
from .observers import closing_figures, look_figures, record_figures
from .outcome import Outcome
from .record import Record


@final
class WandbObserver:
    """One run of Weights & Biases per run directory, over moves per player; a run that is resumed goes on in it.

    Offline nothing leaves the machine: `wandb sync DIR/wandb/offline-run-*` sends it later. Its reports of errors
    (WANDB_ERROR_REPORTING), and what it notes of machine, code, packages and consoles, are switched off.

    Arguments:
        directory: of the run; its name becomes that of the run.
        settings: of the run, as its configuration.
        players: their names, in the order of the records.
        series: players whose regret is a curve of its own, the first so many.
        project: that the run belongs to.
        entity: user or team that it belongs to; None for the default one.
        online: whether it is sent as it is played, to whom WANDB_BASE_URL and WANDB_API_KEY say.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, Any],
        players: Sequence[Hashable],
        series: int = 100,
        *,
        project: str = "nashgossip",
        entity: str | None = None,
        online: bool = False,
    ) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._players, self._series = players, series
        quiet = wandb.Settings(
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self._run: Any = wandb.init(
            project=project,
            entity=entity,
            name=directory.name,
            id=_identity(directory),
            resume="allow" if online else None,
            dir=str(directory),
            mode="online" if online else "offline",
            config=dict(settings),
            settings=quiet,
            reinit="create_new",
        )
        self._run.define_metric("*", step_metric="moves_per_player")

    @property
    def directory(self) -> Path:
        """Where the files of the run are."""
        return Path(self._run.dir).parent

    def on_record(self, record: Record) -> None:
        """Adds the figures of a record."""
        self._run.log(record_figures(record, self._players, self._series))

    def on_look(self, look: Look) -> None:
        """Adds the figures of a close look."""
        self._run.log({"moves_per_player": look.time, **look_figures(look)})

    def close(self, outcome: Outcome | None) -> None:
        """Adds the outcome to the summary and ends the run; without an outcome its exit code is 1."""
        if outcome is not None:
            self._run.summary.update({**closing_figures(outcome), "outcome": outcome.outcome})
        self._run.finish(exit_code=1 if outcome is None else 0)


def _identity(directory: Path) -> str:
    """A name for the run that its directory always has, and no other."""
    path = str(directory.resolve())
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', directory.name)[:50]}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
