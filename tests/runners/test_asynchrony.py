"""Slopes and floors of asynchronous play, measured on `virtual` and on `fleet` as benchmarks/asynchrony.py does."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

STANDARD_ERRORS = 4
CLOSE = 0.05
SHARP = 0.02


def benchmark() -> ModuleType:
    """The script of the table in docs/asynchrony.md, so that table and tests cannot differ in what they measure."""
    path = Path(__file__).parents[2] / "benchmarks" / "asynchrony.py"
    spec = importlib.util.spec_from_file_location("asynchrony_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


BENCH = benchmark()
QUICK = ("Poisson, τ = 3", "constant", "constant, a fresh batch for every listener")


def rows(names: tuple[str, ...]) -> list[Any]:
    """Those that are named on both small graphs; all others, which are slow, on one of the two in turn."""
    small = [graph for graph in BENCH.GRAPHS if graph != BENCH.LARGE]
    return [
        pytest.param(case, graph, marks=[] if case.name in names else pytest.mark.slow, id=f"{case.name}, {graph}")
        for k, case in enumerate(BENCH.CASES)
        for graph in (small if case.name in names else [small[k % len(small)]])
    ]


def require_agreement(figure: Any) -> None:
    assert figure.ratio_error < SHARP, "the runs are too few to judge by"
    assert abs(figure.measured - figure.predicted) < STANDARD_ERRORS * figure.error + 1e-6 * abs(figure.predicted)
    assert figure.ratio == pytest.approx(1, abs=CLOSE)


@pytest.mark.parametrize(("case", "graph"), rows(QUICK))
def test_the_slope_on_virtual_is_the_predicted_one(case: Any, graph: str) -> None:
    figure = BENCH.slope(graph, case, BENCH.on_virtual(case), 40 if case.name in QUICK else 160)
    if figure is None:
        assert case.network.compute == BENCH.CONSTANT, "only rounds that take turns have exponentials alike"
        return
    require_agreement(figure)


@pytest.mark.parametrize(("case", "graph"), rows(("Poisson", *QUICK[1:])))
def test_the_floor_on_virtual_is_the_predicted_one(case: Any, graph: str) -> None:
    require_agreement(BENCH.floor(graph, case, BENCH.on_virtual(case), 16))


@pytest.mark.slow
@pytest.mark.parametrize("case", BENCH.LARGE_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("measure", ["slope", "floor"])
@pytest.mark.timeout(600)
def test_fleet_virtual_and_rounds_agree(case: Any, measure: str) -> None:
    """200 players: each engine with the prediction, and the engines with each other.

    Noise is all that tells one run of rounds from another, so that few give a slope.
    """
    if measure == "floor":
        options: dict[str, Any] = {"runs": 4, "settled": BENCH.SETTLED / 2}
    else:
        options = {"runs": 4 if case.network.compute == BENCH.CONSTANT else 12}
    figures = {
        name: getattr(BENCH, measure)(BENCH.LARGE, case, engine(case), **options)
        for name, engine in BENCH.ENGINES.items()
        if BENCH.plays(name, case)
    }
    assert {"virtual", "fleet"} <= set(figures)
    for figure in figures.values():
        require_agreement(figure)
        apart = (figure.error**2 + figures["fleet"].error ** 2) ** 0.5
        assert abs(figure.measured - figures["fleet"].measured) < STANDARD_ERRORS * apart + 1e-6
        assert figure.measured == pytest.approx(figures["fleet"].measured, rel=CLOSE)


def test_a_wrong_prediction_is_found() -> None:
    """The other direction: half of all messages lost is not measured as none."""
    lossy, perfect = (case for case in BENCH.CASES if case.name in ("Poisson", "Poisson, q = 0.5"))
    figure = BENCH.slope("ring", lossy, BENCH.on_virtual(perfect), 60)
    with pytest.raises(AssertionError):
        require_agreement(figure)
