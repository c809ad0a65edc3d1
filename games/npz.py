"""A user's own arrays in a `.npz` file, as a data set."""

__all__ = ["NPZ_DAMAGE", "load_npz", "read_archive"]

import tokenize
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetCorrupt, DatasetNotFound, DatasetOptionError
from .datasets import Dataset
from .space import BatchError, Space, Variable

NPZ_DAMAGE = (
    OSError,
    TypeError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,  # a header that promises more than there is
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,  # a header that is no Python literal
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged .npz file raises."""


def load_npz(path: str | Path, label: str | None = None, classes: int | None = None) -> Dataset:
    """The arrays of one's own `.npz` file, each `[n, *shape]`, as variables of the arrays' names.

    Booleans, and unsigned bytes that are all 0 or 1, are binary; other integers are counts; floats are real.

    Arguments:
        path: a file that `numpy.savez` or `numpy.savez_compressed` wrote. Nothing in it is unpickled.
        label: the array of integers 0, 1, … that is each row's class; it becomes categorical, with as many categories
            as its largest value needs.
        classes: number of categories of the label, where the rows do not hold the last of them.

    Raises:
        DatasetOptionError: `classes` without a label, or fewer than the label has.
        UnknownNameError: no array is called `label`; the nearest is suggested.
        DatasetNotFound: the file cannot be opened.
        DatasetCorrupt: it is no such archive, is damaged, or holds arrays that are no variables.
    """
    path = Path(path)
    if classes is not None and (label is None or isinstance(classes, bool) or not isinstance(classes, int)):
        raise DatasetOptionError(
            f"classes is {classes!r} with label {label!r}, expected a number of categories of a label that is named"
        )
    arrays = read_archive(path)
    if label is not None:
        require_name(f"array in {path},", label, arrays)
    try:
        space = Space(tuple(_infer(name, array, name == label) for name, array in arrays.items()))
        batch = space.batch(arrays)
    except (_NoVariable, BatchError) as error:
        raise DatasetCorrupt(f"{path}: {error}") from error
    if classes is None or label is None:
        return Dataset(path.stem, batch, label)
    there = space[label].categories or 0
    if classes < there:
        raise DatasetOptionError(f"classes is {classes}, but label {label!r} in {path} needs {there}; make it as many")
    space = Space(tuple(replace(v, categories=classes) if v.name == label else v for v in space))
    return Dataset(path.stem, space.batch(batch.arrays), label)


class _NoVariable(ValueError):
    """An array that cannot be a variable."""


def read_archive(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a `.npz` file by name, at least one. Nothing in it is unpickled.

    Raises:
        DatasetNotFound: the file cannot be opened.
        DatasetCorrupt: it is no such archive, or is damaged.
    """
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        why = getattr(error, "strerror", None) or error
        raise DatasetNotFound(f"{path} cannot be read: {why}") from error
    with stream:
        try:
            arrays = _read_arrays(stream)
        except NPZ_DAMAGE as error:
            raise DatasetCorrupt(
                f"{path} is no archive of plain arrays as numpy.savez writes it, or is damaged"
                f" ({type(error).__name__}: {error})"
            ) from error
    if not arrays:
        raise DatasetCorrupt(f"{path} holds no array, expected at least one")
    return arrays


def _read_arrays(stream: IO[bytes]) -> dict[str, NDArray[Any]]:
    archive = np.load(stream, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise TypeError("it holds one bare array")
    with archive:
        arrays = {name: archive[name] for name in archive.files}
    strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:  # a member that is not in numpy's format comes as bytes
        raise TypeError(f"{', '.join(strange)} is no array")
    return arrays


def _infer(name: str, array: NDArray[Any], label: bool) -> Variable:
    kind = array.dtype.kind
    if array.ndim == 0 or 0 in array.shape or kind not in "biuf":
        raise _NoVariable(
            f"array {name!r} has shape {array.shape} and dtype {array.dtype}, expected rows of booleans,"
            " integers or floats"
        )
    shape = array.shape[1:]
    if label:
        if kind not in "iu" or shape or array.min() < 0 or array.max() > np.iinfo(np.int32).max:
            raise _NoVariable(f"array {name!r} cannot be the label, expected integers 0, 1, … of shape (n,)")
        return Variable(name, "categorical", categories=int(array.max()) + 1)
    if kind == "f":
        return Variable(name, "real", shape)
    if kind == "b" or (array.dtype == np.uint8 and array.max() <= 1):
        return Variable(name, "binary", shape)
    if array.min() < 0 or array.max() > np.iinfo(np.int64).max:
        raise _NoVariable(
            f"array {name!r} holds {array.min()} to {array.max()}, expected counts 0, 1, …; save it as floats"
            " to have it real"
        )
    return Variable(name, "count", shape)
