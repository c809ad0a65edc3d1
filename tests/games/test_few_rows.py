"""Splits for experiments with few rows."""

import numpy as np
import pytest

from nashgossip.games import SplitError, load_digits, split_dataset, split_few, split_whole

LABELS = np.repeat(np.arange(3), 20)


def test_everyone_has_the_same_number_of_each_class_and_no_row_has_two_owners() -> None:
    parts = split_few(LABELS, 4, np.random.default_rng(0), rows_per_class=5)
    for part in parts:
        assert np.bincount(LABELS[part]).tolist() == [5, 5, 5]
    assert len(np.unique(np.concatenate(parts))) == 60


def test_the_stream_decides() -> None:
    def drawn(seed: int) -> list[int]:
        return split_few(LABELS, 2, np.random.default_rng(seed), rows_per_class=3)[0].tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_everyone_has_everything() -> None:
    assert [part.tolist() for part in split_whole(4, 3, np.random.default_rng(0))] == [[0, 1, 2, 3]] * 3


@pytest.mark.parametrize(
    ("players", "rows", "text"),
    [(5, 5, "class 0 has 20 rows, fewer than 5 for each of 5 players"), (2, 0, "rows_per_class is 0"), (0, 1, "for 0")],
)
def test_what_cannot_be_dealt_out_is_refused(players: int, rows: int, text: str) -> None:
    with pytest.raises(SplitError, match=text):
        split_few(LABELS, players, np.random.default_rng(0), rows_per_class=rows)


def test_data_sets_are_split_by_name() -> None:
    digits = load_digits()
    few = split_dataset(digits, 3, np.random.default_rng(0), kind="few", holdout_fraction=0.0, rows_per_class=4)
    assert [len(shard.train) for shard in few] == [40, 40, 40]
    whole = split_dataset(digits, 2, np.random.default_rng(0), kind="whole", holdout_fraction=0.0)
    assert [len(shard.train) for shard in whole] == [1797, 1797]
