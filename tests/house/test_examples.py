"""The programs of examples/ run as they are, and show what they say."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")

    def run(name: str) -> dict[str, Any]:
        found = runpy.run_path(str(EXAMPLES / name))
        import matplotlib.pyplot as plt

        plt.close("all")
        return found

    return run


def test_each_example_is_tried_here_and_has_a_place_on_the_site():
    here = Path(__file__).read_text("utf-8")
    order = (EXAMPLES.parent / "docs" / "_extensions" / "example_pages.py").read_text("utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'run("{path.name}")' in here, path.name
        assert f'"{path.name}"' in order, path.name


def test_own_model_becomes_the_predicted_mixture(run):
    found = run("own_model.py")
    for i in found["G"]:
        made = np.histogram(found["outcome"].after[i]["x"], found["Histogram"].edges)[0] / 20_000
        away = [abs(shares[i] - found["predicted"][i]).sum() / 2 for shares in (found["own"], made[None].repeat(4, 0))]
        assert away[1] < away[0] / 4


def test_own_graph_converges(run):
    assert run("own_graph.py")["outcome"].outcome == "converged"


@pytest.mark.slow
def test_notebook_shows_tables_and_figures(run):
    found = run("notebook.py")
    assert "<img" in found["outcome"]._repr_html_()
    assert all(found[name].axes for name in ("mixtures", "samples", "graph"))


@pytest.mark.slow
def test_topology_study_measures_the_predicted_rates(run):
    found = run("topology_study.py")
    rows = found["zoo"].table.to_pylist()
    assert len(rows) == 12
    assert all(abs(row["measured_rate"] / row["predicted_rate"] - 1) < 0.05 for row in rows)
    assert "<table>" in found["zoo"]._repr_html_()
    assert all(found[name].axes for name in ("rates", "floors", "curves"))


@pytest.mark.slow
def test_asynchronous_convergence_is_slower_the_later_messages_come(run):
    found = run("asynchronous_convergence.py")
    slopes = [
        np.mean([found["slope"](found["runs"][delay, seed][1], delay, p.noise_floor_rms) for seed in range(2)])
        for delay, p in zip(found["delays"], found["predictions"], strict=True)
    ]
    assert slopes == sorted(slopes)
    assert all(outcome.outcome == "converged" for outcome, _ in found["runs"].values())
