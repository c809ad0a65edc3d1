"""Splits for experiments with few rows: so many of each class, or in all, for everyone, or all rows for everyone."""

__all__ = ["split_few", "split_sizes", "split_whole"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .splits import Rows, SplitError


def split_few(labels: ArrayLike, players: int, rng: np.random.Generator, *, rows_per_class: int) -> list[Rows]:
    """The same number of rows of every class for every player; no row has two owners, most have none.

    Arguments:
        labels: `[n]`, the class of each row, 0, 1, ….
        players: how many players.
        rng: chooses the rows.
        rows_per_class: rows of each class that each player gets.

    Returns:
        For each player its rows.

    Raises:
        SplitError: fewer than one row or player, or a class with too few rows.

    >>> split_few([0, 0, 0, 1, 1, 1], 2, np.random.default_rng(0), rows_per_class=1)
    [array([2, 5]), array([0, 4])]
    """
    labels = np.asarray(labels)
    if rows_per_class < 1 or players < 1:
        raise SplitError(f"rows_per_class is {rows_per_class} for {players} players, expected at least 1 of both")
    parts: list[list[Rows]] = [[] for _ in range(players)]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < rows_per_class * players:
            raise SplitError(
                f"class {label} has {len(rows)} rows, fewer than {rows_per_class} for each of {players} players; "
                "make rows_per_class smaller"
            )
        for player in range(players):
            parts[player].append(rows[player * rows_per_class : (player + 1) * rows_per_class])
    return [np.sort(np.concatenate(part)) for part in parts]


def split_sizes(labels: ArrayLike, players: int, rng: np.random.Generator, *, sizes: Sequence[int]) -> list[Rows]:
    """So many rows for each player, classes as evenly as there are rows; no row has two owners.

    Arguments:
        labels: `[n]`, the class of each row, 0, 1, ….
        players: how many players.
        rng: chooses the rows.
        sizes: rows of each player, in order.

    Returns:
        For each player its rows.

    Raises:
        SplitError: another number of sizes than of players, a size below 1, or more rows than there are.

    >>> split_sizes([0, 0, 0, 1, 1, 1], 2, np.random.default_rng(0), sizes=[2, 4])
    [array([2, 3]), array([0, 1, 4, 5])]
    """
    labels = np.asarray(labels)
    if len(sizes) != players or any(not isinstance(size, int) or size < 1 for size in sizes):
        raise SplitError(f"sizes is {list(sizes)}, expected {players} whole numbers of at least 1, one a player")
    if sum(sizes) > len(labels):
        raise SplitError(f"sizes are {sum(sizes)} rows in all, but there are {len(labels)}; make them smaller")
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), np.int64)  # how many rows of the same class come before
    for label in np.unique(labels):
        there = order[labels[order] == label]
        turn[there] = np.arange(len(there))
    dealt = order[np.argsort(turn[order], kind="stable")]
    parts: dict[int, Rows] = {}
    for player in sorted(range(players), key=lambda k: sizes[k]):  # those with few rows first: classes run out later
        parts[player], dealt = np.sort(dealt[: sizes[player]]), dealt[sizes[player] :]
    return [parts[player] for player in range(players)]


def split_whole(n: int, players: int, rng: np.random.Generator) -> list[Rows]:
    """All rows for everyone: the ideal that a player alone is compared with.

    Arguments:
        n: how many rows.
        players: how many players.
        rng: not needed; nothing is random.

    >>> split_whole(3, 2, np.random.default_rng(0))
    [array([0, 1, 2]), array([0, 1, 2])]
    """
    return [np.arange(n) for _ in range(players)]
