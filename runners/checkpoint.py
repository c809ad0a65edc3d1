"""Checkpoints: a tree of plain values on disk, arrays as safetensors and the rest as JSON, whole or not at all."""

__all__ = ["CheckpointError", "checkpoints", "load_tree", "save_tree"]

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

_TREE = "tree.json"
_ARRAYS = "arrays.safetensors"
_REFERENCE = "$array"
_KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint that cannot be read: missing, damaged, or not one of ours.

    Not `ExperimentError`: the experiment beside it may be fine.
    """


def save_tree(tree: Any, parent: Path, number: int) -> Path:
    """Writes a tree of dictionaries, lists, arrays, numbers, strings, booleans and None as `parent/NUMBER`.

    It is written under another name, synchronised to disk, and then renamed; of older ones the last is kept besides it.

    Arguments:
        tree: what to write; keys of dictionaries are strings.
        parent: the folder of checkpoints, made if it is not there.
        number: of this checkpoint, rising.

    Returns:
        The folder written.

    Raises:
        TypeError: a leaf of another type, or a key that is no string.
    """
    parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    plain = _flatten(tree, arrays)
    draft, final = parent / f".draft-{number:09d}", parent / f"{number:09d}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_file(arrays, draft / _ARRAYS)
    (draft / _TREE).write_text(json.dumps(plain), encoding="utf-8")
    for name in (_ARRAYS, _TREE):
        with (draft / name).open("rb") as written:
            os.fsync(written.fileno())
    if final.exists():
        shutil.rmtree(final)
    os.replace(draft, final)
    for old in checkpoints(parent)[:-_KEPT]:
        shutil.rmtree(old)
    return final


def checkpoints(parent: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    return sorted(p for p in parent.glob("[0-9]*") if p.is_dir() and p.name.isdigit())


def load_tree(path: Path) -> Any:
    """The tree of a checkpoint. Nothing in it can be executed.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        plain = json.loads((path / _TREE).read_text(encoding="utf-8"))
        arrays = load_file(path / _ARRAYS)
        return _restore(plain, arrays)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read: {error}; remove it to go on from the one before"
        ) from None


def _flatten(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value) or _REFERENCE in value:
            raise TypeError(f"keys of a checkpoint are strings other than {_REFERENCE!r}, got {list(value)[:5]}")
        return {key: _flatten(inner, arrays) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_flatten(inner, arrays) for inner in value]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise TypeError(f"a checkpoint cannot hold an array of {value.dtype}; give booleans, integers or floats")
        name = str(len(arrays))
        arrays[name] = np.ascontiguousarray(value)
        return {_REFERENCE: name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}; give arrays, numbers, strings, booleans or None")


def _restore(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, dict):
        if _REFERENCE in value:
            return arrays[value[_REFERENCE]].reshape(value["shape"])
        return {key: _restore(inner, arrays) for key, inner in value.items()}
    if isinstance(value, list):
        return [_restore(inner, arrays) for inner in value]
    return value
