"""Rounds of a fleet: all players move at once, each block of them in one pass over the arrays."""

__all__ = ["Rounds"]

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..games import FleetGame
from ..games.fleet_blocks import Blocks, Streams, aligned
from ..games.fleet_laws import edge_noise, law_of

_NOISE = 0


@final
class Rounds:
    """The state of a fleet in rounds: μ, and with broadcast batches the means of what was published last.

    A block of players is done in one pass while it is in the cache: m = D μ̂ + W y, μ ← (1 − η)μ + ηm, and the
    sample means that it publishes for the next round, into an array of their own, since others still read y.

    Arguments:
        game: the game.
        seed: of all random streams.
        dtype: float32 or float64.
        fresh: whether each listener gets a batch of its own.
        blocks: threads.
    """

    def __init__(self, game: FleetGame, seed: int, dtype: Any, blocks: Blocks, *, fresh: bool) -> None:
        self.time = 0
        self.mean = aligned((game.size, game.family.size), dtype)
        self._game, self._blocks, self._dtype = game, blocks, dtype
        self._listening = game.listening.astype(dtype)
        self._anchored = aligned(self.mean.shape, dtype)
        self._law = law_of(game.family, dtype)
        self._streams = Streams(seed, _NOISE)
        self._rngs = self._streams.upto(game.size)
        self._fresh = fresh
        self._edge_noise = edge_noise(game.family, game.listening, game.samples, dtype) if fresh else None
        self._saying, self._said = (aligned(self.mean.shape, dtype) for _ in range(2))
        self._following = self._said if fresh else self.mean
        self._blocks.run(game.size, self._open)
        self._said, self._saying = self._saying, self._said

    def play(self, until: float) -> None:
        """Plays up to round `until`."""
        while self.time < until:
            if self._fresh:
                self._blocks.run(self._game.size, self._move_fresh)
                self.mean, self._following = self._following, self.mean
            else:
                self._blocks.run(self._game.size, self._move)
                self._said, self._saying = self._saying, self._said
            self.time += 1

    @property
    def moves(self) -> NDArray[np.int64]:
        """Moves made: `[N]`."""
        return np.broadcast_to(np.int64(self.time), (self._game.size,))

    @property
    def messages(self) -> int:
        """Messages delivered."""
        return self.time * self._game.edges

    @property
    def accepted(self) -> NDArray[np.int64]:
        """Letters that each player took in: `[N]`."""
        counted: NDArray[np.int64] = np.diff(self._game.listening.indptr).astype(np.int64) * self.time
        return counted

    @property
    def staleness(self) -> float:
        """Mean age of the letters held: all came before the last move."""
        return float(min(self.time, 1))

    def _open(self, number: int, rows: slice) -> None:
        game = self._game
        self.mean[rows] = game.start[rows]
        np.multiply(game.self_weights[rows, None], game.anchors[rows], out=self._anchored[rows], casting="same_kind")
        if not self._fresh:
            self._publish(number, rows)

    def _move(self, number: int, rows: slice) -> None:
        self._step(rows, self._listening[rows] @ self._said, self.mean)
        self._publish(number, rows)

    def _move_fresh(self, number: int, rows: slice) -> None:
        heard = self._listening[rows]
        rng = self._rngs[number]
        if self._edge_noise is not None:
            response = heard @ self.mean
            noise = rng.standard_normal(response.shape, dtype=self._dtype)
            noise *= self._edge_noise[rows]
            response += noise
        else:
            batches = np.empty((heard.nnz, self.mean.shape[1]), self._dtype)
            self._law(self.mean[heard.indices], _of(self._game.samples, heard.indices), rng, batches)
            response = _by_edge(heard) @ batches
        self._following[rows] = self.mean[rows]
        self._step(rows, response, self._following)

    def _step(self, rows: slice, response: NDArray[Any], mean: NDArray[Any]) -> None:
        """μ ← (1 − η)μ + ηm in place, `response` being W y of these rows."""
        response += self._anchored[rows]
        eta = np.asarray(self._game.step(self.time, rows), self._dtype)
        if eta.ndim == 0 and eta == 1:
            mean[rows] = response
            return
        response -= mean[rows]
        response *= eta if eta.ndim == 0 else eta[:, None]
        mean[rows] += response

    def _publish(self, number: int, rows: slice) -> None:
        self._law(self.mean[rows], _of(self._game.samples, rows), self._rngs[number], self._saying[rows])


def _of(samples: int | NDArray[np.int64], rows: Any) -> Any:
    return samples if np.ndim(samples) == 0 else np.asarray(samples)[rows]


def _by_edge(heard: Any) -> Any:
    """The same weights over a column for each edge instead of one for each speaker: `[rows, edges]`."""
    columns = np.arange(heard.nnz, dtype=heard.indices.dtype)
    return type(heard)((heard.data, columns, heard.indptr), shape=(heard.shape[0], heard.nnz))
