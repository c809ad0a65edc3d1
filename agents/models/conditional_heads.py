"""The conditional of one variable given the others: softmax, Bernoulli or Gaussian, or a small VAE for images."""

__all__ = ["Conditional", "FlatConditional", "ImageConditional", "RowConditional"]

import math
from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...games import Variable
from .conditional_inputs import Inputs, Rows, Seen, channels, length, width
from .training import draw_classes

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_WIDEST = 6.0
"""Bound of a log standard deviation, which keeps a first wild step from overflowing."""


class Conditional(Protocol):
    """p(v | the others that are seen)."""

    def losses(self, rows: Rows, seen: Seen, stream: torch.Generator) -> Tensor:
        """−log p of the target in `rows`, or the negative ELBO, in nats: `[n]`."""
        ...

    def draw(self, rows: Rows, seen: Seen, stream: torch.Generator, *, noise: bool = True) -> Tensor:
        """One value a row: `[n, *shape]`. Without `noise` real images are the means of their pixels."""
        ...


@runtime_checkable
class RowConditional(Protocol):
    """A conditional whose loss of each row is a function of this row and of noise that is drawn before."""

    def noise(self, n: int, stream: torch.Generator) -> Tensor:
        """What the losses of n rows draw: `[n, size]`, standard normal."""
        ...

    def row_losses(self, rows: Rows, seen: Seen, noise: Tensor) -> Tensor:
        """`Conditional.losses` with this noise: `[n]`."""
        ...


class FlatConditional(nn.Module):
    """Classes by softmax, bits by independent Bernoulli, real values by independent Gaussian distributions.

    The entries of one vector are independent given the other variables.

    Arguments:
        target: v.
        others: the variables that it is told from.
        body: maps `(vector, planes)` to as many numbers as the distribution takes.
    """

    def __init__(self, target: Variable, others: Sequence[Variable], body: nn.Module) -> None:
        super().__init__()
        self._target, self.inputs, self.body = target, Inputs(others), body

    @staticmethod
    def parameters_of(target: Variable) -> int:
        """How many numbers describe the distribution of a target."""
        return width(target) * (2 if target.kind == "real" else 1)

    def logits(self, rows: Rows, seen: Seen) -> Tensor:
        """What the network says: log-odds, or means and log standard deviations, `[n, numbers]`."""
        found: Tensor = self.body(*self.inputs(rows, seen))
        return found

    def losses(self, rows: Rows, seen: Seen, stream: torch.Generator) -> Tensor:
        """See `Conditional`."""
        return self.row_losses(rows, seen, self.noise(length(rows), stream))

    def noise(self, n: int, stream: torch.Generator) -> Tensor:
        """None is needed: `[n, 0]`."""
        return torch.empty((n, 0), device=stream.device)

    def row_losses(self, rows: Rows, seen: Seen, noise: Tensor) -> Tensor:
        """See `RowConditional`."""
        found, target = self.logits(rows, seen), rows[self._target.name]
        if self._target.kind == "categorical":
            each = functional.cross_entropy(self._entries(found), target.flatten(), reduction="none")
            return each.view(len(target), -1).sum(1)
        if self._target.kind == "binary":
            return functional.binary_cross_entropy_with_logits(
                found, target.reshape(len(target), -1), reduction="none"
            ).sum(1)
        mean, log_sigma = _mean_and_spread(found)
        return _gaussian_losses(target.reshape(len(target), -1), mean, log_sigma)

    def draw(self, rows: Rows, seen: Seen, stream: torch.Generator, *, noise: bool = True) -> Tensor:
        """See `Conditional`."""
        found, shape = self.logits(rows, seen), (-1, *self._target.shape)
        if self._target.kind == "categorical":
            shares = torch.softmax(self._entries(found), dim=1)
            return draw_classes(shares, stream).view(shape)
        if self._target.kind == "binary":
            return _flip(found, stream).view(shape)
        mean, log_sigma = _mean_and_spread(found)
        return (mean + log_sigma.exp() * _normal(mean, stream)).view(shape)

    def _entries(self, found: Tensor) -> Tensor:
        return found.reshape(-1, cast("int", self._target.categories))


class ImageConditional(nn.Module):
    """An image by a conditional VAE: p(x | u) = ∫ p(h | u) p(x | h, u) dh, learned by the ELBO.

    Pixels are independent given h and u: Bernoulli, or Gaussian of one learned σ. With a code of size 0 there is no h,
    and the loss is −log p itself.

    Arguments:
        target: x.
        others: u, the variables that it is told from.
        decoder: maps `(vector, planes)`, the vector with h before it, to `[n, channels, rows, columns]`.
        encoder: maps `(vector, planes)`, the planes with x before them, to mean and log-variance of h; None without h.
        code: size of h.
        prior: maps `(vector, planes)` of u to mean and log-variance of p(h | u); None for N(0, I). With it images agree
            with their class and style after far fewer steps.

    Source: Sohn, Lee & Yan, *Learning Structured Output Representation using Deep Conditional Generative Models*, 2015.
    """

    def __init__(
        self,
        target: Variable,
        others: Sequence[Variable],
        decoder: nn.Module,
        encoder: nn.Module | None,
        code: int,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self._name, self._code, self.inputs = target.name, code, Inputs(others)
        self.decoder, self.encoder, self.prior = decoder, encoder, prior
        self.log_sigma = None if target.kind == "binary" else nn.Parameter(torch.tensor(math.log(0.3)))
        self._channels = channels(target)

    def losses(self, rows: Rows, seen: Seen, stream: torch.Generator) -> Tensor:
        """See `Conditional`."""
        return self.row_losses(rows, seen, self.noise(length(rows), stream))

    def noise(self, n: int, stream: torch.Generator) -> Tensor:
        """That of h: `[n, code]`."""
        size = self._code if self.encoder is not None else 0
        return torch.randn((n, size), generator=stream, device=stream.device)

    def row_losses(self, rows: Rows, seen: Seen, noise: Tensor) -> Tensor:
        """See `RowConditional`."""
        vector, planes = self.inputs(rows, seen)
        image = rows[self._name]
        divergence = image.new_zeros(len(image))
        if self.encoder is not None:
            shown = 2 * image - 1 if planes is None else torch.cat([2 * image - 1, planes], dim=1)
            mean, log_variance = _mean_and_variance(self.encoder(vector, shown))
            centre, log_spread = self._code_given(vector, planes)
            apart = log_variance - log_spread
            scaled = (mean - centre).square() * torch.exp(-log_spread)
            divergence = 0.5 * (scaled + apart.exp() - 1 - apart).sum(1)
            vector = torch.cat([mean + torch.exp(0.5 * log_variance) * noise, vector], dim=1)
        found = self.decoder(vector, planes)
        if self.log_sigma is None:
            missed = functional.binary_cross_entropy_with_logits(found, image, reduction="none").flatten(1).sum(1)
        else:
            missed = _gaussian_losses(image.flatten(1), found.flatten(1), self.log_sigma)
        return missed + divergence

    def draw(self, rows: Rows, seen: Seen, stream: torch.Generator, *, noise: bool = True) -> Tensor:
        """See `Conditional`."""
        vector, planes = self.inputs(rows, seen)
        if self._code:
            mean, log_variance = self._code_given(vector, planes)
            vector = torch.cat(
                [mean + torch.exp(0.5 * log_variance) * _normal(mean, stream), vector],
                dim=1,
            )
        found: Tensor = self.decoder(vector, planes)
        if self.log_sigma is None:
            return _flip(found, stream)
        return found + self.log_sigma.exp() * _normal(found, stream) if noise else found

    def _code_given(self, vector: Tensor, planes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of h before x is seen: `[n, code]` each."""
        if self.prior is None:
            zero = vector.new_zeros((len(vector), self._code))
            return zero, zero
        return _mean_and_variance(self.prior(vector, planes))


def _mean_and_variance(found: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = found.chunk(2, dim=1)
    return mean, log_variance.clamp(-2 * _WIDEST, 2 * _WIDEST)


def _mean_and_spread(found: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_sigma = found.chunk(2, dim=1)
    return mean, _WIDEST * torch.tanh(log_sigma / _WIDEST)


def _gaussian_losses(values: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    scaled = (values - mean) * torch.exp(-log_sigma)
    each: Tensor = 0.5 * scaled.square() + log_sigma + _HALF_LOG_TAU
    return each.sum(1)


def _normal(like: Tensor, stream: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=stream, device=like.device)


def _flip(logits: Tensor, stream: torch.Generator) -> Tensor:
    """Independent bits, 1 with probability sigmoid(logits)."""
    drawn = torch.rand(logits.shape, generator=stream, device=logits.device)
    return (drawn < torch.sigmoid(logits)).to(torch.float32)
