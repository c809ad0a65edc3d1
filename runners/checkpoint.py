"""Checkpoints: a tree of plain values in one safetensors file, whole or not at all, with nothing in it to execute."""

__all__ = ["CheckpointError", "checkpoint_path", "checkpoints", "load_tree", "save_tree"]

import json
import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .storage import RunPath, is_local, listing, write_whole

_TREE = "tree"
_REFERENCE = "$array"
_SUFFIX = ".safetensors"
_DRAFT = ".draft"
_Arrays: TypeAlias = dict[str, list[NDArray[Any]]]
_UNREADABLE = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    SafetensorError,
    TypeError,
    ValueError,
)


class CheckpointError(ValueError):
    """A checkpoint that cannot be read: missing, damaged, or not one of ours.

    Not `ExperimentError`: the experiment beside it may be fine.
    """


def save_tree(tree: Any, parent: RunPath, number: int, *, kept: int = 2) -> RunPath:
    """Writes a tree of dictionaries, lists, arrays, numbers, strings, booleans and None as `parent/NUMBER.safetensors`.

    The file is written whole or not at all (`storage.write_whole`), on object stores too. Only then older ones go, but
    the newest `kept`; and so do later ones, of a future that was taken back.

    Its tensors are `tree`, the JSON of everything but arrays as UTF-8 bytes, and for each type of number (`float64`,
    `int64`, …) the elements of all arrays of that type in the order of the tree. The header is therefore small, however
    large the tree: safetensors limits it to 100 MB.

    Arguments:
        tree: what to write; keys of dictionaries are strings.
        parent: the folder of checkpoints, made if it is not there.
        number: of this checkpoint, rising, not negative.
        kept: how many stay, this one included.

    Returns:
        The file written.

    Raises:
        TypeError: a leaf of another type, or a key that is no string.
        ValueError: `number` or `kept` out of range.
    """
    if number < 0 or kept < 1:
        raise ValueError(f"number is {number} and kept {kept}, expected a number from 0 and at least 1 kept")
    arrays: _Arrays = {}
    text = json.dumps(_flatten(tree, arrays)).encode()
    tensors = {name: np.concatenate([a.reshape(-1) for a in found]) for name, found in arrays.items()}
    data = save({_TREE: np.frombuffer(text, np.uint8), **tensors})
    parent.mkdir(parents=True, exist_ok=True)
    final = checkpoint_path(parent, number)
    write_whole(final, data)
    _clear(parent, number, kept)
    return final


def checkpoint_path(parent: RunPath, number: int) -> RunPath:
    """The file of a checkpoint."""
    return parent / f"{number:09d}{_SUFFIX}"


def checkpoints(parent: RunPath) -> list[RunPath]:
    """The whole checkpoints in a folder, oldest first."""
    found = [path for path in listing(parent) if path.suffix == _SUFFIX and _is_number(path.stem)]
    return sorted(found, key=lambda path: int(path.stem))


def load_tree(path: RunPath) -> Any:
    """The tree of a checkpoint. Nothing in it can be executed, and it cannot grow beyond what is in the file.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        tensors = load(path.read_bytes())
        if _TREE not in tensors:
            raise ValueError(f"it has no tensor {_TREE!r}, which every checkpoint has")
        text = tensors.pop(_TREE)
        flat = all(tensor.ndim == 1 for tensor in tensors.values())
        if text.dtype != np.uint8 or text.ndim != 1 or not flat:
            raise ValueError(f"its tensors are not flat, or {_TREE!r} is not the bytes of a JSON text")
        return _Restorer(tensors).tree(json.loads(text.tobytes().decode()))
    except _UNREADABLE as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read: {error or type(error).__name__}; remove it to go on from the one before"
        ) from None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _clear(parent: RunPath, number: int, kept: int) -> None:
    """Removes what checkpoint `number` makes superfluous: older, taken back, and drafts that a crash left."""
    found = checkpoints(parent)
    numbers = [int(path.stem) for path in found]
    stay = [n for n in numbers if n <= number][-kept:]
    for path, n in zip(found, numbers, strict=True):
        if n not in stay:
            path.unlink(missing_ok=True)
    if is_local(parent):
        for path in listing(parent):
            if path.name.startswith(".") and path.suffix == _DRAFT:
                begun = path.name[1:].partition(".")[0]
                if _is_number(begun) and int(begun) < number:
                    path.unlink(missing_ok=True)


def _flatten(value: Any, arrays: _Arrays) -> Any:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value) or _REFERENCE in value:
            raise TypeError(f"keys of a checkpoint are strings other than {_REFERENCE!r}, got {list(value)[:5]}")
        return {key: _flatten(inner, arrays) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_flatten(inner, arrays) for inner in value]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise TypeError(f"a checkpoint cannot hold an array of {value.dtype}; give booleans, integers or floats")
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        arrays.setdefault(native.dtype.name, []).append(native)
        return {_REFERENCE: native.dtype.name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}; give arrays, numbers, strings, booleans or None")


class _Restorer:
    """Cuts the arrays of a tree out of the tensors, in the order in which `_flatten` met them, each element once."""

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self._tensors, self._used = tensors, dict.fromkeys(tensors, 0)

    def tree(self, plain: Any) -> Any:
        restored = self._restore(plain)
        left = {name: len(tensor) - self._used[name] for name, tensor in self._tensors.items()}
        if any(left.values()):
            raise ValueError(f"the tree leaves elements of its tensors over: {left}")
        return restored

    def _restore(self, value: Any) -> Any:
        if isinstance(value, dict):
            if _REFERENCE in value:
                return self._array(value)
            return {key: self._restore(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._restore(inner) for inner in value]
        return value

    def _array(self, reference: dict[str, Any]) -> NDArray[Any]:
        name, shape = reference[_REFERENCE], reference.get("shape")
        if not (isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)):
            raise ValueError(f"an array has the shape {shape!r:.80}, expected a list of sizes")
        if not isinstance(name, str) or name not in self._tensors:
            raise ValueError(f"an array is in the tensor {name!r:.80}, which is not there")
        begin, tensor = self._used[name], self._tensors[name]
        end = begin + math.prod(shape)
        if end > len(tensor):
            raise ValueError(f"an array of shape {shape!r:.80} does not fit into what is left of {name}")
        self._used[name] = end
        return tensor[begin:end].reshape(shape).copy()
