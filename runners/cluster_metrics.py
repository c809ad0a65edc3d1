"""A run's figures as Ray metrics, which Ray's dashboard, Prometheus and Grafana show."""

__all__ = ["PlayerMetrics"]

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from ray.util.metrics import Gauge

from .record import Record
from .views import total_moves, total_rejected

_PLAYER = {
    "nashgossip_regret_nats": "What a player gains by its best response, in nats.",
    "nashgossip_utility_nats": "A player's utility up to the mean of its base measure, in nats.",
    "nashgossip_error": "Root mean square over the statistics of a player's distance from equilibrium.",
    "nashgossip_staleness_moves": "Mean age of the letters that a player holds, in its moves.",
    "nashgossip_moves": "Moves that a player has made.",
    "nashgossip_moves_per_second": "Moves of a player per second since the last observation.",
    "nashgossip_accepted": "Messages that a player has accepted.",
    "nashgossip_rejected": "Messages that a player has refused.",
    "nashgossip_bytes": "Bytes of the values that a player has sent.",
}
_RUN = {
    "nashgossip_run_nash_gap_nats": "The largest regret, in nats.",
    "nashgossip_run_error_rms": "Root mean square of the players' distance from equilibrium.",
    "nashgossip_run_time_moves": "Moves per player so far.",
    "nashgossip_run_moves_per_second": "Moves of all players per second since the last observation.",
    "nashgossip_run_messages": "Messages delivered so far.",
    "nashgossip_run_undelivered": "Messages that never reached their listener.",
    "nashgossip_run_rejected": "Messages refused by all players.",
    "nashgossip_run_bytes": "Bytes of the values of all messages.",
}


class PlayerMetrics:
    """Gauges of a run and of its players, tagged `run`, and `player`; Ray must have been started.

    A figure that does not apply, or is not finite, is not set. Ray exports gauges every few seconds, at the Prometheus
    endpoint of the node on which this process runs.

    Arguments:
        run: the name under which the run is found.
        players: their names, in the order of the records.
        most: players with gauges of their own; of a larger game the first so many, since each is a time series.
    """

    def __init__(self, run: str, players: Sequence[Hashable], most: int = 1000) -> None:
        if most < 0:
            raise ValueError(f"most is {most}, expected at least 0 players")
        self._tags = {"run": run}
        self._each = [{"run": run, "player": str(player)} for player in players[:most]]
        self._player = {name: Gauge(name, text, ("run", "player")) for name, text in _PLAYER.items()}
        self._run = {name: Gauge(name, text, ("run",)) for name, text in _RUN.items()}
        self._last: tuple[float, float, list[int]] | None = None

    def publish(self, record: Record, utilities: NDArray[np.float64] | None = None) -> None:
        """Sets all gauges to what a record says.

        Arguments:
            record: the record.
            utilities: of all players, `[N]`, as `Oracle.utilities` gives them; None where there is no closed form.
        """
        views = record.players[: len(self._each)]
        moves, made = [view.moves for view in views], float(total_moves(record.players))
        seconds = math.nan if self._last is None else record.seconds - self._last[0]
        for k, (tags, view) in enumerate(zip(self._each, views, strict=True)):
            before = moves[k] if self._last is None else self._last[2][k]
            figures = {
                "regret_nats": _at(record.regrets, k),
                "utility_nats": _at(utilities, k),
                "error": _at(record.errors, k),
                "staleness_moves": view.staleness,
                "moves": view.moves,
                "moves_per_second": _ratio(moves[k] - before, seconds),
                "accepted": view.letters.get("accepted"),
                "rejected": sum(view.rejected.values()),
                "bytes": view.bytes,
            }
            for name, value in figures.items():
                _set(self._player[f"nashgossip_{name}"], value, tags)
        totals = {
            "nash_gap_nats": record.nash_gap,
            "error_rms": record.error_rms,
            "time_moves": record.time,
            "moves_per_second": None if self._last is None else _ratio(made - self._last[1], seconds),
            "messages": record.messages,
            "undelivered": record.undelivered,
            "rejected": total_rejected(record.players),
            "bytes": record.bytes,
        }
        for name, value in totals.items():
            _set(self._run[f"nashgossip_run_{name}"], value, self._tags)
        self._last = (record.seconds, made, moves)


def _at(figures: NDArray[np.float64] | None, number: int) -> float | None:
    return None if figures is None else float(figures[number])


def _ratio(count: float, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def _set(gauge: Gauge, value: float | None, tags: dict[str, str]) -> None:
    if value is not None and math.isfinite(value):
        gauge.set(float(value), tags)
