"""A listener on its guard: compares what it hears with its own rows, and decides how much to learn from whom."""

__all__ = ["Guard", "Weighed"]

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..games import Batch, Defence, EnergyTest, Space, clipped, energy_test, features
from .mailbox import Letter
from .streams import PURPOSES


@dataclass(frozen=True, eq=False, slots=True)
class Weighed:
    """How much a move learns from whom; the shares sum to 1, unless nobody has any weight.

    Arguments:
        own: of the private rows.
        heard: neighbour → its share, and the letters that it is divided among.
        refused: new letters that were left out.
    """

    own: float
    heard: Mapping[Hashable, tuple[float, Sequence[Letter]]]
    refused: int


@final
class Guard:
    """Screens letters, adapts trust and bounds shares, as a `Defence` says.

    What is left out or trusted less leaves its weight to the others, as a neighbour does that was not heard yet, so
    that the row of α stays stochastic. Random numbers are spawned from (seed, player, number of the message): a letter
    is judged the same way whenever it is looked at.

    Arguments:
        defence: what it does.
        data: the listener's private rows.
        neighbours: whom it may hear, in order.
        seed, index: as those of the player.
    """

    def __init__(
        self, defence: Defence, data: Sequence[Batch], neighbours: Iterable[Hashable], *, seed: int, index: int
    ) -> None:
        self._defence, self._data = defence, data
        self._key = seed, (index, PURPOSES.index("screen"))
        self._trust: dict[Hashable, float] = dict.fromkeys(neighbours, 1.0)
        self._judged: dict[Hashable, int] = dict.fromkeys(self._trust, -1)
        self._shares: dict[Hashable, float] = dict.fromkeys(self._trust, 0.0)
        self._found: dict[Hashable, dict[int, EnergyTest]] = {}
        self._own: dict[Space, tuple[Space, Any, Any]] = {}

    @property
    def shares(self) -> Mapping[Hashable, float]:
        """Each neighbour's share of what the last move learned from; the rest was that of the own rows."""
        return self._shares

    def weigh(self, own: float, heard: Mapping[Hashable, tuple[float, Sequence[Letter]]], *, settle: bool) -> Weighed:
        """How much to learn from whom.

        Arguments:
            own: weight of the private rows, α_ii, or 0 where there are none.
            heard: neighbour → α and its letters, newest first.
            settle: whether a move follows: trust then follows the letters that were not there before. Else asking
                changes nothing.
        """
        kept: dict[Hashable, list[Letter]] = {}
        weights: dict[Hashable, float] = {}
        trust, judged, refused = dict(self._trust), dict(self._judged), 0
        for sender, (alpha, letters) in heard.items():
            kept[sender] = []
            for letter, test in reversed(list(zip(letters, self._judge(sender, letters), strict=True))):
                new, out = letter.sequence > judged[sender], self._screened(test)
                refused += new and out
                if new and test is not None:
                    trust[sender] = self._trusted(trust[sender], test)
                judged[sender] = max(judged[sender], letter.sequence)
                if not out:
                    kept[sender].insert(0, letter)
            weights[sender] = alpha * trust[sender] if kept[sender] else 0.0
        own, shares = self._shared(own, weights)
        if settle:
            self._trust, self._judged = trust, judged
            self._shares = {sender: shares.get(sender, 0.0) for sender in self._trust}
        return Weighed(
            own, {sender: (shares[sender], kept[sender]) for sender in shares if shares[sender] > 0}, refused
        )

    def resize(self, neighbours: Iterable[Hashable]) -> None:
        """Changes whom it may hear; what is thought of those who stay is kept."""
        self._trust = {sender: self._trust.get(sender, 1.0) for sender in neighbours}
        self._judged = {sender: self._judged.get(sender, -1) for sender in self._trust}
        self._shares = {sender: self._shares.get(sender, 0.0) for sender in self._trust}
        self._found = {sender: self._found[sender] for sender in self._trust if sender in self._found}

    def state(self) -> dict[str, Any]:
        """What is thought of the neighbours, by position."""
        return {
            "trust": list(self._trust.values()),
            "judged": list(self._judged.values()),
            "shares": list(self._shares.values()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restores `state()`."""
        self._trust = dict(zip(self._trust, map(float, state["trust"]), strict=True))
        self._judged = dict(zip(self._trust, map(int, state["judged"]), strict=True))
        self._shares = dict(zip(self._trust, map(float, state["shares"]), strict=True))
        self._found = {}

    def _shared(self, own: float, weights: Mapping[Hashable, float]) -> tuple[float, dict[Hashable, float]]:
        """The weights, rescaled to sum to 1 and bounded."""
        total = own + sum(weights.values())
        if total == 0:
            return 0.0, {}
        shares = np.array([weight / total for weight in weights.values()])
        own /= total
        heard = shares > 0
        if self._defence.clip is not None and heard.any():
            own, shares[heard] = clipped(own, shares[heard], self._defence.clip)
        return float(own), dict(zip(weights, shares.tolist(), strict=True))

    def _trusted(self, before: float, test: EnergyTest) -> float:
        trust = self._defence.trust
        if trust is None:
            return before
        return float((1 - trust.rate) * before + trust.rate * np.exp(-test.coefficient / trust.scale))

    def _screened(self, test: EnergyTest | None) -> bool:
        screen = self._defence.screen
        if screen is None or test is None or test.p_value is None:
            return False
        return test.p_value <= screen.level and test.coefficient > screen.limit

    def _judge(self, sender: Hashable, letters: Sequence[Letter]) -> list[EnergyTest | None]:
        """The comparison of each letter with the own rows, remembered as long as the letter is there."""
        if not self._defence.compares:
            return [None] * len(letters)
        known = self._found.get(sender, {})
        found = {one.sequence: known.get(one.sequence) or self._compare(one) for one in letters}
        self._found[sender] = found
        return [found[one.sequence] for one in letters]

    def _compare(self, letter: Letter) -> EnergyTest:
        seed, key = self._key
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, letter.sequence)))
        space, own, scale = self._reference(letter.batch.space)
        rows = features(letter.batch, space) / scale
        chosen = rng.permutation(len(rows))[: self._defence.rows]  # a liar does not know which
        screen = self._defence.screen
        permutations = 0 if screen is None else int(np.ceil(1.0 / screen.level)) - 1
        above = 0.0 if screen is None else screen.limit
        return energy_test(own, rows[chosen], permutations=permutations, rng=rng, above=above)

    def _reference(self, heard: Space) -> tuple[Space, Any, Any]:
        """The own rows that a batch is compared with, over what both hold; numbers by their standard deviation."""
        if heard not in self._own:
            shared = [(len(names), len(part), part, names) for part in self._data if (names := _common(part, heard))]
            _, _, part, names = max(shared, key=lambda one: one[:2])
            space = Space(tuple(part.space[name] for name in names))
            rows = features(part, space)
            seed, key = self._key
            chosen = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(len(rows))
            scale = rows.std(axis=0)
            scale[(scale == 0) | _indicators(space)] = 1.0
            self._own[heard] = space, rows[chosen[: self._defence.rows]] / scale, scale
        return self._own[heard]


def _common(part: Batch, heard: Space) -> list[str]:
    return [name for name in part.space.names if name in heard]


def _indicators(space: Space) -> Any:
    """Which columns of `features` are 0 or 1: `[d]`."""
    widths = [int(np.prod(v.shape)) * (v.categories or 1) for v in space]
    return np.repeat([v.kind in ("binary", "categorical") for v in space], widths)
