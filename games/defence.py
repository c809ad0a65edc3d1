"""What a listener does against bad neighbours, as data: screening, trust, and a bound on each share."""

__all__ = ["Defence", "DefenceError", "Screen", "Trust", "clipped"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DefenceError(ValueError):
    """A setting of a defence that means nothing.

    Not `GameError`, which is about parts that do not fit together: a defence is checked before there is a game.
    """


@dataclass(frozen=True)
class Screen:
    """Leaves out a message whose rows are told apart from the listener's own by a two-sample test.

    A message is left out if its p-value (of a permutation test of the energy distance) is at most `level`, and its
    energy coefficient above `limit`. With a limit of 0 it is a plain test, which also leaves out honest neighbours that
    have other data, if the sample is large enough to see it.

    Arguments:
        level: share of messages left out of a neighbour with the listener's own distribution, at most; in [0.001, 1).
        limit: energy coefficient up to which neighbours may differ, in [0, 1).
    """

    level: float = 0.01
    limit: float = 0.0

    def __post_init__(self) -> None:
        if not 0.001 <= self.level < 1:
            raise DefenceError(f"level of a screen is {self.level}, expected at least 0.001 and below 1")
        if not 0 <= self.limit < 1:
            raise DefenceError(f"limit of a screen is {self.limit}, expected at least 0 and below 1")


@dataclass(frozen=True)
class Trust:
    """Listens to a neighbour in proportion to a trust τ that follows how alike its rows are to the listener's own.

    With each new message τ ← (1 − rate) τ + rate · exp(−H / scale), from τ = 1, H its energy coefficient; the
    neighbour's weight is α τ, and the row is rescaled to sum to 1.

    Arguments:
        rate: in (0, 1].
        scale: energy coefficient at which trust falls to 1/e, above 0.
    """

    rate: float = 0.2
    scale: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise DefenceError(f"rate of trust is {self.rate}, expected above 0 and at most 1")
        if not 0 < self.scale < float("inf"):
            raise DefenceError(f"scale of trust is {self.scale}, expected above 0 and finite")


@dataclass(frozen=True)
class Defence:
    """What a listener does with what it hears, in this order; None leaves a step out.

    Arguments:
        screen: leaves messages out.
        trust: adapts the weights of neighbours.
        clip: the largest share that any one neighbour may have of what is learned from, in (0, 1]; see `clipped`.
        rows: at most so many rows of either side are compared.
    """

    screen: Screen | None = None
    trust: Trust | None = None
    clip: float | None = None
    rows: int = 100

    def __post_init__(self) -> None:
        if self.clip is not None and not 0 < self.clip <= 1:
            raise DefenceError(f"clip is {self.clip}, expected a share above 0 and at most 1")
        if not isinstance(self.rows, int) or self.rows < 2:
            raise DefenceError(f"rows of a defence are {self.rows}, expected a whole number of at least 2")

    @property
    def compares(self) -> bool:
        """Whether it needs rows of the listener's own."""
        return self.screen is not None or self.trust is not None


def clipped(own: float, shares: NDArray[np.float64], most: float) -> tuple[float, NDArray[np.float64]]:
    """No share above `most`: what is cut off goes to the own rows, and where they have no weight, evenly to the others.

    Arguments:
        own: the weight of the own rows.
        shares: of the neighbours, `[k]`; `own` and they sum to 1.
        most: the bound. Where there are no own rows, and too few neighbours for it, all have the same share.

    Returns:
        The new weight of the own rows, and the new shares; they sum to 1.

    >>> clipped(0.5, np.array([0.4, 0.1]), 0.2)
    (0.7, array([0.2, 0.1]))
    >>> clipped(0.0, np.array([0.8, 0.1, 0.1]), 0.5)
    (0.0, array([0.5 , 0.25, 0.25]))
    """
    cut = np.minimum(shares, most)
    excess = float((shares - cut).sum())
    if own > 0 or excess == 0:
        return own + excess, cut
    if most * len(shares) <= 1:
        return 0.0, np.full(len(shares), 1.0 / len(shares))
    while excess > 1e-15:
        free = cut < most
        room = most - cut[free]
        given = np.minimum(room, excess / free.sum())
        cut[free] += given
        excess -= float(given.sum())
    return 0.0, cut
