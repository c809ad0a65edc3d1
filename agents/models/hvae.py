"""Hierarchical VAE with binary latents, with or without a class, by symmetric equilibrium learning."""

__all__ = ["HVAE"]

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...games import Batch, Privacy, Space, SpaceError, Variable
from ..ledger import PrivacyPlan
from ..minibatches import minibatches
from ..private_minibatches import private_minibatches
from ..protocols import Source, State
from .architectures import Architecture, Fast
from .budgeted import Budgeted
from .hierarchy import Hierarchy, Rows, joined
from .private_hierarchy import PrivateHierarchy
from .private_steps import PrivateSteps, private_steps, require_rows_apart, require_same_privacy, three_rows
from .training import Trainer, choose_device, initial_weights, torch_stream, use_threads

_CHUNK = 2000


@final
class HVAE(Budgeted):
    """A decoder and an encoder, as two players.

    p is p(c) p(z_0) Π_k p(z_k | c, z_<k) p(x | c, z), and q is q(c | x) Π_k q(z_k | z_>k, x, c). The decoder ascends
    E_{π q} log p(c, z, x), the encoder E_p log q(c, z | x). One step: a minibatch is filled from the sources in
    proportion to their weights, what a row lacks is drawn from the encoder, and the decoder takes a gradient step on
    these rows; the encoder takes one on rows that the decoder generates, and on those of the minibatch that came with
    what it has to predict (labels of real rows; labels and latents of synthetic ones). For q(c | x) as many generated
    rows count as the player has of its own in the minibatch. The encoder never learns from a value that it has drawn
    itself. There is no reparametrisation, so that latents can be discrete.

    Arguments:
        image: the variable x, `(rows, columns)`; binary with Bernoulli pixels, or real and unbounded with Gaussian
            ones of one learned σ.
        latents: z_0, z_1, …, from the top to the image: name → number of bits.
        label: the variable c, a scalar categorical one; None for a model without classes.
        class_prior: p(c), `uniform` or `learned`. Neighbours that share the class alone teach p(c) alone.
        architecture: makes the networks.
        publish_latents: whether latents may travel to players who have the same ones.
        learns: `all`, or the `classifier` q(c | x) alone, for comparison.
        batch: rows of a minibatch.
        steps: gradient steps of a call of `learn`.
        rate: Adam's step size.
        decay: gradient steps after which the step size has halved (it falls like 1/t); None for a constant one.
        corruption: of real rows, each time they are used: the probability with which a binary pixel flips, or the
            standard deviation of what is added to a real one.
        importance: draws of the latents in `log_density`.
        sweeps: of `complete`, where what is given lies on the far side of what is missing: further draws proposed.
        chunk: rows that go through the networks at a time; a minibatch is cut into such parts, whose gradients are
            added, so that on a CPU the activations of a stack of convolutions stay in the cache.
        seed: of the weights before learning.
        device: `auto`, `cpu` or `cuda`.
        threads: threads of one operation on the CPU.
        privacy: budget of the rows that come as the player's own, which then teach the decoder and q(c | x) through
            `PrivateSteps` alone; None for no privacy.
        plan: how much will be learned, by which the noise is chosen; None where `privacy` gives it.

    Raises:
        SpaceError: variables of a kind or shape that the model cannot have.
        PrivacyError: see `PrivateSteps`.
        ValueError: a number out of range, or images of a size that the architecture does not take.

    Source: Flach, Schlesinger & Shekhovtsov, *Symmetric Equilibrium Learning of VAEs*, 2024.

    >>> model = HVAE(Variable("x", "binary", (8, 8)), {"z0": 8, "z1": 16}, architecture=Fast(width=32))
    >>> model.generate(3, np.random.default_rng(0))["x"].shape
    (3, 8, 8)
    """

    def __init__(
        self,
        image: Variable,
        latents: Mapping[str, int],
        *,
        label: Variable | None = None,
        class_prior: Literal["uniform", "learned"] = "uniform",
        architecture: Architecture | None = None,
        publish_latents: bool = True,
        learns: Literal["all", "classifier"] = "all",
        batch: int = 100,
        steps: int = 20,
        rate: float = 1e-3,
        decay: float | None = None,
        corruption: float = 0.0,
        importance: int = 32,
        sweeps: int = 0,
        chunk: int = 125,
        seed: int = 0,
        device: str = "auto",
        threads: int = 1,
        privacy: Privacy | None = None,
        plan: PrivacyPlan | None = None,
    ) -> None:
        _require(image, latents, label)
        if class_prior not in ("uniform", "learned"):
            raise ValueError(f"class_prior is {class_prior!r}, expected 'uniform' or 'learned'")
        if learns == "classifier" and label is None:
            raise SpaceError("a model that learns its classifier alone needs a label")
        for name, value in {"batch": batch, "steps": steps, "importance": importance, "chunk": chunk}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if not 0 <= corruption < (0.5 if image.kind == "binary" else np.inf):
            raise ValueError(f"corruption is {corruption}, expected at least 0, and below 0.5 for binary pixels")
        hidden = [Variable(name, "binary", (bits,), publish=publish_latents) for name, bits in latents.items()]
        self._space = Space(tuple(([label] if label is not None else []) + hidden + [image]))
        self._image, self._label = image.name, None if label is None else label.name
        self._batch, self._steps = batch, steps
        self._corruption, self._importance, self._learns, self._chunk = corruption, importance, learns, chunk
        if sweeps < 0:
            raise ValueError(f"sweeps is {sweeps}, expected at least 0")
        self._threads, self._sweeps = threads, sweeps
        use_threads(threads)
        self._device = choose_device(device)
        with initial_weights(seed):
            self._net = Hierarchy(
                image, dict(latents), label, architecture or Fast(), learned_shares=class_prior == "learned"
            )
        self._net.to(self._device)
        self._trainer = Trainer(self._net, rate, decay)
        decoder, classifier = ("prior.", "down.", "pixels.", "shares", "log_sigma"), ("labels.",)
        parts = [*([decoder] if learns == "all" else []), *([classifier] if label is not None else [])]
        self._private = private_steps(self._net, parts, privacy, plan, batch, steps)
        if self._private is not None:
            rows = self._tensors(three_rows(self._space), slice(None))
            require_rows_apart(self._net, Hierarchy.row_losses, rows, architecture or Fast())

    @property
    def space(self) -> Space:
        """Label, latents and image, in this order."""
        return self._space

    @property
    def steps(self) -> int:
        """Gradient steps taken so far."""
        return self._trainer.steps

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """Takes gradient steps on minibatches from the sources, which may lack variables.

        With privacy only as many as the budget pays for: none once it is spent, and the model stays as it is.

        Raises:
            SpaceError: the classifier alone learns, and no row has a label.
            LossError: a loss was not finite; the model is as before.
            MemoryLimitError: memory ran out; the model is as before.
        """
        if self._learns == "classifier" and not any(self._label in s.batch.space for s in sources):
            raise SpaceError(f"only the classifier learns, but no source holds the label {self._label!r}")
        use_threads(self._threads)
        if self._private is not None and any(source.own for source in sources):
            self._learn_privately(self._private, sources, rng)
            return
        stream = torch_stream(rng, self._device)
        picks = list(minibatches(sources, self._batch, self._steps, rng))

        def losses(k: int) -> Iterator[Tensor]:
            own = sum(len(pick) for source, pick in zip(sources, picks[k], strict=True) if source.own)
            return self._losses(self._groups(sources, picks[k], stream), own, stream)

        self._trainer.take(losses, self._steps)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n rows: a class, latents and an image each, from the top down."""
        use_threads(self._threads)
        stream = torch_stream(rng, self._device)
        with torch.inference_mode():
            return self._batches([self._net.generate(n, stream, self._chunk)] if n else [])

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The rows with what they lack drawn by the model itself.

        Where there is an image the encoder draws the rest, from the image upwards, without regard to latents given
        above; where there is none the decoder does, from the top downwards, without regard to latents given below.
        Where there are such, `sweeps` further draws r' are proposed, and each row takes one in place of its own r with
        probability min(1, w(r') / w(r)), w = p(all) / density of the draw: p(missing | given) is where this settles,
        the sooner the nearer the draws come to it. Values that are given are kept.

        Source: Tierney, *Markov Chains for Exploring Posterior Distributions*, 1994 (the independence sampler).
        """
        use_threads(self._threads)
        stream = torch_stream(rng, self._device)
        with torch.inference_mode():
            whole = self._batches(
                [self._net.complete(rows, stream, self._chunk, self._sweeps) for rows in self._chunks(batch)]
            )
        return self._space.batch({**whole.arrays, **batch.arrays})  # as given, not as rounded to float32

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """An estimate of log p of what the rows hold, in nats: `[n]`.

        log 1/K Σ_k p(c, z_k, x) / q(z_k | x), z_k drawn by the encoder: on average a lower bound that rises to log p(x)
        with K = `importance`. Its random numbers are always the same ones, so that two models are compared with
        common ones. Exact where no variable is missing.

        Source: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders*, 2016.
        """
        use_threads(self._threads)
        stream = torch.Generator(self._device).manual_seed(0)
        missing = any(v.name not in batch.space for v in self._space)
        draws = self._importance if missing else 1
        found = []
        with torch.inference_mode():
            for rows in self._chunks(batch):
                weights = torch.stack([self._net.log_weight(rows, stream) for _ in range(draws)])
                found.append(torch.logsumexp(weights, 0) - float(np.log(draws)))
        density: NDArray[np.float64] = torch.cat(found).double().cpu().numpy()
        return density

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """q(c | x) of each row: `[n, classes]`.

        Raises:
            SpaceError: the model has no classes.
        """
        if self._label is None:
            raise SpaceError("this model has no label, and tells no classes apart")
        use_threads(self._threads)
        with torch.inference_mode():
            parts = [torch.softmax(self._net.class_logits(rows), dim=1) for rows in self._chunks(batch)]
        found: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
        return found

    def state(self) -> State:
        """Networks and optimiser, and with privacy what is spent."""
        return {**self._trainer.state(), **self._ledger_state()}

    def load(self, state: State) -> None:
        """Continues exactly as the model whose `state()` this is.

        Raises:
            ArchitectureError: it had other networks.
            PrivacyError: one of them has privacy, the other has not.
        """
        require_same_privacy(self._private, state)
        self._trainer.load(state)
        if self._private is not None:
            self._private.ledger.load(state["privacy"])

    def _learn_privately(self, private: PrivateSteps, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """The same steps, in which what depends on private rows is learned from noisy gradients alone."""
        filled = private_minibatches(sources, self._batch)
        coins, stream = private.streams(filled, self._steps, rng, self._device)
        losses = PrivateHierarchy(
            self._net,
            filled,
            lambda chosen, picks: self._groups([sources[k] for k in chosen], [picks[k] for k in chosen], stream),
            told=None if self._label is None else (self._label, self._image),
            everything=self._learns == "all",
            batch=self._batch,
            chunk=self._chunk,
            sweeps=self._sweeps,
            stream=stream,
        )
        private.take(self._trainer, filled, self._steps, coins, stream, losses)

    def _losses(self, groups: list[Rows], own: int, stream: torch.Generator) -> Iterator[Tensor]:
        net, chunk = self._net, self._chunk
        if self._learns == "classifier":
            yield from net.label_losses(groups, chunk)
            return
        with torch.no_grad():
            completed = [net.complete(rows, stream, chunk, self._sweeps) for rows in groups]
            given = sum(len(next(iter(rows.values()))) for rows in groups if net.holds_latents(rows))
            dreamt = net.generate(max(self._batch - given, 1), stream, chunk)
        yield from net.decoder_losses(completed, chunk)
        yield from net.encoder_losses([dreamt, *groups], chunk)
        as_own = {name: values[:own] for name, values in dreamt.items()}
        yield from net.label_losses([as_own, *groups], chunk)

    def _groups(
        self, sources: Sequence[Source], picks: Sequence[NDArray[np.int64]], stream: torch.Generator
    ) -> list[Rows]:
        """The rows picked of each source; those over the same variables together."""
        found: dict[tuple[str, ...], list[Rows]] = {}
        for source, pick in zip(sources, picks, strict=True):
            if len(pick):
                rows = self._tensors(source.batch, pick)
                if source.own and self._corruption and self._image in rows:
                    rows[self._image] = self._corrupted(rows[self._image], stream)
                found.setdefault(source.batch.space.names, []).append(rows)
        return [joined(groups) for groups in found.values()]

    def _corrupted(self, image: Tensor, stream: torch.Generator) -> Tensor:
        if self._net.log_sigma is None:
            flips = torch.rand(image.shape, generator=stream, device=self._device) < self._corruption
            return torch.where(flips, 1 - image, image)
        return image + self._corruption * torch.randn(image.shape, generator=stream, device=self._device)

    def _tensors(self, batch: Batch, pick: NDArray[np.int64] | slice) -> Rows:
        rows = {}
        for v in batch.space:
            values = torch.from_numpy(np.array(batch[v.name][pick])).to(self._device)
            rows[v.name] = values.to(torch.int64 if v.kind == "categorical" else torch.float32)
        return rows

    def _chunks(self, batch: Batch) -> list[Rows]:
        return [self._tensors(batch, slice(at, at + _CHUNK)) for at in range(0, len(batch), _CHUNK)]

    def _batches(self, parts: list[Rows]) -> Batch:
        if not parts:
            return self._space.empty()
        whole = joined(parts)
        return self._space.batch({v.name: whole[v.name].cpu().numpy().astype(v.dtype) for v in self._space})


def _require(image: Variable, latents: Mapping[str, int], label: Variable | None) -> None:
    if image.kind not in ("binary", "real") or len(image.shape) != 2:
        raise SpaceError(f"the image is {image}, expected a binary or real variable of shape (rows, columns)")
    if image.low is not None or image.high is not None:
        raise SpaceError(f"variable {image.name!r} has bounds, but Gaussian pixels know none; declare it without them")
    if not latents or any(bits < 1 for bits in latents.values()):
        raise SpaceError(f"latents are {dict(latents)}, expected at least one name with a number of bits above 0")
    if label is not None and (label.kind != "categorical" or label.shape):
        raise SpaceError(f"the label is {label}, expected a scalar categorical variable")
