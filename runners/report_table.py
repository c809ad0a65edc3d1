"""The table of players in a report: how each ended or, while the run goes on, how each is at the last record."""

__all__ = ["PlayersTable", "current_cells", "players_table"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .reading import RunView

_MOST_ROWS = 1_000
_COLUMNS = {
    "player": "player",
    "conduct": "conduct",
    "moves": "moves",
    "regret": "regret (nats)",
    "error": "RMS error",
    "floor": "predicted floor",
    "held_out": "held-out (nats a row)",
    "total_variation": "total variation",
    "accuracy": "accuracy",
    "epsilon": "ε spent",
    "delta": "δ spent",
    "staleness": "staleness (moves)",
}
_CURRENT = ("player", "moves", "regret", "error", "floor", "staleness")


@dataclass(frozen=True)
class PlayersTable:
    """Headings and cells, as text.

    Arguments:
        title: what the figures are.
        heads: of the columns.
        cells: of the rows, a player each.
        left_out: number of players without a row.
    """

    title: str
    heads: Sequence[str]
    cells: Sequence[Sequence[str]]
    left_out: int


def players_table(view: RunView, floors: Mapping[str, float] | None = None) -> PlayersTable:
    """The table of a run, with the columns that at least one player has.

    Arguments:
        view: the run.
        floors: predicted noise floor of each player, where the run has not ended.
    """
    if view.players is not None:
        shown, title, count = view.players[:_MOST_ROWS], "How each player ended", len(view.players)
    else:
        last = view.player_rows.slice(len(view.player_rows) - len(view.names) if len(view.player_rows) else 0)
        shown, title, count = _current(last, floors or {}), "How each player is at the last record", len(last)
    names = [name for name in _COLUMNS if any(p.get(name) is not None for p in shown)]
    cells = [[_cell(p.get(name)) for name in names] for p in shown]
    return PlayersTable(title, [_COLUMNS[name] for name in names], cells, max(0, count - len(shown)))


def current_cells(rows: pa.Table, floors: Mapping[str, float]) -> list[list[str]]:
    """The cells of `players_table` for the rows of players in one record."""
    shown = _current(rows, floors)
    names = [name for name in _CURRENT if any(p.get(name) is not None for p in shown)]
    return [[_cell(p.get(name)) for name in names] for p in shown]


def _current(rows: pa.Table, floors: Mapping[str, float]) -> list[dict[str, Any]]:
    found = rows.slice(0, _MOST_ROWS).select([name for name in _CURRENT if name != "floor"]).to_pylist()
    return [{**row, "floor": floors.get(row["player"])} for row in found]


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
