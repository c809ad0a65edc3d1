"""Plays a game on an engine and returns the outcome: a thin consumer of the engine's observations."""

__all__ = ["ENGINES", "play"]

from collections.abc import Callable, Iterable
from typing import Any

from ..games import FleetGame, FleetSchedule, Game
from ..games.schedule import Schedule
from ..topology import require_name
from .examination import Examiner, Look
from .foresight import played_schedule, stages_of
from .looks import Looks
from .monitor import Monitor
from .network import Network
from .observation import Engine, Observation
from .outcome import Outcome, conclude
from .record import Record
from .stages import Change

ENGINES = ("fleet", "ray", "rounds", "virtual")
"""The names that `play` knows as `runner`."""


def play(
    game: Game | FleetGame,
    runner: str = "rounds",
    *,
    seed: int = 0,
    moves: int = 200,
    measure: int = 0,
    looks: Looks | None = None,
    examiner: Examiner | None = None,
    keep_states: bool = False,
    on_record: Callable[[Record], None] | None = None,
    history: Iterable[Record] = (),
    on_look: Callable[[Look], None] | None = None,
    looked: Iterable[Look] = (),
    on_change: Callable[[Change], None] | None = None,
    on_samples: Callable[[Observation], None] | None = None,
    **options: Any,
) -> Outcome:
    """Plays a game to the end.

    Arguments:
        game: the game.
        runner: `rounds` (synchronous, in this process), `virtual` (asynchronous, in virtual time), `ray` (one Ray actor
            per player) or `fleet` (arrays instead of players, for exponential families).
        seed: of all random streams.
        moves: rounds, or moves per player on average.
        measure: rows that each player generates for measurement before and after: short for `looks=Looks(measure)`.
        looks: when players are looked at closely, and what they are asked.
        examiner: holds what players generate against real rows; by default their own labels tell their classes.
        keep_states: whether the outcome holds the players' states.
        on_record: called with each record as it comes.
        history: records of the same run before it was interrupted, for an engine that resumes.
        on_look: called with each close look as it comes.
        looked: close looks of the same run before it was interrupted.
        on_change: called as players come or go, before the first record after that; without what is measured later.
        on_samples: called with each observation that holds rows which players generated for measurement.
        options: what the engine takes; see `rounds`, `virtual`, `cluster` and `fleet`.

    Returns:
        The outcome. Not converging is one, not an exception.

    Raises:
        UnknownNameError: no engine has this name.
        NoShortcutError: `fleet` cannot play the game.
        ModelError: a model failed.
        ValueError: moves below 1, or players who come or go after the end.

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
    engine, schedule = _engine(require_name("runner", runner, ENGINES), game, options)
    graphs, network = options.get("graphs"), options.get("network") or Network()
    if isinstance(game, Game):
        examiner = examiner or Examiner(game)
    stages = None if isinstance(game, FleetGame) else stages_of(runner, game, options)
    if stages is not None and stages.starts[-1] >= moves:
        raise ValueError(
            f"players come or go at time {stages.starts[-1]:g}, expected before the end of the run at {moves}; "
            "play longer, or leave it out"
        )
    unit = network.compute.average
    monitor = Monitor(game, schedule, graphs=graphs, unit=unit, examiner=examiner, stages=stages)
    looks = looks or Looks(measure)
    for record in history:
        monitor.remember(record)
    monitor.looks.extend(looked)
    first = last = None
    for last in engine(game, seed=seed, moves=moves, looks=looks, keep_states=keep_states, **options):
        first = first or last
        stage = monitor.stage
        record = monitor.read(last)
        if stages is not None and on_change is not None:
            for number in range(stage + 1, monitor.stage + 1):
                on_change(stages.change(number))
        if on_record is not None:
            on_record(record)
        if on_look is not None and last.close and monitor.looks:
            on_look(monitor.looks[-1])
        if on_samples is not None and last.samples:
            on_samples(last)
    if first is None or last is None:
        raise RuntimeError(f"the engine {runner!r} ended without an observation")
    return conclude(runner, seed, game, monitor, first, last, examiner)


def _engine(runner: str, game: Game | FleetGame, options: dict[str, Any]) -> tuple[Engine, Schedule | FleetSchedule]:
    """The engine, and the schedule whose prediction holds for it; Ray is imported only by those who use it."""
    if isinstance(game, FleetGame) and runner != "fleet":
        raise ValueError(
            f"runner {runner!r} needs one object for each player; a game of arrays is played by runner 'fleet'"
        )
    if isinstance(game, FleetGame):
        schedule: Schedule | FleetSchedule = options.get("schedule") or FleetSchedule()
    else:
        schedule = played_schedule(runner, game, options)
    if runner == "fleet":
        from .fleet import fleet

        return fleet, schedule
    if runner == "rounds":
        from .rounds import rounds

        return rounds, schedule
    if runner == "virtual":
        from .virtual import virtual

        return virtual, schedule
    from .cluster import cluster

    return cluster, schedule
