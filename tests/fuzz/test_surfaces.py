"""Every way into the package for data that nobody vouches for, with inputs that nobody would write."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from .attempts import Leak, Surface, attempt
from .test_checkpoints import SURFACES as CHECKPOINTS
from .test_data_files import SURFACES as DATA_FILES
from .test_experiments import SURFACES as EXPERIMENTS
from .test_graphs import SURFACES as GRAPHS
from .test_messages import SURFACES as MESSAGES
from .test_records import SURFACES as RECORDS

SURFACES = [*MESSAGES, *EXPERIMENTS, *GRAPHS, *CHECKPOINTS, *RECORDS, *DATA_FILES]
FEW = {"reports": 2, "resumed runs": 2, "files of runs": 5, "games of experiments": 10, "command lines": 5}
SLOW = 12
"""Times as many inputs in the slow tests."""


def check(surface: Surface, inputs: int) -> None:
    """Tries the same inputs each time; a longer search is that of benchmarks/fuzz.py."""

    @settings(
        max_examples=inputs, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(surface.inputs)
    def run(data: object) -> None:
        attempt(surface, data)

    run()


@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: s.name)
def test_an_input_is_accepted_or_refused_by_name(surface: Surface) -> None:
    check(surface, FEW.get(surface.name, 30))


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: s.name)
def test_many_inputs_are_accepted_or_refused_by_name(surface: Surface) -> None:
    check(surface, SLOW * FEW.get(surface.name, 30))


def _escape(given: object, folder: Path) -> None:
    (folder.parent / "out").touch()


def _raise(error: Exception, given: object, folder: Path) -> None:
    raise error


def _loop(given: object, folder: Path) -> None:
    while True:
        pass


def _fill(given: object, folder: Path) -> None:
    bytearray(1 << 40)


@pytest.mark.parametrize(
    ("enter", "told"),
    [
        (_escape, "written outside the folder"),
        (partial(_raise, KeyError("x")), "KeyError"),
        (partial(_raise, OSError("x")), "OSError"),
        (lambda given, folder: int("x"), None),
        (lambda given, folder: [].index(1), "ValueError"),
        (_loop, "still at it"),
        (_fill, "MemoryError"),
    ],
)
def test_what_would_be_a_defect_is_seen(enter: object, told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of another library, a hang, a blow-up and a file elsewhere are told apart from a refusal."""
    monkeypatch.setattr("tests.fuzz.attempts.BUDGET_S", 0.2, raising=False)
    surface = Surface("broken", SURFACES[0].inputs, enter)  # type: ignore[arg-type]
    with pytest.raises(Leak, match=told or "ValueError"):
        attempt(surface, None)
