"""Failures of models: what names the player whose model it was, and the asking for rows that finds out wrong ones."""

__all__ = ["ModelError", "generate_rows"]

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..games import Batch
from .protocols import GenerativeModel


class ModelError(RuntimeError):
    """A player's model raised, or gave back something that is not a batch of its space. Names player, move and cause.

    Not `BatchError`: that is a neighbour's bad message, which is counted and does not stop the player.
    """

    def __init__(self, player: str, move: int, cause: str) -> None:
        super().__init__(f"the model of player {player} failed at move {move}: {cause}")
        self.player, self.move, self.cause = player, move, cause

    def __reduce__(self) -> tuple[Any, ...]:
        return ModelError, (self.player, self.move, self.cause)

    @staticmethod
    def of(player: Hashable, move: int, method: str, error: Exception) -> "ModelError":
        """The failure of a model one of whose methods raised `error`."""
        return ModelError(str(player), move, f"{method} raised {type(error).__name__}: {error}")


def generate_rows(model: GenerativeModel, n: int, rng: np.random.Generator, *, player: Hashable, move: int) -> Batch:
    """n rows of a model, over its space.

    Arguments:
        model: of the player.
        n: number of rows.
        rng: random stream.
        player: named in an error.
        move: the player's number of moves, named in an error.

    Raises:
        ModelError: the model raised, or gave back something else.
    """
    try:
        batch = model.generate(n, rng)
    except Exception as error:
        raise ModelError.of(player, move, "generate", error) from error
    if not isinstance(batch, Batch) or batch.space != model.space or len(batch) != n:
        found = f"{len(batch)} rows over {batch.space.names}" if isinstance(batch, Batch) else type(batch).__name__
        raise ModelError(str(player), move, f"generate({n}) gave {found}, expected {n} rows over {model.space.names}")
    return batch
