"""Random games of joint tables over overlapping variables, whose exact map is known: for studies and for tests."""

__all__ = ["random_table_game"]

from functools import partial
from typing import Literal

import networkx as nx
import numpy as np

from ..agents import JointTable
from ..games import Batch, Cells, Game, GameError, PlayerSpec, Space, StepSize, Variable
from ..topology import attach_alpha

_SIZES = {"a": 2, "b": 2, "c": 3, "d": 2, "e": 3, "f": 2}
_TRIES = 1000


def random_table_game(
    players: int,
    rng: np.random.Generator,
    *,
    variables: int = 3,
    whole: int = 60,
    partial_rows: int = 40,
    samples: int = 400,
    self_weight: float = 0.3,
    smoothing: float = 5.0,
    step: StepSize | None = None,
    start: Literal["data", "reference"] = "data",
) -> Game:
    """Everybody is a table over some of six variables, has rows of a law of its own, and hears somebody it shares with.

    Arguments:
        players: how many.
        rng: draws who has which variables, who hears whom, the laws and the rows.
        variables: of each player, of six that have 2 or 3 values.
        whole: private rows with all of them.
        partial_rows: private rows that lack one.
        samples: rows of a message.
        self_weight: α_ii.
        smoothing: pseudo-count of the tables.
        step: η_t of the tables.
        start: see `PlayerSpec`.

    Raises:
        GameError: no graph was found in which everybody shares variables with somebody; take more variables.

    >>> game = random_table_game(3, np.random.default_rng(0))
    >>> [game.space(p).names for p in game.players]
    [('d', 'e', 'f'), ('a', 'e', 'f'), ('c', 'd', 'e')]
    """
    pool = [Variable(n, "binary") if k == 2 else Variable(n, "categorical", categories=k) for n, k in _SIZES.items()]
    for _ in range(_TRIES):
        spaces = [
            Space(tuple(pool[k] for k in sorted(rng.choice(len(pool), variables, replace=False))))
            for _ in range(players)
        ]
        graph = nx.gnp_random_graph(players, 0.6, seed=int(rng.integers(2**31)), directed=True)
        graph.remove_edges_from([(j, i) for j, i in graph.edges if not {*spaces[j].names} & {*spaces[i].names}])
        if all(degree for _, degree in graph.in_degree()):
            break
    else:
        raise GameError(f"no graph found in which {players} players share some of {variables} variables; take more")
    specs = {}
    for player, space in enumerate(spaces):
        cells = Cells(space)
        law = rng.dirichlet(np.ones(cells.count))
        rows = cells.rows(rng.choice(cells.count, whole + partial_rows, p=law))
        parts = [rows.select(slice(0, whole))] if whole else []
        if partial_rows:
            parts.append(rows.select(slice(whole, None)).restrict(Space(space.variables[:-1])))
        specs[player] = PlayerSpec(
            model=partial(JointTable, space, smoothing=smoothing, step=step),
            data=_one_or_more(parts),
            samples=samples,
            start=start,
        )
    return Game(attach_alpha(graph, self_weight), specs)


def _one_or_more(parts: list[Batch]) -> Batch | tuple[Batch, ...]:
    return parts[0] if len(parts) == 1 else tuple(parts)
