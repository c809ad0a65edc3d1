"""Large random graphs as sparse matrices, made in seconds by whole arrays, and synthetic games on them."""

__all__ = ["ARRAY_GRAPHS", "array_graph", "synthetic_fleet"]

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse as sp

from ..topology import GeneratorError, require_name
from .family import Array, ExponentialFamily
from .fleet_blocks import BLOCK
from .fleet_game import FleetGame
from .specs import GameError
from .synthetic import synthetic_anchor

_ROWS = 4
_TRIES = 1000


def array_graph(name: str, rng: np.random.Generator, **arguments: Any) -> Any:
    """P, `[N, N]`: who listens to whom with which share, rows that sum to 1, as a `csr_array` of float32.

    Arguments:
        name: `array_k_out` (n, k): each player listens to k others at random; `array_regular` (n, d): d/2 random
            cycles through all players, undirected, so that each has d neighbours; `array_small_world` (n, k, p): each
            listens to its k nearest on a ring, where every edge is led to a random player instead with probability p.
        rng: random stream.
        arguments: of the graph, as above.

    Raises:
        UnknownNameError: no such name.
        GeneratorError: arguments from which no graph can be made.

    Source: Kim & Wormald, *Random matchings which induce Hamilton cycles*, 2001, for the regular graph (contiguous to
    the uniform one); Watts & Strogatz, *Collective dynamics of small-world networks*, 1998.

    >>> array_graph("array_k_out", np.random.default_rng(0), n=50, k=3).nnz
    150
    """
    make = _GRAPHS[require_name("generator", name, ARRAY_GRAPHS)]
    try:
        return make(rng, **arguments)
    except TypeError:
        raise GeneratorError(f"{name} refuses {arguments}; it takes {_TAKES[name]}") from None


def synthetic_fleet(
    family: ExponentialFamily,
    shares: Any,
    rng: np.random.Generator,
    *,
    self_weight: float = 0.3,
    samples: int = 100,
    rows: int = 200,
    spread: float = 1.0,
    smoothing: float = 0.0,
    step_size: float = 1.0,
    horizon: float | None = None,
    start: Literal["data", "reference", "common"] = "reference",
) -> FleetGame:
    """A game in which every player has `rows` private rows of a random member of the family of its own.

    The rows are not made: their mean statistics are drawn from their exact law. Members are those of
    `synthetic_anchor`.

    Arguments:
        family: the family.
        shares: P, `[N, N]`, rows that sum to 1; W = (1 − a) P.
        rng: random stream.
        self_weight: a = α_ii of all players.
        samples: rows of a message.
        rows: private rows of a player.
        spread: how much members differ.
        smoothing: pseudo-count of the conjugate prior.
        step_size: η.
        horizon: of a decreasing step; None for a constant one.
        start: from the own data, from the reference member, or all from one random member in `common`, which is far
            from the equilibrium in the same direction for all, so that the speed can be measured.

    Raises:
        GameError: a self-weight outside (0, 1], or an unknown start.
        BoundaryError: without smoothing, private rows may lie on the boundary.
    """
    if not 0 < self_weight <= 1:
        raise GameError(f"self_weight is {self_weight}, expected above 0 and at most 1")
    if start not in ("data", "reference", "common"):
        raise GameError(f"start is {start!r}, expected 'data', 'reference' or 'common'")
    n = shares.shape[0]
    listening = sp.csr_array((shares.data * np.float32(1 - self_weight), shares.indices, shares.indptr), shape=(n, n))
    common = synthetic_anchor(family, rng, spread=spread)
    anchors = _anchors(family, n, rng, rows, spread, smoothing)
    first = {"data": anchors, "reference": family.reference, "common": common}[start]
    return FleetGame(
        family,
        listening,
        np.full(n, float(self_weight)),
        anchors,
        np.broadcast_to(first, anchors.shape),
        samples=samples,
        step_sizes=step_size,
        horizons=np.inf if horizon is None else horizon,
    )


def _anchors(
    family: ExponentialFamily, n: int, rng: np.random.Generator, rows: int, spread: float, smoothing: float
) -> Array:
    anchors = np.empty((n, family.size))
    for low in range(0, n, BLOCK):
        part = anchors[low : low + BLOCK]
        drawn = family.sample_mean(np.broadcast_to(family.reference, part.shape), _ROWS, rng)
        members = family.smooth(drawn, _ROWS, _ROWS / spread)
        part[...] = family.smooth(family.sample_mean(members, rows, rng), rows, smoothing)
    return anchors


def _k_out(rng: np.random.Generator, n: int, k: int) -> Any:
    _require(1 <= k < n, f"k is {k} of n = {n} players, expected at least 1 and below n")
    return _uniform(_distinct(rng, _others(rng, n, (n, k)), n))


def _small_world(rng: np.random.Generator, n: int, k: int, p: float = 0.1) -> Any:
    _require(2 <= k < n and k % 2 == 0, f"k is {k} of n = {n} players, expected an even number from 2 to below n")
    _require(0 <= p <= 1, f"p is {p}, expected a probability in [0, 1]")
    steps = np.concatenate([np.arange(-k // 2, 0), np.arange(1, k // 2 + 1)])
    heard = (np.arange(n)[:, None] + steps) % n
    moved = rng.random(heard.shape) < p
    heard[moved] = _others(rng, n, (n, k))[moved]
    return _uniform(_distinct(rng, heard, n))


def _regular(rng: np.random.Generator, n: int, d: int) -> Any:
    _require(2 <= d < n and d % 2 == 0, f"d is {d} of n = {n} players, expected an even number from 2 to below n")
    rows, columns = [], []
    for _ in range(d // 2):
        cycle = rng.permutation(n).astype(np.int32)
        after = np.roll(cycle, -1)
        rows += [cycle, after]
        columns += [after, cycle]
    weights = np.full(n * d, 1 / d, np.float32)
    made = sp.coo_array((weights, (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)).tocsr()
    made.sort_indices()
    return made


def _others(rng: np.random.Generator, n: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Players at random, none of them the row's own."""
    drawn = rng.integers(0, n - 1, size=shape)
    return drawn + (drawn >= np.arange(n)[:, None])


def _distinct(rng: np.random.Generator, heard: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Rows sorted; an entry that is there twice is drawn again until none is."""
    heard.sort(axis=1)
    for _ in range(_TRIES):
        twice = np.zeros(heard.shape, bool)
        twice[:, 1:] = heard[:, 1:] == heard[:, :-1]
        rows = np.flatnonzero(twice.any(axis=1))
        if not len(rows):
            return heard
        again = rng.integers(0, n - 1, size=(len(rows), heard.shape[1]))
        again += again >= rows[:, None]
        heard[rows] = np.sort(np.where(twice[rows], again, heard[rows]), axis=1)
    raise GeneratorError(f"no graph of n = {n} players who each listen to {heard.shape[1]} different ones was found")


def _uniform(heard: NDArray[np.int64]) -> Any:
    n, k = heard.shape
    index = np.int32 if n * k < 2**31 else np.int64
    pointers = np.arange(0, n * k + 1, k, dtype=index)
    weights = np.full(n * k, 1 / k, np.float32)
    return sp.csr_array((weights, heard.reshape(-1).astype(index), pointers), shape=(n, n))


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise GeneratorError(text)


_GRAPHS: Mapping[str, Callable[..., Any]] = {
    "array_k_out": _k_out,
    "array_regular": _regular,
    "array_small_world": _small_world,
}
_TAKES = {"array_k_out": "n, k", "array_regular": "n, d", "array_small_world": "n, k, p=0.1"}
ARRAY_GRAPHS: tuple[str, ...] = tuple(_GRAPHS)
"""The names that `array_graph` takes."""
