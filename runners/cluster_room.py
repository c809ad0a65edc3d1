"""Whether a cluster has room for a game, before thousands of processes are started on it."""

__all__ = ["PLAYER_BYTES", "require_space"]

import math
import sys

import ray

from ..games import Game, PlayerSpec
from .deployment import Deployment
from .machine import available_memory, whole_cpus
from .start_estimate import StartEstimate, estimate_start, require_room

PLAYER_BYTES = 30_000
"""Memory of a player besides its rows, its letters and its process: model, mailbox, random streams. 20 kB were measured
of Gaussian players (`benchmarks/cluster.py memory`); networks come on top, and are not known before they are made."""


def require_space(game: Game, deployment: Deployment, kept: int = 0) -> StartEstimate:
    """What it takes to start the actors of a game, if there is room for it, or it is wanted all the same.

    Where Ray has not been started yet, memory and processors of this machine count; else those of the cluster.

    Arguments:
        game: the game.
        deployment: how it is laid out.
        kept: publications of each player that are kept, by its actor and by the laboratory.

    Raises:
        TooLargeError: there is no room.
    """
    cpus, memory = _room(deployment)
    processes = math.ceil(len(game.players) / deployment.players_per_actor)
    rows = sum(_row_bytes(game, player) * _rows(game, player, kept) for player in game.players)
    estimate = estimate_start(
        processes,
        len(game.players),
        bytes_per_player=PLAYER_BYTES + rows / len(game.players),
        neural="torch" in sys.modules and any(spec.model is not None for spec in game.specs.values()),
        cpus=cpus,
    )
    if not deployment.oversubscribe:
        require_room(estimate, memory, cpus)
    return estimate


def _room(deployment: Deployment) -> tuple[float, int]:
    if ray.is_initialized():
        found = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(found.get("CPU", 1.0), 1.0), int(found.get("memory", available_memory()))
    return float(deployment.workers or whole_cpus()), available_memory()


def _rows(game: Game, player: object, kept: int) -> int:
    """Rows that are held of a player: its own, the letters of its neighbours, each twice while one replaces another,
    and its publications, twice again."""
    spec: PlayerSpec = game.specs[player]
    letters = sum(game.specs[j].samples for j in game.graph.pred[player] if j != player) * spec.gossip.keep
    return spec.rows + 2 * letters + 2 * kept * spec.samples


def _row_bytes(game: Game, player: object) -> int:
    return sum(math.prod(v.shape) * v.dtype.itemsize for v in game.space(player))
