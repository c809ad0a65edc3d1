"""The command line: `nashgossip run`, `resume`, `study`, `report`, `watch`, `audit`, `list`, `topology`."""

__all__ = ["app", "audit", "list_experiments", "main", "report", "resume", "run", "study", "topology", "watch"]

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ..agents import ModelError
from .checkpoint import CheckpointError
from .cluster_errors import StartError
from .directory import RunDirectory
from .experiment import Experiment, dump_experiment, experiment_names, load_experiment
from .neural_games import build_watch
from .observers import require_observers
from .outcome import Outcome
from .playing import ENGINES
from .record_files import RecordsError
from .session import Interrupted, Session, deployment_of, engine_options, staged
from .start_estimate import TooLargeError
from .storage import RunPath, run_path
from .study_file import study_names
from .tables import NARROWEST, player_table, run_panel, width_of
from .topology_command import outlook, show_outlook
from .where import Ask, require_lean

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A laboratory for networks of generative models that learn from each other's synthetic data.",
)


def main() -> None:
    """Entry point. Exit status: 0 done, 1 the run failed, 2 the request was wrong, 130 interrupted."""
    app()


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="Name of a built-in experiment, or a YAML file.")] = "digits",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes one key of the experiment.")
    ] = None,
    runner: Annotated[str | None, typer.Option(help=f"Engine: {', '.join(ENGINES)}.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to play on: host:port, or auto; else Ray is started here.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Directory of the run, or its URL (s3://…); it must not exist yet.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Play an experiment to the end and hold it against its prediction."""
    with _stdout_reserved() as print_result, contextlib.ExitStack() as stack:
        console = _console()
        with _wrong_request(console):
            changes = [*(settings or [])]
            changes += [f"play.runner={runner}"] if runner is not None else []
            changes += [f"seed={seed}"] if seed is not None else []
            changes += [f"cluster.address={address}"] if address is not None else []
            plan = load_experiment(experiment, changes)
            require_observers(plan.observe, None if out is None else run_path(out))
            game = staged(plan, _ask(plan, stack))
            options, watch = engine_options(plan, game), build_watch(plan, game)
            directory = RunDirectory(out) if out is not None else RunDirectory.fresh(plan.name)
        directory.describe(dump_experiment(plan), game, plan.seed)
        _finish(Session(plan, game, options, watch, directory, console), console, print_result if as_json else None)


@app.command()
def resume(
    directory: Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run that was interrupted.")],
    address: Annotated[str | None, typer.Option(help="Ray cluster to play on, if it is another one now.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Go on with a run that was interrupted or killed: in virtual time and in rounds exactly as if it had not been.

    On a Ray cluster the actors that still live are taken over; the others start from their last checkpoints.
    """
    with _stdout_reserved() as print_result, contextlib.ExitStack() as stack:
        console = _console()
        with _wrong_request(console):
            run_directory = RunDirectory.existing(directory)
            changes = [f"cluster.address={address}"] if address is not None else []
            plan = load_experiment(run_directory.path / "experiment.yaml", changes)
            require_observers(plan.observe)
            game = staged(plan, _ask(plan, stack))
            session = Session(plan, game, engine_options(plan, game), build_watch(plan, game), run_directory, console)
            session.restore()
        _finish(session, console, print_result if as_json else None)


def _ask(plan: Experiment, stack: contextlib.ExitStack) -> Ask | None:
    """Who is asked about the data of an experiment whose players read it: a Ray cluster, joined until the end."""
    if plan.data.where == "driver":
        return None
    require_lean(plan)
    from .cluster_data import asking  # Ray is imported only by those who use it

    return stack.enter_context(asking(deployment_of(plan)))


def _finish(session: Session, console: Console, print_result: Callable[[str], None] | None) -> None:
    """Plays a session to its end, and shows and writes what came of it."""
    directory = session.directory
    try:
        outcome = session.play()
    except ModelError as error:
        for note in getattr(error, "__notes__", ()):
            console.print(note, style="dim", highlight=False, markup=False, soft_wrap=True)
        _fail(console, f"{error}; what was recorded until then is in {directory.path}", 1)
    except (TooLargeError, CheckpointError, RecordsError) as error:
        _fail(console, str(error), 2)
    except (KeyboardInterrupt, Interrupted) as error:
        how = f"; go on with: nashgossip resume {directory.path}" if isinstance(error, Interrupted) else ""
        _fail(console, f"interrupted; what was recorded until then is in {directory.path}{how}", 130)
    except Exception as error:
        logging.getLogger(__name__).debug("the run failed", exc_info=True)
        _fail(console, f"the run failed: {type(error).__name__}: {error}; records are in {directory.path}", 1)
    directory.conclude(outcome)
    drawn = _draw(outcome, directory, console)
    if print_result is None:
        table = player_table(outcome)
        console.print(run_panel(outcome))
        if not console.is_terminal:
            console.width = max(console.width, width_of(table, console))
        console.print(table)
    console.print(f"written to [bold]{directory.path}[/]: records, summary.json, players.json", highlight=False)
    for picture in drawn:
        console.print(f"picture: {picture}", highlight=False, soft_wrap=True)
    if session.keeps:
        console.print(f"now: nashgossip audit {directory.path}", highlight=False, markup=False, soft_wrap=True)
    if print_result is not None:
        print_result(json.dumps(outcome.summary(), allow_nan=False))


@app.command()
def study(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A built-in study or experiment, a YAML file, or a study's directory to go on with."
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=A,B,…", help="Takes one key of the experiment through values, or a law in braces."),
    ] = None,
    measure: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Measures something more.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Changes one key of the experiment, or of the study."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the study, from which those of trials are spawned.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "--concurrency", help="Trials at a time; all processors if left out.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Directory of the study; one that holds it already is gone on with.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Play an experiment over a grid or a sample of settings and seeds; what is finished is not played again."""
    from .study_command import run_study, varying  # only a study needs it

    with _stdout_reserved() as print_result:
        console = _console()
        try:
            with _wrong_request(console):
                changes = [*(settings or []), *(varying(text) for text in vary or [])]
                changes += [f"measure.{name}" + "={}" * ("=" not in name) for name in measure or []]
                found = run_study(source, changes, seed, jobs, out, console)
        except KeyboardInterrupt as error:
            _fail(console, f"interrupted; {error or 'nothing was played'}", 130)
        if as_json:
            print_result(json.dumps(found.summary(), allow_nan=False))
    if found.failed:
        raise typer.Exit(1)


@app.command()
def report(
    directory: Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run or study, ended or not.")],
    out: Annotated[
        str | None, typer.Option(help="The file to write; report.html in the run directory if left out.")
    ] = None,
) -> None:
    """Write what a run or a study was and what came of it as one HTML file, which opens without network."""
    from .report import write_report  # matplotlib is slow to import, and only a report needs it

    console = _console()
    with _wrong_request(console):
        file = write_report(directory, out)
    console.print(f"report: {file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def watch(
    directory: Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run that has begun.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; a free one if left out.")] = 0,
    host: Annotated[str, typer.Option(help="Name or address to listen on.")] = "127.0.0.1",
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop once the run has ended.")] = False,
) -> None:
    """Serve the report of a run as a page that follows it while it goes on; Ctrl-C ends it."""
    from .watch import watch_run  # matplotlib and a server are slow to import

    console = _console()

    def announce(address: str) -> None:
        console.print(f"watch: {address}", highlight=False, markup=False, soft_wrap=True)

    with _wrong_request(console):
        watch_run(directory, host=host, port=port, until_end=until_end, on_start=announce)


@app.command()
def audit(
    directory: Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run with audit.batches.")],
    shadows: Annotated[
        int, typer.Option(help="Shadow games of the likelihood-ratio attack, each as long as the run; 0 for none.")
    ] = 32,
    seed: Annotated[int, typer.Option(help="Seed of everything random in the audit.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Measure what an adversary learns of the players' private rows; writes audit.json and audit.html into the run."""
    with _stdout_reserved() as print_result:
        from .audit import audit_run  # scikit-learn is slow to import, and only an audit needs it
        from .audit_page import audit_lines, write_audit
        from .audit_progress import AuditProgress

        console = _console()
        with _wrong_request(console):
            with AuditProgress(console) as progress:
                found = audit_run(directory, shadows=shadows, seed=seed, on_step=progress)
            files = write_audit(directory, found)
        for line in audit_lines(found):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(f"written: {', '.join(map(str, files))}", highlight=False, markup=False, soft_wrap=True)
        if as_json:
            print_result(json.dumps(found.figures(), allow_nan=False))


@app.command("list")
def list_experiments() -> None:
    """List the built-in experiments and studies."""
    for name, description in experiment_names().items():
        typer.echo(f"{name:18s}{description}")
    typer.echo("\nStudies, for `nashgossip study`:")
    for name, description in study_names().items():
        typer.echo(f"{name:18s}{description}")


@app.command()
def topology(
    source: Annotated[str, typer.Argument(help="A built-in experiment, a YAML file, or a graph file.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes one key of the experiment.")
    ] = None,
    directed: Annotated[bool, typer.Option(help="Take the lines of an edge list as one-way.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Say what is known before play: reach, influence, speed and noise floor, those of an experiment as played.

    Of an experiment in which players come and go: of each change, then of those present in the end.
    """
    console = _console()
    with _wrong_request(console), contextlib.ExitStack() as stack:
        found = outlook(source, settings or [], lambda plan: _ask(plan, stack), directed=directed, console=console)
    show_outlook(found, as_json=as_json)


def _draw(outcome: Outcome, directory: RunDirectory, console: Console) -> list[RunPath]:
    from .pictures import draw_run  # matplotlib is slow to import, and only a finished run needs it

    try:
        return draw_run(outcome, directory.path)
    except Exception as error:
        _fail(console, f"no picture: {type(error).__name__}: {error}; the results are in {directory.path}", 1)


@contextlib.contextmanager
def _stdout_reserved() -> Iterator[Callable[[str], None]]:
    """Sends what is printed in the block to standard error; only the function handed out writes to standard output."""
    output = sys.stdout

    def print_result(text: str) -> None:
        print(text, file=output, flush=True)

    with contextlib.redirect_stdout(sys.stderr):
        yield print_result


@contextlib.contextmanager
def _wrong_request(console: Console) -> Iterator[None]:
    """Every error of a request is a ValueError that says what to do; it ends with status 2."""
    try:
        yield
    except StartError as error:  # the request was right, but nobody was there to read the data
        _fail(console, str(error), 1)
    except ValueError as error:
        _fail(console, str(error), 2)
    except MemoryError as error:
        _fail(console, f"the game needs more memory than there is ({error}); make it smaller", 2)


def _fail(console: Console, text: str, status: int) -> NoReturn:
    console.print(f"error: {text}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(status)


def _console() -> Console:
    console = Console(stderr=True)
    return console if console.is_terminal else Console(stderr=True, width=max(console.width, NARROWEST))
