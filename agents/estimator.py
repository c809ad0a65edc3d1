"""A scikit-learn density estimator as a player: Gaussian mixture, kernel density, or anything with fit and sample."""

__all__ = ["EstimatorModel"]

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space
from .allocation import allocate
from .protocols import Source, State
from .real_rows import from_matrix, require_real, to_matrix


@final
class EstimatorModel:
    """Refits a clone of a scikit-learn estimator on rows resampled from the sources, in proportion to their weights.

    Arguments:
        estimator: an unfitted estimator with `fit(X)`, `sample(n)` and, for `log_density`, `score_samples(X)`, such as
            `sklearn.mixture.GaussianMixture` or `sklearn.neighbors.KernelDensity`. It is not changed.
        space: real variables only; a row is their values, flattened and joined.
        rows: rows resampled for a fit. The more, the smaller the noise that refitting adds.

    Raises:
        SpaceError: a variable that is not real, or that has bounds.

    `state()` holds the rows of the last fit and its seed, from which `load` fits again: exact, without pickle.
    """

    def __init__(self, estimator: Any, space: Space, *, rows: int = 1000) -> None:
        require_real(space, "a scikit-learn density")
        self._estimator = estimator
        self._space = space
        self._rows = rows
        self._fitted: Any = None
        self._training: NDArray[np.float64] | None = None
        self._seed = 0

    @property
    def space(self) -> Space:
        """The variables."""
        return self._space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Fits to `rows` rows drawn with replacement from the sources, an unbiased share from each."""
        counts = allocate([s.weight for s in sources], self._rows, rng)
        parts = [
            to_matrix(self._space, source.batch)[rng.integers(len(source.batch), size=count)]
            for source, count in zip(sources, counts, strict=True)
            if count
        ]
        self._fit(np.concatenate(parts), int(rng.integers(2**31)))

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n rows of the fitted density.

        Raises:
            ValueError: nothing was learned yet.
        """
        if self._fitted is None:
            raise ValueError(
                "this estimator has not learned yet; a player without data starts when it has heard somebody"
            )
        if n == 0:
            return self._space.empty()
        seed = int(rng.integers(2**31))
        if "random_state" in self._fitted.get_params():
            self._fitted.set_params(random_state=seed)
            drawn = self._fitted.sample(n)
        else:
            drawn = self._fitted.sample(n, random_state=seed)
        rows = drawn[0] if isinstance(drawn, tuple) else drawn
        return from_matrix(self._space, rows[rng.permutation(n)])  # a mixture draws component by component

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p of each row, in nats: `[n]`."""
        density: NDArray[np.float64] = self._fitted.score_samples(to_matrix(self._space, batch))
        return density

    def state(self) -> State:
        """The rows of the last fit and its seed."""
        return {"training": None if self._training is None else self._training.copy(), "seed": self._seed}

    def load(self, state: State) -> None:
        """Fits again to the rows of a state."""
        if state["training"] is None:
            self._fitted, self._training = None, None
        else:
            self._fit(np.array(state["training"], np.float64), int(state["seed"]))

    def _fit(self, training: NDArray[np.float64], seed: int) -> None:
        from sklearn.base import clone  # not at import: players without scikit-learn start without it

        fitted = clone(self._estimator)
        if "random_state" in fitted.get_params():
            fitted.set_params(random_state=seed)
        self._fitted = fitted.fit(training)
        self._training, self._seed = training, seed
