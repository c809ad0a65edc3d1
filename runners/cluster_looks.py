"""What the players of a cluster are asked at a close look, and their answers as an observation holds them."""

__all__ = ["Interview"]

from collections.abc import Callable, Hashable, Mapping
from typing import Any, final

import ray

from ..games import Batch, Game
from .kept_batches import KeptBatches
from .looks import Looks


@final
class Interview:
    """Asks all players through their actors.

    Arguments:
        game: the game.
        homes: player → number of its actor.
        looks: what they are asked.
        call: calls a method of all actors, with the same arguments or, by `each`, with its own: number → result.
        kept: takes in what the actors have kept of publications; None if they keep nothing.
    """

    def __init__(
        self,
        game: Game,
        homes: Mapping[Hashable, int],
        looks: Looks,
        call: Callable[..., Mapping[int, Any]],
        kept: KeptBatches | None = None,
    ) -> None:
        self._kept = kept
        self._players, self._homes, self._looks, self._call = game.players, homes, looks, call
        self._spaces = {name: game.space(name) for name in game.players}
        put = {id(rows): ray.put(rows) for player in game.players if (rows := looks.test_of(player)) is not None}
        self._tests = {p: put[id(rows)] for p in game.players if (rows := looks.test_of(p)) is not None}

    def closely(self, *, first: bool, last: bool) -> dict[str, Any]:
        """What the players answer, as the fields of an `Observation`; see `looks.closely`."""
        looks, found = self._looks, {}
        self.collect(self._call)
        if looks.rows:
            drawn = self.answers("measure", looks.rows)
            found["samples"] = {p: self._batch(p, drawn.get(p)) for p in self._players}
        if looks.regret_steps and not first:
            found["regret_estimates"] = self.answers("estimate_regret", looks.regret_steps)
        if self._tests:
            found["scores"] = self._scores()
        if last or (looks.count > 2 and not first):
            found["held_out"] = self.answers("held_out")
        return found

    def collect(self, call: Callable[..., Mapping[int, Any]], **options: Any) -> None:
        """Takes over what the actors have kept of their players' publications, where any is kept.

        Arguments:
            call: calls a method of actors: number → result.
            options: of that call.
        """
        if self._kept is not None:
            for found in call("published", **options).values():
                self._kept.merge(found)

    def answers(self, method: str, *arguments: Any) -> dict[Hashable, Any]:
        """What a method says of each player, in the order of the game; nothing of those who do not answer."""
        found = {p: a for answer in self._call(method, *arguments).values() for p, a in answer.items()}
        return {p: found[p] for p in self._players if p in found}

    def _batch(self, player: Hashable, rows: Any) -> Batch | None:
        return None if rows is None else self._spaces[player].batch(rows)

    def _scores(self) -> dict[Hashable, Any]:
        def own(index: int) -> tuple[Any, ...]:
            here = [p for p in self._tests if self._homes[p] == index]
            rows = list({id(self._tests[p]): self._tests[p] for p in here}.values())
            return (self._looks.label, {p: rows.index(self._tests[p]) for p in here}, *rows)

        answers = self._call("score", each=own)
        return {p: s for answer in answers.values() for p, s in answer.items()}
