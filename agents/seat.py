"""A seat: everything that one player of a game is made of, to be built wherever the player shall run."""

__all__ = ["Seat", "seats"]

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from .. import topology
from ..games import Game, GameError, PlayerSpec, Space
from .conduct import way_of
from .exponential import ExponentialFamilyModel
from .player import Neighbour, Player
from .protocols import GenerativeModel

Reader: TypeAlias = Callable[[], PlayerSpec]


@dataclass(frozen=True, eq=False)
class Seat:
    """What `build` makes a player from.

    Arguments:
        name: the player, a node of the graph.
        index: its position in the graph's order.
        seed: seed of the run.
        spec: what the player brings; with a `source` without its rows.
        self_weight: α_ii.
        neighbours: players listened to, in the graph's order.
        listeners: players that listen → variables that travel to them.
        source: reads what the player brings, rows and all, in the process where the player is built; it travels with
            the seat, so it is a function that can be pickled. None where `spec` holds the rows.
    """

    name: Hashable
    index: int
    seed: int
    spec: PlayerSpec
    self_weight: float
    neighbours: Mapping[Hashable, Neighbour]
    listeners: Mapping[Hashable, Space]
    source: Reader | None = None

    def build(self) -> Player:
        """The player, with a model of its own; one with privacy releases its statistics here.

        Raises:
            GameError: the rows are not here, or those that the source reads are not those of the summary.
        """
        spec = self._whole()
        model = _model(spec)
        guard = None
        if spec.defence is not None:
            from .defence import Guard  # not at import: a player without a defence does not pay for it

            guard = Guard(spec.defence, spec.parts, self.neighbours, seed=self.seed, index=self.index)
        knows = spec.start == "reference" or (spec.model is None and spec.initial_mean() is not None)
        return Player(
            self.name,
            model,
            data=spec.parts,
            holdout=spec.holdout,
            self_weight=self.self_weight,
            neighbours=self.neighbours,
            listeners=self.listeners,
            samples=spec.samples,
            seed=self.seed,
            index=self.index,
            start="reference" if knows else "data",
            gossip=spec.gossip,
            clone=partial(_model, spec),
            way=None if spec.conduct is None else way_of(spec.conduct, model.space),
            guard=guard,
        )

    def _whole(self) -> PlayerSpec:
        """What the player brings, with its rows."""
        spec = self.spec if self.source is None else self.source()
        if spec.summary is not None:
            raise GameError(
                f"player {self.name} has a summary of its rows and no rows, expected rows where it is built; give its "
                "seat a source that reads them"
            )
        if spec.rows != self.spec.rows:
            raise GameError(
                f"the source of player {self.name} read {spec.rows} rows, expected the {self.spec.rows} that the game "
                "was made for; start anew, or give back the data that were there"
            )
        return spec


def _model(spec: PlayerSpec) -> GenerativeModel:
    if spec.model is not None:
        model: GenerativeModel = spec.model()
        return model
    assert spec.family is not None  # PlayerSpec has one of the two
    return ExponentialFamilyModel(
        spec.family,
        smoothing=spec.smoothing,
        step=spec.step,
        mean=spec.initial_mean(),
        own=None if spec.private is None else spec.anchor(),
        privacy=spec.private,
    )


def seats(game: Game, seed: int, source: Callable[[Hashable], Reader] | None = None) -> list[Seat]:
    """The seats of a game, in the order of players.

    Arguments:
        game: the game.
        seed: seed of the run; random streams are spawned from it by (player, purpose).
        source: player → the `source` of its seat, none of which then holds rows; None where the game has the rows.
    """
    graph = game.graph
    position = {player: index for index, player in enumerate(graph)}
    made = []
    known: dict[Space, Space] = {}

    def travels(sender: Hashable, listener: Hashable) -> Space:
        """The variables on an edge, one object for all that are equal, so that one message serves all listeners."""
        space = game.edge_space(sender, listener)
        return known.setdefault(space, space)

    for index, (player, weight) in enumerate(zip(graph, topology.self_weights(graph), strict=True)):
        neighbours = {
            sender: Neighbour(float(graph.edges[sender, player]["alpha"]), travels(sender, player))
            for sender in sorted(graph.pred[player], key=position.__getitem__)
            if sender != player and graph.edges[sender, player]["alpha"] > 0
        }
        listeners = {
            listener: travels(player, listener)
            for listener in sorted(graph.succ[player], key=position.__getitem__)
            if listener != player and graph.edges[player, listener]["alpha"] > 0
        }
        spec, reads = game.specs[player], None if source is None else source(player)
        if reads is not None:
            from ..games import without_rows  # not at import: a process that only builds players does not pay for it

            spec = without_rows(spec)
        made.append(Seat(player, index, seed, spec, float(weight), neighbours, listeners, reads))
    return made
