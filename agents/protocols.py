"""What a player asks of a model: the paper's black box as a protocol, and optional abilities as protocols too."""

__all__ = [
    "GenerativeModel",
    "HasClasses",
    "HasCompletion",
    "HasLogDensity",
    "HasMeanParameters",
    "HasPrivacy",
    "KeepsSpending",
    "LiftsPrivacy",
    "Source",
    "State",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, PrivacySpent, Space

State: TypeAlias = Mapping[str, Any]
"""A tree of dictionaries and lists whose leaves are arrays, numbers, strings, booleans and None: no pickle."""


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """Rows to learn from, and how much.

    Arguments:
        batch: the rows.
        weight: α of the source. The weights of the sources of one move sum to 1.
        own: whether these are the player's private rows; all others are synthetic.
    """

    batch: Batch
    weight: float
    own: bool = False


class GenerativeModel(Protocol):
    """A black box that learns from weighted batches and generates batches. Any object with these methods plays.

    `check_model` tests an implementation.
    """

    @property
    def space(self) -> Space:
        """The variables that it models."""
        ...

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Moves towards the maximiser of Σ_k weight_k · E_{batch_k} log p(x). The sources are not changed."""
        ...

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n ≥ 0 fresh rows over `space`. All randomness comes from `rng`."""
        ...

    def state(self) -> State:
        """Everything that the next call depends on, as a copy."""
        ...

    def load(self, state: State) -> None:
        """Makes this model, of the same kind, continue exactly as the one whose state it is."""
        ...


@runtime_checkable
class HasLogDensity(Protocol):
    """Optional: the logarithm of the model's density."""

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p(x) of each row, in nats: `[n]`."""
        ...


@runtime_checkable
class HasCompletion(Protocol):
    """Optional: fills in what rows lack. Sources of such a model may lack variables; it completes them as it learns."""

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Whole rows: what is given is kept, the rest drawn from the model's own conditional."""
        ...


@runtime_checkable
class HasClasses(Protocol):
    """Optional: tells the classes of rows."""

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """p(c | the rest) of each row: `[n, classes]`."""
        ...


@runtime_checkable
class HasMeanParameters(Protocol):
    """Optional: mean parameters, for the laboratory's own instruments. They are never part of a message."""

    @property
    def mean_parameters(self) -> NDArray[np.float64]:
        """μ: `[size]`."""
        ...


@runtime_checkable
class HasPrivacy(Protocol):
    """Optional: a model that learns from the sources marked `own` with differential privacy, within a budget.

    What it spends is part of its state. When its budget pays for no further step, `learn` changes nothing.
    """

    def privacy_spent(self) -> PrivacySpent | None:
        """What all calls of `learn` so far have spent; None of a model that was made without a budget."""
        ...


@runtime_checkable
class KeepsSpending(Protocol):
    """Optional: a model with a budget of privacy that has spent what it has spent wherever it is taken back to.

    A model of `HasPrivacy` without it gets back what it spent since, and its player is known to spend by ε alone.
    """

    def spending(self) -> tuple[float, ...]:
        """Numbers that grow with every look at private rows, also where ε does not; nothing without a budget."""
        ...

    def keep_spending(self, spending: Sequence[float]) -> None:
        """Counts as spent what was, once: its own `spending()` before it was taken back."""
        ...


@runtime_checkable
class LiftsPrivacy(Protocol):
    """Optional: a model with a budget of privacy whose copy the laboratory can let learn without one."""

    def lift_privacy(self) -> None:
        """Learns without a budget from now on: for copies that the laboratory measures by and nobody hears."""
        ...
