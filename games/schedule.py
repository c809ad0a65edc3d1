"""When players move and which of their publications arrive: what a prediction must know of a run."""

__all__ = ["Links", "Schedule"]

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import floor, isfinite
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..topology import edge_arrays
from .family import Array
from .game import Game

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Schedule:
    """Moves and deliveries, in units of the mean time between two moves of a player.

    Arguments:
        clock: `rounds`: all move at times 1, 2, …; `poisson`: each moves at the ticks of a Poisson clock of rate 1.
        delay: time that every message takes; None for a random one, or one that differs between edges. What arrives at
            the very moment of a round is too late for it.
        delivery: p, the probability that a publication reaches a listener: (1 − loss) times the share of moves in which
            the gossip policy picks this listener, by chance. One for all edges, or (sender, listener) → p.
        fresh: whether every listener gets a batch of its own instead of one batch for all.
        known: False for everything that is none of this (churn, changing graphs, round robin, other clocks, unequal
            speeds): nothing is predicted but ρ.
        picks: listeners that a move picks at random without replacement, already counted in `delivery`; None where each
            listener is reached or missed independently of the others.

    Raises:
        ValueError: an unknown clock, a negative time, a probability that is not above 0 and at most 1.

    >>> Schedule("poisson", delay=0.5, delivery=0.8).lag
    0
    """

    clock: Literal["rounds", "poisson"] = "rounds"
    delay: float | None = 0.0
    delivery: float | Mapping[tuple[Any, Any], float] = 1.0
    fresh: bool = False
    known: bool = True
    picks: int | None = None

    def __post_init__(self) -> None:
        if self.clock not in ("rounds", "poisson"):
            raise ValueError(f"clock of a schedule is {self.clock!r}, expected rounds or poisson")
        if self.delay is not None and not (_number(self.delay) and isfinite(self.delay) and self.delay >= 0):
            raise ValueError(
                f"delay of a schedule is {self.delay!r}, expected a finite time of at least 0, or None if it is not one"
            )
        if isinstance(self.delivery, Mapping):
            for edge, p in self.delivery.items():
                if not (isinstance(edge, tuple) and len(edge) == 2):
                    raise ValueError(f"delivery has the key {edge!r}, expected a pair (sender, listener)")
                _require_chance(p, f"delivery from {edge[0]} to {edge[1]}")
        else:
            _require_chance(self.delivery, "delivery")
        if self.picks is not None and not (isinstance(self.picks, int) and self.picks >= 1):
            raise ValueError(f"picks of a schedule are {self.picks!r}, expected a whole number of at least 1, or None")

    @property
    def lag(self) -> int:
        """Rounds in which a message is still on its way; 0 if the next round has it, or the delay is None."""
        return floor((self.delay or 0.0) + _ROUNDING)

    @property
    def instant(self) -> bool:
        """Whether the next move of a listener knows what arrives of the last move of a neighbour."""
        return self.delay is not None and (self.lag == 0 if self.clock == "rounds" else self.delay == 0)


@dataclass(frozen=True, eq=False)
class Links:
    """The edges of a game between two players, and what a schedule says of them.

    Arguments:
        players: N.
        sender: `[E]`, j of α_ij.
        listener: `[E]`, i of α_ij.
        alpha: `[E]`, w_ij > 0.
        chance: `[E]`, p_ij, the probability that a publication of j reaches i.
        together: `[N]`, c_j: two listeners i, k of j are reached at once with probability c_j p_ij p_kj.
    """

    players: int
    sender: NDArray[np.intp]
    listener: NDArray[np.intp]
    alpha: Array
    chance: Array
    together: Array

    @staticmethod
    def of(game: Game, schedule: Schedule) -> "Links":
        """The edges in the order of (listener, sender).

        Raises:
            ValueError: `delivery` and the game's edges differ, or a listener is reached more often than it is picked.
        """
        edges, players = edge_arrays(game.graph), game.players
        heard = np.flatnonzero((edges.listener != edges.speaker) & (edges.alpha > 0))
        heard = heard[np.lexsort((edges.speaker[heard], edges.listener[heard]))]
        sender, listener = edges.speaker[heard], edges.listener[heard]
        named = [(players[j], players[i]) for j, i in zip(sender, listener, strict=True)]
        chance = _chances(schedule.delivery, named, set(game.graph.edges))
        listeners = np.bincount(sender, minlength=len(players))
        together = np.ones(len(players))
        if schedule.picks is not None:
            k = np.minimum(schedule.picks, np.maximum(listeners, 1))
            together = np.where(k < listeners, (k - 1) * listeners / np.maximum(k * (listeners - 1), 1), 1.0)
            odd = np.flatnonzero(chance > (k / np.maximum(listeners, 1))[sender] + _ROUNDING)
            if len(odd):
                j, i = sender[odd[0]], listener[odd[0]]
                raise ValueError(
                    f"delivery from {players[j]} to {players[i]} is {chance[odd[0]]:.3g}, but {players[j]} picks "
                    f"{k[j]} of {listeners[j]} listeners; expected at most {k[j] / listeners[j]:.3g}"
                )
        return Links(len(players), sender, listener, edges.alpha[heard], chance, together)

    @cached_property
    def even(self) -> float | None:
        """p, where it is the same for all edges."""
        if not len(self.chance):
            return 1.0
        return float(self.chance[0]) if np.ptp(self.chance) < _ROUNDING else None

    @cached_property
    def certain(self) -> bool:
        """Whether everything arrives."""
        return self.even == 1.0

    @property
    def listening(self) -> Any:
        """H, sparse `[N, E]`: best responses from the contents of mailboxes, m = Hz; H_i,ij = w_ij."""
        from scipy.sparse import csr_array

        shape = (self.players, len(self.alpha))
        return csr_array((self.alpha, (self.listener, np.arange(len(self.alpha)))), shape=shape)

    @property
    def publishing(self) -> Any:
        """P, sparse `[E, N]`: which publication an edge carries; HP = W."""
        from scipy.sparse import csr_array

        shape = (len(self.alpha), self.players)
        return csr_array((np.ones(len(self.alpha)), (np.arange(len(self.alpha)), self.sender)), shape=shape)


def _chances(
    delivery: float | Mapping[tuple[Any, Any], float],
    edges: list[tuple[Hashable, Hashable]],
    known: set[tuple[Hashable, Hashable]],
) -> Array:
    """p of each of `edges`; others of `known` have α = 0, and what is said of them does not matter."""
    if not isinstance(delivery, Mapping):
        return np.full(len(edges), float(delivery))
    odd = set(delivery) - known
    missing = [edge for edge in edges if edge not in delivery]
    if odd or missing:
        what = "says nothing of the edge" if missing else "names what is no edge of the game,"
        sender, listener = missing[0] if missing else min(odd, key=str)
        raise ValueError(
            f"delivery {what} from {sender} to {listener}; expected a probability for each edge with alpha above 0"
        )
    return np.array([delivery[edge] for edge in edges], dtype=np.float64)


def _require_chance(p: Any, what: str) -> None:
    if not (_number(p) and 0 < p <= 1):
        raise ValueError(
            f"{what} is {p!r}, expected a probability above 0 and at most 1; an edge that never delivers does not "
            "belong in the graph"
        )


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
