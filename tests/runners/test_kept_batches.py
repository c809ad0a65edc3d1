"""The published batches that a run keeps: the newest, bounded, read back as they were; or refused."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.agents import Message
from nashgossip.games import Game
from nashgossip.runners import (
    CheckpointError,
    ExperimentError,
    KeptBatches,
    NoBatchesError,
    build_game,
    load_experiment,
    read_kept,
    rounds,
    virtual,
)
from nashgossip.runners.checkpoint import save_tree
from nashgossip.runners.command import app
from nashgossip.runners.kept_batches import keeping_batches, require_keeping
from nashgossip.runners.session import engine_options

QUICK = ["runner=rounds", "play.samples=5", "data.rows=20", "audit.batches=3"]


def ring(*settings: str) -> Game:
    game = build_game(load_experiment("ring", [*QUICK, *settings]))
    assert isinstance(game, Game)
    return game


def message(game: Game, sender: int, sequence: int) -> Message:
    rng = np.random.default_rng([sender, sequence])
    family = game.specs[sender].family
    return Message.of(family.sample(family.reference, 5, rng), sender=sender, sequence=sequence)


@pytest.mark.parametrize("engine", [rounds, virtual])
def test_the_newest_publications_of_every_sender_are_kept(engine):
    game, kept = ring(), KeptBatches.of(ring(), 3)
    for _ in engine(game, seed=1, moves=7, every=7, on_delivery=kept.add):
        pass
    for player in game.players:
        mine = [k for k in kept.batches if k.sender == player]
        # In rounds and with constant compute times what was published in the last move has not arrived.
        assert [k.sequence for k in mine] == [4, 5, 6]
        assert all(set(k.listeners) == set(game.graph.succ[player]) - {player} for k in mine)
        assert all(len(k.batch) == 5 for k in mine)


def test_taking_note_changes_nothing():
    noted, plain = (
        [o.means for o in rounds(ring(), seed=1, moves=4, on_delivery=on)]
        for on in (KeptBatches.of(ring(), 1).add, None)
    )
    assert np.array_equal(noted, plain)


def test_a_message_that_was_on_its_way_through_a_checkpoint_is_kept_as_it_was():
    game, kept = ring(), KeptBatches.of(ring(), 2)
    whole = message(game, 0, 3)
    kept.add(0, 1, Message.received(*whole.wire()))
    kept.add(0, 9, whole)
    (found,) = kept.batches
    assert (found.listeners, found.batch) == ((1, 9), whole.content)


def test_what_parts_have_kept_is_merged_whatever_came_first():
    game = ring()
    numbers = {0: [0, 1, 2], 1: [1, 2, 3, 4]}
    parts = []
    for listener, heard in numbers.items():
        part = KeptBatches.of(game, 3)
        for number in heard:
            part.add(0, listener, message(game, 0, number))
        parts.append(part)
    merged = []
    for order in (parts, parts[::-1], [*parts, *parts]):
        kept = KeptBatches.of(game, 3)
        for part in order:
            kept.merge(part.batches)
        merged.append([(k.sequence, k.listeners) for k in kept.batches])
    assert merged == [[(2, (0, 1)), (3, (1,)), (4, (1,))]] * 3


def test_the_state_goes_on_and_puts_away_what_came_after():
    game, kept = ring(), KeptBatches.of(ring(), 3)
    for number in range(3):
        kept.add(2, 1, message(game, 2, number))
    saved, before = kept.state(), kept.batches
    kept.add(2, 1, message(game, 2, 3))
    kept.load(saved)
    assert [vars(k) for k in kept.batches] == [vars(k) for k in before]
    part = kept.among([1, 2])()
    part.merge(before)
    assert part.state()[0]["sender"] == 1  # positions are those of the part
    assert part.batches[0].sender == 2


def test_a_stride_keeps_every_so_many():
    game, kept = ring(), KeptBatches.of(ring(), 3, 4)
    for sequence in [0, 4, 8, 12, 12, 13, 4]:  # twice the same, one that is not due, one that is older than all
        kept.add(0, 1, message(game, 0, sequence))
    assert [k.sequence for k in kept.batches] == [4, 8, 12]


def test_what_was_kept_is_read_back_as_it_was(tmp_path: Path):
    plan, game = load_experiment("ring", QUICK), ring()

    def interrupted() -> None:
        with keeping_batches(plan, game, tmp_path) as options:
            for sequence in range(5):
                options["on_delivery"](0, 1, message(game, 0, sequence))
                options["on_delivery"](0, 9, message(game, 0, sequence))
            raise RuntimeError("stop")  # what was kept until then is written all the same

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    found = read_kept(tmp_path, game)
    assert [(k.sender, k.sequence, k.listeners) for k in found] == [(0, s, (1, 9)) for s in (2, 3, 4)]
    assert all(k.batch == message(game, 0, k.sequence).content for k in found)
    with keeping_batches(plan, game, tmp_path, resumed=True) as options:
        options["on_delivery"](0, 1, message(game, 0, 5))
    assert [k.sequence for k in read_kept(tmp_path, game)] == [3, 4, 5]
    with keeping_batches(plan, game, tmp_path) as options:  # a new run does not go on from another's
        pass
    assert read_kept(tmp_path, game) == []


def test_a_resumed_run_keeps_what_one_in_one_go_keeps(tmp_path: Path):
    """A run that has ended is resumed from its last checkpoint, and plays its end again."""
    run, game = tmp_path / "run", ring("runner=virtual", "moves=8")
    settings = ["runner=virtual", "moves=8", "play.checkpoint_seconds=0.0001", *QUICK[1:]]
    arguments = ["run", "ring", "--out", str(run), *(word for s in settings for word in ("--set", s))]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    before = read_kept(run, game)
    assert CliRunner().invoke(app, ["resume", str(run)]).exit_code == 0
    after = read_kept(run, game)
    assert [vars(k) for k in after] == [vars(k) for k in before]
    assert len(after) == 30


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path):
    with keeping_batches(load_experiment("ring", ["runner=rounds"]), ring(), tmp_path) as options:
        assert options == {}
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_batches_is_told(tmp_path: Path):
    with pytest.raises(NoBatchesError, match=r"has kept no published batches, expected them in published/; play it"):
        read_kept(tmp_path, ring())


@pytest.mark.parametrize(
    "tree",
    [
        {"players": ["a"], "batches": []},
        {"batches": []},
        {"players": [str(k) for k in range(10)], "batches": [{"sender": 99}]},
        {"players": [str(k) for k in range(10)], "batches": [7]},
    ],
)
def test_batches_of_others_are_refused(tmp_path: Path, tree):
    save_tree(tree, tmp_path / "published", 0)
    with pytest.raises(NoBatchesError, match="holds no batches of the players of this run"):
        read_kept(tmp_path, ring())


def test_a_damaged_file_is_refused(tmp_path: Path):
    file = save_tree({"players": [], "batches": []}, tmp_path / "published", 0)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CheckpointError):
        read_kept(tmp_path, ring())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            ["runner=fleet", "audit.batches=2"],
            "but the runner 'fleet' sends no batches that could be kept; set play.run",
        ),
        (["runner=rounds", "audit.canaries=2"], "audit.canaries is 2, but audit.batches is 0, so that nobody would"),
        (["runner=rounds", "audit.batches=2", "data.pool=true"], "but data.pool gives players rows that come from oth"),
        (["runner=rounds", "audit.batches=2", "data.distil=true"], "but data.distil gives players rows that come from"),
    ],
)
def test_what_cannot_be_kept_is_refused(settings, text):
    plan = load_experiment("ring", settings)
    with pytest.raises(ExperimentError) as caught:
        require_keeping(plan)
    assert text in str(caught.value)


def test_the_engine_is_not_called_with_what_it_cannot_do():
    with pytest.raises(ExperimentError, match="sends no batches"):
        engine_options(load_experiment("ring", ["runner=fleet", "audit.batches=1"]), ring())
