"""A normalising flow as a player: an exact log-density over real variables, learned by gradient steps."""

__all__ = ["FlowModel"]

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ...games import Batch, Privacy, PrivacyError, Space
from ..ledger import PrivacyPlan
from ..minibatches import minibatches
from ..private_minibatches import private_minibatches
from ..protocols import Source, State
from ..real_rows import from_matrix, require_real, to_matrix
from .budgeted import Budgeted
from .private_steps import PrivateSteps, RowLosses, private_steps, require_same_privacy
from .training import Trainer, choose_device, initial_weights, torch_stream, use_threads

_CHUNK = 2000
"""Rows that pass through the networks at a time."""


@final
class FlowModel(Budgeted):
    """A neural spline flow with coupling layers: x = m + s · f⁻¹(z), z standard normal, f learned.

    log p(x) = log N(f((x − m)/s); 0, I) + log |det ∂f/∂x| − Σ log s. A call of `learn` takes `steps` steps of Adam
    towards the maximum of Σ_k α_k E log p, each on a minibatch that is filled from the sources in proportion to α.

    Arguments:
        space: real variables without bounds only; a row is their values, flattened and joined, `[d]`.
        transforms: coupling layers; each moves half of the values given the other half, and d = 1 needs no more
            than one.
        hidden: widths of the hidden layers of each coupling's network.
        bins: pieces of a spline.
        batch: rows of a minibatch.
        steps: gradient steps of a call of `learn`.
        rate: Adam's step size.
        scaling: (m, s), numbers or `[d]`, with s > 0; None takes the mean and the standard deviation of the first
            rows learned from, and keeps them. Splines bend within five s of m alone. Give them for a game in which
            others send values that the private rows do not have.
        seed: of the initial weights.
        device: `auto`, `cpu`, `cuda`, …
        threads: of one operation on the CPU.
        privacy: budget of the rows that come as the player's own, which then teach through `PrivateSteps` alone; None
            for no privacy. `scaling` must be given: that of the rows would tell of them.
        plan: how much will be learned, by which the noise is chosen; None where `privacy` gives it.

    Raises:
        SpaceError: a variable that is not real, or that has bounds.
        PrivacyError: privacy without `scaling`, or what `PrivateSteps` says.
        ValueError: an option of another size, or a device that is not there.

    Sources: Durkan, Bekasov, Murray & Papamakarios, *Neural Spline Flows*, 2019; the networks are those of the
    library zuko.

    >>> from nashgossip.games import Variable
    >>> space = Space((Variable("x", "real", (2,)),))
    >>> model = FlowModel(space, steps=100, rate=5e-3)
    >>> rows = space.batch({"x": np.random.default_rng(0).normal([3.0, -1.0], [1.0, 0.1], (500, 2))})
    >>> model.learn([Source(rows, 1.0)], np.random.default_rng(1))
    >>> model.generate(1000, np.random.default_rng(2))["x"].mean(axis=0).round().tolist()
    [3.0, -1.0]
    """

    def __init__(
        self,
        space: Space,
        *,
        transforms: int = 3,
        hidden: Sequence[int] = (64, 64),
        bins: int = 8,
        batch: int = 128,
        steps: int = 100,
        rate: float = 1e-3,
        scaling: tuple[ArrayLike, ArrayLike] | None = None,
        seed: int = 0,
        device: str = "auto",
        threads: int = 1,
        privacy: Privacy | None = None,
        plan: PrivacyPlan | None = None,
    ) -> None:
        require_real(space, "a flow")
        counts = {"transforms": transforms, "bins": bins, "batch": batch, "steps": steps, "threads": threads}
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate is {rate}, expected a finite step size above 0")
        self._space = space
        self._batch, self._steps, self._threads = batch, steps, threads
        self._device = choose_device(device)
        size = sum(int(np.prod(v.shape, dtype=int)) for v in space)
        with initial_weights(seed):
            self._network = _ScaledFlow(size, transforms, tuple(hidden), bins)
        if scaling is not None:
            self._network.scale_by(*scaling)
        self._network.to(self._device)
        self._trainer = Trainer(self._network, rate)
        self._private = private_steps(self._network, [("flow.",)], privacy, plan, batch, steps)
        if self._private is not None and scaling is None:
            raise PrivacyError(
                "a flow with a budget of privacy came without `scaling`, and that of its rows would tell of them; give "
                "mean and standard deviation of what is expected"
            )

    @property
    def space(self) -> Space:
        """The variables."""
        return self._space

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Takes `steps` gradient steps; with privacy only as many as the budget pays for.

        Raises:
            LossError: a loss was not finite; the model is as it was.
            SpaceError: a source lacks a variable of the space.
            MemoryLimitError: the device ran out of memory; the model is as it was.
        """
        use_threads(self._threads)
        rows = [to_matrix(self._space, source.batch) for source in sources]
        scaled = self._network.is_scaled
        tables = [torch.as_tensor(r, dtype=torch.float32, device=self._device) for r in rows]
        if self._private is not None and any(source.own for source in sources):
            self._learn_privately(self._private, sources, tables, rng)
            return
        plan = minibatches(sources, self._batch, self._steps, rng)

        def loss(k: int) -> Tensor:
            if k == 0 and not scaled:  # within the guarded steps: should they fail, this is taken back as well
                self._network.scale_by(*_moments(rows, [s.weight for s in sources]))
            chosen = zip(tables, next(plan), strict=True)
            mini = torch.cat([t[torch.as_tensor(positions, device=self._device)] for t, positions in chosen])
            return -self._network.log_density(mini).mean()

        self._trainer.take(loss, self._steps)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n rows of the flow.

        Raises:
            ValueError: nothing was learned yet, and `scaling` is not given either.
        """
        self._require_scaled()
        use_threads(self._threads)
        noise = torch_stream(rng, self._device)
        made = [np.empty((0, self._network.size))]
        with torch.no_grad():
            for start in range(0, n, _CHUNK):
                shape = (min(_CHUNK, n - start), self._network.size)
                z = torch.randn(shape, generator=noise, device=self._device)
                made.append(self._network.rows(z).cpu().numpy().astype(np.float64))
        return from_matrix(self._space, np.concatenate(made))

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p of each row, in nats: `[n]`.

        Raises:
            ValueError: nothing was learned yet, and `scaling` is not given either.
        """
        self._require_scaled()
        use_threads(self._threads)
        rows = torch.as_tensor(to_matrix(self._space, batch), dtype=torch.float32, device=self._device)
        with torch.no_grad():
            parts = [self._network.log_density(rows[k : k + _CHUNK]) for k in range(0, max(len(rows), 1), _CHUNK)]
        density: NDArray[np.float64] = torch.cat(parts).cpu().numpy().astype(np.float64)
        return density

    def state(self) -> State:
        """Weights, scaling and Adam's moments, and with privacy what is spent."""
        return {**self._trainer.state(), **self._ledger_state()}

    def load(self, state: State) -> None:
        """Continues exactly as the model whose `state()` this is.

        Raises:
            ArchitectureError: the state is that of a flow of another size.
            PrivacyError: one of them has privacy, the other has not.
        """
        require_same_privacy(self._private, state)
        self._trainer.load(state)
        if self._private is not None:
            self._private.ledger.load(state["privacy"])

    def _learn_privately(
        self, private: PrivateSteps, sources: Sequence[Source], tables: Sequence[Tensor], rng: np.random.Generator
    ) -> None:
        filled = private_minibatches(sources, self._batch)
        coins, stream = private.streams(filled, self._steps, rng, self._device)

        def losses(picks: Sequence[NDArray[np.int64]]) -> tuple[tuple[()], list[RowLosses]]:
            chosen = zip(tables, picks, strict=True)
            mini = torch.cat([t[torch.as_tensor(positions, device=self._device)] for t, positions in chosen])
            return (), [RowLosses(0, lambda rows: -self._network.log_density(rows["x"]), {"x": mini})]

        private.take(self._trainer, filled, self._steps, coins, stream, losses)

    def _require_scaled(self) -> None:
        if not self._network.is_scaled:
            raise ValueError(
                "this flow has not learned yet; a player without data starts when it has heard somebody, "
                "or give the flow `scaling`"
            )


class _ScaledFlow(nn.Module):
    """zuko's flow behind a fixed affine map; a scale of 0 stands for one that is not known yet."""

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int, transforms: int, hidden: tuple[int, ...], bins: int) -> None:
        from zuko.flows import NSF

        super().__init__()
        self.size = size
        self.flow: Any = NSF(size, transforms=transforms, bins=bins, hidden_features=hidden, passes=2)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.zeros(size))

    @property
    def is_scaled(self) -> bool:
        return bool(torch.all(self.scale > 0))

    def scale_by(self, mean: ArrayLike, scale: ArrayLike) -> None:
        for name, given in {"mean": mean, "scale": scale}.items():
            values = np.asarray(given, np.float64)
            if values.shape not in ((), (self.size,)) or not np.isfinite(values).all():
                raise ValueError(
                    f"{name} of the scaling has shape {values.shape}, expected finite numbers, one or [{self.size}]"
                )
            getattr(self, name)[:] = torch.as_tensor(values, dtype=torch.float32)
        if not self.is_scaled:
            raise ValueError(f"scale is {np.min(scale)} at least, expected above 0")

    def log_density(self, rows: Tensor) -> Tensor:
        """`[n, d]` → `[n]`."""
        inner: Tensor = self.flow().log_prob((rows - self.mean) / self.scale)
        return inner - self.scale.log().sum()

    def rows(self, z: Tensor) -> Tensor:
        """The rows, `[n, d]`, that the flow takes to z."""
        inner: Tensor = self.flow().transform.inv(z)
        return self.mean + self.scale * inner


def _moments(
    rows: Sequence[NDArray[np.float64]], weights: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the mixture of the sources, `[d]` each; 1 for a value that never changes."""
    mean = np.sum([w * r.mean(axis=0) for w, r in zip(weights, rows, strict=True)], axis=0)
    square = np.sum([w * ((r - mean) ** 2).mean(axis=0) for w, r in zip(weights, rows, strict=True)], axis=0)
    spread = np.sqrt(square)
    return mean, np.where(spread > 0, spread, 1.0)
