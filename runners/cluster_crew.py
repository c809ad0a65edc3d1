"""The actors of a run on Ray: made, found by name, called together, and ended."""

__all__ = ["Crew", "Lost"]

import contextlib
import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, final

import ray
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ..agents import HostPlan, ModelError, PlayerActor
from ..agents.turns import TurnsEnded
from .checkpoint import CheckpointError
from .cluster_errors import Setback, StartError, StoreError, named
from .cluster_names import AbsentError, find, living
from .cluster_pack import pack, remove_pack
from .deployment import Deployment

_RETRY_S = 0.2
_END_S = 30.0
_CONCURRENCY = 1000


class Lost(Exception):
    """The process of an actor is not there at the moment, or for good. For the laboratory, which knows what to do.

    Not `PlayerLostError`, which tells the user that the run has ended over it.
    """

    def __init__(self, index: int, error: RayActorError | AbsentError, *, forever: bool) -> None:
        super().__init__(f"actor {index}: {error}")
        self.index, self.error, self.forever = index, error, forever


@final
class Crew:
    """One actor for each plan that is wanted; use it as a context manager, which ends them all.

    Arguments:
        plans: number of an actor → makes its plan.
        deployment: how they are laid out.
        detached: whether they outlive this process, if it is killed.
        peers: number of an actor → actors that may call it at once.
        labels: number of an actor → labels of the nodes that it may live on.
        homes: player → number of its actor, for errors.
    """

    def __init__(
        self,
        plans: Mapping[int, Callable[[], HostPlan]],
        deployment: Deployment,
        *,
        detached: bool,
        peers: Mapping[int, int],
        labels: Mapping[int, dict[str, str]],
        homes: Mapping[Hashable, int],
    ) -> None:
        self._labels, self._homes = labels, homes
        self._plans, self._deployment, self._detached, self._peers = plans, deployment, detached, peers
        self._slice = deployment.lease / 4 if detached else math.inf
        self._renewed = time.monotonic()
        self._class = ray.remote(PlayerActor)
        self.handles: dict[int, Any] = {}
        self._ended: set[int] = set()
        self._group: Any = None
        cpus = ray.cluster_resources().get("CPU", 1.0)  # type: ignore[no-untyped-call]
        share = _rounded(min(1.0, cpus / len(plans)))
        self._cpus = share if deployment.cpus is None else deployment.cpus

    def __enter__(self) -> "Crew":
        if self._deployment.placement == "pack":
            bundle = {"CPU": self._cpus} | ({"GPU": self._deployment.gpus} if self._deployment.gpus else {})
            self._group = pack(self._deployment.run, len(self._plans), bundle, detached=self._detached)
            self._cpus = self._group.bundle_specs[0].get("CPU", 0.0)  # those of before, if it was there
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles.values():
            with contextlib.suppress(Exception):
                ray.kill(handle)
        if self._group is not None:
            remove_pack(self._deployment.run)

    def attach(self) -> set[int]:
        """Takes over all actors of the run that live already; their numbers."""
        for index in living(self._deployment.namespace, self._deployment.run):
            if (there := find(self._deployment.namespace, self._deployment.run, index)) is not None:
                self.handles[index] = there
        return set(self.handles)

    def start(self, indices: Iterable[int]) -> None:
        """Makes actors that are not there, without waiting for them.

        Arguments:
            indices: their numbers.

        Raises:
            StartError: one that was ended before does not end.
        """
        for index in indices:
            if index not in self.handles:
                if index in self._ended:
                    self._require_ended(index)
                self.handles[index] = self._class.options(**self._options(index)).remote(self._plans[index]())

    def end(self, index: int) -> None:
        """Ends one actor for good."""
        ray.kill(self.handles.pop(index))
        self._ended.add(index)

    def _require_ended(self, index: int) -> None:
        """Waits until the name of an actor that was ended is free for the next one."""
        end = time.monotonic() + _END_S
        while not self.forever(index):
            if time.monotonic() > end:
                raise StartError(
                    f"actor {index} of run {self._deployment.run} was ended, but lives after {_END_S:.0f} s; "
                    "look after the node that it is on, and go on with `nashgossip resume`"
                )
            time.sleep(_RETRY_S / 10)
        self._ended.remove(index)

    def forever(self, index: int) -> bool:
        """Whether the process of an actor is dead and will not be restarted."""
        return find(self._deployment.namespace, self._deployment.run, index) is None

    def result(self, index: int, call: Any) -> Any:
        """The result of a call that has ended.

        Raises:
            ModelError: a model failed.
            StoreError: storage took no checkpoint, or gave none back.
            Lost: the process of the actor, or of one that it called, is not there.
            Setback: play in rounds was broken off, as a process has died that lives again by now.
        """
        try:
            return ray.get(call)
        except RayTaskError as error:
            if isinstance(error.cause, ModelError):
                raise _again(error.cause, error) from error
            if isinstance(error.cause, RayActorError):  # of another, as this one has noticed
                dead = self._index(error.cause, index)
                raise Lost(dead, error.cause, forever=self.forever(dead)) from error
            if isinstance(error.cause, AbsentError):
                absent = error.cause.index
                raise Lost(absent, error.cause, forever=self.forever(absent)) from error
            if isinstance(error.cause, TurnsEnded):
                raise self._broken_off(error) from error
            if isinstance(error.cause, OSError | CheckpointError):
                players = named([player for player, home in self._homes.items() if home == index])
                raise StoreError(
                    f"the storage of {players} failed: {type(error.cause).__name__}: {error.cause}; make room and "
                    "let all nodes reach it, then go on with `nashgossip resume`"
                ) from error
            raise
        except RayActorError as error:
            raise Lost(index, error, forever=self.forever(index)) from error

    def call(
        self,
        method: str,
        *arguments: Any,
        on: Sequence[int] | None = None,
        patience: float,
        each: Callable[[int], tuple[Any, ...]] | None = None,
        lost: Callable[[Lost], bool],
    ) -> dict[int, Any]:
        """Calls one method of actors, and waits for all results; number of the actor → result.

        Arguments:
            method: its name.
            arguments: the same for all.
            on: numbers of the actors; all by default. Those that are not there are left out.
            patience: seconds after which those that have not answered are given up.
            each: number → arguments of its own.
            lost: told of each actor that is not there; True calls it again, False goes on without its result.

        Raises:
            ModelError, StoreError: see `result`.
            TimeoutError: no call ended for `patience` seconds; its `args` are the numbers of the silent actors.
        """
        wanted = [index for index in (self.handles if on is None else on) if index in self.handles]
        results: dict[int, Any] = {}

        def issue(index: int) -> Any:
            own = arguments if each is None else each(index)
            return getattr(self.handles[index], method).remote(*own)

        calls = {issue(index): index for index in wanted}
        since = time.monotonic()
        while calls:
            ready = self.wait(list(calls), 1, since + patience - time.monotonic())
            if not ready:
                raise TimeoutError(*calls.values())
            index = calls.pop(ready[0])
            try:
                results[index] = self.result(index, ready[0])
                since = time.monotonic()
            except Lost as error:
                if lost(error):
                    time.sleep(_RETRY_S)
                    calls[issue(index)] = index
        return {index: results[index] for index in wanted if index in results}

    def wait(self, calls: Sequence[Any], count: int, seconds: float) -> list[Any]:
        """Waits for calls, and meanwhile lets no actor leave because nobody asks anything of it.

        Arguments:
            calls: what is waited for; if nothing, until the time is over.
            count: how many of them.
            seconds: the longest that is waited.

        Returns:
            At most `count` calls that have ended; fewer only if time is over.
        """
        end = time.monotonic() + max(seconds, 0.0)
        while True:
            if time.monotonic() - self._renewed > self._slice:
                self._renewed = time.monotonic()
                for handle in self.handles.values():
                    handle.renew.remote()
            left = max(0.0, end - time.monotonic())
            ready: list[Any] = []
            if calls:
                ready, _ = ray.wait(list(calls), num_returns=count, timeout=min(left, self._slice))
            else:
                time.sleep(min(left, self._slice))
            if (calls and len(ready) >= count) or left <= self._slice:
                return ready

    def _broken_off(self, error: RayTaskError) -> Exception:
        """What it means that an actor was told by another that play in rounds is broken off."""
        here = living(self._deployment.namespace, self._deployment.run)
        dead = next((index for index in self.handles if index not in here), None)
        return Setback() if dead is None else Lost(dead, AbsentError(self._deployment.run, dead), forever=True)

    def _index(self, error: RayActorError, otherwise: int) -> int:
        """The number of the actor that an error tells of."""
        known = {handle._actor_id.hex(): index for index, handle in self.handles.items()}
        return known.get(error.actor_id, otherwise)

    def _options(self, index: int) -> dict[str, Any]:
        deployment = self._deployment
        options: dict[str, Any] = {
            "name": f"{deployment.run}/{index}",
            "namespace": deployment.namespace,
            "num_cpus": self._cpus,
            "num_gpus": deployment.gpus,
            "max_restarts": deployment.restarts if deployment.on_failure == "restart" else 0,
            # in rounds every neighbour may have a message of this turn and one of the next waiting
            "max_concurrency": _CONCURRENCY + 2 * self._peers[index],
        }
        if self._detached:
            options["lifetime"] = "detached"
        if self._labels.get(index):
            options["label_selector"] = self._labels[index]
        if self._group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(self._group, index)
        elif deployment.placement == "spread":
            options["scheduling_strategy"] = "SPREAD"
        return options


def _again(cause: ModelError, error: RayTaskError) -> ModelError:
    found = ModelError(cause.player, cause.move, cause.cause)
    found.add_note(str(error))
    return found


def _rounded(share: float) -> float:
    """A share of a CPU in Ray's resolution of 1/10,000, rounded down so that all shares fit."""
    return max(int(share * 10_000), 1) / 10_000
