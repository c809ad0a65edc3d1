"""What a run's trace says, as arrays, and the statistical tests that outcomes and failure signatures rest on."""

__all__ = ["Evidence", "Fit", "chi_square", "critical", "fit", "gather"]

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..games import BoundaryError, Game, GameError, NoClosedFormError, Oracle, Prediction, predict
from ..games.schedule import Schedule
from ..topology import UnanchoredError, validate
from .observation import PlayerView
from .record import Record
from .views import PlayerArrays

Array = NDArray[np.float64]

_MOST_VALUES = 20_000_000
_MOST_PLAYERS = 20_000
_LEAST_FREEDOM = 2.0
_ABOVE_NOISE = 5.0
_CAME = ("accepted", "outdated")


@dataclass(frozen=True, eq=False)
class Evidence:
    """The trace of a run as arrays over T records and N players; None where a figure does not apply.

    Arguments:
        game: the game.
        times: of the records, `[T]`.
        moves: `[T, N]`.
        heard: messages of neighbours that came, refused and outdated ones too, copies not, `[T, N]`.
        expected: messages that would have come without delay and loss, `[T, N]`.
        staleness: `[T, N]`.
        means: mean parameters, `[T, N, d]`.
        errors: root mean square of μ_i − μ*_i, `[T, N]`.
        oracle: the closed form. A black box that names a family is held against that family.
        floors: noise floor of each player, predicted for the schedule played, or else for one without loss and delay.
        poisson: whether predictions are for Poisson clocks, not for rounds.
        exact: whether `floors` are those of the schedule played.
        slowest: predicted asymptotic slope of the log-error, for the schedule played or one without loss and delay.
        ideal: slope without loss and delay, of the slowest mode that the start lifts above the noise, else of the
            slowest.
        rate: measured slope along that mode; None where there is none.
        lost: players that no real data reaches.
    """

    game: Game
    times: Array
    moves: Array | None
    heard: Array | None
    expected: Array | None
    staleness: Array | None
    means: Array | None
    errors: Array | None
    oracle: Oracle | None
    floors: Array | None
    poisson: bool
    exact: bool
    slowest: float | None
    ideal: float | None
    rate: float | None
    lost: tuple[Hashable, ...]

    @property
    def half(self) -> slice:
        """The records of the last half of the run, which every test of how it ended looks at."""
        return slice(int(np.searchsorted(self.times, self.times[-1] / 2)), None)


@dataclass(frozen=True)
class Fit:
    """A line through a correlated series.

    Arguments:
        level: its mean.
        level_error: standard error of the mean, from deviations around the line.
        slope: per unit of time.
        slope_error: standard error of the slope.
        freedom: degrees of freedom left, after correlated values have been counted as fewer.
    """

    level: float
    level_error: float
    slope: float
    slope_error: float
    freedom: float

    @property
    def enough(self) -> bool:
        """Whether the series holds enough independent values to judge by."""
        return self.freedom >= _LEAST_FREEDOM


def fit(times: Array, values: Array, *, slowest: float | None = None) -> Fit:
    """The line through a series `[T]`, with standard errors for values that are correlated.

    Deviations from the line are taken for an autoregression of first order, of which n values count as
    n (1 − φ)/(1 + φ) independent ones. φ is the larger of what the deviations show and, where the slope of the slowest
    mode is given, the correlation e^(2·slope·Δ) of its squared noise between records.

    Source: Geweke, *Evaluating the accuracy of sampling-based approaches to the calculation of posterior moments*,
    1992, for the question; Cochrane & Orcutt, *Application of least squares regression to relationships containing
    auto-correlated error terms*, 1949, for the errors.
    """
    n = len(values)
    if n < 4 or times[-1] <= times[0]:
        return Fit(float(np.mean(values)) if n else np.nan, np.inf, 0.0, np.inf, 0.0)
    centred = times - times.mean()
    slope = float(centred @ values / (centred @ centred))
    rest = values - values.mean() - slope * centred
    squares = float(rest @ rest)
    phi = float(rest[1:] @ rest[:-1]) / squares if squares > 0 else 0.0
    spacing = float(times[-1] - times[0]) / (n - 1)
    known = 0.0 if slowest is None else float(np.exp(2 * min(slowest, 0.0) * spacing))
    phi = min(max(phi, known, 0.0), 0.999)
    count = n * (1 - phi) / (1 + phi)
    variance = squares / max(n - 2, 1)
    stretch = (1 + phi) / (1 - phi)
    return Fit(
        float(values.mean()),
        float(np.sqrt(variance * stretch / n)),
        slope,
        float(np.sqrt(variance * stretch / (centred @ centred))),
        count - 2,
    )


def critical(significance: float, freedom: float) -> float:
    """The value that Student's t of `freedom` degrees exceeds with probability `significance`."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(max(freedom, 1.0), 1 - significance))


def chi_square(significance: float, freedom: float) -> float:
    """The value that χ² of `freedom` degrees exceeds with probability `significance`."""
    from scipy.special import chdtri

    return float(chdtri(freedom, significance))


def gather(game: Game, trace: Sequence[Record], prediction: Prediction) -> Evidence:
    """The evidence of a trace. Records are thinned evenly to a bounded size, players of huge games not looked at.

    Arguments:
        game: the game.
        trace: at least one record.
        prediction: what theory said of the game.
    """
    n = len(game.players)
    kept = _thinned(trace, n)
    looked = n <= _MOST_PLAYERS
    moves = np.array([_column(r.players, "moves") for r in kept], float) if looked else None
    means = _means(kept) if looked else None
    oracle = _declared_oracle(game)
    if oracle is not None and means is not None and means.shape[1:] != oracle.equilibrium.shape:
        oracle = None
    ideal = None if oracle is None else _ideal(game, prediction, oracle)
    errors: Array | None = None
    known = [r.errors for r in kept if r.errors is not None]
    if len(known) == len(kept):
        errors = np.stack(known)
    elif oracle is not None and means is not None:
        errors = np.sqrt(((means - oracle.equilibrium) ** 2).mean(axis=-1))
    floors, slowest = prediction.floors, prediction.asymptotic_rate
    exact = floors is not None or (ideal is not None and ideal.schedule == prediction.schedule)
    if ideal is not None:
        floors = ideal.floors if floors is None else floors
        slowest = ideal.asymptotic_rate if slowest is None else slowest
    heard = np.array([_heard(r.players) for r in kept], float) if looked else None
    if heard is not None and kept[-1].messages and not heard[-1].any():
        heard = None  # an engine that does not count letters
    times = np.array([r.time for r in kept])
    return Evidence(
        game=game,
        times=times,
        moves=moves,
        heard=heard,
        expected=None if moves is None else _expected(game, moves),
        staleness=np.array([_staleness(r.players) for r in kept]) if looked else None,
        means=means,
        errors=errors,
        oracle=oracle,
        floors=floors,
        poisson=getattr(prediction.schedule, "clock", "poisson") != "rounds",
        exact=exact,
        slowest=slowest,
        ideal=None if ideal is None else ideal.rate,
        rate=_rate(times, means, oracle, ideal),
        lost=_lost(game),
    )


def _ideal(game: Game, prediction: Prediction, oracle: Oracle) -> Prediction:
    """The prediction for the same clock without loss and delay."""
    clock = getattr(prediction.schedule, "clock", "poisson")
    plain = Schedule("rounds" if clock == "rounds" else "poisson")
    if prediction.schedule == plain and prediction.floors is not None:
        return prediction
    return predict(_declared(game), plain, oracle=oracle)


def _rate(times: Array, means: Array | None, oracle: Oracle | None, ideal: Prediction | None) -> float | None:
    """Slope of the log-error along the ideal mode, over the records before it meets the noise."""
    if means is None or oracle is None or ideal is None or ideal.mode is None:
        return None
    sizes = np.array([ideal.mode.amplitude(mu - oracle.equilibrium) for mu in means])
    met = np.flatnonzero(~(sizes > max(_ABOVE_NOISE * (ideal.mode.noise or 0.0), np.finfo(float).tiny)))
    end = int(met[0]) if len(met) else len(sizes)
    if end < 3 or not np.isfinite(sizes[:end]).all():
        return None
    return float(np.polyfit(times[:end], np.log(sizes[:end]), 1, w=sizes[:end] / sizes[:end].max())[0])


def _thinned(trace: Sequence[Record], n: int) -> list[Record]:
    """At most so many records that T·N·d values fit; evenly spaced, the last one included."""
    mean = trace[0].players[0].mean if n <= _MOST_PLAYERS else None
    size = n * (1 if mean is None else max(len(mean), 1))
    stride = max(1, -(-len(trace) * size // _MOST_VALUES))
    return list(trace)[::-1][::stride][::-1]


def _column(players: Sequence[PlayerView], name: str) -> Any:
    if isinstance(players, PlayerArrays):
        return getattr(players, name)
    return [getattr(v, name) for v in players]


def _means(records: Sequence[Record]) -> Array | None:
    means = [_column(r.players, "mean") for r in records]
    if any(m is None for row in means for m in row) or len({np.shape(m) for row in means for m in row}) != 1:
        return None
    return np.array(means, float)


def _heard(players: Sequence[PlayerView]) -> Any:
    if isinstance(players, PlayerArrays):
        return sum(players.letters[name] for name in _CAME if name in players.letters)
    return [sum(v.letters.get(name, 0) for name in _CAME) + sum(v.rejected.values()) for v in players]


def _staleness(players: Sequence[PlayerView]) -> Any:
    if isinstance(players, PlayerArrays):
        return np.full(len(players), np.nan if players.staleness is None else players.staleness)
    return [v.staleness for v in players]


def _expected(game: Game, moves: Array) -> Array:
    """Messages that the policies of senders and listeners send for these moves, `[T, N]`, each heard at once."""
    graph, names = game.graph, game.players
    position = {p: k for k, p in enumerate(names)}
    heard = {p: [j for j in graph.pred[p] if j != p and graph.edges[j, p]["alpha"] > 0] for p in names}
    told = dict.fromkeys(names, 0)
    for senders in heard.values():
        for j in senders:
            told[j] += 1
    expected = np.zeros_like(moves)
    for i, player in enumerate(names):
        for j in heard[player]:
            gossip = game.specs[j].gossip
            if gossip.pushes:
                share = 1.0 if gossip.fan_out is None else min(1.0, gossip.fan_out / told[j])
                expected[:, i] += share * moves[:, position[j]] / gossip.every
        gossip, degree = game.specs[player].gossip, len(heard[player])
        if gossip.pulls:
            asked = degree if gossip.fan_out is None else min(degree, gossip.fan_out)
            expected[:, i] += asked * moves[:, i] / gossip.every
    return expected


def _declared(game: Game) -> Game:
    specs = {p: replace(s, model=None) if s.model is not None else s for p, s in game.specs.items()}
    return Game(game.graph, specs, anchored=game.anchored)


def _declared_oracle(game: Game) -> Oracle | None:
    """The oracle of the game in which every black box that names a family is that family's own model."""
    if any(s.family is None for s in game.specs.values()):
        return None
    try:
        return Oracle.of(_declared(game))
    except (NoClosedFormError, BoundaryError, GameError):
        return None


def _lost(game: Game) -> tuple[Hashable, ...]:
    if game.anchored:
        return ()
    try:
        validate(game.graph)
    except UnanchoredError as error:
        return error.players
    return ()
