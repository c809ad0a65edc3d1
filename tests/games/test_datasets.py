"""Data sets: the real files, damaged files, and downloads from a server of the test's own."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nashgossip.games.mnist_format as mnist_format
from nashgossip.games import (
    Dataset,
    DatasetCorrupt,
    DatasetNotFound,
    DatasetOptionError,
    Space,
    Variable,
    load_dataset,
    load_digits,
    load_mnist_format,
    load_npz,
)
from nashgossip.games.idx import read_idx
from nashgossip.topology import UnknownNameError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array: np.ndarray[Any, Any], code: int = 0x08) -> bytes:
    """`array` as the bytes of an IDX file."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def tiny(seed: int = 0, size: int = 3) -> dict[str, bytes]:
    """The four files of a data set in MNIST's format, 6 rows for training and 4 for tests."""
    rng = np.random.default_rng(seed)
    files = {}
    for images, labels, n in ((TRAIN_IMAGES, TRAIN_LABELS, 6), (TEST_IMAGES, TEST_LABELS, 4)):
        files[images] = idx(rng.integers(0, 256, (n, size, size + 1), dtype=np.uint8))
        files[labels] = idx(rng.integers(0, 10, n, dtype=np.uint8))
    return files


def write(folder: Path, files: dict[str, bytes], packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return folder


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing outside `tmp_path` is looked at, and no published address is reached."""
    monkeypatch.delenv("NASHGOSSIP_DATA", raising=False)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(mnist_format, "_SYSTEM", tmp_path / "system")
    for name, published in mnist_format.PUBLISHED.items():
        monkeypatch.setitem(mnist_format.PUBLISHED, name, replace(published, url="http://127.0.0.1:9/closed/"))
    return tmp_path


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, bytes]], None]:
    """Makes these files the published ones of the data set of that name."""

    def make(name: str, files: dict[str, bytes]) -> None:
        md5 = {stem: hashlib.md5(gzip.compress(content, mtime=0)).hexdigest() for stem, content in files.items()}
        labels = tuple(hashlib.md5(files[stem]).hexdigest() for stem in (TRAIN_LABELS, TEST_LABELS))
        old = mnist_format.PUBLISHED[name]
        monkeypatch.setitem(mnist_format.PUBLISHED, name, replace(old, md5=md5, labels_md5=labels))

    return make


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves folders on the loopback interface."""
    servers: list[ThreadingHTTPServer] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _real_root() -> Path | None:
    own = os.environ.get("NASHGOSSIP_DATA")
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    places = ([Path(own) / "mnist", Path(own)] if own else []) + [beside / "mnist"]
    return next((p for p in places if (p / f"{TRAIN_IMAGES}.gz").is_file()), None)


REAL = _real_root()
needs_mnist = pytest.mark.skipif(REAL is None, reason="MNIST's files are not here: set NASHGOSSIP_DATA")


# --- the digits


def test_digits_are_the_1797_scans() -> None:
    digits = load_digits()
    assert digits.name == "digits"
    assert digits.label == "label"
    assert digits.classes == 10
    assert len(digits) == 1797
    assert digits.batch.space == Space(
        (Variable("label", "categorical", categories=10), Variable("x", "real", (8, 8), low=0.0, high=1.0))
    )
    assert digits.batch["x"].max() == 1.0
    assert (digits.batch["x"] * 16 == np.round(digits.batch["x"] * 16)).all()
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.mark.parametrize("threshold", [0, 0.25, 0.5, 1.0])
def test_binarize_is_above_the_threshold(threshold: float) -> None:
    scans = load_digits().batch["x"]
    binary = load_digits(binarize=threshold).batch
    assert binary.space["x"] == Variable("x", "binary", (8, 8))
    np.testing.assert_array_equal(binary["x"], scans > threshold)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), True, "half"])
def test_binarize_outside_its_range(threshold: Any) -> None:
    with pytest.raises(DatasetOptionError, match=r"binarize is .*, expected a threshold between 0 and 1"):
        load_digits(binarize=threshold)


def test_importing_is_light() -> None:
    check = (
        "import sys, nashgossip.games.npz, nashgossip.games.shards;"
        "print([m for m in ('sklearn', 'pooch', 'requests', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- by name


def test_load_dataset_by_name(places: Path) -> None:
    assert load_dataset("digits", binarize=0.5).batch == load_digits(binarize=0.5).batch
    root = write(places / "own", tiny())
    assert (
        load_dataset("mnist", root=root, part="test").batch == load_mnist_format("mnist", root=root, part="test").batch
    )


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set 'digit'; did you mean 'digits'\?"):
        load_dataset("digit")
    with pytest.raises(UnknownNameError, match="unknown data set in MNIST's format, 'mnits'; did you mean 'mnist'"):
        load_mnist_format("mnits")
    with pytest.raises(
        UnknownNameError, match=r"unknown option of data set 'digits', 'binarise'; did you mean 'binarize'"
    ):
        load_dataset("digits", binarise=0.5)
    with pytest.raises(UnknownNameError, match="unknown option of data set 'mnist', 'rot'; did you mean 'root'"):
        load_dataset("mnist", rot="x")
    with pytest.raises(UnknownNameError, match="unknown part 'tests'; did you mean 'test'"):
        load_mnist_format("mnist", part="tests")  # type: ignore[arg-type]


def test_base_url_must_be_an_address() -> None:
    with pytest.raises(DatasetOptionError, match="base_url is 'ftp://x', expected an address with http"):
        load_mnist_format("mnist", base_url="ftp://x")


def test_a_label_must_be_a_scalar_category() -> None:
    batch = load_digits().batch
    for label in ("x", "digit"):
        with pytest.raises(DatasetOptionError, match=f"'{label}' cannot label data set 'd', expected a scalar"):
            Dataset("d", batch, label)
    unlabelled = Dataset("d", batch)
    assert unlabelled.labels is None
    assert unlabelled.classes is None


# --- where the files are looked for


def first_pixel(dataset: Dataset) -> float:
    return float(dataset.batch["x"][0, 0, 0])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_files_come_back_as_written(places: Path, packed: bool, part: Any) -> None:
    files = tiny()
    dataset = load_mnist_format("mnist", root=write(places / "own", files, packed), part=part)
    stems = {"train": [TRAIN_IMAGES], "test": [TEST_IMAGES], "all": [TRAIN_IMAGES, TEST_IMAGES]}[part]
    pixels = b"".join(files[stem][16:] for stem in stems)
    labels = b"".join(files[stem.replace("images-idx3", "labels-idx1")][8:] for stem in stems)
    assert (dataset.batch["x"] * 255).round().astype(np.uint8).tobytes() == pixels
    assert dataset.batch["label"].astype(np.uint8).tobytes() == labels
    assert dataset.batch["x"].shape[1:] == (3, 4)
    binary = load_mnist_format("mnist", root=places / "own", part=part, binarize=0.2)
    np.testing.assert_array_equal(binary.batch["x"], dataset.batch["x"] > 0.2)


def test_places_are_looked_at_in_order(
    places: Path, monkeypatch: pytest.MonkeyPatch, publish: Callable[..., None]
) -> None:
    four = {name: tiny(seed) for seed, name in enumerate(["subfolder", "folder", "cache", "system"])}
    expected = {name: files[TRAIN_IMAGES][16] / 255 for name, files in four.items()}
    assert len(set(expected.values())) == 4
    monkeypatch.setenv("NASHGOSSIP_DATA", str(places / "own"))
    publish("mnist", four["cache"])
    folders = {
        "subfolder": places / "own" / "mnist",
        "folder": places / "own",
        "cache": places / "cache" / "nashgossip" / "mnist",
        "system": places / "system" / "mnist",
    }
    for name, folder in folders.items():
        write(folder, four[name])
    for name, folder in folders.items():
        assert first_pixel(load_mnist_format("mnist")) == expected[name]
        (folder / f"{TRAIN_LABELS}.gz").unlink()  # a folder counts only when it has all files
    with pytest.raises(DatasetNotFound):
        load_mnist_format("mnist")
    assert len(load_mnist_format("mnist", part="test")) == 4


def test_what_was_downloaded_must_have_the_published_checksum(places: Path, publish: Callable[..., None]) -> None:
    publish("mnist", tiny(0))
    write(places / "cache" / "nashgossip" / "mnist", tiny(1))
    with pytest.raises(DatasetNotFound, match=f"{TRAIN_IMAGES}.gz has not the published checksum"):
        load_mnist_format("mnist")


def test_own_files_need_no_checksum(places: Path, publish: Callable[..., None]) -> None:
    publish("mnist", tiny(0))
    own = write(places / "own", tiny(1))
    assert first_pixel(load_mnist_format("mnist", root=own)) == tiny(1)[TRAIN_IMAGES][16] / 255


@pytest.mark.parametrize("packed", [True, False])
def test_files_of_the_other_data_set_are_passed_over(
    places: Path, monkeypatch: pytest.MonkeyPatch, publish: Callable[..., None], packed: bool
) -> None:
    publish("mnist", tiny(0))
    publish("fashion-mnist", tiny(1))
    monkeypatch.setenv("NASHGOSSIP_DATA", str(write(places / "own", tiny(0), packed)))
    write(places / "system" / "fashion-mnist", tiny(1))
    assert first_pixel(load_mnist_format("mnist")) == tiny(0)[TRAIN_IMAGES][16] / 255
    assert first_pixel(load_mnist_format("fashion-mnist")) == tiny(1)[TRAIN_IMAGES][16] / 255
    with pytest.raises(DatasetNotFound, match=f"{TRAIN_LABELS}.* is that of 'mnist'.*; correct root"):
        load_mnist_format("fashion-mnist", root=places / "own")


def test_an_explicit_root_is_the_only_place(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASHGOSSIP_DATA", str(write(places / "own", tiny())))
    with pytest.raises(DatasetNotFound, match=r"are not in .*empty.mnist \(no train-images-idx3-ubyte.gz\)"):
        load_mnist_format("mnist", root=places / "empty")


# --- downloads


def test_no_network_names_every_way_out(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASHGOSSIP_DATA", str(places / "own"))
    with pytest.raises(DatasetNotFound) as caught:
        load_mnist_format("fashion-mnist")
    message = str(caught.value)
    for place in (places / "own" / "fashion-mnist", places / "own", places / "cache", places / "system"):
        assert str(place) in message
    assert "cannot be downloaded from http://127.0.0.1:9/closed/ (ConnectionError" in message
    assert "set NASHGOSSIP_DATA to a folder that has them" in message
    assert "install Debian's package dataset-fashion-mnist" in message
    assert "or connect to the network once" in message
    with pytest.raises(DatasetNotFound, match="them, or connect to the network once"):
        load_mnist_format("mnist")


def test_download_with_the_right_checksum(
    places: Path, serve: Callable[[Path], str], publish: Callable[..., None]
) -> None:
    publish("mnist", tiny())
    url = serve(write(places / "server", tiny()))
    dataset = load_mnist_format("mnist", base_url=url)
    assert dataset.batch == load_mnist_format("mnist", root=places / "server").batch
    assert load_mnist_format("mnist").batch == dataset.batch  # from the cache, at a closed address


def test_download_with_a_wrong_checksum(
    places: Path, serve: Callable[[Path], str], publish: Callable[..., None]
) -> None:
    publish("mnist", tiny(0))
    url = serve(write(places / "server", tiny(1)))
    with pytest.raises(DatasetCorrupt, match=rf"{TRAIN_IMAGES}.gz from {url} has another checksum than .* md5:"):
        load_mnist_format("mnist", base_url=url)
    assert not list((places / "cache").rglob("*.*"))  # nothing stays behind


def test_a_damaged_download_is_replaced(
    places: Path, serve: Callable[[Path], str], publish: Callable[..., None]
) -> None:
    publish("mnist", tiny(0))
    cached = write(places / "cache" / "nashgossip" / "mnist", tiny(0))
    (cached / f"{TEST_LABELS}.gz").write_bytes(b"damaged")
    url = serve(write(places / "server", tiny(0)))
    assert len(load_mnist_format("mnist", base_url=url)) == 10
    assert len(load_mnist_format("mnist")) == 10


def test_a_server_without_the_file(places: Path, serve: Callable[[Path], str]) -> None:
    (places / "server").mkdir()
    with pytest.raises(DatasetNotFound, match="HTTPError: 404"):
        load_mnist_format("mnist", base_url=serve(places / "server"))


# --- damaged files


HEADER = bytes([0, 0, 8, 1, 0, 0, 0, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing, expected the magic number of IDX"),
        (b"<htm", "begins with 3c 68 74 6d, expected the magic number of IDX: 00 00, a type"),
        (bytes([0, 0, 7, 1]), "begins with 00 00 07 01, expected"),
        (bytes([0, 0, 8, 0]), "a type .08 is unsigned bytes. and 1 to 8 dimensions"),
        (bytes([0, 0, 8, 255]), "and 1 to 8 dimensions"),
        (HEADER[:6], "is truncated within its header, expected 1 sizes of 4 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 0]), r"holds an array of shape \(0,\), expected at least one value"),
        (
            HEADER + b"ab",
            r"is truncated: its header promises \(3,\) values of type uint8, 3 bytes, and 2 came",
        ),
        (HEADER + b"abcd", "is too long: its header promises .* 3 bytes, and more came"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12 + b"abc", "is truncated: .* bytes, and 3 came; fetch it anew"),
        (bytes([0, 0, 0x0E, 8]) + b"\xff" * 32, "is truncated: .* and 0 came"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_idx_files_say_what_was_expected(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DatasetCorrupt, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def flip(packed: bytes, at: int) -> bytes:
    return packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]


@pytest.mark.parametrize("damage", [lambda z: z[:-9], lambda z: z[:3], lambda z: flip(z, -6), lambda z: flip(z, 12)])
def test_damaged_gzip_files(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    content = idx(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8))
    path = tmp_path / "file.gz"
    path.write_bytes(damage(gzip.compress(content)))
    with pytest.raises(DatasetCorrupt, match=r"file.gz is a damaged gzip file .*; fetch it anew"):
        read_idx(path)


def test_a_promise_of_terabytes_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + b"\x00\xff\xff\xff" * 3 + b"abc"))
    tracemalloc.start()
    try:
        with pytest.raises(DatasetCorrupt):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_missing_idx_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="none.gz cannot be read: No such file"):
        read_idx(tmp_path / "none.gz")


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]
)
def test_every_type_of_the_format(tmp_path: Path, dtype: str, code: int) -> None:
    array = np.arange(-6, 6).astype(dtype).reshape(2, 3, 2)
    (tmp_path / "file").write_bytes(idx(array, code))
    read = read_idx(tmp_path / "file")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage_is_either_harmless_or_named(tmp_path: Path, data: st.DataObject) -> None:
    content = gzip.compress(tiny()[TEST_IMAGES], mtime=0) if data.draw(st.booleans()) else tiny()[TEST_IMAGES]
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    (tmp_path / "file").write_bytes(content[:start] + data.draw(st.binary(max_size=8)) + content[stop:])
    with suppress(DatasetCorrupt):
        assert read_idx(tmp_path / "file").size >= 1


def test_files_that_do_not_fit_together(places: Path) -> None:
    def load(**changed: np.ndarray[Any, Any]) -> None:
        files = tiny()
        names = {"images": TRAIN_IMAGES, "labels": TRAIN_LABELS}
        files |= {names[name]: idx(array) for name, array in changed.items()}
        load_mnist_format("mnist", root=write(places / "own", files))

    ok = np.zeros((6, 3, 4), np.uint8)
    load(images=ok)
    with pytest.raises(DatasetCorrupt, match=rf"{TRAIN_IMAGES}.gz holds 5 images and .*{TRAIN_LABELS}.gz 6 labels"):
        load(images=ok[:5])
    with pytest.raises(DatasetCorrupt, match=f"{TRAIN_IMAGES}.gz holds 2 dimensions of type uint8, expected 3"):
        load(images=ok[0])
    with pytest.raises(DatasetCorrupt, match=f"{TRAIN_LABELS}.gz holds 3 dimensions of type uint8, expected 1"):
        load(labels=ok)
    with pytest.raises(DatasetCorrupt, match=f"{TRAIN_LABELS}.gz holds label 10, expected 0 to 9"):
        load(labels=np.full(6, 10, np.uint8))
    with pytest.raises(DatasetCorrupt, match=r"differ in size: \(3, 5\) in .*train.* and \(3, 4\) in .*t10k"):
        load(images=np.zeros((6, 3, 5), np.uint8))
    write(places / "own", {TRAIN_LABELS: idx(np.zeros((6,), np.int16), 0x0B)})
    with pytest.raises(DatasetCorrupt, match="holds 1 dimensions of type int16, expected 1 of type uint8"):
        load_mnist_format("mnist", root=places / "own")


def test_damaged_labels_are_reported_not_passed_over(places: Path) -> None:
    own = write(places / "own", tiny())
    (own / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(tiny()[TRAIN_LABELS])[:-9])
    with pytest.raises(DatasetCorrupt, match=f"{TRAIN_LABELS}.gz is a damaged gzip file"):
        load_mnist_format("mnist", root=own)


# --- the real files


@needs_mnist
def test_real_mnist() -> None:
    assert REAL is not None
    digests = tuple(
        hashlib.md5(gzip.decompress((REAL / f"{stem}.gz").read_bytes())).hexdigest()
        for stem in (TRAIN_LABELS, TEST_LABELS)
    )
    assert digests == mnist_format.PUBLISHED["mnist"].labels_md5
    train = load_mnist_format("mnist", root=REAL, part="train", binarize=0.5)
    assert train.batch["x"].shape == (60000, 28, 28)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = load_mnist_format("mnist", root=REAL, part="test")
    assert test.batch["x"].shape == (10000, 28, 28)
    assert test.batch["x"].mean() == pytest.approx(0.1325, abs=1e-4)
    both = load_mnist_format("mnist", root=REAL, binarize=0.5)
    assert len(both) == 70000
    np.testing.assert_array_equal(both.labels[60000:], test.labels)


@needs_mnist
def test_real_mnist_is_not_taken_for_fashion() -> None:
    with pytest.raises(DatasetNotFound, match="is that of 'mnist'"):
        load_mnist_format("fashion-mnist", root=REAL)


# --- a user's own arrays


def test_npz_variables_follow_the_types(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    arrays = {
        "flag": np.array([True, False]),
        "pixels": np.array([[0, 1, 1], [1, 0, 0]], np.uint8),
        "bytes": np.array([3, 200], np.uint8),
        "visits": np.array([[4], [0]], np.int16),
        "height": np.array([1.5, -2.0], np.float32),
        "species": np.array([2, 0], np.uint16),
    }
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    dataset = load_npz(path, label="species")
    assert dataset.name == "own"
    assert dataset.label == "species"
    assert set(dataset.batch.space) == {
        Variable("flag", "binary"),
        Variable("pixels", "binary", (3,)),
        Variable("bytes", "count"),
        Variable("visits", "count", (1,)),
        Variable("height", "real"),
        Variable("species", "categorical", categories=3),
    }
    for name, array in arrays.items():
        np.testing.assert_array_equal(dataset.batch[name], array)
    assert load_npz(path).label is None
    assert load_npz(path).batch.space["species"].kind == "count"


@pytest.mark.parametrize(
    ("arrays", "label", "message"),
    [
        ({"x": np.array([1, -3])}, None, "'x' holds -3 to 1, expected counts 0, 1, …; save it as floats"),
        ({"x": np.array([2**63], np.uint64)}, None, "'x' holds .* expected counts"),
        ({"x": np.array(3.0)}, None, r"'x' has shape \(\) and dtype float64, expected rows of booleans"),
        ({"x": np.empty((0, 2))}, None, r"'x' has shape \(0, 2\)"),
        ({"x": np.array(["a"])}, None, "'x' has shape .* dtype <U1, expected rows"),
        ({"x": np.array([1j])}, None, "dtype complex128"),
        ({"x": np.array([np.nan])}, None, "variable 'x' holds NaN or an infinity"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, None, "variables differ in their number of rows"),
        (
            {"x": np.array([0.0, 1.0])},
            "x",
            r"'x' cannot be the label, expected integers 0, 1, … of shape \(n,\)",
        ),
        ({"x": np.array([[0, 1]])}, "x", "'x' cannot be the label"),
        ({"x": np.array([0, -1])}, "x", "'x' cannot be the label"),
        ({}, None, "holds no array, expected at least one"),
        ({"x": np.array([object()])}, None, "is no archive of plain arrays as numpy.savez writes it"),
    ],
)
def test_npz_arrays_that_are_no_variables(
    tmp_path: Path, arrays: dict[str, Any], label: str | None, message: str
) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    with pytest.raises(DatasetCorrupt, match=message) as caught:
        load_npz(path, label)
    assert str(path) in str(caught.value)


def test_npz_labels_may_have_classes_that_these_rows_lack(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, c=np.array([0, 2]), x=np.zeros(2))
    assert load_npz(path, "c").classes == load_npz(path, "c", classes=3).classes == 3
    wide = load_npz(path, "c", classes=5)
    assert wide.classes == 5
    assert wide.labels is not None
    assert wide.labels.tolist() == [0, 2]
    with pytest.raises(DatasetOptionError, match=r"classes is 2, but label 'c' in .*own.npz needs 3; make it as many"):
        load_npz(path, "c", classes=2)
    for label, classes in ((None, 3), ("c", 2.5)):
        with pytest.raises(DatasetOptionError, match="expected a number of categories of a label that is named"):
            load_npz(path, label, classes=classes)  # type: ignore[arg-type]


def test_npz_requests_that_are_wrong(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", label=np.array([0, 1]))
    with pytest.raises(UnknownNameError, match=r"unknown array in .*own.npz, 'labels'; did you mean 'label'\?"):
        load_npz(tmp_path / "own.npz", "labels")
    with pytest.raises(DatasetNotFound, match="none.npz cannot be read: No such file"):
        load_npz(tmp_path / "none.npz")
    np.save(tmp_path / "bare.npy", np.zeros(3))
    with pytest.raises(DatasetCorrupt, match="bare.npy is no archive .*it holds one bare array"):
        load_npz(tmp_path / "bare.npy")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DatasetCorrupt, match="text.npz is no archive .*notes.txt is no array"):
        load_npz(tmp_path / "text.npz")


def test_npz_that_promises_terabytes(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"abc")
    with pytest.raises(DatasetCorrupt, match="big.npz is no archive .* or is damaged"):
        load_npz(tmp_path / "big.npz")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage_to_npz_is_either_harmless_or_named(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(6.0), label=np.arange(6))
    content = buffer.getvalue()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 40)))
    (tmp_path / "own.npz").write_bytes(content[:start] + data.draw(st.binary(max_size=8)) + content[stop:])
    with suppress(DatasetCorrupt):
        assert len(load_npz(tmp_path / "own.npz")) >= 1
