"""Arrays in files of the IDX format, plain or gzipped."""

__all__ = ["GZIP_DAMAGE", "open_unpacked", "read_idx"]

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .dataset_errors import DatasetCorrupt, DatasetNotFound

GZIP_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)  # what reading a damaged gzip file raises

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DIMENSIONS = 8
_CHUNK = 1 << 20


def read_idx(path: str | Path) -> NDArray[Any]:
    """The array in a file of the IDX format, plain or gzipped, in the machine's byte order.

    The format: two zero bytes, the type, the number d of dimensions, d sizes of four bytes, then the values, all
    big-endian, the last dimension fastest. No more memory is taken than the file fills, whatever its header promises.

    Raises:
        DatasetNotFound: the file cannot be opened.
        DatasetCorrupt: it is damaged, or is not such a file.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998.
    """
    path = Path(path)
    try:
        with open_unpacked(path) as stream:
            dtype, shape = _read_header(path, stream)
            promised = math.prod(shape) * dtype.itemsize
            payload = _read_up_to(stream, promised + 1)
    except GZIP_DAMAGE as error:
        raise DatasetCorrupt(f"{path} is a damaged gzip file ({error}); fetch it anew") from error
    except OSError as error:
        raise DatasetNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    if len(payload) != promised:
        came = f"{len(payload)} came" if len(payload) < promised else "more came"
        raise DatasetCorrupt(
            f"{path} is {'truncated' if len(payload) < promised else 'too long'}: its header promises"
            f" {shape} values of type {dtype.name}, {promised} bytes, and {came}; fetch it anew"
        )
    array = np.frombuffer(payload, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def open_unpacked(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The file's bytes to read, unpacked if the first are those of gzip, whatever its name."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def _read_header(path: Path, stream: IO[bytes] | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    good = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES
    if not good or not 1 <= magic[3] <= _DIMENSIONS:
        raise DatasetCorrupt(
            f"{path} begins with {magic.hex(' ') or 'nothing'}, expected the magic number of IDX: 00 00,"
            f" a type (08 is unsigned bytes) and 1 to {_DIMENSIONS} dimensions"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DatasetCorrupt(f"{path} is truncated within its header, expected {magic[3]} sizes of 4 bytes")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if not all(shape):
        raise DatasetCorrupt(f"{path} holds an array of shape {shape}, expected at least one value")
    return np.dtype(_TYPES[magic[2]]), shape


def _read_up_to(stream: IO[bytes] | gzip.GzipFile, limit: int) -> bytearray:
    """At most `limit` bytes, taken piecewise: asking for all of them at once would allocate them all."""
    payload = bytearray()
    while len(payload) < limit and (chunk := stream.read(min(_CHUNK, limit - len(payload)))):
        payload += chunk
    return payload
