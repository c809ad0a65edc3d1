"""Trees of mappings, lists and arrays, compared bit by bit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nashgossip.games import Batch


def frozen(tree: Any) -> Any:
    """A tree of arrays as something that == compares bit for bit."""
    if isinstance(tree, np.ndarray):
        return str(tree.dtype), tree.shape, tree.tobytes()
    if isinstance(tree, Batch):
        return frozen(dict(tree.arrays))
    if isinstance(tree, Mapping):
        return {key: frozen(value) for key, value in tree.items()}
    return [frozen(value) for value in tree] if isinstance(tree, list | tuple) else tree


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two trees of mappings, lists, arrays and values are not the same to the last bit."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if list(first) != list(second):
            return [f"{path}: keys {list(first)} and {list(second)}"]
        return [found for key in first for found in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if len(first) != len(second):
            return [f"{path}: lengths {len(first)} and {len(second)}"]
        pairs = enumerate(zip(first, second, strict=True))
        return [found for k, (a, b) in pairs for found in differences(a, b, f"{path}/{k}")]
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        same = first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
    else:
        same = type(first) is type(second) and first == second
    return [] if same else [f"{path}: {first!r} and {second!r}"]
