"""Attacks on published rows that need no shadow games: nearest rows, density ratios, reconstruction."""

__all__ = ["Exposure", "density_ratio", "exposure", "nearest", "reconstruction"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ..games import Batch
from .audit_figures import Scores
from .audit_rows import Lens, copies, distances

_DIMENSIONS = 8

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Exposure:
    """How much the published rows give canaries away.

    Arguments:
        bits: log₂ of how many rows of their law stand before the mean canary, from what a guess gives: 0 where nothing
            is given away, log₂(others + 1) − 1.44 at most.
        planted: canaries.
    """

    bits: float
    planted: int


def nearest(lens: Lens, members: Batch, others: Batch, published: Batch) -> Scores:
    """Rows that lie near a published one count as members.

    Source: D. Chen, N. Yu, Y. Zhang and M. Fritz, GAN-Leaks: A Taxonomy of Membership Inference Attacks against
    Generative Models, 2020.
    """
    there = lens.encode(published)
    return Scores(*(-distances(lens.encode(rows), there) for rows in (members, others)))


def density_ratio(lens: Lens, members: Batch, others: Batch, published: Batch, rng: np.random.Generator) -> Scores:
    """Rows that are more likely among the published than in the population count as members.

    log p̂_S(x) − log p̂_R(x), both by kernels on the first eight principal components of the published rows S. R is half
    of the held-out rows, drawn by lot; members are compared with the other half alone, so that both are scored alike.

    Source: B. van Breugel, H. Sun, Z. Qian and M. van der Schaar, Membership Inference Attacks against Synthetic Data
    through Overfitting Detection (DOMIAS), 2023.
    """
    from sklearn.decomposition import PCA  # not at import: it takes a second
    from sklearn.neighbors import KernelDensity

    there, rows = lens.encode(published), [lens.encode(batch) for batch in (members, others)]
    solver = "covariance_eigh" if there.shape[1] <= 1000 else "randomized"
    axes = PCA(min(_DIMENSIONS, *there.shape), whiten=True, svd_solver=solver, random_state=0).fit(there)
    there, (mine, theirs) = axes.transform(there), [axes.transform(r) for r in rows]
    compared = rng.permutation(len(theirs)) < (len(theirs) + 1) // 2
    seen = KernelDensity(bandwidth="scott").fit(there)
    population = KernelDensity(bandwidth="scott").fit(theirs[~compared])
    return Scores(*(seen.score_samples(r) - population.score_samples(r) for r in (mine, theirs[compared])))


def reconstruction(
    lens: Lens, members: Batch, others: Batch, published: Sequence[Batch], whole: Batch
) -> dict[str, Any]:
    """How many private rows stand among the published ones, beside rows that nobody learned from.

    Arguments:
        lens: how rows are seen.
        members: the private rows.
        others: held-out rows.
        published: what the attacker received.
        whole: the same rows, over the variables of all.

    Returns:
        `copied`: shares of members and of others that were published as they are; `close`: shares that lie nearer to
        a published row than to any other real row; `distance`: medians to the nearest published row. Each share with
        its 95 % interval by Clopper and Pearson.
    """
    there = lens.encode(whole)
    mine, theirs = lens.encode(members), lens.encode(others)
    real = np.concatenate([mine, theirs])
    among = distances(real, real, apart=True)
    to = distances(real, there)
    close, same = to < among, np.concatenate([copies(members, published), copies(others, published)])
    m = len(mine)
    return {
        "copied": {"members": _share(same[:m]), "others": _share(same[m:])},
        "close": {"members": _share(close[:m]), "others": _share(close[m:])},
        "distance": {"members": float(np.median(to[:m])), "others": float(np.median(to[m:]))},
    }


def exposure(scores: Scores) -> Exposure:
    """The mean exposure of canaries, `scores.members`, among decoys, `scores.others`.

    Source: N. Carlini, C. Liu, Ú. Erlingsson, J. Kos and D. Song, The Secret Sharer, 2019.

    >>> round(exposure(Scores(np.array([9.0]), np.arange(8.0))).bits, 2)
    2.05
    """
    decoys = np.sort(scores.others)
    n = len(decoys)
    above = n - (np.searchsorted(decoys, scores.members, "left") + np.searchsorted(decoys, scores.members, "right")) / 2
    guess = float(np.mean(np.log2((n + 1) / np.arange(1, n + 2))))
    return Exposure(float(np.mean(np.log2((n + 1) / (1 + above)))) - guess, len(scores.members))


def _share(hits: NDArray[np.bool_]) -> dict[str, Any]:
    count, n = int(hits.sum()), len(hits)
    if n == 0:
        return {"share": None, "interval": None}
    interval = binomtest(count, n).proportion_ci(0.95)
    return {"share": count / n, "interval": [float(interval.low), float(interval.high)]}
