"""What the laboratory can ask of a player at any moment: an estimate of its regret."""

__all__ = ["RegretEstimate", "estimate_regret"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..games import Batch
from .protocols import GenerativeModel, HasLogDensity, LiftsPrivacy, Source


@dataclass(frozen=True, slots=True)
class RegretEstimate:
    """What a clone gained by learning on, in nats: on average a lower bound of the regret.

    A black box is not known to have found its best response. What a clone gains in a few more steps on the same mixture
    it could have gained itself, so that its regret is at least that, up to the noise of the rows it is measured on and
    to how well the model knows its own log-density.

    Arguments:
        gain: Σ_k α_k (mean log-density of the clone − that of the player) over rows of source k that the further steps
            have not used; negative where learning on made it worse.
        error: standard error of `gain` over the rows.
    """

    gain: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 % confidence interval of the gain."""
        return self.gain - 1.96 * self.error, self.gain + 1.96 * self.error


def estimate_regret(
    model: GenerativeModel,
    clone: Callable[[], GenerativeModel],
    sources: Sequence[Source],
    holdout: Batch | None,
    steps: int,
    rng: np.random.Generator,
) -> RegretEstimate | None:
    """Lets a clone of the model learn on, and compares both on rows that the clone has not learned from.

    A source is cut into two halves, one to learn from and one to compare on; private rows with a holdout are all
    learned from and compared on the holdout, of which those that lack variables are compared on the ones they have.

    The clone of a player with privacy learns without it. Its gain is then what the player could have had, the price of
    its privacy included; the player's own budget is not touched, and nobody hears the clone.

    Arguments:
        model: the player's, which is not changed.
        clone: makes a model of the same kind.
        sources: the mixture that the player learns from, weights summing to 1.
        holdout: private rows kept for measuring.
        steps: calls of `learn`.
        rng: random stream.

    Returns:
        The estimate; None for a model without log-density, where a source has too few rows to be cut, or where no gain
        is finite.
    """
    if not isinstance(model, HasLogDensity):
        return None
    taught, compared = [], []
    for source in sources:
        if source.own and holdout and len(holdout) > 1 and all(v in holdout.space for v in source.batch.space.names):
            taught.append(source)
            compared.append(holdout.restrict(source.batch.space))
            continue
        order = rng.permutation(len(source.batch))
        half = len(order) // 2
        if half < 2:
            return None
        taught.append(Source(source.batch.select(order[:half]), source.weight, source.own))
        compared.append(source.batch.select(order[half:]))
    better = clone()
    better.load(model.state())
    if isinstance(better, LiftsPrivacy):
        better.lift_privacy()
    for _ in range(steps):
        better.learn(taught, rng)
    gain = variance = 0.0
    held: list[NDArray[np.float64]] = []  # parts of one player compared on the same rows are not independent
    for source, rows, whole in zip(taught, compared, sources, strict=True):
        difference = source.weight * (cast("HasLogDensity", better).log_density(rows) - model.log_density(rows))
        gain += float(difference.mean())
        if source is whole:
            held.append(difference)
        else:
            variance += float(difference.var(ddof=1)) / len(difference)
    if held:
        variance += float(np.sum(held, axis=0).var(ddof=1)) / len(held[0])
    return RegretEstimate(gain, float(np.sqrt(variance))) if np.isfinite(gain) else None
