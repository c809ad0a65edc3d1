"""Players that share only some variables, and class shares that only the laboratory knows."""

import re
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.games import (
    Batch,
    Bernoulli,
    Game,
    GameError,
    PlayerSpec,
    Product,
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
    assert pair(lambda: Completing(X, Y), lambda: Completing(X, Y), partial).specs[0].rows == 4
    message = "player 0 has data over x, but its model is over x, y and has no `complete`; give it .* or rows with y"
    with pytest.raises(GameError, match=message):
        pair(lambda: Whole(X, Y), lambda: Completing(X, Y), partial)


def test_who_completes_still_needs_rows_of_its_own_variables() -> None:
    with pytest.raises(GameError, match="player 0 has data over z"):
        pair(lambda: Completing(X, Y), lambda: Completing(X, Y), (rows(Z), rows(X, Y)))


def test_an_edge_over_which_nothing_travels_is_refused() -> None:
    with pytest.raises(GameError, match="edge 0 -> 1: player 0 publishes x, and player 1 has y; give them a variable"):
        pair(lambda: Completing(X), lambda: Completing(Y))


def test_one_name_for_two_variables_is_refused() -> None:
    other, told = Variable("x", "binary", (3,)), re.escape("'x' is binary of shape (2,) at player 0 and binary of")
    with pytest.raises(SpaceError, match=f"edge 0 -> 1: variable {told} .* at player 1; rename one of them"):
        pair(lambda: Completing(X, Y), lambda: Completing(other, Y))


def test_what_is_private_does_not_travel_and_the_error_says_so() -> None:
    pair(lambda: Completing(X, Z), lambda: Completing(X, HIDDEN))  # they share x, and complete the rest
    with pytest.raises(
        GameError, match=r"along edge 1 -> 0: .* keeps z private \(publish=False\); publish it, or remove"
    ):
        pair(lambda: Completing(Z), lambda: Completing(HIDDEN))
    with pytest.raises(
        GameError, match="edge 1 -> 0 does not carry z, .* player 1 keeps z private .* with `complete`, or"
    ):
        pair(lambda: Whole(X, Z), lambda: Completing(X, HIDDEN))
    with pytest.raises(
        GameError, match="edge 1 -> 0 does not carry y, .* no `complete`; let player 1 publish it, give"
    ):
        pair(lambda: Whole(X, Y), lambda: Completing(X, Z))
    other = Variable("z", "binary", (5,), publish=False)  # it does not travel, so that it may be what it likes
    assert pair(lambda: Completing(X, other), lambda: Completing(X, HIDDEN)).edge_space(0, 1).names == ("x",)


def test_private_rows_that_lack_different_variables_come_in_parts() -> None:
    graph = attach_alpha(nx.path_graph(2), 0.5)
    parts = (rows(X, Y), rows(Y, X).restrict(Space((X,))), rows(Y).select(slice(0, 0)))
    specs = {k: PlayerSpec(model=lambda: Completing(X, Y), data=parts) for k in graph}
    assert [len(part) for part in Game(graph, specs).specs[0].parts] == [4, 4]
    assert specs[0].rows == 8
    strange = {**specs, 1: PlayerSpec(model=lambda: Completing(X, Y), data=(rows(X), rows(X, Z)))}
    with pytest.raises(GameError, match="player 1 has data over x, z, but its model is over x, y"):
        Game(graph, strange)
    with pytest.raises(GameError, match="player 0 listens to its own data with weight 0.5 but has no rows"):
        Game(graph, {**specs, 0: PlayerSpec(model=lambda: Completing(X, Y), data=(rows(X).select(slice(0, 0)),))})


def test_an_exponential_family_takes_whole_rows_in_one_batch() -> None:
    family = Bernoulli((2,))
    with pytest.raises(GameError, match="data of the bernoulli family came in 2 batches, .* give it one batch"):
        PlayerSpec(family, data=(rows(X), rows(X)))
    graph = attach_alpha(nx.path_graph(2), 0.5)
    both = Product([family, Bernoulli((2,), variable="y")])
    with pytest.raises(GameError, match="player 0 has data over x, but its model is over x, y and has no `complete`"):
        Game(graph, {k: PlayerSpec(both, data=rows(X), smoothing=1.0) for k in graph})


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


def chain(spaces: dict[str, tuple[Variable, ...]], edges: list[tuple[str, str]]) -> Game:
    """Players in whom half of the weight is their own, the other half shared by those whom they hear."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(spaces)
    for player in spaces:
        heard = [j for j, i in edges if i == player]
        graph.add_edge(player, player, alpha=0.5 if heard else 1.0)
        graph.add_weighted_edges_from([(j, player, 0.5 / len(heard)) for j in heard], weight="alpha")
    rng = np.random.default_rng(0)
    specs = {}
    for player, variables in spaces.items():
        batch = rows(*variables)
        if LABEL in variables:
            batch = batch.space.batch({**batch.arrays, "c": rng.integers(3, size=4)})
        specs[player] = PlayerSpec(model=lambda variables=variables: Completing(*variables), data=batch)
    return Game(graph, specs)


def test_mixtures_are_predicted_of_those_alone_to_whom_the_class_travels() -> None:
    spaces = {"labels": (LABEL, X), "more": (LABEL, X, Y), "images": (X, Y), "after": (LABEL, X), "last": (LABEL,)}
    edges = [("labels", "more"), ("more", "labels"), ("labels", "images"), ("images", "after"), ("after", "last")]
    game = chain(spaces, edges)
    found = predicted_mixtures(game, "c")
    assert np.isnan(found[2:]).all()  # no label; heard of images without one; heard of those who did
    shares = np.stack([class_histogram(game.specs[p].data, "c") for p in ("labels", "more")])  # type: ignore[arg-type]
    assert found[:2] == pytest.approx(influence(game.graph)[:2, :2] @ shares)
    with pytest.raises(GameError, match="no player hears of y alone"):
        predicted_mixtures(chain({"a": (LABEL, X), "b": (X,)}, [("b", "a"), ("a", "b")]), "c", carrier="y")


def test_labels_of_all_parts_count_and_no_part_may_lack_them() -> None:
    graph = attach_alpha(nx.path_graph(2), 0.5)
    labelled = Space((LABEL, X)).batch({"c": [0, 0, 1, 2], "x": np.zeros((4, 2), int)})
    more = Space((LABEL,)).batch({"c": [2, 2]})
    whole = PlayerSpec(model=lambda: Completing(LABEL, X), data=(labelled, more))
    game = Game(graph, {0: whole, 1: whole})
    assert predicted_mixtures(game, "c") == pytest.approx(np.tile([2 / 6, 1 / 6, 3 / 6], (2, 1)))
    partial = PlayerSpec(model=lambda: Completing(LABEL, X), data=(labelled, rows(X)))
    with pytest.raises(GameError, match="the private rows of player 1 do not all hold the label"):
        predicted_mixtures(Game(graph, {0: whole, 1: partial}), "c")
