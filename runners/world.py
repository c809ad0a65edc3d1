"""From an experiment to the world of virtual time: its network, and the graphs that take over from each other."""

__all__ = ["build_changes", "build_network"]

import csv
from pathlib import Path
from typing import Any

from ..games import Game
from ..topology import GraphSequence, failing_edges, membership, read_sequence, require_name, rewired
from .experiment import Experiment, ExperimentError
from .experiment_graph import bare_graph, player_named
from .network import Churn, Duration, Link, Network, Partition
from .sections import ChangesSection, DurationSection, NetworkSection

_LARGEST = 1 << 26


def build_network(experiment: Experiment, players: list[Any]) -> Network:
    """The network of an experiment, its players found by name.

    Raises:
        ValueError: a number out of range, or a player that is not in the game.
        ExperimentError: a file that cannot be read.
    """
    section = experiment.network
    by_name = {str(player): player for player in players}

    def named(name: str, key: str) -> Any:
        return player_named(by_name, name, f"network.{key}")

    link = Link(
        _duration(section.latency), section.bandwidth, section.loss, section.duplication, ordered=section.ordered
    )
    return Network(
        compute=_duration(section.compute),
        speed={named(name, "speed"): factor for name, factor in section.speed.items()},
        link=link,
        links={
            (named(edge.sender, "edges"), named(edge.listener, "edges")): Link(
                link.latency if edge.latency is None else _duration(edge.latency),
                *(
                    getattr(link, key) if getattr(edge, key) is None else getattr(edge, key)
                    for key in ("bandwidth", "loss", "duplication", "ordered")
                ),
            )
            for edge in section.edges
        },
        churn=None if section.churn is None else Churn(section.churn.up, section.churn.down),
        link_churn=None if section.link_churn is None else Churn(section.link_churn.up, section.link_churn.down),
        events=tuple((time, named(name, "events"), what) for time, name, what in _events(section)),
        partitions=tuple(
            Partition(
                part.start,
                part.end,
                tuple(frozenset(named(name, "partitions") for name in group) for group in part.groups),
            )
            for part in section.partitions
        ),
    )


def build_changes(experiment: Experiment, game: Game, until: float) -> GraphSequence | None:
    """The graphs that take over from each other up to a time; None for a graph that stays.

    Raises:
        ValueError: times or rates out of range, graph files that cannot be read, players that change, or events of
            players that are unknown, or come after the end.
    """
    section, alpha = experiment.changes, experiment.alpha
    if section.kind == "none":
        return None
    if section.kind == "files":
        if section.file is None:
            raise ExperimentError("changes.kind is files: give changes.file, a JSON list of times and graph files")
        return read_sequence(section.file, directed=experiment.topology.directed)
    if section.kind == "membership":
        return _membership(section, game, until)
    if section.kind == "failing-edges":
        return failing_edges(
            game.graph,
            failure_rate=section.failure_rate,
            repair_rate=section.repair_rate,
            until=until,
            seed=section.seed,
        )
    if alpha.scheme not in (None, "uniform", "metropolis", "degree") or isinstance(alpha.self_weight, dict):
        raise ExperimentError(
            "changes.kind rewiring weighs each graph anew: "
            "it needs one alpha.self_weight, and a scheme that goes by the graph"
        )
    return rewired(
        bare_graph(experiment.topology),
        fraction=section.fraction,
        every=section.every,
        until=until,
        seed=section.seed,
        self_weight=alpha.self_weight,
        scheme=alpha.scheme or "uniform",
    )


def _membership(section: ChangesSection, game: Game, until: float) -> GraphSequence:
    if not section.events:
        raise ExperimentError("changes.kind is membership: give changes.events, [[time, player, join or leave], …]")
    late = [(time, name) for time, name, _ in section.events if time >= until]
    if late:
        raise ExperimentError(
            f"changes.events has player {late[0][1]} at time {late[0][0]:g}, expected before the end of the run at "
            f"{until:g}; raise play.moves, or leave it out"
        )
    by_name = {str(player): player for player in game.players}
    events = [
        (time, by_name[require_name("player in changes.events", name, by_name)], what)
        for time, name, what in section.events
    ]
    return membership(game.graph, events, section.rule)


def _duration(section: DurationSection) -> Duration:
    trace = section.trace
    if section.file is not None:
        trace = [_number(line, section.file) for line in _lines(section.file)]
    return Duration(section.kind, section.mean, section.sigma, section.shape, None if trace is None else tuple(trace))


def _events(section: NetworkSection) -> list[tuple[float, str, str]]:
    if section.events_file is None:
        return list(section.events)
    rows = list(csv.reader(_lines(section.events_file)))
    bad = [row for row in rows if len(row) != 3]
    if bad:
        raise ExperimentError(f"{section.events_file} has the line {','.join(bad[0])!r}, expected time,player,what")
    return [
        *section.events,
        *((_number(time, section.events_file), player.strip(), what.strip()) for time, player, what in rows),
    ]


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"it holds more than {_LARGEST >> 20} MiB")
        return [line for line in data.decode("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path} cannot be read as text: {error}") from None


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise ExperimentError(f"{path} has {text.strip()!r} where a time is expected") from None
