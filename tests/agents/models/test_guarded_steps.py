"""Gradient steps that fail leave the model as it was, whatever it is that fails; weights come from their seed."""

import pytest
import torch
from torch import Tensor, nn

from nashgossip.agents.models import ArchitectureError, LossError, MemoryLimitError, Trainer
from nashgossip.agents.models.training import initial_weights


def line() -> nn.Linear:
    with initial_weights(0):
        return nn.Linear(2, 1)


def good(trainer: Trainer) -> Tensor:
    rows = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    return ((trainer.module(rows) - 5.0) ** 2).mean()


def frozen(trainer: Trainer) -> str:
    return repr(trainer.state())


@pytest.fixture
def trainer() -> Trainer:
    made = Trainer(line(), 0.01)
    made.take(lambda _: good(made), 5)
    return made


def test_steps_lower_the_loss(trainer: Trainer) -> None:
    first = trainer.take(lambda _: good(trainer), 1)
    trainer.take(lambda _: good(trainer), 50)
    assert trainer.take(lambda _: good(trainer), 1) < first
    assert trainer.steps == 57


def test_a_loss_that_is_not_finite_leaves_the_last_good_state(trainer: Trainer) -> None:
    before = frozen(trainer)
    with pytest.raises(LossError, match="the loss became nan within 4 steps after step 5; the model is as it was"):
        trainer.take(lambda k: good(trainer) * (float("nan") if k == 2 else 1.0), 4)
    assert frozen(trainer) == before


def test_a_gradient_that_is_not_finite_at_the_last_step_is_seen(trainer: Trainer) -> None:
    """The loss is finite, its derivative is not: √ at 0."""
    before = frozen(trainer)

    def rooted(_: int) -> Tensor:
        return trainer.module.weight.sub(trainer.module.weight.detach()).pow(2).sum().sqrt()

    with pytest.raises(LossError, match="a parameter became infinite or NaN within 1 steps after step 5"):
        trainer.take(rooted, 1)
    assert frozen(trainer) == before


@pytest.mark.parametrize("error", [ValueError, IndexError, RuntimeError])
def test_any_error_of_a_loss_leaves_the_last_good_state(error: type[Exception], trainer: Trainer) -> None:
    before = frozen(trainer)

    def fails(k: int) -> Tensor:
        if k == 2:
            raise error("a broken loss")
        return good(trainer)

    with pytest.raises(error, match="a broken loss"):
        trainer.take(fails, 4)
    assert frozen(trainer) == before


def test_an_error_that_follows_from_nan_is_called_by_its_cause(trainer: Trainer) -> None:
    before = frozen(trainer)

    def fails(k: int) -> Tensor:
        if k == 1:
            raise ValueError("expected real numbers, found NaN")  # as torch's distributions do
        return good(trainer) * float("nan")

    with pytest.raises(LossError, match="the loss became nan within 4 steps"):
        trainer.take(fails, 4)
    assert frozen(trainer) == before


def test_memory_that_runs_out_says_what_to_reduce(trainer: Trainer) -> None:
    before = frozen(trainer)

    def greedy(k: int) -> Tensor:
        if k == 1:
            torch.empty(2**60)  # an exabyte and more: refused at once
        return good(trainer)

    with pytest.raises(MemoryLimitError, match="memory ran out during a gradient step; reduce the minibatch"):
        trainer.take(greedy, 3)
    assert frozen(trainer) == before


def test_a_state_with_other_moments_is_refused_before_anything_is_changed(trainer: Trainer) -> None:
    before, state = frozen(trainer), Trainer(line(), 0.01).state()
    with pytest.raises(ArchitectureError, match="it holds moments of 1 parameters, expected 2; make the model"):
        trainer.load({**state, "moments": state["moments"][:1]})
    assert frozen(trainer) == before


def test_initial_weights_come_from_their_seed_and_disturb_nobody() -> None:
    before = torch.random.get_rng_state()
    first, again = line(), line()
    with initial_weights(1):
        other = nn.Linear(2, 1)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert torch.equal(before, torch.random.get_rng_state())
