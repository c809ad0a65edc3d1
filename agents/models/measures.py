"""How far what players generate is from real data: a distance between features, and a test that tells them apart."""

__all__ = ["TwoSample", "frechet_distance", "two_sample_test"]

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TwoSample:
    """What a classifier two-sample test found.

    Arguments:
        accuracy: share of the test rows told right; ½ for samples of one distribution.
        p_value: probability of so many right answers or more, if both samples have one distribution.
        n: test rows, half of them real.
    """

    accuracy: float
    p_value: float
    n: int


def frechet_distance(real_features: ArrayLike, generated_features: ArrayLike) -> float:
    """The Fréchet distance between the Gaussians that have the moments of two samples of features.

    |m − m'|² + tr(S + S' − 2 (S S')^½), with means m and covariances S; 0 for samples with the same moments. It is
    biased upwards by a term that falls like 1/n: compare samples of equal size. Computed by torchmetrics.

    Arguments:
        real_features: `[n, d]`, of real rows, for example `Judge.features`.
        generated_features: `[n', d]`, of generated rows.

    Raises:
        ValueError: samples of another form, or with fewer than d + 1 rows, whose covariance is singular.

    Source: Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter, *GANs Trained by a Two Time-Scale Update Rule Converge
    to a Local Nash Equilibrium*, 2017, there with features of another network.

    >>> rows = np.random.default_rng(0).standard_normal((50, 2))
    >>> round(frechet_distance(rows, rows + [3.0, 4.0]), 6)
    25.0
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, generated = _check_pair(real_features, generated_features)
    width = real.shape[1]
    for name, rows in (("real", real), ("generated", generated)):
        if len(rows) < width + 1:
            raise ValueError(
                f"{len(rows)} {name} rows came, expected at least {width + 1} for {width} features; "
                "give more rows, or fewer features"
            )
    metric = FrechetInceptionDistance(feature=_Identity(width))
    centre = real.mean(axis=0)  # the metric sums squares, which a large mean would drown
    metric.update(torch.as_tensor(real - centre), real=True)
    metric.update(torch.as_tensor(generated - centre), real=False)
    # rounding takes the distance of a sample from itself a little below 0
    return max(float(metric.compute()), 0.0)


def two_sample_test(real_features: ArrayLike, generated_features: ArrayLike, rng: np.random.Generator) -> TwoSample:
    """Tests whether a classifier can tell real from generated rows.

    As many rows of each sample as the smaller has are drawn; a logistic regression learns from one half of them which
    are generated, and is asked about the other half. There as many are real as generated, so that the number of right
    answers, given how often each answer is given, is hypergeometric if both have one distribution: the p-value is
    that of Fisher's exact test, on the side of too many right answers.

    The test sees what is linear in the features: give it those of a `Judge`, or rows of which the mean tells.

    Arguments:
        real_features: `[n, d]`.
        generated_features: `[n', d]`.
        rng: draws the rows and the halves.

    Raises:
        ValueError: samples of another form, or with fewer than 4 rows.

    Source: Lopez-Paz & Oquab, *Revisiting Classifier Two-Sample Tests*, 2017.

    >>> rng = np.random.default_rng(0)
    >>> two_sample_test(rng.normal(0.0, 1.0, (200, 2)), rng.normal(3.0, 1.0, (200, 2)), rng).p_value < 0.001
    True
    """
    from scipy.stats import fisher_exact
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pair = _check_pair(real_features, generated_features)
    size = min(map(len, pair))
    if size < 4:
        raise ValueError(f"a sample has {size} rows, expected at least 4; generate more")
    half = size // 2
    drawn = [sample[rng.permutation(len(sample))[:size]] for sample in pair]
    labels = np.repeat([0, 1], half)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(np.concatenate([rows[:half] for rows in drawn]), labels)
    held = size - half
    said_generated = [int(classifier.predict(rows[half:]).sum()) for rows in drawn]
    table = np.array([[held - said, said] for said in said_generated])  # real and generated, said to be either
    right = int(np.trace(table))
    p_value = float(fisher_exact(table, alternative="greater").pvalue)
    return TwoSample(right / (2 * held), p_value, 2 * held)


class _Identity(nn.Module):
    """Hands features on to a metric that would compute them from images."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def _check_pair(real: ArrayLike, generated: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"features came with shapes {first.shape} and {second.shape}, expected [n, d] and [n', d]")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("features hold NaN or an infinity, expected finite numbers; look at the rows they come from")
    return first, second
