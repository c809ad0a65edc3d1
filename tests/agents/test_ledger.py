"""The ledger against two libraries' accountants, and the budget that it keeps."""

import subprocess
import sys

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import compute_epsilon
from opacus.accountants.analysis import rdp as opacus_rdp

from nashgossip.agents import Ledger, PrivacyPlan, least_noise
from nashgossip.agents.ledger import ORDERS, sampling_rate
from nashgossip.games import Privacy, PrivacyError

PLAN = [(0.1, 20), (0.03, 500)]


@pytest.mark.parametrize(("rate", "noise", "steps"), [(0.01, 1.0, 1000), (0.2, 3.0, 50), (1.0, 5.0, 7)])
def test_epsilon_is_that_of_opacus_and_that_of_dp_accounting(rate, noise, steps):
    ledger = Ledger(Privacy(100.0, noise=noise))
    ledger.spend(rate, steps)
    rho = opacus_rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=ORDERS)
    opacus, _ = opacus_rdp.get_privacy_spent(orders=ORDERS, rdp=rho, delta=1e-5)
    assert ledger.spent().epsilon == pytest.approx(opacus, rel=1e-6)
    assert ledger.spent().epsilon == pytest.approx(compute_epsilon(ORDERS, ledger.state()["rho"], 1e-5)[0], rel=1e-9)
    assert ledger.spent().delta == 1e-5


def test_epsilon_is_above_that_of_the_privacy_loss_distribution_and_not_by_much():
    """RDP is an upper bound; the distribution itself is what it bounds, up to the grid it is rounded up to."""
    ledger = Ledger(Privacy(100.0, noise=1.0))
    ledger.spend(0.01, 1000)
    exact = PLDAccountant()
    exact.compose(PoissonSampledDpEvent(0.01, GaussianDpEvent(1.0)), 1000)
    assert exact.get_epsilon(1e-5) < ledger.spent().epsilon < 1.25 * exact.get_epsilon(1e-5)


@pytest.mark.parametrize("epsilon", [0.3, 3.0, 30.0])
def test_the_least_noise_pays_for_the_plan_and_hardly_more(epsilon):
    noise = least_noise(Privacy(epsilon), PLAN)
    ledger = Ledger(Privacy(epsilon), PLAN)
    assert ledger.noise == noise
    for rate, steps in PLAN:
        assert ledger.affordable(rate, steps) == steps
        ledger.spend(rate, steps)
    assert epsilon * 0.999 < ledger.spent().epsilon <= epsilon
    assert ledger.spent().exhausted
    quieter = Ledger(Privacy(epsilon, noise=0.99 * noise), PLAN)
    quieter.spend(*PLAN[0])
    assert quieter.affordable(*PLAN[1]) < PLAN[1][1]


def test_the_budget_ends_exactly_where_one_more_step_would_cost_more():
    ledger = Ledger(Privacy(1.0, noise=2.0))
    assert ledger.spent().epsilon == 0.0
    assert not ledger.spent().exhausted
    most = ledger.affordable(0.05, 10**6)
    ledger.spend(0.05, most)
    assert ledger.spent().epsilon <= 1.0
    assert ledger.spent().exhausted
    assert ledger.affordable(0.05, 1) == 0
    with pytest.raises(PrivacyError, match="1 private steps at rate 0.05 came, but the budget pays for fewer"):
        ledger.spend(0.05, 1)
    rho = opacus_rdp.compute_rdp(q=0.05, noise_multiplier=2.0, steps=most + 1, orders=ORDERS)
    assert opacus_rdp.get_privacy_spent(orders=ORDERS, rdp=rho, delta=1e-5)[0] > 1.0


def test_cheaper_steps_go_on_where_dear_ones_end():
    ledger = Ledger(Privacy(1.0, noise=2.0), [(0.5, 10)])
    ledger.spend(0.5, ledger.affordable(0.5, 10**6))
    assert ledger.spent().exhausted
    assert ledger.affordable(0.001, 1) == 1


def test_a_ledger_goes_on_from_its_state():
    first, second = Ledger(Privacy(2.0), PLAN), Ledger(Privacy(2.0), PLAN)
    first.spend(0.1, 20)
    second.load(first.state())
    for ledger in (first, second):
        ledger.spend(0.03, 77)
    assert first.spent() == second.spent()
    assert first.affordable(0.03, 10**6) == second.affordable(0.03, 10**6)
    assert np.array_equal(first.state()["rho"], second.state()["rho"])
    with pytest.raises(PrivacyError, match=r"state holds \(3,\) costs"):
        second.load({**first.state(), "rho": np.zeros(3)})


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(PrivacyError, match="without noise and without a plan"):
        Ledger(Privacy(1.0))
    with pytest.raises(PrivacyError, match="epsilon 0.0001 with delta 1e-05 cannot be kept"):
        least_noise(Privacy(1e-4), PLAN)
    with pytest.raises(PrivacyError, match="expected at least one row"):
        PrivacyPlan(0, ((1.0, 1),))
    with pytest.raises(PrivacyError, match="weights above 0 and at most 1"):
        PrivacyPlan(10, ((1.5, 1),))


def test_a_plan_is_a_schedule_of_rates():
    assert PrivacyPlan(200, ((1.0, 1), (0.4, 30))).schedule(batch=50, steps=10) == [(0.25, 10), (0.1, 300)]
    assert sampling_rate(1.0, 50, 20) == 1.0


def test_without_the_library_the_extra_is_named():
    code = (
        "import sys; sys.modules['dp_accounting'] = None\n"
        "from nashgossip.agents import Ledger\nfrom nashgossip.games import Privacy\nLedger(Privacy(1.0), [(0.1, 1)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "privacy needs the extra 'privacy'" in done.stderr


def test_a_ledger_that_is_taken_back_keeps_what_was_spent() -> None:
    def fresh() -> Ledger:
        return Ledger(Privacy(1.0, noise=2.0))

    first, known = fresh(), fresh()
    first.spend(0.05, 7)
    known.spend(0.05, 7)
    known.spend(0.02, 3)
    for start in (fresh().state(), first.state(), known.state()):
        back = fresh()
        back.load(start)
        back.keep(known.spending())
        assert back.spending() == known.spending()
        assert back.spent() == known.spent()
    known.keep(first.spending())  # less than there is already
    assert back.spending() == known.spending()


def test_a_step_that_epsilon_does_not_show_is_spent_all_the_same() -> None:
    ledger = Ledger(Privacy(1.0, delta=5e-3, noise=30.0), [(0.01, 100)])
    before = ledger.spending()
    ledger.spend(0.01, 20)
    assert ledger.spent().epsilon == 0.0  # delta alone covers it
    assert ledger.spending() != before
