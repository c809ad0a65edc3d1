"""Who owns which rows, by index: the kinds of splits among players, and the rows that each holds out."""

__all__ = [
    "Rows",
    "SplitError",
    "class_counts",
    "holdout",
    "split_by_label",
    "split_dirichlet",
    "split_iid",
    "split_quantity",
]

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..topology.errors import name_some

Rows = NDArray[np.int64]  # indices of rows, sorted

_ATTEMPTS = 1000
_MOST = 1e9  # concentration; far beyond it, sums overflow


class SplitError(ValueError):
    """Rows cannot be split among the players as asked.

    Not `DatasetError`: the rows themselves are fine.
    """


def split_by_label(
    labels: ArrayLike,
    players: int,
    rng: np.random.Generator,
    *,
    classes_per_player: int | None = None,
    classes: int | None = None,
    assignment: Sequence[Sequence[int]] | None = None,
) -> list[Rows]:
    """Each player owns some classes; the rows of a class are dealt evenly to its owners.

    Player i owns the classes i, i+1, …, i + `classes_per_player` - 1, modulo `classes`, or those of `assignment[i]`.
    Rows of a class that nobody owns go to nobody: `class_counts` shows such classes.

    Arguments:
        labels: `[n]`, the class of each row, 0 … classes-1.
        players: how many players.
        rng: shuffles the rows of each class.
        classes_per_player: how many classes each player owns.
        classes: number of classes; None takes the largest label plus one.
        assignment: instead of `classes_per_player`, each player's classes.

    Returns:
        For each player its rows. No row has two owners.

    Raises:
        SplitError: more classes asked for than there are, a class with fewer rows than owners, an assignment that does
            not fit, labels that are no classes.

    >>> split_by_label([0, 0, 1, 1, 2, 2], 3, np.random.default_rng(0), classes_per_player=2)
    [array([0, 2]), array([3, 4]), array([1, 5])]
    """
    labels = _check_labels(labels)
    _check_players(players)
    number = int(labels.max()) + 1
    classes = number if classes is None else classes
    if classes < number:
        raise SplitError(f"the labels hold class {number - 1}, expected 0 to {classes - 1}; correct classes")
    if assignment is None and classes_per_player is not None:
        if not isinstance(classes_per_player, int) or not 1 <= classes_per_player <= classes:
            raise SplitError(f"classes_per_player is {classes_per_player}, expected 1 to {classes} (classes)")
        assignment = [[(i + k) % classes for k in range(classes_per_player)] for i in range(players)]
    elif assignment is None or classes_per_player is not None:
        raise SplitError("give exactly one of classes_per_player and assignment")
    owners = _owners(assignment, players, classes)
    parts: list[list[Rows]] = [[] for _ in range(players)]
    for label, owning in enumerate(owners):
        rows = np.flatnonzero(labels == label)
        if len(rows) < len(owning):
            raise SplitError(
                f"class {label} has {len(rows)} rows, fewer than its {len(owning)} owners, the players"
                f" {name_some(owning)}; give it to fewer players"
            )
        if owning:
            for player, some in zip(owning, np.array_split(rng.permutation(rows), len(owning)), strict=True):
                parts[player].append(some)
    return [np.sort(np.concatenate(part)) for part in parts]


def split_dirichlet(
    labels: ArrayLike, players: int, rng: np.random.Generator, *, concentration: float, minimum: int = 1
) -> list[Rows]:
    """Each class is shared out in proportions of its own, drawn from a symmetric Dirichlet law.

    For each class c, p_c ~ Dirichlet(a, …, a) over the players, and the numbers of rows are multinomial(n_c, p_c).
    Small `concentration` a leaves each class to few players, a large one approaches iid. Drawn again, up to 1,000
    times, until every player has `minimum` rows: the law given that they have.

    Arguments:
        labels: `[n]`, the class of each row, 0, 1, ….
        players: how many players.
        rng: draws the proportions, and shuffles the rows of each class.
        concentration: a, above 0.
        minimum: rows that each player gets at least; 0 allows players without rows.

    Returns:
        For each player its rows. Every row has one owner.

    Raises:
        SplitError: players stay below `minimum`, a `concentration` out of range, too few rows.

    Source: T.-M. H. Hsu, H. Qi and M. Brown, Measuring the Effects of Non-Identical Data Distribution for Federated
    Visual Classification, 2019.

    >>> parts = split_dirichlet([0, 0, 0, 1, 1, 1], 2, np.random.default_rng(0), concentration=1.0)
    >>> sorted(np.concatenate(parts).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    labels = _check_labels(labels)
    _check_share(len(labels), players, minimum)
    counts = _draw_counts(np.unique(labels, return_counts=True)[1], players, rng, concentration, minimum)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # by class, shuffled within
    owner = np.concatenate([np.repeat(np.arange(players), row) for row in counts])
    return [np.sort(order[owner == player]) for player in range(players)]


def split_quantity(
    n: int,
    players: int,
    rng: np.random.Generator,
    *,
    exponent: float | None = None,
    concentration: float | None = None,
    minimum: int = 1,
) -> list[Rows]:
    """Players differ in how many rows they have, and in nothing else.

    Either a power law: player i has a share proportional to (i+1)^-`exponent`, player 0 the largest, rounded by largest
    remainders; 0 makes all equal. Or a Dirichlet law: shares p ~ Dirichlet(a, …, a) with a = `concentration`, sizes
    multinomial(n, p), drawn again, up to 1,000 times, until every player has `minimum` rows.

    Arguments:
        n: number of rows.
        players: how many players.
        rng: draws shares, and which rows go to whom.
        exponent: at least 0.
        concentration: a, above 0.
        minimum: rows that each player gets at least; 0 allows players without rows.

    Returns:
        For each player its rows. Every row has one owner.

    Raises:
        SplitError: players stay below `minimum`, both or none of `exponent` and `concentration`, a value out of range.

    Source: Q. Li, Y. Diao, Q. Chen and B. He, Federated Learning on Non-IID Data Silos: An Experimental Study, 2022
    (the Dirichlet law).

    >>> [len(part) for part in split_quantity(22, 3, np.random.default_rng(0), exponent=1.0)]
    [12, 6, 4]
    """
    _check_share(n, players, minimum)
    if exponent is not None and concentration is None:
        if not isinstance(exponent, int | float) or not 0 <= exponent < math.inf:
            raise SplitError(f"exponent is {exponent!r}, expected a finite number, at least 0")
        shares = np.arange(1.0, players + 1) ** -exponent
        sizes = _largest_remainders(n * shares / shares.sum(), n, np.arange(players))
        if sizes.min() < minimum:
            raise _too_few(sizes, minimum, "lower exponent")
    elif concentration is not None and exponent is None:
        sizes = _draw_counts(np.array([n]), players, rng, concentration, minimum)[0]
    else:
        raise SplitError("give exactly one of exponent and concentration")
    return [np.sort(part) for part in np.split(rng.permutation(n), np.cumsum(sizes)[:-1])]


def split_iid(n: int, players: int, rng: np.random.Generator, *, rows: int | None = None) -> list[Rows]:
    """Rows dealt at random, as evenly as can be, or so many to each.

    Arguments:
        n: number of rows.
        players: how many players.
        rng: shuffles the rows.
        rows: rows of each player; the others belong to nobody. None deals out all.

    Returns:
        For each player its rows. No row has two owners, and sizes differ by at most one.

    Raises:
        SplitError: fewer rows than players, or than `rows` for each.

    >>> split_iid(5, 2, np.random.default_rng(0))
    [array([2, 3, 4]), array([0, 1])]
    """
    _check_share(n, players, 1 if rows is None else rows)
    if rows is not None and rows < 1:
        raise SplitError(f"rows is {rows}, expected at least 1 for each player")
    dealt = rng.permutation(n)[: None if rows is None else players * rows]
    return [np.sort(part) for part in np.array_split(dealt, players)]


def holdout(
    indices: ArrayLike, fraction: float, rng: np.random.Generator, labels: ArrayLike | None = None
) -> tuple[Rows, Rows]:
    """One player's rows in two: those to learn from, and those held out.

    Of m rows, `fraction` · m are held out, rounded, and at least one when `fraction` > 0 and m > 1. With labels each
    class is held out in proportion, and keeps a row to learn from.

    Arguments:
        indices: `[m]`, the player's rows.
        fraction: part to hold out, in [0, 1).
        rng: draws which.
        labels: `[n]`, the class of every row of the data set, looked up at `indices`.

    Returns:
        The rows to learn from, and those held out.

    Raises:
        SplitError: a fraction outside [0, 1), or no row is left to learn from.

    >>> holdout([3, 5, 8, 9], 0.5, np.random.default_rng(0), labels=[0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    (array([5, 9]), array([3, 8]))
    """
    if not 0 <= fraction < 1:
        raise SplitError(f"the fraction to hold out is {fraction!r}, expected at least 0 and less than 1")
    rows = np.asarray(indices, dtype=np.int64)
    size = max(round(fraction * len(rows)), int(fraction > 0 and len(rows) > 1))
    if size >= len(rows):
        raise SplitError(f"holding out {fraction} of {len(rows)} rows leaves none to learn from; hold out less")
    rows = rng.permutation(rows)
    strata = np.zeros(len(rows), dtype=np.int64) if labels is None else np.asarray(labels)[rows]
    _, stratum, counts = np.unique(strata, return_inverse=True, return_counts=True)
    ties = rng.permutation(len(counts))
    quota = np.minimum(_largest_remainders(size * counts / len(rows), size, ties), counts - 1)
    held = np.zeros(len(rows), dtype=bool)
    for k, few in enumerate(quota):
        held[np.flatnonzero(stratum == k)[:few]] = True
    return np.sort(rows[~held]), np.sort(rows[held])


def class_counts(labels: ArrayLike, parts: Sequence[Rows], classes: int | None = None) -> NDArray[np.int64]:
    """`[players, classes]`, how many rows of each class each player owns; 0 in a column that nobody owns.

    Arguments:
        labels: `[n]`, the class of each row.
        parts: for each player its rows.
        classes: number of classes; None takes the largest label plus one.

    >>> class_counts([0, 0, 1, 2], [np.array([0]), np.array([1, 2])])
    array([[1, 0, 0],
           [1, 1, 0]])
    """
    labels = _check_labels(labels)
    number = int(labels.max()) + 1 if classes is None else classes
    return np.stack([np.bincount(labels[rows], minlength=number) for rows in parts])


def _owners(assignment: Sequence[Sequence[int]], players: int, classes: int) -> list[list[int]]:
    """For each class its owners."""
    if len(assignment) != players:
        raise SplitError(f"assignment lists the classes of {len(assignment)} players, expected {players}")
    empty = [player for player, owned in enumerate(assignment) if not len(owned)]
    if empty:
        raise SplitError(f"players {name_some(empty)} get no class, expected at least one each")
    owners: list[list[int]] = [[] for _ in range(classes)]
    for player, owned in enumerate(assignment):
        for label in owned:
            if not 0 <= label < classes:
                raise SplitError(f"player {player} is given class {label}, expected 0 to {classes - 1}")
            if player in owners[label]:
                raise SplitError(f"player {player} is given class {label} twice")
            owners[label].append(player)
    return owners


def _draw_counts(
    totals: NDArray[np.int64], players: int, rng: np.random.Generator, concentration: float, minimum: int
) -> NDArray[np.int64]:
    """`[len(totals), players]`, each total shared out by a Dirichlet law, drawn until all players have `minimum`."""
    if not isinstance(concentration, int | float) or not 0 < concentration <= _MOST:
        raise SplitError(f"concentration is {concentration!r}, expected above 0, at most {_MOST:g}")
    for _ in range(_ATTEMPTS):
        counts = rng.multinomial(totals, rng.dirichlet(np.full(players, concentration), size=len(totals)))
        sizes = counts.sum(axis=0)
        if sizes.min() >= minimum:
            return counts
    raise _too_few(sizes, minimum, f"no draw of {_ATTEMPTS} did better: raise concentration")


def _too_few(sizes: NDArray[np.int64], minimum: int, remedy: str) -> SplitError:
    short = np.flatnonzero(sizes < minimum).tolist()
    what = "no rows" if minimum <= 1 else f"fewer than {minimum} rows"
    return SplitError(f"players {name_some(short)} get {what}; {remedy}, or take fewer players")


def _largest_remainders(exact: NDArray[np.float64], total: int, ties: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integers near `exact` that add up to `total`; among equal remainders the lowest of `ties` first."""
    whole = np.floor(exact).astype(np.int64)
    most_first = np.lexsort((ties, whole - exact))
    whole[most_first[: total - int(whole.sum())]] += 1
    return whole


def _check_labels(labels: ArrayLike) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array) or array.min() < 0:
        raise SplitError(
            f"labels came with shape {array.shape} and dtype {array.dtype}, expected [n] of integers 0, 1, …"
        )
    return array


def _check_players(players: int) -> None:
    if players < 1:
        raise SplitError(f"there are {players} players, expected at least 1")


def _check_share(n: int, players: int, minimum: int) -> None:
    _check_players(players)
    if not isinstance(minimum, int) or minimum < 0:
        raise SplitError(f"minimum is {minimum!r}, expected a whole number of at least 0")
    if n < players * max(minimum, 1):
        raise SplitError(
            f"{n} rows are too few for {players} players with at least {max(minimum, 1)} each;"
            f" players {name_some(range(n // max(minimum, 1), players))} would go short"
        )
