"""What an actor is made from: the seats of its players, where all the others live, and what to do in trouble."""

__all__ = ["Archive", "Failure", "HostPlan", "Log", "PlayerReport", "Report", "Store", "tell"]

import logging
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..games import PrivacySpent
from .message import Message
from .model_errors import ModelError
from .seat import Seat


class Store(Protocol):
    """Where an actor keeps its checkpoints; it may be read by another process, on another machine."""

    def save(self, tree: Any, number: int) -> None:
        """Writes a checkpoint, whole or not at all."""
        ...

    def latest(self) -> tuple[int, Any] | None:
        """Number and tree of the newest checkpoint that can be read; None if there is none."""
        ...

    def load(self, number: int) -> Any:
        """The tree of one checkpoint."""
        ...

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints there are, rising."""
        ...

    def forget_after(self, number: int) -> None:
        """Removes all checkpoints of higher numbers."""
        ...


class Log(Protocol):
    """Where an actor writes what happens to it and its players."""

    def write(self, event: str, *, level: str = "info", player: str | None = None, **fields: Any) -> None:
        """Adds one event."""
        ...


class Archive(Protocol):
    """Where an actor keeps what its players have published, bounded, for whoever asks what can be learned from it."""

    def add(self, sender: Hashable, listener: Hashable, message: Message) -> None:
        """Takes note that a message has arrived."""
        ...

    @property
    def batches(self) -> Any:
        """What is kept, for the laboratory."""
        ...

    def state(self) -> Any:
        """What is kept, as a tree for a checkpoint."""
        ...

    def load(self, state: Any) -> None:
        """Keeps what the one kept whose `state()` this is, and nothing else."""
        ...


def tell(log: Log | None, teller: str, event: str, **fields: Any) -> None:
    """Writes an event to a log, if there is one; what it cannot take goes to the process's own output."""
    if log is None:
        return
    try:
        log.write(event, **fields)
    except OSError as error:
        logging.getLogger(__name__).error("%s: %s, %s (%s)", teller, event, fields, error)


@dataclass(frozen=True, eq=False)
class HostPlan:
    """What an actor is made from, and made anew from after a crash.

    Arguments:
        index: number of the actor in its run.
        wirings: for each graph of the run in turn, the seats of the actor's players, those of absent ones included.
        absent: for each graph, who is not there.
        homes: every player that these listen to or tell → number of its actor.
        positions: every player of `homes` and of the seats → its position in the graph's order.
        find: number of an actor → its handle; called in a thread.
        put: keeps a large content once for all who hear it, and gives what travels in its place.
        leave: ends the actor's own process for good, unless the function that it is given says that nobody wants it any
            more; whether it has. Called in a thread.
        rate: moves per second of each player's Poisson clock; None moves without pause.
        synchronous: whether it plays in rounds.
        pulls: whether some players of the game ask others, so that rounds have time for questions and answers.
        policy: after a failure of a model: `fail` ends the run, `skip` sets the player aside, `restart` goes on from
            its last checkpoint.
        restarts: times that a model is restarted.
        store: for checkpoints; None saves none.
        checkpoint_seconds: between checkpoints in asynchronous play.
        lease: seconds without anybody asking anything after which the actor saves itself and ends; None never. A round
            under way ends only if a neighbour that it needs is gone.
        log: for what happens; None for nowhere.
        archive: makes what keeps publications; None keeps none.
        settled: called when all players have been built, where they read their data themselves.
        wiring: number of the graph in force at the start.

    Raises:
        ValueError: `restart` without store.
    """

    index: int
    wirings: Sequence[Sequence[Seat]]
    absent: Sequence[frozenset[Hashable]]
    homes: Mapping[Hashable, int]
    positions: Mapping[Hashable, int]
    find: Callable[[int], Any]
    put: Callable[[Any], Any]
    leave: Callable[[Callable[[], bool]], bool]
    rate: float | None = None
    synchronous: bool = False
    pulls: bool = False
    policy: Literal["fail", "skip", "restart"] = "fail"
    restarts: int = 3
    store: Store | None = None
    checkpoint_seconds: float = 10.0
    lease: float | None = None
    log: Log | None = None
    archive: Callable[[], Archive] | None = None
    settled: Callable[[], None] | None = None
    wiring: int = 0

    def __post_init__(self) -> None:
        if self.policy == "restart" and self.store is None:
            raise ValueError("policy is restart, but there is no store to go on from; give one, or take fail or skip")

    def tell(self, event: str, player: Hashable = None, *, level: str = "info", **fields: Any) -> None:
        """Writes to the log what happens to the actor, or to one of its players.

        A full disk ends no play: a line that the log cannot take goes to the process's own output.
        """
        name = None if player is None else str(player)
        tell(self.log, f"actor {self.index}", event, level=level, player=name, actor=self.index, **fields)


@dataclass(frozen=True)
class Failure:
    """A model that failed, so that it can be told where it happened and to whom.

    Arguments:
        player: its name.
        move: the number of the move.
        cause: what it raised.
        trace: the traceback, as text.
    """

    player: str
    move: int
    cause: str
    trace: str

    @staticmethod
    def of(error: ModelError) -> "Failure":
        """The failure that an error tells of."""
        origin = error.__cause__ or error
        # without columns, for which Python 3.11 would parse the source: its parser fails where two threads use it
        frames = [(f.f_code.co_filename, n, f.f_code.co_name, None) for f, n in traceback.walk_tb(origin.__traceback__)]
        trace = traceback.format_list(frames) + traceback.format_exception_only(origin)
        return Failure(error.player, error.move, error.cause, "Traceback:\n" + "".join(trace))

    @property
    def error(self) -> ModelError:
        """The error to raise, with the traceback as a note."""
        error = ModelError(self.player, self.move, self.cause)
        error.add_note(self.trace)
        return error


@dataclass(frozen=True, eq=False, slots=True)
class PlayerReport:
    """What the laboratory reads of one player.

    Arguments:
        name: the player.
        moves: moves made.
        mean: mean parameters, `[size]`, or None.
        sent: messages delivered to neighbours.
        bytes: bytes of their values.
        letters: counts of the mailbox.
        rejected: refused messages by reason.
        staleness: mean age of the letters held, in moves.
        shares: see `Player.shares`.
        privacy: see `Player.privacy_spent`.
    """

    name: Hashable
    moves: int
    mean: NDArray[np.float64] | None
    sent: int
    bytes: int
    letters: Mapping[str, int]
    rejected: Mapping[str, int]
    staleness: float
    shares: Mapping[Hashable, float] | None = None
    privacy: PrivacySpent | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """What the laboratory reads of an actor at one moment.

    Arguments:
        process: number of its process.
        incarnation: times that it has been restored from a checkpoint.
        wiring: number of the graph that its players are on.
        players: those that are there, in order.
        superseded: messages replaced by newer ones before they could be sent.
        unreachable: messages that could not be delivered, because the neighbour's actor was away.
        failure: what ended its play, or None.
        aside: players set aside after a failure.
        restarted: times that a model was restarted.
    """

    process: int
    incarnation: int
    wiring: int
    players: Sequence[PlayerReport]
    superseded: int
    unreachable: int
    failure: Failure | None = None
    aside: Mapping[Hashable, Failure] = field(default_factory=dict)
    restarted: int = 0
