"""Pictures of a run: written, not empty, and only those that there is something to show in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from nashgossip.agents import EstimatorModel
from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.runners import Outcome, build_game, load_experiment, play
from nashgossip.runners.pictures import draw_convergence, draw_run, draw_samples
from nashgossip.topology import attach_alpha, generate_graph


def pixels(path: Path) -> NDArray[Any]:
    """`[height, width, 3]`, 0 to 1."""
    image: NDArray[Any] = np.asarray(imread(path))[..., :3]
    return image


def shown_in(panel: Axes) -> NDArray[Any]:
    """The values of a panel's only picture, NaN where nothing is drawn."""
    (image,) = panel.get_images()
    values: Any = image.get_array()
    return np.ma.filled(values, np.nan)


def black_boxes() -> Game:
    graph, space = attach_alpha(generate_graph("ring", n=3), 0.5), Gaussian((2,)).space
    rows = space.batch({"x": np.random.default_rng(1).normal(size=(30, 2))})
    specs = {
        player: PlayerSpec(model=lambda: EstimatorModel(GaussianMixture(1), space, rows=50), data=rows, samples=10)
        for player in graph
    }
    return Game(graph, specs)


@pytest.fixture(scope="module")
def digits() -> Outcome:
    game = build_game(load_experiment("digits", ["samples=50"]))
    return play(game, seed=1, moves=12, measure=300)


@pytest.fixture(scope="module")
def ring() -> Outcome:
    return play(build_game(load_experiment("ring", ["samples=50"])), seed=1, moves=12, measure=20)


def test_a_run_on_images_has_both_pictures(digits: Outcome, tmp_path: Path) -> None:
    written = draw_run(digits, tmp_path)
    assert written == [tmp_path / "convergence.png", tmp_path / "samples.png"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        image = pixels(path)
        assert min(image.shape[:2]) >= 400
        assert image.std() > 0.05
        assert (image.mean(axis=-1) < 0.5).mean() > 0.005, "almost nothing is drawn"


def test_samples_show_a_line_for_each_player_before_and_after(digits: Outcome) -> None:
    figure = draw_samples(digits)
    assert figure is not None
    before, after = figure.axes
    names = [str(player.player) for player in digits.players]
    for panel in (before, after):
        assert [label.get_text() for label in panel.get_yticklabels()] == names
        sheet = shown_in(panel)
        assert sheet.shape[0] == len(names) * (8 + 2)
        shown = sheet[np.isfinite(sheet)]
        assert set(np.unique(shown)) == {0.0, 1.0}
        strips = sheet.reshape(len(names), -1, sheet.shape[1])
        assert all(np.nanstd(strip) > 0.1 for strip in strips)
    assert not np.array_equal(shown_in(before), shown_in(after), equal_nan=True)


def test_convergence_shows_error_floor_and_regret(ring: Outcome) -> None:
    figure = draw_convergence(ring)
    assert figure is not None
    left, right = figure.axes
    labels = left.get_legend_handles_labels()[1]
    assert {"all players", "predicted floor"} <= set(labels)
    error = next(line for line in left.get_lines() if line.get_label() == "all players")
    assert error.get_ydata() == pytest.approx([record.error_rms for record in ring.trace])
    assert error.get_xdata() == pytest.approx([record.time for record in ring.trace])
    gap = right.get_lines()[0]
    assert gap.get_ydata() == pytest.approx([record.nash_gap for record in ring.trace])


def test_without_images_there_are_no_samples(ring: Outcome, tmp_path: Path) -> None:
    assert draw_samples(ring) is None
    assert draw_run(ring, tmp_path) == [tmp_path / "convergence.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["convergence.png"]


def test_without_measurement_there_are_no_samples(tmp_path: Path) -> None:
    game = build_game(load_experiment("digits", ["samples=10"]))
    assert draw_run(play(game, moves=2), tmp_path) == [tmp_path / "convergence.png"]


def test_without_closed_form_there_is_nothing_to_draw(tmp_path: Path) -> None:
    assert draw_run(play(black_boxes(), moves=3, measure=10), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_in_equilibrium_from_the_start_can_be_drawn(tmp_path: Path) -> None:
    """A player alone has no error and no regret, and a logarithm of neither."""
    graph, family = attach_alpha(generate_graph("path", n=1), 1.0), Gaussian((2,))
    data = family.sample(np.zeros(2), 20, np.random.default_rng(0))
    outcome = play(Game(graph, {0: PlayerSpec(family=family, data=data)}), moves=5)
    assert draw_run(outcome, tmp_path) == [tmp_path / "convergence.png"]
    assert pixels(tmp_path / "convergence.png").std() > 0.01


@pytest.mark.parametrize("moves", [1, 2])
def test_the_shortest_runs_can_be_drawn(moves: int, tmp_path: Path) -> None:
    game = build_game(load_experiment("decreasing-step", ["samples=5"]))
    assert draw_run(play(game, moves=moves), tmp_path) == [tmp_path / "convergence.png"]
