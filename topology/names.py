"""Names that users choose from: the error for a name that is not known, with the nearest one that is."""

__all__ = ["UnknownNameError", "require_name"]

import difflib
from collections.abc import Iterable


class UnknownNameError(ValueError):
    """A name (of a generator, family, data set, experiment or key) that nothing here answers to.

    Not `KeyError`: it comes from what a user wrote, and its text suggests the nearest name.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        options = sorted(known)
        near = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(options)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


def require_name(kind: str, name: str, known: Iterable[str]) -> str:
    """`name` itself, if it is among `known`.

    Raises:
        UnknownNameError: it is not.

    >>> require_name("colour", "red", ["red", "green"])
    'red'
    """
    options = tuple(known)
    if name not in options:
        raise UnknownNameError(kind, name, options)
    return name
