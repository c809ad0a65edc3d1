"""A game: who learns from whom, with which private data and which model."""

__all__ = ["MAX_ROWS", "Game", "GameError", "PlayerSpec", "StepSize"]

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import topology
from .family import BoundaryError, ExponentialFamily
from .gossip import Gossip
from .space import Batch, Space

if TYPE_CHECKING:
    import networkx as nx
MAX_ROWS = 100_000
"""The longest message that players accept, in rows."""


class GameError(ValueError):
    """The parts of a game do not fit together.

    Not `AlphaError` and its kin, which are about the graph alone, and not `BatchError`, about rows alone.
    """


@dataclass(frozen=True)
class StepSize:
    """How far a move goes towards the best response: μ ← (1 − η_t) μ + η_t m, t = 0, 1, 2, … the player's moves.

    η_t = size for a constant step; η_t = size · horizon / (horizon + t) for a decreasing one, which falls like 1/t and
    drives the noise floor to 0 (Robbins & Monro, *A Stochastic Approximation Method*, 1951).

    Arguments:
        size: 0 < size ≤ 1.
        horizon: moves after which a decreasing step has halved; None for a constant step.

    >>> StepSize(horizon=10.0).at(10)
    0.5
    """

    size: float = 1.0
    horizon: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.size <= 1:
            raise GameError(f"step size is {self.size}, expected above 0 and at most 1")
        if self.horizon is not None and not 0 < self.horizon < float("inf"):
            raise GameError(f"horizon of the step is {self.horizon}, expected above 0 and finite")

    def at(self, move: int) -> float:
        """η at the given move, counted from 0."""
        return self.size if self.horizon is None else self.size * self.horizon / (self.horizon + move)


@dataclass(frozen=True)
class PlayerSpec:
    """What one player brings to the game.

    Arguments:
        family: the exponential family that the player learns; None for another black box.
        model: a function without arguments that makes the black box; None for the family's own model.
        data: private rows to learn from; None for a player that has none.
        holdout: private rows kept for measuring.
        smoothing: pseudo-count λ of the conjugate prior on the private data.
        step: step size of the family's own model.
        start: where the family's own model starts: at the best response to the private data alone (`data`), or at the
            family's reference member, which knows nothing (`reference`).
        samples: rows in every message it publishes.
        gossip: whom it tells or asks, and how often.
        class_shares: share of each class among the private rows, `[k]`, where the rows hold no label: what the
            laboratory knows for its predictions. The player never sees it.
    """

    family: ExponentialFamily | None = None
    model: Callable[[], Any] | None = None
    data: Batch | None = None
    holdout: Batch | None = None
    smoothing: float = 0.0
    step: StepSize = field(default_factory=StepSize)
    start: Literal["data", "reference"] = "data"
    samples: int = 100
    gossip: Gossip = field(default_factory=Gossip)
    class_shares: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.family is None and self.model is None:
            raise GameError("a player needs a family or a model")
        if not isinstance(self.samples, int) or self.samples < 1:
            raise GameError(f"samples of a message are {self.samples}, expected a whole number of at least 1")
        if self.start not in ("data", "reference"):
            raise GameError(f"start is {self.start!r}, expected 'data' or 'reference'")
        if not self.smoothing >= 0 or not np.isfinite(self.smoothing):
            raise GameError(f"smoothing is {self.smoothing}, expected a pseudo-count of at least 0")
        shares = self.class_shares
        if shares is not None and not (np.ndim(shares) == 1 and (shares >= 0).all() and abs(shares.sum() - 1) < 1e-6):
            raise GameError(f"class shares are {shares}, expected numbers of at least 0 that sum to 1")

    def anchor(self) -> NDArray[np.float64]:
        """μ̂, the smoothed mean statistics of the private data; the reference where there is none: `[size]`."""
        if self.family is None:
            raise GameError("only players with an exponential family have mean statistics")
        if not self.data:
            return self.family.reference
        return self.family.smooth(self.family.mean_statistics(self.data), len(self.data), self.smoothing)

    def initial_mean(self) -> NDArray[np.float64] | None:
        """μ before the first move, `[size]`; None where the private rows decide it."""
        if self.family is not None and (self.start == "reference" or not self.data):
            return self.family.reference
        return None


@dataclass(frozen=True)
class Game:
    """A directed graph with α on its edges, and one specification per player.

    Arguments:
        graph: as `topology.attach_alpha` makes it; its order of nodes is the order of players everywhere.
        specs: node → specification.
        anchored: whether every player must be reached by real data; `False` admits games that drift and collapse.

    Raises:
        GameError: a node without specification or the reverse, an anchored player without data, data over other
            variables than the model's, an edge whose sender does not publish what the listener needs, or a fan-out
            wider than the degree.
        BoundaryError: a player's private statistics lie on the boundary (named; the remedy is smoothing).
        GraphError: see `topology.validate`.
        SpaceError: one name stands for different variables at the two ends of an edge.
    """

    graph: "nx.DiGraph[Any]"
    specs: Mapping[Any, PlayerSpec]
    anchored: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        topology.validate(self.graph, anchored=self.anchored)
        if set(self.specs) != set(self.graph):
            odd = sorted(map(str, set(self.specs) ^ set(self.graph)))
            raise GameError(f"players and nodes of the graph differ: {', '.join(odd[:10])}")
        for player, weight in zip(self.graph, topology.self_weights(self.graph), strict=True):
            self._check_data(player, float(weight))
            self._check_gossip(player)
        for sender, listener, attributes in self.graph.edges(data=True):
            if sender != listener and attributes["alpha"] > 0:
                self.edge_space(sender, listener)

    @property
    def players(self) -> list[Hashable]:
        """The players, in the order of every array."""
        return list(self.graph)

    def space(self, player: Hashable) -> Space:
        """The variables of a player."""
        return self._models[player][0]

    def edge_space(self, sender: Hashable, listener: Hashable) -> Space:
        """The variables that travel from one player to another: those of the listener that the sender publishes.

        Raises:
            GameError: there are none, or the listener lacks some of them and cannot complete rows.
        """
        published = self.space(sender).publishable()
        needed, completes = self._models[listener]
        shared = None if published is None else needed.intersection(published)
        if shared is None or (len(shared.variables) < len(needed.variables) and not completes):
            missing = [n for n in needed.names if shared is None or n not in shared]
            raise GameError(
                f"player {listener} cannot learn from player {sender}, which does not publish "
                f"{', '.join(missing)}; remove the edge, give the sender these variables, or give the listener a model "
                "with `complete`"
            )
        return shared

    @cached_property
    def _models(self) -> dict[Hashable, tuple[Space, bool]]:
        """The variables of each player, and whether its model fills in what rows lack (`agents.HasCompletion`)."""
        return {player: _about_model(spec) for player, spec in self.specs.items()}

    def _check_data(self, player: Hashable, weight: float) -> None:
        spec = self.specs[player]
        if not spec.data:
            if weight == 0:
                return
            raise GameError(
                f"player {player} listens to its own data with weight {weight:.3g} but has no rows; "
                "give it data or a self-weight of 0"
            )
        space, completes = self._models[player]
        for rows in (spec.data, spec.holdout):
            if rows is not None and rows.space != space and not (completes and _is_part(rows.space, space)):
                raise GameError(
                    f"player {player} has data over {', '.join(rows.space.names)}, "
                    f"but its model is over {', '.join(self.space(player).names)} (or their kinds or shapes differ)"
                )
        if spec.family is not None:
            try:
                spec.family.require_interior(spec.anchor())
            except BoundaryError as error:
                raise BoundaryError(f"player {player}: {error}") from None

    def _check_gossip(self, player: Hashable) -> None:
        gossip = self.specs[player].gossip
        if gossip.fan_out is None:
            return
        sides = {"listeners": (gossip.pushes, self.graph.succ), "neighbours": (gossip.pulls, self.graph.pred)}
        for name, (used, side) in sides.items():
            degree = sum(other != player for other in side[player])
            if used and gossip.fan_out > degree:
                raise GameError(
                    f"player {player} has {degree} {name}, fewer than its gossip fan-out of {gossip.fan_out}; "
                    "make the fan-out smaller, or None for all"
                )


def _about_model(spec: PlayerSpec) -> tuple[Space, bool]:
    if spec.model is not None:
        model = spec.model()
        return model.space, callable(getattr(model, "complete", None))
    assert spec.family is not None  # PlayerSpec has one of the two
    return spec.family.space, False


def _is_part(part: Space, whole: Space) -> bool:
    """Whether every variable of `part` is one of `whole`."""
    return all(v.name in whole and whole[v.name] == v for v in part)
