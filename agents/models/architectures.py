"""Networks of hierarchical VAEs: those of the paper, and fast ones for a CPU."""

__all__ = ["ARCHITECTURES", "Architecture", "Fast", "PaperDigits", "PaperFashion"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, ...]


class Architecture(Protocol):
    """Makes the networks of one model. Vectors hold latents as ±1 and a class as one-hot numbers, joined.

    Every network maps `(vector [n, given], image [n, rows, columns] or None)` to what its method says.
    """

    def prior(self, given: int, size: int) -> nn.Module | None:
        """p(z_0 | c): logits `[n, size]` from the vector and the bits, each from those before it; None: uniform."""
        ...

    def latent(self, given: int, size: int) -> nn.Module:
        """p(z_k | above): logits `[n, size]` from the vector alone."""
        ...

    def image(self, given: int, shape: Shape) -> nn.Module:
        """p(x | above): `[n, *shape]`, logits of binary or means of real pixels, from the vector alone."""
        ...

    def encoder(self, given: int, size: int, shape: Shape, *, lowest: bool) -> nn.Module:
        """q(z_k | below, x): logits `[n, size]`; `lowest` for the latents next to the image."""
        ...

    def classifier(self, classes: int, shape: Shape) -> nn.Module:
        """q(c | x): logits `[n, classes]`, from the image alone."""
        ...


@dataclass(frozen=True)
class Fast:
    """Dense networks, a small convolutional classifier, and an autoregressive prior of the top latents.

    On a CPU a dense layer over a 28×28 image costs far less than the paper's stack of convolutions, and learns in fewer
    steps.

    The prior is what makes shares of classes right soon. The decoder learns it from where the encoder puts the rows, so
    that a class is generated as often as it occurs. With a uniform prior the part of the code that a class takes has to
    grow or shrink until it fits, which only the encoder's errors along its border bring about.

    Arguments:
        width: of the hidden layers.
        depth: hidden layers of p(z_k | above).
        linear: whether a linear path runs beside the hidden layer of decoder and encoder.

    Source: Germain, Gregor, Murray & Larochelle, *MADE: Masked Autoencoder for Distribution Estimation*, 2015, for the
    prior.
    """

    width: int = 300
    depth: int = 2
    linear: bool = True

    def prior(self, given: int, size: int) -> nn.Module | None:
        """See `Architecture`."""
        return _Autoregressive(given, size, 8 * size)

    def latent(self, given: int, size: int) -> nn.Module:
        """See `Architecture`."""
        return _Dense(given, size, self.width, self.depth)

    def image(self, given: int, shape: Shape) -> nn.Module:
        """See `Architecture`."""
        return _DenseImage(_Dense(given, _pixels(shape), self.width, 1, linear=self.linear), shape)

    def encoder(self, given: int, size: int, shape: Shape, *, lowest: bool) -> nn.Module:
        """See `Architecture`."""
        return _WithImage(_Dense(given + _pixels(shape), size, self.width, 1, linear=self.linear))

    def classifier(self, classes: int, shape: Shape) -> nn.Module:
        """See `Architecture`."""
        return _Classifier(self.width, classes, shape)


@dataclass(frozen=True)
class PaperDigits:
    """The paper's networks for binarised 28×28 digits (experiment A), for latents z0 and z1.

    Source: Schlesinger & Flach, *Game-theoretic distributed learning of generative models*, 2025, and its code.
    """

    def prior(self, given: int, size: int) -> nn.Module | None:
        """Uniform."""
        return None

    def latent(self, given: int, size: int) -> nn.Module:
        """Two hidden layers of 600, tanh, plus a linear path."""
        return _Dense(given, size, 600, 2, activation=nn.Tanh)

    def image(self, given: int, shape: Shape) -> nn.Module:
        """Transposed convolutions."""
        return _TransposedStack(given, (128, 64, 64, 64, 32, 1), shape)

    def encoder(self, given: int, size: int, shape: Shape, *, lowest: bool) -> nn.Module:
        """Convolutions; what is given besides the image is added linearly in every layer."""
        return _ConvolutionStack(given, (32, 64, 64, 64, 128, size), shape)

    def classifier(self, classes: int, shape: Shape) -> nn.Module:
        """The same convolutions."""
        return _ConvolutionStack(0, (32, 64, 64, 64, 128, classes), shape)


@dataclass(frozen=True)
class PaperFashion:
    """The paper's networks for 28×28 clothes (experiment B), for a class and latents z0 and z1.

    Arguments:
        width: w of the convolutions w-2w-2w-2w-4w-out.
        hidden: hidden layers of p(z1 | z0, c) and q(z0 | z1, c): 4 (10 + dim z0 + dim z1) in the paper.

    Source: as `PaperDigits`.
    """

    width: int
    hidden: int

    def prior(self, given: int, size: int) -> nn.Module | None:
        """Uniform."""
        return None

    def latent(self, given: int, size: int) -> nn.Module:
        """Two hidden layers, tanh."""
        return _Dense(given, size, self.hidden, 2, activation=nn.Tanh, linear=False)

    def image(self, given: int, shape: Shape) -> nn.Module:
        """Transposed convolutions, the encoder's mirrored."""
        w = self.width
        return _TransposedStack(given, (4 * w, 2 * w, 2 * w, 2 * w, w, 1), shape)

    def encoder(self, given: int, size: int, shape: Shape, *, lowest: bool) -> nn.Module:
        """Convolutions next to the image; above, the latents below decide alone."""
        if not lowest:
            return _Dense(given, size, self.hidden, 2, activation=nn.Tanh, linear=False)
        w = self.width
        return _ConvolutionStack(given, (w, 2 * w, 2 * w, 2 * w, 4 * w, size), shape)

    def classifier(self, classes: int, shape: Shape) -> nn.Module:
        """The convolutions of the encoder."""
        w = self.width
        return _ConvolutionStack(0, (w, 2 * w, 2 * w, 2 * w, 4 * w, classes), shape)


ARCHITECTURES: dict[str, Callable[..., Architecture]] = {
    "fast": Fast,
    "paper-digits": PaperDigits,
    "paper-fashion": PaperFashion,
}
"""The names that experiment files know."""

_KERNELS, _STRIDES = (2, 3, 3, 3, 3, 4), (1, 2, 1, 1, 2, 1)
_SIDE = 28


class _Autoregressive(nn.Module):
    """Logits of bits, each from the vector and the bits before it, by one masked hidden layer."""

    def __init__(self, given: int, size: int, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(given + size, width), nn.Linear(width, size)
        # unit h sees the vector and the first `seen[h]` bits; without a vector, seeing no bit is of no use
        seen = torch.arange(width) % size if given else torch.arange(width) % max(size - 1, 1) + 1
        position = torch.arange(size)
        bits = (position[None, :] < seen[:, None]).to(torch.float32)
        self.register_buffer("inputs", torch.cat([torch.ones(width, given), bits], dim=1), persistent=False)
        self.register_buffer("outputs", (seen[None, :] <= position[:, None]).to(torch.float32), persistent=False)
        self.inputs: Tensor
        self.outputs: Tensor

    def forward(self, vector: Tensor, bits: Tensor) -> Tensor:
        hidden = functional.linear(torch.cat([vector, bits], dim=1), self.first.weight * self.inputs, self.first.bias)
        return functional.linear(functional.silu(hidden), self.last.weight * self.outputs, self.last.bias)


class _Dense(nn.Module):
    """Hidden layers, and a linear path beside them."""

    def __init__(
        self,
        given: int,
        size: int,
        width: int,
        depth: int,
        *,
        activation: Callable[[], nn.Module] = nn.SiLU,
        linear: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in [given] + [width] * (depth - 1):
            layers += [nn.Linear(before, width), activation()]
        self.hidden = nn.Sequential(*layers, nn.Linear(width, size))
        self.linear = nn.Linear(given, size, bias=False) if linear else None

    def forward(self, vector: Tensor, image: Tensor | None = None) -> Tensor:
        found: Tensor = self.hidden(vector)
        return found if self.linear is None else found + self.linear(vector)


class _DenseImage(nn.Module):
    def __init__(self, dense: _Dense, shape: Shape) -> None:
        super().__init__()
        self.dense, self.shape = dense, shape

    def forward(self, vector: Tensor, image: Tensor | None = None) -> Tensor:
        found: Tensor = self.dense(vector)
        return found.view(-1, *self.shape)


class _WithImage(nn.Module):
    """A dense network over the given vector and the pixels, joined."""

    def __init__(self, dense: _Dense) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, vector: Tensor, image: Tensor) -> Tensor:
        found: Tensor = self.dense(torch.cat([vector, image.flatten(1)], dim=1))
        return found


class _Classifier(nn.Module):
    def __init__(self, width: int, classes: int, shape: Shape) -> None:
        super().__init__()
        if min(shape) < 6:
            raise ValueError(
                f"images have shape {shape}, expected sides of at least 6 for the convolutional classifier"
            )
        channels = max(4, width // 16)
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
        )
        rows, columns = ((side + 3) // 4 for side in shape)
        self.dense = nn.Sequential(
            nn.Linear(2 * channels * rows * columns, width), nn.SiLU(), nn.Linear(width, classes)
        )

    def forward(self, vector: Tensor, image: Tensor) -> Tensor:
        found: Tensor = self.dense(self.convolutions(image[:, None]))
        return found


class _ConvolutionStack(nn.Module):
    """28×28 → 27 → 13 → 11 → 9 → 4 → 1, tanh between; the vector is added linearly in every layer."""

    def __init__(self, given: int, channels: tuple[int, ...], shape: Shape) -> None:
        super().__init__()
        _require_side(shape)
        inputs = (1, *channels[:-1])
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, kernel, stride)
            for a, b, kernel, stride in zip(inputs, channels, _KERNELS, _STRIDES, strict=True)
        )
        self.added = nn.ModuleList(nn.Linear(given, b, bias=False) for b in channels) if given else None

    def forward(self, vector: Tensor, image: Tensor) -> Tensor:
        found = image[:, None]
        for k, layer in enumerate(self.layers):
            found = layer(torch.tanh(found) if k else found)
            if self.added is not None:
                found = found + self.added[k](vector)[:, :, None, None]
        return found.flatten(1)


class _TransposedStack(nn.Module):
    """1×1 → 4 → 9 → 11 → 13 → 27 → 28, tanh between: the convolutions backwards."""

    def __init__(self, given: int, channels: tuple[int, ...], shape: Shape) -> None:
        super().__init__()
        _require_side(shape)
        inputs = (given, *channels[:-1])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(a, b, kernel, stride)
            for a, b, kernel, stride in zip(inputs, channels, _KERNELS[::-1], _STRIDES[::-1], strict=True)
        )

    def forward(self, vector: Tensor, image: Tensor | None = None) -> Tensor:
        found = vector[:, :, None, None]
        for k, layer in enumerate(self.layers):
            found = layer(torch.tanh(found) if k else found)
        return found[:, 0]


def _pixels(shape: Shape) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _require_side(shape: Shape) -> None:
    if tuple(shape) != (_SIDE, _SIDE):
        raise ValueError(
            f"images have shape {tuple(shape)}, expected ({_SIDE}, {_SIDE}) for the paper's networks; "
            "take architecture 'fast' for other sizes"
        )
