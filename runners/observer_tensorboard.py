"""TensorBoard watches a run: event files, written without TensorFlow and without torch."""

__all__ = ["TensorBoardObserver"]

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from .examination import Look
from .observers import closing_figures, look_figures, record_figures
from .outcome import Outcome
from .record import Record


@final
class TensorBoardObserver:
    """Writes what comes to event files; `tensorboard --logdir DIR` shows them. Steps are moves per player, rounded.

    Arguments:
        directory: for the event files; a run that is resumed adds one.
        settings: of the run, shown as text and as hyperparameters.
        players: their names, in the order of the records.
        series: players whose regret is a curve of its own, the first so many.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, Any], players: Sequence[Hashable], series: int = 100
    ) -> None:
        from tensorboardX import SummaryWriter

        self._writer: Any = SummaryWriter(logdir=str(directory))
        self._settings, self._players, self._series = dict(settings), players, series
        self._step = 0
        table = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
        self._writer.add_text("settings", f"| key | value |\n|---|---|\n{table}")

    def on_record(self, record: Record) -> None:
        """Adds the figures of a record."""
        self._step = round(record.time)
        self._add(record_figures(record, self._players, self._series))

    def on_look(self, look: Look) -> None:
        """Adds the figures of a close look."""
        self._step = round(look.time)
        self._add(look_figures(look))

    def close(self, outcome: Outcome | None) -> None:
        """Adds the outcome, with the settings as hyperparameters, and closes the files."""
        ended = "none" if outcome is None else outcome.outcome
        self._writer.add_text("outcome", ended, self._step)
        if outcome is not None:
            figures = closing_figures(outcome)
            self._add(figures)
            self._writer.add_hparams({**self._settings, "outcome": ended}, figures, name="settings")
        self._writer.close()

    def _add(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, self._step)
