"""Defences of a listener: what is left out, what trust does, that rows stay stochastic, and that saved ones go on."""

from typing import Any

import numpy as np
import pytest

from nashgossip.agents import ExponentialFamilyModel, Guard, Message, Neighbour, Player
from nashgossip.agents.mailbox import Letter
from nashgossip.games import Batch, Categorical, Defence, Gaussian, Screen, Space, Trust, Variable

FAMILY = Gaussian((2,))
OWN = FAMILY.sample(np.zeros(2), 100, np.random.default_rng(0))
ALPHA = {"a": 0.4, "b": 0.3}


def rows(mean: float, seed: int, n: int = 100) -> Batch:
    return FAMILY.sample(np.full(2, mean), n, np.random.default_rng(seed))


def listener(defence: Defence | None, *, self_weight: float = 0.3) -> Player:
    """p, which hears a and b."""
    guard = None if defence is None else Guard(defence, [OWN], ALPHA, seed=0, index=0)
    return Player(
        "p",
        ExponentialFamilyModel(FAMILY),
        data=OWN,
        self_weight=self_weight,
        neighbours={name: Neighbour(alpha, FAMILY.space) for name, alpha in ALPHA.items()},
        listeners={},
        samples=5,
        seed=0,
        index=0,
        guard=guard,
        clone=lambda: ExponentialFamilyModel(FAMILY),
    )


def hear(one: Player, number: int, **means: float) -> None:
    for k, (sender, mean) in enumerate(means.items()):
        one.receive(Message.of(rows(mean, 10 * number + k), sender=sender, sequence=number))


def test_without_a_defence_alpha_is_as_it_was_and_nothing_is_told() -> None:
    plain, guarded = listener(None), listener(Defence(clip=1.0))
    for one in (plain, guarded):
        hear(one, 1, a=0.0, b=5.0)
        one.move()
    assert plain.shares is None
    assert guarded.shares == pytest.approx(ALPHA)
    assert guarded.mean_parameters == pytest.approx(plain.mean_parameters)
    assert "guard" not in plain.state()


def test_a_screen_leaves_out_what_is_told_apart_and_gives_its_weight_to_the_others() -> None:
    one = listener(Defence(screen=Screen()))
    hear(one, 1, a=0.0, b=3.0)
    one.move()
    assert one.shares == pytest.approx({"a": 0.4 / 0.7, "b": 0.0})
    assert one.rejected == {"screened": 1}
    one.move()
    assert one.rejected == {"screened": 1}, "the same letter is counted once"
    hear(one, 2, b=3.0)
    one.move()
    assert one.rejected == {"screened": 2}


def test_a_screen_leaves_its_own_distribution_out_as_often_as_its_level_says() -> None:
    level, times, refused = 0.1, 200, 0
    for number in range(times):
        own, letter = rows(0.0, number, 30), Letter(1, rows(0.0, 1000 + number, 40), 0)
        guard = Guard(Defence(screen=Screen(level=level)), [own], ["a"], seed=number, index=0)
        refused += guard.weigh(0.5, {"a": (0.5, [letter])}, settle=True).refused
    assert refused / times == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / times))


def test_a_limit_tolerates_neighbours_that_differ() -> None:
    strict, lenient = listener(Defence(screen=Screen())), listener(Defence(screen=Screen(limit=0.3)))
    for one in (strict, lenient):
        hear(one, 1, a=1.0, b=4.0)
        one.move()
    assert strict.shares == {"a": 0.0, "b": 0.0}
    assert lenient.shares == pytest.approx({"a": 0.4 / 0.7, "b": 0.0})


def test_trust_falls_and_comes_back_by_its_rate() -> None:
    one = listener(Defence(trust=Trust(rate=0.5, scale=0.05)))
    told = []
    for number in range(8):
        hear(one, number, a=0.0, b=4.0 if number < 4 else 0.0)
        one.move()
        assert one.shares is not None
        told.append(one.shares["b"])
    assert told[:4] == sorted(told[:4], reverse=True)
    assert told[3:] == sorted(told[3:])
    assert told[0] < 0.3
    likely = 0.5**4 * 0.3  # of four messages of another kind, trust is about 1/16
    assert told[3] == pytest.approx(likely / (0.3 + 0.4 + likely), rel=0.4)


def test_a_bound_gives_what_it_cuts_off_to_the_own_rows() -> None:
    one = listener(Defence(clip=0.1))
    hear(one, 1, a=1.0, b=1.0)
    one.move()
    assert one.shares == pytest.approx({"a": 0.1, "b": 0.1})
    expected = 0.8 * FAMILY.mean_statistics(OWN) + 0.1 * sum(FAMILY.mean_statistics(rows(1.0, 10 + k)) for k in (0, 1))
    assert one.mean_parameters == pytest.approx(expected)


@pytest.mark.parametrize("self_weight", [0.3, 0.0])
def test_rows_stay_stochastic(self_weight: float) -> None:
    guard = Guard(Defence(Screen(limit=0.3), Trust(), clip=0.5), [OWN], ALPHA, seed=0, index=0)
    rng = np.random.default_rng(1)
    for number in range(10):
        heard = {k: (a, [Letter(number, rows(rng.uniform(0, 3), number), 0)]) for k, a in ALPHA.items()}
        found = guard.weigh(self_weight, heard, settle=True)
        total = found.own + sum(share for share, _ in found.heard.values())
        assert total == pytest.approx(1.0) or (self_weight == 0 and total == 0 and found.refused)


def test_asking_does_not_change_what_is_thought() -> None:
    one, other = (listener(Defence(Screen(limit=0.1), Trust(rate=0.5))) for _ in range(2))
    for number in range(4):
        for p in (one, other):
            hear(p, number, a=0.5, b=2.0)
        assert one.estimate_regret(1) is None or number
        one.move()
        other.move()
    assert one.state()["guard"] == other.state()["guard"]
    assert one.rejected == other.rejected


def test_a_restored_listener_goes_on_exactly() -> None:
    defence = Defence(Screen(limit=0.1), Trust(rate=0.3), clip=0.3)
    one, other = listener(defence), listener(defence)
    hear(one, 1, a=0.5, b=2.0)
    one.move()
    other.load(one.state())
    assert other.shares == one.shares
    for p in (one, other):
        hear(p, 2, a=0.7, b=0.0)
        p.move()
    assert other.shares == one.shares
    assert other.mean_parameters == pytest.approx(one.mean_parameters, abs=0)


def test_who_is_no_neighbour_any_more_is_forgotten() -> None:
    one = listener(Defence(trust=Trust(rate=1.0)))
    hear(one, 1, a=0.0, b=4.0)
    one.move()
    one.rewire(0.6, {"b": Neighbour(0.4, FAMILY.space)}, {})
    assert one.shares is not None
    assert one.shares.keys() == {"b"}
    one.move()
    assert one.shares["b"] < 0.1
    one.rewire(0.6, {"a": Neighbour(0.2, FAMILY.space), "b": Neighbour(0.2, FAMILY.space)}, {})
    assert list(one.shares) == ["a", "b"]


def test_only_shared_variables_are_compared() -> None:
    x, c = Variable("x", "real"), Variable("c", "categorical", categories=3)
    both, only = Space((c, x)), Space((c,))
    rng = np.random.default_rng(0)
    own = both.batch({"c": rng.integers(0, 3, 100), "x": rng.normal(50.0, 5.0, 100)})
    guard = Guard(Defence(screen=Screen()), [own], ["a", "b"], seed=0, index=0)

    def refused(sender: str, batch: Batch) -> int:
        return guard.weigh(0.5, {sender: (0.5, [Letter(1, batch, 0)])}, settle=True).refused

    assert refused("a", only.batch({"c": rng.integers(0, 3, 100)})) == 0
    assert refused("b", both.batch({"c": rng.integers(0, 3, 100), "x": rng.normal(80.0, 5.0, 100)})) == 1


def test_labels_that_are_missing_are_seen() -> None:
    family: Any = Categorical(4)
    own = family.sample(family.reference, 100, np.random.default_rng(0))
    guard = Guard(Defence(screen=Screen()), [own], ["a"], seed=0, index=0)
    one_class = family.space.batch({family.space.names[0]: np.zeros_like(own[family.space.names[0]])})
    assert guard.weigh(0.5, {"a": (0.5, [Letter(1, one_class, 0)])}, settle=True).refused == 1
