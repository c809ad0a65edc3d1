"""Seats whose player reads its rows where it is built: it is the same player, and the seat holds no row."""

import subprocess
import sys
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle

from nashgossip.agents import JointTable, Player, Seat, seats
from nashgossip.games import FAMILIES, Game, GameError, PlayerSpec, Space, Variable, synthetic_family, without_rows
from nashgossip.runners import rounds
from nashgossip.topology import attach_alpha, generate_graph


def family_spec(name: str, player: int, seed: int = 0) -> PlayerSpec:
    """Reads a player's rows: here it draws them, the same ones wherever it is called."""
    family, rng = synthetic_family(name, 2), np.random.default_rng([seed, player])
    return PlayerSpec(
        family=family,
        data=family.sample(family.reference, 30 + player, rng),
        holdout=family.sample(family.reference, 5, rng),
        smoothing=1.0,
        samples=9 + player,
        start="reference" if player == 1 else "data",
    )


def table_spec(player: int) -> PlayerSpec:
    """The same of a joint table, which also has rows that lack a variable."""
    c, b = Variable("c", "categorical", categories=3), Variable("b", "binary")
    space, rng = Space((c, b)), np.random.default_rng(player)
    whole = space.batch({"c": rng.integers(0, 3, 20), "b": rng.integers(0, 2, 20)})
    part = Space((b,)).batch({"b": rng.integers(0, 2, 10)})
    return PlayerSpec(model=partial(JointTable, space, smoothing=1.0), data=(whole, part), holdout=whole, samples=40)


def game(read: Callable[[int], PlayerSpec]) -> Game:
    graph = attach_alpha(generate_graph("ring", n=4), 0.4)
    return Game(graph, {player: read(player) for player in graph})


def lean(whole: Game) -> Game:
    return Game(whole.graph, {p: without_rows(s) for p, s in whole.specs.items()})


def played(made: list[Seat], moves: int = 5) -> list[bytes]:
    """All that is told in synchronous rounds, what is known of the rows held out, and where the models end."""
    players = {seat.name: seat.build() for seat in made}
    said, found = [player.open() for player in players.values()], []
    for _ in range(moves):
        for move in said:
            for listener, message in move.messages.items():
                found += [array.tobytes() for array in message.wire()[2].values()]
                assert players[listener].receive(message) is None
        said = [player.move() for player in players.values()]
    return [*found, *(ending(player) for player in players.values())]


def ending(player: Player) -> bytes:
    regret = player.estimate_regret(3)
    return repr((player.held_out(), player.mean_parameters, regret and (regret.gain, regret.error))).encode()


@pytest.mark.parametrize("read", [*(partial(family_spec, name) for name in FAMILIES), table_spec])
def test_a_player_that_reads_its_rows_itself_is_the_same_to_the_last_bit(read: Callable[[int], PlayerSpec]) -> None:
    whole = game(read)
    here = played(seats(whole, 7))
    assert played(seats(lean(whole), 7, lambda player: partial(read, player))) == here
    assert played(seats(lean(whole), 8, lambda player: partial(read, player))) != here


def test_a_seat_travels_with_its_source_and_without_rows() -> None:
    whole = game(partial(family_spec, "gaussian"))
    planted = {p: [row.tobytes() for row in spec.parts[0]["x"]] for p, spec in whole.specs.items()}
    there = cloudpickle.dumps(seats(whole, 3))
    assert all(row in there for rows in planted.values() for row in rows)
    carried = cloudpickle.dumps(seats(whole, 3, lambda player: partial(family_spec, "gaussian", player)))
    assert not any(row in carried for rows in planted.values() for row in rows)
    assert played(cloudpickle.loads(carried)) == played(seats(whole, 3))


def test_a_player_without_rows_may_have_a_source_too() -> None:
    def read(player: int) -> PlayerSpec:
        spec = family_spec("gaussian", player)
        return spec if player else PlayerSpec(family=spec.family)

    graph = attach_alpha(generate_graph("ring", n=4), {0: 0.0, 1: 0.5, 2: 0.5, 3: 0.5})
    whole = Game(graph, {player: read(player) for player in graph})
    assert played(seats(lean(whole), 1, lambda player: partial(read, player))) == played(seats(whole, 1))


def test_a_seat_without_rows_and_source_builds_nobody() -> None:
    """Neither does an engine that needs rows here begin to play."""
    rowless = lean(game(partial(family_spec, "gaussian")))
    words = "player 0 has a summary of its rows and no rows, expected rows where it is built; give its seat a source"
    with pytest.raises(GameError, match=words):
        seats(rowless, 0)[0].build()
    with pytest.raises(GameError, match=words):
        next(iter(rounds(rowless, seed=0, moves=1)))


def test_rows_that_have_changed_since_are_refused() -> None:
    def another(player: Hashable) -> Any:
        return partial(family_spec, "gaussian", int(str(player)) + 1)

    made = seats(lean(game(partial(family_spec, "gaussian"))), 0, another)
    with pytest.raises(GameError, match="the source of player 0 read 31 rows, expected the 30 that the game was made"):
        made[0].build()


def test_a_process_that_only_builds_players_stays_light() -> None:
    program = (
        "import sys; from nashgossip.agents import Seat; "
        "heavy = 'scipy', 'pydantic', 'nashgossip.agents.defence', 'nashgossip.games.energy'; "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
