"""Every way into the package for data that nobody vouches for, with inputs that nobody would write."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import nashgossip.topology
from nashgossip.runners.file_names import file_name

from .attempts import Leak, Surface, attempt
from .test_checkpoints import SURFACES as CHECKPOINTS
from .test_data_files import SURFACES as DATA_FILES
from .test_experiments import SURFACES as EXPERIMENTS
from .test_graphs import SURFACES as GRAPHS
from .test_messages import SURFACES as MESSAGES
from .test_records import SURFACES as RECORDS
from .test_records import is_damage

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


@pytest.mark.parametrize("surface", RECORDS, ids=lambda s: s.name)
def test_the_inputs_tried_of_runs_are_damaged(surface: Surface) -> None:
    """Simplest inputs come first, and few are tried: none of them may be the run as it was."""
    seen = list[bool]()
    check(replace(surface, enter=lambda given, folder: seen.append(is_damage(given))), FEW.get(surface.name, 30))
    assert len(seen) >= 2
    assert all(seen)


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


_PACKAGE_FILE = str(Path(nashgossip.topology.__file__).with_name("generators.py"))


def _inside(line: str, given: object, folder: Path) -> None:
    """Runs a line as one of a file of the package, in which no `raise` statement stands there."""
    exec(compile(line, _PACKAGE_FILE, "exec"))


@pytest.mark.parametrize(
    ("enter", "told"),
    [
        (_escape, "written outside the folder"),
        (partial(_raise, KeyError("x")), "KeyError"),
        (partial(_raise, OSError("x")), "OSError"),
        (lambda given, folder: int("x"), "ValueError"),
        (lambda given, folder: [].index(1), "ValueError"),
        (partial(_inside, "int('x')"), "ValueError: invalid literal"),
        (partial(_inside, "[].index(1)"), "ValueError"),
        (partial(_inside, "a, b = [1]"), "ValueError: not enough values"),
        (partial(_inside, "list(zip([1], [], strict=True))"), "ValueError: zip"),
        (partial(_inside, "open('nowhere')"), "FileNotFoundError"),
        (_loop, "still at it"),
        (_fill, "MemoryError"),
    ],
)
def test_what_would_be_a_defect_is_seen(enter: object, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error by accident, a hang, a blow-up and a file elsewhere are told apart from a refusal."""
    monkeypatch.setattr("tests.fuzz.attempts.BUDGET_S", 0.2, raising=False)
    surface = Surface("broken", SURFACES[0].inputs, enter)  # type: ignore[arg-type]
    with pytest.raises(Leak, match=told):
        attempt(surface, None)


def test_what_the_package_raises_is_named() -> None:
    """The control of the control: a `ValueError` that the package raises has no class of its own."""
    surface = Surface("named", SURFACES[0].inputs, lambda given, folder: file_name("a", -1))
    assert attempt(surface, None) == "ValueError"
