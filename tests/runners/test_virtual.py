"""Virtual time: equal to rounds where nothing takes time, resumed exactly, and as fast and as noisy as predicted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import Source, State
from nashgossip.games import Batch, Game, Gaussian, Gossip, Oracle, PlayerSpec, Space, StepSize, Variable, predict
from nashgossip.runners import Looks, Observation, play, rounds
from nashgossip.runners.checkpoint import load_tree, save_tree
from nashgossip.runners.network import Churn, Duration, Link, Network, Partition, schedule_of
from nashgossip.runners.simulation import Simulation
from nashgossip.runners.virtual import virtual
from nashgossip.topology import GraphSequence, attach_alpha, failing_edges, generate_graph

from ..trees import frozen

STANDARD_ERRORS = 4
SPACE = Space((Variable("x", "real"),))
POLICIES = {
    "all": Gossip(),
    "fresh": Gossip(fresh=True),
    "one at random": Gossip(fan_out=1),
    "one in turn": Gossip(fan_out=1, order="round-robin"),
    "fresh to one": Gossip(fan_out=1, fresh=True),
    "pull": Gossip("pull"),
    "pull one": Gossip("pull", fan_out=1),
    "push and pull": Gossip("push-pull"),
    "push and pull in turn": Gossip("push-pull", fan_out=1, order="round-robin"),
    "every third move": Gossip(every=3),
    "three letters": Gossip(keep=3),
    "everything": Gossip("push-pull", fan_out=1, every=2, fresh=True, keep=2),
}
POISSON = Duration("exponential")
NASTY = Network(
    compute=Duration("pareto", shape=2.5),
    speed={1: 2.0, 4: 0.5},
    link=Link(Duration("exponential", 0.7), bandwidth=2000.0, loss=0.1, duplication=0.2, ordered=True),
    links={
        (0, 1): Link(Duration("lognormal", 0.5, sigma=1.0), duplication=0.5),
        (1, 0): Link(Duration("trace", trace=(0.1, 2.0, 0.5))),
    },
    churn=Churn(6.0, 1.0),
    link_churn=Churn(5.0, 1.0),
    events=((2.2, 5, "join"), (6.1, 3, "leave"), (3.3, 2, "down"), (4.4, 2, "up")),
    partitions=(Partition(3.0, 5.0, (frozenset({0, 1, 2}),)),),
)


class Noiseless:
    """Steps towards the weighted mean of its sources and generates nothing else: the game without sampling noise."""

    space = SPACE
    step = 1.0

    def __init__(self) -> None:
        self.value = np.zeros(1)

    @property
    def mean_parameters(self) -> NDArray[np.float64]:
        return self.value

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        goal = sum(source.weight * source.batch["x"].mean() for source in sources)
        self.value = self.value + self.step * (goal - self.value)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return SPACE.batch({"x": np.full(n, self.value[0])})

    def state(self) -> State:
        return {"value": self.value.copy()}

    def load(self, state: State) -> None:
        self.value = np.array(state["value"])


def quiet(values: Sequence[float], graph: Any = None) -> Game:
    """Players on a ring whose private rows are all the same number."""
    graph = attach_alpha(nx.cycle_graph(len(values)), 0.3) if graph is None else graph
    rows = [SPACE.batch({"x": np.full(3, value)}) for value in values]
    return Game(graph, {p: PlayerSpec(model=Noiseless, data=r, samples=2) for p, r in zip(graph, rows, strict=True)})


def noisy(
    graph: Any = None, gossip: Gossip | None = None, *, samples: int = 5, step: StepSize | None = None, shift: float = 0
) -> Game:
    graph = attach_alpha(nx.cycle_graph(6), 0.3) if graph is None else graph
    family, rng = Gaussian((2,)), np.random.default_rng(1)
    specs = {
        p: PlayerSpec(
            family,
            data=family.space.batch({"x": rng.normal(shift, 1.0, (20, 2))}),
            holdout=family.space.batch({"x": rng.normal(shift, 1.0, (5, 2))}),
            samples=samples,
            gossip=gossip or Gossip(),
            step=step or StepSize(),
        )
        for p in graph
    }
    return Game(graph, specs)


def everything(observed: Observation) -> Any:
    """All of an observation but the wall clock."""
    views = [(p.moves, p.mean, p.letters, p.rejected, p.staleness) for p in observed.players]
    traffic = [observed.time, observed.messages, observed.bytes]
    return frozen([traffic, views, observed.samples, observed.held_out, observed.states])


def whole(run: Any) -> list[Any]:
    return [everything(observed) for observed in run]


def simulated(game: Game, network: Network, until: float, *, seed: int = 0) -> Simulation:
    simulation = Simulation(game, seed, network)
    simulation.open(1.0)
    simulation.advance(until)
    return simulation


def moves_of(simulation: Simulation) -> list[int]:
    return [player.moves for player in simulation.players.values()]


def values_of(simulation: Simulation) -> list[float]:
    return [float(player.mean_parameters[0]) for player in simulation.players.values()]


def letters_of(simulation: Simulation, kind: str) -> int:
    return sum(player.mailbox.counts[kind] for player in simulation.players.values())


# --- equal to rounds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_with_nothing_in_the_way_virtual_time_equals_rounds_bit_for_bit(policy: str) -> None:
    graph = attach_alpha(generate_graph("small_world", n=8, k=4, p=0.3, seed=2), 0.3)
    game = noisy(graph, POLICIES[policy])
    settings: dict[str, Any] = {"seed": 3, "moves": 11, "looks": Looks(4), "keep_states": True}
    expected = list(rounds(game, every=2, **settings))
    assert expected[-1].messages > 0
    assert whole(virtual(game, every=2.0, **settings)) == whole(expected)


@pytest.mark.parametrize("mean", [0.7, 3.0])
def test_time_is_counted_in_mean_compute_times(mean: float) -> None:
    network = Network(compute=Duration("constant", mean))
    assert whole(virtual(noisy(), seed=1, moves=9, network=network)) == whole(rounds(noisy(), seed=1, moves=9))


def test_a_step_size_is_that_of_rounds() -> None:
    game = noisy(step=StepSize(0.5, 10.0))
    assert whole(virtual(game, seed=1, moves=9)) == whole(rounds(game, seed=1, moves=9))


def test_observations_come_when_asked_and_at_the_end() -> None:
    seen = list(virtual(noisy(), seed=0, moves=5, every=2.0, looks=Looks(3), keep_states=True))
    assert [o.time for o in seen] == [0.0, 2.0, 4.0, 5.0]
    assert [len(o.samples) for o in seen] == [6, 0, 0, 6]
    assert [len(o.states) for o in seen] == [0, 0, 0, 6]
    assert [len(o.held_out) for o in seen] == [0, 0, 0, 6]


# --- one seed, one run ----------------------------------------------------------------------------------------------


def test_one_seed_makes_one_run_and_another_seed_another() -> None:
    one, same, other = (whole(virtual(noisy(), seed=seed, moves=8, network=NASTY)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_what_is_looked_at_does_not_change_the_run() -> None:
    *_, often = virtual(noisy(), seed=1, moves=8, every=0.25, looks=Looks(5), network=NASTY)
    *_, once = virtual(noisy(), seed=1, moves=8, every=8.0, looks=Looks(5), network=NASTY)
    assert everything(often) == everything(once)


@pytest.mark.parametrize("policy", ["all", "fresh", "push and pull", "three letters", "every third move"])
def test_a_run_resumes_exactly_at_every_observation(policy: str, tmp_path: Path) -> None:
    game = noisy(gossip=POLICIES[policy])
    graphs = failing_edges(game.graph, failure_rate=0.05, repair_rate=0.3, until=10.0, seed=4)
    assert len(graphs) > 3
    settings: dict[str, Any] = {"seed": 5, "moves": 10, "looks": Looks(3), "keep_states": True, "graphs": graphs}
    settings |= {"network": NASTY}
    saved: list[Path] = []

    def save(simulation: Simulation) -> None:
        saved.append(save_tree(simulation.state(), tmp_path / str(len(saved)), 1))

    run = whole(virtual(game, every=1.25, on_observation=save, **settings))
    assert len(saved) == len(run) == 9
    for k, path in enumerate(saved):
        assert whole(virtual(game, resume=load_tree(path), **settings)) == run[k + 1 :]


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    first = simulated(noisy(), NASTY, 4.5, seed=2)
    kinds = {kind for _, _, _, kind, _ in first.state()["queue"]}
    assert {"move", "deliver", "churn", "link", "event"} <= kinds
    second = Simulation(noisy(), 2, NASTY)
    second.load(load_tree(save_tree(first.state(), tmp_path, 1)))
    assert second.observations == first.observations == 4
    assert second.next_observation == 5.0
    states = [frozen(simulation.state()) for simulation in (first, second)]
    for state in states:
        state["queue"].sort(key=lambda event: event[:3])
    assert states[0] == states[1]


# --- the world ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_ordered_links_deliver_in_order_and_others_do_not(ordered: bool) -> None:
    network = Network(link=Link(Duration("exponential", 3.0), ordered=ordered))
    simulation = simulated(noisy(), network, 40.0)
    assert letters_of(simulation, "accepted") > 100
    assert (letters_of(simulation, "outdated") == 0) is ordered


def test_a_message_that_comes_twice_counts_once() -> None:
    simulation = simulated(quiet([0, 1, 2, 3]), Network(link=Link(duplication=1.0)), 10.5)
    assert simulation.counts["delivered"] == 2 * 11 * 8
    assert letters_of(simulation, "duplicate") == letters_of(simulation, "accepted") == 11 * 8


@pytest.mark.parametrize("gossip", [Gossip(), Gossip("pull")])
def test_where_everything_is_lost_players_keep_what_they_know(gossip: Gossip) -> None:
    game = noisy(gossip=gossip)
    first, *_, last = virtual(game, seed=0, moves=10, network=Network(link=Link(loss=1.0)))
    assert last.messages == last.bytes == 0
    assert [frozen(p.mean) for p in first.players] == [frozen(p.mean) for p in last.players]
    assert [p.moves for p in last.players] == [10] * 6


def test_a_share_of_messages_is_lost() -> None:
    simulation = simulated(quiet([0.0] * 20), Network(link=Link(loss=0.3)), 200.5)
    sent = simulation.counts["lost"] + simulation.counts["delivered"]
    assert sent == 201 * 40
    error = np.sqrt(0.3 * 0.7 / sent)
    assert abs(simulation.counts["lost"] / sent - 0.3) < STANDARD_ERRORS * error


def test_latency_and_bandwidth_delay_by_what_they_say() -> None:
    """A message of 2 rows has 16 bytes: 1.25 + 16/64 = 1.5 from the move at 0 to the move at 2."""
    network = Network(link=Link(Duration("constant", 1.25), bandwidth=64.0))
    seen = list(virtual(quiet([0.0, 0.0, 8.0, 0.0]), seed=0, moves=3, network=network))
    assert [o.messages for o in seen] == [0, 0, 8, 16]
    assert [float(o.means[1, 0]) for o in seen if o.means is not None] == pytest.approx([0, 0, 0.35 * 8, 0.35 * 8])


def test_a_link_of_its_own_holds_for_that_edge_alone() -> None:
    network = Network(links={(0, 1): Link(loss=1.0)})
    simulation = simulated(quiet([0.0, 0.0, 0.0, 0.0]), network, 10.5)
    assert simulation.counts == {"lost": 11, "delivered": 7 * 11, "bytes": 7 * 11 * 16}


def test_speed_divides_compute_times() -> None:
    simulation = simulated(quiet([0.0] * 4), Network(speed={0: 2.0, 1: 0.5}), 10.1)
    assert moves_of(simulation) == [20, 5, 10, 10]


def test_a_trace_of_compute_times_is_followed() -> None:
    simulation = simulated(quiet([0.0] * 4), Network(compute=Duration("trace", trace=(0.5, 1.5))), 2.6)
    assert moves_of(simulation) == [3] * 4  # at 0.5, 2 and 2.5
    simulation.advance(3.9)
    assert moves_of(simulation) == [3] * 4


def test_poisson_clocks_tick_as_often_as_rounds_on_average() -> None:
    moves = moves_of(simulated(quiet([0.0] * 20), Network(compute=POISSON), 100.0))
    assert abs(np.mean(moves) - 100) < STANDARD_ERRORS * np.sqrt(100 / 20)
    assert np.std(moves) > 3


def test_a_player_that_is_down_does_not_move_and_misses_messages() -> None:
    network = Network(events=((2.5, 0, "down"), (6.5, 0, "up")))
    simulation = simulated(quiet([0.0] * 4), network, 10.1)
    assert moves_of(simulation) == [5, 10, 10, 10]  # 1, 2, 7.5, 8.5 and 9.5
    assert simulation.counts["missed"] == 2 * 4


def test_a_player_may_join_late() -> None:
    network = Network(events=((4.5, 0, "join"),))
    game = quiet([8.0, 0.0, 0.0, 0.0])
    before = simulated(game, network, 4.4)
    assert moves_of(before) == [0, 4, 4, 4]
    assert values_of(before)[1:] == [0.0] * 3
    after = simulated(game, network, 10.1)
    assert moves_of(after) == [5, 10, 10, 10]
    assert values_of(after)[1] > 0


def test_a_player_that_leaves_does_not_come_back() -> None:
    network = Network(events=((3.5, 0, "leave"), (5.5, 0, "up")), churn=Churn(1e9, 1.0))
    simulation = simulated(quiet([0.0] * 4), network, 10.1)
    assert moves_of(simulation) == [3, 10, 10, 10]
    assert simulation.counts["missed"] == 2 * 7


def test_churn_takes_its_share_of_time() -> None:
    """Up 3, down 1; a player that comes up starts its move anew, so that a clock ticks in 3/4 of the time."""
    moves = moves_of(simulated(quiet([0.0] * 40), Network(compute=POISSON, churn=Churn(3.0, 1.0)), 200.0))
    error = np.std(moves, ddof=1) / np.sqrt(len(moves))
    # It is up at the start, which is worth 1/4 of the relaxation time, 3/4 of a unit.
    assert abs(np.mean(moves) - (0.75 * 200 + 0.25 * 0.75)) < STANDARD_ERRORS * error


def test_link_churn_loses_its_share_of_messages() -> None:
    simulation = simulated(quiet([0.0] * 20), Network(link_churn=Churn(1.0, 3.0)), 400.5)
    share = simulation.counts["delivered"] / (401 * 40)
    error = np.sqrt(0.25 * 0.75 * 2 * 0.75 / (40 * 400))  # the variance of a time average of relaxation time 3/4
    assert abs(share - 0.25) < STANDARD_ERRORS * error + 0.75 * 0.75 / 401
    assert simulation.counts["delivered"] + simulation.counts["lost"] == 401 * 40


def test_a_partition_separates_for_a_while() -> None:
    game = quiet([0.0, 0.0, 8.0, 8.0])
    network = Network(partitions=(Partition(0.0, 5.5, (frozenset({0, 1}),)),))
    assert values_of(simulated(game, network, 5.9)) == pytest.approx([0, 0, 8, 8])
    assert values_of(simulated(game, network, 20.0))[0] > 1


def test_unknown_players_edges_and_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match="names players that are not in the game: 9$"):
        Simulation(noisy(), 0, Network(speed={9: 2.0}))
    with pytest.raises(ValueError, match="names players that are not in the game: 8$"):
        Simulation(noisy(), 0, Network(events=((1.0, 8, "down"),)))
    with pytest.raises(ValueError, match="names players that are not in the game: 7$"):
        Simulation(noisy(), 0, Network(partitions=(Partition(0, 1, (frozenset({7}),)),)))
    with pytest.raises(ValueError, match="names edges that are not in the graph: 0→3$"):
        Simulation(noisy(), 0, Network(links={(0, 3): Link()}))
    others = GraphSequence((0.0,), (attach_alpha(nx.cycle_graph(7), 0.3),))
    with pytest.raises(ValueError, match="the graph sequence has other players than the game; give it the same ones"):
        Simulation(noisy(), 0, Network(), others)


# --- changing graphs ------------------------------------------------------------------------------------------------


def test_a_new_graph_changes_who_is_heard_and_how_much() -> None:
    ring = attach_alpha(nx.cycle_graph(4), 0.3)
    line = attach_alpha(nx.DiGraph([(0, 1), (1, 2), (2, 3), (3, 0)]), 0.5)
    graphs = GraphSequence((0.0, 40.0), (ring, line))
    values = [0.0, 1.0, 5.0, 9.0]
    seen = [o for o in virtual(quiet(values), seed=0, moves=100, graphs=graphs) if o.means is not None]
    family = Gaussian(())
    for graph, time in ((ring, 39), (line, 100)):
        specs = {p: PlayerSpec(family, data=SPACE.batch({"x": [values[p]]})) for p in graph}
        expected = Oracle.of(Game(graph, specs)).equilibrium
        assert seen[time].means == pytest.approx(expected, abs=1e-5)


def test_the_error_is_held_against_the_equilibrium_in_force() -> None:
    ring = attach_alpha(nx.cycle_graph(6), 0.3)
    star = attach_alpha(nx.star_graph(5), 0.6)
    game = noisy(ring, samples=500)
    graphs = GraphSequence((0.0, 30.0), (ring, star))
    trace = play(game, "virtual", seed=0, moves=60, graphs=graphs).trace
    states = [o.means for o in virtual(game, seed=0, moves=60, graphs=graphs)]
    oracles = [Oracle.of(Game(graph, game.specs)) for graph in (ring, star)]
    for record, means in zip(trace, states, strict=True):
        assert means is not None
        expected = oracles[record.time >= 30].errors(means)
        assert record.errors == pytest.approx(expected)
    figures = {record.time: record.error_rms or 0.0 for record in trace}
    assert figures[30] > 1.5 * figures[29]
    assert figures[30] > 1.5 * figures[60]


# --- against theory -------------------------------------------------------------------------------------------------


LATE = [Network(link=Link(Duration("constant", delay))) for delay in (1.0, 3.0)]


@pytest.mark.parametrize("network", LATE, ids=["1", "3"])
def test_the_slope_of_rounds_with_delay_is_the_predicted_one(network: Network) -> None:
    """Without sampling noise; the mean over the players of a regular graph is its slowest mode.

    With a delay of k there are k + 1 games that take turns, of which only one remembers the start: a figure for them
    together is the largest error of k + 1 rounds. The other schedules are in test_asynchrony.py.
    """
    graph, rng = attach_alpha(generate_graph("regular", n=40, d=4, seed=1), 0.3), np.random.default_rng(5)
    rows = {p: SPACE.batch({"x": rng.normal(10.0, 1.0, 4)}) for p in graph}
    theory = Game(graph, {p: PlayerSpec(Gaussian(()), data=rows[p]) for p in graph})
    played = Game(graph, {p: PlayerSpec(model=Noiseless, data=rows[p], samples=1, start="reference") for p in graph})
    slope = predict(theory, schedule_of(network, theory, changing=False)).asymptotic_rate
    assert slope is not None
    goal, games = Oracle.of(theory).equilibrium.mean(), int(network.link.latency.mean) + 1
    seen = virtual(played, seed=0, moves=round(24 / -slope), network=network)
    errors = [abs(o.means.mean() - goal) for o in seen if o.means is not None]
    path = [(t, max(errors[max(t - games + 1, 0) : t + 1])) for t in range(len(errors))]
    times, sizes = np.array([point for point in path if point[0] >= 4 / -slope]).T
    assert np.polyfit(times, np.log(sizes), 1)[0] == pytest.approx(slope, rel=0.01)


def moves_with(*events: tuple[float, int, str], moves: int = 20) -> list[int]:
    network = Network(compute=Duration("constant"), events=events)
    *_, last = virtual(quiet([0.0, 1.0, 2.0, 3.0]), seed=1, moves=moves, network=network)
    return [view.moves for view in last.players]


def test_a_player_that_joins_while_it_is_down_starts_when_it_is_up() -> None:
    others = moves_with()[1:]
    assert moves_with((1, 0, "down"), (2, 0, "join"), (3, 0, "up")) == [17, *others]
    assert moves_with((1, 0, "down"), (2, 0, "join")) == [0, *others]


def test_who_has_left_does_not_join() -> None:
    assert moves_with((1, 0, "leave"), (2, 0, "join")) == [0, *moves_with()[1:]]


@pytest.mark.parametrize("options", [{"every": 0.0}, {"every": -1.0}, {"every": float("nan")}, {"moves": 0}])
def test_steps_of_time_go_forward(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        next(virtual(quiet([0.0, 1.0, 2.0, 3.0]), **{"seed": 1, "moves": 5, **options}))
