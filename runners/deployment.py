"""How a game is laid out on a Ray cluster: which machine, how many players to a process, and what to do in trouble."""

__all__ = ["Deployment"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .storage import RunPath

_POLICIES = ("fail", "skip", "restart")
_PLACEMENTS = ("default", "pack", "spread")


@dataclass(frozen=True)
class Deployment:
    """Where and how the actors of a run live.

    Arguments:
        address: of a Ray cluster that is there (`host:port`, or `auto`); None takes the session that is open, the one
            that RAY_ADDRESS names, or starts one on this machine, on loopback, that ends with the run.
        namespace: of the actors' names.
        run: name of the run, by which several on one cluster are told apart.
        workers: CPUs that Ray may use when it is started here; None for all.
        players_per_actor: players that share a process.
        cpus: CPUs that each actor asks for, which may be a fraction; None shares all CPUs of the cluster equally.
        gpus: GPUs that each actor asks for, which may be a fraction.
        placement: `pack` on as few nodes as possible, `spread` over all of them, or Ray's `default`.
        labels: nodes that actors may live on, by Ray's node labels.
        nodes: player → labels of the nodes that it may live on, where each has an actor of its own.
        on_failure: when a model raises or a process dies: `fail` ends the run, `skip` goes on without its players,
            `restart` takes them back to their last checkpoint.
        restarts: times that each process is restarted, and that the models of a process are.
        storage: folder for checkpoints and logs that all nodes can reach; None saves none.
        checkpoint_seconds: between checkpoints.
        lease: seconds after which actors that nobody observes save themselves and end, if they outlive this process.
        oversubscribe: whether to start more processes than memory has room for by estimate.

    Raises:
        ValueError: a number out of range, an unknown word, or settings that exclude each other.
    """

    address: str | None = None
    namespace: str = "nashgossip"
    run: str = ""
    workers: int | None = None
    players_per_actor: int = 1
    cpus: float | None = None
    gpus: float = 0.0
    placement: Literal["default", "pack", "spread"] = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    on_failure: Literal["fail", "skip", "restart"] = "fail"
    restarts: int = 10
    storage: RunPath | None = None
    checkpoint_seconds: float = 10.0
    lease: float = 600.0
    oversubscribe: bool = False

    def __post_init__(self) -> None:
        if self.players_per_actor < 1:
            raise ValueError(f"players_per_actor is {self.players_per_actor}, expected a whole number of at least 1")
        for name, value in {"cpus": self.cpus or 0.0, "gpus": self.gpus, "restarts": self.restarts}.items():
            if not value >= 0:
                raise ValueError(f"{name} is {value}, expected a number of at least 0")
        for name, word, known in (
            ("on_failure", self.on_failure, _POLICIES),
            ("placement", self.placement, _PLACEMENTS),
        ):
            if word not in known:
                raise ValueError(f"{name} is {word!r}, expected one of: {', '.join(known)}")
        if self.placement == "pack" and (self.labels or self.nodes):
            raise ValueError("placement pack and labels of nodes cannot be had together; choose one of them")
        if self.nodes and self.players_per_actor > 1:
            raise ValueError(
                f"nodes of single players were given, but players_per_actor is {self.players_per_actor}; make it 1"
            )

    def labels_of(self, player: str) -> dict[str, str]:
        """The labels of the nodes that a player may live on; none for any node."""
        return {**self.labels, **self.nodes.get(player, {})}
