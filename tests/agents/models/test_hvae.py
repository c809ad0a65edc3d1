"""Hierarchical VAEs against tables: densities that sum to 1, marginals by enumeration, mixtures that are reached."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nashgossip.agents import Source, check_model
from nashgossip.agents.models import HVAE, ArchitectureError, Fast, LossError, PaperDigits, PaperFashion
from nashgossip.games import (
    Batch,
    Game,
    GameError,
    PlayerSpec,
    Space,
    SpaceError,
    Variable,
    family_for,
    total_variation,
)
from nashgossip.runners import play
from nashgossip.topology import attach_alpha, generate_graph, influence

TINY = Variable("x", "binary", (2, 2))
IMAGE = Variable("x", "binary", (8, 8))
REAL = Variable("x", "real", (8, 8))
LABEL = Variable("c", "categorical", categories=3)
ALL = np.array(list(itertools.product([0, 1], repeat=4)), np.uint8).reshape(16, 2, 2)


def tiny(seed: int = 0, **options: Any) -> HVAE:
    settings: dict[str, Any] = {"architecture": Fast(width=16), "rate": 5e-3, "batch": 64, "seed": seed}
    return HVAE(TINY, {"z0": 2, "z1": 3}, **(settings | options))


def small(**options: Any) -> HVAE:
    settings: dict[str, Any] = {"architecture": Fast(width=16), "rate": 5e-3, "batch": 20, "steps": 2}
    return HVAE(IMAGE, {"z0": 4, "z1": 6}, **(settings | options))


def images(probabilities: NDArray[np.float64], n: int, seed: int) -> Batch:
    """n rows drawn from a table over the 16 images."""
    drawn = np.random.default_rng(seed).choice(16, size=n, p=probabilities)
    return Space((TINY,)).batch({"x": ALL[drawn]})


def table(batch: Batch) -> NDArray[np.float64]:
    codes = batch["x"].reshape(len(batch), 4) @ np.array([8, 4, 2, 1])
    shares: NDArray[np.float64] = np.bincount(codes, minlength=16) / len(batch)
    return shares


def teach(model: HVAE, batch: Batch, calls: int, seed: int = 0) -> HVAE:
    rng = np.random.default_rng(seed)
    for _ in range(calls):
        model.learn([Source(batch, 1.0, own=True)], rng)
    return model


# --- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: small(steps=4, rate=2e-2),
        lambda: HVAE(IMAGE, {"z": 5}, label=LABEL, architecture=Fast(16), batch=20, steps=4, rate=2e-2),
        lambda: HVAE(
            IMAGE, {"z": 5}, label=LABEL, class_prior="learned", architecture=Fast(16), batch=20, steps=4, rate=2e-2
        ),
        lambda: HVAE(
            Variable("x", "real", (8, 8)),
            {"a": 3, "b": 4, "c": 5},
            architecture=Fast(16),
            batch=20,
            steps=4,
            rate=2e-2,
        ),
    ],
    ids=["binary", "label", "learned shares", "real, three layers"],
)
def test_it_keeps_the_protocol(make: Callable[[], HVAE]) -> None:
    check_model(make, learn_calls=12, rows=200)


def test_the_space_is_label_latents_and_image() -> None:
    model = small(label=LABEL, publish_latents=False)
    assert model.space.names == ("c", "z0", "z1", "x")
    published = model.space.publishable()
    assert published is not None
    assert published.names == ("c", "x")


# --- densities -----------------------------------------------------------------------------------------------


def enumerated(model: HVAE) -> NDArray[np.float64]:
    """p(x) of the 16 images, by the sum over all latents."""
    bits = np.array(list(itertools.product([0, 1], repeat=5)), np.uint8)
    total = np.zeros(16)
    for row in bits:
        whole = model.space.batch({"z0": np.tile(row[:2], (16, 1)), "z1": np.tile(row[2:], (16, 1)), "x": ALL})
        total += np.exp(model.log_density(whole))
    return total


def test_the_density_of_whole_rows_sums_to_one() -> None:
    model = teach(tiny(), images(np.arange(1.0, 17) / 136, 500, 1), 5)
    assert enumerated(model).sum() == pytest.approx(1.0, abs=1e-5)


def test_the_density_of_an_image_alone_is_its_marginal_and_what_is_generated() -> None:
    model = teach(tiny(importance=2000), images(np.arange(1.0, 17) / 136, 500, 1), 20)
    exact = enumerated(model)
    estimated = np.exp(model.log_density(Space((TINY,)).batch({"x": ALL})))
    assert np.abs(estimated / exact - 1).max() < 0.15  # 2,000 draws a row
    n = 40_000
    made = table(model.generate(n, np.random.default_rng(3)))
    assert (np.abs(made - exact) < 5 * np.sqrt(exact * (1 - exact) / n) + 1e-9).all()


def test_a_real_image_has_a_normal_density() -> None:
    model = HVAE(Variable("x", "real", (2, 2)), {"z": 2}, architecture=Fast(16))
    made = model.generate(1, np.random.default_rng(0))
    grid = np.linspace(-3, 3, 201)
    rows = {"z": np.tile(made["z"], (201, 1)), "x": np.tile(made["x"], (201, 1, 1))}
    rows["x"][:, 0, 0] = grid
    along = np.exp(model.log_density(model.space.batch(rows)))
    mean = (along * grid).sum() / along.sum()
    sigma = np.sqrt((along * (grid - mean) ** 2).sum() / along.sum())
    assert sigma == pytest.approx(0.3, rel=0.01)  # where it starts


# --- completion ----------------------------------------------------------------------------------------------


def posterior(model: HVAE, given: dict[str, Any], missing: str) -> NDArray[np.float64]:
    """p(missing | given) over the values of a latent, by the sum over all else."""
    shares = np.zeros(2 ** model.space[missing].shape[0])
    for row in itertools.product([0, 1], repeat=9):
        whole = {"z0": row[:2], "z1": row[2:5], "x": np.reshape(row[5:], (2, 2))}
        if all(np.array_equal(whole[name], value) for name, value in given.items()):
            rows = model.space.batch({name: np.array([value], np.uint8) for name, value in whole.items()})
            shares[int("".join(map(str, whole[missing])), 2)] += np.exp(model.log_density(rows)[0])
    return shares / shares.sum()


@pytest.mark.parametrize(
    ("given", "missing"), [({"z0": [1, 0], "x": [[0, 1], [1, 1]]}, "z1"), ({"z1": [1, 0, 1]}, "z0")], ids=["up", "down"]
)
def test_sweeps_take_what_is_given_on_the_far_side_into_account(given: dict[str, Any], missing: str) -> None:
    model, n = teach(tiny(sweeps=40), images(np.arange(1.0, 17) / 136, 500, 1), 20), 4000
    exact = posterior(model, given, missing)
    part = Space(tuple(v for v in model.space if v.name in given)).batch(
        {name: np.tile(np.array(value, np.uint8), (n, *[1] * np.ndim(value))) for name, value in given.items()}
    )
    plain = tiny()
    plain.load(model.state())
    error = np.sqrt(exact * (1 - exact) / n) + 1 / n
    bits = model.space[missing].shape[0]
    codes = [m.complete(part, np.random.default_rng(0))[missing] @ (1 << np.arange(bits)[::-1]) for m in (model, plain)]
    swept, drawn = (np.bincount(c, minlength=2**bits) / n for c in codes)
    assert (np.abs(swept - exact) < 5 * error).all()
    assert (np.abs(drawn - exact) > 5 * error).any()  # the draw in one direction alone does not see what is beyond


def test_where_nothing_is_given_beyond_sweeps_change_nothing() -> None:
    batch = Space((IMAGE,)).batch({"x": np.random.default_rng(0).integers(2, size=(20, 8, 8))})
    models = [small(label=LABEL, sweeps=sweeps) for sweeps in (0, 7)]
    assert models[0].complete(batch, np.random.default_rng(1)) == models[1].complete(batch, np.random.default_rng(1))
    for model in models:
        model.learn([Source(batch, 1.0, own=True)], np.random.default_rng(2))
    assert models[0].generate(9, np.random.default_rng(3)) == models[1].generate(9, np.random.default_rng(3))


def test_given_values_stay_as_they_were_given() -> None:
    model = HVAE(Variable("x", "real", (2, 2)), {"z": 2}, architecture=Fast(16))
    rows = Space((Variable("x", "real", (2, 2)),)).batch({"x": np.full((3, 2, 2), 0.1)})  # no number of float32
    assert (model.complete(rows, np.random.default_rng(0))["x"] == rows["x"]).all()


# --- learning ------------------------------------------------------------------------------------------------


def test_it_learns_a_table() -> None:
    target = np.zeros(16)
    target[[0, 3, 10, 15]] = [0.4, 0.3, 0.2, 0.1]
    model = teach(tiny(rate=1e-2, decay=300), images(target, 4000, 1), 100)
    assert total_variation(enumerated(model), target) < 0.05


@pytest.mark.slow
def test_two_players_reach_the_predicted_mixture() -> None:
    """Each owns two of four images; at equilibrium the tables are B times the private ones."""
    private = np.zeros((2, 16))
    private[0, [0, 3]], private[1, [10, 15]] = 0.5, 0.5
    graph = attach_alpha(generate_graph("complete", n=2), 0.4)
    specs = {
        p: PlayerSpec(
            model=lambda p=p: tiny(seed=p, rate=1e-2, decay=400), data=images(private[p], 2000, p), samples=1000
        )
        for p in graph
    }
    outcome = play(Game(graph, specs), "rounds", seed=1, moves=150, measure=20_000)
    predicted = influence(graph) @ private
    for k, p in enumerate(graph):
        made = outcome.after[p]
        assert made is not None
        assert total_variation(table(made), predicted[k]) < 0.05


def test_the_classifier_learns_from_labels_that_were_given() -> None:
    """Dark images are class 0, bright ones class 1, and the classifier alone learns."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    x = (rng.random((400, 8, 8)) < np.where(labels, 0.8, 0.2)[:, None, None]).astype(np.uint8)
    label = Variable("c", "categorical", categories=2)
    model = small(label=label, learns="classifier", steps=30)
    rows = Space((label, IMAGE)).batch({"c": labels, "x": x})
    before = model.state()["module"]
    teach(model, rows, 3)
    after = model.state()["module"]
    assert (model.class_probabilities(rows).argmax(1) == labels).mean() > 0.95
    changed = {name.split(".")[0] for name in before if (before[name] != after[name]).any()}
    assert changed == {"labels"}


def test_no_factor_learns_from_a_value_that_it_has_drawn_itself() -> None:
    """Of unlabelled images the classifier has nothing to learn but what the decoder generates."""
    unlabelled = Space((IMAGE,)).batch({"x": np.random.default_rng(0).integers(0, 2, (50, 8, 8))})
    alone = small(label=LABEL, learns="classifier")
    with pytest.raises(SpaceError, match="no source holds the label 'c'"):
        teach(alone, unlabelled, 1)
    net, stream = small(label=LABEL)._net, torch.Generator()
    rows = {"x": torch.tensor(unlabelled["x"].tolist()).float()}
    dreamt = net.generate(5, stream, 125)
    for losses, factors in ((net.encoder_losses, 2), (net.label_losses, 1)):
        assert list(losses([rows], 125)) == []
        assert len(list(losses([rows, dreamt], 125))) == factors


def test_latents_that_travel_teach_the_encoder() -> None:
    """Rows that come with latents change the encoder as the sender's; rows without are completed."""
    x = ALL[np.random.default_rng(0).integers(0, 16, 500)]
    copied = {"z0": x[:, 0], "z1": np.concatenate([x[:, 1], x[:, :1, 0]], axis=1), "x": x}
    whole = tiny().space.batch(copied)  # a sender whose latents are the pixels
    with_latents, without = tiny(seed=2), tiny(seed=2)
    teach(with_latents, whole, 20)
    teach(without, whole.restrict(Space((TINY,))), 20)

    def agreement(model: HVAE) -> float:
        """Mean log-density of the sender's latents together with its images."""
        return float(model.log_density(whole).mean())

    assert agreement(with_latents) > agreement(without) + 1.0


# --- completion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [("x",), ("c", "x"), ("z0",), ("c",), ("z1", "x"), ("c", "z0", "z1")])
def test_what_is_given_is_kept_and_the_rest_is_drawn(given: tuple[str, ...]) -> None:
    model = small(label=LABEL)
    whole = model.generate(30, np.random.default_rng(0))
    part = whole.restrict(Space(tuple(v for v in model.space if v.name in given)))
    one, other = (model.complete(part, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.space == model.space
    for v in model.space:
        assert (one[v.name] == other[v.name]).all() == (v.name in given)
    assert all((one[name] == whole[name]).all() for name in given)


# --- games ---------------------------------------------------------------------------------------------------


def spec(**options: Any) -> PlayerSpec:
    return PlayerSpec(
        model=lambda: small(**options), data=Space((IMAGE,)).batch({"x": np.zeros((5, 8, 8), np.uint8)}), samples=3
    )


def test_latents_travel_between_players_that_have_the_same_ones_alone() -> None:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    assert Game(graph, {0: spec(), 1: spec()}).edge_space(0, 1).names == ("z0", "z1", "x")
    hidden = Game(graph, {0: spec(publish_latents=False), 1: spec(publish_latents=False)})
    assert hidden.edge_space(0, 1).names == ("x",)
    assert play(hidden, moves=2).last.messages == 4


def test_a_listener_that_cannot_complete_needs_everything() -> None:
    wide = family_for("class-conditional-bernoulli", Space((LABEL, IMAGE)), label="c")
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    data = wide.sample(wide.reference, 20, np.random.default_rng(0))
    with pytest.raises(GameError, match="edge 0 -> 1 does not carry c, .* let player 0 publish it, .* with `complete`"):
        Game(graph, {0: spec(), 1: PlayerSpec(family=wide, data=data, smoothing=1.0)})


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: HVAE(IMAGE, {"z": 3}, architecture=PaperDigits()), ValueError, r"shape \(8, 8\), expected \(28, 28\)"),
        (lambda: HVAE(IMAGE, {"z": 3}, architecture=PaperFashion(2, 8)), ValueError, "take architecture 'fast'"),
        (lambda: HVAE(TINY, {"z": 3}, label=LABEL), ValueError, "expected sides of at least 6"),
        (lambda: HVAE(IMAGE, {}), SpaceError, "expected at least one name"),
        (lambda: HVAE(Variable("x", "real", (8, 8), low=0.0), {"z": 3}), SpaceError, "has bounds"),
        (lambda: HVAE(Variable("x", "count", (8, 8)), {"z": 3}), SpaceError, "expected a binary or real variable"),
        (lambda: HVAE(IMAGE, {"z": 3}, label=Variable("c", "binary")), SpaceError, "scalar categorical"),
        (lambda: HVAE(IMAGE, {"z": 3}, learns="classifier"), SpaceError, "needs a label"),
        (lambda: small(batch=0), ValueError, "batch is 0, expected at least 1"),
        (lambda: small(corruption=0.7), ValueError, "corruption is 0.7"),
        (lambda: small(sweeps=-1), ValueError, "sweeps is -1, expected at least 0"),
        (lambda: small(device="tpu9"), ValueError, "device is 'tpu9'"),
        (lambda: small(threads=0), ValueError, "threads is 0"),
        (lambda: small().class_probabilities(small().generate(1, np.random.default_rng(0))), SpaceError, "no label"),
    ],
)
def test_what_it_refuses(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_a_state_of_other_networks_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="another architecture"):
        small().load(small(architecture=Fast(width=8)).state())


def test_a_step_that_is_far_too_long_is_named_and_undone() -> None:
    model = HVAE(REAL, {"z": 3}, architecture=Fast(8), rate=1e30, batch=10, steps=5)
    rows = Space((REAL,)).batch({"x": np.ones((20, 8, 8))})
    before = model.state()["module"]
    with pytest.raises(LossError, match="reduce the learning rate"):
        teach(model, rows, 3)
    after = model.state()["module"]
    assert all(np.isfinite(after[name]).all() for name in after)
    assert before.keys() == after.keys()


@pytest.mark.parametrize("architecture", [PaperDigits(), PaperFashion(2, 88)])
def test_the_paper_s_networks_have_its_sizes(architecture: Any) -> None:
    model = HVAE(
        Variable("x", "binary", (28, 28)),
        {"z0": 30, "z1": 100},
        label=LABEL,
        architecture=architecture,
        batch=4,
        steps=1,
    )
    made = model.generate(2, np.random.default_rng(0))
    assert made["x"].shape == (2, 28, 28)
    model.learn([Source(made, 1.0)], np.random.default_rng(0))
    weights = model.state()["module"]
    if isinstance(architecture, PaperDigits):
        # kernels 4, 3, 3, 3, 3, 2 of the decoder with channels 128-64-64-64-32-1, whose first input is the latents
        shapes = [weights[f"pixels.layers.{k}.weight"].shape for k in range(6)]
        assert shapes == [
            (133, 128, 4, 4), (128, 64, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3), (64, 32, 3, 3), (32, 1, 2, 2),
        ]  # fmt: skip
        assert weights["up.z1.layers.5.weight"].shape == (100, 128, 4, 4)


def test_torch_s_global_stream_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    model = small()
    teach(model, Space((IMAGE,)).batch({"x": np.zeros((9, 8, 8), np.uint8)}), 1)
    model.generate(3, np.random.default_rng(0))
    assert torch.equal(before, torch.random.get_rng_state())


# --- the class prior -------------------------------------------------------------------------------------------------


SQUARE = Variable("x", "binary", (6, 6))  # the smallest that a classifier takes


def with_shares(**options: Any) -> HVAE:
    settings: dict[str, Any] = {"batch": 100, "steps": 20, "rate": 0.05, "decay": 40.0}
    return HVAE(SQUARE, {"z0": 2, "z1": 3}, label=LABEL, architecture=Fast(width=8), **(settings | options))


def coins(labels: NDArray[np.int64], rng: np.random.Generator) -> Batch:
    return Space((LABEL, SQUARE)).batch({"c": labels, "x": rng.integers(2, size=(len(labels), 6, 6))})


def test_a_learned_class_prior_follows_the_labels_and_a_uniform_one_does_not() -> None:
    shares = np.array([0.6, 0.3, 0.1])
    rng = np.random.default_rng(0)
    labels = rng.choice(3, size=400, p=shares)
    rows = coins(labels, rng)
    only = Space((LABEL,)).batch({"c": [0, 1, 2]})
    for prior, expected in (("learned", np.bincount(labels) / 400), ("uniform", np.full(3, 1 / 3))):
        model = teach(with_shares(class_prior=prior), rows, 8 if prior == "learned" else 1)
        found = np.exp(model.log_density(only))
        assert found.sum() == pytest.approx(1, abs=1e-5)
        assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / (100 * 40)))  # the last 40 minibatches or so
        drawn = np.bincount(model.generate(4000, np.random.default_rng(1))["c"], minlength=3) / 4000
        assert (np.abs(drawn - found) < 4 * np.sqrt(found * (1 - found) / 4000)).all()


def test_a_neighbour_that_shares_the_class_alone_teaches_its_shares() -> None:
    rng = np.random.default_rng(2)
    own = coins(rng.integers(3, size=300), rng)
    ones = Space((LABEL,)).batch({"c": np.ones(50, int)})
    model = with_shares(class_prior="learned")
    for _ in range(8):
        model.learn([Source(own, 0.4, own=True), Source(ones, 0.6)], rng)
    mixed = 0.4 * np.bincount(own["c"]) / 300 + 0.6 * np.array([0, 1, 0])
    found = np.exp(model.log_density(Space((LABEL,)).batch({"c": [0, 1, 2]})))
    assert found == pytest.approx(mixed, abs=4 * np.sqrt(0.25 / (100 * 40)))


def test_a_class_prior_is_uniform_or_learned() -> None:
    with pytest.raises(ValueError, match="class_prior is 'flat', expected 'uniform' or 'learned'"):
        with_shares(class_prior="flat")
