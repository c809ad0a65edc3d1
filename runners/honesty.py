"""How the honest players of a run fared, beside what theory says of what the others send."""

__all__ = ["conduct_name", "has_hostile", "honest_error", "honesty_sentence"]

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..games import (
    CONDUCTS,
    Conduct,
    FleetGame,
    Flooder,
    Game,
    NoClosedFormError,
    PlayerSpec,
    Poisoner,
    honest_players,
    predict,
    predict_poisoned,
)
from ..topology import mixing_matrix
from .monitor import Monitor

_MOST = 2000
_NAMED = 10


def has_hostile(game: Game | FleetGame) -> bool:
    """Whether some players of the game are not honest."""
    return isinstance(game, Game) and not honest_players(game.specs, game.players).all()


def conduct_name(conduct: Conduct | None) -> str | None:
    """What experiment files call a conduct, such as `poisoner`; None for the honest one."""
    return next((name for name, kind in CONDUCTS.items() if type(conduct) is kind), None)


def honesty_sentence(conducts: Mapping[Any, str | None], honest: Mapping[str, Any] | None) -> str | None:
    """Who does not keep to the rules and how the others fared, without a full stop; None where all are honest.

    Arguments:
        conducts: player → its conduct by name, None for the honest one; empty where it is not on record.
        honest: the figures of `honest_error`.
    """
    if honest is None:
        return None
    by_name: dict[str, list[str]] = {}
    for player, name in conducts.items():
        if name is not None:
            by_name.setdefault(name, []).append(str(player))
    listed = "; ".join(f"{name}: {_names(players)}" for name, players in by_name.items())
    count = sum(map(len, by_name.values()))
    verb = "does" if count == 1 else "do"
    told = f"{count} of {len(conducts)} players {verb} not keep to the rules ({listed})" if count else ""
    measured, predicted = honest.get("rms"), honest.get("predicted_rms")
    if measured is None:
        return told or None
    fared = f"honest players are off the honest equilibrium by RMS {measured:.4g}, " + (
        "of which nothing is predicted" if predicted is None else f"predicted {predicted:.4g}"
    )
    return f"{told}; {fared}" if told else fared


def _names(players: list[str]) -> str:
    more = len(players) - _NAMED
    return ", ".join(players[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def honest_error(game: Game, monitor: Monitor) -> dict[str, Any] | None:
    """The error of the honest players over the last quarter of a run; None where all are honest.

    The oracle is that of the honest game: the equilibrium that there would be if everybody kept to the rules.

    Returns:
        `players`, their number; `max` and `rms`, root mean squares, of the worst and of all; `predicted_shift_rms`,
        that of μ − μ* where `predict_poisoned` knows it, with the shares that listeners with a defence had in the
        same quarter; `predicted_rms`, with the noise floor besides, of the honest game in which those who send copies
        of one row send one row.
    """
    honest, errors = monitor.honest, monitor.errors()
    if honest is None:
        return None
    present = None if monitor.stages is None else monitor.stages.present[-1]
    counted = honest if present is None else honest & present
    known = None if errors is None or not counted.any() else errors[counted]
    shares = _shares(game, monitor)
    shift, floors = _predicted(game, monitor, shares), _floors(game, monitor, shares)
    noise = None if floors is None else floors[counted]
    return {
        "players": int(counted.sum()),
        "max": None if known is None else float(known.max()),
        "rms": None if known is None else float(np.sqrt((known**2).mean())),
        "predicted_shift_rms": None if shift is None else float(np.sqrt((shift[counted] ** 2).mean())),
        "predicted_rms": None
        if shift is None or noise is None
        else float(np.sqrt((shift[counted] ** 2 + noise**2).mean())),
    }


def _shares(game: Game, monitor: Monitor) -> Any:
    """What everybody learned from on average in the last quarter, `[N, N]`; None if all went by α, or it changes."""
    if len(game.players) > _MOST or monitor.changing or not monitor.window:
        return None
    return monitor.shares.mean(monitor.window[0].time, mixing_matrix(game.graph))


def _predicted(game: Game, monitor: Monitor, shares: Any) -> Any:
    """The predicted shift of each player, `[N]`; None where it is not known, as of a graph that changes."""
    if len(game.players) > _MOST or monitor.changing:
        return None
    try:
        return predict_poisoned(game, shares).errors
    except NoClosedFormError:
        return None


def _floors(game: Game, monitor: Monitor, shares: Any) -> Any:
    """The noise floors, with as many rows to a message as tell of their sender, if anybody learned from it."""
    heard = np.ones(len(game.players), bool) if shares is None else (shares - np.diag(np.diag(shares)) > 0).any(axis=0)
    told = [
        _told(game.specs[p]) if here else game.specs[p].samples for p, here in zip(game.players, heard, strict=True)
    ]
    if monitor.changing or all(n == game.specs[p].samples for p, n in zip(game.players, told, strict=True)):
        return monitor.prediction.floors
    specs = {p: replace(game.specs[p], samples=n) for p, n in zip(game.players, told, strict=True)}
    return predict(Game(game.graph, specs, anchored=game.anchored), monitor.prediction.schedule).floors


def _told(spec: PlayerSpec) -> int:
    if isinstance(spec.conduct, Poisoner) and spec.conduct.how == "collapse":
        return 1
    return spec.samples * (spec.conduct.rows if isinstance(spec.conduct, Flooder) else 1)
