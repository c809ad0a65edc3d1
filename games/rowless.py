"""From a player's specification with private rows to the same one without them, for those who may not see rows."""

__all__ = ["without_rows"]

from dataclasses import replace

from .mixtures import class_shares_among, label_of
from .specs import PlayerSpec
from .summary import DataSummary


def without_rows(spec: PlayerSpec) -> PlayerSpec:
    """The specification with a `DataSummary` in the place of the rows, those held out included.

    Whatever theory says of a game is the same, to the last bit, of the game without rows; only joint tables need more
    than the summary. A specification that holds no rows is handed back as it is. Of a player with privacy there are the
    statistics that it releases, and no class shares, in the summary or beside it.

    The class is `spec.label`; where that is None, the only scalar categorical variable of the rows.

    >>> import numpy as np
    >>> from nashgossip.games import Gaussian
    >>> family = Gaussian((2,))
    >>> spec = PlayerSpec(family, data=family.space.batch({"x": [[1.0, 2.0], [3.0, 6.0]]}))
    >>> lean = without_rows(spec)
    >>> lean.data, lean.rows, lean.anchor()
    (None, 2, array([2., 4.]))
    """
    told = None if spec.private is not None else spec.class_shares
    if not spec.parts:
        return replace(spec, data=None, holdout=None, class_shares=told)
    parts = spec.parts
    spaces = tuple(rows.space for rows in parts)
    label = spec.label
    if label is None:
        found = {label_of(space) for space in spaces} - {None}
        label = found.pop() if len(found) == 1 else None
    whole = label is not None and all(label in space for space in spaces)
    statistics = None if spec.family is None else spec.mean_statistics()
    shares = class_shares_among(parts, str(label)) if whole and spec.private is None else None
    summary = DataSummary(
        rows=spec.rows,
        statistics=statistics,
        class_shares=shares,
        label=label,
        variables=spaces if spec.holdout is None else (*spaces, spec.holdout.space),
    )
    return replace(spec, data=None, holdout=None, class_shares=told, summary=summary)
