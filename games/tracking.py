"""Equilibria of a game on a changing graph, and how far play is from the one in force."""

__all__ = ["Tracking", "equilibria", "predict_tracking", "tracking_error"]

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..topology import GraphSequence, listening_matrix, self_weights, time_average
from .family import Array
from .game import Game
from .gossip import Gossip
from .oracle import NoClosedFormError, Oracle
from .specs import GameError

_DENSE = 1000


@dataclass(frozen=True, eq=False)
class Tracking:
    """What theory says of synchronous play on a changing graph, before the first round and after each.

    Arguments:
        times: `[R + 1]`, 0, 1, …, R.
        means: `[R + 1, N, d]`, expected mean parameters: play with infinitely many samples a message.
        errors: `[R + 1]`, root mean square of `means` minus the equilibrium in force, over the players present and
            statistics.
        rms: `[R + 1]`, the same of play with the game's samples a message, in expectation over its noise; None for more
            than 1000 players.
    """

    times: Array
    means: Array
    errors: Array
    rms: Array | None


def equilibria(game: Game, sequence: GraphSequence) -> Array:
    """The Nash equilibrium of each graph of a sequence, played with the data of `game`: `[K, N, d]`.

    μ*_k = (I − W_k)⁻¹ D_k μ̂. The graph of `game` itself plays no part. A player that is absent has its own data's mean
    statistics there; what is measured over players leaves it out.

    Raises:
        GameError: other players than the game's, or in another order; or a graph that does not suit their data, see
            `Game`.
        NoClosedFormError: see there.
    """
    return np.stack([oracle.equilibrium for oracle in _oracles(game, sequence)])


def tracking_error(times: ArrayLike, means: ArrayLike, sequence: GraphSequence, targets: ArrayLike) -> Array:
    """Root mean square distance of a trajectory to the equilibrium in force at each time: `[T]`.

    √(mean over i and statistics of (μ_i(t) − μ*_{k(t),i})²), k(t) the graph in force at t; at the very time of a change
    that is the new one. The mean is over the players that are present then.

    Arguments:
        times: `[T]`, not negative, not decreasing.
        means: `[T, N, d]`, mean parameters of the players at these times; those of the absent may be NaN.
        sequence: the graphs played on.
        targets: `[K, N, d]`, from `equilibria`.

    Raises:
        ValueError: times or means out of range or not numbers, or shapes that do not fit together.
    """
    t, mu, stars = (np.asarray(a, np.float64) for a in (times, means, targets))
    if t.ndim != 1 or not (np.isfinite(t).all() and (t >= 0).all() and (np.diff(t) >= 0).all()):
        raise ValueError(
            "times are not a list of finite numbers >= 0 that do not decrease; sort the trajectory by time"
        )
    n, k = len(sequence.players), len(sequence)
    if stars.ndim != 3 or stars.shape[:2] != (k, n):
        raise ValueError(f"targets have shape {stars.shape}, expected ({k}, {n}, d); call equilibria(game, sequence)")
    if mu.shape != (len(t), *stars.shape[1:]):
        raise ValueError(
            f"means have shape {mu.shape}, expected {(len(t), *stars.shape[1:])} (times, players, statistics)"
        )
    piece = np.searchsorted(np.array(sequence.times), t, side="right") - 1
    present = _present(sequence)[piece]
    missing = np.flatnonzero((np.isnan(mu).any(axis=2) & present).any(axis=1))
    if len(missing):
        raise ValueError(f"means at time {t[missing[0]]:g} are NaN, expected mean parameters; leave such times out")
    squares = np.where(present, ((mu - stars[piece]) ** 2).mean(axis=2), 0.0)
    errors: Array = np.sqrt(squares.sum(axis=1) / present.sum(axis=1))
    return errors


def predict_tracking(game: Game, sequence: GraphSequence, rounds: int) -> Tracking:
    """How synchronous play follows the equilibrium of a changing graph.

    Round r + 1 lasts from time r to time r + 1 and is played on the graph k in force at r:
    μ ← (1 − η_r) μ + η_r (D_k μ̂ + W_k μ). Within a piece e ← (1 − η_r) e + η_r W_k e; where a graph gives way, e jumps
    by the difference of the two equilibria. The covariance of the players is S ← M S Mᵀ + η_r Q η_r with
    M = (1 − η_r) I + η_r W_k and Q = W_k diag(V/n) W_kᵀ for broadcast batches, diag(Σ_j w_ij² V_j/n) for fresh ones;
    rms² = errors² + mean S_ii. V is taken at the expected means: exact where V does not depend on μ, and to first order
    in 1/n elsewhere. A player that is absent stays as it is, and is left out of both figures; whoever joins for the
    first time starts as everybody did.

    Arguments:
        game: the players' data, starts, steps η and samples n; its graph plays no part. Everybody tells all listeners
            after every move.
        sequence: the graphs.
        rounds: R ≥ 0.

    Raises:
        GameError: `rounds` is not a whole number ≥ 0; otherwise as `equilibria`.
        NoClosedFormError: another gossip policy; otherwise see there.

    >>> import networkx as nx
    >>> from nashgossip.games import Gaussian, PlayerSpec
    >>> from nashgossip.topology import attach_alpha, sequence
    >>> family, pair = Gaussian(), nx.path_graph(2)
    >>> specs = {i: PlayerSpec(family, data=family.space.batch({"x": [float(i)]})) for i in pair}
    >>> changing = sequence([(0, attach_alpha(pair, 0.5)), (2, attach_alpha(pair, 0.25))])
    >>> predict_tracking(Game(changing.at(0), specs), changing, 4).errors.round(3)
    array([0.333, 0.167, 0.179, 0.134, 0.1  ])
    """
    if not isinstance(rounds, int) or rounds < 0:
        raise GameError(f"rounds are {rounds!r}, expected a whole number >= 0")
    oracles = _oracles(game, sequence)
    specs = [game.specs[p] for p in game.players]
    others = [p for p, s in zip(game.players, specs, strict=True) if s.gossip != Gossip(fresh=s.gossip.fresh)]
    if others:
        raise NoClosedFormError(
            f"player {others[0]} does not tell all its listeners after every move: its tracking has no prediction"
        )
    here = _present(sequence)
    samples = np.array([s.samples for s in specs])
    fresh = np.array([s.gossip.fresh for s in specs])
    times = np.arange(rounds + 1, dtype=np.float64)
    piece = (np.searchsorted(np.array(sequence.times), times, side="right") - 1).tolist()
    steps = np.array([[s.step.at(r) for s in specs] for r in range(rounds)]).reshape(rounds, len(specs))
    oracle, current = next(oracles), 0
    mu = oracle.start
    means, errors, variances = [mu], [_rms((mu - oracle.equilibrium)[here[0]])], [0.0]
    scatter: Array = np.zeros(len(specs))
    covariance = np.zeros((len(specs), len(specs))) if len(specs) <= _DENSE else None
    for r in range(rounds):
        eta = np.where(here[current], steps[r], 0.0)[:, None]
        if covariance is not None:
            noise = oracle.family.variance(mu).mean(axis=-1) / samples
            pull = eta * oracle.listening
            step = pull + np.diag(1 - eta[:, 0])
            heard = (pull * np.where(fresh, 0.0, noise)) @ pull.T + np.diag(pull**2 @ np.where(fresh, noise, 0.0))
            covariance = step @ covariance @ step.T + heard
            scatter = np.diag(covariance)
        mu = (1 - eta) * mu + eta * oracle.best_response(mu)
        while current < piece[r + 1]:
            oracle, current = next(oracles), current + 1
        means.append(mu)
        errors.append(_rms((mu - oracle.equilibrium)[here[current]]))
        variances.append(float(scatter[here[current]].mean()))
    bias = np.array(errors)
    rms = None if covariance is None else np.sqrt(bias**2 + np.array(variances))
    return Tracking(times, np.array(means), bias, rms)


def _oracles(game: Game, sequence: GraphSequence) -> Iterator[Oracle]:
    """What theory says of each graph in turn, with the data of one game."""
    if sequence.players != game.players:
        differing = [p for p in (*game.players, *sequence.players) if (p in game.specs) != (p in sequence.graphs[0])]
        what = f"differ in {', '.join(map(str, differing[:10]))}" if differing else "stand in another order"
        raise GameError(f"players of the sequence {what}, expected those of the game in its order; remake the sequence")
    # The mean of all graphs has every anchor and every edge of each, so that one game stands for all.
    try:
        whole = Game(time_average(sequence, sequence.times[-1] + 1.0), game.specs)
    except GameError as error:
        raise GameError(f"over the graphs of the sequence together, {error}") from error
    oracle = Oracle.of(whole)
    dense = isinstance(oracle.listening, np.ndarray)
    return (
        replace(
            oracle,
            listening=listening_matrix(G) if dense else listening_matrix(G, sparse=True),
            self_weights=self_weights(G),
        )
        for G in sequence.graphs
    )


def _present(sequence: GraphSequence) -> NDArray[np.bool_]:
    """Who takes part while each graph is in force: `[K, N]`."""
    return np.array([[player not in away for player in sequence.players] for away in sequence.absent])


def _rms(error: Array) -> float:
    return float(np.sqrt((error**2).mean()))
