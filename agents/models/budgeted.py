"""What all networks that can learn with a budget of privacy tell of it."""

__all__ = ["Budgeted"]

from collections.abc import Sequence
from typing import Any

from ...games import Privacy, PrivacySpent
from .private_steps import PrivateSteps


class Budgeted:
    """A model whose private rows teach it through `PrivateSteps`, or one without privacy, whose `_private` is None."""

    _private: PrivateSteps | None

    @property
    def privacy(self) -> Privacy | None:
        """The budget; None for a model without one."""
        return None if self._private is None else self._private.privacy

    def privacy_spent(self) -> PrivacySpent | None:
        """What all calls of `learn` so far have spent; None for a model without a budget."""
        return None if self._private is None else self._private.ledger.spent()

    def spending(self) -> tuple[float, ...]:
        """See `agents.KeepsSpending`."""
        return () if self._private is None else self._private.ledger.spending()

    def keep_spending(self, spending: Sequence[float]) -> None:
        """See `agents.KeepsSpending`."""
        if self._private is not None:
            self._private.ledger.keep(spending)

    def lift_privacy(self) -> None:
        """Learns without a budget from now on: for copies that the laboratory measures by and nobody hears."""
        self._private = None

    def _ledger_state(self) -> dict[str, Any]:
        """What is spent, as a part of the state of a model; nothing without a budget."""
        return {} if self._private is None else {"privacy": self._private.ledger.state()}
