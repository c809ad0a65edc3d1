"""Play on Ray: players in actors that gossip directly with each other, asynchronously or in rounds, and survive."""

__all__ = ["cluster"]

import math
import time
import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from ..games import Game, PlayerSpec
from ..topology import GraphSequence
from .cluster_crew import Crew
from .cluster_errors import PlayerLostError, Setback
from .cluster_laboratory import Laboratory
from .cluster_plans import Layout
from .cluster_room import require_space
from .cluster_session import ray_session, starts_here
from .deployment import Deployment
from .kept_batches import KeptBatches
from .looks import Looks
from .observation import Observation, require_whole
from .start_estimate import StartEstimate

_INTERVAL_S = 0.1
_INTERVAL_PER_PLAYER_S = 5e-4


def cluster(
    game: Game,
    *,
    seed: int,
    moves: int,
    every: float | None = None,
    looks: Looks | None = None,
    keep_states: bool = False,
    mode: Literal["asynchronous", "synchronous"] = "asynchronous",
    rate: float | None = 20.0,
    workers: int | None = None,
    patience: float = 600.0,
    deployment: Deployment | None = None,
    graphs: GraphSequence | None = None,
    source: Callable[[Hashable], Callable[[], PlayerSpec]] | None = None,
    resume: Mapping[str, Any] | None = None,
    on_observation: Callable[[Callable[[], None]], None] | None = None,
    on_checkpoint: Callable[[int, dict[str, Any]], None] | None = None,
    on_start: Callable[[StartEstimate], None] | None = None,
    kept: KeptBatches | None = None,
) -> Iterator[Observation]:
    """Plays in Ray actors. Nobody stands in the middle: this process only starts them and looks on.

    Arguments:
        game: the game.
        seed: of all random streams. Synchronous play gives the very states of `rounds`; asynchronous play depends on
            the timing of the machine as well.
        moves: rounds, or moves per player on average.
        every: rounds between observations (default 1), or seconds for asynchronous play (default 0.1, or half a
            millisecond a player if that is more).
        looks: when players are looked at closely, and what they are asked.
        keep_states: whether the last observation holds the players' states.
        mode: `asynchronous` gossip or `synchronous` rounds.
        rate: moves per second of each player's Poisson clock in asynchronous play; None moves without pause, of which
            nothing is predicted. Time is counted in moves, so that slower clocks change no prediction; but on a machine
            that cannot keep up messages come late or are replaced, and errors settle below the predicted floor.
        workers: CPUs that Ray may use when it is started here, as in `deployment`.
        patience: seconds that a player may take for a move before the run is given up.
        deployment: where the actors live, how many players share one, and what happens when one dies. By default each
            player has one, in the session that is open or on this machine, and a failure ends the run.
        graphs: graphs that take over from each other, in moves, with players that join and leave.
        source: player → a function that makes its specification, rows and all, where the player is built; the game
            need then hold no rows.
        resume: what a run that was interrupted had come to: `moves` of each player, `time`, `messages`, `bytes`,
            `undelivered`, `seconds`; in rounds the `checkpoint` that all go back to as well. Actors that still live are
            taken over, the others start from their checkpoints.
        on_observation: called after each observation has been consumed, with a function that lets everybody save a
            checkpoint, after which the run can be given up and resumed.
        on_checkpoint: called in synchronous play when all have saved a checkpoint, with its number and what the run has
            come to, for `resume`.
        on_start: called before any actor is made, with what it will take.
        kept: takes in, at close looks and at the end, what the actors have kept of what their players published. It is
            part of their checkpoints.

    Yields:
        Observations: before the first move, then as `every` says, and at the end.

    Raises:
        ModelError: a model failed; the other players are stopped.
        StartError: the actors did not start.
        PlayerLostError: a player's process died.
        StallError: a player did not move for `patience` seconds.
        StoreError: an actor could not save a checkpoint, or read the one to go back to.
        TooLargeError: there is no room for so many processes.
        ValueError: `moves`, or `every` in rounds, is not a whole number of at least 1.
    """
    synchronous = mode == "synchronous"
    require_whole(moves=moves, every=(every or 1) if synchronous else 1)
    deployment = deployment or Deployment(workers=workers)
    if deployment.on_failure == "restart" and deployment.storage is None:
        raise ValueError(
            "on_failure is restart, but there is no storage for checkpoints; give the deployment one, or take "
            "fail or skip"
        )
    deployment = replace(deployment, run=deployment.run or f"run-{uuid.uuid4().hex[:12]}")
    held = 0 if kept is None else kept.limit
    if starts_here(deployment):
        require_space(game, deployment, held)  # before anything of Ray is started
    with ray_session(deployment) as outlives:
        estimate = require_space(game, deployment, held)
        if on_start is not None:
            on_start(estimate)
        detached = outlives and deployment.storage is not None
        lease = deployment.lease if detached else None
        layout = Layout(
            game,
            seed,
            deployment,
            graphs=graphs,
            source=source,
            kept=kept,
            rate=rate,
            synchronous=synchronous,
            lease=lease,
        )
        if synchronous:
            begin = 0 if resume is None else layout.saved_in(resume["checkpoint"])
        else:
            begin = layout.in_force(0.0 if resume is None else resume.get("time", 0.0))
        plans = {index: partial(layout.plan, index, begin) for index in layout.indices}
        with Crew(
            plans, deployment, detached=detached, peers=layout.peers, labels=layout.labels, homes=layout.homes
        ) as crew:
            lab = Laboratory(
                game,
                layout,
                crew,
                looks or Looks(),
                moves,
                deployment,
                keep_states=keep_states,
                patience=patience,
                synchronous=synchronous,
                resumed=resume,
                kept=kept,
            )
            lab.start(attach=resume is not None, wiring=begin)
            if synchronous:
                yield from _in_rounds(
                    lab, moves, int(every or 1), resume, layout, deployment, on_checkpoint, on_observation
                )
            else:
                pause = every or max(_INTERVAL_S, _INTERVAL_PER_PLAYER_S * len(game.players))
                yield from _gossip(lab, moves, pause, resume is not None, on_observation)


def _in_rounds(
    lab: Laboratory,
    moves: int,
    every: int,
    resume: Mapping[str, Any] | None,
    layout: Layout,
    deployment: Deployment,
    on_checkpoint: Callable[[int, dict[str, Any]], None] | None,
    on_observation: Callable[[Callable[[], None]], None] | None,
) -> Iterator[Observation]:
    """Rounds, with a common checkpoint now and then, to which all go back when a process dies."""
    done = 0 if resume is None else int(resume["checkpoint"])
    shown, saved, since = done - (resume is None), done, time.monotonic()
    spacing = deployment.checkpoint_seconds if deployment.storage is not None else float("inf")
    setback = resume is not None

    def save() -> None:
        nonlocal saved, since
        if deployment.storage is not None:
            lab.save(done)
            saved, since = done, time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(done, lab.totals)

    def leave() -> None:
        save()
        lab.collect()

    while done < moves or shown < done:
        try:
            if setback:
                done, setback = saved, False
                lab.take_back(saved, layout.saved_in(saved))
            elif shown >= 0:
                wiring = layout.in_force(done)
                if wiring != lab.wiring:
                    lab.rewire(wiring)
                count = min(
                    every - done % every, moves - done, *(math.ceil(at) - done for at in layout.changes if at > done)
                )
                lab.play_rounds(count)
                done += count
                if done % every and done < moves:
                    continue
            observed = lab.observe(time=float(done), first=shown < 0, last=done == moves)
            if done > shown:
                shown = done
                yield observed
                if on_observation is not None and done < moves:  # at the end there is nothing to go on with
                    on_observation(leave)
            if done < moves and (done == 0 or time.monotonic() - since > spacing):
                save()
        except Setback as error:
            if deployment.on_failure != "restart":
                raise PlayerLostError("the process of a player died, and rounds were broken off") from error
            setback = True


def _gossip(
    lab: Laboratory,
    moves: int,
    interval: float,
    resumed: bool,
    on_observation: Callable[[Callable[[], None]], None] | None,
) -> Iterator[Observation]:
    yield lab.observe(first=not resumed, thorough=True)
    lab.introduce()
    while True:
        lab.rest(interval)
        observed = lab.observe()
        if observed.time >= moves:
            break
        yield observed
        if on_observation is not None:
            on_observation(lab.save_and_stop)
    lab.stop()
    yield lab.observe(last=True)
