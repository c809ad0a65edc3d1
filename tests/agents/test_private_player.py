"""A player with a budget of privacy: it learns from its release and never from its rows, and tells what it spent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import ExponentialFamilyModel, HasPrivacy, Player, Seat, Source, check_model, seats
from nashgossip.agents.ensemble import Ensemble
from nashgossip.agents.models import FlowModel
from nashgossip.agents.player import ModelError
from nashgossip.games import (
    Batch,
    Bernoulli,
    Game,
    Gaussian,
    PlayerSpec,
    Privacy,
    PrivacyError,
    PrivacySpent,
    StepSize,
    without_rows,
)
from nashgossip.topology import attach_alpha, generate_graph

FAMILY = Gaussian((2,))
BUDGET = Privacy(1.5, 1e-4, clip=2.0, seed=3)
NOTHING, ALL = PrivacySpent(0.0, 0.0), PrivacySpent(1.5, 1e-4, exhausted=True)


def rows(seed: int = 0, n: int = 30) -> Batch:
    return FAMILY.space.batch({"x": np.random.default_rng(seed).normal(size=(n, 2))})


def game_of(privacy: Privacy | None = BUDGET, **changes: Any) -> Game:
    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    first = PlayerSpec(FAMILY, data=rows(), smoothing=1.0, privacy=privacy, **changes)
    return Game(graph, {0: first, 1: PlayerSpec(FAMILY, data=rows(1), smoothing=1.0)})


def built(game: Game) -> Player:
    return seats(game, 5)[0].build()


def model_of(own: np.ndarray[Any, Any] | None, privacy: Privacy | None = BUDGET) -> ExponentialFamilyModel:
    return ExponentialFamilyModel(FAMILY, own=own, privacy=privacy)


def learn(model: ExponentialFamilyModel, sources: Sequence[Source]) -> None:
    model.learn(sources, np.random.default_rng(0))


def test_a_private_model_learns_from_the_release_whatever_the_rows_are() -> None:
    own = np.array([0.25, -1.0])
    for seed in (1, 2):
        model = model_of(own)
        learn(model, [Source(rows(seed), 0.5, own=True), Source(rows(9), 0.5)])
        np.testing.assert_array_equal(model.mean_parameters, 0.5 * own + 0.5 * FAMILY.mean_statistics(rows(9)))


def test_it_starts_at_the_release_and_keeps_to_it() -> None:
    game = game_of()
    player = built(game)
    player.open()
    np.testing.assert_array_equal(player.mean_parameters, game.specs[0].anchor())
    player.move()  # nobody was heard: all weight is on what stands for the own rows
    np.testing.assert_array_equal(player.mean_parameters, game.specs[0].anchor())
    assert np.abs(game.specs[0].anchor() - replace(game.specs[0], privacy=None).anchor()).min() > 0


def test_a_budget_is_spent_once_by_the_first_look_at_the_own_rows() -> None:
    player = built(game_of())
    assert player.privacy_spent == NOTHING
    player.open()
    assert player.privacy_spent == ALL
    for _ in range(3):
        player.move()
    assert player.privacy_spent == ALL
    late = built(game_of(start="reference", step=StepSize(0.5)))
    late.open()
    assert late.privacy_spent == NOTHING
    late.move()
    assert late.privacy_spent == ALL


def test_rows_of_others_cost_nothing() -> None:
    model = model_of(np.zeros(2))
    learn(model, [Source(rows(4), 1.0)])
    assert model.privacy_spent() == NOTHING
    assert isinstance(model, HasPrivacy)


def test_without_privacy_nothing_is_told_and_nothing_is_another() -> None:
    for privacy in (None, replace(BUDGET, epsilon=float("inf"))):
        player, plain = built(game_of(privacy)), ExponentialFamilyModel(FAMILY, smoothing=1.0)
        player.open()
        learn(plain, [Source(rows(), 1.0, own=True)])
        assert player.privacy_spent is None
        np.testing.assert_array_equal(player.mean_parameters, plain.mean_parameters)
        assert set(player.state()["model"]) == {"mean", "steps"}


def test_what_was_spent_survives_a_checkpoint() -> None:
    player, other = built(game_of()), built(game_of())
    player.open()
    other.load(player.state())
    assert other.privacy_spent == ALL
    other.load(built(game_of()).state())
    assert other.privacy_spent == NOTHING


def test_a_black_box_that_does_not_account_has_no_figure() -> None:
    class Coin:
        space = Bernoulli().space

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    player = Player("a", Coin(), data=None, self_weight=1.0, neighbours={}, listeners={}, samples=1, seed=0, index=0)
    assert player.privacy_spent is None


def test_a_budget_without_a_release_is_refused() -> None:
    with pytest.raises(PrivacyError, match="a family has a budget of privacy and nothing released with it"):
        model_of(None)


def test_a_private_model_keeps_the_protocol() -> None:
    check_model(lambda: ExponentialFamilyModel(FAMILY, own=np.zeros(2), privacy=BUDGET))


def test_the_release_is_the_same_where_the_rows_are_read() -> None:
    game = game_of()
    lean = Game(game.graph, {player: without_rows(spec) for player, spec in game.specs.items()})
    here, _ = seats(game, 5)
    there = Seat(0, 0, 5, lean.specs[0], here.self_weight, here.neighbours, here.listeners, lambda: game.specs[0])
    for player in (here.build(), there.build()):
        player.open()
        np.testing.assert_array_equal(player.mean_parameters, lean.specs[0].anchor())


def ensemble_of(game: Game, failed: Any = None) -> Ensemble:
    options = {} if failed is None else {"failed": failed}
    return Ensemble([seats(game, 0)], [frozenset()], {0: 0, 1: 1}, **options)


def test_what_a_family_has_spent_stays_spent_when_it_is_taken_back() -> None:
    ensemble = ensemble_of(game_of())
    saved = ensemble.state()
    ensemble.publications(Player.open)
    assert ensemble.players[0].spending != ensemble_of(game_of()).players[0].spending
    ensemble.restart(0, saved)
    assert ensemble.players[0].privacy_spent == ALL
    assert ensemble.players[1].privacy_spent is None
    assert ensemble.players[1].spending == ()


def test_what_a_network_has_spent_before_it_failed_stays_spent_when_it_is_taken_back() -> None:
    """A step so large that weights are infinite after it: the noise is spent, and others see that it failed."""
    budget = Privacy(10.0, noise=2.0)

    def flow() -> FlowModel:
        return FlowModel(FAMILY.space, steps=5, batch=30, scaling=(0.0, 1.0), privacy=budget, hidden=(8,), rate=3e38)

    graph = attach_alpha(generate_graph("complete", n=2), 0.5)
    game = Game(graph, {k: PlayerSpec(model=flow, data=rows(k), privacy=budget) for k in (0, 1)})
    spent: list[float] = []

    def failed(player: Any, error: ModelError) -> None:
        spent.append(ensemble.players[player].privacy_spent.epsilon)
        ensemble.restart(player, saved)
        assert ensemble.players[player].privacy_spent.epsilon == spent[-1]

    ensemble = ensemble_of(game, failed)
    saved = ensemble.state()
    for _ in range(20):
        ensemble.move(0)
    assert 0 < spent[0] < spent[1] <= spent[-1] <= 10.0
    assert ensemble.players[0].privacy_spent.exhausted
