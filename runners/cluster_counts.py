"""What has been done on a cluster, counted so that nothing falls when players are taken back to their checkpoints."""

__all__ = ["Counts", "Ratchet"]

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, final

from ..agents import Report


@final
class Counts:
    """Moves of each player, and messages and bytes of all.

    In gossip a player that was taken back to its checkpoint is counted on from where it was last seen, for what it does
    again it does with other messages. Rounds that are played again are the very same: see `keep` and `go_back`.

    Arguments:
        players: all that ever play.
        before: totals of a run to go on with: moves of each player, messages, bytes, undelivered.
    """

    def __init__(self, players: Iterable[Hashable], before: Mapping[str, Any]) -> None:
        names = list(players)
        self.moves: dict[Hashable, int] = dict(zip(names, before.get("moves", [0] * len(names)), strict=True))
        self._behind = dict.fromkeys(names, 0)
        self._totals = {name: Ratchet(before.get(name, 0)) for name in ("messages", "bytes", "undelivered")}
        self._kept: tuple[dict[Hashable, int], dict[Hashable, int], dict[str, Ratchet]] | None = None

    def take(self, index: int, report: Report) -> None:
        """Takes in what an actor reports."""
        for player in report.players:
            counted = player.moves + self._behind[player.name]
            self._behind[player.name] += max(0, self.moves[player.name] - counted)
            self.moves[player.name] = player.moves + self._behind[player.name]
        self._totals["messages"].read(index, sum(p.sent for p in report.players))
        self._totals["bytes"].read(index, sum(p.bytes for p in report.players))
        self._totals["undelivered"].read(index, report.superseded + report.unreachable)

    def total(self, name: str) -> int:
        """Of `messages`, of their `bytes`, or of messages `undelivered`."""
        return self._totals[name].value

    @property
    def kept(self) -> bool:
        """Whether there is something to go back to."""
        return self._kept is not None

    def keep(self) -> None:
        """Notes where everybody is at a checkpoint."""
        self._kept = self.moves.copy(), self._behind.copy(), _copies(self._totals)

    def go_back(self) -> None:
        """Goes back to what was kept: what is played again is the same, and is counted once."""
        if self._kept is not None:
            moves, behind, totals = self._kept
            self.moves, self._behind, self._totals = moves.copy(), behind.copy(), _copies(totals)


@final
class Ratchet:
    """A total over actors of counts that fall when one is taken back; the total does not.

    Arguments:
        least: what it was before.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._last: dict[int, int] = {}
        self._behind = 0

    def copy(self) -> "Ratchet":
        """Another one that is where this one is."""
        other = Ratchet(self._least)
        other._last, other._behind = self._last.copy(), self._behind
        return other

    def read(self, index: int, count: int) -> None:
        """Takes in the count of an actor."""
        self._behind += max(0, self._last.get(index, 0) - count)
        self._last[index] = count

    @property
    def value(self) -> int:
        """The total."""
        total = sum(self._last.values()) + self._behind
        self._behind += max(0, self._least - total)
        self._least = max(self._least, total)
        return self._least


def _copies(totals: Mapping[str, Ratchet]) -> dict[str, Ratchet]:
    return {name: total.copy() for name, total in totals.items()}
