"""Strategies that damage what was good: bytes, text and trees of plain values."""

__all__ = [
    "anything",
    "havoc",
    "hostile",
    "mostly",
    "mutated_bytes",
    "mutated_text",
    "mutated_trees",
    "names",
    "numbers",
    "plain",
]

import copy
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

anything = st.text(st.characters(codec=None), max_size=12)
names = st.sampled_from(
    ["", ".", "..", "../out", "/tmp/out", "a/../../out", "a\0b", "\n", "x" * 300, "~", "C:\\out", "\ud800", "ü", "None"]
)
numbers = st.sampled_from(
    [0, -1, 1, 2, 3, 10**5, 10**12, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.0, -0.5, 0.5, 1e-320, 1e300, 1e-9]
) | st.sampled_from([float("nan"), float("inf"), float("-inf")])
hostile = st.none() | st.booleans() | numbers | names | anything
plain = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | anything, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mostly(draw: DrawFn, good: SearchStrategy[Any], bad: SearchStrategy[Any]) -> Any:
    """Four in five good ones, so that something bad beside them is reached."""
    return draw(good if draw(st.integers(0, 4)) else bad)


@st.composite
def mutated_bytes(draw: DrawFn, seeds: Sequence[bytes], most: int = 6, least: int = 0) -> bytes:
    """A seed with some bytes flipped, cut out, put in, repeated or cut off at the end."""
    data = bytearray(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.integers(least, most))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "put", "cut", "end", "copy", "number"]))
        if kind == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 16))]
        elif kind == "end":
            del data[at:]
        elif kind == "copy":
            end = at + draw(st.integers(1, 64))
            data[at:at] = data[at:end]
        else:
            size, sign = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([b"\xff", b"\x7f", b"\0", b"\x80"]))
            data[at : at + size] = sign * size
    return bytes(data)


def havoc(data: bytes, rng: Random) -> bytes:
    """Bytes with a few more changes, drawn without hypothesis: a hundred times as fast, and not made smaller."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randint(0, len(changed)), rng.choice([1, 1, 2, 4, 8, 16])
        other = rng.randint(0, len(changed))
        kind = rng.randint(0, 4)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randint(0, 7)
        elif kind == 1:
            changed[at : at + size] = rng.randbytes(size)
        elif kind == 2:
            del changed[at : at + size]
        elif kind == 3:
            changed[at:at] = changed[other : other + size]
        else:
            changed[at : at + size] = rng.choice([b"\xff", b"\0", b"\x7f", b"9", b"-"]) * size
    return bytes(changed)


@st.composite
def mutated_text(draw: DrawFn, seeds: Sequence[str], words: Sequence[str], most: int = 5, least: int = 0) -> str:
    """A seed with lines dropped, doubled, swapped or indented, and words of a grammar put in place of others."""
    lines = draw(st.sampled_from(list(seeds))).splitlines()
    for _ in range(draw(st.integers(least, most))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        kind = draw(st.sampled_from(["drop", "double", "swap", "indent", "word", "word", "word", "insert"]))
        if not lines or kind == "insert":
            lines.insert(at, draw(st.sampled_from(list(words)) | anything))
        elif kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "indent":
            lines[at] = " " * draw(st.integers(0, 5)) + lines[at].lstrip()
        else:
            head, colon, _ = lines[at].partition(draw(st.sampled_from([":", " ", ",", "="])))
            lines[at] = head + colon + " " + draw(st.sampled_from(list(words)) | anything)
    return "\n".join(lines)


@st.composite
def mutated_trees(
    draw: DrawFn, seeds: Sequence[Any], values: SearchStrategy[Any] = plain, most: int = 4, keys: Sequence[str] = ()
) -> Any:
    """A tree of dictionaries and lists with some values replaced, dropped, added, or moved from elsewhere."""
    tree = copy.deepcopy(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["value", "value", "value", "drop", "add", "move"]))
        if kind == "value":
            holder[key] = draw(values)
        elif kind == "drop":
            del holder[key]
        elif kind == "move":
            other, name = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[name])
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(list(keys)) if keys else names | anything)] = draw(values)
        else:
            holder.append(draw(values))
    return tree


def _places(tree: Any) -> Any:
    """Every (holder, key or index) of a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield tree, key
        yield from _places(value)
