"""Schedules: what they refuse, what they say of the edges of a game, and the two names that stand for one."""

import re
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.games import Game, Gaussian, PlayerSpec, Schedule, predict
from nashgossip.games.schedule import Links
from nashgossip.topology import attach_alpha


def star() -> Game:
    family, G = Gaussian(), attach_alpha(nx.star_graph(3), 0.4)
    return Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [float(i)]})) for i in G})


def edges(game: Game) -> list[tuple[Any, Any]]:
    return [(a, b) for a, b in game.graph.edges if a != b]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clock": "sundial"}, "clock of a schedule is 'sundial', expected rounds or poisson"),
        ({"delay": -0.5}, "delay of a schedule is -0.5, expected a finite time of at least 0"),
        ({"delay": float("inf")}, "delay of a schedule is inf"),
        ({"delay": float("nan")}, "delay of a schedule is nan"),
        ({"delay": "soon"}, "delay of a schedule is 'soon'"),
        ({"delay": True}, "delay of a schedule is True"),
        ({"delivery": 0.0}, "delivery is 0.0, expected a probability above 0 and at most 1"),
        ({"delivery": 1.5}, "delivery is 1.5"),
        ({"delivery": None}, "delivery is None"),
        ({"delivery": {("a", "b"): -1.0}}, "delivery from a to b is -1.0"),
        ({"delivery": {"ab": 1.0}}, "delivery has the key 'ab', expected a pair (sender, listener)"),
        ({"picks": 0}, "picks of a schedule are 0, expected a whole number of at least 1"),
        ({"picks": 1.5}, "picks of a schedule are 1.5"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Schedule(**wrong)


def test_good_schedules_are_taken() -> None:
    assert Schedule() == Schedule("rounds", 0.0, 1.0, fresh=False, known=True, picks=None)
    assert Schedule(delay=None).delay is None
    assert Schedule("poisson", delay=np.float64(0.5), delivery=np.float64(0.25)).delivery == 0.25


@pytest.mark.parametrize(
    ("clock", "delay", "lag", "instant"),
    [
        ("rounds", 0.0, 0, True),
        ("rounds", 0.9, 0, True),
        ("rounds", 1.0, 1, False),
        ("rounds", 2.5, 2, False),
        ("rounds", None, 0, False),
        ("poisson", 0.0, 0, True),
        ("poisson", 0.1, 0, False),
        ("poisson", None, 0, False),
    ],
)
def test_a_message_that_arrives_with_a_round_is_too_late_for_it(
    clock: Any, delay: float | None, lag: int, instant: bool
) -> None:
    schedule = Schedule(clock, delay)
    assert (schedule.lag, schedule.instant) == (lag, instant)


def test_names_stand_for_schedules() -> None:
    for name, schedule in (("synchronous", Schedule("rounds")), ("poisson", Schedule("poisson"))):
        by_name, by_schedule = predict(star(), name), predict(star(), schedule)
        assert by_name.schedule == by_schedule.schedule == schedule
        assert (by_name.rate, by_name.noise_floor_rms) == (by_schedule.rate, by_schedule.noise_floor_rms)
    with pytest.raises(ValueError, match="schedule is 'rounds', expected a Schedule or one of synchronous, poisson"):
        predict(star(), "rounds")


def test_one_probability_for_all_edges_may_be_written_edge_by_edge() -> None:
    game = star()
    for p in (1.0, 0.5):
        for clock in ("rounds", "poisson"):
            one = predict(game, Schedule(clock, delivery=p))
            each = predict(game, Schedule(clock, delivery=dict.fromkeys(edges(game), p)))
            assert (one.rate, one.noise_floor_rms) == (each.rate, each.noise_floor_rms)


def test_links_are_the_edges_between_players() -> None:
    game = star()
    links = Links.of(game, Schedule(delivery={(a, b): (1 + a + 4 * b) / 20 for a, b in edges(game)}))
    found = {
        (int(j), int(i)): (float(alpha), float(p))
        for j, i, alpha, p in zip(links.sender, links.listener, links.alpha, links.chance, strict=True)
    }
    assert set(found) == set(edges(game))
    for (j, i), (alpha, p) in found.items():
        assert alpha == game.graph.edges[j, i]["alpha"]
        assert p == pytest.approx((1 + j + 4 * i) / 20)
    assert links.even is None
    W = (links.listening @ links.publishing).toarray()
    assert W.sum(axis=1) == pytest.approx([0.6] * 4)
    assert np.diag(W).tolist() == [0.0] * 4


def test_delivery_must_say_something_of_every_edge_and_of_no_other() -> None:
    game = star()
    some = dict.fromkeys(edges(game), 0.5)
    with pytest.raises(ValueError, match="delivery names what is no edge of the game, from 1 to 2"):
        predict(game, Schedule(delivery={**some, (1, 2): 0.5}))
    del some[0, 3]
    with pytest.raises(ValueError, match="delivery says nothing of the edge from 0 to 3; expected a probability"):
        predict(game, Schedule(delivery=some))


def test_edges_of_weight_0_change_nothing() -> None:
    game = star()
    G = game.graph.copy()
    G.add_edge(1, 2, alpha=0.0)
    more = Game(G, game.specs)
    for schedule in (Schedule("poisson", delivery=1 / 3, picks=1), Schedule("poisson", delay=1.0, delivery=0.5)):
        np.testing.assert_array_equal(predict(more, schedule).floors, predict(game, schedule).floors)  # type: ignore[arg-type]
    named = Schedule(delivery={**dict.fromkeys(edges(game), 0.5), (1, 2): 0.1})
    assert predict(more, named).noise_floor_rms == predict(game, Schedule(delivery=0.5)).noise_floor_rms


def test_who_is_picked_is_not_reached_more_often_than_that() -> None:
    game = star()
    assert predict(game, Schedule(delivery=1 / 3, picks=1)).floors is not None
    with pytest.raises(ValueError, match="delivery from 0 to 1 is 0.5, but 0 picks 1 of 3 .* at most 0.333"):
        predict(game, Schedule(delivery=0.5, picks=1))
    everyone = predict(game, Schedule("poisson", picks=5))
    assert everyone.noise_floor_rms == predict(game, Schedule("poisson")).noise_floor_rms


def test_picking_one_listener_is_not_reaching_each_by_chance() -> None:
    game = star()
    by_chance, picked = (predict(game, Schedule("poisson", delivery=1 / 3, picks=k)).floors for k in (None, 1))
    assert by_chance is not None
    assert picked is not None
    # the hub listens to leaves that it told at different times: fewer errors in common
    assert picked[0] < by_chance[0]


def test_a_lonely_player_has_nothing_to_hear() -> None:
    family = Gaussian()
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_edge("a", "a", alpha=1.0)
    game = Game(G, {"a": PlayerSpec(family, data=family.space.batch({"x": [1.0]}))})
    for schedule in (Schedule(), Schedule("poisson"), Schedule("poisson", delay=1.0), Schedule(delivery=0.5)):
        prediction = predict(game, schedule)
        assert prediction.floors is not None
        assert prediction.floors.tolist() == [0.0]
