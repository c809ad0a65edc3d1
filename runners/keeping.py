"""How a run is kept while it plays, so that it can be stopped and resumed: by engine."""

__all__ = ["ClusterKeeper", "Interrupted", "Keeper", "VirtualKeeper", "keeper_of"]

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from .checkpoint import CheckpointError, checkpoints, load_tree, save_tree
from .deployment import Deployment
from .directory import RunDirectory
from .experiment import Experiment
from .records import RecordWriter, read_records
from .simulation import Simulation
from .storage import RunPath, write_whole

_CLUSTER = "cluster.json"


class Interrupted(Exception):
    """A run was told to stop, and has saved a checkpoint that it can be resumed from.

    Not `KeyboardInterrupt`, which leaves at once and saves nothing more.
    """


class Keeper(Protocol):
    """What a session asks of an engine's way of being kept."""

    @property
    def resumed(self) -> bool:
        """Whether the run goes on from where it was."""
        ...

    def restore(self) -> None:
        """Finds out where the run is to go on.

        Raises:
            CheckpointError: there is nothing to go on from.
        """
        ...

    @property
    def writing(self) -> dict[str, Any]:
        """How records are written: arguments of `RecordWriter`."""
        ...

    def options(self, writer: RecordWriter, told_to_stop: Callable[[], bool]) -> dict[str, Any]:
        """What the engine is called with, besides its own options.

        Arguments:
            writer: of the records, which checkpoints tell the number of.
            told_to_stop: whether SIGINT has come; the engine then saves, and `Interrupted` is raised.
        """
        ...


def keeper_of(plan: Experiment, directory: RunDirectory, options: dict[str, Any]) -> Keeper | None:
    """The keeper of an experiment's engine; None for one whose runs cannot be resumed."""
    if plan.play.runner == "virtual":
        return VirtualKeeper(plan, directory)
    if plan.play.runner == "ray":
        return ClusterKeeper(plan, directory, options["deployment"])
    return None


class VirtualKeeper:
    """Saves a whole simulation at the start, every `play.checkpoint_seconds`, and when told to stop."""

    def __init__(self, plan: Experiment, directory: RunDirectory) -> None:
        self._plan, self._folder = plan, directory.path / "checkpoints"
        self._saved: Any = None

    @property
    def resumed(self) -> bool:
        """See `Keeper`."""
        return self._saved is not None

    def restore(self) -> None:
        """See `Keeper`; records that came after the checkpoint are taken back."""
        saved = _newest(self._folder, {"simulation", "parts"})
        time_ = saved["simulation"].get("time") if isinstance(saved["simulation"], dict) else None
        if not isinstance(time_, int | float) or not time_ < self._plan.play.moves:
            raise CheckpointError(
                f"{self._folder} holds a checkpoint of time {time_!r:.60}, expected one before the end at "
                f"{self._plan.play.moves}; there is nothing to go on with"
            )
        self._saved = saved

    @property
    def writing(self) -> dict[str, Any]:
        """See `Keeper`."""
        return {"parts": self._saved["parts"] if self.resumed else None, "timed": False}

    def options(self, writer: RecordWriter, told_to_stop: Callable[[], bool]) -> dict[str, Any]:
        """See `Keeper`."""
        last = [float("-inf")]

        def save(simulation: Simulation) -> None:
            if simulation.time >= self._plan.play.moves:
                return  # the run is over: there is nothing to go on with
            stop = told_to_stop()
            if stop or time.monotonic() - last[0] >= self._plan.play.checkpoint_seconds:
                last[0] = time.monotonic()
                tree = {"simulation": simulation.state(), "parts": writer.flush()}
                save_tree(tree, self._folder, simulation.observations)
            if stop:
                raise Interrupted

        resume = {"resume": self._saved["simulation"]} if self.resumed else {}
        return {"on_observation": save, **resume}


class ClusterKeeper:
    """The actors save themselves under `checkpoints/`; what is kept here is the name of the run, and how far it is.

    In rounds all go back to one checkpoint, and the records with them. Asynchronous actors go on each from its own, and
    every record stays.
    """

    def __init__(self, plan: Experiment, directory: RunDirectory, deployment: Deployment) -> None:
        self._plan, self._directory = plan, directory
        self._rounds = plan.play.mode == "synchronous"
        self._deployment = deployment
        self._folder = directory.path / "checkpoints" / "laboratory"
        self._saved: Any = None
        self._run = ""

    @property
    def resumed(self) -> bool:
        """See `Keeper`."""
        return bool(self._run)

    def restore(self) -> None:
        """See `Keeper`."""
        path = self._directory.path / _CLUSTER
        try:
            self._run = str(json.loads(path.read_text("utf-8"))["run"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path} cannot be read: {error}; the run has not begun to play, so play it again with `nashgossip run`"
            ) from None
        if self._rounds:
            self._saved = _newest(self._folder, {"number", "parts", "totals"})

    @property
    def writing(self) -> dict[str, Any]:
        """See `Keeper`."""
        if not self.resumed:
            return {}
        return {"parts": self._saved["parts"]} if self._rounds else {"resume": True}

    def options(self, writer: RecordWriter, told_to_stop: Callable[[], bool]) -> dict[str, Any]:
        """See `Keeper`."""
        directory = self._directory.path
        resume = self._totals() if self.resumed else None
        if not self.resumed:
            self._run = f"{self._plan.name}-{uuid.uuid4().hex[:12]}"
            write_whole(directory / _CLUSTER, json.dumps({"run": self._run}).encode())

        def stop(save: Callable[[], None]) -> None:
            if told_to_stop():
                save()
                raise Interrupted

        def keep(number: int, totals: dict[str, Any]) -> None:
            save_tree({"number": number, "parts": writer.flush(), "totals": totals}, self._folder, number)

        return {
            "deployment": replace(self._deployment, run=self._run, storage=directory.absolute()),
            "on_observation": stop,
            **({"on_checkpoint": keep} if self._rounds else {}),
            **({"resume": resume} if resume is not None else {}),
        }

    def _totals(self) -> dict[str, Any]:
        """What the run had come to: at the checkpoint in rounds, at the last record else."""
        if self._rounds:
            return {**self._saved["totals"], "checkpoint": self._saved["number"]}
        records = self._directory.path / "records"
        try:
            run, players = read_records(records), read_records(records, "players")
        except FileNotFoundError:
            return {}
        last = run.slice(len(run) - 1).to_pylist()[0]
        moves = players.slice(len(players) - len(players) // len(run)).column("moves").to_pylist()
        return {name: last[name] for name in ("time", "seconds", "messages", "bytes", "undelivered")} | {"moves": moves}


def _newest(folder: RunPath, keys: set[str]) -> Any:
    found = checkpoints(folder)
    if not found:
        raise CheckpointError(f"{folder.parent} holds no checkpoint; play it again with `nashgossip run`")
    saved = load_tree(found[-1])
    parts = saved.get("parts") if isinstance(saved, dict) else None
    counts = parts if isinstance(parts, dict) and {"run", "players", "looks"} <= set(parts) else {"none": -1}
    counted = all(type(count) is int and count >= 0 for count in counts.values())
    if not (isinstance(saved, dict) and keys <= set(saved) and counted):
        raise CheckpointError(f"checkpoint {found[-1]} is not one of a run; remove it to go on from the one before")
    return saved
