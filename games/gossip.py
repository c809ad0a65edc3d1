"""How a player gossips: whom it tells or asks, how often, and how much of what it heard it keeps."""

__all__ = ["Gossip"]

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Gossip:
    """A player's gossip policy.

    Arguments:
        style: `push`: tell listeners after a move; `pull`: ask neighbours after a move, who answer with a fresh batch;
            `push-pull`: both.
        fan_out: listeners told, and neighbours asked, each time; None for all of them.
        order: how these are chosen: at `random` (without replacement) or `round-robin`.
        every: tells and asks after every `every`-th move only.
        fresh: whether every listener gets a batch of its own instead of one batch for all.
        keep: letters kept of a neighbour, the newest first; they share its weight equally.

    Raises:
        ValueError: a number below 1, or an unknown style or order.

    Source: Demers et al., *Epidemic algorithms for replicated database maintenance*, 1987.
    """

    style: Literal["push", "pull", "push-pull"] = "push"
    fan_out: int | None = None
    order: Literal["random", "round-robin"] = "random"
    every: int = 1
    fresh: bool = False
    keep: int = 1

    def __post_init__(self) -> None:
        if self.style not in ("push", "pull", "push-pull"):
            raise ValueError(f"gossip style is {self.style!r}, expected push, pull or push-pull")
        if self.order not in ("random", "round-robin"):
            raise ValueError(f"gossip order is {self.order!r}, expected random or round-robin")
        for name in ("fan_out", "every", "keep"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"gossip {name} is {value}, expected a whole number of at least 1")

    @property
    def pushes(self) -> bool:
        """Whether listeners are told."""
        return self.style != "pull"

    @property
    def pulls(self) -> bool:
        """Whether neighbours are asked."""
        return self.style != "push"
