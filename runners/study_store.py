"""The directory of a study: what is studied, a file for each finished trial, and the tables made of them."""

__all__ = ["StudyStore", "tabulate"]

import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .directory import versions
from .file_names import readable
from .storage import RunPath, listing, run_path, write_whole
from .study_file import StudyError, StudyFile, dump_study, parse_study

_LAST = ("seconds", "error")


class StudyStore:
    """`study.yaml`, `about.json`, `trials/NUMBER.json`, and the tables `table`, `points` and `curves`, as Parquet.

    A trial is finished when its file is there. Every file is written whole or not at all, so that a process that is
    killed at any moment leaves a study that can be gone on with.

    Arguments:
        path: the directory, or its URL. One that exists must hold the very same study.
        study: what is studied, with its experiment written out.

    Raises:
        StudyError: the directory holds something else, or cannot be made.
        StorageError: nothing here can reach the storage of the URL.
    """

    def __init__(self, path: RunPath | str, study: StudyFile) -> None:
        self.path = run_path(path)
        text = dump_study(study)
        file = self.path / "study.yaml"
        try:
            if file.is_file():
                there = file.read_text("utf-8")
                _require_same(self.path, there, study)
                if there != text:  # other words or figures of the same trials
                    write_whole(file, text.encode())
            elif listing(self.path):
                raise StudyError(
                    f"{self.path} exists already and holds no study.yaml; choose another --out, or move it away"
                )
            else:
                (self.path / "trials").mkdir(parents=True, exist_ok=True)
                write_whole(self.path / "about.json", _json(_about(study)))
                write_whole(file, text.encode())
        except OSError as error:
            raise StudyError(f"{self.path} cannot be used: {error.strerror or error}; choose another --out") from None
        (self.path / "trials").mkdir(parents=True, exist_ok=True)

    @staticmethod
    def fresh(name: str) -> Path:
        """A new name `runs/study-NAME-TIME`."""
        stamp = f"study-{readable(name)}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}"
        names = (Path("runs") / (stamp + (f"-{k}" if k else "")) for k in range(100))
        found = next((path for path in names if not path.exists()), None)
        if found is None:
            raise StudyError("runs holds 100 studies of this second already; give --out")
        return found

    def finish(self, number: int, found: Mapping[str, Any]) -> None:
        """Writes a trial that has been played."""
        write_whole(self.path / "trials" / f"{number:06d}.json", _json(found))

    def finished(self) -> dict[int, dict[str, Any]]:
        """Number → what was found, of all finished trials."""
        return _finished(self.path)

    def tabulate(self, found: Mapping[int, Mapping[str, Any]]) -> tuple[pa.Table, pa.Table | None]:
        """Writes the tables anew, of trials in their order: a row a trial, and the points of all curves."""
        ordered = [found[number] for number in sorted(found)]
        table, curves = tabulate(ordered)
        _write(self.path / "table.parquet", table)
        if curves is not None:
            _write(self.path / "curves.parquet", curves)
        return table, curves

    def average(self, points: pa.Table) -> None:
        """Writes the means over seeds, see `Study.points`."""
        _write(self.path / "points.parquet", points)

    @staticmethod
    def read(path: RunPath | str) -> tuple[StudyFile, dict[int, dict[str, Any]]]:
        """What was studied, and the finished trials.

        Raises:
            StudyError: it is no directory of a study.
        """
        where = run_path(path)
        file = where / "study.yaml"
        if not file.is_file():
            raise StudyError(f"{where} is no directory of a study: it holds no study.yaml")
        return parse_study(file.read_text("utf-8"), str(file)), _finished(where)


def tabulate(found: Iterable[Mapping[str, Any]]) -> tuple[pa.Table, pa.Table | None]:
    """The table of trials, and that of their curves if there are any: `trial` and the columns of the curves."""
    trials = list(found)
    names = dict.fromkeys(name for trial in trials for name in trial["row"])
    order = [*(n for n in names if n not in _LAST), *(n for n in _LAST if n in names)]
    table = pa.table({name: _column([trial["row"].get(name) for trial in trials]) for name in order})
    curves = [(trial["row"]["trial"], trial["curve"]) for trial in trials if trial["curve"]]
    if not curves:
        return table, None
    columns: dict[str, Any] = {"trial": pa.array([n for n, c in curves for _ in c["time"]], pa.int64())}
    columns |= {name: _column([v for _, c in curves for v in c[name]]) for name in curves[0][1]}
    return table, pa.table(columns)


def _column(values: Sequence[Any]) -> pa.Array:
    """Whole numbers, numbers, truth values or texts; what is none of these, or of several kinds, as JSON."""
    known = [v for v in values if v is not None]
    if not known:
        return pa.array(values, pa.float64())
    for kinds, arrow in ((bool, pa.bool_()), (int, pa.int64()), ((int, float), pa.float64()), (str, pa.string())):
        if all(isinstance(v, kinds) and (kinds is bool or not isinstance(v, bool)) for v in known):
            return pa.array(
                [None if v is None else float(v) for v in values] if arrow == pa.float64() else values, arrow
            )
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _finished(where: RunPath) -> dict[int, dict[str, Any]]:
    found = {}
    for file in listing(where / "trials"):
        if file.suffix == ".json" and file.stem.isdigit():
            try:
                found[int(file.stem)] = json.loads(file.read_text("utf-8"))
            except ValueError:
                continue  # the beginning of a file, from a storage where no put is whole or nothing: is played again
    return found


def _require_same(where: RunPath, text: str, study: StudyFile) -> None:
    there = parse_study(text, f"{where}/study.yaml")
    differing = [
        field.alias or name
        for name, field in StudyFile.model_fields.items()
        if name not in ("description", "figures") and getattr(there, name) != getattr(study, name)
    ]
    if differing:
        raise StudyError(
            f"{where} holds another study: {', '.join(differing)} differ{'' if len(differing) > 1 else 's'}; choose "
            "another --out, or go on with the one that is there by giving its directory"
        )


def _about(study: StudyFile) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": study.seed,
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
    }


def _write(path: RunPath, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_whole(path, sink.getvalue().to_pybytes())


def _json(value: Any) -> bytes:
    return (json.dumps(value, allow_nan=False) + "\n").encode()
