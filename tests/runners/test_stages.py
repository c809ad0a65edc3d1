"""Players that join and leave a run in virtual time: who hears whom, what is predicted, and what is judged."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from nashgossip.agents import EstimatorModel, Source, State
from nashgossip.games import Batch, Game, Gaussian, Gossip, Oracle, PlayerSpec, Space, Variable, predict
from nashgossip.runners import Looks, Monitor, Observation, PlayerView, RecordWriter, play
from nashgossip.runners.checkpoint import load_tree, save_tree
from nashgossip.runners.last_stage import last_stage
from nashgossip.runners.network import Churn, Duration, Link, Network
from nashgossip.runners.record import Record
from nashgossip.runners.records import read_trace
from nashgossip.runners.simulation import Simulation
from nashgossip.runners.stages import Stages, present_game
from nashgossip.runners.virtual import virtual
from nashgossip.topology import GraphSequence, attach_alpha, generate_graph, membership, mixing_matrix, spectral_radius

SPACE = Space((Variable("x", "real"),))
POISSON = Network(compute=Duration("exponential"))
SLOW = Network(compute=Duration("exponential"), link=Link(Duration("exponential", 0.7)))
EVENTS = [(10.0, 4, "join"), (20.0, 1, "leave"), (30.0, 1, "join"), (30.0, 0, "leave")]


@pytest.fixture(autouse=True)
def quiet_numpy() -> Iterator[None]:
    """Figures of absent players are NaN: nothing may warn of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


class Noiseless:
    """The weighted mean of its sources, and generates nothing else: the game without sampling noise."""

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


def graph_of(n: int = 6) -> Any:
    return attach_alpha(generate_graph("small_world", n=n, k=4, p=0.2, seed=1), 0.3)


def quiet(graph: Any) -> Game:
    rows = {p: SPACE.batch({"x": np.full(3, float(k) ** 2)}) for k, p in enumerate(graph)}
    return Game(graph, {p: PlayerSpec(model=Noiseless, data=rows[p], samples=2) for p in graph})


def noisy(graph: Any, *, samples: int = 100, gossip: Gossip | None = None, spread: float = 1.0) -> Game:
    family, rng = Gaussian((2,)), np.random.default_rng(1)
    rows = {p: family.space.batch({"x": rng.normal(spread * rng.normal(), 1.0, (20, 2))}) for p in graph}
    gossip = gossip or Gossip()
    return Game(graph, {p: PlayerSpec(family, data=rows[p], samples=samples, gossip=gossip) for p in graph})


def values_of(game: Game) -> NDArray[np.float64]:
    return np.array([game.specs[p].parts[0]["x"].mean() for p in game.players])


def equilibrium(graph: Any, values: NDArray[np.float64], present: list[Any]) -> NDArray[np.float64]:
    """Of the subgraph of those present, by numpy alone."""
    A = mixing_matrix(graph)[np.ix_(present, present)]
    D = np.diag(np.diag(A))
    found: NDArray[np.float64] = np.linalg.solve(np.eye(len(present)) - A + D, D @ values[present])
    return found


# --- who moves, hears and sends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [Network(), POISSON], ids=["rounds", "poisson"])
@pytest.mark.parametrize("rule", ["proportional", "neighbours", "self"])
def test_play_comes_to_the_equilibrium_of_those_present(network: Network, rule: str) -> None:
    game = quiet(graph_of())
    events = [(60.0 * k, player, what) for k, (_, player, what) in enumerate(EVENTS[:3], start=1)]
    graphs = membership(game.graph, events, rule)
    seen = list(virtual(game, seed=0, moves=240, network=network, graphs=graphs))
    for (start, _, graph), away in zip(graphs, graphs.absent, strict=True):
        present = [p for p in game.players if p not in away]
        last = seen[int(start) + 59]
        assert last.means is not None
        assert last.means[present, 0] == pytest.approx(equilibrium(graph, values_of(game), present), abs=1e-5)


def test_the_absent_neither_move_nor_hear_nor_send() -> None:
    game = quiet(graph_of())
    seen = list(virtual(game, seed=0, moves=40, network=POISSON, graphs=membership(game.graph, EVENTS)))
    views = {player: [o.players[player] for o in seen] for player in game.players}
    assert {v.moves for v in views[4][:10]} == {0}
    assert views[4][10].moves <= 1 < views[4][20].moves
    gone = views[1][20:30]
    assert len({v.moves for v in gone}) == len({tuple(v.letters.items()) for v in gone}) == 1
    assert len({float(v.mean[0]) for v in gone if v.mean is not None}) == 1
    assert views[1][35].moves > gone[0].moves
    assert all(not v.rejected for o in seen for v in o.players)


def letters_of(simulation: Simulation, listener: Any) -> dict[Any, float]:
    held = simulation.players[listener].mailbox.read()
    return {sender: float(letters[0].batch["x"][0]) for sender, letters in held.items()}


def test_a_new_player_publishes_what_it_makes_of_its_own_data_as_it_joins() -> None:
    game = quiet(graph_of())
    simulation = Simulation(game, 0, Network(), membership(game.graph, [(2.5, 4, "join")]))
    simulation.open(1.0)
    listeners = [p for p in game.graph.succ[4] if p != 4]
    simulation.advance(2.4)
    assert all(4 not in letters_of(simulation, p) for p in listeners)
    assert letters_of(simulation, 4) == {}
    simulation.advance(2.6)
    assert [letters_of(simulation, p)[4] for p in listeners] == [16.0] * len(listeners)
    assert simulation.players[4].moves == 0


def test_a_player_that_comes_back_goes_on_from_its_own_state() -> None:
    game = quiet(graph_of())
    events = [(5.5, 4, "leave"), (9.5, 4, "join")]
    simulation = Simulation(game, 0, Network(), membership(game.graph, events))
    simulation.open(1.0)
    listeners = [p for p in game.graph.succ[4] if p != 4]
    simulation.advance(5.4)
    state, moves = simulation.players[4].model.state()["value"].copy(), simulation.players[4].moves
    assert all(4 in letters_of(simulation, p) for p in listeners)
    simulation.advance(5.6)
    assert all(4 not in letters_of(simulation, p) for p in listeners), "its letters went with it"
    simulation.advance(9.6)
    assert np.array_equal(simulation.players[4].model.state()["value"], state)
    assert simulation.players[4].moves == moves
    assert all(4 not in letters_of(simulation, p) for p in listeners), "it says nothing until it has moved"
    simulation.advance(10.6)
    assert all(4 in letters_of(simulation, p) for p in listeners)


def test_letters_on_their_way_when_their_sender_leaves_are_missed_not_rejected() -> None:
    game = quiet(graph_of())
    late = Network(link=Link(Duration("constant", 3.0)))
    plain = Simulation(game, 0, late)
    leaving = Simulation(game, 0, late, membership(game.graph, [(4.5, 2, "leave")]))
    for simulation in (plain, leaving):
        simulation.open(1.0)
        simulation.advance(7.5)
    edges = sum(2 in edge and edge[0] != edge[1] for edge in game.graph.edges)
    assert plain.counts["missed"] == 0
    assert leaving.counts["missed"] == 3 * edges, "what was sent at times 2, 3 and 4, from it and to it"
    assert not any(p.rejected for p in leaving.players.values())


def test_churn_and_events_do_not_bring_back_the_absent() -> None:
    game = quiet(graph_of())
    network = Network(churn=Churn(1.0, 1.0), events=((5.0, 4, "down"), (6.0, 4, "up")))
    for seed in range(5):
        *_, last = virtual(
            game, seed=seed, moves=40, network=network, graphs=membership(game.graph, [(39.9, 4, "join")])
        )
        assert last.players[4].moves == 0
        assert min(v.moves for p, v in enumerate(last.players) if p != 4) > 0


def test_an_event_of_the_network_keeps_the_graph_where_membership_renormalises_it() -> None:
    game = quiet(graph_of())
    everybody = game.players
    rest = [p for p in everybody if p != 2]
    leaving = Network(events=((10.0, 2, "leave"),))
    *_, kept = virtual(game, seed=0, moves=80, network=leaving)
    graphs = membership(game.graph, [(10.0, 2, "leave")])
    *_, renormalised = virtual(game, seed=0, moves=80, graphs=graphs)
    assert kept.means is not None
    assert renormalised.means is not None
    full, values = equilibrium(game.graph, values_of(game), everybody), values_of(game)
    assert kept.means[:, 0] == pytest.approx(full, abs=0.01), "its last letter is still learned from"
    assert renormalised.means[rest, 0] == pytest.approx(equilibrium(graphs.at(10), values, rest), abs=1e-5)
    assert np.abs(renormalised.means[rest, 0] - full[rest]).max() > 0.1


@pytest.mark.parametrize("every", [1, 4])
def test_a_run_goes_on_exactly_from_any_checkpoint(tmp_path: Path, every: int) -> None:
    game = noisy(graph_of(), gossip=Gossip("push-pull", fan_out=2, every=every, keep=2), samples=3)
    options: dict[str, Any] = {
        "seed": 3,
        "moves": 35,
        "network": SLOW,
        "graphs": membership(game.graph, EVENTS, "self"),
    }
    saved: list[Path] = []

    def save(simulation: Simulation) -> None:
        saved.append(save_tree(simulation.state(), tmp_path / str(len(saved)), 1))

    run = [(o.means, o.messages) for o in virtual(game, on_observation=save, **options)]
    for k in (0, 9, 10, 15, 20, 25, 31):
        again = [(o.means, o.messages) for o in virtual(game, resume=load_tree(saved[k]), **options)]
        assert len(again) == len(run[k + 1 :])
        for (means, messages), (expected, expected_messages) in zip(again, run[k + 1 :], strict=True):
            assert messages == expected_messages
            assert np.array_equal(means, expected)
    other = [o.means for o in virtual(game, **{**options, "seed": 4})]
    assert not np.array_equal(other[-1], run[-1][0])


# --- the game of those present ----------------------------------------------------------------------------------------


def test_the_game_of_those_present_has_their_order_and_narrower_policies() -> None:
    game = noisy(attach_alpha(nx.star_graph(3), 0.4), gossip=Gossip(fan_out=1))
    graphs = membership(game.graph, [(1.0, 2, "leave"), (2.0, 0, "leave")])
    first = present_game(game, graphs.at(1), graphs.absent_at(1))
    assert first.players == [0, 1, 3]
    assert mixing_matrix(first.graph) == pytest.approx(np.array([[0.5, 0.25, 0.25], [0.6, 0.4, 0.0], [0.6, 0.0, 0.4]]))
    leaves = present_game(game, graphs.at(2), graphs.absent_at(2))
    assert leaves.players == [1, 3]
    assert mixing_matrix(leaves.graph) == pytest.approx(np.eye(2))
    assert present_game(game, graphs.at(0), frozenset()).specs is game.specs
    wide = noisy(attach_alpha(nx.complete_graph(4), 0.4), gossip=Gossip(fan_out=3))
    narrow = present_game(wide, membership(wide.graph, [(0.0, 3, "leave")]).at(0), frozenset({3}))
    assert {narrow.specs[p].gossip.fan_out for p in narrow.players} == {2}


def test_a_player_without_data_may_be_absent() -> None:
    graph = attach_alpha(nx.cycle_graph(4), {0: 0.0, 1: 0.4, 2: 0.4, 3: 0.4})
    game = quiet(graph)
    game = Game(graph, {**game.specs, 0: replace(game.specs[0], data=None)})
    found = play(game, "virtual", seed=0, moves=30, graphs=membership(graph, [(10.0, 0, "join")]))
    assert found.players[0].moves == 20


def test_other_players_in_the_sequence_are_refused() -> None:
    graphs = membership(graph_of(7), [(1.0, 6, "leave")])
    with pytest.raises(ValueError, match="the graph sequence has other players than the game"):
        Stages(noisy(graph_of()), graphs, 1.0, lambda _: "poisson")


def test_each_stage_is_predicted_as_the_game_of_its_subgraph() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, EVENTS)
    stages = Stages(game, graphs, 2.0, lambda _: "poisson")
    assert stages.starts == [0.0, 5.0, 10.0, 15.0]
    assert [stages.at(t) for t in (0, 4.9, 5, 14.9, 15, 1e9)] == [0, 0, 1, 2, 3, 3]
    oracles = [Oracle.of(g) for g in stages.games]
    for number, change in enumerate(stages.planned()):
        plain = predict(stages.games[number], "poisson")
        assert change.noise_floor_rms == plain.noise_floor_rms
        assert change.spectral_radius == pytest.approx(spectral_radius(graphs.graphs[number]))
        assert change.players == len(stages.games[number].players)
        floors = stages.all_floors(number)
        assert floors is not None
        assert np.array_equal(np.isnan(floors), ~stages.present[number])
    changes = stages.planned()
    assert [(c.joined, c.left) for c in changes] == [((), ()), ((4,), ()), ((), (1,)), ((1,), (0,))]
    stay = [p for p in game.players if p not in (0, 1)]
    moved = {
        p: float(
            np.sqrt(
                (
                    (
                        oracles[3].equilibrium[stages.games[3].players.index(p)]
                        - oracles[2].equilibrium[stages.games[2].players.index(p)]
                    )
                    ** 2
                ).mean()
            )
        )
        for p in stay
    }
    assert changes[3].shift == pytest.approx(max(moved.values()))
    assert changes[3].shifted == max(moved, key=moved.__getitem__)
    assert changes[0].shift is None


def test_a_change_in_words() -> None:
    stages = Stages(noisy(graph_of()), membership(graph_of(), EVENTS, "self"), 1.0, lambda _: "synchronous")
    change = stages.change(3)
    assert change.sentence == (
        f"t = 30: 1 joined; 0 left (5 players, rule self); ρ {change.spectral_radius:.3g}, noise floor "
        f"{change.noise_floor_rms:.3g}; the largest shift of an equilibrium is {change.shift:.3g} "
        f"(player {change.shifted})"
    )
    unknown = replace(change, noise_floor_rms=None, shift=None, rule=None)
    assert unknown.sentence.endswith(f"(5 players); ρ {change.spectral_radius:.3g}, noise floor unknown")
    assert change.figures()["shift"] == {"max": change.shift, "player": str(change.shifted)}
    assert unknown.figures()["shift"] == {"max": None, "player": str(change.shifted)}


# --- what is measured -------------------------------------------------------------------------------------------------


def observed(time: float, means: Sequence[Any], moves: int = 0) -> Observation:
    letters = {"accepted": 0, "duplicate": 0, "outdated": 0, "replaced": 0}
    return Observation(time, time, 0, 0, [PlayerView(moves, m, letters, {}, 0.0) for m in means])


def test_records_hold_those_present_against_their_own_oracle() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, [(5.0, 4, "leave")])
    rest = present_game(game, graphs.at(5), frozenset({4}))
    oracle, monitor = Oracle.of(rest), Monitor(game, "poisson", graphs=graphs)
    means = [np.full(2, float(k)) for k in range(6)]
    before = monitor.read(observed(4.9, means))
    assert before.errors == pytest.approx(Oracle.of(game).errors(np.stack(means)))
    present = np.delete(np.stack(means), 4, axis=0)
    for fourth in (means[4], None):
        after = monitor.read(observed(5.0, [*means[:4], fourth, means[5]]))
        assert after.errors is not None
        assert after.regrets is not None
        assert np.flatnonzero(np.isnan(after.errors)).tolist() == [4]
        assert np.delete(after.errors, 4) == pytest.approx(oracle.errors(present))
        assert np.delete(after.regrets, 4) == pytest.approx(oracle.regrets(present))
        assert after.nash_gap == oracle.regrets(present).max()
        assert after.regret_mean == pytest.approx(oracle.regrets(present).mean())
        assert after.error_rms == pytest.approx(np.sqrt((oracle.errors(present) ** 2).mean()))
    missing = monitor.read(observed(6.0, [None, *means[1:]]))
    assert (missing.errors, missing.regrets, missing.error_rms) == (None, None, None)
    errors = monitor.errors()
    assert errors is not None
    assert np.flatnonzero(np.isnan(errors)).tolist() == [4]
    assert monitor.prediction.noise_floor_rms == predict(rest, "poisson").noise_floor_rms


def test_an_error_that_is_not_a_number_is_not_taken_for_absence() -> None:
    game = noisy(graph_of())
    monitor = Monitor(game, "poisson", graphs=membership(game.graph, [(5.0, 4, "leave")]))
    means = [np.full(2, 1.0) for _ in range(6)]
    record = monitor.read(observed(6.0, [np.full(2, np.nan), *means[1:]]))
    assert record.error_rms is not None
    assert np.isnan(record.error_rms)


def test_the_window_begins_no_earlier_than_the_last_change() -> None:
    game = noisy(graph_of())
    monitor = Monitor(game, "poisson", graphs=membership(game.graph, [(90.0, 4, "leave")]))
    for t in range(101):
        monitor.read(observed(float(t), [np.full(2, 1.0)] * 6))
    assert [r.time for r in monitor.window] == [float(t) for t in range(90, 101)]
    early = Monitor(game, "poisson", graphs=membership(game.graph, [(10.0, 4, "leave")]))
    for t in range(101):
        early.read(observed(float(t), [np.full(2, 1.0)] * 6))
    assert [r.time for r in early.window] == [float(t) for t in range(75, 101)]


def test_the_last_stage_is_a_run_of_its_own() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, EVENTS)
    records: list[Record] = []
    outcome = play(game, "virtual", seed=0, moves=60, network=POISSON, graphs=graphs, on_record=records.append)
    stages = Stages(game, graphs, 1.0, lambda _: "poisson")
    late, begun = last_stage(records, stages)
    assert begun == 30.0
    assert [r.time for r in late] == [float(t) for t in range(31)]
    assert all(len(r.players) == 5 for r in late)
    assert all(r.errors is not None and r.errors.shape == (5,) and np.isfinite(r.errors).all() for r in late)
    assert [v.moves for v in late[0].players] == [0] * 5
    assert [v.moves for v in late[-1].players] == [
        records[-1].players[p].moves - records[30].players[p].moves for p in (1, 2, 3, 4, 5)
    ]
    assert late[-1].messages == records[-1].messages - records[30].messages
    assert last_stage(records[:20], stages) == ([], 0.0)
    assert outcome.last.time == 60


def test_absent_players_are_read_back_as_such(tmp_path: Path) -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, [(5.0, 4, "join"), (20.0, 0, "leave")])
    records: list[Record] = []
    with RecordWriter(tmp_path, game.players) as writer:

        def keep(record: Record) -> None:
            records.append(record)
            writer.write(record)

        first = play(game, "virtual", seed=0, moves=60, network=POISSON, graphs=graphs, on_record=keep)
    monitor = Monitor(game, "poisson", graphs=graphs)
    for record in read_trace(tmp_path):
        monitor.remember(record)
    for found, expected in zip(monitor.trace, records, strict=True):
        assert found.errors is not None
        assert np.array_equal(found.errors, expected.errors, equal_nan=True)
        assert found.error_rms == expected.error_rms
        assert np.array_equal(found.present, expected.present)
    assert monitor.stage == 2
    errors = monitor.errors()
    assert errors is not None
    assert float(np.sqrt(np.nanmean(errors**2))) == first.equilibrium_error["rms"]


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_run_ends_at_the_floor_of_those_present_in_the_end() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, EVENTS)
    told: list[Any] = []
    records: list[Record] = []
    outcome = play(
        game,
        "virtual",
        seed=1,
        moves=300,
        network=POISSON,
        graphs=graphs,
        on_change=told.append,
        on_record=records.append,
    )
    last = predict(present_game(game, graphs.at(30), graphs.absent_at(30)), "poisson")
    summary = outcome.summary()
    assert outcome.outcome == "converged"
    assert summary["predicted"]["noise_floor_rms"] == last.noise_floor_rms
    assert summary["predicted"]["spectral_radius"] == last.spectral_radius
    (comparison,) = [c for c in outcome.diagnosis.comparisons if c.figure == "floor"]
    assert comparison.verdict == "agrees"
    assert outcome.diagnosis.signatures == ()
    assert [(p.present, p.error is None, p.regret is None, p.floor is None) for p in outcome.players] == [
        (False, True, True, True),
        *[(True, False, False, False)] * 5,
    ]
    window = [r for r in records if r.time >= 225]
    assert summary["nash_gap"]["max"] == pytest.approx(np.mean([r.nash_gap for r in window]))
    assert summary["equilibrium_error"]["rms"] == pytest.approx(
        np.sqrt(np.mean([np.nanmean(r.errors**2) for r in window if r.errors is not None]))
    )
    assert summary["equilibrium_error"]["max"] == max(p.error for p in outcome.players if p.error is not None)
    assert [replace(change, error_rms=None) for change in outcome.changes] == told
    assert [c["time"] for c in summary["changes"]] == [10.0, 20.0, 30.0]
    assert [c["joined"] for c in summary["changes"]] == [["4"], [], ["1"]]
    quarters = [(17.5, 20), (27.5, 30), (30 + 0.75 * 270, 301)]
    for change, (start, end) in zip(summary["changes"], quarters, strict=True):
        late = [r.error_rms**2 for r in records if start <= r.time < end and r.error_rms is not None]
        assert change["error_rms"] == pytest.approx(np.sqrt(np.mean(late)))


def test_a_change_too_late_to_judge_is_not_called_converged() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, [(298.5, 4, "leave")])
    outcome = play(game, "virtual", seed=1, moves=300, network=POISSON, graphs=graphs)
    assert outcome.outcome == "budget reached"
    assert "too few that are independent of each other" in outcome.diagnosis.reasons[0]


def test_a_change_after_the_end_is_refused() -> None:
    game = noisy(graph_of())
    graphs = membership(game.graph, [(30.0, 4, "leave")])
    with pytest.raises(
        ValueError, match="players come or go at time 30, expected before the end of the run at 30; play"
    ):
        play(game, "virtual", moves=30, graphs=graphs)


def test_the_speed_after_a_change_is_the_predicted_one() -> None:
    """Player 0, whose data is far from the others', joins in rounds: a slow mode is lifted far above the noise."""
    graph = attach_alpha(generate_graph("ring", n=12), 0.1)
    game = noisy(graph, samples=5_000)
    far = game.specs[0].family
    assert far is not None
    specs = {**game.specs, 0: replace(game.specs[0], data=far.space.batch({"x": np.full((20, 2), 300.0)}))}
    graphs = membership(graph, [(40.0, 0, "join")])
    outcome = play(Game(graph, specs), "virtual", seed=2, moves=140, graphs=graphs)
    (rate,) = [c for c in outcome.diagnosis.comparisons if c.figure == "rate"]
    assert rate.verdict == "agrees"
    assert outcome.rate == pytest.approx(outcome.prediction.rate, rel=0.05)


def test_nothing_is_looked_at_of_the_absent() -> None:
    graph, space = attach_alpha(generate_graph("ring", n=4), 0.5), Gaussian((2,)).space
    rows = space.batch({"x": np.random.default_rng(1).normal(size=(30, 2))})
    spec = PlayerSpec(
        model=lambda: EstimatorModel(GaussianMixture(1), space, rows=50), data=rows, samples=10, holdout=rows
    )
    game = Game(graph, dict.fromkeys(graph, spec))
    graphs = membership(graph, [(4.0, 3, "join"), (8.0, 1, "leave")])
    outcome = play(game, "virtual", seed=1, moves=12, graphs=graphs, looks=Looks(20, 4))
    assert [None if look.held_out[1] is None else look.time for look in outcome.looks] == [None, 4.0, None, None]
    assert [look.held_out[3] is not None for look in outcome.looks] == [False, True, True, True]
    assert outcome.players[1].held_out is None
    assert outcome.players[0].held_out is not None
    assert (outcome.changes[0].shift, outcome.changes[0].noise_floor_rms) == (None, None)
    assert set(outcome.after) == {0, 2, 3}


def test_graphs_without_absences_are_judged_as_before() -> None:
    game = noisy(graph_of())
    graphs = GraphSequence((0.0, 10.0), (game.graph, attach_alpha(nx.star_graph(5), 0.5)))
    monitor = Monitor(game, "poisson", graphs=graphs)
    assert monitor.stages is None
    record = monitor.read(observed(11.0, [np.full(2, 1.0)] * 6))
    assert record.present is None
    assert record.errors == pytest.approx(Oracle.of(Game(graphs.at(10), game.specs)).errors(np.full((6, 2), 1.0)))
