"""Figures of studies: what they show of a table that is known, and columns that there are not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nashgossip.runners import (
    FigureSection,
    Study,
    StudyError,
    draw_curves,
    draw_dots,
    draw_figure,
    draw_lines,
    draw_scatter,
)
from nashgossip.runners.study_file import parse_study
from nashgossip.runners.study_store import tabulate

FILE = parse_study({"experiment": "ring", "vary": {"x": [1, 2], "kind": ["a", "b"]}, "seeds": 3})


def made(**columns: Any) -> Study:
    """Two values of x, two kinds, three seeds: y = x + noise of the seed, the last trial failed."""
    trials = []
    for number, (x, kind, seed) in enumerate((x, kind, seed) for x in (1, 2) for kind in "ab" for seed in range(3)):
        row: dict[str, Any] = {
            "trial": number,
            "point": number // 3,
            "replicate": seed,
            "x": x,
            "kind": kind,
            "seed": seed,
        }
        row |= {"outcome": "converged", "y": x + 0.1 * seed, "minus": -x - 0.1 * seed, "some": None if seed else 1.0}
        times = [0.0, 1.0, 2.0]
        curve = {"time": times, "error_rms": [np.exp(-t + 0.1 * seed) for t in times]}
        trials.append({"row": row, "curve": curve})
    trials[-1]["row"] |= {"outcome": "failed", "error": "why", "y": None, "minus": None}
    trials[-1]["curve"] = None
    table, curves = tabulate(trials)
    return Study(Path("nowhere"), FILE, 12, table, curves)


def test_lines_are_means_with_their_interval_over_seeds() -> None:
    figure = draw_lines(made(), FigureSection(x="x", y=["y"], by="kind"))
    assert figure is not None
    (panel,) = figure.axes
    first, second = panel.get_lines()
    assert first.get_xdata() == pytest.approx([1, 2])
    assert first.get_ydata() == pytest.approx([1.1, 2.1])
    assert second.get_ydata() == pytest.approx([1.1, 2.05])  # of the two that did not fail
    low, high = stats.t.interval(0.95, 2, loc=1.1, scale=np.std([1, 1.1, 1.2], ddof=1) / np.sqrt(3))
    band = panel.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(low)
    assert band[band[:, 0] == 1][:, 1].max() == pytest.approx(high)
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["a", "b"]


def test_lines_over_names_stand_side_by_side_and_leave_out_what_a_trial_does_not_know() -> None:
    figure = draw_lines(made(), FigureSection(x="kind", y=["y"], where={"x": 1}))
    assert figure is not None
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b"]
    assert panel.get_lines()[0].get_ydata() == pytest.approx([1.1, 1.1])
    assert draw_lines(made(), FigureSection(x="x", y=["some"])) is None


def test_a_scatter_shows_every_trial_beside_the_diagonal() -> None:
    figure = draw_scatter(made(), FigureSection(x="minus", y=["minus"], by="kind", x_scale="log", y_scale="log"))
    assert figure is not None
    (panel,) = figure.axes
    dots = np.concatenate([c.get_offsets() for c in panel.collections if len(c.get_offsets()) > 1])
    assert len(dots) == 11
    assert sorted({round(float(v), 6) for v in dots[:, 0]}) == [1, 1.1, 1.2, 2, 2.1, 2.2]
    assert panel.get_xlabel() == "−minus"
    assert draw_scatter(made(), FigureSection(x="x", y=["some"], where={"kind": "c"})) is None


def test_dots_have_no_diagonal() -> None:
    figure = draw_dots(made(), FigureSection(x="x", y=["y"]))
    assert figure is not None
    assert figure.axes[0].get_lines() == []


def test_curves_are_geometric_means_on_a_logarithmic_axis() -> None:
    figure = draw_curves(made(), FigureSection(y=["error_rms"], by="kind", y_scale="log"))
    assert figure is not None
    line = figure.axes[0].get_lines()[0]
    assert line.get_ydata() == pytest.approx(np.exp([0.1, -0.9, -1.9]))
    assert figure.axes[0].get_xlabel() == "moves per player"


def test_columns_that_there_are_not() -> None:
    with pytest.raises(StudyError, match="study study has no figure 'x', expected one of: none"):
        draw_figure(made(), "x")
    file = FILE.model_copy(update={"figures": {"a<b": FigureSection(x="x", y=["z"])}})
    assert "<p>no figure a&lt;b: a figure asks for column &#x27;z&#x27;" in replace(made(), file=file)._repr_html_()
    with pytest.raises(
        StudyError, match="a figure asks for column 'z', which table.parquet has not; it has trial, point"
    ):
        draw_lines(made(), FigureSection(x="x", y=["z"]))
    with pytest.raises(StudyError, match="column 'speed', which curves.parquet has not; it has trial, time, error_rms"):
        draw_curves(made(), FigureSection(y=["speed"]))
