"""Private gradients by hand: each row clipped, noise of the right size, and nothing of it told by how many came."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nashgossip.agents import PrivacyPlan, Source
from nashgossip.agents.models.private_steps import PrivateSteps, RowLosses, private_steps, require_same_privacy
from nashgossip.agents.models.training import LossError, Trainer
from nashgossip.agents.private_minibatches import private_minibatches
from nashgossip.games import Privacy, PrivacyError, Space, Variable

SILENT = 1e-9
"""A noise multiplier that is lost among the digits of a float."""


class Two(nn.Module):
    """Two vectors of parameters, each with a loss that is linear in it: the gradient of a row is the row."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(size))

    def to_left(self, rows: dict[str, Tensor]) -> Tensor:
        return rows["x"] @ self.left

    def to_right(self, rows: dict[str, Tensor]) -> Tensor:
        return rows["x"] @ self.right


def steps_of(module: nn.Module, *, clip: float = 1.0, noise: float = SILENT, parts=(("left",),)) -> PrivateSteps:
    return PrivateSteps(module, parts, Privacy(1.0, clip=clip, noise=noise), None)


def added(steps, losses, size, seed=0):
    steps.add(losses, size, torch.Generator().manual_seed(seed))


def test_rows_are_clipped_one_by_one_summed_and_divided_by_what_was_expected():
    module = Two()
    rows = torch.tensor([[3.0, 4.0], [0.3, -0.4], [0.0, -20.0]])
    added(steps_of(module), [RowLosses(0, module.to_left, {"x": rows})], 10)
    assert module.left.grad is not None
    # [0.6, 0.8] + [0.3, -0.4] + [0, -1], over 10 and not over 3
    assert module.left.grad.tolist() == pytest.approx([0.09, -0.06], abs=1e-6)
    assert module.right.grad is None


def test_rows_of_several_groups_and_chunks_count_alike():
    whole, apart = Two(5), Two(5)
    rows = torch.randn((180, 5), generator=torch.Generator().manual_seed(1))
    added(steps_of(whole), [RowLosses(0, whole.to_left, {"x": rows})], 7)
    added(steps_of(apart), [RowLosses(0, apart.to_left, {"x": part}) for part in rows.split([1, 50, 129])], 7)
    assert torch.allclose(whole.left.grad, apart.left.grad, atol=1e-6)
    by_hand = (rows * (1 / rows.norm(dim=1, keepdim=True)).clamp(max=1)).sum(0) / 7
    assert torch.allclose(whole.left.grad, by_hand, atol=1e-5)


def test_each_of_two_parts_is_clipped_so_that_both_together_keep_the_bound():
    module = Two()
    rows = {"x": torch.tensor([[30.0, 40.0]])}
    parts = (("left",), ("right",))
    losses = [RowLosses(0, module.to_left, rows), RowLosses(1, module.to_right, rows)]
    added(steps_of(module, clip=2.0, parts=parts), losses, 1)
    both = torch.cat([module.left.grad, module.right.grad])
    assert both.norm().item() == pytest.approx(2.0, rel=1e-5)
    assert module.left.grad.norm().item() == pytest.approx(2.0 / math.sqrt(2), rel=1e-5)


@pytest.mark.parametrize("parts", [(("left",),), (("left",), ("right",))])
@pytest.mark.parametrize("rows", [0, 3])
def test_where_nothing_is_to_be_learned_the_step_is_noise_of_sigma_c_over_b(parts, rows):
    module = Two(20_000)
    zeros = {"x": torch.zeros((rows, 20_000))}
    added(steps_of(module, clip=0.5, noise=3.0, parts=parts), [RowLosses(0, module.to_left, zeros)] if rows else [], 10)
    for part in (module.left, module.right)[: len(parts)]:
        expected = 3.0 * 0.5 / 10
        assert abs(part.grad.mean().item()) < 4 * expected / math.sqrt(20_000)
        assert part.grad.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * 20_000))


def test_noise_comes_from_the_stream():
    grads = []
    for seed in (1, 1, 2):
        module = Two()
        added(steps_of(module, noise=1.0), [], 10, seed)
        grads.append(module.left.grad.tolist())
    assert grads[0] == grads[1] != grads[2]


def test_one_row_more_moves_the_sum_by_no_more_than_the_bound_however_large_it_is():
    rows = torch.randn((6, 4), generator=torch.Generator().manual_seed(0))
    for odd in (1e-3, 1.0, 1e6, math.inf, math.nan):
        changed = torch.cat([rows, torch.full((1, 4), odd)])
        found = []
        for some in (rows, changed):
            module = Two(4)
            added(steps_of(module, clip=0.7), [RowLosses(0, module.to_left, {"x": some})], 1)
            found.append(module.left.grad)
        assert (found[1] - found[0]).norm() <= 0.7 * (1 + 1e-5)
        assert bool((found[1] != found[0]).any()) == math.isfinite(odd)  # other rows teach nothing


def test_public_gradients_are_added_without_noise_and_unclipped():
    module = Two()
    module.left.grad = torch.tensor([5.0, -7.0])
    added(steps_of(module), [RowLosses(0, module.to_left, {"x": torch.tensor([[0.5, 0.0]])})], 1)
    assert module.left.grad.tolist() == pytest.approx([5.5, -7.0])


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)


def test_layers_that_mix_rows_are_refused():
    with pytest.raises(PrivacyError, match=r"cannot learn privately.*BatchNorm.*keep rows apart"):
        steps_of(Mixing())


def test_no_privacy_makes_no_private_steps():
    assert private_steps(Two(), [("left",)], None, None, 10, 1) is None
    assert private_steps(Two(), [("left",)], Privacy(math.inf), None, 10, 1) is None
    planned = private_steps(Two(), [("left",)], Privacy(1.0), PrivacyPlan(100, ((1.0, 3),)), 10, 2)
    assert planned is not None
    assert planned.ledger.affordable(0.1, 100) == 6
    with pytest.raises(PrivacyError, match="of a model without privacy, but this one is with"):
        require_same_privacy(planned, {})
    with pytest.raises(PrivacyError, match="of a model with privacy, but this one is without"):
        require_same_privacy(None, {"privacy": {}})


def test_steps_are_paid_for_before_and_end_with_the_budget():
    module = Two()
    space = Space((Variable("x", "real", (2,)),))
    batch = space.batch({"x": np.ones((50, 2))})
    filled = private_minibatches([Source(batch, 1.0, own=True)], 10)
    steps = private_steps(module, [("left",)], Privacy(1.0), PrivacyPlan(50, ((1.0, 1),)), 10, 7)
    trainer = Trainer(module, 0.1)
    table = torch.as_tensor(np.array(batch["x"], np.float32))

    def losses(picks):
        return (), [RowLosses(0, module.to_left, {"x": table[picks[0]]})] if len(picks[0]) else []

    def take():
        rng = np.random.default_rng(0)
        steps.take(trainer, filled, 5, rng, torch.Generator().manual_seed(0), losses)

    take()
    assert (trainer.steps, steps.ledger.steps) == (5, 5)
    take()
    assert (trainer.steps, steps.ledger.steps) == (7, 7)  # two of the five are paid for
    assert steps.ledger.spent().exhausted
    before = module.left.detach().clone()
    take()
    assert trainer.steps == 7
    assert torch.equal(module.left, before)


def test_what_a_lost_call_has_spent_stays_spent():
    module = Two()
    space = Space((Variable("x", "real", (2,)),))
    filled = private_minibatches([Source(space.batch({"x": np.ones((50, 2))}), 1.0, own=True)], 10)
    steps = steps_of(module, noise=2.0)
    broken = (torch.full((), math.nan, requires_grad=True) for _ in range(1))
    with pytest.raises(LossError):
        steps.take(
            Trainer(module, 0.1), filled, 1, np.random.default_rng(0), torch.Generator(), lambda picks: (broken, [])
        )
    assert steps.ledger.steps == 1
    assert steps.ledger.spent().epsilon > 0


ROWS = Space((Variable("x", "real", (2,)),)).batch({"x": np.ones((50, 2))})
OTHERS = Space((Variable("x", "real", (2,)),)).batch({"x": np.zeros((50, 2))})


BUDGET = Privacy(1.0, noise=2.0, seed=3)


def drawn(privacy=BUDGET, own=ROWS, weight=0.5, heard=OTHERS, seed=0, steps=3):
    """The first numbers of both streams."""
    sources = [Source(own, weight, own=True), Source(heard, 1 - weight)]
    made = PrivateSteps(Two(), [("left",)], privacy, None)
    coins, stream = made.streams(
        private_minibatches(sources, 10), steps, np.random.default_rng(seed), torch.device("cpu")
    )
    return (*coins.random(2).tolist(), *torch.randn(2, generator=stream).tolist())


@pytest.mark.parametrize(
    "change",
    [
        {"privacy": Privacy(1.0, noise=2.0, seed=4)},
        {"privacy": Privacy(1.1, noise=2.0, seed=3)},
        {"privacy": Privacy(1.0, 1e-6, noise=2.0, seed=3)},
        {"privacy": Privacy(1.0, noise=2.1, seed=3)},
        {"privacy": Privacy(1.0, noise=2.0, clip=0.5, seed=3)},
        {"own": OTHERS},
        {"heard": ROWS},
        {"weight": 0.4},
        {"seed": 1},
        {"steps": 4},
    ],
    ids=repr,
)
def test_what_differs_in_anything_has_other_coins_and_other_noise(change):
    first, other = drawn(), drawn(**change)
    assert first == drawn()
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_the_rows_of_the_call_before_are_not_read_again():
    made = steps_of(Two())
    sources = [Source(ROWS, 1.0, own=True)]
    first = made._words(sources)
    kept = made._digests[0][1]
    assert made._words(sources) == first
    assert made._digests[0][1] is kept
    assert made._words([Source(OTHERS, 1.0, own=True)]) != first
