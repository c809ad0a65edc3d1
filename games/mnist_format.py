"""Files in MNIST's format: where they lie, downloading them, and the images and labels in them."""

__all__ = ["PUBLISHED", "Part", "read_mnist_format"]

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetCorrupt, DatasetNotFound, DatasetOptionError
from .idx import GZIP_DAMAGE, open_unpacked, read_idx

Part = Literal["all", "train", "test"]


@dataclass(frozen=True)
class _Published:
    """Where a data set is published.

    `md5`: of each gzipped file, as downloaded. `labels_md5`: of the unpacked labels for training and for tests, which
    say whose files they are however they are packed.
    """

    url: str
    md5: Mapping[str, str]
    labels_md5: tuple[str, str]
    remedy: str = ""


_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SYSTEM = Path("/usr/share/datasets")
_CHUNK = 1 << 20

PUBLISHED = {
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


def read_mnist_format(
    name: str, *, root: str | Path | None = None, part: Part = "all", base_url: str | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images and the labels of MNIST or Fashion-MNIST, as bytes.

    Arguments:
        name, root, part, base_url: see `load_mnist_format`.

    Returns:
        Images, `[n, rows, columns]`, and labels, `[n]`, 0 to 9.

    Raises:
        UnknownNameError: another `name` or `part`; the nearest is suggested.
        DatasetError: see `load_mnist_format`.
    """
    require_name("data set in MNIST's format,", name, PUBLISHED)
    require_name("part", part, get_args(Part))
    if base_url is not None and not str(base_url).startswith(("http://", "https://")):
        raise DatasetOptionError(f"base_url is {base_url!r}, expected an address with http:// or https://")
    stems = {"train": _TRAIN, "test": _TEST, "all": _TRAIN + _TEST}[part]
    paths = _locate(name, stems, root, base_url)
    pairs = [_read_pair(paths[k], paths[k + 1]) for k in range(0, len(paths), 2)]
    if len({images.shape[1:] for images, _ in pairs}) > 1:
        sizes = [f"{images.shape[1:]} in {path}" for (images, _), path in zip(pairs, paths[::2], strict=True)]
        raise DatasetCorrupt(f"images for training and for tests differ in size: {' and '.join(sizes)}")
    images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    return images, labels


def _locate(name: str, stems: tuple[str, ...], root: str | Path | None, base_url: str | None) -> list[Path]:
    """The files called `stems`, from the first folder that has them all, or downloaded."""
    looked: list[str] = []
    for folder, downloaded in _folders(name, root):
        paths, problem = _in_folder(folder, name, stems, downloaded)
        if not problem:
            return paths
        looked.append(f"{folder} ({problem})")
    if root is not None:
        raise DatasetNotFound(f"the files of {name!r} are not in {' or '.join(looked)}; correct root, or leave it out")
    return _download(name, stems, base_url or PUBLISHED[name].url, looked)


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
            if downloaded and path.suffix == ".gz" and _md5(path.open("rb")) != PUBLISHED[name].md5[stem]:
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
        digest = _md5(open_unpacked(labels))
    except GZIP_DAMAGE:
        return None
    return next((name for name, published in PUBLISHED.items() if digest in published.labels_md5), None)


def _md5(stream: IO[bytes] | GzipFile) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(name: str, stems: tuple[str, ...], base_url: str, looked: list[str]) -> list[Path]:
    import pooch

    published = PUBLISHED[name]
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
                f"{path} holds {array.ndim} dimensions of type {array.dtype.name}, expected {expected} of type uint8"
            )
    if len(images) != len(labels):
        raise DatasetCorrupt(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels, expected as many"
        )
    if labels.max() > 9:
        raise DatasetCorrupt(f"{labels_path} holds label {labels.max()}, expected 0 to 9")
    return images, labels
