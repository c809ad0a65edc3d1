"""Experiment files: what loads, what an override reaches, and what is refused with which words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nashgossip.runners import Experiment, ExperimentError, build_game, experiment_names, load_experiment
from nashgossip.runners.experiment import dump_experiment, override
from nashgossip.topology import UnknownNameError

SMALL = "name: small\ntopology: {generator: ring, arguments: {n: 4}}\nmodel: {family: gaussian, dimension: 2}\n"


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refused(tmp_path: Path, text: str, settings: list[str] | None = None) -> str:
    """The message with which an experiment is refused."""
    with pytest.raises(ExperimentError) as caught:
        load_experiment(written(tmp_path, text), settings)
    return str(caught.value)


@pytest.mark.parametrize("name", experiment_names())
def test_a_built_in_experiment_loads_builds_and_survives_a_round_trip(
    name: str, tmp_path: Path, require_data: Callable[[str], None]
) -> None:
    require_data(name)
    experiment = load_experiment(name)
    assert (experiment.name, experiment.description) == (name, experiment_names()[name])
    game = build_game(experiment)
    assert len(game.players) >= 2
    again = load_experiment(written(tmp_path, dump_experiment(experiment)))
    assert again == experiment
    assert dump_experiment(again) == dump_experiment(experiment)


def test_the_main_job_is_built_in() -> None:
    assert {"digits", "ring", "two-anchors", "decreasing-step"} <= set(experiment_names())
    digits = load_experiment("digits")
    assert digits.topology.generator == "small_world"
    assert digits.alpha.self_weight == 0.3
    assert digits.model.family == "class-conditional-bernoulli"
    assert digits.play.runner == "ray"


def test_a_file_is_read_and_the_rest_has_defaults(tmp_path: Path) -> None:
    experiment = load_experiment(written(tmp_path, SMALL))
    assert experiment == Experiment.model_validate(yaml.safe_load(SMALL))
    assert (experiment.seed, experiment.play.runner, experiment.alpha.self_weight) == (0, "rounds", 0.3)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("play.moves=7", {"play": {"moves": 7}}),
        ("moves=7", {"play": {"moves": 7}}),
        (" moves =7", {"play": {"moves": 7}}),
        ("self_weight=0.1", {"alpha": {"self_weight": 0.1}}),
        ("horizon=null", {"model": {"step": {"horizon": None}}}),
        ("alpha.self_weight={a: 0.5, default: 0}", {"alpha": {"self_weight": {"a": 0.5, "default": 0}}}),
        ("alpha.self_weight.a=0.5", {"alpha": {"self_weight": {"a": 0.5}}}),
        ("topology.arguments.n=12", {"topology": {"arguments": {"n": 12}}}),
        ("data.split.options.classes_per_player=3", {"data": {"split": {"options": {"classes_per_player": 3}}}}),
        ("name=a=b", {"name": "a=b"}),
        ("description=", {"description": None}),
    ],
)
def test_an_override_goes_where_its_key_says(setting: str, expected: dict[str, Any]) -> None:
    content: dict[str, Any] = {}
    override(content, setting)
    assert content == expected


def test_an_override_leaves_its_neighbours_alone() -> None:
    content: dict[str, Any] = {"topology": {"generator": "ring", "arguments": {"n": 4, "k": 2}}, "alpha": None}
    override(content, "topology.arguments.n=5")
    override(content, "alpha.scheme=degree")
    assert content == {
        "topology": {"generator": "ring", "arguments": {"n": 5, "k": 2}},
        "alpha": {"scheme": "degree"},
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("play.move=7", "unknown key 'play.move'; did you mean 'play.moves'?"),
        ("mooves=7", "did you mean 'play.moves'?"),
        ("qqqqqq=7", "unknown key 'qqqqqq'; see docs/experiments.md for the keys"),
        ("play.moves.more=7", "unknown key 'play.moves.more'"),
        ("options=1", "key 'options' could be data.options or data.split.options or model.options; write one of them"),
        ("play.moves", "--set 'play.moves' has no '='; expected key=value, such as play.moves=100"),
        ("play.moves=[1", "the value of --set 'play.moves=[1' is not YAML"),
    ],
)
def test_an_override_that_goes_nowhere_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        override({}, setting)
    assert message in str(caught.value)


def test_seed_is_the_top_one_where_two_keys_end_so() -> None:
    content: dict[str, Any] = {}
    override(content, "seed=3")
    assert content == {"seed": 3}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("play.moves=0", "play.moves: Input should be greater than or equal to 1 (came: 0)"),
        ("play.moves=many", "play.moves: Input should be a valid integer"),
        ("play.mode=sometimes", "play.mode: Input should be 'asynchronous' or 'synchronous' (came: 'sometimes')"),
        ("play.rate=0", "play.rate: Input should be greater than 0"),
        ("play.rate=.inf", "play.rate: Input should be a finite number"),
        ("model.smoothing=-1", "model.smoothing: Input should be greater than or equal to 0"),
        ("model.smoothing=.nan", "model.smoothing: Input should be"),
        ("model.step.size=2", "model.step.size: Input should be less than or equal to 1"),
        ("model.step.size=.nan", "model.step.size: Input should be"),
        ("model.step.horizon=.inf", "model.step.horizon: Input should be a finite number"),
        ("play.every=.inf", "play.every: Input should be a finite number"),
        ("data.holdout=1", "data.holdout: Input should be less than 1"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("name=../up", "name: String should match pattern"),
        ("topology.file=a.graphml", "topology: give either `generator` or `file`"),
        ("topology.generator=null", "topology: give either `generator` or `file`"),
        ("play=3", "play: Input should be"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(setting: str, message: str, tmp_path: Path) -> None:
    assert message in refused(tmp_path, SMALL, [setting])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topology: {generator: ring}\nmodel: {family: gaussian}\n", "name is missing"),
        ("name: a\ntopology: {generator: ring}\nmodel: {}\n", "model: give `family`, or a `kind` of black box"),
        (SMALL + "plays: {moves: 3}\n", "unknown key 'plays'; did you mean 'play'?"),
        (SMALL + "play: {moves: 3, rat: 3}\n", "unknown key 'play.rat'; did you mean 'play.rate'?"),
        ("- a\n- b\n", "holds list, expected keys such as topology and model"),
        ("", "holds nothing, expected keys such as topology and model"),
        ("name: [a\n", "is not YAML"),
        ("name: \x00\n", "is not YAML"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused(text: str, message: str, tmp_path: Path) -> None:
    found = refused(tmp_path, text)
    assert message in found
    assert "experiment.yaml" in found


def test_a_date_that_does_not_exist_is_no_yaml(tmp_path: Path) -> None:
    found = refused(tmp_path, SMALL + "description: 2024-13-45\n")
    assert "experiment.yaml" in found


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ExperimentError, match="binary.yaml cannot be read as text"):
        load_experiment(str(path))


@pytest.mark.parametrize("tag", ["!!python/object/apply:pathlib.Path.touch", "!!python/name:os.system", "!mine"])
def test_tags_of_yaml_run_nothing(tag: str, tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    assert "is not YAML" in refused(tmp_path, f"name: {tag} [{victim}]\n")
    with pytest.raises(ExperimentError, match="is not YAML"):
        override({}, f"name={tag} [{victim}]")
    assert not victim.exists()


def test_unknown_experiments_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown experiment 'digit'; did you mean 'digits'?"):
        load_experiment("digit")
    with pytest.raises(ExperimentError, match="there is no file .*none.yaml; `nashgossip list` shows"):
        load_experiment(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["alpha.self_weight={9: 0.5}"], "alpha.self_weight"),
        (['alpha.self_weight={"9": 0.5, default: 0.1}'], "names player '9'; the players are 0, 1, 2, 3"),
        (['alpha.self_weight={"0": 0.5}'], "alpha.self_weight lacks player 1, 2, 3; add them, or a `default`"),
        (["alpha.scheme=explicit", 'alpha.edges=[["0", "7", 0.5]]'], "alpha.edges names player '7'"),
        (["data.source=npz"], "data.source is npz: give data.file, the path of the file"),
    ],
)
def test_names_that_are_nobody_s_are_refused(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        build_game(load_experiment(written(tmp_path, SMALL), settings))
    assert message in str(caught.value)


def test_options_of_the_family_count_for_made_up_data_too(tmp_path: Path) -> None:
    """An option is either used or refused."""
    variances = []
    for variance in (1.0, 4.0):
        game = build_game(load_experiment(written(tmp_path, SMALL), [f"model.options.variance={variance}"]))
        family = game.specs[0].family
        assert family is not None
        variances.append(float(family.variance(family.reference)[0]))
    assert variances == [1.0, 4.0]


@pytest.mark.parametrize("setting", ["model.options.foo=2", "data.options.binarize=0.5"])
def test_options_that_nobody_takes_are_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="option"):
        build_game(load_experiment(written(tmp_path, SMALL), [setting]))


def test_the_seed_decides_data_and_split() -> None:
    def rows(seed: int) -> Any:
        data = build_game(load_experiment("digits", [f"seed={seed}"])).specs[3].data
        assert data is not None
        return data

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_self_weights_by_name_with_a_default() -> None:
    graph = build_game(load_experiment("two-anchors")).graph
    assert [graph.edges[player, player]["alpha"] for player in graph] == [0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0]


def test_explicit_alpha_by_edges(tmp_path: Path) -> None:
    text = """\
name: pair
topology: {generator: path, arguments: {n: 2}}
alpha:
  scheme: explicit
  edges: [["0", "0", 0.25], ["1", "0", 0.75], ["0", "1", 0.5], ["1", "1", 0.5]]
model: {family: gaussian}
"""
    graph = build_game(load_experiment(written(tmp_path, text))).graph
    assert dict(graph.edges) == {
        (0, 0): {"alpha": 0.25},
        (1, 0): {"alpha": 0.75},
        (0, 1): {"alpha": 0.5},
        (1, 1): {"alpha": 0.5},
    }


def test_weights_by_the_size_of_the_data() -> None:
    split = "data.split={kind: quantity, options: {exponent: 1.0}}"
    game = build_game(load_experiment("digits", ["alpha.scheme=size", split]))
    sizes = {player: len(spec.data or ()) for player, spec in game.specs.items()}
    heard = [player for player in game.graph.pred[0] if player != 0]
    weights = [game.graph.edges[player, 0]["alpha"] for player in heard]
    total = sum(sizes[player] for player in heard)
    assert weights == pytest.approx([0.7 * sizes[player] / total for player in heard])
    assert len(set(sizes.values())) > 1
