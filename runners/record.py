"""One observation of a run and what the oracle says of it: of each player, and of all together."""

__all__ = ["Record", "Totals"]

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .observation import Observation, PlayerView


@dataclass(frozen=True, eq=False)
class Record:
    """One observation and what the oracle says of it; None where the game has no closed form.

    Arguments:
        time: moves per player.
        seconds: since the first publication.
        messages: delivered so far.
        bytes: of their values.
        players: in the order of the graph; none in the trace that the monitor keeps.
        regrets: in nats, `[N]`; NaN for players that are absent.
        errors: root mean square over the statistics of μ_i − μ*_i, `[N]`; NaN for players that are absent.
        amplitude: of the error along the mode whose speed is measured.
        undelivered: messages that never reached their listener.
        totals: figures of all players together, where those of each are no longer held.
        present: who takes part, `[N]`; None for all. Figures of all players together are of these.
        honest: who keeps to the rules, `[N]`; None where all do.
    """

    time: float
    seconds: float
    messages: int
    bytes: int
    players: Sequence[PlayerView]
    regrets: NDArray[np.float64] | None
    errors: NDArray[np.float64] | None
    amplitude: float | None
    undelivered: int = 0
    totals: "Totals | None" = None
    present: NDArray[np.bool_] | None = None
    honest: NDArray[np.bool_] | None = None

    @staticmethod
    def of(
        observed: Observation,
        regrets: NDArray[np.float64] | None,
        errors: NDArray[np.float64] | None,
        amplitude: float | None,
    ) -> "Record":
        """The record of an observation and of what is known of it; arguments as above."""
        return Record(
            observed.time,
            observed.seconds,
            observed.messages,
            observed.bytes,
            observed.players,
            regrets,
            errors,
            amplitude,
            observed.undelivered,
        )

    @property
    def honest_error_rms(self) -> float | None:
        """Root mean square of `errors` over the honest players that take part; None where all are honest."""
        if self.honest is None or self.errors is None:
            return None
        errors = self.errors[self.honest if self.present is None else self.honest & self.present]
        return float(np.sqrt((errors**2).mean())) if len(errors) else None

    @property
    def nash_gap(self) -> float | None:
        """The largest regret."""
        return self.all_players.nash_gap

    @property
    def regret_mean(self) -> float | None:
        """The mean regret."""
        return self.all_players.regret_mean

    @property
    def error_rms(self) -> float | None:
        """Root mean square over the players of `errors`."""
        return self.all_players.error_rms

    @property
    def all_players(self) -> "Totals":
        """Figures of all players together, which outlast those of each."""
        if self.totals is not None:
            return self.totals
        regrets, errors = (
            found if found is None or self.present is None else found[self.present]
            for found in (self.regrets, self.errors)
        )
        return Totals(
            None if regrets is None else float(regrets.max()),
            None if regrets is None else float(regrets.mean()),
            None if errors is None else float(np.sqrt((errors**2).mean())),
        )

    def without_players(self) -> "Record":
        """The same record, with the figures of all players together alone."""
        return replace(self, players=(), regrets=None, errors=None, totals=self.all_players)


@dataclass(frozen=True)
class Totals:
    """Figures of all players together at one moment; None where they do not apply.

    Arguments:
        nash_gap: the largest regret, in nats.
        regret_mean: the mean regret, in nats.
        error_rms: root mean square of μ_i − μ*_i over players and statistics.
    """

    nash_gap: float | None
    regret_mean: float | None
    error_rms: float | None
