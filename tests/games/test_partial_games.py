"""Players that share only some variables, and class shares that only the laboratory knows."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.games import (
    Batch,
    Game,
    GameError,
    PlayerSpec,
    Space,
    SpaceError,
    Variable,
    class_histogram,
    predicted_mixtures,
)
from nashgossip.topology import attach_alpha, influence

X, Y, Z = (Variable(name, "binary", (2,)) for name in "xyz")
HIDDEN = Variable("z", "binary", (2,), publish=False)
LABEL = Variable("c", "categorical", categories=3)


class Whole:
    """A model of which only the space is known."""

    def __init__(self, *variables: Variable) -> None:
        self.space = Space(variables)


class Completing(Whole):
    """The same, with the ability to fill in what rows lack."""

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        raise NotImplementedError  # a game asks only whether it can


def rows(*variables: Variable) -> Batch:
    return Space(variables).batch({v.name: np.zeros((4, *v.shape), v.dtype) for v in variables})


def pair(first: Any, second: Any, data: tuple[Batch, Batch] | None = None) -> Game:
    graph = attach_alpha(nx.path_graph(2), 0.5)
    given = data or (rows(*first().space), rows(*second().space))
    return Game(graph, {0: PlayerSpec(model=first, data=given[0]), 1: PlayerSpec(model=second, data=given[1])})


def test_along_an_edge_travels_what_both_have_and_the_sender_publishes() -> None:
    game = pair(lambda: Completing(X, Y, Z), lambda: Completing(Y, HIDDEN, X))
    assert game.edge_space(0, 1).names == ("y", "z", "x")  # the listener's order
    assert game.edge_space(1, 0).names == ("x", "y")  # z does not leave player 1


def test_who_completes_may_have_rows_that_lack_variables() -> None:
    partial = (rows(X), rows(Y, X))
    assert len(pair(lambda: Completing(X, Y), lambda: Completing(X, Y), partial).specs[0].data or ()) == 4
    with pytest.raises(GameError, match="player 0 has data over x, but its model is over x, y"):
        pair(lambda: Whole(X, Y), lambda: Completing(X, Y), partial)


def test_who_completes_still_needs_rows_of_its_own_variables() -> None:
    with pytest.raises(GameError, match="player 0 has data over z"):
        pair(lambda: Completing(X, Y), lambda: Completing(X, Y), (rows(Z), rows(X, Y)))


def test_an_edge_over_which_nothing_travels_is_refused() -> None:
    with pytest.raises(GameError, match="player 1 cannot learn from player 0, which does not publish y"):
        pair(lambda: Completing(X), lambda: Completing(Y))


def test_one_name_for_two_variables_is_refused() -> None:
    other = Variable("x", "binary", (3,))
    with pytest.raises(SpaceError, match="variable 'x' is .* rename one of them"):
        pair(lambda: Completing(X, Y), lambda: Completing(other, Y))


# --- class shares --------------------------------------------------------------------------------------------


def shares_game(first: Any, second: Any) -> Game:
    graph = attach_alpha(nx.path_graph(2), 0.3)
    data = rows(X)
    specs = [PlayerSpec(model=lambda: Whole(X), data=data, class_shares=s) for s in (first, second)]
    return Game(graph, dict(enumerate(specs)))


def test_mixtures_are_predicted_from_what_the_laboratory_knows() -> None:
    first, second = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.2, 0.8])
    game = shares_game(first, second)
    assert predicted_mixtures(game) == pytest.approx(influence(game.graph) @ np.stack([first, second]))


def test_labels_and_class_shares_go_together() -> None:
    graph = attach_alpha(nx.path_graph(2), 0.3)
    labelled = Space((LABEL, X)).batch({"c": [0, 0, 1, 2], "x": np.zeros((4, 2), int)})
    one = PlayerSpec(model=lambda: Whole(LABEL, X), data=labelled)
    other = PlayerSpec(model=lambda: Completing(LABEL, X), data=rows(X), class_shares=np.array([0.0, 0.0, 1.0]))
    graph.edges[1, 0]["alpha"], graph.edges[0, 0]["alpha"] = 0.0, 1.0
    game = Game(graph, {0: one, 1: other})
    expected = influence(graph) @ np.stack([class_histogram(labelled, "c"), [0.0, 0.0, 1.0]])
    assert predicted_mixtures(game, "c") == pytest.approx(expected)


@pytest.mark.parametrize("shares", [[0.5, 0.6], [1.5, -0.5], [[1.0]]])
def test_class_shares_that_are_none_are_refused(shares: Any) -> None:
    with pytest.raises(GameError, match="expected numbers of at least 0 that sum to 1"):
        PlayerSpec(model=lambda: Whole(X), data=rows(X), class_shares=np.array(shares))


def test_what_nobody_knows_is_not_predicted() -> None:
    with pytest.raises(GameError, match="the private rows of player 1 hold no label; give PlayerSpec.class_shares"):
        predicted_mixtures(shares_game(np.array([0.5, 0.5]), None))
    with pytest.raises(GameError, match=r"players have \[2, 3\] classes, expected one number"):
        predicted_mixtures(shares_game(np.array([0.5, 0.5]), np.array([0.5, 0.5, 0.0])))
