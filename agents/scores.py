"""How a player does on test rows: what it tells of their classes, and how likely it finds them."""

__all__ = ["Scores", "score"]

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, BoundaryError, Space
from .protocols import GenerativeModel, HasClasses, HasLogDensity

_MOST_DENSITIES = 1000


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one player on labelled test rows; None where one does not apply.

    Arguments:
        accuracy: share of rows whose class it tells.
        auc: area under the curve of its p(c = 1), the probability that it ranks a row of class 1 above one of class 0;
            None unless there are two classes, both among the rows.
        log_class: mean log-probability that it gives to the true class, in nats a row; −∞ where one is 0.
        log_density: mean log-density of what it is shown and the class if it models it, in nats a row, over at most
            1,000 rows spread evenly.
    """

    accuracy: float | None = None
    auc: float | None = None
    log_class: float | None = None
    log_density: float | None = None


def score(model: GenerativeModel, test: Batch, label: str, held: Collection[str] | None = None) -> Scores:
    """Scores of a model on test rows.

    Arguments:
        model: the player's.
        test: labelled rows; the model is shown those of its own variables that they hold, but not the label.
        label: the variable that holds the class.
        held: the variables that the player's rows hold, if it is not to see more; None for all of the model's.
    """
    known = model.space.names if held is None else held
    shown = tuple(v for v in test.space if v.name != label and v.name in model.space and v.name in known)
    if not shown:
        return Scores()
    rows = test.restrict(Space(shown))
    named = label in model.space
    density = _log_density(model, test.restrict(Space((test.space[label], *shown))) if named else rows)
    if not named or not isinstance(model, HasClasses):
        return Scores(log_density=density)
    truth = test[label]
    told: NDArray[np.float64] = model.class_probabilities(rows)
    with np.errstate(divide="ignore"):
        log_class = float(np.log(told[np.arange(len(truth)), truth]).mean())
    right = float((told.argmax(axis=1) == truth).mean())
    return Scores(right, _auc(truth, told), log_class, density)


def _auc(truth: NDArray[np.int64], told: NDArray[np.float64]) -> float | None:
    if told.shape[1] != 2 or len(np.unique(truth)) != 2:
        return None
    from sklearn.metrics import roc_auc_score  # not at import: players start without scikit-learn

    return float(roc_auc_score(truth, told[:, 1]))


def _log_density(model: GenerativeModel, rows: Batch) -> float | None:
    if not isinstance(model, HasLogDensity):
        return None
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_DENSITIES)).astype(np.int64))
    try:
        return float(cast("HasLogDensity", model).log_density(rows.select(chosen)).mean())
    except BoundaryError:
        return None
