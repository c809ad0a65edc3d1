"""Experiment files: what is played, as YAML with checked keys, and the game that it describes."""

__all__ = [
    "Experiment",
    "ExperimentError",
    "dump_experiment",
    "experiment_names",
    "experiment_of",
    "load_experiment",
    "override",
    "parse_experiment",
    "require_unused",
]

import copy
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from ..topology import UnknownNameError
from .built_in import built_in_list, built_in_names, built_in_text
from .observer_sections import ObserveSection
from .sections import (
    AlphaSection,
    AuditSection,
    ChangesSection,
    ClusterSection,
    ConductSection,
    DataSection,
    DefenceSection,
    GossipSection,
    ModelSection,
    NetworkSection,
    PlaySection,
    PrivacySection,
    Section,
    TopologySection,
)
from .storage import RunPath, run_path
from .yaml_text import YamlError, read_yaml

_HERE = "experiments"


class ExperimentError(ValueError):
    """An experiment file, or a `--set`, that does not say what can be played.

    Not `GameError`: each key is read here one by one, before there is a game.
    """


class Experiment(Section):
    """A whole experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = ""
    seed: int = Field(0, ge=0)
    topology: TopologySection
    alpha: AlphaSection = AlphaSection()
    data: DataSection = DataSection()
    model: ModelSection
    gossip: GossipSection = GossipSection()
    network: NetworkSection = NetworkSection()
    changes: ChangesSection = ChangesSection()
    conduct: ConductSection = ConductSection()
    defence: DefenceSection = DefenceSection()
    privacy: PrivacySection = PrivacySection()
    play: PlaySection = PlaySection()
    cluster: ClusterSection = ClusterSection()
    observe: ObserveSection = ObserveSection()
    audit: AuditSection = AuditSection()
    variants: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    chosen: dict[str, str] = Field(default_factory=dict)


def experiment_names() -> dict[str, str]:
    """The built-in experiments: name → description, sorted."""
    return built_in_names(_HERE)


def load_experiment(source: str | RunPath, settings: list[str] | None = None) -> Experiment:
    """A built-in experiment by name, or one from a YAML file, with settings applied.

    Arguments:
        source: a name of `experiment_names()`, or the path or URL of a YAML file.
        settings: `key=value` each; see `override`.

    Raises:
        UnknownNameError: no built-in experiment has this name, and there is no such file.
        StorageError: nothing here can reach the storage of the URL.
        ExperimentError: the file cannot be read, or a key or value is wrong; the nearest key is suggested.
    """
    where = run_path(source)
    source = str(source)
    if isinstance(where, Path) and source in built_in_list(_HERE):
        text = built_in_text(_HERE, source)
    elif where.is_file():
        text = _read(where)
    elif where.suffix in (".yaml", ".yml"):
        raise ExperimentError(f"there is no file {source}; `nashgossip list` shows the built-in experiments")
    else:
        raise UnknownNameError("experiment", source, experiment_names())
    return parse_experiment(text, source, settings)


def parse_experiment(text: str, source: str = "the experiment", settings: list[str] | None = None) -> Experiment:
    """The experiment that a text in YAML holds, with settings applied.

    Arguments:
        text: what `dump_experiment` writes, or an experiment file holds.
        source: where it comes from, for errors.
        settings: `key=value` each; see `override`.

    Raises:
        ExperimentError: it is not YAML, or a key or value is wrong; the nearest key is suggested.
    """
    try:
        content = read_yaml(text)
    except YamlError as error:
        raise ExperimentError(f"{source} is not YAML: {error}") from None
    if not isinstance(content, dict):
        what = "nothing" if content is None else type(content).__name__
        raise ExperimentError(f"{source} holds {what}, expected keys such as topology and model")
    return experiment_of(content, source, settings)


def experiment_of(
    content: dict[str, Any], source: str = "the experiment", settings: Sequence[str] | None = None
) -> Experiment:
    """The experiment of a mapping as YAML gives it, which is not modified, with settings applied.

    Arguments, Raises as `parse_experiment`.
    """
    content = copy.deepcopy(content)
    for setting in _choose(content, settings or []):
        override(content, setting)
    return _checked(content, source)


def _choose(content: dict[str, Any], settings: Sequence[str]) -> list[str]:
    """Applies the variants that are chosen by `--set NAME=CHOICE`; the settings that are left.

    A variant is a named choice among groups of settings: `variants: {scale: {paper: {play.moves: 1000}}}`. What is set
    besides comes later, and prevails. `chosen` remembers the choices; it is not applied again when a file is loaded.
    """
    variants = content.get("variants") or {}
    chosen: dict[str, str] = {}
    rest = []
    for setting in settings:
        key, _, value = setting.partition("=")
        if isinstance(variants, dict) and key.strip() in variants:
            chosen[key.strip()] = value.strip()
        else:
            rest.append(setting)
    for name, choice in chosen.items():
        choices = variants.get(name) if isinstance(variants, dict) else None
        if not isinstance(choices, dict) or choice not in choices:
            known = ", ".join(choices) if isinstance(choices, dict) else "no choices"
            raise ExperimentError(f"{name} is {choice!r}, expected one of: {known}")
        for key, value in (choices[choice] or {}).items():
            _put(content, key, value)
    if chosen:
        content["chosen"] = {**(content.get("chosen") or {}), **chosen}
    return rest


def dump_experiment(experiment: Experiment) -> str:
    """The experiment with every default written out, as YAML."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def override(content: dict[str, Any], setting: str) -> None:
    """Applies `key=value` in place; the key is dotted (`play.moves`), or its last part where only one key ends so.

    Raises:
        ExperimentError: no such key (the nearest is suggested), or no `=`.
    """
    key, equals, value = setting.partition("=")
    if not equals:
        raise ExperimentError(f"--set {setting!r} has no '='; expected key=value, such as play.moves=100")
    try:
        _put(content, key.strip(), read_yaml(value))
    except YamlError as error:
        raise ExperimentError(f"the value of --set {setting!r:.200} is not YAML: {error}") from None


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    """Sets one dotted key in place; the sections on the way are made where they are missing."""
    *sections, last = _full_key(key).split(".")
    place = content
    for section in sections:
        inner = place.get(section)
        if not isinstance(inner, dict):
            inner = place[section] = {}
        place = inner
    place[last] = value


def require_unused(where: str, section: Any, keys: tuple[str, ...]) -> None:
    """Refuses keys that are set but mean nothing here, instead of passing over them."""
    fields = type(section).model_fields
    for key in keys:
        if getattr(section, key) != fields[key].get_default(call_default_factory=True):
            raise ExperimentError(f"option {key!r} means nothing with {where}; leave it out")


def _full_key(key: str) -> str:
    known = _keys(Experiment)
    if key in known or any(key.startswith(f"{name}.") for name, free in known.items() if free):
        return key
    ends = [name for name in known if name.rsplit(".", 1)[-1] == key]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise ExperimentError(f"key {key!r} could be {' or '.join(ends)}; write one of them")
    raise ExperimentError(_unknown_key(key))


def _unknown_key(key: str) -> str:
    near = difflib.get_close_matches(key, list(_keys(Experiment)), n=1, cutoff=0.4)
    if not near:
        leaf = {name.rsplit(".", 1)[-1]: name for name in _keys(Experiment)}
        near = [leaf[n] for n in difflib.get_close_matches(key.rsplit(".", 1)[-1], list(leaf), n=1, cutoff=0.4)]
    hint = f"did you mean {near[0]!r}?" if near else "see docs/experiments.md for the keys"
    return f"unknown key {key!r}; {hint}"


def _keys(model: type[BaseModel], prefix: str = "") -> dict[str, bool]:
    """Every dotted key → whether it holds a mapping with keys of its own."""
    found: dict[str, bool] = {}
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        found[prefix + name] = "dict" in str(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= _keys(annotation, f"{prefix}{name}.")
    return found


def _read(path: RunPath) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} cannot be read as text: {error}") from None


def _checked(content: dict[str, Any], source: str) -> Experiment:
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(f"{source}: " + "; ".join(_explain(e) for e in error.errors()[:5])) from None


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part not in ("float", "dict[str,float]"))
    if error["type"] == "extra_forbidden":
        return _unknown_key(key)
    if error["type"] == "missing":
        return f"{key} is missing"
    value = f" (came: {error['input']!r:.60})" if not isinstance(error["input"], dict) else ""
    return f"{key or 'the experiment'}: {error['msg'].removeprefix('Value error, ')}{value}"
