"""When the laboratory looks closely at players during a run, and what it asks them then."""

__all__ = ["Looks", "closely"]

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, final

from ..agents import Player
from ..games import Batch


@final
@dataclass(frozen=True, eq=False)
class Looks:
    """What is asked, and how often.

    Arguments:
        rows: rows that each player generates for measurement; 0 for none.
        count: looks spread evenly over the run, the first before any move and the last at the end.
        regret_steps: calls of `learn` by which a clone of each player learns on to estimate its regret; 0 for none.
            Not done before the first move.
        test: labelled rows on which players are tested, for all of them or player → rows; None for none.
        label: the variable of `test` that holds the class.

    Raises:
        ValueError: fewer than 2 looks, negative numbers, or test rows without label.
    """

    rows: int = 0
    count: int = 2
    regret_steps: int = 0
    test: Batch | Mapping[Hashable, Batch] | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.count < 2 or self.rows < 0 or self.regret_steps < 0:
            raise ValueError(
                f"looks are {self.count} with {self.rows} rows and {self.regret_steps} steps, "
                "expected at least 2 looks and no negative numbers"
            )
        for rows in [] if self.test is None else [self.test] if isinstance(self.test, Batch) else self.test.values():
            if self.label not in rows.space:
                raise ValueError(
                    f"the test rows have no variable {self.label!r}; they hold {', '.join(rows.space.names)}"
                )

    def test_of(self, player: Hashable) -> Batch | None:
        """The rows on which a player is tested; None for none."""
        return self.test if self.test is None or isinstance(self.test, Batch) else self.test.get(player)

    def due(self, before: float, now: float, moves: float) -> bool:
        """Whether a look falls into the time after `before` up to `now`, of a run of `moves` units of time."""
        if now >= moves:
            return True
        spacing = moves / (self.count - 1)
        return math.floor(now / spacing + 1e-9) > math.floor(before / spacing + 1e-9)


def closely(players: Mapping[Hashable, Player], looks: Looks, *, first: bool, last: bool) -> dict[str, Any]:
    """What players in this process answer, as the fields of an `Observation`."""
    found: dict[str, Any] = {}
    if looks.rows:
        found["samples"] = {name: p.measure(looks.rows) for name, p in players.items()}
    if looks.regret_steps and not first:
        found["regret_estimates"] = {name: p.estimate_regret(looks.regret_steps) for name, p in players.items()}
    if looks.test is not None:
        tests = {name: looks.test_of(name) for name in players}
        found["scores"] = {
            name: p.score(rows, looks.label) for name, p in players.items() if (rows := tests[name]) is not None
        }
    if last or (looks.count > 2 and not first):
        found["held_out"] = {name: p.held_out() for name, p in players.items()}
    return found
