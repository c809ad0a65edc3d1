"""A network's private gradient: of each row alone, clipped, summed, with noise; and the budget that pays for it."""

__all__ = ["PrivateSteps", "RowLosses", "private_steps", "require_rows_apart", "require_same_privacy", "three_rows"]

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ...games import Batch, Privacy, PrivacyError, Space
from ..ledger import Ledger, PrivacyPlan
from ..private_minibatches import PrivateMinibatches, digest
from ..protocols import Source, State
from .training import Trainer, initial_weights, torch_stream

Rows: TypeAlias = Mapping[str, Tensor]
"""Tensors by name, the first axis of each being that of the rows."""

_Networks = TypeVar("_Networks", bound=nn.Module)

_ROOM, _MOST = 2**23, 128
"""Numbers that gradients of rows may take at a time, and rows."""

_NEAR = 0.02
"""Standard deviation by which weights are moved where networks are tried."""


class RowLosses(NamedTuple):
    """Rows, and what they teach one part of the networks.

    Arguments:
        part: position of the part.
        loss: of rows, `[n]`, each made of this row alone.
        rows: which.
    """

    part: int
    loss: Callable[[Rows], Tensor]
    rows: Rows


@final
class PrivateSteps:
    """DP-SGD: Σ_i g_i · min(1, C / ‖g_i‖) + N(0, σ²C² I), over B.

    g_i is the gradient of the loss of row i alone, and B the expected number of rows, so that what depends on a private
    row has norm C at most. Networks of K parts that have losses of their own are clipped each at C/√K, so that none
    drowns the others. A row whose gradient is not finite counts as one that teaches nothing: that a step failed would
    tell of it. Without rows there is noise alone.

    Arguments:
        module: whose parameters learn.
        parts: beginnings of the names of the parameters of each part; those of no part depend on no private row.
        privacy: the budget; `clip` is C, 1 if it is None.
        schedule: (q, steps) as planned; None where the noise is given.

    Raises:
        PrivacyError: a layer mixes rows; what `Ledger` says; or the extra `privacy` is not installed.

    Sources: Abadi et al., *Deep Learning with Differential Privacy*, 2016; McMahan et al., *A General Approach to
    Adding Differential Privacy to Iterative Training Procedures*, 2018, for the parts; the library Opacus.
    """

    def __init__(
        self,
        module: nn.Module,
        parts: Sequence[tuple[str, ...]],
        privacy: Privacy,
        schedule: Sequence[tuple[float, int]] | None,
    ) -> None:
        self._opacus = _opacus()
        _require_known_layers(module, self._opacus)
        self.privacy, self.ledger = privacy, Ledger(privacy, schedule)
        self._module, self._clip = module, 1.0 if privacy.clip is None else privacy.clip
        known = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._parts = [{name: p for name, p in known.items() if name.startswith(part)} for part in parts]
        self._digests: list[tuple[Batch, bytes]] = []

    def streams(
        self, filled: PrivateMinibatches, steps: int, rng: np.random.Generator, device: torch.device
    ) -> tuple[np.random.Generator, torch.Generator]:
        """The random numbers of one call of `learn`: coins of minibatches, and all others, noise among them.

        They follow from the seed of the budget, from ε, δ, C, σ, q, B and the number of steps, from all rows and their
        weights, and from one draw of `rng`. What is learned with another budget or from other rows has other noise even
        if all seeds are the same, as two gradients with the same noise would together give both away.

        Arguments:
            filled: how minibatches are filled.
            steps: how many are wanted.
            rng: the player's.
            device: of the noise.
        """
        own = self.privacy
        known = [own.epsilon, own.delta, self._clip, self.ledger.noise, filled.rate, filled.size, steps]
        words = np.array(known + [s.weight for s in filled.sources], np.float64).view(np.uint64).tolist()
        drawn = int(rng.integers(2**63))
        seeds = np.random.SeedSequence([own.seed, drawn, *words, *self._words(filled.sources)])
        coins = np.random.default_rng(seeds)
        return coins, torch_stream(coins, device)

    def _words(self, sources: Sequence[Source]) -> list[int]:
        """Digests of all rows; of those of the call before as they were."""
        before = {id(batch): found for batch, found in self._digests}
        self._digests = [(s.batch, before.get(id(s.batch)) or digest(s.batch)) for s in sources]
        return [word for _, found in self._digests for word in np.frombuffer(found, np.uint64).tolist()]

    def take(
        self,
        trainer: Trainer,
        filled: PrivateMinibatches,
        steps: int,
        rng: np.random.Generator,
        stream: torch.Generator,
        losses: Callable[[list[NDArray[np.int64]]], tuple[Iterable[Tensor], Iterable[RowLosses]]],
    ) -> None:
        """Takes as many of the steps as the budget pays for; they are paid for before, and never given back.

        Arguments:
            trainer: takes them.
            filled: how minibatches are filled.
            steps: how many are wanted.
            rng: of the minibatches.
            stream: of the noise.
            losses: of a minibatch, by the positions of its rows in each source: those that no private row has a part
                in, and those of single rows, which sum to B times what is to be learned.

        Raises:
            LossError, MemoryLimitError: as `Trainer.take`.
        """
        steps = self.ledger.affordable(filled.rate, steps)
        if steps == 0:
            return
        self.ledger.spend(filled.rate, steps)
        picks = filled.picks(steps, rng)

        def of(k: int) -> Iterator[Tensor]:
            public, private = losses(picks[k])
            yield from public
            self.add(private, filled.size, stream)

        trainer.take(of, steps)

    def add(self, losses: Iterable[RowLosses], size: int, stream: torch.Generator) -> None:
        """Adds the private gradient to what the parameters' gradients are already.

        Arguments:
            losses: of single rows.
            size: B, which must be public.
            stream: of the noise.
        """
        pots = [self._pot(list(part.values()), size, stream) for part in self._parts]
        public = [{name: p.grad for name, p in part.items()} for part in self._parts]
        for number, loss, rows in losses:
            for samples in self._of_rows(self._parts[number], loss, rows):
                _throw_in(pots[number], samples, last=False)
        for pot, part, before in zip(pots, self._parts, public, strict=True):
            _throw_in(pot, [p.new_zeros((0, *p.shape)) for p in part.values()], last=True)
            for name, p in part.items():
                known = before[name]
                if known is not None and p.grad is not None:
                    p.grad += known
                p.grad_sample = p.summed_grad = None  # type: ignore[attr-defined]

    def _pot(self, parameters: list[nn.Parameter], size: int, stream: torch.Generator) -> Any:
        """What clips, sums, noises and divides: Opacus's optimiser, whose step is not taken, but the trainer's."""
        share = math.sqrt(len(self._parts))
        return self._opacus.DPOptimizer(
            torch.optim.SGD(parameters),
            noise_multiplier=self.ledger.noise * share,
            max_grad_norm=self._clip / share,
            expected_batch_size=size,
            generator=stream,
        )

    def _of_rows(
        self, part: Mapping[str, nn.Parameter], loss: Callable[[Rows], Tensor], rows: Rows
    ) -> Iterator[list[Tensor]]:
        """The gradient of each row's own loss, `[n, *shape]` for each parameter, some rows at a time."""
        held = {f"module.{name}": p.detach() for name, p in part.items()}
        around = _Loss(self._module, loss)

        def of_one(parameters: dict[str, Tensor], row: dict[str, Tensor]) -> Tensor:
            alone: Tensor = functional_call(around, parameters, ({name: v[None] for name, v in row.items()},))
            return alone.sum()

        of_rows = vmap(grad(of_one), in_dims=(None, 0))
        chunk = max(1, min(_MOST, _ROOM // sum(p.numel() for p in part.values())))
        for at in range(0, len(next(iter(rows.values()))), chunk):
            chosen = {name: values[at : at + chunk] for name, values in rows.items()}
            found = list(of_rows(held, chosen).values())
            finite = torch.stack([g.reshape(len(g), -1).sum(1).isfinite() for g in found]).all(0)
            yield found if bool(finite.all()) else [_kept(g, finite) for g in found]


def private_steps(
    module: nn.Module,
    parts: Sequence[tuple[str, ...]],
    privacy: Privacy | None,
    plan: PrivacyPlan | None,
    batch: int,
    steps: int,
) -> PrivateSteps | None:
    """The private steps of a model whose budget is finite; None for one that has no privacy.

    Arguments:
        plan: how much will be learned; None where the noise is given.
        batch: rows of a minibatch.
        steps: gradient steps of a call of `learn`.

    The others, and Raises, as `PrivateSteps`.
    """
    if privacy is None or math.isinf(privacy.epsilon):
        return None
    return PrivateSteps(module, parts, privacy, None if plan is None else plan.schedule(batch, steps))


def require_same_privacy(private: PrivateSteps | None, state: State) -> None:
    """Refuses the state of a model with privacy for one without, and the other way round.

    Raises:
        PrivacyError: it is.
    """
    if (private is not None) != ("privacy" in state):
        there, here = ("without", "with") if private is not None else ("with", "without")
        raise PrivacyError(f"the state is that of a model {there} privacy, but this one is {here}; make it as it was")


def require_rows_apart(
    networks: _Networks,
    losses: Callable[[_Networks, dict[str, Tensor]], Iterable[Tensor]],
    rows: Rows,
    architecture: object,
) -> None:
    """Refuses networks by which one row changes what is said of another: a private row could then do anything.

    What is missing in rows is completed many rows at a time. That of two rows the second one is exchanged must not
    change the loss of the first. Tried with weights near the initial ones, as weights of 0 would hide it.

    Arguments:
        networks: all that rows go through.
        losses: of two rows, by networks like these: `[2]` each.
        rows: three, see `three_rows`.
        architecture: what made the networks.

    Raises:
        PrivacyError: the architecture is named.
    """
    tried = copy.deepcopy(networks)
    found = []
    with torch.no_grad():
        stream = torch.Generator().manual_seed(0)
        for p in tried.parameters():
            p.add_(_NEAR * torch.randn(p.shape, generator=stream).to(p.device))
        for second in (1, 2):
            with initial_weights(0):  # whatever a network draws is the same both times
                chosen = {name: values[[0, second]] for name, values in rows.items()}
                found.append([loss[0] for loss in losses(tried, chosen)])
    if not all(torch.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True) for a, b in zip(*found, strict=True)):
        raise PrivacyError(
            f"networks of {type(architecture).__name__} cannot learn privately: what they say of a row changes with "
            "the other rows beside it; take an architecture that keeps rows apart"
        )


def three_rows(space: Space) -> Batch:
    """Three rows over all variables, each value 0 or 1, the last two differing in every one that can be another."""
    rng = np.random.default_rng(0)
    bits = {v.name: rng.integers(2, size=(2, *v.shape)) for v in space}
    three = {name: np.stack([first, second, 1 - second]) for name, (first, second) in bits.items()}
    return space.batch({v.name: np.minimum(three[v.name], (v.categories or 2) - 1).astype(v.dtype) for v in space})


class _Loss(nn.Module):
    """A loss as a module around the networks that it is of, as `functional_call` wants it."""

    def __init__(self, module: nn.Module, loss: Callable[[Rows], Tensor]) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, rows: Rows) -> Tensor:
        return self._loss(rows)


def _throw_in(pot: Any, samples: Iterable[Tensor], *, last: bool) -> None:
    """Hands gradients of rows over to be clipped and summed; after the last ones noise is added, and divided by B."""
    for p, sample in zip(pot.params, samples, strict=True):
        p.grad_sample = sample
    pot.signal_skip_step(do_skip=not last)
    pot.pre_step()


def _kept(gradients: Tensor, finite: Tensor) -> Tensor:
    """Zeros for rows whose gradient is not finite."""
    return torch.where(finite.view(-1, *[1] * (gradients.dim() - 1)), gradients, torch.zeros_like(gradients))


def _require_known_layers(module: nn.Module, opacus: Any) -> None:
    errors = opacus.ModuleValidator.validate(module, strict=False)
    if errors:
        raise PrivacyError(
            f"a network of this model cannot learn privately: {str(errors[0]).strip()}; take an architecture whose "
            "layers keep rows apart, such as GroupNorm in place of BatchNorm"
        )


class _Opacus(NamedTuple):
    """What of Opacus is used."""

    DPOptimizer: Any
    ModuleValidator: Any


def _opacus() -> _Opacus:
    """Opacus, imported only by networks with privacy."""
    try:
        from opacus.optimizers import DPOptimizer
        from opacus.validators import ModuleValidator
    except ModuleNotFoundError as error:
        raise PrivacyError(
            f"privacy of a network needs the extra 'privacy', and {error.name} is not installed: "
            "pip install 'nashgossip[privacy]', or make install-dev in a checkout"
        ) from None
    return _Opacus(DPOptimizer, ModuleValidator)
