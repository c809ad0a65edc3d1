"""What actors keep of their players' publications: in rounds the very batches of `rounds`, also after a death."""

from pathlib import Path
from typing import Any

import pytest

from nashgossip.agents import seats
from nashgossip.games import Game
from nashgossip.runners import KeptBatches, rounds
from nashgossip.runners.checkpoint_store import CheckpointStore

from .crew import Crew, asking, connected, directed, undirected, uneven, until

SEED, LIMIT, STRIDE, ROUNDS = 7, 3, 2, 9


def plain(batches: Any) -> list[Any]:
    return [(k.sender, k.sequence, k.listeners, k.batch.arrays["x"].tobytes()) for k in batches]


def of_rounds(game: Game) -> list[Any]:
    kept = KeptBatches.of(game, LIMIT, STRIDE)
    for _ in rounds(game, seed=SEED, moves=ROUNDS, on_delivery=kept.add):
        pass
    return plain(kept.batches)


def archive(game: Game) -> Any:
    return KeptBatches.of(game, LIMIT, STRIDE).among(game.players)


async def gathered(game: Game, crew: Crew) -> KeptBatches:
    kept = KeptBatches.of(game, LIMIT, STRIDE)
    for found in await crew.each("published"):
        kept.merge(found)
    return kept


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("game", [undirected(), directed(), asking(undirected())], ids=["pushed", "directed", "asked"])
async def test_rounds_keep_what_rounds_in_process_keep(game: Game, size: int) -> None:
    crew = await connected(seats(game, SEED), uneven(size), size=size, synchronous=True, archive=archive(game))
    await crew.each("play_rounds", ROUNDS)
    found = plain((await gathered(game, crew)).batches)
    assert found == of_rounds(game)
    assert len({sender for sender, *_ in found}) > 1


async def test_rounds_that_are_taken_back_keep_the_same(tmp_path: Path) -> None:
    game = undirected()
    stores = [CheckpointStore(tmp_path, f"actor-{k}") for k in range(3)]
    crew = await connected(
        seats(game, SEED), size=2, stores=stores, synchronous=True, archive=archive(game), policy="restart"
    )
    await crew.each("play_rounds", 5)
    await crew.each("save", 5)
    await crew.each("play_rounds", 2)
    crew.renew(1)  # it remembers nothing but its checkpoint; the others know two rounds more
    await crew.each("restore", 5, 1)
    assert max(k.sequence for k in (await gathered(game, crew)).batches) == 4
    await crew.each("play_rounds", ROUNDS - 5)
    assert plain((await gathered(game, crew)).batches) == of_rounds(game)


async def test_gossip_keeps_the_newest_that_has_arrived_and_no_more(tmp_path: Path) -> None:
    game = undirected()
    stores = [CheckpointStore(tmp_path, f"actor-{k}") for k in range(3)]
    made = KeptBatches.of(game, LIMIT).among(game.players)
    crew = await connected(seats(game, SEED), size=2, stores=stores, archive=made, rate=None, policy="restart")
    await crew.each("introduce")
    await crew.each("start")
    await until(lambda: min(player.moves for player in crew.players().values()) > 20)
    await crew.each("stop", True)
    kept: dict[Any, list[Any]] = {player: [] for player in game.players}
    for found in await crew.each("published"):
        for one in found:
            kept[one.sender].append(one)
    assert all(len(found) == LIMIT for found in kept.values())
    for name, player in crew.players().items():
        for sender, letters in player.mailbox.read().items():
            newest = [k for k in kept[sender] if name in k.listeners and k.sequence == letters[0].sequence]
            assert [k.batch for k in newest] == [letters[0].batch]
    before = plain(await crew.actors[1].published())
    crew.renew(1)
    assert plain(crew.actors[1]._ensemble.published()) == before  # at once, as it plays on by itself
    await crew.each("stop")


async def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    game = undirected()
    crew = await connected(seats(game, SEED), size=2, synchronous=True)
    await crew.each("play_rounds", 2)
    assert await crew.each("published") == [None] * 3
    assert all("published" not in actor._ensemble.state() for actor in crew.actors)
