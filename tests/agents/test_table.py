"""The joint table: learning is the exact map, and what is drawn, completed and told follows its probabilities."""

from typing import Any

import numpy as np
import pytest

from nashgossip.agents import (
    HasClasses,
    HasCompletion,
    HasLogDensity,
    HasMeanParameters,
    JointTable,
    Source,
    check_model,
)
from nashgossip.games import Batch, Cells, Space, SpaceError, StepSize, TableSizeError, Tabulated, Variable, completed

C = Variable("c", "categorical", categories=3)
X = Variable("x", "binary", (2,))
D = Variable("d", "categorical", categories=2)
SPACE = Space((C, X))
CELLS = Cells(SPACE)
RNG = np.random.default_rng(0)
TABLE = np.random.default_rng(1).dirichlet(np.ones(CELLS.count))


def rows(space: Space, n: int, seed: int) -> Batch:
    cells = Cells(space)
    return cells.rows(np.random.default_rng(seed).integers(cells.count, size=n))


def part(batch: Batch, *names: str) -> Batch:
    return batch.restrict(Space(tuple(batch.space[n] for n in names)))


# --- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"smoothing": 3.0}, {"step": StepSize(0.5, 20.0)}, {"start": TABLE}])
def test_it_keeps_the_protocol(options: dict[str, Any]) -> None:
    check_model(lambda: JointTable(SPACE, **options))


def test_it_has_every_ability_and_is_known_as_a_table() -> None:
    model = JointTable(SPACE)
    for ability in (HasClasses, HasCompletion, HasLogDensity, HasMeanParameters, Tabulated):
        assert isinstance(model, ability)
    assert (model.mean_parameters == model.probabilities).all()


# --- learning ------------------------------------------------------------------------------------------------


def test_learning_is_one_step_of_the_exact_map() -> None:
    model = JointTable(SPACE, start=TABLE, step=StepSize(0.5))
    whole, classes, images = rows(SPACE, 30, 2), part(rows(SPACE, 20, 3), "c"), part(rows(SPACE, 40, 4), "x")
    model.learn([Source(whole, 0.2, own=True), Source(classes, 0.3), Source(images, 0.5)], RNG)
    expected = 0.2 * CELLS.histogram(whole)
    for weight, batch in ((0.3, classes), (0.5, images)):
        held = Cells(batch.space)
        expected += weight * completed(TABLE, held.histogram(batch), CELLS.part(batch.space))
    np.testing.assert_allclose(model.probabilities, 0.5 * TABLE + 0.5 * expected, rtol=1e-12)


def test_steps_follow_their_law() -> None:
    model, batch = JointTable(SPACE, step=StepSize(horizon=2.0)), rows(SPACE, 10, 5)
    expected = np.full(CELLS.count, 1 / CELLS.count)
    for t in range(3):
        model.learn([Source(batch, 1.0)], RNG)
        eta = 2.0 / (2.0 + t)
        expected = (1 - eta) * expected + eta * CELLS.histogram(batch)
        np.testing.assert_allclose(model.probabilities, expected)


def test_smoothing_is_a_uniform_table_beside_the_own_rows_whatever_their_parts() -> None:
    first, second, heard = rows(SPACE, 6, 1), rows(SPACE, 2, 2), rows(SPACE, 50, 3)
    model = JointTable(SPACE, smoothing=2.0)
    model.learn([Source(first, 0.3, own=True), Source(second, 0.1, own=True), Source(heard, 0.6)], RNG)
    own = (6 * CELLS.histogram(first) + 2 * CELLS.histogram(second) + 2 / CELLS.count) / 10
    np.testing.assert_allclose(model.probabilities, 0.4 * own + 0.6 * CELLS.histogram(heard))


def test_a_step_never_lowers_the_likelihood_of_what_the_sources_hold() -> None:
    model = JointTable(SPACE)
    sources = [
        Source(part(rows(SPACE, 30, 1), "c"), 0.4),
        Source(part(rows(SPACE, 9, 2), "x"), 0.5),
        Source(rows(SPACE, 5, 3), 0.1),
    ]
    values = []
    for _ in range(30):
        model.learn(sources, RNG)
        values.append(sum(s.weight * model.log_density(s.batch).mean() for s in sources))
    assert (np.diff(values) > -1e-12).all()
    assert values[-1] > values[0]


# --- generating, completing, telling -------------------------------------------------------------------------


def test_rows_come_with_the_probabilities_of_their_cells() -> None:
    n, table = 40_000, np.where(np.arange(CELLS.count) % 3 == 0, 0.0, TABLE)
    table /= table.sum()
    made = CELLS.histogram(JointTable(SPACE, start=table).generate(n, np.random.default_rng(0)))
    assert (np.abs(made - table) <= 5 * np.sqrt(table * (1 - table) / n)).all()


@pytest.mark.parametrize("given", [("c",), ("x",)])
def test_completion_draws_from_the_conditional(given: tuple[str, ...]) -> None:
    table = np.where(np.arange(CELLS.count) % 4 == 1, 0.0, TABLE)
    model, n = JointTable(SPACE, start=table / table.sum()), 30_000
    batch = part(CELLS.rows(np.random.default_rng(2).choice(CELLS.count, n, p=TABLE)), *given)
    whole = model.complete(batch, np.random.default_rng(3))
    assert (whole[given[0]] == batch[given[0]]).all()
    held = Cells(batch.space)
    expected = completed(model.probabilities, held.histogram(batch), CELLS.part(batch.space))
    assert (np.abs(CELLS.histogram(whole) - expected) <= 5 * np.sqrt(expected / n)).all()


def test_what_the_table_excludes_is_completed_by_anything() -> None:
    model, n = JointTable(SPACE, start=np.eye(CELLS.count)[0]), 8000
    batch = Space((C,)).batch({"c": np.full(n, 2)})
    shares = CELLS.histogram(model.complete(batch, np.random.default_rng(0)))
    assert (np.abs(shares[8:] - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)).all()
    assert (model.log_density(batch) == -np.inf).all()
    np.testing.assert_allclose(model.class_probabilities(Space((X,)).batch({"x": [[1, 1]]})), 1 / 3)


def test_a_density_is_the_marginal_of_what_rows_hold() -> None:
    model, grid = JointTable(SPACE, start=TABLE), TABLE.reshape(3, 4)
    np.testing.assert_allclose(model.log_density(CELLS.rows(np.arange(12))), np.log(TABLE))
    np.testing.assert_allclose(model.log_density(Space((C,)).batch({"c": [0, 1, 2]})), np.log(grid.sum(axis=1)))


def test_classes_are_told_from_all_that_is_shown() -> None:
    model, grid = JointTable(SPACE, start=TABLE), TABLE.reshape(3, 4)
    images = Space((X,)).batch({"x": [[0, 0], [0, 1], [1, 0], [1, 1]]})
    np.testing.assert_allclose(model.class_probabilities(images), (grid / grid.sum(axis=0)).T)
    nothing = Space((C,)).batch({"c": [0, 1]})  # the label itself is not looked at
    np.testing.assert_allclose(model.class_probabilities(nothing), np.tile(grid.sum(axis=1), (2, 1)))
    two = JointTable(Space((D, C, X)), label="c")
    assert two.class_probabilities(images).shape == (4, 3)
    with pytest.raises(SpaceError, match="this table has no label, or several variables that could be it"):
        JointTable(Space((D, C, X))).class_probabilities(images)


# --- what is refused -----------------------------------------------------------------------------------------


def test_what_cannot_be_a_table_is_refused() -> None:
    with pytest.raises(SpaceError, match="'x' cannot be the label, expected a scalar categorical variable"):
        JointTable(SPACE, label="x")
    with pytest.raises(ValueError, match="smoothing is -1.0, expected a pseudo-count of at least 0"):
        JointTable(SPACE, smoothing=-1.0)
    with pytest.raises(ValueError, match=r"the table has shape \(3,\) and sum 1, expected \(12,\) numbers"):
        JointTable(SPACE, start=np.full(3, 1 / 3))
    with pytest.raises(ValueError, match=r"the table has shape \(12,\) and sum 2"):
        JointTable(SPACE).load({"table": np.full(12, 1 / 6), "steps": 0})
    with pytest.raises(TableSizeError):
        JointTable(Space((Variable("x", "binary", (8, 8)),)))
    with pytest.raises(SpaceError, match="variable 'k' is count"):
        JointTable(Space((Variable("k", "count"),)))
