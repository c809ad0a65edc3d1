"""Splits for experiments with few rows."""

import numpy as np
import pytest

from nashgossip.games import SplitError, load_digits, split_dataset, split_few, split_sizes, split_whole

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


def test_everyone_has_so_many_rows_with_classes_as_even_as_can_be() -> None:
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    large, small = split_sizes(labels, 2, np.random.default_rng(0), sizes=[60, 9])
    assert np.bincount(labels[small]).tolist() == [3, 3, 3]
    assert np.bincount(labels[large], minlength=3).tolist() in ([36, 17, 7], [37, 16, 7])
    assert len(set(large) | set(small)) == 69
    again, other = (split_sizes(labels, 2, np.random.default_rng(k), sizes=[60, 9])[0] for k in (0, 1))
    assert large.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([5], r"sizes is \[5\], expected 2 whole numbers of at least 1, one a player"),
        ([5, 0], "expected 2 whole numbers of at least 1"),
        ([50, 11], "sizes are 61 rows in all, but there are 60"),
    ],
)
def test_sizes_that_cannot_be_dealt_out_are_refused(sizes: list[int], text: str) -> None:
    with pytest.raises(SplitError, match=text):
        split_sizes(LABELS, 2, np.random.default_rng(0), sizes=sizes)


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
