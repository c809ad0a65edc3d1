"""What every engine yields as it plays: the state of all players at one moment."""

__all__ = ["Engine", "Observation", "PlayerView", "require_whole"]

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..agents import RegretEstimate, Scores, State
from ..games import Batch, PrivacySpent


@dataclass(frozen=True, eq=False)
class PlayerView:
    """One player as the laboratory sees it.

    Arguments:
        moves: moves made.
        mean: mean parameters, `[size]`, or None; of no account while the player is absent from the graph in force.
        letters: what became of messages that fitted: `accepted`, `duplicate`, `outdated`, `replaced`.
        rejected: refused messages by reason.
        staleness: mean age of the letters held, in the player's moves.
        bytes: of the messages that it has sent and that have arrived, where the engine counts them by player.
        shares: of a player with a defence, each neighbour's share of what its last move learned from.
        privacy: what it has spent of its budget of privacy; None for a player without.
    """

    moves: int
    mean: NDArray[np.float64] | None
    letters: Mapping[str, int]
    rejected: Mapping[str, int]
    staleness: float
    bytes: int | None = None
    shares: Mapping[Hashable, float] | None = None
    privacy: PrivacySpent | None = None


@dataclass(frozen=True, eq=False)
class Observation:
    """All players at one moment.

    Arguments:
        time: moves per player so far, the unit of time of every prediction.
        seconds: since the first publication.
        messages: delivered so far.
        bytes: of their values.
        players: in the order of the graph; a list, or arrays that look like one.
        undelivered: messages lost, replaced by newer ones before they were sent, or whose receiver was away or whose
            sender had left.
        close: whether the players were looked at closely, see `Looks`; else the fields below are empty.
        samples: rows generated for measurement.
        held_out: mean log-density of each player's holdout, in nats a row.
        regret_estimates: of black boxes.
        scores: how each does on test rows.
        states: `Player.state()` of each, at the last observation if asked for.
        mean_parameters: of all players, `[N, size]`, where the engine has them as one array.
        aside: players that failed and that the run goes on without → why.
    """

    time: float
    seconds: float
    messages: int
    bytes: int
    players: Sequence[PlayerView]
    undelivered: int = 0
    close: bool = False
    samples: Mapping[Hashable, Batch | None] = field(default_factory=dict)
    held_out: Mapping[Hashable, float | None] = field(default_factory=dict)
    regret_estimates: Mapping[Hashable, RegretEstimate | None] = field(default_factory=dict)
    scores: Mapping[Hashable, Scores | None] = field(default_factory=dict)
    states: Mapping[Hashable, State] = field(default_factory=dict)
    mean_parameters: NDArray[Any] | None = None
    aside: Mapping[Hashable, str] = field(default_factory=dict)

    @property
    def means(self) -> NDArray[Any] | None:
        """Mean parameters of all players, `[N, size]`; None if a player has none, or one of another size."""
        if self.mean_parameters is not None:
            return self.mean_parameters
        means = [p.mean for p in self.players if p.mean is not None]
        if len(means) < len(self.players) or len({m.shape for m in means}) > 1:
            return None
        return np.stack(means)


Engine: TypeAlias = Callable[..., Iterator[Observation]]
"""The contract of engines.

Called with the game and, by keyword, `seed`, `moves`, `looks`, `keep_states` and options of its own, an engine plays
until every player has made `moves` moves (on average, if it is asynchronous). It yields observations, the first before
any move.
"""


def require_whole(**counts: float) -> None:
    """Raises ValueError unless every value is a whole number of at least 1."""
    for name, value in counts.items():
        if value != int(value) or value < 1:
            raise ValueError(f"{name} is {value}, expected a whole number of at least 1")
