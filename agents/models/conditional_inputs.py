"""What the network of one variable sees of the others: a vector and planes, with flags for what is hidden."""

__all__ = ["Inputs", "Rows", "Seen", "channels", "is_image", "joined", "length", "width"]

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ...games import Variable

Rows: TypeAlias = dict[str, Tensor]
"""Variables by name: categorical ones `[n, *shape]` whole numbers, vectors `[n, *shape]` floating ones, and images
`[n, channels, rows, columns]` floating ones."""

Seen: TypeAlias = Mapping[str, Tensor]
"""Which variables of each row a network may look at: name → `[n]`, booleans."""


class Inputs(nn.Module):
    """Brings variables into the form that networks take, without parameters of its own.

    Classes become one-hot numbers, bits become ±1, images with values in [0, 1] values in [−1, 1]; real vectors stay as
    they are. A hidden variable is all zeros, and a flag says so. Where there is no other variable the vector is a
    constant 1.

    Arguments:
        variables: those that the network sees, in order.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        super().__init__()
        self._flat = [v for v in variables if not is_image(v)]
        self._images = [v for v in variables if is_image(v)]
        self.size = sum(width(v) for v in self._flat) + max(len(variables), 1)
        self.planes = sum(channels(v) for v in self._images)

    def forward(self, rows: Rows, seen: Seen) -> tuple[Tensor, Tensor | None]:
        """The vector, `[n, size]`, and the planes, `[n, planes, rows, columns]`; None for no images."""
        n = length(rows)
        flags = [seen[v.name].to(torch.float32)[:, None] for v in (*self._flat, *self._images)]
        parts = [_as_vector(v, rows[v.name]) * flag for v, flag in zip(self._flat, flags, strict=False)]
        if not flags:
            return torch.ones((n, 1), device=next(iter(rows.values())).device), None
        shown = [
            (2 * rows[v.name] - 1) * flag[:, :, None, None]
            for v, flag in zip(self._images, flags[len(self._flat) :], strict=True)
        ]
        return torch.cat([*parts, *flags], dim=1), torch.cat(shown, dim=1) if shown else None


def is_image(variable: Variable) -> bool:
    """Whether networks take a variable as planes: bits or real values of shape (rows, columns) or (channels, …)."""
    return variable.kind in ("binary", "real") and len(variable.shape) in (2, 3)


def channels(variable: Variable) -> int:
    """Planes of an image."""
    return variable.shape[0] if len(variable.shape) == 3 else 1


def width(variable: Variable) -> int:
    """Numbers by which a vector sees a variable, or a network describes it."""
    return math.prod(variable.shape) * (variable.categories or 1)


def joined(groups: Sequence[Rows]) -> Rows:
    """The rows of groups over the same variables, one after the other."""
    if len(groups) == 1:
        return groups[0]
    return {name: torch.cat([rows[name] for rows in groups]) for name in groups[0]}


def length(rows: Mapping[str, Tensor]) -> int:
    """How many rows."""
    return len(next(iter(rows.values())))


def _as_vector(variable: Variable, values: Tensor) -> Tensor:
    if variable.kind == "categorical":
        classes = torch.arange(variable.categories or 1, device=values.device)
        return (values[..., None] == classes).reshape(len(values), -1).to(torch.float32)
    return (2 * values - 1 if variable.kind == "binary" else values).reshape(len(values), -1)
