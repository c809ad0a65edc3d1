"""The world of virtual time: laws of times, what is refused, and what theory can say of it."""

import math
from typing import Any

import numpy as np
import pytest

from nashgossip.games import Game, Gaussian, Gossip, PlayerSpec, Schedule
from nashgossip.runners.network import Churn, Duration, Link, Network, Partition, schedule_of
from nashgossip.topology import attach_alpha, generate_graph

STANDARD_ERRORS = 4
LAWS = [
    Duration("constant", 2.5),
    Duration("exponential", 2.5),
    Duration("lognormal", 2.5, sigma=0.7),
    Duration("pareto", 2.5, shape=3.5),
    Duration("trace", trace=(1.0, 4.0, 2.5)),
]


def game_on(kind: str = "ring", gossips: Any = None, **arguments: Any) -> Game:
    graph, family = attach_alpha(generate_graph(kind, **(arguments or {"n": 5})), 0.3), Gaussian(())
    policies = gossips or [Gossip()] * len(graph)
    return Game(
        graph,
        {
            p: PlayerSpec(family, data=family.space.batch({"x": [float(k)]}), gossip=gossip)
            for k, (p, gossip) in enumerate(zip(graph, policies, strict=True))
        },
    )


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.kind)
def test_the_mean_of_a_law_is_what_it_says(law: Duration) -> None:
    rng = np.random.default_rng(3)
    draws = np.array([law.draw(rng, turn) for turn in range(30_000)])
    assert law.average == 2.5
    assert (draws >= 0).all()
    assert abs(draws.mean() - 2.5) <= STANDARD_ERRORS * draws.std(ddof=1) / np.sqrt(len(draws))


def test_shapes_of_laws() -> None:
    rng = np.random.default_rng(3)
    assert [Duration("trace", trace=(1.0, 4.0)).draw(rng, turn) for turn in range(5)] == [1, 4, 1, 4, 1]
    pareto = [Duration("pareto", 3.0, shape=3.0).draw(rng, 0) for _ in range(1000)]
    assert min(pareto) >= 2.0  # mean · (shape − 1) / shape
    logs = np.log([Duration("lognormal", 1.0, sigma=0.5).draw(rng, 0) for _ in range(4000)])
    assert abs(logs.std() - 0.5) < STANDARD_ERRORS * 0.5 / np.sqrt(2 * 4000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kind": "gamma"},
            "duration kind is 'gamma', expected one of constant, exponential, lognormal, pareto, trace",
        ),
        ({"mean": -1.0}, "mean of a duration is -1.0, expected a finite time of at least 0"),
        ({"mean": math.inf}, "mean of a duration is inf, expected a finite time of at least 0"),
        ({"mean": math.nan}, "mean of a duration is nan, expected a finite time of at least 0"),
        ({"kind": "lognormal"}, "a lognormal duration needs sigma"),
        ({"kind": "pareto"}, "a pareto duration needs shape"),
        ({"kind": "trace"}, "a trace duration needs trace"),
        (
            {"kind": "lognormal", "sigma": -0.5},
            "sigma of a duration is -0.5, expected a finite number of at least 0",
        ),
        (
            {"kind": "pareto", "shape": 1.0},
            "shape of a Pareto duration is 1.0, expected above 1, where the mean is finite",
        ),
        ({"kind": "trace", "trace": ()}, "a trace of durations needs at least one time, and no negative or infinite"),
        ({"kind": "trace", "trace": (1.0, -1.0)}, "a trace of durations needs at least one time, and no negative"),
        ({"kind": "trace", "trace": (math.inf,)}, "a trace of durations needs at least one time, and no negative"),
    ],
)
def test_a_law_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Duration(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": 1.5}, r"loss is 1.5, expected a probability in \[0, 1\]"),
        ({"loss": math.nan}, r"loss is nan, expected a probability in \[0, 1\]"),
        ({"duplication": -0.1}, r"duplication is -0.1, expected a probability in \[0, 1\]"),
        ({"bandwidth": 0.0}, "bandwidth is 0.0, expected above 0 bytes per unit of time"),
    ],
)
def test_a_link_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Link(**settings)


@pytest.mark.parametrize(("up", "down"), [(0.0, 1.0), (1.0, -1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_churn_needs_times_above_0(up: float, down: float) -> None:
    with pytest.raises(ValueError, match=f"^mean times up and down are {up} and {down}, expected finite times above 0"):
        Churn(up, down)


def test_a_partition_that_makes_no_sense_is_refused() -> None:
    for start, end in ((-1.0, 2.0), (3.0, 3.0), (1.0, math.nan)):
        with pytest.raises(ValueError, match=f"a partition lasts from {start} to {end}, expected 0 ≤ start < end"):
            Partition(start, end, ())
    with pytest.raises(ValueError, match="a player is in two groups of a partition"):
        Partition(0.0, 1.0, (frozenset({1, 2}), frozenset({2, 3})))


def test_a_partition_separates_groups_and_the_rest() -> None:
    part = Partition(1.0, 2.0, (frozenset("ab"), frozenset("c")))
    pairs = [("a", "b"), ("a", "c"), ("c", "d"), ("d", "e")]
    assert [part.separates(1.0, *pair) for pair in pairs] == [False, True, True, False]
    assert not part.separates(0.99, "a", "c")
    assert not part.separates(2.0, "a", "c")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compute": Duration("constant", 0.0)}, "compute times of moves are 0, expected a mean above 0"),
        ({"compute": Duration("trace", trace=(0.0,))}, "compute times of moves are 0, expected a mean above 0"),
        ({"speed": {"a": 0.0}}, "speed of player a is 0.0, expected a finite factor above 0"),
        ({"speed": {"a": math.inf}}, "speed of player a is inf, expected a finite factor above 0"),
        (
            {"events": ((-1.0, "a", "down"),)},
            "an event of player a is at time -1.0, expected a finite time of at least 0",
        ),
        ({"events": ((1.0, "a", "dies"),)}, "player a has event 'dies', expected down, up, join or leave"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Network(**settings)


def test_players_and_edges_are_to_be_in_the_game() -> None:
    strange = Network(speed={"x": 1.0}, events=((1.0, "y", "up"),), partitions=(Partition(0, 1, (frozenset("z"),)),))
    with pytest.raises(ValueError, match="the network names players that are not in the game: x, y, z$"):
        strange.require_players(["a", "b"], {("a", "b")})
    with pytest.raises(ValueError, match="the network names edges that are not in the graph: b→a$"):
        Network(links={("b", "a"): Link()}).require_players(["a", "b"], {("a", "b")})
    Network(links={("a", "b"): Link()}, speed={"a": 2.0}).require_players(["a", "b"], {("a", "b")})


def test_what_theory_is_told() -> None:
    game = game_on()

    def told(**settings: Any) -> Schedule:
        return schedule_of(Network(**settings), game, changing=False)

    assert told() == Schedule()
    assert told(compute=Duration("exponential")) == Schedule("poisson")
    late = Link(Duration("constant", 3.0), loss=0.2, ordered=True)
    assert told(compute=Duration("exponential", 2.0), link=late) == Schedule("poisson", delay=1.5, delivery=0.8)
    assert told(link=Link(Duration("exponential", 3.0))).delay is None


def test_a_fan_out_tells_how_often_a_listener_is_picked() -> None:
    policy = Gossip(fan_out=1, fresh=True)
    expected = Schedule(delivery=0.25, fresh=True, picks=1)
    ring = game_on(gossips=[policy] * 5)
    assert schedule_of(Network(link=Link(loss=0.5)), ring, changing=False) == expected
    star = game_on("star", gossips=[policy] * 5)
    shares = schedule_of(Network(), star, changing=False).delivery
    assert shares == {(0, k): 0.25 for k in range(1, 5)} | {(k, 0): 1.0 for k in range(1, 5)}


@pytest.mark.parametrize(
    "network",
    [
        Network(compute=Duration("pareto", shape=2.0)),
        Network(compute=Duration("lognormal", sigma=1.0)),
        Network(compute=Duration("trace", trace=(1.0, 2.0))),
        Network(speed={0: 2.0}),
        Network(link=Link(loss=1.0)),
        Network(link=Link(duplication=0.1)),
        Network(link=Link(bandwidth=10.0)),
        Network(links={(0, 1): Link(loss=0.5)}),
        Network(churn=Churn(1.0, 1.0)),
        Network(link_churn=Churn(1.0, 1.0)),
        Network(events=((1.0, 0, "down"),)),
        Network(partitions=(Partition(0.0, 1.0, (frozenset({0}),)),)),
    ],
)
def test_theory_is_told_when_it_knows_nothing_of_a_world(network: Network) -> None:
    assert not schedule_of(network, game_on(), changing=False).known


@pytest.mark.parametrize(
    "policy",
    [
        Gossip("pull"),
        Gossip("push-pull"),
        Gossip(every=2),
        Gossip(keep=2),
        Gossip(fan_out=1, order="round-robin"),
    ],
)
def test_theory_is_told_when_it_knows_nothing_of_a_policy(policy: Gossip) -> None:
    assert not schedule_of(Network(), game_on(gossips=[policy] * 5), changing=False).known


def test_theory_knows_neither_changing_graphs_nor_players_that_differ() -> None:
    assert not schedule_of(Network(), game_on(), changing=True).known
    mixed = game_on(gossips=[Gossip(fresh=True), *[Gossip()] * 4])
    assert not schedule_of(Network(), mixed, changing=False).known
