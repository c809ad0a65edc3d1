"""The checkpoints of one player, or whatever else saves itself: saved by number, the newest readable one found."""

__all__ = ["CheckpointStore"]

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from .checkpoint import CheckpointError, checkpoint_path, checkpoints, load_tree, save_tree
from .file_names import require_file_name
from .storage import RunPath, run_path


def _log(error: CheckpointError) -> None:
    logging.getLogger(__name__).warning("%s", error)


@final
@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoints in `parent/name`, a folder of their own; it can be pickled, and used from another process.

    Arguments:
        parent: folder of the stores; a local one is made absolute, so that it holds in a process that works elsewhere.
        name: of this store, a file name, such as `file_name` makes of a player's name.
        kept: how many checkpoints stay.

    Raises:
        ValueError: `name` is no file name, or `kept` is below 1.
    """

    parent: RunPath
    name: str
    kept: int = 2

    def __post_init__(self) -> None:
        require_file_name(self.name)
        if self.kept < 1:
            raise ValueError(f"kept is {self.kept}, expected at least 1 checkpoint to stay")
        object.__setattr__(self, "parent", run_path(self.parent).absolute())

    @property
    def folder(self) -> RunPath:
        """Where the checkpoints are."""
        return self.parent / self.name

    def save(self, tree: Any, number: int) -> None:
        """Saves a tree as `save_tree` does; older ones beyond `kept`, and later ones, are removed.

        Raises:
            TypeError, ValueError: as `save_tree`.
            OSError: the storage refused.
        """
        save_tree(tree, self.folder, number, kept=self.kept)

    def latest(self, on_damaged: Callable[[CheckpointError], None] = _log) -> tuple[int, Any] | None:
        """The number and the tree of the newest checkpoint that can be read; None where none was ever saved.

        Arguments:
            on_damaged: told of each newer one that cannot be read and is passed over; by default it is logged.

        Raises:
            CheckpointError: there are some, but none can be read.
        """
        numbers = self.numbers()
        for number in reversed(numbers):
            try:
                return number, self.load(number)
            except CheckpointError as error:
                on_damaged(error)
        if numbers:
            raise CheckpointError(
                f"none of the checkpoints {numbers} in {self.folder} can be read; remove them to begin anew"
            )
        return None

    def load(self, number: int) -> Any:
        """The tree saved under a number.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return load_tree(checkpoint_path(self.folder, number))

    def forget_after(self, number: int) -> None:
        """Removes all checkpoints of higher numbers, the newest first: they are of a future that was taken back.

        Raises:
            OSError: the storage refused.
        """
        for later in sorted((n for n in self.numbers() if n > number), reverse=True):
            checkpoint_path(self.folder, later).unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        """The numbers saved, oldest first."""
        return [int(path.stem) for path in checkpoints(self.folder)]
