"""Real data as checked batches: the embedded digits, MNIST, Fashion-MNIST, words, or rows of one's own."""

__all__ = ["Dataset", "check_binarize", "load_dataset", "load_digits", "load_mnist_format"]

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetOptionError
from .mnist_format import PUBLISHED, Part, read_mnist_format
from .space import Batch, Space, Variable


@dataclass(frozen=True)
class Dataset:
    """All rows of a data set.

    Arguments:
        name: how the data set is called in reports.
        batch: the rows, over a space of named variables.
        label: the scalar categorical variable that is each row's class; None when there is none.

    Raises:
        DatasetOptionError: `label` is not a scalar categorical variable of the batch.
    """

    name: str
    batch: Batch
    label: str | None = None

    def __post_init__(self) -> None:
        if self.label is None:
            return
        space = self.batch.space
        if self.label not in space or space[self.label].kind != "categorical" or space[self.label].shape:
            raise DatasetOptionError(
                f"{self.label!r} cannot label data set {self.name!r}, expected a scalar categorical variable"
                f" among {', '.join(space.names)}"
            )

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """`[n]`, the class of each row; None when the data set has no label."""
        return None if self.label is None else self.batch[self.label]

    @property
    def classes(self) -> int | None:
        """Number of classes; None when the data set has no label."""
        return None if self.label is None else self.batch.space[self.label].categories


def load_dataset(name: str, **options: Any) -> Dataset:
    """The data set of that name.

    Arguments:
        name: `digits`, `mnist`, `fashion-mnist`, `polymnist`, `polymnist-built`, `words`, `breast-cancer`, `medmnist`,
            or `random-tables`.
        options: keyword arguments of its loader, such as `load_digits`, `load_mnist_format` or `load_medmnist`.

    Raises:
        UnknownNameError: no data set has this name, or its loader no such option; the nearest is suggested.
        DatasetError: an option is missing, or see the loader.

    >>> load_dataset("digits", binarize=0.5).batch.space.names
    ('label', 'x')
    """
    from .breast_cancer import load_breast_cancer  # these make data sets, so that they import this module
    from .medmnist import load_medmnist
    from .polymnist import load_built_polymnist, load_published_polymnist
    from .random_tables import load_random_tables
    from .words import load_words

    loaders: dict[str, Callable[..., Dataset]] = {
        "breast-cancer": load_breast_cancer,
        "digits": load_digits,
        "medmnist": load_medmnist,
        "polymnist": load_published_polymnist,
        "polymnist-built": load_built_polymnist,
        "words": load_words,
        "random-tables": load_random_tables,
    }
    loaders |= {known: partial(load_mnist_format, known) for known in PUBLISHED}
    loader = loaders[require_name("data set", name, loaders)]
    for option in options:
        require_name(f"option of data set {name!r},", option, inspect.signature(loader).parameters)
    for option, parameter in inspect.signature(loader).parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise DatasetOptionError(f"data set {name!r} needs the option {option!r}, which is not given")
    return loader(**options)


def load_digits(*, binarize: float | None = None) -> Dataset:
    """The 1,797 scans of handwritten digits that scikit-learn carries.

    Variables: `label`, categorical with 10 classes, and `x`, `[n, 8, 8]`, real in [0, 1] (the scans' 0 … 16 divided by
    16) or binary.

    Arguments:
        binarize: a pixel becomes 1 where its value in [0, 1] is above this; None leaves it real.

    Raises:
        DatasetOptionError: `binarize` outside [0, 1].

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998;
    the part that its authors keep for tests.

    >>> digits = load_digits(binarize=0.5)
    >>> len(digits), digits.batch["x"].shape, digits.batch["x"].dtype.name
    (1797, (1797, 8, 8), 'uint8')
    >>> digits.labels[:3]
    array([0, 1, 2], dtype=int32)
    """
    check_binarize(binarize)
    from sklearn.datasets import load_digits as load_scans

    scans = load_scans()
    return _scans("digits", scans.images.astype(np.uint8), scans.target, 16, binarize)


def load_mnist_format(
    name: str,
    *,
    root: str | Path | None = None,
    binarize: float | None = None,
    part: Part = "all",
    base_url: str | None = None,
) -> Dataset:
    """MNIST or Fashion-MNIST, from files in MNIST's format, plain or gzipped.

    They are looked for in `$NASHGOSSIP_DATA` (its subfolder `name`, then the folder itself), the user's cache and
    `/usr/share/datasets/name`. Only when they are in none of them are they downloaded to the cache, each checked
    against its published MD5. Files of one's own in the same format may take the published ones' place, of any image
    size. A folder with the labels of the other data set is passed over: the file names are the same.

    Variables: `label`, categorical with 10 classes, and `x`, `[n, rows, columns]`, real in [0, 1] (the bytes divided by
    255) or binary.

    Arguments:
        name: `mnist` or `fashion-mnist`.
        root: look in this folder alone (and its subfolder `name`), and do not download.
        binarize: a pixel becomes 1 where its value in [0, 1] is above this; None leaves it real.
        part: the 60,000 rows for training, the 10,000 for tests, or all, those for training first.
        base_url: download from here instead of the published address.

    Raises:
        UnknownNameError: another `name` or `part`; the nearest is suggested.
        DatasetOptionError: a value that `binarize` or `base_url` cannot take.
        DatasetNotFound: the files are nowhere, and cannot be downloaded.
        DatasetCorrupt: a file is damaged, or a downloaded file has another checksum.

    Sources: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998; H. Xiao, K. Rasul
    and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms, 2017.
    """
    check_binarize(binarize)
    images, labels = read_mnist_format(name, root=root, part=part, base_url=base_url)
    return _scans(name, images, labels, 255, binarize)


def _scans(name: str, images: NDArray[np.uint8], labels: NDArray[Any], top: int, binarize: float | None) -> Dataset:
    """A data set of `images`, `[n, rows, columns]` with values 0 … top, and `labels`, `[n]`."""
    intensity = np.arange(top + 1) / top
    values: NDArray[Any]
    rows, columns = images.shape[1:]
    if binarize is None:
        pixel = Variable("x", "real", (rows, columns), low=0.0, high=1.0)
        values = intensity[images]
    else:
        pixel = Variable("x", "binary", (rows, columns))
        values = (intensity > binarize).astype(np.uint8)[images]
    values.flags.writeable = False  # spares the batch a copy
    space = Space((Variable("label", "categorical", categories=10), pixel))
    return Dataset(name, space.batch({"label": labels, "x": values}), "label")


def check_binarize(binarize: float | None) -> None:
    """Refuses what is no threshold in [0, 1].

    Raises:
        DatasetOptionError: it is none.
    """
    if binarize is None:
        return
    if isinstance(binarize, bool) or not isinstance(binarize, (int, float)) or not 0 <= binarize <= 1:
        raise DatasetOptionError(f"binarize is {binarize!r}, expected a threshold between 0 and 1, or None")
