"""What a live page of a run is told, in turn: new records and sheets, failures, and when to load itself again."""

__all__ = ["Event", "Feed", "PageFacts", "state_of"]

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from .journal import read_journal
from .record_files import half_note
from .report_data import fresh_data, sheet_data
from .report_graph import Drawing
from .report_table import current_cells
from .report_words import so_far, troubles
from .sheets import read_sheets
from .storage import RunPath, listing
from .watch_tail import Fresh, RunTail, TakenBackError

Event: TypeAlias = tuple[str, dict[str, Any]]
"""Its name and what it holds, for JSON."""

_RESULTS = ("summary.json", "diagnosis.json", "players.json", "convergence.png", "samples.png", "looks.png")


@dataclass(frozen=True, eq=False)
class PageFacts:
    """What a page shows, which its events add to.

    Arguments:
        records: number of records.
        state: of the results, see `state_of`.
        sheet: time of the last sheet of samples; -1 for none.
        names: of the players on record.
        drawing: who is drawn.
        floors: predicted noise floor of each player.
        ended: whether the run has ended.
    """

    records: int
    state: str
    sheet: float
    names: tuple[str, ...]
    drawing: Drawing | None
    floors: dict[str, float]
    ended: bool


def state_of(run: RunPath) -> str:
    """A word that changes as soon as a run's results do."""
    found = {path.name: path for path in listing(run) if path.name in _RESULTS}
    stats = [(name, found[name].stat()) for name in _RESULTS if name in found]
    text = ";".join(f"{name} {stat.st_size} {stat.st_mtime}" for name, stat in stats)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@final
class Feed:
    """The events of one page.

    Arguments:
        run: the directory.
        page: what the page shows.
        after: number of records that it has by now.
    """

    def __init__(self, run: RunPath, page: PageFacts, after: int) -> None:
        self._run, self._page = run, page
        self._tail = RunTail(run / "records", page.names, after)
        self._sheet = page.sheet
        self._half = 0
        self._state = page.state
        self._journals: list[tuple[str, int]] = []
        self._told: list[list[str]] = []

    def read(self) -> list[Event]:
        """What is new since the last call.

        The page is to load itself again once results have come and nothing more comes, when the first record has, and
        when records were taken back.
        """
        state, before = state_of(self._run), self._state
        self._state = state
        if state != self._page.state and state == before:
            return [("reload", {})]
        try:
            fresh = self._tail.read()
        except TakenBackError:
            return [("reload", {})]
        if len(fresh.run) and not self._page.records:
            return [("reload", {})]
        events = [self._records(fresh)] if len(fresh.run) or fresh.half != self._half else []
        self._half = fresh.half
        for sheet in read_sheets(self._run, self._sheet):
            self._sheet = sheet.time
            events.append(("sheet", sheet_data(sheet)))
        return events + self._troubles()

    def _records(self, fresh: Fresh) -> Event:
        told = fresh_data(fresh, self._page.names, self._page.drawing)
        notes = [half_note(fresh.half)] if fresh.half else []
        figures: dict[str, Any] = {"happened": None, "players": None}
        if len(fresh.run) and not self._page.ended:
            last = fresh.run.slice(len(fresh.run) - 1).to_pylist()[0]
            known = [float("nan") if last[name] is None else last[name] for name in ("time", "error_rms", "nash_gap")]
            figures["happened"] = so_far(fresh.records, *known)
            if self._page.names:
                rows = fresh.players.slice(len(fresh.players) - len(self._page.names))
                figures["players"] = current_cells(rows, self._page.floors)
        return "records", {**told, **figures, "notes": notes}

    def _troubles(self) -> list[Event]:
        """The failures on record, where there are others than before."""
        logs = [path for path in listing(self._run / "logs") if path.suffix == ".jsonl"]
        sizes = [(path.name, path.stat().st_size) for path in logs]
        if sizes == self._journals:
            return []
        self._journals = sizes
        entries = [e for log in logs for e in read_journal(log) if e.get("level") in ("warning", "error")]
        rows = [[*told.values()] for told in troubles(sorted(entries, key=lambda e: str(e.get("time", ""))))]
        if rows == self._told:
            return []
        self._told = rows
        return [("troubles", {"rows": rows})]
