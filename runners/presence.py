"""Which players of a simulated world are here, and for which reasons the others are not."""

__all__ = ["REASONS", "Presence"]

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from operator import index
from typing import Any, final

REASONS = ("event", "churn", "membership")
"""Why a player can be down: an event took it down, random churn did, or it is absent from the graph in force."""


@final
class Presence:
    """Players that have not joined yet, have left for good, or are down, each for reasons of its own.

    A player that is down for several reasons is up again when all have ended: random churn does not bring back a player
    that the experiment took down, nor the other way round, and neither brings back one that the graph in force leaves
    out.

    Arguments:
        players: all players, in the order of the game.
        late: those that join later.

    >>> here = Presence(["a", "b"], late=["b"])
    >>> here.stop("a", "event"); here.stop("a", "churn")
    >>> here.wake("a", "churn"), here.wake("a", "event"), here.join("b")
    (False, True, True)
    """

    def __init__(self, players: Iterable[Hashable], late: Iterable[Hashable] = ()) -> None:
        self._players = list(players)
        self._absent, self._gone, self._started = set(late), set[Hashable](), set[Hashable]()
        self._down: dict[str, set[Hashable]] = {why: set() for why in REASONS}
        self._epoch: Counter[Hashable] = Counter()

    def away(self, player: Hashable) -> bool:
        """Whether a player neither moves nor hears anything."""
        return player in self._absent or player in self._gone or any(player in down for down in self._down.values())

    def down(self, player: Hashable, why: str) -> bool:
        """Whether a player is down for this one of `REASONS`."""
        return player in self._down[why]

    def epoch(self, player: Hashable) -> int:
        """A number that changes whenever the player goes, so that a move begun before is known to be void."""
        return self._epoch[player]

    def begin(self, player: Hashable) -> bool:
        """Notes that a player publishes for the first time; False if it has done so before."""
        first = player not in self._started
        self._started.add(player)
        return first

    def join(self, player: Hashable) -> bool:
        """A late player joins; whether it is here from now on."""
        was_absent = player in self._absent
        self._absent.discard(player)
        return was_absent and not self.away(player)

    def leave(self, player: Hashable) -> None:
        """A player goes for good."""
        self._gone.add(player)
        self._epoch[player] += 1

    def stop(self, player: Hashable, why: str) -> None:
        """A player goes down."""
        self._down[why].add(player)
        self._epoch[player] += 1

    def wake(self, player: Hashable, why: str) -> bool:
        """A reason to be down ends; whether the player is here again from now on."""
        was_down = player in self._down[why]
        self._down[why].discard(player)
        return was_down and not self.away(player)

    def state(self) -> dict[str, Any]:
        """Everything, players by position."""
        order = {player: k for k, player in enumerate(self._players)}

        def places(some: set[Hashable]) -> list[int]:
            return sorted(order[p] for p in some)

        return {
            "absent": places(self._absent),
            "gone": places(self._gone),
            "started": places(self._started),
            "down": {why: places(down) for why, down in self._down.items()},
            "epoch": [self._epoch[p] for p in self._players],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state()` of the same players."""
        names = dict(enumerate(self._players))
        self._absent, self._gone, self._started = (
            {names[k] for k in state[key]} for key in ("absent", "gone", "started")
        )
        self._down = {why: {names[k] for k in state["down"][why]} for why in REASONS}
        self._epoch = Counter(dict(zip(self._players, map(index, state["epoch"]), strict=True)))
