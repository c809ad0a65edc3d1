"""Checkpoints of any content give a state that play goes on from, or an error; nothing in them runs or leaves."""

import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.runners import Duration, Link, Network, virtual
from nashgossip.runners.checkpoint import checkpoint_path, load_tree, save_tree
from nashgossip.runners.checkpoint_store import CheckpointStore
from nashgossip.topology import attach_alpha, generate_graph

from .attempts import Surface
from .mutations import anything, havoc, mostly, mutated_bytes, mutated_trees, names, numbers, plain

TREE = {
    "x": np.arange(6.0).reshape(2, 3),
    "inner": {"n": np.array([1, 2]), "list": [1, 2.5, "a", None, True]},
    "flags": np.array([[True, False]]),
}


def saved(tree: Any) -> bytes:
    """The bytes of a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        return save_tree(tree, Path(folder), 0).read_bytes()


WHOLE = saved(TREE)
_SIZE = struct.unpack("<Q", WHOLE[:8])[0]
HEADER, BODY = json.loads(WHOLE[8 : 8 + _SIZE]), WHOLE[8 + _SIZE :]
INNER = json.loads(BODY[slice(*HEADER["tree"]["data_offsets"])])


def _packed(header: Any, body: bytes, size: int | None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def _with_tree(tree: Any) -> bytes:
    """The same arrays under another tree of references."""
    text = json.dumps(tree).encode()
    body = b"".join(
        BODY[slice(*HEADER[name]["data_offsets"])] for name in HEADER if name not in ("tree", "__metadata__")
    )
    header, at = {}, 0
    for name in HEADER:
        if name not in ("tree", "__metadata__"):
            begin, end = HEADER[name]["data_offsets"]
            header[name] = HEADER[name] | {"data_offsets": [at, at + end - begin]}
            at += end - begin
    header["tree"] = {"dtype": "U8", "shape": [len(text)], "data_offsets": [at, at + len(text)]}
    return _packed(header, body + text, None)


references = st.fixed_dictionaries(
    {"$array": st.sampled_from(["float64", "int64", "bool", "tree", "../x"]) | plain},
    optional={"shape": st.lists(numbers, max_size=3) | plain},
)
sizes = st.none() | st.sampled_from([0, 1, 7, 2**31, 2**63, 2**64 - 1, 100_000_001])
dtypes = st.sampled_from(["U8", "F64", "BF16", "F8_E4M3", "I64", "BOOL", "C64", "X"])
contents = (
    mutated_bytes([WHOLE, b""])
    | st.tuples(mutated_trees([HEADER], plain | dtypes | st.lists(numbers, max_size=3)), st.just(BODY), sizes).map(
        lambda t: _packed(*t)
    )
    | mutated_trees([INNER], plain | references, keys=["$array", "shape", "x"]).map(_with_tree)
    | st.sampled_from(["[" * 9000, '{"a": ' * 9000, "NaN", "9" * 5000, '"\\ud800"']).map(
        lambda text: _packed(
            {"tree": {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]}}, text.encode(), None
        )
    )
)


def load(data: bytes, folder: Path) -> None:
    """What was read can be saved again; it is no larger than the file."""
    file = folder / "000000001.safetensors"
    file.write_bytes(data)
    tree = load_tree(file)
    assert sum(a.nbytes for a in _arrays(tree)) <= len(data)


def _arrays(tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _arrays(inner)


store_names = names | anything | st.sampled_from(["00001-a", "a..b", ".hidden", "CON", "a/b"])
files = st.lists(st.tuples(st.integers(0, 9) | st.sampled_from([10**9, 10**30]), contents), max_size=3)


def store(given: tuple[str, list[tuple[int, bytes]]], folder: Path) -> None:
    """The newest one that can be read, of a store of any name; what is saved after it stays in its folder."""
    name, kept = given
    made = CheckpointStore(folder / "stores", name)
    made.folder.mkdir(parents=True)
    for number, data in kept:
        checkpoint_path(made.folder, number).write_bytes(data)
    made.latest(lambda error: None)
    made.save(TREE, 3)
    assert made.numbers()[-1] == 3


@cache
def game() -> Game:
    """Three Gaussian players on a ring."""
    family, G = Gaussian((2,)), attach_alpha(generate_graph("ring", n=3), 0.3)
    rows = {i: family.sample(np.full(2, float(i)), 20, np.random.default_rng(i)) for i in G}
    return Game(G, {i: PlayerSpec(family=family, data=rows[i], samples=3) for i in G})


@cache
def state() -> Any:
    """A simulation in the middle, as a checkpoint gives it back: letters are on their way, and in mailboxes."""
    found: list[Any] = []
    latency = Network(link=Link(latency=Duration("constant", 0.7)))
    for _ in virtual(game(), seed=0, moves=3, network=latency, on_observation=lambda s: found.append(s.state())):
        pass
    with tempfile.TemporaryDirectory() as folder:
        return load_tree(save_tree(found[1], Path(folder), 0))


bad = plain | st.sampled_from([np.zeros(2), np.full((2, 2), np.nan), np.zeros((0, 2)), np.ones(3, bool)])
states = st.deferred(lambda: mutated_trees([state()], bad, most=2))


def go_on(tree: Any, folder: Path) -> None:
    """Play goes on from a state to its end, or refuses it before it has begun."""
    network = Network(link=Link(latency=Duration("constant", 0.7)))
    for _ in virtual(game(), seed=0, moves=3, network=network, resume=tree):
        pass


SURFACES = [
    Surface("checkpoint files", contents, load, 7.0, havoc),
    Surface("stores of checkpoints", st.tuples(mostly(st.just("00001-a"), store_names), files), store, 0.5),
    Surface("states of simulations", states, go_on, 1.5),
]
