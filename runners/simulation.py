"""A simulated world: the players of a game, what is between them, and what happens to them one after the other."""

__all__ = ["Simulation"]

import time as wall
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from operator import index
from typing import Any

import numpy as np

from ..agents import Message, Move, Player, seats, stream
from ..games import Game
from ..topology import GraphSequence
from .checkpoint import CheckpointError
from .event_queue import CHANGE, DELIVER, MOVE, OBSERVE, REQUEST, EventQueue, moment
from .looks import Looks, closely
from .network import Link, Network, edges_of
from .observation import Observation
from .presence import Presence
from .rounds import view_player
from .stages import present_game


class Simulation:
    """The players of a game, the world between them, and the queue of what happens next.

    Events are ordered by (time, priority, sequence number), a total order, so that a run is decided by its seed alone.

    Arguments:
        game: the game.
        seed: of all random streams.
        network: the world.
        graphs: graphs that take over from each other, or None.

    Raises:
        ValueError: the network or the graphs name players or edges that are not in the game.
    """

    def __init__(self, game: Game, seed: int, network: Network, graphs: GraphSequence | None = None) -> None:
        self.players: dict[Hashable, Player] = {seat.name: seat.build() for seat in seats(game, seed)}
        self.time = 0.0
        self._game, self._seed, self._network, self._graphs = game, seed, network, graphs
        self._edges = edges_of(game, graphs)
        network.require_players(list(self.players), self._edges)
        self._unit = network.compute.average
        self._order = {player: index for index, player in enumerate(self.players)}
        self._pace = {p: stream(seed, k, "pace") for p, k in self._order.items()}
        self._wire = {p: stream(seed, k, "network") for p, k in self._order.items()}
        self._queue = EventQueue(self.players)
        self._every = 1.0
        self._observed = 0
        self._presence = Presence(self.players, late=[p for _, p, what in network.events if what == "join"])
        self._graph_at = 0.0
        self._cut: set[tuple[Hashable, Hashable]] = set()
        self._turn: Counter[Hashable] = Counter()
        self._link_turn: Counter[tuple[Hashable, Hashable]] = Counter()
        self._last_arrival: dict[tuple[Hashable, Hashable], float] = {}
        self.on_delivery: Callable[[Hashable, Hashable, Message], None] | None = None
        self.counts: Counter[str] = Counter()
        if graphs is not None:
            self._rewire(graphs, 0.0)
            for player in graphs.absent_at(0.0):
                self._presence.stop(player, "membership")
        self._handlers: dict[str, Callable[..., None]] = {
            "move": self._move,
            "deliver": self._deliver,
            "request": self._request,
            "event": self._event,
            "link": self._flip_link,
            "churn": self._flip_player,
            "graph": self._change_graph,
        }

    @property
    def observations(self) -> int:
        """Observations made after the first."""
        return self._observed

    @property
    def every(self) -> float:
        """Units of time between observations."""
        return self._every

    @property
    def next_observation(self) -> float:
        """When the next observation is due."""
        return (self._observed + 1) * self._every

    def open(self, every: float) -> None:
        """Fills the queue and lets every player that is present make its first publication."""
        self._every = every
        network = self._network
        for at, player, what in network.events:
            self._queue.put(at / self._unit, CHANGE, "event", player, what)
        if self._graphs is not None:
            for at in self._graphs.changes:
                self._queue.put(at / self._unit, CHANGE, "graph", at)
        for player in self.players:
            if network.churn is not None:
                up = network.churn.up / self._unit * self._wire[player].standard_exponential()
                self._queue.put(up, CHANGE, "churn", player)
        if network.link_churn is not None:
            for sender, listener in sorted(self._edges, key=lambda e: (self._order[e[0]], self._order[e[1]])):
                up = network.link_churn.up / self._unit * self._wire[sender].standard_exponential()
                self._queue.put(up, CHANGE, "link", sender, listener)
        for player in self.players:
            if not self._presence.away(player):
                self._go_on(player)

    def advance(self, until: float) -> None:
        """Lets happen what happens before the observation at time `until`."""
        take, handlers, limit = self._queue.take, self._handlers, (until, OBSERVE)
        while (event := take(limit)) is not None:
            self.time, kind, data = event
            handlers[kind](*data)
        self.time = until
        self._observed = max(self._observed, int(np.floor(until / self._every + 1e-9)))

    def observe(
        self, began: float, looks: Looks | None, *, first: bool = False, last: bool = False, keep_states: bool = False
    ) -> Observation:
        """All players at this moment, closely if there are `looks`; `began` is the wall clock's time of the start.

        Those that are absent from the graph in force are not looked at closely.
        """
        absent = frozenset[Hashable]() if self._graphs is None else self._graphs.absent_at(self._graph_at)
        here = {name: p for name, p in self.players.items() if name not in absent}
        found = closely(here, looks, first=first, last=last) if looks is not None else {}
        return Observation(
            time=self.time,
            seconds=wall.perf_counter() - began,
            messages=self.counts["delivered"],
            bytes=self.counts["bytes"],
            players=[view_player(p) for p in self.players.values()],
            undelivered=self.counts["lost"] + self.counts["missed"],
            close=looks is not None,
            states={name: p.state() for name, p in self.players.items()} if last and keep_states else {},
            **found,
        )

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, messages on their way included; players by position."""
        order, events = self._order, self._queue.state()
        return {
            "time": self.time,
            "sequence": events["sequence"],
            "every": self._every,
            "observed": self._observed,
            "graph_at": self._graph_at,
            "presence": self._presence.state(),
            "players": [p.state() for p in self.players.values()],
            "pace": [rng.bit_generator.state for rng in self._pace.values()],
            "wire": [rng.bit_generator.state for rng in self._wire.values()],
            "queue": events["queue"],
            "cut": sorted([order[a], order[b]] for a, b in self._cut),
            "turn": [self._turn[p] for p in order],
            "link_turn": [[order[a], order[b], count] for (a, b), count in self._link_turn.items()],
            "last_arrival": [[order[a], order[b], at] for (a, b), at in self._last_arrival.items()],
            "counts": dict(self.counts),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly as the simulation of the same game, seed and network whose `state()` this is.

        Raises:
            CheckpointError: it is no such state.
        """
        try:
            self._load(state)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the state is not one of this game ({type(error).__name__}: {error!s:.200}); remove the checkpoint to "
                "go on from the one before"
            ) from error

    def _load(self, state: Mapping[str, Any]) -> None:
        names = dict(enumerate(self.players))
        self.time = moment(state["time"])
        self._every, self._observed = moment(state["every"]), index(state["observed"])
        if self._graphs is not None:
            self._graph_at = moment(state["graph_at"])
            self._rewire(self._graphs, self._graph_at)
        for player, saved in zip(self.players.values(), state["players"], strict=True):
            player.load(saved)
        for rngs, saved in ((self._pace, state["pace"]), (self._wire, state["wire"])):
            for rng, one in zip(rngs.values(), saved, strict=True):
                rng.bit_generator.state = one
        self._queue.load(state, self.time)
        self._presence.load(state["presence"])
        self._cut = {(names[a], names[b]) for a, b in state["cut"]}
        self._turn = Counter(dict(zip(self.players, map(index, state["turn"]), strict=True)))
        self._link_turn = Counter({(names[a], names[b]): index(count) for a, b, count in state["link_turn"]})
        self._last_arrival = {(names[a], names[b]): moment(at) for a, b, at in state["last_arrival"]}
        self.counts = Counter({str(what): index(count) for what, count in state["counts"].items()})

    # --- what happens -------------------------------------------------------------------------------------------

    def _go_on(self, player: Hashable) -> None:
        """A player is here from now on: it publishes if it has not yet, and begins a move."""
        if self._presence.begin(player):
            self._send(player, self.players[player].open())
        self._schedule_move(player)

    def _schedule_move(self, player: Hashable) -> None:
        drawn = self._network.compute.draw(self._pace[player], self._turn[player]) / self._unit
        self._turn[player] += 1
        at = self.time + drawn / self._network.speed.get(player, 1.0)
        self._queue.put(at, MOVE, "move", player, self._presence.epoch(player))

    def _move(self, player: Hashable, epoch: int) -> None:
        if epoch == self._presence.epoch(player):
            self._send(player, self.players[player].move())
            self._schedule_move(player)

    def _send(self, sender: Hashable, move: Move) -> None:
        for listener, message in (*move.messages.items(), *move.more):
            self._carry(sender, listener, message.nbytes, "deliver", sender, listener, message)
        for neighbour in move.requests:
            self._carry(sender, neighbour, 0, "request", sender, neighbour)

    def _carry(self, sender: Hashable, receiver: Hashable, size: int, kind: str, *data: Any) -> None:
        """Puts something on the way from `sender` to `receiver`, unless it is lost."""
        edge = (sender, receiver)
        link = self._network.links.get(edge, self._network.link)
        rng = self._wire[sender]
        if self._separated(edge) or (link.loss and rng.random() < link.loss):
            self.counts["lost"] += 1
            return
        copies = 2 if link.duplication and rng.random() < link.duplication else 1
        for _ in range(copies):
            at = self.time + self._travel(edge, link, size, rng)
            if link.ordered:
                at = self._last_arrival[edge] = max(at, self._last_arrival.get(edge, 0.0))
            self._queue.put(at, DELIVER if kind == "deliver" else REQUEST, kind, *data)

    def _travel(self, edge: tuple[Hashable, Hashable], link: Link, size: int, rng: np.random.Generator) -> float:
        latency = link.latency.draw(rng, self._link_turn[edge])
        if link.latency.kind == "trace":
            self._link_turn[edge] += 1
        return (latency + (size / link.bandwidth if link.bandwidth else 0.0)) / self._unit

    def _separated(self, edge: tuple[Hashable, Hashable]) -> bool:
        if edge in self._cut:
            return True
        return any(part.separates(self.time * self._unit, *edge) for part in self._network.partitions)

    def _deliver(self, sender: Hashable, listener: Hashable, message: Message) -> None:
        if self._presence.away(listener) or self._presence.down(sender, "membership"):
            self.counts["missed"] += 1
            return
        self.players[listener].receive(message)
        if self.on_delivery is not None:
            self.on_delivery(sender, listener, message)
        self.counts["delivered"] += 1
        self.counts["bytes"] += message.nbytes

    def _request(self, asker: Hashable, neighbour: Hashable) -> None:
        if self._presence.away(neighbour):
            self.counts["missed"] += 1
            return
        answer = self.players[neighbour].answer(asker)
        if answer is not None:
            self._carry(neighbour, asker, answer.nbytes, "deliver", neighbour, asker, answer)

    def _event(self, player: Hashable, what: str) -> None:
        presence = self._presence
        if what == "leave":
            presence.leave(player)
        elif what == "down":
            presence.stop(player, "event")
        elif presence.join(player) if what == "join" else presence.wake(player, "event"):
            self._go_on(player)

    def _flip_player(self, player: Hashable) -> None:
        churn = self._network.churn
        if churn is None:
            return
        was_down = self._presence.down(player, "churn")
        if not was_down:
            self._presence.stop(player, "churn")
        elif self._presence.wake(player, "churn"):
            self._go_on(player)
        mean = (churn.up if was_down else churn.down) / self._unit
        self._queue.put(self.time + mean * self._wire[player].standard_exponential(), CHANGE, "churn", player)

    def _flip_link(self, sender: Hashable, listener: Hashable) -> None:
        churn = self._network.link_churn
        if churn is None:
            return
        edge = (sender, listener)
        was_down = edge in self._cut
        (self._cut.discard if was_down else self._cut.add)(edge)
        mean = (churn.up if was_down else churn.down) / self._unit
        self._queue.put(self.time + mean * self._wire[sender].standard_exponential(), CHANGE, "link", sender, listener)

    def _change_graph(self, at: float) -> None:
        """Who leaves is gone before the others are rewired, and who joins speaks to those that listen from now on."""
        if self._graphs is None:
            return
        before, self._graph_at = self._graphs.absent_at(self._graph_at), at
        absent = self._graphs.absent_at(at)
        for player in sorted(absent - before, key=self._order.__getitem__):
            self._presence.stop(player, "membership")
        self._rewire(self._graphs, at)
        for player in sorted(before - absent, key=self._order.__getitem__):
            if self._presence.wake(player, "membership"):
                self._go_on(player)

    def _rewire(self, graphs: GraphSequence, at: float) -> None:
        absent = graphs.absent_at(at)
        for seat in seats(present_game(self._game, graphs.at(at), absent), self._seed):
            self.players[seat.name].rewire(seat.self_weight, seat.neighbours, seat.listeners)
        for player in absent:
            self.players[player].rewire(1.0, {}, {})
