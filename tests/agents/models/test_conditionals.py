"""Conditional networks against tables: the Gibbs distribution, completions, classes, and who learns from what."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nashgossip.agents import Source, check_model
from nashgossip.agents.models import ArchitectureError, Conditionals, FastConditionals, LossError, PaperConditionals
from nashgossip.agents.models.gibbs import Gibbs
from nashgossip.games import Batch, Space, SpaceError, Variable

A = Variable("a", "categorical", categories=3)
B = Variable("b", "binary")
C = Variable("c", "categorical", categories=2)
TABLE = Space((A, B, C))
CELLS = np.array(list(itertools.product(range(3), range(2), range(2))))
JOINT = np.random.default_rng(5).dirichlet(np.full(12, 2.0))
LABEL = Variable("label", "categorical", categories=3)
STROKES = Variable("s", "binary", (8, 8))
COLOUR = Variable("x", "real", (3, 8, 8))
VECTOR = Variable("v", "real", (2,))
SMALL: dict[str, Any] = {"architecture": FastConditionals(width=4, hidden=16, code=4, bits_code=3), "rate": 1e-2}


def tabular(joint: NDArray[np.float64], n: int, seed: int) -> Batch:
    drawn = CELLS[np.random.default_rng(seed).choice(12, size=n, p=joint)]
    return TABLE.batch({"a": drawn[:, 0], "b": drawn[:, 1], "c": drawn[:, 2]})


def shares(batch: Batch) -> NDArray[np.float64]:
    cells = batch["a"] * 4 + batch["b"].astype(int) * 2 + batch["c"]
    return np.bincount(cells, minlength=12) / len(batch)


def learned(*sources: Batch, calls: int = 3, **options: Any) -> Conditionals:
    """A model of tables that has learned from the sources, of equal weights."""
    settings: dict[str, Any] = {"batch": 300, "steps": 100, "rate": 2e-2, "decay": 40.0, "class_sweeps": 300}
    model = Conditionals(TABLE, architecture=FastConditionals(hidden=32), **(settings | options))
    rng = np.random.default_rng(0)
    for _ in range(calls):
        model.learn([Source(batch, 1 / len(sources), own=True) for batch in sources], rng)
    return model


@pytest.fixture(scope="module")
def whole() -> tuple[Conditionals, Batch]:
    rows = tabular(JOINT, 4000, 1)
    return learned(rows), rows


def only(batch: Batch, *names: str) -> Batch:
    return batch.restrict(Space(tuple(v for v in batch.space if v.name in names)))


def weights(model: Conditionals) -> dict[str, NDArray[Any]]:
    """The parameters of each variable's network, by its name, as one vector."""
    module = model.state()["module"]
    return {
        name: np.concatenate([a.ravel() for key, a in module.items() if key.startswith(f"networks.{k}.")])
        for k, name in enumerate(model.space.names)
    }


def moved(model: Conditionals, *batches: Batch) -> list[str]:
    """The variables whose networks change by learning from the batches."""
    before = weights(model)
    model.learn([Source(batch, 1 / len(batches)) for batch in batches], np.random.default_rng(3))
    after = weights(model)
    return [name for name in model.space.names if (before[name] != after[name]).any()]


def pictures(n: int = 30, seed: int = 0, latents: bool = False) -> Batch:
    rng = np.random.default_rng(seed)
    space = Space((LABEL, *([Variable("z", "binary", (2,))] if latents else []), STROKES, COLOUR))
    arrays: dict[str, Any] = {
        "label": rng.integers(3, size=n),
        "z": rng.integers(2, size=(n, 2)),
        "s": rng.integers(2, size=(n, 8, 8)),
        "x": rng.random((n, 3, 8, 8)),
    }
    return space.batch({v.name: arrays[v.name] for v in space})


# --- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "options"),
    [
        (Space((A, Variable("bits", "binary", (3,)), VECTOR)), {"batch": 50, "steps": 8, "rate": 5e-2, "sweeps": 1}),
        (Space((LABEL, STROKES, COLOUR)), {"batch": 20, "steps": 4, "latents": {"z": 2}, "sweeps": 1}),
        (Space((Variable("x", "real", (6, 5, 3)),)), {"batch": 20, "steps": 4}),
    ],
    ids=["vectors", "images and latents", "one image"],
)
def test_it_keeps_the_contract_of_models(space: Space, options: dict[str, Any]) -> None:
    assert "resumes" in check_model(lambda: Conditionals(space, **(SMALL | options)), rows=60)


def test_images_may_have_any_sides_and_channels_first_or_last() -> None:
    space = Space((Variable("g", "binary", (7, 9)), Variable("f", "real", (2, 7, 9)), Variable("l", "real", (7, 9, 3))))
    model = Conditionals(space, **SMALL, steps=1)
    made = model.generate(3, np.random.default_rng(0))
    assert [made[v.name].shape for v in space] == [(3, 7, 9), (3, 2, 7, 9), (3, 7, 9, 3)]
    model.learn([Source(made, 1.0)], np.random.default_rng(0))
    kept = model.complete(only(made, "l"), np.random.default_rng(1))
    assert (kept["l"] == made["l"]).all()
    assert (kept["f"] != made["f"]).any()


def test_classes_and_vectors_come_first_then_latents_then_images() -> None:
    model = Conditionals(Space((COLOUR, LABEL, STROKES)), {"z": 4}, **SMALL, publish_latents=False)
    assert model.space.names == ("label", "z", "x", "s")
    assert not model.space["z"].publish


def test_the_networks_of_the_paper_learn_and_generate() -> None:
    small = PaperConditionals(width=4, hidden=16, code=8)
    model = Conditionals(pictures().space, {"z": 2}, architecture=small, batch=10, steps=2, sweeps=1)
    model.learn([Source(pictures(), 1.0)], np.random.default_rng(0))
    assert len(model.generate(2, np.random.default_rng(0))) == 2
    assert model.steps == 2


# --- against tables ------------------------------------------------------------------------------------------


def test_the_gibbs_distribution_is_the_joint(whole: tuple[Conditionals, Batch]) -> None:
    model, rows = whole
    n = 4000
    error = np.sqrt(JOINT * (1 - JOINT) * (1 / len(rows) + 1 / n))
    found = (shares(model.generate(n, np.random.default_rng(2))) - JOINT) / error
    assert np.abs(found).max() < 4
    assert np.abs((np.full(12, 1 / 12) - JOINT) / error).max() > 10  # it would see a model that knows nothing


@pytest.mark.parametrize("given", [("a",), ("b",), ("c",), ("a", "c"), ("b", "c")])
def test_completed_rows_follow_the_conditional(whole: tuple[Conditionals, Batch], given: tuple[str, ...]) -> None:
    model, _ = whole
    shown = tabular(JOINT, 4000, 7)
    made = model.complete(only(shown, *given), np.random.default_rng(3))
    assert all((made[name] == shown[name]).all() for name in given)
    error = np.sqrt(JOINT * (1 - JOINT) * 3 / 4000)  # rows learned from, rows shown, rows drawn
    assert np.abs((shares(made) - JOINT) / error).max() < 4


def test_class_shares_are_averaged_over_what_is_missing(whole: tuple[Conditionals, Batch]) -> None:
    model, rows = whole
    cube = JOINT.reshape(3, 2, 2)
    exact = cube.sum(axis=2).T / cube.sum(axis=(0, 2))[:, None]  # p(a | b)
    n = np.array([(rows["b"] == b).sum() for b in (0, 1)])[:, None]
    both = Space((B,)).batch({"b": [0, 1]})
    error = np.sqrt(exact * (1 - exact) * (1 / n + 1 / 50))  # sweeps are correlated: 300 count as 50 at least
    assert np.abs((model.class_probabilities(both) - exact) / error).max() < 4
    given = Space((B, C)).batch({"b": [0, 0, 1, 1], "c": [0, 1, 0, 1]})
    once = model.class_probabilities(given)
    told = cube / cube.sum(axis=0)
    known = np.array([[((rows["b"] == b) & (rows["c"] == c)).sum()] for b in (0, 1) for c in (0, 1)])
    truth = told.reshape(3, 4).T
    assert np.abs((once - truth) / np.sqrt(truth * (1 - truth) / known)).max() < 4


def test_one_stream_one_completion(whole: tuple[Conditionals, Batch]) -> None:
    model, rows = whole
    shown = only(rows, "b")
    first, again, other = (model.complete(shown, np.random.default_rng(k)) for k in (0, 0, 1))
    assert first == again != other


def test_two_sources_that_lack_different_variables_teach_both_pairs() -> None:
    """What is identified are the joint distributions of (a, b) and of (b, c)."""
    rows = tabular(JOINT, 8000, 4)
    left, right = only(rows.select(slice(0, 4000)), "a", "b"), only(rows.select(slice(4000, 8000)), "b", "c")
    made = learned(left, right, calls=2).generate(4000, np.random.default_rng(5))
    cube, found = JOINT.reshape(3, 2, 2), shares(made).reshape(3, 2, 2)
    for axis in (2, 0):
        p, q = cube.sum(axis=axis), found.sum(axis=axis)
        assert np.abs((q - p) / np.sqrt(p * (1 - p) * 2 / 4000)).max() < 4


def test_few_labels_are_completed_for_the_rows_that_lack_them() -> None:
    """Bits that tell the class: 30 rows have the class, 970 have not; the class is told for new rows."""
    rng = np.random.default_rng(0)
    bits = Variable("bits", "binary", (12,))
    codes = rng.integers(2, size=(3, 12))

    def rows(n: int) -> Batch:
        label = rng.integers(3, size=n)
        flips = rng.random((n, 12)) < 0.1
        return Space((LABEL, bits)).batch({"label": label, "bits": codes[label] ^ flips})

    model = Conditionals(Space((LABEL, bits)), architecture=FastConditionals(hidden=32), steps=300, rate=1e-2)
    sources = [Source(rows(30), 0.3, own=True), Source(only(rows(970), "bits"), 0.7, own=True)]
    model.learn(sources, rng)
    test = rows(2000)
    right = (model.class_probabilities(only(test, "bits")).argmax(1) == test["label"]).mean()
    distance = (codes[:, None] ^ codes[None]).sum(2)[np.triu_indices(3, 1)].min()
    assert distance >= 4  # the best classifier errs where more than two of four or more bits flip
    assert right > 0.9


# --- who learns from what ------------------------------------------------------------------------------------


def test_a_network_learns_from_given_targets_and_never_from_one_that_it_has_drawn() -> None:
    def model() -> Conditionals:
        return Conditionals(pictures().space, **SMALL, batch=10, steps=2, sweeps=2)

    rows = pictures()
    assert moved(model(), rows) == ["label", "s", "x"]
    assert moved(model(), only(rows, "label", "s")) == ["label", "s"]
    assert moved(model(), only(rows, "x")) == ["x"]
    assert moved(model(), only(rows, "x"), only(rows, "s")) == ["s", "x"]


@pytest.mark.parametrize(
    ("given", "taught"),
    [
        (("label", "s", "x"), ["label", "s", "x"]),  # z was the last to be drawn
        (("label", "s"), ["label", "z", "s"]),  # x was drawn from it
        (("x",), ["z", "x"]),  # s was drawn from it, label before it
        (("label", "z", "s", "x"), ["label", "z", "s", "x"]),  # it came with the rows
        ((), ["z"]),
    ],
)
def test_a_latent_teaches_its_network_only_where_something_was_drawn_after_it(
    given: tuple[str, ...], taught: list[str]
) -> None:
    z = Variable("z", "binary", (2,))
    assert Gibbs([LABEL, z, STROKES, COLOUR], ["z"], SMALL["architecture"]).taught(given) == taught


def test_latents_are_learned_from_rows_that_the_model_generates() -> None:
    model = Conditionals(pictures().space, {"z": 2}, **SMALL, batch=10, steps=2, sweeps=1)
    assert moved(model, pictures()) == ["label", "z", "s", "x"]


def test_completed_values_are_what_the_others_learn_from() -> None:
    """p(x | s) from rows that hold x alone depends on the network by which s is drawn."""

    def taught(seed: int) -> NDArray[Any]:
        space = Space((STROKES, COLOUR))
        model = Conditionals(space, **SMALL, batch=10, steps=1, hide=0.0)
        other = Conditionals(space, **SMALL, seed=seed).state()["module"]
        state = dict(model.state())
        state["module"] = {**state["module"], **{k: v for k, v in other.items() if k.startswith("networks.0.")}}
        model.load(state)
        model.learn([Source(only(pictures(), "x"), 1.0)], np.random.default_rng(0))
        return weights(model)["x"]

    assert (taught(0) == taught(0)).all()
    assert (taught(0) != taught(1)).any()


def test_a_classifier_alone_leaves_everything_else_as_it_is() -> None:
    model = Conditionals(pictures().space, **SMALL, batch=10, steps=2, learns="classifier")
    rows = pictures()
    assert moved(model, only(rows, "label", "x")) == ["label"]
    found = model.class_probabilities(only(rows, "x"))
    assert found.shape == (30, 3)
    assert found.sum(1) == pytest.approx(1)
    with pytest.raises(SpaceError, match="only the classifier learns, but no source holds the label 'label'"):
        model.learn([Source(only(rows, "x"), 1.0)], np.random.default_rng(0))


def test_the_label_in_the_rows_is_not_looked_at(whole: tuple[Conditionals, Batch]) -> None:
    model, rows = whole
    some = rows.select(slice(0, 20))
    assert (model.class_probabilities(some) == model.class_probabilities(only(some, "b", "c"))).all()


def test_drawn_images_have_the_noise_of_their_pixels_unless_told_otherwise() -> None:
    noisy, plain = (Conditionals(Space((COLOUR,)), **SMALL, pixel_noise=noise) for noise in (True, False))
    first, second = (m.generate(50, np.random.default_rng(0))["x"].std() for m in (noisy, plain))
    assert first == pytest.approx(0.3, abs=0.05)
    assert second < 0.2


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "options", "text"),
    [
        ([Variable("n", "count")], {}, "variable 'n' is a count, which conditionals do not know"),
        ([Variable("r", "real", low=0.0)], {}, "variable 'r' has bounds, but Gaussian conditionals know none"),
        ([B], {"latents": {"z": 0}}, "expected a number of bits above 0 for each name"),
        ([B], {"latents": {"b": 2}}, "latents b are variables already"),
        ([B], {"latents": {"z": 2}}, "latents z came without an image"),
        ([STROKES, Variable("t", "binary", (4, 4))], {}, "images have sides .* expected the same for all of them"),
        ([B], {"label": "b"}, "label is 'b', expected a scalar categorical variable: none here"),
        ([B], {"learns": "classifier"}, "learns its classifier alone needs a scalar categorical variable"),
    ],
)
def test_variables_that_it_cannot_have_are_refused(variables: list[Variable], options: Any, text: str) -> None:
    with pytest.raises(SpaceError, match=text):
        Conditionals(Space(tuple(variables)), **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch": 0}, "batch is 0, expected at least 1"),
        ({"class_sweeps": 0}, "class_sweeps is 0"),
        ({"sweeps": -1}, "sweeps is -1 and hide 0.5, expected at least 0"),
        ({"hide": 1.5}, "a share from 0 to 1"),
        ({"learns": "nothing"}, "learns is 'nothing', expected 'all' or 'classifier'"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Conditionals(TABLE, **options)


def test_without_a_class_it_tells_none() -> None:
    with pytest.raises(SpaceError, match="this model has no label, and tells no classes apart"):
        Conditionals(Space((B,))).class_probabilities(Space((B,)).batch({"b": [0]}))


def test_a_state_of_other_networks_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="the state is that of another architecture"):
        Conditionals(TABLE).load(Conditionals(TABLE, architecture=FastConditionals(hidden=8)).state())


def test_a_loss_that_is_not_finite_leaves_the_model_as_it_was() -> None:
    model = Conditionals(Space((VECTOR,)), steps=2)
    before = weights(model)
    with pytest.raises(LossError, match="the model is as it was before them"):
        model.learn([Source(Space((VECTOR,)).batch({"v": [[1e38, 1.0]]}), 1.0)], np.random.default_rng(0))
    assert all((before[name] == now).all() for name, now in weights(model).items())


def test_the_global_stream_of_torch_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    model = Conditionals(pictures().space, **SMALL, steps=1)
    model.learn([Source(only(pictures(), "x"), 1.0)], np.random.default_rng(0))
    assert (torch.random.get_rng_state() == before).all()
