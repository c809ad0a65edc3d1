"""How a run on a cluster ends before its time, and how it is set back."""

__all__ = ["PlayerLostError", "Setback", "StallError", "StartError", "StoreError", "named"]

from collections.abc import Hashable, Sequence


class StartError(RuntimeError):
    """The players' actors, or the tasks that read their data, did not start in time, or died while starting.

    Not `ModelError`: no model was asked to do anything yet.
    """


class PlayerLostError(RuntimeError):
    """A player's process died during the run, and was not to be restarted, or not as often.

    Not `ModelError`: its model did not raise, the process ended. Memory is the usual cause.
    """


class StallError(RuntimeError):
    """A player has not moved, or not answered, for as long as `patience` allows.

    Not `PlayerLostError`: its process lives, or is being restarted.
    """


class StoreError(RuntimeError):
    """An actor could not save a checkpoint, or read the one that it is to go back to.

    Not `StorageError`, which tells of a storage that cannot be had at all.
    """


class Setback(Exception):
    """A process died in synchronous play: everybody goes back to the last checkpoint.

    Not `PlayerLostError`: the run goes on.
    """


def named(players: Sequence[Hashable]) -> str:
    """The first ten players of some, for a message."""
    shown = ", ".join(map(str, players[:10])) + (", …" if len(players) > 10 else "")
    return f"player {shown}" if players else "a player"
