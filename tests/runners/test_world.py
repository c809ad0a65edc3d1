"""From an experiment file to the world of virtual time, and what is refused on the way."""

import json
from pathlib import Path

import pytest

from nashgossip.games import Game, GameError
from nashgossip.runners.experiment import Experiment, ExperimentError, load_experiment
from nashgossip.runners.network import Churn, Duration, Link, Network, Partition
from nashgossip.runners.simulation import Simulation
from nashgossip.runners.staging import build_game
from nashgossip.runners.world import build_changes, build_network
from nashgossip.topology import GraphFileError, GraphSequence, SequenceError

TEXT = """
name: world
topology: {generator: ring, arguments: {n: 5}}
model: {family: gaussian, dimension: 2}
play: {runner: virtual, moves: 10, samples: 5}
"""
NETWORK = """
network:
  compute: {kind: lognormal, mean: 2.0, sigma: 0.5}
  speed: {"3": 0.5, 4: 2}
  latency: {kind: exponential, mean: 0.7}
  bandwidth: 100.0
  loss: 0.1
  duplication: 0.2
  ordered: true
  edges:
    - {sender: 0, listener: 1, loss: 0.0, latency: {kind: trace, trace: [1, 2]}}
    - {sender: "1", listener: "0", ordered: false, bandwidth: 5, duplication: 0.0}
  churn: {up: 50, down: 5}
  link_churn: {up: 20, down: 2}
  events: [[3, 2, join], [9.5, "4", leave]]
  partitions: [{start: 1, end: 2.5, groups: [[0, 1], [2]]}]
"""


def experiment(folder: Path, *settings: str, text: str = TEXT) -> Experiment:
    path = folder / "world.yaml"
    path.write_text(text, encoding="utf-8")
    return load_experiment(str(path), list(settings))


def network_of(folder: Path, *settings: str, text: str = TEXT) -> Network:
    return build_network(experiment(folder, *settings, text=text), list(range(5)))


def changes_of(folder: Path, *settings: str, until: float = 20.0) -> GraphSequence | None:
    plan = experiment(folder, *settings)
    game = build_game(plan)
    assert isinstance(game, Game)
    return build_changes(plan, game, until)


# --- networks -------------------------------------------------------------------------------------------------------


def test_an_experiment_that_says_nothing_has_the_perfect_network(tmp_path: Path) -> None:
    assert network_of(tmp_path) == Network()


def test_every_key_of_a_network_arrives(tmp_path: Path) -> None:
    latency = Duration("exponential", 0.7)
    assert network_of(tmp_path, text=TEXT + NETWORK) == Network(
        compute=Duration("lognormal", 2.0, sigma=0.5),
        speed={3: 0.5, 4: 2.0},
        link=Link(latency, 100.0, 0.1, 0.2, ordered=True),
        links={
            (0, 1): Link(Duration("trace", trace=(1.0, 2.0)), 100.0, 0.0, 0.2, ordered=True),
            (1, 0): Link(latency, 5.0, 0.1, 0.0, ordered=False),
        },
        churn=Churn(50.0, 5.0),
        link_churn=Churn(20.0, 2.0),
        events=((3.0, 2, "join"), (9.5, 4, "leave")),
        partitions=(Partition(1.0, 2.5, (frozenset({0, 1}), frozenset({2}))),),
    )


def test_settings_reach_the_network(tmp_path: Path) -> None:
    settings = ("compute.kind=exponential", "loss=0.25", "latency.mean=1.5", "churn={up: 3, down: 1}")
    assert network_of(tmp_path, *(f"network.{setting}" for setting in settings)) == Network(
        compute=Duration("exponential"), link=Link(Duration("constant", 1.5), loss=0.25), churn=Churn(3.0, 1.0)
    )


def test_what_an_experiment_describes_can_be_played(tmp_path: Path) -> None:
    plan = experiment(tmp_path, "changes.kind=failing-edges", text=TEXT + NETWORK)
    game = build_game(plan)
    assert isinstance(game, Game)
    simulation = Simulation(game, 0, build_network(plan, game.players), build_changes(plan, game, 20.0))
    simulation.open(1.0)
    simulation.advance(10.0)
    assert simulation.counts["delivered"] > 0


def test_times_and_events_may_come_from_files(tmp_path: Path) -> None:
    times, events = tmp_path / "times.txt", tmp_path / "events.csv"
    times.write_text("0.5\n\n1.5\n", encoding="utf-8")
    events.write_text("2, 1, down\n3.5,1,up\n\n", encoding="utf-8")
    network = network_of(
        tmp_path,
        "network.compute.kind=trace",
        f"network.compute.file={times}",
        f"network.events_file={events}",
        "network.events=[[1, 0, down]]",
    )
    assert network.compute == Duration("trace", trace=(0.5, 1.5))
    assert network.events == ((1.0, 0, "down"), (2.0, 1, "down"), (3.5, 1, "up"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("network.compute.mean=-1", "mean of a duration is -1.0, expected a finite time of at least 0"),
        ("network.compute.mean=0", "compute times of moves are 0, expected a mean above 0"),
        ("network.latency.mean=-0.5", "mean of a duration is -0.5, expected a finite time of at least 0"),
        ("network.latency.kind=pareto", "a pareto duration needs shape"),
        ("network.loss=1.5", r"loss is 1.5, expected a probability in \[0, 1\]"),
        ("network.duplication=-0.1", r"duplication is -0.1, expected a probability in \[0, 1\]"),
        ("network.edges=[{sender: 0, listener: 1, loss: 2}]", r"loss is 2.0, expected a probability in \[0, 1\]"),
        ("network.bandwidth=0", "bandwidth is 0.0, expected above 0"),
        ("network.churn={up: -1, down: 1}", "mean times up and down are -1.0 and 1.0, expected finite times above 0"),
        ("network.link_churn={up: 1, down: 0}", "mean times up and down are 1.0 and 0.0, expected finite times"),
        ("network.events=[[-1, 0, down]]", "an event of player 0 is at time -1.0, expected a finite time"),
        ("network.events=[[1, 0, dies]]", "player 0 has event 'dies', expected down, up, join or leave"),
        ("network.speed={0: -1}", "speed of player 0 is -1.0, expected a finite factor above 0"),
        ("network.partitions=[{start: 2, end: 1, groups: []}]", "a partition lasts from 2.0 to 1.0, expected"),
        ("network.partitions=[{start: 0, end: 1, groups: [[0], [0]]}]", "a player is in two groups of a partition"),
    ],
)
def test_numbers_out_of_range_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        network_of(tmp_path, setting)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("network.speed={9: 1}", "speed"),
        ("network.events=[[1, 9, down]]", "events"),
        ("network.partitions=[{start: 0, end: 1, groups: [[9]]}]", "partitions"),
        ("network.edges=[{sender: 9, listener: 0}]", "edges"),
        ("network.edges=[{sender: 0, listener: 9}]", "edges"),
    ],
)
def test_unknown_players_are_refused(setting: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=f"^network.{key} names player '9'; the players are 0, 1, 2, 3, 4$"):
        network_of(tmp_path, setting)


def test_an_unknown_player_in_a_file_is_refused(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("1,9,down\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="network.events names player '9'; the players are 0, 1, 2, 3, 4"):
        network_of(tmp_path, f"network.events_file={events}")


def test_an_unknown_edge_is_refused(tmp_path: Path) -> None:
    plan = experiment(tmp_path, "network.edges=[{sender: 0, listener: 2}]")
    game = build_game(plan)
    assert isinstance(game, Game)
    with pytest.raises(ValueError, match="the network names edges that are not in the graph: 0→2"):
        Simulation(game, 0, build_network(plan, game.players))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    trace = ("network.compute.kind=trace", f"network.compute.file={bad}")
    events = f"network.events_file={bad}"
    for settings in (trace, (events,)):
        with pytest.raises(ExperimentError, match="bad.txt cannot be read as text: "):
            network_of(tmp_path, *settings)
    bad.write_text("1.0\nsoon\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="bad.txt has 'soon' where a time is expected"):
        network_of(tmp_path, *trace)
    with pytest.raises(ExperimentError, match="bad.txt has the line '1.0', expected time,player,what"):
        network_of(tmp_path, events)
    bad.write_text("soon,0,down\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="bad.txt has 'soon' where a time is expected"):
        network_of(tmp_path, events)
    bad.write_text("1\n-2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a trace of durations needs at least one time, and no negative or infinite"):
        network_of(tmp_path, *trace)
    bad.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a trace of durations needs at least one time, and no negative or infinite"):
        network_of(tmp_path, *trace)
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(ExperimentError, match="bad.txt cannot be read as text: "):
        network_of(tmp_path, events)


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="did you mean 'network.loss'"):
        network_of(tmp_path, "network.los=0.1")


@pytest.mark.parametrize(("style", "name"), [("push", "listeners"), ("pull", "neighbours")])
def test_a_policy_wider_than_the_degree_is_refused(style: str, name: str, tmp_path: Path) -> None:
    plan = experiment(tmp_path, "gossip.fan_out=3", f"gossip.style={style}")
    with pytest.raises(GameError, match=f"player 0 has 2 {name}, fewer than its gossip fan-out of 3"):
        build_game(plan)


# --- changing graphs ------------------------------------------------------------------------------------------------


def test_a_graph_stays_unless_told_otherwise(tmp_path: Path) -> None:
    assert changes_of(tmp_path) is None


def test_edges_fail_and_come_back(tmp_path: Path) -> None:
    settings = ("changes.kind=failing-edges", "changes.failure_rate=0.1", "changes.seed=3")
    changes, same = changes_of(tmp_path, *settings), changes_of(tmp_path, *settings)
    other = changes_of(tmp_path, *settings[:2], "changes.seed=4")
    assert changes is not None
    assert same is not None
    assert other is not None
    assert len(changes) > 2
    assert changes.times == same.times != other.times
    assert changes.times[-1] < 20
    assert changes.players == [0, 1, 2, 3, 4]


def test_edges_are_rewired_now_and_then(tmp_path: Path) -> None:
    settings = ("changes.kind=rewiring", "changes.every=6", "changes.fraction=0.5", "alpha.self_weight=0.4")
    changes = changes_of(tmp_path, *settings)
    assert changes is not None
    assert changes.times == (0.0, 6.0, 12.0, 18.0)
    assert all(graph.edges[p, p]["alpha"] == pytest.approx(0.4) for _, _, graph in changes for p in graph)
    assert len({frozenset(graph.edges) for _, _, graph in changes}) > 1


def test_rewiring_needs_a_scheme_that_goes_by_the_graph(tmp_path: Path) -> None:
    message = "changes.kind rewiring weighs each graph anew: it needs one alpha.self_weight, and a scheme that goes"
    for setting in ("alpha.scheme=size", "alpha.self_weight={default: 0.3}"):
        with pytest.raises(ExperimentError, match=message):
            changes_of(tmp_path, "changes.kind=rewiring", setting)


def write_sequence(folder: Path, second: str) -> Path:
    """A ring of five from the start, and the edges `second` from 7 on."""
    ring = "\n".join(f"{a} {(a + 1) % 5} 0.7\n{a} {a} 0.3" for a in range(5))
    (folder / "first.edgelist").write_text(ring, encoding="utf-8")
    (folder / "second.edgelist").write_text(second, encoding="utf-8")
    path = folder / "changes.json"
    entries = [{"time": 0, "file": "first.edgelist"}, {"time": 7, "file": "second.edgelist"}]
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def from_files(folder: Path, path: Path) -> GraphSequence | None:
    first = f"{{file: {folder / 'first.edgelist'}, directed: true}}"
    text = TEXT.replace("{generator: ring, arguments: {n: 5}}", first)
    plan = experiment(folder, "changes.kind=files", f"changes.file={path}", text=text)
    game = build_game(plan)
    assert isinstance(game, Game)
    return build_changes(plan, game, 20.0)


def test_graphs_may_come_from_files(tmp_path: Path) -> None:
    back = "\n".join(f"{(a + 1) % 5} {a} 0.6\n{a} {a} 0.4" for a in range(5))
    changes = from_files(tmp_path, write_sequence(tmp_path, back))
    assert changes is not None
    assert changes.times == (0.0, 7.0)
    assert changes.at(7.0).edges[1, 0]["alpha"] == 0.6
    assert changes.players == [0, 1, 2, 3, 4]


def test_files_that_change_the_players_are_refused(tmp_path: Path) -> None:
    fewer = "\n".join(f"{(a + 1) % 4} {a} 0.6\n{a} {a} 0.4" for a in range(4))
    with pytest.raises(SequenceError, match="graph from time 7 lacks .*4.*, expected the players of the graph at"):
        from_files(tmp_path, write_sequence(tmp_path, fewer))


def test_files_for_other_players_than_the_game_are_refused(tmp_path: Path) -> None:
    ring = "\n".join(f"{a} {(a + 1) % 5} 0.35\n{a} {a} 0.3" for a in range(5))
    (tmp_path / "ring.edgelist").write_text(ring, encoding="utf-8")
    path = tmp_path / "changes.json"
    path.write_text(json.dumps([{"time": 0, "file": "ring.edgelist"}]), encoding="utf-8")
    plan = experiment(tmp_path, "changes.kind=files", f"changes.file={path}", "topology.arguments.n=6")
    game = build_game(plan)
    assert isinstance(game, Game)
    with pytest.raises(ValueError, match="the graph sequence has other players than the game; give it the same ones"):
        Simulation(game, 0, Network(), build_changes(plan, game, 20.0))


def test_a_file_of_graphs_is_needed_and_read(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="changes.kind is files: give changes.file, a JSON list of times and"):
        changes_of(tmp_path, "changes.kind=files")
    with pytest.raises(GraphFileError, match="no file .*nowhere.json"):
        changes_of(tmp_path, "changes.kind=files", f"changes.file={tmp_path / 'nowhere.json'}")
