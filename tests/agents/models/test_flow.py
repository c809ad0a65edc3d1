"""A flow as a player: it keeps to the protocol, its density is one, and its rows are drawn from that density."""

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest, norm

from nashgossip.agents import ConformanceError, HasLogDensity, Source, check_model
from nashgossip.agents.models import ArchitectureError, FlowModel, LossError
from nashgossip.games import Batch, Game, PlayerSpec, Space, SpaceError, Variable
from nashgossip.runners import play
from nashgossip.runners.checkpoint import load_tree, save_tree
from nashgossip.topology import attach_alpha

LINE = Space((Variable("x", "real"),))
PLANE = Space((Variable("x", "real", (2,)),))
MIXED = Space((Variable("x", "real", (2, 2)), Variable("y", "real")))


def small(space: Space = PLANE, **options: Any) -> FlowModel:
    return FlowModel(space, **{"transforms": 2, "hidden": (16,), "steps": 4, "rate": 0.05, **options})


def two_heaps(n: int, seed: int) -> np.ndarray:
    """`[n, 2]`: a third around (−2, 0), two thirds around (2, 1), each with variances 1 and ¼."""
    rng = np.random.default_rng(seed)
    right = rng.random(n) < 2 / 3
    return np.where(right[:, None], [2.0, 1.0], [-2.0, 0.0]) + rng.standard_normal((n, 2)) * [1.0, 0.5]


def true_log_density(x: np.ndarray) -> np.ndarray:
    left, right = (
        norm.logpdf(x, centre, [1.0, 0.5]).sum(axis=1) + np.log(weight)
        for centre, weight in (([-2.0, 0.0], 1 / 3), ([2.0, 1.0], 2 / 3))
    )
    return np.logaddexp(left, right)


def plane(rows: np.ndarray) -> Batch:
    return PLANE.batch({"x": rows})


@pytest.fixture(scope="module")
def taught() -> FlowModel:
    model = FlowModel(PLANE, transforms=3, hidden=(32, 32), bins=4, steps=250, batch=200, rate=5e-3)
    model.learn([Source(plane(two_heaps(4000, 0)), 1.0)], np.random.default_rng(1))
    return model


# --- the protocol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [LINE, PLANE, MIXED], ids=["number", "vector", "two variables"])
def test_flows_keep_to_the_protocol(space: Space) -> None:
    checks = check_model(lambda: small(space), rows=200, learn_calls=2)
    assert {"learns", "weights", "resumes", "global-randomness", "abilities"} <= set(checks)
    assert isinstance(small(space), HasLogDensity)


def test_a_flow_whose_seed_comes_from_the_global_generator_is_caught() -> None:
    with pytest.raises(ConformanceError) as failure:
        check_model(lambda: small(seed=int(torch.randint(2**31, ()))), rows=50, learn_calls=2)
    assert {"reproducible", "global-randomness"} <= set(failure.value.failures)


def test_initial_weights_come_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    options = {"scaling": (0.0, 1.0)}
    first, again, other = (small(**options, seed=s).generate(5, np.random.default_rng(0)) for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ((Variable("x", "real"), Variable("k", "count")), r"a flow is over real variables, the space has k \(count\)"),
        ((Variable("x", "real", low=0.0),), "a flow knows no bounds, but x has some; transform it, or declare it"),
    ],
)
def test_variables_that_a_flow_cannot_model_are_refused(variables: Any, expected: str) -> None:
    with pytest.raises(SpaceError, match=expected):
        FlowModel(Space(variables))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transforms": 0}, "transforms is 0, expected at least 1"),
        ({"steps": 0}, "steps is 0, expected at least 1"),
        ({"rate": 0.0}, "rate is 0.0, expected a finite step size above 0"),
        ({"scaling": ([0.0] * 3, 1.0)}, r"mean of the scaling has shape \(3,\), expected finite numbers, one or \[2\]"),
        ({"scaling": (0.0, [1.0, 0.0])}, "scale is 0.0 at least, expected above 0"),
        ({"device": "no such"}, "device is 'no such', which cannot be used here"),
        ({"threads": 0}, "threads is 0, expected at least 1"),
    ],
)
def test_options_of_another_size_are_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        FlowModel(PLANE, **options)


# --- the density ---------------------------------------------------------------------------------------------


def grid(model: FlowModel, points: int) -> tuple[np.ndarray, float]:
    """Log-density on a square grid that holds all but the tails, `[points²]`, and the area of a cell."""
    x, y = np.linspace(-14.0, 14.0, points), np.linspace(-6.0, 7.0, points)
    corners = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    return model.log_density(plane(corners)), float((x[1] - x[0]) * (y[1] - y[0]))


def test_the_density_integrates_to_1(taught: FlowModel) -> None:
    """The error of the sum is judged by that over every second point, and float32 by its 2⁻²³ times log p."""
    sums = []
    for points in (401, 201):
        density, cell = grid(taught, points)
        sums.append(np.exp(density).sum() * cell)
    rounding = np.abs(density).max() * 2.0**-23
    assert abs(sums[0] - 1) < 4 * abs(sums[0] - sums[1]) + 4 * rounding
    assert abs(sums[0] - 1) < 1e-3


def test_rows_are_drawn_from_the_density(taught: FlowModel) -> None:
    """As many rows lie where the density is above a level as its integral over that region says."""
    density, cell = grid(taught, 401)
    made = taught.log_density(taught.generate(20000, np.random.default_rng(5)))
    for level in np.quantile(made, [0.1, 0.3, 0.5, 0.7, 0.9]):
        inside = np.exp(density[density > level]).sum() * cell
        error = np.sqrt(inside * (1 - inside) / len(made))
        # The edge of the region cuts cells: its error is the mass of those that hold it.
        edge = np.exp(level) * cell * np.sqrt(401)
        assert abs((made > level).mean() - inside) < 4 * error + edge


def test_in_one_dimension_the_rows_follow_the_distribution_function() -> None:
    model = small(LINE, steps=200)
    rows = np.random.default_rng(0).exponential(1.0, 500)
    model.learn([Source(LINE.batch({"x": rows}), 1.0)], np.random.default_rng(1))
    x = np.linspace(-8.0, 14.0, 8001)
    below = cumulative_trapezoid(np.exp(model.log_density(LINE.batch({"x": x}))), x, initial=0.0)
    made = model.generate(2000, np.random.default_rng(2))["x"]
    assert kstest(made, lambda v: np.interp(v, x, below)).pvalue > 1e-3
    assert kstest(made + 0.3, lambda v: np.interp(v, x, below)).pvalue < 1e-6


def test_what_is_learned_is_close_to_the_truth(taught: FlowModel) -> None:
    """On fresh rows no model beats the truth by more than chance; a Gaussian with their moments loses to the flow."""
    fresh = two_heaps(4000, 9)
    loss = true_log_density(fresh) - taught.log_density(plane(fresh))
    error = loss.std() / np.sqrt(len(fresh))
    assert loss.mean() > -4 * error
    rows = two_heaps(4000, 0)
    gap, covariance = fresh - rows.mean(axis=0), np.cov(rows.T)
    gaussian = -0.5 * np.einsum("na,ab,nb->n", gap, np.linalg.inv(covariance), gap)
    gaussian -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance).logabsdet
    assert loss.mean() + 4 * error < (true_log_density(fresh) - gaussian).mean() / 2


# --- scaling -------------------------------------------------------------------------------------------------


def test_the_first_rows_set_the_scaling_and_later_ones_keep_it() -> None:
    model = small()
    rows = np.random.default_rng(0).normal([100.0, 0.0], [10.0, 0.0], (60, 2))  # the second value never changes
    other = plane(np.random.default_rng(1).normal(5.0, 1.0, (30, 2)))
    model.learn([Source(plane(rows), 0.25), Source(other, 0.75)], np.random.default_rng(0))
    first = model.state()["module"]
    mean = 0.25 * rows.mean(axis=0) + 0.75 * other["x"].mean(axis=0)
    spread = np.sqrt(0.25 * ((rows - mean) ** 2).mean(axis=0) + 0.75 * ((other["x"] - mean) ** 2).mean(axis=0))
    np.testing.assert_allclose(first["mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(first["scale"], spread, rtol=1e-6)
    model.learn([Source(other, 1.0)], np.random.default_rng(0))
    assert (model.state()["module"]["mean"] == first["mean"]).all()


def test_a_value_that_never_changes_is_modelled_all_the_same() -> None:
    model = small()
    model.learn([Source(plane(np.zeros((20, 2))), 1.0)], np.random.default_rng(0))
    assert model.state()["module"]["scale"].tolist() == [1.0, 1.0]


def test_before_learning_a_flow_without_scaling_knows_nothing() -> None:
    for call in (lambda m: m.generate(3, np.random.default_rng(0)), lambda m: m.log_density(plane(np.zeros((1, 2))))):
        with pytest.raises(ValueError, match="this flow has not learned yet; a player without data starts when it"):
            call(small())
        call(small(scaling=([1.0, 2.0], 3.0)))


def test_values_come_back_in_the_place_of_their_variable() -> None:
    space = Space((Variable("y", "real"), Variable("x", "real", (2, 2))))  # as a sender may order them
    rng = np.random.default_rng(0)
    centre = {"x": np.array([[1.0, 2.0], [3.0, 4.0]]), "y": np.array(5.0)}
    rows = space.batch({n: c + 0.05 * rng.standard_normal((100, *c.shape)) for n, c in centre.items()})
    model = small(MIXED, steps=30)
    model.learn([Source(rows, 1.0)], np.random.default_rng(1))
    made = model.generate(200, np.random.default_rng(2))
    for name, c in centre.items():
        np.testing.assert_array_equal(made[name].mean(axis=0).round(), c)


# --- failures ------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_leaves_the_model_as_it_was() -> None:
    model = small(rate=1e30)
    model.load(_taught_state())
    made = model.generate(20, np.random.default_rng(0))
    before = repr(model.state())
    with pytest.raises(LossError, match="the model is as it was before them; reduce the learning rate"):
        model.learn([Source(plane(two_heaps(100, 0)), 1.0)], np.random.default_rng(0))
    assert repr(model.state()) == before
    assert model.generate(20, np.random.default_rng(0)) == made


def test_a_first_call_that_fails_is_as_if_it_had_not_been() -> None:
    model = small(rate=1e30)
    before = repr(model.state())
    with pytest.raises(LossError, match="within 4 steps after step 0; the model is as it was before them"):
        model.learn([Source(plane(two_heaps(100, 0)), 1.0)], np.random.default_rng(0))
    assert repr(model.state()) == before
    with pytest.raises(ValueError, match="this flow has not learned yet"):
        model.generate(1, np.random.default_rng(0))


def _taught_state() -> Any:
    model = small()
    model.learn([Source(plane(two_heaps(100, 0)), 1.0)], np.random.default_rng(0))
    return model.state()


@pytest.mark.parametrize("options", [{"transforms": 3}, {"hidden": (8,)}, {"bins": 4}])
def test_a_state_of_other_networks_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError, match="the state is that of another architecture"):
        small(**options).load(_taught_state())


def test_a_flow_goes_on_exactly_from_a_checkpoint(tmp_path: Path) -> None:
    model, other = small(), small(seed=5)
    model.load(_taught_state())
    other.load(load_tree(save_tree(model.state(), tmp_path, 1)))
    rows = plane(two_heaps(50, 3))
    for each in (model, other):
        each.learn([Source(rows, 1.0)], np.random.default_rng(4))
    assert model.log_density(rows).tobytes() == other.log_density(rows).tobytes()
    assert model.generate(9, np.random.default_rng(0)) == other.generate(9, np.random.default_rng(0))


# --- in a game -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_flows_that_hear_each_other_generate_the_predicted_mixture() -> None:
    """Two flows with a heap each: by B = ((⅔, ⅓), (⅓, ⅔)) for α_ii = ½, a third of what each makes is the other's.

    The share is p = ⅓ plus noise. A message of 300 rows adds p(1 − p)/300 times w², w = ½ being the weight of what is
    heard, and the 40 · 128 rows of a move's minibatches at most p(1 − p)/5120; noise of one move lives on by w² = ¼ a
    move. The rows measured add theirs.
    """
    graph = attach_alpha(nx.complete_graph(2, nx.DiGraph()), 0.5)
    rng = np.random.default_rng(0)
    data = {i: plane(rng.normal(6.0 * i - 3.0, 0.5, (300, 2))) for i in graph}

    def model() -> FlowModel:
        return FlowModel(PLANE, transforms=3, hidden=(32, 32), steps=40, rate=5e-3, scaling=(0.0, 3.0))

    game = Game(graph, {i: PlayerSpec(model=model, data=data[i], samples=300) for i in graph})
    outcome = play(game, "rounds", seed=1, moves=10, measure=4000)
    error = np.sqrt(2 / 9 * ((1 / 4 / 300 + 1 / 5120) / (1 - 1 / 4) + 1 / 4000))
    for i in graph:
        made = outcome.after[i]["x"].mean(axis=1) > 0
        others = float(np.mean(made if i == 0 else ~made))
        assert abs(others - 1 / 3) < 4 * error
        assert others > 10 * error  # the tolerance has power: alone, a player makes none of the other's
