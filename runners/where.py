"""Rows that are read where the players run: what each process does, so that whoever starts the game holds none."""

__all__ = [
    "Ask",
    "answer_here",
    "build_lean_game",
    "forget_specs",
    "lean_game",
    "require_lean",
    "spec_here",
    "spec_sources",
    "specs_here",
    "summaries",
    "summary_here",
]

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, partial
from threading import Lock
from typing import TypeAlias, final

from ..games import ARRAY_GRAPHS, Game, PlayerSpec, without_rows
from .canaries import plant_canaries
from .experiment import Experiment, ExperimentError, dump_experiment, parse_experiment
from .experiment_graph import bare_graph, player_named
from .player_specs import player_specs
from .private_data import groups_of
from .staging import game_of

Ask: TypeAlias = Callable[[str, list[Hashable] | None], list[PlayerSpec]]
"""Has an experiment's data read elsewhere: YAML text, and players or None → their specifications without rows.

For None one process reads all data, and answers for all players in the order of the graph (`summaries`). Players that
are named have data sets of their own, and each is asked where its own is (`summary_here`); the answers come in their
order.
"""

_NEEDS_ROWS = ("judge", "pool", "distil", "test", "test_share")
_SHARING = Lock()  # players of one process may be built in several threads


def require_lean(experiment: Experiment) -> None:
    """Refuses what cannot be played without rows in the process that starts the game.

    Raises:
        ExperimentError: another runner than `ray`, a graph of arrays, or a key for which the laboratory needs rows.
    """
    runner, data = experiment.play.runner, experiment.data
    if runner != "ray":
        raise ExperimentError(
            f"data.where is 'players', but runner {runner!r} has no processes of players that could read their rows; "
            "set play.runner=ray, or data.where=driver"
        )
    if experiment.topology.generator in ARRAY_GRAPHS:
        raise ExperimentError(
            f"data.where is 'players', but generator {experiment.topology.generator!r} makes arrays, without players; "
            "take a generator of networkx, or set data.where=driver"
        )
    fields = type(data).model_fields
    for key in _NEEDS_ROWS:
        if getattr(data, key) != fields[key].default:
            raise ExperimentError(
                f"data.{key} needs rows in the laboratory, which has none with data.where=players; leave it out, "
                "or set data.where=driver"
            )


def build_lean_game(experiment: Experiment, ask: Ask) -> Game:
    """The game of an experiment with `data.where: players`: what theory says of it is known here, its rows are not.

    Arguments:
        experiment: the experiment.
        ask: has the data read elsewhere. Where `data.players` makes several data sets, each player is asked by name;
            else one process is asked for all, as it takes the whole data set to deal it out.

    Raises:
        ExperimentError: see `require_lean`.
        ValueError: what comes from reading, or from `games.Game`.
    """
    require_lean(experiment)
    players = list(bare_graph(experiment.topology))
    several = len(groups_of(experiment, [str(p) for p in players])) > 1
    return lean_game(experiment, ask(dump_experiment(experiment), players if several else None))


def lean_game(experiment: Experiment, specs: Sequence[PlayerSpec]) -> Game:
    """The game of an experiment, once what its players bring is known without rows.

    Arguments:
        experiment: the experiment.
        specs: of all players, in the order of the graph, as `summaries` gives them.

    Raises:
        ExperimentError: there are not as many as players, or some hold rows.
        ValueError: one of the errors of `topology` and `games`.
    """
    graph = bare_graph(experiment.topology)
    if len(specs) != len(graph):
        raise ExperimentError(f"summaries of {len(specs)} players came, expected one for each of {len(graph)}")
    holding = [str(p) for p, s in zip(graph, specs, strict=True) if s.data is not None or s.holdout is not None]
    if holding:
        raise ExperimentError(f"rows of player {', '.join(holding[:10])} came, expected specifications without rows")
    return game_of(experiment, graph, dict(zip(graph, specs, strict=True)))


def spec_sources(experiment: Experiment) -> Callable[[Hashable], Callable[[], PlayerSpec]]:
    """Player → the function that reads its rows where it is built, for `agents.seats`."""
    text = dump_experiment(experiment)
    return lambda player: partial(spec_here, text, player)


def answer_here(experiment_yaml: str, players: list[Hashable] | None) -> list[PlayerSpec]:
    """An `Ask` that reads in this process."""
    if players is None:
        return summaries(experiment_yaml)
    return [summary_here(experiment_yaml, player) for player in players]


def summaries(experiment_yaml: str) -> list[PlayerSpec]:
    """What all players bring, without rows, in the order of the graph. Reads all data here, and keeps nothing of it.

    Raises:
        ValueError: one of the errors of experiments, loaders, splits and models.
    """
    return [without_rows(spec) for spec in _Reading(experiment_yaml).specs().values()]


def summary_here(experiment_yaml: str, player: Hashable) -> PlayerSpec:
    """What one player brings, without rows. Reads its data set here, and keeps nothing of it.

    Raises:
        ValueError: as `summaries`, or nobody of this name plays.
    """
    return without_rows(_Reading(experiment_yaml).spec(player))


def specs_here(experiment_yaml: str) -> Mapping[Hashable, PlayerSpec]:
    """What all players bring, with all rows, in the order of the graph.

    They are kept in this process until another experiment is asked for, or `forget_specs` is called.

    Raises:
        ValueError: as `summaries`.
    """
    return _shared(experiment_yaml).specs()


def spec_here(experiment_yaml: str, player: Hashable) -> PlayerSpec:
    """What one player brings, with its rows: the very same in every process.

    Only its own data set is opened, of which those who share it all have a part. Their parts are kept in this process
    for the next of them that is built here; call `forget_specs` when all are built. Of a data set that is one player's
    alone nothing is kept.

    Arguments:
        experiment_yaml: the experiment as `dump_experiment` writes it. Paths in it, that of a graph file too, hold for
            the machine where this runs.
        player: a node of the graph.

    Raises:
        ValueError: as `summaries`, or nobody of this name plays.
    """
    return _shared(experiment_yaml).spec(player)


def forget_specs() -> None:
    """Lets go of the rows that this process keeps for players who are still to be built."""
    _reading.cache_clear()


def _shared(experiment_yaml: str) -> "_Reading":
    with _SHARING:
        return _reading(experiment_yaml)


@lru_cache(maxsize=1)
def _reading(experiment_yaml: str) -> "_Reading":
    """The data of the last experiment: hundreds of players may be built in one process."""
    return _Reading(experiment_yaml)


@final
class _Reading:
    """The data sets of one experiment in this process, each read when one of its players asks first."""

    def __init__(self, experiment_yaml: str) -> None:
        self._experiment = parse_experiment(experiment_yaml)
        self._players = list(bare_graph(self._experiment.topology))
        groups = groups_of(self._experiment, [str(p) for p in self._players])
        self._members = [members for _, members in groups]
        self._group = {self._players[k]: number for number, members in enumerate(self._members) for k in members}
        self._kept: dict[int, dict[Hashable, PlayerSpec]] = {}
        self._lock = Lock()

    def specs(self) -> dict[Hashable, PlayerSpec]:
        return {player: self._read(self._group[player], keep=True)[player] for player in self._players}

    def spec(self, player: Hashable) -> PlayerSpec:
        player = player_named({str(p): p for p in self._players}, str(player), "data.where")
        return self._read(self._group[player], keep=False)[player]

    def _read(self, number: int, *, keep: bool) -> dict[Hashable, PlayerSpec]:
        with self._lock:
            if number in self._kept:
                return self._kept[number]
            found = player_specs(self._experiment, self._players, self._members[number])
            found = plant_canaries(self._experiment, self._players, found)
            if keep or len(found) > 1:
                self._kept[number] = found
            return found
