"""What a network's private gradient steps cost: noise that a plan can be paid with, and a budget that runs out."""

__all__ = ["Ledger", "PrivacyPlan", "least_noise", "sampling_rate"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..games import Privacy, PrivacyError, PrivacySpent
from .protocols import State

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512, 1024)
"""Orders α of the Rényi divergence at which steps are counted: whole ones, whose cost is a finite sum."""

_LEAST, _MOST = 0.05, 1e6
"""Noise multipliers that are looked at."""

_SLACK = 1e-6
"""Share of the budget that a plan leaves over, so that rounding does not cost it its last step."""


@dataclass(frozen=True)
class PrivacyPlan:
    """How a model will learn from its private rows, as far as is known before play: what noise is chosen by.

    Arguments:
        rows: n, the number of private rows, which is public.
        calls: (weight, calls): so many calls of `learn` in which the private rows have this weight together.
    """

    rows: int
    calls: tuple[tuple[float, int], ...]

    def __post_init__(self) -> None:
        if self.rows < 1 or not self.calls or any(not 0 < weight <= 1 or count < 1 for weight, count in self.calls):
            raise PrivacyError(
                f"the plan is {self}, expected at least one row, and weights above 0 and at most 1, each with at least "
                "one call; a player without private rows needs no privacy"
            )

    def schedule(self, batch: int, steps: int) -> list[tuple[float, int]]:
        """(q, steps) in turn, for minibatches of `batch` rows and `steps` gradient steps a call."""
        return [(sampling_rate(weight, batch, self.rows), count * steps) for weight, count in self.calls]


def sampling_rate(weight: float, batch: int, rows: int) -> float:
    """q = min(1, a·B/n): with which probability a private row is in a minibatch.

    Arguments:
        weight: a, that of the private rows together.
        batch: B, rows of a minibatch.
        rows: n, the number of private rows.

    >>> sampling_rate(0.3, 100, 600)
    0.05
    """
    return min(1.0, weight * batch / rows)


@final
class Ledger:
    """Counts Poisson-subsampled Gaussian steps against a budget (ε, δ), by Rényi differential privacy.

    A step at sampling rate q and noise multiplier σ costs ρ_α(q, σ) at each order α; costs add up, and
    ε = ρ_α + log(1 − 1/α) − log(δα) / (α − 1). The budget is kept at one order, the one at which the plan takes the
    smallest share of it, so that it holds for rates that are chosen on the way as well.

    Arguments:
        privacy: the budget, and the noise multiplier σ where it is given.
        schedule: (q, steps) in turn as far as they are planned; None where σ is given and nothing is planned.

    Raises:
        PrivacyError: neither noise nor a plan is given; no noise keeps the plan within the budget; or the extra
            `privacy` is not installed.

    Sources: Mironov, Talwar & Zhang, *Rényi Differential Privacy of the Sampled Gaussian Mechanism*, 2019; Canonne,
    Kamath & Steinke, *The Discrete Gaussian for Differential Privacy*, 2020, for ε; Feldman & Zrnic, *Individual
    Privacy Accounting via a Rényi Filter*, 2021, for the budget at one order; the library dp-accounting.

    >>> ledger = Ledger(Privacy(epsilon=2.0, noise=1.0))
    >>> steps = ledger.affordable(0.01, 10_000)
    >>> ledger.spend(0.01, steps)
    >>> 500 < steps < 1000, ledger.spent().epsilon <= 2.0, ledger.spent().exhausted
    (True, True, True)
    """

    def __init__(self, privacy: Privacy, schedule: Sequence[tuple[float, int]] | None = None) -> None:
        if privacy.noise is None and not schedule:
            raise PrivacyError(
                f"privacy with epsilon {privacy.epsilon:g} came without noise and without a plan; give `noise`, or the "
                "plan that noise is chosen for"
            )
        self._privacy = privacy
        self.noise = least_noise(privacy, schedule or ()) if privacy.noise is None else privacy.noise
        self._caps = _caps(privacy)
        self._order = None if not schedule else self._best_order(schedule)
        self._rho: NDArray[np.float64] = np.zeros(len(ORDERS))
        self._rate = schedule[-1][0] if schedule else None
        self.steps = 0

    def affordable(self, rate: float, steps: int) -> int:
        """How many of so many steps at sampling rate q the budget still pays for."""
        order = self._best_order([(rate, 1)]) if self._order is None else self._order
        left = self._caps[order] - self._rho[order]
        if left < 0:
            return 0
        return int(min(steps, left / _cost(rate, self.noise)[order] * (1 + 1e-12)))

    def spend(self, rate: float, steps: int) -> None:
        """Writes down so many steps at sampling rate q.

        Raises:
            PrivacyError: the budget does not pay for them.
        """
        if steps > self.affordable(rate, steps):
            raise PrivacyError(f"{steps} private steps at rate {rate:g} came, but the budget pays for fewer")
        if self._order is None:
            self._order = self._best_order([(rate, 1)])
        self._rho = self._rho + steps * _cost(rate, self.noise)
        self._rate, self.steps = rate, self.steps + steps

    def spent(self) -> PrivacySpent:
        """ε of all steps so far at the budget's δ; exhausted where one more like the last is not paid for."""
        over = self._rate is not None and self.affordable(self._rate, 1) == 0
        epsilon = 0.0 if not self.steps else max(0.0, float(np.min(self._rho - self._caps)) + self._privacy.epsilon)
        return PrivacySpent(epsilon, self._privacy.delta, over)

    def state(self) -> State:
        """Costs so far at all orders: as many numbers however many steps."""
        return {"rho": self._rho.copy(), "steps": self.steps, "rate": self._rate, "order": self._order}

    def load(self, state: State) -> None:
        """Continues as the ledger whose `state()` this is."""
        rho: NDArray[np.float64] = np.array(state["rho"], np.float64)
        if rho.shape != (len(ORDERS),):
            raise PrivacyError(f"the ledger's state holds {rho.shape} costs, expected ({len(ORDERS)},)")
        self._rho, self.steps = rho, int(state["steps"])
        self._rate, self._order = state["rate"], state["order"]

    def spending(self) -> tuple[float, ...]:
        """Number of steps, their last rate, the order that is counted at (−1 for none yet), and costs at all orders."""
        order = -1 if self._order is None else self._order
        return (self.steps, self._rate or 0.0, order, *self._rho.tolist())

    def keep(self, spending: Sequence[float]) -> None:
        """Counts as spent what was spent once, wherever this ledger was taken back to."""
        steps, rate, order, *rho = spending
        self._rho = np.maximum(self._rho, rho)
        if steps > self.steps:
            self.steps, self._rate, self._order = int(steps), rate, int(order)

    def _best_order(self, schedule: Sequence[tuple[float, int]]) -> int:
        """Position of the order at which the steps take the smallest share of the budget."""
        total: NDArray[np.float64] = np.sum([steps * _cost(rate, self.noise) for rate, steps in schedule], axis=0)
        return int(np.argmax(np.where(self._caps > 0, self._caps, 0.0) / total))


def least_noise(privacy: Privacy, schedule: Sequence[tuple[float, int]]) -> float:
    """The least noise multiplier σ at which a plan of steps costs at most ε.

    Arguments:
        privacy: ε and δ.
        schedule: (q, steps) in turn.

    Raises:
        PrivacyError: no noise does it: ε is too small for the orders that are counted at.

    >>> round(least_noise(Privacy(epsilon=2.0), [(0.01, 1000)]), 2)
    1.02
    """
    return _least_noise(Privacy(privacy.epsilon, privacy.delta), tuple(schedule))


@lru_cache(maxsize=64)
def _least_noise(privacy: Privacy, schedule: tuple[tuple[float, int], ...]) -> float:
    caps = _caps(privacy)

    def excess(log_noise: float) -> float:
        total = np.sum([steps * _cost(rate, math.exp(log_noise)) for rate, steps in schedule], axis=0)
        return float(np.min(total - caps * (1 - _SLACK)))

    low, high = 0.0, 0.0
    while excess(high) > 0:
        low, high = high, high + math.log(2)
        if high > math.log(_MOST) or caps.max() <= 0:
            raise PrivacyError(
                f"epsilon {privacy.epsilon:g} with delta {privacy.delta:g} cannot be kept by any noise that is looked "
                "at; expected more"
            )
    while low == high and excess(low - math.log(2)) <= 0:
        low = high = high - math.log(2)
        if high < math.log(_LEAST):
            return math.exp(high)
    if low == high:
        low = high - math.log(2)
    return math.exp(float(brentq(excess, low, high, xtol=1e-7, rtol=1e-10)) + 2e-7)


def _caps(privacy: Privacy) -> NDArray[np.float64]:
    """What may be spent at each order for the whole to be (ε, δ)-differentially private; none where below 0."""
    orders = np.array(ORDERS)
    caps: NDArray[np.float64] = privacy.epsilon - np.log1p(-1 / orders) + np.log(privacy.delta * orders) / (orders - 1)
    return caps


@lru_cache(maxsize=512)
def _cost(rate: float, noise: float) -> NDArray[np.float64]:
    """ρ of one step at each order."""
    events, rdp = _accounting()
    accountant = rdp.RdpAccountant(ORDERS)
    accountant.compose(events.PoissonSampledDpEvent(rate, events.GaussianDpEvent(noise)))
    found: NDArray[np.float64] = np.asarray(accountant.rdp, np.float64)
    return found


def _accounting() -> tuple[Any, Any]:
    """dp-accounting, imported only by players with privacy."""
    try:
        import dp_accounting
        from dp_accounting import rdp
    except ModuleNotFoundError as error:
        raise PrivacyError.without_extra("privacy", error) from None
    return dp_accounting, rdp
