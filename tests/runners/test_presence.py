"""Who is here: reasons to be away do not end each other; links that only a later graph has churn like the others."""

from itertools import permutations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.runners.checkpoint import load_tree, save_tree
from nashgossip.runners.network import Churn, Duration, Link, Network
from nashgossip.runners.presence import REASONS, Presence
from nashgossip.runners.simulation import Simulation
from nashgossip.runners.virtual import virtual
from nashgossip.topology import GraphSequence, attach_alpha

STANDARD_ERRORS = 4
N = 8


def game_on(graph: Any) -> Game:
    family = Gaussian((1,))
    rows = family.space.batch({"x": np.ones((4, 1))})
    return Game(graph, {p: PlayerSpec(family, data=rows, samples=1) for p in graph})


def ring(n: int = N) -> Any:
    return attach_alpha(nx.cycle_graph(n), 0.3)


def moves(network: Network, until: float, *, seed: int = 0) -> list[int]:
    *_, last = virtual(game_on(ring()), seed=seed, moves=int(until), network=network)
    return [view.moves for view in last.players]


@pytest.mark.parametrize(("first", "other"), list(permutations(REASONS, 2)))
def test_one_reason_to_be_down_does_not_end_another(first: str, other: str) -> None:
    here = Presence(["a", "b"])
    here.stop("a", first)
    here.stop("a", other)
    assert not here.wake("a", first)
    assert here.away("a")
    assert not here.wake("a", first), "it has ended already"
    assert here.wake("a", other)
    assert not here.away("a")
    assert not here.wake("a", other)


def test_a_player_that_is_absent_or_gone_does_not_wake() -> None:
    here = Presence(["a", "b"], late=["a"])
    here.stop("a", "churn")
    assert not here.wake("a", "churn")
    assert here.join("a")
    assert not here.join("a")
    here.leave("a")
    here.stop("a", "event")
    assert not here.wake("a", "event")
    assert here.away("a")
    assert not here.away("b")


def test_whoever_goes_leaves_an_unfinished_move_behind() -> None:
    here = Presence(["a", "b"])
    epochs = [here.epoch("a")]
    for go in (lambda: here.stop("a", "event"), lambda: here.stop("a", "churn"), lambda: here.leave("a")):
        go()
        epochs.append(here.epoch("a"))
    assert len(set(epochs)) == 4
    assert here.epoch("b") == epochs[0]


def test_presence_is_loaded_as_it_was_saved() -> None:
    first, second = Presence("abc", late="c"), Presence("abc")
    first.stop("a", "event")
    first.stop("b", "churn")
    first.begin("b")
    second.load(first.state())
    assert second.state() == first.state()
    assert second.down("a", "event")
    assert not second.down("a", "churn")
    assert second.away("c")
    assert not second.begin("b")


def test_churn_does_not_bring_back_a_player_that_was_taken_down() -> None:
    churn = Churn(1.0, 1.0)
    taken = moves(Network(events=((2.5, 0, "down"),), churn=churn), 60)
    assert taken[0] <= 2
    assert min(taken[1:]) > 2
    back = moves(Network(events=((2.5, 0, "down"), (30.0, 0, "up")), churn=churn), 60)
    assert 2 < back[0] < 30
    assert back[1:] == taken[1:], "the others live through the same churn"


def test_an_event_does_not_bring_back_a_player_that_churn_took_down() -> None:
    """Up for a very long time after a down time that outlasts the run, if churn had it its way."""
    for seed in range(20):
        churn = Churn(1.0, 1e9)
        without, events = Network(churn=churn), Network(churn=churn, events=((3.5, 0, "down"), (3.6, 0, "up")))
        if (made := moves(without, 20, seed=seed)[0]) < 3:
            assert moves(events, 20, seed=seed)[0] == made
            return
    pytest.fail("no seed in which churn came first")


def later_graph() -> GraphSequence:
    return GraphSequence((0.0, 0.5), (ring(), attach_alpha(nx.complete_graph(N), 0.3)))


def test_links_that_only_a_later_graph_has_churn_too() -> None:
    """As for a graph that stays, a quarter of what is sent arrives with 1 up and 3 down."""
    simulation = Simulation(game_on(ring()), 0, Network(link_churn=Churn(1.0, 3.0)), later_graph())
    simulation.open(1.0)
    simulation.advance(400.5)
    links, counts = N * (N - 1), simulation.counts
    assert counts["delivered"] + counts["lost"] == 400 * links + 2 * N
    error = np.sqrt(0.25 * 0.75 * 2 * 0.75 / (links * 400))  # of a time average of relaxation time 3/4
    assert abs(counts["delivered"] / (400 * links) - 0.25) < STANDARD_ERRORS * error + 0.75 * 0.75 / 400


def test_later_links_go_on_exactly_after_a_resume(tmp_path: Path) -> None:
    network = Network(
        compute=Duration("exponential"),
        churn=Churn(4.0, 1.0),
        link_churn=Churn(1.0, 3.0),
        events=((2.2, 0, "down"), (7.3, 0, "up")),
    )
    saved: list[Path] = []
    options: dict[str, Any] = {"seed": 3, "moves": 9, "network": network, "graphs": later_graph()}

    def save(simulation: Simulation) -> None:
        saved.append(save_tree(simulation.state(), tmp_path / str(len(saved)), 1))

    run = [o.means for o in virtual(game_on(ring()), on_observation=save, **options)]
    for k in (0, 3, 6):
        again = [o.means for o in virtual(game_on(ring()), resume=load_tree(saved[k]), **options)]
        assert np.array_equal(again, run[k + 1 :])


def test_an_edge_of_a_later_graph_may_have_a_link_of_its_own() -> None:
    lossy = Network(links={(0, 4): Link(loss=1.0)})
    simulation = Simulation(game_on(ring()), 0, lossy, later_graph())
    simulation.open(1.0)
    simulation.advance(10.5)
    assert simulation.counts["lost"] == 10
    with pytest.raises(ValueError, match="names edges that are not in the graph: 0→4$"):
        Simulation(game_on(ring()), 0, lossy)
