"""What this machine lets a run have: processors and memory that kernel, container and batch system grant."""

__all__ = ["MachineWarning", "available_cpus", "available_memory", "whole_cpus"]

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

_PROC, _SYS = Path("/proc"), Path("/sys")
_MIB = 2**20
_T = TypeVar("_T")


class MachineWarning(UserWarning):
    """A file of the kernel, or a variable of the batch system, holds what cannot be read; it was passed over.

    Not an error: a limit that nobody can read must not keep a run from starting, and the others still hold.
    """


def available_cpus(
    *,
    proc: Path = _PROC,
    sys: Path = _SYS,
    environment: Mapping[str, str] | None = None,
    affinity: int | None = None,
) -> float:
    """How many processors this process may use; not a whole number where a quota is not.

    The least of: the processors that the scheduler may put it on; `cpu.max` of its control group (version 2) and of all
    above; quota over period (version 1) likewise; SLURM_CPUS_PER_TASK and SLURM_CPUS_ON_NODE where they are set. What
    cannot be read is passed over with a `MachineWarning` that names it.

    Arguments:
        proc: root of the process files.
        sys: root of the system files.
        environment: variables; those of this process by default.
        affinity: processors that the scheduler may use; asked of the system by default.

    >>> available_cpus() > 0
    True
    """
    variables = os.environ if environment is None else environment
    found = [float(_affinity() if affinity is None else affinity)]
    for group in _groups(proc, sys / "fs/cgroup", ""):
        found += _read(group / "cpu.max", _share)
    for group in _groups(proc, sys / "fs/cgroup", "cpu"):
        quota, period = (_read(group / f"cpu.cfs_{what}_us", int) for what in ("quota", "period"))
        found += [quota[0] / period[0]] if quota and period and quota[0] > 0 and period[0] > 0 else []
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        found += _variable(variables, name)
    return min(found)


def whole_cpus() -> int:
    """`available_cpus` as a number of threads or workers: rounded down, at least 1."""
    return max(1, int(available_cpus()))


def available_memory(
    *,
    proc: Path = _PROC,
    sys: Path = _SYS,
    environment: Mapping[str, str] | None = None,
    affinity: int | None = None,
) -> int:
    """How many bytes of memory are left to this process.

    The least of: MemAvailable; `memory.max` − `memory.current` of its control group (version 2) and of all above; limit
    less usage (version 1) likewise, where pages of files that the kernel drops first (`inactive_file`) count as free;
    SLURM_MEM_PER_NODE, or SLURM_MEM_PER_CPU times `available_cpus`, in MiB, where they are set (0 stands for all
    memory). What cannot be read is passed over with a `MachineWarning`. Where there is no MemAvailable at all, as on
    macOS, physical memory takes its place.

    Arguments:
        proc: root of the process files.
        sys: root of the system files.
        environment: variables; those of this process by default.
        affinity: see `available_cpus`.

    >>> available_memory() > 0
    True
    """
    variables = os.environ if environment is None else environment
    found = _read(proc / "meminfo", _mem_available)
    for group in _groups(proc, sys / "fs/cgroup", ""):
        found += _left(group, "memory.max", "memory.current", "inactive_file")
    for group in _groups(proc, sys / "fs/cgroup", "memory"):
        found += _left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    found += [int(size * _MIB) for size in _variable(variables, "SLURM_MEM_PER_NODE")]
    per_cpu = _variable(variables, "SLURM_MEM_PER_CPU")
    if per_cpu:
        cpus = available_cpus(proc=proc, sys=sys, environment=environment, affinity=affinity)
        found.append(int(per_cpu[0] * cpus * _MIB))
    return min(found) if found else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _affinity() -> int:
    """Processors that the scheduler may put this process on; all of them where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(proc: Path, root: Path, controller: str) -> Iterator[Path]:
    """The folder of the process's control group and those above it, up to the root.

    Of version 2 (`controller` empty) they are below `root`, or below `root/unified` where both versions are in use; of
    version 1 below `root/CONTROLLER`, under whatever name it is mounted with. In a container the path may be that of
    the machine around it, of which only the root is there: folders that do not exist are passed over.
    """
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) != 3:
            _pass_over(f"{proc / 'self/cgroup'} holds the line {line!r}, expected NUMBER:CONTROLLERS:PATH")
            continue
        _, controllers, path = parts
        names = controllers.split(",")
        if controller not in names:
            continue
        mounts = [root / "unified", root] if not controller else [root / controllers, root / controller]
        mount = next((m for m in mounts if m.is_dir()), None)
        if mount is None:
            continue
        below = PurePosixPath(path.lstrip("/"))
        if ".." not in below.parts:
            yield from (mount / part for part in (below, *below.parents) if (mount / part).is_dir())


def _read(path: Path, parse: Callable[[str], _T | None]) -> list[_T]:
    """What a file says, or nothing: where it is not there, sets no limit, or cannot be read."""
    try:
        found = parse(path.read_text().strip())
    except OSError:
        return []
    except (ValueError, IndexError, ZeroDivisionError):
        _pass_over(f"{path} cannot be read")
        return []
    return [] if found is None else [found]


def _share(text: str) -> float | None:
    """Of `cpu.max`: quota over period."""
    quota, period = text.split()
    if quota == "max":
        return None
    share = int(quota) / int(period)
    if share <= 0:
        raise ValueError(text)
    return share


def _mem_available(text: str) -> int:
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "MemAvailable" not in fields:
        raise ValueError(text)
    return int(fields["MemAvailable"].split()[0]) * 1024


def _left(group: Path, limit: str, usage: str, dropped: str) -> list[int]:
    """Bytes that a control group still allows."""
    most = _read(group / limit, lambda text: None if text == "max" else int(text))
    used = _read(group / usage, int)
    if not most or not used:
        return []
    free = _read(group / "memory.stat", lambda text: _entry(text, dropped))
    return [max(0, most[0] - used[0] + (free[0] if free else 0))]


def _entry(text: str, name: str) -> int | None:
    """The number beside a name."""
    found = [line.split()[1] for line in text.splitlines() if line.split()[:1] == [name]]
    return int(found[0]) if found else None


def _variable(variables: Mapping[str, str], name: str) -> list[float]:
    """The value of a variable that limits something."""
    text = variables.get(name, "").strip()
    if not text:
        return []
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        _pass_over(f"{name} is {text!r}, expected a number")
        return []
    return [value] if value > 0 else []


def _pass_over(what: str) -> None:
    warnings.warn(f"{what}; this limit is passed over", MachineWarning, stacklevel=2)
