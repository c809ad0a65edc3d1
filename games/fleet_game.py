"""A game as arrays: one exponential family, a sparse matrix, and no object for any player. For millions of them."""

__all__ = ["FleetGame", "NoShortcutError"]

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..topology import UnanchoredError, listening_matrix, self_weights
from .families import FAMILIES
from .family import Array, BoundaryError, ExponentialFamily
from .fleet_blocks import BLOCK
from .game import Game
from .specs import GameError, PlayerSpec

_ROW_SUM = 1e-6


class NoShortcutError(ValueError):
    """A game that cannot be played as arrays: a sample mean has no law that can be drawn from without making rows.

    Not `NoClosedFormError`: such a game may have an equilibrium in closed form all the same.
    """


@dataclass(frozen=True, eq=False)
class FleetGame:
    """A game of N players that all learn one exponential family of d statistics.

    Arguments:
        family: the family.
        listening: W, `[N, N]`, `scipy.sparse.csr_array`; row i is the listener, W_ij = α_ij, the diagonal 0.
        self_weights: α_ii, `[N]`.
        anchors: μ̂, smoothed mean statistics of the private data, `[N, d]`; not used where α_ii is 0.
        start: μ before the first move, `[N, d]`.
        samples: rows in every message, one number or `[N]`.
        step_sizes: η of a constant step, one number or `[N]`.
        horizons: moves after which a decreasing step has halved (see `StepSize`), one number or `[N]`; infinite for
            a constant step.
        anchored: whether every player must be reached by real data; False admits games that drift and collapse.

    Raises:
        GameError: arrays that do not fit each other, or α that do not sum to 1.
        UnanchoredError: players that no real data reaches.
        BoundaryError: anchors or start outside the interior of the mean-parameter set.

    >>> from scipy.sparse import csr_array
    >>> from nashgossip.games import Gaussian
    >>> W = csr_array(np.array([[0.0, 0.5], [0.5, 0.0]]))
    >>> FleetGame(Gaussian((1,)), W, np.full(2, 0.5), np.array([[0.0], [1.0]]), np.zeros((2, 1)), samples=10).size
    2
    """

    family: ExponentialFamily
    listening: Any
    self_weights: Array
    anchors: NDArray[Any]
    start: NDArray[Any]
    samples: int | NDArray[np.int64] = 100
    step_sizes: float | Array = 1.0
    horizons: float | Array = np.inf
    anchored: bool = True

    def __post_init__(self) -> None:
        n = self.listening.shape[0]
        for name, shape in (
            ("self_weights", (n,)),
            ("anchors", (n, self.family.size)),
            ("start", (n, self.family.size)),
        ):
            if getattr(self, name).shape != shape:
                raise GameError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        if not np.all(np.asarray(self.samples) >= 1):
            raise GameError("samples of a message are below 1, expected whole numbers of at least 1")
        if not np.all((np.asarray(self.step_sizes) > 0) & (np.asarray(self.step_sizes) <= 1)):
            raise GameError("step sizes are outside (0, 1], expected above 0 and at most 1")
        if not np.all(np.asarray(self.horizons) > 0):
            raise GameError("horizons of the step are not above 0")
        if (self.listening.data < 0).any() or (self.self_weights < 0).any():
            raise GameError("alpha is negative, expected at least 0")
        sums = np.asarray(self.listening.sum(axis=1)).reshape(-1) + self.self_weights
        if not np.abs(sums - 1).max() <= _ROW_SUM:
            worst = int(np.abs(sums - 1).argmax())
            raise GameError(f"alpha into player {worst} sums to {sums[worst]:.4g}, expected 1; rescale the row")
        if self.anchored:
            self._require_anchored()
        self._require_interior()

    @property
    def size(self) -> int:
        """Number of players, N."""
        return int(self.listening.shape[0])

    @property
    def players(self) -> range:
        """The players: their numbers."""
        return range(self.size)

    @property
    def edges(self) -> int:
        """Number of edges, self-loops aside."""
        return int(self.listening.nnz)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes that one row of a message would have if it were made."""
        return self.family.sample(self.family.reference, 1, np.random.default_rng(0)).nbytes

    def step(self, moves: NDArray[np.int64] | int, rows: Any = slice(None)) -> float | Array:
        """η_t of the players `rows` after so many steps: one number where all are alike, else `[n]`."""
        sizes = self.step_sizes if np.ndim(self.step_sizes) == 0 else np.asarray(self.step_sizes)[rows]
        horizons = self.horizons if np.ndim(self.horizons) == 0 else np.asarray(self.horizons)[rows]
        if np.ndim(horizons) == 0 and np.isinf(horizons):
            return sizes
        eta: Array = sizes / (1 + np.asarray(moves) / horizons)
        return float(eta) if np.ndim(eta) == 0 else eta

    @staticmethod
    def of(game: Game) -> "FleetGame":
        """The arrays of an ordinary game, players numbered in the order of its graph.

        Raises:
            NoShortcutError: a player is a black box, or players have different families, or a family whose sample
                means have no law of their own. The message names the families that can be played.
        """
        specs = [game.specs[p] for p in game.players]
        family = _family(game.players, specs)
        anchors = np.stack([spec.anchor() for spec in specs])
        from_data = np.array([spec.initial_mean() is None for spec in specs])
        horizons = np.array([np.inf if s.step.horizon is None else s.step.horizon for s in specs])
        return FleetGame(
            family,
            listening_matrix(game.graph, sparse=True),
            self_weights(game.graph),
            anchors,
            np.where(from_data[:, None], anchors, family.reference),
            samples=_one(np.array([s.samples for s in specs])),
            step_sizes=_one(np.array([s.step.size for s in specs])),
            horizons=_one(horizons),
            anchored=game.anchored,
        )

    def _require_anchored(self) -> None:
        reached = self.self_weights > 0
        while not reached.all():
            more = reached | (self.listening @ reached.astype(np.float32) > 0)
            if (more == reached).all():
                left = np.flatnonzero(~reached)
                shown = ", ".join(map(str, left[:10])) + (", …" if len(left) > 10 else "")
                raise UnanchoredError(
                    f"no real data reaches player{'s' if len(left) > 1 else ''} {shown}; give a self-weight above 0 to "
                    "a player that they hear, directly or through others",
                    left.tolist(),
                )
            reached = more

    def _require_interior(self) -> None:
        used = self.self_weights > 0
        for low in range(0, self.size, BLOCK):
            rows = slice(low, low + BLOCK)
            anchors = np.asarray(self.anchors[rows], np.float64)
            if not self.family.interior(anchors[used[rows]]).all():
                bad = low + int(np.flatnonzero(used[rows] & ~self.family.interior(anchors))[0])
                raise BoundaryError(
                    f"anchor of player {bad} is not in the interior of the mean parameters of the "
                    f"{self.family.name} family; set smoothing to a pseudo-count above 0"
                )


def _family(players: list[Any], specs: list[PlayerSpec]) -> ExponentialFamily:
    can = f"the fleet plays players that all learn one of these families: {', '.join(FAMILIES)}; take runner rounds"
    first = specs[0].family
    for player, spec in zip(players, specs, strict=True):
        if spec.model is not None or spec.family is None or first is None:
            raise NoShortcutError(f"player {player} is a black box, whose messages cannot be left unmade; {can}")
        if spec.conduct is not None or spec.defence is not None:
            raise NoShortcutError(
                f"player {player} has a conduct or a defence, which look at rows that are not made; take runner "
                "rounds, virtual or ray"
            )
        if spec.private is not None:
            raise NoShortcutError(
                f"player {player} has a budget of privacy, which arrays do not account for; take runner rounds, "
                "virtual or ray"
            )
        if not first.same_as(spec.family):
            raise NoShortcutError(
                f"player {player} learns another family ({spec.family.name}) than the first ({first.name}); {can}"
            )
    assert first is not None  # a game has players, and the first was looked at
    try:
        first.sample_mean(first.reference, 1, np.random.default_rng(0))
    except NotImplementedError:
        raise NoShortcutError(f"family {first.name!r} has no exact law of sample means; {can}") from None
    return first


def _one(values: NDArray[Any]) -> Any:
    """A number where all are equal, which spares a pass over an array in each round."""
    return values[0].item() if (values == values[0]).all() else values
