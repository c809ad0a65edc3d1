"""Players that fail on Ray: rounds that are taken back are those of an undisturbed run, and policies do as they say."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nashgossip.agents import ExponentialFamilyModel, ModelError, Source, State
from nashgossip.games import Batch, Game, Space
from nashgossip.runners import Deployment, Looks, Outcome, PlayerLostError, command, play, read_journal
from nashgossip.topology import membership

from ..ray_runs import PAIR, alive, process_of, ray_session, ring_game, wait_until
from ..trees import frozen

SEED = 3


class Raises:
    """The Gaussian's own model, which raises, or ends its process, when it learns for the k-th time."""

    def __init__(self, k: int, how: str = "raises") -> None:
        self._inner, self._left, self._how = ExponentialFamilyModel(PAIR, smoothing=1.0), k, how

    @property
    def space(self) -> Space:
        return self._inner.space

    @property
    def mean_parameters(self) -> Any:
        return self._inner.mean_parameters

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        if self._left == 0 and self._how == "dies":
            os._exit(1)
        if self._left == 0:
            raise ArithmeticError("the matrix is singular")
        self._left -= 1
        self._inner.learn(sources, rng)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return self._inner.generate(n, rng)

    def state(self) -> State:
        return {"inner": self._inner.state(), "left": self._left}

    def load(self, state: State) -> None:
        self._inner.load(state["inner"])
        self._left = state["left"]


def shown(records: Sequence[Any], outcome: Outcome) -> Any:
    """All that a run leaves but the seconds: records, close looks, states."""
    return frozen(
        [
            [
                (
                    r.time,
                    r.messages,
                    r.bytes,
                    r.regrets,
                    r.errors,
                    [(p.moves, p.letters, p.staleness) for p in r.players],
                )
                for r in records
            ],
            [(look.time, repr(look.shares), repr(look.held_out)) for look in outcome.looks],
            outcome.states,
            outcome.after,
        ]
    )


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_session(models=sys.modules[__name__]):
        yield


def events(storage: Path, name: str = "laboratory") -> list[str]:
    return [str(event["event"]) for event in read_journal(storage / "logs" / f"{name}.jsonl")]


@pytest.mark.parametrize(
    ("checkpoint_seconds", "changing"),
    [
        (1e-3, False),  # taken back a round or two
        pytest.param(1e9, False, marks=pytest.mark.slow),  # and to the start
        pytest.param(1e9, True, marks=pytest.mark.slow),  # over players that have come and gone since
    ],
)
def test_rounds_in_which_actors_are_killed_leave_what_undisturbed_ones_do(
    checkpoint_seconds: float, changing: bool, tmp_path: Path
) -> None:
    game = ring_game()
    options: dict[str, Any] = {"moves": 14, "every": 2, "looks": Looks(6, count=4), "keep_states": True, "seed": SEED}
    if changing:
        options["graphs"] = membership(game.graph, [(3.0, 1, "join"), (5.0, 0, "leave")])
    expected: list[Any] = []
    if changing:
        undisturbed = play(game, "ray", mode="synchronous", on_record=expected.append, **options)
    else:
        undisturbed = play(game, on_record=expected.append, **options)
    records: list[Any] = []
    killed: list[int] = []

    def on_record(record: Any) -> None:
        records.append(record)
        if record.time in (6.0, 10.0) and len(killed) < 2:
            killed.append(process_of(tmp_path, len(killed) + 2))
            os.kill(killed[-1], signal.SIGKILL)

    deployment = Deployment(on_failure="restart", storage=tmp_path, checkpoint_seconds=checkpoint_seconds)
    outcome = play(game, "ray", mode="synchronous", deployment=deployment, on_record=on_record, **options)
    assert len(set(killed)) == 2
    for found, wanted in zip(shown(records, outcome), shown(expected, undisturbed), strict=True):
        assert found == wanted
    told = events(tmp_path)
    assert told.count("taken back") >= 2
    assert told.count("away") >= 2
    assert wait_until(lambda: not any(alive(process) for process in killed))


def test_a_model_that_is_skipped_leaves_the_others_its_last_rows(tmp_path: Path) -> None:
    game = ring_game(model=partial(Raises, 6))  # learns from its data, and makes five moves
    deployment = Deployment(on_failure="skip", storage=tmp_path, players_per_actor=2)
    records: list[Any] = []
    outcome = play(
        game, "ray", seed=SEED, moves=60, rate=50.0, measure=5, deployment=deployment, on_record=records.append
    )
    assert [p.moves for p in outcome.players][2] == 5
    assert all(p.moves > 30 for k, p in enumerate(outcome.players) if k != 2)
    assert outcome.players[1].staleness > 10  # of two neighbours one speaks no more
    assert all(r.players[k].mean is not None for r in records for k in range(4))
    assert outcome.after[2] is None  # it answers nothing any more
    why = "the model of player 2 failed at move 6: learn raised ArithmeticError: the matrix is singular"
    assert outcome.summary()["aside"] == {"2": why}
    (aside,) = [e for e in read_journal(tmp_path / "logs" / "laboratory.jsonl") if e["event"] == "aside"]
    assert (aside["player"], aside["move"]) == ("2", 6)
    assert aside["cause"] == "learn raised ArithmeticError: the matrix is singular"
    (failed,) = [e for e in read_journal(tmp_path / "logs" / "actor-00001.jsonl") if e["event"] == "failed"]
    assert "in learn" in failed["trace"]


def test_rounds_go_on_without_a_model_that_is_skipped() -> None:
    game = ring_game(model=partial(Raises, 6))
    outcome = play(
        game,
        "ray",
        seed=SEED,
        moves=12,
        mode="synchronous",
        deployment=Deployment(on_failure="skip", players_per_actor=2),
    )
    assert [p.moves for p in outcome.players] == [12, 12, 5, 12]
    assert outcome.last.time == 12.0
    assert outcome.players[1].staleness == (1 + 7) / 2
    assert list(outcome.aside) == [2]


def test_a_process_that_dies_is_skipped_and_nothing_more_is_heard_of_its_player(tmp_path: Path) -> None:
    game = ring_game(3, partial(Raises, 6, "dies"))
    deployment = Deployment(on_failure="skip", storage=tmp_path)
    outcome = play(game, "ray", seed=SEED, moves=80, rate=50.0, measure=5, deployment=deployment)
    assert outcome.players[2].moves <= 5
    assert all(p.moves > 40 for k, p in enumerate(outcome.players) if k != 2)
    assert outcome.players[1].staleness > 10
    assert outcome.after[2] is None
    assert outcome.after[1] is not None
    assert outcome.last.undelivered > 0
    (aside,) = [e for e in read_journal(tmp_path / "logs" / "laboratory.jsonl") if e["event"] == "aside"]
    assert aside["players"] == ["2"]
    assert outcome.aside == {2: "its process died"}


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_a_run_whose_models_have_all_failed_ends_with_the_first_failure(mode: str) -> None:
    game = ring_game(model=partial(Raises, 6))
    game = Game(game.graph, {player: replace(game.specs[2], data=spec.data) for player, spec in game.specs.items()})
    deployment = Deployment(on_failure="skip", players_per_actor=4)
    with pytest.raises(ModelError, match=r"^the model of player \d failed at move 6: learn raised ArithmeticError"):
        play(game, "ray", seed=SEED, moves=1000, mode=mode, rate=50.0, deployment=deployment)


def test_a_run_whose_processes_have_all_died_ends_too() -> None:
    game = ring_game(model=partial(Raises, 6, "dies"))
    deployment = Deployment(on_failure="skip", players_per_actor=4)
    with pytest.raises(PlayerLostError, match="^the processes of all players died; if memory is short, play fewer or"):
        play(game, "ray", seed=SEED, moves=1000, rate=50.0, deployment=deployment)


def test_rounds_do_not_go_on_without_a_process() -> None:
    game = ring_game(3, partial(Raises, 6, "dies"))
    with pytest.raises(PlayerLostError, match="^the process of player 2 died, and rounds wait for everybody"):
        play(game, "ray", seed=SEED, moves=50, mode="synchronous", deployment=Deployment(on_failure="skip"))


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_a_process_that_dies_again_and_again_ends_the_run(mode: str, tmp_path: Path) -> None:
    game = ring_game(3, partial(Raises, 3, "dies"))
    deployment = Deployment(on_failure="restart", restarts=1, storage=tmp_path, checkpoint_seconds=0.05)
    with pytest.raises(PlayerLostError) as caught:
        play(game, "ray", seed=SEED, moves=1000, mode=mode, rate=50.0, deployment=deployment)
    assert str(caught.value) == (
        "the process of player 2 died for the last of 2 times; if memory is short, play fewer players or smaller models"
    )
    assert wait_until(lambda: not any(alive(process_of(tmp_path, k)) for k in range(3)))


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_a_model_that_fails_again_at_the_same_move_ends_the_run_with_its_traceback(mode: str, tmp_path: Path) -> None:
    game = ring_game(model=partial(Raises, 6))
    deployment = Deployment(on_failure="restart", storage=tmp_path, checkpoint_seconds=0.05, players_per_actor=2)
    with pytest.raises(ModelError) as caught:
        play(game, "ray", seed=SEED, moves=1000, mode=mode, rate=50.0, deployment=deployment)
    assert (caught.value.player, caught.value.move) == ("2", 6)
    (note,) = caught.value.__notes__
    assert re.search(r"in learn\b", note)
    assert "ArithmeticError: the matrix is singular" in note
    failed = [e for e in read_journal(tmp_path / "logs" / "actor-00001.jsonl") if e["event"] == "failed"]
    assert [e["move"] for e in failed] == [6] * (2 if mode == "asynchronous" else 1)


def test_restart_without_storage_is_refused() -> None:
    with pytest.raises(ValueError, match="on_failure is restart, but there is no storage for checkpoints; give the"):
        play(ring_game(), "ray", moves=5, deployment=Deployment(on_failure="restart"))


def test_the_command_says_player_move_and_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "staged", lambda plan, ask: ring_game(model=partial(Raises, 3)))
    settings = ["play.runner=ray", "play.mode=synchronous", "play.moves=20", "topology.arguments.n=4"]
    settings.append("cluster.players_per_actor=2")
    arguments = [part for setting in settings for part in ("--set", setting)]
    result = CliRunner().invoke(command.app, ["run", "ring", "--json", "--out", str(tmp_path / "run"), *arguments])
    assert result.exit_code == 1
    assert result.stdout == ""
    told = re.sub(r"\s+", " ", result.stderr)
    assert "error: the model of player 2 failed at move 3: learn raised ArithmeticError: the matrix is singular" in told
    assert "in learn raise ArithmeticError" in told or "in learn ArithmeticError" in told
    assert f"what was recorded until then is in {tmp_path / 'run'}" in told
