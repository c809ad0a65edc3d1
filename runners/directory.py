"""A run directory: everything that tells what was played and what came of it, in open formats."""

__all__ = ["RunDirectory", "RunDirectoryError", "versions"]

import io
import json
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..games import FleetGame, Game
from ..topology import write_graph
from .file_names import readable
from .finite import finite
from .outcome import Outcome
from .storage import RunPath, is_local, run_path, write_whole
from .word_sheet import word_sheet

_MOST_PLAYERS = 10_000
_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")
"""User and password in a URL, which do not belong into a file."""
_PACKAGES = ("nashgossip", "numpy", "scipy", "networkx", "ray", "torch", "scikit-learn", "pyarrow")


class RunDirectoryError(ValueError):
    """The directory for a run cannot be used: it is there already, or cannot be made.

    Not `ExperimentError`: the experiment is fine.
    """


class RunDirectory:
    """What was played: `experiment.yaml`, `about.json`, `graph.graphml`, `records/`, and what came of it.

    After the run: `summary.json`, `diagnosis.json`, `players.json`.

    Every file is written whole or not at all.

    Arguments:
        path: a directory that does not exist yet: a path, or the URL of one on any storage that fsspec reaches.

    Raises:
        RunDirectoryError: it exists, or cannot be made. Nothing in it is touched.
        StorageError: nothing here can reach the storage of the URL.
    """

    def __init__(self, path: RunPath | str) -> None:
        self.path = run_path(path)
        try:
            if is_local(self.path):
                self.path.mkdir(parents=True, exist_ok=False)
            elif self.path.exists():
                raise FileExistsError
            else:
                self.path.mkdir(parents=True, exist_ok=True)
                probe = self.path / ".probe"
                write_whole(probe, b"")  # on an object store only this tells whether anything can be written
                probe.unlink()
        except FileExistsError:
            raise RunDirectoryError(f"{self.path} exists already; choose another --out, or move it away") from None
        except OSError as error:
            why = error.strerror or error
            raise RunDirectoryError(f"{self.path} cannot be made: {why}; choose another --out") from None
        except Exception as error:
            if is_local(self.path):
                raise
            raise RunDirectoryError(_foreign(self.path, "made", error)) from error

    @staticmethod
    def existing(path: RunPath | str) -> "RunDirectory":
        """The directory of a run that has begun.

        Raises:
            RunDirectoryError: it is none, or its storage cannot be read.
            StorageError: nothing here can reach the storage of the URL.
        """
        found = RunDirectory.__new__(RunDirectory)
        found.path = run_path(path)
        try:
            begun = (found.path / "experiment.yaml").is_file()
        except Exception as error:
            if is_local(found.path):
                raise
            raise RunDirectoryError(_foreign(found.path, "read", error)) from error
        if not begun:
            raise RunDirectoryError(f"{found.path} is no run directory: it holds no experiment.yaml")
        return found

    @staticmethod
    def fresh(name: str, parent: RunPath = Path("runs")) -> "RunDirectory":
        """A new directory `runs/NAME-TIME`, with a number added if two runs start in one second.

        Of the name stays what cannot lead out of `parent`.
        """
        stamp = f"{readable(name) or 'run'}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}"
        for attempt in range(100):
            path = parent / (stamp + (f"-{attempt}" if attempt else ""))
            if not path.exists():
                return RunDirectory(path)
        raise RunDirectoryError(f"{parent} holds 100 runs of this second already; give --out")

    @property
    def records(self) -> RunPath:
        """Where records go."""
        return self.path / "records"

    def describe(self, experiment: str, game: Game | FleetGame, seed: int) -> None:
        """Writes what is about to be played: the experiment as YAML text, versions, seed and graph.

        Of a game of arrays with more than 10,000 players the graph is left out: the experiment makes it anew.
        """
        write_whole(self.path / "experiment.yaml", experiment.encode())
        self._json(
            "about.json",
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "seed": seed,
                "command": [_CREDENTIALS.sub(r"\1", word) for word in sys.argv],
                "python": platform.python_version(),
                "platform": platform.platform(),
                "versions": versions(),
            },
        )
        buffer = io.BytesIO()
        if isinstance(game, Game):
            write_graph(game.graph, buffer)
            write_whole(self.path / "graph.graphml", buffer.getvalue())
        elif game.size <= _MOST_PLAYERS:
            from scipy.sparse import save_npz

            save_npz(buffer, game.listening)
            write_whole(self.path / "listening.npz", buffer.getvalue())

    def conclude(self, outcome: Outcome) -> None:
        """Writes what came of it, for the first 10,000 players, and the words of those that write some."""
        self._json("summary.json", outcome.summary())
        found = outcome.diagnosis
        signatures = [{**vars(sign), "players": [str(p) for p in sign.players]} for sign in found.signatures]
        self._json(
            "diagnosis.json",
            {"outcome": found.outcome, "reasons": list(found.reasons), "signatures": signatures},
        )
        listed = outcome.players[:_MOST_PLAYERS]
        hostile = any(p.conduct is not None for p in listed)
        players = [
            {
                "player": str(p.player),
                **({"conduct": p.conduct} if hostile else {}),
                "present": p.present,
                "moves": p.moves,
                "regret": p.regret,
                "error": p.error,
                "floor": p.floor,
                "held_out": p.held_out,
                "own_classes": p.own_classes,
                "generates": p.generates,
                "mixture": None if p.mixture is None else p.mixture.tolist(),
                "predicted_mixture": None if p.predicted_mixture is None else p.predicted_mixture.tolist(),
                "total_variation": p.total_variation,
                "regret_estimate": None
                if p.regret_estimate is None
                else {"gain": p.regret_estimate.gain, "error": p.regret_estimate.error},
                "accuracy": p.accuracy,
                "auc": p.auc,
                "log_class": None if p.scores is None else p.scores.log_class,
                "log_density": None if p.scores is None else p.scores.log_density,
                "quality": None
                if p.quality is None
                else {
                    "frechet": dict(p.quality.frechet),
                    "two_sample": p.quality.two_sample,
                    "p_value": p.quality.p_value,
                },
                "rejected": dict(p.rejected),
                "staleness": p.staleness,
                "epsilon": None if p.privacy is None else p.privacy.epsilon,
                "delta": None if p.privacy is None else p.privacy.delta,
                "exhausted": None if p.privacy is None else p.privacy.exhausted,
            }
            for p in listed
        ]
        self._json("players.json", players)
        sheet = word_sheet(outcome)
        if sheet is not None:
            write_whole(self.path / "words.txt", sheet.encode())

    def _json(self, name: str, value: Any) -> None:
        text = json.dumps(finite(value), indent=2, allow_nan=False) + "\n"
        write_whole(self.path / name, text.encode())


def versions() -> dict[str, str | None]:
    """Versions of this package and of those that results depend on; None for those that are not installed."""
    return {name: _version(name) for name in _PACKAGES}


def _foreign(path: RunPath, what: str, error: Exception) -> str:
    """Storages raise errors of their own kinds, for which there is no common base."""
    return f"{path} cannot be {what}: {type(error).__name__}: {error}; check the URL and the access to its storage"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
