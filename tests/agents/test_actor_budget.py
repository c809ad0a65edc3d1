"""An actor whose player has a budget of privacy: what was spent outlives the process that spent it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.agents import Ledger, Source, State, seats
from nashgossip.agents.models import FlowModel
from nashgossip.games import Game, PlayerSpec, Privacy, PrivacySpent, Space, Variable
from nashgossip.runners.checkpoint_store import CheckpointStore
from nashgossip.topology import attach_alpha, membership

from .crew import Late, connected, pair, plain_rounds, specs, until
from .test_actor_taken_back import Full

PRIVATE = {"family": None, "privacy": Privacy(1.0, 5e-3)}


class Paying(Late):
    """Each call of `learn` from private rows costs ε = 1/1000."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn(sources, rng)
        self.looks += any(source.own for source in sources)

    def privacy_spent(self) -> PrivacySpent:
        return PrivacySpent(self.looks / 1000, 1e-5)

    def state(self) -> State:
        return {**super().state(), "looks": self.looks}

    def load(self, state: State) -> None:
        super().load(state)
        self.looks = state["looks"]


class Sparing(Late):
    """Each call of `learn` from private rows takes a step that ε does not show for long."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(Privacy(1.0, 5e-3, noise=30.0), [(0.01, 100)])

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn(sources, rng)
        self.ledger.spend(0.01, 1)

    def privacy_spent(self) -> PrivacySpent:
        return self.ledger.spent()

    def spending(self) -> tuple[float, ...]:
        return self.ledger.spending()

    def keep_spending(self, spending: Sequence[float]) -> None:
        self.ledger.keep(spending)

    def state(self) -> State:
        return {**super().state(), "ledger": self.ledger.state()}

    def load(self, state: State) -> None:
        super().load(state)
        self.ledger.load(state["ledger"])


async def gossiping(stores: list[Any], model: type[Late] = Paying) -> Any:
    """Two actors, the first of which has a budget; no checkpoint is due."""
    made = seats(pair(model=model, **PRIVATE), 0)
    crew = await connected(made, policy="restart", stores=stores, checkpoint_seconds=1e9, rate=None)
    await crew.each("introduce")
    await crew.actors[0].start()
    return crew


async def test_what_a_player_has_spent_is_saved_before_anybody_hears_of_it(tmp_path: Path) -> None:
    crew = await gossiping([CheckpointStore(tmp_path, name) for name in ("private", "other")])
    heard = crew.handles[0, 1].arrived
    await until(lambda: len(heard) >= 8)
    await crew.actors[0].stop()
    before = crew.players()[0].privacy_spent
    assert before.epsilon >= 7 / 1000
    crew.renew(0)
    assert crew.players()[0].privacy_spent == before
    await crew.each("stop")


@pytest.mark.parametrize("model", [Paying, Sparing])
async def test_a_player_whose_spending_cannot_be_saved_is_not_heard(model: type[Late], tmp_path: Path) -> None:
    crew = await gossiping([Full(CheckpointStore(tmp_path, "full")), CheckpointStore(tmp_path, "sound")], model)
    with pytest.raises(OSError, match="No space left"):
        await until(lambda: crew.actors[0]._gossiper.require_sound() is not None)
    assert max(crew.handles[0, 1].arrived) == 0  # the introduction, whose spending the first checkpoint holds


async def test_a_player_that_joins_and_whose_spending_cannot_be_saved_is_not_heard(tmp_path: Path) -> None:
    graph = attach_alpha(nx.path_graph(2), self_weight=0.5)
    made = specs(graph)
    made[1] = PlayerSpec(model=Paying, data=made[1].data, samples=4, privacy=PRIVATE["privacy"])
    graphs = membership(graph, [(10, 1, "join")])
    wirings = [seats(Game(piece, made), 3) for piece in graphs.graphs]
    absent = [graphs.absent_at(piece.start) for piece in graphs]
    stores = [CheckpointStore(tmp_path, "sound"), Full(CheckpointStore(tmp_path, "full"))]
    settings: dict[str, Any] = {"policy": "restart", "checkpoint_seconds": 1e9}
    crew = await connected(wirings[0], later=wirings[1:], absent=absent, stores=stores, **settings)
    await crew.actors[0].rewire(1)
    with pytest.raises(OSError, match="No space left"):
        await crew.actors[1].rewire(1)
    assert crew.players()[1].privacy_spent.epsilon > 0
    await crew.actors[1]._outbox.sent()
    assert not crew.handles[1, 0].arrived


async def test_networks_with_a_budget_draw_the_same_noise_in_every_process() -> None:
    space, budget = Space((Variable("x", "real", (2,)),)), Privacy(10.0, noise=2.0, seed=4)

    def flow() -> FlowModel:
        return FlowModel(space, steps=2, batch=20, scaling=(0.0, 1.0), hidden=(8,), privacy=budget)

    own = [space.batch({"x": np.random.default_rng(k).normal(size=(30, 2))}) for k in (0, 1)]
    made = {k: PlayerSpec(model=flow, data=own[k], samples=6, privacy=budget) for k in (0, 1)}
    game = Game(attach_alpha(nx.path_graph(2), self_weight=0.5), made)
    crew = await connected(seats(game, 0), synchronous=True)
    await crew.each("play_rounds", 2)
    for name, player in plain_rounds(game, 0, 2).items():
        weights = crew.players()[name].state()["model"]["module"]
        for key, values in player.state()["model"]["module"].items():
            np.testing.assert_array_equal(weights[key], values)
