"""Seats: every player of a game gets its own, and it makes the same player wherever it is taken."""

import pickle
from collections.abc import Hashable, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
from ray import cloudpickle

from nashgossip import topology
from nashgossip.agents import EstimatorModel, ExponentialFamilyModel, Message, Player, Seat, Source, State, seats
from nashgossip.games import FAMILIES, Batch, Game, Gaussian, PlayerSpec, Space, StepSize, Variable, synthetic_family

FAMILY = Gaussian((2,))


def spec(seed: int, **changes: Any) -> PlayerSpec:
    data = FAMILY.sample(FAMILY.reference, 30, np.random.default_rng(seed))
    arguments: dict[str, Any] = {"family": FAMILY, "data": data, "samples": 8}
    return PlayerSpec(**(arguments | changes))


def game() -> Game:
    """Four players named by letters; d is heard by c alone, and the edge from a to c has α = 0."""
    alpha = {
        ("c", "c"): 0.5, ("b", "c"): 0.25, ("d", "c"): 0.25, ("a", "c"): 0.0,
        ("a", "a"): 0.25, ("b", "a"): 0.75,
        ("b", "b"): 0.0, ("c", "b"): 0.625, ("a", "b"): 0.375,
        ("d", "d"): 1.0,
    }  # fmt: skip
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from("cabd")
    graph.add_edges_from((j, i, {"alpha": weight}) for (j, i), weight in alpha.items())
    specs: dict[Hashable, PlayerSpec] = {name: spec(k, samples=8 + k) for k, name in enumerate("abcd")}
    return Game(graph, specs)


def trace(player: Player, space: Space, moves: int = 4) -> list[bytes]:
    """Bytes of all messages of a player that hears made-up rows over `space`."""
    rng = np.random.default_rng(3)
    out = []
    made = player.open()
    for t in range(moves):
        out += [a.tobytes() for m in made.messages.values() for a in m.wire()[2].values()]
        for sender in "abcd":
            batch = space.batch({v.name: rng.integers(0, 2, (6, *v.shape)) for v in space})
            player.receive(Message.received(sender, t, batch.arrays))
        made = player.move()
    return out


# --- seats of a game -----------------------------------------------------------------------------------------


def test_there_is_a_seat_for_every_player_in_the_order_of_the_graph() -> None:
    made = seats(game(), seed=5)
    assert [(s.name, s.index, s.seed) for s in made] == [("c", 0, 5), ("a", 1, 5), ("b", 2, 5), ("d", 3, 5)]
    assert [s.self_weight for s in made] == [0.5, 0.25, 0.0, 1.0]


def test_neighbours_and_listeners_are_the_edges_of_positive_alpha_in_the_order_of_the_graph() -> None:
    made = {s.name: s for s in seats(game(), seed=0)}
    neighbours = {name: [(j, n.alpha) for j, n in s.neighbours.items()] for name, s in made.items()}
    assert neighbours == {
        "c": [("b", 0.25), ("d", 0.25)],
        "a": [("b", 0.75)],
        "b": [("c", 0.625), ("a", 0.375)],
        "d": [],
    }
    listeners = {name: list(s.listeners) for name, s in made.items()}
    assert listeners == {"c": ["b"], "a": ["b"], "b": ["c", "a"], "d": ["c"]}


def test_what_travels_along_an_edge_is_what_the_listener_needs() -> None:
    wide = Space((Variable("x", "real", (2,)), Variable("y", "real")))
    graph = topology.attach_alpha(nx.DiGraph([("a", "b")]), self_weight=0.5)
    data = wide.batch({"x": np.zeros((3, 2)), "y": np.zeros(3)})
    wide_spec = PlayerSpec(model=lambda: Standard(wide), data=data)
    sender, listener = seats(Game(graph, {"a": wide_spec, "b": spec(1)}), seed=0)
    assert sender.listeners["b"].names == listener.neighbours["a"].space.names == ("x",)
    message = sender.build().open().messages["b"]
    assert message.wire()[2].keys() == {"x"}
    assert listener.build().receive(message) is None


# --- players built from seats --------------------------------------------------------------------------------


def test_a_seat_builds_its_player() -> None:
    seat = seats(game(), seed=0)[2]
    player = seat.build()
    assert player.name == "b"
    opened = player.open()
    assert {name: len(m.content) for name, m in opened.messages.items()} == {"c": 9, "a": 9}
    data = seat.spec.data
    assert data is not None
    np.testing.assert_array_equal(player.mean_parameters, data["x"].mean(axis=0))


def test_smoothing_step_and_holdout_reach_the_player() -> None:
    holdout = FAMILY.space.batch({"x": [[0.0, 0.0]]})
    graph = topology.attach_alpha(nx.DiGraph([("a", "b")]), self_weight=0.5)
    specs: dict[Hashable, PlayerSpec] = {
        "a": spec(0),
        "b": spec(1, smoothing=30.0, step=StepSize(0.5), holdout=holdout),
    }
    player = seats(Game(graph, specs), seed=0)[1].build()
    player.open()
    data = specs["b"].data
    assert data is not None
    anchor = data["x"].mean(axis=0) / 2  # as many pseudo-rows at 0 as rows
    np.testing.assert_allclose(player.mean_parameters, anchor)
    assert player.held_out() == pytest.approx(-np.log(2 * np.pi) - (anchor**2).sum() / 2)
    player.receive(Message.received("a", 0, {"x": [[8.0, 8.0]]}))
    player.move()
    np.testing.assert_allclose(player.mean_parameters, anchor + 0.5 * (0.5 * anchor + 4.0 - anchor))


@pytest.mark.parametrize("changes", [{"start": "reference"}, {"data": None}])
def test_a_family_s_player_that_starts_from_the_reference_speaks_at_once(changes: dict[str, Any]) -> None:
    graph = topology.attach_alpha(nx.DiGraph([("a", "b"), ("b", "a")]), self_weight={"a": 0.0, "b": 0.5})
    player = seats(Game(graph, {"a": spec(0, **changes), "b": spec(1)}), seed=0)[0].build()
    assert len(player.open().messages) == 1
    assert player.mean_parameters.tolist() == FAMILY.reference.tolist()


class Standard:
    """Standard normal rows over real variables; has to be told something first."""

    def __init__(self, space: Space = FAMILY.space) -> None:
        self.space, self.taught = space, False

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self.taught = True

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        if not self.taught:
            raise LookupError("nothing was learned yet")
        return self.space.batch({v.name: rng.standard_normal((n, *v.shape)) for v in self.space})

    def state(self) -> State:
        return {"taught": self.taught}

    def load(self, state: State) -> None:
        self.taught = state["taught"]


@pytest.mark.parametrize("family", [None, FAMILY])
def test_a_black_box_without_data_is_silent_until_it_has_heard_somebody(family: Gaussian | None) -> None:
    """Also where the player's family is known to the laboratory: its model knows nothing all the same."""
    graph = topology.attach_alpha(nx.DiGraph([("a", "b"), ("b", "a")]), self_weight={"a": 0.0, "b": 0.5})
    specs: dict[Hashable, PlayerSpec] = {"a": PlayerSpec(family=family, model=Standard, samples=4), "b": spec(1)}
    player = seats(Game(graph, specs), seed=0)[0].build()
    assert player.open().messages == {}
    player.receive(Message.received("b", 0, {"x": [[1.0, 2.0]]}))
    assert len(player.move().messages["b"].wire()[2]["x"]) == 4


def test_two_players_of_one_seat_share_nothing() -> None:
    seat = seats(game(), seed=0)[0]
    undisturbed, first, second = seat.build(), seat.build(), seat.build()
    trace(first, FAMILY.space)
    assert trace(second, FAMILY.space) == trace(undisturbed, FAMILY.space)


def test_players_differ_by_seed_and_by_seat() -> None:
    traces = [tuple(trace(s.build(), FAMILY.space)) for seed in (0, 1) for s in seats(game(), seed)]
    assert len(set(traces)) == len(traces)
    assert traces[:4] == [tuple(trace(s.build(), FAMILY.space)) for s in seats(game(), 0)]


# --- on the way to another process ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seat_of_every_family_builds_the_same_player_elsewhere(name: str) -> None:
    family = synthetic_family(name, 2)
    rng = np.random.default_rng(0)
    graph = topology.attach_alpha(nx.relabel_nodes(nx.path_graph(3), dict(enumerate("abc"))), self_weight=0.4)
    specs = {
        player: PlayerSpec(
            family=family,
            data=family.sample(family.reference, 40, rng),
            holdout=family.sample(family.reference, 5, rng),
            smoothing=1.0,
            samples=9,
        )
        for player in graph
    }
    seat = seats(Game(graph, specs), seed=4)[1]
    copy: Seat = cloudpickle.loads(cloudpickle.dumps(seat))
    here, there = seat.build(), copy.build()
    assert trace(there, family.space) == trace(here, family.space)
    assert there.mean_parameters.tobytes() == here.mean_parameters.tobytes()
    assert there.held_out() == here.held_out()
    assert there.mailbox.counts == here.mailbox.counts


def test_a_model_made_by_a_local_function_travels_too() -> None:
    from sklearn.mixture import GaussianMixture

    graph = topology.attach_alpha(nx.DiGraph([("a", "b")]), self_weight=0.5)
    data = FAMILY.sample(FAMILY.reference, 30, np.random.default_rng(0))
    made = PlayerSpec(model=lambda: EstimatorModel(GaussianMixture(1), FAMILY.space, rows=40), data=data)
    seat = seats(Game(graph, {"a": made, "b": spec(1)}), seed=0)[0]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(seat)
    copy: Seat = cloudpickle.loads(cloudpickle.dumps(seat))
    assert isinstance(copy.build().model, EstimatorModel)
    assert trace(copy.build(), FAMILY.space) == trace(seat.build(), FAMILY.space)


def test_a_seat_carries_the_data_of_its_own_player_alone() -> None:
    def with_rows(value: float) -> PlayerSpec:
        return spec(0, data=FAMILY.space.batch({"x": np.full((30, 2), value)}))

    graph = topology.attach_alpha(nx.DiGraph([("a", "b"), ("b", "a")]), self_weight=0.5)
    mine, theirs = np.float64(1.2345).tobytes(), np.float64(6.789).tobytes()
    carried = cloudpickle.dumps(seats(Game(graph, {"a": with_rows(1.2345), "b": with_rows(6.789)}), seed=0)[0])
    assert mine in carried
    assert theirs not in carried


def test_the_family_s_own_model_is_the_default() -> None:
    assert isinstance(seats(game(), seed=0)[0].build().model, ExponentialFamilyModel)
