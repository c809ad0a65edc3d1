"""Medical images: files in the format of MedMNIST, which has images and labels for training, validation and tests."""

__all__ = ["load_medmnist"]

import os
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetCorrupt, DatasetNotFound, DatasetOptionError
from .datasets import Dataset, check_binarize
from .npz import read_archive
from .space import Space, Variable

_Part = Literal["all", "train", "val", "test", "train+val"]
_LUMA = np.array([0.299, 0.587, 0.114])
_WHERE = "https://medmnist.com lists the files and where to download them"
_PLACES = "put it where you run, into $NASHGOSSIP_DATA, its subfolder medmnist, or ~/.medmnist"


def load_medmnist(
    file: str | Path,
    *,
    part: _Part = "all",
    image: str = "x",
    label: str = "label",
    classes: int | None = None,
    gray: bool = False,
    binarize: float | None = None,
) -> Dataset:
    """The images of one MedMNIST file, such as `pneumoniamnist.npz`, and their labels. Nothing is downloaded.

    The file holds `train_images`, `val_images` and `test_images`, bytes `[n, rows, columns]`
    or `[n, rows, columns, 3]`, and `train_labels`, `val_labels` and `test_labels`, `[n, 1]`: one class a row.

    Variables: `label`, categorical, and the image, real in [0, 1] (the bytes divided by 255) or binary. Hospitals that
    have different modalities give their images different names and their labels the same one, so that labels alone
    travel between them.

    Arguments:
        file: path of the file. Where there is none, a file of that name is looked for in `$NASHGOSSIP_DATA`, in its
            subfolder `medmnist`, and in `~/.medmnist`, where the package medmnist puts its downloads.
        part: which rows; `all` has those for training first, then those for validation and tests.
        image: what the image is called.
        label: what the label is called.
        classes: number of classes; None takes the largest label of the whole file plus one. Files that share labels
            must have the same number.
        gray: colour images become gray by the luma of ITU-R BT.601; gray ones stay as they are.
        binarize: a pixel becomes 1 where its value in [0, 1] is above this; None leaves it real.

    Raises:
        UnknownNameError: another `part`; the nearest is suggested.
        DatasetOptionError: a value that `binarize` or `classes` cannot take, or one name for image and label.
        DatasetNotFound: the file is in none of these places, or cannot be opened.
        DatasetCorrupt: it is no MedMNIST file, is damaged, or its rows have several labels each.

    Source: J. Yang et al., MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image
    classification, 2023.
    """
    require_name("part", part, get_args(_Part))
    check_binarize(binarize)
    if image == label:
        raise DatasetOptionError(f"image and label are both called {image!r}, expected two names")
    path = _located(Path(file))
    arrays = read_archive(path)
    parts = ("train", "val", "test") if part == "all" else tuple(part.split("+"))
    known = [_pair(path, arrays, name) for name in ("train", "val", "test")]
    largest = max(int(labels.max()) for _, labels in known)
    if classes is not None and classes <= largest:
        raise DatasetOptionError(f"classes are {classes}, but {path} has labels up to {largest}")
    chosen = [_pair(path, arrays, name) for name in parts]
    if len({images.shape[1:] for images, _ in known}) > 1:
        raise DatasetCorrupt(f"{path}: images for training, validation and tests differ in size")
    pixels = np.concatenate([images for images, _ in chosen]) / 255.0
    labels = np.concatenate([labels for _, labels in chosen])
    if gray and pixels.ndim == 4:
        pixels = np.clip(pixels @ _LUMA, 0.0, 1.0)
    shape = pixels.shape[1:]
    variable, values = Variable(image, "real", shape, low=0.0, high=1.0), pixels
    if binarize is not None:
        variable, values = Variable(image, "binary", shape), (pixels > binarize).astype(np.uint8)
    values.flags.writeable = False  # spares the batch a copy
    space = Space((Variable(label, "categorical", categories=classes or largest + 1), variable))
    return Dataset(path.stem, space.batch({label: labels, image: values}), label)


def _located(file: Path) -> Path:
    """Where the file is."""
    own = os.environ.get("NASHGOSSIP_DATA")
    folders = [Path(own).expanduser(), Path(own).expanduser() / "medmnist"] if own else []
    places = [file, *(folder / file for folder in [*folders, Path.home() / ".medmnist"])]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(map(str, dict.fromkeys(places)))
        raise DatasetNotFound(f"there is no file {file} (looked at {looked}); {_PLACES}; {_WHERE}")
    return found


def _pair(path: Path, arrays: dict[str, NDArray[Any]], part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels `[n]` of one part."""
    names = f"{part}_images", f"{part}_labels"
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DatasetCorrupt(
            f"{path} is no MedMNIST file: it lacks {', '.join(missing)} and holds {', '.join(arrays)}; {_WHERE}"
        )
    images, labels = (arrays[name] for name in names)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise DatasetCorrupt(
            f"{path}: {names[0]} has shape {images.shape} and dtype {images.dtype}, expected bytes"
            " [n, rows, columns] or [n, rows, columns, 3]; volumes (the 3D files) are not read"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise DatasetCorrupt(
            f"{path}: {names[1]} has {labels.shape[1]} labels a row, expected one class a row; files with several"
            " labels a row (ChestMNIST) cannot be classes of a player"
        )
    flat = labels.reshape(-1)
    if len(flat) != len(images) or not len(flat) or flat.dtype.kind not in "iu" or flat.min() < 0:
        raise DatasetCorrupt(
            f"{path}: {names[1]} has shape {labels.shape} and dtype {labels.dtype}, expected one class 0, 1, … for each"
            f" of {len(images)} images"
        )
    return images, flat.astype(np.int64)
