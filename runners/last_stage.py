"""What is judged of a run that players join and leave: those present in the end, since the last came or went."""

__all__ = ["changes_of", "last_stage"]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from .observation import PlayerView
from .record import Record
from .stages import Change, Stages

_WINDOW = 0.25


def last_stage(trace: Sequence[Record], stages: Stages) -> tuple[list[Record], float]:
    """The records of the last stage as those of a run of its own, and how long play had gone on before it.

    They hold those present alone, and time, messages, moves and letters are counted from the first of them.

    Arguments:
        trace: records of the whole run.
        stages: who played when.

    Returns:
        Records in a game of those present, `stages.games[-1]`, and the time of the first of them.
    """
    late = [record for record in trace if record.time >= stages.starts[-1]]
    if not late:
        return [], 0.0
    here = stages.present[-1].tolist()
    first = late[0]
    return [_reduced(record, first, here) for record in late], first.time


def changes_of(trace: Sequence[Record], now: float, stages: Stages) -> tuple[Change, ...]:
    """The changes that have come by a time, with the error that was measured before the next one.

    Arguments:
        trace: records of the run up to then.
        now: in moves per player.
        stages: who played when.
    """
    ends = [*stages.starts[1:], np.inf]
    come = range(1, stages.at(now) + 1)
    return tuple(stages.change(k, _error(trace, stages.starts[k], ends[k], now)) for k in come)


def _error(trace: Sequence[Record], start: float, end: float, now: float) -> float | None:
    """Root mean square error over the last quarter of a stage; at its very end the next one is in force."""
    late = start + (min(end, now) - start) * (1 - _WINDOW)
    errors = [r.error_rms for r in trace if late <= r.time < end]
    known = [e for e in errors if e is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if known and len(known) == len(errors) else None


def _reduced(record: Record, first: Record, here: list[bool]) -> Record:
    views = zip(compress(record.players, here), compress(first.players, here), strict=True)
    return replace(
        record,
        time=record.time - first.time,
        seconds=record.seconds - first.seconds,
        messages=record.messages - first.messages,
        bytes=record.bytes - first.bytes,
        undelivered=record.undelivered - first.undelivered,
        players=[_since(view, begun) for view, begun in views],
        regrets=None if record.regrets is None else record.regrets[here],
        errors=None if record.errors is None else record.errors[here],
        present=None,
    )


def _since(view: PlayerView, begun: PlayerView) -> PlayerView:
    return replace(
        view,
        moves=view.moves - begun.moves,
        letters=_difference(view.letters, begun.letters),
        rejected={"any": sum(view.rejected.values()) - sum(begun.rejected.values())},
    )


def _difference(counts: Mapping[str, int], begun: Mapping[str, int]) -> dict[str, int]:
    return {name: count - begun.get(name, 0) for name, count in counts.items()}
