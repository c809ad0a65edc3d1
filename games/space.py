"""Named variables, the spaces that they span, and checked batches of rows over a space."""

__all__ = ["Batch", "BatchError", "Kind", "Space", "SpaceError", "Variable"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["binary", "categorical", "count", "real"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "binary": np.dtype(np.uint8),
    "categorical": np.dtype(np.int32),
    "count": np.dtype(np.int64),
    "real": np.dtype(np.float64),
}
_LARGEST = int(np.iinfo(np.int64).max)


class SpaceError(ValueError):
    """Two definitions of variables do not fit together.

    Not `BatchError`, which is about rows that do not fit a space.
    """


class BatchError(ValueError):
    """Rows that do not fit their space. `reason` is a short name that receivers count by.

    Reasons: `space` (a variable is missing or unknown), `shape`, `type`, `range`, `finite`, `size`.
    Not `SpaceError`, which is about the definitions of the variables themselves.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Variable:
    """One named variable of a player.

    Arguments:
        name: how the variable is called wherever it occurs.
        kind: `binary` (0 or 1), `categorical` (0 … categories-1), `count` (0, 1, 2, …) or `real`.
        shape: shape of one row's value; `()` is a scalar.
        categories: number of categories, for `categorical` only.
        low: smallest value allowed, for `real` only.
        high: largest value allowed, for `real` only.
        publish: whether generated values of it may leave the player.

    Raises:
        SpaceError: an unknown kind, a bad shape, `categories` missing or given for another kind.

    >>> Variable("digit", "categorical", categories=10).dtype
    dtype('int32')
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    categories: int | None = None
    low: float | None = None
    high: float | None = None
    publish: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(s) for s in self.shape))
        if self.kind not in get_args(Kind):
            raise SpaceError(
                f"variable {self.name!r} has kind {self.kind!r}, expected one of {', '.join(get_args(Kind))}"
            )
        if any(s < 1 for s in self.shape):
            raise SpaceError(f"variable {self.name!r} has shape {self.shape}, expected positive sizes")
        if (self.kind == "categorical") != (self.categories is not None):
            raise SpaceError(f"variable {self.name!r} is {self.kind}: give `categories` for categorical variables only")
        if self.categories is not None and self.categories < 1:
            raise SpaceError(f"variable {self.name!r} has {self.categories} categories, expected at least 1")
        if self.kind != "real" and (self.low is not None or self.high is not None):
            raise SpaceError(f"variable {self.name!r} is {self.kind}: `low` and `high` bound real variables only")
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        if not low < high:
            raise SpaceError(f"variable {self.name!r} has bounds {self.low} and {self.high}, expected low < high")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in which batches hold this variable."""
        return _DTYPES[self.kind]

    def check(self, values: Any) -> NDArray[Any]:
        """`values` as a read-only array `[n, *shape]` of this variable's dtype.

        Raises:
            BatchError: not an array of numbers, another shape, or a value outside the kind.
        """
        try:
            array = np.asarray(values)
        except Exception as error:  # whatever the values themselves raise when they are asked
            raise BatchError("type", f"variable {self.name!r} came as no array: {error}") from None
        if array.dtype.kind not in ("biuf" if self.kind == "real" else "biu"):
            raise BatchError("type", f"variable {self.name!r} ({self.kind}) came as dtype {array.dtype}")
        if array.ndim != 1 + len(self.shape) or array.shape[1:] != self.shape:
            raise BatchError(
                "shape", f"variable {self.name!r} came with shape {array.shape}, expected (n, *{self.shape})"
            )
        if array.size:
            self._check_range(array)
        with np.errstate(over="ignore"):  # a number beyond float64 becomes an infinity, which is refused
            checked = array.astype(self.dtype, order="C", copy=False)
        if self.kind == "real" and array.dtype.itemsize > 8 and not np.isfinite(checked).all():
            raise BatchError("finite", f"variable {self.name!r} holds a number beyond the range of float64")
        if checked is array and not _immutable(array):
            checked = array.copy()
        checked.flags.writeable = False
        return checked

    def _check_range(self, array: NDArray[Any]) -> None:
        if self.kind == "real":
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise BatchError("finite", f"variable {self.name!r} holds NaN or an infinity")
            low, high = self.low, self.high
        else:
            low = 0
            high = {"binary": 1, "categorical": (self.categories or 1) - 1, "count": _LARGEST}[self.kind]
        if low is not None and not (low == 0 and array.dtype.kind in "bu") and array.min() < low:
            raise BatchError("range", f"variable {self.name!r} ({self.kind}) holds {array.min()}, below {low}")
        if high is not None and array.max() > high:
            raise BatchError("range", f"variable {self.name!r} ({self.kind}) holds {array.max()}, above {high}")


def _immutable(array: NDArray[Any]) -> bool:
    """Whether nobody can write to these values, through this array or one that it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None


@dataclass(frozen=True)
class Space:
    """The variables of a player, in a fixed order.

    Raises:
        SpaceError: two variables have one name, or there is none.

    >>> space = Space((Variable("x", "binary", (2,)), Variable("c", "categorical", categories=3)))
    >>> batch = space.batch({"x": [[0, 1]], "c": [2]})
    >>> len(batch), batch["c"]
    (1, array([2], dtype=int32))
    """

    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        if not self.variables:
            raise SpaceError("a space needs at least one variable")
        names = [v.name for v in self.variables]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise SpaceError(f"two variables are called {', '.join(map(repr, twice))}")

    @cached_property
    def _by_name(self) -> dict[str, Variable]:
        return {v.name: v for v in self.variables}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Variable:
        try:
            return self._by_name[name]
        except KeyError:
            raise SpaceError(f"no variable {name!r} in this space; it has {', '.join(self.names)}") from None

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def publishable(self) -> "Space | None":
        """The part of this space that may be published; None when that is nothing."""
        return _space_or_none([v for v in self.variables if v.publish])

    def intersection(self, other: "Space") -> "Space | None":
        """The variables shared with `other`, in this space's order; None when there is none.

        Raises:
            SpaceError: one name stands for different variables (kind, shape, categories or bounds).
        """
        shared = [v for v in self.variables if v.name in other]
        for mine in shared:
            theirs = replace(other[mine.name], publish=mine.publish)
            if mine != theirs:
                raise SpaceError(f"variable {mine.name!r} is {mine} here and {theirs} there; rename one of them")
        return _space_or_none(shared)

    def batch(self, arrays: Mapping[str, Any]) -> "Batch":
        """A checked batch over this space from `arrays`, name → `[n, *shape]`.

        Raises:
            BatchError: see there for the reasons.
        """
        if set(arrays) != set(self._by_name):
            missing = [n for n in self.names if n not in arrays]
            unknown = [repr(n) for n in arrays if n not in self._by_name]
            raise BatchError("space", f"missing variables {missing}, unknown variables [{', '.join(unknown)}]")
        checked = {v.name: v.check(arrays[v.name]) for v in self.variables}
        rows = {len(a) for a in checked.values()}
        if len(rows) > 1:
            raise BatchError("shape", f"variables differ in their number of rows: {sorted(rows)}")
        return Batch(self, checked, _token=_CHECKED)

    def empty(self) -> "Batch":
        """The batch of no rows."""
        return self.batch({v.name: np.empty((0, *v.shape), v.dtype) for v in self.variables})


_CHECKED = object()


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows over a space, checked and read-only. Made by `Space.batch`, never directly.

    `batch[name]` is `[n, *shape]`; `len(batch)` is n.
    """

    space: Space
    arrays: Mapping[str, NDArray[Any]]
    _token: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self._token is not _CHECKED:
            raise TypeError("batches are made by Space.batch(arrays), which checks them")

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Batch)
            and self.space == other.space
            and all(np.array_equal(self[n], other[n]) for n in self.arrays)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.space, dict(self.arrays))

    @property
    def nbytes(self) -> int:
        """Bytes of the values alone."""
        return sum(a.nbytes for a in self.arrays.values())

    def select(self, rows: NDArray[Any] | Sequence[int] | int | slice) -> "Batch":
        """The rows at these positions."""
        chosen = rows if isinstance(rows, slice) else np.atleast_1d(rows)
        return self._derive(self.space, {n: a[chosen] for n, a in self.arrays.items()})

    def restrict(self, space: Space) -> "Batch":
        """The columns of `space`, which must be part of this batch's space.

        Raises:
            BatchError: a variable of `space` is not here.
            SpaceError: it is here, but with another kind, shape or range.
        """
        if space is self.space or space == self.space:
            return self
        shared = space.intersection(self.space)
        missing = [n for n in space.names if shared is None or n not in shared]
        if missing:
            raise BatchError("space", f"missing variables {missing}")
        return self._derive(space, {n: self.arrays[n] for n in space.names})

    def _derive(self, space: Space, arrays: dict[str, NDArray[Any]]) -> "Batch":
        for array in arrays.values():
            array.flags.writeable = False
        return Batch(space, arrays, _token=_CHECKED)

    @staticmethod
    def concatenate(batches: Sequence["Batch"]) -> "Batch":
        """All rows of batches over one space, in order.

        Raises:
            SpaceError: no batch, or spaces differ.
        """
        if not batches:
            raise SpaceError("concatenate needs at least one batch")
        space = batches[0].space
        if any(b.space != space for b in batches):
            raise SpaceError("concatenate needs batches over one space")
        return batches[0]._derive(space, {n: np.concatenate([b[n] for b in batches]) for n in space.names})


def _rebuild(space: Space, arrays: dict[str, NDArray[Any]]) -> Batch:
    return space.batch(arrays)


def _space_or_none(variables: list[Variable]) -> Space | None:
    return Space(cast("tuple[Variable, ...]", tuple(variables))) if variables else None
