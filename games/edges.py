"""What travels along an edge: the variables that sender and listener share, or the reason why it cannot be played."""

__all__ = ["shared_space"]

from collections.abc import Hashable
from dataclasses import replace

from .space import Space, SpaceError, Variable
from .specs import GameError


def shared_space(sender: Hashable, theirs: Space, listener: Hashable, mine: Space, *, completes: bool) -> Space:
    """The principle of games on different spaces: S = V_listener ∩ published V_sender, in the listener's order.

    The listener draws the rest from its own conditional, x_rest ~ p_i(· | x_S), and learns from the completed row; a
    listener that cannot do so needs S to be all of its variables. A variable that the sender keeps private
    (`publish=False`) is not in S, whatever it is called.

    Arguments:
        sender: the player who publishes.
        theirs: its variables.
        listener: the player who learns.
        mine: its variables.
        completes: whether the listener's model has `complete` (`agents.HasCompletion`).

    Raises:
        GameError: nothing is shared, or less than a listener without `complete` needs.
        SpaceError: one name stands for different variables at the two ends.

    Source: Schlesinger & Flach, *Game-theoretic distributed learning of generative models*, 2025.

    >>> from nashgossip.games import Variable
    >>> digit, image = Variable("digit", "categorical", categories=10), Variable("image", "binary", (28, 28))
    >>> shared_space("helper", Space((digit, image)), "main", Space((digit,)), completes=False).names
    ('digit',)
    """
    edge = f"edge {sender} -> {listener}"
    shared = []
    for variable in mine:
        if variable.name in theirs and theirs[variable.name].publish:
            other = replace(theirs[variable.name], publish=variable.publish)
            if other != variable:
                raise SpaceError(
                    f"{edge}: variable {variable.name!r} is {_told(other)} at player {sender} and "
                    f"{_told(variable)} at player {listener}; rename one of them"
                )
            shared.append(variable)
    lacking = [v.name for v in mine if v not in shared]
    private = [name for name in lacking if name in theirs]
    kept = f"player {sender} keeps {', '.join(private)} private (publish=False); publish it, or " if private else ""
    if not shared:
        published = ", ".join(v.name for v in theirs if v.publish) or "nothing"
        raise GameError(
            f"nothing travels along {edge}: player {sender} publishes {published}, and player {listener} has "
            f"{', '.join(mine.names)}; {kept or 'give them a variable in common, or '}remove the edge"
        )
    if lacking and not completes:
        raise GameError(
            f"{edge} does not carry {', '.join(lacking)}, which the model of player {listener} needs, as it has no "
            f"`complete`; {kept or f'let player {sender} publish it, '}give player {listener} a model with `complete`, "
            "or remove the edge"
        )
    return Space(tuple(shared))


def _told(variable: Variable) -> str:
    """What a variable is, in words: `categorical of shape () with 10 categories`."""
    words = f"{variable.kind} of shape {variable.shape}"
    if variable.categories is not None:
        words += f" with {variable.categories} categories"
    if variable.low is not None or variable.high is not None:
        words += f" from {variable.low} to {variable.high}"
    return words
