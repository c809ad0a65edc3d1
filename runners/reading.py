"""A run read back from its directory: settings, graph, records, players, outcome and journal as one object."""

__all__ = ["RunView", "read_run"]

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..topology import GraphError, read_graph
from .directory import RunDirectory
from .examination import Look
from .experiment import Experiment, load_experiment
from .journal import read_journal
from .record_files import half_note, half_written, read_table
from .record_schemas import PLAYER_SCHEMA, RUN_SCHEMA
from .records import read_looks
from .run_files import about_of, diagnosis_of, players_of, summary_of
from .storage import RunPath, is_local, listing

_BAD_EVENTS = ("warning", "error")


@dataclass(frozen=True, eq=False)
class RunView:
    """What a run directory tells, whether the run has ended, goes on or was killed.

    Arguments:
        path: the directory.
        experiment: what is played, with every default.
        about: start, seed, command and versions, as `about.json` holds them; empty where there is none.
        graph: who listens to whom, with α; None where the directory holds no graph of single players.
        run: a row a record: `time` in moves per player, `seconds`, `messages`, `bytes`, `undelivered`, `nash_gap` in
            nats, `error_rms`, `amplitude`.
        player_rows: `len(names)` rows a record, in the order of `names`; empty where single players are not recorded.
        names: of the players on record, as text.
        looks: what the close looks showed.
        players: how each player ended, as `players.json` holds it; None before the end.
        summary: the figures of the run; None before the end.
        diagnosis: `outcome`, `reasons` and `signatures`; None before the end, and of runs of earlier versions.
        events: lines of the journals in `logs/`, oldest first.
        notes: what of the directory could not be used, in sentences.
    """

    path: RunPath
    experiment: Experiment
    about: dict[str, Any]
    graph: "nx.DiGraph[Any] | None"
    run: pa.Table
    player_rows: pa.Table
    names: tuple[str, ...]
    looks: tuple[Look, ...]
    players: list[dict[str, Any]] | None
    summary: dict[str, Any] | None
    diagnosis: dict[str, Any] | None
    events: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    @property
    def ended(self) -> bool:
        """Whether the run came to its end."""
        return self.summary is not None

    @property
    def troubles(self) -> tuple[dict[str, Any], ...]:
        """The events of level `warning` or `error`: players that failed, were restarted, or left out."""
        return tuple(event for event in self.events if event.get("level") in _BAD_EVENTS)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """Time of each record, in moves per player, `[T]`."""
        return self.column("time")

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of `run`, NaN for what is not known, `[T]`."""
        return _floats(self.run.column(name))

    def figures(self, name: str, at: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """One figure of each player at some records, NaN for what is not known, `[len(at), len(names)]`.

        Arguments:
            name: a column of `player_rows`, such as `regret` (nats) or `error`.
            at: numbers of records.
        """
        rows = _floats(self.player_rows.column(name)).reshape(-1, len(self.names) or 1)
        return rows[np.asarray(at, np.int64)] if len(rows) else np.empty((0, len(self.names)))

    def frame(self, name: str = "run") -> Any:
        """A table as a pandas frame.

        Arguments:
            name: `run`, `players` (a row a record and player) or `outcome` (a row a player, once the run has ended).

        Raises:
            ValueError: no such table, or the run has not ended.
        """
        import pandas as pd

        if name in ("run", "players"):
            return (self.run if name == "run" else self.player_rows).to_pandas()
        if name != "outcome":
            raise ValueError(f"frame is {name!r}, expected one of: run, players, outcome")
        if self.players is None:
            raise ValueError(f"the run in {self.path} has not ended, so that it has no outcome; take frame 'players'")
        return pd.DataFrame(self.players)


def read_run(path: RunPath | str) -> RunView:
    """Reads a run directory, up to the last whole record; a run that has ended should have no other, and is warned of.

    Arguments:
        path: the directory of a run, or its URL.

    Raises:
        RunDirectoryError: it is none, or a file in it cannot be read or holds what no run writes.
        StorageError: nothing here can reach the storage of the URL.
        ExperimentError: its experiment does not say what can be played.
    """
    directory = RunDirectory.existing(path)
    where, notes = directory.path, list[str]()
    graph = _graph(where, notes)
    run, rows, names = _records(directory.records, notes)
    if graph is not None and names and {str(player) for player in graph} != set(names):
        notes.append("the players on record are not those of the graph, which is left out")
        graph = None
    summary = summary_of(where)
    for note in notes if summary is not None else ():
        logging.getLogger(__name__).warning("%s is damaged: %s", where, note)
    events = [event for log in listing(where / "logs") if log.suffix == ".jsonl" for event in read_journal(log)]
    return RunView(
        path=where,
        experiment=load_experiment(where / "experiment.yaml"),
        about=about_of(where),
        graph=graph,
        run=run,
        player_rows=rows,
        names=names or (() if graph is None else tuple(str(player) for player in graph)),
        looks=tuple(read_looks(directory.records)),
        players=players_of(where),
        summary=summary,
        diagnosis=diagnosis_of(where),
        events=tuple(sorted(events, key=lambda event: str(event.get("time", "")))),
        notes=tuple(notes),
    )


def _records(folder: RunPath, notes: list[str]) -> tuple[pa.Table, pa.Table, tuple[str, ...]]:
    """The table of the run, that of the players cut to the same records, and their names."""
    left = sum(half_written(folder, name) for name in ("players", "run", "looks"))
    run = read_table(folder, "run", RUN_SCHEMA)  # before the players, whose rows are written first
    rows = read_table(folder, "players", PLAYER_SCHEMA)
    run = RUN_SCHEMA.empty_table() if run is None else run
    rows = PLAYER_SCHEMA.empty_table() if rows is None else rows
    if left:
        notes.append(half_note(left))
    names = _names(rows)
    if not names:
        return run, rows, names
    whole = min(len(run), len(rows) // len(names))
    if whole < len(run):
        notes.append(f"of {len(run)} records the first {whole} are read: the rows of players end there")
    return run.slice(0, whole), rows.slice(0, whole * len(names)), names


def _names(rows: pa.Table) -> tuple[str, ...]:
    """The names in the first record: those up to where the first one comes again."""
    column = rows.column("player")
    names = list[str]()
    for name in (value.as_py() for value in column):
        if names and name == names[0]:
            break
        names.append(name)
    return tuple(names)


def _graph(where: RunPath, notes: list[str]) -> "nx.DiGraph[Any] | None":
    file = where / "graph.graphml"
    if not file.is_file():
        return None
    try:
        if is_local(file):
            found: Any = read_graph(str(file))
        else:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "graph.graphml"
                copy.write_bytes(file.read_bytes())
                found = read_graph(copy)
    except GraphError as error:
        notes.append(f"the graph is left out: {error}")
        return None
    return found  # type: ignore[no-any-return]


def _floats(column: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return values
