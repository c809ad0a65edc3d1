"""The newest message of each neighbour, bounded and insensitive to order and repetition."""

__all__ = ["Letter", "Mailbox"]

import threading
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
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
    """Holds one letter per neighbour; the highest sequence number wins, whatever the order of arrival.

    `put` may be called by another thread than the other methods. `counts` tells what became of letters:
    `accepted`, `duplicate` (its number was there already), `outdated` (a newer one was there already), `replaced`
    (pushed out by a newer one before any move used it).
    """

    def __init__(self, neighbours: Iterable[Hashable]) -> None:
        self._letters: dict[Hashable, Letter | None] = dict.fromkeys(neighbours)
        self._unread: set[Hashable] = set()
        self._lock = threading.Lock()
        self.counts = {"accepted": 0, "duplicate": 0, "outdated": 0, "replaced": 0}

    def put(self, sender: Hashable, letter: Letter) -> bool:
        """Takes a letter in; False if one as new was there already.

        Raises:
            KeyError: `sender` is not a neighbour.
        """
        with self._lock:
            held = self._letters[sender]
            if held is not None and letter.sequence <= held.sequence:
                self.counts["duplicate" if letter.sequence == held.sequence else "outdated"] += 1
                return False
            self.counts["accepted"] += 1
            self.counts["replaced"] += sender in self._unread
            self._letters[sender] = letter
            self._unread.add(sender)
            return True

    def read(self) -> dict[Hashable, Letter]:
        """The letters held, in the order of neighbours; from now on they count as used. They stay for the next read."""
        with self._lock:
            self._unread.clear()
            return {sender: letter for sender, letter in self._letters.items() if letter is not None}

    def staleness(self, move: int) -> float:
        """Mean age of the letters held, in the receiver's moves; 0 if there is none."""
        ages = [move - letter.arrived for letter in list(self._letters.values()) if letter is not None]
        return sum(ages) / len(ages) if ages else 0.0

    def state(self) -> dict[str, Any]:
        """Everything held, for a checkpoint; neighbours by position."""
        with self._lock:
            return {
                "counts": dict(self.counts),
                "letters": [
                    None
                    if letter is None
                    else {
                        "sequence": letter.sequence,
                        "arrived": letter.arrived,
                        "unread": sender in self._unread,
                        "arrays": {n: a.copy() for n, a in letter.batch.arrays.items()},
                    }
                    for sender, letter in self._letters.items()
                ],
            }

    def load(self, state: dict[str, Any], spaces: Iterable[Space]) -> None:
        """Restores `state()`; `spaces` are those of the neighbours' messages, in order."""
        with self._lock:
            self.counts = dict(state["counts"])
            self._unread = set()
            for sender, held, space in zip(self._letters, state["letters"], spaces, strict=True):
                if held is None:
                    self._letters[sender] = None
                    continue
                self._letters[sender] = Letter(held["sequence"], space.batch(held["arrays"]), held["arrived"])
                if held["unread"]:
                    self._unread.add(sender)
