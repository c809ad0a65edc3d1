"""Real data as checked batches: the embedded digits, files in MNIST's format, a user's own arrays."""

__all__ = [
    "Dataset",
    "DatasetCorrupt",
    "DatasetError",
    "DatasetNotFound",
    "DatasetOptionError",
    "load_dataset",
    "load_digits",
    "load_mnist_format",
    "load_npz",
    "read_idx",
]

import gzip
import hashlib
import inspect
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .space import Batch, BatchError, Space, Variable

Part = Literal["all", "train", "test"]


class DatasetError(ValueError):
    """Parent of what can go wrong with a data set; never raised itself.

    Not `UnknownNameError`, which is about a name of a data set, an option or an array that is not known, and
    not `BatchError`, which is about rows that do not fit a space.
    """


class DatasetOptionError(DatasetError):
    """A value that an option of a loader cannot take.

    Not `DatasetCorrupt`: the request is wrong, whatever the files hold.
    """


class DatasetNotFound(DatasetError):
    """The files of a data set are in none of the places looked in, cannot be opened, or cannot be downloaded.

    Not `DatasetCorrupt`: no file was read.
    """


class DatasetCorrupt(DatasetError):
    """A file was read, and does not hold what it should.

    Not `DatasetNotFound`: the file is there.
    """


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
    """The data set called `digits`, `mnist` or `fashion-mnist`.

    Arguments:
        name: one of the names above.
        options: keyword arguments of `load_digits` or `load_mnist_format`.

    Raises:
        UnknownNameError: no data set has this name, or its loader no such option; the nearest is suggested.
        DatasetError: see the loader.

    >>> load_dataset("digits", binarize=0.5).batch.space.names
    ('label', 'x')
    """
    loaders: dict[str, Callable[..., Dataset]] = {"digits": load_digits}
    loaders |= {known: partial(load_mnist_format, known) for known in _PUBLISHED}
    loader = loaders[require_name("data set", name, loaders)]
    for option in options:
        require_name(f"option of data set {name!r},", option, inspect.signature(loader).parameters)
    return loader(**options)


def load_digits(*, binarize: float | None = None) -> Dataset:
    """The 1,797 scans of handwritten digits that scikit-learn carries.

    Variables: `label`, categorical with 10 classes, and `x`, `[n, 8, 8]`, real in [0, 1] (the scans' 0 … 16
    divided by 16) or binary.

    Arguments:
        binarize: a pixel becomes 1 where its value in [0, 1] is above this; None leaves it real.

    Raises:
        DatasetOptionError: `binarize` outside [0, 1].

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998; the part that its authors keep for tests.

    >>> digits = load_digits(binarize=0.5)
    >>> len(digits), digits.batch["x"].shape, digits.batch["x"].dtype.name
    (1797, (1797, 8, 8), 'uint8')
    >>> digits.labels[:3]
    array([0, 1, 2], dtype=int32)
    """
    _check_binarize(binarize)
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

    They are looked for in `$NASHGOSSIP_DATA` (its subfolder `name`, then the folder itself), the user's cache
    and `/usr/share/datasets/name`. Only when they are in none of them are they downloaded to the cache, each
    checked against its published MD5. Files of one's own in the same format may take the published ones'
    place, of any image size. A folder with the labels of the other data set is passed over: the file names
    are the same.

    Variables: `label`, categorical with 10 classes, and `x`, `[n, rows, columns]`, real in [0, 1] (the bytes
    divided by 255) or binary.

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

    Sources: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998;
    H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms, 2017.
    """
    require_name("data set in MNIST's format,", name, _PUBLISHED)
    require_name("part", part, get_args(Part))
    _check_binarize(binarize)
    if base_url is not None and not str(base_url).startswith(("http://", "https://")):
        raise DatasetOptionError(f"base_url is {base_url!r}, expected an address with http:// or https://")
    stems = {"train": _TRAIN, "test": _TEST, "all": _TRAIN + _TEST}[part]
    paths = _locate(name, stems, root, base_url)
    pairs = [_read_pair(paths[k], paths[k + 1]) for k in range(0, len(paths), 2)]
    if len({images.shape[1:] for images, _ in pairs}) > 1:
        sizes = [f"{images.shape[1:]} in {path}" for (images, _), path in zip(pairs, paths[::2], strict=True)]
        raise DatasetCorrupt(f"images for training and for tests differ in size: {' and '.join(sizes)}")
    images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    return _scans(name, images, labels, 255, binarize)


def load_npz(path: str | Path, label: str | None = None) -> Dataset:
    """The arrays of one's own `.npz` file, each `[n, *shape]`, as variables of the arrays' names.

    Booleans, and unsigned bytes that are all 0 or 1, are binary; other integers are counts; floats are real.

    Arguments:
        path: a file that `numpy.savez` or `numpy.savez_compressed` wrote. Nothing in it is unpickled.
        label: the array of integers 0, 1, … that is each row's class; it becomes categorical, with as many
            categories as its largest value needs.

    Raises:
        UnknownNameError: no array is called `label`; the nearest is suggested.
        DatasetNotFound: the file cannot be opened.
        DatasetCorrupt: it is no such archive, is damaged, or holds arrays that are no variables.
    """
    path = Path(path)
    arrays = _read_npz(path)
    if label is not None:
        require_name(f"array in {path},", label, arrays)
    try:
        space = Space(tuple(_infer(name, array, name == label) for name, array in arrays.items()))
        batch = space.batch(arrays)
    except (_NoVariable, BatchError) as error:
        raise DatasetCorrupt(f"{path}: {error}") from error
    return Dataset(path.stem, batch, label)


def read_idx(path: str | Path) -> NDArray[Any]:
    """The array in a file of the IDX format, plain or gzipped, in the machine's byte order.

    The format: two zero bytes, the type, the number d of dimensions, d sizes of four bytes, then the
    values, all big-endian, the last dimension fastest. No more memory is taken than the file fills,
    whatever its header promises.

    Raises:
        DatasetNotFound: the file cannot be opened.
        DatasetCorrupt: it is damaged, or is not such a file.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998.
    """
    path = Path(path)
    try:
        with _open(path) as stream:
            dtype, shape = _read_header(path, stream)
            promised = math.prod(shape) * dtype.itemsize
            payload = _read_up_to(stream, promised + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetCorrupt(f"{path} is a damaged gzip file ({error}); fetch it anew") from error
    except OSError as error:
        raise DatasetNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    if len(payload) != promised:
        came = f"{len(payload)} came" if len(payload) < promised else "more came"
        raise DatasetCorrupt(
            f"{path} is {'truncated' if len(payload) < promised else 'too long'}: its header promises"
            f" {shape} values of type {dtype.name}, {promised} bytes, and {came}; fetch it anew"
        )
    array = np.frombuffer(payload, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


# --- files in MNIST's format -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Published:
    """Where a data set is published.

    `md5`: of each gzipped file, as downloaded. `labels_md5`: of the unpacked labels for training and for
    tests, which say whose files they are however they are packed.
    """

    url: str
    md5: Mapping[str, str]
    labels_md5: tuple[str, str]
    remedy: str = ""


_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SYSTEM = Path("/usr/share/datasets")
_CHUNK = 1 << 20
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_DIMENSIONS = 8

_PUBLISHED = {
    "mnist": _Published(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        ("a25bea736e30d166cdddb491f175f624", "27ae3e4e09519cfbb04c329615203637"),
    ),
    "fashion-mnist": _Published(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        ("9018921c3c673c538a1fc5bad174d6f9", "15d484375f8d13e6eb1aabb0c3f46965"),
        "install Debian's package dataset-fashion-mnist, ",
    ),
}


def _locate(name: str, stems: tuple[str, ...], root: str | Path | None, base_url: str | None) -> list[Path]:
    """The files called `stems`, from the first folder that has them all, or downloaded."""
    looked: list[str] = []
    for folder, downloaded in _folders(name, root):
        paths, problem = _in_folder(folder, name, stems, downloaded)
        if not problem:
            return paths
        looked.append(f"{folder} ({problem})")
    if root is not None:
        raise DatasetNotFound(
            f"the files of {name!r} are not in {' or '.join(looked)}; correct root, or leave it out"
        )
    return _download(name, stems, base_url or _PUBLISHED[name].url, looked)


def _folders(name: str, root: str | Path | None) -> Iterator[tuple[Path, bool]]:
    """Folders to look in, and whether what lies there was downloaded."""
    own = os.environ.get("NASHGOSSIP_DATA") if root is None else root
    if own:
        yield Path(own).expanduser() / name, False
        yield Path(own).expanduser(), False
    if root is None:
        yield _cache(name), True
        yield _SYSTEM / name, False


def _cache(name: str) -> Path:
    import pooch

    return Path(pooch.os_cache("nashgossip")) / name


def _in_folder(folder: Path, name: str, stems: tuple[str, ...], downloaded: bool) -> tuple[list[Path], str]:
    """The files in `folder`, and what is wrong with them: nothing, if it is empty."""
    paths = []
    for stem in stems:
        found = [p for p in (folder / f"{stem}.gz", folder / stem) if os.path.isfile(p)]
        if not found:
            return [], f"no {stem}.gz"
        path = found[0]
        try:
            if downloaded and path.suffix == ".gz" and _md5(path.open("rb")) != _PUBLISHED[name].md5[stem]:
                return [], f"{path.name} has not the published checksum"
            owner = _owner(path) if "labels" in stem else None
        except OSError as error:
            return [], f"{path.name} cannot be read: {error.strerror or error}"
        if owner not in (None, name):
            return [], f"{path.name} is that of {owner!r}"
        paths.append(path)
    return paths, ""


def _owner(labels: Path) -> str | None:
    """The published data set whose labels these are; None for a user's own, and for damaged files."""
    try:
        digest = _md5(_open(labels))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return None
    return next((name for name, published in _PUBLISHED.items() if digest in published.labels_md5), None)


def _md5(stream: IO[bytes] | gzip.GzipFile) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(name: str, stems: tuple[str, ...], base_url: str, looked: list[str]) -> list[Path]:
    import pooch

    published = _PUBLISHED[name]
    registry = {f"{stem}.gz": f"md5:{published.md5[stem]}" for stem in stems}
    fetcher = pooch.create(path=_cache(name), base_url=f"{base_url.rstrip('/')}/", registry=registry)
    paths = []
    for file, checksum in registry.items():
        try:
            paths.append(Path(fetcher.fetch(file, downloader=pooch.HTTPDownloader(timeout=30))))
        except OSError as error:  # requests' exceptions are OSErrors, the ValueErrors among them too
            raise DatasetNotFound(
                f"the files of {name!r} are not in {', '.join(looked)}, and {file} cannot be downloaded from"
                f" {base_url} ({type(error).__name__}: {error}); set NASHGOSSIP_DATA to a folder that has"
                f" them, {published.remedy}or connect to the network once"
            ) from error
        except ValueError as error:
            raise DatasetCorrupt(
                f"{file} from {base_url} has another checksum than the published {checksum}, and was thrown"
                " away; try again, or take another base_url"
            ) from error
    return paths


def _read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images `[n, rows, columns]` and labels `[n]`."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, expected in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != expected or array.dtype != np.uint8:
            raise DatasetCorrupt(
                f"{path} holds {array.ndim} dimensions of type {array.dtype.name},"
                f" expected {expected} of type uint8"
            )
    if len(images) != len(labels):
        raise DatasetCorrupt(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels,"
            " expected as many"
        )
    if labels.max() > 9:
        raise DatasetCorrupt(f"{labels_path} holds label {labels.max()}, expected 0 to 9")
    return images, labels


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The file, unpacked if its first bytes are those of gzip, whatever its name."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def _read_header(path: Path, stream: IO[bytes] | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    good = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _IDX_TYPES
    if not good or not 1 <= magic[3] <= _IDX_DIMENSIONS:
        raise DatasetCorrupt(
            f"{path} begins with {magic.hex(' ') or 'nothing'}, expected the magic number of IDX: 00 00,"
            f" a type (08 is unsigned bytes) and 1 to {_IDX_DIMENSIONS} dimensions"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DatasetCorrupt(f"{path} is truncated within its header, expected {magic[3]} sizes of 4 bytes")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if not all(shape):
        raise DatasetCorrupt(f"{path} holds an array of shape {shape}, expected at least one value")
    return np.dtype(_IDX_TYPES[magic[2]]), shape


def _read_up_to(stream: IO[bytes] | gzip.GzipFile, limit: int) -> bytearray:
    """At most `limit` bytes, taken piecewise: asking for all of them at once would allocate them all."""
    payload = bytearray()
    while len(payload) < limit and (chunk := stream.read(min(_CHUNK, limit - len(payload)))):
        payload += chunk
    return payload


# --- shared ------------------------------------------------------------------------------------------------


def _scans(
    name: str, images: NDArray[np.uint8], labels: NDArray[Any], top: int, binarize: float | None
) -> Dataset:
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


def _check_binarize(binarize: float | None) -> None:
    if binarize is None:
        return
    if isinstance(binarize, bool) or not isinstance(binarize, (int, float)) or not 0 <= binarize <= 1:
        raise DatasetOptionError(f"binarize is {binarize!r}, expected a threshold between 0 and 1, or None")


class _NoVariable(ValueError):
    """An array that cannot be a variable."""


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DatasetNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    with stream:
        try:
            arrays = _read_arrays(stream)
        except _NPZ_DAMAGE as error:
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


_NPZ_DAMAGE = (
    OSError,
    TypeError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,  # a header that promises more than there is
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


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
