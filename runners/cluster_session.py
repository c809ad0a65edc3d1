"""A Ray session for a run: the one that is there, a cluster that is named, or one of this machine that ends with it."""

__all__ = ["ray_session", "starts_here"]

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import ray

from .cluster_loopback import loopback
from .deployment import Deployment
from .machine import whole_cpus


@contextlib.contextmanager
def ray_session(deployment: Deployment) -> Iterator[bool]:
    """Connects to Ray for the time of the block; gives whether the cluster outlives it.

    A session that is open already is used and left open. `address`, or RAY_ADDRESS, names a cluster to join. Otherwise
    Ray is started here, with as many CPUs as `workers` says, and everything of it ends with the block.

    Raises:
        ConnectionError: nobody answers at the address.
    """
    if ray.is_initialized():
        yield True
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    address = _address(deployment)
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "namespace": deployment.namespace,
    }
    if address:
        ray.init(address=address, **quiet)
    else:
        with loopback():
            ray.init(num_cpus=deployment.workers or whole_cpus(), **quiet)
    try:
        yield bool(address)
    finally:
        ray.shutdown()


def starts_here(deployment: Deployment) -> bool:
    """Whether Ray is to be started on this machine for a run."""
    return not ray.is_initialized() and not _address(deployment)


def _address(deployment: Deployment) -> str | None:
    return deployment.address or os.environ.get("RAY_ADDRESS")
