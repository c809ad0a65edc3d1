"""What players generate as pixels: which pictures of which players stand in which line of a sheet."""

__all__ = ["SheetPlan", "plan_sheet"]

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space, Variable
from .examination import Examiner
from .outcome import CAN_GENERATE

_PER_LINE = 10
_FEW_LINES = 6
_MOST_PLAYERS = 20
_COLOURS = 3


@dataclass(frozen=True, eq=False)
class SheetPlan:
    """What is drawn.

    Arguments:
        image: the variable that holds the pictures.
        players: whose, from above.
        style: a categorical variable besides the class, whose values have a line each; None for none.
        lines: of each player.
        blank: an empty picture.
    """

    image: str
    players: tuple[Hashable, ...]
    style: Variable | None
    lines: int
    blank: NDArray[np.float64]

    def pixels(self, samples: Mapping[Hashable, Batch | None], examiner: Examiner | None) -> NDArray[np.float64]:
        """Draws of each player, `[rows, columns]` with 1 for ink, or `[rows, columns, 3]`; NaN between pictures."""
        gap = 2 if self.lines > 1 else 0  # sets players apart
        rows = [_sheet(samples.get(p), self.image, self.blank, self.lines, self.style, examiner) for p in self.players]
        width = max(row.shape[1] for row in rows)
        return np.concatenate([_padded(row, gap, width - row.shape[1]) for row in rows])


def plan_sheet(samples: Mapping[Hashable, Batch | None], examiner: Examiner | None) -> SheetPlan | None:
    """What of samples is drawn: the pictures of at most twenty players, as many of each class as fit.

    Where players have different images, those with the same colour image, else with the same image as the first. Rows
    that hold another categorical variable besides the class, such as a style, have a line for each of its values.

    Arguments:
        samples: what each player generated, in the order of the graph.
        examiner: tells the classes apart.

    Returns:
        None if players generate no images.
    """
    images = {player: _image_variable(batch) for player, batch in samples.items()}
    colourful = [
        name for player, name in images.items() if name and (batch := samples[player]) and batch[name].ndim > 3
    ]
    image = next((name for name in [*colourful, *images.values()] if name is not None), None)
    players = tuple(player for player, name in images.items() if name == image)[:_MOST_PLAYERS]
    if image is None:
        return None
    style = _style_variable(samples[players[0]], examiner)
    lines = max(1, _FEW_LINES // len(players)) if style is None else style.categories or 1
    return SheetPlan(image, players, style, lines, np.full_like(_tiles(samples[players[0]], image)[0], np.nan))


def _image_variable(batch: Batch | None) -> str | None:
    """The last variable that is a picture: (rows, columns), or three colours (3, rows, columns)."""
    found = [v.name for v in _space_of(batch) if v.kind in ("binary", "real") and _is_picture(v.shape)]
    return found[-1] if found else None


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == _COLOURS)


def _space_of(batch: Batch | None) -> Space | tuple[()]:
    return () if batch is None else batch.space


def _style_variable(batch: Batch | None, examiner: Examiner | None) -> Variable | None:
    """A categorical variable besides the class, with few values, whose values have a line of a sheet each."""
    label = None if examiner is None else examiner.label
    found = [v for v in _space_of(batch) if v.kind == "categorical" and not v.shape and v.name != label]
    few = label is not None and len(found) == 1 and (found[0].categories or 0) <= _PER_LINE
    return found[0] if few else None


def _sheet(
    batch: Batch | None,
    image: str,
    blank: NDArray[np.float64],
    lines: int,
    style: Variable | None,
    examiner: Examiner | None,
) -> NDArray[np.float64]:
    """`lines` rows of ten draws: of each class that it can generate as evenly as they allow, or the first ones."""
    if not batch:
        return np.concatenate([blank[:, :1]] * lines)
    classes = None if examiner is None else examiner.classes(batch)
    tiles = _tiles(batch, image)
    if style is not None and style.name in batch.space and classes is not None:
        chosen = [_one_of_each(np.where(batch[style.name] == value, classes, -1)) for value in range(lines)]
    else:
        even: list[int | None] = [*_even_choice(batch, lines * _PER_LINE, classes)]
        even += [None] * (-len(even) % lines)
        chosen = [even[k::lines] for k in range(lines)]  # down first: draws of one class stand below each other
    return np.concatenate([np.concatenate([blank if k is None else tiles[k] for k in line], axis=1) for line in chosen])


def _one_of_each(classes: NDArray[Any]) -> list[int | None]:
    """The first row of each class up to ten, None where there is none."""
    found = [np.flatnonzero(classes == c) for c in range(_PER_LINE)]
    return [int(rows[0]) if len(rows) else None for rows in found]


def _tiles(batch: Batch | None, image: str) -> NDArray[np.float64]:
    """Each picture with a margin of NaN to its right and below: `[n, rows, columns]`, or `[n, rows, columns, 3]`."""
    values = np.empty((1, 1, 1)) if batch is None else batch[image].astype(float)
    if values.ndim == 4:
        values = values.transpose(0, 2, 3, 1)
    margins = ((0, 0), (0, 2), (0, 2)) + ((0, 0),) * (values.ndim - 3)
    return np.pad(values, margins, constant_values=np.nan)


def _padded(sheet: NDArray[np.float64], below: int, right: int) -> NDArray[np.float64]:
    return np.pad(sheet, ((0, below), (0, right)) + ((0, 0),) * (sheet.ndim - 2), constant_values=np.nan)


def _even_choice(batch: Batch, count: int, classes: NDArray[Any] | None) -> list[int]:
    if classes is None:
        return list(range(min(count, len(batch))))
    shares = np.bincount(classes) / len(batch)
    rows = [np.flatnonzero(classes == c) for c in np.flatnonzero(shares >= CAN_GENERATE)]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < min(count, sum(map(len, rows))):
        chosen += [int(r[turn]) for r in rows if turn < len(r)][: count - len(chosen)]
        turn += 1
    return sorted(chosen, key=lambda k: (int(classes[k]), k))
