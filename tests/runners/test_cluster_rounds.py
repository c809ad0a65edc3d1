"""Rounds on Ray are `rounds`, bit for bit: however players share processes, whom they ask, and who comes and goes."""

import json
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.agents import Move, Player, seats
from nashgossip.games import Game, Gaussian, Gossip, PlayerSpec, StepSize
from nashgossip.runners import Deployment, command, play
from nashgossip.topology import GraphSequence, attach_alpha, generate_graph, membership

from ..ray_runs import ray_session
from ..trees import frozen

FAMILY = Gaussian((2,))
PLAYERS = 5
EVENTS = [(3.0, 1, "join"), (5.0, 0, "leave"), (6.5, 4, "leave"), (9.0, 0, "join")]


def game_on(style: Any = "push", fan_out: int | None = None, shift: float = 0.0) -> Game:
    graph = attach_alpha(generate_graph("small_world", n=PLAYERS, k=4, p=0.0), 0.4)
    specs = {
        player: PlayerSpec(
            family=FAMILY,
            data=FAMILY.space.batch({"x": np.random.default_rng(k).normal(shift + k, 1.0, (20, 2))}),
            samples=4 + k,
            smoothing=1.0,
            step=StepSize(0.7),
            gossip=Gossip(style=style, fan_out=fan_out),
        )
        for k, player in enumerate(graph)
    }
    return Game(graph, specs)


def staged_rounds(game: Game, graphs: GraphSequence, seed: int, rounds: int) -> dict[Hashable, Player]:
    """The reference: a change is in force from the first round that begins at its time or later; who is here then."""
    made = [seats(replace_graph(game, piece.graph), seed) for piece in graphs]
    met: dict[Hashable, Player] = {}
    here: dict[Hashable, Player] = {}
    held: dict[Hashable, Move] = {}
    stage = -1
    for done in range(rounds):
        while stage + 1 < len(made) and graphs.times[stage + 1] <= done:
            stage += 1
            absent = graphs.absent[stage]
            for seat in made[stage]:
                if seat.name in met:
                    met[seat.name].rewire(seat.self_weight, seat.neighbours, seat.listeners)
            new = [seat for seat in made[stage] if seat.name not in absent | met.keys()]
            for seat in new:
                met[seat.name] = seat.build()
            here = {seat.name: met[seat.name] for seat in made[stage] if seat.name not in absent}
            held = {name: move for name, move in held.items() if name in here}
            held |= {seat.name: met[seat.name].open() for seat in new}
        listeners = {seat.name: seat.listeners for seat in made[stage]}
        for speaker, move in held.items():
            for listener, message in move.messages.items():
                if listener in listeners[speaker]:
                    assert here[listener].receive(message) is None
        for asker in [name for name in here if name in held]:
            for neighbour in held[asker].requests:
                if asker in listeners[neighbour] and (answer := here[neighbour].answer(asker)) is not None:
                    assert here[asker].receive(answer) is None
        held = {name: player.move() for name, player in here.items()}
    return here


def replace_graph(game: Game, graph: Any) -> Game:
    return Game(graph, game.specs, anchored=game.anchored)


def in_rounds(game: Game, **options: Any) -> Any:
    size = options.pop("size", 1)
    deployment = Deployment(players_per_actor=size, **options.pop("deployment", {}))
    return play(game, "ray", seed=7, keep_states=True, mode="synchronous", deployment=deployment, **options)


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_session():
        yield


@pytest.mark.parametrize(("style", "fan_out", "size"), [("push-pull", 1, 1), ("push", None, 2), ("pull", 1, PLAYERS)])
def test_states_are_those_of_rounds_however_players_share_processes(style: str, fan_out: int | None, size: int) -> None:
    game = game_on(style, fan_out)
    expected = play(game, "rounds", seed=7, moves=8, every=3, keep_states=True, measure=5)
    found = in_rounds(game, size=size, moves=8, every=3, measure=5)
    assert frozen(found.states) == frozen(expected.states)
    assert dict(found.after) == dict(expected.after)
    assert found.summary() | {"runner": "", "seconds": 0} == expected.summary() | {"runner": "", "seconds": 0}
    assert [r.error_rms for r in found.trace] == [r.error_rms for r in expected.trace]


@pytest.mark.parametrize(
    ("style", "size"),
    [
        ("push", 1),
        ("push-pull", 2),
        ("push", PLAYERS),
        pytest.param("push-pull", 1, marks=pytest.mark.slow),
        pytest.param("push-pull", PLAYERS, marks=pytest.mark.slow),
    ],
)
def test_players_come_go_and_come_back_between_rounds(style: str, size: int) -> None:
    game = game_on(style)
    graphs = membership(game.graph, EVENTS)
    expected = staged_rounds(game, graphs, 7, 13)
    found = in_rounds(game, size=size, moves=13, every=4, graphs=graphs)
    assert list(found.states) == list(expected) == [0, 1, 2, 3]
    assert frozen(found.states) == frozen({name: player.state() for name, player in expected.items()})
    assert [p.moves for p in found.players] == [9, 10, 13, 13, 7]
    assert [r.time for r in found.trace] == [0.0, 4.0, 8.0, 12.0, 13.0]
    assert [change.time for change in found.changes[-4:]] == [3.0, 5.0, 6.5, 9.0]


def test_another_seed_or_other_events_give_other_states() -> None:
    game = game_on()
    graphs = membership(game.graph, EVENTS)
    first = staged_rounds(game, graphs, 7, 13)
    for other in (
        staged_rounds(game, graphs, 8, 13),
        staged_rounds(game, membership(game.graph, [(4.0, 1, "join"), *EVENTS[1:]]), 7, 13),
    ):
        assert all(frozen(p.state()) != frozen(other[name].state()) for name, p in first.items())


def called(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(command.app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_rows_that_players_read_themselves_give_the_figures_of_rows_that_the_driver_reads(tmp_path: Path) -> None:
    settings = ["play.runner=ray", "play.mode=synchronous", "topology.arguments.n=4", "play.moves=6", "data.rows=30"]
    arguments = [f"--set={setting}" for setting in [*settings, "cluster.players_per_actor=2"]]
    found, expected = (
        called("run", "ring", "--out", str(tmp_path / where), *arguments, f"--set=data.where={where}")
        for where in ("players", "driver")
    )
    assert found["nash_gap"]["max"] > 0
    assert found | {"seconds": 0} == expected | {"seconds": 0}
    before, whole = (
        called("topology", "ring", *arguments, f"--set=data.where={where}") for where in ("players", "driver")
    )
    assert before == whole
    assert before["predicted"]["as_played"]["noise_floor_rms"] == found["predicted"]["noise_floor_rms"]
