"""A run on Ray that tells Ray's metrics how it is doing."""

__all__ = ["gauges"]

import time
from collections.abc import Callable

import numpy as np

from ..games import Game, NoClosedFormError, Oracle
from .cluster_metrics import PlayerMetrics
from .record import Record

_EVERY_S = 2.0


def gauges(game: Game, run: str) -> Callable[[Record], None]:
    """A function that is given every record, and sets the gauges of a run to some of them, one in two seconds.

    Arguments:
        game: the game, whose oracle tells the utilities, if there is one.
        run: the name under which the run is found.
    """
    try:
        oracle: Oracle | None = Oracle.of(game)
    except NoClosedFormError:
        oracle = None
    made: list[PlayerMetrics] = []
    last = [float("-inf")]

    def measure(record: Record) -> None:
        if time.monotonic() - last[0] < _EVERY_S:
            return
        last[0] = time.monotonic()
        if not made:  # by then Ray has been started
            made.append(PlayerMetrics(run, game.players))
        means = [view.mean for view in record.players if view.mean is not None]
        known = oracle is not None and len(means) == len(game.players)
        made[0].publish(record, oracle.utilities(np.stack(means)) if oracle is not None and known else None)

    return measure
