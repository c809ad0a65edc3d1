"""Asynchronous play in virtual time: the very same players, driven by one event queue with a total order."""

__all__ = ["virtual"]

import time as wall
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from ..agents import Message
from ..games import Game
from ..topology import GraphSequence
from .checkpoint import CheckpointError
from .looks import Looks
from .network import Network
from .observation import Observation, require_whole
from .simulation import Simulation

_MOST_OBSERVATIONS = 1e7
"""Of a run that is resumed; a damaged state may ask for observations without end."""


def virtual(
    game: Game,
    *,
    seed: int,
    moves: int,
    every: float = 1.0,
    looks: Looks | None = None,
    keep_states: bool = False,
    network: Network | None = None,
    graphs: GraphSequence | None = None,
    resume: Mapping[str, Any] | None = None,
    on_observation: Callable[[Simulation], None] | None = None,
    on_delivery: Callable[[Hashable, Hashable, Message], None] | None = None,
) -> Iterator[Observation]:
    """Plays asynchronously in virtual time.

    A move reads the mailbox, learns and publishes, all at the end of its compute time. Time is counted in mean compute
    times, so that every player with speed 1 makes one move per unit of time on average. With constant compute times
    and a perfect network this is `rounds`, bit for bit.

    Arguments:
        game: the game.
        seed: of all random streams.
        moves: units of time to play.
        every: units of time between observations.
        looks: when players are looked at closely, and what they are asked.
        keep_states: whether the last observation holds the players' states.
        network: the world; perfect by default.
        graphs: graphs that take over from each other; the game's own by default. Players that are absent from one
            neither move nor hear nor send while it is in force; one that comes for the first time publishes what it
            makes of its own data, one that comes back goes on from its own state.
        resume: a `Simulation.state()` to go on from; the observations before it are not repeated.
        on_observation: called after each observation has been consumed, with the simulation, which can be saved then.
        on_delivery: called with sender, listener and message of each delivery.

    Yields:
        Observations: before the first move, then every `every` units of time, and at the end.

    Raises:
        ModelError: a model failed.
        ValueError: the network or the graphs do not fit the game.
    """
    require_whole(moves=moves)
    if not (np.isfinite(every) and every > 0):
        raise ValueError(f"every is {every}, expected a finite number of units of time above 0")
    simulation = Simulation(game, seed, network or Network(), graphs)
    simulation.on_delivery = on_delivery
    looks = looks or Looks()
    began = wall.perf_counter()
    if resume is not None:
        simulation.load(resume)
        if simulation.every * _MOST_OBSERVATIONS < moves:
            raise CheckpointError(
                f"the state has an observation every {simulation.every:g}, expected at most {_MOST_OBSERVATIONS:g} in "
                f"{moves}; remove the checkpoint to go on from the one before"
            )
    else:
        simulation.open(every)
        yield simulation.observe(began, looks, first=True)
        if on_observation is not None:
            on_observation(simulation)
    while simulation.time < moves:
        before = simulation.time
        simulation.advance(min(simulation.next_observation, float(moves)))
        last = simulation.time >= moves
        close = looks if looks.due(before, simulation.time, moves) else None
        yield simulation.observe(began, close, last=last, keep_states=keep_states)
        if on_observation is not None:
            on_observation(simulation)
