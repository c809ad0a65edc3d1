"""Options are handed to functions as they come: what these raise over a value becomes an error of the experiment."""

__all__ = ["naming_options"]

from collections.abc import Iterator
from contextlib import contextmanager

from .experiment import ExperimentError

_OF_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError)


@contextmanager
def naming_options(where: str) -> Iterator[None]:
    """Names the section whose options are at fault, for errors that do not say so themselves.

    Arguments:
        where: the section, such as `data.options`.

    Raises:
        ExperimentError: in place of what was raised over the type of a value or its size. Errors of the package's own
            go through, and so do those of the machine: `OSError`, `MemoryError`, `RuntimeError`.

    >>> with naming_options("data.options"):
    ...     [1.0] * "2"
    Traceback (most recent call last):
    nashgossip.runners.experiment.ExperimentError: data.options has a value that cannot be taken (TypeError: can't multiply sequence by non-int of type 'str'); see docs/experiments.md for what it may be
    """  # noqa: E501
    try:
        yield
    except (*_OF_VALUES, ValueError) as error:
        if isinstance(error, ValueError) and type(error) is not ValueError:
            raise
        raise ExperimentError(
            f"{where} has a value that cannot be taken ({type(error).__name__}: {error!s:.200}); "
            "see docs/experiments.md for what it may be"
        ) from error
