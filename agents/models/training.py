"""What all torch models share: device, threads, random numbers, guarded gradient steps, and states without pickle."""

__all__ = [
    "ArchitectureError",
    "LossError",
    "MemoryLimitError",
    "Trainer",
    "as_arrays",
    "choose_device",
    "draw_classes",
    "initial_weights",
    "load_arrays",
    "torch_stream",
    "use_threads",
]

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from ..protocols import State


class LossError(RuntimeError):
    """A loss, or a parameter after it, was not finite. The model is as it was before the call that raised this.

    Not `BatchError`: the rows were in order.
    """


class MemoryLimitError(RuntimeError):
    """The device has too little memory for a step; the text says what to reduce.

    Not `MemoryError`, which is Python's own and says nothing about the device.
    """


class ArchitectureError(ValueError):
    """A state belongs to a model with other networks than this one.

    Not `CheckpointError`: the file could be read.
    """


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes a CUDA device where there is one, else the CPU.

    Raises:
        ValueError: torch knows no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"device is {name!r}, which cannot be used here ({reason}); expected auto, cpu or cuda"
        ) from None
    return device


def use_threads(count: int) -> None:
    """Sets the threads of one operation on the CPU, for this process.

    With one thread a player's results do not depend on the machine, and players share cores by running side by side,
    which is faster than sharing the rows of one small step.

    Raises:
        ValueError: less than 1.
    """
    if count < 1:
        raise ValueError(f"threads is {count}, expected at least 1")
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def torch_stream(rng: np.random.Generator, device: torch.device) -> torch.Generator:
    """A torch generator seeded by one draw from `rng`; torch's global generator is never used."""
    return torch.Generator(device).manual_seed(int(rng.integers(2**63)))


def draw_classes(shares: Tensor, stream: torch.Generator) -> Tensor:
    """One class a row, `[n]`, from shares `[n, k]`.

    A row whose shares are not finite draws any class: its loss is not finite either, which whoever learns from it sees.
    That drawing failed would tell of one row of many.
    """
    known = shares.isfinite().all(1, keepdim=True)
    return torch.multinomial(torch.where(known, shares, torch.ones_like(shares)), 1, generator=stream)[:, 0]


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Within it, networks that are made on the CPU take their initial weights from the seed.

    Layers of torch draw from its global generator and take no other. It is seeded for as long as the block lasts, then
    put back, so that nobody else sees a change.

    >>> with initial_weights(3):
    ...     first = nn.Linear(2, 2)
    >>> with initial_weights(3):
    ...     second = nn.Linear(2, 2)
    >>> bool((first.weight == second.weight).all())
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device, which is not put back
        yield


def as_arrays(module: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Parameters and buffers of a module as copies, name → array."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def load_arrays(module: nn.Module, arrays: Mapping[str, Any]) -> None:
    """Fills a module with what `as_arrays` gave.

    Raises:
        ArchitectureError: names or shapes differ; the first differences are named.
    """
    own = module.state_dict()
    odd = [f"{name} is missing" for name in own if name not in arrays]
    odd += [f"{name} is unknown" for name in arrays if name not in own]
    odd += [
        f"{name} has shape {np.shape(arrays[name])}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in arrays and np.shape(arrays[name]) != tuple(tensor.shape)
    ]
    if odd:
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise ArchitectureError(
            f"the state is that of another architecture: {'; '.join(odd[:3])}{more}; make the model as it was saved"
        )
    module.load_state_dict({name: torch.as_tensor(np.array(array)) for name, array in arrays.items()})


@final
class Trainer:
    """Adam around a module: guarded steps, and a state of plain arrays.

    Arguments:
        module: what is trained.
        rate: Adam's step size.
        decay: steps after which it has halved (it falls like 1/t); None for a constant one.

    Source: Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2015.
    """

    def __init__(self, module: nn.Module, rate: float, decay: float | None = None) -> None:
        self.module = module
        self._rate, self._decay = rate, decay
        self.steps = 0
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(self._parameters, lr=rate, foreach=True)

    def take(self, losses: Callable[[int], Tensor | Iterator[Tensor]], steps: int) -> float:
        """Takes gradient steps on `losses(k)`, k = 0 … steps − 1.

        A loss may come in parts that sum to it. Each part's graph is let go before the next one is made. What makes
        the parts may add to the gradients itself (see `PrivateSteps`).

        Returns:
            The mean loss.

        Raises:
            LossError: a loss or a parameter was not finite; module and optimiser are as before the call.
            MemoryLimitError: the device ran out of memory; module and optimiser are as before the call.
        """
        before = copy.deepcopy((self.module.state_dict(), self._optimizer.state_dict()))
        total = torch.zeros((), device=self._parameters[0].device)
        try:
            for k in range(steps):
                self._set_rate(self.steps + k)
                self._optimizer.zero_grad()
                found = losses(k)
                for loss in [found] if isinstance(found, Tensor) else found:
                    loss.backward()  # type: ignore[no-untyped-call]
                    total += loss.detach()
                self._optimizer.step()
            mean = float(total) / max(steps, 1)
        except Exception as error:
            self._restore(before)
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise MemoryLimitError(
                    "memory ran out during a gradient step; reduce the minibatch (model batch), the widths of the "
                    "networks, or the number of players a machine"
                ) from error
            if not np.isfinite(float(total)):  # what follows from a loss that is not finite raises many things
                raise self._lost(f"the loss became {float(total)}", steps) from error
            raise
        # A gradient that is not finite spoils the weights of the last step, whose own loss was still in order.
        spoilt = not all(bool(p.isfinite().all()) for p in self._parameters)
        if spoilt or not np.isfinite(mean):
            self._restore(before)
            what = f"the loss became {mean}" if not np.isfinite(mean) else "a parameter became infinite or NaN"
            raise self._lost(what, steps)
        self.steps += steps
        return mean

    def state(self) -> State:
        """Parameters, Adam's moments and the number of steps."""
        slots = self._optimizer.state
        return {
            "module": as_arrays(self.module),
            "steps": self.steps,
            "moments": [
                {key: value.detach().cpu().numpy().copy() for key, value in slots[p].items()} if p in slots else None
                for p in self._parameters
            ],
        }

    def load(self, state: State) -> None:
        """Continues exactly as the trainer whose `state()` this is.

        Raises:
            ArchitectureError: the state is that of a module with other networks.
        """
        if len(state["moments"]) != len(self._parameters):
            raise ArchitectureError(
                f"the state is that of another architecture: it holds moments of {len(state['moments'])} parameters, "
                f"expected {len(self._parameters)}; make the model as it was saved"
            )
        load_arrays(self.module, state["module"])
        self.steps = int(state["steps"])
        self._optimizer.state.clear()
        for parameter, moments in zip(self._parameters, state["moments"], strict=True):
            if moments is not None:
                self._optimizer.state[parameter] = {
                    # Adam counts its steps on the CPU, whatever the device of the moments
                    key: torch.as_tensor(np.array(value)).to("cpu" if key == "step" else parameter.device)
                    for key, value in moments.items()
                }

    def _set_rate(self, step: int) -> None:
        if self._decay is not None:
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate / (1 + step / self._decay)

    def _lost(self, what: str, steps: int) -> LossError:
        return LossError(
            f"{what} within {steps} steps after step {self.steps}; the model is as it was before "
            "them; reduce the learning rate, or look at the rows it learns from"
        )

    def _restore(self, before: tuple[Any, Any]) -> None:
        self.module.load_state_dict(before[0])
        self._optimizer.load_state_dict(before[1])
