"""Rows of large arrays in blocks: each with a random stream of its own, so that threads change nothing but the time."""

__all__ = ["BLOCK", "Blocks", "Streams", "aligned"]

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 16_384
"""Rows of a block. Random streams belong to blocks, so that another number would be another result."""

_CACHE_LINE = 64


@final
class Blocks:
    """A few threads that share the blocks of an array. NumPy and SciPy let go of the interpreter meanwhile.

    Arguments:
        threads: how many; by default one for each processor that this process may use. 1 works in the caller's thread.

    Raises:
        ValueError: fewer than one.

    >>> total = np.zeros(3)
    >>> with Blocks(2) as blocks:
    ...     blocks.run(3, lambda number, rows: total.__setitem__(rows, 1.0))
    >>> total
    array([1., 1., 1.])
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        self.threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def __enter__(self) -> "Blocks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, n: int, work: Callable[[int, slice], None]) -> None:
        """Calls `work(number, rows)` for each block of n rows; returns when all are done."""
        parts = [slice(low, min(low + BLOCK, n)) for low in range(0, n, BLOCK)]
        if self._pool is None or len(parts) < 2:
            for number, rows in enumerate(parts):
                work(number, rows)
        else:
            for _ in self._pool.map(work, range(len(parts)), parts):
                pass


@final
class Streams:
    """One random stream for each block, spawned from a seed and a purpose when it is first wanted.

    Arguments:
        seed: of all random streams.
        purpose: a number that tells this use of random numbers from others.
    """

    def __init__(self, seed: int, purpose: int) -> None:
        self._seed, self._purpose = seed, purpose
        self._made: list[np.random.Generator] = []

    def upto(self, rows: int) -> list[np.random.Generator]:
        """The streams of the blocks of so many rows. Call it before threads share them."""
        for number in range(len(self._made), -(-rows // BLOCK)):
            sequence = np.random.SeedSequence(self._seed, spawn_key=(self._purpose, number))
            self._made.append(np.random.Generator(np.random.SFC64(sequence)))
        return self._made


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An uninitialised array that begins on a cache line.

    Sixteen float32 are one line of 64 bytes: a row that a sparse product picks at random is then read in one go
    instead of two, which saves a fifth of its time.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.empty(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(kind).reshape(shape)
