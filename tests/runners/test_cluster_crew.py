"""The actors of a run as its laboratories find them: taken over, missed, ended, packed, or placed where no node is."""

import re
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import ray
from ray.util.placement_group import placement_group_table
from typer.testing import CliRunner

from nashgossip.games import Game
from nashgossip.runners import (
    CheckpointStore,
    Deployment,
    StartError,
    StoreError,
    cluster_limits,
    load_experiment,
    play,
)
from nashgossip.runners.cluster_crew import Crew, Lost
from nashgossip.runners.cluster_data import asking
from nashgossip.runners.cluster_errors import Setback
from nashgossip.runners.cluster_names import living
from nashgossip.runners.cluster_plans import Layout
from nashgossip.runners.command import app
from nashgossip.runners.experiment import dump_experiment
from nashgossip.topology import attach_alpha, membership

from ..agents.crew import refusing
from ..ray_runs import PAIR, alive, free_cpus, journal, process_of, ray_session, ring_game, wait_until


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray_session(models=sys.modules[__name__]):
        yield


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert wait_until(lambda: free_cpus() == 2.0), "an actor, or what was reserved for it, still holds CPUs"


def crew_of(deployment: Deployment, game: Game | None = None, graphs: Any = None, **settings: Any) -> Crew:
    settings = {"rate": 20.0, "synchronous": False, "lease": None} | settings
    layout = Layout(game or ring_game(2), 1, deployment, graphs=graphs, **settings)
    plans = {index: partial(layout.plan, index, 0) for index in layout.indices}
    detached = deployment.storage is not None
    return Crew(plans, deployment, detached=detached, peers=layout.peers, labels=layout.labels, homes=layout.homes)


def begun(crew: Crew) -> None:
    ray.get([handle.begin.remote() for handle in crew.handles.values()], timeout=60)


def reserved(run: str) -> list[str]:
    """The placement groups of a run that are there."""
    table = placement_group_table().values()
    return [
        entry["placement_group_id"] for entry in table if entry["name"] == f"{run}/pack" and entry["state"] != "REMOVED"
    ]


def test_what_was_packed_is_found_by_the_next_and_given_back_at_the_end(tmp_path: Path) -> None:
    first = crew_of(Deployment(run="packed", placement="pack", storage=tmp_path, cpus=0.25))
    first.__enter__()  # and no end: its laboratory is killed
    first.start([0, 1])
    begun(first)
    (group,) = reserved("packed")
    with crew_of(Deployment(run="packed", placement="pack", storage=tmp_path, cpus=1.0)) as second:
        assert second.attach() == {0, 1}
        assert reserved("packed") == [group]
        before = process_of(tmp_path, 1)
        second.end(1)
        second.start([1])  # into its old place, of 0.25 CPUs, as soon as its name is free
        begun(second)
        assert process_of(tmp_path, 1) != before
        assert free_cpus() == 1.5
    assert reserved("packed") == []
    assert wait_until(lambda: not living("nashgossip", "packed"))


def test_what_was_packed_is_given_back_by_the_last_who_leaves(tmp_path: Path) -> None:
    crew = crew_of(Deployment(run="left", placement="pack", storage=tmp_path, cpus=0.25), lease=1.0)
    crew.__enter__()
    crew.start([0, 1])
    begun(crew)
    assert len(reserved("left")) == 1
    assert wait_until(lambda: not living("nashgossip", "left"))
    assert wait_until(lambda: not reserved("left"))
    assert [e["event"] for e in journal(tmp_path, 1)] == ["begun", "unobserved"]


class Slow:
    """A model that takes its time."""

    space = PAIR.space

    def learn(self, sources: Any, rng: Any) -> None:
        time.sleep(2.0)

    def generate(self, n: int, rng: Any) -> Any:
        return self.space.batch({"x": rng.standard_normal((n, 2))})

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None:
        """Nothing."""


def test_nobody_leaves_while_the_laboratory_waits(tmp_path: Path) -> None:
    deployment = Deployment(run="slow", storage=tmp_path, cpus=0.25, lease=1.0, players_per_actor=2)
    with crew_of(deployment, ring_game(3, Slow), lease=1.0) as crew:
        crew.start([0, 1])
        assert crew.call("begin", patience=60.0, lost=never) == {0: True, 1: True}  # the second takes 2 s
        assert crew.wait([], 0, 1.5) == []
        assert living("nashgossip", "slow") == {0, 1}
        assert [[e["event"] for e in journal(tmp_path, k)] for k in range(2)] == [["begun"]] * 2


def never(error: Lost) -> bool:
    raise error


def test_storage_that_fails_is_told_with_players_cause_and_remedy(tmp_path: Path) -> None:
    deployment = Deployment(run="full", storage=tmp_path, players_per_actor=2, cpus=0.25)
    store = CheckpointStore(tmp_path / "checkpoints", "actor-00000")
    with crew_of(deployment) as crew:
        crew.start([0])
        begun(crew)
        with refusing(store), pytest.raises(StoreError) as caught:
            crew.call("save", 1, patience=60.0, lost=never)
        assert str(caught.value) == (
            f"the storage of player 0, 1 failed: FileExistsError: [Errno 17] File exists: '{store.folder}'; make room "
            "and let all nodes reach it, then go on with `nashgossip resume`"
        )
        with pytest.raises(StoreError, match=r"the storage of player 0, 1 failed: CheckpointError: .*000000007"):
            crew.call("restore", 7, 1, patience=60.0, lost=never)
        assert crew.call("save", 1, patience=60.0, lost=never) == {0: 1}


def test_who_misses_another_names_it_and_the_run_is_set_back_or_lost() -> None:
    game = ring_game(2)
    one_way = nx.DiGraph([(0, 1)])  # player 0 tells player 1, and hears nobody
    game = Game(attach_alpha(one_way, 0.5), game.specs)
    with crew_of(Deployment(run="missed"), synchronous=True, game=game) as crew:
        crew.start([0, 1])
        begun(crew)
        ray.kill(crew.handles[1])
        assert wait_until(lambda: living("nashgossip", "missed") == {0})
        with pytest.raises(Lost, match="^actor 1: run missed has no actor 1 now") as caught:
            crew.result(0, crew.handles[0].play_rounds.remote(1))
        assert (caught.value.index, caught.value.forever) == (1, True)
        # that play is broken off is told before this process has heard of a death, or when who died lives again
        turn = (1, 0, 0, ([], []))
        ray.get(crew.handles[0].abort.remote(), timeout=60)
        with pytest.raises(Lost) as caught:
            crew.result(0, crew.handles[0].take_turn.remote(*turn))
        assert (caught.value.index, caught.value.forever) == (1, True)
        del crew.handles[1]
        with pytest.raises(Setback):
            crew.result(0, crew.handles[0].take_turn.remote(*turn))


def test_players_who_come_back_after_a_resume_take_the_place_of_actors_that_should_have_ended(tmp_path: Path) -> None:
    game = ring_game(3, generator="complete")
    graphs = membership(game.graph, [(5.0, 1, "leave"), (20.0, 1, "join")])
    deployment = Deployment(run="again", storage=tmp_path, cpus=0.5)
    crew = crew_of(deployment, game, graphs, lease=600.0)
    crew.start([0, 1, 2])
    begun(crew)  # and their laboratory is killed just as player 1 has left
    first = process_of(tmp_path, 1)
    records: list[Any] = []
    outcome = play(
        game,
        "ray",
        seed=1,
        moves=90,
        rate=20.0,
        graphs=graphs,
        deployment=deployment,
        resume={"time": 6.0, "moves": [6, 6, 6], "messages": 9, "bytes": 90, "undelivered": 0, "seconds": 1.0},
        on_record=records.append,
    )
    assert outcome.last.time >= 90.0
    assert not alive(first)
    assert process_of(tmp_path, 1) != first
    events = [e["event"] for e in journal(tmp_path, 1)]
    assert events.count("restored") == 1
    moves = [r.players[1].moves for r in records]
    assert moves == sorted(moves)
    assert moves[-1] > 6
    assert all(r.error_rms is not None for r in records)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_limits, "START_S", 5.0)
    monkeypatch.setattr(cluster_limits, "START_PER_PROCESS_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_actors_that_no_node_takes_are_not_waited_for() -> None:
    deployment = Deployment(labels={"site": "north"}, cpus=0.5)
    began = time.monotonic()
    with pytest.raises(StartError) as caught:
        play(ring_game(2), "ray", moves=5, deployment=deployment)
    assert time.monotonic() - began < 20
    assert str(caught.value) == (
        "2 of 2 actors, of player 0, 1, did not start on nodes with labels {'site': 'north'} within 5 s; play fewer "
        "players, or give Ray more CPUs and memory, or start nodes with these labels, or change cluster.labels and "
        "cluster.nodes"
    )


@pytest.mark.usefixtures("impatient")
def test_data_on_nodes_that_are_not_there_is_not_waited_for(tmp_path: Path) -> None:
    plan = load_experiment("ring", ["play.runner=ray", "topology.arguments.n=3", "data.rows=30", "data.where=players"])
    text = dump_experiment(plan)
    ray.get(ray.remote(here).remote(), timeout=60)  # so that a process for tasks is there
    with asking(Deployment(nodes={"1": {"site": "north"}, "2": {"site": "north"}})) as ask:
        with pytest.raises(StartError) as caught:
            ask(text, [0, 1, 2])
        assert str(caught.value) == (
            "no node with labels {'site': 'north'} and a free CPU was there within 5 s to read the data of player "
            "1, 2; start nodes with these labels (ray start --labels=…), or change cluster.labels and cluster.nodes"
        )
        (spec,) = ask(text, [0])
        assert spec.data is None
        assert spec.rows == 24  # of 30 a fifth is held out
    nowhere = "labels {'site': 'south'} .* to read the data of the players; start nodes"
    settings = ["play.runner=ray", "topology.arguments.n=3", "data.where=players", "cluster.labels={site: south}"]
    told = CliRunner().invoke(app, ["run", "ring", "--out", str(tmp_path / "run"), *(f"--set={s}" for s in settings)])
    assert told.exit_code == 1
    assert "error: no node with labels {'site': 'south'} and a free CPU" in re.sub(r"\s+", " ", told.stderr)
    with asking(Deployment(labels={"site": "south"})) as ask, pytest.raises(StartError, match=nowhere):
        ask(text, None)
    with asking(Deployment()) as ask:
        holders = [ray.remote(Holder).options(num_cpus=1).remote() for _ in range(2)]
        ray.get([holder.there.remote() for holder in holders], timeout=60)
        with pytest.raises(StartError, match="^no node with a free CPU was there .*; end other runs, or start more"):
            ask(text, None)
        for holder in holders:
            ray.kill(holder)


def here() -> None:
    """A task."""


class Holder:
    """Holds a CPU."""

    def there(self) -> bool:
        return True
