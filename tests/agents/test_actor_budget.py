"""An actor whose player has a budget of privacy: what was spent outlives the process that spent it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import Source, State, seats
from nashgossip.games import Privacy, PrivacySpent
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import Late, connected, pair, until
from .test_actor_taken_back import Full

PRIVATE = {"family": None, "privacy": Privacy(1.0, 1e-5)}


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


async def gossiping(stores: list[Any]) -> Any:
    """Two actors, the first of which has a budget; no checkpoint is due."""
    made = seats(pair(model=Paying, **PRIVATE), 0)
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


async def test_a_player_whose_spending_cannot_be_saved_is_not_heard(tmp_path: Path) -> None:
    crew = await gossiping([Full(CheckpointStore(tmp_path, "full")), CheckpointStore(tmp_path, "sound")])
    with pytest.raises(OSError, match="No space left"):
        await until(lambda: crew.actors[0]._gossiper.require_sound() is not None)
    assert max(crew.handles[0, 1].arrived) == 0  # the introduction, whose spending the first checkpoint holds
