"""PolyMNIST: the published layout, digits inverted into photographs, the cache, and what is refused."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nashgossip.games.polymnist_build as building
from nashgossip.games import (
    Dataset,
    DatasetCorrupt,
    DatasetNotFound,
    DatasetOptionError,
    load_built_polymnist,
    load_dataset,
    load_published_polymnist,
)
from nashgossip.topology import UnknownNameError

RNG = np.random.default_rng(0)
GREY = [RNG.integers(0, 256, (30 + k, 40, 3), dtype=np.uint8) for k in range(5)]
DIGITS = RNG.random((60, 28, 28)) < 0.2
LABELS = RNG.integers(10, size=60)


def write_published(root: Path, rows: int = 3) -> dict[tuple[int, int], Any]:
    """Files as they are published; the pixels of (style, digit) of the training files."""
    rng, pixels = np.random.default_rng(1), {}
    for half in ("train", "test"):
        for style in range(5):
            folder = root / half / f"m{style}"
            folder.mkdir(parents=True)
            for index in range(rows):
                digit = (index + style) % 10
                image = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
                Image.fromarray(image).save(folder / f"{index}.{digit}.png")
                pixels.setdefault((style, digit), image) if half == "train" else None
    return pixels


@pytest.fixture
def photographs() -> None:
    pytest.importorskip("skimage", reason="pip install 'nashgossip[photographs]'")


@pytest.fixture
def built(photographs: None, require_data: Callable[[str], None], tmp_path: Path) -> Callable[..., Dataset]:
    """The built data set, kept in a folder of the test's own."""
    require_data("mnist")

    def build(**options: Any) -> Dataset:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(building, "_place", lambda folder: tmp_path if folder is None else folder)
            return load_built_polymnist(**options)

    return build


# --- digits in photographs -----------------------------------------------------------------------------------


def test_a_digit_is_inverted_into_a_crop_of_the_photograph_of_its_style() -> None:
    made = building.invert_into(DIGITS, LABELS, GREY, np.random.default_rng(3))
    assert (made["c"] == LABELS).all()
    assert (made["s"] == DIGITS).all()
    for k in range(20):
        crop = np.where(DIGITS[k], 255 - made["x"][k], made["x"][k]).transpose(1, 2, 0)
        whole = GREY[made["d"][k]]
        places = np.lib.stride_tricks.sliding_window_view(whole, (28, 28, 3))[:, :, 0]
        assert (places == crop).all(axis=(2, 3, 4)).any()


def test_crops_reach_every_corner_and_styles_are_equally_likely() -> None:
    marks = [np.arange(30 * 29 * 3, dtype=np.int64).reshape(30, 29, 3) % 251 for _ in range(5)]
    digits = np.zeros((3000, 28, 28), bool)
    made = building.invert_into(digits, np.zeros(3000, int), [m.astype(np.uint8) for m in marks], RNG)
    assert len({tuple(x[0, 0, :2]) for x in made["x"]}) == 6  # 3 × 2 places
    assert np.bincount(made["d"]) == pytest.approx(600, abs=4 * np.sqrt(480))


def test_the_built_set_has_what_its_documentation_says(built: Callable[..., Dataset]) -> None:
    made = built(rows=200)
    space = made.batch.space
    assert [(v.name, v.kind, v.shape) for v in space] == [
        ("c", "categorical", ()),
        ("d", "categorical", ()),
        ("s", "binary", (28, 28)),
        ("x", "real", (3, 28, 28)),
    ]
    assert (made.label, len(made), made.batch["x"].min() >= 0, made.batch["x"].max() <= 1) == ("c", 200, True, True)
    inside = made.batch["s"][:, None].repeat(3, 1) == 1
    apart = np.abs(made.batch["x"][inside].mean() - made.batch["x"][~inside].mean())
    assert apart > 0.05  # digits are inverted, and not all backgrounds are grey
    assert built(rows=200, variables=["c", "x"]).batch.space.names == ("c", "x")


def test_one_seed_one_data_set_and_each_part_its_own(built: Callable[..., Dataset]) -> None:
    first, again, other, test = (
        built(rows=50, **o)  # type: ignore[arg-type]
        for o in ({}, {}, {"seed": 1}, {"part": "test"})
    )
    assert first.batch == again.batch
    assert all((first.batch["d"] != o.batch["d"]).any() for o in (other, test))


def test_what_was_built_is_kept_and_a_damaged_file_is_built_anew(built: Callable[..., Dataset], tmp_path: Path) -> None:
    first = built(rows=30)
    (path,) = tmp_path.glob("polymnist-*.npz")
    before = path.stat().st_mtime_ns
    assert built(rows=30).batch == first.batch
    assert path.stat().st_mtime_ns == before
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="is damaged .* and is built anew"):
        assert built(rows=30).batch == first.batch
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_to_costs_only_time(photographs: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    images = DIGITS.astype(np.uint8) * 255
    with pytest.warns(UserWarning, match="cannot be kept in .*; make it writable"):
        made = building.build_polymnist(images, LABELS, seed=0, key="", folder=tmp_path / "file")
    assert len(made["x"]) == 60


def test_without_scikit_image_the_error_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(DatasetNotFound, match=r"pip install 'nashgossip\[photographs\]'; or take data set 'polymnist'"):
        building.load_photographs()


def test_a_photograph_that_is_missing_or_no_colour_picture_is_named(
    photographs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "PHOTOGRAPHS", ("no_such_picture",))
    with pytest.raises(DatasetNotFound, match="has no photograph 'no_such_picture'.* install scikit-image 0.24"):
        building.load_photographs()
    monkeypatch.setattr(building, "PHOTOGRAPHS", ("camera",))
    with pytest.raises(DatasetNotFound, match="photograph 'camera' .*, expected bytes"):
        building.load_photographs()


# --- the published files -------------------------------------------------------------------------------------


def test_the_published_layout_is_read(tmp_path: Path) -> None:
    pixels = write_published(tmp_path)
    found = load_dataset("polymnist", root=tmp_path)
    assert (len(found), found.label, found.batch.space.names) == (15, "c", ("c", "d", "x"))
    for k in range(15):
        image = pixels[int(found.batch["d"][k]), int(found.batch["c"][k])]
        assert (found.batch["x"][k] * 255).round() == pytest.approx(image.transpose(2, 0, 1))
    assert len(load_published_polymnist(root=tmp_path, part="all")) == 30
    some = load_published_polymnist(root=tmp_path, rows=4, variables=["c", "d"])
    assert (len(some), some.batch.space.names) == (4, ("c", "d"))


def test_segmentations_of_the_published_files_are_digits_of_the_same_class(
    tmp_path: Path, require_data: Callable[[str], None]
) -> None:
    require_data("mnist")
    write_published(tmp_path)
    found = load_published_polymnist(root=tmp_path, segmentations=True)
    assert found.batch.space.names == ("c", "d", "s", "x")
    assert 0.05 < found.batch["s"].mean() < 0.3


def test_it_is_found_in_the_folder_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published(tmp_path / "polymnist", rows=1)
    monkeypatch.setenv("NASHGOSSIP_DATA", str(tmp_path))
    assert len(load_dataset("polymnist")) == 5


def test_without_the_files_the_error_names_both_ways(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetNotFound, match="PolyMNIST is not in .*; put its published files there .*'polymnist-built'"
    ):
        load_published_polymnist(root=tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    write_published(tmp_path)
    place = tmp_path / "train" / "m2"
    (place / "9.1.png").write_bytes(b"nothing")
    with pytest.raises(DatasetCorrupt, match=r"9.1.png is no image that can be read"):
        load_published_polymnist(root=tmp_path)
    Image.fromarray(np.zeros((20, 28, 3), np.uint8)).save(place / "9.1.png")
    with pytest.raises(DatasetCorrupt, match=r"9.1.png has 28×20 pixels, expected 28×28"):
        load_published_polymnist(root=tmp_path)
    (place / "9.1.png").rename(place / "nine.png")
    with pytest.raises(DatasetCorrupt, match=r"nine.png is not called <index>.<digit>.png"):
        load_published_polymnist(root=tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rows": 0}, "rows is 0, expected a whole number of at least 1"),
        ({"rows": 100}, "rows is 100, but there are 15"),
        ({"variables": []}, r"variables is \[\], expected a list of some of c, d, x"),
    ],
)
def test_options_out_of_range_are_refused(options: Any, text: str, tmp_path: Path) -> None:
    write_published(tmp_path)
    with pytest.raises(DatasetOptionError, match=text):
        load_published_polymnist(root=tmp_path, **options)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="variable of PolyMNIST"):
        load_published_polymnist(root=tmp_path, variables=["y"])
    with pytest.raises(UnknownNameError, match="part"):
        load_dataset("polymnist-built", part="tests")
