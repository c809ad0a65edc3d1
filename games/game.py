"""A game: who learns from whom, with which private data and which model."""

__all__ = ["Game"]

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import topology
from .cells import Tabulated
from .conduct import FreeRider, Poisoner
from .edges import shared_space
from .family import BoundaryError
from .privacy import PrivacyError
from .private_players import require_accounting, require_private
from .space import Space
from .specs import GameError, PlayerSpec

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Game:
    """A directed graph with α on its edges, and one specification per player.

    Arguments:
        graph: as `topology.attach_alpha` makes it; its order of nodes is the order of players everywhere.
        specs: node → specification.
        anchored: whether every player must be reached by real data; `False` admits games that drift and collapse.

    Raises:
        GameError: a node without specification or the reverse, an anchored player without data, data over other
            variables than the model's, an edge over which nothing travels or less than the listener needs (see
            `edges.shared_space`), a fan-out wider than the degree, or a conduct or defence that needs labels or rows
            which are not there.
        PrivacyError: a budget of privacy that cannot be kept; see `private_players`.
        BoundaryError: a player's private statistics lie on the boundary (named; the remedy is smoothing).
        GraphError: see `topology.validate`.
        SpaceError: one name stands for different variables at the two ends of an edge.
    """

    graph: "nx.DiGraph[Any]"
    specs: Mapping[Any, PlayerSpec]
    anchored: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        topology.validate(self.graph, anchored=self.anchored)
        if set(self.specs) != set(self.graph):
            odd = sorted(map(str, set(self.specs) ^ set(self.graph)))
            raise GameError(f"players and nodes of the graph differ: {', '.join(odd[:10])}")
        require_private(self.specs)
        for player, weight in zip(self.graph, topology.self_weights(self.graph), strict=True):
            self._check_data(player, float(weight))
            self._check_gossip(player)
            self._check_conduct(player)
        for sender, listener, attributes in self.graph.edges(data=True):
            if sender != listener and attributes["alpha"] > 0:
                self._check_defence(sender, listener)

    @property
    def players(self) -> list[Hashable]:
        """The players, in the order of every array."""
        return list(self.graph)

    def space(self, player: Hashable) -> Space:
        """The variables of a player."""
        return self._models[player][0]

    def edge_space(self, sender: Hashable, listener: Hashable) -> Space:
        """The variables that travel from one player to another: those of the listener that the sender publishes.

        Raises:
            GameError: see `edges.shared_space`.
            SpaceError: one name stands for different variables.
        """
        needed, completes, _ = self._models[listener]
        return shared_space(sender, self.space(sender), listener, needed, completes=completes)

    @property
    def tables(self) -> dict[Hashable, Tabulated]:
        """The models of the players that are joint tables, as made."""
        return {player: table for player, (_, _, table) in self._models.items() if table is not None}

    @cached_property
    def _models(self) -> dict[Hashable, tuple[Space, bool, Tabulated | None]]:
        """Of each player: variables, whether its model fills in what rows lack (`agents.HasCompletion`), its table."""
        return {player: _about_model(player, spec) for player, spec in self.specs.items()}

    def _check_data(self, player: Hashable, weight: float) -> None:
        spec = self.specs[player]
        if not spec.rows:
            if weight == 0:
                return
            raise GameError(
                f"player {player} listens to its own data with weight {weight:.3g} but has no rows; "
                "give it data or a self-weight of 0"
            )
        space, completes, _ = self._models[player]
        for there in _variables(spec):
            held = ", ".join(there.names)
            if not _is_part(there, space):
                raise GameError(
                    f"player {player} has data over {held}, but its model is over {', '.join(space.names)} (or their "
                    "kinds or shapes differ)"
                )
            if there != space and not completes:
                lacking = ", ".join(v.name for v in space if v.name not in there)
                raise GameError(
                    f"player {player} has data over {held}, but its model is over {', '.join(space.names)} and has no "
                    f"`complete`; give it a model with that ability, or rows with {lacking or 'its order of variables'}"
                )
        if spec.family is not None:
            try:
                spec.family.require_interior(spec.anchor())
            except BoundaryError as error:
                raise BoundaryError(f"player {player}: {error}") from None

    def _check_gossip(self, player: Hashable) -> None:
        gossip = self.specs[player].gossip
        if gossip.fan_out is None:
            return
        sides = {"listeners": (gossip.pushes, self.graph.succ), "neighbours": (gossip.pulls, self.graph.pred)}
        for name, (used, side) in sides.items():
            degree = sum(other != player for other in side[player])
            if used and gossip.fan_out > degree:
                raise GameError(
                    f"player {player} has {degree} {name}, fewer than its gossip fan-out of {gossip.fan_out}; "
                    "make the fan-out smaller, or None for all"
                )

    def _check_conduct(self, player: Hashable) -> None:
        conduct = self.specs[player].conduct
        if conduct is None:
            return
        space = self.space(player)
        labelled = any(v.kind == "categorical" and not v.shape for v in space)
        if isinstance(conduct, Poisoner) and conduct.how == "flip" and not labelled:
            raise GameError(
                f"player {player} is to flip labels, but {', '.join(space.names)} have no scalar categorical "
                "variable; let it shift or collapse"
            )
        if not (isinstance(conduct, FreeRider) and conduct.how == "copy"):
            return
        heard = [j for j in self.graph.pred[player] if j != player and self.graph.edges[j, player]["alpha"] > 0]
        if not any(_is_part(space, self.edge_space(j, player)) for j in heard):
            raise GameError(
                f"player {player} is to copy what it hears, but no neighbour sends it all of "
                f"{', '.join(space.names)}; let it be constant, or give it such a neighbour"
            )

    def _check_defence(self, sender: Hashable, listener: Hashable) -> None:
        space, spec = self.edge_space(sender, listener), self.specs[listener]
        if spec.defence is None or not spec.defence.compares:
            return
        if not spec.rows:
            raise GameError(
                f"player {listener} compares what it hears with its own rows, but has none; give it rows, or leave "
                "`screen` and `trust` out of its defence"
            )
        if not any(name in own for own in _variables(spec) for name in space.names):
            raise GameError(
                f"player {listener} compares what it hears with its own rows, but what player {sender} sends "
                f"({', '.join(space.names)}) is not among them; leave `screen` and `trust` out of its defence"
            )


def _about_model(player: Hashable, spec: PlayerSpec) -> tuple[Space, bool, Tabulated | None]:
    if spec.model is not None:
        try:
            model = spec.model()
        except PrivacyError as error:
            raise PrivacyError(f"player {player}: {error}") from None
        if spec.private is not None:
            require_accounting(player, model, spec.private)
        return model.space, callable(getattr(model, "complete", None)), model if isinstance(model, Tabulated) else None
    assert spec.family is not None  # PlayerSpec has one of the two
    return spec.family.space, False, None


def _variables(spec: PlayerSpec) -> list[Space]:
    """What a player's rows hold: those of each part, and those held out."""
    if spec.summary is not None:
        return list(spec.summary.variables)
    return [rows.space for rows in (*spec.parts, *([spec.holdout] if spec.holdout is not None else []))]


def _is_part(part: Space, whole: Space) -> bool:
    """Whether every variable of `part` is one of `whole`."""
    return all(v.name in whole and whole[v.name] == v for v in part)
