"""Plays a game on an engine and returns the outcome: a thin consumer of the engine's observations."""

__all__ = ["ENGINES", "play"]

from collections.abc import Callable
from typing import Any

from ..games import Game
from ..games.prediction import Schedule
from ..topology import require_name
from .monitor import Monitor, Record
from .observation import Engine
from .outcome import Outcome, conclude

ENGINES = ("ray", "rounds")
"""The names that `play` knows as `runner`."""


def play(
    game: Game,
    runner: str = "rounds",
    *,
    seed: int = 0,
    moves: int = 200,
    measure: int = 0,
    keep_states: bool = False,
    on_record: Callable[[Record], None] | None = None,
    **options: Any,
) -> Outcome:
    """Plays a game to the end.

    Arguments:
        game: the game.
        runner: `rounds` (synchronous, in this process) or `ray` (one Ray actor per player).
        seed: of all random streams.
        moves: rounds, or moves per player on average.
        measure: rows that each player generates for measurement before and after.
        keep_states: whether the outcome holds the players' states.
        on_record: called with each record as it comes.
        options: what the engine takes; see `rounds` and `cluster`.

    Returns:
        The outcome. Not converging is one, not an exception.

    Raises:
        UnknownNameError: no engine has this name.
        ModelError: a model failed.
        ValueError: moves below 1.

    >>> from nashgossip.games import Gaussian, PlayerSpec
    >>> from nashgossip.topology import attach_alpha, generate_graph
    >>> import numpy as np
    >>> family, G = Gaussian((2,)), attach_alpha(generate_graph("ring", n=4), 0.5)
    >>> data = {i: family.sample(np.full(2, float(i)), 50, np.random.default_rng(i)) for i in G}
    >>> game = Game(G, {i: PlayerSpec(family=family, data=data[i]) for i in G})
    >>> play(game, seed=1, moves=100).outcome
    'converged'
    """
    if moves < 1:
        raise ValueError(f"moves is {moves}, expected at least 1")
    engine, schedule = _engine(require_name("runner", runner, ENGINES), options)
    monitor = Monitor(game, schedule)
    first = last = None
    for last in engine(game, seed=seed, moves=moves, measure=measure, keep_states=keep_states, **options):
        first = first or last
        record = monitor.read(last)
        if on_record is not None:
            on_record(record)
    if first is None or last is None:
        raise RuntimeError(f"the engine {runner!r} ended without an observation")
    return conclude(runner, seed, game, monitor, first, last)


def _engine(runner: str, options: dict[str, Any]) -> tuple[Engine, Schedule]:
    """The engine, and the schedule whose prediction holds for it; Ray is imported only by those who use it."""
    if runner == "rounds":
        from .rounds import rounds

        return rounds, "synchronous"
    from .cluster import cluster

    mode = require_name("mode", options.get("mode", "asynchronous"), ("asynchronous", "synchronous"))
    if mode == "synchronous":
        return cluster, "synchronous"
    return cluster, "poisson" if options.get("rate", 20.0) is not None else "unknown"
