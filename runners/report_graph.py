"""The graph that a report draws: of many players a connected sample, with places, edges and influence."""

__all__ = ["MOST_DRAWN", "Drawing", "draw_plan"]

import io
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph, csr_array, load_npz

from ..games import ARRAY_GRAPHS, array_graph
from .graph_layout import lay_out
from .reading import RunView

MOST_DRAWN = 1_500
"""Players up to whose number a graph is drawn whole: the layout of a larger one takes too long."""
_SAMPLE = 600
_SWEEPS, _TOLERANCE = 2_000, 1e-9


@dataclass(frozen=True, eq=False)
class Drawing:
    """Who is drawn, and where.

    Arguments:
        names: of those drawn, as text.
        columns: their positions among the players on record, `[n]`; -1 for those of whom nothing is recorded.
        x, y: places in [0, 1], `[n]`.
        edges: sender, listener, both as positions in `names`, and α.
        influence: mean over all players of the share of each one's data in their models, `[n]`; None where real data
            does not reach everyone.
        note: what is not drawn, in a sentence; empty if all is.
    """

    names: tuple[str, ...]
    columns: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    edges: tuple[tuple[int, int, float], ...]
    influence: NDArray[np.float64] | None
    note: str

    def data(self) -> dict[str, Any]:
        """Places and edges for JSON."""
        return {"x": self.x.round(4).tolist(), "y": self.y.round(4).tolist(), "edges": [list(e) for e in self.edges]}


def draw_plan(view: RunView) -> Drawing | None:
    """Who of a run is drawn, and where; None where the directory holds no graph.

    Of more than 1,500 players those 600 are drawn that one meets first from one of them, with all edges between them: a
    sample in which neighbourhoods are whole, and far parts missing.
    """
    found = _listening(view)
    if found is None:
        return None
    weights, names = found
    count = len(names)
    chosen = np.arange(count) if count <= MOST_DRAWN else _nearest(weights)
    part = weights[chosen][:, chosen].tocoo()
    edges = tuple(
        (int(j), int(i), round(float(a), 4)) for i, j, a in zip(part.row, part.col, part.data, strict=True) if i != j
    )
    xy = lay_out(len(chosen), [(j, i) for j, i, _ in edges])
    shares = _influence(weights)
    column = {name: k for k, name in enumerate(view.names)}
    note = ""
    if len(chosen) < count:
        note = (
            f"Drawn are {len(chosen):,} of {count:,} players, those met first from player {names[chosen[0]]}, with all "
            f"{len(edges):,} edges between them; the curves are of all players."
        )
    return Drawing(
        names=tuple(names[k] for k in chosen),
        columns=np.array([column.get(names[k], -1) for k in chosen], np.int64),
        x=xy[:, 0],
        y=xy[:, 1],
        edges=edges,
        influence=None if shares is None else shares[chosen],
        note=note,
    )


def _listening(view: RunView) -> tuple[csr_array, list[str]] | None:
    """α of all players, listeners by row, `[N, N]`, with the names; the diagonal is left out."""
    if view.graph is not None:
        nodes = list(view.graph)
        matrix = nx.to_scipy_sparse_array(view.graph, nodes, weight="alpha", format="coo")
        off = matrix.row != matrix.col
        pairs = (matrix.data[off], (matrix.col[off], matrix.row[off]))
        return csr_array(pairs, shape=matrix.shape), [str(node) for node in nodes]
    file, topology = view.path / "listening.npz", view.experiment.topology
    if file.is_file():
        listening = csr_array(load_npz(io.BytesIO(file.read_bytes())))
    elif topology.generator in ARRAY_GRAPHS:  # larger ones are not written down: the experiment makes them anew
        shares = array_graph(topology.generator, np.random.default_rng(topology.seed), **topology.arguments)
        listening = csr_array(shares * (1 - float(str(view.experiment.alpha.self_weight))))
    else:
        return None
    return listening, list(view.names or map(str, range(listening.shape[0])))


def _nearest(weights: csr_array) -> NDArray[np.int64]:
    """The first players in breadth-first order from the first one of the largest part that hangs together."""
    _, part = csgraph.connected_components(weights, directed=False)
    largest = int(np.bincount(part).argmax())
    start = int(np.flatnonzero(part == largest)[0])
    order = csgraph.breadth_first_order(weights, start, directed=False, return_predecessors=False)
    return np.asarray(order[:_SAMPLE], np.int64)


def _influence(weights: csr_array) -> NDArray[np.float64] | None:
    """Column means of B = (I − W)⁻¹ diag(α_ii), by iterating y = 1/N + Wᵀ y; None if that does not settle."""
    count = weights.shape[0]
    own = 1.0 - np.asarray(weights.sum(axis=1)).reshape(-1)
    turned, y = csr_array(weights.T), np.full(count, 1 / count)
    for _ in range(_SWEEPS):
        following = 1 / count + turned @ y
        if float(np.abs(following - y).max()) * count < _TOLERANCE:
            break
        y = following
    else:
        return None
    shares: NDArray[np.float64] = y * own
    return shares if abs(float(shares.sum()) - 1) < 1e-3 else None
