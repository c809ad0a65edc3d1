"""Who lives where on a cluster: the plans of the actors of a game."""

__all__ = ["Layout"]

import math
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property, partial
from typing import Any, final

import ray

from ..agents import HostPlan, Seat, seats
from ..games import Game, PlayerSpec
from ..topology import GraphSequence
from .checkpoint_store import CheckpointStore
from .cluster_names import finder, leave
from .deployment import Deployment
from .journal import Journal
from .kept_batches import KeptBatches
from .where import forget_specs


@final
class Layout:
    """The actors of a game, and the plans that they are made from.

    Players that follow each other in the graph's order share a process.

    Arguments:
        game: the game.
        seed: of all random streams.
        deployment: how many players share a process, and what to do in trouble.
        graphs: graphs that take over from each other; the game's own by default.
        source: player → makes its specification where it is built; None takes the game's.
        kept: what is kept of publications; None for nothing.
        settings: further settings of the plans: rate, synchronous, lease.
    """

    def __init__(
        self,
        game: Game,
        seed: int,
        deployment: Deployment,
        *,
        graphs: GraphSequence | None = None,
        source: Callable[[Hashable], Callable[[], PlayerSpec]] | None = None,
        kept: KeptBatches | None = None,
        **settings: Any,
    ) -> None:
        self._game, self._seed, self._deployment, self._source = game, seed, deployment, source
        self._kept, self._settings = kept, settings
        self.graphs = [game.graph] if graphs is None else [piece.graph for piece in graphs]
        self.absent = [frozenset()] if graphs is None else [graphs.absent_at(piece.start) for piece in graphs]
        self.changes = () if graphs is None else graphs.changes
        size = deployment.players_per_actor
        self.homes: dict[Hashable, int] = {player: k // size for k, player in enumerate(game.players)}
        self.indices = sorted(set(self.homes.values()))

    def in_force(self, now: float) -> int:
        """The number of the graph at a time, in moves."""
        return sum(at <= now for at in self.changes)

    def saved_in(self, now: float) -> int:
        """The number of the graph in which a checkpoint in rounds was saved: before those that change at that time."""
        return sum(math.ceil(at) < now for at in self.changes)

    def needed(self, wiring: int) -> list[int]:
        """The actors that have a player in the graph of this number."""
        return sorted({self.homes[p] for p in self.homes if p not in self.absent[wiring]})

    def living(self, wiring: int) -> list[int]:
        """The actors of those who are there, or have been and will come back, in whose memory they wait for that."""
        numbers = range(len(self.absent))
        met = {index for number in numbers[: wiring + 1] for index in self.needed(number)}
        return sorted(met & {index for number in numbers[wiring:] for index in self.needed(number)})

    @cached_property
    def peers(self) -> dict[int, int]:
        """Number of an actor → how many others may call it."""
        found: dict[int, set[int]] = {index: set() for index in self.indices}
        for wiring in self._wirings:
            for seat in wiring:
                home = self.homes[seat.name]
                found[home] |= {self.homes[other] for other in (*seat.neighbours, *seat.listeners)}
        return {index: len(others - {index}) for index, others in found.items()}

    @property
    def labels(self) -> dict[int, dict[str, str]]:
        """Number of an actor → labels of the nodes that it may live on."""
        single = self._deployment.players_per_actor == 1
        names = {home: str(player) if single else "" for player, home in self.homes.items()}
        return {index: self._deployment.labels_of(name) for index, name in names.items()}

    def plan(self, index: int, wiring: int) -> HostPlan:
        """What an actor is made from, when the graph of this number is in force."""
        deployment, name = self._deployment, f"actor-{index:05d}"
        here = [[seat for seat in row if self.homes[seat.name] == index] for row in self._wirings]
        known = {seat.name for row in here for seat in row}
        known |= {other for row in here for seat in row for other in (*seat.neighbours, *seat.listeners)}
        storage = deployment.storage
        return HostPlan(
            index=index,
            wirings=here,
            absent=self.absent,
            homes={player: self.homes[player] for player in self.homes if player in known},
            positions={player: k for k, player in enumerate(self.homes) if player in known},
            find=finder(deployment.namespace, deployment.run),
            put=ray.put,
            leave=partial(leave, deployment.namespace, deployment.run),
            settled=forget_specs if self._source is not None else None,
            pulls=any(spec.gossip.pulls for spec in self._game.specs.values()),
            policy=deployment.on_failure,
            restarts=deployment.restarts,
            store=None if storage is None else CheckpointStore(storage / "checkpoints", name),
            checkpoint_seconds=deployment.checkpoint_seconds,
            log=None if storage is None else Journal(storage / "logs" / f"{name}.jsonl"),
            archive=None if self._kept is None else self._kept.among(known),
            wiring=wiring,
            **self._settings,
        )

    @cached_property
    def _wirings(self) -> list[Sequence[Seat]]:
        return [self._seats(graph) for graph in self.graphs]

    def _seats(self, graph: Any) -> list[Seat]:
        game = self._game if graph is self._game.graph else Game(graph, self._game.specs, anchored=self._game.anchored)
        return seats(game, self._seed) if self._source is None else seats(game, self._seed, self._source)
