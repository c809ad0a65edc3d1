"""Poisson clocks of a fleet: moves in batches of which none depends on another, so that nothing is approximated."""

__all__ = ["Clocks"]

from collections import deque
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse as sp

from ..games import FleetGame, FleetSchedule
from ..games.fleet_blocks import Blocks, Streams, aligned
from ..games.fleet_laws import law_of
from .fleet_letters import Deliveries, Ints, Listeners, Slots, gather

_NOISE, _EVENTS = 1, 2
_SLICE = 0.25
_ROUNDING = 1e-6


@final
class Clocks:
    """The state of a fleet on Poisson clocks of rate 1, one for each player.

    Time is cut into slices. All ticks of a slice are drawn at once, N·h of them on average, with their moments. A
    move depends on earlier ones of the slice: of the player itself, and of neighbours whose letters it reads. Its level
    is one above the highest of these; the moves of a level are made together, and a sparse product does their
    reading. The slice is thus no step size: any length plays the same asynchronous game. A constant delay is a whole
    number of slices, and what was published that many slices ago waits in a ring.

    Arguments:
        game: the game.
        seed: of all random streams.
        dtype: float32 or float64.
        schedule: delay, loss, fan-out, batches.
        blocks: threads.
    """

    def __init__(self, game: FleetGame, seed: int, dtype: Any, blocks: Blocks, schedule: FleetSchedule) -> None:
        self._game, self._dtype, self._blocks, self._schedule = game, dtype, blocks, schedule
        self._lag = int(np.ceil(schedule.delay / _SLICE))
        self._length = schedule.delay / self._lag if self._lag else _SLICE
        self._number = 0
        self.messages = 0
        self.moves = np.zeros(game.size, np.int64)
        self._steps = np.zeros(game.size, np.int64)
        self.mean = aligned((game.size, game.family.size), dtype)
        self.mean[...] = game.start
        w = game.listening
        self._weights, self._speakers, self._in = w.data.astype(dtype), w.indices, w.indptr.astype(np.int64)
        self._law = law_of(game.family, dtype)
        self._streams = Streams(seed, _NOISE)
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_EVENTS,)))
        by_edge = bool(schedule.fresh or schedule.loss or schedule.fan_out is not None)
        self._listeners = Listeners(w.indices, game.size) if by_edge else None
        self._heard_by = np.bincount(w.indices, minlength=game.size)
        channels = game.edges if by_edge else game.size
        self._slots = Slots(channels)
        self._held = aligned((channels, game.family.size), dtype)
        self._held[...] = 0
        self._heard = np.zeros(channels, bool)
        self._taken = np.zeros(channels, np.int64)
        self._ring: deque[Deliveries] = deque()
        everyone = np.arange(game.size)
        self._opening: Deliveries | None = self._deliveries(everyone, np.zeros(game.size))
        self._publish(self._opening, everyone, everyone, self.mean)

    @property
    def time(self) -> float:
        """Units of the clocks' time so far: moves per player, on average."""
        return self._number * self._length

    @property
    def accepted(self) -> Ints:
        """Letters that each player took in: `[N]`."""
        taken = self._taken[self._speakers] if self._listeners is None else self._taken
        sums = np.concatenate([[0], np.cumsum(taken)])
        counted: Ints = sums[self._in[1:]] - sums[self._in[:-1]]
        return counted

    @property
    def staleness(self) -> float:
        """Not followed."""
        return float("nan")

    def play(self, until: float) -> None:
        """Plays slices up to the first that ends at `until` or later."""
        while self.time < until - _ROUNDING:
            self._play_slice()

    def _play_slice(self) -> None:
        if self._opening is not None and self._number >= self._lag:
            self._commit(self._opening)
            self._opening = None
        count = int(self._rng.poisson(self._length * self._game.size))
        moment = np.sort(self._rng.random(count)) * self._length
        player = self._rng.integers(0, self._game.size, size=count)
        made = self._deliveries(player, moment)
        self._ring.append(made)
        arriving = self._ring.popleft() if len(self._ring) > self._lag else None
        self._move(player, moment, made, arriving)
        if arriving is not None:
            self._commit(arriving)
        self.moves += np.bincount(player, minlength=self._game.size)
        self._number += 1

    def _move(self, player: Ints, moment: NDArray[np.float64], made: Deliveries, arriving: Deliveries | None) -> None:
        """Makes all moves of a slice, level by level."""
        edges, ends = gather(self._in, player)
        channel = self._speakers[edges].astype(np.int64) if self._listeners is None else edges
        found = np.full(len(edges), -1, np.int64)
        if arriving is not None:
            found = self._slots.newest(arriving, channel, np.repeat(moment, np.diff(ends)))
        level = _levels(player, found, ends, made if arriving is made else None)
        order = np.argsort(level, kind="stable")
        bounds = np.searchsorted(level[order], np.arange(level.max(initial=-1) + 2))
        own = self._game.self_weights[player].astype(self._dtype)
        weights = self._weights[edges]
        total = None
        if not self._heard.all():
            weights = np.where((found >= 0) | self._heard[channel], weights, 0)
            sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
            total = own + sums[ends[1:]] - sums[ends[:-1]]
        for low, high in pairwise(bounds):
            events = order[low:high]
            picked, starts = gather(ends, events)
            mean = self._read(weights[picked], channel[picked], found[picked], starts, arriving)
            self._step(player[events], mean, own[events], None if total is None else total[events])
            self._publish(made, events, player[events], mean)

    def _read(
        self, weights: NDArray[Any], channel: Ints, found: Ints, starts: Ints, arriving: Deliveries | None
    ) -> NDArray[Any]:
        """Σ_j w_ij of the letters read, those held before the slice and those of the slice: `[events, d]`."""
        new = found >= 0
        held = _matrix(np.where(new, 0, weights), channel, starts, len(self._held))
        fresh = None
        if arriving is not None and new.any():
            pointers = np.concatenate([[0], np.cumsum(new)])[starts]
            fresh = _matrix(weights[new], arriving.row[found[new]], pointers, len(arriving.values))
        out = aligned((len(starts) - 1, self.mean.shape[1]), self._dtype)

        def read(_: int, rows: slice) -> None:
            out[rows] = held[rows] @ self._held
            if fresh is not None and arriving is not None:
                out[rows] += fresh[rows] @ arriving.values

        self._blocks.run(len(out), read)
        return out

    def _step(self, players: Ints, mean: NDArray[Any], own: NDArray[Any], total: NDArray[Any] | None) -> None:
        """μ ← (1 − η)μ + ηm of players that are all different; `mean` holds W y and becomes the new μ.

        Where a neighbour was not heard yet, `total` is below 1 and its weight goes to the others.
        """
        game = self._game

        def step(_: int, rows: slice) -> None:
            who, response = players[rows], mean[rows]
            response += own[rows, None] * game.anchors[who].astype(self._dtype, copy=False)
            eta = np.asarray(game.step(self._steps[who], who), self._dtype)
            if total is not None:
                some = total[rows] > 0
                response /= np.where(some, total[rows], 1).astype(self._dtype)[:, None]
                eta = np.where(some, eta, 0).astype(self._dtype)
            if eta.ndim or eta != 1:
                before = self.mean[who]
                response -= before
                response *= eta[:, None] if eta.ndim else eta
                response += before
            self.mean[who] = response

        self._blocks.run(len(players), step)
        self._steps[players] += 1 if total is None else total > 0

    def _deliveries(self, player: Ints, moment: NDArray[np.float64]) -> Deliveries:
        """What moves of these players will publish, and which of it gets through; the values are drawn later."""
        event = np.arange(len(player))
        channel, schedule = player, self._schedule
        if self._listeners is not None:
            channel, event = self._listeners.chosen(player, schedule.fan_out, self._rng)
            if schedule.loss:
                kept = self._rng.random(len(event)) >= schedule.loss
                channel, event = channel[kept], event[kept]
        row = np.arange(len(event)) if schedule.fresh else event
        values = aligned((len(event) if schedule.fresh else len(player), self.mean.shape[1]), self._dtype)
        return Deliveries(channel, moment[event], event, row, values)

    def _publish(self, made: Deliveries, events: Ints, players: Ints, mean: NDArray[Any]) -> None:
        """Draws what these events publish; `mean` `[events, d]` is their players' μ."""
        where, source = events, np.arange(len(events))
        if self._schedule.fresh:
            low, high = (np.searchsorted(made.event, events, side=side) for side in ("left", "right"))
            source = np.repeat(source, high - low)
            ends = np.cumsum(high - low)
            where = np.arange(len(source)) + np.repeat(low - ends + high - low, high - low)
        rngs = self._streams.upto(len(where))
        samples = self._game.samples

        def draw(number: int, rows: slice) -> None:
            part = np.empty((rows.stop - rows.start, mean.shape[1]), self._dtype)
            chosen = source[rows]
            n = samples if np.ndim(samples) == 0 else np.asarray(samples)[players[chosen]]
            self._law(mean[chosen], n, rngs[number], part)
            made.values[where[rows]] = part

        self._blocks.run(len(where), draw)

    def _commit(self, arriving: Deliveries) -> None:
        """The newest arrival on each channel is held from now on."""
        channel, counts, newest = arriving.newest_of_all()
        self._held[channel] = arriving.values[arriving.row[newest]]
        self._heard[channel] = True
        self._taken[channel] += counts
        self.messages += int((counts * self._heard_by[channel]).sum() if self._listeners is None else counts.sum())


def _levels(player: Ints, found: Ints, ends: Ints, made: Deliveries | None) -> Ints:
    """When each move of a slice can be made: after the player's last one, and after those whose letters it reads.

    Arguments:
        player: `[M]`, who moves.
        found: `[R]`, the delivery of this slice that each reading takes; −1 for none.
        ends: `[M + 1]`, where the readings of each move begin and end.
        made: the deliveries of this slice; None where those read are of an earlier one.
    """
    order = np.argsort(player, kind="stable")
    again = np.flatnonzero(player[order[1:]] == player[order[:-1]])
    later, earlier = order[again + 1], order[again]
    reading = np.flatnonzero(found >= 0) if made is not None else np.zeros(0, np.int64)
    reader = np.searchsorted(ends, reading, side="right") - 1
    source = made.event[found[reading]] if made is not None else reading
    starts = np.flatnonzero(np.diff(reader, prepend=-1))
    level = np.zeros(len(player), np.int64)
    while True:
        risen = level.copy()
        risen[later] = level[earlier] + 1
        if len(starts):
            who = reader[starts]
            risen[who] = np.maximum(risen[who], np.maximum.reduceat(level[source], starts) + 1)
        if (risen == level).all():
            return level
        level = risen


def _matrix(data: NDArray[Any], columns: Ints, pointers: Ints, width: int) -> Any:
    index = np.int32 if max(len(data), width) < 2**31 else np.int64
    parts = (data, columns.astype(index), pointers.astype(index))
    return sp.csr_array(parts, shape=(len(pointers) - 1, width))
