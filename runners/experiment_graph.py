"""The graph of an experiment, and its α."""

__all__ = ["bare_graph", "graph_with_alpha", "player_named"]

from collections.abc import Hashable, Mapping
from typing import Any

import networkx as nx

from ..topology import attach_alpha, generate_graph, read_graph
from .experiment import ExperimentError, require_unused
from .sections import AlphaSection, TopologySection


def bare_graph(section: TopologySection) -> Any:
    """The graph of an experiment, without α unless its file has some."""
    if section.file is not None:
        require_unused("topology.file", section, ("arguments", "seed"))
        return read_graph(section.file, directed=section.directed)
    require_unused("topology.generator", section, ("directed",))
    return generate_graph(section.generator or "", seed=section.seed, **section.arguments)


def graph_with_alpha(graph: Any, section: AlphaSection, sizes: Mapping[Hashable, int]) -> "nx.DiGraph[Any]":
    """The graph with the α of an experiment.

    Arguments:
        graph: the bare one.
        section: what the experiment says of α.
        sizes: private rows of each player, which the scheme `size` goes by.

    Raises:
        ExperimentError: a self-weight is missing, or given for nobody.
        ValueError: one of the errors of `topology`.
    """
    by_name = {str(player): player for player in graph}
    self_weight: Any = section.self_weight
    if isinstance(self_weight, dict):
        default = self_weight.get("default")
        named = {player_named(by_name, k, "alpha.self_weight"): v for k, v in self_weight.items() if k != "default"}
        self_weight = {player: named.get(player, default) for player in graph}
        lacking = [str(player) for player, weight in self_weight.items() if weight is None]
        if lacking:
            raise ExperimentError(f"alpha.self_weight lacks player {', '.join(lacking[:10])}; add them, or a `default`")
    explicit = None
    if section.edges is not None:
        explicit = {
            (player_named(by_name, sender, "alpha.edges"), player_named(by_name, listener, "alpha.edges")): alpha
            for sender, listener, alpha in section.edges
        }
    scheme = section.scheme or _scheme(graph, explicit)
    if scheme == "explicit":
        require_unused("alpha.scheme explicit", section, ("self_weight",))
    return attach_alpha(graph, self_weight, scheme, sizes=dict(sizes) if scheme == "size" else None, alpha=explicit)


def _scheme(graph: Any, explicit: Any) -> str:
    """The α that the file or the experiment gives, if it does; else uniform."""
    given = explicit is not None or any("alpha" in attributes for _, _, attributes in graph.edges(data=True))
    return "explicit" if given else "uniform"


def player_named(by_name: dict[str, Any], name: str, key: str) -> Any:
    """The player called `name` in an experiment file; `key` is where, for the error.

    Raises:
        ExperimentError: nobody is.
    """
    if name not in by_name:
        known = list(by_name)
        shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        raise ExperimentError(f"{key} names player {name!r}; the players are {shown}")
    return by_name[name]
