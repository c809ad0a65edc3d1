"""The published batches that a run keeps for its audit: the newest of every sender, in one bounded file."""

__all__ = ["KeptBatch", "KeptBatches", "NoBatchesError", "keeping_batches", "read_kept", "require_keeping"]

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..agents import Message
from ..games import Batch, FleetGame, Game, Space
from .checkpoint import checkpoints, load_tree, save_tree
from .experiment import Experiment, ExperimentError
from .storage import RunPath

_ENGINES = ("rounds", "virtual")
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


class KeptBatches:
    """Keeps what arrived of the newest publications of every sender; memory does not grow with time.

    Arguments:
        players: in the order of the graph.
        limit: publications kept of each sender.
        stride: only every so many of its publications are kept.
    """

    def __init__(self, players: Sequence[Hashable], limit: int, stride: int = 1) -> None:
        self._players, self._limit, self._stride = list(players), limit, stride
        self._held: dict[Hashable, dict[tuple[int, tuple[str, ...]], tuple[Batch, set[Hashable]]]] = {
            player: {} for player in players
        }

    def add(self, sender: Hashable, listener: Hashable, message: Message) -> None:
        """Takes note of a delivery, as engines report it (`on_delivery`)."""
        batch = message.content
        if message.sequence % self._stride or not isinstance(batch, Batch):
            return
        held = self._held[sender]
        held.setdefault((message.sequence, batch.space.names), (batch, set()))[1].add(listener)
        numbers = {number for number, _ in held}
        if len(numbers) > self._limit:
            oldest = min(numbers)
            for key in [key for key in held if key[0] == oldest]:
                del held[key]

    @property
    def batches(self) -> list[KeptBatch]:
        """What is kept, by sender and number."""
        order = {player: k for k, player in enumerate(self._players)}
        return [
            KeptBatch(sender, number, tuple(sorted(listeners, key=order.__getitem__)), batch)
            for sender, held in self._held.items()
            for (number, _), (batch, listeners) in sorted(held.items(), key=lambda item: item[0])
        ]

    def save(self, directory: RunPath) -> None:
        """Writes what is kept to `directory/published`, as checkpoints are written: whole, and without pickle."""
        order = {player: k for k, player in enumerate(self._players)}
        batches = [
            {
                "sender": order[kept.sender],
                "sequence": kept.sequence,
                "listeners": [order[listener] for listener in kept.listeners],
                "arrays": dict(kept.batch.arrays),
            }
            for kept in self.batches
        ]
        save_tree({"players": list(map(str, self._players)), "batches": batches}, directory / _FOLDER, 0, kept=1)

    def load(self, batches: Sequence[KeptBatch]) -> None:
        """Goes on from what an earlier part of the same run had kept."""
        for kept in batches:
            self._held[kept.sender][kept.sequence, kept.batch.space.names] = kept.batch, set(kept.listeners)


@contextlib.contextmanager
def keeping_batches(
    experiment: Experiment, game: Game | FleetGame, directory: RunPath, *, resumed: bool = False
) -> Iterator[dict[str, Any]]:
    """Hands out the engine's option by which it reports deliveries, and writes what was kept when the block ends.

    It is empty, and nothing is written, where the experiment keeps no batches.
    """
    settings = experiment.audit
    if settings.batches == 0 or isinstance(game, FleetGame):
        yield {}
        return
    kept = KeptBatches(game.players, settings.batches, settings.stride)
    if resumed:
        with contextlib.suppress(NoBatchesError):
            kept.load(read_kept(directory, game))
    try:
        yield {"on_delivery": kept.add}
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
            "--set audit.batches=20, on the runner rounds or virtual"
        )
    tree = load_tree(found[-1])
    players = game.players
    try:
        if tree["players"] != list(map(str, players)):
            raise KeyError("players")
        return [_kept(game, players, item) for item in tree["batches"]]
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
            f"audit.batches is {settings.batches}, but on runner {runner!r} no process sees what players send; set "
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


def _kept(game: Game, players: Sequence[Hashable], item: dict[str, Any]) -> KeptBatch:
    sender, arrays = players[item["sender"]], item["arrays"]
    space = Space(tuple(game.space(sender)[name] for name in arrays))
    listeners = tuple(players[k] for k in item["listeners"])
    return KeptBatch(sender, int(item["sequence"]), listeners, space.batch(arrays))
