"""What privacy costs: how far noised releases move the equilibrium of a game, predicted and measured."""

__all__ = ["PrivacyCost", "predict_privacy"]

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..topology import influence
from .family import Array
from .game import Game
from .oracle import Oracle
from .release import clipped_mean, release_noise, row_bound
from .specs import PlayerSpec


@dataclass(frozen=True, eq=False)
class PrivacyCost:
    """How far the equilibrium with privacy is from the one without, over the statistics of each player.

    Arguments:
        noise: standard deviation that the noise of all releases makes, root mean square over statistics: `[N]`.
        bias: shift because rows are clipped, `[N, d]`; None where rows are clipped that are not known here, or
            that have no finite mean.
        shift: μ* − μ* without privacy, of the releases that there are, `[N, d]`; None where rows are not known here, or
            have no finite mean.
    """

    noise: Array
    bias: Array | None
    shift: Array | None

    @property
    def predicted(self) -> Array | None:
        """Root mean square that is expected of the shift of each player, `[N]`; None where the bias is not known."""
        if self.bias is None:
            return None
        return np.asarray(np.sqrt(self.noise**2 + (self.bias**2).mean(axis=1)), np.float64)

    @property
    def measured(self) -> Array | None:
        """Root mean square over statistics of `shift`, `[N]`; None where that is not known."""
        return None if self.shift is None else np.asarray(np.sqrt((self.shift**2).mean(axis=1)), np.float64)

    @property
    def predicted_rms(self) -> float | None:
        """Of all players together; None where it is not known."""
        return _rms(self.predicted)

    @property
    def measured_rms(self) -> float | None:
        """Of all players together; None where it is not known."""
        return _rms(self.measured)


def predict_privacy(game: Game) -> PrivacyCost:
    """The utility cost of privacy in closed form: what the releases of all players do to the equilibrium of each.

    The equilibrium is linear in the releases, μ* = B μ̂ with the influence B, so that before they are projected

        E‖μ*_i − μ*_i without privacy‖² / d = Σ_j (B_ij s_j σ_j C_j / n_j)² + ‖Σ_j B_ij s_j b_j‖² / d,

    with s_j = n_j / (n_j + λ_j) of smoothing and b_j what clipping does to the mean of j. A release outside the set of
    mean parameters is drawn back into it, mostly towards the truth, so that where the noise is wide the measured cost
    is less.

    Arguments:
        game: of players of one exponential family; those without privacy release their statistics as they are.

    Raises:
        NoClosedFormError: see `games.equilibrium`.
    """
    oracle = Oracle.of(game)
    specs = [game.specs[player] for player in game.players]
    shares = influence(game.graph)
    noise = np.array([_noise(spec) for spec in specs])
    biases = [_bias(spec) for spec in specs]
    shifts = [_shift(spec) for spec in specs]
    return PrivacyCost(
        np.asarray(np.sqrt(shares**2 @ noise**2), np.float64),
        _spread(shares, biases, oracle.family.size),
        _spread(shares, shifts, oracle.family.size),
    )


def _noise(spec: PlayerSpec) -> float:
    """s σ C / n of a player."""
    if spec.private is None or spec.family is None:
        return 0.0
    return release_noise(spec.family, spec.rows, spec.private) * spec.rows / (spec.rows + spec.smoothing)


def _bias(spec: PlayerSpec) -> Array | float | None:
    """s b of a player; None where it cannot be known here, or its rows have no finite mean."""
    family, privacy = spec.family, spec.private
    if family is None or privacy is None:
        return 0.0
    clip = row_bound(family, privacy)
    if clip >= family.bound(family.reference):
        return 0.0
    if spec.summary is not None:
        return None
    rows = spec.parts[0]
    scale = spec.rows / (spec.rows + spec.smoothing)
    return _finite(lambda: scale * (clipped_mean(family, rows, clip) - family.mean_statistics(rows)))


def _shift(spec: PlayerSpec) -> Array | float | None:
    """What privacy does to the smoothed statistics of a player; None as in `_bias`."""
    if spec.private is None:
        return 0.0
    if spec.summary is not None:
        return None
    return _finite(lambda: spec.anchor() - replace(spec, privacy=None).anchor())


def _finite(difference: Callable[[], Array]) -> Array | None:
    """A difference to the mean of rows as they are, which a single row can make infinite, or its square; then None."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = difference()
        return found if np.isfinite(found @ found) else None


def _spread(shares: Array, own: list[Array | float | None], size: int) -> Array | None:
    """What comes of it at every player, `[N, d]`; None if that of somebody is not known."""
    known = [value for value in own if value is not None]
    if len(known) < len(own):
        return None
    return np.asarray(shares @ np.stack([np.broadcast_to(value, (size,)) for value in known]), np.float64)


def _rms(values: Array | None) -> float | None:
    return None if values is None else float(np.sqrt((values**2).mean()))
