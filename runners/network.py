"""The world that virtual time simulates: how long moves and messages take, what gets lost, who is down when."""

__all__ = ["Churn", "Duration", "Link", "Network", "Partition", "edges_of", "schedule_of"]

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..games import Game, Gossip, Schedule
from ..topology import GraphSequence

_NEEDS = {"constant": (), "exponential": (), "lognormal": ("sigma",), "pareto": ("shape",), "trace": ("trace",)}


@dataclass(frozen=True)
class Duration:
    """A law of times: `constant`, `exponential`, `lognormal`, `pareto` (stragglers), or a `trace` that is repeated.

    Arguments:
        kind: the law.
        mean: its mean, in units of virtual time; of a trace, its own mean counts.
        sigma: standard deviation of the logarithm, for `lognormal`.
        shape: tail exponent above 1, for `pareto`; the smaller, the heavier the tail.
        trace: times to go through one after the other, for `trace`.

    Raises:
        ValueError: a negative or infinite time, a missing or wrong parameter.

    >>> Duration("constant", 2.0).draw(np.random.default_rng(0), 0)
    2.0
    """

    kind: Literal["constant", "exponential", "lognormal", "pareto", "trace"] = "constant"
    mean: float = 1.0
    sigma: float | None = None
    shape: float | None = None
    trace: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in _NEEDS:
            raise ValueError(f"duration kind is {self.kind!r}, expected one of {', '.join(_NEEDS)}")
        if not (math.isfinite(self.mean) and self.mean >= 0):
            raise ValueError(f"mean of a duration is {self.mean}, expected a finite time of at least 0")
        for name in _NEEDS[self.kind]:
            if getattr(self, name) is None:
                raise ValueError(f"a {self.kind} duration needs {name}")
        if self.kind == "lognormal" and not (math.isfinite(self.sigma or 0.0) and (self.sigma or 0.0) >= 0):
            raise ValueError(f"sigma of a duration is {self.sigma}, expected a finite number of at least 0")
        if self.kind == "pareto" and not 1 < (self.shape or 0.0) < math.inf:
            raise ValueError(f"shape of a Pareto duration is {self.shape}, expected above 1, where the mean is finite")
        if self.trace is not None and not (self.trace and all(math.isfinite(t) and t >= 0 for t in self.trace)):
            raise ValueError("a trace of durations needs at least one time, and no negative or infinite ones")

    @property
    def average(self) -> float:
        """The mean of the law."""
        return float(np.mean(self.trace)) if self.kind == "trace" and self.trace else self.mean

    def draw(self, rng: np.random.Generator, turn: int) -> float:
        """One time; `turn` counts the draws, for a trace."""
        if self.kind == "constant":
            return self.mean
        if self.kind == "exponential":
            return self.mean * float(rng.standard_exponential())
        if self.kind == "lognormal":
            sigma = self.sigma or 0.0
            return self.mean * math.exp(sigma * float(rng.standard_normal()) - sigma**2 / 2)
        if self.kind == "pareto":
            shape = self.shape or 2.0
            return self.mean * (shape - 1) / shape * (1.0 + float(rng.pareto(shape)))
        trace = self.trace or (self.mean,)
        return trace[turn % len(trace)]


@dataclass(frozen=True)
class Link:
    """What happens to messages on an edge.

    Arguments:
        latency: time on the way, besides what bandwidth takes.
        bandwidth: bytes per unit of time; None for no limit.
        loss: probability that a message is lost.
        duplication: probability that one arrives twice, each copy with a latency of its own.
        ordered: whether messages arrive in the order in which they were sent.

    Raises:
        ValueError: a probability outside [0, 1], or a bandwidth that is not above 0.
    """

    latency: Duration = field(default_factory=lambda: Duration("constant", 0.0))
    bandwidth: float | None = None
    loss: float = 0.0
    duplication: float = 0.0
    ordered: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "duplication"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected a probability in [0, 1]")
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise ValueError(f"bandwidth is {self.bandwidth}, expected above 0 bytes per unit of time")


@dataclass(frozen=True)
class Churn:
    """Players or links that go down and come up again, each as an independent two-state process.

    Arguments:
        up: mean time up, exponential.
        down: mean time down, exponential.

    Raises:
        ValueError: a time that is not above 0.
    """

    up: float
    down: float

    def __post_init__(self) -> None:
        if not (self.up > 0 and self.down > 0 and math.isfinite(self.up + self.down)):
            raise ValueError(f"mean times up and down are {self.up} and {self.down}, expected finite times above 0")


@dataclass(frozen=True)
class Partition:
    """A time window in which messages pass inside each group of players only. Players in no group form one more.

    Raises:
        ValueError: a window that ends before it begins, or a player in two groups.
    """

    start: float
    end: float
    groups: tuple[frozenset[Hashable], ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a partition lasts from {self.start} to {self.end}, expected 0 ≤ start < end")
        if sum(map(len, self.groups)) > len(frozenset().union(*self.groups)):
            raise ValueError("a player is in two groups of a partition")

    def separates(self, time: float, sender: Hashable, listener: Hashable) -> bool:
        """Whether a message of this moment cannot pass."""
        if not self.start <= time < self.end:
            return False
        return any((sender in group) != (listener in group) for group in self.groups)


@dataclass(frozen=True)
class Network:
    """The world of a run in virtual time. The default is perfect: moves of length 1, and nothing else takes time.

    Arguments:
        compute: time from one move of a player to its next; `exponential` makes a Poisson clock.
        speed: player → factor that divides its compute times; 1 for the others.
        link: what happens on an edge.
        links: (sender, listener) → another link for that edge.
        churn: of players; None for none.
        link_churn: of edges, each direction on its own, those that only a later graph has too; None for none.
        events: (time, player, what), `what` one of `down`, `up`, `join`, `leave`. A player that has a `join` is absent
            until then; one that leaves does not come back. Churn and events do not end each other's down times.
        partitions: time windows.

    Raises:
        ValueError: a speed that is not above 0, negative event times, an unknown event.
    """

    compute: Duration = field(default_factory=Duration)
    speed: Mapping[Any, float] = field(default_factory=dict)
    link: Link = field(default_factory=Link)
    links: Mapping[tuple[Any, Any], Link] = field(default_factory=dict)
    churn: Churn | None = None
    link_churn: Churn | None = None
    events: tuple[tuple[float, Any, str], ...] = ()
    partitions: tuple[Partition, ...] = ()

    def __post_init__(self) -> None:
        if not self.compute.average > 0:
            raise ValueError("compute times of moves are 0, expected a mean above 0")
        slow = [player for player, factor in self.speed.items() if not (factor > 0 and math.isfinite(factor))]
        if slow:
            raise ValueError(f"speed of player {slow[0]} is {self.speed[slow[0]]}, expected a finite factor above 0")
        for time, player, what in self.events:
            if not (math.isfinite(time) and time >= 0):
                raise ValueError(f"an event of player {player} is at time {time}, expected a finite time of at least 0")
            if what not in ("down", "up", "join", "leave"):
                raise ValueError(f"player {player} has event {what!r}, expected down, up, join or leave")

    def require_players(self, players: list[Hashable], edges: set[tuple[Hashable, Hashable]]) -> None:
        """Checks that all players and edges named are in the game.

        Raises:
            ValueError: one is not.
        """
        known = set(players)
        named = [
            *self.speed,
            *(p for _, p, _ in self.events),
            *(p for part in self.partitions for g in part.groups for p in g),
        ]
        strangers = sorted({str(p) for p in named if p not in known})
        if strangers:
            raise ValueError(f"the network names players that are not in the game: {', '.join(strangers[:10])}")
        odd = [f"{a}→{b}" for a, b in self.links if (a, b) not in edges]
        if odd:
            raise ValueError(f"the network names edges that are not in the graph: {', '.join(odd[:10])}")


def edges_of(game: Game, graphs: GraphSequence | None) -> set[tuple[Hashable, Hashable]]:
    """Every (sender, listener) that is an edge at some time; of a game whose graph stays, those of its graph.

    Raises:
        ValueError: the graphs have other players than the game.
    """
    if graphs is not None and set(graphs.players) != set(game.players):
        raise ValueError("the graph sequence has other players than the game; give it the same ones")
    all_graphs = [game.graph, *(graphs.graphs if graphs is not None else ())]
    return {(a, b) for graph in all_graphs for a, b in graph.edges if a != b}


def schedule_of(network: Network, game: Game, *, changing: bool) -> Schedule:
    """What theory can say of a run in virtual time: its clocks, delay, and the share of publications that arrive."""
    gossips = {game.specs[player].gossip for player in game.players}
    gossip = gossips.pop() if len(gossips) == 1 else None
    link = network.link
    simple = (
        gossip is not None
        and _plain(gossip)
        and link.loss < 1
        and not (changing or network.speed or network.links or network.churn or network.link_churn)
        and not (network.events or network.partitions or link.bandwidth or link.duplication)
        and network.compute.kind in ("constant", "exponential")
    )
    if gossip is None or not simple:
        return Schedule(known=False)
    constant = link.latency.kind == "constant"
    return Schedule(
        clock="rounds" if network.compute.kind == "constant" else "poisson",
        delay=link.latency.mean / network.compute.mean if constant else None,
        delivery=_delivery(game, gossip, 1.0 - link.loss),
        picks=gossip.fan_out,
        fresh=gossip.fresh,
    )


def _plain(gossip: Gossip) -> bool:
    return gossip.style == "push" and gossip.every == 1 and gossip.keep == 1 and gossip.order == "random"


def _delivery(game: Game, gossip: Gossip, arrives: float) -> Any:
    """The probability that a publication reaches a listener: one for all, or (sender, listener) → probability."""
    if gossip.fan_out is None:
        return arrives
    graph = game.graph
    edges = [(a, b) for a, b in graph.edges if a != b and graph.edges[a, b]["alpha"] > 0]
    listeners = Counter(sender for sender, _ in edges)
    shares = {edge: arrives * min(gossip.fan_out / listeners[edge[0]], 1.0) for edge in edges}
    return next(iter(shares.values())) if len(set(shares.values())) == 1 else shares
