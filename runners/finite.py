"""What JSON can hold of a tree of figures."""

__all__ = ["finite"]

import math
from typing import Any


def finite(value: Any) -> Any:
    """The same tree of dictionaries and lists, with None for numbers that are not finite.

    >>> finite({"a": [1.5, float("inf")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
