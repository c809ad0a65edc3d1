"""The four ways in which play fails, each recognised from a run's evidence, with numbers and a remedy."""

__all__ = ["SIGNATURES", "Signature", "find_signatures", "names_of"]

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..topology import listening_matrix, self_weights
from .evidence import Array, Evidence, chi_square, critical

SIGNATURES = ("oscillation or divergence", "poor synthetic data", "lagging player", "communication bottleneck")
"""The names of signatures."""

_MOST = 1000
"""Players of games in which senders and laggards are looked for: it takes dense matrices."""
_BLOCKS = 16
_LEAST_BLOCKS = 6
_LETTERS = 3.0
"""Letters of each neighbour that a block must see, lest blocks share the noise of one that is held for long."""
_MOVING = 2.0
"""A sender's bias must be so many times what the models move in a unit of time and of delay: else it is a transient."""
_FAR = 2.0
"""How many times its noise floor a listener must be driven off by a sender: its error is then more than doubled."""
_AHEAD = 2.0
"""How many times the median error, noise left out, a lagging player's must be; those who hear it lag a little too."""
_BEHIND = 2.0
"""How many times slower, or further from real data, than the others a cause must make a player."""
_SLOWER = 0.5
"""Share of the loss-free speed below which play is called slow: half of what is said does not come across."""


@dataclass(frozen=True)
class Signature:
    """A way of failing that a run shows.

    Arguments:
        name: one of `SIGNATURES`.
        sentence: what was seen, with numbers.
        remedy: what to do.
        players: whom it is about; empty for all.
    """

    name: str
    sentence: str
    remedy: str
    players: tuple[Hashable, ...] = ()


def find_signatures(
    seen: Evidence, *, rhythm: str | None, settled: bool, significance: float, tolerance: float
) -> tuple[Signature, ...]:
    """The signatures that a run shows, in the order of `SIGNATURES`.

    Arguments:
        seen: the evidence.
        rhythm: what is known of oscillation or divergence, in words.
        settled: whether the run converged.
        significance: probability with which one test may raise a false alarm.
        tolerance: by how much errors may exceed their floors.
    """
    if rhythm is not None:
        return (
            Signature(
                SIGNATURES[0],
                rhythm,
                "take a smaller step (model.step.size below 1), or give players a larger self-weight: steps beyond the "
                "best response overshoot it",
            ),
        )
    if seen.lost:
        return ()
    poor, blame = _poor_data(seen, significance)
    slow = None if settled else _bottleneck(seen)
    lagging = None if slow else _lagging(seen, blame, significance, tolerance)
    return tuple(s for s in (poor, lagging, slow) if s is not None)


def names_of(players: Iterable[Hashable], most: int = 5) -> str:
    """`player 3`, or `players 0, 1, 2 and 4 more`."""
    names = [str(p) for p in players]
    if len(names) == 1:
        return f"player {names[0]}"
    return f"players {', '.join(names[:most])}" + (f" and {len(names) - most} more" if len(names) > most else "")


def _poor_data(seen: Evidence, significance: float) -> tuple[Signature | None, Array | None]:
    """A sender whose rows are not what its sources make of it, as its listeners show; and the error that explains.

    b_i = mean of μ_i − m_i, plus what μ_i moved per move, is 0 but for noise where everyone answers best and sends what
    its model says. A sender j with rows off by δ makes b = W_·j δ, a player that does not learn what it is told
    b = e_j δ. The candidate that explains most is tested by the means of blocks of the last half, with a limit that
    allows for all candidates. It counts as poor if a listener is driven further off than twice its floor, (I − W)⁻¹ b,
    and if b is not what delay makes of models that still move.
    """
    oracle, means, moves, half = seen.oracle, seen.means, seen.moves, seen.half
    names = seen.game.players
    if oracle is None or means is None or moves is None or seen.floors is None or len(names) > _MOST:
        return None, None
    found_biases = _biases(seen, means[half], moves[half])
    if found_biases is None:
        return None, None
    bias, known = found_biases
    w = listening_matrix(seen.game.graph)
    speaks = known & w.any(axis=0)
    candidates = np.concatenate([w.T[speaks], np.eye(len(w))[speaks]])
    senders = np.tile(np.flatnonzero(speaks), 2)
    blocks, n, d = bias.shape
    error = np.sqrt((bias.var(axis=0, ddof=1) / blocks).mean(axis=1))  # `[N]`, of a mean over blocks, in each statistic
    weights = candidates * known / np.maximum(error, 1e-12) ** 2
    scale = (weights * candidates).sum(axis=1)
    usable = scale > 0
    if not usable.any():
        return None, None
    weights, candidates, senders = weights[usable] / scale[usable, None], candidates[usable], senders[usable]
    found = np.einsum("ci,bid->cbd", weights, bias)  # δ of each candidate and block
    delta = found.mean(axis=1)
    spread = np.sqrt(found.var(axis=1, ddof=1).mean(axis=-1) / blocks)  # pooled over statistics
    gain = (delta**2).sum(axis=-1) * scale[usable]
    own = np.array([seen.game.specs[names[s]].model is not None for s in senders])
    best = int(np.argmax(gain * np.where(own, 1.01, 1.0)))
    score = float(np.abs(delta[best]).max() / max(spread[best], 1e-300))
    limit = critical(significance / (2 * len(senders) * d), blocks - 1)
    sender, off = int(senders[best]), float(np.sqrt((delta[best] ** 2).mean()))
    pushed = np.linalg.solve(np.eye(n) - w, candidates[best][:, None] * delta[best])
    blame = np.sqrt((pushed**2).mean(axis=1))
    span = float(seen.times[-1] - seen.times[half][0])
    velocity = np.sqrt((((means[-1] - means[half][0]) / max(span, 1e-300)) ** 2).mean(axis=1)).max()
    lost, late = _travel(seen) or (0.0, 0.0)
    transient = off <= _MOVING * float(velocity) * (1 + late + lost / max(1 - lost, 0.05))
    listeners = np.flatnonzero(w[:, sender] > 0)
    ratio = blame / np.maximum(seen.floors, 1e-300)
    worst = int(listeners[np.argmax(ratio[listeners])])
    if score <= limit or transient or ratio[worst] <= _FAR:
        return None, None
    name = names[sender]
    return (
        Signature(
            SIGNATURES[1],
            f"what player {name} publishes is off by {off:.3g} (root mean square over the statistics, {score:.0f} "
            f"standard errors) from what its sources make of it, and drives player {names[worst]} {blame[worst]:.3g} "
            f"away from the equilibrium, {ratio[worst]:.1f} times its noise floor",
            f"look at what player {name} generates: a model that has lost modes, or is not trained enough; give it "
            "more steps a move, or take weight from it",
            (name,),
        ),
        blame,
    )


def _biases(seen: Evidence, means: Array, moves: Array) -> tuple[Array, NDArray[np.bool_]] | None:
    """Mean of μ − m in each block of the records, plus what μ moved per step, and who moved in every block.

    `[blocks, N, d]` and `[N]`; None where there are too few records, or steps decrease.
    """
    made_by_most = float(np.median(moves[-1] - moves[0]))
    lost, _ = _travel(seen) or (0.0, 0.0)
    blocks = min(_BLOCKS, (len(means) - 1) // 3, int(made_by_most * (1 - lost) / _LETTERS))
    steps = [seen.game.specs[p].step for p in seen.game.players]
    if seen.oracle is None or blocks < _LEAST_BLOCKS or any(s.horizon is not None for s in steps):
        return None
    if not np.isfinite(means).all():
        return None
    size = np.array([s.size for s in steps])
    ends = np.linspace(0, len(means) - 1, blocks + 1).astype(int)
    made = moves[ends[1:]] - moves[ends[:-1]]
    moved = (means[ends[1:]] - means[ends[:-1]]) / np.maximum(made * size, 1e-300)[..., None]
    apart = np.stack([mu - seen.oracle.best_response(mu) for mu in means])
    rest = np.stack([apart[a:b].mean(axis=0) for a, b in pairwise(ends)])
    moving = made > 0
    return rest + np.where(moving[..., None], moved, 0.0), moving.all(axis=0)


def _lagging(seen: Evidence, blame: Array | None, significance: float, tolerance: float) -> Signature | None:
    """Few players whose error is far above their floor, and far above the others', and what sets them apart.

    At its floor a squared error is that many times a χ² of as many degrees as it is a mean of independent values. Over
    the last quarter these are as many as correlation leaves, in each statistic (but one, since shares sum to 1).
    """
    if seen.errors is None or seen.floors is None or len(seen.floors) > _MOST or not (seen.floors > 0).all():
        return None
    half, names = seen.half, seen.game.players
    late = seen.errors[half][-max(1, len(seen.errors[half]) // 2) :] ** 2
    if len(late) < 4:
        return None
    level = late.mean(axis=0)
    ratio = np.sqrt(level) / seen.floors
    spacing = float(seen.times[-1] - seen.times[-2])
    phi = 0.0 if seen.slowest is None else float(np.exp(2 * min(seen.slowest, 0.0) * spacing))
    count = max(len(late) * (1 - phi) / (1 + phi), 1.0) * (1 if seen.means is None else max(seen.means.shape[2] - 1, 1))
    allowed = (1 + tolerance) ** 2 * chi_square(significance / len(names), count) / count
    excess = np.sqrt(np.maximum(level - seen.floors**2, 0.0))
    behind = (ratio**2 > allowed) & (excess > _AHEAD * np.median(excess))
    if blame is not None:
        behind &= blame**2 < level / 4
    if not behind.any() or 2 * behind.sum() > len(names):
        return None
    worst = int(np.argmax(np.where(behind, ratio, 0.0)))
    found = _cause(seen, worst)
    if found is None:
        return None
    cause, remedy = found
    times = excess[worst] / max(float(np.median(excess)), 1e-300)
    late_ones = tuple(names[k] for k in np.flatnonzero(behind))
    return Signature(
        SIGNATURES[2],
        f"{names_of(late_ones)} {'lags' if len(late_ones) == 1 else 'lag'} behind: the error of player {names[worst]} "
        f"is {ratio[worst]:.3g} times its floor and {times:.3g} times the median of all; {cause}",
        remedy,
        late_ones,
    )


def _cause(seen: Evidence, player: int) -> tuple[str, str] | None:
    """What sets a player apart from the others, and what to do; None where it is neither pace, α nor staleness."""
    graph, name = seen.game.graph, seen.game.players[player]
    if seen.moves is not None:
        made, usual = float(seen.moves[-1, player]), float(np.median(seen.moves[-1]))
        if made * _BEHIND < usual:
            return (
                f"it made {made:.0f} moves, the median is {usual:.0f}",
                f"give player {name} a faster machine or less work a move, or play on until it has caught up",
            )
    own = self_weights(graph)
    hops = np.linalg.solve(np.eye(len(own)) - listening_matrix(graph), np.ones(len(own)))
    if hops[player] > _BEHIND * np.median(hops):
        return (
            f"α leaves it far from real data: along it {hops[player]:.3g} steps to the first private rows, the median "
            f"is {np.median(hops):.3g} (its self-weight is {own[player]:.3g}, the median {np.median(own):.3g})",
            f"raise the self-weight of player {name} or of those it listens to, or spread its α over more players",
        )
    if seen.staleness is not None:
        age, usual = float(seen.staleness[seen.half, player].mean()), float(np.median(seen.staleness[seen.half]))
        if age > _BEHIND * max(usual, 1.0):
            return (
                f"the letters it learns from are {age:.3g} moves old, the median is {usual:.3g}",
                f"look at the links into player {name}",
            )
    return None


def _bottleneck(seen: Evidence) -> Signature | None:
    """Messages lost or late, and play slower than half the speed that it would have without.

    The speed without is that of the same mode on a Poisson clock, 1 − |λ|, which no clock falls short of.
    """
    travel = _travel(seen)
    if travel is None or seen.ideal is None or not seen.ideal < 0:
        return None
    lost, late = travel
    clock = seen.ideal if seen.poisson else float(np.exp(seen.ideal)) - 1
    rho = max(1 + clock, 0.0)
    explained = (1 - lost) * _delayed(rho, late) / (rho - 1)
    if explained > _SLOWER or (seen.rate is not None and seen.rate < _SLOWER * clock):
        return None
    shown = "too slowly to be measured" if seen.rate is None else f"at {max(-seen.rate, 0.0):.3g} per unit of time"
    what = f"{100 * lost:.0f} % of messages never come" if lost > 0 else "no message is lost"
    return Signature(
        SIGNATURES[3],
        f"{what}, the others come {late:.3g} moves late: the log-error falls {shown}, without loss and delay it would "
        f"at {-clock:.3g} (what is lost and late explains a factor {explained:.2f})",
        "send more rows less often, over better links; more moves between messages do not help",
    )


def _delayed(rho: float, delay: float) -> float:
    """Slope of the log-error with the same delay on every edge, W₀(ρτe^τ)/τ − 1 (docs/theory.md, 5)."""
    from scipy.special import lambertw

    if delay < 1e-6:
        return rho - 1
    if delay > 500:
        return -(1 - rho) / delay
    return float(np.real(lambertw(rho * delay * np.exp(delay)))) / delay - 1


def _travel(seen: Evidence) -> tuple[float, float] | None:
    """Share of messages that never come, and how many moves the others come late, by a line through the counts."""
    if seen.heard is None or seen.expected is None or seen.moves is None:
        return None
    came, sent = seen.heard.sum(axis=1), seen.expected.sum(axis=1)
    if len(came) < 4 or sent[-1] <= 0:
        return None
    half = seen.half
    if np.ptp(sent[half]) <= 0:
        return None
    slope = float(np.polyfit(sent[half], came[half], 1)[0])
    lost = min(max(1 - slope, 0.0), 1.0)
    missing = (sent[half] - came[half] / max(slope, 0.05)).mean()
    per_move = float(sent[-1] / max(seen.moves[-1].mean(), 1e-300))
    late = max(float(missing) / max(per_move, 1e-300), 0.0) if slope > 0.05 else 0.0
    return (0.0 if lost < 0.01 else lost), (0.0 if late < 0.05 else late)
