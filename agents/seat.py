"""A seat: everything that one player of a game is made of, to be built wherever the player shall run."""

__all__ = ["Seat", "seats"]

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from .. import topology
from ..games import Game, PlayerSpec, Space
from .exponential import ExponentialFamilyModel
from .player import Neighbour, Player
from .protocols import GenerativeModel


@dataclass(frozen=True, eq=False)
class Seat:
    """What `build` makes a player from.

    Arguments:
        name: the player, a node of the graph.
        index: its position in the graph's order.
        seed: seed of the run.
        spec: what the player brings.
        self_weight: α_ii.
        neighbours: players listened to, in the graph's order.
        listeners: players that listen → variables that travel to them.
    """

    name: Hashable
    index: int
    seed: int
    spec: PlayerSpec
    self_weight: float
    neighbours: Mapping[Hashable, Neighbour]
    listeners: Mapping[Hashable, Space]

    def build(self) -> Player:
        """The player, with a model of its own."""
        knows = self.spec.start == "reference" or (self.spec.model is None and self.spec.initial_mean() is not None)
        return Player(
            self.name,
            self._model(),
            data=self.spec.parts,
            holdout=self.spec.holdout,
            self_weight=self.self_weight,
            neighbours=self.neighbours,
            listeners=self.listeners,
            samples=self.spec.samples,
            seed=self.seed,
            index=self.index,
            start="reference" if knows else "data",
            gossip=self.spec.gossip,
            clone=self._model,
        )

    def _model(self) -> GenerativeModel:
        if self.spec.model is not None:
            model: GenerativeModel = self.spec.model()
            return model
        assert self.spec.family is not None  # PlayerSpec has one of the two
        return ExponentialFamilyModel(
            self.spec.family,
            smoothing=self.spec.smoothing,
            step=self.spec.step,
            mean=self.spec.initial_mean(),
        )


def seats(game: Game, seed: int) -> list[Seat]:
    """The seats of a game, in the order of players.

    Arguments:
        game: the game.
        seed: seed of the run; random streams are spawned from it by (player, purpose).
    """
    graph = game.graph
    position = {player: index for index, player in enumerate(graph)}
    made = []
    known: dict[Space, Space] = {}

    def travels(sender: Hashable, listener: Hashable) -> Space:
        """The variables on an edge, one object for all edges that have the same, so that one message serves them all."""
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
        made.append(Seat(player, index, seed, game.specs[player], float(weight), neighbours, listeners))
    return made
