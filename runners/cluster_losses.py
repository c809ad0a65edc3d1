"""What happens when an actor of a run is not there, or says no more: the policy, and who is away or set aside."""

__all__ = ["Losses"]

from collections.abc import Callable, Hashable, Mapping, Sequence
from time import perf_counter
from typing import Any, NoReturn, final

from ..agents import Failure, Report
from .cluster_crew import Crew, Lost
from .cluster_errors import PlayerLostError, Setback, StallError, StartError, named
from .cluster_plans import Layout
from .deployment import Deployment


@final
class Losses:
    """Does what the policy says when an actor dies, and gives up those that do not move.

    Arguments:
        layout: who lives where.
        crew: the actors.
        deployment: the policy.
        tell: notes an event in the journal.
        patience: seconds that a player may take for a move, or an actor for an answer.
        synchronous: whether a process that dies takes everybody back, see `Setback`.

    `away` are the actors that are not there and will be again, `skipped` those that never will, `aside` the players
    that play no more.
    """

    def __init__(
        self,
        layout: Layout,
        crew: Crew,
        deployment: Deployment,
        tell: Callable[..., None],
        *,
        patience: float,
        synchronous: bool,
    ) -> None:
        self.away: set[int] = set()
        self.skipped: set[int] = set()
        self.aside: dict[Hashable, Failure | None] = {}
        self._layout, self._crew, self._deployment, self._tell = layout, crew, deployment, tell
        self._patience, self._synchronous = patience, synchronous
        self._moved: dict[Hashable, tuple[int, float]] = {}

    def lost(self, error: Lost) -> bool:
        """An actor is not there: whether to call it again.

        Raises:
            Setback: it is restarted, and rounds are taken back.
            PlayerLostError: the policy is to fail, or to skip in rounds, or it has died too often.
        """
        again = self.lost_at_restore(error)
        if again and self._synchronous:
            raise Setback
        return again

    def lost_at_restore(self, error: Lost) -> bool:
        """The same while everybody is taken back already.

        Raises:
            PlayerLostError: see `lost`.
        """
        players = self._players(error.index)
        policy = self._deployment.on_failure
        stuck = policy == "skip" and self._synchronous
        if policy == "fail" or stuck or (policy == "restart" and error.forever):
            often = f" for the last of {self._deployment.restarts + 1} times" if policy == "restart" else ""
            often = ", and rounds wait for everybody (on_failure restart brings it back)" if stuck else often
            raise PlayerLostError(
                f"the process of {named(players)} died{often}; if memory is short, play fewer players or smaller models"
            ) from error.error
        if policy == "skip":
            for player in players:
                self.aside.setdefault(player, None)
            self._crew.handles.pop(error.index, None)
            self.skipped.add(error.index)
            self._tell("aside", actor=error.index, players=[str(p) for p in players], cause="its process died")
            return False
        if error.index not in self.away:
            self.away.add(error.index)
            self._tell("away", actor=error.index, players=[str(p) for p in players], cause=str(error.error))
        return True

    def lost_at_start(self, error: Lost) -> bool:
        """The same while actors are started.

        Raises:
            StartError: it will not be restarted.
        """
        if error.forever or self._deployment.on_failure != "restart":
            reason = str(error.error).strip().splitlines()[-1]
            raise StartError(f"an actor died while starting: {reason}") from error.error
        return True

    def read(self, index: int, report: Report) -> None:
        """Takes in that an actor is there, and whom it has set aside."""
        if index in self.away:
            self.away.remove(index)
            self._tell("back", actor=index, incarnation=report.incarnation)
        for name, failure in report.aside.items():
            if name not in self.aside:
                self.aside[name] = failure
                self._tell("aside", player=str(name), move=failure.move, cause=failure.cause)

    @property
    def causes(self) -> dict[Hashable, str]:
        """Who was set aside, and why."""
        return {p: "its process died" if f is None else str(f.error) for p, f in self.aside.items()}

    def require_somebody(self, present: Sequence[Hashable]) -> None:
        """Raises what is to be told when every player has been set aside: the first failure, or PlayerLostError."""
        if present or not self.aside:
            return
        failure = next((f for f in self.aside.values() if f is not None), None)
        if failure is not None:
            raise failure.error
        raise PlayerLostError("the processes of all players died; if memory is short, play fewer or smaller models")

    def require_progress(self, players: Sequence[Hashable], moves: Mapping[Hashable, int]) -> None:
        """Raises StallError if a player has made no move for longer than patience allows.

        Arguments:
            players: those that should move; for one that was not among them the last time, its patience begins now.
            moves: of each.
        """
        now = perf_counter()
        before, self._moved = self._moved, {}
        for player in players:
            seen = before.get(player)
            self._moved[player] = (moves[player], now) if seen is None or moves[player] > seen[0] else seen
        stuck = [player for player in players if now - self._moved[player][1] > self._patience]
        if stuck:
            self._give_up(stuck)

    def give_up(self, indices: Sequence[Any]) -> NoReturn:
        """Raises StallError in the name of the players of actors."""
        self._give_up([p for p, home in self._layout.homes.items() if home in indices])

    def start_error(self, silent: Sequence[int], wanted: int, limit: float) -> StartError:
        """What to raise when actors did not start in time.

        Arguments:
            silent: their numbers.
            wanted: how many were to start.
            limit: the time that they had, in seconds.
        """
        players = [p for p, home in self._layout.homes.items() if home in silent]
        labels = {tuple(self._layout.labels[k].items()): self._layout.labels[k] for k in silent}
        known = ", ".join(str(found) for found in labels.values() if found)
        where = f" on nodes with labels {known}" if known else ""
        remedy = ", or start nodes with these labels, or change cluster.labels and cluster.nodes" if known else ""
        return StartError(
            f"{len(silent)} of {wanted} actors, of {named(players)}, did not start{where} within {limit:.0f} s; "
            f"play fewer players, or give Ray more CPUs and memory{remedy}"
        )

    def _players(self, index: int) -> list[Hashable]:
        return [p for p, home in self._layout.homes.items() if home == index]

    def _give_up(self, players: Sequence[Hashable]) -> NoReturn:
        raise StallError(
            f"{named(players)} did not move or answer for {self._patience:g} s; "
            "look at its model, or raise play.patience if its moves take longer"
        )
