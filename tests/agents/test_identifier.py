"""The identifier on mixtures that are known, and what it cannot be trained on."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import IdentifierError, LanguageIdentifier
from nashgossip.games import Alphabet, Batch, Lexicon, Space, Variable, WordList

LATIN, CYRILLIC = Alphabet("latin", "abcdefgh"), Alphabet("cyrillic", "абцдефгх")
LENGTH = 7


def listed(language: str, seed: int, shared: list[str]) -> WordList:
    """300 words of random letters with Zipf's frequencies; the shared ones are the most frequent of every language."""
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(8, 0.6))
    made = ["".join(rng.choice(list(LATIN.letters), size=rng.integers(1, 7), p=law)) for _ in range(600)]
    words = tuple(dict.fromkeys([*rng.permutation(shared), *made]))[:300]
    frequencies = 1.0 / np.arange(1, len(words) + 1)
    return WordList(language, {"latin": words}, frequencies / frequencies.sum(), {})


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    shared = ["a", "de", "ba", "ed"]
    return Lexicon(tuple(listed(f"l{k}", k, shared) for k in range(4)), LENGTH)


@pytest.fixture(scope="module")
def ear(lexicon: Lexicon) -> LanguageIdentifier:
    return LanguageIdentifier.train(lexicon.dataset(20_000, seed=1).batch, "language")


def mixed(batch: Batch, counts: NDArray[np.int64], rng: np.random.Generator) -> Batch:
    """So many rows of each language, without their labels."""
    rows = [rng.choice(np.flatnonzero(batch["language"] == c), k, replace=False) for c, k in enumerate(counts)]
    return batch.restrict(Space(tuple(v for v in batch.space if v.name != "language"))).select(np.concatenate(rows))


def test_known_mixtures_are_found_within_their_errors(lexicon: Lexicon, ear: LanguageIdentifier) -> None:
    rng = np.random.default_rng(0)
    fresh = lexicon.dataset(4000, seed=2).batch
    scores, naive = [], []
    for _ in range(30):
        counts = rng.multinomial(1500, rng.dirichlet(np.full(4, 2.0)))
        heard = mixed(fresh, counts, rng)
        found = ear.estimate(heard)
        assert found.shares.sum() == pytest.approx(1)
        # the composition is fixed, so that the error is that of telling the words apart alone: at most the stated one
        scores.append((found.shares - counts / 1500) / np.maximum(found.errors, 1e-9))
        hard = np.bincount(ear.log_likelihoods(heard).argmax(axis=1), minlength=4) / 1500
        naive.append((hard - counts / 1500) / found.errors)
    z = np.array(scores)
    assert np.abs(z).max() < 4.5
    assert np.abs(z.mean(axis=0) * np.sqrt(30)).max() < 4.5, "no bias"
    assert (z**2).mean() < 1.3
    assert np.abs(np.array(naive)).max() > 4.5, "each word for its likeliest language is biased"


def test_stated_errors_are_those_of_samples(lexicon: Lexicon, ear: LanguageIdentifier) -> None:
    rng = np.random.default_rng(5)
    fresh = lexicon.dataset(6000, seed=3).batch
    truth = np.array([0.5, 0.3, 0.15, 0.05])
    found = [ear.estimate(mixed(fresh, rng.multinomial(800, truth), rng)) for _ in range(60)]
    z = np.array([(f.shares - truth) / f.errors for f in found])
    assert (z**2).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / 180))
    assert np.abs(z.mean(axis=0) * np.sqrt(60)).max() < 4.5
    covariance = found[0].covariance
    assert covariance.sum() == pytest.approx(0, abs=1e-9), "the shares sum to 1"


def test_a_language_that_is_not_there_gets_nothing(lexicon: Lexicon, ear: LanguageIdentifier) -> None:
    rng = np.random.default_rng(1)
    heard = mixed(lexicon.dataset(2000, seed=4).batch, np.array([900, 600, 0, 0]), rng)
    found = ear.estimate(heard)
    assert found.shares[2:] == pytest.approx(0, abs=0.02)
    told = ear.classes(heard)
    assert told.shape == (1500,)
    assert (told[:900] == 0).mean() > 0.6
    assert ear.shares(heard) == pytest.approx(found.shares)


def spelled(lexicon: Lexicon) -> Batch:
    """Language 0 in both alphabets, letter for letter, 1 in the second alone, 2 and 3 in the first."""
    batch = lexicon.dataset(3000, seed=6).batch
    place = np.array([LATIN.letters.index(letter) for letter in lexicon.alphabets["latin"].letters] + [8])
    rows = place[batch["latin"]]
    latin, cyrillic = rows.copy(), rows.copy()
    latin[batch["language"] == 1] = 8
    cyrillic[batch["language"] >= 2] = 8
    space = Space((batch.space["language"], LATIN.variable(LENGTH), CYRILLIC.variable(LENGTH)))
    return space.batch({"language": batch["language"], "latin": latin, "cyrillic": cyrillic})


def test_languages_are_looked_for_in_a_script_that_they_reach_by_another(lexicon: Lexicon) -> None:
    batch, rng = spelled(lexicon), np.random.default_rng(2)
    ear = LanguageIdentifier.train(batch, "language")
    everything = batch["latin"].copy()
    everything[batch["language"] == 1] = batch["cyrillic"][batch["language"] == 1]
    for variable in (LATIN.variable(LENGTH), CYRILLIC.variable(LENGTH)):
        counts = np.array([400, 500, 350, 250])
        rows = np.concatenate([rng.choice(np.flatnonzero(batch["language"] == c), k) for c, k in enumerate(counts)])
        found = ear.estimate(Space((variable,)).batch({variable.name: everything[rows]}))
        assert (np.abs(found.shares - counts / 1500) < 4.5 * found.errors).all()


def test_a_script_that_nobody_bridges_has_no_such_language(lexicon: Lexicon) -> None:
    batch = spelled(lexicon)
    keep = batch.select(np.flatnonzero(batch["language"] > 0))
    space = Space((Variable("language", "categorical", categories=3), *tuple(keep.space)[1:]))
    ear = LanguageIdentifier.train(space.batch({**keep.arrays, "language": keep["language"] - 1}), "language")
    latin = keep.restrict(Space((LATIN.variable(LENGTH),))).select(np.flatnonzero(keep["language"] == 2))
    found = ear.estimate(latin)
    assert found.shares[0] == 0
    assert np.isneginf(ear.log_likelihoods(latin)[:, 0]).all()
    assert found.shares.sum() == pytest.approx(1)


def test_what_it_cannot_do_is_refused(lexicon: Lexicon, ear: LanguageIdentifier) -> None:
    batch = lexicon.dataset(20).batch
    latin = batch.space["latin"]
    with pytest.raises(IdentifierError, match="an identifier needs a label and words, and got latin with label 'lang"):
        LanguageIdentifier.train(batch.restrict(Space((latin,))), "language")
    with pytest.raises(IdentifierError, match="needs a label and words"):
        LanguageIdentifier.train(batch.restrict(Space((batch.space["language"],))), "language")
    with pytest.raises(IdentifierError, match="language 3 has no words, expected some of every language"):
        LanguageIdentifier.train(batch.select(np.flatnonzero(batch["language"] < 3)), "language")
    blank = Space((latin,)).batch({"latin": np.full((2, LENGTH), (latin.categories or 0) - 1)})
    for nothing in (batch.select(slice(0, 0)), blank):
        with pytest.raises(IdentifierError, match="no words came, expected at least one that is not empty"):
            ear.estimate(nothing)
    other = Space((Variable("greek", "categorical", (3,), categories=3),)).batch({"greek": [[0, 1, 2]]})
    with pytest.raises(IdentifierError, match=re.escape("a batch over greek came, expected one with latin")):
        ear.estimate(other)
    for nothing in (blank, other):  # an examiner shows none then
        assert ear.shares(nothing) is None
        assert ear.classes(nothing) is None


def test_real_languages_are_told_within_their_errors() -> None:
    pytest.importorskip("wordfreq", reason="needs the extra 'languages'")
    lexicon = Lexicon.read(["nl", "de", "fr", "es", "pt"], top=3000)
    ear = LanguageIdentifier.train(lexicon.dataset(20_000, seed=1).batch, "language")
    rng = np.random.default_rng(3)
    fresh = lexicon.dataset(2500, seed=2).batch
    z = []
    for _ in range(8):
        counts = rng.multinomial(2000, rng.dirichlet(np.full(5, 2.0)))
        found = ear.estimate(mixed(fresh, counts, rng))
        z.append((found.shares - counts / 2000) / found.errors)
    assert np.abs(z).max() < 4.5
    assert (np.array(z) ** 2).mean() < 1.5
