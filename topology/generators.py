"""Graphs by name: every generator of networkx, and short names for the shapes that topology studies use."""

__all__ = ["generate_graph", "generator_names"]

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from random import SystemRandom
from typing import Any

import networkx as nx

from .arrays import AnyGraph
from .errors import GeneratorError
from .graph_sizes import require_size
from .names import require_name

_OURS = frozenset({"backend", "seed"})


def generate_graph(name: str, *, seed: int | None = None, **arguments: Any) -> AnyGraph:
    """The graph that a generator of networkx makes: `generate_graph("star_graph", n=5)`.

    Any public function of `networkx.generators` that makes a graph from numbers, by its own name and with its
    own arguments, or one of the short names `ring, path, star, complete, tree, grid, torus` (always the same
    graph), `small_world, scale_free, regular` (random) and `directed_cycle`, in which `n` is always the
    number of players; `edges` takes pairs of players, by name. Parallel edges are collapsed and self-loops
    dropped, for a self-loop here is the weight of a player's own data. Players that networkx names by neither
    numbers nor text (lattices) are renamed 0, 1, …, in its order. `create_using` may be given as "Graph" or
    "DiGraph".

    Arguments:
        name: a name of `generator_names()`.
        seed: passed on to a generator that takes one, ignored by the others; `None` draws one from the
            system.
        arguments: of the generator.

    Returns:
        An undirected or directed graph without `alpha`; see `attach_alpha`.

    Raises:
        UnknownNameError: no generator has this name.
        GeneratorError: arguments that the generator does not take, from which it makes no graph, or one of more than
            about 10⁷ edges.

    >>> len(generate_graph("small_world", n=30, k=4, p=0.1, seed=1))
    30
    >>> list(generate_graph("edges", edges=[["en", "fr"], ["fr", "es"]]))
    ['en', 'fr', 'es']
    >>> generate_graph("watts_strogatz", n=30)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownNameError: unknown generator 'watts_strogatz'; did you mean 'watts_strogatz_graph'?
    """
    generators = _generators()
    make = generators[require_name("generator", name, generators)]
    taken = _parameters(make)
    if name == "edges":
        _require_pairs(arguments)
    elif name in _SHAPES:
        _require_sizes(name, arguments)
    if isinstance(arguments.get("create_using"), str):
        arguments["create_using"] = _graph_class(arguments["create_using"])
    _require_fit(name, taken, arguments)
    require_size(name, arguments)
    if "seed" in taken:
        arguments["seed"] = SystemRandom().getrandbits(32) if seed is None else int(seed)
    try:
        made = make(**arguments)
    except (
        nx.NetworkXException,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as reason:
        raise GeneratorError(f"{name} refuses {_show(arguments)}: {reason}; it takes {_signature(taken)}") from reason
    return _plain(name, made)


def generator_names() -> list[str]:
    """The names that `generate_graph` knows, sorted.

    >>> {"ring", "barabasi_albert_graph"} <= set(generator_names())
    True
    """
    return sorted(_generators())


def _plain(name: str, made: object) -> AnyGraph:
    if not isinstance(made, nx.Graph) or not len(made):
        what = "an empty graph" if isinstance(made, nx.Graph) else type(made).__name__
        raise GeneratorError(f"{name} made {what}, expected a graph of at least one player; change its arguments")
    G: AnyGraph = nx.DiGraph(made) if made.is_directed() else nx.Graph(made)
    G.remove_edges_from(list(nx.selfloop_edges(G)))
    if not all(isinstance(player, int | str) for player in G):
        return nx.relabel_nodes(G, {player: k for k, player in enumerate(G)})
    return G


def _require_fit(name: str, taken: Mapping[str, inspect.Parameter], arguments: Mapping[str, Any]) -> None:
    unknown = [argument for argument in arguments if argument not in taken]
    needed = {key for key, p in taken.items() if p.default is p.empty and key != "seed"}
    missing = sorted(needed - arguments.keys())
    if unknown or missing:
        wrong = [f"got {', '.join(unknown)}"] * bool(unknown) + [f"lacks {', '.join(missing)}"] * bool(missing)
        raise GeneratorError(f"{name} {' and '.join(wrong)}, expected {_signature(taken)}; change its arguments")


def _require_sizes(name: str, arguments: Mapping[str, Any]) -> None:
    """Our own shapes take counts; networkx would take a text for a list of players."""
    for key, value in arguments.items():
        if key != "p" and (not isinstance(value, int) or value < 1):
            raise GeneratorError(f"{name} has {key}={value!r}, expected a whole number of at least 1")


def _require_pairs(arguments: Mapping[str, Any]) -> None:
    """A text of two letters would pass for a pair of players."""
    pairs = arguments.get("edges", [])
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise GeneratorError(f"edges are {pairs!r:.80}, expected pairs of players, such as [[a, b], [b, c]]")


def _parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {
        key: p
        for key, p in inspect.signature(make).parameters.items()
        if key != "backend" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }


def _signature(taken: Mapping[str, inspect.Parameter]) -> str:
    words = (key if p.default is p.empty else f"{key}={p.default!r}" for key, p in taken.items() if key not in _OURS)
    return ", ".join(words) or "no arguments"


def _show(arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key}={value!r:.60}" for key, value in arguments.items() if key not in _OURS)
    return shown or "to run"


def _graph_class(name: str) -> type[AnyGraph]:
    classes: dict[str, type[AnyGraph]] = {"Graph": nx.Graph, "DiGraph": nx.DiGraph}
    if name not in classes:
        raise GeneratorError(f"create_using is {name!r}, expected 'Graph' or 'DiGraph'")
    return classes[name]


@cache
def _generators() -> dict[str, Callable[..., Any]]:
    """Public functions of networkx.generators that make a graph and are not handed one."""
    found: dict[str, Callable[..., Any]] = {}
    for name in dir(nx):
        make = getattr(nx, name)
        if not inspect.isroutine(make) and not hasattr(make, "orig_func"):
            continue
        if not str(getattr(make, "__module__", "")).startswith("networkx.generators."):
            continue
        if name.startswith(("is_", "number_of", "_")) or "G" in inspect.signature(make).parameters:
            continue
        found[name] = make
    return found | _SHAPES


_SHAPES: dict[str, Callable[..., Any]] = {
    "ring": lambda n: nx.cycle_graph(n),
    "directed_cycle": lambda n: nx.cycle_graph(n, create_using=nx.DiGraph),
    "path": lambda n: nx.path_graph(n),
    "star": lambda n: nx.star_graph(n - 1),
    "complete": lambda n: nx.complete_graph(n),
    "tree": lambda n, r=2: nx.full_rary_tree(r, n),
    "grid": lambda m, n: nx.grid_2d_graph(m, n),
    "torus": lambda m, n: nx.grid_2d_graph(m, n, periodic=True),
    "small_world": lambda n, k=4, p=0.1, seed=None: nx.connected_watts_strogatz_graph(n, k, p, seed=seed),
    "scale_free": lambda n, m=2, seed=None: nx.barabasi_albert_graph(n, m, seed=seed),
    "edges": lambda edges: nx.Graph([tuple(pair) for pair in edges]),
    "regular": lambda n, d=4, seed=None: nx.random_regular_graph(d, n, seed=seed),
}
