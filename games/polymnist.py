"""PolyMNIST, digits inverted into photographs: the published files, or the same kind of data built from MNIST."""

__all__ = ["load_built_polymnist", "load_published_polymnist"]

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetCorrupt, DatasetNotFound, DatasetOptionError
from .datasets import Dataset
from .mnist_format import Part, read_mnist_format
from .polymnist_build import SIDE, STROKE, STYLES, build_polymnist
from .space import Space, Variable

_VARIABLES = (
    Variable("c", "categorical", categories=10),
    Variable("d", "categorical", categories=STYLES),
    Variable("s", "binary", (SIDE, SIDE)),
    Variable("x", "real", (3, SIDE, SIDE), low=0.0, high=1.0),
)
_NAME = "polymnist"


def load_built_polymnist(
    *,
    part: Part = "train",
    rows: int | None = None,
    seed: int = 0,
    variables: Sequence[str] | None = None,
    root: str | Path | None = None,
) -> Dataset:
    """Digits of MNIST, each inverted into a random crop of one of five photographs that scikit-image carries.

    It is made as PolyMNIST is, with other photographs, and is not PolyMNIST: accuracies on one say nothing of the
    other. Every digit occurs once, in one style drawn at random.

    Variables: `c`, the digit, categorical with 10 classes; `d`, the style, categorical with 5; `s`, the segmentation,
    binary `(28, 28)`; `x`, the colour image, real in [0, 1], `(3, 28, 28)`.

    Arguments:
        part: digits from MNIST's rows for training, for tests, or all, those for training first.
        rows: how many rows, drawn at random; None for all. A row takes 19 kB.
        seed: of the rows, the styles and the crops. What is built is kept in the user's cache.
        variables: which of the four, None for all.
        root: where MNIST's files are; see `load_mnist_format`.

    Raises:
        DatasetOptionError: a number out of range, or no variables.
        DatasetNotFound: scikit-image, a photograph of it, or MNIST is not there.
        UnknownNameError: another part or variable.
    """
    chosen = _options(part, rows, variables)
    images, labels = read_mnist_format("mnist", root=root, part=part)
    if images.shape[1:] != (SIDE, SIDE):
        raise DatasetCorrupt(f"images of MNIST have sides {images.shape[1:]}, expected {(SIDE, SIDE)}")
    kept = _drawn(len(labels), rows, seed)
    built = build_polymnist(images[kept], labels[kept], seed=seed, key=f"{part} {rows}")
    return _dataset(f"built {_NAME}", built, chosen)


def load_published_polymnist(
    *,
    part: Part = "train",
    rows: int | None = None,
    seed: int = 0,
    variables: Sequence[str] | None = None,
    segmentations: bool = False,
    root: str | Path | None = None,
) -> Dataset:
    """PolyMNIST from its published files, `<root>/<train or test>/m<0 to 4>/<index>.<digit>.png`.

    They are looked for in `root`, else in `$NASHGOSSIP_DATA/polymnist` and in the user's cache; nothing is downloaded.
    Variables: `c`, `d` (the number after m) and `x`, as those of `load_built_polymnist`.

    Arguments:
        part: the files for training, for tests, or all.
        rows: how many rows, drawn at random; None for all: 300,000 for training, 5.6 GB.
        seed: of the rows and the segmentations.
        variables: which of them, None for all.
        segmentations: whether `s` is there too. The files have none: it is a digit of MNIST of the same class, but not
            the one in `x`. It is for games in which nobody observes both, such as `polymnist`.
        root: the folder.

    Raises:
        DatasetOptionError: a number out of range, or no variables.
        DatasetNotFound: the files are not there.
        DatasetCorrupt: a file is no image of 28×28 colour pixels, or its name holds no digit.
        UnknownNameError: another part or variable.

    Source: Sutter, Daunhawer & Vogt, *Generalized Multimodal ELBO*, 2021.
    """
    names = tuple(v.name for v in _VARIABLES if segmentations or v.name != "s")
    chosen = _options(part, rows, variables, names)
    files = _published_files(part, root)
    kept = [files[k] for k in _drawn(len(files), rows, seed)]
    arrays: dict[str, NDArray[Any]] = {
        "c": np.array([digit for _, _, digit in kept]),
        "d": np.array([style for _, style, _ in kept]),
    }
    if "x" in chosen:
        arrays["x"] = np.stack([_read_image(path) for path, _, _ in kept])
    if segmentations and "s" in chosen:
        arrays["s"] = _other_hands(arrays["c"], part, seed)
    return _dataset(_NAME, arrays, chosen)


def _options(
    part: str, rows: int | None, variables: Sequence[str] | None, known: Sequence[str] = ("c", "d", "s", "x")
) -> list[str]:
    """The variables wanted, once the options are known to be in order."""
    require_name("part", part, get_args(Part))
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise DatasetOptionError(f"rows is {rows!r}, expected a whole number of at least 1, or None for all")
    if variables is None:
        return list(known)
    if isinstance(variables, str) or not variables:
        raise DatasetOptionError(f"variables is {variables!r}, expected a list of some of {', '.join(known)}")
    for name in variables:
        require_name("variable of PolyMNIST,", name, known)
    return [name for name in known if name in variables]


def _drawn(there: int, rows: int | None, seed: int) -> NDArray[np.int64]:
    """Positions of the rows that are wanted."""
    if rows is None:
        return np.arange(there)
    if rows > there:
        raise DatasetOptionError(f"rows is {rows}, but there are {there}; ask for fewer, or leave it out")
    return np.sort(np.random.default_rng([seed, 0]).permutation(there)[:rows])


def _dataset(name: str, arrays: Mapping[str, NDArray[Any]], chosen: Sequence[str]) -> Dataset:
    space = Space(tuple(v for v in _VARIABLES if v.name in chosen))
    values = {v.name: arrays[v.name] / 255.0 if v.name == "x" else arrays[v.name] for v in space}
    return Dataset(name, space.batch(values), "c" if "c" in space else None)


def _published_files(part: Part, root: str | Path | None) -> list[tuple[Path, int, int]]:
    """Path, style and digit of each image, in an order that does not depend on the disk."""
    halves = ("train", "test") if part == "all" else (part,)
    looked = []
    for folder in _folders(root):
        found = [place for half in halves for k in range(STYLES) if (place := folder / half / f"m{k}").is_dir()]
        if len(found) == len(halves) * STYLES:
            return [entry for place in found for entry in _entries(place)]
        looked.append(str(folder))
    raise DatasetNotFound(
        f"PolyMNIST is not in {' or '.join(looked)}, where {'/'.join(halves)}/m0 to m{STYLES - 1} with files "
        "<index>.<digit>.png are expected; put its published files there (or set NASHGOSSIP_DATA), or take data set "
        "'polymnist-built', which makes the same kind of data from MNIST and photographs of scikit-image"
    )


def _folders(root: str | Path | None) -> list[Path]:
    if root is not None:
        return [Path(root).expanduser()]
    import pooch

    own = os.environ.get("NASHGOSSIP_DATA")
    return [*([Path(own).expanduser() / _NAME] if own else []), Path(pooch.os_cache("nashgossip")) / _NAME]


def _entries(folder: Path) -> list[tuple[Path, int, int]]:
    found = []
    for path in folder.glob("*.png"):
        index, _, digit = path.stem.partition(".")
        if not (index.isdecimal() and len(digit) == 1 and digit.isdecimal()):
            raise DatasetCorrupt(f"{path} is not called <index>.<digit>.png")
        found.append((int(digit), int(index), path))
    return [(path, int(folder.name[1:]), digit) for digit, _, path in sorted(found)]


def _read_image(path: Path) -> NDArray[np.uint8]:
    """`[3, 28, 28]`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetCorrupt(f"{path} is no image that can be read: {error}") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise DatasetCorrupt(f"{path} has {pixels.shape[1]}×{pixels.shape[0]} pixels, expected {SIDE}×{SIDE}")
    return pixels.transpose(2, 0, 1)


def _other_hands(digits: NDArray[Any], part: Part, seed: int) -> NDArray[np.uint8]:
    """A digit of MNIST of the same class for each row, binarised: `[n, 28, 28]`."""
    images, labels = read_mnist_format("mnist", part=part)
    rng = np.random.default_rng([seed, 2])
    found = np.empty((len(digits), SIDE, SIDE), np.uint8)
    for digit in np.unique(digits):
        there = np.flatnonzero(digits == digit)
        found[there] = images[rng.choice(np.flatnonzero(labels == digit), len(there))] > STROKE
    return found
