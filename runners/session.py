"""One run in its directory: plays an experiment, streams its records, saves checkpoints, and can be resumed."""

__all__ = ["Interrupted", "Session", "deployment_of", "engine_options", "staged"]

import contextlib
import signal
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..games import FleetGame, Game
from ..topology import require_name
from .checkpoint import CheckpointError
from .deployment import Deployment
from .directory import RunDirectory
from .examination import Examiner, Look
from .experiment import Experiment, ExperimentError
from .experiment_graph import bare_graph
from .fleet_world import fleet_options, require_fleet
from .honesty import has_hostile
from .keeping import Interrupted, keeper_of
from .kept_batches import keeping_batches, require_keeping
from .looks import Looks
from .network import edges_of
from .observation import Observation, require_whole
from .observers import open_observers
from .outcome import Outcome
from .playing import ENGINES, play
from .record import Record
from .records import RecordWriter, read_looks, read_trace
from .sheets import draw_sheet, write_sheet
from .spending import has_private
from .staging import build_game
from .start_estimate import StartEstimate
from .storage import RunPath
from .views import total_moves
from .where import Ask, build_lean_game, require_lean, spec_sources
from .world import build_changes, build_network

_MANY = 20
"""Processes from which on it is said what starting them takes."""


class Session:
    """Plays an experiment in a run directory.

    Runs on `virtual` and `ray` save checkpoints, at the latest when SIGINT comes; a second SIGINT leaves at once.
    `restore` makes `play` go on from the last ones.

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
        self._options = options
        self._looks, self._examiner = watch
        self._keeper = keeper_of(plan, directory, options)

    @property
    def keeps(self) -> bool:
        """Whether the run keeps what is published, for an audit."""
        return self._plan.audit.batches > 0

    def restore(self) -> None:
        """Finds the last whole checkpoint, to go on from there.

        Raises:
            CheckpointError: there is none, or none that can be read, or the engine saves none.
        """
        if self._keeper is None:
            raise CheckpointError(
                f"{self.directory.path} was played on {self._plan.play.runner}; runs on virtual and ray resume"
            )
        self._keeper.restore()

    def play(self) -> Outcome:
        """Plays to the end.

        Raises:
            ModelError: a model failed.
            Interrupted: SIGINT came; a checkpoint was saved.
        """
        plan, settings, keeper, console = self._plan, self._plan.play, self._keeper, self._console
        resumed, records = keeper is not None and keeper.resumed, self.directory.records
        console.print(
            f"{plan.name}: {len(self._game.players)} players on {settings.runner}; {plan.description}", highlight=False
        )
        with (
            RecordWriter(
                records,
                self._game.players,
                hostile=has_hostile(self._game),
                private=has_private(self._game),
                **({} if keeper is None else keeper.writing),
            ) as writer,
            _progress(settings.moves, console) as show,
            _interruptible(enabled=keeper is not None) as told_to_stop,
            open_observers(plan, self.directory.path, self._game.players) as observers,
            keeping_batches(plan, self._game, self.directory.path, resumed=resumed) as kept,
        ):
            if writer.recovered is not None:
                console.print(str(writer.recovered), highlight=False)
            options = self._options if keeper is None else {**self._options, **keeper.options(writer, told_to_stop)}
            options = {**options, **kept}
            measure = self._metrics(options)
            if settings.runner == "ray":
                options["on_start"] = self._announce

            def on_record(record: Record) -> None:
                writer.write(record)
                show(record)
                observers.on_record(record)
                measure(record)

            def on_look(look: Look) -> None:
                writer.write_look(look)
                observers.on_look(look)

            outcome = play(
                self._game,
                settings.runner,
                seed=plan.seed,
                moves=settings.moves,
                looks=self._looks,
                examiner=self._examiner,
                on_look=on_look,
                on_samples=self._keep_sheet,
                looked=read_looks(records) if resumed else (),
                on_record=on_record,
                history=_history(records, self._game.players) if resumed else (),
                on_change=lambda change: console.print(change.sentence, highlight=False, markup=False, soft_wrap=True),
                **options,
            )
            observers.close(outcome)
            return outcome

    def _keep_sheet(self, observed: Observation) -> None:
        """Keeps what players generate as a picture; a run goes on without, and says so."""
        try:
            sheet = draw_sheet(observed.time, observed.samples, self._examiner)
            if sheet is not None:
                write_sheet(sheet, self.directory.path)
        except Exception as error:
            why = f"no sheet of samples at time {observed.time:g}: {type(error).__name__}: {error}"
            self._console.print(why, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def _announce(self, estimate: StartEstimate) -> None:
        if estimate.processes >= _MANY:
            self._console.print(f"starting {estimate.sentence}", highlight=False)

    def _metrics(self, options: dict[str, Any]) -> Callable[[Record], None]:
        """What gives records to Ray's metrics, where the run is on Ray and they are wanted."""
        if self._plan.play.runner != "ray" or not self._plan.cluster.metrics or not isinstance(self._game, Game):
            return lambda record: None
        from .cluster_gauges import gauges  # Ray is imported only by those who use it

        return gauges(self._game, options["deployment"].run)


def staged(plan: Experiment, ask: Ask | None = None) -> Game | FleetGame:
    """The game of an experiment, with the rows or, where the players read them, without.

    Arguments:
        plan: the experiment.
        ask: has data read elsewhere, for `data.where: players`.

    Raises:
        ExperimentError: `data.where` is `players`, and nobody can be asked, or see `require_lean`.
        ValueError: see `build_game` and `build_lean_game`.
    """
    if plan.data.where == "driver":
        return build_game(plan)
    require_lean(plan)
    if ask is None:
        raise ExperimentError(
            "data.where is 'players', but there is no process to ask for what the players' data are; call "
            "build_lean_game with an `Ask`, or set data.where=driver"
        )
    return build_lean_game(plan, ask)


def engine_options(plan: Experiment, game: Game | FleetGame) -> dict[str, Any]:
    """What the engine of an experiment is called with.

    Raises:
        ValueError: a setting that is out of range or does not fit the game.
    """
    settings = plan.play
    require_name("runner", settings.runner, ENGINES)
    require_keeping(plan)
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
        "deployment": deployment_of(plan),
        "patience": settings.patience,
        **({"source": spec_sources(plan)} if plan.data.where == "players" else {}),
    }
    return options if kind == "none" else {**options, "graphs": build_changes(plan, game, float(settings.moves))}


def deployment_of(plan: Experiment) -> Deployment:
    """How an experiment is laid out on a cluster, without the storage that its directory gives it."""
    settings = plan.cluster.model_dump(exclude={"metrics"})
    unknown = sorted(settings["nodes"].keys() - {str(player) for player in bare_graph(plan.topology)})
    if unknown:
        raise ExperimentError(f"cluster.nodes names player {', '.join(unknown[:10])}, who does not play")
    return Deployment(workers=plan.play.workers, checkpoint_seconds=plan.play.checkpoint_seconds, **settings)


def _history(records: RunPath, players: Sequence[Hashable]) -> Iterator[Record]:
    """The records of a run that goes on; none of one that was killed before its first."""
    with contextlib.suppress(FileNotFoundError):
        yield from read_trace(records, [str(player) for player in players])


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
