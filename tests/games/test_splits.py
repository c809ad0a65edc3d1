"""Splits: who gets which rows, for every kind, and what each refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.games import (
    Dataset,
    Space,
    SplitError,
    Variable,
    class_counts,
    holdout,
    load_digits,
    split_by_label,
    split_dataset,
    split_dirichlet,
    split_iid,
    split_quantity,
)
from nashgossip.topology import UnknownNameError

Rng = np.random.Generator

DIGITS = load_digits(binarize=0.5)
LABELS = DIGITS.batch["label"]
N = len(LABELS)

SPLITS: dict[str, Callable[[Rng], list[Any]]] = {
    "label": lambda rng: split_by_label(LABELS, 10, rng, classes_per_player=2),
    "dirichlet": lambda rng: split_dirichlet(LABELS, 10, rng, concentration=0.3),
    "power law": lambda rng: split_quantity(N, 10, rng, exponent=1.0),
    "quantity": lambda rng: split_quantity(N, 10, rng, concentration=1.0),
    "iid": lambda rng: split_iid(N, 10, rng),
}

seeds = st.integers(0, 2**32 - 1)
label_lists = st.lists(st.integers(0, 5), min_size=1, max_size=80)


def rng_of(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def check_parts(parts: list[Any], players: int, n: int, cover: bool = True) -> None:
    """Sorted, disjoint, non-empty, in range; together all rows if `cover`."""
    assert len(parts) == players
    assert all(len(part) and (np.diff(part) > 0).all() and part.dtype == np.int64 for part in parts)
    together = np.sort(np.concatenate(parts))
    assert (np.diff(together) > 0).all()
    assert together[0] >= 0
    assert together[-1] < n
    if cover:
        assert len(together) == n


@pytest.mark.parametrize("kind", SPLITS)
def test_a_seed_decides_the_split(kind: str) -> None:
    split = SPLITS[kind]
    check_parts(split(rng_of(1)), 10, N)
    assert same(split(rng_of(1)), split(rng_of(1)))
    assert not same(split(rng_of(1)), split(rng_of(2)))


# --- by label


def test_ten_players_with_two_of_ten_classes() -> None:
    counts = class_counts(LABELS, SPLITS["label"](rng_of()), 10)
    rows = np.bincount(LABELS)
    for player in range(10):
        owned = {player, (player + 1) % 10}
        assert set(np.flatnonzero(counts[player])) == owned
        for label in owned:  # shared with one other player, evenly
            assert counts[player, label] in (rows[label] // 2, -(-rows[label] // 2))
    np.testing.assert_array_equal(counts.sum(axis=0), rows)


@given(label_lists, st.integers(1, 12), st.integers(1, 6), seeds)
def test_by_label_deals_evenly(labels: list[int], players: int, owned: int, seed: int) -> None:
    owners = [[i for i in range(players) if (c - i) % 6 < owned] for c in range(6)]
    enough = all(labels.count(c) >= len(o) for c, o in enumerate(owners))
    split = lambda: split_by_label(labels, players, rng_of(seed), classes_per_player=owned, classes=6)  # noqa: E731
    if not enough:
        with pytest.raises(SplitError, match="fewer than its"):
            split()
        return
    parts = split()
    check_parts(parts, players, len(labels), cover=all(owners))
    counts = class_counts(labels, parts, 6)
    for c, own in enumerate(owners):
        assert set(np.flatnonzero(counts[:, c])) == set(own)
        assert counts[:, c].sum() == (labels.count(c) if own else 0)
        if own:
            assert np.ptp(counts[own, c]) <= 1


def test_an_explicit_assignment() -> None:
    parts = split_by_label([0, 0, 1, 1, 2, 2, 3], 2, rng_of(), assignment=[[0, 2], [2]])
    assert class_counts([0, 0, 1, 1, 2, 2, 3], parts).tolist() == [[2, 0, 1, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes_per_player": 4}, r"classes_per_player is 4, expected 1 to 3 \(classes\)"),
        ({"classes_per_player": 0}, "classes_per_player is 0, expected 1 to 3"),
        (
            {"classes_per_player": 3},
            r"class 2 has 1 rows, fewer than its 2 owners, the players 0, 1; give it",
        ),
        (
            {"classes_per_player": 2, "classes": 2},
            "the labels hold class 2, expected 0 to 1; correct classes",
        ),
        ({"classes_per_player": 4, "classes": 4}, "class 2 has 1 rows, fewer than its 2 owners"),
        (
            {"assignment": [[0], [3]], "classes": 4},
            "class 3 has 0 rows, fewer than its 1 owners, the players 1",
        ),
        ({}, "give exactly one of classes_per_player and assignment"),
        ({"classes_per_player": 1, "assignment": [[0], [1]]}, "give exactly one of classes_per_player"),
        ({"assignment": [[0]]}, "assignment lists the classes of 1 players, expected 2"),
        ({"assignment": [[0], []]}, "players 1 get no class, expected at least one each"),
        ({"assignment": [[0], [5]]}, "player 1 is given class 5, expected 0 to 2"),
        ({"assignment": [[0, 0], [1]]}, "player 0 is given class 0 twice"),
    ],
)
def test_by_label_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split_by_label([0, 0, 0, 1, 1, 2], 2, rng_of(), **options)


@pytest.mark.parametrize("labels", [[], [[0, 1]], [0.0, 1.0], [0, -1]])
def test_labels_must_be_classes(labels: Any) -> None:
    for split in (
        lambda: split_by_label(labels, 1, rng_of(), classes_per_player=1),
        lambda: split_dirichlet(labels, 1, rng_of(), concentration=1.0),
        lambda: class_counts(labels, []),
    ):
        with pytest.raises(SplitError, match=r"labels came with shape .*, expected \[n\] of integers 0, 1, …"):
            split()


# --- Dirichlet


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=10), st.integers(1, 5), st.sampled_from([1.0, 100.0, 1e9]), seeds)
def test_dirichlet_gives_every_row_one_owner(labels: list[int], players: int, a: float, seed: int) -> None:
    parts = split_dirichlet(labels, players, rng_of(seed), concentration=a)
    check_parts(parts, players, len(labels))


def test_dirichlet_shares_follow_the_law() -> None:
    """Of one class, E[share] = 1/p and Var[share] = (p-1)/p² · (1/n + (1 - 1/n)/(pa + 1))."""
    n, p, a, draws = 50, 4, 0.7, 4000
    rng = rng_of(3)
    labels = np.zeros(n, int)
    shares = (
        np.array(
            [[len(part) for part in split_dirichlet(labels, p, rng, concentration=a, minimum=0)] for _ in range(draws)]
        )
        / n
    )
    variance = (p - 1) / p**2 * (1 / n + (1 - 1 / n) / (p * a + 1))
    standard_error = np.sqrt(variance / draws)
    assert np.abs(shares.mean(axis=0) - 1 / p).max() < 4 * standard_error
    fourth = ((shares - 1 / p) ** 4).mean()
    error_of_variance = np.sqrt((fourth - variance**2) / draws)
    assert np.abs(((shares - 1 / p) ** 2).mean(axis=0) - variance).max() < 4 * error_of_variance


def test_dirichlet_gives_every_row_to_everybody_alike() -> None:
    rng, players, draws = rng_of(4), 3, 2000
    labels = [0, 1, 0, 0, 1, 0]
    owned = np.zeros((players, len(labels)))
    for _ in range(draws):
        parts = split_dirichlet(labels, players, rng, concentration=1.0, minimum=0)
        for player, part in enumerate(parts):
            owned[player, part] += 1
    standard_error = np.sqrt(1 / players * (1 - 1 / players) / draws)
    assert np.abs(owned / draws - 1 / players).max() < 4 * standard_error


def test_concentration_goes_from_one_class_to_iid() -> None:
    def spread(a: float) -> float:
        counts = class_counts(LABELS, split_dirichlet(LABELS, 5, rng_of(), concentration=a))
        return float((counts / counts.sum(axis=0)).std())

    assert spread(0.1) > spread(1.0) > spread(10.0) > spread(1e6)


def test_dirichlet_minimum() -> None:
    parts = split_dirichlet(LABELS, 10, rng_of(), concentration=0.5, minimum=60)
    assert min(map(len, parts)) >= 60
    check_parts(parts, 10, N)


@pytest.mark.parametrize("a", [0, -1.0, float("nan"), float("inf"), 1e10])
def test_concentration_must_be_positive(a: float) -> None:
    with pytest.raises(SplitError, match=r"concentration is .*, expected above 0, at most 1e\+09"):
        split_dirichlet(LABELS, 3, rng_of(), concentration=a)
    with pytest.raises(SplitError, match="concentration is"):
        split_quantity(30, 3, rng_of(), concentration=a)


def test_players_that_stay_empty_are_named() -> None:
    message = r"players \d.* get no rows; no draw of 1000 did better: raise concentration, or take fewer players"
    with pytest.raises(SplitError, match=message):
        split_dirichlet([0] * 20, 5, rng_of(), concentration=1e-6)
    with pytest.raises(SplitError, match=message):
        split_quantity(20, 5, rng_of(), concentration=1e-6)
    with pytest.raises(SplitError, match=r"players \d.* get fewer than 4 rows"):
        split_dirichlet([0] * 20, 5, rng_of(), concentration=1e-6, minimum=4)
    with pytest.raises(SplitError, match=r"players 2, 3, 4 get no rows; lower exponent, or take fewer players"):
        split_quantity(20, 5, rng_of(), exponent=4.0)


# --- quantity, iid


@given(st.integers(1, 500), st.integers(1, 20), st.floats(0, 3), seeds)
def test_power_law_sizes(n: int, players: int, exponent: float, seed: int) -> None:
    shares = np.arange(1.0, players + 1) ** -exponent
    exact = n * shares / shares.sum()
    try:
        parts = split_quantity(n, players, rng_of(seed), exponent=exponent)
    except SplitError:
        assert exact.min() < 1
        return
    check_parts(parts, players, n)
    sizes = np.array([len(part) for part in parts])
    assert (np.abs(sizes - exact) < 1).all()
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("exponent", [-1.0, float("nan"), float("inf")])
def test_exponent_out_of_range(exponent: float) -> None:
    with pytest.raises(SplitError, match="exponent is .*, expected a finite number, at least 0"):
        split_quantity(30, 3, rng_of(), exponent=exponent)


def test_quantity_needs_exactly_one_law() -> None:
    for options in ({}, {"exponent": 1.0, "concentration": 1.0}):
        with pytest.raises(SplitError, match="give exactly one of exponent and concentration"):
            split_quantity(30, 3, rng_of(), **options)


@given(st.integers(1, 200), st.integers(1, 20), seeds)
def test_iid_sizes_differ_by_at_most_one(n: int, players: int, seed: int) -> None:
    if n < players:
        with pytest.raises(SplitError, match=f"{n} rows are too few for {players} players with at least 1 each"):
            split_iid(n, players, rng_of(seed))
        return
    parts = split_iid(n, players, rng_of(seed))
    check_parts(parts, players, n)
    assert np.ptp([len(part) for part in parts]) <= 1


def test_too_few_rows_and_no_players() -> None:
    with pytest.raises(SplitError, match="players 2, 3 would go short"):
        split_iid(2, 4, rng_of())
    for split in (
        lambda: split_iid(5, 0, rng_of()),
        lambda: split_quantity(5, 0, rng_of(), exponent=1.0),
        lambda: split_dirichlet([0, 1], 0, rng_of(), concentration=1.0),
        lambda: split_by_label([0, 1], 0, rng_of(), classes_per_player=1),
    ):
        with pytest.raises(SplitError, match="there are 0 players, expected at least 1"):
            split()


# --- holdout


@given(label_lists, st.floats(0, 0.95), seeds, st.booleans())
def test_holdout_parts_the_rows(labels: list[int], fraction: float, seed: int, stratified: bool) -> None:
    indices = np.flatnonzero(rng_of(seed).random(len(labels)) < 0.7)
    size = round(fraction * len(indices))
    if fraction > 0 and len(indices) > 1:
        size = max(size, 1)
    used = labels if stratified else None
    if size >= len(indices):
        with pytest.raises(SplitError, match="leaves none to learn from; hold out less"):
            holdout(indices, fraction, rng_of(seed), used)
        return
    train, held = holdout(indices, fraction, rng_of(seed), used)
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), indices)
    assert len(train) >= 1
    if not stratified:
        assert len(held) == size
        return
    own, out = np.array(labels)[indices], np.array(labels)[held]
    for c in set(own.tolist()):
        rows, held_rows = (own == c).sum(), (out == c).sum()
        assert held_rows < rows
        assert abs(held_rows - size * rows / len(own)) <= 1


def test_a_seed_decides_the_holdout() -> None:
    for labels in (None, LABELS):
        one, again, other = (holdout(range(N), 0.2, rng_of(seed), labels) for seed in (1, 1, 2))
        assert same(list(one), list(again))
        assert not same(list(one), list(other))


@pytest.mark.parametrize("labels", [None, [0] * 8 + [1] * 4, [0] * 6 + [1] * 6])
def test_every_row_is_as_likely_to_be_held_out(labels: list[int] | None) -> None:
    rng, draws = rng_of(5), 4000
    held = np.zeros(12)
    for _ in range(draws):
        held[holdout(range(12), 0.25, rng, labels)[1]] += 1
    standard_error = np.sqrt(0.25 * 0.75 / draws)
    assert np.abs(held / draws - 0.25).max() < 4 * standard_error


def test_a_single_row_is_learned_from() -> None:
    train, held = holdout([7], 0.2, rng_of())
    assert train.tolist() == [7]
    assert held.tolist() == []


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_holdout_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(SplitError, match="the fraction to hold out is .*, expected at least 0 and less than 1"):
        holdout([0, 1], fraction, rng_of())


@pytest.mark.parametrize("indices", [[], [0, 1]])
def test_holdout_leaves_a_row_to_learn_from(indices: list[int]) -> None:
    message = f"holding out 0.9 of {len(indices)} rows leaves none to learn from; hold out less"
    with pytest.raises(SplitError, match=message):
        holdout(indices, 0.9, rng_of())


# --- a data set


KINDS: dict[str, dict[str, Any]] = {
    "label": {"classes_per_player": 2},
    "dirichlet": {"concentration": 1.0},
    "quantity": {"exponent": 0.5},
    "iid": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_split_dataset(kind: str) -> None:
    shards = split_dataset(DIGITS, 10, rng_of(1), kind=kind, **KINDS[kind])
    assert sum(len(shard.train) + len(shard.holdout) for shard in shards) == N
    for shard in shards:
        m = len(shard.train) + len(shard.holdout)
        assert abs(len(shard.holdout) - 0.2 * m) <= 5
        assert shard.train.space == DIGITS.batch.space
    pixels = sum(int(shard.train["x"].sum()) + int(shard.holdout["x"].sum()) for shard in shards)
    assert pixels == DIGITS.batch["x"].sum()
    again = split_dataset(DIGITS, 10, rng_of(1), kind=kind, **KINDS[kind])
    assert all(a.train == b.train and a.holdout == b.holdout for a, b in zip(shards, again, strict=True))
    other = split_dataset(DIGITS, 10, rng_of(2), kind=kind, **KINDS[kind])
    assert not any(a.train == b.train for a, b in zip(shards, other, strict=True))


def test_the_holdout_fraction_leaves_the_owners_alone() -> None:
    few, many = (split_dataset(DIGITS, 5, rng_of(), kind="iid", holdout_fraction=fraction) for fraction in (0.0, 0.5))
    for a, b in zip(few, many, strict=True):
        assert len(a.holdout) == 0
        assert sorted(a.train["label"]) == sorted([*b.train["label"], *b.holdout["label"]])


def test_split_dataset_knows_all_classes_of_the_variable() -> None:
    """Classes without rows count: they are the variable's, not those that happen to occur."""
    space = Space((Variable("c", "categorical", categories=3),))
    dataset = Dataset("own", space.batch({"c": [0, 0, 1, 1]}), "c")
    with pytest.raises(SplitError, match="class 2 has 0 rows, fewer than its 1 owners, the players 2"):
        split_dataset(dataset, 3, rng_of(), kind="label", classes_per_player=1)


def test_split_dataset_refuses() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown split 'labels'; did you mean 'label'\?"):
        split_dataset(DIGITS, 5, rng_of(), kind="labels")
    with pytest.raises(UnknownNameError, match=r"unknown option of split 'dirichlet', 'concentrate'; did you mean"):
        split_dataset(DIGITS, 5, rng_of(), kind="dirichlet", concentrate=1.0)
    with pytest.raises(SplitError, match="split 'dirichlet' needs the option 'concentration'"):
        split_dataset(DIGITS, 5, rng_of(), kind="dirichlet")
    with pytest.raises(SplitError, match="player 0: the fraction to hold out is 1.5"):
        split_dataset(DIGITS, 5, rng_of(), kind="iid", holdout_fraction=1.5)
    with pytest.raises(SplitError, match=r"player \d: holding out 0.2 of 0 rows leaves none to learn from"):
        split_dataset(DIGITS, 5, rng_of(), kind="quantity", concentration=1e-6, minimum=0)
    unlabelled = Dataset("own", DIGITS.batch)
    with pytest.raises(SplitError, match="split 'label' needs labels, and data set 'own' has none"):
        split_dataset(unlabelled, 5, rng_of(), kind="label", classes_per_player=2)
    assert len(split_dataset(unlabelled, 5, rng_of(), kind="iid")) == 5
