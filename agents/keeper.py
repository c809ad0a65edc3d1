"""An actor's checkpoints: saved now and then, gone back to after a death, with numbers that nobody has heard yet."""

__all__ = ["Keeper"]

import os
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, final

from .ensemble import Ensemble
from .failures import Failures
from .hosting import HostPlan
from .player import Player
from .stepper import Stepper

_LEAST_SPACING = 20.0
"""Checkpoints take at most one part in so many of the time."""
_ATTEMPTS = 5
"""Checkpoints that storage may refuse one after the other; the last one ends play."""
_NUMBERS = 1 << 32
"""Sequence numbers that an incarnation has for itself; no player publishes as often."""


@final
class Keeper:
    """Saves and restores all that an actor's play depends on.

    Arguments:
        plan: what the actor is made from; without a store nothing is saved.
        ensemble: its players.
        stepper: their rounds.
        failures: what became of models that failed.

    `number` is that of the newest checkpoint, `incarnation` counts how often players have been taken back to one.
    """

    def __init__(self, plan: HostPlan, ensemble: Ensemble, stepper: Stepper, failures: Failures) -> None:
        self._plan, self._ensemble, self._stepper, self._failures = plan, ensemble, stepper, failures
        self.number = self.incarnation = 0
        self._tried, self._spacing, self._refused = time.monotonic(), plan.checkpoint_seconds, 0

    def resume(self) -> bool:
        """Goes on from the newest checkpoint; False if there is none.

        In asynchronous play a new incarnation begins, whose publications are numbered above all those before.
        """
        saved = None if self._plan.store is None else self._plan.store.latest()
        if saved is None:
            return False
        self.number, tree = saved
        self._load(tree)
        if not self._plan.synchronous:
            self._stepper.held = []  # they may have been heard, and those who play publish soon
            self._reincarnate(list(self._ensemble.players.values()))
        self._plan.tell("restored", checkpoint=saved[0], incarnation=self.incarnation, process=os.getpid())
        return True

    def go_back(self, number: int) -> int:
        """Goes back to a checkpoint, and removes those of the history that is undone; the turn it was saved in.

        Raises:
            CheckpointError: it cannot be read.
        """
        store = self._plan.store
        assert store is not None  # nobody goes back who saved nothing
        tree = store.load(number)
        store.forget_after(number)
        self._load(tree)
        self.number = number
        turn: int = tree["turn"]
        return turn

    def restart(self, player: Hashable) -> None:
        """Takes one player back to the newest checkpoint.

        Raises:
            LookupError: there is none, or it has no such player.
        """
        saved = None if self._plan.store is None else self._plan.store.latest()
        if saved is None:
            raise LookupError("there is no checkpoint")
        self._ensemble.restart(player, saved[1]["ensemble"])
        self._reincarnate([self._ensemble.players[player]])
        self._plan.tell("restarted", player, checkpoint=saved[0], incarnation=self.incarnation)

    def save(self, number: int | None = None) -> None:
        """Saves a checkpoint between two moves, by default under the next number.

        Raises:
            OSError: the storage refused.
        """
        store = self._plan.store
        if store is None:
            return
        number = self.number + 1 if number is None else number
        tree = {
            "incarnation": self.incarnation,
            "turn": self._stepper.turn,
            "ensemble": self._ensemble.state(),
            "held": self._ensemble.packed(self._stepper.held),
            **self._failures.state(),
        }
        began = time.monotonic()
        try:
            store.save(tree, number)
        finally:
            self._tried = time.monotonic()
            self._spacing = max(self._plan.checkpoint_seconds, _LEAST_SPACING * (self._tried - began))
        self.number, self._refused = number, 0

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint; after one that was refused later and later."""
        return self._plan.store is not None and time.monotonic() - self._tried > self._spacing * 2**self._refused

    def attempt(self) -> None:
        """Saves a checkpoint that nobody waits for: a storage that refuses it is asked again later.

        Raises:
            OSError: it has refused for the last of several times in a row.
        """
        try:
            self.save()
        except OSError as error:
            self._refused += 1
            cause = f"{type(error).__name__}: {error}"
            self._plan.tell("checkpoint failed", level="error", cause=cause, attempt=self._refused, of=_ATTEMPTS)
            if self._refused >= _ATTEMPTS:
                raise

    def _reincarnate(self, players: Sequence[Player]) -> None:
        """Numbers what these players publish above all that they have published, and notes so before they do."""
        self.incarnation += 1
        for player in players:
            player.number_from(self.incarnation * _NUMBERS)
        self.save()

    def _load(self, tree: Mapping[str, Any]) -> None:
        self._ensemble.load(tree["ensemble"])
        self._stepper.held = self._ensemble.unpacked(tree["held"])
        self.incarnation = tree["incarnation"]
        self._failures.load(tree)
