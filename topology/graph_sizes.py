"""How large a generated graph may be: arguments that would fill the memory are refused before anything is made."""

__all__ = ["require_size"]

import math
from collections.abc import Mapping
from typing import Any

from .errors import GeneratorError

_MOST = 1_000_000
"""Largest whole number that a generator of few edges a player takes."""
_MOST_OF_OTHERS = 10_000
_MOST_EDGES = 10_000_000
_SPARSE = frozenset(
    [
        "barabasi_albert_graph",
        "circular_ladder_graph",
        "connected_watts_strogatz_graph",
        "cycle_graph",
        "directed_cycle",
        "empty_graph",
        "fast_gnp_random_graph",
        "full_rary_tree",
        "gn_graph",
        "gnm_random_graph",
        "gnr_graph",
        "grid",
        "grid_2d_graph",
        "hexagonal_lattice_graph",
        "ladder_graph",
        "newman_watts_strogatz_graph",
        "path",
        "path_graph",
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
    "k_random_intersection_graph": 1_000,
    "kneser_graph": 12,
    "lollipop_graph": 3_000,
    "margulis_gabber_galil_graph": 700,
    "mycielski_graph": 12,
    "navigable_small_world_graph": 40,
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
_OURS = ("seed", "tries", "max_iters")


def require_size(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuses arguments of a generator that ask for more than about 10⁷ edges.

    Whole numbers are at most 1,000,000 for generators that are known to make few edges a player, at most 10,000 for
    others, and less for those whose graphs grow faster than their arguments; their product is at most 10⁷. Of lists the
    sum counts, of `grid_graph` the product. A random graph with probability `p` has at most 10⁷ expected edges.

    Raises:
        GeneratorError: it names the limit.
    """
    limit = _STEEP.get(name, _MOST if name in _SPARSE else _MOST_OF_OTHERS)
    counts = []
    for key, value in arguments.items():
        size = None if key in _OURS else _size(name, value)
        if size is not None and size > limit:
            raise GeneratorError(f"{name} has {key}={value!r:.60}, expected at most {limit:,}; make a smaller graph")
        counts.append(size or 1)
    players, p = _size(name, arguments.get("n")), arguments.get("p")
    product = math.prod(counts)
    if name == "balanced_tree" and len(counts) > 1:
        product = _capped_power(arguments.get("r"), arguments.get("h"))
    elif name not in _SPARSE - {"fast_gnp_random_graph"} and players and isinstance(p, float) and 0 < p <= 1:
        product = max(product, math.ceil(p * players**2 / 2))
    if product > _MOST_EDGES:
        shown = ", ".join(f"{key}={value!r:.30}" for key, value in arguments.items())
        raise GeneratorError(
            f"{name} with {shown} has about {product:.3g} edges, expected at most {_MOST_EDGES:,}; make a smaller "
            "graph, or take a generator of arrays"
        )


def _size(name: str, value: Any) -> int | None:
    """What a whole number, or a list of them, counts for; None for anything else."""
    if isinstance(value, int):
        return abs(int(value))
    if isinstance(value, list | tuple) and value and all(isinstance(one, int) for one in value):
        return int(math.prod(map(abs, value)) if name == "grid_graph" else sum(map(abs, value)))
    return None


def _capped_power(base: Any, exponent: Any) -> int:
    if not (isinstance(base, int) and isinstance(exponent, int)) or base < 2 or exponent < 0:
        return 1
    return int(base ** min(exponent, 64)) if base < 100 or exponent < 5 else _MOST_EDGES + 1
