"""Rows of random joint tables over a few finite variables: data of which everything is known."""

__all__ = ["load_random_tables"]

from collections.abc import Mapping

import numpy as np

from .cells import MOST_CELLS, Cells
from .dataset_errors import DatasetOptionError
from .datasets import Dataset
from .space import Space, Variable

_MOST_ROWS = 10_000_000
_SIZES = {"a": 2, "b": 3, "c": 2, "d": 2, "e": 3, "f": 2}


def load_random_tables(
    *,
    tables: int = 5,
    rows: int = 400,
    sizes: Mapping[str, int] | None = None,
    concentration: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Rows of several joint tables over the same variables, each drawn from a symmetric Dirichlet law.

    Variables: `table`, which of them a row is from, and those of `sizes`: binary where the size is 2, else categorical.
    Split by label, every player has the rows of a table of its own.

    Arguments:
        tables: how many.
        rows: of each table.
        sizes: variable → number of values.
        concentration: of the Dirichlet law; small values make tables of few likely cells.
        seed: of tables and rows.

    Raises:
        DatasetOptionError: a number out of range, or a variable called `table`.

    >>> data = load_random_tables(tables=2, rows=3, sizes={"a": 2, "b": 3})
    >>> len(data), data.batch.space.names, data.labels
    (6, ('table', 'a', 'b'), array([0, 0, 0, 1, 1, 1], dtype=int32))
    """
    sizes = dict(_SIZES if sizes is None else sizes)
    if not 1 <= tables <= _MOST_ROWS or not 1 <= rows <= _MOST_ROWS // tables or not 0 < concentration < np.inf:
        raise DatasetOptionError(
            f"tables is {tables}, rows {rows}, concentration {concentration}, expected at least 1, 1, and above 0, "
            f"and at most {_MOST_ROWS:,} rows in all"
        )
    if not sizes or "table" in sizes or any(not isinstance(k, int) or k < 2 for k in sizes.values()):
        raise DatasetOptionError(
            f"sizes is {sizes}, expected names other than `table` with whole numbers of at least 2 values"
        )
    if np.prod(np.array(list(sizes.values()), float)) > MOST_CELLS:
        raise DatasetOptionError(
            f"sizes {sizes} make more than {MOST_CELLS} cells; take fewer variables, or smaller ones"
        )
    variables = [
        Variable(name, "binary") if k == 2 else Variable(name, "categorical", categories=k) for name, k in sizes.items()
    ]
    cells = Cells(Space(tuple(variables)))
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.full(cells.count, concentration), size=tables)
    codes = np.concatenate([rng.choice(cells.count, size=rows, p=law) for law in laws])
    label = Variable("table", "categorical", categories=tables)
    space = Space((label, *variables))
    arrays = {"table": np.repeat(np.arange(tables), rows), **cells.rows(codes).arrays}
    return Dataset("random-tables", space.batch(arrays), "table")
