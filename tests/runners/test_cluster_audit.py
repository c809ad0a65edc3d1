"""Runs on Ray keep what was published: in rounds the very batches of `rounds`, in real time those that arrived."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nashgossip.games import Game
from nashgossip.runners import Deployment, KeptBatches, build_game, cluster, command, load_experiment, read_kept, rounds
from nashgossip.topology import membership

from ..ray_runs import ray_session, ring_game

SETTINGS = ["topology.arguments.n=4", "data.rows=60", "play.samples=20", "moves=6", "play.measure=0"]
AUDITED = [*SETTINGS, "data.holdout=0.5", "audit.batches=3", "audit.canaries=4"]


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_session():
        yield


def called(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(command.app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def ran(out: Path, *settings: str) -> Path:
    called("run", "ring", "--out", str(out), *(f"--set={setting}" for setting in settings))
    return out


def plain(batches: Any) -> list[Any]:
    return [(k.sender, k.sequence, k.listeners, {n: a.tobytes() for n, a in k.batch.arrays.items()}) for k in batches]


def of_rounds(game: Game, moves: int, seed: int) -> list[Any]:
    kept = KeptBatches.of(game, 3)
    for _ in rounds(game, seed=seed, moves=moves, on_delivery=kept.add):
        pass
    return plain(kept.batches)


@pytest.mark.slow
def test_rounds_are_audited_as_rounds_in_process_are_whoever_reads_the_rows(tmp_path: Path) -> None:
    local = ran(tmp_path / "local", *AUDITED, "runner=rounds")
    game = build_game(load_experiment("ring", [*AUDITED, "runner=rounds"]))
    expected, verdict = plain(read_kept(local, game)), called("audit", str(local), "--shadows", "8")
    assert len(expected) == 12
    assert verdict["shadows"] == 8
    assert verdict["distances"][0]["canaries"]
    for where in ("driver", "players"):
        settings = ["runner=ray", "mode=synchronous", "cluster.players_per_actor=2", f"data.where={where}"]
        run = ran(tmp_path / where, *AUDITED, *settings)
        assert plain(read_kept(run, game)) == expected
        assert called("audit", str(run), "--shadows", "8") == verdict


def test_gossip_in_real_time_is_audited_by_the_batches_that_arrived(tmp_path: Path) -> None:
    run = ran(tmp_path / "run", *AUDITED, "runner=ray", "play.rate=50", "cluster.players_per_actor=2")
    game = build_game(load_experiment("ring", [*AUDITED, "runner=rounds"]))
    kept = read_kept(run, game)
    assert {k.sender for k in kept} == set(game.players)
    assert all(k.listeners and set(k.listeners) <= set(game.graph.succ[k.sender]) for k in kept)
    assert all(len(k.batch) == 20 for k in kept)
    found = called("audit", str(run), "--shadows", "8")
    assert found["shadows"] == 8
    assert [d["distance"] for d in found["distances"]] == [1, 2, 3]


class Stop(Exception):
    """The run is broken off."""


def played(game: Game, kept: KeptBatches, **options: Any) -> None:
    deployment = options.pop("deployment", Deployment(players_per_actor=2))
    for _ in cluster(game, seed=5, moves=8, mode="synchronous", kept=kept, deployment=deployment, **options):
        pass


def test_rounds_that_are_broken_off_and_go_on_keep_the_same(tmp_path: Path) -> None:
    game, saved = ring_game(), dict[str, Any]()
    deployment = Deployment(players_per_actor=2, storage=tmp_path, run="stopped")
    seen: list[Any] = []

    def leave(save: Callable[[], None]) -> None:
        seen.append(0)
        if len(seen) > 5:
            save()
            raise Stop

    def note(number: int, totals: dict[str, Any]) -> None:
        saved.update(totals, checkpoint=number)

    before = KeptBatches.of(game, 3)
    with pytest.raises(Stop):
        played(game, before, deployment=deployment, on_observation=leave, on_checkpoint=note)
    assert saved["checkpoint"] == 5
    assert plain(before.batches) == of_rounds(game, 5, 5)  # what there is so far can be audited too
    after = KeptBatches.of(game, 3)
    played(game, after, deployment=deployment, resume=saved)
    assert plain(after.batches) == of_rounds(game, 8, 5)


def test_what_those_who_leave_have_published_stays() -> None:
    game = ring_game()
    kept = KeptBatches.of(game, 3)
    played(game, kept, graphs=membership(game.graph, [(4.0, 0, "leave"), (4.0, 1, "leave")]))
    numbers = {player: [k.sequence for k in kept.batches if k.sender == player] for player in game.players}
    assert numbers == {0: [1, 2, 3], 1: [1, 2, 3], 2: [5, 6, 7], 3: [5, 6, 7]}
