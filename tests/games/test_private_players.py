"""Budgets that mean nothing, and games whose players cannot keep theirs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nashgossip.games import (
    Bernoulli,
    BoundaryError,
    Defence,
    FleetGame,
    Game,
    Gaussian,
    NoShortcutError,
    PlayerSpec,
    Privacy,
    PrivacyError,
    PrivacySpent,
    Screen,
    Trust,
)
from nashgossip.topology import attach_alpha, generate_graph

FAMILY = Gaussian((2,))
ROWS = FAMILY.space.batch({"x": np.random.default_rng(0).normal(size=(30, 2))})
BUDGET = Privacy(1.0, clip=2.0)


class Accounting:
    """A black box that tells what it spent."""

    space = FAMILY.space
    spent: PrivacySpent | None = PrivacySpent(0.0, 0.0)

    def privacy_spent(self) -> PrivacySpent | None:
        return self.spent


class Unbounded(Accounting):
    """One that was made without a budget."""

    spent = None


class Spendthrift(Accounting):
    """One that was made with a wider budget, and tells its δ alone."""

    spent = PrivacySpent(0.0, 0.01)


class Spent(Accounting):
    """One that has spent more than is promised."""

    spent = PrivacySpent(3.0, 1e-5)


class Generous(Accounting):
    """One that was made with another budget, and tells which."""

    privacy = Privacy(500.0, 1e-5)


class Exact(Accounting):
    """One that was made with the very budget; its clip, noise and seed are its own affair."""

    spent = PrivacySpent(0.0, BUDGET.delta)
    privacy = replace(BUDGET, clip=None, noise=4.0, seed=9)


class Silent:
    """One that does not account."""

    space = FAMILY.space


def pair(first: PlayerSpec, second: PlayerSpec | None = None) -> Game:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    return Game(graph, {0: first, 1: second or PlayerSpec(FAMILY, data=ROWS)})


def spec(**changes: Any) -> PlayerSpec:
    return PlayerSpec(**{"family": FAMILY, "data": ROWS, "privacy": BUDGET, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"privacy": Privacy(1.0)}, "player 0: the statistics of the gaussian family have no bound"),
        ({"privacy": replace(BUDGET, noise=2.0)}, "player 0 has privacy.noise 2, which means nothing for an exp"),
        ({"privacy": replace(BUDGET, delta=0.04)}, "player 0 has 30 rows and delta 0.04, expected below 1/30"),
        ({"defence": Defence(screen=Screen())}, "player 0 has privacy, but compares what it hears with its private"),
        ({"defence": Defence(trust=Trust())}, "player 0 has privacy, but compares what it hears with its private"),
        ({"family": None, "model": Silent}, "player 0 has a budget of privacy, but its model Silent cannot learn with"),
        ({"family": None, "model": Unbounded}, "its model Unbounded was made to learn without one; make it with the"),
        (
            {"family": None, "model": Spendthrift},
            "player 0 has a budget of epsilon 1 and delta 1e-05, but its model Spendthrift has spent epsilon 0 at "
            "delta 0.01; give both the same budget",
        ),
        ({"family": None, "model": Spent}, "delta 1e-05, but its model Spent has spent epsilon 3 at delta 1e-05; give"),
        ({"family": None, "model": Generous}, "its model Generous was made with epsilon 500 and delta 1e-05; give"),
    ],
)
def test_a_player_who_cannot_keep_its_budget_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        pair(spec(**changes))
    free = changes.get("privacy", BUDGET)
    pair(spec(**{**changes, "privacy": replace(free, epsilon=float("inf"))}))  # no privacy, no promise to break


def test_two_players_never_share_their_noise() -> None:
    with pytest.raises(PrivacyError, match="players 0 and 1 release their statistics with the same noise"):
        pair(spec(), spec())
    pair(spec(), spec(privacy=replace(BUDGET, seed=1)))


def test_players_who_keep_their_budgets_play() -> None:
    pair(spec(defence=Defence(clip=0.4)))
    pair(spec(family=None, model=Accounting))
    pair(spec(family=None, model=Exact))
    assert spec(data=None).private is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Privacy(0.0), "epsilon is 0.0, expected above 0"),
        (lambda: Privacy(float("nan")), "epsilon is nan, expected above 0"),
        (lambda: Privacy(1.0, delta=1.0), "delta is 1.0, expected above 0 and below 1"),
        (lambda: Privacy(1.0, clip=float("inf")), "clip is inf, expected above 0 and finite"),
        (lambda: Privacy(1.0, noise=0.0), "noise is 0.0, expected above 0 and finite"),
        (lambda: Privacy(1.0, seed=-1), "seed of the noise is -1, expected at least 0"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(make: Callable[[], Privacy], message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        make()


def test_a_release_on_the_boundary_names_the_player_and_the_remedy() -> None:
    bits = Bernoulli((40,))
    rows = bits.space.batch({"x": np.ones((30, 40), np.uint8)})
    private = PlayerSpec(bits, data=rows, privacy=Privacy(1.0), smoothing=0.0)
    plain = PlayerSpec(bits, data=rows, smoothing=1.0)
    with pytest.raises(BoundaryError, match="player 0: .* set smoothing"):
        pair(private, plain)
    pair(replace(private, smoothing=1.0), plain)


def test_arrays_do_not_account_for_privacy() -> None:
    with pytest.raises(NoShortcutError, match="player 0 has a budget of privacy, which arrays do not account for"):
        FleetGame.of(pair(spec()))
