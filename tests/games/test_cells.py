"""Joint tables: which cell a row is, what the cells of a part are, and how a marginal table is completed."""

import numpy as np
import pytest

from nashgossip.games import Cells, Space, SpaceError, TableSizeError, Variable, completed

C = Variable("c", "categorical", categories=3)
X = Variable("x", "binary", (2,))
D = Variable("d", "categorical", (2,), categories=2)
WHOLE = Cells(Space((C, X, D)))


def test_every_cell_is_a_row_and_every_row_a_cell() -> None:
    rows = WHOLE.rows(np.arange(WHOLE.count))
    assert WHOLE.count == 3 * 4 * 4
    assert (WHOLE.codes(rows) == np.arange(WHOLE.count)).all()
    assert len({tuple(np.concatenate([rows[n][k].ravel() for n in rows.space.names])) for k in range(48)}) == 48
    assert rows["d"].shape == (48, 2)


def test_the_cells_of_a_part_are_those_of_its_rows() -> None:
    rows = WHOLE.rows(np.arange(WHOLE.count))
    for part in (Space((X,)), Space((D, C)), WHOLE.space):
        expected = Cells(part).codes(rows.restrict(part))
        assert (WHOLE.part(part) == expected).all()


def test_a_histogram_counts_rows() -> None:
    cells = Cells(Space((C,)))
    assert cells.histogram(cells.space.batch({"c": [0, 2, 2, 2]})).tolist() == [0.25, 0.0, 0.75]


def test_completion_keeps_the_marginal_and_the_conditional() -> None:
    rng = np.random.default_rng(0)
    table, index = rng.dirichlet(np.ones(48)), WHOLE.part(Space((C, D)))
    part = rng.dirichlet(np.ones(12))
    part[3] = 0.0
    part /= part.sum()
    whole = completed(table, part, index)
    np.testing.assert_allclose(np.bincount(index, whole, 12), part, atol=1e-15)
    mass = np.bincount(index, table, 12)[index]
    np.testing.assert_allclose(whole, part[index] * table / mass, rtol=1e-12)


def test_where_the_conditional_is_not_defined_all_completions_count_alike() -> None:
    table, index = np.zeros(48), WHOLE.part(Space((C,)))
    table[index == 0] = 1 / 16
    whole = completed(table, np.array([0.5, 0.2, 0.3]), index)
    np.testing.assert_allclose(whole[index == 0], 0.5 / 16)
    np.testing.assert_allclose(whole[index == 1], 0.2 / 16)
    np.testing.assert_allclose(whole.sum(), 1.0)
    tiny = np.where(index == 1, 5e-324, table)  # too small to divide by
    np.testing.assert_allclose(completed(tiny, np.array([0.5, 0.2, 0.3]), index), whole)


def test_what_has_no_table_is_refused() -> None:
    with pytest.raises(
        SpaceError, match="variable 'r' is real, but a joint table has binary and categorical variables"
    ):
        Cells(Space((C, Variable("r", "real"))))
    with pytest.raises(
        TableSizeError, match=r"the joint table of x, c has 2.062e\+11 cells, expected at most 262144; give"
    ):
        Cells(Space((Variable("x", "binary", (6, 6)), C)))
