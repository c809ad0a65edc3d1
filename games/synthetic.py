"""Private data for games without a data set: every player draws rows from a member of the family of its own."""

__all__ = ["synthetic_anchor", "synthetic_data"]

import numpy as np

from .family import Array, ExponentialFamily
from .space import Batch


def synthetic_anchor(family: ExponentialFamily, rng: np.random.Generator, *, spread: float = 1.0) -> Array:
    """Mean parameters of a random member, in the interior: `[size]`.

    (r·φ̄ + λ·reference)/(r + λ) of r = 4 rows drawn from the reference member, with λ = 4/spread: the larger the spread,
    the more members differ.

    Raises:
        ValueError: `spread` is not above 0.
    """
    if not spread > 0:
        raise ValueError(f"spread is {spread}, expected above 0")
    rows = 4
    mean = family.mean_statistics(family.sample(family.reference, rows, rng))
    return family.smooth(mean, rows, rows / spread)


def synthetic_data(
    family: ExponentialFamily, players: int, rows: int, rng: np.random.Generator, *, spread: float = 1.0
) -> list[Batch]:
    """One batch of `rows` rows for each player, each from a random member of its own.

    >>> from nashgossip.games import Bernoulli
    >>> [len(b) for b in synthetic_data(Bernoulli((2,)), 3, 50, np.random.default_rng(0))]
    [50, 50, 50]
    """
    return [family.sample(synthetic_anchor(family, rng, spread=spread), rows, rng) for _ in range(players)]
