"""Hospitals with images: files of several modalities, what travels between them, and what listening brings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from typer.testing import CliRunner

from nashgossip.games import Batch, DatasetNotFound, Game, load_digits
from nashgossip.runners import ExperimentError, build_game, load_experiment
from nashgossip.runners.command import app
from nashgossip.runners.neural_games import build_looks
from nashgossip.topology import UnknownNameError

VIEWS = ("scan", "edges")


def view_of(images: NDArray[np.float64], name: str) -> NDArray[np.uint8]:
    """Digits as they are, or the strength of their edges, as bytes."""
    seen = np.hypot(ndimage.sobel(images, 1), ndimage.sobel(images, 2)) / 4 if name == "edges" else images
    return np.round(255 * np.clip(seen, 0, 1)).astype(np.uint8)


def saved(folder: Path, keep: dict[str, list[int]] | None = None) -> dict[str, dict[str, str]]:
    """Files of two views of different digits, and `data.players` of two hospitals for each.

    `keep` names for each view the digits that are in it, if not all.
    """
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits))
    for k, name in enumerate(VIEWS):
        rows = order[k::2]
        labels = digits.batch["label"][rows]
        if keep is not None:
            rows, labels = rows[np.isin(labels, keep[name])], labels[np.isin(labels, keep[name])]
        images = view_of(digits.batch["x"][rows], name)
        ends = {"train": slice(0, 400), "val": slice(400, 420), "test": slice(420, None)}
        arrays = {f"{part}_images": images[s] for part, s in ends.items()}
        np.savez(folder / f"{name}.npz", **arrays, **{f"{p}_labels": labels[s, None] for p, s in ends.items()})
    return {str(k): {"file": str(folder / f"{VIEWS[k // 2]}.npz"), "image": VIEWS[k // 2]} for k in range(4)}


def settings(players: dict[str, dict[str, str]], *more: str) -> list[str]:
    return [
        f"data.players={json.dumps(players)}",
        "topology.arguments.n=4",
        "data.split.options.rows_per_class=10",
        "play.workers=1",
        *more,
    ]


def test_without_the_files_the_error_says_where_to_get_them_and_where_to_put_them() -> None:
    result = CliRunner().invoke(app, ["run", "hospitals-images", "--set", "data.players.0={file: /nowhere/o.npz}"])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "there is no file /nowhere/o.npz" in said
    assert "put it where you run, into $NASHGOSSIP_DATA" in said
    assert "https://medmnist.com" in said


def test_a_file_that_is_none_of_medmnist_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((4, 8, 8)))
    plan = load_experiment("hospitals-images", [f"data.players.0={{file: {tmp_path / 'own.npz'}}}"])
    with pytest.raises(ValueError, match="own.npz is no MedMNIST file: it lacks train_images"):
        build_game(plan)


def test_hospitals_of_one_view_share_it_and_others_the_label_alone(tmp_path: Path) -> None:
    plan = load_experiment("hospitals-images", settings(saved(tmp_path)))
    game = build_game(plan)
    assert isinstance(game, Game)
    assert [game.space(p).names[-1] for p in game.players] == ["scan", "scan", "edges", "edges"]
    assert game.edge_space(0, 1).names == ("label", "scan")
    assert game.edge_space(1, 2).names == ("label",)
    rows = [game.specs[p].data for p in game.players]
    seen: list[set[bytes]] = []
    for part, view in zip(rows, np.repeat(VIEWS, 2), strict=True):
        assert isinstance(part, Batch)
        assert np.bincount(part["label"]).tolist() == [10] * 10
        seen.append({image.tobytes() for image in part[str(view)]})
    looks = build_looks(plan, game.players)
    tests = [looks.test_of(p) for p in game.players]
    assert tests[0] is tests[1]
    assert tests[0] is not tests[2]
    assert [t.space.names for t in tests if t is not None] == [("label", "scan")] * 2 + [("label", "edges")] * 2
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & {image.tobytes() for image in tests[0]["scan"]}  # type: ignore[index]


def test_pooled_rows_of_other_views_are_labels_alone(tmp_path: Path) -> None:
    game = build_game(load_experiment("hospitals-images", settings(saved(tmp_path), "method=pooled")))
    assert isinstance(game, Game)
    assert [part.space.names for part in game.specs[2].parts] == [
        ("label", "edges"),
        ("label",),
        ("label",),
        ("label", "edges"),
    ]


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["data.judge=true"], ExperimentError, "'players' means nothing with data.judge"),
        (["data.players.9={}"], ValueError, "player in data.players"),
        (["data.source=npz", "data.options={}", "data.test=null"], UnknownNameError, "data.source npz, 'image'"),
        (["data.players.0={image: scan, file: absent.npz}"], DatasetNotFound, "there is no file absent.npz"),
    ],
)
def test_wrong_requests_are_refused(tmp_path: Path, more: list[str], error: type[Exception], message: str) -> None:
    players = saved(tmp_path)
    if "data.source=npz" in more:
        more = [*more, f"data.file={players['0']['file']}"]

    def make() -> None:
        from nashgossip.runners.neural_games import build_watch

        plan = load_experiment("hospitals-images", settings(players, *more))
        game = build_game(plan)
        build_watch(plan, game)

    with pytest.raises(error, match=message):
        make()


def test_labels_of_different_names_cannot_be_tested_together(tmp_path: Path) -> None:
    players = saved(tmp_path)
    players["3"]["label"] = "organ"
    plan = load_experiment("hospitals-images", settings(players))
    with pytest.raises(ExperimentError, match="tested on labels label, organ, expected one name"):
        build_looks(plan, range(4))


def figures(tmp_path: Path, name: str, *more: str) -> list[dict[str, Any]]:
    """players.json of one run."""
    out = tmp_path / name
    changes = [part for s in settings(saved(tmp_path), *more) for part in ("--set", s)]
    result = CliRunner().invoke(app, ["run", "hospitals-images", *changes, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads((out / "players.json").read_text())
    return found


@pytest.mark.slow
def test_listening_tells_more_digits_right_than_alone(tmp_path: Path) -> None:
    """Over four hospitals and some 480 test images each, by two standard errors of a difference of shares."""
    quick = ("play.moves=15", "play.looks=2", "play.measure=200", "play.samples=300")
    alone, listening = (figures(tmp_path, m, f"method={m}", *quick) for m in ("alone", "listening"))
    gains = np.array([b["accuracy"] - a["accuracy"] for a, b in zip(alone, listening, strict=True)])
    assert gains.mean() > 0
    assert all(p["auc"] is None for p in listening)  # ten classes have no curve


@pytest.mark.slow
def test_labels_alone_carry_the_class_shares_of_other_views(tmp_path: Path) -> None:
    """Scans of digits 0-6 and edges of digits 3-9: what hospitals generate follows Σ_j B_ij h_j all the same.

    Up to what shares told by one message of 500 rows are off by. An Adam step moves a logit of p(c) by `rate` at most.
    """
    players = saved(tmp_path, {"scan": list(range(7)), "edges": list(range(3, 10))})
    out = tmp_path / "run"
    every = {"data.split": "{kind: iid}", "data.options": "{part: train, classes: 10}"}
    every |= {"model.options.rate": "0.01", "model.options.decay": "200"}
    quick = {"play.moves": "25", "play.looks": "2", "play.measure": "2000", "play.samples": "500"}
    changes = [*settings(players)[:2], "play.workers=1", *(f"{k}={v}" for k, v in (every | quick).items())]
    command = ["run", "hospitals-images", "--out", str(out), "--json", *(p for s in changes for p in ("--set", s))]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads((out / "players.json").read_text())
    for player in found:
        own, predicted = player["own_classes"], np.array(player["predicted_mixture"])
        assert len(own) == 7
        away = 1 - predicted[own].sum()
        assert away > 0.05  # classes that it can have learned from labels alone
        told = np.random.default_rng(0).multinomial(500, predicted / predicted.sum(), size=2000) / 500
        off = np.abs(told - predicted).sum(axis=1) / 2
        assert player["total_variation"] < off.mean() + 4 * off.std()
        histogram = np.isin(np.arange(10), own) / 7
        assert np.abs(histogram - predicted).sum() / 2 > off.mean() + 4 * off.std()  # its own shares are not that
