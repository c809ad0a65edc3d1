"""What it takes to start a run of many processes, and whether there is room for it."""

__all__ = [
    "BYTES_PER_PROCESS",
    "NEURAL_BYTES_PER_PROCESS",
    "NEURAL_SECONDS_PER_PROCESS",
    "PROCESSES_PER_CPU",
    "SECONDS_PER_PROCESS",
    "StartEstimate",
    "TooLargeError",
    "estimate_start",
    "require_room",
]

from dataclasses import dataclass

_MIB = 2**20

BYTES_PER_PROCESS = 70 * _MIB
"""Memory that a Ray worker with players of exponential families has to itself: 60 to 69 MiB of unique set size."""
NEURAL_BYTES_PER_PROCESS = 240 * _MIB
"""The same once it has imported torch and neural models: 180 to 240 MiB. The models themselves come on top."""
SECONDS_PER_PROCESS = 1.4
"""Processor time until a Ray worker answers: 1.2 s for one, 1.3 s to 1.5 s where a hundred start (2026)."""
NEURAL_SECONDS_PER_PROCESS = 2.8
"""The same with torch: 2 s to 3.5 s."""
PROCESSES_PER_CPU = 100
"""Processes on one processor from which on a run is refused: players that share one are late by a hundred turns."""


class TooLargeError(ValueError):
    """A run needs more memory, or more processes, than this machine or cluster has room for.

    Not `StartError`: nothing has been started.
    """


@dataclass(frozen=True)
class StartEstimate:
    """What starting a run takes.

    Arguments:
        processes: worker processes in all.
        players: players in them.
        memory: bytes, of all processes together.
        seconds: until all of them answer, when the processors have nothing else to do.
    """

    processes: int
    players: int
    memory: int
    seconds: float

    @property
    def sentence(self) -> str:
        """The same in words, for the user."""
        many = f"{self.processes} process{'es' if self.processes != 1 else ''}"
        return (
            f"{self.players} player{'s' if self.players != 1 else ''} in {many}: about {_size(self.memory)} of memory, "
            f"{_time(self.seconds)} to start"
        )


def estimate_start(
    processes: int, players: int, *, bytes_per_player: float, neural: bool, cpus: float
) -> StartEstimate:
    """What it will take to start so many processes: `processes · base + players · bytes_per_player` bytes.

    Arguments:
        processes: worker processes; each imports the package once.
        players: players in them.
        bytes_per_player: memory of one player besides the process: its rows, model and letters.
        neural: whether the processes import torch.
        cpus: processors on which they start, of all nodes together.

    Raises:
        ValueError: a number out of range.

    >>> estimate_start(50, 1000, bytes_per_player=1e6, neural=False, cpus=4).sentence
    '1000 players in 50 processes: about 4.3 GiB of memory, 18 s to start'
    """
    if processes < 1 or players < processes:
        raise ValueError(
            f"{processes} processes for {players} players, expected from 1 process up to one for each player; "
            "set cluster.players_per_actor"
        )
    if bytes_per_player < 0 or cpus <= 0:
        raise ValueError(f"bytes_per_player is {bytes_per_player:g} and cpus {cpus:g}, expected at least 0 and above 0")
    base = NEURAL_BYTES_PER_PROCESS if neural else BYTES_PER_PROCESS
    each = NEURAL_SECONDS_PER_PROCESS if neural else SECONDS_PER_PROCESS
    seconds = max(each, each * processes / cpus)
    return StartEstimate(processes, players, int(processes * base + players * bytes_per_player), seconds)


def require_room(estimate: StartEstimate, memory: int, cpus: float) -> None:
    """Raises TooLargeError unless there is room for a run.

    Arguments:
        estimate: what it takes.
        memory: bytes that are available, of all nodes together.
        cpus: processors, of all nodes together.

    Raises:
        TooLargeError: more memory than there is, or more than `PROCESSES_PER_CPU` processes to a processor.
    """
    remedies = "put more players into one process (cluster.players_per_actor), play fewer players, add nodes"
    if estimate.memory > memory:
        raise TooLargeError(
            f"{estimate.sentence}, but only {_size(memory)} of memory is available; "
            f"{remedies}, or set cluster.oversubscribe: true to try all the same"
        )
    most = int(PROCESSES_PER_CPU * cpus)
    if estimate.processes > most:
        raise TooLargeError(
            f"{estimate.sentence}, but {cpus:g} CPUs take at most {most} processes ({PROCESSES_PER_CPU} each); "
            f"{remedies}, or set cluster.oversubscribe: true to try all the same"
        )


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / _MIB:.0f} MiB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
