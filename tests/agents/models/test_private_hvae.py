"""Hierarchical VAEs with a budget: what one row can do, when learning ends, and who can be told from whom."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nashgossip.agents import HasPrivacy, LiftsPrivacy, Player, PrivacyPlan, Source, check_model
from nashgossip.agents.inspection import estimate_regret
from nashgossip.agents.models import HVAE, Fast
from nashgossip.agents.models.private_hierarchy import PrivateHierarchy
from nashgossip.agents.private_minibatches import private_minibatches
from nashgossip.games import Batch, Privacy, PrivacyError, Space, SpaceError, Variable

IMAGE = Variable("x", "binary", (6, 6))
LABEL = Variable("c", "categorical", categories=3)
PLAN = PrivacyPlan(60, ((1.0, 1), (0.5, 3)))


def small(privacy: Privacy | None = None, plan: PrivacyPlan | None = PLAN, **options: Any) -> HVAE:
    settings: dict[str, Any] = {"label": LABEL, "architecture": Fast(16), "rate": 5e-3, "batch": 20, "steps": 3}
    return HVAE(IMAGE, {"z0": 3, "z1": 4}, privacy=privacy, plan=plan, **(settings | options))


def whole_rows(model: HVAE, n: int, seed: int = 0) -> Batch:
    return model.generate(n, np.random.default_rng(seed))


def own_rows(n: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Space((LABEL, IMAGE)).batch({"c": rng.integers(3, size=n), "x": rng.integers(2, size=(n, 6, 6))})


def mixture(seed: int = 0) -> list[Source]:
    return [Source(own_rows(60, seed), 0.5, own=True), Source(own_rows(200, seed + 1), 0.5)]


def arrays(model: HVAE) -> dict[str, np.ndarray]:
    return dict(model.state()["module"])


def same(first: HVAE, second: HVAE) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(first).values(), arrays(second).values(), strict=True))


# --- a budget --------------------------------------------------------------------------------------------------


def test_it_keeps_the_contract_of_models():
    check_model(lambda: small(Privacy(50.0), PrivacyPlan(100, ((1.0, 300),)), batch=40, steps=4, rate=2e-2))
    assert isinstance(small(Privacy(1.0)), HasPrivacy)
    assert isinstance(small(Privacy(1.0)), LiftsPrivacy)


def test_an_infinite_epsilon_is_bit_for_bit_no_privacy():
    plain, infinite, private = small(), small(Privacy(math.inf)), small(Privacy(1.0))
    for model in (plain, infinite, private):
        model.learn(mixture(), np.random.default_rng(0))
    assert same(plain, infinite)
    assert not same(plain, private)
    assert plain.state().keys() == infinite.state().keys()
    assert infinite.privacy_spent() is plain.privacy_spent() is None


def test_learning_ends_with_the_budget_and_generating_does_not():
    model, rng = small(Privacy(2.0)), np.random.default_rng(0)
    assert model.privacy_spent().epsilon == 0.0
    model.learn([Source(own_rows(60), 1.0, own=True)], rng)
    spent = [model.privacy_spent().epsilon]
    for _ in range(3):
        model.learn(mixture(), rng)
        spent.append(model.privacy_spent().epsilon)
    assert 0 < spent[0] < spent[1] < spent[2] < spent[3] <= 2.0
    assert model.privacy_spent().exhausted
    assert model.steps == 12
    before = model.state()
    model.learn(mixture(), rng)
    assert model.steps == 12
    assert all(np.array_equal(before["module"][name], values) for name, values in arrays(model).items())
    assert len(model.generate(5, rng)) == 5
    assert model.privacy_spent().epsilon == spent[3]


def test_rows_of_others_cost_nothing_even_when_all_is_spent():
    model, rng = small(Privacy(2.0), PrivacyPlan(60, ((1.0, 1),))), np.random.default_rng(0)
    model.learn([Source(own_rows(60), 1.0, own=True)], rng)
    spent = model.privacy_spent()
    assert spent.exhausted
    model.learn([Source(own_rows(60), 1.0)], rng)
    assert model.steps == 6
    assert model.privacy_spent() == spent


def test_it_goes_on_from_its_state_with_what_is_spent():
    first, second = small(Privacy(2.0)), small(Privacy(2.0), seed=9)
    first.learn(mixture(), np.random.default_rng(0))
    second.load(first.state())
    for model in (first, second):
        for seed in range(9):
            model.learn(mixture(), np.random.default_rng(seed))
    assert same(first, second)
    assert first.privacy_spent() == second.privacy_spent()
    assert first.privacy_spent().exhausted
    with pytest.raises(PrivacyError, match="make it as it was"):
        small().load(first.state())


def test_the_laboratorys_clone_is_neither_stopped_nor_paid_for_by_the_player():
    def make() -> HVAE:
        return small(Privacy(2.0), PrivacyPlan(60, ((1.0, 1),)), rate=2e-2)

    model, rng = make(), np.random.default_rng(0)
    space = Space((LABEL, IMAGE))
    blank = space.batch({"c": np.zeros(60, int), "x": np.zeros((60, 6, 6), int)})
    model.learn([Source(blank, 1.0, own=True)], rng)
    spent, clones = model.privacy_spent(), []
    sources = [Source(blank, 0.5, own=True), Source(own_rows(200), 0.5)]
    found = estimate_regret(model, lambda: clones.append(make()) or clones[-1], sources, blank, steps=5, rng=rng)
    assert found is not None
    assert found.gain > 3 * found.error
    assert clones[0].steps == model.steps + 15
    assert model.privacy_spent() == spent


@pytest.mark.parametrize("privacy", [None, Privacy(2.0)])
def test_a_player_taken_back_never_draws_the_same_noise_again(privacy):
    def player() -> Player:
        alone: dict[str, Any] = {"self_weight": 1.0, "neighbours": {}, "listeners": {}}
        return Player("a", small(privacy), data=own_rows(60), samples=5, seed=0, index=0, **alone)

    first, again = player(), player()
    first.open()
    again.load(first.state())
    again.number_from(1 << 32)
    first.move()
    again.move()
    assert same(first.model, again.model) == (privacy is None)


# --- what one row can do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("learns", ["all", "classifier"])
@pytest.mark.parametrize("clip", [0.5, 3.0])
def test_a_row_moves_the_gradient_by_no_more_than_its_share_of_the_bound(clip, learns):
    """Rows with all variables, so that nothing is drawn and the rest stays as it is."""
    model = small(Privacy(1.0, clip=clip, noise=1e-9), None, learns=learns)
    sources = [Source(whole_rows(model, 60), 0.5, own=True), Source(own_rows(200), 0.5)]
    filled = private_minibatches(sources, 20)
    heard = np.arange(10)
    found = []
    for own in (np.arange(8), np.arange(9), np.arange(0)):
        gradient = private_gradient(model, filled, [own, heard])
        found.append(gradient)
    moved = {name: found[1][name] - found[0][name] for name in found[0]}
    far = math.sqrt(sum(float(m.square().sum()) for m in moved.values()))
    assert 0 < far <= clip / 20 * (1 + 1e-4)
    assert all((moved[name] == 0).all() for name in moved if name.startswith("up."))
    assert any(bool((found[2][name] != 0).any()) for name in found[2])


def private_gradient(model: HVAE, filled: Any, picks: list[Any]) -> dict[str, torch.Tensor]:
    """Of one minibatch, as `learn` has it before a step, noise apart; the same random numbers each time."""
    stream = torch.Generator().manual_seed(0)
    net = model._net
    losses = PrivateHierarchy(
        net,
        filled,
        lambda chosen, p: [g for k in chosen for g in model._groups([filled.sources[k]], [p[k]], stream)],
        told=("c", "x"),
        everything=model._learns == "all",
        batch=20,
        chunk=50,
        sweeps=0,
        stream=stream,
    )
    net.zero_grad()
    public, private = losses(picks)
    for loss in public:
        loss.backward()
    model._private.add(private, filled.size, stream)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in net.named_parameters()}


def test_noise_reaches_all_that_private_rows_teach_and_nothing_else():
    loud, model = small(Privacy(1.0, noise=1e4), None), small()
    loud._net.zero_grad()
    loud._private.add([], 20, torch.Generator().manual_seed(0))
    noisy = {name for name, p in loud._net.named_parameters() if p.grad is not None}
    net = model._net
    net.zero_grad()
    groups = [{name: torch.as_tensor(values[:5]) for name, values in whole_rows(model, 5).arrays.items()}]
    rows = [{n: v.long() if n == "c" else v.float() for n, v in g.items()} for g in groups]
    for loss in [*net.decoder_losses(rows, 9), *net.label_losses(rows, 9)]:
        loss.backward()
    taught = {name for name, p in net.named_parameters() if p.grad is not None}
    assert noisy == taught
    assert not any(name.startswith("up.") for name in noisy)


# --- told from whom --------------------------------------------------------------------------------------------


def membership(privacy: Privacy | None, seed: int) -> float:
    """log p of one odd row, less the mean of rows like it that were not learned, in standard deviations of theirs."""
    rng = np.random.default_rng(seed)
    odd = rng.integers(2, size=(41, 6, 6))
    model = HVAE(
        IMAGE,
        {"z0": 4, "z1": 8},
        architecture=Fast(64),
        batch=12,
        steps=120,
        rate=1e-2,
        privacy=privacy,
        plan=PrivacyPlan(12, ((1.0, 1),)),
    )
    space = Space((IMAGE,))
    learned = np.concatenate([odd[:1], np.zeros((11, 6, 6), int)])
    model.learn([Source(space.batch({"x": learned}), 1.0, own=True)], rng)
    densities = model.log_density(space.batch({"x": odd}))
    return float((densities[0] - densities[1:].mean()) / densities[1:].std())


def test_without_privacy_a_row_is_told_by_its_density_and_with_it_not():
    assert membership(None, 0) > 4  # one in 3000, were it as the 40 others
    assert abs(membership(Privacy(1.0, delta=1e-3), 0)) < 4


def test_real_pixels_and_a_learned_prior_are_learned_privately_too():
    image = Variable("x", "real", (6, 6))
    options = {"label": LABEL, "class_prior": "learned", "architecture": Fast(16), "corruption": 0.1}
    model = HVAE(image, {"z": 3}, batch=20, steps=2, rate=1e-2, privacy=Privacy(3.0), plan=PLAN, **options)
    batch = Space((LABEL, image)).batch({"c": own_rows(60)["c"], "x": np.random.default_rng(0).random((60, 6, 6))})
    before = arrays(model)
    model.learn([Source(batch, 1.0, own=True)], np.random.default_rng(0))
    assert all(not np.array_equal(before[name], values) for name, values in arrays(model).items())


# --- refusals --------------------------------------------------------------------------------------------------


class _Mixing(Fast):
    def latent(self, given: int, size: int) -> nn.Module:
        return nn.Sequential(nn.Linear(given, 8), nn.BatchNorm1d(8), nn.Linear(8, size))


def test_networks_that_mix_rows_are_refused():
    with pytest.raises(PrivacyError, match="BatchNorm"):
        small(Privacy(1.0), architecture=_Mixing(16))


def test_a_budget_needs_noise_or_a_plan():
    with pytest.raises(PrivacyError, match="without noise and without a plan"):
        small(Privacy(1.0), None)


def test_a_classifier_alone_needs_labels_with_privacy_too():
    model = small(Privacy(1.0), learns="classifier")
    rows = Space((IMAGE,)).batch({"x": np.zeros((5, 6, 6), int)})
    with pytest.raises(SpaceError, match="no source holds the label"):
        model.learn([Source(rows, 1.0, own=True)], np.random.default_rng(0))


@pytest.mark.parametrize("learns", ["all", "classifier"])
def test_rows_that_lack_variables_teach_what_they_hold(learns):
    model = small(Privacy(5.0), learns=learns)
    images = Space((IMAGE,)).batch({"x": own_rows(40)["x"]})
    classes = Space((LABEL,)).batch({"c": own_rows(30)["c"]})
    both = own_rows(20)
    sources = [Source(both, 0.2, own=True), Source(images, 0.4, own=True), Source(classes, 0.4)]
    before = arrays(model)
    model.learn(sources, np.random.default_rng(0))
    changed = {name.split(".")[0] for name, values in arrays(model).items() if not np.array_equal(values, before[name])}
    assert changed == ({"prior", "down", "pixels", "up", "labels"} if learns == "all" else {"labels"})


def test_a_row_of_which_no_class_can_be_told_is_not_seen_from_outside() -> None:
    """A pixel beyond float32 becomes infinite, and the shares of its class no numbers."""
    image = Variable("x", "real", (6, 6))
    pixels = np.zeros((40, 6, 6))
    pixels[0] = 1e60
    model = HVAE(image, {"z": 4}, label=LABEL, architecture=Fast(8), batch=40, privacy=Privacy(100.0, noise=3.0))
    with np.errstate(over="ignore"):
        own = Source(Space((image,)).batch({"x": pixels}), 1.0, own=True)
        model.learn([own], np.random.default_rng(0))
    assert model.privacy_spent().epsilon > 0
    assert all(np.isfinite(weights).all() for weights in model.state()["module"].values())


class _Centred(nn.Module):
    """A network whose numbers have the mean 0 over the rows that come together."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *given: Any) -> Any:
        found = self.inner(*given)
        return found - found.mean(0)


class _Meddling:
    """Fast networks, one of which mixes rows, before and after its weights are anything but 0."""

    def __init__(self, which: str) -> None:
        self._which, self._fast = which, Fast(8)

    def __getattr__(self, name: str) -> Any:
        make = getattr(self._fast, name)
        return (lambda *given, **options: _Centred(make(*given, **options))) if name == self._which else make


@pytest.mark.parametrize("which", ["latent", "image", "encoder", "classifier"])
def test_networks_by_which_one_row_changes_what_is_said_of_another_are_refused(which: str) -> None:
    with pytest.raises(PrivacyError, match="networks of _Meddling cannot learn privately: what they say of a row"):
        small(Privacy(1.0), architecture=_Meddling(which))
    assert small(None, architecture=_Meddling(which)).privacy is None
    assert small(Privacy(1.0)).privacy == Privacy(1.0)
