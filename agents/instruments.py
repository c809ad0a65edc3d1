"""What the laboratory reads of the players of one process; those that were set aside are left alone."""

__all__ = ["Instruments"]

from collections.abc import Callable, Container, Hashable
from typing import Any, TypeVar, final

from .ensemble import Ensemble
from .failures import Failures
from .hosting import PlayerReport
from .model_errors import ModelError
from .player import Player
from .side_thread import SideThread

T = TypeVar("T")


@final
class Instruments:
    """Looks at players, and sets aside those whose models fail at it, if that is the policy.

    Arguments:
        ensemble: the players.
        failures: what becomes of models that fail.
        thread: in which models learn.
    """

    def __init__(self, ensemble: Ensemble, failures: Failures, thread: SideThread) -> None:
        self._ensemble, self._failures, self._thread = ensemble, failures, thread

    def of_each(self, look: Callable[[Player], T], names: Container[Hashable] | None = None) -> dict[Hashable, T]:
        """Player → what is seen of it; those that were set aside, now or before, are left out.

        Arguments:
            look: looks at a player.
            names: whom; everybody by default.

        Raises:
            ModelError: a model failed, and the policy is another than to skip it.
        """
        players = [p for name, p in list(self._ensemble.players.items()) if names is None or name in names]
        return {player.name: seen[0] for player in players if (seen := self._seen(player, look))}

    def reports(self) -> list[PlayerReport]:
        """What is reported of all players, in their order; the mean of one set aside is that of its last state.

        While models learn in the thread, one that cannot tell its mean has none, and is asked again the next time.
        """
        ensemble = self._ensemble
        return [
            PlayerReport(
                name,
                player.moves,
                self._mean(player),
                ensemble.sent[name],
                ensemble.bytes[name],
                dict(player.mailbox.counts),
                dict(player.rejected),
                player.mailbox.staleness(player.moves),
                player.shares,
                player.privacy_spent,
            )
            for name, player in list(ensemble.players.items())
        ]

    def _seen(self, player: Player, look: Callable[[Player], T]) -> tuple[T] | None:
        if player.name in self._failures.aside:
            return None
        try:
            return (look(player),)
        except ModelError as error:
            if not self._failures.skips:
                raise
            self._failures.meet(player.name, error)
            return None

    def _mean(self, player: Player) -> Any:
        if player.name in self._failures.aside or self._thread.busy:
            try:
                return player.mean_parameters
            except ModelError:  # it is told of already, or was read half-way through an update
                return None
        seen = self._seen(player, lambda one: one.mean_parameters)
        return None if seen is None else seen[0]
