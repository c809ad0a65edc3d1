"""Differential privacy of a player, as data: the budget, the bound on what one row can do, and what was spent."""

__all__ = ["Privacy", "PrivacyError", "PrivacySpent"]

from dataclasses import dataclass


class PrivacyError(ValueError):
    """A setting of privacy that means nothing, or that a player cannot keep.

    Not `GameError`, which is about parts that do not fit together: a budget is checked before there is a game.
    """

    @staticmethod
    def without_extra(what: str, error: ModuleNotFoundError) -> "PrivacyError":
        """That `what` needs a package of the extra `privacy`, whose import raised `error`."""
        return PrivacyError(
            f"{what} needs the extra 'privacy', and {error.name} is not installed: pip install 'nashgossip[privacy]', "
            "or make install-dev in a checkout"
        )


@dataclass(frozen=True)
class Privacy:
    """What a player lets others learn of each of its private rows: (ε, δ)-differential privacy of all it ever sends.

    Two data sets are neighbours if one row of the one is missing in the other, that is, counts as a row that teaches
    nothing; the number of rows is public.

    Arguments:
        epsilon: ε of the whole run, above 0; infinite for no privacy.
        delta: δ, in (0, 1); should be well below 1 over the number of rows.
        clip: bound C in the Euclidean norm. Of an exponential family, on ‖φ(x) − reference‖ of a row, rows beyond are
            drawn towards the reference; None for the family's own bound where it has one. Of a network, on the gradient
            of a row; None for 1.
        noise: of a network, the noise multiplier σ, noise of a step having standard deviation σC; None for the least
            that the planned moves can be paid with. An exponential family always takes the least.
        seed: of the noise that a family releases its statistics with; of its own for each player.

    Source: Dwork & Roth, *The Algorithmic Foundations of Differential Privacy*, 2014.
    """

    epsilon: float
    delta: float = 1e-5
    clip: float | None = None
    noise: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise PrivacyError(f"seed of the noise is {self.seed}, expected at least 0")
        if not self.epsilon > 0:
            raise PrivacyError(f"epsilon is {self.epsilon}, expected above 0; .inf is no privacy")
        if not 0 < self.delta < 1:
            raise PrivacyError(f"delta is {self.delta}, expected above 0 and below 1")
        for name, value in {"clip": self.clip, "noise": self.noise}.items():
            if value is not None and not 0 < value < float("inf"):
                raise PrivacyError(f"{name} is {value}, expected above 0 and finite")

    @property
    def finite(self) -> bool:
        """Whether ε is finite: an infinite one is no privacy."""
        return self.epsilon < float("inf")


@dataclass(frozen=True, slots=True)
class PrivacySpent:
    """What a player has spent of its budget so far: all that it ever sent is (ε, δ)-differentially private.

    Arguments:
        epsilon: ε; 0 before anything was learned from private rows.
        delta: δ.
        exhausted: whether the budget pays for no further look at the private rows; a family looks once.
    """

    epsilon: float
    delta: float
    exhausted: bool = False
