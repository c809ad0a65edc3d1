"""What happens to a game whose players learn from too little real data: drift and loss of variance, by round."""

__all__ = ["Collapse", "collapse_factor", "consensus_weights", "period", "predict_collapse"]

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ..topology import listening_matrix, self_weights
from .discrete import Bernoulli, Categorical, Poisson
from .family import Array, ExponentialFamily
from .game import Game
from .gaussian import Gaussian, GaussianDiagonal
from .gossip import Gossip
from .oracle import NoClosedFormError

_MOST_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Collapse:
    """Exact first and second moments of a game in synchronous play; time is counted in rounds.

    Arguments:
        drift: variance of the consensus mean πᵀμ around its start, for each location statistic, `[T + 1, k]`.
        error: variance of each μ_i, averaged over the location statistics, `[T + 1, N]`.
        variance: expected variance of a row of each player's model, averaged over them, `[T + 1, N]`.
        weights: π, the left Perron vector of W, `[N]`; of a game with anchors, of W scaled to rows that sum to 1.
        factor: by which the expected variance of models without any anchor shrinks each round in the long run; None
            where V does not fall with the variance (a Gaussian of known variance, Poisson).
        well_mixed: the same if players agreed at every moment, 1 − p Σ_j π_j²/n_j, with p the period of W.
    """

    drift: Array
    error: Array
    variance: Array
    weights: Array
    factor: float | None
    well_mixed: float | None

    @property
    def half_life(self) -> float | None:
        """Rounds after which half the variance of models without any anchor is lost."""
        return None if self.factor is None or self.factor >= 1 else float(np.log(0.5) / np.log(self.factor))


def predict_collapse(game: Game, rounds: int) -> Collapse:
    """Drift and loss of variance of a game of exponential families, with and without anchors.

    A round is μ ← D μ̂ + W (μ + ε) with Cov ε_j = V(μ_j)/n_j. Let q be a statistic with V = q − c·μ², c = 1: for
    Bernoulli and categorical variables q = μ (as x² = x), for a Gaussian of unknown variance q is its second statistic
    E x²; c = 0: q = σ² for a Gaussian of known variance, q = μ for Poisson. Then with m = E μ, C = Cov μ the moments
    close, for each statistic on its own:

        m ← D μ̂ + W m,    q ← D q̂ + W q,    C ← W (C + diag(E V_j / n_j)) Wᵀ,    E V_j = q_j − c (m_j² + C_jj).

    Without any anchor πᵀμ is a martingale, whose variance grows by Σ_j π_j² E V_j / n_j a round. Since πᵀq does
    not change, the variance that the models lose is found again in where they drift to.

    Arguments:
        game: all players of one family, Bernoulli, categorical, Gaussian or Poisson, of a constant step, that
            push one batch to all listeners after every move.
        rounds: T.

    Raises:
        NoClosedFormError: the moments of the game do not close.

    Source: Shumailov et al., *AI models collapse when trained on recursively generated data*, 2024, and Bertrand et
    al., *On the stability of iterative retraining of generative models on their own data*, 2024, for one model;
    the recursion over a network is that of lineages in a structured population (Wright, *Evolution in Mendelian
    populations*, 1931).

    >>> from nashgossip.games import Bernoulli, PlayerSpec
    >>> from nashgossip.topology import attach_alpha, generate_graph
    >>> G = attach_alpha(generate_graph("complete", n=5), 0.0)
    >>> specs = {i: PlayerSpec(family=Bernoulli(), start="reference", samples=20) for i in G}
    >>> predicted = predict_collapse(Game(G, specs, anchored=False), 100)
    >>> bool(np.isclose(predicted.drift[-1, 0] + predicted.variance[-1, 0] + predicted.error[-1, 0], 0.5, atol=0.25))
    True
    """
    family = _common_family(game)
    own, w = self_weights(game.graph), listening_matrix(game.graph)
    samples = np.array([game.specs[p].samples for p in game.players], float)
    step = np.array([game.specs[p].step.size for p in game.players])
    anchors = np.stack([game.specs[p].anchor() for p in game.players])
    start = np.stack([_start(game, k, anchors) for k in range(len(anchors))])
    (mean, moment, coupling), (anchor, anchor_moment, _) = _moments(family, start), _moments(family, anchors)
    weights = consensus_weights(w)
    mixing, noisy = np.diag(1 - step) + step[:, None] * w, step[:, None] * w
    pull = (step * own)[:, None]
    covariance = np.zeros((mean.shape[1], len(w), len(w)))
    diagonal = np.arange(len(w))
    series: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
    for _ in range(rounds + 1):
        spread = covariance[:, diagonal, diagonal].T
        variance = np.maximum(moment - coupling * (mean**2 + spread), 0.0)
        series[0].append(weights @ covariance @ weights)
        series[1].append(spread.mean(axis=1))
        series[2].append(variance.mean(axis=1))
        noise = (variance / samples[:, None]).T
        covariance = mixing @ covariance @ mixing.T + (noisy * noise[:, None, :]) @ noisy.T
        mean, moment = pull * anchor + mixing @ mean, pull * anchor_moment + mixing @ moment
    shrinks = coupling > 0 and bool((step == 1).all())
    return Collapse(
        drift=np.stack(series[0]),
        error=np.stack(series[1]),
        variance=np.stack(series[2]),
        weights=weights,
        factor=collapse_factor(w, samples) if shrinks else None,
        well_mixed=1 - period(w) * float((weights**2 / samples).sum()) if shrinks else None,
    )


def consensus_weights(listening: Array) -> Array:
    """π with πᵀP = πᵀ and Σ π = 1, P the matrix W scaled to rows that sum to 1: `[N]`.

    Without any anchor, π_j is the share of player j's start in the consensus. Players that nobody hears have π_j = 0;
    where several groups hear nobody else, they share in equal parts what a walk from a random player finds of them.

    >>> consensus_weights(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]))
    array([0.25, 0.5 , 0.25])
    """
    p = _stochastic(listening)
    lazy = (p + np.eye(len(p))) / 2
    weights = np.full(len(p), 1 / len(p))
    for _ in range(64):  # squaring: 2⁶⁴ steps of a walk that may stay, which no period keeps from settling
        lazy = lazy @ lazy
        lazy /= lazy.sum(axis=1, keepdims=True)
    weights = weights @ lazy
    return np.asarray(weights / weights.sum())


def collapse_factor(listening: Array, samples: Array) -> float:
    """By which the expected variance of unanchored models shrinks each round in the long run.

    With H = q11ᵀ − E μμᵀ, whose diagonal is E V, a round is H ← W (H − diag(H_jj/n_j)) Wᵀ: the growth factor of
    this positive map, seen from the diagonal. In words: two rows trace back who they were learned from; they
    have a common ancestor as soon as both come from the same row of the same message.

    Arguments:
        listening: W, `[N, N]`, of rows that sum to 1.
        samples: rows in a message of each player, `[N]`.

    >>> round(collapse_factor(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([10.0, 10.0])), 12)
    0.9
    """
    p, diagonal = _stochastic(listening), np.arange(len(listening))
    h, log_size, before = np.eye(len(p)), 0.0, np.inf
    block = 2 * period(p)
    for _ in range(_MOST_STEPS):
        for _ in range(block):
            h[diagonal, diagonal] *= 1 - 1 / samples
            h = p @ h @ p.T
        size = h.max()
        if size <= 0:
            return 0.0
        h /= size
        log_size = np.log(size) / block
        if abs(log_size - before) < 1e-13 * max(1.0, abs(log_size)) or abs(log_size - before) < 1e-9 * abs(log_size):
            break
        before = log_size
    return float(np.exp(log_size))


def period(listening: Array) -> int:
    """The greatest common divisor of the lengths of all closed walks of W; 1 where it is 0 or the graph falls apart.

    A star or an even ring without self-weights has 2: what even players know at even times never meets the rest.

    >>> period(np.array([[0.0, 1.0], [1.0, 0.0]]))
    2
    """
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    edges = np.asarray(listening) > 0
    groups, _ = connected_components(edges, directed=True, connection="strong")
    if groups > 1:
        return 1
    order, parents = breadth_first_order(edges, 0)
    depth: NDArray[np.int64] = np.zeros(len(edges), np.int64)
    for node in order[1:]:
        depth[node] = depth[parents[node]] + 1
    i, j = np.nonzero(edges)
    return max(gcd(*(depth[i] + 1 - depth[j]).tolist()), 1)


def _stochastic(listening: Array) -> Array:
    sums = listening.sum(axis=1, keepdims=True)
    scaled: Array = np.where(sums > 0, listening / np.where(sums > 0, sums, 1.0), np.eye(len(listening)))
    return scaled


def _moments(family: ExponentialFamily, mu: Array) -> tuple[Array, Array, float]:
    """Location statistics, the statistic q, and c, with V = q − c·location²: `[N, k]`, `[N, k]`, number."""
    if isinstance(family, Bernoulli | Categorical):
        return mu, mu, 1.0
    if isinstance(family, GaussianDiagonal):
        k = family.size // 2
        return mu[:, :k], mu[:, k:], 1.0
    if isinstance(family, Gaussian):
        return mu, np.array(family.variance(mu)), 0.0
    if isinstance(family, Poisson):
        return mu, mu, 0.0
    raise NoClosedFormError(
        f"the second moments of the {family.name} family do not close; those of bernoulli, categorical, gaussian, "
        "gaussian-diagonal and poisson do"
    )


def _start(game: Game, k: int, anchors: Array) -> Array:
    initial = game.specs[game.players[k]].initial_mean()
    return np.asarray(anchors[k] if initial is None else initial)


def _common_family(game: Game) -> ExponentialFamily:
    specs = [game.specs[p] for p in game.players]
    family = specs[0].family
    if family is None or any(s.model is not None or s.family is None or not s.family.same_as(family) for s in specs):
        raise NoClosedFormError("players are not all of one exponential family: their moments do not close")
    if any(s.step.horizon is not None or s.gossip != Gossip() for s in specs):
        raise NoClosedFormError("a decreasing step or a gossip policy: the moments are known for neither")
    return family
