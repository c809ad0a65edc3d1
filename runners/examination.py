"""What players generate, held against real rows: class shares and their prediction, distances, two-sample tests."""

__all__ = ["Examiner", "Eye", "Look", "Quality", "References"]

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ..agents import RegretEstimate, Scores
from ..games import Alphabet, Batch, Game, GameError, class_histogram, label_of, predicted_mixtures, total_variation
from ..topology import UnanchoredError
from .observation import Observation


@dataclass(frozen=True, eq=False)
class Look:
    """All players at one close look, in the order of the graph; None where a figure does not apply.

    Arguments:
        time: moves per player.
        seconds: since the first publication.
        players: their names.
        shares: class shares of what each generates, `[k]`.
        total_variations: of the shares to the predicted ones.
        regrets: estimates of lower bounds.
        held_out: mean log-density of the private holdout, in nats a row.
        scores: how each does on test rows.
    """

    time: float
    seconds: float
    players: tuple[Hashable, ...]
    shares: tuple[NDArray[np.float64] | None, ...]
    total_variations: tuple[float | None, ...]
    regrets: tuple[RegretEstimate | None, ...]
    held_out: tuple[float | None, ...]
    scores: tuple[Scores | None, ...]

    @property
    def accuracies(self) -> tuple[float | None, ...]:
        """Share of test rows whose class each player tells."""
        return tuple(None if s is None else s.accuracy for s in self.scores)


@dataclass(frozen=True)
class Quality:
    """How close generated rows are to real ones, as the judge sees them.

    Arguments:
        frechet: squared Fréchet distance in the judge's features to the real rows of the classes that the player owns
            (`own`), of those that it does not (`other`), and to all (`all`).
        two_sample: accuracy with which a classifier tells generated rows from real ones of the predicted class shares:
            0.5 if it cannot.
        p_value: of that accuracy, were the two alike.
    """

    frechet: Mapping[str, float]
    two_sample: float | None
    p_value: float | None


class Eye(Protocol):
    """What tells the classes of generated rows."""

    @property
    def carrier(self) -> str | None:
        """The variable by which it tells them; None if whatever travels along an edge tells as much."""
        ...

    def shares(self, batch: Batch) -> NDArray[np.float64] | None:
        """The share of each class, `[k]`; None where the rows hold nothing that tells it."""
        ...

    def classes(self, batch: Batch) -> NDArray[Any] | None:
        """The class of each row, `[n]`; None where the rows hold nothing that tells it."""
        ...


@dataclass(frozen=True, eq=False)
class References:
    """The laboratory's real rows, and its eye.

    Arguments:
        judge: tells classes and features of images, as `agents.models.Judge`.
        image: the variable it looks at.
        features: of real rows, `[n, d]`.
        labels: their classes, `[n]`.
    """

    judge: Any
    image: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def carrier(self) -> str | None:
        """The image."""
        return self.image

    def shares(self, batch: Batch) -> NDArray[np.float64] | None:
        """Class shares of the images, `[k]`; None without images."""
        return np.asarray(self.judge.shares(batch[self.image])) if self.image in batch.space else None

    def classes(self, batch: Batch) -> NDArray[Any] | None:
        """The class of each image, `[n]`; None without images."""
        return np.asarray(self.judge.classes(batch[self.image])) if self.image in batch.space else None


@final
@dataclass(frozen=True, eq=False)
class Examiner:
    """Examines what players generate. Without references it goes by the label that players generate themselves.

    Players may have different variables: of those without the label, or the image that a judge looks at, nothing is
    known.

    Arguments:
        game: the game.
        references: what tells the classes: real images and a judge, or `LanguageIdentifier`, for words.
        label: the variable that holds the class; by default the only categorical one of each player, if they all agree.
        alphabets: variable → the letters of its words, for those who read them.
    """

    game: Game
    references: Eye | None = None
    label: str | None = None
    alphabets: Mapping[str, Alphabet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = {label_of(self.game.space(player)) for player in self.game.players} - {None}
        held = self.label is None or any(self.label in self.game.space(player) for player in self.game.players)
        if self.label is None or not held:
            object.__setattr__(self, "label", labels.pop() if self.label is None and len(labels) == 1 else None)

    @cached_property
    def predicted(self) -> NDArray[np.float64] | None:
        """Predicted class shares of every player's equilibrium, `[N, k]`; None without classes or real data.

        NaN for players of whom nothing is predicted: see `games.predicted_mixtures`.
        """
        if self.label is None and self.references is None:  # nothing tells the class of what travels
            return None
        if self.label is None and any(self.game.specs[p].class_shares is None for p in self.game.players):
            return None
        try:
            return predicted_mixtures(
                self.game, self.label, carrier=None if self.references is None else self.references.carrier
            )
        except (UnanchoredError, GameError):  # no real data somewhere, or rows of which nobody knows the class
            return None

    def predicted_of(self, player: Hashable) -> NDArray[np.float64] | None:
        """Predicted class shares of one player, `[k]`; None where nothing is predicted."""
        shares = None if self.predicted is None else self.predicted[list(self.game.players).index(player)]
        return None if shares is None or np.isnan(shares).any() else shares

    def own_classes(self, player: Hashable) -> list[int]:
        """The classes in a player's private rows."""
        spec = self.game.specs[player]
        if spec.class_shares is not None:
            return [int(c) for c in np.flatnonzero(spec.class_shares)]
        if spec.summary is not None and spec.summary.class_shares is not None and spec.summary.label == self.label:
            return [int(c) for c in np.flatnonzero(spec.summary.class_shares)]
        labels = [rows[self.label] for rows in spec.parts if self.label is not None and self.label in rows.space]
        return [int(c) for c in np.unique(np.concatenate(labels))] if labels else []

    def shares(self, batch: Batch | None) -> NDArray[np.float64] | None:
        """Class shares of generated rows, `[k]`: by the judge, else by their label."""
        if not batch:
            return None
        if self.references is not None:
            return self.references.shares(batch)
        return class_histogram(batch, self.label) if self.label is not None and self.label in batch.space else None

    def classes(self, batch: Batch) -> NDArray[Any] | None:
        """The class of each generated row, `[n]`: by the judge, else its label; None where nothing tells it."""
        if self.references is not None:
            return self.references.classes(batch)
        return batch[self.label] if self.label is not None and self.label in batch.space else None

    def look(self, observed: Observation) -> Look:
        """What a close observation shows."""
        players = tuple(self.game.players)
        shares = tuple(self.shares(observed.samples.get(p)) for p in players)
        predicted = [self.predicted_of(p) for p in players]
        distances = [
            None if found is None or told is None else total_variation(found, told)
            for found, told in zip(shares, predicted, strict=True)
        ]
        return Look(
            observed.time,
            observed.seconds,
            players,
            shares,
            tuple(distances),
            tuple(observed.regret_estimates.get(p) for p in players),
            tuple(observed.held_out.get(p) for p in players),
            tuple(observed.scores.get(p) for p in players),
        )

    def quality(self, player: Hashable, batch: Batch | None, rng: np.random.Generator) -> Quality | None:
        """How close a player's generated rows are to real ones; None without references or rows.

        Distances that fewer rows than features would have to give are left out.
        """
        if not isinstance(self.references, References) or not batch or self.references.image not in batch.space:
            return None
        from ..agents.models import frechet_distance, two_sample_test  # torch: only where there are images

        known = self.references
        made = known.judge.features(batch[known.image])
        own = np.isin(known.labels, self.own_classes(player))
        parts = {"own": own, "other": ~own, "all": np.ones_like(own)}
        distance: Callable[..., float] = frechet_distance
        enough = known.features.shape[1] + 1  # fewer rows have no covariance of full rank
        shown = {name: rows for name, rows in parts.items() if min(rows.sum(), len(made)) >= enough}
        frechet = {name: distance(known.features[rows], made) for name, rows in shown.items()}
        like = self._like_predicted(player, len(made), rng) if len(made) >= enough else None
        found = None if like is None else two_sample_test(known.features[like], made, rng)
        if found is None:
            return Quality(frechet, None, None)
        return Quality(frechet, found.accuracy, found.p_value)

    def _like_predicted(self, player: Hashable, n: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """Positions of n real rows, drawn without repetition, with the predicted class shares."""
        predicted = self.predicted_of(player)
        if not isinstance(self.references, References) or predicted is None:
            return None
        counts = rng.multinomial(n, predicted)
        places = [np.flatnonzero(self.references.labels == c) for c in range(len(counts))]
        if any(count > len(rows) for count, rows in zip(counts, places, strict=True)):
            return None
        chosen = [rng.choice(rows, count, replace=False) for count, rows in zip(counts, places, strict=True)]
        return np.concatenate(chosen)
