"""What listeners with a defence learned from, remembered in bounded memory."""

__all__ = ["SharesTrace"]

from collections import deque
from collections.abc import Hashable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from .observation import PlayerView

_NUMBERS_KEPT = 200_000


@final
class SharesTrace:
    """The shares of the newest records, as many as 200,000 numbers hold; nothing where nobody has a defence.

    Arguments:
        players: in the order of records.
    """

    def __init__(self, players: Sequence[Hashable]) -> None:
        self._players = players
        self._kept: deque[tuple[float, dict[tuple[int, Hashable], float]]] = deque()
        self._numbers = 0

    def add(self, time: float, views: Sequence[PlayerView]) -> None:
        """Remembers what one record shows."""
        if not isinstance(views, list):  # arrays of a fleet, which has no defences
            return
        found = {(i, j): share for i, v in enumerate(views) for j, share in (v.shares or {}).items()}
        if not found:
            return
        self._kept.append((time, found))
        self._numbers += len(found)
        while self._numbers > _NUMBERS_KEPT and len(self._kept) > 1:
            self._numbers -= len(self._kept.popleft()[1])

    def mean(self, since: float, listening: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The mean row of α that each listener learned from since a time: `[N, N]`; None if nobody has a defence.

        Arguments:
            since: records before it are left out.
            listening: `[N, N]`, the rows of those without a defence, α_ii on the diagonal.
        """
        kept = [found for time, found in self._kept if time >= since]
        if not kept:
            return None
        place = {player: k for k, player in enumerate(self._players)}
        mean = np.array(listening, np.float64)
        mean[sorted({i for found in kept for i, _ in found})] = 0.0
        for found in kept:
            for (i, sender), share in found.items():
                mean[i, place[sender]] += share / len(kept)
        for i in sorted({i for found in kept for i, _ in found}):
            mean[i, i] = 1.0 - mean[i].sum()
        return mean
