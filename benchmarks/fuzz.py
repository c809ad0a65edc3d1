"""Hardening: inputs that nobody would write, a hundred thousand, through every way in; the table of docs/hardening.md.

Each input of a surface is accepted or refused by an error of the package's own; any other exception, a hang of 20 s,
more than 6 GiB of memory and a file outside the folder is a defect, printed with its input, and makes the exit status
1. The strategies are those of tests/fuzz; where bytes or messages are drawn, nine more inputs are made of each.
`--inputs` is their number over all surfaces, `--seed` another search, `--only` a part of a surface's name.
"""

import argparse
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz.attempts import Leak, Surface, attempt
from tests.fuzz.test_surfaces import SURFACES

COPIES = 9
"""Inputs made of each that hypothesis draws, where a surface can vary them cheaply."""


def search(surface: Surface, inputs: int, start: int) -> tuple[Counter[str], float, list[str]]:
    """Verdicts of so many inputs, seconds of the slowest one, and what was found."""
    verdicts, slowest, found = Counter[str](), 0.0, dict[str, str]()
    rng, copies = Random(start), 0 if surface.vary is None else COPIES

    def tried(data: Any) -> None:
        nonlocal slowest
        began = time.perf_counter()
        try:
            verdicts[attempt(surface, data)] += 1
        except Leak as error:
            verdicts["defect"] += 1
            found.setdefault(str(error)[:120], f"{error}\n    {data!r:.600}")
        slowest = max(slowest, time.perf_counter() - began)

    @seed(start)
    @settings(
        max_examples=-(-inputs // (copies + 1)),
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(surface.inputs)
    def run(data: Any) -> None:
        tried(data)
        for _ in range(copies):
            tried(data if surface.vary is None else surface.vary(data, rng))

    run()
    return verdicts, slowest, list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=110_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [surface for surface in SURFACES if options.only in surface.name]
    total = sum(surface.share for surface in chosen)
    print("| surface | inputs | accepted | refused by name | defects | slowest (s) |\n|---|---|---|---|---|---|")
    sums, found, began = Counter[str](), list[str](), time.perf_counter()
    for surface in chosen:
        verdicts, slowest, defects = search(
            surface, max(1, round(options.inputs * surface.share / total)), options.seed
        )
        count, good, bad = verdicts.total(), verdicts["accepted"], verdicts["defect"]
        print(f"| {surface.name} | {count:,} | {good:,} | {count - good - bad:,} | {bad} | {slowest:.2f} |", flush=True)
        sums += Counter({"inputs": count, "accepted": good, "refused": count - good - bad, "defects": bad})
        found += defects
    row = " | ".join(f"{sums[name]:,}" for name in ("inputs", "accepted", "refused", "defects"))
    print(f"| all | {row} | |\n\n{time.perf_counter() - began:.0f} s, seed {options.seed}")
    for one in found:
        print(f"\n{one}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
