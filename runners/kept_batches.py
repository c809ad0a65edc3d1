"""The published batches that a run keeps for its audit: the newest of every sender, in one bounded file."""

__all__ = ["KeptBatch", "KeptBatches", "NoBatchesError", "keeping_batches", "read_kept", "require_keeping"]

import contextlib
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from ..agents import Message
from ..games import Batch, FleetGame, Game, Space
from .checkpoint import checkpoints, load_tree, save_tree
from .experiment import Experiment, ExperimentError
from .storage import RunPath

_ENGINES = ("rounds", "virtual", "ray")
_FOLDER = "published"


class NoBatchesError(ValueError):
    """A run has kept no published batches, so that nothing can be said of what they tell.

    Not `RunDirectoryError`: the directory is that of a run.
    """


@dataclass(frozen=True, eq=False)
class KeptBatch:
    """One publication as it arrived.

    Arguments:
        sender: who published it.
        sequence: its number among the sender's publications.
        listeners: at whom it arrived.
        batch: the rows.
    """

    sender: Hashable
    sequence: int
    listeners: tuple[Hashable, ...]
    batch: Batch


@final
class KeptBatches:
    """Keeps what arrived of the newest publications of every sender; memory does not grow with time.

    Arguments:
        spaces: player → its variables, of all who send or listen, in the order of the graph.
        limit: publications kept of each sender.
        stride: only every so many of its publications are kept.
    """

    def __init__(self, spaces: Mapping[Hashable, Space], limit: int, stride: int = 1) -> None:
        self._spaces, self.limit, self._stride = dict(spaces), limit, stride
        self._order = {player: k for k, player in enumerate(self._spaces)}
        self._held: dict[Hashable, dict[tuple[int, tuple[str, ...]], tuple[Batch, set[Hashable]]]] = {}

    @staticmethod
    def of(game: Game, limit: int, stride: int = 1) -> "KeptBatches":
        """For all players of a game."""
        return KeptBatches({player: game.space(player) for player in game.players}, limit, stride)

    def among(self, players: Container[Hashable]) -> "Callable[[], KeptBatches]":
        """Makes others, empty and for some of the players only."""
        spaces = {player: space for player, space in self._spaces.items() if player in players}
        return partial(KeptBatches, spaces, self.limit, self._stride)

    def add(self, sender: Hashable, listener: Hashable, message: Message) -> None:
        """Takes note of a delivery, as engines report it (`on_delivery`)."""
        if message.sequence % self._stride:
            return
        content = message.content  # plain arrays, of a message that was on its way when a checkpoint was saved
        batch = content if isinstance(content, Batch) else _over(self._spaces[sender], content)
        self._keep(KeptBatch(sender, message.sequence, (listener,), batch))

    def merge(self, batches: Iterable[KeptBatch]) -> None:
        """Takes in what others have kept of the same run, or an earlier part of it; twice the same changes nothing."""
        for kept in batches:
            self._keep(kept)

    @property
    def batches(self) -> list[KeptBatch]:
        """What is kept, by sender and number."""
        return [
            KeptBatch(sender, number, tuple(sorted(listeners, key=self._order.__getitem__)), batch)
            for sender in self._order
            for (number, _), (batch, listeners) in sorted(self._held.get(sender, {}).items(), key=lambda item: item[0])
        ]

    def state(self) -> list[dict[str, Any]]:
        """What is kept, as a tree for checkpoints; players by position."""
        return [
            {
                "sender": self._order[kept.sender],
                "sequence": kept.sequence,
                "listeners": [self._order[listener] for listener in kept.listeners],
                "arrays": dict(kept.batch.arrays),
            }
            for kept in self.batches
        ]

    def load(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Keeps what the one kept whose `state()` this is, for the same players, and nothing else."""
        self._held = {}
        self.merge(_kept(self._spaces, item) for item in state)

    def _keep(self, kept: KeptBatch) -> None:
        held = self._held.setdefault(kept.sender, {})
        held.setdefault((kept.sequence, kept.batch.space.names), (kept.batch, set()))[1].update(kept.listeners)
        numbers = {number for number, _ in held}
        if len(numbers) > self.limit:
            oldest = min(numbers)
            for key in [key for key in held if key[0] == oldest]:
                del held[key]

    def save(self, directory: RunPath) -> None:
        """Writes what is kept to `directory/published`, as checkpoints are written: whole, and without pickle."""
        tree = {"players": list(map(str, self._order)), "batches": self.state()}
        save_tree(tree, directory / _FOLDER, 0, kept=1)


@contextlib.contextmanager
def keeping_batches(
    experiment: Experiment, game: Game | FleetGame, directory: RunPath, *, resumed: bool = False
) -> Iterator[dict[str, Any]]:
    """Hands out the engine's option by which batches are kept, and writes what was kept when the block ends.

    It is empty, and nothing is written, where the experiment keeps no batches.
    """
    settings = experiment.audit
    if settings.batches == 0 or isinstance(game, FleetGame):
        yield {}
        return
    kept = KeptBatches.of(game, settings.batches, settings.stride)
    if resumed:
        with contextlib.suppress(NoBatchesError):
            kept.merge(read_kept(directory, game))
    try:
        yield {"kept": kept} if experiment.play.runner == "ray" else {"on_delivery": kept.add}
    finally:
        kept.save(directory)


def read_kept(directory: RunPath, game: Game) -> list[KeptBatch]:
    """The publications that a run has kept, by sender and number.

    Arguments:
        directory: of the run.
        game: that was played.

    Raises:
        NoBatchesError: there are none, or those of other players.
        CheckpointError: the file is damaged.
        BatchError: it holds rows that do not fit the senders' variables.
    """
    found = checkpoints(directory / _FOLDER)
    if not found:
        raise NoBatchesError(
            f"{directory} has kept no published batches, expected them in {_FOLDER}/; play it again with "
            f"--set audit.batches=20, on the runner {', '.join(_ENGINES)}"
        )
    tree = load_tree(found[-1])
    spaces = {player: game.space(player) for player in game.players}
    try:
        if tree["players"] != list(map(str, spaces)):
            raise KeyError("players")
        return [_kept(spaces, item) for item in tree["batches"]]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoBatchesError(
            f"{found[-1]} holds no batches of the players of this run ({type(error).__name__}: {error}); play it again"
        ) from None


def require_keeping(experiment: Experiment) -> None:
    """Refuses to keep batches, or to plant canaries, where it cannot be done or would be of no use.

    Raises:
        ExperimentError: it says what to set.
    """
    settings, runner = experiment.audit, experiment.play.runner
    if settings.batches and runner not in _ENGINES:
        raise ExperimentError(
            f"audit.batches is {settings.batches}, but the runner {runner!r} sends no batches that could be kept; set "
            f"play.runner={' or '.join(_ENGINES)}, or audit.batches=0"
        )
    if settings.canaries and not settings.batches:
        raise ExperimentError(
            f"audit.canaries is {settings.canaries}, but audit.batches is 0, so that nobody would look for them; set "
            "audit.batches=20, or audit.canaries=0"
        )
    for key in ("distil", "pool"):
        if settings.batches and getattr(experiment.data, key):
            raise ExperimentError(
                f"audit.batches is {settings.batches}, but data.{key} gives players rows that come from others, which "
                f"no audit can tell from their own; set data.{key}=false, or audit.batches=0"
            )


def _kept(spaces: Mapping[Hashable, Space], item: Mapping[str, Any]) -> KeptBatch:
    players = list(spaces)
    sender = players[item["sender"]]
    listeners = tuple(players[k] for k in item["listeners"])
    return KeptBatch(sender, int(item["sequence"]), listeners, _over(spaces[sender], item["arrays"]))


def _over(space: Space, arrays: Mapping[str, Any]) -> Batch:
    """A batch of those variables of a space that there are arrays of."""
    return Space(tuple(space[name] for name in arrays)).batch(arrays)
