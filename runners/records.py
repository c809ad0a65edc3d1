"""Records of a run on disk: what every observation and close look showed, streamed as it comes."""

__all__ = ["RecordWriter", "read_looks", "read_records", "read_trace"]

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..agents import RegretEstimate, Scores
from .examination import Look
from .observation import PlayerView
from .record import Record
from .record_files import RecordsError, read_table
from .record_schemas import LETTERS, LOOK_SCHEMA, PLAYER_SCHEMA, RUN_SCHEMA, SCORES, SHARE_SCHEMA
from .record_tables import RecordTable, Recovered
from .storage import RunPath, run_path
from .views import PlayerArrays

_MOST_PLAYERS = 10_000

_HONEST = pa.field("honest_error_rms", pa.float64())
_SPENT = (pa.field("epsilon", pa.float64()), pa.field("delta", pa.float64()))
_SCHEMAS = {"run": RUN_SCHEMA, "players": PLAYER_SCHEMA, "looks": LOOK_SCHEMA}
_OF_TABLES = {**_SCHEMAS, "shares": SHARE_SCHEMA}


class RecordWriter:
    """Writes records to `DIR/run-00000.parquet`, … (one row each) and `DIR/players-00000.parquet`, … (one a player).

    Close looks go to `DIR/looks-00000.parquet`, …, a row a player, and what listeners with a defence learned from to
    `DIR/shares-00000.parquet`, …, a row for each neighbour of theirs.

    A part is written whole or not at all, after 20,000 rows or 5 seconds, and never touched again. What came after the
    last part is in a log beside it, see `RecordTable`: a killed process loses no record that it had written. Of a fleet
    of more than 10,000 players the single ones are not recorded. What is not known is null: figures without closed
    form, and the regret and error, given as NaN, of a player that is absent. Use it as a context manager.

    Arguments:
        directory: made if it is not there.
        players: names of the players, in the order of records.
        parts: table → number of parts to go on after, as `flush` gave it; whatever came later is removed.
        resume: whether records that are there are kept, and logs of a process that was killed recovered; else they are
            removed.
        timed: whether wall-clock seconds are recorded. Without, a run in virtual time always leaves the same records.
        hostile: whether some players are not honest: the run then has the column `honest_error_rms`.
        private: whether some players have a budget of privacy: players then have the columns `epsilon` and `delta`.

    Attributes:
        recovered: what `resume` brought back; None without.

    Raises:
        ValueError: both `parts` and `resume`.
    """

    def __init__(
        self,
        directory: RunPath | str,
        players: Sequence[Any],
        *,
        parts: Mapping[str, int] | None = None,
        resume: bool = False,
        timed: bool = True,
        hostile: bool = False,
        private: bool = False,
    ) -> None:
        if resume and parts is not None:
            raise ValueError("parts and resume were both given, expected one; parts go back, resume keeps all there is")
        directory = run_path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._names, self._players = players, [str(p) for p in players[:_MOST_PLAYERS]]
        self._timed = timed
        begun = None if resume else {"run": 0, "players": 0, "looks": 0, **(parts or {})}
        self._hostile, self._spent = hostile, [field.name for field in _SPENT] if private else []
        schemas = {**_SCHEMAS, "run": RUN_SCHEMA.append(_HONEST)} if hostile else dict(_SCHEMAS)
        if private:
            schemas["players"] = pa.schema([*PLAYER_SCHEMA, *_SPENT])
        self._run, self._each, self._looks = self._tables = [
            RecordTable(directory, name, schema, None if begun is None else begun[name])
            for name, schema in schemas.items()
        ]
        self._shares = RecordTable(directory, "shares", SHARE_SCHEMA, None if begun is None else begun.get("shares", 0))
        self.recovered = self._recover() if resume else None

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, record: Record) -> None:
        """Adds a record."""
        if not (isinstance(record.players, PlayerArrays) and len(record.players) > _MOST_PLAYERS):
            self._write_players(record)
        self._write_shares(record)
        totals = record.all_players
        self._run.add(  # after the players: a record is whole once its row of the run is there
            {
                "time": [record.time],
                "seconds": [record.seconds if self._timed else None],
                "messages": [record.messages],
                "bytes": [record.bytes],
                "undelivered": [record.undelivered],
                "nash_gap": [_known(totals.nash_gap)],
                "error_rms": [_known(totals.error_rms)],
                "amplitude": [_known(record.amplitude)],
                **({_HONEST.name: [_known(record.honest_error_rms)]} if self._hostile else {}),
            }
        )
        if self._each.due or self._run.due or self._shares.due:
            self._shares.flush()
            self._each.flush()
        if self._run.due:
            self._run.flush()

    def write_look(self, look: Look) -> None:
        """Adds what a close look showed."""
        count = len(look.players)
        self._looks.add(
            {
                "time": [look.time] * count,
                "seconds": [look.seconds if self._timed else None] * count,
                "player": [str(p) for p in look.players],
                "shares": [None if s is None else s.tolist() for s in look.shares],
                "total_variation": list(look.total_variations),
                "regret_estimate": [None if r is None else r.gain for r in look.regrets],
                "regret_error": [None if r is None else r.error for r in look.regrets],
                "held_out": list(look.held_out),
                **{name: [None if s is None else getattr(s, name) for s in look.scores] for name in SCORES},
            }
        )
        if self._looks.due:
            self.flush()

    def flush(self) -> dict[str, int]:
        """Makes parts of what is left, and tells the number of parts of each table."""
        # In this order: no part of the run tells of players that are in no part.
        shares = self._shares.flush()
        made = {"players": self._each.flush(), "run": self._run.flush(), "looks": self._looks.flush()}
        return {**made, "shares": shares} if shares else made

    def close(self) -> None:
        """Makes parts of what is left."""
        self.flush()

    def _write_players(self, record: Record) -> None:
        views, count = record.players, len(record.players)
        if len(self._players) < count:
            self._players = [str(p) for p in self._names]
        self._each.add(
            {
                "time": [record.time] * count,
                "player": self._players,
                "moves": [view.moves for view in views],
                "regret": _figures(record.regrets, count),
                "error": _figures(record.errors, count),
                **{name: [view.letters.get(name) for view in views] for name in LETTERS},
                "rejected": [sum(view.rejected.values()) for view in views],
                "staleness": [view.staleness for view in views],
                **{name: [getattr(view.privacy, name, None) for view in views] for name in self._spent},
            }
        )

    def _write_shares(self, record: Record) -> None:
        if not isinstance(record.players, list):
            return
        guarded = [(name, v.shares) for name, v in zip(self._names, record.players, strict=False) if v.shares]
        rows = [(str(listener), str(sender), share) for listener, held in guarded for sender, share in held.items()]
        if rows:
            listeners, senders, shares = map(list, zip(*rows, strict=True))
            self._shares.add(
                {"time": [record.time] * len(rows), "listener": listeners, "sender": senders, "share": shares}
            )

    def _recover(self) -> Recovered:
        rows, dropped = {}, 0
        for name, table in zip(_SCHEMAS, self._tables, strict=True):
            rows[name], left = table.recover()
            dropped += left
        # A record that was not written to its end has rows of players, and none of the run.
        beyond = max(0, self._each.rows() - self._run.rows() * len(self._names))
        self._each.cut(beyond)
        self._shares.recover()
        self._shares.cut(self._shares_beyond())
        rows["players"] = max(0, rows["players"] - beyond)
        return Recovered(rows, beyond, dropped)

    def _shares_beyond(self) -> int:
        """Rows of shares that came after the last row of the run."""
        shares, run = (read_table(self._directory, name, _OF_TABLES[name]) for name in ("shares", "run"))
        if shares is None:
            return 0
        last = -np.inf if run is None or not len(run) else run["time"].to_numpy()[-1]
        return int((shares["time"].to_numpy() > last).sum())


def read_records(directory: RunPath | str, name: str = "run") -> Any:
    """All records of a run directory's `records` folder as one `pyarrow.Table`, in the order written.

    A run that is going on can be read too, up to its last whole record.

    Arguments:
        directory: the folder `records`, a path or a URL.
        name: `run`, one row per record, `players`, one per record and player, `looks`, one per look and player, or
            `shares`, one per record, listener with a defence and neighbour.

    Raises:
        FileNotFoundError: there is no record of this name.
        RecordsError: they are damaged.
    """
    table = read_table(run_path(directory), name, _OF_TABLES.get(name))
    if table is None:
        raise FileNotFoundError(f"no records {name!r} in {directory}; expected {name}-00000.parquet")
    return table


def read_trace(directory: RunPath, names: Sequence[str] | None = None) -> Iterator[Record]:
    """The records of a run that was interrupted, one after the other, as its monitor saw them.

    Refused messages are counted, but their reasons are not on record.

    Arguments:
        directory: the folder of records.
        names: of the players that the rows are to be of, in their order; None for whoever is in the first record.

    Raises:
        FileNotFoundError: there is no record.
        RecordsError: they are damaged, or not of these players.
    """
    run, players = read_records(directory, "run"), read_records(directory, "players")
    count = len(players) // max(len(run), 1)
    expected = players.column("player").slice(0, count).to_pylist() if names is None else list(names)
    if len(run) and players.column("player").to_pylist() != expected * len(run):
        raise RecordsError(
            f"{directory} holds {len(players)} rows of players for {len(run)} records, expected one for each player "
            "and record; put back what the run wrote"
        )
    for number, row in enumerate(run.to_pylist()):
        views = players.slice(number * count, count).to_pylist()
        regrets, errors = (_column(views, name) for name in ("regret", "error"))
        yield Record(
            time=row["time"],
            seconds=row["seconds"] or 0.0,
            messages=row["messages"],
            bytes=row["bytes"],
            players=[
                PlayerView(v["moves"], None, {n: v[n] for n in LETTERS}, {"any": v["rejected"]}, v["staleness"])
                for v in views
            ],
            regrets=regrets,
            errors=errors,
            amplitude=row["amplitude"],
        )


def read_looks(directory: RunPath) -> Iterator[Look]:
    """The close looks of a run that was interrupted, one after the other."""
    table = read_table(directory, "looks", LOOK_SCHEMA)
    rows = [] if table is None else table.to_pylist()
    for time_, group in itertools.groupby(rows, key=lambda row: row["time"]):
        views = list(group)
        yield Look(
            time_,
            views[0]["seconds"] or 0.0,
            tuple(v["player"] for v in views),
            tuple(None if v["shares"] is None else np.array(v["shares"]) for v in views),
            tuple(v["total_variation"] for v in views),
            tuple(
                None if v["regret_estimate"] is None else RegretEstimate(v["regret_estimate"], v["regret_error"])
                for v in views
            ),
            tuple(v["held_out"] for v in views),
            tuple(_scores(v) for v in views),
        )


def _scores(row: dict[str, Any]) -> Scores | None:
    """The scores in one row of the looks; None where there are none."""
    found = {name: row.get(name) for name in SCORES}  # runs of an earlier version have fewer
    return None if all(value is None for value in found.values()) else Scores(**found)


def _column(rows: list[dict[str, Any]], name: str) -> NDArray[np.float64] | None:
    """One figure of each player; NaN for those who lack it, who are absent, and None where nobody has it."""
    values = [row[name] for row in rows]
    return None if all(value is None for value in values) else np.array(values, np.float64)


def _figures(values: NDArray[np.float64] | None, count: int) -> list[float | None]:
    """Figures of all players, None for those that have none."""
    if values is None:
        return [None] * count
    plain = values.tolist()
    return [_known(value) for value in plain] if np.isnan(values).any() else plain


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value
