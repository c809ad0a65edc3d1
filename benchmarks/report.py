"""Reports of large runs: how long they take to write and to open in a browser, beside an empty page in it.

Needs the extra `browser` and a Chromium at `--chromium`. Prints one JSON object with `--json`.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.runners import PlayerView, Record, RecordWriter, RunDirectory, build_game, load_experiment, write_report
from nashgossip.runners.experiment import dump_experiment

SIZES = ((10, 100_000), (1_000, 200), (1_500, 1_000))
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def recorded(folder: Path, players: int, records: int) -> RunDirectory:
    """A run that goes on, of players on a ring, with records of falling errors."""
    plan = load_experiment("ring", [f"topology.arguments.n={players}"])
    directory = RunDirectory(folder)
    directory.describe(dump_experiment(plan), build_game(plan), plan.seed)
    views = [PlayerView(1, None, {}, {}, 1.0) for _ in range(players)]
    sizes = np.exp(np.random.default_rng(0).normal(size=(100, players)))
    with RecordWriter(directory.records, list(range(players))) as writer:
        for k in range(records):
            row = sizes[k % 100] / (k + 1)
            writer.write(Record(float(k), k / 10, k, 8 * k, views, row, row, float(row[0])))
    return directory


def opened(browser: Any, url: str, ready: str) -> float:
    """Seconds until a page is drawn, the best of three."""
    took = []
    for _ in range(3):
        page = browser.new_context().new_page()
        begun = time.perf_counter()
        page.goto(url)
        page.wait_for_selector(ready, state="attached")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        took.append(time.perf_counter() - begun)
        page.context.close()
    return min(took)


def bench(browser: Any, folder: Path, players: int, records: int) -> dict[str, Any]:
    """What a report of this size takes."""
    directory = recorded(folder / f"{players}x{records}", players, records)
    begun = time.perf_counter()
    file = Path(str(write_report(directory.path)))
    took = time.perf_counter() - begun
    empty = folder / "empty.html"
    empty.write_text("<!DOCTYPE html><title>empty</title><p>nothing</p>")
    return {
        "players": players,
        "records": records,
        "write_seconds": round(took, 3),
        "megabytes": round(file.stat().st_size / 1e6, 3),
        "open_seconds": round(opened(browser, file.as_uri(), "#slider"), 3),
        "empty_page_seconds": round(opened(browser, empty.as_uri(), "p"), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        found = [bench(browser, Path(folder), *size) for size in SIZES]
        browser.close()
    if options.json:
        print(json.dumps({"report": found}))
        return
    for line in found:
        print(
            f"{line['players']:5d} players × {line['records']:7,d} records: written in {line['write_seconds']:6.2f} s, "
            f"{line['megabytes']:.2f} MB, opens in {line['open_seconds']:.2f} s "
            f"(an empty page in {line['empty_page_seconds']:.2f} s)"
        )


if __name__ == "__main__":
    main()
