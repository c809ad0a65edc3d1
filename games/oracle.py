"""The closed-form equilibrium of a game of exponential families, and how far a state is from it."""

__all__ = ["NoClosedFormError", "Oracle", "dual_residual", "equilibrium", "nash_conv", "nash_gap", "regrets"]

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..topology import UnanchoredError, listening_matrix, self_weights, solve_listening, validate
from .family import Array, ExponentialFamily
from .game import Game

_DENSE = 2000


class NoClosedFormError(ValueError):
    """The game has players without an exponential family, of different ones, or not reached by any real data.

    Not `GameError`: such a game can be played, only its figures that need the closed form are null.
    """


@dataclass(frozen=True, eq=False)
class Oracle:
    """What theory says of one game. Built once, asked often.

    Arguments:
        family: the family that all players share.
        listening: W, `[N, N]`, dense or sparse; row i is the listener.
        self_weights: α_ii, `[N]`.
        anchors: μ̂, smoothed mean statistics of the private data, `[N, d]`.
        start: μ before the first move, `[N, d]`.
    """

    family: ExponentialFamily
    listening: Any
    self_weights: Array
    anchors: Array
    start: Array

    @staticmethod
    def of(game: Game) -> "Oracle":
        """The oracle of a game.

        Raises:
            NoClosedFormError: players without a family, with different ones, or not reached by any real data.
        """
        if not game.anchored:
            try:
                validate(game.graph)
            except UnanchoredError as error:
                raise NoClosedFormError(f"there is no unique equilibrium: {error}") from None
        specs = [game.specs[p] for p in game.players]
        families = [s.family for s in specs if s.family is not None and s.model is None]
        if len(families) < len(specs):
            raise NoClosedFormError("a player is not an exponential family: the equilibrium has no closed form")
        first = families[0]
        if not all(first.same_as(family) for family in families):
            raise NoClosedFormError("players have different families: the equilibrium has no closed form")
        anchors = np.stack([s.anchor() for s in specs])
        from_data = np.array([s.start == "data" for s in specs])
        start = np.where(from_data[:, None], anchors, first.reference)
        small = len(specs) <= _DENSE
        listening: Any = listening_matrix(game.graph) if small else listening_matrix(game.graph, sparse=True)
        return Oracle(first, listening, self_weights(game.graph), anchors, start)

    @cached_property
    def equilibrium(self) -> Array:
        """μ* = (I − W)⁻¹ D μ̂: `[N, d]`."""
        anchored = self.self_weights[:, None] * self.anchors
        if isinstance(self.listening, np.ndarray):
            return np.asarray(np.linalg.solve(np.eye(len(anchored)) - self.listening, anchored), np.float64)
        return solve_listening(self.listening, anchored)

    def best_response(self, mu: Array) -> Array:
        """m_i = α_ii μ̂_i + Σ_j α_ij μ_j: `[N, d]`."""
        response: Array = self.self_weights[:, None] * self.anchors + self.listening @ mu
        return response

    def regrets(self, mu: Array) -> Array:
        """max_θ L_i − L_i(θ_i) = KL(p_{m_i} ‖ p_{μ_i}): `[N]`, ≥ 0 (rounding below 0 is cut off)."""
        return np.maximum(self.family.kl(self.best_response(mu), mu), 0.0)

    def utilities(self, mu: Array) -> Array:
        """U_i = ⟨θ_i, m_i⟩ − A(θ_i) with θ_i = θ(μ_i), in nats: `[N]`.

        Player i's expected log-likelihood of the rows that it answers, Σ_j α_ij E_j log p_i(x), up to the mean of
        log h(x), the family's base measure, over those rows, which i cannot change. What i would win by its best
        response is its regret: U_i = A*(m_i) − KL(p_{m_i} ‖ p_{μ_i}). It is computed from the reference member r, as
        U(r) + KL(p_{m_i} ‖ p_r) − KL(p_{m_i} ‖ p_{μ_i}), since θ is infinite on the boundary. It is −∞ where i
        excludes rows that it answers, and not a number where m_i leaves no randomness to compare.
        """
        family, response = self.family, self.best_response(mu)
        theta = family.natural(family.reference)
        with np.errstate(invalid="ignore"):
            gained = family.kl(response, family.reference) - family.kl(response, mu)
        return np.asarray(response @ theta - family.log_partition(theta) + gained, np.float64)

    def errors(self, mu: Array) -> Array:
        """Root mean square over the statistics of μ_i − μ*_i: `[N]`."""
        errors: Array = np.sqrt(((mu - self.equilibrium) ** 2).mean(axis=-1))
        return errors


def equilibrium(game: Game) -> Array:
    """Mean parameters at the unique Nash equilibrium, μ* = (I − W)⁻¹ D μ̂: `[N, d]`.

    Source: Schlesinger & Flach, *Game-theoretic distributed learning of generative models*, 2025, for the game.

    Raises:
        NoClosedFormError: see there.
    """
    return Oracle.of(game).equilibrium


def regrets(game: Game, state: Array) -> Array:
    """Regret of each player at mean parameters `state` `[N, d]`, in nats: `[N]`."""
    return Oracle.of(game).regrets(_checked(game, state))


def nash_gap(game: Game, state: Array) -> float:
    """The largest regret at mean parameters `state` `[N, d]`, in nats; 0 exactly at equilibrium."""
    return float(regrets(game, state).max())


def nash_conv(game: Game, state: Array) -> float:
    """The sum of regrets at mean parameters `state` `[N, d]`, in nats (OpenSpiel's NashConv)."""
    return float(regrets(game, state).sum())


def dual_residual(game: Game, state: Array) -> float:
    """How far `state` `[N, d]` is from solving each player's dual problem; 0 at equilibrium.

    At equilibrium p_i* maximises entropy relative to h subject to E φ = m_i, and its natural parameters are the
    multipliers: m_i = ∇A(θ_i), and the duality gap A*(m_i) + A(θ_i) − ⟨θ_i, m_i⟩ is 0. The larger of the two
    violations, over all players, is returned.

    Raises:
        BoundaryError: a state without finite natural parameters.
    """
    oracle = Oracle.of(game)
    family, state = oracle.family, _checked(game, state)
    theta = family.natural(family.require_interior(state))
    response = oracle.best_response(state)
    gradient = np.abs(family.mean(theta) - response).max()
    gap = family.conjugate(response) + family.log_partition(theta) - (theta * response).sum(axis=-1)
    return float(max(gradient, np.abs(gap).max()))


def _checked(game: Game, state: Array) -> Array:
    family = game.specs[game.players[0]].family
    expected = (len(game.players), family.size if family else 0)
    state = np.asarray(state, np.float64)
    if state.shape != expected:
        raise ValueError(f"state has shape {state.shape}, expected mean parameters {expected} (players, statistics)")
    return state
