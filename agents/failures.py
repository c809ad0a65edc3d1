"""What becomes of a player whose model fails: the run ends, or it is set aside, or goes on from its last checkpoint."""

__all__ = ["Failures"]

from collections import ChainMap
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, final

from .hosting import Failure, HostPlan
from .model_errors import ModelError


@final
class Failures:
    """Does what the policy of a plan says, and remembers what happened.

    Arguments:
        plan: what the actor is made from.
        restart: takes a player back to its last checkpoint, or raises LookupError if there is none of it.

    `aside` are the players that were set aside. `silent` are those who say nothing any more: they, and who was taken
    back to a checkpoint while storage did not take note of its new numbers. `ended` is what ended asynchronous play, or
    None. `restarted` counts how often a model was taken back.
    """

    def __init__(self, plan: HostPlan, restart: Callable[[Hashable], None]) -> None:
        self._plan, self._restart = plan, restart
        self.aside: dict[Hashable, Failure] = {}
        self._unnoted: dict[Hashable, Failure] = {}
        self.silent = ChainMap(self.aside, self._unnoted)
        self.ended: Failure | None = None
        self.restarted = 0
        self._failed_at: dict[Hashable, int] = {}

    @property
    def skips(self) -> bool:
        """Whether whoever fails is set aside, and the others go on."""
        return self._plan.policy == "skip"

    def meet(self, player: Hashable, error: ModelError) -> None:
        """A player's model failed.

        Raises:
            ModelError: the error itself, in rounds whose policy is not `skip`: the same rows would raise it again.
        """
        failure, policy = Failure.of(error), self._plan.policy
        self._plan.tell(
            "failed", player, level="error", move=error.move, cause=error.cause, trace=failure.trace, policy=policy
        )
        if self.skips:
            self.aside[player] = failure
        elif self._plan.synchronous:
            self.ended = failure
            raise error
        elif policy == "fail":
            self.ended = failure
        else:
            self.ended = self._not_taken_back(player, failure)

    def require_none(self) -> None:
        """Raises ModelError if a failure has ended play."""
        if self.ended is not None:
            raise self.ended.error

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        order = self._plan.positions
        return {
            "restarted": self.restarted,
            "aside": [[order[p], f.player, f.move, f.cause, f.trace] for p, f in list(self.aside.items())],
            "failed_at": [[order[p], move] for p, move in self._failed_at.items()],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        names = {position: player for player, position in self._plan.positions.items()}
        self.restarted = state["restarted"]
        self.aside.clear()
        self.aside.update({names[p]: Failure(*rest) for p, *rest in state["aside"]})
        self._failed_at = {names[p]: move for p, move in state["failed_at"]}

    def _not_taken_back(self, player: Hashable, failure: Failure) -> Failure | None:
        """Takes a player back; if that cannot help, as it failed there before, or too often, what ends play."""
        move = failure.move
        if move <= self._failed_at.get(player, -1) or self.restarted >= self._plan.restarts:
            return failure
        self._failed_at[player] = move
        self.restarted += 1
        try:
            self._restart(player)
        except LookupError:  # it failed before it was saved for the first time
            self.restarted -= 1
            return failure
        except OSError as error:
            cause = f"{type(error).__name__}: {error}"
            self._plan.tell("checkpoint failed", player, level="error", cause=cause)
            self.restarted -= 1
            self._unnoted[player] = failure
            return replace(failure, cause=f"{failure.cause}; storage refused to take it back ({cause}); look after it")
        return None
