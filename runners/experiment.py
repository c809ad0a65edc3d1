"""Experiment files: what is played, as YAML with checked keys, and the game that it describes."""

__all__ = [
    "AlphaSection",
    "ChangesSection",
    "ChurnSection",
    "DataSection",
    "DurationSection",
    "EdgeSection",
    "Experiment",
    "ExperimentError",
    "GossipSection",
    "ModelSection",
    "NetworkSection",
    "PartitionSection",
    "PlaySection",
    "SplitSection",
    "StepSection",
    "TopologySection",
    "dump_experiment",
    "experiment_names",
    "load_experiment",
    "override",
]

import difflib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..games import MAX_ROWS
from ..topology import UnknownNameError

_HERE = "experiments"


class ExperimentError(ValueError):
    """An experiment file, or a `--set`, that does not say what can be played.

    Not `GameError`: each key is read here one by one, before there is a game.
    """


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, coerce_numbers_to_str=True)


class TopologySection(_Section):
    """Who listens to whom: a generator of networkx with its arguments, or a graph file."""

    generator: str | None = None
    arguments: dict[str, Any] = {}
    seed: int = 0
    file: Path | None = None
    directed: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> "TopologySection":
        if (self.generator is None) == (self.file is None):
            raise ValueError("give either `generator` or `file`")
        return self


class AlphaSection(_Section):
    """How much: the scheme, and the self-weight of all players or of some (`default` stands for the others).

    `anchored: false` admits games in which real data does not reach everyone: they drift and collapse.
    Without a scheme the α of the graph file or of `edges` hold, if there are any; else they are uniform.
    """

    scheme: str | None = None
    self_weight: float | dict[str, float] = 0.3
    edges: list[tuple[str, str, float]] | None = None
    anchored: bool = True


class SplitSection(_Section):
    """How the rows are dealt out to the players; `options` are those of the split."""

    kind: str = "iid"
    options: dict[str, Any] = {}


class DataSection(_Section):
    """Private data: a data set by name with its options, an .npz file, or `synthetic` rows of the model's family."""

    source: str = "synthetic"
    options: dict[str, Any] = {}
    file: Path | None = None
    label: str | None = None
    split: SplitSection = SplitSection()
    holdout: float = Field(0.2, ge=0, lt=1)
    rows: int = Field(200, ge=1)
    spread: float = Field(1.0, gt=0)


class StepSection(_Section):
    """Step size η_t = size · horizon / (horizon + t); constant without horizon."""

    size: float = Field(1.0, gt=0, le=1)
    horizon: float | None = Field(None, gt=0, allow_inf_nan=False)


class ModelSection(_Section):
    """The exponential family that the players learn."""

    family: str
    dimension: int = Field(4, ge=1)
    classes: int = Field(3, ge=1)
    options: dict[str, Any] = {}
    smoothing: float = Field(0.0, ge=0, allow_inf_nan=False)
    step: StepSection = StepSection()
    start: Literal["data", "reference", "common"] = "data"


class GossipSection(_Section):
    """Whom players tell or ask, and how often; see `games.Gossip`."""

    style: Literal["push", "pull", "push-pull"] = "push"
    fan_out: int | None = Field(None, ge=1)
    order: Literal["random", "round-robin"] = "random"
    every: int = Field(1, ge=1)
    fresh: bool = False
    keep: int = Field(1, ge=1)


class DurationSection(_Section):
    """A law of times; see `runners.Duration`. A trace comes as a list, or from a file of one number a line."""

    kind: Literal["constant", "exponential", "lognormal", "pareto", "trace"] = "constant"
    mean: float = 1.0
    sigma: float | None = None
    shape: float | None = None
    trace: list[float] | None = None
    file: Path | None = None


class EdgeSection(_Section):
    """Another link for one edge; what is left out is as for the others."""

    sender: str
    listener: str
    latency: DurationSection | None = None
    bandwidth: float | None = None
    loss: float | None = None
    duplication: float | None = None
    ordered: bool | None = None


class ChurnSection(_Section):
    """Mean times up and down, exponential."""

    up: float
    down: float


class PartitionSection(_Section):
    """A time window in which messages pass inside each group only."""

    start: float
    end: float
    groups: list[list[str]]


class NetworkSection(_Section):
    """The world of virtual time; see `runners.Network`. `events_file` is CSV: time, player, what."""

    compute: DurationSection = DurationSection()
    speed: dict[str, float] = {}
    latency: DurationSection = DurationSection(mean=0.0)
    bandwidth: float | None = None
    loss: float = 0.0
    duplication: float = 0.0
    ordered: bool = False
    edges: list[EdgeSection] = []
    churn: ChurnSection | None = None
    link_churn: ChurnSection | None = None
    events: list[tuple[float, str, str]] = []
    events_file: Path | None = None
    partitions: list[PartitionSection] = []


class ChangesSection(_Section):
    """A graph that changes: `rewiring` of a share of edges, `failing-edges`, or graph files that take over in turn."""

    kind: Literal["none", "rewiring", "failing-edges", "files"] = "none"
    every: float = Field(50.0, gt=0)
    fraction: float = Field(0.2, ge=0, le=1)
    failure_rate: float = Field(0.01, ge=0)
    repair_rate: float = Field(0.1, gt=0)
    seed: int = 0
    file: Path | None = None


class PlaySection(_Section):
    """The engine and its settings; `every` counts rounds, or seconds in asynchronous play."""

    runner: str = "rounds"
    moves: int = Field(200, ge=1)
    samples: int = Field(100, ge=1, le=MAX_ROWS)
    mode: Literal["asynchronous", "synchronous"] = "asynchronous"
    rate: float | None = Field(20.0, gt=0, allow_inf_nan=False)
    every: float | None = Field(None, gt=0, allow_inf_nan=False)
    patience: float = Field(600.0, gt=0)
    workers: int | None = Field(None, ge=1)
    measure: int = Field(1000, ge=0)
    checkpoint_seconds: float = Field(10.0, gt=0)
    precision: Literal["float32", "float64"] = "float32"


class Experiment(_Section):
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
    play: PlaySection = PlaySection()


def experiment_names() -> dict[str, str]:
    """The built-in experiments: name → description, sorted."""
    found = {}
    for entry in resources.files(__package__).joinpath(_HERE).iterdir():
        if entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = str(yaml.safe_load(entry.read_text("utf-8"))["description"])
    return dict(sorted(found.items()))


def load_experiment(source: str, settings: list[str] | None = None) -> Experiment:
    """A built-in experiment by name, or one from a YAML file, with settings applied.

    Arguments:
        source: a name of `experiment_names()`, or the path of a YAML file.
        settings: `key=value` each; see `override`.

    Raises:
        UnknownNameError: no built-in experiment has this name, and there is no such file.
        ExperimentError: the file cannot be read, or a key or value is wrong; the nearest key is suggested.
    """
    names = experiment_names()
    if source in names:
        text = resources.files(__package__).joinpath(_HERE, f"{source}.yaml").read_text("utf-8")
    elif Path(source).is_file():
        text = _read(Path(source))
    elif Path(source).suffix in (".yaml", ".yml"):
        raise ExperimentError(f"there is no file {source}; `nashgossip list` shows the built-in experiments")
    else:
        raise UnknownNameError("experiment", source, names)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ExperimentError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        what = "nothing" if content is None else type(content).__name__
        raise ExperimentError(f"{source} holds {what}, expected keys such as topology and model")
    for setting in settings or []:
        override(content, setting)
    return _checked(content, source)


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
    *sections, last = _full_key(key.strip()).split(".")
    place = content
    for section in sections:
        inner = place.get(section)
        if not isinstance(inner, dict):
            inner = place[section] = {}
        place = inner
    try:
        place[last] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        raise ExperimentError(f"the value of --set {setting!r} is not YAML") from None


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


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
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
