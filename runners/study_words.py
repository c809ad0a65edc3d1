"""How a mean over seeds is written: with its standard error, and with how many seeds know it where not all do."""

__all__ = ["figure_columns", "mean_words"]

import math
from collections.abc import Mapping, Sequence
from typing import Any

_ROUNDING = 1e-12


def figure_columns(names: Sequence[str]) -> list[str]:
    """The columns of `Study.points` without the errors and counts of others.

    >>> figure_columns(["trials", "rate", "rate_error", "rate_count", "a_error", "a_error_error", "a_error_count"])
    ['trials', 'rate', 'a_error']
    """
    means = [name for name in names if f"{name}_count" in names]
    beside = {f"{name}_{what}" for name in means for what in ("error", "count")}
    return [name for name in names if name not in beside]


def mean_words(row: Mapping[str, Any], name: str, *, digits: int = 2) -> str:
    """A figure of a row of `Study.points`, or of `Study.table`, as text; a dash where it is not known.

    Arguments:
        row: the point, or the trial.
        name: the column.
        digits: of the standard error.

    >>> mean_words({"trials": 3, "rate": 0.41, "rate_error": 0.0213, "rate_count": 3}, "rate")
    '0.41 ± 0.021'
    >>> mean_words({"trials": 3, "rate": 0.41, "rate_error": None, "rate_count": 1}, "rate")
    '0.41 (1 of 3)'
    """
    value, error, count = row[name], row.get(f"{name}_error"), row.get(f"{name}_count")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if error and error > _ROUNDING * abs(value):
        text = f"{text} ± {error:.{digits}g}"
    return text if count is None or count == row["trials"] else f"{text} ({count} of {row['trials']})"
