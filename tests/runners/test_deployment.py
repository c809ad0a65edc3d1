"""Deployments: what is refused, what is not, and which labels a player's nodes have."""

import re
from typing import Any

import pytest

from nashgossip.runners import Deployment


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"players_per_actor": 0}, "players_per_actor is 0, expected a whole number of at least 1"),
        ({"cpus": -0.5}, "cpus is -0.5, expected a number of at least 0"),
        ({"cpus": float("nan")}, "cpus is nan, expected a number of at least 0"),
        ({"gpus": -1.0}, "gpus is -1.0, expected a number of at least 0"),
        ({"restarts": -1}, "restarts is -1, expected a number of at least 0"),
        ({"on_failure": "retry"}, "on_failure is 'retry', expected one of: fail, skip, restart"),
        ({"placement": "packed"}, "placement is 'packed', expected one of: default, pack, spread"),
        (
            {"placement": "pack", "labels": {"zone": "a"}},
            "placement pack and labels of nodes cannot be had together; choose one of them",
        ),
        (
            {"placement": "pack", "nodes": {"3": {"zone": "a"}}},
            "placement pack and labels of nodes cannot be had together; choose one of them",
        ),
        (
            {"nodes": {"3": {"zone": "a"}}, "players_per_actor": 2},
            "nodes of single players were given, but players_per_actor is 2; make it 1",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Deployment(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cpus": 0.0, "gpus": 0.25, "restarts": 0},
        {"placement": "spread", "labels": {"zone": "a"}},
        {"labels": {"zone": "a"}, "players_per_actor": 5},
        {"nodes": {"3": {"zone": "a"}}, "on_failure": "restart"},
    ],
)
def test_what_can_be_had_is_kept(settings: dict[str, Any]) -> None:
    deployment = Deployment(**settings)
    assert {name: getattr(deployment, name) for name in settings} == settings


def test_the_labels_of_a_player_are_over_those_of_all() -> None:
    deployment = Deployment(labels={"zone": "a", "disk": "ssd"}, nodes={"3": {"zone": "b"}})
    assert deployment.labels_of("2") == {"zone": "a", "disk": "ssd"}
    assert deployment.labels_of("3") == {"zone": "b", "disk": "ssd"}
    assert Deployment().labels_of("2") == {}
