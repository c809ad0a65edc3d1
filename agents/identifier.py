"""The laboratory's ear: how likely a word is in each language, and the shares of languages among words."""

__all__ = ["IdentifierError", "LanguageIdentifier", "LanguageShares"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..games import Batch, Space, Variable
from .ngram import NgramModel
from .protocols import Source

Array = NDArray[np.float64]

_ORDER = 6
_STEPS = 5000
_CLOSE = 1e-10
_RESPELLED = 5000
"""Words of a language that are spelled in a script it has not: enough to know its letters by."""


class IdentifierError(ValueError):
    """Rows that a language identifier cannot be trained on, or cannot tell the languages of.

    Not `agents.models.JudgeError`, which is about images.
    """


@dataclass(frozen=True, eq=False)
class LanguageShares:
    """Shares of languages among words, and how well they are known.

    Arguments:
        shares: `[k]`, summing to 1.
        covariance: of the estimates, `[k, k]`, from the observed information; 0 for languages whose estimate is 0.
    """

    shares: Array
    covariance: Array

    @property
    def errors(self) -> Array:
        """Standard errors of the shares: `[k]`."""
        found: Array = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return found


@final
class LanguageIdentifier:
    """Tells the shares of languages among words by maximum likelihood. It belongs to the laboratory, no player has it.

    For each language l and script a letter model p_l of real words (`NgramModel`). The shares of words w_1 … w_n are

        ŝ = argmax Σ_i log Σ_l s_l p_l(w_i)  over s ≥ 0, Σ_l s_l = 1,

    by expectation maximisation. Words that several languages share (`de` is Dutch, French, Spanish and Portuguese) are
    so divided as the other words suggest; counting each word for its likeliest language would be biased.

    A language that is not written in a script is looked for there as a player that reads both would spell its words:
    they are completed by a model of the rows of all languages that have both. Where there is none, its share is 0.

    Made by `LanguageIdentifier.train`. It is what `runners.Examiner` takes to tell the classes of words.

    Source: A. P. Dempster, N. M. Laird and D. B. Rubin, *Maximum likelihood from incomplete data via the EM algorithm*,
    1977; for the errors T. A. Louis, *Finding the observed information matrix when using the EM algorithm*, 1982.

    >>> from nashgossip.games import Alphabet
    >>> latin = Alphabet("latin", "abc")
    >>> words = latin.encode(["ab", "ab", "a", "cb", "cb", "c"], 3)
    >>> space = Space((Variable("language", "categorical", categories=2), latin.variable(3)))
    >>> ear = LanguageIdentifier.train(space.batch({"language": [0, 0, 0, 1, 1, 1], "latin": words}), "language")
    >>> heard = Space((latin.variable(3),)).batch({"latin": latin.encode(["ab", "a", "cb", "ab"], 3)})
    >>> ear.shares(heard).round(2).tolist()
    [0.75, 0.25]
    """

    def __init__(self, models: Mapping[str, list[NgramModel | None]], classes: int) -> None:
        self._models = dict(models)
        self._classes = classes

    @classmethod
    def train(cls, batch: Batch, label: str, *, seed: int = 0) -> "LanguageIdentifier":
        """An identifier of languages like these.

        Arguments:
            batch: real words: a label, and one variable for each script, empty where a language is not written in it.
            label: the variable that holds the language.
            seed: of completions in other scripts.

        Raises:
            IdentifierError: no label or no words, or a language without words.
        """
        scripts = [v for v in batch.space if v.kind == "categorical" and len(v.shape) == 1]
        if label not in batch.space or batch.space[label].shape or not scripts:
            raise IdentifierError(
                f"an identifier needs a label and words, and got {', '.join(batch.space.names)} with label {label!r}"
            )
        classes, labels = batch.space[label].categories or 0, batch[label]
        written = {v.name: batch[v.name][:, 0] != (v.categories or 0) - 1 for v in scripts}
        for c in range(classes):
            if not any(written[v.name][labels == c].any() for v in scripts):
                raise IdentifierError(f"language {c} has no words, expected some of every language")
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        models: dict[str, list[NgramModel | None]] = {}
        for v in scripts:
            models[v.name] = []
            for c in range(classes):
                here = np.flatnonzero((labels == c) & written[v.name])
                words = _only(batch, v).select(here) if len(here) else _respelled(batch, v, labels == c, written, rng)
                models[v.name].append(None if words is None else _taught((v,), words))
        return cls(models, classes)

    @property
    def carrier(self) -> str | None:
        """None: a word is of its language in whatever script it travels."""
        return None

    def log_likelihoods(self, batch: Batch) -> Array:
        """log p_l(word) of each row in each language, by the first script of the batch: `[n, k]`; −∞ if there is none.

        Raises:
            IdentifierError: the batch has no script that the identifier knows.
        """
        script = next((name for name in self._models if name in batch.space), None)
        if script is None:
            raise IdentifierError(
                f"a batch over {', '.join(batch.space.names)} came, expected one with {' or '.join(self._models)}"
            )
        words = _only(batch, batch.space[script])
        distinct, place = np.unique(words[script], axis=0, return_inverse=True)
        rows = words.space.batch({script: distinct})
        found = np.full((len(distinct), self._classes), -np.inf)
        for c, model in enumerate(self._models[script]):
            if model is not None:
                found[:, c] = model.log_density(rows)
        return found[place.reshape(-1)]

    def estimate(self, batch: Batch) -> LanguageShares:
        """The shares of the languages among the words, with their errors.

        Raises:
            IdentifierError: no words, or another script.
        """
        logs = self.log_likelihoods(batch)
        logs = logs[np.isfinite(logs).any(axis=1)]  # an empty word is of no language
        if not len(logs):
            raise IdentifierError("no words came, expected at least one that is not empty")
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares = _most_likely(p)
        return LanguageShares(shares, _covariance(p, shares))

    def shares(self, batch: Batch) -> Array | None:
        """`[k]`, as those of `estimate`; None where the batch holds no words of a script that it knows."""
        return self.estimate(batch).shares if self._heard(batch) else None

    def classes(self, batch: Batch) -> NDArray[np.int64] | None:
        """The likeliest language of each row, given the shares of all: `[n]`; None where `shares` is."""
        if not self._heard(batch):
            return None
        with np.errstate(divide="ignore"):
            scores = self.log_likelihoods(batch) + np.log(self.estimate(batch).shares)
        likeliest: NDArray[np.int64] = scores.argmax(axis=1)
        return likeliest

    def _heard(self, batch: Batch) -> bool:
        """Whether there is a word to tell the language of."""
        known = any(name in batch.space for name in self._models)
        return known and bool(np.isfinite(self.log_likelihoods(batch)).any())


def _only(batch: Batch, variable: Variable) -> Batch:
    return batch.restrict(Space((variable,)))


def _taught(scripts: tuple[Variable, ...], words: Batch) -> NgramModel:
    model = NgramModel(Space(scripts), order=_ORDER)
    model.learn([Source(words, 1.0)], np.random.default_rng(0))  # whole rows: nothing is drawn
    return model


def _respelled(
    batch: Batch,
    into: Variable,
    rows: NDArray[np.bool_],
    written: Mapping[str, NDArray[np.bool_]],
    rng: np.random.Generator,
) -> Batch | None:
    """Words of a language in a script that it has not, as a model of rows that have both completes them."""
    for name, here in written.items():
        both = np.flatnonzero(here & written[into.name])
        some = np.flatnonzero(rows & here)[:_RESPELLED]
        if name != into.name and len(both) and len(some):
            scripts = (batch.space[name], into)
            model = _taught(scripts, batch.restrict(Space(scripts)).select(both))
            return _only(model.complete(_only(batch, scripts[0]).select(some), rng), into)
    return None


def _most_likely(p: Array) -> Array:
    """The shares that make rows of likelihoods `[n, k]` likeliest; EM, stopped where it stands."""
    shares = np.full(p.shape[1], 1.0 / p.shape[1])
    for _ in range(_STEPS):
        moved = shares * (p.T @ (1.0 / (p @ shares))) / len(p)
        if np.abs(moved - shares).max() < _CLOSE:
            break
        shares = moved
    total: Array = moved / moved.sum()
    return total


def _covariance(p: Array, shares: Array) -> Array:
    """Inverse observed information of the shares that are not 0, on the plane where they sum to 1: `[k, k]`."""
    free = np.flatnonzero(shares > 1e-6)
    ratios = p[:, free] / (p @ shares)[:, None]
    inverse = np.linalg.pinv(ratios.T @ ratios)
    sums = inverse.sum(axis=1)
    found = np.zeros((p.shape[1], p.shape[1]))
    found[np.ix_(free, free)] = inverse - np.outer(sums, sums) / sums.sum()
    return found
