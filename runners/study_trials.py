"""The trials of a study: which settings and which seed each has, known and checked before any is played."""

__all__ = ["Trial", "plan_trials"]

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from .experiment import Experiment, ExperimentError, experiment_of
from .study_file import StudyError, StudyFile
from .study_measures import require_measures

_SAMPLE = 0x5A
_REPLICATE = 0x5E
_ENGINES = ("fleet", "rounds", "virtual")
_MOST_TRIALS = 100_000


@dataclass(frozen=True)
class Trial:
    """One run of a study.

    Arguments:
        number: of the trial, from 0.
        point: of its settings, from 0.
        replicate: which of the seeds of this point, from 0.
        seed: of the run, spawned from that of the study.
        values: the varied keys → their values at this point.
        settings: what is applied to the experiment, `key=value` each, the seed included.
    """

    number: int
    point: int
    replicate: int
    seed: int
    values: Mapping[str, Any]
    settings: tuple[str, ...]


def plan_trials(study: StudyFile, base: Mapping[str, Any]) -> list[Trial]:
    """All trials of a study, point by point, each with a seed of its own.

    The seed of replicate r at point p is the first word of SeedSequence(study.seed, spawn_key=(…, p, r)); of a `paired`
    study it is that of (…, r), the same at all points, so that points can be compared seed by seed. Seeds that are
    listed are taken as they are, at all points.

    Arguments:
        study: the study.
        base: its experiment, as `StudyFile.base` gives it.

    Raises:
        StudyError: values that do not fit the mode, laws that there are not, or an engine that studies do not play on.
        ExperimentError: a key or value that the experiment refuses; the nearest key is suggested.
        UnknownNameError: a measure that there is not.
    """
    require_measures(study.measure)
    points = _grid(study) if study.mode == "grid" else _sample(study)
    if len(points) * study.replicates > _MOST_TRIALS:
        raise StudyError(
            f"study {study.name} has {len(points)} points with {study.replicates} seeds each, expected at most "
            f"{_MOST_TRIALS} trials; take fewer values, or mode sample"
        )
    named = base.get("variants") or {}
    fixed = [_setting(key, value, named) for key, value in study.settings.items()]
    trials: list[Trial] = []
    for p, values in enumerate(points):
        settings = [*fixed, *(_setting(key, value, named) for key, value in values.items())]
        settings += _own_threads(_checked(study, base, settings))
        for r in range(study.replicates):
            seed = _seed(study, p, r)
            trials.append(Trial(len(trials), p, r, seed, values, (*settings, f"seed={seed}")))
    return trials


def _checked(study: StudyFile, base: Mapping[str, Any], settings: Sequence[str]) -> Experiment:
    plan = experiment_of(dict(base), f"study {study.name}", settings)
    if plan.play.runner not in _ENGINES:
        raise StudyError(
            f"play.runner is {plan.play.runner!r}, expected one of {', '.join(_ENGINES)}: each trial of a study is "
            "played inside one process; add `play.runner: rounds` to `set`"
        )
    if plan.data.where != "driver":
        raise StudyError("data.where is 'players', but a trial is played inside one process; leave it out")
    watching = [name for name, section in plan.observe if section.enabled]
    if watching:
        raise StudyError(f"observe.{watching[0]} watches single runs, not the trials of a study; leave it out")
    return plan


def _own_threads(plan: Experiment) -> list[str]:
    """Trials share the machine among each other: each has one thread unless told otherwise."""
    return ["play.workers=1"] if plan.play.workers is None else []


def _grid(study: StudyFile) -> list[dict[str, Any]]:
    if study.trials is not None:
        raise StudyError(f"trials is {study.trials}, but a grid has as many points as its lists say; take mode: sample")
    lists = {}
    for key, values in study.vary.items():
        if not isinstance(values, list) or not values:
            raise StudyError(
                f"vary.{key} is {values!r:.60}, expected a list of values in a grid; laws such as "
                "{uniform: [0.1, 0.9]} need mode: sample"
            )
        lists[key] = values
    return [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]


def _sample(study: StudyFile) -> list[dict[str, Any]]:
    """Points drawn one after the other, so that more `trials` add points and change none."""
    if study.trials is None:
        raise StudyError("mode is sample, but `trials`, the number of points to draw, is missing")
    if not study.vary:
        raise StudyError("mode is sample, but `vary` is empty; say what is drawn")
    from .study_laws import laws_of  # Ray is imported only by those who use it

    laws = laws_of(study.vary)
    rng = np.random.default_rng(np.random.SeedSequence(study.seed, spawn_key=(_SAMPLE,)))
    return [{key: draw(rng) for key, draw in laws.items()} for _ in range(study.trials)]


def _seed(study: StudyFile, point: int, replicate: int) -> int:
    if not isinstance(study.seeds, int):
        return study.seeds[replicate]
    key = (_REPLICATE, replicate) if study.paired else (_REPLICATE, point, replicate)
    return int(np.random.SeedSequence(study.seed, spawn_key=key).generate_state(1)[0])


def _setting(key: str, value: Any, variants: Mapping[str, Any]) -> str:
    if key in variants:
        return f"{key}={value}"
    if key == "seed":
        raise ExperimentError("the seeds of trials come from that of the study; set `seed` and `seeds` of the study")
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True)
    return f"{key}={text.removesuffix('...' + chr(10)).strip()}"
