"""The report of a run: whole, escaped, closed to the network, and honest about what is missing."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nashgossip.games import FleetGame, Gaussian, Space, Variable
from nashgossip.runners import (
    Journal,
    PlayerView,
    Record,
    RecordWriter,
    RunDirectory,
    RunDirectoryError,
    build_game,
    draw_graph,
    draw_influence,
    draw_mixtures,
    draw_sheets,
    load_experiment,
    play,
    read_run,
    read_sheets,
    render_report,
    write_report,
)
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment
from nashgossip.runners.report_data import chosen_records
from nashgossip.runners.report_graph import draw_plan
from nashgossip.runners.sheets import draw_sheet, write_sheet
from nashgossip.runners.standing import foresee, judge
from nashgossip.topology import UnknownNameError, attach_alpha, influence, write_graph

EVIL = "</script><script>alert('x')</script>"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "ring"
    arguments = ["run", "ring", "--runner", "rounds", "--set", "moves=40", "--set", "samples=50", "--out", str(run)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return run


def begun(path: Path, names: list[Any], records: int) -> Path:
    """A run that has not ended, of players with these names."""
    plan = load_experiment("ring", [f"topology.arguments.n={len(names)}"])
    directory = RunDirectory(path)
    directory.describe(dump_experiment(plan), build_game(plan), plan.seed)
    graph = attach_alpha(nx.relabel_nodes(nx.cycle_graph(len(names)), dict(enumerate(names))), 0.5)
    write_graph(graph, path / "graph.graphml")
    views = [PlayerView(1, None, {}, {}, 1.0) for _ in names]
    with RecordWriter(directory.records, names) as writer:
        for k in range(records):
            sizes = np.arange(1.0, len(names) + 1) / (k + 1)
            writer.write(Record(float(k), k / 10, k, 8 * k, views, sizes, sizes, 1.0))
    return path


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_a_run_reads_back_as_it_was_recorded(ring: Path) -> None:
    view = read_run(ring)
    assert view.ended
    assert view.notes == ()
    assert view.troubles == ()
    assert view.times.tolist() == [float(k) for k in range(41)]
    assert view.graph is not None
    assert view.names == tuple(map(str, view.graph))
    gaps = view.figures("regret", range(41)).max(axis=1)
    np.testing.assert_allclose(gaps, view.column("nash_gap"))
    assert view.diagnosis is not None
    assert view.summary is not None
    assert view.diagnosis["outcome"] == view.summary["outcome"]


def test_a_report_says_how_it_ended_and_shows_what_was_recorded(ring: Path) -> None:
    page = render_report(read_run(ring))
    view, data = read_run(ring), data_of(page)
    assert view.summary is not None
    assert f"The outcome is “{view.summary['outcome']}”." in page
    assert "All 41 records are shown." in page
    assert data["predicted"]["floor"] == view.summary["predicted"]["noise_floor_rms"]
    packed = data["measures"]["regret"]
    codes = np.frombuffer(base64.b64decode(packed["codes"]), "<u2").reshape(41, 10)
    values = packed["low"] * (packed["high"] / packed["low"]) ** ((codes - 1.0) / 65534)
    np.testing.assert_allclose(values, view.figures("regret", range(41)), rtol=1e-3)
    assert len(data["graph"]["edges"]) == 20


def test_nothing_in_a_report_comes_from_elsewhere(ring: Path) -> None:
    page = render_report(read_run(ring))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []


def test_the_names_of_players_stay_text(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", [EVIL, "b & c", "d"], 5)
    Journal(run / "logs" / "x.jsonl").write("player failed", level="error", player=EVIL, why="<b>it</b>")
    page = render_report(read_run(run))
    assert "<script>alert" not in page
    assert "<b>it" not in page
    assert "&lt;script&gt;alert" in page
    assert data_of(page)["names"] == [EVIL, "b & c", "d"]
    assert "The run has not ended" in page


def test_a_log_that_is_half_written_is_read_to_its_last_whole_batch(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", ["a", "b", "c"], 5)
    part = run / "records" / "run-00001.parquet"
    part.write_bytes(b"PAR1half")
    view = read_run(run)
    assert len(view.run) == 5
    assert view.notes == ("records were read to the last whole batch; 8 bytes after it are half written",)
    assert "8 bytes after it are half written" in render_report(view)


def test_the_terminal_warns_of_a_run_that_has_ended_and_is_damaged(
    ring: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    shutil.copytree(ring, run)
    last = max((run / "records").glob("run-*.parquet"))
    last.write_bytes(last.read_bytes()[:-5])
    command = [sys.executable, "-m", "nashgossip.runners", "report", str(run)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    note = f"records were read to the last whole batch; {last.stat().st_size} bytes after it are half written"
    assert said == f"{run} is damaged: {note}\nreport: {run}/report.html\n"
    assert note in (run / "report.html").read_text("utf-8")
    assert read_run(ring).notes == ()
    assert read_run(unfinished(run, tmp_path / "on")).notes == (note,)
    assert caplog.messages == [], "what goes on may be being written"


def test_records_are_thinned_evenly_and_said_to_be(tmp_path: Path) -> None:
    view = read_run(begun(tmp_path / "run", ["a", "b", "c"], 1500))
    at = chosen_records(view)
    assert len(at) == 600
    assert at[0] == 0
    assert at[-1] == 1499
    assert set(np.diff(at)) == {2, 3}
    assert "Shown are 600 of 1500 records" in render_report(view)


def unfinished(run: Path, copy: Path) -> Path:
    """The run as it was before it ended."""
    shutil.copytree(run, copy)
    for name in ("summary.json", "diagnosis.json", "players.json", "convergence.png"):
        (copy / name).unlink()
    return copy


def test_what_is_predicted_of_an_unfinished_run_is_what_was_of_the_whole(ring: Path, tmp_path: Path) -> None:
    whole, part = read_run(ring), read_run(unfinished(ring, tmp_path / "run"))
    standing = judge(part, foresee(part.experiment))
    assert whole.summary is not None
    assert whole.diagnosis is not None
    assert whole.players is not None
    assert standing.predicted == whole.summary["predicted"]
    assert standing.rate == whole.summary["measured"]["rate"]
    assert standing.diagnosis is not None
    assert standing.diagnosis.outcome == whole.summary["outcome"]
    assert list(standing.diagnosis.reasons) == whole.diagnosis["reasons"]
    assert standing.floors == {p["player"]: p["floor"] for p in whole.players}
    page = render_report(part)
    assert "The run has not ended" in page
    assert f"If it ended now, its outcome would be “{whole.summary['outcome']}”." in page
    assert data_of(page)["predicted"] == data_of(render_report(whole))["predicted"]
    assert "How each player is at the last record" in page
    assert "predicted floor" in page


def test_an_unfinished_run_that_cannot_be_foreseen_says_why(
    ring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unfinished(ring, tmp_path / "run")
    text = (run / "experiment.yaml").read_text()
    assert "n: 10" in text
    with monkeypatch.context() as patch:
        patch.setattr("nashgossip.runners.standing._MOST_PLAYERS", 9)
        assert "Of 10 players no prediction is computed before the end." in render_report(read_run(run))
    (run / "experiment.yaml").write_text(text.replace("n: 10", "n: -10"))
    assert "The prediction could not be computed anew: " in render_report(read_run(run))


def test_signatures_have_a_section_of_their_own(ring: Path, tmp_path: Path) -> None:
    assert "None was recognised. Looked for are oscillation" in render_report(read_run(ring))
    run = tmp_path / "run"
    shutil.copytree(ring, run)
    sign = {"name": "lagging player", "sentence": "player 3 <lags>", "remedy": "wait", "players": ["3"]}
    told = json.loads((run / "diagnosis.json").read_text()) | {"signatures": [sign]}
    (run / "diagnosis.json").write_text(json.dumps(told))
    page = render_report(read_run(run))
    assert "<strong>lagging player</strong>: player 3 &lt;lags&gt;; wait" in page
    assert "None was recognised." not in page
    (run / "diagnosis.json").unlink()
    assert "Nothing is on record of them. Looked for are" in render_report(read_run(run))


def test_of_a_large_graph_a_sample_is_drawn_and_said_to_be(tmp_path: Path) -> None:
    graph = attach_alpha(nx.barabasi_albert_graph(1600, 2, seed=1), 0.5)
    run = begun(tmp_path / "run", ["a", "b", "c"], 1)
    write_graph(graph, run / "graph.graphml")
    with RecordWriter(run / "records", list(graph)) as writer:
        sizes = np.arange(1.0, 1601.0)
        writer.write(Record(0.0, 0.0, 0, 0, [PlayerView(1, None, {}, {}, 1.0)] * 1600, sizes, sizes, 1.0))
    view = read_run(run)
    drawing = draw_plan(view)
    assert drawing is not None
    assert len(drawing.names) == 600
    inside = [(drawing.names[i], drawing.names[j]) for i, j, _ in drawing.edges]
    kept = set(drawing.names)
    assert set(inside) == {(str(i), str(j)) for i, j in graph.edges if i != j and {str(i), str(j)} <= kept}
    drawn: nx.Graph[str] = nx.Graph(inside)
    assert nx.is_connected(drawn)
    np.testing.assert_array_equal(drawing.columns, [int(name) for name in drawing.names])
    wide = influence(graph).mean(axis=0)
    np.testing.assert_allclose(drawing.influence, wide[drawing.columns], rtol=1e-6)
    page = render_report(view)
    assert "Drawn are 600 of 1,600 players, those met first from player 0, with all" in page
    data = data_of(page)
    packed = data["measures"]["error"]
    codes = np.frombuffer(base64.b64decode(packed["codes"]), "<u2").reshape(1, 600)
    values = packed["low"] * (packed["high"] / packed["low"]) ** ((codes - 1.0) / 65534)
    np.testing.assert_allclose(values[0], drawing.columns + 1.0, rtol=1e-3)


@pytest.mark.parametrize("players", [200, pytest.param(12_000, marks=pytest.mark.slow)])
def test_the_graph_of_a_fleet_is_drawn_whether_or_not_it_is_on_disk(tmp_path: Path, players: int) -> None:
    run = tmp_path / "run"
    changes = [f"topology.arguments.n={players}", "model.dimension=2", "play.moves=3"]
    arguments = ["run", "fleet", "--out", str(run), *(word for change in changes for word in ("--set", change))]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    view = read_run(run)
    assert (run / "listening.npz").exists() == (players == 200)
    drawing = draw_plan(view)
    assert drawing is not None
    game = build_game(view.experiment)
    assert isinstance(game, FleetGame)
    told = {(i, j): a for j, i, a in ((int(drawing.names[j]), int(drawing.names[i]), a) for j, i, a in drawing.edges)}
    assert told == {pair: pytest.approx(game.listening[pair], abs=1e-4) for pair in told}
    data = data_of(render_report(view))
    assert len(data["names"]) == (200 if players == 200 else 600)
    assert ("regret" in data["measures"]) == (players == 200)


def test_sheets_of_samples_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = ["play.moves=6", "play.looks=4", "play.measure=60"]
    arguments = ["run", "digits", "--runner", "rounds", "--out", str(run)]
    assert CliRunner().invoke(app, [*arguments, *(w for c in changes for w in ("--set", c))]).exit_code == 0
    sheets = read_sheets(run)
    assert [sheet.time for sheet in sheets] == [0.0, 2.0, 4.0, 6.0]
    assert {sheet.players for sheet in sheets} == {tuple(map(str, range(10)))}
    assert len({sheet.png for sheet in sheets}) == 4
    assert [sheet.time for sheet in read_sheets(run, after=2.0)] == [4.0, 6.0]
    figure = draw_sheets(run, most=2)
    assert figure is not None
    assert [panel.get_title() for panel in figure.axes] == ["0 moves", "6 moves"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [str(k) for k in range(10)]
    with pytest.raises(ValueError, match="most is 1, expected at least 2 sheets"):
        draw_sheets(run, most=1)
    shown = data_of(render_report(read_run(run)))["sheets"]
    assert [sheet["time"] for sheet in shown] == [0.0, 2.0, 4.0, 6.0]
    assert all(sheet["url"].startswith("data:image/png;base64,iVBOR") for sheet in shown)


def test_sheets_show_colours_and_nothing_where_there_are_no_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = Space((Variable("photo", "real", (3, 4, 4)),))
    red = np.zeros((20, 3, 4, 4))
    red[:, 0] = 1.0
    sheet = draw_sheet(2.5, {"a": colours.batch({"photo": red}), "b": None}, None)
    assert sheet is not None
    assert (sheet.time, sheet.players) == (2.5, ("a",))
    seen = np.asarray(Image.open(io.BytesIO(sheet.png)).convert("RGB"))
    assert {tuple(c) for c in seen.reshape(-1, 3).tolist()} == {(255, 0, 0), (255, 255, 255)}
    file = write_sheet(sheet, tmp_path)
    assert file.name == "000000002.5000.png"
    (file.parent / "notes.png").write_bytes(b"no sheet")
    assert read_sheets(tmp_path) == [sheet]
    family = Gaussian((2,))
    assert draw_sheet(0.0, {"a": family.sample(np.zeros(2), 5, rng)}, None) is None
    assert draw_sheets(tmp_path / "nowhere") is None


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours."""

    def light(colour: str) -> float:
        full = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
        parts = [int(full[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    low, high = sorted((light(one), light(other)))
    return high / low


def test_text_and_lines_stand_out_in_light_and_dark() -> None:
    style = resources.files("nashgossip.runners").joinpath("report_page.css").read_text("utf-8")
    schemes = [dict(re.findall(r"--(\w+):(#\w+)", block)) for block in re.findall(r":root\{([^}]*)\}", style)]
    assert len(schemes) == 2
    for colours in schemes:
        for name in ("ink", "quiet", "blue", "red", "green"):
            for ground in ("paper", "card"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    assert contrast("#777", "#fff") < 4.5 < contrast("#767676", "#fff"), "as WCAG's own example"


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is no run directory: it holds no experiment.yaml"):
        read_run(tmp_path)
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no run directory" in result.stderr


def test_the_command_writes_where_it_is_told(ring: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["report", str(ring), "--out", str(target)])
    assert result.exit_code == 0, result.output
    assert target.read_text("utf-8") == render_report(read_run(ring))
    with pytest.raises(RunDirectoryError, match="cannot be written: .*; choose another --out"):
        write_report(ring, tmp_path / "nowhere" / "page.html")


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", ["a", "b", "c"], 2)
    (run / "summary.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="summary.json is not JSON .*; take it away, or play the run again"):
        read_run(run)


def test_frames_hold_what_was_recorded(ring: Path, tmp_path: Path) -> None:
    view = read_run(ring)
    assert view.frame()["time"].tolist() == view.times.tolist()
    assert len(view.frame("players")) == 41 * 10
    assert view.frame("outcome")["player"].tolist() == list(view.names)
    with pytest.raises(ValueError, match="frame is 'looks', expected one of: run, players, outcome"):
        view.frame("looks")
    with pytest.raises(ValueError, match="has not ended, so that it has no outcome; take frame 'players'"):
        read_run(begun(tmp_path / "run", ["a", "b", "c"], 2)).frame("outcome")


def test_figures_are_drawn_as_svg_and_pdf(ring: Path, tmp_path: Path) -> None:
    view = read_run(ring)
    for by in ("regret", "error", "influence"):
        figure = draw_graph(view, by)
        assert figure is not None
        assert len(figure.axes[0].collections[-1].get_offsets()) == 10
    heat = draw_influence(view)
    assert heat is not None
    np.testing.assert_allclose(np.asarray(heat.axes[0].get_images()[0].get_array()).sum(axis=1), 1)
    assert draw_mixtures(view) is None, "Gaussian players have no classes"
    heat.savefig(tmp_path / "b.svg")
    heat.savefig(tmp_path / "b.pdf")
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")
    assert (tmp_path / "b.pdf").read_bytes()[:4] == b"%PDF"
    with pytest.raises(UnknownNameError, match="by"):
        draw_graph(view, "charm")


def test_an_outcome_shows_itself_in_a_notebook() -> None:
    outcome = play(build_game(load_experiment("ring", ["samples=50"])), seed=1, moves=12)
    shown = outcome._repr_html_()
    assert f"<caption>{outcome.outcome}</caption>" in shown
    assert "data:image/png;base64,iVBOR" in shown
