"""Study files: keys and values that are refused, the points and seeds of trials, and what is measured of one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.games import equilibrium, predict_collapse
from nashgossip.runners import ExperimentError, StudyError, build_game, load_study, study_names
from nashgossip.runners.experiment import experiment_of
from nashgossip.runners.study_columns import CURVE_COLUMNS, require_figures, table_columns
from nashgossip.runners.study_command import varying
from nashgossip.runners.study_file import dump_study, parse_study
from nashgossip.runners.study_measures import MEASURES, require_measures
from nashgossip.runners.study_play import play_trial
from nashgossip.runners.study_trials import Trial, plan_trials
from nashgossip.topology import UnknownNameError, effective_sources, homogenisation

SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": "ring",
    "set": {"play.moves": 8, "play.samples": 50, "play.measure": 0},
    "vary": {"alpha.self_weight": [0.2, 0.5], "topology.arguments": [{"n": 4}, {"n": 5}]},
    "seeds": 2,
    "seed": 7,
}


def trials_of(**changes: Any) -> list[Trial]:
    study = parse_study({**SMALL, **changes})
    return plan_trials(study, study.base())


def played(measures: dict[str, Any], number: int = 0, **changes: Any) -> dict[str, Any]:
    study = parse_study({**SMALL, **changes, "measure": measures})
    base = study.base()
    return play_trial(base, plan_trials(study, base)[number], study.measure)


def test_a_grid_holds_all_combinations_with_a_seed_of_its_own_each() -> None:
    trials = trials_of()
    assert [trial.number for trial in trials] == list(range(8))
    assert [trial.point for trial in trials] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({trial.seed for trial in trials}) == 8
    assert trials[2].values == {"alpha.self_weight": 0.2, "topology.arguments": {"n": 5}}
    study = parse_study(SMALL)
    plan = experiment_of(study.base(), settings=trials[-1].settings)
    assert (plan.alpha.self_weight, plan.topology.arguments, plan.seed) == (0.5, {"n": 5}, trials[-1].seed)
    assert (plan.play.moves, plan.play.workers) == (8, 1)


def test_seeds_come_from_that_of_the_study() -> None:
    seeds = [trial.seed for trial in trials_of()]
    assert seeds == [trial.seed for trial in trials_of()]
    assert not set(seeds) & {trial.seed for trial in trials_of(seed=8)}
    more = [trial.seed for trial in trials_of(seeds=3)]
    assert set(seeds) < set(more)
    assert [trial.seed for trial in trials_of(seeds=[3, 1])] == [3, 1] * 4
    paired = trials_of(paired=True)
    assert [trial.seed for trial in paired] == [paired[0].seed, paired[1].seed] * 4


def test_a_sample_is_drawn_by_the_seed_and_grows_at_its_end() -> None:
    laws = {"alpha.self_weight": {"uniform": [0.1, 0.4]}, "play.samples": {"lograndint": [10, 1000]}, "seed_": [1]}
    laws.pop("seed_")
    some = [trial.values for trial in trials_of(mode="sample", trials=5, vary=laws, seeds=1)]
    more = [trial.values for trial in trials_of(mode="sample", trials=9, vary=laws, seeds=1)]
    assert more[:5] == some
    assert len({value["alpha.self_weight"] for value in more}) == 9
    assert all(0.1 <= value["alpha.self_weight"] <= 0.4 and 10 <= value["play.samples"] < 1000 for value in more)
    other = [trial.values for trial in trials_of(mode="sample", trials=5, vary=laws, seeds=1, seed=8)]
    assert other != some
    chosen = {
        trial.values["gossip.every"] for trial in trials_of(mode="sample", trials=40, vary={"gossip.every": [1, 2]})
    }
    assert chosen == {1, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vari": {}}, r"unknown key 'vari'; did you mean 'vary'\?"),
        ({"topology": {}}, "unknown key 'topology'; keys of the experiment go under `set` and `vary`"),
        (
            {"figures": {"a": {"y": ["b"], "xscale": "log"}}},
            r"unknown key 'figures.a.xscale'; did you mean 'x_scale'\?",
        ),
        ({"seeds": 0}, r"seeds: expected a number of seeds from 1 to 10000, or a list of different seeds \(came: 0\)"),
        ({"seeds": [1, 1]}, "seeds: expected a number of seeds from 1 to 10000, or a list of different seeds"),
        ({"trials": 3}, "trials is 3, but a grid has as many points as its lists say; take mode: sample"),
        (
            {"vary": {"play.moves": {"uniform": [1, 2]}}},
            "expected a list of values in a grid; laws such as .* mode: sample",
        ),
        ({"mode": "sample"}, "mode is sample, but `trials`, the number of points to draw, is missing"),
        ({"mode": "sample", "trials": 2, "vary": {}}, "mode is sample, but `vary` is empty"),
        (
            {"mode": "sample", "trials": 2, "vary": {"play.moves": {"unifrom": [1, 2]}}},
            "vary.play.moves is .*, expected a list of values or one law of choice, .*uniform",
        ),
        (
            {"mode": "sample", "trials": 2, "vary": {"play.moves": {"uniform": [1]}}},
            "vary.play.moves: uniform refuses \\[1\\]",
        ),
        ({"set": {"play.runner": "ray"}}, "play.runner is 'ray', expected one of fleet, rounds, virtual: .* add"),
        ({"set": {"observe.tensorboard": True}}, "observe.tensorboard watches single runs"),
        ({"set": {"data.where": "players"}}, "data.where is 'players', but a trial is played inside one process"),
        ({"vary": {"play.samples": list(range(1, 2000))}, "seeds": 100}, "expected at most 100000 trials"),
        ({"measure": ["reach"]}, r"measure reach has \{\}, expected one target: gap"),
        ({"measure": [{"reach": {"gaps": 1}}]}, "measure reach: .*'gaps'; it takes gap, error, floors"),
    ],
)
def test_a_study_that_is_wrong_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        trials_of(**changes)


def test_keys_and_values_of_the_experiment_are_checked_before_any_trial() -> None:
    with pytest.raises(ExperimentError, match=r"unknown key 'alpha.self_wieght'; did you mean 'alpha.self_weight'\?"):
        trials_of(vary={"alpha.self_wieght": [0.1]})
    with pytest.raises(ExperimentError, match="play.samples: .* greater than or equal to 1"):
        trials_of(vary={"play.samples": [10, 0]})
    with pytest.raises(ExperimentError, match="the seeds of trials come from that of the study"):
        trials_of(vary={"seed": [1, 2]})
    with pytest.raises(UnknownNameError, match=r"unknown measure 'grph'; did you mean 'graph'\?"):
        require_measures({"grph": {}})


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown study 'topology-zo'; did you mean 'topology-zoo'\?"):
        load_study("topology-zo")
    with pytest.raises(StudyError, match="there is no file nothing.yaml; `nashgossip list` shows the built-in studies"):
        load_study("nothing.yaml")
    with pytest.raises(StudyError, match="is a directory without study.yaml"):
        load_study(tmp_path)
    with pytest.raises(StudyError, match="the study holds list, expected keys such as experiment and vary"):
        parse_study("[1, 2]")
    with pytest.raises(StudyError, match="is not YAML"):
        parse_study("a: [")
    with pytest.raises(StudyError, match="experiment is missing"):
        parse_study({})


def test_settings_go_to_the_study_or_to_its_experiment() -> None:
    study = parse_study(SMALL, settings=["seeds=5", "vary.gossip.every=[1, 3]", "measure=0", "play.moves=9"])
    assert study.seeds == 5
    assert study.vary["gossip.every"] == [1, 3]
    assert study.settings["measure"] == 0
    assert study.settings["play.moves"] == 9
    measured = parse_study({**SMALL, "measure": ["graph"]}, settings=["measure.players={single: true}"])
    assert measured.measure == {"graph": {}, "players": {"single": True}}
    with pytest.raises(StudyError, match="--set 'seeds' has no '='"):
        parse_study(SMALL, settings=["seeds"])
    with pytest.raises(StudyError, match="the value of --set 'seeds=\\[' is not YAML"):
        parse_study(SMALL, settings=["seeds=["])


def test_an_experiment_is_a_study_of_its_seeds(tmp_path: Path) -> None:
    ring = load_study("ring", ["seeds=[0, 1]", varying("alpha.self_weight=0.1,0.3")])
    assert (ring.name, ring.experiment, ring.vary) == ("ring", "ring", {"alpha.self_weight": [0.1, 0.3]})
    assert [trial.seed for trial in plan_trials(ring, ring.base())] == [0, 1, 0, 1]
    file = tmp_path / "mine.yaml"
    file.write_text("{name: mine, topology: {generator: ring, arguments: {n: 3}}, model: {family: poisson}}")
    mine = load_study(file)
    assert mine.name == "mine"
    assert len(plan_trials(mine, mine.base())) == 3
    with pytest.raises(StudyError, match="--vary 'alpha' has no '='; expected a key and its values"):
        varying("alpha")


def test_a_study_written_out_says_the_same() -> None:
    whole = parse_study({**SMALL, "variants": {"size": {"tiny": {"topology.arguments": {"n": 3}}}}}).whole()
    again = parse_study(dump_study(whole))
    assert again == whole
    assert again.whole() == whole
    assert [t.settings for t in plan_trials(again, again.base())] == [t.settings for t in trials_of()]


def test_variants_are_varied_by_their_names() -> None:
    variants = {"graph": {"two": {"topology.arguments": {"n": 4}}, "3": {"topology.arguments": {"n": 3}}}}
    study = parse_study({**SMALL, "variants": variants, "vary": {"graph": ["two", 3]}})
    base = study.base()
    plans = [experiment_of(base, settings=trial.settings) for trial in plan_trials(study, base)]
    assert [plan.topology.arguments["n"] for plan in plans] == [4, 4, 3, 3]


@pytest.mark.parametrize("name", sorted(study_names()))
def test_built_in_studies_can_be_planned(name: str) -> None:
    study = load_study(name)
    trials = plan_trials(study, study.base())
    assert len(trials) >= 9
    assert study.name == name
    assert study.figures
    require_figures(study)


def test_a_trial_measures_what_the_theory_names() -> None:
    study = parse_study(SMALL)
    base = study.base()
    trial = plan_trials(study, base)[0]
    row = play_trial(base, trial, {"graph": {}, "likeness": {}, "letters": {}, "speed": {}})["row"]
    game = build_game(experiment_of(base, settings=trial.settings))
    mu = equilibrium(game)
    apart = [np.linalg.norm(mu[i] - mu[k]) for i in range(4) for k in range(i)]
    assert row["distance_predicted"] == pytest.approx(np.mean(apart))
    assert row["distance_predicted"] == pytest.approx(
        homogenisation(game.graph, [game.specs[p].anchor() for p in game.players])
    )
    assert row["effective_sources"] == pytest.approx(effective_sources(game.graph).mean())
    assert row["influence_concentration"] == pytest.approx(1.0)  # a ring favours nobody
    assert row["influence_top"] == pytest.approx(0.25)
    assert row["error"] is None
    assert row["undelivered_share"] == 0
    assert row["seed"] == trial.seed
    assert row["predicted_rate"] == pytest.approx(np.log(0.8))


def test_a_star_concentrates_influence() -> None:
    row = played({"graph": {}}, set={**SMALL["set"], "topology.generator": "star"})["row"]
    assert row["influence_concentration"] > 1.1
    assert row["influence_top"] > 0.25


def test_targets_are_reached_or_not() -> None:
    easy = played({"reach": {"error": 0.15}, "averaging": {"error": 0.15}})
    row, curve = easy["row"], easy["curve"]
    assert row["reached"]
    at = curve["time"].index(row["moves_to_target"])
    assert curve["error_rms"][at] <= 0.15 < curve["error_rms"][at - 1]
    assert row["bytes_to_target"] == curve["bytes"][at]
    assert row["averaging_bytes"] == row["averaging_rounds"] * 8 * 8 * 4  # edges of the ring, float64, statistics
    hard = played({"reach": {"error": 1e-9}, "averaging": {"error": 1e-9}})["row"]
    assert not hard["reached"]
    assert hard["bytes_to_target"] is None
    assert hard["averaging_rounds"] > row["averaging_rounds"]


def test_collapse_is_measured_beside_its_prediction() -> None:
    changes: dict[str, Any] = {"experiment": "collapse", "set": {"play.moves": 20, "play.measure": 0}, "vary": {}}
    row = played({"collapse": {}}, **changes)["row"]
    study = parse_study({**SMALL, **changes})
    base = study.base()
    game = build_game(experiment_of(base, settings=plan_trials(study, base)[0].settings))
    predicted = predict_collapse(game, 20)
    assert row["variance_predicted"] == pytest.approx(predicted.variance[-1].mean())
    assert row["drift_measured"] > 0
    assert row["half_life"] == pytest.approx(predicted.half_life)


def test_a_trial_that_raises_is_a_row_with_its_error() -> None:
    found = played({}, number=0, vary={"topology.arguments": [{"n": -1}]})
    assert found["row"]["outcome"] == "failed"
    assert found["row"]["error"].startswith("GeneratorError: ")
    assert found["curve"] is None
    arrays = {"topology.generator": "array_k_out", "topology.arguments": {"n": 50, "k": 3}, "play.runner": "fleet"}
    found = played({"graph": {}}, set={**SMALL["set"], **arrays, "model.start": "data"}, vary={})
    assert "measure graph is of single players, whom a graph of arrays has not" in found["row"]["error"]


@pytest.mark.parametrize(
    ("measure", "changes"),
    [
        ({name: {} for name in MEASURES if name not in ("averaging", "collapse", "reach")}, {}),
        ({"reach": {"error": 0.1}, "averaging": {"error": 0.1}}, {}),
        ({"collapse": {}}, {"experiment": "collapse", "set": {"play.moves": 4, "play.measure": 0}, "vary": {}}),
    ],
)
def test_the_columns_of_a_study_are_known_before_it_plays(measure: dict[str, Any], changes: dict[str, Any]) -> None:
    found = played(measure, **changes)
    study = parse_study({**SMALL, **changes, "measure": measure})
    honest = {name for name in table_columns(study) if name.startswith("honest_error_")}
    assert {*found["row"]} == {*table_columns(study)} - honest
    assert ("trial", *found["curve"]) == CURVE_COLUMNS


def test_the_columns_of_dishonest_players_are_known_too() -> None:
    conduct = {"conduct.players": {"1": {"kind": "poisoner", "how": "shift", "by": 2.0}}}
    row = played({}, set={**SMALL["set"], **conduct})["row"]
    assert row["error"] is None
    assert {*row} == {*table_columns(parse_study(SMALL))}


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"y": ["mesured_rate"]}, "'mesured_rate', which table.parquet has not; did you mean 'measured_rate'\\?"),
        ({"x": "alpha.self_wieght"}, "'alpha.self_wieght', which .* did you mean 'alpha.self_weight'\\?"),
        ({"by": "outcom"}, "'outcom', which table.parquet has not; did you mean 'outcome'\\?"),
        ({"where": {"sead": 1}}, "'sead', which table.parquet has not; did you mean 'seed'\\?"),
        ({"y": ["accuracy_0"]}, "'accuracy_0', which table.parquet has not; did you mean"),
        ({"y": ["zzz"]}, "'zzz', which table.parquet has not; it has trial, point, replicate, alpha.self_weight"),
        ({"kind": "curves", "x": ""}, "'measured_rate', which curves.parquet has not; it has trial, time"),
        ({"kind": "curves", "x": "", "y": ["eror_rms"]}, "'eror_rms', .* did you mean 'error_rms'\\?"),
        ({"x": ""}, "figure 'f' has no x, expected a column of table.parquet such as 'alpha.self_weight'"),
    ],
)
def test_a_column_of_a_figure_that_there_will_not_be_is_refused(figure: dict[str, Any], message: str) -> None:
    whole = {"x": "alpha.self_weight", "y": ["measured_rate"], **figure}
    with pytest.raises(StudyError, match=message):
        require_figures(parse_study({**SMALL, "figures": {"f": whole}}))


def test_columns_of_single_players_may_be_asked_for_where_they_are_measured() -> None:
    figure = {"x": "alpha.self_weight", "y": ["accuracy_0"]}
    require_figures(parse_study({**SMALL, "figures": {"f": figure}, "measure": {"players": {"single": True}}}))


def test_every_measure_says_what_it_is() -> None:
    assert all(measure.__doc__ for measure in MEASURES.values())
