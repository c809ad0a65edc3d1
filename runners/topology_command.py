"""What is known before play, on the command line: of a graph file, or of an experiment as it will be played."""

__all__ = ["Outlook", "outlook", "show_outlook"]

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from ..games import FleetGame
from ..topology import attach_alpha, is_graph_file, read_graph, validate
from .experiment import Experiment, ExperimentError, load_experiment
from .foresight import array_figures, graph_figures, played_schedule, stages_of
from .session import engine_options, staged
from .stages import Change
from .tables import NARROWEST, changes_table, prediction_lines, topology_table
from .where import Ask


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is asked about, and how to find out what is known of it.

    Arguments:
        figures: makes them, for JSON.
        graph: with α, those present in the end; None for a graph of arrays.
        changes: of a game in which players come and go, its start included.
    """

    figures: Callable[[], dict[str, Any]]
    graph: Any = None
    changes: Sequence[Change] = ()


def outlook(
    source: str,
    settings: list[str],
    ask: Callable[[Experiment], Ask | None],
    *,
    directed: bool,
    console: Console,
) -> Outlook:
    """Reads a graph file, or the experiment of a name or file, and builds its game.

    Arguments:
        source: which.
        settings: of the experiment, KEY=VALUE.
        ask: who is asked about data that the players read.
        directed: whether the lines of an edge list are one-way.
        console: for warnings.

    Raises:
        ValueError: whatever is wrong with the request.
    """
    if is_graph_file(source):
        if settings:
            raise ExperimentError("--set changes an experiment, but a graph file was given; leave it out")
        graph = _weighted(read_graph(Path(source), directed=directed), console)
        validate(graph, anchored=True)
        return Outlook(lambda: {**graph_figures(graph), "changes": []}, graph)
    plan = load_experiment(source, settings)
    built = staged(plan, ask(plan))
    options = engine_options(plan, built)
    if isinstance(built, FleetGame):
        found = array_figures(built, options["schedule"])
        return Outlook(lambda: found)
    runner, stages = plan.play.runner, stages_of(plan.play.runner, built, options)
    game = built if stages is None else stages.games[-1]
    played = played_schedule(runner, game, options if stages is None else {**options, "graphs": None})
    prediction = None if stages is None else stages.prediction(len(stages) - 1)
    changes = [] if stages is None else stages.planned()
    validate(game.graph, anchored=game.anchored)

    def figures() -> dict[str, Any]:
        known = graph_figures(game.graph, game, runner=runner, played=played, found=prediction)
        return {**known, "changes": [change.figures() for change in changes[1:]]}

    return Outlook(figures, game.graph, changes)


def show_outlook(found: Outlook, *, as_json: bool) -> None:
    """Prints it on standard output, as one JSON object or as tables; of arrays without a line for each player."""
    figures = found.figures()
    if as_json:
        typer.echo(json.dumps(figures, allow_nan=False))
        return
    output = Console(width=None if sys.stdout.isatty() else NARROWEST)
    if found.changes:
        output.print(changes_table(found.changes))
    if found.graph is not None:
        output.print(topology_table(found.graph))
    else:
        typer.echo(
            f"{figures['players']} players, {figures['edges']} edges, spectral radius {figures['spectral_radius']:.6g}"
        )
    for line in prediction_lines(figures["predicted"]):
        output.print(line, highlight=False, soft_wrap=True)


def _weighted(graph: Any, console: Console) -> Any:
    if any("alpha" in attributes for _, _, attributes in graph.edges(data=True)):
        return graph
    console.print("the file has no `alpha`: taking scheme uniform with self-weight 0.3", style="yellow")
    return attach_alpha(graph, 0.3)
