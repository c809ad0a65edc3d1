"""Conducts and defences as data: what is refused, and what a bound does to a row of shares."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.games import (
    CONDUCTS,
    ConductError,
    Defence,
    DefenceError,
    FreeRider,
    Game,
    GameError,
    Gaussian,
    PlayerSpec,
    Screen,
    Space,
    Trust,
    Variable,
    clipped,
    conduct_for,
)
from nashgossip.games.fleet_game import FleetGame, NoShortcutError
from nashgossip.topology import UnknownNameError, attach_alpha, generate_graph

FAMILY = Gaussian((2,))
ROWS = FAMILY.space.batch({"x": [[0.0, 1.0], [2.0, 3.0]]})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("thief", {}, "unknown kind of conduct 'thief', expected one of flooder, free-rider, liar, mute, poisoner"),
        ("poisoner", {"amount": 1}, "unknown option 'amount' of conduct 'poisoner', expected one of how, by"),
        ("poisoner", {"by": float("nan")}, "`by` of a poisoner is nan, expected a finite number"),
        ("poisoner", {"how": "flip", "by": 0.5}, "expected a finite number, and a whole one of a flip"),
        ("poisoner", {"by": "much"}, "options of conduct 'poisoner' are by: 'much', expected numbers and names"),
        ("flooder", {"messages": 0}, "`messages` of a flooder is 0, expected a whole number of at least 1"),
        ("flooder", {"rows": 1.5}, "`rows` of a flooder is 1.5"),
        ("mute", {"after": -1}, "`after` of a mute is -1, expected a whole number of at least 0"),
    ],
)
def test_a_conduct_that_does_not_exist_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConductError) as caught:
        conduct_for(kind, options)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["poisoner", "free-rider", "liar"])
def test_a_way_that_does_not_exist_is_refused(kind: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown way of a"):
        conduct_for(kind, {"how": "sideways"})


@pytest.mark.parametrize("kind", CONDUCTS)
def test_every_conduct_has_defaults(kind: str) -> None:
    assert conduct_for(kind, {}) == CONDUCTS[kind]()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Screen(level=0.0), "level of a screen is 0.0, expected at least 0.001 and below 1"),
        (lambda: Screen(limit=1.0), "limit of a screen is 1.0, expected at least 0 and below 1"),
        (lambda: Trust(rate=0.0), "rate of trust is 0.0, expected above 0 and at most 1"),
        (lambda: Trust(scale=0.0), "scale of trust is 0.0, expected above 0 and finite"),
        (lambda: Defence(clip=0.0), "clip is 0.0, expected a share above 0 and at most 1"),
        (lambda: Defence(rows=1), "rows of a defence are 1, expected a whole number of at least 2"),
    ],
)
def test_a_defence_that_means_nothing_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DefenceError) as caught:
        make()
    assert message in str(caught.value)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
    st.floats(0.0, 1.0),
    st.floats(0.01, 1.0),
)
def test_a_bounded_row_stays_stochastic(shares: list[float], own: float, most: float) -> None:
    total = own + sum(shares)
    if total < 1e-6:
        return
    before = np.array(shares) / total
    mine, after = clipped(own / total, before, most)
    assert mine + after.sum() == pytest.approx(1.0)
    assert (after >= 0).all()
    if own > 0:
        assert (after <= np.minimum(before, most) + 1e-12).all()
    elif most * len(shares) > 1:
        assert (after <= most + 1e-9).all()
        assert (after >= np.minimum(before, most) - 1e-12).all()
    else:
        assert after == pytest.approx(np.full(len(shares), 1 / len(shares)))


def test_a_wide_bound_changes_nothing() -> None:
    mine, after = clipped(0.5, np.array([0.3, 0.2]), 0.3)
    assert (mine, after.tolist()) == (0.5, [0.3, 0.2])


def test_who_compares_needs_rows_and_shared_variables() -> None:
    graph = attach_alpha(generate_graph("complete", n=2), {0: 0.5, 1: 0.0})
    specs = {0: PlayerSpec(FAMILY, data=ROWS), 1: PlayerSpec(FAMILY, defence=Defence(screen=Screen()))}
    with pytest.raises(GameError, match="player 1 compares what it hears with its own rows, but has none"):
        Game(graph, specs)
    Game(graph, {**specs, 1: PlayerSpec(FAMILY, defence=Defence(clip=0.4))})


class Completes:
    """Only its variables and its ability are asked for."""

    def __init__(self, *names: str) -> None:
        self.space = Space(tuple(Variable(name, "real") for name in names))

    def complete(self) -> None:
        raise NotImplementedError


def test_what_is_heard_has_to_be_among_the_own_rows() -> None:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    a, b = (Space((Variable(name, "real"),)).batch({name: [0.0, 1.0]}) for name in "ab")

    def specs(defence: Defence | None) -> dict[int, PlayerSpec]:
        return {
            0: PlayerSpec(model=lambda: Completes("a"), data=a),
            1: PlayerSpec(model=lambda: Completes("a", "b"), data=b, defence=defence),
        }

    Game(graph, specs(None))
    with pytest.raises(GameError, match=r"what player 0 sends \(a\) is not among them"):
        Game(graph, specs(Defence(trust=Trust())))


def test_who_copies_has_to_hear_whole_rows() -> None:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    small, wide = Completes("a"), Completes("a", "b")
    rows = wide.space.batch({"a": [0.0], "b": [1.0]})
    specs = {
        0: PlayerSpec(model=lambda: small, data=rows.restrict(small.space)),
        1: PlayerSpec(model=lambda: wide, data=rows, conduct=FreeRider("copy")),
    }
    with pytest.raises(GameError, match="player 1 is to copy what it hears, but no neighbour sends it all of a, b"):
        Game(graph, specs)
    Game(graph, {**specs, 1: PlayerSpec(model=lambda: wide, data=rows, conduct=FreeRider())})


@pytest.mark.parametrize("extra", [{"conduct": FreeRider()}, {"defence": Defence(clip=0.4)}])
def test_a_fleet_has_neither_conducts_nor_defences(extra: dict[str, Any]) -> None:
    graph = attach_alpha(generate_graph("ring", n=3), 0.5)
    specs = {p: PlayerSpec(FAMILY, data=ROWS) for p in graph}
    FleetGame.of(Game(graph, specs))
    with pytest.raises(NoShortcutError, match="player 1 has a conduct or a defence, which look at rows"):
        FleetGame.of(Game(graph, {**specs, 1: PlayerSpec(FAMILY, data=ROWS, **extra)}))
