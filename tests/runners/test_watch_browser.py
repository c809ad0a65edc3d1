"""The live view in a browser: it follows the run until the slider is moved, and asks nobody but its own server."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pytest

from nashgossip.runners import PlayerView, Record, RecordWriter, RunDirectory, build_game, load_experiment, play
from nashgossip.runners.experiment import dump_experiment

from ..browsers import open_page

pytest.importorskip("sse_starlette", reason="the extra watch is not installed")
pytest.importorskip("uvicorn", reason="the extra watch is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PIXELS = "() => document.getElementById('graph').toDataURL()"
PLAN = load_experiment("ring", ["topology.arguments.n=6"])
GAME = build_game(PLAN)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.describe(dump_experiment(PLAN), GAME, PLAN.seed)
    return directory


@pytest.fixture
def server(run: RunDirectory) -> Iterator[tuple[Popen[str], str]]:
    """The command, and the address that it prints."""
    command = [sys.executable, "-m", "nashgossip.runners", "watch", str(run.path), "--until-end"]
    with Popen(command, stderr=PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.fullmatch(r"watch: (http://127\.0\.0\.1:\d+/)\n", process.stderr.readline())
        assert address is not None
        yield process, address[1]
        process.kill()


def record(k: int) -> Record:
    sizes = np.exp(np.random.default_rng(k).normal(size=6)) / (k + 1)
    return Record(float(k), k / 10, k, 8 * k, [PlayerView(k, None, {}, {}, 1.0)] * 6, sizes, sizes, 1.0)


def until(condition: Callable[[], bool], page: Any) -> None:
    """Waits for at most a minute; the page goes on meanwhile."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def colour_of(page: Any, name: str) -> str:
    """A colour of the page's style, as a browser tells computed ones."""
    told = str(page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}')")).strip()
    return f"rgb({', '.join(str(int(told[k : k + 2], 16)) for k in (1, 3, 5))})"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_follows_a_run_to_its_end(
    browser: Any, run: RunDirectory, server: tuple[Popen[str], str], width: int, scheme: str
) -> None:
    process, address = server
    page, seen = open_page(browser, address, viewport={"width": width, "height": 844}, color_scheme=scheme)

    def when() -> str:
        return str(page.text_content("#when"))

    def dot() -> str:
        """The colour of the dot beside the state of the page."""
        return str(page.evaluate("getComputedStyle(document.getElementById('live'), '::before').color"))

    assert when() == "no record"
    until(lambda: page.text_content("#live") == "live", page)
    green, quiet = colour_of(page, "--green"), colour_of(page, "--quiet")
    assert dot() == green != quiet
    with RecordWriter(run.records, GAME.players) as writer:
        for k in range(5):
            writer.write(record(k))
        until(lambda: when() == "4 moves/player", page)
        before = page.evaluate(PIXELS)
        for k in range(5, 9):
            writer.write(record(k))
        until(lambda: when() == "8 moves/player", page)
        assert page.evaluate(PIXELS) != before, "the slider follows the newest record"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.focus("#slider")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        held = page.evaluate(PIXELS)
        assert (when(), page.is_checked("#follow")) == ("6 moves/player", False)
        for k in range(9, 2_000):
            writer.write(record(k))
        until(lambda: "of 2,000 records" in page.text_content("#shown"), page)
        assert "2000 records reach to 1999 moves a player" in page.text_content("#happened")
        assert float(when().split()[0]) <= 6, "it stays where it was put, but for thinning"
        assert page.locator("#table tbody tr").first.locator("td").first.text_content() == "1999"
        page.check("#follow")
        assert when() == "1,999 moves/player"
        assert page.evaluate(PIXELS) != held
        assert page.locator("#errors path").count() >= 2
    page.select_option("#measure", "error")
    page.select_option("#player", "3")
    page.focus("#slider")
    page.keyboard.press("Home")
    run.conclude(play(GAME, seed=1, moves=20))
    until(lambda: page.locator(".outcome").first.text_content() != "not ended", page)
    assert (page.input_value("#measure"), page.input_value("#player")) == ("error", "3"), "it comes back as it was left"
    assert (when(), page.is_checked("#follow")) == ("0 moves/player", False)
    assert process.wait(60) == 0, "it stops by itself once the page shows the end"
    until(lambda: page.text_content("#live") == "no longer live: the server has stopped", page)
    assert dot() == quiet, "nothing is live any more"
    assert seen.complaints == []
    assert {url for url in seen.asked if not url.startswith(address)} == set()


def test_it_ends_when_interrupted(run: RunDirectory, server: tuple[Popen[str], str]) -> None:
    process, _ = server
    process.send_signal(2)
    assert process.wait(30) == 0
