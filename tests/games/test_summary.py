"""A game whose rows are elsewhere: theory says the very same of it, and its checks are the same."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.agents import JointTable
from nashgossip.games import (
    FAMILIES,
    Bernoulli,
    BoundaryError,
    DataSummary,
    FleetGame,
    Game,
    GameError,
    Gaussian,
    NoClosedFormError,
    Oracle,
    PlayerSpec,
    Space,
    TableOracle,
    Variable,
    label_of,
    predict,
    predicted_mixtures,
    synthetic_family,
    without_rows,
)
from nashgossip.runners import random_table_game
from nashgossip.topology import attach_alpha, generate_graph

FAMILY = Bernoulli((2,))
DATA = FAMILY.space.batch({"x": [[0, 1], [1, 0], [1, 1], [0, 0]]})
COLOUR = Variable("colour", "categorical", categories=3)
X, Y = Variable("x", "real"), Variable("y", "real")
X_ROWS = Space((X,)).batch({"x": [1.0]})


def spec(**changes: Any) -> PlayerSpec:
    return PlayerSpec(**({"family": FAMILY, "data": DATA} | changes))


def lean(game: Game) -> Game:
    return Game(game.graph, {p: without_rows(s) for p, s in game.specs.items()}, anchored=game.anchored)


def made(name: str, seed: int = 0, smoothing: float = 1.0) -> Game:
    """Five players of a family on a ring; player 3 has no rows."""
    family = synthetic_family(name, 3)
    rng = np.random.default_rng(seed)
    graph = attach_alpha(generate_graph("ring", n=5), {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.0, 4: 1.0})
    specs: dict[Hashable, PlayerSpec] = {
        player: PlayerSpec(
            family=family,
            data=None if player == 3 else family.sample(family.reference, 20 + player, rng),
            holdout=family.sample(family.reference, 3, rng),
            smoothing=smoothing,
            start="reference" if player == 2 else "data",
        )
        for player in graph
    }
    return Game(graph, specs)


# --- what theory says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_theory_says_the_same_to_the_last_bit(name: str) -> None:
    game = made(name)
    other = lean(game)
    assert all(s.parts == () and s.data is None and s.holdout is None for s in other.specs.values())
    assert [s.rows for s in other.specs.values()] == [s.rows for s in game.specs.values()] == [20, 21, 22, 0, 24]
    for player in game.players:
        mine, theirs = game.specs[player], other.specs[player]
        assert theirs.anchor().tobytes() == mine.anchor().tobytes()
        assert repr(theirs.initial_mean()) == repr(mine.initial_mean())
    here, there = Oracle.of(game), Oracle.of(other)
    for figure in ("anchors", "start", "equilibrium"):
        assert getattr(there, figure).tobytes() == getattr(here, figure).tobytes()
    mu = np.stack([game.specs[0].anchor()] * 5)
    assert there.regrets(mu).tobytes() == here.regrets(mu).tobytes()
    assert repr(predict(other)) == repr(predict(game))
    assert FleetGame.of(other).anchors.tobytes() == FleetGame.of(game).anchors.tobytes()
    label = label_of(game.space(0))
    if label is not None:
        assert predicted_mixtures(other, label).tobytes() == predicted_mixtures(game, label).tobytes()


def test_other_rows_are_another_game() -> None:
    here, there = (Oracle.of(lean(made("gaussian", seed))).equilibrium for seed in (0, 1))
    assert (here != there).all()


def test_mixtures_without_a_closed_form_come_from_the_summary() -> None:
    """One categorical variable beside a real one, of models that are no family: Σ_j B_ij h_j."""
    space = Space((COLOUR, X))
    rng = np.random.default_rng(0)
    rows = {k: space.batch({"colour": rng.integers(0, 3, 17 + k), "x": rng.normal(size=17 + k)}) for k in range(3)}
    graph = attach_alpha(generate_graph("ring", n=3), 0.3)
    game = Game(graph, {k: PlayerSpec(model=partial(Standard, space), data=rows[k]) for k in graph})
    found = predicted_mixtures(lean(game), "colour")
    assert found.tobytes() == predicted_mixtures(game, "colour").tobytes()
    assert len({row.tobytes() for row in found}) == 3
    with pytest.raises(GameError, match=r"rows of player 0 .* label; give PlayerSpec.class_shares"):
        predicted_mixtures(lean(game), "x")


def test_class_shares_of_rows_that_do_not_all_hold_the_label_are_not_known() -> None:
    whole, part = Space((COLOUR, X)), Space((X,))
    data = (whole.batch({"colour": [0, 1], "x": [0.0, 1.0]}), part.batch({"x": [2.0]}))
    summary = without_rows(PlayerSpec(model=partial(Standard, whole), data=data)).summary
    assert summary is not None
    assert (summary.rows, summary.label, summary.class_shares) == (3, "colour", None)
    assert [space.names for space in summary.variables] == [("colour", "x"), ("x",)]
    told = without_rows(PlayerSpec(model=partial(Standard, whole), data=data[0], label="colour")).summary
    assert told is not None
    assert told.class_shares is not None
    assert told.class_shares.tolist() == [0.5, 0.5, 0.0]


def test_the_exact_map_of_tables_needs_rows() -> None:
    game = random_table_game(3, np.random.default_rng(0))
    assert TableOracle.of(game).equilibrium
    with pytest.raises(NoClosedFormError, match="the rows of player 0 are not here, which the exact map of tab"):
        TableOracle.of(lean(game))


# --- the checks of a game -----------------------------------------------------------------------------------


class Standard:
    """A model of which only the space is known."""

    def __init__(self, space: Space) -> None:
        self.space = space


def refusals(*specs: PlayerSpec) -> list[str]:
    """The words with which the first player is refused, with rows and without."""
    found = []
    for first in specs:
        graph = attach_alpha(nx.path_graph(2), 0.5)
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            Game(graph, {0: first, 1: spec(smoothing=1.0)})
        found.append(str(caught.value))
    return found


def with_and_without(**changes: Any) -> tuple[PlayerSpec, PlayerSpec]:
    whole = spec(**changes)
    return whole, without_rows(whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": FAMILY.space.batch({"x": [[1, 1], [1, 0]]})}, "player 0: mean parameters of the bernoulli family"),
        ({"data": X_ROWS, "family": Gaussian((2,))}, "has data over x"),
        (
            {"family": None, "model": partial(Standard, Space((X, Y))), "data": Space((X,)).batch({"x": [1.0]})},
            "and has no",
        ),
        ({"holdout": Space((Y,)).batch({"y": [1.0]})}, "player 0 has data over y"),
    ],
)
def test_what_is_refused_with_rows_is_refused_without(changes: dict[str, Any], message: str) -> None:
    whole = spec(**changes)
    summary = DataSummary(
        rows=whole.rows,
        statistics=whole.data["x"].mean(axis=0) * np.ones(2) if whole.family is not None else None,  # type: ignore[call-overload,index]
        class_shares=None,
        label=None,
        variables=tuple(b.space for b in (*whole.parts, *([whole.holdout] if whole.holdout is not None else []))),
    )
    rowless = PlayerSpec(family=whole.family, model=whole.model, summary=summary)
    here, there = refusals(whole, rowless)
    assert there == here
    assert message in here


def test_a_player_that_listens_to_itself_needs_rows_or_a_summary() -> None:
    graph = attach_alpha(nx.path_graph(2), 0.5)
    rest = spec(smoothing=1.0)
    assert Game(graph, {0: without_rows(spec(smoothing=1.0)), 1: rest}).specs[0].rows == 4
    with pytest.raises(GameError, match="player 0 listens to its own data with weight 0.5 but has no rows"):
        Game(graph, {0: spec(data=None), 1: rest})
    with pytest.raises(BoundaryError, match="player 0"):
        Game(graph, {0: without_rows(spec(data=DATA.select(slice(0, 1)))), 1: rest})


# --- specifications and summaries ---------------------------------------------------------------------------


def test_a_specification_without_rows_is_handed_back() -> None:
    empty = without_rows(spec(data=None, holdout=DATA))
    assert (empty.rows, empty.summary, empty.holdout) == (0, None, None)
    once = without_rows(spec())
    assert without_rows(once).summary is once.summary is not None


def statistics(*values: float) -> DataSummary:
    return DataSummary(4, np.array(values), None, None, (FAMILY.space,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spec(summary=statistics(0.5, 0.5)), "a player has rows and a summary of rows, expected one of them"),
        (lambda: spec(data=None, holdout=DATA, summary=statistics(0.5, 0.5)), "a player has rows and a summary"),
        (
            lambda: spec(data=None, summary=statistics(0.5)),
            r"of the bernoulli family has statistics of shape \(1,\), expected \(2,\); make it by without_rows",
        ),
        (
            lambda: spec(data=None, summary=DataSummary(4, None, None, None, (FAMILY.space,))),
            "has statistics of shape None",
        ),
    ],
)
def test_summaries_that_do_not_fit_are_refused(make: Callable[[], PlayerSpec], message: str) -> None:
    with pytest.raises(GameError, match=message):
        make()


def test_summaries_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="a summary of 0 rows over 1 spaces, expected at least 1 of each"):
        DataSummary(0, None, None, None, (FAMILY.space,))
    with pytest.raises(ValueError, match="statistics of a summary are .*nan.*, expected a vector of finite numbers"):
        statistics(0.5, np.nan)


def test_a_table_without_rows_still_has_its_space() -> None:
    space = Space((COLOUR,))
    whole = PlayerSpec(model=partial(JointTable, space), data=space.batch({"colour": [0, 1, 2]}))
    graph = attach_alpha(nx.path_graph(2), 0.5)
    game = Game(graph, {0: without_rows(whole), 1: whole})
    assert game.edge_space(0, 1) == space
