"""What an audit found: by player and by distance of the attacker, with every figure for JSON."""

__all__ = ["ATTACKS", "Audit", "Finding"]

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .audit_budgets import Budget
from .audit_figures import Scores, Strength
from .audit_tables import TableRisk

ATTACKS = ("nearest", "density-ratio", "likelihood-ratio")
"""Membership attacks, the last of which needs shadow games."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What an attacker at one distance learns of one player's private rows, or of those of all players together.

    Arguments:
        player: whose rows; None for all together.
        distance: steps along listening edges from the player to the attacker, who hears what players one step nearer
            published; at distance 1 the player itself.
        publishers: these players.
        rows: that the attacker has received from them.
        attacks: attack → its strength; None where there are too few rows to say.
        reconstruction: see `audit_attacks.reconstruction`; None for all together.
        canaries: attack → strength and exposure in bits, on canaries against decoys; empty without canaries.
        tables: attack on tables → its risk, None where there are too few rows; empty where rows are no table. See
            `audit_tables.attack_table`, and for all together `audit_verdict.pooled_risk`.
        bound: what the AUC of no attack exceeds on average, by the player's budget: see `audit_budgets.auc_bound`; of
            all together the largest; None where one has no bound. It is not that of canaries, which no budget allows.
        scores: attack → what it said of each row, to be pooled with those of other runs; not among `figures`.
    """

    player: Hashable | None
    distance: int
    publishers: tuple[Hashable, ...]
    rows: int
    attacks: Mapping[str, Strength | None]
    reconstruction: Mapping[str, Any] | None = None
    canaries: Mapping[str, tuple[Strength, float]] = field(default_factory=dict)
    tables: Mapping[str, TableRisk | None] = field(default_factory=dict)
    bound: float | None = None
    scores: Mapping[str, Scores] = field(default_factory=dict, repr=False)

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "player": None if self.player is None else str(self.player),
            "distance": self.distance,
            "publishers": [str(p) for p in self.publishers],
            "rows": self.rows,
            "auc_bound": self.bound,
            "attacks": {name: None if s is None else s.figures() for name, s in self.attacks.items()},
            "reconstruction": None if self.reconstruction is None else dict(self.reconstruction),
            "tables": {name: None if risk is None else risk.figures() for name, risk in self.tables.items()},
            "canaries": {name: {**s.figures(), "exposure_bits": bits} for name, (s, bits) in self.canaries.items()},
        }


@dataclass(frozen=True, eq=False)
class Audit:
    """What came of an audit.

    Arguments:
        name: of the experiment.
        players: by player and distance.
        together: by distance, over all players.
        leaks: distance → whether the tests together find a leak there: at most 5 % of audits of models that ignore
            their rows find one at any distance.
        p: distance → smallest p-value there, corrected for the number of tests of the whole audit, see
            `audit_verdict.concluded`.
        shadows: shadow games played.
        notes: what could not be done, in sentences.
        settings: of the experiment that was played, every default written out; not among `figures`.
        reasons: distance → the tests that find a leak there, in words, the most certain first.
        budgets: of privacy that players have, and what these promise.
    """

    name: str
    players: tuple[Finding, ...]
    together: tuple[Finding, ...]
    leaks: Mapping[int, bool]
    p: Mapping[int, float]
    shadows: int
    notes: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    reasons: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "experiment": self.name,
            "leak": any(self.leaks.values()),
            "distances": [
                {
                    "leak": self.leaks[f.distance],
                    "p": self.p[f.distance],
                    "reasons": list(self.reasons.get(f.distance, ())),
                    **f.figures(),
                }
                for f in self.together
            ],
            "players": [f.figures() for f in self.players],
            "budgets": [budget.figures() for budget in self.budgets],
            "shadows": self.shadows,
            "notes": list(self.notes),
        }
