"""What a private gradient step costs beside a plain one of the same run: the ratios of docs/privacy.md.

Processor time of hierarchical VAEs on binarised digits, as they are and three times as large, with and without a class.
"""

import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.agents import PrivacyPlan, Source
from nashgossip.agents.models import HVAE, Fast
from nashgossip.games import Batch, Privacy, Space, Variable, load_digits

ROWS, BATCH, STEPS, CALLS, REPEATS = 600, 100, 10, 3, 3
PLAN = PrivacyPlan(ROWS, ((1.0, 1), (0.5, 50)))


def rows(times: int, *, label: bool) -> Batch:
    """Digits of 8 × 8 pixels, each repeated `times` times in both directions, with their class or without."""
    found = load_digits(binarize=0.5)
    image = found.batch["x"][:ROWS].reshape(ROWS, 8, 8).repeat(times, axis=1).repeat(times, axis=2)
    x, c = Variable("x", "binary", image.shape[1:]), Variable("c", "categorical", categories=10)
    assert found.labels is not None
    return Space((c, x) if label else (x,)).batch({"x": image, **({"c": found.labels[:ROWS]} if label else {})})


def seconds(batch: Batch, width: int, privacy: Privacy | None) -> float:
    """Processor time of a step."""
    label = next((variable for variable in batch.space if variable.name == "c"), None)
    model = HVAE(
        batch.space["x"],
        {"z0": 8, "z1": 24},
        label=label,
        architecture=Fast(width),
        batch=BATCH,
        steps=STEPS,
        privacy=privacy,
        plan=PLAN,
        device="cpu",
    )
    rng = np.random.default_rng(0)
    model.learn([Source(batch, 1.0, own=True)], rng)
    heard = model.generate(ROWS, rng).restrict(batch.space)
    began = time.process_time()
    for _ in range(CALLS):
        model.learn([Source(batch, 0.5, own=True), Source(heard, 0.5)], rng)
    return (time.process_time() - began) / (CALLS * STEPS)


def main() -> None:
    """Measures and prints."""
    print("| images | class | plain, ms | private, ms | ratio |\n|---|---|---|---|---|")
    for times, width in ((1, 100), (3, 300)):
        for label in (False, True):
            batch = rows(times, label=label)
            pairs = [
                (seconds(batch, width, None), seconds(batch, width, Privacy(3.0, noise=2.0))) for _ in range(REPEATS)
            ]
            plain, private = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"| {8 * times}×{8 * times} | {label} | {plain:.1f} | {private:.1f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
