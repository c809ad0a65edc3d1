"""Players that join, leave and come back on Ray while the others play: their processes, their states, their floor."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nashgossip.games import Game, Gaussian, PlayerSpec
from nashgossip.runners import Deployment, Outcome, play
from nashgossip.topology import attach_alpha, generate_graph, membership

from ..ray_runs import alive, journal, ray_session, wait_until

FAMILY = Gaussian((4,))
EVENTS = [(12.0, 3, "join"), (12.0, 1, "leave"), (42.0, 1, "join"), (54.0, 0, "leave")]


def game_of(players: int = 4, samples: int = 50) -> Game:
    graph = attach_alpha(generate_graph("complete", n=players), 0.4)
    rng = np.random.default_rng(1)
    specs = {
        player: PlayerSpec(
            family=FAMILY, data=FAMILY.space.batch({"x": rng.normal(k, 1.0, (50, 4))}), samples=samples, smoothing=1.0
        )
        for k, player in enumerate(graph)
    }
    return Game(graph, specs)


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_session(models=sys.modules[__name__]):
        yield


@pytest.mark.slow
def test_processes_come_and_go_with_their_players_and_who_comes_back_goes_on(tmp_path: Path) -> None:
    game = game_of()
    deployment = Deployment(on_failure="restart", storage=tmp_path, checkpoint_seconds=0.5)
    away: list[bool] = []
    begun: list[float] = []
    records: list[Any] = []

    def on_record(record: Any) -> None:
        records.append(record)
        if not begun and journal(tmp_path, 3):
            begun.append(record.time)
        processes = [e["process"] for e in journal(tmp_path, 1) if "process" in e]
        if begun and record.time < 42.0:
            away.append(alive(processes[-1]))

    graphs = membership(game.graph, EVENTS)
    outcome = play(game, "ray", seed=2, moves=76, rate=6.0, graphs=graphs, deployment=deployment, on_record=on_record)
    assert [(c.time, c.joined, c.left) for c in outcome.changes[-3:]] == [
        (12.0, (3,), (1,)),
        (42.0, (1,), ()),
        (54.0, (), (0,)),
    ]
    # nobody has a process before its time, or after
    assert begun
    assert 12.0 <= begun[0] < 42.0
    assert away
    assert not away[-1]
    (first,) = [e["process"] for e in journal(tmp_path, 0) if e["event"] == "begun"]
    assert wait_until(lambda: not alive(first))

    # who came back went on from its own checkpoint, with all that it had done
    told = [(e["event"], e.get("process")) for e in journal(tmp_path, 1) if e["event"] in ("begun", "restored")]
    assert [event for event, _ in told] == ["begun", "restored"]
    assert told[0][1] != told[1][1]
    moves = [r.players[1].moves for r in records]
    assert moves == sorted(moves)
    at_leave = max(r.players[1].moves for r in records if r.time < 42.0)
    assert 4 <= at_leave <= 30
    assert outcome.players[1].moves > at_leave

    # time is counted in the moves of those present, and no message met a number that it had met before
    times = [r.time for r in records]
    assert times == sorted(times)
    assert times[-1] >= 76.0
    assert outcome.players[2].moves == pytest.approx(times[-1], rel=0.4)
    assert sum(p.letters.get(kind, 0) for p in records[-1].players for kind in ("duplicate", "outdated")) == 0
    assert all(r.error_rms is not None and np.isfinite(r.error_rms) for r in records)  # of those who join too


@pytest.mark.parametrize("size", [2, 4])
def test_without_storage_who_comes_back_goes_on_too(size: int) -> None:
    game = game_of()
    records: list[Any] = []
    outcome = play(
        game,
        "ray",
        seed=2,
        moves=60,
        rate=50.0,
        graphs=membership(game.graph, [(15.0, 1, "leave"), (30.0, 1, "join")]),
        deployment=Deployment(players_per_actor=size),
        on_record=records.append,
    )
    assert outcome.last.time >= 60.0
    moves = [r.players[1].moves for r in records]
    assert moves == sorted(moves)
    assert outcome.players[1].moves > 35 - 15
    assert all(r.error_rms is not None for r in records)  # of those who join too, from the first record after they do


class Dying:
    """Ends its process when it learns."""

    space = FAMILY.space

    def learn(self, sources: Any, rng: Any) -> None:
        os._exit(1)

    def generate(self, n: int, rng: Any) -> Any:
        return self.space.batch({"x": rng.standard_normal((n, 4))})

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None:
        """Nothing."""


def test_who_dies_while_it_joins_is_set_aside_even_if_the_laboratory_has_no_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    game = game_of(3)
    game = Game(game.graph, {**game.specs, 2: PlayerSpec(model=Dying, data=game.specs[2].data, samples=50)})
    (tmp_path / "logs" / "laboratory.jsonl").mkdir(parents=True)  # it cannot be written to
    outcome = play(
        game,
        "ray",
        seed=2,
        moves=40,
        rate=50.0,
        graphs=membership(game.graph, [(10.0, 2, "join")]),
        deployment=Deployment(players_per_actor=2, on_failure="skip", storage=tmp_path),
    )
    assert outcome.aside == {2: "its process died"}
    assert outcome.last.time >= 40.0
    assert "laboratory: aside" in caplog.text


@pytest.mark.slow
def test_it_settles_at_the_floor_of_the_last_graph() -> None:
    game = game_of(5)
    graphs = membership(game.graph, [(20.0, 4, "join"), (40.0, 0, "leave")])
    outcome: Outcome = play(
        game, "ray", seed=2, moves=300, rate=20.0, every=0.05, graphs=graphs, deployment=Deployment(players_per_actor=2)
    )
    floor, rms = outcome.prediction.noise_floor_rms, outcome.equilibrium_error["rms"]
    assert floor is not None
    assert rms is not None
    assert 0.7 <= rms / floor <= 1.3
    assert outcome.summary()["changes"][-1]["noise_floor_rms"] == floor
    assert outcome.outcome == "converged"
