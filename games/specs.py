"""What one player brings to a game: its model or family, its private rows, its step size and its gossip."""

__all__ = ["MAX_ROWS", "GameError", "PlayerSpec", "StepSize"]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .conduct import Conduct
from .defence import Defence
from .family import ExponentialFamily
from .gossip import Gossip
from .privacy import Privacy
from .release import released_mean
from .space import Batch
from .summary import DataSummary

MAX_ROWS = 100_000
"""The longest message that players accept, in rows."""


class GameError(ValueError):
    """The parts of a game do not fit together.

    Not `AlphaError` and its kin, which are about the graph alone, and not `BatchError`, about rows alone.
    """


@dataclass(frozen=True)
class StepSize:
    """How far a move goes towards the best response: μ ← (1 − η_t) μ + η_t m, t = 0, 1, 2, … the player's moves.

    η_t = size for a constant step; η_t = size · horizon / (horizon + t) for a decreasing one, which falls like 1/t and
    drives the noise floor to 0 (Robbins & Monro, *A Stochastic Approximation Method*, 1951).

    Arguments:
        size: 0 < size ≤ 1.
        horizon: moves after which a decreasing step has halved; None for a constant step.

    >>> StepSize(horizon=10.0).at(10)
    0.5
    """

    size: float = 1.0
    horizon: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.size <= 1:
            raise GameError(f"step size is {self.size}, expected above 0 and at most 1")
        if self.horizon is not None and not 0 < self.horizon < float("inf"):
            raise GameError(f"horizon of the step is {self.horizon}, expected above 0 and finite")

    def at(self, move: int) -> float:
        """η at the given move, counted from 0."""
        return self.size if self.horizon is None else self.size * self.horizon / (self.horizon + move)


@dataclass(frozen=True)
class PlayerSpec:
    """What one player brings to the game.

    Arguments:
        family: the exponential family that the player learns; None for another black box.
        model: a function without arguments that makes the black box; None for the family's own model.
        data: private rows to learn from; None for a player that has none. Rows that lack different variables (a label,
            a modality) come as several batches, each over a part of the model's space: see `parts`.
        holdout: private rows kept for measuring.
        smoothing: pseudo-count λ of the conjugate prior on the private data.
        step: step size of the family's own model.
        start: where the family's own model starts: at the best response to the private data alone (`data`), or at the
            family's reference member, which knows nothing (`reference`).
        samples: rows in every message it publishes.
        gossip: whom it tells or asks, and how often.
        class_shares: share of each class among the private rows, `[k]`, where the rows hold no label: what the
            laboratory knows for its predictions. The player never sees it.
        label: the variable that is the class of the rows, where the laboratory knows it; the player never sees that
            it is.
        summary: instead of `data` and `holdout`, where the rows are not known: see `without_rows`. Theory goes by it;
            only a player with rows can be built and play.
        conduct: what it does instead of what an honest player does; None for an honest one. Theory takes it for honest,
            but for `predict_poisoned`.
        defence: what it does against bad neighbours; None for nothing.
        privacy: budget of differential privacy of its private rows; None for no privacy. Of a family, theory goes by
            the statistics that are released.
    """

    family: ExponentialFamily | None = None
    model: Callable[[], Any] | None = None
    data: Batch | tuple[Batch, ...] | None = None
    holdout: Batch | None = None
    smoothing: float = 0.0
    step: StepSize = field(default_factory=StepSize)
    start: Literal["data", "reference"] = "data"
    samples: int = 100
    gossip: Gossip = field(default_factory=Gossip)
    class_shares: NDArray[np.float64] | None = None
    label: str | None = None
    summary: DataSummary | None = None
    conduct: Conduct | None = None
    defence: Defence | None = None
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        if self.family is None and self.model is None:
            raise GameError("a player needs a family or a model")
        if not isinstance(self.samples, int) or self.samples < 1:
            raise GameError(f"samples of a message are {self.samples}, expected a whole number of at least 1")
        if self.start not in ("data", "reference"):
            raise GameError(f"start is {self.start!r}, expected 'data' or 'reference'")
        if self.family is not None and isinstance(self.data, tuple):
            raise GameError(
                f"data of the {self.family.name} family came in {len(self.data)} batches, but an exponential family "
                "learns from whole rows: give it one batch, or take a model with `complete`"
            )
        if not self.smoothing >= 0 or not np.isfinite(self.smoothing):
            raise GameError(f"smoothing is {self.smoothing}, expected a pseudo-count of at least 0")
        shares = self.class_shares
        if shares is not None and not (np.ndim(shares) == 1 and (shares >= 0).all() and abs(shares.sum() - 1) < 1e-6):
            raise GameError(f"class shares are {shares}, expected numbers of at least 0 that sum to 1")
        if self.summary is not None:
            self._check_summary(self.summary)

    @property
    def parts(self) -> tuple[Batch, ...]:
        """The private rows, those that hold the same variables together; nothing where there are none, or not here.

        A player learns from each part with a share of α_ii in proportion to its rows.
        """
        batches = self.data if isinstance(self.data, tuple) else (self.data,)
        return tuple(batch for batch in batches if batch)

    @property
    def rows(self) -> int:
        """Number of private rows, wherever they are."""
        return sum(map(len, self.parts)) if self.summary is None else self.summary.rows

    @property
    def private(self) -> Privacy | None:
        """The budget of privacy, where there are rows and it is finite."""
        return self.privacy if self.privacy is not None and self.privacy.finite and self.rows else None

    def mean_statistics(self) -> NDArray[np.float64]:
        """Mean statistics of the private rows before smoothing, `[size]`; with privacy, those that are released.

        Raises:
            GameError: there is no family, or no row.
            PrivacyError: see `games.released_mean`.
        """
        if self.family is None or not self.rows:
            raise GameError("only players with an exponential family and rows have mean statistics")
        if self.summary is not None:
            return np.asarray(self.summary.statistics, np.float64)
        if self.private is not None:
            return released_mean(self.family, self.parts[0], self.private)
        return self.family.mean_statistics(self.parts[0])

    def anchor(self) -> NDArray[np.float64]:
        """μ̂, the smoothed mean statistics of the private data; the reference where there is none: `[size]`."""
        if self.family is None:
            raise GameError("only players with an exponential family have mean statistics")
        if not self.rows:
            return self.family.reference
        return self.family.smooth(self.mean_statistics(), self.rows, self.smoothing)

    def initial_mean(self) -> NDArray[np.float64] | None:
        """μ before the first move, `[size]`; None where the private rows decide it."""
        if self.family is not None and (self.start == "reference" or not self.rows):
            return self.family.reference
        return None

    def _check_summary(self, summary: DataSummary) -> None:
        if self.data is not None or self.holdout is not None:
            raise GameError("a player has rows and a summary of rows, expected one of them; leave the summary out")
        if self.family is None:
            return
        came = None if summary.statistics is None else summary.statistics.shape
        if came != (self.family.size,):
            raise GameError(
                f"the summary of a player of the {self.family.name} family has statistics of shape {came}, expected "
                f"{(self.family.size,)}; make it by without_rows"
            )
