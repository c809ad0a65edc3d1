"""Whether the players of a game can keep their budgets of privacy."""

__all__ = ["require_accounting", "require_private"]

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from .privacy import Privacy, PrivacyError, PrivacySpent
from .release import row_bound

if TYPE_CHECKING:
    from .specs import PlayerSpec


def require_private(specs: "Mapping[Any, PlayerSpec]") -> None:
    """Refuses what breaks a promise of privacy, before anything is released.

    Raises:
        PrivacyError: δ so large that a row may be given away whole, a defence that looks at private rows, noise chosen
            for a family, which always takes the least, a family without a bound, or two that share a seed of noise.
    """
    seeds: dict[int, Hashable] = {}
    for player, spec in specs.items():
        privacy = spec.private
        if privacy is None:
            continue
        if privacy.delta * spec.rows >= 1:
            raise PrivacyError(
                f"player {player} has {spec.rows} rows and delta {privacy.delta:g}, expected below 1/{spec.rows}, as a "
                "row in so many may be given away; make delta smaller"
            )
        if spec.defence is not None and spec.defence.compares:
            raise PrivacyError(
                f"player {player} has privacy, but compares what it hears with its private rows, and so tells of them "
                "what no budget pays for; leave `screen` and `trust` out of its defence, or privacy"
            )
        if spec.model is None:
            _require_release(player, spec, privacy)
            if privacy.seed in seeds:
                raise PrivacyError(
                    f"players {seeds[privacy.seed]} and {player} release their statistics with the same noise, which "
                    "others could take away; give each a privacy.seed of its own"
                )
            seeds[privacy.seed] = player


def require_accounting(player: Hashable, model: Any, privacy: Privacy) -> None:
    """Refuses a black box that does not account for what it spends (`agents.HasPrivacy`), or has another budget.

    The budget of a model is its attribute `privacy`, where it has one; else what it has spent must be within the one
    that is promised.

    Raises:
        PrivacyError: it is one.
    """
    account = getattr(model, "privacy_spent", None)
    if not callable(account):
        raise PrivacyError(
            f"player {player} has a budget of privacy, but its model {type(model).__name__} cannot learn with one; "
            "take an exponential family or a model with `privacy_spent`, or leave privacy out"
        )
    spent = account()
    if spent is None:
        raise PrivacyError(
            f"player {player} has a budget of privacy, but its model {type(model).__name__} was made to learn without "
            "one; make it with the budget, or leave privacy out"
        )
    _require_same(player, model, privacy, spent)


def _require_same(player: Hashable, model: Any, privacy: Privacy, spent: PrivacySpent) -> None:
    own = getattr(model, "privacy", None)
    kept = spent.epsilon <= privacy.epsilon and spent.delta <= privacy.delta
    told = f"has spent epsilon {spent.epsilon:g} at delta {spent.delta:g}"
    if isinstance(own, Privacy):
        kept = kept and (own.epsilon, own.delta) == (privacy.epsilon, privacy.delta)
        told = f"was made with epsilon {own.epsilon:g} and delta {own.delta:g}"
    if not kept:
        raise PrivacyError(
            f"player {player} has a budget of epsilon {privacy.epsilon:g} and delta {privacy.delta:g}, but its model "
            f"{type(model).__name__} {told}; give both the same budget"
        )


def _require_release(player: Hashable, spec: "PlayerSpec", privacy: Privacy) -> None:
    if privacy.noise is not None:
        raise PrivacyError(
            f"player {player} has privacy.noise {privacy.noise:g}, which means nothing for an exponential family: it "
            "takes the least noise; leave it out"
        )
    assert spec.family is not None  # without a model there is one
    try:
        row_bound(spec.family, privacy)
    except PrivacyError as error:
        raise PrivacyError(f"player {player}: {error}") from None
