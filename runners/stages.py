"""A run that players join and leave, stage by stage: who plays then, what is predicted, how far equilibria shift."""

__all__ = ["Change", "Stages", "present_game"]

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, final

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..games import Game, NoClosedFormError, Oracle, PlayerSpec, Prediction, Schedule, TableOracle, oracle_of, predict
from ..topology import GraphSequence
from .examination import Examiner, Look
from .observation import Observation

_FADED = float(np.log(20.0))
"""Units of time after which all but a twentieth of the neighbours have moved once, on Poisson clocks."""


@dataclass(frozen=True)
class Change:
    """Players came or went.

    Arguments:
        time: in moves per player.
        joined: who takes part from then on.
        left: who no longer does.
        players: how many are present from then on.
        rule: by which α was renormalised; None where the graphs do not say.
        spectral_radius: ρ(W) among those present from then on.
        noise_floor_rms: predicted for them; None where none is known.
        shift: largest root mean square distance between a player's equilibria before and after, over the statistics, of
            those who stay; None without closed form.
        shifted: the player whose it is.
        error_rms: root mean square error of those present over the last quarter of the time until the next change; None
            where none is known.
    """

    time: float
    joined: tuple[Hashable, ...]
    left: tuple[Hashable, ...]
    players: int
    rule: str | None
    spectral_radius: float
    noise_floor_rms: float | None
    shift: float | None
    shifted: Hashable | None
    error_rms: float | None = None

    def figures(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "time": self.time,
            "joined": [str(p) for p in self.joined],
            "left": [str(p) for p in self.left],
            "players": self.players,
            "rule": self.rule,
            "spectral_radius": self.spectral_radius,
            "noise_floor_rms": self.noise_floor_rms,
            "shift": {"max": self.shift, "player": None if self.shifted is None else str(self.shifted)},
            "error_rms": self.error_rms,
        }

    @property
    def sentence(self) -> str:
        """The same in words."""
        both = ((self.joined, "joined"), (self.left, "left"))
        moves = [f"{', '.join(map(str, who))} {verb}" for who, verb in both if who]
        rule = "" if self.rule is None else f", rule {self.rule}"
        floor = "unknown" if self.noise_floor_rms is None else f"{self.noise_floor_rms:.3g}"
        text = (
            f"t = {self.time:g}: {'; '.join(moves)} ({self.players} players{rule}); "
            f"ρ {self.spectral_radius:.3g}, noise floor {floor}"
        )
        if self.shift is not None:
            text += f"; the largest shift of an equilibrium is {self.shift:.3g} (player {self.shifted})"
        return text


@final
class Stages:
    """The games of those present, one for each graph of a sequence, in turn.

    Arguments:
        game: of all players that ever play.
        graphs: with the absent of each.
        unit: length of a unit of the records' time, in that of `graphs`.
        schedules: game of those present → the schedule by which they play, or its name.

    Raises:
        GameError and its kin: as `Game`, of those present.
        ValueError: the graphs have other players than the game.
    """

    def __init__(
        self, game: Game, graphs: GraphSequence, unit: float, schedules: Callable[[Game], Schedule | str]
    ) -> None:
        if graphs.players != game.players:
            raise ValueError("the graph sequence has other players than the game; give it the same ones, in one order")
        self.players = graphs.players
        self.starts = [time / unit for time in graphs.times]
        self.present = np.array([[p not in away for p in self.players] for away in graphs.absent])
        self.games = [present_game(game, graph, away) for graph, away in zip(graphs.graphs, graphs.absent, strict=True)]
        self._rule, self._schedules = graphs.rule, schedules
        self.oracle = cache(self._oracle)
        self.prediction = cache(self._prediction)

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, time: float) -> int:
        """The number of the stage at a time in moves per player, the new one at the very time of a change."""
        return bisect_right(self.starts, time) - 1

    def change(self, number: int, error_rms: float | None = None) -> Change:
        """What changes as a stage begins; stage 0 begins the run, with nobody joining."""
        here = self.present[number]
        before = self.present[number - 1] if number else here
        found = self.prediction(number)
        shift, shifted = self._shift(number) if number else (None, None)
        return Change(
            self.starts[number],
            self._named(here & ~before),
            self._named(before & ~here),
            int(here.sum()),
            self._rule,
            found.spectral_radius,
            found.noise_floor_rms,
            shift,
            shifted,
            error_rms,
        )

    def planned(self) -> list[Change]:
        """Every stage as it begins, the first one included."""
        return [self.change(number) for number in range(len(self))]

    def all_floors(self, number: int) -> NDArray[np.float64] | None:
        """Predicted noise floors in a stage, `[N]`, NaN for the absent; None where none is known."""
        floors = self.prediction(number).floors
        return None if floors is None else self.spread(floors, number)

    def spread(self, values: NDArray[np.float64], number: int) -> NDArray[np.float64]:
        """Values of those present in a stage among those of all, `[N]`, NaN for the absent."""
        spread = np.full(len(self.players), np.nan)
        spread[self.present[number]] = values
        return spread

    def look(self, examiner: Examiner, observed: Observation) -> Look:
        """What a close observation shows of those present, held against the shares predicted of their stage."""
        number = self.at(observed.time)
        look = replace(examiner, game=self.games[number]).look(observed)
        place = {player: k for k, player in enumerate(look.players)}

        def fill(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[place[p]] if p in place else None for p in self.players)

        return Look(
            look.time,
            look.seconds,
            tuple(self.players),
            fill(look.shares),
            fill(look.total_variations),
            fill(look.regrets),
            fill(look.held_out),
            fill(look.scores),
        )

    def _named(self, some: NDArray[np.bool_]) -> tuple[Hashable, ...]:
        return tuple(player for player, named in zip(self.players, some, strict=True) if named)

    def _oracle(self, number: int) -> Oracle | TableOracle | None:
        """What is known in closed form of the game of a stage."""
        try:
            return oracle_of(self.games[number])
        except NoClosedFormError:
            return None

    def _prediction(self, number: int) -> Prediction:
        """Of a stage that starts from the equilibria of the one before; its `mode.after` counts from its beginning.

        Mailboxes hold nothing yet of those who came: until all have moved once, the decay is not that of the mode.
        """
        game, oracle = self.games[number], self.oracle(number)
        schedule = self._schedules(game)
        if number == 0 or oracle is None:
            return predict(game, schedule, oracle=oracle)
        if isinstance(oracle, TableOracle):  # whose mode is that of the path from the start of the game
            return replace(predict(game, schedule, oracle=oracle), mode=None)
        found = predict(game, schedule, oracle=replace(oracle, start=self._expected(number, oracle)))
        if found.mode is None:
            return found
        filled = (1.0 if found.schedule.clock == "rounds" else _FADED) + (found.schedule.delay or 0.0)
        return replace(found, mode=replace(found.mode, after=found.mode.after + filled))

    def _expected(self, number: int, oracle: Oracle) -> NDArray[np.float64]:
        """Where those present are as a stage begins: at their last equilibrium, or at the start if they are new."""
        expected = oracle.start.copy()
        for earlier in range(number):
            known = self.oracle(earlier)
            both = self.present[number] & self.present[earlier]
            if isinstance(known, Oracle):
                expected[both[self.present[number]]] = known.equilibrium[both[self.present[earlier]]]
        return expected

    def _shift(self, number: int) -> tuple[float | None, Hashable | None]:
        """The largest shift of an equilibrium among those who stay, and whose it is."""
        here, before = self.present[number], self.present[number - 1]
        new, old, stayed = self.oracle(number), self.oracle(number - 1), here & before
        if new is None or old is None or not stayed.any():
            return None, None
        pairs = zip(
            (new.equilibrium[k] for k in np.flatnonzero(stayed[here])),
            (old.equilibrium[k] for k in np.flatnonzero(stayed[before])),
            strict=True,
        )
        shifts = [float(np.sqrt(((a - b) ** 2).mean())) for a, b in pairs]
        most = int(np.argmax(shifts))
        return shifts[most], self._named(stayed)[most]


def present_game(game: Game, graph: "nx.DiGraph[Any]", absent: frozenset[Hashable]) -> Game:
    """The game of those present on a graph: the absent, and all edges with them, are left out.

    A fan-out wider than what is left of a player's degree is as wide as that. Somebody whose neighbours are all absent
    keeps company, as in the graph with them, by an edge of α = 0.
    """
    if not absent:
        return Game(graph, game.specs, anchored=game.anchored)
    rest: nx.DiGraph[Any] = nx.DiGraph()
    rest.graph.update(graph.graph)
    rest.add_nodes_from((p, attributes) for p, attributes in graph.nodes(data=True) if p not in absent)
    rest.add_edges_from((j, i, a) for j, i, a in graph.edges(data=True) if j not in absent and i not in absent)
    alone = [p for p in rest if not (rest.succ[p].keys() | rest.pred[p].keys()) - {p}]
    for player in alone if len(rest) > 1 else ():
        rest.add_edge(next(p for p in rest if p != player), player, alpha=0.0)
    specs = {player: _narrowed(game.specs[player], rest, player) for player in rest}
    return Game(rest, specs, anchored=game.anchored)


def _narrowed(spec: PlayerSpec, graph: "nx.DiGraph[Any]", player: Hashable) -> PlayerSpec:
    gossip = spec.gossip
    if gossip.fan_out is None:
        return spec
    sides = [graph.succ] * gossip.pushes + [graph.pred] * gossip.pulls
    degree = min(sum(other != player for other in side[player]) for side in sides)
    if gossip.fan_out <= degree:
        return spec
    return replace(spec, gossip=replace(gossip, fan_out=degree or None))
