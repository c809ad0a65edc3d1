"""Whatever another process sends, a player takes it or counts why not; it never stops, and learns on."""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nashgossip.agents import ExponentialFamilyModel, Message, Neighbour, Player
from nashgossip.agents.parcels import opened
from nashgossip.games import Gaussian, Space, Variable

from .attempts import Surface
from .mutations import hostile, mostly, numbers, plain

FAMILY = Gaussian((2,))
MIXED = Space(
    (Variable("x", "real", (2,), low=-5.0), Variable("c", "categorical", categories=3), Variable("n", "count"))
)
SPACES = {"a": FAMILY.space, "b": MIXED, 3: FAMILY.space}
REASONS = {"sender", "sequence", "space", "shape", "type", "range", "finite", "size"}
LIMIT = 50


class Rude:
    """An object whose every question is answered with an exception."""

    def _refuse(self, *_: Any) -> Any:
        raise RuntimeError("no")

    __len__ = __iter__ = __getitem__ = __hash__ = __eq__ = __array__ = __int__ = __index__ = __bool__ = _refuse  # type: ignore[assignment]
    ndim = shape = dtype = property(_refuse)


class Endless:
    """A sequence that says it is longer than any memory."""

    ndim = 1

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, at: Any) -> float:
        return 0.0


class RudeMapping(Mapping[str, Any]):
    """A mapping with one good key that raises when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["x"])

    def __len__(self) -> int:
        return 1


class Liar(np.ndarray[Any, Any]):
    """An array that says it has few rows, and of another type."""

    def __len__(self) -> int:
        return 1


class Proud(int):
    """A number that no other can be compared with."""

    def __ge__(self, other: object) -> bool:
        raise RuntimeError("no")

    __le__ = __lt__ = __gt__ = __eq__ = __ge__
    __hash__ = int.__hash__


def listener() -> Player:
    """A Gaussian player that hears a, b and 3."""
    return Player(
        "p",
        ExponentialFamilyModel(FAMILY),
        data=FAMILY.space.batch({"x": [[1.0, 0.0], [3.0, 0.0]]}),
        self_weight=0.4,
        neighbours={name: Neighbour(0.2, space) for name, space in SPACES.items()},
        listeners={"a": FAMILY.space},
        samples=5,
        seed=0,
        index=0,
        max_rows=LIMIT,
    )


def _huge(shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.float64(1.0), shape)


shapes = st.sampled_from([(2, 2), (1, 2), (2,), (), (0, 2), (LIMIT + 1, 2), (2, 2, 2), (2, 0), (3,), (2, 1)])
odd_dtypes = hnp.scalar_dtypes() | hnp.array_dtypes(max_size=2) | st.sampled_from([np.dtype(object), np.dtype("S3")])
arrays = (
    hnp.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_, np.longdouble]), shapes)
    | hnp.arrays(odd_dtypes.filter(lambda d: d.kind != "O"), shapes)
    | shapes.map(lambda shape: np.full(shape, None))
    | shapes.map(lambda shape: np.ones(shape).view(Liar))
    | st.sampled_from([(2**31, 2), (2**40, 2), (2**20, 2**20), (2, 2**40)]).map(_huge)
    | shapes.map(lambda shape: np.ma.masked_all(shape))
)
objects = (
    st.builds(Rude) | st.builds(Endless) | st.builds(lambda: deque([[0.0, 0.0]])) | st.just(Ellipsis) | st.just(len)
)
values = mostly(arrays, plain | objects | st.lists(st.lists(numbers, max_size=3), max_size=3))
good = st.sampled_from(
    [
        {"x": np.zeros((2, 2))},
        {"x": np.zeros((1, 2)), "c": np.array([2]), "n": np.array([7])},
        {"x": np.zeros((1, 2), np.float32), "c": np.array([0], np.uint8), "n": np.array([0])},
    ]
)
any_contents = (
    st.dictionaries(st.sampled_from(["x", "c", "n"]), values, max_size=3)
    | st.dictionaries(hostile.filter(lambda k: k == k), values, max_size=2)
    | st.builds(RudeMapping)
    | st.builds(lambda rude: {"x": rude}, objects)
    | plain
    | objects
    | arrays
)
contents = mostly(
    good | st.dictionaries(st.sampled_from(["x"]), values, min_size=1),
    st.tuples(good, st.sampled_from(["x", "c", "n", "y"]), values).map(lambda t: {**t[0], t[1]: t[2]}) | any_contents,
)
senders = mostly(st.sampled_from(["a", "b", 3]), st.sampled_from([True, 3.0, "c", None, (), [], {}]) | objects | plain)
sequences = mostly(st.integers(0, 9), numbers | plain | st.builds(Proud, st.integers(-1, 1)) | objects)
messages = st.lists(st.tuples(senders, sequences, contents), min_size=1, max_size=4)


def receive(given: list[tuple[Any, Any, Any]], folder: Path) -> str:
    """All messages to one player; every refusal has a name, and is counted. The first one is the verdict."""
    player, reasons = listener(), list[str | None]()
    for sender, sequence, content in given:
        before = player.rejected.total(), player.mailbox.counts["accepted"]
        reason = player.receive(Message.received(sender, sequence, content))
        assert reason is None or reason in REASONS
        reasons.append(reason)
        assert player.rejected.total() - before[0] == (reason is not None)
        assert reason is None or player.mailbox.counts["accepted"] == before[1]
    for letters in player.mailbox.read().values():
        for letter in letters:
            assert 0 < len(letter.batch) <= LIMIT
            assert all(type(a) is np.ndarray and not a.flags.writeable for a in letter.batch.arrays.values())
    player.mailbox.state()
    return next((reason for reason in reasons if reason is not None), "accepted")


listeners = mostly(st.lists(mostly(st.just("p"), plain), max_size=2), plain)
entries = st.tuples(senders, sequences, listeners, contents | st.integers(-3, 3))
requests = mostly(st.just([]), plain)
bundles = mostly(
    st.tuples(mostly(st.lists(entries, min_size=1, max_size=3), plain), requests), plain | st.tuples(plain)
)


def unpack(given: tuple[Any, Any], folder: Path) -> str:
    """A bundle as it comes from another process: its messages reach a player, or it is refused as a whole."""
    player = listener()
    reasons = [player.receive(message) for who, message in opened(given[0], given[1]) if who == "p"]
    return next((reason for reason in reasons if reason is not None), "accepted")


def shuffled(given: list[tuple[Any, Any, Any]], rng: Random) -> list[tuple[Any, Any, Any]]:
    """Senders, numbers and contents of some messages and of good ones, put together anew."""
    columns = [[*column, *fine] for column, fine in zip(zip(*given, strict=True), _FINE, strict=True)]
    return [tuple(rng.choice(column) for column in columns) for _ in given]  # type: ignore[misc]


_FINE = (["a", "b", 3], [0, 1, 2], [{"x": np.zeros((2, 2))}, {"x": np.ones((1, 2), "f4")}])

SURFACES = [
    Surface("messages", messages, receive, 12.0, shuffled),
    Surface("bundles between processes", st.tuples(bundles, st.lists(contents, max_size=2)), unpack, 5.0),
]
