"""Graph sequences in files: a JSON list that says which graph file is in force from when."""

__all__ = ["read_sequence"]

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import networkx as nx

from .arrays import AnyGraph
from .changing import GraphSequence, nonnegative, sequence
from .errors import GraphFileError
from .files import read_graph

_LARGEST = 1 << 24
_KEYS = {"time", "file"}


def read_sequence(
    path: str | os.PathLike[str],
    *,
    directed: bool = False,
    self_weight: float | Mapping[Any, float] = 0.3,
    scheme: str = "explicit",
    sizes: Mapping[Any, float] | None = None,
) -> GraphSequence:
    """The sequence in a JSON file: `[{"time": 0, "file": "ring.graphml"}, {"time": 20, "file": "star.graphml"}]`.

    Graph files are named relative to the folder of the JSON file and lie in it or below: absolute names, `..`, and
    links that lead elsewhere are refused. Their players are put into the order of the first graph.

    Arguments:
        path: the JSON file, at most 16 MiB.
        directed: as `read_graph`, for every graph file.
        self_weight, scheme, sizes: as `sequence`; by default α is read from the files.

    Raises:
        GraphFileError: a missing, damaged or unsafe file, this one or one that it names.
        SequenceError: as `sequence`: times or players that do not fit together.
        GraphError and its kin, SchemeError, UnknownNameError: as `attach_alpha` and `validate`.
    """
    where = Path(path)
    entries = [_entry(where, number, entry) for number, entry in enumerate(_entries(where), start=1)]
    graphs: dict[Path, AnyGraph] = {}
    order: list[Any] = []
    for _, file in entries:
        if file not in graphs:
            G = read_graph(file, directed=directed)
            order = order or list(G)
            graphs[file] = _ordered(G, order)
    return sequence(
        [(time, graphs[file]) for time, file in entries], self_weight=self_weight, scheme=scheme, sizes=sizes
    )


def _entries(where: Path) -> list[Any]:
    try:
        with where.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError as reason:
        raise GraphFileError(f"no file {where}, expected a sequence of graphs there; check the path") from reason
    except (OSError, ValueError) as reason:  # a name with NUL is a ValueError
        why = getattr(reason, "strerror", None) or reason
        raise GraphFileError(f"{where} cannot be read, expected a file: {why}") from reason
    if len(data) > _LARGEST:
        raise GraphFileError(f"{where} holds more than 16 MiB, expected less; make the sequence in Python")
    try:
        entries = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as reason:
        raise GraphFileError(f"{where} is not JSON: {reason}; check that it was written in full") from reason
    if not isinstance(entries, list) or not entries:
        raise GraphFileError(f'{where} holds no list, expected [{{"time": 0, "file": "ring.graphml"}}, ...]')
    return entries


def _entry(where: Path, number: int, entry: object) -> tuple[float, Path]:
    if not isinstance(entry, dict) or entry.keys() != _KEYS or not isinstance(entry["file"], str):
        raise GraphFileError(
            f'entry {number} of {where} is {entry!r:.60}, expected {{"time": number, "file": name of a graph file}}'
        )
    return nonnegative(entry["time"], f"time of entry {number} of {where}"), _inside(where, number, entry["file"])


def _inside(where: Path, number: int, name: str) -> Path:
    """The file `name` beside `where` or below, after links are followed."""
    foreign = PureWindowsPath(name)
    apart = foreign.drive or foreign.root or ".." in foreign.parts or PurePosixPath(name).is_absolute()
    if not apart and "\0" not in name:
        try:
            folder = where.parent.resolve()
            file = (where.parent / name).resolve()
        except (OSError, RuntimeError, ValueError) as reason:
            raise GraphFileError(
                f"entry {number} of {where} names {name!r:.60}, which leads nowhere: {reason}"
            ) from reason
        if file.is_relative_to(folder):
            return file
    raise GraphFileError(
        f"entry {number} of {where} names {name!r:.60}, expected a file in its folder or below; copy it there"
    )


def _ordered(G: AnyGraph, order: list[Any]) -> AnyGraph:
    """G with the players of `order` first, in that order."""
    H: AnyGraph = nx.DiGraph() if G.is_directed() else nx.Graph()
    H.graph.update(G.graph)
    H.add_nodes_from((player, G.nodes[player]) for player in [*(p for p in order if p in G), *G] if player in G)
    H.add_edges_from(G.edges(data=True))
    return H
