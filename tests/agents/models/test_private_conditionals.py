"""Flows and conditionals with a budget: the gradient is the plain one where nothing is clipped, and ends with ε."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nashgossip.agents import PrivacyPlan, Source
from nashgossip.agents.models import Conditionals, FastConditionals, FlowModel
from nashgossip.agents.models.private_conditionals import PrivateConditionals
from nashgossip.agents.models.training import LossError
from nashgossip.agents.private_minibatches import private_minibatches
from nashgossip.games import Batch, Privacy, PrivacyError, Space, Variable

PLANE = Space((Variable("x", "real", (2,)),))
SCENE = Space(
    (
        Variable("c", "categorical", categories=3),
        Variable("v", "real", (2,)),
        Variable("s", "binary", (8, 8)),
        Variable("i", "real", (8, 8)),
    )
)
FREE = Privacy(1.0, clip=1e6, noise=1e-15)
"""Nothing is clipped, and no noise is seen."""
PLAN = PrivacyPlan(40, ((1.0, 1), (0.5, 2)))


def flow(privacy: Privacy | None = None, **options: Any) -> FlowModel:
    settings: dict[str, Any] = {"transforms": 2, "hidden": (16,), "steps": 4, "rate": 0.05, "batch": 20}
    return FlowModel(PLANE, **(settings | {"scaling": (0.0, 1.0), "privacy": privacy, "plan": PLAN} | options))


def scene(privacy: Privacy | None = None, **options: Any) -> Conditionals:
    settings: dict[str, Any] = {"batch": 20, "steps": 2, "sweeps": 1, "rate": 1e-2}
    sizes = FastConditionals(width=2, hidden=8, code=3, bits_code=2)
    return Conditionals(SCENE, architecture=sizes, privacy=privacy, plan=PLAN, **(settings | options))


def scenes(n: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    columns = {
        "c": rng.integers(3, size=n),
        "v": rng.normal(size=(n, 2)),
        "s": rng.integers(2, size=(n, 8, 8)),
        "i": rng.random((n, 8, 8)),
    }
    return SCENE.batch(columns)


def points(n: int, seed: int = 0) -> Batch:
    return PLANE.batch({"x": np.random.default_rng(seed).normal(0.5, 0.3, (n, 2))})


MODELS = {"flow": (flow, points), "conditionals": (scene, scenes)}


@pytest.mark.parametrize("kind", MODELS)
def test_learning_ends_with_the_budget_and_goes_on_from_a_state(kind):
    make, rows = MODELS[kind]
    model, rng = make(Privacy(2.0)), np.random.default_rng(0)
    model.learn([Source(rows(40), 1.0, own=True)], rng)
    other = make(Privacy(2.0))
    other.load(model.state())
    mixture = [Source(rows(40), 0.5, own=True), Source(rows(60, 1), 0.5)]
    for one in (model, other):
        rng = np.random.default_rng(1)
        for _ in range(2):
            one.learn(mixture, rng)
        assert one.privacy_spent().exhausted
        assert 1.99 < one.privacy_spent().epsilon <= 2.0
    before = model.state()["module"]
    model.learn(mixture, rng)
    after, same = model.state()["module"], other.state()["module"]
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(np.array_equal(before[name], same[name]) for name in before)
    with pytest.raises(PrivacyError, match="make it as it was"):
        make().load(model.state())


@pytest.mark.parametrize("kind", MODELS)
def test_the_clone_of_the_laboratory_learns_on(kind):
    make, rows = MODELS[kind]
    model = make(Privacy(2.0))
    for _ in range(4):
        model.learn([Source(rows(40), 1.0, own=True)], np.random.default_rng(0))
    before = copy.deepcopy(model.state()["module"])
    assert model.privacy_spent().exhausted
    model.lift_privacy()
    assert model.privacy_spent() is None
    model.learn([Source(rows(40), 1.0, own=True)], np.random.default_rng(0))
    assert not all(np.array_equal(before[name], values) for name, values in model.state()["module"].items())


def test_a_private_flow_learns_where_noise_is_small():
    model = flow(Privacy(30.0), plan=PrivacyPlan(400, ((1.0, 3),)), steps=20, batch=100, rate=2e-2)
    before = model.log_density(points(500, 9)).mean()
    for k in range(3):
        model.learn([Source(points(400), 1.0, own=True)], np.random.default_rng(k))
    assert model.log_density(points(500, 9)).mean() > before + 0.5


def test_a_flow_does_not_take_its_scaling_from_private_rows():
    with pytest.raises(PrivacyError, match="came without `scaling`"):
        flow(Privacy(1.0), scaling=None)


@pytest.mark.parametrize("options", [{}, {"learns": "classifier"}, {"latents": {"z": 3}}])
def test_without_clipping_and_noise_the_gradient_is_that_of_the_plain_loss(options):
    """All rows come, at rate 1, so that expected and realised numbers are the same."""
    model = scene(FREE, hide=0.0, **options)
    own, heard = scenes(12), scenes(12, 1)
    if options:
        heard = heard.restrict(Space(tuple(v for v in SCENE if v.name != "i")))
    sources = [Source(own, 0.6, own=True), Source(heard, 0.4)]
    filled = private_minibatches(sources, 20)
    assert (filled.size, filled.rate) == (20, 1.0)
    picks = [np.arange(12), np.arange(8)]
    net = model._net
    found = []
    for private in (True, False):
        net.zero_grad()
        stream = torch.Generator().manual_seed(0)
        if private:
            losses = PrivateConditionals(
                net,
                filled,
                lambda p: model._groups(sources, p),
                label=model._label if model._learns == "classifier" else None,
                dreamt=20 if model._has_latents else 0,
                sweeps=1,
                hide=0.0,
                chunk=50,
                stream=stream,
            )
            public, rows = losses(picks)
            assert not list(public)
            model._private.add(rows, filled.size, stream)
        else:
            for loss in model._losses(model._groups(sources, picks), stream):
                loss.backward()
        found.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    images = net.parts(["s", "i"])  # rows of two groups draw the noise of codes in another order
    other = tuple(start for part in images for start in part) if "latents" in options else ()
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[1].items():
        if not name.startswith(other):
            assert torch.allclose(found[0][name], gradient, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("learns", ["all", "classifier"])
def test_a_row_of_a_scene_moves_the_gradient_by_no_more_than_its_share_of_the_bound(learns):
    model = scene(Privacy(1.0, clip=0.5, noise=1e-9), learns=learns, hide=0.0)
    sources = [Source(scenes(40), 1.0, own=True)]
    filled = private_minibatches(sources, 20)
    found = []
    for rows in (8, 9):
        # one group a row, so that the random numbers of the first eight are the same
        stream = torch.Generator().manual_seed(0)
        losses = PrivateConditionals(
            model._net,
            filled,
            lambda p: [g for k in p[0] for g in model._groups(sources, [np.array([k])])],
            label=model._label if learns == "classifier" else None,
            dreamt=0,
            sweeps=1,
            hide=0.0,
            chunk=50,
            stream=stream,
        )
        net = model._net
        net.zero_grad()
        model._private.add(_one_seed_each(losses, [np.arange(rows)], stream), filled.size, stream)
        found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    far = (found[1] - found[0]).norm().item()
    assert 0 < far <= 0.5 / 20 * (1 + 1e-3)


def _one_seed_each(losses, picks, stream):
    """The losses of rows with noise that depends on part and row alone."""
    for number, (part, loss, rows) in enumerate(list(losses(picks)[1])):
        noise = rows["noise "]
        seed = part * 100 + number % len(picks[0])
        rows["noise "] = torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed))
        yield part, loss, rows


class _Odd(FastConditionals):
    def conditional(self, target, others):
        made = super().conditional(target, others)
        return _Wrapped(made) if target.name == "v" else made


class _Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class _Centred(nn.Module):
    """Takes from what it is given the mean over the rows that come with it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, vector, planes):
        return self.inner(vector - vector.mean(0), planes)


class _Mixing(FastConditionals):
    def __init__(self, name: str) -> None:
        super().__init__(width=2, hidden=8)
        object.__setattr__(self, "name", name)

    def conditional(self, target, others):
        made = super().conditional(target, others)
        if target.name == self.name:
            part = "body" if hasattr(made, "body") else "decoder"
            setattr(made, part, _Centred(getattr(made, part)))
        return made


@pytest.mark.parametrize("name", SCENE.names)
def test_networks_by_which_one_row_changes_what_is_said_of_another_are_refused(name):
    with pytest.raises(PrivacyError, match="networks of _Mixing cannot learn privately: what they say of a row"):
        Conditionals(SCENE, architecture=_Mixing(name), privacy=Privacy(1.0), plan=PLAN)
    assert Conditionals(SCENE, architecture=_Mixing(name)).privacy is None


def test_models_tell_their_budget():
    budget = Privacy(2.0, 1e-6, seed=5)
    for make, _ in MODELS.values():
        model = make(budget)
        assert model.privacy == budget
        model.lift_privacy()
        assert model.privacy is make().privacy is make(Privacy(np.inf)).privacy is None


def test_networks_without_losses_of_single_rows_are_refused():
    with pytest.raises(PrivacyError, match="the network of 'v' is a _Wrapped and cannot learn privately"):
        Conditionals(SCENE, architecture=_Odd(width=2, hidden=8), privacy=Privacy(1.0), plan=PLAN)


def test_a_plain_loss_that_is_lost_is_still_told():
    model = flow(rate=1e30)
    with pytest.raises(LossError):
        model.learn([Source(points(40), 1.0, own=True)], np.random.default_rng(0))


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_networks_learn_with_the_noise_of_their_budgets_seed(kind):
    make, rows = MODELS[kind]
    found = []
    for seed in (0, 0, 1):
        model = make(Privacy(5.0, noise=2.0, seed=seed))
        model.learn([Source(rows(40), 1.0, own=True)], np.random.default_rng(7))
        found.append(np.concatenate([values.ravel() for values in model.state()["module"].values()]))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_row_of_which_no_class_can_be_told_is_not_seen_from_outside():
    """A value beyond float32 becomes infinite, and the shares of its class no numbers."""
    values = np.zeros((40, 2))
    values[0] = 1e60
    model = scene(Privacy(100.0, noise=3.0), batch=40)
    space = Space(tuple(v for v in SCENE if v.name == "v"))
    with np.errstate(over="ignore"):
        model.learn([Source(space.batch({"v": values}), 1.0, own=True)], np.random.default_rng(0))
    assert model.privacy_spent().epsilon > 0
    assert all(np.isfinite(weights).all() for weights in model.state()["module"].values())
