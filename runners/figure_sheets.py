"""Figure of what players generate over time: sheets of close looks side by side."""

__all__ = ["draw_sheets"]

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from .reading import RunView
from .sheets import read_sheets
from .storage import RunPath, run_path

_HEIGHT = 3.4
_LINE = 0.25
"""Of the height of a player, in inches."""


def draw_sheets(run: RunView | RunPath | str, most: int = 6) -> Figure | None:
    """The sheets of a run side by side, the first and the last among them; beside the lines stands whose they are.

    Arguments:
        run: a run, its directory or its URL.
        most: sheets that are shown, evenly spaced.

    Returns:
        None where the run holds no sheets: nobody generated images, or nobody looked.

    Raises:
        ValueError: `most` is below 2.
    """
    if most < 2:
        raise ValueError(f"most is {most}, expected at least 2 sheets")
    sheets = read_sheets(run.path if isinstance(run, RunView) else run_path(run))
    if not sheets:
        return None
    kept = np.unique(np.linspace(0, len(sheets) - 1, min(most, len(sheets))).round().astype(int)).tolist()
    images = [np.asarray(Image.open(io.BytesIO(sheets[k].png)).convert("RGB")) for k in kept]
    rows, columns = images[0].shape[:2]
    height = max(_HEIGHT, _LINE * len(sheets[0].players))
    figure = Figure(figsize=(len(kept) * height * columns / rows + 0.4, height + 0.4), layout="constrained")
    for panel, k, image in zip(np.atleast_1d(figure.subplots(1, len(kept))), kept, images, strict=True):
        panel.imshow(image, interpolation="nearest")
        names = sheets[k].players if k == kept[0] else ()
        panel.set_xticks([])
        panel.set_yticks([(line + 0.5) * rows / len(names) for line in range(len(names))], names, fontsize=8)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.set_title(f"{sheets[k].time:g} moves", fontsize=9)
    return figure
