"""How a run ended, in one word with its reasons, and which ways of failing it shows."""

__all__ = ["OUTCOMES", "Diagnosis", "diagnose"]

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..games import Game, Prediction, honest_players
from .agreement import Comparison, compare
from .evidence import Array, Evidence, critical, fit, gather
from .record import Record
from .rhythm import Rhythm, find_rhythm
from .signatures import Signature, find_signatures, names_of

OUTCOMES = (
    "diverging",
    "stalled",
    "collapsing",
    "oscillating",
    "below the floor",
    "converged",
    "budget reached",
)
"""The names of outcomes, in the order in which they are tested."""

_GROWTH = 4.0
"""Growth of the squared error over the last half that counts as diverging: the error doubles."""
_FAR_BELOW = 10.0
"""Without a known floor, the factor by which the squared error, and with it the Nash gap, must have fallen."""
_BELOW = 0.7
"""Share of the predicted floor below which an error has settled too low for the prediction to hold."""
_BLOCKS = 16
_HONEST = "; the prediction is of the honest game, in which everybody keeps to the rules"


@dataclass(frozen=True)
class Diagnosis:
    """How a run ended.

    Arguments:
        outcome: one of `OUTCOMES`.
        reasons: sentences that say what was tested, with the numbers.
        signatures: the ways of failing that were recognised.
        comparisons: rate and floor beside their predictions; their sentences are among the reasons too.
    """

    outcome: str
    reasons: tuple[str, ...]
    signatures: tuple[Signature, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


def diagnose(
    game: Game,
    trace: Sequence[Record],
    prediction: Prediction,
    *,
    significance: float = 1e-3,
    tolerance: float = 0.2,
    before: float = 0.0,
) -> Diagnosis:
    """Names how a run ended, from its trace alone.

    Arguments:
        game: the game.
        trace: records of the run, evenly spaced; at least one.
        prediction: what theory said of it.
        significance: probability with which one test may raise a false alarm.
        tolerance: by how much the root mean square error may exceed the predicted floor besides its standard error:
            the floor is an expansion in 1/n around the equilibrium, not exact.
        before: for how long the players had played when the trace began, if it is not that of a whole run.

    Raises:
        ValueError: no records, or a parameter outside (0, 1).
    """
    if not trace:
        raise ValueError("the trace has no records, expected at least one")
    for name, value in (("significance", significance), ("tolerance", tolerance)):
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value}, expected above 0 and below 1")
    seen = gather(game, trace, prediction)
    settled, why = _settled(seen, significance, tolerance)
    rhythm = None if settled else find_rhythm(seen, significance, tolerance)
    growing = _diverging(seen, significance, tolerance)
    tests = (
        ("diverging", growing),
        ("stalled", _stalled(seen, significance)),
        ("collapsing", _collapsing(seen, tolerance)),
        ("oscillating", None if rhythm is None else rhythm.sentence),
        ("below the floor", _too_quiet(seen, significance) if settled else None),
        ("converged", why if settled else None),
    )
    outcome, reason = next(((name, text) for name, text in tests if text is not None), ("budget reached", why))
    signatures = find_signatures(
        seen, rhythm=_moving(rhythm, growing), settled=settled, significance=significance, tolerance=tolerance
    )
    comparisons = _compared(game, trace, prediction, significance, before)
    return Diagnosis(outcome, (reason, *(c.sentence for c in comparisons)), signatures, comparisons)


def _compared(
    game: Game, trace: Sequence[Record], prediction: Prediction, significance: float, before: float
) -> tuple[Comparison, ...]:
    times, errors = np.array([r.time for r in trace]), [r.error_rms for r in trace]
    squares = None if any(e is None for e in errors) else np.array(errors, np.float64) ** 2
    amplitudes = [r.amplitude for r in trace]
    found = compare(times, squares, amplitudes, prediction, significance=significance, before=before)
    if honest_players(game.specs, game.players).all():
        return found
    return tuple(replace(c, sentence=c.sentence + _HONEST) if c.verdict == "disagrees" else c for c in found)


def _moving(rhythm: Rhythm | None, growing: str | None) -> str | None:
    return growing or (rhythm.sentence if rhythm else None)


def _settled(seen: Evidence, significance: float, tolerance: float) -> tuple[bool, str]:
    """Whether the squared error has no trend over the last half, and agrees with the floor; and what was tested."""
    if seen.lost:
        return False, f"no real data reaches {names_of(seen.lost)}: there is no equilibrium to arrive at"
    series, what = _distance(seen)
    if series is None:
        return False, "nothing of the models can be measured but samples: convergence was not tested"
    half = seen.half
    line = fit(seen.times[half], series[half], slowest=seen.slowest)
    root = float(np.sqrt(line.level))
    if not line.enough:
        return False, (
            f"the last half holds {len(series[half])} records, too few that are independent of each other to test "
            f"whether the {what}, {root:.3g}, still changes: play longer"
        )
    limit = critical(significance / 2, line.freedom)
    score = line.slope / line.slope_error if line.slope_error > 0 else 0.0
    trend = f"the squared {what} over the last half has slope {score:+.1f} standard errors (limit ±{limit:.1f})"
    floor = None if seen.floors is None or seen.errors is None else float(np.sqrt((seen.floors**2).mean()))
    if floor == 0.0:
        return False, f"the step decreases, so that the floor is 0 and the {what}, {root:.3g}, keeps falling"
    if abs(score) > limit:
        return False, f"not stationary: {trend}"
    if floor is None or not (seen.exact or root <= (1 + tolerance) * floor):
        start = float(np.sqrt(series[0]))
        fell = start**2 >= _FAR_BELOW * line.level
        verb = "fell" if fell else "fell only"
        return fell, (
            f"stationary: {trend}; no floor is known for this schedule, but the {what} {verb} from {start:.3g} to "
            f"{root:.3g}"
        )
    margin = min(limit * line.level_error, floor**2)
    allowed = float(np.sqrt(((1 + tolerance) * floor) ** 2 + margin))
    agrees = root <= allowed
    verdict = "agrees with" if agrees else "stays above"
    return agrees, (
        f"stationary: {trend}; its root mean square {root:.4g} {verdict} the predicted floor {floor:.4g} "
        f"(up to {allowed:.4g} allowed: {100 * tolerance:.0f} % and {limit:.1f} standard errors)"
    )


def _too_quiet(seen: Evidence, significance: float) -> str | None:
    """Says so if the error of the last half is far below the floor: players average over messages that came late."""
    if seen.floors is None or seen.errors is None or not (seen.floors > 0).any():
        return None
    series = (seen.errors**2).mean(axis=1)
    line = fit(seen.times[seen.half], series[seen.half], slowest=seen.slowest)
    root, floor = float(np.sqrt(line.level)), float(np.sqrt((seen.floors**2).mean()))
    if line.level + critical(significance / 2, line.freedom) * line.level_error >= (_BELOW * floor) ** 2:
        return None
    return (
        f"the root mean square error settled at {root:.4g}, below {100 * _BELOW:.0f} % of the predicted floor "
        f"{floor:.4g}: messages come late or not at all, and players average over old ones; let the clocks tick slower"
    )


def _distance(seen: Evidence) -> tuple[Array | None, str]:
    """The mean square error of all players, `[T]`; without closed form the distance to where the models ended."""
    if seen.errors is not None:
        return (seen.errors**2).mean(axis=1), "error"
    if seen.means is not None:
        end = seen.means[seen.half].mean(axis=0)
        return ((seen.means - end) ** 2).mean(axis=(1, 2)), "distance from the mean of the last half"
    return None, ""


def _diverging(seen: Evidence, significance: float, tolerance: float) -> str | None:
    """The error at least doubles over the last half, ends above start and floor, and its log has a positive slope.

    Where there is no closed form, the length of the step between records takes the place of the error.
    """
    if seen.means is not None and not np.isfinite(seen.means).all():
        return "mean parameters are no longer finite numbers"
    if seen.errors is not None:
        size, times, what = np.sqrt((seen.errors**2).mean(axis=1)), seen.times, "error"
    elif seen.means is not None and len(seen.means) > 1:
        size = np.sqrt((np.diff(seen.means, axis=0) ** 2).mean(axis=(1, 2)))
        times, what = seen.times[1:], "change between records"
    else:
        return None
    late = times >= seen.times[-1] / 2
    if not (size[late] > 0).all():
        return None
    line = fit(times[late], 2 * np.log(size[late]))
    growth = line.slope * float(times[-1] - times[late][0])
    floor = 0.0 if seen.floors is None or seen.errors is None else float(np.sqrt((seen.floors**2).mean()))
    last = float(np.sqrt((size[late][-max(1, int(late.sum()) // 4) :] ** 2).mean()))
    significant = line.enough and line.slope > critical(significance, line.freedom) * line.slope_error
    if not (significant and growth > np.log(_GROWTH) and last > max((1 + tolerance) * floor, float(size[0]))):
        return None
    return (
        f"the {what} grows by a factor {np.exp(growth / 2):.3g} over the last half, from {size[0]:.3g} at first to "
        f"{last:.3g}"
    )


def _stalled(seen: Evidence, significance: float) -> str | None:
    """Players silent for the last quarter, and for so long that at their own pace it has probability `significance`.

    At a Poisson pace of r a silence of t has probability e^(−rt). The pace of a player that never did anything is taken
    for one move per unit of time, and as slow as the slowest of the others for what it hears.
    """
    texts = []
    for counts, verb in ((seen.moves, "moved"), (seen.heard, "heard anyone")):
        if counts is None or seen.times[-1] <= 0:
            continue
        total, end = counts[-1], float(seen.times[-1])
        since = np.array([float(seen.times[np.argmax(counts[:, i] >= total[i])]) for i in range(len(total))])
        pace = np.where(since > 0, total / np.maximum(since, 1e-300), 0.0)
        others = pace[pace > 0]
        usual = min(1.0, float(others.min())) if len(others) and verb != "moved" else 1.0
        pace = np.where(pace > 0, pace, usual)
        silent = (end - since > np.log(len(total) / significance) / pace) & (end - since >= end / 4)
        if verb != "moved" and seen.expected is not None:
            silent &= seen.expected[-1] > 0
        if silent.any():
            names = [p for p, quiet in zip(seen.game.players, silent, strict=True) if quiet]
            texts.append(
                f"{names_of(names)} {'has' if len(names) == 1 else 'have'} not {verb} since time "
                f"{since[silent].min():.3g} of {end:.3g}"
            )
    return "; ".join(texts) or None


def _collapsing(seen: Evidence, tolerance: float) -> str | None:
    """Real data does not reach some players, and tr V(μ) of these falls by `tolerance` from its highest level."""
    family = seen.game.specs[seen.game.players[0]].family
    if not seen.lost or seen.means is None or family is None or seen.means.shape[2] != family.size:
        return None
    some = [k for k, p in enumerate(seen.game.players) if p in set(seen.lost)]
    variance = family.variance(seen.means[:, some]).sum(axis=-1).mean(axis=-1)
    levels = np.array([block.mean() for block in np.array_split(variance, min(_BLOCKS, len(variance)))])
    if len(levels) < 4 or not levels[-1] < (1 - tolerance) * levels.max() or levels[-1] > np.median(levels):
        return None
    return (
        f"no real data reaches {names_of(seen.lost)}, and the variance of their models, tr V(μ), fell from "
        f"{levels.max():.3g} to {levels[-1]:.3g}"
    )
