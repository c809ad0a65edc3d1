"""Where actors live on a cluster of several raylets, and two runs that share it."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import ray

from nashgossip.games import Game
from nashgossip.runners import Deployment, play

from ..ray_runs import ring_game
from ..trees import frozen

pytestmark = pytest.mark.slow

PLAYERS = 4


def game_of() -> Game:
    return ring_game(PLAYERS, samples=5, rows=20, style="push-pull")


class Where:
    """An instrument of the laboratory: where actors are at the second record."""

    def __init__(self, run: str) -> None:
        self._run, self.found, self._seen = run, dict[int, str](), 0
        self.free = 0.0

    def __call__(self, record: Any) -> None:
        self._seen += 1
        if self._seen == 2:
            self.found = nodes_of(self._run, PLAYERS)
            self.free = float(ray.available_resources().get("CPU", 0.0))  # type: ignore[no-untyped-call]


def nodes_of(run: str, count: int) -> dict[int, str]:
    """Number of an actor → its node, as the control store tells."""
    from ray._private.state import actors

    found = {}
    for entry in actors().values():
        name = entry.get("Name", "")
        if entry["State"] == "ALIVE" and name.startswith(f"{run}/"):
            found[int(name.rsplit("/", 1)[1])] = entry["Address"]["NodeID"]
    assert len(found) == count
    return found


def played(deployment: Deployment, **options: Any) -> tuple[Any, Where]:
    where = Where(deployment.run)
    outcome = play(
        game_of(), "ray", seed=5, moves=6, mode="synchronous", deployment=deployment, on_record=where, **options
    )
    return outcome, where


@pytest.mark.timeout(300)
def test_actors_live_where_the_deployment_says_and_rounds_are_the_same_everywhere(
    raylets: Callable[..., Any],
) -> None:
    cluster = raylets(workers=2, cpus=4, labels=[{"zone": "a"}, {"zone": "b"}])
    first, second = cluster.workers
    expected = play(game_of(), seed=5, moves=6, keep_states=True)

    outcome, where = played(Deployment(run="spread", placement="spread", cpus=0.5), keep_states=True)
    assert sorted(Counter(where.found.values()).values()) == [2, 2]
    assert where.free == 8 - 4 * 0.5
    assert frozen(dict(outcome.states)) == frozen(dict(expected.states))

    outcome, where = played(Deployment(run="pack", placement="pack", cpus=0.25), keep_states=True)
    assert len(set(where.found.values())) == 1
    assert frozen(dict(outcome.states)) == frozen(dict(expected.states))

    deployment = Deployment(run="labels", labels={"zone": "b"}, nodes={"2": {"zone": "a"}}, cpus=0.1)
    outcome, where = played(deployment, keep_states=True)
    assert where.found == {0: second, 1: second, 2: first, 3: second}
    assert frozen(dict(outcome.states)) == frozen(dict(expected.states))

    # two runs at once, of one game and seed, do not meet
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(play, game_of(), "ray", seed=5, moves=40, mode="synchronous", keep_states=True) for _ in "ab"
        ]
        both = [run.result() for run in runs]
    alone = play(game_of(), seed=5, moves=40, keep_states=True)
    assert all(frozen(dict(run.states)) == frozen(dict(alone.states)) for run in both)
    assert [run.last.messages for run in both] == [alone.last.messages] * 2
    cluster.wait(lambda: ray.available_resources().get("CPU") == 8.0, "an actor still holds its share", 30.0)
