"""Checkpoints: what is saved comes back exactly, whole or not at all, and nothing damaged passes for a checkpoint."""

import json
import math
import pickle
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save

from nashgossip.runners import run_path
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


def test_as_many_are_kept_as_was_said(tmp_path: Path) -> None:
    for number in range(6):
        save_tree(number, tmp_path, number, kept=3)
    assert [load_tree(path) for path in checkpoints(tmp_path)] == [3, 4, 5]
    save_tree(6, tmp_path, 6, kept=1)
    assert [load_tree(path) for path in checkpoints(tmp_path)] == [6]
    for number, kept in ((7, 0), (-1, 2)):
        with pytest.raises(ValueError, match=f"number is {number} and kept {kept}, expected a number from 0"):
            save_tree(7, tmp_path, number, kept=kept)


def test_a_future_that_was_taken_back_goes_once_another_is_saved(tmp_path: Path) -> None:
    """Else the newest would be the one of a run that was left, and the last one saved removed at once."""
    for number in (10, 20):
        save_tree(number, tmp_path, number)
    written = save_tree(15, tmp_path, 15)
    assert [load_tree(path) for path in checkpoints(tmp_path)] == [10, 15]
    assert checkpoints(tmp_path)[-1] == written


def test_drafts_that_a_crash_left_are_ignored_and_removed(tmp_path: Path) -> None:
    whole = save_tree(TREE, tmp_path, 1)
    for name in (".000000002.safetensors.0a1b2c3d.draft", ".000000009.safetensors.ffffffff.draft"):
        (tmp_path / name).write_bytes(b"half")
    assert checkpoints(tmp_path) == [whole]
    written = save_tree({"three": 3}, tmp_path, 3)
    assert checkpoints(tmp_path) == [whole, written]
    later = ".000000009.safetensors.ffffffff.draft"  # may be of another process, which is alive
    assert sorted(path.name for path in tmp_path.iterdir()) == [later, whole.name, written.name]


def test_what_is_no_checkpoint_is_not_listed(tmp_path: Path) -> None:
    whole = save_tree(TREE, tmp_path, 1)
    for name in ("notes.txt", "best.safetensors", "-3.safetensors", "²3.safetensors"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "000000004").mkdir()  # as earlier versions wrote them
    assert checkpoints(tmp_path) == [whole]


def test_checkpoints_on_other_storage_are_the_same() -> None:
    parent = run_path("memory://checkpoints/deep")
    for number in range(4):
        path = save_tree({**TREE, "number": number}, parent, number)
    assert [p.name for p in checkpoints(parent)] == ["000000002.safetensors", "000000003.safetensors"]
    assert same(load_tree(path), {**TREE, "number": 3})
    path.write_bytes(path.read_bytes()[:-1])
    assert f"checkpoint {path} cannot be read: " in refusal(path)
    assert "cannot be read" in refusal(parent / "000000000.safetensors")


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


def packed(plain: Any, **tensors: Any) -> bytes:
    """A file with a tree of one's own making."""
    text = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
    return save({"tree": np.frombuffer(text, np.uint8), **{k: np.asarray(v) for k, v in tensors.items()}})


def test_every_truncation_and_every_appendage_is_noticed(tmp_path: Path) -> None:
    path = save_tree(TREE, tmp_path, 0)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refusal(path)
    path.write_bytes(whole + b"\0")
    refusal(path)
    path.write_bytes(whole)
    assert same(load_tree(path), TREE)


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    path = save_tree(TREE, tmp_path, 0)
    path.unlink()
    assert refusal(path).startswith(f"checkpoint {path} cannot be read: ")
    path.mkdir()
    assert "remove it to go on from the one before" in refusal(path)
    refusal(tmp_path / "nowhere" / "000000000.safetensors")


def headed(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("raise AssertionError('code was executed')",))


ARRAY = {"$array": "float64", "shape": [2]}
HOSTILE = {
    "pickle": pickle.dumps(Trap()),
    "empty": b"",
    "absurd header": struct.pack("<Q", 2**63) + b"{}",
    "header of 99 GB": struct.pack("<Q", 99 * 10**9) + b"{}",
    "header that is no JSON": struct.pack("<Q", 8) + b"{" * 8,
    "tensor beyond the file": headed(b'{"tree":{"dtype":"U8","shape":[9000000000],"data_offsets":[0,9000000000]}}'),
    "tensor at a negative place": headed(b'{"tree":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}'),
    "tensor of an unknown type": headed(b'{"tree":{"dtype":"O","shape":[0],"data_offsets":[0,0]}}'),
    "shape that does not fit its bytes": headed(b'{"tree":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}') + b"1",
    "another's weights": save({"layer.weight": np.zeros((3, 3), np.float32)}),
    "tree that is no text": packed(b"\xff\xfe"),
    "tree of floats": save({"tree": np.zeros(3)}),
    "tree in two dimensions": save({"tree": np.zeros((1, 3), np.uint8)}),
    "deep nesting": packed(b"[" * 100_000 + b"]" * 100_000),
    "deep dictionaries": packed(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "number of a million digits": packed(b"1" * 1_000_000),
    "array that is missing": packed(ARRAY),
    "array of another type": packed(ARRAY, float32=np.zeros(2, np.float32)),
    "too large a shape": packed({**ARRAY, "shape": [3]}, float64=np.zeros(2)),
    "elements left over": packed({**ARRAY, "shape": [1]}, float64=np.zeros(2)),
    "one array twice": packed([ARRAY, ARRAY], float64=np.zeros(2)),
    "negative sizes": packed({**ARRAY, "shape": [-1, -2]}, float64=np.zeros(2)),
    "sizes that are true": packed({**ARRAY, "shape": [True, 2]}, float64=np.zeros(2)),
    "huge sizes of nothing": packed({**ARRAY, "shape": [0, 2**70]}, float64=np.zeros(0)),
    "too many dimensions": packed({**ARRAY, "shape": [1] * 1000}, float64=np.zeros(1)),
    "no shape": packed({"$array": "float64"}, float64=np.zeros(2)),
    "shape that is no list": packed({**ARRAY, "shape": "2"}, float64=np.zeros(2)),
    "name that is no text": packed({**ARRAY, "$array": ["float64"]}, float64=np.zeros(2)),
    "name of the tree": packed({"$array": "tree", "shape": [2]}),
    "tensor with dimensions": packed(ARRAY, float64=np.zeros((2, 1))),
    "tensor without": packed({**ARRAY, "shape": []}, float64=np.zeros(())),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_foreign_or_hostile_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "000000000.safetensors"
    path.write_bytes(data)
    assert len(refusal(path)) < 1000


def test_what_is_well_made_by_hand_is_read(tmp_path: Path) -> None:
    """The same tools as above make a file that passes."""
    path = tmp_path / "000000000.safetensors"
    path.write_bytes(packed({"a": ARRAY, "b": {**ARRAY, "shape": [1, 1]}}, float64=np.arange(3.0)))
    assert same(load_tree(path), {"a": np.arange(2.0), "b": np.full((1, 1), 2.0)})


@settings(deadline=None, max_examples=150)
@given(data=st.data())
@example(data=None)
def test_changed_bytes_give_a_tree_or_a_refusal(data: Any) -> None:
    """Never another error, whatever byte is changed, left out or put in."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_tree(TREE, Path(folder), 0)
        whole = bytearray(path.read_bytes())
        if data is not None:
            for _ in range(data.draw(st.integers(1, 4))):
                at = data.draw(st.integers(0, len(whole) - 1))
                whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        path.write_bytes(whole)
        try:
            load_tree(path)
        except CheckpointError:
            assert data is not None


def test_a_tree_with_more_arrays_than_a_header_could_name_comes_back(tmp_path: Path) -> None:
    """safetensors limits the header, where every tensor is named; ours names one for each type."""
    tree = [np.full(1, k) for k in range(20_000)] + [np.ones((2, 0), np.float32)]
    path = save_tree(tree, tmp_path, 0)
    assert sorted(load_file(path)) == ["float32", "int64", "tree"]
    assert int.from_bytes(path.read_bytes()[:8], "little") < 1000
    assert same(load_tree(path), tree)


def test_arrays_of_the_other_byte_order_come_back_as_equal_ones(tmp_path: Path) -> None:
    found = load_tree(save_tree([np.arange(5.0).astype(">f8")], tmp_path, 0))
    np.testing.assert_array_equal(found[0], np.arange(5.0))


def test_nothing_in_a_checkpoint_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", forbidden)
    path = save_tree(TREE, tmp_path, 0)
    assert same(load_tree(path), TREE)
    assert json.loads(load_file(path)["tree"].tobytes())["moves"] == 7
    header = path.read_bytes()
    json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])


@pytest.mark.parametrize(
    "tree",
    [{"a": np.array([object()])}, {"a": np.array([1j])}, {1: 2}, {"$array": "0"}],
    ids=["objects", "complex", "key", "mark"],
)
def test_what_would_not_come_back_is_refused(tree: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="checkpoint"):
        save_tree(tree, tmp_path, 0)
