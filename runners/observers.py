"""Other people's dashboards that watch a run: who they are, what they are told, and the extras that they need."""

__all__ = [
    "MissingExtraError",
    "Observer",
    "Observers",
    "closing_figures",
    "look_figures",
    "open_observers",
    "record_figures",
    "require_observers",
    "setting_figures",
]

import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self, final

import numpy as np

from .examination import Look
from .experiment import Experiment, ExperimentError
from .observer_sections import ObserveSection
from .outcome import Outcome
from .record import Record
from .storage import RunPath, is_local

_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


class MissingExtraError(ValueError):
    """An observer was asked for whose package is not installed.

    Not `ExperimentError`: the experiment is fine, and can be played elsewhere.
    """


class Observer(Protocol):
    """Whoever watches a run."""

    def on_record(self, record: Record) -> None:
        """Called with each record as it comes."""

    def on_look(self, look: Look) -> None:
        """Called with each close look as it comes."""

    def close(self, outcome: Outcome | None) -> None:
        """Called once, with the outcome; None if the run failed or was interrupted."""


@final
class Observers:
    """Several observers that are told the same; left without an outcome, as after an error, they are closed with None.

    Arguments:
        observers: the observers.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(None)

    def on_record(self, record: Record) -> None:
        """Tells each of a record."""
        for observer in self._observers:
            observer.on_record(record)

    def on_look(self, look: Look) -> None:
        """Tells each of a close look."""
        for observer in self._observers:
            observer.on_look(look)

    def close(self, outcome: Outcome | None) -> None:
        """Closes each, once."""
        while self._observers:
            self._observers.pop().close(outcome)


def require_observers(section: ObserveSection, directory: RunPath | None = None) -> None:
    """Refuses observers that could not write.

    Arguments:
        section: who shall watch.
        directory: of the run, once it is known.

    Raises:
        MissingExtraError: the package of an observer that is asked for is not installed.
        ExperimentError: the directory is on another storage; their packages write to local files.
    """
    for name, package in _PACKAGES.items():
        if not getattr(section, name).enabled:
            continue
        if find_spec(package) is None:
            raise MissingExtraError(
                f"observe.{name} needs the package {package}, which is not installed; "
                f'install the extra: pip install "nashgossip[{name}]", or leave observe.{name} out'
            )
        if directory is not None and not is_local(directory):
            raise ExperimentError(
                f"observe.{name} writes into the directory of the run, which is on another storage ({directory}); "
                f"take a local one, or leave observe.{name} out"
            )


def open_observers(plan: Experiment, directory: RunPath, players: Sequence[Hashable]) -> Observers:
    """The observers that an experiment asks for, each told the settings.

    Arguments:
        plan: the experiment; its section `observe` says who watches.
        directory: of the run, where they write unless told otherwise.
        players: their names, in the order of the records.

    Raises:
        MissingExtraError, ExperimentError: see `require_observers`.
    """
    require_observers(plan.observe, directory)
    if not isinstance(directory, Path):
        return Observers()
    chosen, settings = plan.observe, setting_figures(plan)
    opened: list[Observer] = []
    if chosen.tensorboard.enabled:
        from .observer_tensorboard import TensorBoardObserver

        opened.append(TensorBoardObserver(directory / "tensorboard", settings, players, chosen.tensorboard.series))
    if chosen.mlflow.enabled:
        from .observer_mlflow import MlflowObserver

        opened.append(
            MlflowObserver(
                chosen.mlflow.tracking or (directory / "mlruns").resolve().as_uri(),
                chosen.mlflow.experiment,
                directory,
                settings,
                players,
                chosen.mlflow.series,
            )
        )
    if chosen.wandb.enabled:
        from .observer_wandb import WandbObserver

        opened.append(
            WandbObserver(
                directory,
                settings,
                players,
                chosen.wandb.series,
                project=chosen.wandb.project,
                entity=chosen.wandb.entity,
                online=chosen.wandb.online,
            )
        )
    return Observers(opened)


def record_figures(record: Record, players: Sequence[Hashable], most: int) -> dict[str, float]:
    """What a record says, name → number: the run's figures, and `regret/PLAYER` of the first `most` players in nats.

    What does not apply or is not finite is left out.
    """
    figures: dict[str, float | None] = {
        "nash_gap_nats": record.nash_gap,
        "regret_mean_nats": record.regret_mean,
        "error_rms": record.error_rms,
        "moves_per_player": record.time,
        "seconds": record.seconds,
        "messages": record.messages,
        "bytes": record.bytes,
        "undelivered": record.undelivered,
    }
    if record.regrets is not None:
        names = [_plain(player) for player in players[:most]]
        figures |= {f"regret/{name}": float(r) for name, r in zip(names, record.regrets[:most], strict=True)}
    return _finite(figures)


def look_figures(look: Look) -> dict[str, float]:
    """What a close look says: means over the players for whom a figure applies."""
    each = {
        "look/total_variation": look.total_variations,
        "look/regret_estimate_nats": [None if r is None else r.gain for r in look.regrets],
        "look/held_out_nats": look.held_out,
        "look/accuracy": look.accuracies,
    }
    known = {name: [v for v in values if v is not None] for name, values in each.items()}
    return _finite({name: float(np.mean(values)) for name, values in known.items() if values})


def closing_figures(outcome: Outcome) -> dict[str, float]:
    """The numbers of a summary, by dotted name: `summary/predicted.noise_floor_rms`, `summary/measured.rate`, …."""
    flat = _flat(outcome.summary())
    return _finite({f"summary/{name}": v for name, v in flat.items() if not isinstance(v, str | bool | list)})


def setting_figures(plan: Experiment) -> dict[str, Any]:
    """Every setting of an experiment by its dotted name, lists as JSON; those of the observers are left out."""
    return {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in _flat(plan.model_dump(mode="json", exclude={"observe", "variants"})).items()
        if value is not None
    }


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(v) for name, v in figures.items() if v is not None and math.isfinite(v)}


def _plain(player: Hashable) -> str:
    """A player's name in the letters that all dashboards take."""
    return re.sub(r"[^\w.-]", "_", str(player), flags=re.ASCII)
