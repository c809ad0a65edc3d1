"""The player: what it learns from, what it refuses, what it lets out, and that a saved one goes on exactly."""

import itertools
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.agents import (
    PURPOSES,
    ExponentialFamilyModel,
    Message,
    ModelError,
    Move,
    Neighbour,
    Player,
    Source,
    State,
    stream,
)
from nashgossip.games import (
    FAMILIES,
    Batch,
    Bernoulli,
    ExponentialFamily,
    Gaussian,
    GaussianDiagonal,
    Space,
    StepSize,
    Variable,
    synthetic_family,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
FAMILY = Gaussian((2,))
SPACE = FAMILY.space
ALPHA = {"a": 0.1, "b": 0.2, "c": 0.4}
SELF_WEIGHT = 0.3
OWN = SPACE.batch({"x": [[1.0, 0.0], [3.0, 0.0]]})


def player(model: Any = None, **changes: Any) -> Player:
    """A Gaussian player p that listens to a, b and c and is heard by a."""
    arguments: dict[str, Any] = {
        "data": OWN,
        "self_weight": SELF_WEIGHT,
        "neighbours": {name: Neighbour(alpha, SPACE) for name, alpha in ALPHA.items()},
        "listeners": {"a": SPACE},
        "samples": 5,
        "seed": 0,
        "index": 0,
    }
    return Player("p", model or ExponentialFamilyModel(FAMILY), **(arguments | changes))


def said(value: float) -> dict[str, Any]:
    """Arrays of a message whose mean is (0, value)."""
    return {"x": np.array([[-1.0, value - 1.0], [1.0, value + 1.0]])}


def hear(listener: Player, values: Mapping[str, float], sequence: int = 0) -> None:
    for sender, value in values.items():
        assert listener.receive(Message.received(sender, sequence, said(value))) is None


def rows_of(move: Move, listener: str = "a") -> np.ndarray:
    content = move.messages[listener].content
    assert isinstance(content, Batch)
    return content["x"]


def trace(each: Player, moves: int = 4) -> bytes:
    """Everything a player lets out while it hears a fixed correspondence."""
    made = [each.open()]
    for t in range(moves):
        hear(each, {"a": t / 2, "c": -t}, sequence=t)
        made.append(each.move())
    return b"".join(rows_of(m).tobytes() for m in made)


# --- what is learned from ------------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [c for n in range(4) for c in itertools.combinations(ALPHA, n)])
def test_neighbours_not_heard_leave_their_weight_to_the_others(heard: tuple[str, ...]) -> None:
    p, values = player(), {"a": 10.0, "b": -20.0, "c": 5.0}
    hear(p, {name: values[name] for name in heard})
    p.move()
    total = SELF_WEIGHT + sum(ALPHA[name] for name in heard)
    second = sum(ALPHA[name] * values[name] for name in heard) / total
    np.testing.assert_allclose(p.mean_parameters, [SELF_WEIGHT * 2.0 / total, second], rtol=1e-12)


def test_private_rows_in_parts_count_as_in_one_batch() -> None:
    """Each part has its share of α_ii by its rows, so that the mean is that of all rows, alone and beside others."""
    parts = (OWN.select(slice(0, 1)), SPACE.batch({"x": [[3.0, 0.0], [5.0, 6.0], [7.0, 0.0]]}))
    whole, cut = player(data=Batch.concatenate(parts)), player(data=parts)
    for each in (whole, cut):
        each.open()
    np.testing.assert_allclose(cut.mean_parameters, [4.0, 1.5])
    for each in (whole, cut):
        hear(each, {"a": 10.0, "c": 5.0})
        each.move()
    np.testing.assert_allclose(cut.mean_parameters, whole.mean_parameters, rtol=1e-12)
    cut.rewire(1.0, {}, {})
    cut.move()
    np.testing.assert_allclose(cut.mean_parameters, [4.0, 1.5])
    nobody = player(data=())
    assert nobody.open().messages == {}


@given(
    order=st.permutations([(name, t) for name in ALPHA for t in range(3)]),
    repeated=st.lists(st.sampled_from([(name, t) for name in ALPHA for t in range(3)]), max_size=5),
)
@PROPERTY
def test_the_order_of_arrival_and_repetition_do_not_matter(
    order: list[tuple[str, int]], repeated: list[tuple[str, int]]
) -> None:
    first, second = player(), player()
    for t in range(3):
        hear(first, dict.fromkeys(ALPHA, t * 1.5), sequence=t)
    for name, t in [*order, *repeated]:
        hear(second, {name: t * 1.5}, sequence=t)
    assert rows_of(first.move()).tobytes() == rows_of(second.move()).tobytes()
    assert first.mean_parameters.tobytes() == second.mean_parameters.tobytes()


def test_the_newest_letter_stays_in_force_until_a_newer_one_comes() -> None:
    p = player()
    hear(p, dict.fromkeys(ALPHA, 4.0))
    for _ in range(3):
        p.move()
        np.testing.assert_allclose(p.mean_parameters, [0.6, 0.7 * 4.0])
    hear(p, {"c": 0.0}, sequence=1)
    p.move()
    np.testing.assert_allclose(p.mean_parameters, [0.6, 0.3 * 4.0])


def test_sources_come_own_first_and_then_in_the_order_of_neighbours() -> None:
    class Listening(Fixed):
        def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
            heard.append([(float(s.batch["x"][:, 1].mean()), s.weight, s.own) for s in sources])

    heard: list[list[tuple[float, float, bool]]] = []
    p = player(Listening())
    hear(p, {"c": 3.0, "a": 1.0, "b": 2.0})
    p.move()
    assert heard == [[(0.0, 0.3, True), (1.0, 0.1, False), (2.0, 0.2, False), (3.0, 0.4, False)]]


def test_a_decreasing_step_is_followed() -> None:
    """μ_{t+1} = (1 − η_t) μ_t + η_t m with constant m: the error is the product of 1 − η_t, t = 0, 1, …"""
    step = StepSize(0.8, horizon=4.0)
    p = player(ExponentialFamilyModel(FAMILY, step=step))
    p.open()
    hear(p, dict.fromkeys(ALPHA, 4.0))
    response, start = np.array([0.6, 2.8]), np.array([2.0, 0.0])
    for moves in range(1, 30):
        p.move()
        left = np.prod([1 - 0.8 * 4.0 / (4.0 + t) for t in range(moves)])
        np.testing.assert_allclose(p.mean_parameters, response + left * (start - response), rtol=1e-9)


# --- the start -----------------------------------------------------------------------------------------------


def test_the_first_publication_is_of_the_private_rows_alone() -> None:
    p = player(samples=5000)
    opened = p.open()
    assert opened.number == p.moves == 0
    assert p.mean_parameters.tolist() == [2.0, 0.0]
    assert (np.abs(rows_of(opened).mean(axis=0) - [2.0, 0.0]) < 4 / np.sqrt(5000)).all()
    assert opened.messages["a"].sequence == 0


def test_a_start_from_the_reference_learns_nothing_first() -> None:
    p = player(start="reference")
    assert len(rows_of(p.open())) == 5
    assert p.mean_parameters.tolist() == FAMILY.reference.tolist()
    p.move()
    assert p.mean_parameters.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("changes", [{"data": None}, {"data": None, "self_weight": 0.0}])
def test_a_player_without_data_is_silent_until_it_has_heard_somebody(changes: dict[str, Any]) -> None:
    p = player(**changes)
    assert p.open().messages == {}
    assert p.move().messages == {}
    assert p.measure(3) is None
    assert p.held_out() is None
    hear(p, {"b": 6.0})
    made = p.move()
    assert made.messages["a"].sequence == 0
    assert p.mean_parameters.tolist() == [0.0, 6.0]
    assert p.moves == made.number == 2


def test_data_of_weight_zero_decide_the_start_alone() -> None:
    p = player(self_weight=0.0)
    p.open()
    assert p.mean_parameters.tolist() == [2.0, 0.0]
    hear(p, {"b": 6.0})
    p.move()
    assert p.mean_parameters.tolist() == [0.0, 6.0]


# --- publications --------------------------------------------------------------------------------------------


def test_publications_are_numbered_and_moves_counted() -> None:
    p = player()
    made = [p.open(), p.move(), p.move()]
    assert [m.number for m in made] == [0, 1, 2]
    assert [m.messages["a"].sequence for m in made] == [0, 1, 2]
    assert all(len(rows_of(m)) == 5 for m in made)


def test_a_player_nobody_hears_generates_nothing() -> None:
    class Mute(Fixed):
        def generate(self, n: int, rng: np.random.Generator) -> Batch:
            raise AssertionError("nobody asked")

    p = player(Mute(), listeners={})
    assert p.open().messages == {}
    assert p.move().messages == {}


def test_all_listeners_get_the_same_rows_and_only_the_variables_of_the_edge() -> None:
    wide = Space((Variable("x", "real", (2,)), Variable("secret", "real", publish=False)))
    p = player(
        Fixed(wide),
        data=wide.batch({"x": OWN["x"], "secret": [1.0, 2.0]}),
        listeners={"a": SPACE, "b": Space(SPACE.variables)},
    )
    messages = p.open().messages
    assert all(m.wire()[2].keys() == {"x"} for m in messages.values())
    assert np.array_equal(messages["a"].wire()[2]["x"], messages["b"].wire()[2]["x"])


def leaks(messages: list[np.ndarray], private: np.ndarray) -> int:
    """Rows among the messages that equal a private row."""
    return sum(bool((private == row).all(axis=1).any()) for rows in messages for row in rows)


@pytest.mark.parametrize(("make", "leaking"), [(lambda: None, False), (lambda: Parrot(), True)])
def test_private_rows_never_occur_in_messages(make: Any, leaking: bool) -> None:
    rng = np.random.default_rng(17)
    own = SPACE.batch({"x": rng.normal(size=(500, 2))})
    p = player(make(), data=own, samples=200)
    made = [p.open()]
    for t in range(20):
        hear(p, dict.fromkeys(ALPHA, 0.0), sequence=t)
        made.append(p.move())
    found = leaks([rows_of(m) for m in made], own["x"])
    assert (found > 0) == leaking


# --- refusals ------------------------------------------------------------------------------------------------

GOOD = said(1.0)
LABELLED = Space((Variable("x", "real", (2,), low=-9.0, high=9.0), Variable("k", "categorical", categories=3)))
REFUSED: list[tuple[str, Any, Any, Any]] = [
    ("sender", "stranger", 0, GOOD),
    ("sender", "p", 0, GOOD),
    ("sender", None, 0, GOOD),
    ("sender", ["a"], 0, GOOD),
    *[("sequence", "a", number, GOOD) for number in (-1, True, False, 0.0, 1.5, "0", None, [0])],
    ("space", "a", 0, {}),
    ("space", "a", 0, {"y": GOOD["x"]}),
    ("space", "a", 0, GOOD | {"y": GOOD["x"]}),
    ("space", "a", 0, {0: GOOD["x"]}),
    ("shape", "a", 0, {"x": np.zeros((2, 3))}),
    ("shape", "a", 0, {"x": np.zeros(2)}),
    ("shape", "a", 0, {"x": np.float64(1.0)}),
    ("type", "a", 0, {"x": None}),
    ("type", "a", 0, {"x": np.array([["a", "b"]])}),
    ("type", "a", 0, {"x": np.array([[1.0, None]], dtype=object)}),
    ("type", "a", 0, {"x": [[1.0, 2.0], [3.0]]}),
    ("type", "a", 0, {"x": np.zeros((2, 2), complex)}),
    ("type", "a", 0, {"x": np.zeros((2, 2), "datetime64[s]")}),
    ("finite", "a", 0, {"x": np.array([[0.0, np.nan]])}),
    ("finite", "a", 0, {"x": np.array([[np.inf, 0.0]])}),
    ("size", "a", 0, {"x": np.zeros((0, 2))}),
    ("size", "a", 0, {"x": np.zeros((8, 2))}),
    ("size", "a", 0, {"x": [[0.0, 0.0]] * 8}),
    ("type", "a", 0, None),
    ("type", "a", 0, GOOD["x"]),
    ("type", "a", 0, [("x", GOOD["x"])]),
    ("type", "a", 0, "x"),
]


@pytest.mark.parametrize(("reason", "sender", "sequence", "content"), REFUSED)
def test_a_bad_message_is_refused_and_counted_and_the_player_goes_on(
    reason: str, sender: Any, sequence: Any, content: Any
) -> None:
    p, undisturbed = player(max_rows=7), player(max_rows=7)
    for times in (1, 2):
        assert p.receive(Message.received(sender, sequence, content)) == reason
        assert p.rejected == {reason: times}
        assert p.mailbox.read() == {}
    assert trace(p) == trace(undisturbed)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("range", {"x": [[0.0, 9.5]]}),
        ("range", {"x": [[-9.5, 0.0]]}),
        ("range", {"k": [3]}),
        ("range", {"k": [-1]}),
        ("type", {"k": [1.0]}),
        ("shape", {"k": [[1]]}),
        ("shape", {"k": [1, 2]}),
    ],
)
def test_values_outside_their_kind_are_refused(reason: str, changes: dict[str, Any]) -> None:
    p = player(neighbours={"a": Neighbour(0.7, LABELLED)})
    good = {"x": [[0.0, 1.0]], "k": [1]}
    assert p.receive(Message.received("a", 0, good | changes)) == reason
    assert p.receive(Message.received("a", 0, good)) is None
    assert p.rejected == {reason: 1}
    assert p.mailbox.counts["accepted"] == 1


@pytest.mark.parametrize("values", [np.array([[np.longdouble("1e400"), 0.0]]), [[10**400, 0]]])
def test_numbers_beyond_the_range_of_floats_are_refused(values: Any) -> None:
    p = player()
    assert p.receive(Message.received("a", 0, {"x": values})) in ("finite", "range", "type")
    assert p.rejected.total() == 1


def test_a_checked_batch_of_another_space_is_refused() -> None:
    other = Space((Variable("x", "real", (2,), low=0.0),)).batch({"x": [[1.0, 1.0]]})
    p = player(max_rows=2)
    assert p.receive(Message.of(other, sender="a", sequence=0)) == "space"
    assert p.receive(Message.of(SPACE.empty(), sender="a", sequence=0)) == "size"
    assert p.receive(Message.of(SPACE.batch({"x": np.zeros((3, 2))}), sender="a", sequence=0)) == "size"
    assert p.receive(Message.of(OWN, sender="a", sequence=0)) is None
    assert p.rejected == {"space": 1, "size": 2}


def test_the_longest_message_allowed_is_taken() -> None:
    p = player(max_rows=7)
    assert p.receive(Message.received("a", 0, {"x": np.zeros((7, 2))})) is None
    assert p.receive(Message.received("b", 0, {"x": np.zeros((1, 2))})) is None


def test_what_was_received_cannot_be_changed_from_outside() -> None:
    p, arrays = player(), said(4.0)
    p.receive(Message.received("a", 0, arrays))
    arrays["x"][:] = 1000.0
    p.move()
    np.testing.assert_allclose(p.mean_parameters, [0.6 / 0.4, 0.1 * 4.0 / 0.4])


# --- models that fail ----------------------------------------------------------------------------------------


class Fixed:
    """Standard normal rows, whatever it is told: a black box with a closed form and no optional ability."""

    def __init__(self, space: Space = SPACE) -> None:
        self.space = space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        return

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self.space.batch({v.name: rng.standard_normal((n, *v.shape)) for v in self.space})

    def state(self) -> State:
        return {}

    def load(self, state: State) -> None:
        return


class Parrot(Fixed):
    """Says again what it was told: what a model must not do."""

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self.heard = sources[0].batch

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self.heard.select(rng.integers(len(self.heard), size=n))


class Failing(Fixed):
    """Fails in `learn` or `generate` at its k-th call, counted from 0."""

    def __init__(self, method: str, call: int) -> None:
        super().__init__()
        self._method, self._left = method, call

    def _called(self, method: str) -> None:
        if method == self._method:
            if self._left == 0:
                raise ZeroDivisionError("no rows left")
            self._left -= 1

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self._called("learn")

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        self._called("generate")
        return super().generate(n, rng)


class Giving(Fixed):
    """Gives back from `generate` whatever it was made with."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self._given = given

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self._given  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["learn", "generate"])
def test_a_model_that_raises_names_player_move_and_cause(method: str) -> None:
    with pytest.raises(ModelError) as failure:
        player(Failing(method, 0)).open()
    cause = f"{method} raised ZeroDivisionError: no rows left"
    assert str(failure.value) == f"the model of player p failed at move 0: {cause}"
    assert (failure.value.player, failure.value.move, failure.value.cause) == ("p", 0, cause)
    assert isinstance(failure.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("method", ["learn", "generate"])
def test_learning_and_generating_in_one_move_name_the_same_move(method: str) -> None:
    p = player(Failing(method, 3))
    p.open()
    assert [p.move().number for _ in range(2)] == [1, 2]
    with pytest.raises(ModelError, match="the model of player p failed at move 3: ") as failure:
        p.move()
    assert failure.value.move == 3


OTHER = Space((Variable("y", "real", (2,)),))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "NoneType"),
        (np.zeros((5, 2)), "ndarray"),
        (SPACE.batch({"x": np.zeros((4, 2))}), r"4 rows over \('x',\)"),
        (SPACE.empty(), r"0 rows over \('x',\)"),
        (OTHER.batch({"y": np.zeros((5, 2))}), r"5 rows over \('y',\)"),
    ],
)
def test_a_model_that_gives_something_else_names_player_move_and_cause(given: Any, found: str) -> None:
    expected = rf"the model of player p failed at move 0: generate\(5\) gave {found}, expected 5 rows over \('x',\)"
    with pytest.raises(ModelError, match=expected):
        player(Giving(given)).open()


def test_a_failing_measurement_is_the_model_s_failure_too() -> None:
    p = player(Failing("generate", 1))
    p.open()
    with pytest.raises(ModelError, match="generate raised ZeroDivisionError"):
        p.measure(3)


def test_a_model_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ModelError("p", 4, "learn raised")))
    assert isinstance(error, ModelError)
    assert (str(error), error.move) == ("the model of player p failed at move 4: learn raised", 4)


# --- instruments ---------------------------------------------------------------------------------------------


def test_measuring_does_not_disturb_play() -> None:
    watched, left_alone = player(holdout=OWN), player(holdout=OWN)
    made = []
    for each in (watched, left_alone):
        rows = [rows_of(each.open())]
        for t in range(4):
            hear(each, {"b": float(t)}, sequence=t)
            if each is watched:
                assert len(each.measure(10 + t) or ()) == 10 + t
                each.held_out()
                each.state()
            rows.append(rows_of(each.move()))
        made.append(np.concatenate(rows).tobytes())
    assert made[0] == made[1]


def test_measurements_are_fresh_each_time() -> None:
    p = player()
    p.open()
    first, second = p.measure(5), p.measure(5)
    assert first is not None
    assert first != second


def test_the_holdout_is_scored_by_the_model() -> None:
    p = player(holdout=SPACE.batch({"x": [[2.0, 0.0], [2.0, 2.0]]}))
    assert p.held_out() is None
    p.open()
    assert p.held_out() == pytest.approx(-np.log(2 * np.pi) - (0 + 4 / 2) / 2)


def test_there_is_no_score_without_holdout_or_density() -> None:
    without, black_box = player(), player(Fixed(), holdout=OWN)
    for each in (without, black_box):
        each.open()
        assert each.held_out() is None
    assert black_box.mean_parameters is None


def test_a_model_on_the_boundary_has_a_score_and_does_not_stop_the_run() -> None:
    """What is heard of a player without anchor may leave no randomness; that is an outcome, not an exception."""
    family = Bernoulli((2,))
    holdout = family.space.batch({"x": [[0, 1]]})
    p = player(
        ExponentialFamilyModel(family),
        data=None,
        holdout=holdout,
        self_weight=0.0,
        neighbours={"a": Neighbour(1.0, family.space)},
        listeners={},
    )
    assert p.receive(Message.received("a", 0, {"x": [[1, 1], [1, 0]]})) is None
    p.move()
    assert p.held_out() in (None, -np.inf)


# --- random streams ------------------------------------------------------------------------------------------


def test_one_seed_one_trace() -> None:
    assert trace(player(seed=7)) == trace(player(seed=7))
    assert trace(player(seed=7)) != trace(player(seed=8))
    assert trace(player(seed=7)) != trace(player(seed=7, index=1))


def test_streams_differ_by_seed_player_and_purpose_and_by_nothing_else() -> None:
    keys = [(seed, index, purpose) for seed in (0, 1) for index in (0, 1) for purpose in PURPOSES]
    first = {key: stream(*key).bytes(16) for key in keys}
    assert len(set(first.values())) == len(keys)
    assert first == {key: stream(*key).bytes(16) for key in keys}


def test_there_is_no_stream_for_another_purpose() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words
        stream(0, 0, "chat")


def test_pauses_are_those_of_a_poisson_clock() -> None:
    p, rate, n = player(), 4.0, 4000
    pauses = np.array([p.pause(rate) for _ in range(n)])
    assert abs(pauses.mean() - 1 / rate) < 4 / rate / np.sqrt(n)
    # The variance of an exponential's squared deviation is 8/rate⁴.
    assert abs(pauses.var() - 1 / rate**2) < 4 * np.sqrt(8 / n) / rate**2
    again = player()
    assert pauses.tolist() == [again.pause(rate) for _ in range(n)]


# --- state ---------------------------------------------------------------------------------------------------


def stored(state: State) -> State:
    """A state as a checkpoint keeps it: its arrays apart in plain layout, all else as JSON text."""
    arrays: dict[str, bytes] = {}
    forms: dict[str, tuple[str, tuple[int, ...]]] = {}

    def out(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: out(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [out(value) for value in node]
        if isinstance(node, np.ndarray):
            name = f"array {len(arrays)}"
            arrays[name], forms[name] = node.tobytes(), (node.dtype.str, node.shape)
            return {"__array__": name}
        return node

    def back(node: Any) -> Any:
        if isinstance(node, dict) and set(node) == {"__array__"}:
            dtype, shape = forms[node["__array__"]]
            return np.frombuffer(arrays[node["__array__"]], dtype).reshape(shape).copy()
        return node

    restored: State = json.loads(json.dumps(out(state)), object_hook=back)
    return restored


def family_player(family: ExponentialFamily) -> Player:
    own = family.sample(family.reference, 40, np.random.default_rng(1))
    return player(
        ExponentialFamilyModel(family, smoothing=2.0, step=StepSize(0.7, horizon=5.0)),
        data=own,
        neighbours={name: Neighbour(alpha, family.space) for name, alpha in ALPHA.items()},
        listeners={"a": family.space},
    )


def play_on(each: Player, family: ExponentialFamily, begin: int, moves: int) -> list[bytes]:
    """Bytes of all that a player lets out, and of its parameters, while it hears a correspondence of known seeds."""
    out = []
    for t in range(begin, begin + moves):
        rng = np.random.default_rng(t)
        for k, name in enumerate(ALPHA):
            if (t + k) % 3:
                batch = family.sample(family.reference, 6, rng)
                each.receive(Message.of(batch, sender=name, sequence=t))
        each.receive(Message.received("stranger", t, {}))
        arrays = each.move().messages["a"].wire()[2]
        measured = each.measure(3)
        assert measured is not None
        out += [a.tobytes() for a in (*arrays.values(), *measured.arrays.values(), each.mean_parameters)]
        out.append(np.float64(each.pause(1.0)).tobytes())
    return out


@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_player_goes_on_bit_for_bit(name: str) -> None:
    family = synthetic_family(name, 3)
    first, second = family_player(family), family_player(family)
    first.open()
    play_on(first, family, 0, 4)
    second.load(stored(first.state()))
    assert play_on(second, family, 4, 5) == play_on(first, family, 4, 5)
    assert (second.moves, second.rejected, second.mailbox.counts) == (9, {"sender": 9}, first.mailbox.counts)


def test_a_player_saved_before_it_began_or_before_it_heard_goes_on_too() -> None:
    for prepare in (lambda p: None, lambda p: p.open()):
        first, second = player(), player(seed=99)
        prepare(first)
        second.load(stored(first.state()))
        assert trace(second) == trace(first)


def test_a_player_that_goes_on_from_another_state_differs() -> None:
    first, second = player(), player()
    first.open()
    state = stored(first.state())
    first.move()
    second.load(state)
    assert rows_of(second.move()).tobytes() != rows_of(first.move()).tobytes()


def test_letters_are_saved_as_they_were_whatever_their_layout_in_memory() -> None:
    """Sums over rows depend on the layout in the last bit; a player must go on with the very same sums."""
    family = GaussianDiagonal((2,))
    values = np.random.default_rng(3).normal(scale=[[1e-6], [1e3]], size=(2, 777)).astype(np.float32).T
    first, second = (
        player(ExponentialFamilyModel(family), data=None, neighbours={"a": Neighbour(1.0, family.space)}, listeners={})
        for _ in range(2)
    )
    assert first.receive(Message.received("a", 0, {"x": values})) is None
    second.load(stored(first.state()))
    for each in (first, second):
        each.move()
    assert second.mean_parameters.tobytes() == first.mean_parameters.tobytes()


def test_a_state_is_a_copy() -> None:
    p = player()
    p.open()
    hear(p, {"a": 1.0})
    state = p.state()
    before = json.dumps(state, default=lambda a: a.tolist())
    p.receive(Message.received("stranger", 0, {}))
    hear(p, {"a": 2.0}, sequence=1)
    p.move()
    p.pause(1.0)
    assert json.dumps(state, default=lambda a: a.tolist()) == before
