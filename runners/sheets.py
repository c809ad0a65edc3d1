"""Sheets of what players generate, one a close look: drawn as the run goes on, and found again by their time."""

__all__ = ["Sheet", "draw_sheet", "read_sheets", "write_sheet"]

import io
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from ..games import Batch
from .examination import Examiner
from .sheet_pixels import plan_sheet
from .storage import RunPath, listing, write_whole

_FOLDER = "sheets"
_MOST = 60
_WHO = "players"
_WIDTH = 720


@dataclass(frozen=True)
class Sheet:
    """What players generated at one close look.

    Arguments:
        time: moves per player.
        players: their names, from above; each has as many lines as the others.
        png: the picture.
    """

    time: float
    players: tuple[str, ...]
    png: bytes


def draw_sheet(time: float, samples: Mapping[Hashable, Batch | None], examiner: Examiner | None) -> Sheet | None:
    """A line or more of draws of each player, as many of each class as fit; None if nobody generates images.

    Arguments:
        time: moves per player.
        samples: what each generated, in the order of the graph.
        examiner: tells classes apart, so that lines are ordered by them.
    """
    plan = plan_sheet(samples, examiner)
    if plan is None:
        return None
    pixels = plan.pixels(samples, examiner)
    shown = np.where(np.isnan(pixels), 1.0 if pixels.ndim == 3 else 0.0, pixels).clip(0, 1)
    if pixels.ndim == 2:
        shown = 1.0 - shown
    from PIL import Image, PngImagePlugin  # few runs generate images

    image = Image.fromarray((shown * 255).round().astype(np.uint8))
    scale = max(1, _WIDTH // image.width)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    names = tuple(str(player) for player in plan.players)
    about = PngImagePlugin.PngInfo()
    about.add_itxt(_WHO, json.dumps(names))
    buffer = io.BytesIO()
    image.quantize(64).save(buffer, format="PNG", pnginfo=about, optimize=True)
    return Sheet(time, names, buffer.getvalue())


def write_sheet(sheet: Sheet, run: RunPath) -> RunPath:
    """Writes a sheet to `RUN/sheets/TIME.png`, in place of one of the same time, and tells the file."""
    folder = run / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{sheet.time:014.4f}.png"
    write_whole(file, sheet.png)
    return file


def read_sheets(run: RunPath, after: float = float("-inf")) -> list[Sheet]:
    """The sheets of a run by time, at most 60 evenly spaced ones, the first and the last among them.

    Arguments:
        run: the directory.
        after: only those of later times.
    """
    found = dict[float, RunPath]()
    for file in listing(run / _FOLDER):
        try:
            time = float(file.stem) if file.suffix == ".png" else None
        except ValueError:
            continue
        if time is not None and time > after:
            found[time] = file
    times = sorted(found)
    kept = np.unique(np.linspace(0, max(len(times) - 1, 0), min(len(times), _MOST)).round().astype(int))
    return [_read(times[k], found[times[k]]) for k in kept.tolist()]


def _read(time: float, file: RunPath) -> Sheet:
    from PIL import Image

    png = file.read_bytes()
    text = getattr(Image.open(io.BytesIO(png)), "text", {})
    return Sheet(time, _names(text.get(_WHO, "")), png)


def _names(text: str) -> tuple[str, ...]:
    """The names that a picture bears; none of one that somebody else drew."""
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()
