"""A run directory: everything that tells what was played and what came of it, in open formats."""

__all__ = ["RunDirectory", "RunDirectoryError"]

import json
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..games import FleetGame, Game
from ..topology import write_graph
from .outcome import Outcome, finite
from .word_sheet import word_sheet

_MOST_PLAYERS = 10_000
_PACKAGES = ("nashgossip", "numpy", "scipy", "networkx", "ray", "torch", "scikit-learn", "pyarrow")


class RunDirectoryError(ValueError):
    """The directory for a run cannot be used: it is there already, or cannot be made.

    Not `ExperimentError`: the experiment is fine.
    """


class RunDirectory:
    """`experiment.yaml`, `about.json`, `graph.graphml`, `records/`, and after the run `summary.json`, `players.json`.

    Arguments:
        path: a directory that does not exist yet.

    Raises:
        RunDirectoryError: it exists, or cannot be made. Nothing in it is touched.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            raise RunDirectoryError(f"{path} exists already; choose another --out, or move it away") from None
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be made: {error.strerror}; choose another --out") from None
        self.path = path

    @staticmethod
    def existing(path: Path) -> "RunDirectory":
        """The directory of a run that has begun.

        Raises:
            RunDirectoryError: it is none.
        """
        if not (path / "experiment.yaml").is_file():
            raise RunDirectoryError(f"{path} is no run directory: it holds no experiment.yaml")
        found = RunDirectory.__new__(RunDirectory)
        found.path = path
        return found

    @staticmethod
    def fresh(name: str, parent: Path = Path("runs")) -> "RunDirectory":
        """A new directory `runs/NAME-TIME`, with a number added if two runs start in one second."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for attempt in range(100):
            path = parent / (f"{name}-{stamp}" + (f"-{attempt}" if attempt else ""))
            if not path.exists():
                return RunDirectory(path)
        raise RunDirectoryError(f"{parent} holds 100 runs of this second already; give --out")

    @property
    def records(self) -> Path:
        """Where records go."""
        return self.path / "records"

    def describe(self, experiment: str, game: Game | FleetGame, seed: int) -> None:
        """Writes what is about to be played: the experiment as YAML text, versions, seed and graph.

        Of a game of arrays with more than 10,000 players the graph is left out: the experiment makes it anew.
        """
        (self.path / "experiment.yaml").write_text(experiment, encoding="utf-8")
        self._json(
            "about.json",
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "seed": seed,
                "command": sys.argv,
                "python": platform.python_version(),
                "platform": platform.platform(),
                "versions": {name: _version(name) for name in _PACKAGES},
            },
        )
        if isinstance(game, Game):
            write_graph(game.graph, self.path / "graph.graphml")
        elif game.size <= _MOST_PLAYERS:
            from scipy.sparse import save_npz

            save_npz(self.path / "listening.npz", game.listening)

    def conclude(self, outcome: Outcome) -> None:
        """Writes what came of it, for the first 10,000 players, and the words of those that write some."""
        self._json("summary.json", outcome.summary())
        players = [
            {
                "player": str(p.player),
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
            }
            for p in outcome.players[:_MOST_PLAYERS]
        ]
        self._json("players.json", players)
        sheet = word_sheet(outcome)
        if sheet is not None:
            (self.path / "words.txt").write_text(sheet, encoding="utf-8")

    def _json(self, name: str, value: Any) -> None:
        (self.path / name).write_text(json.dumps(finite(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
