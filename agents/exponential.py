"""The exponential-family model: learning is one step towards the best response in mean parameters."""

__all__ = ["ExponentialFamilyModel"]

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, ExponentialFamily, Privacy, PrivacyError, PrivacySpent, Space, StepSize
from .protocols import Source, State


@final
class ExponentialFamilyModel:
    """p_μ of an exponential family; `learn` does μ ← (1 − η_t) μ + η_t Σ_k weight_k φ̄_k.

    With η = 1 this is the exact best response to the sources. φ̄_k is the mean statistics of source k, smoothed for the
    player's own rows. A model without parameters takes the best response whole at its first `learn`, which does not
    count as a step.

    Arguments:
        family: the family.
        smoothing: pseudo-count λ of the conjugate prior on the own rows.
        step: η_t.
        mean: μ to start from, `[size]`; None to take it from the first `learn`.
        own: statistics that stand for the own rows, smoothed, `[size]`, such as those that are released with privacy:
            the rows themselves are never looked at. None to take those of the rows.
        privacy: the budget that `own` was released with; None for no privacy.

    Raises:
        PrivacyError: a budget, and nothing that was released with it.

    >>> from nashgossip.games import Bernoulli
    >>> model = ExponentialFamilyModel(Bernoulli((3,)))
    >>> batch = model.space.batch({"x": np.array([[0, 1, 1], [1, 1, 0]])})
    >>> model.learn([Source(batch, 1.0)], np.random.default_rng(0))
    >>> model.mean_parameters
    array([0.5, 1. , 0.5])
    """

    def __init__(
        self,
        family: ExponentialFamily,
        *,
        smoothing: float = 0.0,
        step: StepSize | None = None,
        mean: NDArray[np.float64] | None = None,
        own: NDArray[np.float64] | None = None,
        privacy: Privacy | None = None,
    ) -> None:
        if privacy is not None and own is None:
            raise PrivacyError("a family has a budget of privacy and nothing released with it, expected `own` too")
        self.family = family
        self._smoothing = smoothing
        self._step = step or StepSize()
        self._mean = None if mean is None else np.array(mean, np.float64)
        self._own, self._privacy = own, privacy
        self._looked = False
        self._steps = 0
        self._statistics: list[tuple[Source, NDArray[np.float64]]] = []

    @property
    def space(self) -> Space:
        """The variables of the family."""
        return self.family.space

    @property
    def mean_parameters(self) -> NDArray[np.float64]:
        """μ, `[size]`; the reference member's before anything was learned."""
        return self.family.reference if self._mean is None else self._mean

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """One step towards the best response to the sources; exact, so that `rng` is not used."""
        statistics = [(source, self._mean_statistics(source)) for source in sources]
        self._statistics = statistics
        self._looked = self._looked or any(source.own for source in sources)
        response = np.zeros(self.family.size)
        for source, (_, mean) in zip(sources, statistics, strict=True):
            response += source.weight * mean
        if self._mean is None:
            self._mean = response
            return
        eta = self._step.at(self._steps)
        self._mean = response if eta == 1.0 else (1.0 - eta) * self._mean + eta * response
        self._steps += 1

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n independent rows of p_μ."""
        return self.family.sample(self.mean_parameters, n, rng)

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p_μ of each row, in nats: `[n]`."""
        return self.family.log_density(batch, self.mean_parameters)

    def privacy_spent(self) -> PrivacySpent | None:
        """The whole budget from the first `learn` from own rows on; whatever follows from one release is free."""
        if self._privacy is None:
            return None
        if not self._looked:
            return PrivacySpent(0.0, 0.0)
        return PrivacySpent(self._privacy.epsilon, self._privacy.delta, exhausted=True)

    def spending(self) -> tuple[float, ...]:
        """Whether it has learned from the release; nothing without a budget."""
        return () if self._privacy is None else (float(self._looked),)

    def keep_spending(self, spending: Sequence[float]) -> None:
        """See `KeepsSpending`."""
        self._looked = self._looked or any(spending)

    def state(self) -> State:
        """μ and the number of steps taken; with privacy, whether it has learned from the release."""
        looked = {} if self._privacy is None else {"looked": self._looked}
        return {"mean": None if self._mean is None else self._mean.copy(), "steps": self._steps, **looked}

    def load(self, state: State) -> None:
        """Restores `state()`."""
        mean = state["mean"]
        if mean is not None and np.shape(mean) != (self.family.size,):
            raise ValueError(f"state has {np.shape(mean)} mean parameters, expected ({self.family.size},)")
        self._mean = None if mean is None else np.array(mean, np.float64)
        self._steps = int(state["steps"])
        self._looked = bool(state.get("looked", False))
        self._statistics = []

    def _mean_statistics(self, source: Source) -> NDArray[np.float64]:
        """Mean statistics of a source, taken from the last move if it is the very same batch."""
        for known, mean in self._statistics:
            if known.batch is source.batch and known.own == source.own:
                return mean
        if source.own and self._own is not None:
            return self._own
        mean = self.family.mean_statistics(source.batch)
        return self.family.smooth(mean, len(source.batch), self._smoothing) if source.own else mean
