"""The game of PolyMNIST: what travels, the helpers, and its picture of styles and digits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import EmpiricalModel
from nashgossip.games import Batch, Game, PlayerSpec, Space, Variable
from nashgossip.runners import ExperimentError, build_game, load_experiment, play
from nashgossip.runners.blackboxes import black_box
from nashgossip.runners.neural_games import build_looks
from nashgossip.runners.pictures import draw_samples
from nashgossip.runners.private_data import load_data
from nashgossip.topology import UnknownNameError, attach_alpha, generate_graph

HELPERS = ["synthetic", "real", "absent", "classifier"]
FEW = ["data.options.rows=120", "data.split.options.sizes=[80, 40]", "data.test.rows=30", "play.moves=1"]
FAST = [
    "model.players.main.options.steps=1",
    "model.players.main.options.batch=10",
    "model.players.main.options.class_sweeps=2",
    "model.players.main.options.networks={width: 4, hidden: 8, code: 2, bits_code: 2}",
    "play.measure=40",
    "play.samples=10",
]
STYLES = Space(
    (
        Variable("c", "categorical", categories=3),
        Variable("d", "categorical", categories=2),
        Variable("s", "binary", (6, 6)),
        Variable("x", "real", (3, 6, 6)),
    )
)


@pytest.fixture
def polymnist(require_data: Callable[[str], None]) -> Callable[..., Game]:
    pytest.importorskip("skimage", reason="pip install 'nashgossip[photographs]'")
    require_data("mnist")

    def made(*settings: str) -> Game:
        quick = ["model.players.helper.options.steps=1"] if "helper=synthetic" in settings else []
        game = build_game(load_experiment("polymnist", [*settings, *FEW, *FAST, *quick]))
        assert isinstance(game, Game)
        return game

    return made


def styled(n: int = 60) -> Batch:
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=n)
    x = np.zeros((n, 3, 6, 6))
    x[np.arange(n), d] = 1.0  # style 0 is red, style 1 green
    return STYLES.batch({"c": rng.integers(3, size=n), "d": d, "s": rng.integers(2, size=(n, 6, 6)), "x": x})


# --- the experiment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helper", HELPERS)
def test_every_helper_is_a_variant(helper: str) -> None:
    plan = load_experiment("polymnist", [f"helper={helper}"])
    assert plan.chosen == {"helper": helper}
    assert plan.data.test is not None
    assert plan.data.test["variables"] == ["c", "x"]  # the style is not shown, nor the segmentation
    rates = {load_experiment("polymnist", [f"helper={h}"]).model.players["main"]["options"]["steps"] for h in HELPERS}
    assert len(rates) == 1  # all methods take as many steps


def test_the_scale_of_the_paper_has_its_sizes() -> None:
    options = load_experiment("polymnist", ["scale=paper"]).model.players["main"]["options"]
    assert options["architecture"] == "paper"
    assert (options["latents"], options["sweeps"], options["class_sweeps"]) == ({"z": 16}, 10, 100)


def test_digit_and_segmentation_travel_and_nobody_observes_both_images(polymnist: Callable[..., Game]) -> None:
    game = polymnist("helper=real")
    assert game.edge_space("helper", "main").names == ("c", "s")
    assert {p: rows.space.names for p in game.players for rows in game.specs[p].parts} == {
        "helper": ("c", "s"),
        "main": ("c", "d", "x"),
    }
    assert game.space("main").names == ("c", "d", "s", "x")
    assert [game.specs[p].rows for p in game.players] == [80, 40]


@pytest.mark.parametrize("helper", HELPERS)
def test_a_game_with_each_helper_is_played_and_tells_classes(helper: str, polymnist: Callable[..., Game]) -> None:
    plan = load_experiment("polymnist", [f"helper={helper}", *FEW, *FAST])
    game = polymnist(f"helper={helper}")
    outcome = play(game, moves=1, looks=build_looks(plan, game.players))
    assert outcome.last.messages == (1 if helper in ("synthetic", "real") else 0)
    told = {str(p.player): p.accuracy for p in outcome.players}
    assert told["helper"] is None
    assert told["main"] is not None


def test_the_classifier_sees_colour_images_alone(polymnist: Callable[..., Game]) -> None:
    game = polymnist("helper=classifier")
    assert game.space("main").names == ("c", "x")
    assert [rows.space.names for rows in game.specs["main"].parts] == [("c", "x")]


# --- black boxes of these kinds ------------------------------------------------------------------------------


def test_experiment_files_make_conditionals_and_empirical_players() -> None:
    digits = load_data(load_experiment("digits"))
    made = black_box("conditionals", {"latents": {"z": 3}, "networks": {"width": 4}}, digits, seed=0)()
    assert made.space.names == ("label", "z", "x")
    assert black_box("empirical", {"rows": 5}, digits, seed=0)().space.names == ("label", "x")
    with pytest.raises(UnknownNameError, match="architecture"):
        black_box("conditionals", {"architecture": "fat"}, digits, seed=0)()
    with pytest.raises(UnknownNameError, match="option of architecture 'fast',"):
        black_box("conditionals", {"networks": {"depth": 4}}, digits, seed=0)()
    with pytest.raises((ExperimentError, UnknownNameError), match="variable of data set"):
        black_box("conditionals", {"variables": ["y"]}, digits, seed=0)


# --- pictures ------------------------------------------------------------------------------------------------


def game_of_styles() -> Game:
    graph = attach_alpha(generate_graph("path", n=1), 1.0)
    return Game(graph, {0: PlayerSpec(model=lambda: EmpiricalModel(STYLES), data=styled())})


def test_a_sheet_of_colour_images_has_a_line_for_each_style_and_a_column_for_each_digit() -> None:
    from nashgossip.runners import Examiner

    game = game_of_styles()
    outcome = play(game, moves=1, measure=60, examiner=Examiner(game, label="c"))
    figure = draw_samples(outcome)
    assert figure is not None
    (image,) = figure.axes[1].get_images()
    values: Any = image.get_array()
    sheet: NDArray[Any] = np.asarray(values)
    assert sheet.shape == (2 * 8 + 2, 10 * 8, 3)
    assert (sheet[:6, :6] == [1, 0, 0]).all()
    assert (sheet[8:14, 16:22] == [0, 1, 0]).all()
    assert (sheet[:, 3 * 8 :] == 1).all()  # there are no more than three digits


def test_what_a_sheet_has_no_row_for_stays_blank() -> None:
    from nashgossip.runners import Examiner

    game = game_of_styles()
    outcome = play(game, moves=1, measure=1, examiner=Examiner(game, label="c"))
    figure = draw_samples(outcome)
    assert figure is not None
    (image,) = figure.axes[1].get_images()
    values: Any = image.get_array()
    tiles = np.asarray(values)[:16, :24].reshape(2, 8, 3, 8, 3)[:, :6, :, :6]
    assert (tiles != 1).any(axis=(1, 3, 4)).sum() == 1
