"""How far what hostile players send spreads: the equilibrium of the others, in closed form."""

__all__ = ["Poisoned", "honest_players", "poisoned_equilibrium", "predict_poisoned"]

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conduct import Conduct, FreeRider, Liar, Mute, Poisoner
from .defence import clipped
from .family import Array, ExponentialFamily
from .game import Game
from .oracle import NoClosedFormError, Oracle
from .specs import PlayerSpec


@dataclass(frozen=True, eq=False)
class Poisoned:
    """Where a game with hostile players comes to rest, beside the equilibrium of the same game with honest ones alone.

    Arguments:
        equilibrium: μ, `[N, d]`; of hostile players it is what they know, not what they send.
        shift: μ − μ*, `[N, d]`, μ* the equilibrium if all were honest.
        honest: who is, `[N]`.
    """

    equilibrium: Array
    shift: Array
    honest: NDArray[np.bool_]

    @property
    def errors(self) -> Array:
        """Root mean square over the statistics of the shift of each player: `[N]`."""
        return np.asarray(np.sqrt((self.shift**2).mean(axis=1)), np.float64)

    @property
    def honest_rms(self) -> float:
        """The same over all honest players together."""
        return float(np.sqrt((self.errors[self.honest] ** 2).mean()))


def honest_players(specs: Mapping[Any, PlayerSpec], players: Iterable[Hashable]) -> NDArray[np.bool_]:
    """Which of the players have no conduct but the honest one: `[N]`."""
    return np.array([specs[player].conduct is None for player in players], bool)


def poisoned_equilibrium(
    listening: Array, self_weights: Array, anchors: Array, bias: Array, answers: Array | None = None
) -> Array:
    """The fixed point of players who learn from what is sent, not from what is known: μ = D μ̂ + W s, s = K μ + b.

    Of a poisoner whose sent mean parameters have the constant bias b_k, K is the identity, and

        μ − μ* = (I − W)⁻¹ W b,

    row i of which is Σ_k c_ik b_k, with c = (I − W)⁻¹ W the listening that reaches i from k over all paths: the
    influence of data is B = (I − W)⁻¹ D, so c_ik = (B_ik − δ_ik D_kk) / D_kk wherever D_kk > 0. A player whose own
    weight is small is heard far more than its data are. In general μ = (I − W K)⁻¹ (D μ̂ + W b).

    Arguments:
        listening: W, `[N, N]`.
        self_weights: the diagonal of D, `[N]`; it and the row sums of W make 1.
        anchors: μ̂, `[N, d]`.
        bias: b, `[N, d]`; 0 for honest players.
        answers: K, `[N, N]`, whose mean parameters a player sends; None for everyone's own.

    Returns:
        μ, `[N, d]`.

    Raises:
        NoClosedFormError: I − W K is singular: neither real data nor a constant reaches somebody.

    Source: the best response and its equilibrium are those of Schlesinger & Flach, *Game-theoretic distributed
    learning of generative models*, 2025; what is sent in place of the model enters it as stubborn agents do in
    Acemoglu, Como, Fagnani & Ozdaglar, *Opinion fluctuations and disagreement in social networks*, 2013.

    >>> W, D = np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([0.5, 0.5])
    >>> poisoned_equilibrium(W, D, np.zeros((2, 1)), np.array([[0.0], [3.0]])).round(6).tolist()
    [[2.0], [1.0]]
    """
    heard = listening if answers is None else listening @ answers
    known = self_weights[:, None] * anchors + listening @ bias
    try:
        found = np.linalg.solve(np.eye(len(heard)) - heard, known)
    except np.linalg.LinAlgError:
        found = np.full_like(known, np.nan)
    if not np.isfinite(found).all() or np.abs(found - heard @ found - known).max() > 1e-6 * (1 + np.abs(known).max()):
        raise NoClosedFormError("neither real data nor anything constant reaches somebody: the game drifts")
    return np.asarray(found, np.float64)


def predict_poisoned(game: Game, shares: Array | None = None) -> Poisoned:
    """Where a game of one exponential family comes to rest with the conducts and defences of its players.

    The means over time of what honest players know, that is: the noise of sampling comes on top, as without poison.
    What is known of a conduct: a shift by b has bias b where statistics are linear in the values (`gaussian`,
    `poisson`, `exponential`), and sends (1 − p) μ + p φ of bits and categories; a collapse has no bias, only more
    noise; a constant free rider, and a liar who is `ahead` or `behind`, sends its start; one that copies, the mean of
    those it hears; one that is mute or invalid is as good as not there; a flooder is honest.

    Arguments:
        game: the game.
        shares: what listeners with a defence learned from on average, `[N, N]`, row i the listener, α_ii on the
            diagonal, rows sum to 1; for a defence that compares. Bounds on shares alone are known without.

    Raises:
        NoClosedFormError: see `Oracle.of`; a conduct that is not linear in mean parameters (labels flipped, falling
            silent later, a shift that bounds cut off); or a defence that compares, and no `shares`.
    """
    oracle = Oracle.of(game)
    listening = oracle.listening if isinstance(oracle.listening, np.ndarray) else oracle.listening.toarray()
    players = game.players
    conducts = [game.specs[player].conduct for player in players]
    if shares is None:
        listening, own = _bounded(game, *_heard(listening, oracle.self_weights, conducts))
    else:
        own = np.diag(shares).copy()
        listening = shares - np.diag(own)
    answers, bias = np.eye(len(players)), np.zeros_like(oracle.anchors)
    copied: list[int] = []
    for k, conduct in enumerate(conducts):
        if isinstance(conduct, Poisoner):
            answers[k, k], bias[k] = _sent(conduct, oracle.family)
        elif isinstance(conduct, Liar | FreeRider):
            answers[k, k] = 0.0
            if isinstance(conduct, FreeRider) and conduct.how == "copy":
                copied.append(k)
            else:
                bias[k] = oracle.start[k]
    if copied:
        answers, bias = _copied(oracle.listening, conducts, copied, answers, bias)
    found = poisoned_equilibrium(listening, own, oracle.anchors, bias, answers)
    return Poisoned(found, found - oracle.equilibrium, honest_players(game.specs, players))


def _heard(listening: Array, own: Array, conducts: list[Conduct | None]) -> tuple[Array, Array]:
    """W and D once those who are never heard have left their weight to the others."""
    silent = np.array([_silent(conduct) for conduct in conducts])
    listening = np.where(silent[None, :], 0.0, listening)
    total = own + listening.sum(axis=1)
    if not (total > 0).all():
        raise NoClosedFormError("a player without data hears nobody: it stays where it starts")
    return listening / total[:, None], own / total


def _silent(conduct: Conduct | None) -> bool:
    if isinstance(conduct, Mute) and conduct.after:
        raise NoClosedFormError("a player falls silent later: what it said last is not known before")
    return isinstance(conduct, Mute) or (isinstance(conduct, Liar) and conduct.how == "invalid")


def _bounded(game: Game, listening: Array, own: Array) -> tuple[Array, Array]:
    """W and D with the shares that listeners bound."""
    listening, own = listening.copy(), own.copy()
    for i, player in enumerate(game.players):
        defence = game.specs[player].defence
        if defence is None:
            continue
        if defence.compares:
            raise NoClosedFormError(f"what player {player} leaves out or trusts depends on play; give its shares")
        heard = listening[i] > 0
        if defence.clip is not None and heard.any():
            own[i], listening[i, heard] = clipped(float(own[i]), listening[i, heard], defence.clip)
    return listening, own


def _sent(conduct: Poisoner, family: ExponentialFamily) -> tuple[float, Array]:
    """κ and b of a poisoner that sends κ μ + b."""
    nothing = np.zeros(family.size)
    if conduct.how == "collapse":
        return 1.0, nothing
    variables = list(family.space)
    kinds = {variable.kind for variable in variables}
    if conduct.how == "flip" or len(kinds) > 1:
        raise NoClosedFormError(f"what a poisoner sends by {conduct.how} is not linear in the mean parameters it knows")
    if kinds <= {"binary", "categorical"}:
        share = min(abs(conduct.by), 1.0)
        end = [0 if (v.kind == "categorical") == (conduct.by > 0) else (v.categories or 2) - 1 for v in variables]
        row = {v.name: np.full((1, *v.shape), e, v.dtype) for v, e in zip(variables, end, strict=True)}
        return 1.0 - share, share * family.mean_statistics(family.space.batch(row))
    by = float(round(conduct.by)) if kinds == {"count"} else conduct.by
    bounded = any(v.kind == "count" or v.low is not None for v in variables)
    if family.name not in ("gaussian", "poisson", "exponential") or (bounded and by < 0):
        raise NoClosedFormError(f"a shift by {by} of family {family.name} is not a constant bias of what is sent")
    near, far = (
        family.mean_statistics(family.space.batch({v.name: np.full((1, *v.shape), c, v.dtype) for v in variables}))
        for c in (1, 1 + abs(by))
    )
    return 1.0, (far - near) * np.sign(by)


def _copied(
    listening: Any, conducts: list[Conduct | None], copied: list[int], answers: Array, bias: Array
) -> tuple[Array, Array]:
    """K and b with those who pass on what they hear, any neighbour that speaks as often as any other."""
    passed = np.zeros_like(answers)
    weights = listening if isinstance(listening, np.ndarray) else listening.toarray()
    for k in copied:
        speaks = np.array([w > 0 and not _silent(c) for w, c in zip(weights[k], conducts, strict=True)])
        if not speaks.any():
            raise NoClosedFormError("one that copies hears nobody: it never speaks")
        passed[k] = speaks / speaks.sum()
    try:
        through = np.linalg.inv(np.eye(len(passed)) - passed)
    except np.linalg.LinAlgError:
        raise NoClosedFormError("some who copy hear each other alone: what they pass on has no origin") from None
    return through @ answers, through @ bias
