"""Study files: an experiment, the keys that are varied, and how often each point is played, as checked YAML."""

__all__ = ["FigureSection", "StudyError", "StudyFile", "dump_study", "load_study", "parse_study", "study_names"]

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from ..topology import UnknownNameError
from .built_in import built_in_names, built_in_text
from .experiment import Experiment, dump_experiment, experiment_names, experiment_of, load_experiment
from .sections import Section
from .storage import RunPath, run_path
from .yaml_text import YamlError, read_yaml

_HERE = "studies"
_MOST_SEEDS = 10_000


class StudyError(ValueError):
    """A study file, or a setting of it, that does not say what can be played.

    Not `ExperimentError`: that is about a key or value of the experiment that is studied.
    """


class FigureSection(Section):
    """A figure of the table: columns `y` over column `x`, a colour for each value of `by`.

    `lines` joins the means over seeds and shows their 95 % confidence band, `dots` shows every trial, `scatter` shows
    them beside the diagonal of what is predicted, `curves` shows column `y` of `curves.parquet` over time, or over its
    column `x`. `where` keeps the trials that have these values: column → value.
    """

    kind: Literal["lines", "scatter", "dots", "curves"] = "lines"
    x: str = ""
    y: list[str] = Field(min_length=1)
    by: str | None = None
    where: dict[str, Any] = Field(default_factory=dict)
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"
    title: str = ""


class StudyFile(Section):
    """A whole study: a grid, or a sample, of settings of one experiment, each played with several seeds.

    `experiment` is a name, a file, or a whole experiment; `variants` are added to its own; `set` changes keys for all
    trials, and `vary` takes them through lists of values (`grid`: all combinations) or laws (`sample`: `trials` draws).
    """

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = ""
    experiment: str | dict[str, Any]
    variants: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict, alias="set")
    vary: dict[str, list[Any] | dict[str, Any]] = Field(default_factory=dict)
    mode: Literal["grid", "sample"] = "grid"
    trials: int | None = Field(None, ge=1)
    seeds: int | list[int] = 3
    seed: int = Field(0, ge=0)
    paired: bool = False
    measure: dict[str, dict[str, Any]] = Field(default_factory=dict)
    curves: bool = True
    figures: dict[str, FigureSection] = Field(default_factory=dict)

    @field_validator("seeds")
    @classmethod
    def _some(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, int):
            fits = 1 <= value <= _MOST_SEEDS
        else:
            fits = 0 < len(set(value)) == len(value) <= _MOST_SEEDS and min(value) >= 0
        if not fits:
            raise ValueError(f"expected a number of seeds from 1 to {_MOST_SEEDS}, or a list of different seeds")
        return value

    @property
    def replicates(self) -> int:
        """Runs at each point."""
        return self.seeds if isinstance(self.seeds, int) else len(self.seeds)

    @field_validator("measure", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return _named(value)

    def base(self) -> dict[str, Any]:
        """The experiment that is varied, as a mapping, with the variants of the study.

        Raises:
            ValueError: see `load_experiment`; an experiment that is given whole cannot be played.
        """
        if isinstance(self.experiment, str):
            found = load_experiment(self.experiment)
        else:
            found = experiment_of(self.experiment, f"the experiment of study {self.name}")
        content: dict[str, Any] = yaml.safe_load(dump_experiment(found))
        content["variants"] = {**content["variants"], **self.variants}
        return content

    def whole(self) -> "StudyFile":
        """The same study with the experiment written out, which means the same wherever and whenever it is read."""
        return self.model_copy(update={"experiment": self.base(), "variants": {}})


def _named(value: Any) -> Any:
    """A list of names, or of mappings from a name to its options, is as good as one mapping."""
    if not isinstance(value, list):
        return value
    found: dict[str, Any] = {}
    for entry in value:
        found |= entry if isinstance(entry, dict) else {str(entry): {}}
    return found


def study_names() -> dict[str, str]:
    """The built-in studies: name → description, sorted."""
    return built_in_names(_HERE)


def load_study(source: str | RunPath, settings: Sequence[str] = ()) -> StudyFile:
    """A built-in study by name, or one from a YAML file or the directory of a study, with settings applied.

    An experiment, built in or in a file, is as good as a study of it in which nothing varies but the seed.

    Arguments:
        source: a name of `study_names()` or `experiment_names()`, or the path or URL of a file, or of a directory that
            holds a `study.yaml`.
        settings: `key=value` each: of the study, where only a study has such a key (`seeds=5`, `vary.KEY=[…]`,
            `measure.NAME={}`), else of its experiment, as `nashgossip run --set` takes them.

    Raises:
        UnknownNameError: no built-in study has this name, and there is no such file.
        StorageError: nothing here can reach the storage of the URL.
        StudyError: the file cannot be read, or a key or value is wrong; the nearest key is suggested.
    """
    names, where = study_names(), run_path(source)
    source = str(source)
    if isinstance(where, Path) and source in names:
        text = built_in_text(_HERE, source)
        return parse_study(text, source, settings)
    if isinstance(where, Path) and source in experiment_names():
        return parse_study({"name": source, "experiment": source}, source, settings)
    if where.is_dir():
        where = where / "study.yaml"
        if not where.is_file():
            raise StudyError(f"{source} is a directory without study.yaml, expected that of a study, or a YAML file")
    if where.is_file():
        try:
            text = where.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{where} cannot be read as text: {error}") from None
        return parse_study(_study_of(text, where), str(where), settings)
    if where.suffix in (".yaml", ".yml"):
        raise StudyError(f"there is no file {source}; `nashgossip list` shows the built-in studies")
    raise UnknownNameError("study", source, [*names, *experiment_names()])


def _study_of(text: str, where: RunPath) -> str | dict[str, Any]:
    """The text itself, or a study of the experiment that it holds."""
    try:
        content = read_yaml(text)
    except YamlError:
        return text
    if isinstance(content, dict) and "experiment" not in content and {"topology", "model"} <= content.keys():
        return {"name": content.get("name", "study"), "experiment": str(where)}
    return text


def parse_study(content: str | Mapping[str, Any], source: str = "the study", settings: Sequence[str] = ()) -> StudyFile:
    """The study that a text in YAML, or a mapping as YAML gives it, says.

    Arguments, Raises as `load_study`; `source` is where it comes from, for errors.
    """
    if isinstance(content, str):
        try:
            content = read_yaml(content)
        except YamlError as error:
            raise StudyError(f"{source} is not YAML: {error}") from None
    if not isinstance(content, Mapping):
        what = "nothing" if content is None else type(content).__name__
        raise StudyError(f"{source} holds {what}, expected keys such as experiment and vary")
    tree = dict(content)
    for setting in settings:
        _apply(tree, setting)
    try:
        return StudyFile.model_validate(tree)
    except ValidationError as error:
        raise StudyError(f"{source}: " + "; ".join(_explain(e) for e in error.errors()[:5])) from None


def dump_study(study: StudyFile) -> str:
    """The study with every default written out, as YAML."""
    return yaml.safe_dump(study.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


_OF_EXPERIMENTS = ("name", "description", "mode", "measure", "seed", "variants")
"""Keys that experiments have too, or a section of them: of the experiment, when they are set from outside."""
_MAPPINGS = ("measure", "variants")
"""Those of them that hold keys in a study alone."""


def _apply(tree: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals:
        raise StudyError(f"--set {setting!r} has no '='; expected key=value, such as seeds=5 or alpha.self_weight=0.1")
    try:
        value = read_yaml(text)
    except YamlError as error:
        raise StudyError(f"the value of --set {setting!r:.200} is not YAML: {error}") from None
    key = key.strip()
    first, _, rest = key.partition(".")
    if first not in _keys() or (first in _OF_EXPERIMENTS and not (rest and first in _MAPPINGS)):
        first, rest = "set", key
    if rest:
        inner = _named(tree.get(first)) if first == "measure" else tree.get(first)
        tree[first] = {**(inner if isinstance(inner, dict) else {}), rest: value}
    else:
        tree[first] = value


def _keys() -> list[str]:
    return [field.alias or name for name, field in StudyFile.model_fields.items()]


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        last = str(error["loc"][-1])
        inside = error["loc"][0] == "figures" and len(error["loc"]) > 1
        near = difflib.get_close_matches(last, FigureSection.model_fields if inside else _keys(), n=1, cutoff=0.4)
        if near:
            return f"unknown key {key!r}; did you mean {near[0]!r}?"
        hint = "keys of the experiment go under `set` and `vary`; " if last in Experiment.model_fields else ""
        return f"unknown key {key!r}; {hint}see docs/studies.md for the keys"
    if error["type"] == "missing":
        return f"{key} is missing"
    value = f" (came: {error['input']!r:.60})" if not isinstance(error["input"], dict) else ""
    return f"{key or 'the study'}: {error['msg'].removeprefix('Value error, ')}{value}"
