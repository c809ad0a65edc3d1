"""Checkpoints: what is saved comes back exactly, whole or not at all, and nothing damaged passes for a checkpoint."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nashgossip.runners.checkpoint import CheckpointError, checkpoints, load_tree, save_tree

DTYPES = [
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
]
TREE: dict[str, Any] = {"mean": np.arange(6.0).reshape(2, 3), "moves": 7, "left": [np.zeros((0, 2)), None, "é"]}

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
leaves = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats() | st.text() | arrays
keys = st.text().filter(lambda key: key != "$array")
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def same(one: Any, other: Any) -> bool:
    """Equality of type and of every bit, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (one != one and other != other)
    return bool(one == other)


@settings(deadline=None, max_examples=150)
@given(tree=trees)
def test_a_tree_comes_back_exactly(tree: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert same(load_tree(save_tree(tree, Path(folder), 0)), tree)


def test_unequal_trees_are_told_apart() -> None:
    """The comparison above can fail."""
    for one, other in ((1, 1.0), (1, True), (0.0, -0.0), ([1], [1, 2]), (np.zeros(2), np.zeros(2, np.float32))):
        assert not same(one, other)
    assert not same({"a": np.zeros((2, 1))}, {"a": np.zeros((1, 2))})


def test_views_come_back_as_what_they_show(tmp_path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    tree = [base.T, base[::2, 1::3], base[::-1], np.broadcast_to(np.float32(3), (2, 2)), np.asfortranarray(base)]
    for found, given_ in zip(load_tree(save_tree(tree, tmp_path, 0)), tree, strict=True):
        np.testing.assert_array_equal(found, given_)
        assert found.dtype == given_.dtype


def test_arrays_that_come_back_can_be_written_to(tmp_path: Path) -> None:
    found = load_tree(save_tree(TREE, tmp_path, 0))
    found["mean"] += 1.0
    assert found["mean"][0, 0] == 1.0


def test_numbers_of_numpy_and_tuples_become_plain(tmp_path: Path) -> None:
    tree = {"n": np.int64(3), "x": np.float64(0.1), "b": np.bool_(True), "pair": (1, (2.5, None))}
    found = load_tree(save_tree(tree, tmp_path, 0))
    assert same(found, {"n": 3, "x": 0.1, "b": True, "pair": [1, [2.5, None]]})


def test_a_random_stream_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    rng, other = np.random.default_rng(3), np.random.default_rng(4)
    rng.standard_normal(17)
    other.bit_generator.state = load_tree(save_tree(rng.bit_generator.state, tmp_path, 0))
    assert rng.standard_normal(50).tolist() == other.standard_normal(50).tolist()


@pytest.mark.parametrize("leaf", [object(), {1, 2}, b"bytes", 1j, Path("x"), np.random.default_rng(0), len])
def test_an_object_is_refused_and_leaves_what_was_there(leaf: Any, tmp_path: Path) -> None:
    save_tree(TREE, tmp_path, 1)
    message = f"a checkpoint cannot hold {type(leaf).__name__}; give arrays, numbers, strings, booleans or None"
    with pytest.raises(TypeError, match=message):
        save_tree({"fine": 1, "deep": [{"leaf": leaf}]}, tmp_path, 2)
    (kept,) = checkpoints(tmp_path)
    assert same(load_tree(kept), TREE)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "none") == []
    for number in (0, 5, 12, 100, 1_000_000_000):
        path = save_tree({"number": number}, tmp_path, number)
        assert checkpoints(tmp_path)[-1] == path
    assert [load_tree(path)["number"] for path in checkpoints(tmp_path)] == [100, 1_000_000_000]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_number_that_comes_again_is_written_anew(tmp_path: Path) -> None:
    save_tree({"try": 1}, tmp_path, 3)
    save_tree({"try": 2}, tmp_path, 3)
    assert [load_tree(path) for path in checkpoints(tmp_path)] == [{"try": 2}]


def test_a_draft_that_a_crash_left_is_ignored_and_replaced(tmp_path: Path) -> None:
    whole = save_tree(TREE, tmp_path, 1)
    draft = tmp_path / ".draft-000000002"
    draft.mkdir()
    (draft / "tree.json").write_text('{"half": ')
    (draft / "more").write_text("left over")
    assert checkpoints(tmp_path) == [whole]
    written = save_tree({"two": 2}, tmp_path, 2)
    assert checkpoints(tmp_path) == [whole, written]
    assert load_tree(written) == {"two": 2}
    assert sorted(path.name for path in written.iterdir()) == ["arrays.safetensors", "tree.json"]
    assert not draft.exists()


def test_a_crash_while_writing_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tree(TREE, tmp_path, 1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("os.fsync", "os.replace"):
        with monkeypatch.context() as patched:
            patched.setattr(name, full)
            with pytest.raises(OSError, match="No space left"):
                save_tree({"two": 2}, tmp_path, 2)
        (kept,) = checkpoints(tmp_path)
        assert same(load_tree(kept), TREE)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tree(path)
    return str(caught.value)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = save_tree(TREE, tmp_path, 0)
    for name in ("tree.json", "arrays.safetensors"):
        whole = (path / name).read_bytes()
        for length in range(len(whole)):
            (path / name).write_bytes(whole[:length])
            refusal(path)
        (path / name).write_bytes(whole)
    assert same(load_tree(path), TREE)


@pytest.mark.parametrize("name", ["tree.json", "arrays.safetensors"])
def test_what_is_missing_or_no_checkpoint_is_refused(name: str, tmp_path: Path) -> None:
    path = save_tree(TREE, tmp_path, 0)
    (path / name).write_bytes(b"\x80\x04\x95 no checkpoint \xff")
    assert "remove it to go on from the one before" in refusal(path)
    (path / name).unlink()
    assert f"checkpoint {path} cannot be read: " in refusal(path)
    (path / name).mkdir()
    refusal(path)
    refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("reference", [{"$array": "9", "shape": [1]}, {"$array": "0"}, {"$array": "0", "shape": [5]}])
def test_a_reference_to_an_array_that_is_not_there_is_refused(reference: Any, tmp_path: Path) -> None:
    path = save_tree(TREE, tmp_path, 0)
    (path / "tree.json").write_text(json.dumps({"mean": reference}))
    refusal(path)


def test_nothing_in_a_checkpoint_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", forbidden)
    path = save_tree(TREE, tmp_path, 0)
    assert same(load_tree(path), TREE)
    assert json.loads((path / "tree.json").read_text("utf-8"))["moves"] == 7
    header = (path / "arrays.safetensors").read_bytes()
    json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])


@pytest.mark.parametrize(
    "tree",
    [{"a": np.array([object()])}, {"a": np.array([1j])}, {1: 2}, {"$array": "0"}],
    ids=["objects", "complex", "key", "mark"],
)
def test_what_would_not_come_back_is_refused(tree: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="checkpoint"):
        save_tree(tree, tmp_path, 0)
