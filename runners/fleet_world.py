"""What of an experiment or a game a fleet can play: its schedule, or a clear refusal."""

__all__ = ["fleet_options", "fleet_schedule", "prediction_schedule", "require_fleet", "require_listeners"]

from typing import Any, Literal

import numpy as np

from ..games import FleetGame, FleetSchedule, Game
from ..games.schedule import Schedule
from .experiment import Experiment, ExperimentError
from .sections import GossipSection, NetworkSection


def fleet_options(plan: Experiment) -> dict[str, Any]:
    """What the engine `fleet` takes, from an experiment.

    `play.mode` chooses rounds or Poisson clocks; a constant `network.latency` in moves, `network.loss`, and
    `gossip.fan_out` and `gossip.fresh` are played.

    Raises:
        ExperimentError: the experiment asks for anything else of network, gossip or changing graphs.
    """
    network, gossip, plain = plan.network, plan.gossip, NetworkSection()
    played = {"latency", "loss", "compute"}
    odd = [
        f"network.{k}"
        for k in NetworkSection.model_fields
        if k not in played and getattr(network, k) != getattr(plain, k)
    ]
    odd += [
        f"gossip.{k}"
        for k in GossipSection.model_fields
        if k not in ("fan_out", "fresh") and getattr(gossip, k) != getattr(GossipSection(), k)
    ]
    odd += ["network.latency.kind"] * (network.latency.kind != "constant") + ["changes"] * (plan.changes.kind != "none")
    clock: Literal["rounds", "poisson"] = "rounds" if plan.play.mode == "synchronous" else "poisson"
    if clock == "poisson" and network.compute.kind not in ("constant", "exponential"):
        odd.append("network.compute.kind")
    if odd:
        raise ExperimentError(
            f"the fleet cannot play {', '.join(odd)}; it knows rounds and Poisson clocks with constant latency, loss, "
            "gossip.fan_out and gossip.fresh; leave these out, or take runner virtual"
        )
    try:
        schedule = FleetSchedule(
            clock,
            fresh=gossip.fresh,
            delay=network.latency.mean / network.compute.mean,
            loss=network.loss,
            fan_out=gossip.fan_out,
        )
    except ValueError as error:
        raise ExperimentError(str(error)) from None
    return {
        "every": plan.play.every or 1.0,
        "schedule": schedule,
        "precision": plan.play.precision,
        "threads": plan.play.workers,
    }


def require_fleet(plan: Experiment, game: Game | FleetGame) -> None:
    """Refuses what a fleet cannot play, before anything is written.

    Raises:
        ExperimentError: see `fleet_options`.
        NoShortcutError: the players are not all of one family whose sample means have a law.
        ValueError: a fan-out that is wider than any player's number of listeners.
    """
    schedule = fleet_options(plan)["schedule"]
    require_listeners(game if isinstance(game, FleetGame) else FleetGame.of(game), schedule)


def require_listeners(game: FleetGame, schedule: FleetSchedule) -> None:
    """Refuses a fan-out that is wider than any player's number of listeners.

    Raises:
        ValueError: it is.
    """
    told = int(np.bincount(game.listening.indices, minlength=1).max(initial=0))
    if schedule.fan_out is not None and schedule.fan_out > told:
        raise ValueError(f"fan_out is {schedule.fan_out}, but no player has more than {told} listeners; lower it")


def fleet_schedule(game: Game | FleetGame) -> FleetSchedule:
    """Rounds, with the batches that the players of the game send: one for all listeners, or one for each.

    Raises:
        ValueError: players gossip in a way that rounds of a fleet cannot play.
    """
    if isinstance(game, FleetGame):
        return FleetSchedule()
    gossips = {spec.gossip for spec in game.specs.values()}
    gossip = gossips.pop()
    if gossips or (gossip.style, gossip.fan_out, gossip.every, gossip.keep) != ("push", None, 1, 1):
        raise ValueError(
            "the fleet plays players that all push to all listeners after every move, by default; give it a "
            "FleetSchedule of its own, or take runner virtual"
        )
    return FleetSchedule(fresh=gossip.fresh)


def prediction_schedule(game: Game, schedule: FleetSchedule) -> Schedule:
    """What predictions must know of a schedule."""
    delivery: Any = 1 - schedule.loss
    if schedule.fan_out is not None:
        listeners = {p: sum(i != p for i in game.graph.succ[p]) for p in game.players}
        delivery = {
            (j, i): (1 - schedule.loss) * min(1.0, schedule.fan_out / listeners[j])
            for j, i, attributes in game.graph.edges(data=True)
            if i != j and attributes["alpha"] > 0
        }
    return Schedule(
        schedule.clock, delay=schedule.delay, delivery=delivery, fresh=schedule.fresh, picks=schedule.fan_out
    )
