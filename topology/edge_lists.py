"""Lines of text to graphs, each error with the number of its line."""

__all__ = ["parse_edges", "parse_neighbours"]

import ast
from collections.abc import Iterator
from typing import Any

import networkx as nx

from .arrays import AnyGraph
from .errors import GraphFileError


def parse_edges(text: str, name: str, *, directed: bool) -> AnyGraph:
    """The graph of lines `j i`, `j i alpha` or `j i {'alpha': …}`.

    Arguments:
        text: the lines; `#` starts a comment.
        name: what errors call the text.
        directed: whether `j i` is not also `i j`.

    Raises:
        GraphFileError: a line is none of the three, or gives an edge a second time with another α.

    >>> parse_edges("a b 0.25", "example", directed=True).edges(data=True)
    OutEdgeDataView([('a', 'b', {'alpha': 0.25})])
    """
    G: AnyGraph = nx.DiGraph() if directed else nx.Graph()
    for number, line in _lines(text):
        ends, brace, rest = line.partition("{")
        words = _words(ends)
        if brace and len(words) == 2:
            attributes = _dictionary(brace + rest)
        elif not brace and len(words) in (2, 3):
            attributes = _alpha(words[2:])
        else:
            attributes = None
        if attributes is None:
            raise GraphFileError(
                f"line {number} of {name} is {line[:60]!r}, expected 'j i', 'j i alpha' or 'j i {{'alpha': ...}}'"
            )
        j, i = words[:2]
        if G.has_edge(j, i) and G.edges[j, i] != attributes:
            raise GraphFileError(
                f"line {number} of {name} gives edge {(j, i)} again with other data, expected one line an "
                "edge; pass directed=True if j i and i j differ"
            )
        G.add_edge(j, i, **attributes)
    return G


def parse_neighbours(text: str, name: str, *, directed: bool) -> AnyGraph:
    """The graph of lines `j i k …`, an edge from the first player of a line to each of the others.

    Arguments:
        text: the lines; `#` starts a comment.
        name: what errors call the text.
        directed: whether `j i` is not also `i j`.

    Raises:
        GraphFileError: a line holds a dictionary, as edge lists do.

    >>> list(parse_neighbours("a b c", "example", directed=False).edges)
    [('a', 'b'), ('a', 'c')]
    """
    G: AnyGraph = nx.DiGraph() if directed else nx.Graph()
    for number, line in _lines(text):
        if "{" in line:
            raise GraphFileError(
                f"line {number} of {name} is {line[:60]!r}, expected names only; call the file .edgelist"
            )
        j, *heard_by = _words(line)
        G.add_node(j)
        G.add_edges_from((j, i) for i in heard_by)
    return G


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        kept = line.partition("#")[0].strip()
        if kept.strip(","):
            yield number, kept


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _alpha(words: list[str]) -> dict[str, Any] | None:
    try:
        return {"alpha": float(words[0])} if words else {}
    except ValueError:
        return None


def _dictionary(text: str) -> dict[str, Any] | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
