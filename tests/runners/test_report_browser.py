"""A report in a browser: drawn, moved by its slider, silent, and asking for nothing beyond its file."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.runners import (
    PlayerView,
    Record,
    RecordWriter,
    RunDirectory,
    build_game,
    load_experiment,
    read_study,
    write_report,
)
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment
from nashgossip.runners.study_file import parse_study
from nashgossip.runners.study_play import play_trial
from nashgossip.runners.study_store import StudyStore
from nashgossip.runners.study_trials import plan_trials

from ..browsers import Seen, open_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "digits"
    arguments = ["run", "digits", "--runner", "rounds", "--set", "play.moves=30", "--out", str(run)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return Path(str(write_report(run)))


def opened(browser: Any, file: Path, **context: Any) -> tuple[Any, Seen]:
    """The page of a run once it is drawn, and what is seen of it."""
    page, seen = open_page(browser, file.as_uri(), **context)
    page.wait_for_function("document.querySelector('#when').textContent !== ''")
    return page, seen


PIXELS = "() => { const c = document.getElementById('graph'); return c.toDataURL(); }"


def test_the_slider_moves_the_graph_and_nothing_is_asked_of_a_network(browser: Any, report: Path) -> None:
    page, seen = opened(browser, report)
    last, when = page.evaluate(PIXELS), page.text_content("#when")
    page.focus("#slider")
    sheet = page.get_attribute("#sheet img", "src")
    page.keyboard.press("Home")
    assert page.evaluate(PIXELS) != last
    assert page.get_attribute("#sheet img", "src") != sheet
    assert page.text_content("#when") == "0 moves/player" != when
    page.keyboard.press("End")
    assert page.evaluate(PIXELS) == last
    assert page.locator("#errors path").count() == 2  # the error, and its floor
    page.select_option("#span", "moment")
    assert page.evaluate(PIXELS) != last, "colours have another scale"
    page.select_option("#span", "run")
    page.focus("#player")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(PIXELS) != last, "the first player is marked"
    assert page.text_content("#told").startswith("Player 0: regret (nats) ")
    page.locator("th button", has_text="regret").focus()
    page.keyboard.press("Enter")
    shown = [float(text) for text in page.locator("#table tbody tr td:nth-child(3)").all_text_contents()]
    assert shown == sorted(shown)
    assert seen == Seen(asked=[report.as_uri()])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_part_is_wider_than_the_window(browser: Any, report: Path, tmp_path: Path, width: int, scheme: str) -> None:
    page, seen = opened(browser, report, viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert len(picture) > 30_000
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert dark == (scheme == "dark")
    assert seen.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_study_sorts_by_numbers_and_fits(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    changes = {"play.moves": 6, "play.samples": 200, "play.measure": 0, "topology.arguments": {"n": 4}}
    content = {"experiment": "ring", "set": changes, "vary": {"alpha.self_weight": [0.2, 0.6, 0.4]}, "seeds": 2}
    figure = {"x": "alpha.self_weight", "y": ["equilibrium_error_rms"]}
    file = parse_study({**content, "figures": {"errors": figure}}).whole()
    base, store = file.base(), StudyStore(tmp_path / "study", file)
    for trial in plan_trials(file, base):
        store.finish(trial.number, play_trial(base, trial, file.measure))
    written = Path(str(write_report(read_study(store.path))))
    page, seen = open_page(browser, written.as_uri(), viewport={"width": width, "height": 844}, color_scheme=scheme)
    head = page.locator("table.broad th button", has_text="equilibrium error rms").first
    head.press("Enter")
    column = page.locator("table.broad").first.locator("tbody tr")
    values = [
        float(column.nth(row).locator("[data-value]").nth(k).get_attribute("data-value"))
        for row in range(column.count())
        for k, text in enumerate(page.locator("table.broad").first.locator("thead th").all_text_contents())
        if text == "equilibrium error rms"
    ]
    assert len(values) == 3
    assert values == sorted(values)
    assert page.locator("figure svg path").count() > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen == Seen(asked=[written.as_uri()])


def test_a_table_that_goes_on_says_so_until_it_is_scrolled(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, viewport={"width": 390, "height": 844})
    box = page.locator(".scroll:has(#table)")
    hint = page.locator(".hint:has(+ .scroll > #table)")
    assert hint.text_content() == f"{page.locator('#table thead th').count()} columns: scroll sideways →"
    assert "right" in box.get_attribute("class").split()
    box.evaluate("(e) => { e.scrollLeft = e.scrollWidth; }")
    page.wait_for_function("!document.querySelector('.scroll:has(#table)').classList.contains('right')")
    first = page.locator("#table tbody th").first.bounding_box()
    assert first["x"] >= 0, "whose row it is stays in sight"
    wide, _ = opened(browser, report, viewport={"width": 1280, "height": 844})
    assert not wide.is_visible(".hint:has(+ .scroll > #table)")


def test_the_lines_of_a_sheet_bear_the_names_of_their_players(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report)
    names = page.locator("#sheet li")
    assert names.all_text_contents() == [str(k) for k in range(10)]
    sheet = page.locator("#sheet img").bounding_box()
    for k in (0, 4, 9):
        label = names.nth(k).bounding_box()
        middle = label["y"] + label["height"] / 2
        assert middle == pytest.approx(sheet["y"] + (k + 0.5) * sheet["height"] / 10, abs=3)


def test_print_is_light_on_few_pages_without_controls(browser: Any, report: Path) -> None:
    page, seen = opened(browser, report, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible(".controls")
    assert page.is_visible("#errors")
    printed = page.pdf(format="A4")
    assert 3 <= printed.count(b"/Type /Page\n") <= 8
    assert seen.complaints == []


def test_what_is_focused_shows(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report)
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"))
    assert {"slider", "measure", "span", "player"} <= {name for name, _ in seen}
    assert {style for _, style in seen} == {"solid"}


@pytest.mark.parametrize(("players", "records"), [(10, 100_000), (1_000, 200)])
def test_a_large_run_opens_in_three_seconds(browser: Any, tmp_path: Path, players: int, records: int) -> None:
    plan = load_experiment("ring", [f"topology.arguments.n={players}"])
    directory = RunDirectory(tmp_path / "run")
    directory.describe(dump_experiment(plan), build_game(plan), plan.seed)
    rng = np.random.default_rng(0)
    views = [PlayerView(1, None, {}, {}, 1.0) for _ in range(players)]
    sizes = np.exp(rng.normal(size=(100, players)))
    with RecordWriter(directory.records, list(range(players))) as writer:
        for k in range(records):
            row = sizes[k % 100] / (k + 1)
            writer.write(Record(float(k), k / 10, k, 8 * k, views, row, row, float(row[0])))
    file = Path(str(write_report(directory.path)))
    assert file.stat().st_size < 5_000_000
    text = file.read_text("utf-8")
    shown = 600 if players == 10 else records
    assert (f"Shown are {shown} of {records} records" in text) == (shown < records)
    took = []
    for _ in range(3):
        begun = time.monotonic()
        _, seen = opened(browser, file)
        took.append(time.monotonic() - begun)
        assert seen.complaints == []
    assert min(took) < 3.0
