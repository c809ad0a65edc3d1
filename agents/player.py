"""A player: private data, a model, a mailbox and random streams. No clock, no network, no threads of its own."""

__all__ = ["Neighbour", "Player"]

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, cast, final

from ..games import MAX_ROWS, Batch, BatchError, BoundaryError, Gossip, PrivacySpent, Space
from .conduct import Way
from .inspection import RegretEstimate, estimate_regret
from .mailbox import Letter, Mailbox
from .message import Message
from .model_errors import ModelError, generate_rows
from .protocols import GenerativeModel, HasLogDensity, HasMeanParameters, HasPrivacy, KeepsSpending, Source, State
from .scores import Scores, score
from .sources import heard_sources, own_sources, scaled
from .speaker import Move, Speaker
from .streams import PURPOSES, stream

if TYPE_CHECKING:
    from .defence import Guard  # a player without a defence does not pay for it


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One player listened to: α of the edge, and the variables that travel along it."""

    alpha: float
    space: Space


@final
class Player:
    """One player of the game, the same object in every engine.

    Arguments:
        name: what messages call it.
        model: the black box.
        data: private rows, or None; several batches where rows lack different variables.
        holdout: private rows kept for measuring, or None.
        self_weight: α_ii, the weight of the private rows.
        neighbours: players listened to, in a fixed order that decides the order of sources.
        listeners: players that listen → variables that travel to them.
        samples: rows of a message.
        seed: seed of the run.
        index: position of the player in the graph's order, for the random streams.
        start: `data`: learn from the private rows alone before the first message; `reference`: start from the model
            as made.
        gossip: whom it tells or asks, and how often.
        max_rows: longest message accepted, in rows.
        clone: makes another model of the same kind, for `estimate_regret`.
        way: what it says in place of what its model generates; None for an honest player.
        guard: decides how much it learns from whom; None for α as it is.

    Raises:
        SpaceError: a listener is to be sent a variable that the model lacks, or that may not be published.
    """

    def __init__(
        self,
        name: Hashable,
        model: GenerativeModel,
        *,
        data: Batch | Sequence[Batch] | None,
        holdout: Batch | None = None,
        self_weight: float,
        neighbours: Mapping[Hashable, Neighbour],
        listeners: Mapping[Hashable, Space],
        samples: int,
        seed: int,
        index: int,
        start: str = "data",
        gossip: Gossip | None = None,
        max_rows: int = MAX_ROWS,
        clone: Callable[[], GenerativeModel] | None = None,
        way: Way | None = None,
        guard: "Guard | None" = None,
    ) -> None:
        self.name = name
        self.model = model
        gossip = gossip or Gossip()
        self.mailbox = Mailbox(neighbours, gossip.keep)
        self.moves = 0
        self._has_mean = isinstance(model, HasMeanParameters)
        self._has_budget = isinstance(model, HasPrivacy) and model.privacy_spent() is not None
        self.rejected: Counter[str] = Counter()
        self._data = [data] if isinstance(data, Batch) else list(data or ())
        self._own = own_sources(self._data, self_weight)
        self._holdout = holdout
        self._neighbours = dict(neighbours)
        self._ready = start == "reference"
        self._max_rows = max_rows
        self._clone = clone
        self._guard = guard
        others = ("network", "screen", *(() if way else ("conduct",)))
        self._streams = {purpose: stream(seed, index, purpose) for purpose in PURPOSES if purpose not in others}
        self._speaker = Speaker(
            name,
            model.space,
            listeners,
            samples=samples,
            gossip=gossip,
            way=way,
            mailbox=self.mailbox,
            streams=self._streams,
        )

    def open(self) -> Move:
        """The first publication, before anything was heard: what the model generates from the private rows alone."""
        alone = [] if self._ready else own_sources(self._data, 1.0)
        if alone:
            self._learn(alone, 0)
        return self._publish()

    def receive(self, message: Message) -> str | None:
        """Takes a neighbour's message in, or refuses it; a bad message never stops a player.

        Returns:
            None, or the reason of the refusal, which is also counted in `rejected`: `sender` (not a neighbour),
            `sequence` (not a whole number from 0 to 2⁶³ − 1), `space`, `shape`, `type`, `range`, `finite`, `size`.
        """
        try:
            neighbour = self._neighbours.get(message.sender)
        except Exception:  # a sender that cannot be hashed or compared
            neighbour = None
        if neighbour is None:
            self.rejected["sender"] += 1
            return "sender"
        try:
            batch = message.checked(neighbour.space, self._max_rows)
        except BatchError as error:
            self.rejected[error.reason] += 1
            return error.reason
        self.mailbox.put(message.sender, Letter(message.sequence, batch, self.moves))
        return None

    def move(self) -> Move:
        """Learns from the private rows and the newest letters, then generates messages for the listeners.

        A neighbour not heard yet leaves its weight to the others. `receive` may run in another thread meanwhile: the
        mailbox is read once, at the start.

        Raises:
            ModelError: the model failed.
        """
        sources = self._sources(settle=True)
        if sources:
            self._learn(sources, self.moves + 1)
        self.moves += 1
        return self._publish()

    def answer(self, listener: Hashable) -> Message | None:
        """A fresh message for a listener that asks; None for a stranger, and from one who knows or says nothing."""
        return self._speaker.answer(listener, self.moves, self._rows)

    def rewire(
        self, self_weight: float, neighbours: Mapping[Hashable, Neighbour], listeners: Mapping[Hashable, Space]
    ) -> None:
        """Changes whom the player listens to, and how much, and who listens to it. Letters of those who stay are kept.

        Arguments: as those of the player itself.
        """
        self._own = own_sources(self._data, self_weight)
        self._neighbours, self._speaker.listeners = dict(neighbours), dict(listeners)
        self.mailbox.resize(neighbours)
        if self._guard is not None:
            self._guard.resize(neighbours)

    def measure(self, n: int) -> Batch | None:
        """n rows that the model generates for the laboratory's measurements, from a stream of their own.

        None while the model knows nothing.
        """
        return self._generate(n, "measure") if self._ready else None

    def held_out(self) -> float | None:
        """Mean log-density of the private holdout under the model, in nats a row.

        None without holdout, for a model that has no log-density (on the boundary there is none either), and while the
        model knows nothing.

        Raises:
            ModelError: the model failed.
        """
        if not self._ready or not self._holdout or not isinstance(self.model, HasLogDensity):
            return None
        try:
            return float(self.model.log_density(self._holdout).mean())
        except BoundaryError:
            return None
        except Exception as error:
            raise ModelError.of(self.name, self.moves, "log_density", error) from error

    def estimate_regret(self, steps: int) -> RegretEstimate | None:
        """What the player would gain by `steps` more calls of `learn` on what it learns from now: see `RegretEstimate`.

        None while the model knows nothing, and for models without log-density. From a stream of its own.

        Raises:
            ModelError: the model failed.
        """
        sources = self._sources(settle=False)
        if not self._ready or self._clone is None or not sources:
            return None
        rng = self._streams["inspect"]
        try:
            return estimate_regret(self.model, self._clone, sources, self._holdout, steps, rng)
        except BoundaryError:
            return None
        except Exception as error:
            raise ModelError.of(self.name, self.moves, "learn or log_density of a clone", error) from error

    def score(self, test: Batch, label: str) -> Scores | None:
        """How it does on labelled test rows; None while the model knows nothing.

        The model is shown the variables that the player's own rows hold; without rows, all that it has.

        Raises:
            ModelError: the model failed.
        """
        if not self._ready:
            return None
        try:
            held = {name for rows in self._data for name in rows.space.names}
            return score(self.model, test, label, held or None)
        except Exception as error:
            raise ModelError.of(self.name, self.moves, "class_probabilities or log_density", error) from error

    @property
    def mean_parameters(self) -> Any:
        """Mean parameters of the model, `[size]`, or None for a model that has none: for the laboratory only.

        Raises:
            ModelError: the model failed.
        """
        if not self._has_mean:
            return None
        try:
            return cast("HasMeanParameters", self.model).mean_parameters
        except Exception as error:
            raise ModelError.of(self.name, self.moves, "mean_parameters", error) from error

    @property
    def shares(self) -> Mapping[Hashable, float] | None:
        """Each neighbour's share of what the last move learned from; None for a player whose α are as given.

        The rest was the share of the private rows.
        """
        return None if self._guard is None else dict(self._guard.shares)

    @property
    def privacy_spent(self) -> PrivacySpent | None:
        """What the player has spent of its budget of privacy; None for one without."""
        return cast("HasPrivacy", self.model).privacy_spent() if self._has_budget else None

    @property
    def spending(self) -> Any:
        """Another value after each move that spends of a budget of privacy, however little; () for none.

        Of a model without `KeepsSpending` what it tells as spent.
        """
        if not self._has_budget:
            return ()
        return self.model.spending() if isinstance(self.model, KeepsSpending) else self.privacy_spent

    def pause(self, rate: float) -> float:
        """Waiting time to the next tick of a Poisson clock of the given rate, from the player's own stream."""
        return float(self._streams["pace"].exponential(1.0 / rate))

    def number_from(self, sequence: int) -> None:
        """Numbers the publications to come from `sequence` on, or from where they are if that is higher.

        A player taken back to an earlier state has sent messages since that its neighbours would hold for newer. One
        with privacy learns with other random numbers than it did then: noise that is drawn twice could be taken away.
        """
        self._speaker.number_from(sequence)
        if self._has_budget:
            cast("Any", self._streams["learn"].bit_generator).advance(sequence)

    def state(self) -> State:
        """Everything that the next move depends on."""
        spoken = self._speaker.state()
        return {
            **({} if self._guard is None else {"guard": self._guard.state()}),
            **({"first": spoken["first"]} if "first" in spoken else {}),
            "model": self.model.state(),
            "mailbox": self.mailbox.state(),
            "streams": {purpose: rng.bit_generator.state for purpose, rng in self._streams.items()},
            "moves": self.moves,
            "sequence": spoken["sequence"],
            "turns": spoken["turns"],
            "ready": self._ready,
            "rejected": dict(self.rejected),
        }

    def load(self, state: State) -> None:
        """Continues exactly as the player whose `state()` this is."""
        self.model.load(state["model"])
        self.mailbox.load(state["mailbox"], [n.space for n in self._neighbours.values()])
        for purpose, rng in self._streams.items():
            rng.bit_generator.state = state["streams"][purpose]
        self.moves = index(state["moves"])
        self._ready = bool(state["ready"])
        self.rejected = Counter({str(reason): index(count) for reason, count in state["rejected"].items()})
        if self._guard is not None:
            self._guard.load(state["guard"])
        self._speaker.load(state)

    def take_back(self, state: State) -> None:
        """As `load`, but what was spent of a budget of privacy stays spent: others may have heard what it bought."""
        spent = self.spending
        self.load(state)
        if isinstance(self.model, KeepsSpending):
            self.model.keep_spending(spent)

    def _learn(self, sources: list[Source], number: int) -> None:
        try:
            self.model.learn(sources, self._streams["learn"])
        except Exception as error:
            raise ModelError.of(self.name, number, "learn", error) from error
        self._ready = True

    def _generate(self, n: int, purpose: str) -> Batch:
        return generate_rows(self.model, n, self._streams[purpose], player=self.name, move=self.moves)

    def _sources(self, *, settle: bool) -> list[Source]:
        """What a move learns from, weights summing to 1; what a guard leaves out is counted as `screened`."""
        heard = {who: (self._neighbours[who].alpha, letters) for who, letters in self.mailbox.read().items()}
        if self._guard is None:
            return scaled([*self._own, *heard_sources(heard)])
        own = sum(source.weight for source in self._own)
        found = self._guard.weigh(own, heard, settle=settle)
        if settle and found.refused:
            self.rejected["screened"] += found.refused
        mine = [Source(s.batch, s.weight * (found.own / own), own=True) for s in self._own] if found.own > 0 else []
        return scaled([*mine, *heard_sources(found.heard)])

    def _publish(self) -> Move:
        return self._speaker.publish(self.moves, list(self._neighbours), self._rows)

    @property
    def _rows(self) -> Callable[[int], Batch] | None:
        """Makes n rows for others to hear; None while the model knows nothing."""
        return partial(self._generate, purpose="generate") if self._ready else None
