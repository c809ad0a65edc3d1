"""Slopes and floors of schedules, predicted and measured on the engines themselves.

Prints the table of docs/asynchrony.md; with `--engines`, that of docs/fleet.md.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from nashgossip.games import FleetSchedule, Game, Gaussian, Gossip, Mode, Oracle, PlayerSpec, StepSize, predict
from nashgossip.runners import Duration, Link, Network, Observation, fleet, rounds, virtual
from nashgossip.runners.network import schedule_of
from nashgossip.topology import attach_alpha, generate_graph

Engine = Callable[[Game, int, int], Iterator[Observation]]

POISSON, CONSTANT = Duration("exponential"), Duration("constant")
FALL = 3.0
"""The slope is taken while the mean error falls by this many e-foldings."""
SETTLED = 12.0
"""The floor is measured from so many e-foldings after the start on, and for so many more of its noise; half as many
leave e⁻¹² of the mean square of the start, which tests take where the standard error allows it."""


@dataclass(frozen=True)
class Case:
    """A schedule: a world, a gossip policy and a step.

    Arguments:
        name: what the table calls it.
        network: the world.
        gossip: the policy of all players.
        step: η.
    """

    name: str
    network: Network
    gossip: Gossip = field(default_factory=Gossip)
    step: float = 1.0


@dataclass(frozen=True)
class Figure:
    """A measured figure with its standard error, beside the predicted one."""

    predicted: float
    measured: float
    error: float

    @property
    def ratio(self) -> float:
        """Measured ÷ predicted."""
        return self.measured / self.predicted

    @property
    def ratio_error(self) -> float:
        """Standard error of `ratio`."""
        return abs(self.error / self.predicted)


def world(clock: Duration = POISSON, *, delay: float = 0.0, loss: float = 0.0) -> Network:
    """Clocks, a constant delay and a loss."""
    return Network(compute=clock, link=Link(Duration("constant", delay), loss=loss))


CASES = (
    Case("Poisson", world()),
    Case("Poisson, a fresh batch for every listener", world(), Gossip(fresh=True)),
    Case("Poisson, τ = 0.5", world(delay=0.5)),
    Case("Poisson, τ = 1", world(delay=1.0)),
    Case("Poisson, τ = 3", world(delay=3.0)),
    Case("Poisson, q = 0.2", world(loss=0.2)),
    Case("Poisson, q = 0.5", world(loss=0.5)),
    Case("Poisson, η = ½", world(), step=0.5),
    Case("Poisson, one neighbour", world(), Gossip(fan_out=1)),
    Case("constant", world(CONSTANT)),
    Case("constant, a fresh batch for every listener", world(CONSTANT), Gossip(fresh=True)),
    Case("constant, τ = 1", world(CONSTANT, delay=1.0)),
    Case("constant, q = 0.5", world(CONSTANT, loss=0.5)),
    Case("constant, η = ½", world(CONSTANT), step=0.5),
    Case("constant, one neighbour", world(CONSTANT), Gossip(fan_out=1)),
)
LARGE = "4-regular, 200 players"
LARGE_CASES = (
    Case("rounds", world(CONSTANT)),
    Case("rounds, a fresh batch for every listener", world(CONSTANT), Gossip(fresh=True)),
    Case("Poisson", world()),
    Case("Poisson, τ = 1", world(delay=1.0)),
    Case("Poisson, q = 0.5", world(loss=0.5)),
)
GRAPHS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "ring": ("ring", {"n": 10}, False),
    "4-regular": ("regular", {"n": 10, "d": 4}, True),
    LARGE: ("regular", {"n": 200, "d": 4}, False),
}
"""Name → generator, its arguments, and whether self-weights run from 0.1 to 0.5 instead of being 0.3 for all."""


def game_on(graph: str, case: Case, *, statistics: int, samples: int, shift: float) -> Game:
    """Gaussian players who start from knowing nothing, their data `shift` away from it."""
    generator, arguments, uneven = GRAPHS[graph]
    bare = generate_graph(generator, seed=1, **arguments)
    weights = dict(zip(bare, np.linspace(0.1, 0.5, len(bare)).tolist(), strict=True))
    weighted = attach_alpha(bare, weights if uneven else 0.3)
    family, rng = Gaussian((statistics,)), np.random.default_rng(5)
    specs = {
        player: PlayerSpec(
            family,
            data=family.sample(rng.normal(shift, 1.0, statistics), 50, rng),
            samples=samples,
            start="reference",
            step=StepSize(case.step),
            gossip=case.gossip,
        )
        for player in weighted
    }
    return Game(weighted, specs)


def slope(graph: str, case: Case, engine: Engine, runs: int) -> Figure | None:
    """Slope of the log of the mean error along the predicted mode, over many runs; None where there is no mode.

    Theory speaks of the mean error: who moves when multiplies that of one run by chance. The window opens when the
    second exponential has faded to a four-hundredth. The standard error is the jackknife's over runs.
    """
    game = game_on(graph, case, statistics=1, samples=2, shift=1e6)
    mode = predict(game, schedule_of(case.network, game, changing=False)).mode
    if mode is None:
        return None
    opens = 2 * mode.after
    moves = int(np.ceil(opens - FALL / mode.rate))
    seen = [_path(game, mode, engine(game, seed, moves)) for seed in range(runs)]
    times, paths = seen[0][0], np.stack([path for _, path in seen])
    window = (times >= opens) & (times <= moves)

    def fitted(mean: Any) -> float:
        return float(np.polyfit(times[window], np.log(np.abs(mean[window])), 1)[0])

    without = [fitted((paths.sum(axis=0) - path) / (runs - 1)) for path in paths]
    error = np.sqrt((runs - 1) * np.var(without))
    return Figure(mode.rate, fitted(paths.mean(axis=0)), float(error))


def _path(game: Game, mode: Mode, seen: Iterator[Observation]) -> tuple[Any, Any]:
    """Times, and the error along the mode at each, in the direction in which it starts."""
    goal = Oracle.of(game).equilibrium
    times, errors = zip(*((o.time, mode.vector.conj() @ (_means(o) - goal)) for o in seen), strict=True)
    start = errors[0].conj() / np.linalg.norm(errors[0])
    return np.array(times), (np.array(errors) @ start).real


def floor(graph: str, case: Case, engine: Engine, runs: int, settled: float = SETTLED) -> Figure | None:
    """Stationary root mean square error over players and statistics; None where no floor is predicted.

    The standard error is that of the mean square over runs, carried over to its root.
    """
    game = game_on(graph, case, statistics=32, samples=5, shift=0.0)
    prediction = predict(game, schedule_of(case.network, game, changing=False))
    if prediction.noise_floor_rms is None or prediction.asymptotic_rate is None:
        return None
    opens = -settled / prediction.asymptotic_rate
    squares = [_square(game, opens, engine(game, seed, int(np.ceil(2 * opens)))) for seed in range(runs)]
    level, error = np.mean(squares), np.std(squares, ddof=1) / np.sqrt(runs)
    return Figure(prediction.noise_floor_rms, float(np.sqrt(level)), float(error / np.sqrt(level) / 2))


def _square(game: Game, opens: float, seen: Iterator[Observation]) -> float:
    oracle = Oracle.of(game)
    return float(np.mean([oracle.errors(_means(o)) ** 2 for o in seen if o.time >= opens]))


def _means(observed: Observation) -> Any:
    assert observed.means is not None  # players of a family have mean parameters
    return observed.means


def on_virtual(case: Case) -> Engine:
    """The engine `virtual` in the world of a case."""
    return lambda game, seed, moves: virtual(game, seed=seed, moves=moves, every=_every(case), network=case.network)


def on_fleet(case: Case) -> Engine:
    """The engine `fleet` under the schedule of a case, in double precision."""
    link, gossip = case.network.link, case.gossip
    schedule = FleetSchedule(
        "rounds" if case.network.compute == CONSTANT else "poisson",
        fresh=gossip.fresh,
        delay=link.latency.mean,
        loss=link.loss,
        fan_out=gossip.fan_out,
    )
    options: dict[str, Any] = {"every": _every(case), "schedule": schedule, "precision": "float64", "threads": 1}
    return lambda game, seed, moves: fleet(game, seed=seed, moves=moves, **options)


def on_rounds(case: Case) -> Engine:
    """The engine `rounds`, which plays the perfect network with constant compute times."""
    return lambda game, seed, moves: rounds(game, seed=seed, moves=moves)


def _every(case: Case) -> float:
    return 0.5 if case.network.compute == POISSON else 1.0


def main() -> None:
    """Prints a table, and then the largest deviation from 1 in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="runs for a slope; a tenth of them for a floor")
    parser.add_argument("--engines", action="store_true", help="200 players on every engine that plays the schedule")
    arguments = parser.parse_args()
    runs = max(arguments.runs, 20)
    if arguments.engines:
        rows = [(case, LARGE, engine) for case in LARGE_CASES for engine in ENGINES if plays(engine, case)]
    else:
        rows = [(case, graph, "virtual") for graph in GRAPHS if graph != LARGE for case in CASES]
    second = "engine" if arguments.engines else "graph"
    print(f"| schedule | {second} | slope | measured | ÷ predicted | floor | measured | ÷ predicted |\n|{'---|' * 8}")
    furthest = 0.0
    for case, graph, name in rows:
        engine = ENGINES[name](case)
        figures = (slope(graph, case, engine, runs), floor(graph, case, engine, max(runs // 10, 8)))
        furthest = max([furthest, *(abs(f.ratio - 1) for f in figures if f)])
        cells = " | ".join(map(_cells, figures))
        print(f"| {case.name} | {name if arguments.engines else graph} | {cells} |", flush=True)
    print(f"\nfurthest from the prediction: {100 * furthest:.1f} %")


def plays(engine: str, case: Case) -> bool:
    """Whether an engine knows the schedule of a case."""
    return engine != "rounds" or case.network == world(CONSTANT)


def _cells(figure: Figure | None) -> str:
    if figure is None:
        return "– | – | –"
    return (
        f"{figure.predicted:.4f} | {figure.measured:.4f} ± {figure.error:.4f} | "
        f"{figure.ratio:.3f} ± {figure.ratio_error:.3f}"
    )


ENGINES = {"virtual": on_virtual, "fleet": on_fleet, "rounds": on_rounds}


if __name__ == "__main__":
    main()
