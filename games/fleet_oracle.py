"""The equilibrium of a game of arrays by fixed-point iteration, and regret and error of a state, block by block."""

__all__ = ["FleetOracle"]

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..topology import solve_listening
from .family import Array, ExponentialFamily
from .fleet_blocks import BLOCK, Blocks, aligned
from .fleet_game import FleetGame

_TOLERANCE = 1e-8
_SLOW = 0.97


@dataclass(frozen=True, eq=False)
class FleetOracle:
    """What theory says of a game of arrays; answers as `Oracle` does, without matrices of N² entries.

    Arguments:
        game: the game.
        threads: see `Blocks`; no figure depends on it.
    """

    game: FleetGame
    threads: int | None = None

    @property
    def family(self) -> ExponentialFamily:
        """The family that all players share."""
        return self.game.family

    @property
    def start(self) -> NDArray[Any]:
        """μ before the first move, `[N, d]`."""
        return self.game.start

    @cached_property
    def equilibrium(self) -> Array:
        """μ* = (I − W)⁻¹ D μ̂: `[N, d]`, each entry to 1e-8 of the largest entry of Dμ̂.

        X ← X + R with the residual R = Dμ̂ + WX − X, and 1δᵀ added so that the next residual sums to 0, which takes out
        the slowest mode of uniform α_ii (a coarse correction as in multigrid). With r < 1 the largest row sum of W,
        ‖X + R − μ*‖ ≤ r/(1 − r) ‖R‖ in the largest entry, which ends the iteration. Where r is above 0.97, because
        some players have little data of their own, `topology.linear.solve` takes over.
        """
        game = self.game
        w, anchored = game.listening.astype(np.float64), game.self_weights[:, None] * game.anchors
        heard, hearing = (np.asarray(w.sum(axis=axis)).reshape(-1) for axis in (1, 0))
        ratio = float(heard.max())
        if ratio > _SLOW:
            return solve_listening(w, anchored)
        target = _TOLERANCE * (1 - ratio) * max(float(np.abs(anchored).max()), 1e-300)
        parts = [w[low : low + BLOCK] for low in range(0, game.size, BLOCK)]
        x, following = (aligned(anchored.shape, np.float64) for _ in range(2))
        x[...] = anchored
        shift = np.zeros(game.family.size)
        largest, summed = np.zeros(len(parts)), np.zeros((len(parts), game.family.size))
        before = np.inf

        def sweep(number: int, rows: slice) -> None:
            residual = parts[number] @ x
            residual += (heard[rows, None] - 1) * shift
            residual += anchored[rows]
            residual -= x[rows]
            largest[number] = max(residual.max(), -residual.min())
            summed[number] = hearing[rows] @ residual
            residual += x[rows]
            residual += shift
            following[rows] = residual

        with Blocks(self.threads) as blocks:
            while True:
                blocks.run(game.size, sweep)
                x, following = following, x
                now = float(largest.max())
                if now * ratio <= target:
                    return x
                # never slower than plain iteration: where the correction does not help, it is left out
                shift = summed.sum(axis=0) / (game.size - heard.sum()) if now <= ratio * before else shift * 0
                before = now

    def regrets(self, mu: NDArray[Any]) -> Array:
        """KL(p_{m_i} ‖ p_{μ_i}) with m_i = α_ii μ̂_i + Σ_j α_ij μ_j: `[N]`, in nats, rounding below 0 cut off."""
        game = self.game
        w = game.listening

        def regret(rows: slice) -> Array:
            own = game.self_weights[rows, None] * game.anchors[rows]
            return np.maximum(self.family.kl(own + np.asarray(w[rows] @ mu, np.float64), _wide(mu[rows])), 0.0)

        return self._each(regret)

    def errors(self, mu: NDArray[Any]) -> Array:
        """Root mean square over the statistics of μ_i − μ*_i: `[N]`."""
        target = self.equilibrium
        return self._each(lambda rows: np.sqrt(((mu[rows] - target[rows]) ** 2).mean(axis=-1)))

    def variances(self) -> Array:
        """V/n of a message of each player, averaged over the statistics, at the equilibrium: `[N]`."""
        target = self.equilibrium
        return self._each(lambda rows: self.family.variance(target[rows]).mean(axis=-1)) / self.game.samples

    def _each(self, figure: Callable[[slice], Array]) -> Array:
        found = np.empty(self.game.size)
        with Blocks(self.threads) as blocks:
            blocks.run(self.game.size, lambda _, rows: found.__setitem__(rows, figure(rows)))
        return found


def _wide(mu: NDArray[Any]) -> Array:
    return np.asarray(mu, np.float64)
