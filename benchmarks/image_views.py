"""Writes files in MedMNIST's format from scikit-learn's scans of digits, and the experiment that plays them.

python benchmarks/image_views.py runs/views
nashgossip study runs/views/hospitals-digits.yaml --vary method=alone,listening,pooled --measure players

Every scan is in one of three files alone, as a patient is seen by one kind of instrument: as it is, as the strength of
its edges (Sobel), or blurred and negative. So the views share the ten labels and no image.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import ndimage

from nashgossip.games import load_digits
from nashgossip.runners import load_experiment

PARTS = {"train": slice(0, 330), "val": slice(330, 350), "test": slice(350, None)}
VIEWS: dict[str, Callable[[Any], Any]] = {
    "scan": lambda x: x,
    "edges": lambda x: np.clip(np.hypot(ndimage.sobel(x, 1), ndimage.sobel(x, 2)) / 4, 0, 1),
    "blurred": lambda x: 1 - ndimage.gaussian_filter(x, (0, 0.6, 0.6)),
}


def main() -> None:
    """Writes one file a view, and the experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits))
    for k, (name, view) in enumerate(VIEWS.items()):
        rows = order[k :: len(VIEWS)]
        images = np.round(255 * view(digits.batch["x"][rows])).astype(np.uint8)
        labels = digits.batch["label"][rows, None].astype(np.uint8)
        parts = {f"{part}_images": images[s] for part, s in PARTS.items()}
        parts |= {f"{part}_labels": labels[s] for part, s in PARTS.items()}
        np.savez(folder / f"{name}.npz", **parts)
    plan = load_experiment("hospitals-images", ["data.split.options.rows_per_class=10", "play.workers=1"])
    content = plan.model_dump(mode="json")
    names = [name for name in VIEWS for _ in (0, 1)]
    content["data"]["players"] = {
        str(k): {"file": str((folder / f"{name}.npz").resolve()), "image": name} for k, name in enumerate(names)
    }
    content |= {
        "name": "hospitals-digits",
        "description": "Six hospitals see digits in three views and share the label.",
    }
    (folder / "hospitals-digits.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    print(f"written: {', '.join(str(folder / f'{name}.npz') for name in VIEWS)} and {folder / 'hospitals-digits.yaml'}")


if __name__ == "__main__":
    main()
