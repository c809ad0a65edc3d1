"""The networks of a hierarchical VAE: generate from the top down, complete from the image upwards, and both losses."""

__all__ = ["Hierarchy", "Rows", "joined"]

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...games import Variable
from .architectures import Architecture
from .training import draw_classes

Rows: TypeAlias = dict[str, Tensor]
"""Variables by name: classes `[n]` whole numbers, latents `[n, bits]` and images `[n, rows, columns]` floating ones."""

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Hierarchy(nn.Module):
    """Decoder and encoder over named variables; see `HVAE` for what they model.

    Arguments:
        image: x.
        latents: name → bits, from the top to the image.
        label: c, or None.
        architecture: makes the networks.
        learned_shares: whether p(c) is learned; else it is uniform.
    """

    def __init__(
        self,
        image: Variable,
        latents: Mapping[str, int],
        label: Variable | None,
        architecture: Architecture,
        *,
        learned_shares: bool = False,
    ) -> None:
        super().__init__()
        self.latents = dict(latents)
        self._image, self._binary = image.name, image.kind == "binary"
        self._label = None if label is None else label.name
        self.classes = 0 if label is None else cast("int", label.categories)
        names, bits = list(self.latents), list(self.latents.values())
        shape = image.shape
        self.prior = architecture.prior(self.classes, bits[0])
        self.down = nn.ModuleDict(
            {name: architecture.latent(self.classes + sum(bits[:k]), bits[k]) for k, name in enumerate(names) if k > 0}
        )
        self.pixels = architecture.image(self.classes + sum(bits), shape)
        last = len(names) - 1
        self.up = nn.ModuleDict(
            {
                name: architecture.encoder(self.classes + sum(bits[k + 1 :]), bits[k], shape, lowest=k == last)
                for k, name in enumerate(names)
            }
        )
        self.labels = architecture.classifier(self.classes, shape) if self.classes else None
        self.shares = nn.Parameter(torch.zeros(self.classes)) if learned_shares and self.classes else None
        self.log_sigma = None if self._binary else nn.Parameter(torch.tensor(math.log(0.3)))

    def generate(self, n: int, stream: torch.Generator, chunk: int) -> Rows:
        """n rows, from the top down, `chunk` at a time."""
        return joined([self._fill_down({}, min(chunk, n - at), stream)[0] for at in range(0, n, chunk)])

    def complete(self, rows: Rows, stream: torch.Generator, chunk: int, sweeps: int = 0) -> Rows:
        """The rows with what they lack: drawn by the encoder where there is an image, else by the decoder.

        Where something is given on the far side of what is drawn, which this draw does not see, `sweeps` further draws
        are proposed, and each row takes or leaves them by Metropolis & Hastings' rule.
        """
        proposals = sweeps if self.is_given_beyond(rows) else 0
        return joined([self._settled(part, stream, proposals) for part in _cut(rows, chunk)])

    def is_given_beyond(self, rows: Rows) -> bool:
        """Whether the rows hold something that their completion is drawn without regard to.

        The encoder draws a latent from the image, the class and the latents below it: not from those above. The decoder
        draws class and latents from what is above them: not from latents below.
        """
        latents = list(self.latents)
        top_down = [*([self._label] if self._label is not None else []), *latents]
        drawing_order = top_down if self._image not in rows else [*top_down[: -len(latents)], *reversed(latents)]
        held = [name in rows for name in drawing_order]
        return any(not held[j] and any(held[j + 1 :]) for j in range(len(held)))

    def log_weight(self, rows: Rows, stream: torch.Generator) -> Tensor:
        """log p(all) − log of the density with which what was missing was drawn: `[n]`."""
        whole, drawn = self._complete(rows, stream)
        return self.log_joint(whole) - drawn

    def log_joint(self, rows: Rows) -> Tensor:
        """log p(c, z, x) of whole rows, in nats: `[n]`."""
        top = next(iter(self.latents))
        found = _log_bits(self._top_logits(rows, rows[top]), rows[top])
        if self.classes:
            found = found + self._log_shares(rows[self._label or ""])
        for name in self.down:
            found = found + _log_bits(self.down[name](self._above(rows, name)), rows[name])
        return found + self._log_pixels(self.pixels(self._above(rows, self._image)), rows[self._image])

    def decoder_losses(self, groups: Sequence[Rows], chunk: int) -> Iterator[Tensor]:
        """−mean log p(c, z, x) over whole rows, as parts over `chunk` rows each that sum to it."""
        rows = joined(groups)
        for part in _cut(rows, chunk):
            yield -self.log_joint(part).sum() / _length(rows)

    def row_label_losses(self, rows: Rows) -> Tensor:
        """−log q(c | x) of each row: `[n]`."""
        return functional.cross_entropy(self.class_logits(rows), rows[self._label or ""], reduction="none")

    def label_losses(self, groups: Sequence[Rows], chunk: int) -> Iterator[Tensor]:
        """−mean log q(c | x) over the rows that hold a class and an image, as parts over `chunk` rows each."""
        label = self._label
        taught = None if label is None else _holding(groups, [label, self._image])
        if label is None or taught is None:
            return
        for part in _cut(taught, chunk):
            found = functional.cross_entropy(self.class_logits(part), part[label], reduction="sum")
            yield found / _length(taught)

    def encoder_losses(self, groups: Sequence[Rows], chunk: int) -> Iterator[Tensor]:
        """−Σ over the latents of mean log q, each over the rows that hold its target and what it is given.

        Rows that lack any of these do not teach this factor: they would have to be drawn by the encoder first. The loss
        comes as parts over `chunk` rows each that sum to it.
        """
        for name in self.latents:
            taught = _holding(groups, [name, *self._needs(name)])
            for part in [] if taught is None else _cut(taught, chunk):
                yield -_log_bits(self._encode(name, part), part[name]).sum() / _length(taught or {})

    def row_losses(self, rows: Rows) -> list[Tensor]:
        """What every network says of whole rows, as losses of each row: `[n]` each."""
        told = [] if self.labels is None else [self.row_label_losses(rows)]
        encoded = [-_log_bits(self._encode(name, rows), rows[name]) for name in self.latents]
        return [-self.log_joint(rows), *told, *encoded]

    def class_logits(self, rows: Rows) -> Tensor:
        """Logits of q(c | x): `[n, classes]`."""
        if self.labels is None:
            raise ValueError("this network has no classes")
        logits: Tensor = self.labels(self._nothing(rows), rows[self._image])
        return logits

    def holds_latents(self, rows: Rows) -> bool:
        """Whether the rows came with all latents, and with what the encoder predicts them from."""
        return all(name in rows for name in [*self.latents, self._image, *([self._label] if self._label else [])])

    # --- from the top down, and from the image upwards ------------------------------------------------------------

    def _settled(self, rows: Rows, stream: torch.Generator, proposals: int) -> Rows:
        """An independence sampler of p(missing | given): the weight of a draw is p(all) over its own density."""
        whole, drawn = self._complete(rows, stream)
        weight = self.log_joint(whole) - drawn if proposals else drawn
        for _ in range(proposals):
            other, drawn = self._complete(rows, stream)
            others = self.log_joint(other) - drawn
            taken = torch.rand(weight.shape, generator=stream, device=weight.device).log() < others - weight
            weight = torch.where(taken, others, weight)
            whole = {
                name: torch.where(taken.view(-1, *[1] * (values.dim() - 1)), other[name], values)
                for name, values in whole.items()
            }
        return whole

    def _complete(self, rows: Rows, stream: torch.Generator) -> tuple[Rows, Tensor]:
        if self._image not in rows:
            return self._fill_down(rows, _length(rows), stream)
        whole = dict(rows)
        drawn = torch.zeros(len(rows[self._image]), device=rows[self._image].device)
        if self._label is not None and self._label not in whole:
            log_shares = torch.log_softmax(self.class_logits(rows), dim=1)
            whole[self._label] = draw_classes(log_shares.exp(), stream)
            drawn = drawn + log_shares.gather(1, whole[self._label][:, None])[:, 0]
        for name in reversed(self.latents):
            if name not in whole:
                logits = self._encode(name, whole)
                whole[name] = _flip(logits, stream)
                drawn = drawn + _log_bits(logits, whole[name])
        return whole, drawn

    def _fill_down(self, rows: Rows, n: int, stream: torch.Generator) -> tuple[Rows, Tensor]:
        device = stream.device
        whole, drawn = dict(rows), torch.zeros(n, device=device)
        if self._label is not None and self._label not in whole:
            whole[self._label] = self._draw_classes(n, stream)
            drawn = drawn + self._log_shares(whole[self._label])
        for name, bits in self.latents.items():
            if name in whole:
                continue
            if name in self.down:
                logits = self.down[name](self._above(whole, name))
                whole[name] = _flip(logits, stream)
            else:
                whole[name] = self._draw_top(whole, torch.zeros(n, bits, device=device), stream)
                logits = self._top_logits(whole, whole[name])
            drawn = drawn + _log_bits(logits, whole[name])
        if self._image not in whole:
            found = self.pixels(self._above(whole, self._image))
            if self.log_sigma is None:
                whole[self._image] = _flip(found, stream)
            else:
                noise = torch.randn(found.shape, generator=stream, device=device)
                whole[self._image] = found + self.log_sigma.exp() * noise
            drawn = drawn + self._log_pixels(found, whole[self._image])
        return whole, drawn

    def _log_shares(self, classes: Tensor) -> Tensor:
        """log p(c) of each row: `[n]`."""
        if self.shares is None:
            return torch.full(classes.shape, -math.log(self.classes), device=classes.device)
        return torch.log_softmax(self.shares, dim=0)[classes]

    def _draw_classes(self, n: int, stream: torch.Generator) -> Tensor:
        """n classes from p(c)."""
        if self.shares is None:
            return torch.randint(self.classes, (n,), generator=stream, device=stream.device)
        return draw_classes(torch.softmax(self.shares, dim=0).expand(n, -1), stream)

    def _top_logits(self, rows: Rows, bits: Tensor) -> Tensor:
        """Logits of the top latents, each given those before it."""
        if self.prior is None:
            return torch.zeros_like(bits)
        logits: Tensor = self.prior(self._classes_of(rows, bits), 2 * bits - 1)
        return logits

    def _draw_top(self, rows: Rows, bits: Tensor, stream: torch.Generator) -> Tensor:
        """The top latents, one bit after the other; all at once where their prior is uniform."""
        if self.prior is None:
            return _flip(bits, stream)
        for k in range(bits.shape[1]):
            bits[:, k] = _flip(self._top_logits(rows, bits)[:, k], stream)
        return bits

    def _classes_of(self, rows: Rows, like: Tensor) -> Tensor:
        """Classes as one-hot numbers, `[n, classes]`; `[n, 0]` without."""
        if self._label is None:
            return like.new_empty((len(like), 0))
        classes = torch.arange(self.classes, device=like.device)
        return (rows[self._label][:, None] == classes).to(torch.float32)

    def _above(self, rows: Rows, name: str) -> Tensor:
        """What the decoder predicts `name` from, as one vector."""
        names = list(self.latents)
        above = names if name == self._image else names[: names.index(name)]
        return self._vector(rows, above)

    def _encode(self, name: str, rows: Rows) -> Tensor:
        names = list(self.latents)
        below = names[names.index(name) + 1 :]
        logits: Tensor = self.up[name](self._vector(rows, below), rows[self._image])
        return logits

    def _needs(self, name: str) -> list[str]:
        names = list(self.latents)
        return [*names[names.index(name) + 1 :], self._image, *([self._label] if self._label else [])]

    def _vector(self, rows: Rows, latents: Sequence[str]) -> Tensor:
        like = rows[latents[0]] if latents else rows[self._image]
        return torch.cat([self._classes_of(rows, like), *(2 * rows[name] - 1 for name in latents)], dim=1)

    def _nothing(self, rows: Rows) -> Tensor:
        image = rows[self._image]
        return image.new_empty((len(image), 0))

    def _log_pixels(self, found: Tensor, image: Tensor) -> Tensor:
        if self.log_sigma is None:
            return _log_bits(found.flatten(1), image.flatten(1))
        scaled = (image - found).flatten(1) * torch.exp(-self.log_sigma)
        return -0.5 * scaled.square().sum(1) - scaled.shape[1] * (self.log_sigma + _HALF_LOG_TAU)


def joined(groups: Sequence[Rows]) -> Rows:
    """The rows of groups that hold the same variables, one after the other."""
    if len(groups) == 1:
        return groups[0]
    return {name: torch.cat([rows[name] for rows in groups]) for name in groups[0]}


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _cut(rows: Rows, chunk: int) -> Iterator[Rows]:
    """The rows in parts of `chunk`."""
    for at in range(0, _length(rows), chunk):
        yield {name: values[at : at + chunk] for name, values in rows.items()}


def _holding(groups: Sequence[Rows], names: Sequence[str]) -> Rows | None:
    """The rows of the groups that hold all these variables, cut to them; None if there are none."""
    found = [{name: rows[name] for name in names} for rows in groups if all(name in rows for name in names)]
    return joined(found) if found else None


def _log_bits(logits: Tensor, bits: Tensor) -> Tensor:
    """log of independent Bernoulli probabilities, summed over each row: `[n]`."""
    return -functional.binary_cross_entropy_with_logits(logits, bits, reduction="none").sum(1)


def _flip(logits: Tensor, stream: torch.Generator) -> Tensor:
    """Independent bits, 1 with probability sigmoid(logits)."""
    drawn = torch.rand(logits.shape, generator=stream, device=logits.device)
    return (drawn < torch.sigmoid(logits)).to(torch.float32)
