"""Digits inverted into crops of five photographs of scikit-image, kept on disk between runs."""

__all__ = ["PHOTOGRAPHS", "SIDE", "STROKE", "STYLES", "build_polymnist", "invert_into", "load_photographs"]

import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset_errors import DatasetNotFound
from .npz import NPZ_DAMAGE

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "immunohistochemistry", "rocket")
"""Functions of `skimage.data` whose files come with scikit-image; the position is the style."""

STYLES = len(PHOTOGRAPHS)
SIDE = 28
STROKE = 128
"""A pixel of MNIST belongs to the digit where its byte is above this, as in PolyMNIST."""

_VERSION = "1"
"""Part of the name in the cache: change it when what is built changes."""
_NAMES = ("c", "d", "s", "x")


def build_polymnist(
    images: NDArray[np.uint8], labels: NDArray[Any], *, seed: int, key: str, folder: Path | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays `c`, `d`, `s` and `x` (bytes, `[n, 3, 28, 28]`), built once and then read from disk.

    A file that is damaged is not trusted: a warning names it, and it is built anew.

    Arguments:
        images: digits, `[n, 28, 28]`.
        labels: their classes, `[n]`.
        seed: of styles and crops.
        key: tells streams of the same seed apart, such as the part of MNIST.
        folder: where it is kept; None takes `built` in the user's cache.

    Raises:
        DatasetNotFound: scikit-image or a photograph is not there.
    """
    photographs = load_photographs()
    digest = hashlib.sha256(f"polymnist {_VERSION} {seed} {key}".encode())
    for array in (images, labels, *photographs):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    path = _place(folder) / f"polymnist-{digest.hexdigest()[:32]}.npz"
    kept = _read(path)
    if kept is not None:
        return kept
    stream = np.frombuffer(hashlib.sha256(f"{seed} {key}".encode()).digest(), np.uint32)
    built = invert_into(images > STROKE, labels, photographs, np.random.default_rng(stream))
    _write(path, built)
    return built


def invert_into(
    digits: NDArray[np.bool_], labels: NDArray[Any], photographs: Sequence[NDArray[np.uint8]], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Each digit in one style: x is a crop of the photograph of its style, inverted (255 − x) where the digit is.

    Arguments:
        digits: `[n, 28, 28]`.
        labels: `[n]`.
        photographs: `[rows, columns, 3]` each, at least 28 × 28.
        rng: draws styles and crops, all equally likely.

    >>> grey = [np.full((30, 30, 3), 10 * k, np.uint8) for k in range(5)]
    >>> built = invert_into(np.eye(28, dtype=bool)[None], np.array([7]), grey, np.random.default_rng(0))
    >>> bool(built["x"][0, 0, 3, 3] == 255 - built["x"][0, 0, 3, 4])
    True
    """
    styles = rng.integers(len(photographs), size=len(digits))
    places = rng.random((len(digits), 2))
    x = np.empty((len(digits), 3, SIDE, SIDE), np.uint8)
    for k, (style, place) in enumerate(zip(styles, places, strict=True)):
        whole = photographs[style]
        top, left = (int(p * (size - SIDE + 1)) for p, size in zip(place, whole.shape, strict=False))
        crop = whole[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)
        x[k] = np.where(digits[k], 255 - crop, crop)
    return {"c": labels.astype(np.int32), "d": styles.astype(np.int32), "s": digits.astype(np.uint8), "x": x}


def load_photographs() -> list[NDArray[np.uint8]]:
    """The photographs of the five styles, `[rows, columns, 3]` bytes each. Nothing is downloaded.

    Raises:
        DatasetNotFound: scikit-image is not installed, or lacks a photograph.
    """
    try:
        import skimage.data
    except ModuleNotFoundError as error:
        raise DatasetNotFound(
            f"data set 'polymnist-built' is made of photographs of scikit-image, and {error.name} is not installed: "
            "pip install 'nashgossip[photographs]'; or take data set 'polymnist' with its published files"
        ) from None
    found = []
    for name in PHOTOGRAPHS:
        try:
            pixels = np.asarray(getattr(skimage.data, name)())
        except (AttributeError, OSError, ValueError, ImportError) as error:
            raise DatasetNotFound(
                f"scikit-image {version('scikit-image')} has no photograph {name!r} ({type(error).__name__}: {error}); "
                "install scikit-image 0.24 or newer: pip install -U 'nashgossip[photographs]'"
            ) from error
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or min(pixels.shape[:2]) < SIDE or pixels.shape[2] < 3:
            raise DatasetNotFound(
                f"photograph {name!r} of scikit-image is {pixels.dtype} of shape {pixels.shape}, expected bytes "
                f"[rows, columns, 3] of at least {SIDE}×{SIDE} pixels"
            )
        found.append(pixels[:, :, :3])
    return found


def _place(folder: Path | None) -> Path:
    import pooch

    return Path(pooch.os_cache("nashgossip")) / "built" if folder is None else folder


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    """What is kept there; None where there is nothing, or where a warning says that it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:  # the archive checks each array's own checksum
            return {name: archive[name] for name in _NAMES}
    except NPZ_DAMAGE as error:
        warnings.warn(f"what was built into {path} is damaged ({error}) and is built anew", stacklevel=4)
        return None


def _write(path: Path, built: dict[str, NDArray[Any]]) -> None:
    """Written under another name, then renamed; a folder that cannot be written to costs the next run its time."""
    payload = io.BytesIO()
    np.savez(payload, c=built["c"], d=built["d"], s=built["s"], x=built["x"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(payload.getbuffer())
        os.replace(draft.name, path)
    except OSError as error:
        warnings.warn(f"what was built cannot be kept in {path.parent}: {error}; make it writable", stacklevel=4)
