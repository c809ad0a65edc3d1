"""Medical data: the breast-cancer records by feature, and files in MedMNIST's format."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer as published

from nashgossip.games import (
    DatasetCorrupt,
    DatasetNotFound,
    DatasetOptionError,
    load_breast_cancer,
    load_dataset,
    load_digits,
    load_medmnist,
)
from nashgossip.topology import UnknownNameError

# --- breast cancer ---------------------------------------------------------------------------------------------


def test_every_published_value_is_in_its_feature() -> None:
    records, raw = published(), load_dataset("breast-cancer", standardize=False).batch
    columns = list(records.feature_names)
    assert [v.name for v in raw.space] == ["diagnosis", *(c[5:].replace(" ", "_") for c in columns[:10])]
    for v in list(raw.space)[1:]:
        words = v.name.replace("_", " ")
        for k, name in enumerate((f"mean {words}", f"{words} error", f"worst {words}")):
            np.testing.assert_array_equal(raw[v.name][:, k], records.data[:, columns.index(name)])
    assert records.target_names.tolist() == ["malignant", "benign"]
    np.testing.assert_array_equal(raw["diagnosis"], records.target == 0)
    assert raw.space["radius"].low == 0.0


def test_standard_values_are_in_order_of_the_published_ones_with_mean_0_and_variance_1() -> None:
    raw, standard = (load_breast_cancer(standardize=s).batch for s in (False, True))
    for v in list(standard.space)[1:]:
        np.testing.assert_allclose(standard[v.name].mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(standard[v.name].std(axis=0), 1, rtol=1e-12)
        assert (v.low, v.high) == (None, None)
        for k in range(3):
            order = np.argsort(raw[v.name][:, k], kind="stable")
            assert (np.diff(standard[v.name][order, k]) >= 0).all()


# --- MedMNIST -----------------------------------------------------------------------------------------------------


def arrays(colour: bool = False, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Real scans of digits, as MedMNIST keeps its images."""
    digits = load_digits()
    images = np.round(digits.batch["x"] * 255).astype(np.uint8)
    order = np.random.default_rng(seed).permutation(len(images))
    found: dict[str, NDArray[Any]] = {}
    for name, rows in (("train", order[:60]), ("val", order[60:80]), ("test", order[80:120])):
        found[f"{name}_images"] = np.repeat(images[rows][..., None], 3, axis=3) if colour else images[rows]
        found[f"{name}_labels"] = (digits.labels[rows, None] % 3).astype(np.uint8)
    return found


def saved(path: Path, found: dict[str, Any]) -> Path:
    np.savez(path, **found)
    return path


def test_a_file_gives_its_images_and_labels_part_by_part(tmp_path: Path) -> None:
    found = arrays()
    path = saved(tmp_path / "scans.npz", found)
    sizes = {"train": 60, "val": 20, "test": 40, "train+val": 80, "all": 120}
    for part, rows in sizes.items():
        data = load_dataset("medmnist", file=str(path), part=part, image="scan", label="finding")
        assert (data.name, data.label, data.classes, len(data)) == ("scans", "finding", 3, rows)
        assert data.batch.space["scan"].shape == (8, 8)
    both = load_medmnist(path, part="train+val").batch
    np.testing.assert_array_equal(both["x"][60:], found["val_images"] / 255)
    np.testing.assert_array_equal(both["label"][:60], found["train_labels"][:, 0])
    assert load_medmnist(path, classes=7).classes == 7
    binary = load_medmnist(path, part="test", binarize=0.5).batch
    assert binary.space["x"].kind == "binary"
    np.testing.assert_array_equal(binary["x"], found["test_images"] > 127)


def test_colour_stays_or_becomes_gray(tmp_path: Path) -> None:
    path = saved(tmp_path / "colour.npz", arrays(colour=True))
    assert load_medmnist(path).batch["x"].shape == (120, 8, 8, 3)
    gray, plain = load_medmnist(path, gray=True), load_medmnist(saved(tmp_path / "gray.npz", arrays()), gray=True)
    np.testing.assert_allclose(gray.batch["x"], plain.batch["x"], atol=1e-12)  # three equal channels are that gray
    red = arrays(colour=True)
    for name in ("train", "val", "test"):
        red[f"{name}_images"][..., 1:] = 0
    seen = load_medmnist(saved(tmp_path / "red.npz", red), gray=True).batch["x"]
    np.testing.assert_allclose(seen, 0.299 * plain.batch["x"], atol=1e-12)


def test_a_file_is_found_by_its_name_in_the_folder_of_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASHGOSSIP_DATA", str(tmp_path))
    for folder, seed in (("medmnist", 1), (".", 2)):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = saved(tmp_path / folder / "scansmnist.npz", arrays(seed=seed))
        assert load_medmnist("scansmnist.npz").batch == load_medmnist(path).batch


def test_a_file_that_is_absent_or_none_of_medmnist_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetNotFound, match="there is no file .*absent.npz .*; put it where you run, .*; https://medmnist.com"
    ):
        load_medmnist(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DatasetCorrupt, match="is no archive of plain arrays"):
        load_medmnist(tmp_path / "text.npz")
    with pytest.raises(DatasetCorrupt, match="is no MedMNIST file: it lacks train_images, train_labels and holds x"):
        load_medmnist(saved(tmp_path / "other.npz", {"x": np.zeros(3)}))
    without = arrays()
    del without["test_labels"]
    with pytest.raises(DatasetCorrupt, match="it lacks test_labels"):
        load_medmnist(saved(tmp_path / "without.npz", without), part="train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.zeros((60, 14), np.uint8)}, "train_labels has 14 labels a row, expected one class a row"),
        ({"train_labels": np.zeros((59, 1), np.uint8)}, "one class 0, 1, … for each of 60 images"),
        ({"train_labels": np.full((60, 1), -1)}, "one class 0, 1, …"),
        ({"train_labels": np.zeros((60, 1))}, "one class 0, 1, …"),
        ({"train_images": np.zeros((60, 8, 8))}, "expected bytes"),
        ({"train_images": np.zeros((60, 8, 8, 8), np.uint8)}, "volumes .the 3D files. are not read"),
        ({"train_images": np.zeros((60, 9, 9), np.uint8)}, "differ in size"),
    ],
)
def test_what_cannot_be_images_with_a_class_is_refused(changes: Any, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "odd.npz", arrays() | changes)
    with pytest.raises(DatasetCorrupt, match=message):
        load_medmnist(path)


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "scans.npz", arrays())
    with pytest.raises(DatasetOptionError, match="classes are 2, but .* has labels up to 2"):
        load_medmnist(path, classes=2)
    with pytest.raises(DatasetOptionError, match="image and label are both called 'x'"):
        load_medmnist(path, label="x")
    with pytest.raises(DatasetOptionError, match="binarize is 2"):
        load_medmnist(path, binarize=2)
    with pytest.raises(UnknownNameError, match="'test'"):
        load_medmnist(path, part="tests")  # type: ignore[arg-type]
    with pytest.raises(DatasetOptionError, match="data set 'medmnist' needs the option 'file'"):
        load_dataset("medmnist")
