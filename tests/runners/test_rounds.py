"""The reference engine: who hears what when, what is observed, and what a seed decides."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import Message, Player, Source, State, seats
from nashgossip.games import (
    Batch,
    Game,
    Gaussian,
    PlayerSpec,
    Space,
    Variable,
    equilibrium,
    synthetic_data,
    synthetic_family,
)
from nashgossip.runners import Looks, Observation, play, rounds
from nashgossip.topology import attach_alpha, generate_graph

SPACE = Space((Variable("x", "real"),))


class Noiseless:
    """Learns the weighted mean of its sources and generates nothing else: the game without sampling noise."""

    space = SPACE

    def __init__(self) -> None:
        self.value = np.zeros(1)

    @property
    def mean_parameters(self) -> NDArray[np.float64]:
        return self.value

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self.value = np.array([sum(source.weight * source.batch["x"].mean() for source in sources)])

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return SPACE.batch({"x": np.full(n, self.value[0])})

    def state(self) -> State:
        return {"value": self.value.copy()}

    def load(self, state: State) -> None:
        self.value = np.array(state["value"])


def noiseless(graph: "nx.DiGraph[Any]", values: Mapping[Any, float], *, samples: int = 2) -> Game:
    specs = {
        player: PlayerSpec(model=Noiseless, data=SPACE.batch({"x": np.full(3, value)}), samples=samples)
        for player, value in values.items()
    }
    return Game(graph, specs)


def gaussian_ring(samples: int = 20) -> Game:
    graph, family = attach_alpha(generate_graph("ring", n=5), 0.3), synthetic_family("gaussian", 2)
    data = synthetic_data(family, 5, 50, np.random.default_rng(1))
    specs = {
        player: PlayerSpec(family=family, data=rows.select(slice(0, 40)), holdout=rows.select(slice(40, 50)))
        for player, rows in zip(graph, data, strict=True)
    }
    return Game(graph, specs)


def trace(observations: list[Observation]) -> list[list[float]]:
    means = [observed.means for observed in observations]
    return [m.reshape(-1).tolist() for m in means if m is not None]


def test_all_batches_of_a_round_are_drawn_before_anyone_moves() -> None:
    """Two players of weight ½ with data 0 and 8: by hand (0, 8), (4, 4), (2, 6), (3, 5), (2½, 5½).

    Were player 1 to hear of player 0's move in the same round, it would come to 6 in the first.
    """
    game = noiseless(attach_alpha(nx.path_graph(2), 0.5), {0: 0.0, 1: 8.0})
    observed = list(rounds(game, seed=0, moves=4))
    assert trace(observed) == [[0, 8], [4, 4], [2, 6], [3, 5], [2.5, 5.5]]


def test_news_travels_one_edge_a_round() -> None:
    graph = attach_alpha(nx.path_graph(4, create_using=nx.DiGraph), {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0})
    game = noiseless(graph, {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0})
    found = trace(list(rounds(game, seed=0, moves=3)))
    assert found == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_play_without_noise_follows_the_mixing_matrix_to_the_equilibrium() -> None:
    graph = attach_alpha(generate_graph("small_world", n=8, k=4, p=0.3, seed=2), 0.3)
    values = {player: float(player) for player in graph}
    specs = {
        player: PlayerSpec(family=Gaussian(()), data=SPACE.batch({"x": [value]})) for player, value in values.items()
    }
    *_, last = rounds(noiseless(graph, values), seed=0, moves=100)
    assert last.means == pytest.approx(equilibrium(Game(graph, specs)), abs=1e-12)


def test_observations_come_before_the_first_round_then_as_asked_and_at_the_end() -> None:
    game = gaussian_ring()
    observed = list(rounds(game, seed=1, moves=10, every=4, looks=Looks(7), keep_states=True))
    assert [o.time for o in observed] == [0.0, 4.0, 8.0, 10.0]
    assert [[p.moves for p in o.players] for o in observed] == [[0] * 5, [4] * 5, [8] * 5, [10] * 5]
    assert [o.messages for o in observed] == [0, 40, 80, 100]
    assert [o.bytes for o in observed] == [m.messages * 100 * 2 * 8 for m in observed]
    assert all(a.seconds <= b.seconds for a, b in pairwise(observed))
    assert [len(o.samples) for o in observed] == [5, 0, 0, 5]
    assert [len(o.states) for o in observed] == [0, 0, 0, 5]
    assert [len(o.held_out) for o in observed] == [0, 0, 0, 5]
    batches = [*observed[0].samples.values(), *observed[-1].samples.values()]
    assert all(batch is not None and len(batch) == 7 for batch in batches)


def test_what_is_looked_at_does_not_change_the_game() -> None:
    game = gaussian_ring()
    often = list(rounds(game, seed=1, moves=9, looks=Looks(50), keep_states=True))
    seldom = list(rounds(game, seed=1, moves=9, every=9))
    assert trace(often)[-1] == trace(seldom)[-1]
    assert [o.time for o in seldom] == [0.0, 9.0]


def test_observations_come_as_the_play_goes_on() -> None:
    endless = rounds(gaussian_ring(), seed=1, moves=10**12)
    assert [next(endless).time for _ in range(3)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("counts", [{"moves": 0}, {"moves": 5, "every": 0.5}, {"moves": 1.5}])
def test_rounds_are_counted_in_whole_numbers(counts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected a whole number of at least 1"):
        next(rounds(gaussian_ring(), seed=1, **counts))


def test_the_seed_decides_the_trace() -> None:
    first, again, other = (trace(list(rounds(gaussian_ring(), seed=seed, moves=5))) for seed in (1, 1, 2))
    assert first == again
    assert first[0] == other[0]  # the start is that of the private data
    assert all(a != b for a, b in zip(first[1:], other[1:], strict=True))


def test_an_edge_without_weight_changes_nothing() -> None:
    graph = attach_alpha(generate_graph("ring", n=5), 0.3)
    more = graph.copy()
    more.add_edge(0, 2, alpha=0.0)
    specs = gaussian_ring().specs
    found = [list(rounds(Game(g, specs), seed=3, moves=6)) for g in (graph, more)]
    assert trace(found[0]) == trace(found[1])
    assert found[0][-1].messages == found[1][-1].messages


def players_of(game: Game) -> dict[Any, Player]:
    return {seat.name: seat.build() for seat in seats(game, 0)}


def play_by_hand(players: dict[Any, Player], hostile: Sequence[Message], moves: int) -> None:
    """The loop of `rounds`, in which somebody sends hostile messages to player 0 before every round."""
    made = [player.open() for player in players.values()]
    for _ in range(moves):
        for message in hostile:
            players[0].receive(message)
        for move in made:
            for listener, message in move.messages.items():
                players[listener].receive(message)
        made = [player.move() for player in players.values()]


def test_malformed_messages_are_counted_and_the_game_goes_on_as_without_them() -> None:
    game = gaussian_ring()
    contents: dict[str, Any] = {
        "space": {"y": np.zeros((5, 2))},
        "shape": {"x": np.zeros((5, 3))},
        "type": {"x": np.array(["a", "b"])},
        "finite": {"x": np.array([[0.0, np.nan]])},
        "size": {"x": np.zeros((100_001, 2))},
    }
    hostile = [Message.received(1, 999, content) for content in contents.values()]
    hostile += [Message.received("stranger", 0, {"x": np.zeros((5, 2))}), Message.received(1, -1, {"x": [[0.0, 0.0]]})]
    quiet, attacked = players_of(game), players_of(game)
    play_by_hand(quiet, [], 4)
    play_by_hand(attacked, hostile, 4)
    assert attacked[0].rejected == dict.fromkeys([*contents, "sender", "sequence"], 4)
    for name, player in attacked.items():
        assert np.array_equal(player.mean_parameters, quiet[name].mean_parameters)
        assert player.moves == 4


def test_messages_refused_in_a_run_are_counted_in_its_outcome() -> None:
    """Player 0 sends more rows than anybody takes; the others refuse them and play on without it."""
    game = noiseless(attach_alpha(nx.path_graph(3), 0.5), {0: 0.0, 1: 8.0, 2: 4.0})
    specs = dict(game.specs)
    specs[0] = PlayerSpec(model=Noiseless, data=specs[0].data, samples=100_001)
    outcome = play(Game(game.graph, specs), moves=5)
    assert [dict(p.rejected) for p in outcome.players] == [{}, {"size": 5}, {}]
    assert [p.moves for p in outcome.players] == [5, 5, 5]
