"""Keeps the sockets of a Ray session that is started here on the loopback interface."""

__all__ = ["LoopbackError", "loopback"]

import contextlib
import os
from collections.abc import Iterator

from ray._private import ray_constants, services

_SWITCH = "ENABLE_RAY_CLUSTER"


class LoopbackError(ValueError):
    """This version of Ray has no switch that keeps it on loopback.

    Not `StartError`: nothing has been started.
    """


@contextlib.contextmanager
def loopback() -> Iterator[None]:
    """A Ray session that is started in this block listens on 127.0.0.1 alone: `with loopback(): ray.init(...)`.

    By default the control store, the raylet, every worker and this process listen on all interfaces. Ray has one
    switch that gives a node the address 127.0.0.1, to which its servers then bind:
    `RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0`, the default on Windows and macOS. `ray.init(_node_ip_address="127.0.0.1")`
    does not do it: Ray puts the address of an interface in its place. The variable is read when ray is imported, and
    children inherit it; so both the constant in this process and the variable are set, and put back after the block.

    No other node can join such a session, and this process cannot join a cluster on other machines inside the block.

    Raises:
        LoopbackError: Ray does not know the switch.
    """
    name = getattr(ray_constants, f"{_SWITCH}S_ENV_VAR", None)
    if name is None or not hasattr(ray_constants, _SWITCH) or not hasattr(services, "get_node_ip_address"):
        import ray

        raise LoopbackError(
            f"Ray {ray.__version__} has no switch {_SWITCH} that keeps a session on loopback; install the version "
            "of constraints.txt, or start it in a network namespace as docs/cluster.md shows"
        )
    before, variable = getattr(ray_constants, _SWITCH), os.environ.get(name)
    setattr(ray_constants, _SWITCH, False)
    os.environ[name] = "0"
    try:
        yield
    finally:
        setattr(ray_constants, _SWITCH, before)
        os.environ.pop(name)
        if variable is not None:
            os.environ[name] = variable
