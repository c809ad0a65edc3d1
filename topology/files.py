"""Graphs of players in files: GraphML, edge lists and adjacency lists, read without trusting them."""

__all__ = ["is_graph_file", "read_graph", "write_graph"]

import gzip
import io
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

import networkx as nx

from .arrays import AnyGraph
from .edge_lists import parse_edges, parse_neighbours
from .errors import GraphFileError, name_some

_SUFFIXES = {
    ".graphml": "graphml",
    ".edgelist": "edges",
    ".edges": "edges",
    ".txt": "edges",
    ".adjlist": "neighbours",
}
_LARGEST = 1 << 30
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_MALFORMED = (
    nx.NetworkXException,
    ParseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def read_graph(path: str | os.PathLike[str], *, directed: bool = False) -> AnyGraph:
    """The graph in a file, its format told by the suffix, `.gz` after it for a compressed one.

    - `.graphml`: says itself whether it is directed; attributes are kept. A file with a document type or
      entities is refused unread.
    - `.edgelist`, `.edges`, `.txt`: a line an edge, `j i`, `j i 0.25` or `j i {'alpha': 0.25}`: i learns from
      j; a third column is `alpha`.
    - `.adjlist`: a line a player, `j i k …`: i, k, … learn from j.

    In lists `#` starts a comment, and blanks or commas separate. Names that are all integers become integers.

    Arguments:
        path: the file, at most 1 GiB once decompressed.
        directed: whether a list describes a directed graph; GraphML is not asked.

    Returns:
        `networkx.Graph` or `networkx.DiGraph`; hand it to `validate` if it carries `alpha`, else to
        `attach_alpha`.

    Raises:
        GraphFileError: missing, unreadable, empty, damaged or unsafe file, or one of unknown format.

    Source: Brandes et al., *GraphML progress report*, 2001.
    """
    where = Path(path)
    kind = _format(where)
    data = _contents(where)
    if kind == "graphml":
        G = _parse_graphml(where, data)
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as reason:
            raise GraphFileError(f"{where} is not UTF-8 text, expected a list of edges: {reason}") from reason
        parse = parse_edges if kind == "edges" else parse_neighbours
        G = parse(text, str(where), directed=directed)
    if not len(G):
        raise GraphFileError(f"{where} holds no player, expected at least one; check that it was written in full")
    return _with_integers(G)


def is_graph_file(name: str | Path) -> bool:
    """Whether a file name has a suffix that `read_graph` knows, `.gz` after it or not.

    >>> is_graph_file("net.graphml"), is_graph_file("plan.yaml")
    (True, False)
    """
    where = Path(name)
    return (Path(where.stem).suffix if where.suffix.lower() == ".gz" else where.suffix).lower() in _SUFFIXES


def write_graph(G: AnyGraph, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write G as GraphML, `alpha` to the last bit, the whole file or none of it.

    Arguments:
        G: the graph. Attributes whose values are text, numbers or truth values are written, others left out.
        path: a name ending in `.graphml` or `.graphml.gz`, or a binary file open for writing, which gets GraphML.

    Raises:
        GraphFileError: another suffix, a folder that is not there, two players with the same name as text, or
            text that XML cannot hold.

    >>> import tempfile
    >>> from nashgossip.topology import attach_alpha
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_graph(attach_alpha(nx.path_graph(2), 0.1), folder + "/pair.graphml")
    ...     list(read_graph(folder + "/pair.graphml").edges(data="alpha"))
    [(0, 1, 0.9), (0, 0, 0.1), (1, 0, 0.9), (1, 1, 0.1)]
    """
    if isinstance(path, str | os.PathLike) and _format(Path(path)) != "graphml":
        raise GraphFileError(f"cannot write {Path(path).name}, expected a name ending in .graphml or .graphml.gz")
    if not isinstance(G, nx.Graph) or G.is_multigraph():
        raise GraphFileError(f"cannot write a {type(G).__name__}, expected a networkx.Graph or DiGraph")
    twice = [name for name, count in Counter(map(str, G)).items() if count > 1]
    if twice:
        raise GraphFileError(f"several players are called {name_some(twice)} as text, expected one; rename them")
    if not isinstance(path, str | os.PathLike):
        path.write(_graphml("the graph", G))
        return
    where = Path(path)
    data = _graphml(where.name, G)
    draft = where.with_name(f".{where.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(gzip.compress(data, mtime=0) if where.suffix == ".gz" else data)
        draft.replace(where)
    except OSError as reason:
        raise GraphFileError(f"cannot write {where}: {reason.strerror}; check that its folder exists") from reason
    finally:
        draft.unlink(missing_ok=True)


def _graphml(name: str, G: AnyGraph) -> bytes:
    H: AnyGraph = nx.DiGraph() if G.is_directed() else nx.Graph()
    H.graph.update(_scalars(G.graph))
    H.add_nodes_from((player, _scalars(attributes)) for player, attributes in G.nodes(data=True))
    H.add_edges_from((j, i, _scalars(attributes)) for j, i, attributes in G.edges(data=True))
    buffer = io.BytesIO()
    try:
        nx.write_graphml_xml(H, buffer)
        expat.ParserCreate().Parse(buffer.getvalue(), True)
    except (nx.NetworkXException, expat.ExpatError, TypeError, ValueError) as reason:
        raise GraphFileError(
            f"cannot write {name}, expected names and attributes that XML can hold: {reason}; rename them"
        ) from reason
    return buffer.getvalue()


def _scalars(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """What GraphML can hold, numbers as Python's own, so that they are written to the last bit."""
    plain: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, bool | str):
            plain[str(key)] = value
        elif isinstance(value, Integral) and key != "alpha":
            plain[str(key)] = int(value)
        elif isinstance(value, Real):
            plain[str(key)] = float(value)
    return plain


def _format(where: Path) -> str:
    suffix = where.with_suffix("").suffix if where.suffix == ".gz" else where.suffix
    if suffix.lower() not in _SUFFIXES:
        raise GraphFileError(
            f"{where.name} has suffix {suffix!r}, expected one of {', '.join(_SUFFIXES)}, .gz after it or not"
        )
    return _SUFFIXES[suffix.lower()]


def _contents(where: Path) -> bytes:
    try:
        with gzip.open(where, "rb") if where.suffix == ".gz" else where.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError as reason:
        raise GraphFileError(f"no file {where}, expected a graph there; check the path") from reason
    except (gzip.BadGzipFile, EOFError, zlib.error) as reason:
        raise GraphFileError(f"{where} is not a whole gzip file, expected one by its name: {reason}") from reason
    except (OSError, ValueError) as reason:  # a name with NUL is a ValueError
        why = getattr(reason, "strerror", None) or reason
        raise GraphFileError(f"{where} cannot be read, expected a file: {why}") from reason
    if not data.strip():
        raise GraphFileError(f"{where} is empty, expected a graph; check that it was written in full")
    if len(data) > _LARGEST:
        raise GraphFileError(f"{where} holds more than 1 GiB, expected less; split it or load it with networkx")
    return data


def _parse_graphml(where: Path, data: bytes) -> AnyGraph:
    _refuse_entities(where, data)
    try:
        read: AnyGraph = nx.read_graphml(io.BytesIO(data))
    except _MALFORMED as reason:
        raise GraphFileError(
            f"{where} is not GraphML that networkx can read: {reason!r}; check that it was written in full"
        ) from reason
    if not read.is_multigraph():
        return read
    parallel = {(j, i) for (j, i), count in Counter(_pairs(read)).items() if count > 1}
    if parallel and any("alpha" in attributes for _, _, attributes in read.edges(data=True)):
        raise GraphFileError(
            f"{where} has parallel edges {name_some(sorted(parallel))} with alpha, expected one edge a pair; merge them"
        )
    G: AnyGraph = nx.DiGraph(read) if read.is_directed() else nx.Graph(read)
    return G


def _pairs(G: AnyGraph) -> Iterator[tuple[Any, Any]]:
    for j, i in G.edges():
        yield (j, i) if G.is_directed() else tuple(sorted((j, i)))


def _refuse_entities(where: Path, data: bytes) -> None:
    """A document type is where entities are declared, so without one there is nothing to expand."""

    def refuse(*_: object) -> None:
        raise GraphFileError(
            f"{where} declares a document type, expected GraphML without DTD and entities; remove the declaration"
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as reason:
        raise GraphFileError(f"{where} is not well-formed XML: {reason}; check that it was written in full") from reason


def _with_integers(G: AnyGraph) -> AnyGraph:
    if not all(_INTEGER.fullmatch(name) for name in G):
        return G
    H: AnyGraph = nx.relabel_nodes(G, {name: int(name) for name in G})
    return H
