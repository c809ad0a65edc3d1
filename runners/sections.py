"""The sections of an experiment file: their keys, defaults and checks of single values."""

__all__ = [
    "AlphaSection",
    "AuditSection",
    "ChangesSection",
    "ChurnSection",
    "ClusterSection",
    "ConductSection",
    "DataSection",
    "DefenceSection",
    "DurationSection",
    "EdgeSection",
    "GossipSection",
    "ModelSection",
    "NetworkSection",
    "OneDefenceSection",
    "OnePrivacySection",
    "PartitionSection",
    "PlaySection",
    "PrivacySection",
    "Section",
    "SplitSection",
    "StepSection",
    "TopologySection",
]

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..games import MAX_ROWS
from ..topology import RULES


class Section(BaseModel):
    """A section of an experiment file: unknown keys are refused, and nothing changes after it was read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        coerce_numbers_to_str=True,
        ser_json_inf_nan="constants",  # an infinite epsilon in a variant or a list must not come back as null
    )


class TopologySection(Section):
    """Who listens to whom: a generator of networkx with its arguments, or a graph file."""

    generator: str | None = None
    arguments: dict[str, Any] = {}
    seed: int = Field(0, ge=0, lt=1 << 32)
    file: Path | None = None
    directed: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> "TopologySection":
        if (self.generator is None) == (self.file is None):
            raise ValueError("give either `generator` or `file`, and null for the other")
        return self


class AlphaSection(Section):
    """How much: the scheme, and the self-weight of all players or of some (`default` stands for the others).

    `anchored: false` admits games in which real data does not reach everyone: they drift and collapse.
    Without a scheme the α of the graph file or of `edges` hold, if there are any; else they are uniform.
    """

    scheme: str | None = None
    self_weight: float | dict[str, float] = 0.3
    edges: list[tuple[str, str, float]] | None = None
    anchored: bool = True


class SplitSection(Section):
    """How the rows are dealt out to the players; `options` are those of the split."""

    kind: str = "iid"
    options: dict[str, Any] = {}


class DataSection(Section):
    """Private data: a data set by name with its options, an .npz file, or `synthetic` rows of the model's family.

    Of black boxes: `noise` is the standard deviation of Gaussian noise added to real values, once; `judge` makes the
    laboratory train a classifier on all rows, which tells the classes of what is generated; `test` holds options that
    load the rows on which players are tested (`part: test`), or `test_share` of the rows are set aside for that before
    any are dealt out; `distil` adds to each player's rows copies that classifiers trained on the others' rows have
    labelled, and `pool` adds the others' rows themselves; `observed` names the variables that a player's rows hold, and
    `missing` the share of its rows that lack a variable (`default` stands for the other players). `players` gives
    single players (or `default`) options of a data set of their own; those who have the same one share it out. `where`
    is who reads the rows: the process that starts the game, or those in which the players run.
    """

    source: str = "synthetic"
    options: dict[str, Any] = {}
    file: Path | None = None
    label: str | None = None
    split: SplitSection = SplitSection()
    holdout: float = Field(0.2, ge=0, lt=1)
    rows: int = Field(200, ge=1, le=1_000_000_000_000)
    spread: float = Field(1.0, gt=0)
    noise: float = Field(0.0, ge=0, allow_inf_nan=False)
    judge: bool = False
    test: dict[str, Any] | None = None
    test_share: float = Field(0.0, ge=0, lt=1)
    distil: bool = False
    pool: bool = False
    players: dict[str, dict[str, Any]] = {}
    observed: dict[str, list[str]] = {}
    missing: dict[str, dict[str, float]] = {}
    where: Literal["driver", "players"] = "driver"


class StepSection(Section):
    """Step size η_t = size · horizon / (horizon + t); constant without horizon."""

    size: float = Field(1.0, gt=0, le=1)
    horizon: float | None = Field(None, gt=0, allow_inf_nan=False)


class ModelSection(Section):
    """What the players learn: an exponential family, or black boxes of a `kind` with its `options`.

    `players` overrides `kind` and `options` for single players.
    """

    kind: str = "family"
    family: str | None = None
    players: dict[str, dict[str, Any]] = {}
    dimension: int = Field(4, ge=1, le=10_000)
    classes: int = Field(3, ge=1, le=10_000)
    options: dict[str, Any] = {}
    smoothing: float = Field(0.0, ge=0, allow_inf_nan=False)
    step: StepSection = StepSection()
    start: Literal["data", "reference", "common"] = "data"

    @model_validator(mode="after")
    def _family_or_kind(self) -> "ModelSection":
        if (self.kind == "family") != (self.family is not None):
            raise ValueError("give `family`, or a `kind` of black box")
        return self


class GossipSection(Section):
    """Whom players tell or ask, and how often; see `games.Gossip`."""

    style: Literal["push", "pull", "push-pull"] = "push"
    fan_out: int | None = Field(None, ge=1)
    order: Literal["random", "round-robin"] = "random"
    every: int = Field(1, ge=1)
    fresh: bool = False
    keep: int = Field(1, ge=1)


class DurationSection(Section):
    """A law of times; see `runners.Duration`. A trace comes as a list, or from a file of one number a line."""

    kind: Literal["constant", "exponential", "lognormal", "pareto", "trace"] = "constant"
    mean: float = 1.0
    sigma: float | None = None
    shape: float | None = None
    trace: list[float] | None = None
    file: Path | None = None


class EdgeSection(Section):
    """Another link for one edge; what is left out is as for the others."""

    sender: str
    listener: str
    latency: DurationSection | None = None
    bandwidth: float | None = None
    loss: float | None = None
    duplication: float | None = None
    ordered: bool | None = None


class ChurnSection(Section):
    """Mean times up and down, exponential."""

    up: float
    down: float


class PartitionSection(Section):
    """A time window in which messages pass inside each group only."""

    start: float
    end: float
    groups: list[list[str]]


class NetworkSection(Section):
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


class ChangesSection(Section):
    """A graph that changes: `rewiring`, `failing-edges`, graph files that take over in turn, or a `membership`.

    `membership` takes `events` of (time, player, join or leave), and the rule by which the others make up for them.
    """

    kind: Literal["none", "rewiring", "failing-edges", "files", "membership"] = "none"
    every: float = Field(50.0, gt=0)
    fraction: float = Field(0.2, ge=0, le=1)
    failure_rate: float = Field(0.01, ge=0)
    repair_rate: float = Field(0.1, gt=0)
    seed: int = 0
    file: Path | None = None
    events: list[tuple[float, str, str]] = []
    rule: str = RULES[0]


class ConductSection(Section):
    """Players that do not keep to the rules: `players` by name, and a `share` of all of them with one `behaviour`.

    A behaviour has a `kind` of `games.CONDUCTS` and the options of it; who is in the share is drawn by `seed`.
    """

    players: dict[str, dict[str, Any]] = {}
    share: float = Field(0.0, ge=0, le=1)
    behaviour: dict[str, Any] = {}
    seed: int = Field(0, ge=0)


class OneDefenceSection(Section):
    """What a listener does against bad neighbours; see `games.Defence`. `{}` is a screen, or trust, by its defaults."""

    screen: dict[str, float] | None = None
    trust: dict[str, float] | None = None
    clip: float | None = None
    rows: int = 100


class DefenceSection(OneDefenceSection):
    """The defence of all players; `players` gives single ones another, `{}` none."""

    players: dict[str, OneDefenceSection] = {}


class OnePrivacySection(Section):
    """What a player lets others learn of its private rows; see `games.Privacy`. An infinite ε is no privacy."""

    epsilon: float = Field(float("inf"), gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)
    clip: float | None = Field(None, gt=0, allow_inf_nan=False)
    noise: float | None = Field(None, gt=0, allow_inf_nan=False)


class PrivacySection(OnePrivacySection):
    """The privacy of all players; `players` gives single ones another."""

    players: dict[str, OnePrivacySection] = {}


class PlaySection(Section):
    """The engine and its settings; `every` counts rounds, or seconds in asynchronous play."""

    runner: str = "rounds"
    moves: int = Field(200, ge=1)
    samples: int = Field(100, ge=1, le=MAX_ROWS)
    mode: Literal["asynchronous", "synchronous"] = "asynchronous"
    rate: float | None = Field(20.0, gt=0, allow_inf_nan=False)
    every: float | None = Field(None, gt=0, allow_inf_nan=False)
    patience: float = Field(600.0, gt=0)
    workers: int | None = Field(None, ge=1, le=10_000)
    measure: int = Field(1000, ge=0, le=1_000_000)
    looks: int = Field(2, ge=2, le=1_000_000)
    regret_steps: int = Field(0, ge=0)
    checkpoint_seconds: float = Field(10.0, gt=0)
    precision: Literal["float32", "float64"] = "float32"


class AuditSection(Section):
    """What `nashgossip audit` needs of a run: the newest `batches` of every sender, of every `stride`-th publication.

    `canaries` made-up rows are planted among each player's private rows.
    """

    batches: int = Field(0, ge=0, le=1000)
    stride: int = Field(1, ge=1)
    canaries: int = Field(0, ge=0, le=10_000)


class ClusterSection(Section):
    """Of the runner `ray`: where the actors live, and what happens when one dies; see `runners.Deployment`.

    `nodes` gives single players labels of nodes of their own.
    """

    address: str | None = None
    namespace: str = Field("nashgossip", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    players_per_actor: int = Field(1, ge=1)
    cpus: float | None = Field(None, ge=0, allow_inf_nan=False)
    gpus: float = Field(0.0, ge=0, allow_inf_nan=False)
    placement: Literal["default", "pack", "spread"] = "default"
    labels: dict[str, str] = {}
    nodes: dict[str, dict[str, str]] = {}
    on_failure: Literal["fail", "skip", "restart"] = "restart"
    restarts: int = Field(10, ge=0)
    lease: float = Field(600.0, gt=0)
    oversubscribe: bool = False
    metrics: bool = True
