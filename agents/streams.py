"""Random streams: one for each player and purpose, all from one seed."""

__all__ = ["PURPOSES", "stream"]

import numpy as np

PURPOSES = ("learn", "generate", "pace", "measure", "gossip", "network", "inspect", "conduct", "screen")
"""What random numbers are drawn for; each purpose has a stream of its own, so that none disturbs another. That of
`network` is the simulated network's, the others are the player's; `conduct` and `screen` are used by those alone that
have a conduct or compare what they hear."""


def stream(seed: int, player: int, purpose: str) -> np.random.Generator:
    """The random stream of a player for a purpose, from `SeedSequence(seed)` spawned by (player, purpose).

    Arguments:
        seed: the seed of the run.
        player: position of the player in the graph's order.
        purpose: one of `PURPOSES`.

    Raises:
        ValueError: another purpose.

    >>> stream(1, 0, "learn").random() == stream(1, 0, "learn").random()
    True
    >>> stream(1, 0, "learn").random() == stream(1, 0, "generate").random()
    False
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose is {purpose!r}, expected one of {', '.join(PURPOSES)}")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(player, PURPOSES.index(purpose))))
