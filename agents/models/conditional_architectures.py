"""Networks of conditionals: small folded convolutions for a CPU, and wide ones in the manner of the paper."""

__all__ = [
    "CONDITIONAL_ARCHITECTURES",
    "ConditionalArchitecture",
    "FastConditionals",
    "PaperConditionals",
]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...games import Variable
from .conditional_heads import FlatConditional, ImageConditional
from .conditional_inputs import Inputs, channels, is_image


class ConditionalArchitecture(Protocol):
    """Makes the network of one variable given others."""

    def conditional(self, target: Variable, others: Sequence[Variable]) -> nn.Module:
        """A module that is a `Conditional`."""
        ...


@dataclass(frozen=True)
class FastConditionals:
    """Images are folded to half their sides and four times their planes, so that one core makes use of its cache.

    A class or a vector is told by two strided convolutions over the images and one hidden layer, an image by a VAE
    whose decoder sees the other images at two resolutions (a U-net of two levels).

    Arguments:
        width: planes of the first convolution.
        hidden: units of a hidden layer.
        code: size of h of a real image.
        bits_code: size of h of a binary image.
        prior: whether h has a learned prior given the other variables, in place of a standard normal one.
    """

    width: int = 16
    hidden: int = 128
    code: int = 32
    bits_code: int = 16
    prior: bool = True

    def conditional(self, target: Variable, others: Sequence[Variable]) -> nn.Module:
        """See `ConditionalArchitecture`."""
        return _conditional(target, others, self, depth=1)


@dataclass(frozen=True)
class PaperConditionals:
    """The sizes of the paper's experiment C as far as it prints them: a 256-dimensional h of a real image.

    A binary image has Bernoulli pixels without h. Layers are those of `FastConditionals`, wider and one more a level;
    the paper does not print its own.

    Arguments: as those of `FastConditionals`.

    Source: Schlesinger & Flach, *Game-theoretic distributed learning of generative models*, 2025.
    """

    width: int = 64
    hidden: int = 512
    code: int = 256
    bits_code: int = 0
    prior: bool = False

    def conditional(self, target: Variable, others: Sequence[Variable]) -> nn.Module:
        """See `ConditionalArchitecture`."""
        return _conditional(target, others, self, depth=2)


CONDITIONAL_ARCHITECTURES: dict[str, Callable[..., ConditionalArchitecture]] = {
    "fast": FastConditionals,
    "paper": PaperConditionals,
}
"""The names that experiment files know."""

_FOLD = 4
"""Sides are padded to a multiple of it: they are folded once and halved once."""


def _conditional(
    target: Variable, others: Sequence[Variable], sizes: FastConditionals | PaperConditionals, *, depth: int
) -> nn.Module:
    inputs, size, hidden = Inputs(others), sizes.width, sizes.hidden
    shape = next((v.shape[-2:] for v in others if is_image(v)), (0, 0))
    if not is_image(target):
        out = FlatConditional.parameters_of(target)
        return FlatConditional(target, others, _Teller(inputs, shape, size, hidden, out, depth))
    h = sizes.bits_code if target.kind == "binary" else sizes.code
    sides, planes = target.shape[-2:], channels(target)
    decoder = _Decoder(inputs.size + h, inputs.planes, sides, size, hidden, planes, depth)
    encoder = _Encoder(inputs.size, planes + inputs.planes, sides, size, hidden, 2 * h) if h else None
    prior = _Teller(inputs, shape, size, hidden, 2 * h, depth) if h and sizes.prior else None
    return ImageConditional(target, others, decoder, encoder, h, prior)


class _Teller(nn.Module):
    """Numbers `[n, out]` from a vector and planes; a linear path runs beside the hidden layers of vectors alone."""

    def __init__(
        self,
        inputs: Inputs,
        sides: tuple[int, ...],
        size: int,
        hidden: int,
        out: int,
        depth: int,
    ) -> None:
        super().__init__()
        given = inputs.size
        self.convolutions = self.linear = None
        if inputs.planes:
            self.convolutions = nn.Sequential(
                nn.Conv2d(inputs.planes, size, 5, stride=2, padding=2),
                nn.SiLU(),
                *_more(size, depth - 1),
                nn.Conv2d(size, 2 * size, 3, stride=2, padding=1),
                nn.SiLU(),
                nn.Flatten(),
            )
            given += 2 * size * ((sides[0] + 3) // 4) * ((sides[1] + 3) // 4)
        else:
            self.linear = nn.Linear(given, out, bias=False)
        self.dense = nn.Sequential(nn.Linear(given, hidden), nn.SiLU(), nn.Linear(hidden, out))

    def forward(self, vector: Tensor, planes: Tensor | None) -> Tensor:
        if self.convolutions is not None:
            vector = torch.cat([vector, self.convolutions(planes)], dim=1)
        found: Tensor = self.dense(vector)
        return found if self.linear is None else found + self.linear(vector)


class _Encoder(nn.Module):
    """Numbers `[n, out]` from a vector and planes, folded."""

    def __init__(
        self,
        given: int,
        planes: int,
        sides: tuple[int, ...],
        size: int,
        hidden: int,
        out: int,
    ) -> None:
        super().__init__()
        low = _low(sides)
        self.first = nn.Conv2d(4 * planes, size, 3, padding=1)
        self.second = nn.Conv2d(size, 2 * size, 3, stride=2, padding=1)
        self.dense = nn.Sequential(
            nn.Linear(2 * size * low[0] * low[1] + given, hidden),
            nn.SiLU(),
            nn.Linear(hidden, out),
        )

    def forward(self, vector: Tensor, planes: Tensor) -> Tensor:
        found = functional.silu(self.first(functional.pixel_unshuffle(_padded(planes), 2)))
        found = functional.silu(self.second(found)).flatten(1)
        told: Tensor = self.dense(torch.cat([found, vector], dim=1))
        return told


class _Decoder(nn.Module):
    """An image `[n, out, rows, columns]` from a vector and the planes of the other images."""

    def __init__(
        self,
        given: int,
        planes: int,
        sides: tuple[int, ...],
        size: int,
        hidden: int,
        out: int,
        depth: int,
    ) -> None:
        super().__init__()
        self._sides, self._low, self._size = sides, _low(sides), size
        area = 2 * size * self._low[0] * self._low[1]
        self.first = self.second = self.context = None
        if planes:
            self.first = nn.Conv2d(4 * planes, size, 3, padding=1)
            self.second = nn.Conv2d(size, 2 * size, 3, stride=2, padding=1)
            self.context = nn.Linear(area, hidden // 4)
            given += hidden // 4
        self.dense = nn.Sequential(nn.Linear(given, hidden), nn.SiLU(), nn.Linear(hidden, area))
        self.up = nn.Sequential(
            nn.Conv2d((3 if planes else 2) * size, size, 3, padding=1),
            nn.SiLU(),
            *_more(size, depth - 1),
        )
        self.out = nn.Conv2d(size, 4 * out, 3, padding=1)

    def forward(self, vector: Tensor, planes: Tensor | None) -> Tensor:
        beside = below = None
        if planes is not None and self.first is not None and self.second is not None and self.context is not None:
            beside = functional.silu(self.first(functional.pixel_unshuffle(_padded(planes), 2)))
            below = functional.silu(self.second(beside))
            vector = torch.cat([vector, self.context(below.flatten(1))], dim=1)
        found = self.dense(vector).view(-1, 2 * self._size, *self._low)
        found = functional.interpolate(functional.silu(found if below is None else found + below), scale_factor=2)
        if beside is not None:
            found = torch.cat([found, beside], dim=1)
        image = functional.pixel_shuffle(self.out(self.up(found)), 2)
        return image[:, :, : self._sides[0], : self._sides[1]]


def _more(size: int, count: int) -> list[nn.Module]:
    """Further convolutions that keep planes and sides."""
    return [layer for _ in range(count) for layer in (nn.Conv2d(size, size, 3, padding=1), nn.SiLU())]


def _low(sides: tuple[int, ...]) -> tuple[int, int]:
    return (sides[0] + 3) // _FOLD, (sides[1] + 3) // _FOLD


def _padded(planes: Tensor) -> Tensor:
    rows, columns = planes.shape[-2:]
    return functional.pad(planes, (0, -columns % _FOLD, 0, -rows % _FOLD))
