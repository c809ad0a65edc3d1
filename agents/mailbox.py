"""The newest messages of each neighbour, bounded and insensitive to order and repetition."""

__all__ = ["Letter", "Mailbox"]

import threading
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, final

from ..games import Batch, Space


@dataclass(frozen=True, eq=False, slots=True)
class Letter:
    """What the mailbox holds of one neighbour.

    Arguments:
        sequence: the sender's number of the publication.
        batch: its rows.
        arrived: the receiver's own number of moves when it arrived.
    """

    sequence: int
    batch: Batch
    arrived: int


@final
class Mailbox:
    """Holds the newest letters of each neighbour; the highest sequence numbers win, whatever the order of arrival.

    Arguments:
        neighbours: whom letters may come from.
        keep: letters held of each.

    `put` may be called by another thread than the other methods. `counts` tells what became of letters:
    `accepted`, `duplicate` (its number was there already), `outdated` (a newer one was there already), `replaced`
    (pushed out by a newer one before any move used it).
    """

    def __init__(self, neighbours: Iterable[Hashable], keep: int = 1) -> None:
        self._letters: dict[Hashable, tuple[Letter, ...]] = dict.fromkeys(neighbours, ())
        self._keep = keep
        self._read_up_to: dict[Hashable, int] = dict.fromkeys(self._letters, -1)
        self._lock = threading.Lock()
        self.counts = {"accepted": 0, "duplicate": 0, "outdated": 0, "replaced": 0}

    def put(self, sender: Hashable, letter: Letter) -> bool:
        """Takes a letter in; False if one as new was there already, or the sender is no neighbour (any more)."""
        with self._lock:
            held = self._letters.get(sender)
            if held is None:  # it has left while its message was being checked
                return False
            if any(letter.sequence == known.sequence for known in held):
                self.counts["duplicate"] += 1
                return False
            if len(held) == self._keep and letter.sequence < held[-1].sequence:
                self.counts["outdated"] += 1
                return False
            self.counts["accepted"] += 1
            ordered = sorted((*held, letter), key=_by_age) if held else [letter]
            for pushed_out in ordered[self._keep :]:
                self.counts["replaced"] += pushed_out.sequence > self._read_up_to[sender]
            self._letters[sender] = tuple(ordered[: self._keep])
            return True

    def read(self) -> dict[Hashable, tuple[Letter, ...]]:
        """The letters held of those heard, newest first, in the order of neighbours. They count as used from now on."""
        with self._lock:
            held = {sender: letters for sender, letters in self._letters.items() if letters}
            for sender, letters in held.items():
                self._read_up_to[sender] = letters[0].sequence
            return held

    def staleness(self, move: int) -> float:
        """Mean age of the newest letters held, in the receiver's moves; 0 if there is none."""
        ages = [move - letters[0].arrived for letters in list(self._letters.values()) if letters]
        return sum(ages) / len(ages) if ages else 0.0

    def resize(self, neighbours: Iterable[Hashable]) -> None:
        """Changes whom letters may come from; letters of those who stay are kept."""
        with self._lock:
            self._letters = {sender: self._letters.get(sender, ()) for sender in neighbours}
            self._read_up_to = {sender: self._read_up_to.get(sender, -1) for sender in self._letters}

    def state(self) -> dict[str, Any]:
        """Everything held, for a checkpoint; neighbours by position."""
        with self._lock:
            return {
                "counts": dict(self.counts),
                "read_up_to": list(self._read_up_to.values()),
                "letters": [
                    [
                        {
                            "sequence": letter.sequence,
                            "arrived": letter.arrived,
                            "arrays": {n: a.copy() for n, a in letter.batch.arrays.items()},
                        }
                        for letter in letters
                    ]
                    for letters in self._letters.values()
                ],
            }

    def load(self, state: Mapping[str, Any], spaces: Iterable[Space]) -> None:
        """Restores `state()`; `spaces` are those of the neighbours' messages, in order."""
        with self._lock:
            self.counts = {name: index(state["counts"][name]) for name in self.counts}
            self._read_up_to = dict(zip(self._letters, map(index, state["read_up_to"]), strict=True))
            for sender, held, space in zip(list(self._letters), state["letters"], spaces, strict=True):
                self._letters[sender] = tuple(
                    Letter(index(one["sequence"]), space.batch(one["arrays"]), index(one["arrived"])) for one in held
                )


def _by_age(letter: Letter) -> int:
    return -letter.sequence
