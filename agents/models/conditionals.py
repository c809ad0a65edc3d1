"""One network per variable given the others, for any mix of classes, bits, vectors and images; Gibbs completion."""

__all__ = ["Conditionals"]

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...games import Batch, Privacy, Space, SpaceError
from ..ledger import PrivacyPlan
from ..minibatches import minibatches
from ..private_minibatches import private_minibatches
from ..protocols import Source, State
from .budgeted import Budgeted
from .conditional_architectures import ConditionalArchitecture, FastConditionals
from .conditional_inputs import Rows, joined
from .conditional_spaces import arranged, class_label, inner_values, outer_values, planes_first
from .gibbs import Gibbs
from .private_conditionals import PrivateConditionals, all_row_losses, require_row_conditionals
from .private_steps import PrivateSteps, private_steps, require_rows_apart, require_same_privacy, three_rows
from .training import Trainer, choose_device, initial_weights, torch_stream, use_threads


@final
class Conditionals(Budgeted):
    """p(v | all other variables) for every variable v, each a network of its own (a dependency network).

    One step: a minibatch is filled from the sources in proportion to their weights. What a row lacks is completed by
    Gibbs sweeps; then every network takes a gradient step on the rows in which its own variable was given, with the
    completed values of the others as inputs. A network never learns from a target that it has drawn itself and that
    nothing has answered to since: of completed values only those of latents count, and of these only where another
    missing variable was drawn after them. As nobody observes latents, a model that has some also generates rows, from
    which their networks alone learn, as the encoder does in symmetric equilibrium learning.

    A start fills in what is missing in the order of `space` (classes and vectors, latents, images), each variable from
    the same networks, which in training see only a random part of the others in a share `hide` of the rows. The sweeps
    that follow go in the same order. `generate` starts from nothing and makes `sweeps` sweeps; it keeps no chain.

    There is no joint density: networks that were learned apart need not be the conditionals of one, and the Gibbs
    sampler defines what the model generates.

    Arguments:
        variables: classes (`categorical`), bits and real values without bounds. Bits and real values of two dimensions
            are images (rows, columns), of three (channels, rows, columns) or (rows, columns, channels) with 1, 3 or 4
            channels. Real values should be of about unit size, pixels in [0, 1].
        latents: name → number of bits that no data source observes.
        label: the variable that `class_probabilities` tells, a scalar categorical one; None: the first of them.
        architecture: makes the networks.
        publish_latents: whether latents may travel to players who have the same ones.
        learns: `all`, or the `classifier` p(label | what the row holds) alone, for comparison.
        batch: rows of a minibatch.
        steps: gradient steps of a call of `learn`.
        rate: Adam's step size.
        decay: gradient steps after which the step size has halved (it falls like 1/t); None for a constant one.
        sweeps: Gibbs sweeps over what is missing, after the start.
        class_sweeps: sweeps over which `class_probabilities` averages.
        hide: share of rows in which a network sees only a part of the other variables.
        pixel_noise: whether real images that `generate` and `complete` return have the noise of their pixels, or are
            the decoder's means. Those that the networks learn from have it.
        chunk: rows that go through the networks at a time.
        seed: of the weights before learning.
        device: `auto`, `cpu` or `cuda`.
        threads: threads of one operation on the CPU.
        privacy: budget of the rows that come as the player's own, which then teach through `PrivateSteps` alone; None
            for no privacy.
        plan: how much will be learned, by which the noise is chosen; None where `privacy` gives it.

    Raises:
        SpaceError: variables that the model cannot have.
        PrivacyError: see `PrivateSteps`.
        ValueError: a number out of range.

    Source: Heckerman et al., *Dependency Networks for Inference, Collaborative Filtering, and Data Visualization*,
    2000; Schlesinger & Flach, *Game-theoretic distributed learning of generative models for heterogeneous data
    collections*, 2025, experiment C; for the hidden inputs Ivanov, Figurnov & Vetrov, *Variational Autoencoder with
    Arbitrary Conditioning*, 2019.

    >>> from nashgossip.games import Variable
    >>> model = Conditionals(Space((Variable("c", "categorical", categories=3), Variable("s", "binary", (8, 8)))))
    >>> only_s = Space((Variable("s", "binary", (8, 8)),)).batch({"s": np.zeros((2, 8, 8), int)})
    >>> model.complete(only_s, np.random.default_rng(0)).space.names, model.class_probabilities(only_s).shape
    (('c', 's'), (2, 3))
    """

    def __init__(
        self,
        variables: Space,
        latents: Mapping[str, int] | None = None,
        *,
        label: str | None = None,
        architecture: ConditionalArchitecture | None = None,
        publish_latents: bool = True,
        learns: Literal["all", "classifier"] = "all",
        batch: int = 100,
        steps: int = 20,
        rate: float = 1e-3,
        decay: float | None = None,
        sweeps: int = 10,
        class_sweeps: int = 100,
        hide: float = 0.5,
        pixel_noise: bool = True,
        chunk: int = 250,
        seed: int = 0,
        device: str = "auto",
        threads: int = 1,
        privacy: Privacy | None = None,
        plan: PrivacyPlan | None = None,
    ) -> None:
        for name, value in {"batch": batch, "steps": steps, "class_sweeps": class_sweeps, "chunk": chunk}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if sweeps < 0 or not 0 <= hide <= 1:
            raise ValueError(f"sweeps is {sweeps} and hide {hide}, expected at least 0, and a share from 0 to 1")
        if learns not in ("all", "classifier"):
            raise ValueError(f"learns is {learns!r}, expected 'all' or 'classifier'")
        self._space = arranged(variables, latents or {}, publish_latents)
        self._label = class_label(self._space, label)
        if learns == "classifier" and self._label is None:
            raise SpaceError("a model that learns its classifier alone needs a scalar categorical variable")
        self._has_latents = bool(latents)
        self._learns, self._batch, self._steps = learns, batch, steps
        self._sweeps, self._class_sweeps, self._hide, self._chunk = sweeps, class_sweeps, hide, chunk
        self._pixel_noise, self._threads = pixel_noise, threads
        use_threads(threads)
        self._device = choose_device(device)
        with initial_weights(seed):
            inner = [planes_first(v) for v in self._space]
            self._net = Gibbs(inner, list(latents or {}), architecture or FastConditionals())
        self._net.to(self._device)
        self._trainer = Trainer(self._net, rate, decay)
        taught = [self._label] if learns == "classifier" and self._label is not None else self._net.names
        self._private = private_steps(self._net, self._net.parts(taught), privacy, plan, batch, steps)
        if self._private is not None:
            require_row_conditionals(self._net)
            rows = self._tensors(three_rows(self._space), slice(None))
            require_rows_apart(self._net, all_row_losses, rows, architecture or FastConditionals())

    @property
    def space(self) -> Space:
        """Classes and vectors, latents, and images, in this order."""
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

        self._trainer.take(lambda k: self._losses(self._groups(sources, picks[k]), stream), self._steps)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n rows: a start from nothing, then `sweeps` Gibbs sweeps over all variables."""
        return self._completed(None, n, rng)

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The rows with what they lack drawn by Gibbs sweeps; what is given is kept."""
        return self._completed(batch, len(batch), rng)

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """Mean of p(label | the others) over `class_sweeps` Gibbs sweeps with the rows clamped: `[n, classes]`.

        A label in the rows is not looked at. Where nothing else is missing one evaluation is exact. Its random numbers
        are always the same ones.

        Raises:
            SpaceError: the model has no label.
        """
        if self._label is None:
            raise SpaceError("this model has no label, and tells no classes apart")
        use_threads(self._threads)
        stream = torch.Generator(self._device).manual_seed(0)
        rows = self._tensors(batch, slice(None))
        with torch.inference_mode():
            if self._learns == "classifier":
                found = self._net.told_alone(rows, self._label, len(batch), stream, self._chunk)
            else:
                found = self._net.class_shares(rows, self._label, len(batch), stream, self._class_sweeps, self._chunk)
        shares: NDArray[np.float64] = found.double().cpu().numpy()
        return shares

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
        filled = private_minibatches(sources, self._batch)
        coins, stream = private.streams(filled, self._steps, rng, self._device)
        losses = PrivateConditionals(
            self._net,
            filled,
            lambda picks: self._groups(sources, picks),
            label=self._label if self._learns == "classifier" else None,
            dreamt=self._batch if self._has_latents else 0,
            sweeps=self._sweeps,
            hide=self._hide,
            chunk=self._chunk,
            stream=stream,
        )
        private.take(self._trainer, filled, self._steps, coins, stream, losses)

    def _losses(self, groups: list[Rows], stream: torch.Generator) -> Iterator[Tensor]:
        net, chunk = self._net, self._chunk
        if self._learns == "classifier" and self._label is not None:
            yield from net.label_losses(self._label, groups, stream, chunk)
            return
        with torch.no_grad():
            whole = [
                (net.taught(rows), net.complete(rows, len(next(iter(rows.values()))), stream, self._sweeps, chunk))
                for rows in groups
            ]
            if self._has_latents:
                whole.append((net.taught(()), net.complete({}, self._batch, stream, self._sweeps, chunk)))
        for name in net.names:
            teaching = [rows for taught, rows in whole if name in taught]
            if teaching:
                yield from net.losses(name, teaching, self._hide, stream, chunk)

    def _groups(self, sources: Sequence[Source], picks: Sequence[NDArray[np.int64]]) -> list[Rows]:
        """The rows picked of each source; those over the same variables together."""
        found: dict[tuple[str, ...], list[Rows]] = {}
        for source, pick in zip(sources, picks, strict=True):
            if len(pick):
                rows = self._tensors(source.batch, pick)
                found.setdefault(tuple(sorted(rows)), []).append(rows)
        return [joined(groups) for groups in found.values()]

    def _completed(self, given: Batch | None, n: int, rng: np.random.Generator) -> Batch:
        use_threads(self._threads)
        stream = torch_stream(rng, self._device)
        if n == 0:
            return self._space.empty()
        rows = {} if given is None else self._tensors(given, slice(None))
        with torch.inference_mode():
            whole = self._net.complete(rows, n, stream, self._sweeps, self._chunk, noise=self._pixel_noise)
        kept = {} if given is None else given.arrays  # exactly, where networks have fewer digits
        return self._space.batch(
            {v.name: kept[v.name] if v.name in kept else outer_values(v, whole[v.name]) for v in self._space}
        )

    def _tensors(self, batch: Batch, pick: NDArray[np.int64] | slice) -> Rows:
        """The rows as the networks take them; variables that the model does not have are left out."""
        return {
            v.name: inner_values(v, batch[v.name][pick], self._device) for v in batch.space if v.name in self._space
        }
