"""The players of one process: the same moves as apart, joins and leaves, and checkpoints."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.agents import Player, seats
from nashgossip.agents.ensemble import Ensemble
from nashgossip.agents.parcels import LARGE, Parcel, bundle, opened
from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.topology import attach_alpha, membership

FAMILY = Gaussian((2,))


def game(graph: "nx.Graph[Any]", samples: int = 5) -> Game:
    weighted = attach_alpha(graph, 0.4)
    data = {p: FAMILY.sample(np.full(2, float(p)), 20, np.random.default_rng(p)) for p in weighted}
    return Game(weighted, {p: PlayerSpec(family=FAMILY, data=data[p], samples=samples) for p in weighted})


def alone(graph: "nx.Graph[Any]", seed: int = 3) -> Ensemble:
    """All players of a graph in one process."""
    made = seats(game(graph), seed)
    return Ensemble([made], [frozenset()], {seat.name: k for k, seat in enumerate(made)})


def test_players_hear_each_other_at_once_and_leave_nothing_for_others() -> None:
    ensemble = alone(nx.cycle_graph(3))
    assert ensemble.deliver(ensemble.publications(Player.open)) == []
    assert ensemble.move(0) == []
    assert [p.mailbox.counts["accepted"] for p in ensemble.players.values()] == [2, 3, 3]
    assert dict(ensemble.sent) == {0: 4, 1: 2, 2: 2}
    assert ensemble.bytes[0] == 4 * 5 * 2 * 8


def test_parcels_for_players_elsewhere_are_handed_out() -> None:
    made = seats(game(nx.path_graph(3)), 3)
    here = Ensemble([made[:2]], [frozenset()], {seat.name: k for k, seat in enumerate(made)})
    parcels = here.deliver(here.publications(Player.open))
    assert [(p.sender, p.listener) for p in parcels] == [(1, 2)]
    assert here.sent[1] == 1  # what goes elsewhere counts when it has arrived
    here.count(parcels[0])
    assert here.sent[1] == 2


def test_a_state_goes_on_exactly_and_counts_on() -> None:
    first, second = alone(nx.cycle_graph(4)), alone(nx.cycle_graph(4))
    first.deliver(first.publications(Player.open))
    for player in (0, 1, 2, 3, 1):
        first.move(player)
    second.load(first.state())
    for ensemble in (first, second):
        for player in (2, 0, 3):
            ensemble.move(player)
    for name, player in first.players.items():
        np.testing.assert_array_equal(player.mean_parameters, second.players[name].mean_parameters)
    assert (first.sent, first.bytes) == (second.sent, second.bytes)


def test_players_join_leave_and_come_back_with_what_they_knew() -> None:
    whole = game(nx.cycle_graph(4))
    graphs = membership(whole.graph, [(10, 3, "join"), (20, 3, "leave"), (30, 3, "join")])
    wirings = [seats(Game(graph, whole.specs), 3) for graph in graphs.graphs]
    absent = [graphs.absent_at(piece.start) for piece in graphs]
    ensemble = Ensemble(wirings, absent, {p: p for p in whole.players})
    assert list(ensemble.players) == [0, 1, 2]
    ensemble.deliver(ensemble.publications(Player.open))
    joined = ensemble.rewire(1)
    assert {(p.sender, p.listener) for p in joined} == {(3, 0), (3, 2)}
    assert ensemble.deliver(joined) == []
    ensemble.move(3)
    mean, moves = ensemble.players[3].mean_parameters, ensemble.players[3].moves
    assert ensemble.rewire(2) == []
    assert list(ensemble.players) == [0, 1, 2]
    assert 3 not in ensemble.players[0].mailbox.read()
    late = Parcel(0, 3, None)
    assert ensemble.deliver([late]) == []  # what still comes for it is dropped
    copy = Ensemble(wirings, absent, {p: p for p in whole.players})
    copy.load(ensemble.state())
    for one in (ensemble, copy):
        assert one.rewire(3) == []
        assert one.players[3].moves == moves
        np.testing.assert_array_equal(one.players[3].mean_parameters, mean)


def test_a_player_taken_back_numbers_on() -> None:
    ensemble = alone(nx.cycle_graph(3))
    ensemble.deliver(ensemble.publications(Player.open))
    saved = ensemble.state()
    ensemble.move(0)
    before = ensemble.players[0].mean_parameters
    ensemble.restart(0, saved)
    ensemble.players[0].number_from(1000)
    assert ensemble.players[0].moves == 0
    assert not np.array_equal(ensemble.players[0].mean_parameters, before)
    assert {p.message.sequence for p in ensemble.publication(0, Player.move) if p.message is not None} == {1000}
    ensemble.players[0].number_from(7)  # never back
    assert {p.message.sequence for p in ensemble.publication(0, Player.move) if p.message is not None} == {1001}
    with pytest.raises(LookupError, match="the checkpoint has no player 0"):
        ensemble.restart(0, {**saved, "players": []})


def test_a_player_that_came_back_is_taken_back_to_where_it_was_when_it_was_away() -> None:
    graphs = membership(attach_alpha(nx.complete_graph(3), 0.4), [(1, 2, "leave"), (2, 2, "join")])
    specs = game(nx.complete_graph(3)).specs
    wirings = [seats(Game(piece, specs), 3) for piece in graphs.graphs]
    positions = {seat.name: k for k, seat in enumerate(wirings[0])}
    ensemble = Ensemble(wirings, [graphs.absent_at(piece.start) for piece in graphs], positions)
    ensemble.deliver(ensemble.publications(Player.open))
    ensemble.move(2)
    ensemble.rewire(1)
    saved = ensemble.state()
    ensemble.rewire(2)
    ensemble.move(2)
    ensemble.restart(2, saved)
    assert ensemble.players[2].moves == 1


@pytest.mark.parametrize("samples", [5, LARGE])
def test_a_bundle_carries_each_message_once_whoever_hears_it(samples: int) -> None:
    made = seats(game(nx.star_graph(3), samples), 3)
    ensemble = Ensemble([made[:1]], [frozenset()], {seat.name: k for k, seat in enumerate(made)})
    parcels = [*ensemble.publications(Player.open), Parcel(0, 2, None)]
    sent, beside = bundle(parcels)
    assert len(sent[0]) == 1
    assert sent[0][0][2] == [1, 2, 3]
    assert sent[1] == [(0, 2)]
    assert len(beside) == (samples == LARGE)
    contents = [p.message.wire()[2] for p in beside if p.message is not None]
    messages = dict(opened(sent, contents))
    assert list(messages) == [1, 2, 3]
    assert all(m.sequence == 0 and m.nbytes == samples * 16 for m in messages.values())


def test_counts_of_two_threads_lose_nothing() -> None:
    ensemble = alone(nx.cycle_graph(3))
    parcel = ensemble.publication(0, Player.open)[0]
    assert parcel.message is not None
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(lambda: [ensemble.count(parcel) for _ in range(20_000)]) for _ in range(2)]:
                done.result()
    finally:
        sys.setswitchinterval(interval)
    assert ensemble.sent[0] == 40_000
    assert ensemble.bytes[0] == 40_000 * parcel.message.nbytes
