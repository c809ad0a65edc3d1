"""Data files of any content give rows or an error, and nothing is unpickled; names of any kind stay in the folder."""

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st
from typer.testing import CliRunner

from nashgossip.games import DatasetError, load_dataset, load_npz
from nashgossip.games.idx import read_idx
from nashgossip.runners import Journal, watch
from nashgossip.runners.checkpoint_store import CheckpointStore
from nashgossip.runners.command import app
from nashgossip.runners.directory import RunDirectory
from nashgossip.runners.file_names import file_name, readable, require_file_name
from nashgossip.topology import UnknownNameError

from .attempts import Leak, Surface
from .mutations import anything, havoc, hostile, mostly, mutated_bytes, names, numbers


class Payload:
    """What leaves a file outside the folder if it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("../unpickled"),)


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


MEDICAL = _npz(
    **{f"{part}_images": np.zeros((2, 3, 3), np.uint8) for part in ("train", "val", "test")},
    **{f"{part}_labels": np.array([[0], [1]], np.uint8) for part in ("train", "val", "test")},
)
PICKLED = np.array([Payload()], dtype=object)
NPZ = [
    _npz(x=np.arange(6.0).reshape(3, 2), k=np.array([0, 1, 2])),
    _npz(x=np.array([0, 1, 1], np.uint8)),
    _npz(x=PICKLED),
    pickle.dumps(Payload()),
    _zip({"x.npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }\n")}),
    _zip({"x.npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n", b"\0" * 8)}),
    _zip({"x.npy": _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", pickle.dumps(PICKLED))}),
    _zip({"x.npy": _npy("{'descr': __import__('os').system('touch ../out'), 'shape': (1,)}\n")}),
    _zip({"x.npy": _npy("(" * 5000)}),
    _zip({"../out.npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", b"\0" * 8)}),
    _zip({"x": b"no array"}),
    MEDICAL,
]
IDX = [
    b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 2) + bytes(range(8)),
    b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\1\2",
    b"\0\0\x0e\x02" + struct.pack(">2I", 1, 2) + b"\0" * 16,
    b"\0\0\x08\x04" + struct.pack(">4I", 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),
]
IDX += [gzip.compress(data, mtime=0) for data in IDX]


def read_npz(given: tuple[bytes, Any, Any], folder: Path) -> None:
    """Arrays of one's own, with any label and number of classes, and the same file as one of MedMNIST's."""
    data, label, classes = given
    file = folder / "own.npz"
    file.write_bytes(data)
    refused = [
        error
        for error in (
            _refused(lambda: load_npz(file, label, classes)),
            _refused(lambda: load_dataset("medmnist", file=str(file))),
        )
        if error
    ]
    if len(refused) == 2:
        raise refused[0]


def _refused(load: Callable[[], object]) -> ValueError | None:
    try:
        load()
    except (DatasetError, UnknownNameError) as error:
        return error
    return None


def read_images(given: tuple[list[bytes], str], folder: Path) -> None:
    """A file of the IDX format alone, and four of them as MNIST's."""
    files, part = given
    for data, stem in zip(
        files, ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"), strict=True
    ):
        (folder / f"{stem}-ubyte").write_bytes(data)
    first = _refused(lambda: read_idx(folder / "train-images-idx3-ubyte"))
    load_dataset("mnist", root=str(folder), part=part)
    assert first is None or part == "test"


labels = mostly(st.none() | st.sampled_from(["k", "x"]), anything | names)
images = mostly(st.sampled_from(IDX), mutated_bytes(IDX))
own = st.tuples(mutated_bytes(NPZ), labels, mostly(st.none(), numbers | hostile))
sets = st.tuples(st.lists(images, min_size=4, max_size=4), mostly(st.sampled_from(["all", "train", "test"]), anything))

texts = names | anything | st.text(st.sampled_from("./\\~\0\n: aé"), max_size=20)


def name_files(given: tuple[str, int], folder: Path) -> None:
    """Whatever players, experiments and stores are called, their files lie where they belong."""
    name, index = given
    made = file_name(name, index)
    assert require_file_name(made) == made
    (folder / made).touch()
    assert [path.name for path in folder.iterdir()] == [made]
    assert RunDirectory.fresh(name, folder).path.parent == folder
    assert "/" not in readable(name)
    journal = Journal(folder / f"{made}.jsonl")
    journal.write(name, player=name, text=name)
    journal.close()
    CheckpointStore(folder, name).save({"x": 1}, 0)


COMMANDS = ["run", "resume", "report", "watch", "audit", "study", "topology", "list", "--help"]
arguments = st.sampled_from(
    ["--json", "--set", "--out", "--seed", "--runner", "--port", "--jobs", "--directed", "ring", "seed=1"]
)
OUTS = st.sampled_from(
    ["", ".", "in\0side", "x" * 300, "memory://", "s4://x/y", "http://", "\ud800", "file://", "C:\\x", "a::b://c"]
)


def command(given: list[str], folder: Path) -> str:
    """A command line of any words ends with status 0 or 2; nothing is played, as no word names what can be.

    A page waits 30 s for its run to begin, here a moment.
    """
    with patch.object(watch, "_PATIENCE", 0.05):
        result = CliRunner().invoke(app, given)
    if result.exit_code not in (0, 2) or not isinstance(result.exception, SystemExit | None):
        raise Leak(f"status {result.exit_code}: {result.exception!r}: {result.output[-300:]}") from result.exception
    return "accepted" if result.exit_code == 0 else "status 2"


words = st.lists(OUTS | texts | arguments.filter(lambda w: w != "ring"), max_size=3)
lines = st.tuples(st.sampled_from(COMMANDS) | texts, OUTS | texts, words).map(lambda t: [t[0], t[1], *t[2]])

SURFACES = [
    Surface("npz and MedMNIST files", own, read_npz, 12.0, lambda given, rng: (havoc(given[0], rng), *given[1:])),
    Surface(
        "IDX and MNIST files", sets, read_images, 2.0, lambda given, rng: ([havoc(d, rng) for d in given[0]], given[1])
    ),
    Surface("names of files", st.tuples(texts, st.integers(0, 10**6)), name_files, 2.0),
    Surface("command lines", lines, command, 0.12),
]
