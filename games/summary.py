"""What is known of a player's private rows where the rows themselves are not."""

__all__ = ["DataSummary"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .space import Space


@dataclass(frozen=True, eq=False)
class DataSummary:
    """Stands for private rows in a `PlayerSpec`: all that the closed forms need of them, and no row.

    Of very few rows it tells much: the mean statistics of a single row are the row.

    Arguments:
        rows: number of private rows, at least 1.
        statistics: their mean statistics before smoothing, `[size]`; None for a black box.
        class_shares: share of each class among them, `[k]`; None where they do not all hold `label`.
        label: the variable that is their class; None where there is none.
        variables: what the rows hold: one space for each batch of `PlayerSpec.parts`, and that of held-out rows.

    Raises:
        ValueError: no rows, or statistics or class shares that are no vectors of finite numbers.
    """

    rows: int
    statistics: NDArray[np.float64] | None
    class_shares: NDArray[np.float64] | None
    label: str | None
    variables: tuple[Space, ...]

    def __post_init__(self) -> None:
        if self.rows < 1 or not self.variables:
            raise ValueError(
                f"a summary of {self.rows} rows over {len(self.variables)} spaces, expected at least 1 of each; "
                "a player without rows has no summary"
            )
        for name in ("statistics", "class_shares"):
            value = getattr(self, name)
            if value is not None and (np.ndim(value) != 1 or not np.isfinite(value).all()):
                raise ValueError(f"{name} of a summary are {value}, expected a vector of finite numbers")
