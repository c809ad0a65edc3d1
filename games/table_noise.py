"""The noise of messages in games of tables: the exact map made linear, and what it makes of a message of n rows."""

__all__ = ["Linearised", "TableForecast", "forecast_tables", "total_variation_law"]

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .cells import TableSizeError
from .family import Array
from .game import Game
from .gossip import Gossip
from .oracle import NoClosedFormError
from .tables import TableGame

_MOST = 1500
_DRAWS = 10_000
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class TableForecast:
    """What synchronous play has come to after some rounds, to first order in the noise.

    Arguments:
        tables: p̄ of each player, those of play without noise, `[cells]`.
        covariances: Cov(p − p̄) of each player, `[cells, cells]`.
    """

    tables: tuple[Array, ...]
    covariances: tuple[Array, ...]

    def total_variation(self, player: int, reference: Array) -> tuple[float, float]:
        """Expected total variation between a player's table and `reference`, and its standard error over runs."""
        return total_variation_law(self.tables[player] - reference, self.covariances[player])


def forecast_tables(game: Game | TableGame, rounds: int) -> TableForecast:
    """Runs the exact map beside its linearisation, from the first publication through `rounds` rounds.

    A message of n rows is p_j + ε_j with Cov ε_j = (diag(p_j) − p_j p_jᵀ)/n, the same for all who hear it. With
    A = (1 − η)I + η ∂F/∂p and M = ∂F/∂(messages) along play without noise, Σ ← A Σ Aᵀ + η M V Mᵀ η. No state of rest
    is presumed: it also holds on the way there, for steps that decrease, and where there is more than one equilibrium.

    Raises:
        NoClosedFormError: a player is no table, or one that does not tell everybody at every move.
        TableSizeError: more than 1,500 cells in all.
    """
    if isinstance(game, Game):
        for player, spec in game.specs.items():
            if spec.gossip != Gossip():
                raise NoClosedFormError(
                    f"player {player} has gossip {spec.gossip}, expected one that tells everybody at every move"
                )
    played = game if isinstance(game, TableGame) else TableGame.of(game)
    _require_small(played)
    known, taken = list(played.knows), [0] * len(played.players)
    for i, opening in enumerate(played.openings):
        if not known[i] and opening:
            known[i], taken[i] = True, 1
    sizes = [c.count for c in played.cells]
    covariance = np.zeros((sum(sizes), sum(sizes)))
    path = list(islice(played.rounds(), rounds + 1))
    for tables in path[:-1]:
        heard, eta = list(known), []
        for i, sources in enumerate(played.sources):
            there = any(s.sender is None or heard[s.sender] for s in sources)
            eta.append(played.steps[i].at(taken[i]) if there else 0.0)
            taken[i] += there
            known[i] = known[i] or there
        own, told = _derivatives(played, tables, heard)
        step, drive = _linear(own, told, np.repeat(eta, sizes), _message_noise(played, tables))
        covariance = step @ covariance @ step.T + drive
    return TableForecast(tuple(path[-1]), tuple(_blocks(covariance, sizes)))


def total_variation_law(shift: Array, covariance: Array) -> tuple[float, float]:
    """Mean and standard deviation of ½ Σ_c |δ_c| for δ ~ N(shift, covariance), `[cells]` and `[cells, cells]`.

    The mean is exact, E|δ_c| = σ √(2/π) exp(−s²/2σ²) + s (1 − 2Φ(−s/σ)) for each cell; the deviation comes from 10,000
    draws, always the same.

    Source: Leone, Nelson & Nottingham, *The folded normal distribution*, 1961.

    >>> mean, error = total_variation_law(np.zeros(2), np.array([[0.01, -0.01], [-0.01, 0.01]]))
    >>> round(mean, 4), round(error, 3)
    (0.0798, 0.06)
    """
    from scipy.special import ndtr

    sigma = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    ratio = np.divide(shift, sigma, out=np.zeros_like(sigma), where=sigma > 0)
    folded = sigma * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + shift * (1 - 2 * ndtr(-ratio))
    mean = np.where(sigma > 0, folded, np.abs(shift)).sum() / 2
    values, vectors = np.linalg.eigh(covariance)
    normal = np.random.default_rng(0).standard_normal((_DRAWS, len(sigma)))
    drawn = shift + normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return float(mean), float((np.abs(drawn).sum(axis=1) / 2).std())


@dataclass(frozen=True, eq=False)
class Linearised:
    """A step of synchronous play near given tables, in the cells that they do not exclude; D of them in all.

    Arguments:
        step: A, `[D, D]`.
        drive: covariance of the noise that a step adds, `[D, D]`.
        owner: player of each cell, `[D]`.
        possible: which of all cells these are.
    """

    step: Array
    drive: Array
    owner: NDArray[np.intp]
    possible: NDArray[np.bool_]

    @staticmethod
    def of(game: TableGame, tables: Sequence[Array]) -> "Linearised":
        """With steps of `size`, everybody heard by everybody who listens.

        Raises:
            TableSizeError: more than 1,500 cells in all.
        """
        _require_small(game)
        sizes = [c.count for c in game.cells]
        eta = np.repeat([s.size for s in game.steps], sizes)
        own, told = _derivatives(game, tables, [True] * len(sizes))
        step, drive = _linear(own, told, eta, _message_noise(game, tables))
        possible = np.concatenate(tables) > 0  # no noise leads to cells that no source and no completion has
        step, drive = (m[np.ix_(possible, possible)] for m in (step, drive))
        return Linearised(step, drive, np.repeat(np.arange(len(sizes)), sizes)[possible], possible)

    @property
    def tangent(self) -> Array:
        """A on the directions that keep the sum of every table, 0 across them: `[D, D]`."""
        same = self.owner[:, None] == self.owner
        return np.asarray(self.step - self.step @ (same / same.sum(axis=1)))

    def stationary(self) -> Array:
        """Σ = A Σ Aᵀ + drive: `[D, D]`. There is one only if the spectral radius of A is below 1."""
        from scipy.linalg import solve_discrete_lyapunov

        return np.asarray(solve_discrete_lyapunov(self.step, self.drive), np.float64)


def _derivatives(game: TableGame, tables: Sequence[Array], heard: Sequence[bool]) -> tuple[Array, Array]:
    """∂F/∂p through the own conditionals, and through the messages: `[D, D]` each, D all cells of all players."""
    sizes = [c.count for c in game.cells]
    ends = np.cumsum(sizes)
    place = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    own, told = np.zeros((2, ends[-1], ends[-1]))
    for i, sources in enumerate(game.sources):
        there = [s for s in sources if s.sender is None or heard[s.sender]]
        total = sum(s.weight for s in there)
        for s in there:
            seen = s.seen(tables)
            mass = np.bincount(s.index, weights=tables[i], minlength=len(seen))
            known = mass >= _TINY
            safe = np.where(known, mass, 1.0)
            even = len(seen) / len(tables[i])
            conditional = np.where(known[s.index], tables[i] / safe[s.index], even)
            weight = s.weight / total
            if len(seen) < len(tables[i]):
                ratio = np.where(known, seen / safe, 0.0)[s.index]
                within = s.index[:, None] == s.index
                own[place[i], place[i]] += weight * (np.diag(ratio) - within * (conditional * ratio)[:, None])
            if s.sender is not None and s.theirs is not None:
                carried = s.index[:, None] == s.theirs
                told[place[i], place[s.sender]] += weight * carried * conditional[:, None]
    return own, told


def _message_noise(game: TableGame, tables: Sequence[Array]) -> Array:
    """V, the covariance of what messages hold: (diag(p) − p pᵀ)/n of each player, `[D, D]`."""
    from scipy.linalg import block_diag

    return np.asarray(
        block_diag(*((np.diag(p) - np.outer(p, p)) / n for p, n in zip(tables, game.samples, strict=True)))
    )


def _linear(own: Array, told: Array, eta: Array, noise: Array) -> tuple[Array, Array]:
    """A = (1 − η)I + η ∂F/∂p, and what new noise adds to the covariance."""
    step = np.diag(1 - eta) + eta[:, None] * (own + told)
    heard = eta[:, None] * told
    return step, heard @ noise @ heard.T


def _blocks(covariance: Array, sizes: Sequence[int]) -> list[Array]:
    ends = np.cumsum(sizes)
    return [covariance[end - size : end, end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _require_small(game: TableGame) -> None:
    count = sum(c.count for c in game.cells)
    if count > _MOST:
        raise TableSizeError(
            f"the tables of the game have {count} cells together, expected at most {_MOST} for a forecast of their "
            "noise; compare independent runs instead"
        )
