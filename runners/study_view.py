"""A study as one object: its table, its curves, means over seeds, and what a notebook shows of it."""

__all__ = ["Study", "read_study"]

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from .storage import RunPath, run_path
from .study_file import StudyError, StudyFile
from .study_play import FAILED
from .study_store import StudyStore, tabulate

_PLAIN = ("trial", "point", "replicate", "seed")


@dataclass(frozen=True, eq=False)
class Study:
    """What a study found, whether all of its trials have been played or not.

    Arguments:
        path: its directory.
        file: what is studied, with its experiment written out.
        planned: number of trials that it has in all.
        table: a row a finished trial: `trial`, `point`, `replicate`, the varied keys, `seed`, `outcome` (as of a run,
            or `failed`), the measures, `seconds` of wall-clock time, `error`.
        curves: `trial`, `time` (moves per player), `messages`, `bytes`, `nash_gap`, `error_rms` and `amplitude`, at
            most 100 rows a trial; None where none were kept.
    """

    path: RunPath
    file: StudyFile
    planned: int
    table: pa.Table
    curves: pa.Table | None

    @property
    def varied(self) -> list[str]:
        """The varied keys."""
        return list(self.file.vary)

    @property
    def failed(self) -> int:
        """Number of trials that failed."""
        return sum(outcome == FAILED for outcome in self.table.column("outcome").to_pylist())

    def frame(self, name: str = "table") -> Any:
        """A table as a pandas frame: `table`, `points` (means over seeds) or `curves`.

        Raises:
            ValueError: no such table.
        """
        tables = {"table": self.table, "points": self.points, "curves": self.curves}
        if tables.get(name) is None:
            known = [key for key, table in tables.items() if table is not None]
            raise ValueError(f"frame is {name!r}, expected one of: {', '.join(known)}")
        return tables[name].to_pandas()

    @cached_property
    def points(self) -> pa.Table:
        """A row a point: the varied keys, `trials` (that did not fail), and of each figure its mean over seeds.

        The mean is over the trials that know the figure; `FIGURE_count` is their number, and `FIGURE_error` the
        standard error of the mean. Null where none knows it, and the error where one is alone.
        """
        found = []
        for point, here in self._by_point().items():
            line = {"point": point, **{key: here[0][key] for key in self.varied}, "trials": len(here)}
            for name in self._figures:
                line |= _mean_of(name, [row[name] for row in here])
            found.append(line)
        return tabulate({"row": line, "curve": None} for line in found)[0]

    def differences(self, key: str, value: Any) -> pa.Table:
        """Each point less the one that differs from it in this varied key alone, seed by seed, of a `paired` study.

        Arguments:
            key: a varied key.
            value: of the key at the points that are subtracted.

        Returns:
            As `points`, with means over seeds of the differences, and `trials` the number of seeds at which both points
            were played; a difference counts where both know the figure; without the points that are subtracted.

        Raises:
            StudyError: the study is not paired, or has no such key or value.
        """
        if not self.file.paired and isinstance(self.file.seeds, int):
            raise StudyError(f"study {self.file.name} has other seeds at every point; play it with paired: true")
        points = self._by_point()
        if not any(here[0].get(key) == value for here in points.values()) or key not in self.varied:
            raise StudyError(
                f"no trial has {key} = {value!r}, expected a varied key ({', '.join(self.varied)}) and a value of it"
            )
        others = [name for name in self.varied if name != key]
        bases = {tuple(here[0][k] for k in others): here for here in points.values() if here[0][key] == value}
        found = []
        for point, here in points.items():
            base = {row["replicate"]: row for row in bases.get(tuple(here[0][k] for k in others), [])}
            pairs = [(row, base[row["replicate"]]) for row in here if row["replicate"] in base]
            if here[0][key] == value or not pairs:
                continue
            line = {"point": point, **{k: here[0][k] for k in self.varied}, "trials": len(pairs)}
            for name in self._figures:
                line |= _mean_of(name, [None if None in (a[name], b[name]) else a[name] - b[name] for a, b in pairs])
            found.append(line)
        return tabulate({"row": line, "curve": None} for line in found)[0]

    @property
    def _figures(self) -> list[str]:
        """The columns that are numbers and neither name a trial nor say how it was played."""
        return [
            field.name
            for field in self.table.schema
            if (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
            and field.name not in (*_PLAIN, *self.varied)
        ]

    def _by_point(self) -> dict[int, list[dict[str, Any]]]:
        """Point → rows of its trials that did not fail."""
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self.table.to_pylist():
            if row["outcome"] != FAILED:
                found.setdefault(row["point"], []).append(row)
        return found

    def summary(self) -> dict[str, Any]:
        """The figures of the study, for JSON; null where one does not apply."""
        rows = self.table.to_pylist()
        ratios = [abs(row["rate_ratio"] - 1) for row in rows if row.get("rate_ratio") is not None]
        return {
            "study": self.file.name,
            "trials": self.planned,
            "points": self.planned // self.file.replicates,
            "seeds": self.file.replicates,
            "seed": self.file.seed,
            "finished": len(rows),
            "failed": self.failed,
            "outcomes": dict(sorted(Counter(row["outcome"] for row in rows).items())),
            "rates": {
                "compared": len(ratios),
                "mean_deviation": float(np.mean(ratios)) if ratios else None,
                "largest_deviation": max(ratios) if ratios else None,
            },
            "directory": str(self.path),
            "table": str(self.path / "table.parquet"),
        }

    def _repr_html_(self) -> str:
        from .study_html import study_html  # for notebooks alone

        return study_html(self)


def read_study(path: RunPath | str) -> Study:
    """Reads the directory of a study, ended, going on or killed: all trials that are finished.

    Arguments:
        path: the directory, or its URL.

    Raises:
        StudyError: it is no directory of a study.
        StorageError: nothing here can reach the storage of the URL.
    """
    file, found = StudyStore.read(path)
    points = (file.trials or 0) if file.mode == "sample" else math.prod(map(len, file.vary.values()))
    table, curves = tabulate(found[number] for number in sorted(found))
    return Study(run_path(path), file, points * file.replicates, table, curves)


def _mean_of(name: str, values: list[float | None]) -> dict[str, float | None]:
    known = [v for v in values if v is not None]
    return {
        name: float(np.mean(known)) if known else None,
        f"{name}_error": float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None,
        f"{name}_count": len(known),
    }
