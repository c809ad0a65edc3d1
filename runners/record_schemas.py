"""The columns of the tables of records, with their types."""

__all__ = ["LETTERS", "LOOK_SCHEMA", "PLAYER_SCHEMA", "RUN_SCHEMA", "SCORES", "SHARE_SCHEMA"]

import pyarrow as pa

LETTERS = ("accepted", "duplicate", "outdated", "replaced")
"""What became of the letters of a player, as columns of its rows."""
SCORES = ("accuracy", "auc", "log_class", "log_density")
"""Columns of a close look that are fields of `Scores`."""

RUN_SCHEMA = pa.schema(
    [
        ("time", pa.float64()),
        ("seconds", pa.float64()),
        ("messages", pa.int64()),
        ("bytes", pa.int64()),
        ("undelivered", pa.int64()),
        ("nash_gap", pa.float64()),
        ("error_rms", pa.float64()),
        ("amplitude", pa.float64()),
    ]
)
"""Of `run`: a row a record."""
PLAYER_SCHEMA = pa.schema(
    [
        ("time", pa.float64()),
        ("player", pa.string()),
        ("moves", pa.int64()),
        ("regret", pa.float64()),
        ("error", pa.float64()),
        *((name, pa.int64()) for name in (*LETTERS, "rejected")),
        ("staleness", pa.float64()),
    ]
)
"""Of `players`: a row a record and player."""
LOOK_SCHEMA = pa.schema(
    [
        ("time", pa.float64()),
        ("seconds", pa.float64()),
        ("player", pa.string()),
        ("shares", pa.list_(pa.float64())),
        ("total_variation", pa.float64()),
        ("regret_estimate", pa.float64()),
        ("regret_error", pa.float64()),
        ("held_out", pa.float64()),
        *((name, pa.float64()) for name in SCORES),
    ]
)
"""Of `looks`: a row a close look and player."""
SHARE_SCHEMA = pa.schema(
    [("time", pa.float64()), ("listener", pa.string()), ("sender", pa.string()), ("share", pa.float64())]
)
"""Of `shares`: a row a record, listener with a defence and neighbour."""
