"""One run in its directory: plays an experiment, streams its records, saves checkpoints, and can be resumed."""

__all__ = ["Interrupted", "Session", "engine_options"]

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..games import FleetGame, Game
from ..topology import require_name
from .checkpoint import CheckpointError, checkpoints, load_tree, save_tree
from .directory import RunDirectory
from .examination import Examiner
from .experiment import Experiment, ExperimentError
from .fleet_world import fleet_options, require_fleet
from .looks import Looks
from .monitor import Record
from .network import edges_of
from .observation import require_whole
from .outcome import Outcome
from .playing import ENGINES, play
from .records import RecordWriter, read_looks, read_trace
from .views import total_moves
from .virtual import Simulation
from .world import build_changes, build_network


class Interrupted(Exception):
    """A run was told to stop, and has saved a checkpoint that it can be resumed from.

    Not `KeyboardInterrupt`, which leaves at once and saves nothing more.
    """


class Session:
    """Plays an experiment in a run directory.

    Runs in virtual time save a checkpoint at the start, every `play.checkpoint_seconds`, and on SIGINT; a second SIGINT
    leaves at once. `restore` makes `play` go on from the last one.

    Arguments:
        plan: the experiment.
        game: its game.
        options: of the engine, as `engine_options` gives them.
        watch: how players are looked at and examined, as `build_watch` gives it.
        directory: where everything goes.
        console: for progress.
    """

    def __init__(
        self,
        plan: Experiment,
        game: Game | FleetGame,
        options: dict[str, Any],
        watch: tuple[Looks, Examiner | None],
        directory: RunDirectory,
        console: Console,
    ) -> None:
        self.directory = directory
        self._plan, self._game, self._console = plan, game, console
        self._saved: Any = None
        self._options = options
        self._looks, self._examiner = watch

    def restore(self) -> None:
        """Reads the last whole checkpoint and takes back the records that came after it.

        Raises:
            CheckpointError: there is none, or none that can be read.
        """
        if self._plan.play.runner != "virtual":
            raise CheckpointError(
                f"{self.directory.path} was played on {self._plan.play.runner}; only virtual runs resume"
            )
        found = checkpoints(self._checkpoints)
        if not found:
            raise CheckpointError(f"{self.directory.path} holds no checkpoint; play it again with `nashgossip run`")
        saved = load_tree(found[-1])
        if not (isinstance(saved, dict) and {"simulation", "parts"} <= set(saved)):
            raise CheckpointError(f"checkpoint {found[-1]} is not one of a run; remove it to go on from the one before")
        self._saved = saved

    def play(self) -> Outcome:
        """Plays to the end.

        Raises:
            ModelError: a model failed.
            Interrupted: SIGINT came; a checkpoint was saved.
        """
        settings, options = self._plan.play, dict(self._options)
        virtual = settings.runner == "virtual"
        parts = self._saved["parts"] if self._saved is not None else None
        console = self._console
        console.print(
            f"{self._plan.name}: {len(self._game.players)} players on {settings.runner}; {self._plan.description}",
            highlight=False,
        )
        with (
            RecordWriter(self.directory.records, self._game.players, parts=parts, timed=not virtual) as writer,
            _progress(settings.moves, console) as show,
            _interruptible(enabled=virtual) as told_to_stop,
        ):
            if virtual:
                options["on_observation"] = self._saver(writer, told_to_stop)
                if self._saved is not None:
                    options["resume"] = self._saved["simulation"]

            def on_record(record: Record) -> None:
                writer.write(record)
                show(record)

            return play(
                self._game,
                settings.runner,
                seed=self._plan.seed,
                moves=settings.moves,
                looks=self._looks,
                examiner=self._examiner,
                on_look=writer.write_look,
                looked=read_looks(self.directory.records) if self._saved is not None else (),
                on_record=on_record,
                history=read_trace(self.directory.records) if self._saved is not None else (),
                on_change=lambda change: console.print(change.sentence, highlight=False, markup=False, soft_wrap=True),
                **options,
            )

    @property
    def _checkpoints(self) -> Path:
        return self.directory.path / "checkpoints"

    def _saver(self, writer: RecordWriter, told_to_stop: Callable[[], bool]) -> Callable[[Simulation], None]:
        last = [float("-inf")]

        def save(simulation: Simulation) -> None:
            if simulation.time >= self._plan.play.moves:
                return  # the run is over: there is nothing to go on with
            stop = told_to_stop()
            if stop or time.monotonic() - last[0] >= self._plan.play.checkpoint_seconds:
                last[0] = time.monotonic()
                tree = {"simulation": simulation.state(), "parts": writer.flush()}
                save_tree(tree, self._checkpoints, simulation.observations)
            if stop:
                raise Interrupted

        return save


def engine_options(plan: Experiment, game: Game | FleetGame) -> dict[str, Any]:
    """What the engine of an experiment is called with.

    Raises:
        ValueError: a setting that is out of range or does not fit the game.
    """
    settings = plan.play
    require_name("runner", settings.runner, ENGINES)
    if settings.runner == "fleet":
        require_fleet(plan, game)
        return fleet_options(plan)
    if isinstance(game, FleetGame):
        raise ValueError(f"generator {plan.topology.generator} makes arrays, which only the runner fleet plays")
    kind = plan.changes.kind
    if kind != "none" and settings.runner != "virtual" and (kind, settings.runner) != ("membership", "ray"):
        raise ExperimentError(
            f"changes.kind is {kind!r}, which runner {settings.runner!r} does not play; take runner virtual"
        )
    if settings.runner == "rounds" or (settings.runner == "ray" and settings.mode == "synchronous"):
        require_whole(every=settings.every or 1)
    if settings.runner == "rounds":
        return {"every": int(settings.every or 1), "workers": settings.workers or 1}
    if settings.runner == "virtual":
        network = build_network(plan, game.players)
        changes = build_changes(plan, game, settings.moves * network.compute.average)
        network.require_players(game.players, edges_of(game, changes))
        return {"every": settings.every or 1.0, "network": network, "graphs": changes}
    options = {
        "mode": settings.mode,
        "rate": settings.rate,
        "every": settings.every,
        "workers": settings.workers,
        "patience": settings.patience,
    }
    return options if kind == "none" else {**options, "graphs": build_changes(plan, game, float(settings.moves))}


@contextlib.contextmanager
def _interruptible(*, enabled: bool) -> Iterator[Callable[[], bool]]:
    """Hands out a function that tells whether SIGINT has come; a second one raises KeyboardInterrupt as usual."""
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    previous = signal.signal(signal.SIGINT, note) if enabled else None
    try:
        yield lambda: bool(came)
    finally:
        if enabled:
            signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _progress(moves: int, console: Console) -> Iterator[Callable[[Record], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task("starting", total=moves, figures="")

        def show(record: Record) -> None:
            seconds = max(record.seconds, 1e-9)
            made = total_moves(record.players)
            gap = "–" if record.nash_gap is None else f"{record.nash_gap:.3g}"
            figures = f"{made / seconds:6.0f} moves/s {record.messages / seconds:6.0f} messages/s  Nash gap {gap}"
            progress.update(task, description="playing", completed=min(record.time, moves), figures=figures)

        yield show
