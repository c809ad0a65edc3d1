"""Whether there is room for a run: what is reckoned, and what is said where there is none."""

import pytest

from nashgossip.runners.start_estimate import (
    BYTES_PER_PROCESS,
    NEURAL_BYTES_PER_PROCESS,
    NEURAL_SECONDS_PER_PROCESS,
    PROCESSES_PER_CPU,
    SECONDS_PER_PROCESS,
    TooLargeError,
    estimate_start,
    require_room,
)


def test_processes_and_players_add_up() -> None:
    found = estimate_start(10, 40, bytes_per_player=1000, neural=False, cpus=2)
    assert found.memory == 10 * BYTES_PER_PROCESS + 40 * 1000
    assert found.seconds == pytest.approx(5 * SECONDS_PER_PROCESS)
    neural = estimate_start(10, 40, bytes_per_player=1000, neural=True, cpus=2)
    assert neural.memory - found.memory == 10 * (NEURAL_BYTES_PER_PROCESS - BYTES_PER_PROCESS)
    assert neural.seconds == pytest.approx(5 * NEURAL_SECONDS_PER_PROCESS)


def test_more_processors_than_processes_do_not_start_one_faster() -> None:
    assert estimate_start(2, 2, bytes_per_player=0, neural=False, cpus=64).seconds == SECONDS_PER_PROCESS


def test_the_sentence_names_players_processes_memory_and_time() -> None:
    assert estimate_start(1, 1, bytes_per_player=0, neural=False, cpus=1).sentence == (
        "1 player in 1 process: about 70 MiB of memory, 1 s to start"
    )
    assert estimate_start(500, 500, bytes_per_player=0, neural=True, cpus=2).sentence == (
        "500 players in 500 processes: about 117.2 GiB of memory, 12 min to start"
    )


def test_room_is_enough_up_to_the_last_byte_and_process() -> None:
    found = estimate_start(PROCESSES_PER_CPU, 200, bytes_per_player=5, neural=False, cpus=1)
    require_room(found, found.memory, 1)
    with pytest.raises(TooLargeError, match=r"200 players in 100 processes.* but only 6.8 GiB of memory is available"):
        require_room(found, found.memory - 1, 1)
    with pytest.raises(TooLargeError, match=r"but 0.99 CPUs take at most 99 processes \(100 each\)"):
        require_room(found, found.memory, 0.99)


@pytest.mark.parametrize(("memory", "cpus"), [(1, 100.0), (2**50, 0.01)])
def test_every_remedy_is_named(memory, cpus) -> None:
    found = estimate_start(5, 5, bytes_per_player=0, neural=False, cpus=cpus)
    with pytest.raises(TooLargeError) as caught:
        require_room(found, memory, cpus)
    for remedy in ("cluster.players_per_actor", "fewer players", "nodes", "cluster.oversubscribe: true"):
        assert remedy in str(caught.value)


@pytest.mark.parametrize(("processes", "players"), [(0, 3), (4, 3)])
def test_processes_without_players_are_refused(processes, players) -> None:
    with pytest.raises(ValueError, match=f"{processes} processes for 3 players, expected .* cluster.players_per_actor"):
        estimate_start(processes, players, bytes_per_player=0, neural=False, cpus=1)


@pytest.mark.parametrize(("size", "cpus"), [(-1, 1), (1, 0)])
def test_impossible_numbers_are_refused(size, cpus) -> None:
    with pytest.raises(ValueError, match=f"bytes_per_player is {size} and cpus {cpus}, expected"):
        estimate_start(1, 1, bytes_per_player=size, neural=False, cpus=cpus)
