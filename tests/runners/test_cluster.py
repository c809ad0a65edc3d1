"""Play on Ray: the states of `rounds` in synchronous mode, the predicted floor in asynchronous mode, and failures."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import ray
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from nashgossip.agents import EstimatorModel, ExponentialFamilyModel, ModelError, Source, State
from nashgossip.games import Batch, Game, Gaussian, PlayerSpec, Space, synthetic_data, synthetic_family
from nashgossip.runners import Deployment, Outcome, PlayerLostError, StallError, StartError, play
from nashgossip.topology import attach_alpha, generate_graph

from ..ray_runs import alive, free_cpus, ray_session, wait_until
from ..trees import differences

PLAYERS = 4
BATCHES = 10
PAIRS, TOGETHER = Deployment(players_per_actor=2), Deployment(players_per_actor=PLAYERS)


class Failing:
    """The Gaussian's own model, which leaves its process number in a folder and raises at a given move."""

    def __init__(self, folder: Path, move: int) -> None:
        (folder / str(os.getpid())).touch()
        self._inner = ExponentialFamilyModel(Gaussian((2,)))
        self._left = move

    @property
    def space(self) -> Space:
        return self._inner.space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        if self._left < 0:
            raise ArithmeticError("the matrix is singular")
        self._left -= 1
        self._inner.learn(sources, rng)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self._inner.generate(n, rng)

    def state(self) -> State:
        return self._inner.state()

    def load(self, state: State) -> None:
        self._inner.load(state)


class Troubled(Failing):
    """Learns from its data and makes five moves; then its process dies, or it never returns."""

    def __init__(self, folder: Path, ends: str) -> None:
        super().__init__(folder, 10**9)
        self._ends, self._learned = ends, 0

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self._learned += 1
        if self._learned > 6 and self._ends == "dies":
            os._exit(1)
        if self._learned > 6:
            threading.Event().wait()
        super().learn(sources, rng)


def stillborn(driver: int) -> ExponentialFamilyModel:
    """A model that can be made in the process `driver` alone."""
    if os.getpid() != driver:
        raise MemoryError("no room for a model here")
    return ExponentialFamilyModel(Gaussian((2,)))


def game_on(graph: "nx.DiGraph[Any]", family_name: str = "gaussian", *, samples: int = 40, dimension: int = 3) -> Game:
    family = synthetic_family(family_name, dimension, classes=2)
    data = synthetic_data(family, len(graph), 50, np.random.default_rng(3))
    specs = {
        player: PlayerSpec(family=family, data=rows, smoothing=1.0, samples=samples)
        for player, rows in zip(graph, data, strict=True)
    }
    return Game(graph, specs)


def undirected() -> "nx.DiGraph[Any]":
    return attach_alpha(generate_graph("ring", n=PLAYERS), 0.4)


def directed() -> "nx.DiGraph[Any]":
    """One-way edges, unequal α and a player without data of weight."""
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "d"), ("d", "c")])
    return attach_alpha(graph, {"a": 0.5, "b": 0.2, "c": 0.0, "d": 0.7})


def with_models(model: Callable[[], Any]) -> Game:
    """A ring of three in which player 2 brings a model of its own."""
    graph, family = attach_alpha(generate_graph("ring", n=3), 0.4), Gaussian((2,))
    data = {player: family.sample(np.ones(2), 30, np.random.default_rng(player)) for player in graph}
    specs = {player: PlayerSpec(family=family, data=data[player], samples=10) for player in graph}
    specs[2] = PlayerSpec(family=family, model=model, data=data[2], samples=10)
    return Game(graph, specs)


def started_in(folder: Path) -> list[int]:
    """The other processes in which a `Failing` model was made."""
    return [int(entry.name) for entry in folder.iterdir() if int(entry.name) != os.getpid()]


@pytest.fixture(scope="module")
def reference() -> Outcome:
    return play(game_on(undirected()), seed=11, moves=12, keep_states=True, measure=5)


@pytest.mark.parametrize(
    "workers", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_synchronous_play_has_the_states_of_rounds_whatever_the_workers(reference: Outcome, workers: int) -> None:
    assert not ray.is_initialized()
    outcome = play(
        game_on(undirected()),
        "ray",
        seed=11,
        moves=12,
        keep_states=True,
        measure=5,
        mode="synchronous",
        workers=workers,
    )
    assert not ray.is_initialized()
    assert differences(dict(reference.states), dict(outcome.states)) == []
    assert dict(outcome.after) == dict(reference.after)
    assert [r.error_rms for r in outcome.trace] == [r.error_rms for r in reference.trace]
    assert outcome.summary() | {"runner": "", "seconds": 0} == reference.summary() | {"runner": "", "seconds": 0}


def test_another_seed_gives_other_states(reference: Outcome) -> None:
    other = play(game_on(undirected()), seed=12, moves=12, keep_states=True)
    found = differences(dict(reference.states), dict(other.states))
    assert any("/streams/" in place for place in found)
    assert any("/model/mean" in place for place in found)


class TestInOneSession:
    """Everything that can share a Ray session, which `play` then leaves as it is."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def session(cls) -> Iterator[None]:
        with ray_session(models=sys.modules[__name__]):
            yield

    @pytest.fixture(autouse=True)
    def everybody_leaves(self) -> Iterator[None]:
        """Whatever the outcome, the session stays and no actor does."""
        yield
        assert ray.is_initialized()
        assert wait_until(lambda: free_cpus() == 2.0), "an actor still holds its share of the CPUs"

    def test_a_directed_graph_has_the_states_of_rounds(self) -> None:
        games = [game_on(directed(), "class-conditional-bernoulli") for _ in range(2)]
        here = play(games[0], seed=4, moves=9, every=4, keep_states=True)
        there = play(games[1], "ray", seed=4, moves=9, every=4, keep_states=True, mode="synchronous")
        assert differences(dict(here.states), dict(there.states)) == []
        assert [r.time for r in there.trace] == [0.0, 4.0, 8.0, 9.0] == [r.time for r in here.trace]

    def test_another_seed_gives_other_states_here_too(self) -> None:
        game = game_on(undirected())
        options: dict[str, Any] = {"moves": 2, "keep_states": True, "mode": "synchronous", "deployment": TOGETHER}
        first, second = (play(game, "ray", seed=seed, **options) for seed in (4, 5))
        assert any("/model/mean" in place for place in differences(dict(first.states), dict(second.states)))

    @pytest.mark.parametrize(
        ("family", "topology"),
        [
            ("gaussian", "ring"),
            pytest.param("class-conditional-bernoulli", "directed cycle", marks=pytest.mark.slow),
            pytest.param("poisson", "star", marks=pytest.mark.slow),
            pytest.param("categorical", "two anchored", marks=pytest.mark.slow),
            pytest.param("gaussian-diagonal", "complete", marks=pytest.mark.slow),
        ],
    )
    def test_asynchronous_play_settles_at_the_floor_of_poisson_clocks(self, family: str, topology: str) -> None:
        generators = {"two anchored": "complete", "directed cycle": "directed_cycle"}
        graph = generate_graph(generators.get(topology, topology), n=6)
        anchors = {player: 0.9 if player < 2 else 0.0 for player in graph}
        weighted = attach_alpha(graph, anchors if topology == "two anchored" else 0.5)
        game = game_on(weighted, family, samples=50, dimension=8)
        # as long as it takes to have enough records to judge by, on a machine that is busy with something else too
        for moves in (220, 440, 880):
            outcome = play(game, "ray", seed=2, moves=moves, rate=30.0, every=0.04, measure=5, deployment=PAIRS)
            settled = [r for r in outcome.trace if r.time >= 0.75 * outcome.trace[-1].time]
            if len(settled) >= 3 * BATCHES:
                break
        assert len(settled) >= 3 * BATCHES, "there are too few records to judge by"
        floor, rms = outcome.prediction.noise_floor_rms, outcome.equilibrium_error["rms"]
        assert outcome.prediction.schedule.clock == "poisson"
        assert floor is not None
        assert rms is not None
        squares = np.array([(r.errors**2).mean() for r in settled if r.errors is not None])
        means = [batch.mean() for batch in np.array_split(squares, BATCHES)]
        relative = np.std(means, ddof=1) / np.sqrt(BATCHES) / np.mean(means) / 2
        assert relative < 0.1, "the window is too short to judge by"
        assert 0.7 <= rms / floor <= 1.3
        assert outcome.outcome == "converged"

        edges = sum(i != j for i, j in weighted.edges)
        moves_made = sum(p.moves for p in outcome.players)
        summary = outcome.summary()
        assert summary["moves"] == moves_made >= moves * len(graph)
        assert edges / len(graph) * moves_made * 0.5 < summary["messages"] <= edges / len(graph) * moves_made + edges
        batch = outcome.after[0]
        assert batch is not None
        assert summary["bytes"] == summary["messages"] * batch.nbytes * 10  # 50 rows a message, 5 measured
        assert all(not p.rejected for p in outcome.players)
        assert all(p.staleness >= 0 for p in outcome.players)

    @pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
    def test_a_model_that_raises_is_named_and_nobody_stays(self, mode: str, tmp_path: Path) -> None:
        game = with_models(partial(Failing, tmp_path, 5))  # learns from its data, makes five moves, and no sixth
        with pytest.raises(ModelError) as caught:
            play(game, "ray", seed=1, moves=1000, mode=mode, rate=50.0, measure=10, deployment=PAIRS)
        assert (caught.value.player, caught.value.move) == ("2", 6)
        assert str(caught.value) == (
            "the model of player 2 failed at move 6: learn raised ArithmeticError: the matrix is singular"
        )
        assert started_in(tmp_path)
        assert wait_until(lambda: not any(alive(process) for process in started_in(tmp_path)))

    def test_a_model_that_raises_before_the_first_move_is_named_too(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="the model of player 2 failed at move 0: learn raised ArithmeticError"):
            play(with_models(partial(Failing, tmp_path, -1)), "ray", seed=1, moves=10, deployment=PAIRS)

    def test_an_actor_that_dies_while_starting_is_no_model_error(self) -> None:
        with pytest.raises(StartError, match="(?s)an actor died while starting: .*no room for a model here"):
            play(with_models(partial(stillborn, os.getpid())), "ray", seed=1, moves=10, deployment=PAIRS)

    @pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
    def test_a_player_whose_process_dies_is_named(self, mode: str, tmp_path: Path) -> None:
        with pytest.raises(PlayerLostError, match="the process of player 2 died; if memory is short, play fewer"):
            play(with_models(partial(Troubled, tmp_path, "dies")), "ray", seed=1, moves=1000, mode=mode, rate=50.0)

    @pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
    def test_a_player_that_hangs_is_named_after_a_while(self, mode: str, tmp_path: Path) -> None:
        game = with_models(partial(Troubled, tmp_path, "hangs"))
        with pytest.raises(StallError, match="player .*2.* did not move or answer for 3 s; look at its model"):
            play(game, "ray", seed=1, moves=1000, mode=mode, rate=50.0, patience=3.0, deployment=PAIRS)

    def test_moves_without_pause_have_no_prediction(self) -> None:
        outcome = play(game_on(undirected()), "ray", seed=1, moves=5, rate=None, deployment=PAIRS)
        predicted = outcome.summary()["predicted"]
        assert predicted["spectral_radius"] > 0
        assert (predicted["rate"], predicted["noise_floor_rms"], outcome.outcome) == (None, None, "budget reached")

    def test_a_black_box_plays_without_closed_form(self) -> None:
        graph, family = attach_alpha(generate_graph("ring", n=3), 0.5), Gaussian((2,))
        box = partial(EstimatorModel, GaussianMixture(2), family.space, rows=200)
        data: dict[int, Batch] = {
            player: family.sample(np.full(2, 4.0 * player), 60, np.random.default_rng(player)) for player in graph
        }
        game = Game(graph, {player: PlayerSpec(model=box, data=data[player], samples=60) for player in graph})
        outcomes = [
            play(game, "rounds", seed=1, moves=15, measure=500),
            play(game, "ray", seed=1, moves=15, measure=500, rate=20.0, deployment=TOGETHER),
        ]
        for outcome in outcomes:
            summary = outcome.summary()
            assert summary["outcome"] == "budget reached"
            assert summary["nash_gap"] == {"max": None, "mean": None}
            assert summary["equilibrium_error"] == {"max": None, "rms": None}
            assert summary["predicted"] == {
                "spectral_radius": pytest.approx(0.5),
                "rate": None,
                "noise_floor_rms": None,
            }
            assert summary["measured"] == {"rate": None}
            assert summary["messages"] > 0
            before, after = outcome.before[0], outcome.after[0]
            assert before is not None
            assert after is not None
            assert centre(before) == pytest.approx(0.0, abs=1.0)
            assert centre(after) > 1.0  # a quarter of its model is, in the end, each of the others'


def centre(batch: Batch) -> float:
    values: NDArray[np.float64] = batch["x"]
    return float(values.mean())
