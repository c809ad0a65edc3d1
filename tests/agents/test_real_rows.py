"""Rows over real variables as matrices and back: nothing is lost, and the order is the space's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nashgossip.agents.real_rows import from_matrix, require_real, to_matrix
from nashgossip.games import BatchError, Space, SpaceError, Variable

SHAPES = st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), min_size=1, max_size=4)


@given(SHAPES, st.integers(0, 5), st.randoms(use_true_random=False))
def test_there_and_back(shapes, n, random):
    space = Space(tuple(Variable(f"v{k}", "real", shape) for k, shape in enumerate(shapes)))
    rng = np.random.default_rng(random.randrange(2**32))
    batch = space.batch({v.name: rng.standard_normal((n, *v.shape)) for v in space})
    matrix = to_matrix(space, batch)
    assert matrix.shape == (n, sum(int(np.prod(shape, dtype=int)) for shape in shapes))
    assert from_matrix(space, matrix) == batch
    turned = Space(tuple(reversed(space.variables)))
    assert (to_matrix(space, turned.batch(batch.arrays)) == matrix).all()


def test_rows_without_a_variable_are_refused():
    both = Space((Variable("x", "real"), Variable("y", "real")))
    rows = Space((Variable("x", "real"),)).batch({"x": [1.0]})
    with pytest.raises(SpaceError, match="rows came without y, which this model cannot complete; let the sender publ"):
        to_matrix(both, rows)


def test_values_that_are_not_finite_do_not_become_rows():
    with pytest.raises(BatchError, match="holds NaN or an infinity"):
        from_matrix(Space((Variable("x", "real"),)), np.array([[np.nan]]))


def test_only_real_variables_without_bounds_pass():
    require_real(Space((Variable("x", "real", (2, 2)),)), "a model")
    with pytest.raises(SpaceError, match=r"a model is over real variables, the space has b \(binary\)"):
        require_real(Space((Variable("b", "binary"),)), "a model")
    with pytest.raises(SpaceError, match="a model knows no bounds, but x has some; transform it"):
        require_real(Space((Variable("x", "real", high=1.0),)), "a model")
