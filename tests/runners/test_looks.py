"""Close looks: when they come, what they hold on every engine, how they are kept and read back."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from nashgossip.agents import EstimatorModel, State
from nashgossip.games import Batch, Game, PlayerSpec, Space, Variable, synthetic_data, synthetic_family
from nashgossip.runners import Examiner, Look, Looks, Outcome, RecordWriter, play
from nashgossip.runners.records import read_looks
from nashgossip.topology import attach_alpha, generate_graph, influence

SPACE = Space((Variable("x", "real", (2,)),))
LABELLED = Space((Variable("c", "categorical", categories=2), Variable("x", "real")))


def mixture_game(players: int = 3) -> Game:
    """Gaussian mixtures as black boxes; player k has rows around (k, k)."""
    graph = attach_alpha(generate_graph("complete", n=players), 0.5)
    rng = np.random.default_rng(0)
    specs = {
        k: PlayerSpec(
            model=lambda: EstimatorModel(GaussianMixture(2), SPACE, rows=200),
            data=SPACE.batch({"x": rng.normal(float(k), 1.0, (80, 2))}),
            holdout=SPACE.batch({"x": rng.normal(float(k), 1.0, (20, 2))}),
            samples=60,
            class_shares=np.eye(players)[k],
        )
        for k in graph
    }
    return Game(graph, specs)


class Classes:
    """Labels with shares that are learned; tells class 1 where x > 0."""

    def __init__(self) -> None:
        self.space = LABELLED
        self._share = 0.5

    def learn(self, sources: Any, rng: np.random.Generator) -> None:
        self._share = float(sum(s.weight * s.batch["c"].mean() for s in sources))

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        c = (rng.random(n) < self._share).astype(int)
        return LABELLED.batch({"c": c, "x": 2.0 * c - 1})

    def class_probabilities(self, batch: Batch) -> Any:
        ones = (batch["x"] > 0).astype(float)
        return np.stack([1 - ones, ones], axis=1)

    def state(self) -> State:
        return {"share": self._share}

    def load(self, state: State) -> None:
        self._share = state["share"]


def labelled_game() -> Game:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    rows = [LABELLED.batch({"c": np.full(50, k), "x": np.full(50, 2.0 * k - 1)}) for k in range(2)]
    return Game(graph, {k: PlayerSpec(model=Classes, data=rows[k], samples=500) for k in graph})


# --- when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "expected"), [(2, [0, 10]), (3, [0, 5, 10]), (6, [0, 2, 4, 6, 8, 10]), (11, list(range(11)))]
)
def test_looks_are_spread_evenly(count: int, expected: list[int]) -> None:
    looks = Looks(count=count)
    assert [0, *(t for t in range(1, 11) if looks.due(t - 1, t, 10))] == expected


def test_no_look_is_missed_where_observations_are_far_apart() -> None:
    looks = Looks(count=5)
    times = [0.0, 0.3, 4.9, 5.1, 9.9, 10.4]
    assert [b for a, b in itertools.pairwise(times) if looks.due(a, b, 10.0)] == [4.9, 5.1, 9.9, 10.4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"count": 1}, "expected at least 2 looks"),
        ({"rows": -1}, "no negative numbers"),
        ({"test": SPACE.empty(), "label": "c"}, "the test rows have no variable 'c'; they hold x"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Looks(**arguments)


# --- what ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Outcome:
    return play(mixture_game(), seed=3, moves=8, looks=Looks(30, 5, regret_steps=1))


def test_a_look_holds_what_was_asked(reference: Outcome) -> None:
    assert [look.time for look in reference.looks] == [0, 2, 4, 6, 8]
    first, *rest = reference.looks
    assert first.regrets == first.held_out == (None,) * 3
    for look in rest:
        assert all(r is not None and r.error > 0 for r in look.regrets)
        assert all(h is not None for h in look.held_out)
        assert look.shares == (None,) * 3  # nothing tells classes of what is generated here
    assert reference.players[0].regret_estimate == rest[-1].regrets[0]
    assert reference.summary()["nash_gap_estimate"]["max"] == max(r.gain for r in rest[-1].regrets if r)


def same(one: Look, other: Look) -> bool:
    return (one.time, one.regrets, one.held_out, one.accuracies) == (
        other.time, other.regrets, other.held_out, other.accuracies,
    )  # fmt: skip


@pytest.mark.parametrize("runner", ["virtual", "rounds"])
def test_looks_are_the_same_in_virtual_time_and_in_threads(runner: str, reference: Outcome) -> None:
    options = {"workers": 3} if runner == "rounds" else {}
    found = play(mixture_game(), runner, seed=3, moves=8, looks=Looks(30, 5, regret_steps=1), **options)
    assert all(same(a, b) for a, b in zip(reference.looks, found.looks, strict=True))


@pytest.mark.slow
def test_looks_are_the_same_on_synchronous_ray(reference: Outcome) -> None:
    looks = Looks(30, 5, regret_steps=1)
    found = play(mixture_game(), "ray", seed=3, moves=8, looks=looks, mode="synchronous", workers=2)
    assert all(same(a, b) for a, b in zip(reference.looks, found.looks, strict=True))


def test_looking_changes_nothing(reference: Outcome) -> None:
    """Looks draw from streams of their own: rows generated at the end are those of a run that is looked at less."""
    blind = play(mixture_game(), seed=3, moves=8, keep_states=True)
    watched = play(mixture_game(), seed=3, moves=8, keep_states=True, looks=Looks(30, 9, regret_steps=2))
    for p in (0, 1, 2):
        one, other = blind.states[p]["model"], watched.states[p]["model"]
        assert (one["training"] == other["training"]).all()


def test_shares_and_accuracy_of_players_with_labels() -> None:
    test = LABELLED.batch({"c": [0, 1, 1, 0], "x": [-1.0, 1.0, -1.0, -1.0]})
    game = labelled_game()
    outcome = play(game, seed=1, moves=40, looks=Looks(4000, 21, test=test, label="c"))
    predicted = influence(game.graph)
    for k, player in enumerate(outcome.players):
        assert player.accuracy == 0.75
        assert player.mixture is not None
        assert player.mixture == pytest.approx(predicted[k], abs=0.1)
    first, last = outcome.looks[0], outcome.looks[-1]
    assert max(v for v in last.total_variations if v is not None) < 0.1
    assert min(v for v in first.total_variations if v is not None) > 0.25
    assert outcome.summary()["accuracy"] == {"max": 0.75, "mean": 0.75}


def test_the_diagnosis_of_black_boxes_goes_by_their_class_shares() -> None:
    test = play(labelled_game(), seed=1, moves=200, looks=Looks(2000, 101))
    assert test.outcome == "converged"
    assert "the error fell from" in " ".join(test.diagnosis.reasons)
    assert play(labelled_game(), seed=1, moves=200).outcome == "budget reached"  # nobody looked


def test_a_judge_takes_the_place_of_labels() -> None:
    class Side:
        """Tells on which side of (1, 1) rows lie."""

        def classes(self, x: Any) -> Any:
            return (x.mean(axis=1) > 0.5).astype(int) + (x.mean(axis=1) > 1.5)

        def shares(self, x: Any) -> Any:
            return np.bincount(self.classes(x), minlength=3) / len(x)

    from nashgossip.runners.examination import References

    game = mixture_game()
    examiner = Examiner(game, References(Side(), "x", np.empty((0, 2), np.float32), np.empty(0, np.int64)))
    assert examiner.own_classes(1) == [1]
    assert examiner.predicted is not None
    assert examiner.predicted == pytest.approx(influence(game.graph))
    rows = SPACE.batch({"x": [[0, 0], [1, 1], [2, 2], [2, 2]]})
    assert examiner.shares(rows).tolist() == [0.25, 0.25, 0.5]  # type: ignore[union-attr]
    assert examiner.classes(rows).tolist() == [0, 1, 2, 2]  # type: ignore[union-attr]


# --- on disk -------------------------------------------------------------------------------------------------


def test_looks_are_read_back_as_they_were(reference: Outcome, tmp_path: Path) -> None:
    with RecordWriter(tmp_path, [0, 1, 2]) as writer:
        for look in reference.looks:
            writer.write_look(look)
    found = list(read_looks(tmp_path))
    assert all(same(a, b) for a, b in zip(reference.looks, found, strict=True))
    assert [look.players for look in found] == [("0", "1", "2")] * 5


def test_families_are_looked_at_as_before() -> None:
    family = synthetic_family("class-conditional-bernoulli", 3, classes=2)
    data = synthetic_data(family, 3, 100, np.random.default_rng(0))
    graph = attach_alpha(generate_graph("ring", n=3), 0.4)
    specs = {k: PlayerSpec(family=family, data=data[k], smoothing=1.0, samples=50) for k in graph}
    outcome = play(Game(graph, specs), seed=0, moves=30, measure=500)
    assert [p.total_variation is not None for p in outcome.players] == [True] * 3
    assert [look.time for look in outcome.looks] == [0, 30]
