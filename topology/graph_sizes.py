"""How large a generated graph may be: arguments that would fill the memory are refused before anything is made."""

__all__ = ["require_size"]

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .errors import GeneratorError

_MOST = 1_000_000
"""Largest whole number that a generator of few edges a player takes."""
_MOST_OF_OTHERS = 10_000
_MOST_EDGES = 10_000_000
_Arguments: TypeAlias = Mapping[str, Any]

_SPARSE = frozenset(
    [
        "barabasi_albert_graph",
        "circulant_graph",
        "circular_ladder_graph",
        "configuration_model",
        "connected_watts_strogatz_graph",
        "cycle_graph",
        "directed_configuration_model",
        "directed_cycle",
        "dual_barabasi_albert_graph",
        "empty_graph",
        "expected_degree_graph",
        "fast_gnp_random_graph",
        "full_rary_tree",
        "gn_graph",
        "gnm_random_graph",
        "gnr_graph",
        "grid",
        "grid_2d_graph",
        "grid_graph",
        "havel_hakimi_graph",
        "hexagonal_lattice_graph",
        "ladder_graph",
        "newman_watts_strogatz_graph",
        "path",
        "path_graph",
        "powerlaw_cluster_graph",
        "random_degree_sequence_graph",
        "random_geometric_graph",
        "random_k_out_graph",
        "random_labeled_tree",
        "random_regular_graph",
        "regular",
        "ring",
        "scale_free",
        "scale_free_graph",
        "small_world",
        "star",
        "star_graph",
        "torus",
        "tree",
        "triangular_lattice_graph",
        "watts_strogatz_graph",
        "wheel_graph",
    ]
)
_STEEP = {
    "barbell_graph": 3_000,
    "binomial_tree": 18,
    "caveman_graph": 200,
    "complete": 3_000,
    "complete_bipartite_graph": 3_000,
    "complete_graph": 3_000,
    "connected_caveman_graph": 200,
    "dorogovtsev_goltsev_mendes_graph": 11,
    "hypercube_graph": 16,
    "general_random_intersection_graph": 1_000,
    "k_random_intersection_graph": 1_000,
    "kneser_graph": 12,
    "lollipop_graph": 3_000,
    "margulis_gabber_galil_graph": 700,
    "mycielski_graph": 12,
    "paley_graph": 3_000,
    "random_cograph": 10,
    "relaxed_caveman_graph": 200,
    "ring_of_cliques": 200,
    "sudoku_graph": 5,
    "turan_graph": 3_000,
    "uniform_random_intersection_graph": 1_000,
    "windmill_graph": 200,
}
"""Generators whose graphs grow faster than their arguments, with the largest number that they take."""
_TRIES = ("seed", "tries", "max_tries", "max_iters")
"""Arguments that are no sizes."""


def require_size(name: str, arguments: _Arguments) -> None:
    """Refuses arguments of a generator that ask for more than about 10⁷ edges.

    Each whole number is at most 1,000,000 for generators that are known to make few edges a player, at most 10,000 for
    others, and less for those whose graphs grow faster than their arguments; a list counts as many as it has items.
    Where the number of edges can be told from the arguments it is at most 10⁷.

    Raises:
        GeneratorError: it names the limit.

    >>> require_size("gnm_random_graph", {"n": 1000, "m": 20_000})
    >>> require_size("gnm_random_graph", {"n": 1000, "m": 20_000_000})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    GeneratorError: gnm_random_graph with n=1000, m=20000000 has about 2e+07 edges, expected at most 10,000,000
    """
    limit = _STEEP.get(name, _MOST if name in _SPARSE else _MOST_OF_OTHERS)
    for key, value in arguments.items():
        if key in _TRIES or (name, key) in _EDGE_COUNTS or not isinstance(value, int | list | tuple):
            continue
        if (abs(value) if isinstance(value, int) else len(value)) > limit and name not in _AS_WRITTEN:
            raise GeneratorError(f"{name} has {key}={value!r:.60}, expected at most {limit:,}; make a smaller graph")
    edges = _EDGES[name](arguments) if name in _EDGES else 0.0
    if edges > _MOST_EDGES:
        shown = ", ".join(f"{key}={value!r:.30}" for key, value in arguments.items())
        raise GeneratorError(
            f"{name} with {shown} has about {edges:.3g} edges, expected at most {_MOST_EDGES:,}; make a smaller "
            "graph, or take a generator of arrays"
        )


def _number(value: Any) -> float:
    """A number, at most 10¹²; the sum of a list or of the values of a dictionary; 0 for anything else."""
    if isinstance(value, list | tuple | dict):
        return min(sum(map(_number, value.values() if isinstance(value, dict) else value)), 1e12)
    return float(min(abs(value), 10**12)) if isinstance(value, int | float) and value == value else 0.0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else 0


def _product(*keys: str, factor: float = 1.0) -> Callable[[_Arguments], float]:
    """The rule of edges: a product of arguments; those that are left out have small defaults."""
    return lambda given: factor * math.prod(_number(given[key]) for key in keys if key in given)


def _total(*keys: str, factor: float = 1.0) -> Callable[[_Arguments], float]:
    """The rule of edges: a sum of degrees."""
    return lambda given: factor * sum(_number(given.get(key)) for key in keys)


def _pairs(players: str, *chances: str) -> Callable[[_Arguments], float]:
    """The rule of edges: the pairs of players, each an edge with the largest of some probabilities."""

    def edges(given: _Arguments) -> float:
        p = max((_largest(given.get(key)) for key in chances), default=1.0)
        return min(p, 1.0) * _number(given.get(players)) ** 2 / (1 if given.get("directed") else 2)

    return edges


def _largest(value: Any) -> float:
    return max(map(_largest, value), default=0.0) if isinstance(value, list | tuple) else _number(value)


def _power(base: str, exponent: str, factor: int = 1) -> Callable[[_Arguments], float]:
    def edges(given: _Arguments) -> float:
        low, high = max(_number(given.get(base)), 1.0), factor * _number(given.get(exponent, 2))
        return math.inf if high * math.log10(low) > 12 else low**high

    return edges


def _within_radius(given: _Arguments) -> float:
    """Of players in the unit cube those are neighbours that are within a radius of one another: at most its cube."""
    n, radius, dim = (_number(given.get(key, default)) for key, default in (("n", 0), ("radius", 1), ("dim", 2)))
    share = 1.0 if radius >= 0.5 else (2 * radius) ** dim
    return max(share * n**2 / 2, n * dim)


def _lattice(given: _Arguments) -> float:
    """The number of places of a lattice times its dimensions."""
    dim = given.get("dim")
    sides = dim if isinstance(dim, list | tuple) else [dim]
    return len(sides) * math.prod(float(len(s)) if isinstance(s, list | tuple) else _number(s) for s in sides)


def _blocks(given: _Arguments) -> float:
    """Communities of equal size."""
    players = _number(given.get("l")) * _number(given.get("k"))
    return _pairs("n", "p_in", "p_out")({**given, "n": players})


_EDGE_COUNTS = frozenset([("dense_gnm_random_graph", "m"), ("gnm_random_graph", "m"), ("hnm_harary_graph", "m")])
_AS_WRITTEN = frozenset(["edges", "prefix_tree", "prefix_tree_recursive"])
"""Graphs that are written out, as large as what is given."""
_EDGES: dict[str, Callable[[_Arguments], float]] = {
    "LCF_graph": lambda given: _number(given.get("repeats")) * _length(given.get("shift_list")),
    "LFR_benchmark_graph": lambda given: (
        _number(given.get("n")) * max(_number(given.get(key)) for key in ("average_degree", "min_degree")) / 2
    ),
    "balanced_tree": _power("r", "h"),
    "barabasi_albert_graph": _product("n", "m"),
    "binomial_graph": _pairs("n", "p"),
    "circulant_graph": lambda given: _number(given.get("n")) * _length(given.get("offsets")),
    "configuration_model": _total("deg_sequence", factor=0.5),
    "connected_watts_strogatz_graph": _product("n", "k", factor=0.5),
    "degree_sequence_tree": _total("deg_sequence", factor=0.5),
    "dense_gnm_random_graph": _product("m"),
    "directed_configuration_model": _total("in_degree_sequence"),
    "directed_havel_hakimi_graph": _total("in_deg_sequence"),
    "directed_joint_degree_graph": _total("in_degrees"),
    "dual_barabasi_albert_graph": lambda given: (
        _number(given.get("n")) * max(_number(given.get("m1")), _number(given.get("m2")))
    ),
    "erdos_renyi_graph": _pairs("n", "p"),
    "expected_degree_graph": _total("w", factor=0.5),
    "extended_barabasi_albert_graph": _product("n", "m"),
    "fast_gnp_random_graph": _pairs("n", "p"),
    "gaussian_random_partition_graph": _pairs("n", "p_in", "p_out"),
    "geographical_threshold_graph": lambda given: max(_pairs("n")(given), _product("n", "dim")(given)),
    "geometric_soft_configuration_graph": _product("n", "mean_degree", factor=0.5),
    "gnm_random_graph": _product("m"),
    "gnp_random_graph": _pairs("n", "p"),
    "grid": _product("m", "n", factor=2),
    "grid_2d_graph": _product("m", "n", factor=2),
    "grid_graph": _lattice,
    "havel_hakimi_graph": _total("deg_sequence", factor=0.5),
    "hexagonal_lattice_graph": _product("m", "n", factor=3),
    "hkn_harary_graph": _product("n", "k", factor=0.5),
    "hnm_harary_graph": _product("m"),
    "interval_graph": lambda given: _length(given.get("intervals")) ** 2 / 2,
    "joint_degree_graph": _total("joint_degrees", factor=0.5),
    "maybe_regular_expander": _product("n", "d", factor=0.5),
    "maybe_regular_expander_graph": _product("n", "d", factor=0.5),
    "navigable_small_world_graph": _power("n", "dim", factor=2),
    "newman_watts_strogatz_graph": _product("n", "k"),
    "partial_duplication_graph": lambda given: max(_pairs("N", "p", "q")(given), _pairs("n")(given)),
    "planted_partition_graph": _blocks,
    "powerlaw_cluster_graph": _product("n", "m"),
    "random_clustered_graph": _total("joint_degree_sequence"),
    "random_degree_sequence_graph": _total("sequence", factor=0.5),
    "random_geometric_graph": _within_radius,
    "random_k_out_graph": _product("n", "k"),
    "random_partition_graph": _pairs("sizes", "p_in", "p_out"),
    "random_regular_expander_graph": _product("n", "d", factor=0.5),
    "random_regular_graph": _product("n", "d", factor=0.5),
    "random_shell_graph": _total("constructor"),
    "random_unlabeled_rooted_forest": _product("n", "number_of_forests"),
    "random_unlabeled_rooted_tree": _product("n", "number_of_trees"),
    "random_unlabeled_tree": _product("n", "number_of_trees"),
    "regular": _product("n", "d", factor=0.5),
    "scale_free": _product("n", "m"),
    "small_world": _product("n", "k", factor=0.5),
    "soft_random_geometric_graph": _within_radius,
    "stochastic_block_model": _pairs("sizes", "p"),
    "thresholded_random_geometric_graph": _within_radius,
    "torus": _product("m", "n", factor=2),
    "triangular_lattice_graph": _product("m", "n", factor=3),
    "visibility_graph": lambda given: _length(given.get("series")) ** 2 / 2,
    "watts_strogatz_graph": _product("n", "k", factor=0.5),
    "waxman_graph": _pairs("n"),
}
"""About how many edges a graph of these generators has, at most."""
