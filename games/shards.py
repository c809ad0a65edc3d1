"""Each player's rows of a data set: those to learn from, and its holdout."""

__all__ = ["Shard", "split_dataset"]

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..topology.names import require_name
from .datasets import Dataset
from .few_rows import split_few, split_sizes, split_whole
from .space import Batch
from .splits import Rows, SplitError, holdout, split_by_label, split_dirichlet, split_iid, split_quantity


@dataclass(frozen=True)
class Shard:
    """One player's rows: `train` to learn from, `holdout` to judge by. No row is in both."""

    train: Batch
    holdout: Batch


def split_dataset(
    dataset: Dataset,
    players: int,
    rng: np.random.Generator,
    *,
    kind: str,
    holdout_fraction: float = 0.2,
    **options: Any,
) -> list[Shard]:
    """The data set split among the players, each part in turn split into training rows and a holdout.

    Arguments:
        dataset: the rows.
        players: how many players.
        rng: splits first, then draws the holdouts in the players' order, by class where the data set has a label.
        kind: `label`, `dirichlet`, `quantity`, `iid`, `few`, `sizes` or `whole`, for `split_by_label` and so on.
        holdout_fraction: part of each player's rows that it does not learn from.
        options: keyword arguments of the function for that kind.

    Raises:
        UnknownNameError: an unknown kind or option; the nearest is suggested.
        SplitError: a missing option, a kind that needs labels that are not there, or see the function.

    >>> from nashgossip.games.datasets import load_digits
    >>> rng = np.random.default_rng(0)
    >>> shards = split_dataset(load_digits(binarize=0.5), 10, rng, kind="label", classes_per_player=2)
    >>> [np.unique(shard.train["label"]).tolist() for shard in shards[:3]], len(shards[0].holdout)
    ([[0, 1], [1, 2], [2, 3]], 36)
    """
    kinds: dict[str, Callable[..., list[Rows]]] = {
        "label": split_by_label,
        "dirichlet": split_dirichlet,
        "quantity": split_quantity,
        "iid": split_iid,
        "few": split_few,
        "sizes": split_sizes,
        "whole": split_whole,
    }
    split = kinds[require_name("split", kind, kinds)]
    parameters = inspect.signature(split).parameters
    known = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        require_name(f"option of split {kind!r},", option, known)
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise SplitError(f"split {kind!r} needs the option {name!r}")
    labels, by_class = dataset.labels, "labels" in parameters
    if by_class and labels is None:
        raise SplitError(f"split {kind!r} needs labels, and data set {dataset.name!r} has none")
    if "classes" in known:
        options.setdefault("classes", dataset.classes)
    shards = []
    for player, rows in enumerate(split(labels if by_class else len(dataset), players, rng, **options)):
        try:
            train, held = holdout(rows, holdout_fraction, rng, labels)
        except SplitError as error:
            raise SplitError(f"player {player}: {error}") from error
        shards.append(Shard(dataset.batch.select(train), dataset.batch.select(held)))
    return shards
