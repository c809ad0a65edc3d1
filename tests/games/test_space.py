"""Variables, spaces and batches: what is accepted, what is refused and with which words."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.games import Batch, BatchError, Space, SpaceError, Variable

KINDS = ("binary", "categorical", "count", "real")
DTYPES = {"binary": np.uint8, "categorical": np.int32, "count": np.int64, "real": np.float64}
PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)

MIXED = Space(
    (
        Variable("pixels", "binary", (2, 2)),
        Variable("digit", "categorical", categories=3),
        Variable("visits", "count"),
        Variable("size", "real", (2,), low=0.0, high=9.0, publish=False),
    )
)


def variable(kind: str, name: str = "x", shape: tuple[int, ...] = ()) -> Variable:
    return Variable(name, kind, shape, categories=3 if kind == "categorical" else None)  # type: ignore[arg-type]


def rows(n: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "pixels": rng.integers(0, 2, (n, 2, 2)),
        "digit": rng.integers(0, 3, n),
        "visits": rng.poisson(2.0, n),
        "size": rng.uniform(0.0, 9.0, (n, 2)),
    }


# --- variables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "text"), "variable 'x' has kind 'text', expected one of binary, categorical, count, real"),
        (("x", "real", (2, 0)), r"variable 'x' has shape \(2, 0\), expected positive sizes"),
        (("x", "categorical"), "variable 'x' is categorical: give `categories` for categorical variables only"),
        (("x", "real", (), 3), "variable 'x' is real: give `categories` for categorical variables only"),
        (("x", "categorical", (), 0), "variable 'x' has 0 categories, expected at least 1"),
        (("x", "count", (), None, 0.0), "variable 'x' is count: `low` and `high` bound real variables only"),
        (("x", "binary", (), None, None, 1.0), "variable 'x' is binary: `low` and `high` bound real"),
    ],
)
def test_bad_variables_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Variable(*arguments)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_checked_values_have_the_dtype_and_shape_of_the_variable(kind: str, shape: tuple[int, ...]) -> None:
    checked = variable(kind, shape=shape).check(np.ones((5, *shape), dtype=np.int16))
    assert checked.dtype == variable(kind).dtype == DTYPES[kind]
    assert checked.shape == (5, *shape)
    assert (checked == 1).all()


def test_a_shape_may_be_any_sequence_of_integers() -> None:
    assert Variable("x", "real", [2, np.int64(3)]).shape == (2, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_checked_values_are_read_only_and_apart_from_the_callers(kind: str) -> None:
    mine = np.ones(3, dtype=DTYPES[kind])
    checked = variable(kind).check(mine)
    mine[0] = 0
    assert checked[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        checked[0] = 0


@pytest.mark.parametrize(
    ("checked", "values", "reason", "message"),
    [
        (variable("real"), [[1.0], [1.0, 2.0]], "type", "variable 'x' came as no array"),
        (variable("real"), ["one"], "type", r"variable 'x' \(real\) came as dtype <U3"),
        (variable("real"), [1j], "type", r"variable 'x' \(real\) came as dtype complex128"),
        (variable("count"), [1.0], "type", r"variable 'x' \(count\) came as dtype float64"),
        (variable("real", shape=(2,)), [[1.0]], "shape", r"variable 'x' came with shape \(1, 1\), expected"),
        (variable("real"), 1.0, "shape", r"variable 'x' came with shape \(\), expected"),
        (variable("real"), [np.nan], "finite", "variable 'x' holds NaN or an infinity"),
        (variable("real"), [-np.inf], "finite", "variable 'x' holds NaN or an infinity"),
        (variable("binary"), [0, 2], "range", r"variable 'x' \(binary\) holds 2, above 1"),
        (variable("binary"), [-1], "range", r"variable 'x' \(binary\) holds -1, below 0"),
        (variable("categorical"), [3], "range", r"variable 'x' \(categorical\) holds 3, above 2"),
        (variable("categorical"), [-2], "range", r"variable 'x' \(categorical\) holds -2, below 0"),
        (variable("count"), [-5], "range", r"variable 'x' \(count\) holds -5, below 0"),
        (Variable("x", "real", low=0.5), [0.25], "range", r"variable 'x' \(real\) holds 0.25, below 0.5"),
        (Variable("x", "real", low=0.5), [False], "range", r"variable 'x' \(real\) holds False, below 0.5"),
        (Variable("x", "real", high=0.5), [0.75], "range", r"variable 'x' \(real\) holds 0.75, above 0.5"),
    ],
)
def test_bad_values_are_refused(checked: Variable, values: Any, reason: str, message: str) -> None:
    with pytest.raises(BatchError, match=message) as refusal:
        checked.check(values)
    assert refusal.value.reason == reason


def test_values_on_the_bounds_are_accepted() -> None:
    assert Variable("x", "real", low=0.0, high=1.0).check([0.0, 1.0]).tolist() == [0.0, 1.0]


def test_counts_beyond_the_dtype_are_refused_rather_than_wrapped() -> None:
    with pytest.raises(BatchError) as refusal:
        variable("count").check(np.array([2**63], dtype=np.uint64))
    assert refusal.value.reason == "range"


@given(values=st.lists(st.integers(-4, 6), min_size=1), kind=st.sampled_from(["binary", "categorical", "count"]))
@PROPERTY
def test_integers_are_accepted_exactly_where_they_are_in_range(values: list[int], kind: str) -> None:
    above = {"binary": 1, "categorical": 2, "count": 6}[kind]
    if all(0 <= v <= above for v in values):
        assert variable(kind).check(values).tolist() == values
    else:
        with pytest.raises(BatchError, match="above|below"):
            variable(kind).check(values)


# --- spaces ----------------------------------------------------------------------------------------------


def test_a_space_knows_its_variables_in_order() -> None:
    assert MIXED.names == ("pixels", "digit", "visits", "size")
    assert [v.name for v in MIXED] == list(MIXED.names)
    assert MIXED["digit"] == MIXED.variables[1]
    assert "digit" in MIXED
    assert "letter" not in MIXED


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ((), "a space needs at least one variable"),
        ((variable("real"), variable("count")), "two variables are called 'x'"),
    ],
)
def test_bad_spaces_are_refused(variables: tuple[Variable, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space(variables)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="no variable 'letter' in this space; it has pixels, digit, visits, size"):
        MIXED["letter"]


def test_what_is_not_published_is_left_out() -> None:
    published = MIXED.publishable()
    assert published is not None
    assert published.names == ("pixels", "digit", "visits")
    assert Space((Variable("secret", "real", publish=False),)).publishable() is None


def test_the_intersection_keeps_this_spaces_order_and_secrecy() -> None:
    other = Space((variable("real", "new"), Variable("size", "real", (2,), low=0.0, high=9.0), MIXED["pixels"]))
    shared = MIXED.intersection(other)
    assert shared == Space((MIXED["pixels"], MIXED["size"]))
    assert MIXED.intersection(Space((variable("real", "new"),))) is None


@pytest.mark.parametrize(
    "theirs",
    [
        variable("count", "size", (2,)),
        Variable("size", "real", (3,), low=0.0, high=9.0),
        Variable("size", "real", (2,), low=0.0),
    ],
)
def test_one_name_for_different_variables_is_refused(theirs: Variable) -> None:
    with pytest.raises(SpaceError, match="variable 'size' is .* here and .* there; rename one of them"):
        MIXED.intersection(Space((theirs,)))


# --- batches ---------------------------------------------------------------------------------------------


def test_a_batch_holds_the_rows_that_it_was_made_of() -> None:
    arrays = rows(5)
    batch = MIXED.batch(arrays)
    assert len(batch) == 5
    assert all(np.array_equal(batch[name], arrays[name]) for name in MIXED.names)
    assert batch.nbytes == 5 * (4 * 1 + 4 + 8 + 2 * 8)


def test_missing_and_unknown_variables_are_named() -> None:
    arrays = rows(2)
    arrays["letter"] = arrays.pop("digit")
    with pytest.raises(BatchError, match=r"missing variables \['digit'\], unknown variables \['letter'\]") as refusal:
        MIXED.batch(arrays)
    assert refusal.value.reason == "space"


def test_variables_must_agree_in_their_number_of_rows() -> None:
    with pytest.raises(BatchError, match=r"variables differ in their number of rows: \[2, 3\]") as refusal:
        MIXED.batch(rows(2) | {"visits": [1, 2, 3]})
    assert refusal.value.reason == "shape"


def test_batches_are_made_by_spaces_only() -> None:
    with pytest.raises(TypeError, match=r"batches are made by Space.batch\(arrays\), which checks them"):
        Batch(MIXED, rows(2))


def test_the_empty_batch_has_the_shapes_of_the_space() -> None:
    empty = MIXED.empty()
    assert len(empty) == 0
    assert empty["pixels"].shape == (0, 2, 2)
    assert empty == MIXED.batch(rows(3)).select(slice(0, 0))


def test_batches_are_equal_by_value_and_have_no_hash() -> None:
    batch = MIXED.batch(rows(4, seed=1))
    assert batch == MIXED.batch(rows(4, seed=1))
    assert batch != MIXED.batch(rows(4, seed=2))
    assert batch != batch.restrict(Space((MIXED["digit"],)))
    assert batch != "batch"
    with pytest.raises(TypeError, match="unhashable"):
        hash(batch)


def test_a_batch_survives_pickling_checked() -> None:
    batch = MIXED.batch(rows(4))
    copy = pickle.loads(pickle.dumps(batch))
    assert copy == batch
    assert not copy["size"].flags.writeable


@given(chosen=st.lists(st.integers(0, 5), max_size=8))
@PROPERTY
def test_selecting_takes_the_rows_asked_for(chosen: list[int]) -> None:
    batch = MIXED.batch(rows(6))
    picked = batch.select(np.array(chosen, dtype=int))
    assert all(np.array_equal(picked[name], batch[name][np.array(chosen, dtype=int)]) for name in MIXED.names)
    assert not picked["size"].flags.writeable


@given(cut=st.integers(0, 6))
@PROPERTY
def test_concatenating_undoes_cutting(cut: int) -> None:
    batch = MIXED.batch(rows(6))
    assert Batch.concatenate([batch.select(slice(0, cut)), batch.select(slice(cut, None))]) == batch


def test_restricting_keeps_the_columns_asked_for() -> None:
    batch = MIXED.batch(rows(3))
    part = batch.restrict(Space((MIXED["visits"], MIXED["pixels"])))
    assert part.space.names == ("visits", "pixels")
    assert np.array_equal(part["visits"], batch["visits"])
    assert batch.restrict(MIXED) is batch


def test_restricting_to_what_is_not_there_is_refused() -> None:
    with pytest.raises(BatchError, match=r"missing variables \['letter'\]") as refusal:
        MIXED.batch(rows(3)).restrict(Space((variable("real", "letter"),)))
    assert refusal.value.reason == "space"


def test_restricting_to_a_variable_of_another_kind_is_refused() -> None:
    batch = Space((variable("real"),)).batch({"x": [0.5]})
    with pytest.raises((BatchError, SpaceError)):
        batch.restrict(Space((variable("binary"),)))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "concatenate needs at least one batch"),
        ([MIXED.empty(), Space((variable("real"),)).empty()], "concatenate needs batches over one space"),
    ],
)
def test_bad_concatenations_are_refused(batches: list[Batch], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Batch.concatenate(batches)
