"""What makes a game, and with which words a wrong one is refused."""

from dataclasses import FrozenInstanceError
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.games import (
    Batch,
    BatchError,
    Bernoulli,
    BoundaryError,
    Game,
    GameError,
    Gaussian,
    PlayerSpec,
    Poisson,
    Product,
    Space,
    SpaceError,
    StepSize,
    Variable,
)
from nashgossip.topology import RowSumError, UnanchoredError, attach_alpha

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
FAMILY = Bernoulli((2,))
DATA = FAMILY.space.batch({"x": [[0, 1], [1, 0], [1, 1], [0, 0]]})


class BlackBox:
    """A model of which only the space is known."""

    def __init__(self, space: Space) -> None:
        self.space = space


def pair(self_weight: Any = 0.5) -> "nx.DiGraph[Any]":
    return attach_alpha(nx.path_graph(2), self_weight)


def spec(**changes: Any) -> PlayerSpec:
    return PlayerSpec(**({"family": FAMILY, "data": DATA} | changes))


# --- step sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.0, -0.5, 1.01, np.nan])
def test_step_sizes_out_of_range_are_refused(size: float) -> None:
    with pytest.raises(GameError, match=f"step size is {size}, expected above 0 and at most 1"):
        StepSize(size)


@pytest.mark.parametrize("horizon", [0.0, -1.0, np.nan])
def test_horizons_out_of_range_are_refused(horizon: float) -> None:
    with pytest.raises(GameError, match=f"horizon of the step is {horizon}, expected above 0"):
        StepSize(horizon=horizon)


@given(size=st.floats(0.01, 1.0), horizon=st.floats(0.5, 1e3), move=st.integers(0, 10**6))
@PROPERTY
def test_a_decreasing_step_falls_like_the_inverse_of_time(size: float, horizon: float, move: int) -> None:
    step = StepSize(size, horizon)
    assert StepSize(size).at(move) == size
    assert step.at(0) == pytest.approx(size)
    assert 0 < step.at(move + 1) < step.at(move)
    assert 1 / step.at(move + 1) - 1 / step.at(move) == pytest.approx(1 / (size * horizon), rel=1e-3)


# --- one player ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": None}, "a player needs a family or a model"),
        ({"samples": 0}, "samples of a message are 0, expected a whole number of at least 1"),
        ({"smoothing": -1.0}, "smoothing is -1.0, expected a pseudo-count of at least 0"),
        ({"smoothing": np.inf}, "smoothing is inf, expected a pseudo-count of at least 0"),
        ({"smoothing": np.nan}, "smoothing is nan, expected a pseudo-count of at least 0"),
    ],
)
def test_bad_specifications_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GameError, match=message):
        spec(**changes)


def test_a_black_box_has_no_mean_statistics() -> None:
    player = PlayerSpec(model=lambda: BlackBox(FAMILY.space), data=DATA)
    with pytest.raises(GameError, match="only players with an exponential family have mean statistics"):
        player.anchor()
    assert player.initial_mean() is None


def test_the_anchor_is_the_smoothed_mean_of_the_private_rows() -> None:
    rows = FAMILY.space.batch({"x": [[0, 1], [1, 1], [0, 1]]})
    assert spec(data=rows).anchor() == pytest.approx([1 / 3, 1.0])
    assert spec(data=rows, smoothing=1.0).anchor() == pytest.approx([1.5 / 4, 3.5 / 4])
    assert np.array_equal(spec(data=None).anchor(), FAMILY.reference)
    assert np.array_equal(spec(data=FAMILY.space.empty()).anchor(), FAMILY.reference)


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, False),
        ({"start": "reference"}, True),
        ({"data": None}, True),
        ({"data": FAMILY.space.empty()}, True),
    ],
)
def test_only_private_rows_keep_the_start_open(changes: dict[str, Any], known: bool) -> None:
    start = spec(**changes).initial_mean()
    assert (start is not None) == known
    if start is not None:
        assert np.array_equal(start, FAMILY.reference)


def test_specifications_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        spec().samples = 5  # type: ignore[misc]


# --- the game --------------------------------------------------------------------------------------------


def test_players_are_in_the_order_of_the_graph() -> None:
    G = attach_alpha(nx.path_graph(["c", "a", "b"]))
    game = Game(G, {p: spec() for p in "abc"})
    assert game.players == ["c", "a", "b"]
    assert game.space("a") == FAMILY.space


def test_a_black_box_brings_its_own_space() -> None:
    space = Space((Variable("x", "binary", (2,)),))
    game = Game(pair(), {0: spec(), 1: PlayerSpec(model=lambda: BlackBox(space), data=DATA)})
    assert game.space(1) is space


@pytest.mark.parametrize(
    ("players", "odd"), [((0,), "1"), ((0, 1, 2), "2"), ((0, "b"), "1, b")], ids=["few", "many", "other"]
)
def test_players_and_nodes_must_agree(players: tuple[Any, ...], odd: str) -> None:
    with pytest.raises(GameError, match=f"players and nodes of the graph differ: {odd}$"):
        Game(pair(), {p: spec() for p in players})


@pytest.mark.parametrize("data", [None, FAMILY.space.empty()], ids=["none", "empty"])
def test_an_anchored_player_needs_rows(data: Batch | None) -> None:
    message = "player 1 listens to its own data with weight 0.5 but has no rows; give it data or a self-weight of 0"
    with pytest.raises(GameError, match=message):
        Game(pair(), {0: spec(), 1: spec(data=data)})
    Game(pair({0: 0.5, 1: 0.0}), {0: spec(), 1: spec(data=data)})


@pytest.mark.parametrize("self_weight", [0.5, 0.0])
def test_data_must_be_over_the_models_variables(self_weight: float) -> None:
    other = Bernoulli((2,), variable="y").space.batch({"y": [[0, 1], [1, 0]]})
    message = r"player 1 has data over y, but its model is over x \(or their kinds or shapes differ\)"
    with pytest.raises(GameError, match=message):
        Game(pair({0: 0.5, 1: self_weight}), {0: spec(), 1: spec(data=other)})


def test_statistics_on_the_boundary_are_refused_by_name() -> None:
    rows = FAMILY.space.batch({"x": [[0, 1], [1, 1]]})
    with pytest.raises(BoundaryError, match="player 1: mean parameters of the bernoulli family .* set smoothing"):
        Game(pair(), {0: spec(), 1: spec(data=rows)})
    Game(pair(), {0: spec(), 1: spec(data=rows, smoothing=0.1)})


def test_a_sender_must_publish_what_the_listener_needs() -> None:
    secret = Space((Variable("x", "binary", (2,), publish=False),))
    rows = secret.batch({"x": DATA["x"]})
    message = (
        "nothing travels along edge 1 -> 0: player 1 publishes nothing, and player 0 has x; "
        r"player 1 keeps x private \(publish=False\); publish it, or remove the edge"
    )
    specs = {0: spec(), 1: PlayerSpec(model=lambda: BlackBox(secret), data=rows)}
    with pytest.raises(GameError, match=message):
        Game(pair(), specs)
    one_way: nx.DiGraph[Any] = nx.DiGraph()
    one_way.add_weighted_edges_from([(0, 0, 1.0), (0, 1, 0.5), (1, 1, 0.5), (1, 0, 0.0)], weight="alpha")
    Game(one_way, specs)


def test_a_sender_may_know_more_than_the_listener_but_not_less() -> None:
    rich = Product([FAMILY, Poisson(variable="n")])
    rows = rich.space.batch({"x": DATA["x"], "n": [1, 2, 3, 4]})
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_weighted_edges_from([("rich", "rich", 1.0), ("rich", "poor", 1.0)], weight="alpha")
    specs = {"rich": PlayerSpec(rich, data=rows), "poor": spec()}
    Game(G, specs)
    G = nx.relabel_nodes(G, {"rich": "poor", "poor": "rich"})
    with pytest.raises(GameError, match="edge poor -> rich does not carry n, which the model of player rich needs"):
        Game(G, specs)


def test_one_name_for_different_variables_is_refused() -> None:
    other = Gaussian((2,))
    rows = other.space.batch({"x": [[0.0, 1.0]]})
    with pytest.raises(SpaceError, match="variable 'x' is binary .* and real .* rename one of them"):
        Game(pair(), {0: spec(), 1: PlayerSpec(other, data=rows)})


def test_the_graph_is_validated() -> None:
    with pytest.raises(UnanchoredError):
        Game(pair(0.0), {p: spec() for p in range(2)})
    G = pair()
    G.edges[0, 1]["alpha"] = 0.4
    with pytest.raises(RowSumError):
        Game(G, {p: spec() for p in range(2)})


def test_the_graph_is_not_modified() -> None:
    G = pair()
    before = dict(G.edges)
    Game(G, {p: spec() for p in range(2)})
    assert dict(G.edges) == before


def test_errors_of_the_parts_are_told_apart() -> None:
    assert not issubclass(GameError, BatchError | BoundaryError | SpaceError)
    assert issubclass(GameError, ValueError)
