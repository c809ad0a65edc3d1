"""The empirical distribution as a player: it gives back rows that it has learned from. For comparison only."""

__all__ = ["EmpiricalModel"]

from collections.abc import Sequence
from typing import final

import numpy as np

from ..games import Batch, Space, SpaceError
from .allocation import allocate
from .protocols import Source, State


@final
class EmpiricalModel:
    """Keeps rows resampled from its sources and draws from them with replacement (a bootstrap).

    It hides nothing: what it generates are rows that it was given. It is the bound that synthetic data is compared
    with, not a player for private data.

    Arguments:
        space: any variables.
        rows: rows kept. From a single source of no more than so many rows all are kept, once each.

    Raises:
        ValueError: rows below 1.
    """

    def __init__(self, space: Space, *, rows: int = 10_000) -> None:
        if rows < 1:
            raise ValueError(f"rows is {rows}, expected at least 1")
        self._space, self._rows = space, rows
        self._kept: Batch | None = None

    @property
    def space(self) -> Space:
        """The variables."""
        return self._space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Resamples the rows that are kept from the sources, an unbiased share from each.

        Raises:
            SpaceError: a source lacks variables, which this model cannot complete.
        """
        for source in sources:
            missing = [name for name in self._space.names if name not in source.batch.space]
            if missing:
                raise SpaceError(f"rows came without {', '.join(missing)}, which an empirical model cannot complete")
        if len(sources) == 1 and len(sources[0].batch) <= self._rows:
            self._kept = sources[0].batch.restrict(self._space)
            return
        counts = allocate([s.weight for s in sources], self._rows, rng)
        drawn = [
            source.batch.restrict(self._space).select(rng.integers(len(source.batch), size=count))
            for source, count in zip(sources, counts, strict=True)
            if count
        ]
        self._kept = Batch.concatenate(drawn)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n of the rows kept, with replacement.

        Raises:
            ValueError: nothing was learned yet.
        """
        if self._kept is None:
            raise ValueError("this empirical model has not learned yet, and has no rows to give; give its player data")
        return self._kept.select(rng.integers(len(self._kept), size=n))

    def state(self) -> State:
        """The rows kept."""
        return {"kept": None if self._kept is None else {n: a.copy() for n, a in self._kept.arrays.items()}}

    def load(self, state: State) -> None:
        """Continues exactly as the model whose `state()` this is."""
        self._kept = None if state["kept"] is None else self._space.batch(state["kept"])
