"""Players that are taken back to a checkpoint while storage refuses to take note of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import seats
from nashgossip.games import Batch
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import Flaky, Late, asking, connected, ended, pair, until

INCARNATION = 1 << 32


@dataclass
class Full:
    """A store on a disk that is full, but for the first checkpoint."""

    inner: CheckpointStore

    def save(self, tree: Any, number: int) -> None:
        if number > 0:
            raise OSError(28, "No space left on device")
        self.inner.save(tree, number)

    def latest(self) -> tuple[int, Any] | None:
        return self.inner.latest()


class Stammering(Late):
    """Raises when it generates for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = True

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        stuck, self.stuck = self.stuck, False
        if stuck:
            raise FloatingPointError("no words")
        return super().generate(n, rng)


@pytest.mark.parametrize("asked", [False, True])
async def test_who_was_taken_back_and_could_not_be_saved_says_no_more_and_ends_the_run(
    asked: bool, tmp_path: Path
) -> None:
    Flaky.failures = [4]
    game = asking(pair(model=Stammering, family=None)) if asked else pair(model=Flaky, family=None)
    stores = [Full(CheckpointStore(tmp_path, "full")), CheckpointStore(tmp_path, "sound")]
    crew = await connected(seats(game, 0), policy="restart", stores=stores, checkpoint_seconds=1e9)
    await crew.each("introduce")
    other = crew.players()[1]
    if asked:
        await crew.actors[1].start()
    else:
        await crew.each("start")
    await until(lambda: crew.actors[0]._failures.ended is not None)
    moves = other.moves
    await until(lambda: other.moves >= moves + 20)  # and asks each time
    assert not ended(crew.actors[1])
    await crew.each("stop")
    mine, its = await crew.each("report")
    assert mine.failure is not None
    assert mine.failure.player == "0"
    assert mine.failure.cause == (
        ("generate raised FloatingPointError: no words" if asked else "learn raised FloatingPointError: diverged")
        + "; storage refused to take it back (OSError: [Errno 28] No space left on device); look after it"
    )
    assert (mine.restarted, its.failure) == (0, None)
    assert max(crew.handles[0, 1].arrived, default=0) < INCARNATION
    assert (other.mailbox.counts["accepted"] == 0) == asked
