"""The gauges of a run, read back from the Prometheus endpoint of a real node."""

import logging
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import ray

from nashgossip.runners import PlayerView, Record
from nashgossip.runners.cluster_loopback import loopback
from nashgossip.runners.cluster_metrics import PlayerMetrics

RECORD = Record(
    time=3.0,
    seconds=2.0,
    messages=11,
    bytes=800,
    players=[
        PlayerView(2, None, {"accepted": 4}, {"shape": 1, "finite": 2}, 0.5, 300),
        PlayerView(4, None, {"accepted": 7}, {}, 1.5, None),
    ],
    regrets=np.array([0.25, 0.125]),
    errors=np.array([0.3, 0.4]),
    amplitude=None,
    undelivered=6,
)


@pytest.fixture
def endpoint() -> Iterator[str]:
    with loopback():
        ray.init(
            num_cpus=1,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _system_config={"metrics_report_interval_ms": 500},
        )
        try:
            (node,) = ray.nodes()
            yield f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        finally:
            ray.shutdown()


def gauges(endpoint: str, run: str) -> dict[tuple[str, str | None], float]:
    """Name and player → value, of the gauges of one run."""
    text = urllib.request.urlopen(endpoint, timeout=5).read().decode()
    found = {}
    for name, tags, value in re.findall(r"^(?:ray_)?(nashgossip_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', tags))
        if labels.get("run") == run:
            found[name, labels.get("player") or None] = float(value)
    return found


@pytest.mark.slow
def test_the_gauges_appear_at_the_prometheus_endpoint(endpoint: str) -> None:
    metrics = PlayerMetrics("trial", ["a", "b"])
    metrics.publish(replace(RECORD, seconds=1.5, players=[replace(v, moves=v.moves - 1) for v in RECORD.players]))
    metrics.publish(RECORD, np.array([-2.0, -np.inf]))
    first = PlayerMetrics("large", ["a", "b"], most=1)
    first.publish(replace(RECORD, regrets=None, errors=None))
    end = time.monotonic() + 60
    while not {("nashgossip_run_bytes", None)} <= (gauges(endpoint, "trial").keys() & gauges(endpoint, "large").keys()):
        assert time.monotonic() < end, urllib.request.urlopen(endpoint, timeout=5).read().decode()[:3000]
        time.sleep(0.2)
    found = gauges(endpoint, "trial")
    assert {key: found.get(key) for key in EXPECTED} == EXPECTED
    assert ("nashgossip_utility_nats", "b") not in found  # not finite
    assert ("nashgossip_bytes", "b") not in found  # not known
    few = gauges(endpoint, "large")
    assert {player for _, player in few} == {None, "a"}
    assert not {name for name, _ in few} & {"nashgossip_run_nash_gap_nats", "nashgossip_regret_nats"}
    assert few["nashgossip_run_messages", None] == 11


EXPECTED = {
    ("nashgossip_regret_nats", "a"): 0.25,
    ("nashgossip_regret_nats", "b"): 0.125,
    ("nashgossip_utility_nats", "a"): -2.0,
    ("nashgossip_error", "b"): 0.4,
    ("nashgossip_staleness_moves", "b"): 1.5,
    ("nashgossip_moves", "a"): 2.0,
    ("nashgossip_moves_per_second", "a"): 2.0,
    ("nashgossip_accepted", "b"): 7.0,
    ("nashgossip_rejected", "a"): 3.0,
    ("nashgossip_bytes", "a"): 300.0,
    ("nashgossip_run_nash_gap_nats", None): 0.25,
    ("nashgossip_run_error_rms", None): float(np.sqrt(0.125)),
    ("nashgossip_run_time_moves", None): 3.0,
    ("nashgossip_run_moves_per_second", None): 4.0,
    ("nashgossip_run_messages", None): 11.0,
    ("nashgossip_run_undelivered", None): 6.0,
    ("nashgossip_run_rejected", None): 3.0,
    ("nashgossip_run_bytes", None): 800.0,
}


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="most is -1, expected at least 0 players"):
        PlayerMetrics("trial", [], most=-1)
