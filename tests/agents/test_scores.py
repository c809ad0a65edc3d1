"""What players score on test rows: against counts, against ranks, against closed forms; what does not apply is None."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import ConditionalGaussianModel, EstimatorModel, Player, Scores, Source, score
from nashgossip.games import Batch, Space, Variable

C, X, Y = Variable("c", "categorical", categories=2), Variable("x", "real"), Variable("y", "real")


class Sigmoid:
    """p(c = 1 | x) = 1/(1 + e^−x) of its classes, and notes what it was shown."""

    def __init__(self, classes: int = 2) -> None:
        self.space = Space((Variable("c", "categorical", categories=classes), X))
        self.shown: Batch | None = None

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        self.shown = batch
        ones = 1 / (1 + np.exp(-batch["x"]))
        found = np.zeros((len(batch), self.space["c"].categories or 0))
        found[:, 0], found[:, 1] = 1 - ones, ones
        return found


def rows(classes: list[int], x: list[float], categories: int = 2) -> Batch:
    space = Space((Variable("c", "categorical", categories=categories), X))
    return space.batch({"c": np.array(classes), "x": np.array(x)})


def test_right_answers_ranks_and_the_log_probability_of_the_truth() -> None:
    classes, x = [0, 1, 1, 1, 0], [-1.0, 2.0, -3.0, 4.0, 0.5]
    model = Sigmoid()
    found = score(model, rows(classes, x), "c")  # type: ignore[arg-type]
    assert model.shown is not None
    assert model.shown.space.names == ("x",)  # the label is hidden
    assert found.accuracy == 3 / 5
    pairs = [(a > b) for a, c in zip(x, classes, strict=True) if c for b, d in zip(x, classes, strict=True) if not d]
    assert found.auc == pytest.approx(np.mean(pairs))
    signs = np.where(classes, 1, -1) * np.array(x)
    assert found.log_class == pytest.approx(-np.log1p(np.exp(-signs)).mean())
    assert found.log_density is None  # it has none


def test_the_area_under_the_curve_is_for_two_classes_that_both_occur() -> None:
    one_sided = score(Sigmoid(), rows([1, 1], [0.0, 1.0]), "c")  # type: ignore[arg-type]
    assert (one_sided.auc, one_sided.accuracy) == (None, 0.5)
    three = score(Sigmoid(3), rows([0, 1, 1], [-1.0, 0.5, 1.0], categories=3), "c")  # type: ignore[arg-type]
    assert (three.auc, three.accuracy) == (None, 1.0)
    impossible = score(Sigmoid(3), rows([2], [0.0], categories=3), "c")  # type: ignore[arg-type]
    assert impossible.log_class == -np.inf


def gaussian() -> ConditionalGaussianModel:
    rng = np.random.default_rng(0)
    c = rng.integers(2, size=300)
    space = Space((C, X, Y))
    model = ConditionalGaussianModel(space)
    batch = space.batch({"c": c, "x": c + rng.standard_normal(300), "y": rng.standard_normal(300) - c})
    model.learn([Source(batch, 1.0)], rng)
    return model


def test_densities_are_those_of_what_the_player_holds_and_the_class() -> None:
    model, rng = gaussian(), np.random.default_rng(1)
    z = Variable("z", "real")
    test = Space((C, X, Y, z)).batch({"c": rng.integers(2, size=50), **{n: rng.standard_normal(50) for n in "xyz"}})
    for held, names in ((None, "cxy"), (("c", "x"), "cx"), (("x",), "cx")):
        part = test.restrict(Space(tuple(test.space[n] for n in names)))
        shown = part.restrict(Space(tuple(v for v in part.space if v.name != "c")))
        found = score(model, test, "c", held)
        assert found.log_density == pytest.approx(model.log_density(part).mean())
        # log p(c, x) − log p(x) is what it tells of the class
        given = model.log_density(part) - model.log_density(shown)
        assert found.log_class == pytest.approx(given.mean())
    assert score(model, test, "c", ("z",)) == Scores()  # nothing that it could be shown


def test_many_rows_are_thinned_evenly_for_their_density_alone() -> None:
    model = gaussian()
    many = Space((C, X)).batch({"c": np.arange(2500) % 2, "x": np.linspace(-2, 2, 2500)})
    found = score(model, many, "c")
    assert found.log_density is not None
    assert found.log_density == pytest.approx(model.log_density(many).mean(), abs=5e-3)


def test_a_model_without_the_label_has_a_density_and_tells_nothing() -> None:
    class Density:
        def fit(self, x: NDArray[np.float64]) -> "Density":
            return self

        def get_params(self, deep: bool = True) -> dict[str, object]:
            return {}

        def score_samples(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
            return -x[:, 0]

    model = EstimatorModel(Density(), Space((X,)))
    model.learn([Source(Space((X,)).batch({"x": [0.0, 1.0]}), 1.0)], np.random.default_rng(0))
    found = score(model, rows([0, 1], [1.0, 2.0]), "c")
    assert found == Scores(log_density=-1.5)


def test_a_player_that_knows_nothing_has_no_scores() -> None:
    def player(data: Batch | None) -> Player:
        return Player(
            0, gaussian(), data=data, self_weight=1.0, neighbours={}, listeners={}, samples=1, seed=0, index=0
        )

    test = Space((C, X, Y)).batch({"c": [0, 1], "x": [0.0, 1.0], "y": [1.0, 0.0]})
    assert player(None).score(test, "c") is None
    partial = Space((C, X)).batch({"c": [0, 1, 0, 1], "x": [0.0, 1.0, -1.0, 2.0]})
    learned = player(partial)
    learned.open()
    assert learned.score(test, "c") == score(learned.model, test, "c", ("c", "x"))


def test_a_model_is_shown_what_it_has_and_its_player_observes() -> None:
    test = Space((C, X, Y)).batch({"c": [0, 1], "x": [-1.0, 2.0], "y": [0.0, 0.0]})
    model = Sigmoid()
    assert score(model, test, "c").accuracy == 1.0  # type: ignore[arg-type]
    assert model.shown is not None
    assert model.shown.space.names == ("x",)  # it has no y

    def player(data: Batch | None) -> Player:
        return Player(
            "p",
            Sigmoid(),  # type: ignore[arg-type]
            data=data,
            self_weight=0.5,
            neighbours={},
            listeners={},
            samples=1,
            seed=0,
            index=0,
            start="reference",
        )

    found = [player(data).score(test, "c") for data in (None, test.restrict(Space((C,))), test.restrict(Space((C, X))))]
    assert [s and s.accuracy for s in found] == [1.0, None, 1.0]
