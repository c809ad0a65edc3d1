"""The variables of a model of conditionals: their order, and how values pass between batches and networks."""

__all__ = ["arranged", "class_label", "inner_values", "outer_values", "planes_first"]

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...games import Space, SpaceError, Variable
from .conditional_inputs import is_image

_COLOURS = (1, 3, 4)


def arranged(variables: Space, latents: Mapping[str, int], publish: bool) -> Space:
    """The space of a model: classes and vectors, latents, images.

    Arguments:
        variables: that rows may hold.
        latents: name → number of bits that no row holds.
        publish: whether latents may travel.

    Raises:
        SpaceError: the model cannot have these variables.
    """
    for v in variables:
        if v.kind == "count":
            raise SpaceError(
                f"variable {v.name!r} is a count, which conditionals do not know; make it categorical or real"
            )
        if v.low is not None or v.high is not None:
            raise SpaceError(
                f"variable {v.name!r} has bounds, but Gaussian conditionals know none; declare it without them"
            )
    if any(bits < 1 for bits in latents.values()):
        raise SpaceError(f"latents are {dict(latents)}, expected a number of bits above 0 for each name")
    taken = [name for name in latents if name in variables]
    if taken:
        raise SpaceError(f"latents {', '.join(taken)} are variables already; give them other names")
    images = [v for v in variables if is_image(v)]
    if latents and not images:
        raise SpaceError(
            f"latents {', '.join(latents)} came without an image, but they learn from images drawn after them; "
            "leave them out"
        )
    sides = {v.name: planes_first(v).shape[-2:] for v in images}
    if len(set(sides.values())) > 1:
        raise SpaceError(f"images have sides {sides}, expected the same for all of them; resize them, or flatten one")
    hidden = [Variable(name, "binary", (bits,), publish=publish) for name, bits in latents.items()]
    return Space((*(v for v in variables if not is_image(v)), *hidden, *images))


def class_label(space: Space, label: str | None) -> str | None:
    """The scalar categorical variable that a model tells: `label`, or the first; None where there is none.

    Raises:
        SpaceError: `label` is none.
    """
    classes = [v.name for v in space if v.kind == "categorical" and not v.shape]
    if label is not None and label not in classes:
        raise SpaceError(
            f"label is {label!r}, expected a scalar categorical variable: {', '.join(classes) or 'none here'}"
        )
    return label or next(iter(classes), None)


def planes_first(v: Variable) -> Variable:
    """A variable as networks take it: an image has its channels before rows and columns."""
    return replace(v, shape=(v.shape[2], *v.shape[:2])) if is_image(v) and _channels_last(v) else v


def inner_values(v: Variable, values: NDArray[Any], device: torch.device) -> Tensor:
    """Values of batches, `[n, *v.shape]`, as networks take them: see `Rows`."""
    dtype = torch.int64 if v.kind == "categorical" else torch.float32
    found = torch.from_numpy(np.array(values)).to(device, dtype)
    if is_image(v):
        found = found[:, None] if len(v.shape) == 2 else found
        found = found.movedim(-1, 1) if _channels_last(v) else found
    return found


def outer_values(v: Variable, values: Tensor) -> NDArray[Any]:
    """Values of networks, `[n, …]`, as batches hold them: `[n, *v.shape]`."""
    if is_image(v):
        values = values.movedim(1, -1) if _channels_last(v) else values
        values = values.reshape(-1, *v.shape)
    found: NDArray[Any] = values.cpu().numpy().astype(v.dtype)
    return found


def _channels_last(v: Variable) -> bool:
    return len(v.shape) == 3 and v.shape[-1] in _COLOURS and v.shape[0] not in _COLOURS
