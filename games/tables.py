"""Games of joint tables: the exact map of play on different spaces, iterated to its fixed point as an oracle."""

__all__ = ["TableConvergenceError", "TableEquilibrium", "TableGame", "TableSource", "table_equilibrium"]

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..topology import self_weights
from .cells import Cells, completed
from .family import Array
from .game import Game
from .oracle import NoClosedFormError
from .specs import StepSize


class TableConvergenceError(RuntimeError):
    """The exact map did not come to rest; `residual` is how far its last step still went, in total variation.

    Not `NoClosedFormError`: the game is one of tables, only its fixed point was not reached.
    """

    def __init__(self, residual: float, iterations: int, tol: float) -> None:
        super().__init__(
            f"after {iterations} iterations the tables still move by {residual:.3g} in total variation, expected at "
            f"most {tol:.3g}; allow more iterations (`most`) or a larger `tol`"
        )
        self.residual = residual


@dataclass(frozen=True, eq=False)
class TableSource:
    """What a player learns from, over the part S of its variables.

    Arguments:
        weight: α.
        index: cell of the player → cell of S, `[cells]`.
        part: of private rows: their share of each cell of S; None of a neighbour.
        sender: position of the neighbour, or None.
        theirs: cell of the neighbour → cell of S, or None.
    """

    weight: float
    index: NDArray[np.intp]
    part: Array | None = None
    sender: int | None = None
    theirs: NDArray[np.intp] | None = None

    def seen(self, tables: Sequence[Array]) -> Array:
        """q(x_S), given everybody's table."""
        if self.part is not None:
            return self.part
        assert self.sender is not None  # a source has one of the two
        assert self.theirs is not None
        return np.asarray(
            np.bincount(self.theirs, tables[self.sender], minlength=int(self.index.max()) + 1), np.float64
        )


@dataclass(frozen=True, eq=False)
class TableGame:
    """A game whose players are joint tables over finite variables, each its own.

    F_i(p) = α_ii π_i^c + Σ_j α_ij p_j(x_S) p_i(x_rest | x_S), S the variables that travel from j to i. π_i^c are the
    private rows, completed the same way where they lack variables; with smoothing λ of n rows they are mixed with the
    uniform table in proportion n : λ.

    Arguments:
        players: in the order of the graph.
        cells: of each player.
        sources: of each player, private rows first.
        start: tables before anything is learned.
        knows: who publishes before it has learned.
        steps: η_t of each.
        samples: rows of a message of each.
        openings: private rows of each, which the first publication comes from, also where α_ii is 0.

    Source: Schlesinger & Flach, *Game-theoretic distributed learning of generative models*, 2025.
    """

    players: tuple[Hashable, ...]
    cells: tuple[Cells, ...]
    sources: tuple[tuple[TableSource, ...], ...]
    start: tuple[Array, ...]
    knows: tuple[bool, ...]
    steps: tuple[StepSize, ...]
    samples: tuple[int, ...]
    openings: tuple[tuple[TableSource, ...], ...]

    @staticmethod
    def of(game: Game) -> "TableGame":
        """The tables of a game.

        Raises:
            NoClosedFormError: a player that is no table (`Tabulated`).
        """
        models = game.tables
        others = [player for player in game.players if player not in models]
        if others:
            raise NoClosedFormError(f"player {others[0]} is no joint table: the game has no exact map over tables")
        cells = {player: Cells(models[player].space) for player in game.players}
        position = {player: k for k, player in enumerate(game.players)}
        sources = []
        for player, weight in zip(game.players, self_weights(game.graph), strict=True):
            found = _private(game, player, float(weight), cells[player], models[player].smoothing)
            for sender, edge in game.graph.pred[player].items():
                if sender != player and edge["alpha"] > 0:
                    space = game.edge_space(sender, player)
                    index, theirs = cells[player].part(space), cells[sender].part(space)
                    found.append(TableSource(float(edge["alpha"]), index, sender=position[sender], theirs=theirs))
            sources.append(tuple(found))
        chosen = [models[player] for player in game.players]
        return TableGame(
            players=tuple(game.players),
            cells=tuple(cells.values()),
            sources=tuple(sources),
            start=tuple(np.array(m.probabilities) for m in chosen),
            knows=tuple(game.specs[p].start == "reference" for p in game.players),
            steps=tuple(m.step for m in chosen),
            samples=tuple(game.specs[p].samples for p in game.players),
            openings=tuple(
                tuple(_private(game, p, 1.0, cells[p], models[p].smoothing)) if game.specs[p].start == "data" else ()
                for p in game.players
            ),
        )

    def response(self, tables: Sequence[Array]) -> list[Array]:
        """F(p), everybody's best response to the rows that it has completed itself."""
        return [_mixed(tables[i], sources, tables) for i, sources in enumerate(self.sources)]

    def residual(self, tables: Sequence[Array]) -> float:
        """The largest total variation between a table and its response; 0 exactly at a fixed point."""
        moved = self.response(tables)
        return max(float(np.abs(p - q).sum()) / 2 for p, q in zip(tables, moved, strict=True))

    def rounds(self, *, full: bool = False) -> Iterator[list[Array]]:
        """Synchronous play without noise, as if every message held infinitely many rows: the tables after each round.

        The first are those of the first publication, from the private rows alone. Who knows nothing yet is silent, and
        leaves its weight to the others.

        Arguments:
            full: whether to take full steps, η = 1, whatever `steps` says.
        """
        tables, ready, taken = list(self.start), list(self.knows), [0] * len(self.players)

        def learn(i: int, sources: Sequence[TableSource], seen: Sequence[Array]) -> Array:
            eta = 1.0 if full else self.steps[i].at(taken[i])
            taken[i] += 1
            return (1 - eta) * tables[i] + eta * _mixed(tables[i], sources, seen)

        for i, own in enumerate(self.openings):
            if own and not ready[i]:
                tables[i], ready[i] = learn(i, own, tables), True
        yield list(tables)
        while True:
            before, heard = list(tables), list(ready)
            for i, sources in enumerate(self.sources):
                there = [s for s in sources if s.sender is None or heard[s.sender]]
                if there:
                    tables[i], ready[i] = learn(i, there, before), True
            yield list(tables)


@dataclass(frozen=True, eq=False)
class TableEquilibrium:
    """A fixed point of the exact map.

    Arguments:
        tables: of each player, `[cells]`.
        residual: how far the map still moves them, in total variation.
        iterations: how often it was applied.
    """

    tables: tuple[Array, ...]
    residual: float
    iterations: int


def table_equilibrium(game: Game | TableGame, *, tol: float = 1e-12, most: int = 100_000) -> TableEquilibrium:
    """The fixed point that full steps lead to from where play starts.

    Each player's problem, given what it hears, is concave, and F is one step of expectation-maximisation towards its
    solution; it is unique where private rows (or smoothing) see every cell whole. A game in which some variables are
    never seen together has many equilibria, and where play ends depends on where it starts.

    Arguments:
        game: a game of tables.
        tol: the residual to come to, in total variation.
        most: iterations.

    Raises:
        NoClosedFormError: a player is no table.
        TableConvergenceError: the residual is still larger; it says how large.
    """
    played = game if isinstance(game, TableGame) else TableGame.of(game)
    residual = np.inf
    for iteration, tables in enumerate(played.rounds(full=True)):
        residual = played.residual(tables)
        if residual <= tol:
            return TableEquilibrium(tuple(tables), residual, iteration)
        if iteration >= most:
            break
    raise TableConvergenceError(residual, most, tol)


def _private(game: Game, player: Hashable, weight: float, cells: Cells, smoothing: float) -> list[TableSource]:
    """The private rows, a source for each part, and the uniform table that smoothing adds."""
    spec = game.specs[player]
    if not spec.rows or weight == 0:
        return []
    if spec.summary is not None:
        raise NoClosedFormError(f"the rows of player {player} are not here, which the exact map of tables needs")
    total = spec.rows + smoothing
    found = [
        TableSource(weight * len(part) / total, cells.part(part.space), Cells(part.space).histogram(part))
        for part in spec.parts
    ]
    if smoothing > 0:
        uniform = np.full(cells.count, 1 / cells.count)
        found.append(TableSource(weight * smoothing / total, np.arange(cells.count), uniform))
    return found


def _mixed(table: Array, sources: Sequence[TableSource], tables: Sequence[Array]) -> Array:
    """Σ_k w_k q_k(x_S) p(x_rest | x_S), the weights scaled to sum to 1."""
    total = sum(s.weight for s in sources)
    mixed = np.zeros_like(table)
    for s in sources:
        mixed += s.weight / total * completed(table, s.seen(tables), s.index)
    return mixed
