"""What a machine has to give: each source of processors and memory, laid out as files, and the least of them."""

import os
import warnings
from pathlib import Path

import pytest

from nashgossip.runners.machine import MachineWarning, available_cpus, available_memory, whole_cpus

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path):
    """Writes files below a root, and asks for processors and memory of the machine that they describe."""

    class Machine:
        def put(self, path: str, text: str) -> "Machine":
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
            return self

        def cpus(self, affinity: int = 64, **environment: str) -> float:
            return available_cpus(
                proc=tmp_path / "proc", sys=tmp_path / "sys", environment=environment, affinity=affinity
            )

        def memory(self, affinity: int = 64, **environment: str) -> int:
            return available_memory(
                proc=tmp_path / "proc", sys=tmp_path / "sys", environment=environment, affinity=affinity
            )

    return Machine().put("proc/meminfo", "MemTotal: 67108864 kB\nMemAvailable:   33554432 kB\n")


def test_without_any_limit_the_scheduler_and_free_memory_decide(machine) -> None:
    assert machine.cpus(affinity=3) == 3
    assert machine.memory() == 32 * GIB


@pytest.mark.parametrize("folder", ["sys/fs/cgroup", "sys/fs/cgroup/unified"])
def test_control_groups_of_version_2_from_the_own_one_up_to_the_root(machine, folder) -> None:
    machine.put("proc/self/cgroup", "0::/job/task\n")
    machine.put(f"{folder}/job/task/cpu.max", "max 100000").put(f"{folder}/job/cpu.max", "250000 100000\n")
    machine.put(f"{folder}/job/task/memory.max", str(8 * GIB)).put(f"{folder}/job/task/memory.current", str(5 * GIB))
    machine.put(f"{folder}/job/memory.max", "max").put(f"{folder}/job/memory.current", str(9 * GIB))
    assert machine.cpus() == 2.5
    assert machine.memory() == 3 * GIB
    machine.put(f"{folder}/job/task/memory.stat", f"anon 5\ninactive_file {GIB}\nfile 7\n")
    assert machine.memory() == 4 * GIB


def test_control_groups_of_version_1(machine) -> None:
    machine.put("proc/self/cgroup", "5:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/\n")
    cpu, memory = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory"
    machine.put(f"{cpu}/cpu.cfs_quota_us", "-1").put(f"{cpu}/cpu.cfs_period_us", "100000")
    machine.put(f"{cpu}/job/cpu.cfs_quota_us", "150000").put(f"{cpu}/job/cpu.cfs_period_us", "100000")
    machine.put(f"{memory}/memory.limit_in_bytes", str(2**63 - 4096)).put(f"{memory}/memory.usage_in_bytes", "0")
    machine.put(f"{memory}/job/memory.limit_in_bytes", str(6 * GIB))
    machine.put(f"{memory}/job/memory.usage_in_bytes", str(4 * GIB))
    machine.put(f"{memory}/job/memory.stat", f"inactive_file 0\ntotal_inactive_file {GIB}\n")
    assert machine.cpus() == 1.5
    assert machine.memory() == 3 * GIB


def test_in_a_container_the_path_is_not_there_and_the_root_of_the_mount_decides(machine) -> None:
    machine.put("proc/self/cgroup", "5:cpu:/docker/0123\n4:memory:/docker/0123\n0::/docker/0123\n")
    machine.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000").put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    machine.put("sys/fs/cgroup/memory/memory.limit_in_bytes", str(GIB))
    machine.put("sys/fs/cgroup/memory/memory.usage_in_bytes", str(2 * GIB))
    assert machine.cpus() == 4
    assert machine.memory() == 0


@pytest.mark.parametrize("name", ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"])
def test_a_batch_system_grants_processors(machine, name) -> None:
    assert machine.cpus(**{name: "12"}) == 12
    assert machine.cpus(affinity=4, **{name: "12"}) == 4


def test_a_batch_system_grants_memory(machine) -> None:
    assert machine.memory(SLURM_MEM_PER_NODE="2048") == 2 * GIB
    assert machine.memory(SLURM_MEM_PER_CPU="512", SLURM_CPUS_ON_NODE="6") == 3 * GIB
    assert machine.memory(SLURM_MEM_PER_NODE="0") == 32 * GIB
    assert machine.memory(SLURM_MEM_PER_NODE="999999999") == 32 * GIB


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sys/fs/cgroup/cpu.max", "lots"),
        ("sys/fs/cgroup/cpu.max", "-1 100000"),
        ("sys/fs/cgroup/cpu.max", "100000 0"),
        ("proc/self/cgroup", "what is this"),
    ],
)
def test_a_file_of_garbage_is_passed_over_with_a_warning_that_names_it(machine, path, text) -> None:
    machine.put("proc/self/cgroup", "0::/").put(path, text)
    with pytest.warns(MachineWarning, match=f"{path}.*this limit is passed over"):
        assert machine.cpus(affinity=7) == 7


@pytest.mark.parametrize("text", ["some", "-3", "nan", "inf", "8(x2)"])
def test_a_variable_of_garbage_is_passed_over_with_a_warning_that_names_it(machine, text) -> None:
    with pytest.warns(MachineWarning, match="SLURM_CPUS_ON_NODE is .*, expected a number; this limit is passed over"):
        assert machine.cpus(affinity=7, SLURM_CPUS_ON_NODE=text) == 7


@pytest.mark.parametrize("text", ["MemAvailable: much kB", "MemTotal: 5 kB", "MemAvailable:"])
def test_without_free_memory_in_numbers_physical_memory_counts(machine, text) -> None:
    machine.put("proc/meminfo", text)
    with pytest.warns(MachineWarning, match="proc/meminfo cannot be read"):
        assert machine.memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_control_group_of_garbage_leaves_the_memory_to_the_others(machine) -> None:
    machine.put("proc/self/cgroup", "0::/").put("sys/fs/cgroup/memory.max", "?")
    machine.put("sys/fs/cgroup/memory.current", "5")
    with pytest.warns(MachineWarning, match="memory.max cannot be read"):
        assert machine.memory() == 32 * GIB


def test_this_machine_is_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MachineWarning)
        assert 0 < available_cpus() <= len(os.sched_getaffinity(0))
        assert 0 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        assert 1 <= whole_cpus() <= max(1, available_cpus())
