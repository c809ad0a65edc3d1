"""Outcomes and failure signatures: each provoked and recognised, and none seen in healthy runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents.protocols import Source, State
from nashgossip.games import ExponentialFamily, Game, PlayerSpec, StepSize, synthetic_data, synthetic_family
from nashgossip.games.space import Batch, Space
from nashgossip.runners.diagnosis import OUTCOMES, Diagnosis, diagnose
from nashgossip.runners.monitor import Monitor
from nashgossip.runners.network import Duration, Link, Network, Partition
from nashgossip.runners.outcome import Outcome, conclude
from nashgossip.runners.playing import play
from nashgossip.runners.record import Record
from nashgossip.runners.rounds import rounds
from nashgossip.runners.signatures import SIGNATURES
from nashgossip.runners.virtual import virtual
from nashgossip.topology import attach_alpha, generate_graph

POISSON = Duration("exponential")
N = 10


class Relaxed:
    """μ ← μ + η (m − μ): beyond η = 2 / (1 − λ) it overshoots ever more, or swings within [low, 1 − low]."""

    def __init__(self, family: ExponentialFamily, eta: float, low: float | None = None) -> None:
        self.family, self.eta, self.low = family, eta, low
        self.mean_parameters: NDArray[np.float64] = family.reference.copy()

    @property
    def space(self) -> Space:
        return self.family.space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        best = sum((s.weight * self.family.mean_statistics(s.batch) for s in sources), np.zeros(self.family.size))
        mean = self.mean_parameters + self.eta * (best - self.mean_parameters)
        self.mean_parameters = mean if self.low is None else np.clip(mean, self.low, 1 - self.low)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self.family.sample(self.mean_parameters, n, rng)

    def state(self) -> State:
        return {"mean": self.mean_parameters.copy()}

    def load(self, state: State) -> None:
        self.mean_parameters = np.array(state["mean"])


class LostModes(Relaxed):
    """Learns as it should, but what it generates never has the first two values set."""

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        kept = self.mean_parameters.copy()
        kept[:2] = 0.0
        return self.family.sample(kept, n, rng)


def game_of(
    graph: "nx.DiGraph[Any]",
    family_name: str = "gaussian",
    *,
    models: Mapping[int, Callable[[ExponentialFamily], Any]] | None = None,
    start: Any = "reference",
    samples: int = 100,
    step: StepSize | None = None,
    anchored: bool = True,
    seed: int = 0,
    shift: float = 0.0,
) -> Game:
    family = synthetic_family(family_name, 4)
    data = synthetic_data(family, len(graph), 200, np.random.default_rng(seed), spread=16.0)
    specs = {
        player: PlayerSpec(
            family=family,
            data=family.space.batch({"x": rows["x"] + shift}) if shift else rows,
            samples=samples,
            smoothing=1.0,
            start=start,
            step=step or StepSize(),
            model=(lambda make=models[player]: make(family)) if models and player in models else None,
        )
        for player, rows in zip(graph, data, strict=True)
    }
    return Game(graph, specs, anchored=anchored)


def weighted(generator: str = "ring", alpha: Any = 0.3, **arguments: Any) -> "nx.DiGraph[Any]":
    return attach_alpha(generate_graph(generator, seed=1, **({"n": N} | arguments)), alpha)


def played(game: Game, *, moves: int = 200, seed: int = 1, network: Network | None = None, every: int = 1) -> Outcome:
    """A run of `virtual` in a network, or of `rounds` without one."""
    monitor = Monitor(game, "synchronous" if network is None else "poisson")
    if network is None:
        observations = list(rounds(game, seed=seed, moves=moves, every=every))
    else:
        observations = list(virtual(game, seed=seed, moves=moves, every=every, network=network))
    for observed in observations:
        monitor.read(observed)
    return conclude("test", seed, game, monitor, observations[0], observations[-1])


def signatures(outcome: Outcome) -> list[str]:
    return [s.name for s in outcome.diagnosis.signatures]


HEALTHY = [
    ("ring", "gaussian", 0.3, {}),
    ("complete", "categorical", 0.3, {}),
    ("star", "bernoulli", 0.3, {}),
    ("star", "gaussian", 0.1, {}),
    ("small_world", "gaussian-diagonal", 0.3, {"k": 4, "p": 0.2}),
    ("ring", "poisson", 0.3, {}),
]


@pytest.mark.parametrize("network", [None, Network(POISSON)], ids=["rounds", "poisson"])
@pytest.mark.parametrize(("generator", "family", "alpha", "arguments"), HEALTHY)
def test_healthy_runs_converge_and_show_no_signature(
    generator: str, family: str, alpha: float, arguments: dict[str, Any], network: Network | None
) -> None:
    for seed in range(3):
        game = game_of(weighted(generator, alpha, **arguments), family, seed=seed)
        outcome = played(game, seed=seed, moves=300, network=network)
        assert outcome.outcome == "converged", outcome.diagnosis.reasons
        assert outcome.diagnosis.signatures == ()
        assert outcome.summary()["outcome"] == "converged"


WORLDS: dict[str, Network | None] = {
    "rounds": None,
    "poisson": Network(POISSON),
    "loss": Network(POISSON, link=Link(loss=0.2)),
    "delay": Network(POISSON, link=Link(Duration("constant", 1.0))),
    "random delay and loss": Network(POISSON, link=Link(Duration("exponential", 0.5), loss=0.1)),
    "unequal speeds": Network(Duration("lognormal", 1.0, sigma=0.5), speed={0: 0.5, 1: 2.0}),
}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("generator", "family", "alpha", "arguments"), HEALTHY)
def test_false_alarms_are_rare(
    generator: str, family: str, alpha: float, arguments: dict[str, Any], world: str
) -> None:
    """Five of the fifty seeds that docs/outcomes.md counts."""
    network = WORLDS[world]
    options = {} if network is None else {"network": network}
    names, converged, disagreed = set(), 0, 0
    for seed in range(100, 105):
        game = game_of(weighted(generator, alpha, **arguments), family, seed=seed)
        outcome = play(game, "rounds" if network is None else "virtual", seed=seed, moves=200, **options)
        names |= set(signatures(outcome)) | ({outcome.outcome} - {"converged", "budget reached"})
        converged += outcome.outcome == "converged"
        disagreed += any(c.verdict == "disagrees" for c in outcome.diagnosis.comparisons)
    assert names == set()
    assert disagreed <= 1  # each comparison may be wrong once in a thousand runs
    assert converged >= 4


def test_a_run_that_is_under_way_has_not_converged() -> None:
    outcome = played(game_of(weighted(alpha=0.01)), moves=100)
    assert outcome.outcome == "budget reached"
    assert "not stationary" in outcome.diagnosis.reasons[0] or "play longer" in outcome.diagnosis.reasons[0]
    assert signatures(outcome) == []


def test_a_run_of_few_records_is_not_judged() -> None:
    outcome = played(game_of(weighted()), moves=4)
    assert outcome.outcome == "budget reached"
    assert "play longer" in outcome.diagnosis.reasons[0]


def test_a_decreasing_step_has_no_floor_to_arrive_at() -> None:
    outcome = played(game_of(weighted(), step=StepSize(horizon=6.0)), moves=200)
    assert outcome.outcome == "budget reached"
    assert "the step decreases" in outcome.diagnosis.reasons[0]


def test_without_a_floor_stationarity_and_a_fall_from_the_start_count() -> None:
    """Black boxes that name no family: nothing is known of them but what the models say themselves."""
    game = game_of(weighted(), samples=1000)
    game = Game(game.graph, {p: replace(s, family=None, model=_family_model(s)) for p, s in game.specs.items()})
    outcome = played(game, moves=300)
    assert outcome.prediction.floors is None
    assert outcome.outcome == "converged"
    assert "no floor is known" in outcome.diagnosis.reasons[0]


def _family_model(spec: PlayerSpec) -> Callable[[], Any]:
    family = spec.family
    assert family is not None
    return lambda: Relaxed(family, 1.0)


@pytest.mark.parametrize("network", [None, Network(POISSON)], ids=["rounds", "poisson"])
def test_steps_beyond_the_best_response_diverge_without_bounds(network: Network | None) -> None:
    models = {i: lambda family: Relaxed(family, 3.0) for i in range(N)}
    outcome = played(game_of(weighted(), models=models), moves=60, network=network)
    assert outcome.outcome == "diverging", outcome.diagnosis
    assert signatures(outcome) == ["oscillation or divergence"]
    assert "smaller step" in outcome.diagnosis.signatures[0].remedy


def test_steps_beyond_the_best_response_oscillate_within_bounds() -> None:
    models = {i: lambda family: Relaxed(family, 3.0, low=0.05) for i in range(N)}
    outcome = played(game_of(weighted(), "bernoulli", models=models), moves=200)
    assert outcome.outcome == "oscillating", outcome.diagnosis
    assert signatures(outcome) == ["oscillation or divergence"]
    assert "period 2 " in outcome.diagnosis.reasons[0]


def test_the_same_models_with_a_step_of_one_are_healthy() -> None:
    models = {i: lambda family: Relaxed(family, 1.0, low=0.001) for i in range(N)}
    outcome = played(game_of(weighted(), "bernoulli", models=models), moves=200)
    assert outcome.outcome == "converged", outcome.diagnosis
    assert signatures(outcome) == []


@pytest.mark.parametrize("network", [None, Network(POISSON)], ids=["rounds", "poisson"])
@pytest.mark.parametrize("generator", ["ring", "complete"])
def test_a_sender_that_lost_modes_is_named(generator: str, network: Network | None) -> None:
    models = {3: lambda family: LostModes(family, 1.0)}
    outcome = played(game_of(weighted(generator), "bernoulli", models=models), moves=200, network=network)
    assert outcome.outcome == "budget reached", outcome.diagnosis
    (found,) = outcome.diagnosis.signatures
    assert (found.name, found.players) == ("poor synthetic data", (3,))
    assert "times its noise floor" in found.sentence


def test_the_same_sender_with_all_its_modes_is_not_named() -> None:
    models = {3: lambda family: Relaxed(family, 1.0)}
    outcome = played(game_of(weighted(), "bernoulli", models=models), moves=200)
    assert outcome.outcome == "converged", outcome.diagnosis
    assert signatures(outcome) == []


def test_a_pair_that_hears_little_but_each_other_lags() -> None:
    graph = weighted("complete")
    for i, j in ((0, 1), (1, 0)):
        for k in range(N):
            graph.edges[k, i]["alpha"] = 0.994 if k == j else 0.004 if k == i else 0.002 / (N - 2)
    outcome = played(game_of(graph, shift=30.0), moves=100)
    assert outcome.outcome == "budget reached", outcome.diagnosis
    (found,) = outcome.diagnosis.signatures
    assert (found.name, found.players) == ("lagging player", (0, 1))
    assert "self-weight is 0.004" in found.sentence
    assert "raise the self-weight" in found.remedy


def test_a_player_with_a_slow_clock_lags() -> None:
    game = game_of(weighted("complete"), samples=5000, step=StepSize(0.3))
    outcome = played(game, moves=100, network=Network(POISSON, speed={4: 0.03}), seed=3)
    (found,) = outcome.diagnosis.signatures
    assert (found.name, found.players) == ("lagging player", (4,))
    assert "moves, the median is" in found.sentence


@pytest.mark.parametrize(
    ("link", "words"),
    [(Link(loss=0.9), "% of messages never come"), (Link(Duration("constant", 8.0)), "moves late")],
    ids=["loss", "latency"],
)
def test_lost_and_late_messages_are_the_bottleneck(link: Link, words: str) -> None:
    outcome = played(game_of(weighted(alpha=0.2), samples=5000), moves=40, network=Network(POISSON, link=link))
    (found,) = outcome.diagnosis.signatures
    assert found.name == "communication bottleneck"
    assert words in found.sentence


@pytest.mark.parametrize("link", [Link(loss=0.2), Link(Duration("constant", 0.3))], ids=["loss", "latency"])
def test_a_little_loss_or_latency_is_no_bottleneck(link: Link) -> None:
    outcome = played(game_of(weighted(alpha=0.2), samples=5000), moves=40, network=Network(POISSON, link=link))
    assert signatures(outcome) == []


@pytest.mark.parametrize(
    ("network", "who", "words"),
    [
        (Network(POISSON, events=((60.0, 2, "leave"),)), "player 2 ", "has not moved since"),
        (Network(POISSON, events=((900.0, 5, "join"),)), "player 5 ", "has not moved since"),
        (Network(POISSON, partitions=(Partition(50.0, 1e9, (frozenset({7}),)),)), "player 7 ", "not heard anyone"),
    ],
    ids=["left", "never came", "cut off"],
)
def test_players_that_fell_silent_are_named(network: Network, who: str, words: str) -> None:
    outcome = played(game_of(weighted("complete")), moves=200, network=network)
    assert outcome.outcome == "stalled", outcome.diagnosis
    assert who in outcome.diagnosis.reasons[0]
    assert words in outcome.diagnosis.reasons[0]


def test_a_slow_player_is_not_stalled() -> None:
    outcome = played(game_of(weighted("complete")), moves=400, network=Network(POISSON, speed={4: 0.1}))
    assert outcome.outcome == "converged", outcome.diagnosis


def test_without_an_anchor_models_collapse() -> None:
    game = game_of(weighted(alpha=0.0, n=7), "bernoulli", samples=20, anchored=False, start="data")
    outcome = played(game, moves=300)
    assert outcome.outcome == "collapsing", outcome.diagnosis
    assert "no real data reaches players 0, 1, 2, 3, 4 and 2 more" in outcome.diagnosis.reasons[0]
    summary = outcome.summary()
    assert summary["nash_gap"] == {"max": None, "mean": None}
    assert summary["predicted"]["noise_floor_rms"] is None


def test_a_small_anchor_prevents_it() -> None:
    game = game_of(weighted(alpha=0.05, n=7), "bernoulli", samples=20, anchored=False, start="data")
    assert played(game, moves=400).outcome == "converged"


def test_drift_of_a_known_variance_is_no_collapse() -> None:
    outcome = played(game_of(weighted(alpha=0.0, n=7), anchored=False, start="data"), moves=100)
    assert outcome.outcome == "budget reached"
    assert "no equilibrium to arrive at" in outcome.diagnosis.reasons[0]


def test_outcomes_and_signatures_have_the_documented_names() -> None:
    assert set(OUTCOMES) == {
        "below the floor",
        "budget reached",
        "collapsing",
        "converged",
        "diverging",
        "oscillating",
        "stalled",
    }
    assert len(SIGNATURES) == 4


def test_a_diagnosis_is_a_function_of_its_records_alone() -> None:
    game = game_of(weighted())
    monitor = Monitor(game, "synchronous")
    trace: list[Record] = [monitor.read(observed) for observed in rounds(game, seed=1, moves=60)]
    first: Diagnosis = diagnose(game, trace, monitor.prediction)
    assert first == diagnose(game, list(trace), monitor.prediction)
    assert first != diagnose(game, trace[:10], monitor.prediction)


def test_wrong_requests_say_what_was_expected() -> None:
    game = game_of(weighted())
    monitor = Monitor(game, "synchronous")
    trace = [monitor.read(observed) for observed in rounds(game, seed=1, moves=2)]
    with pytest.raises(ValueError, match="the trace has no records, expected at least one"):
        diagnose(game, [], monitor.prediction)
    for name in ("significance", "tolerance"):
        with pytest.raises(ValueError, match=f"{name} is 1.5, expected above 0 and below 1"):
            diagnose(game, trace, monitor.prediction, **{name: 1.5})
