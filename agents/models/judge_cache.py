"""Where trained judges are kept between runs: one safetensors file each, written whole and checked when read."""

__all__ = ["judge_key", "read_judge", "write_judge"]

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import State

_WEIGHTS = "module."
_NUMBERS = ("rows", "columns", "classes", "accuracy")


def judge_key(images: NDArray[Any], labels: NDArray[Any], options: Mapping[str, Any]) -> str:
    """A name for everything that a judge depends on: 64 hexadecimal digits, SHA-256 of data and options.

    >>> a, b = np.zeros((2, 8, 8)), np.array([0, 1])
    >>> judge_key(a, b, {"seed": 0}) == judge_key(a.copy(), b, {"seed": 0})
    True
    >>> judge_key(a, b, {"seed": 0}) == judge_key(a, b, {"seed": 1})
    False
    """
    digest = hashlib.sha256(json.dumps(dict(options), sort_keys=True).encode())
    for array in (images, labels):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_judge(key: str, folder: Path | None) -> State | None:
    """The state kept under this key; None where there is none, or where a warning says that it is damaged."""
    from safetensors import SafetensorError, safe_open

    path = _place(key, folder)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
            checksum = (file.metadata() or {}).get("sha256")
        if _checksum(arrays) != checksum:
            raise ValueError("its checksum is another")
        numbers = {name: arrays[name].item() for name in _NUMBERS}
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        warnings.warn(f"the judge kept in {path} is damaged ({error}) and is trained anew", stacklevel=3)
        return None
    weights = {name.removeprefix(_WEIGHTS): a for name, a in arrays.items() if name.startswith(_WEIGHTS)}
    return {"module": weights, **numbers}


def write_judge(key: str, state: State, folder: Path | None) -> None:
    """Keeps a judge's state under this key: written under another name, then renamed.

    A folder that cannot be written to costs the next run its time, not this one its result: a warning names it.
    """
    from safetensors.numpy import save

    arrays = {_WEIGHTS + name: np.asarray(array) for name, array in state["module"].items()}
    arrays |= {name: np.asarray(state[name]) for name in _NUMBERS}
    payload = save(arrays, {"sha256": _checksum(arrays)})
    path = _place(key, folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(payload)
        os.replace(draft.name, path)
    except OSError as error:
        warnings.warn(f"the judge cannot be kept in {path.parent}: {error}; make it writable", stacklevel=3)


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _place(key: str, folder: Path | None) -> Path:
    import pooch

    return (Path(pooch.os_cache("nashgossip")) / "judges" if folder is None else folder) / f"{key}.safetensors"
