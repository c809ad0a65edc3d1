"""The letter model against exact mixtures, its own density, and one-to-one spellings."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nashgossip.agents import HasCompletion, NgramModel, Source, check_model
from nashgossip.games import Alphabet, Batch, Space, SpaceError, Variable

LATIN, CYRILLIC = Alphabet("latin", "abcde"), Alphabet("cyrillic", "абцде")
LENGTH = 6
ONE = Space((LATIN.variable(LENGTH),))
OTHER = Space((CYRILLIC.variable(LENGTH),))
BOTH = Space((LATIN.variable(LENGTH), CYRILLIC.variable(LENGTH)))
SHARP = 1e-9


def words(text: str) -> Batch:
    return ONE.batch({"latin": LATIN.encode(text.split(), LENGTH)})


def pairs(text: str) -> Batch:
    rows = LATIN.encode(text.split(), LENGTH)
    return BOTH.batch({"latin": rows, "cyrillic": rows})  # the alphabets have one order


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def taught(space: Space, *sources: Source, **options: Any) -> NgramModel:
    model = NgramModel(space, **options)
    model.learn(sources, rng())
    return model


def density(model: NgramModel, batch: Batch) -> NDArray[np.float64]:
    return np.exp(model.log_density(batch))


@pytest.mark.parametrize("order", [2, 3, 9])
@pytest.mark.parametrize("sizes", [(8,), (30,), (12, 9)])
def test_it_keeps_the_protocol(order: int, sizes: tuple[int, ...]) -> None:
    space = Space(tuple(Variable(f"x{k}", "categorical", (5,), categories=size) for k, size in enumerate(sizes)))
    check_model(lambda: NgramModel(space, order=order))
    assert isinstance(NgramModel(space), HasCompletion)


def test_a_model_that_remembers_whole_words_is_the_mixture() -> None:
    first, second = words("ab ab abc d"), words("ab e e e e ed abcdea")
    model = taught(ONE, Source(first, 0.3, own=True), Source(second, 0.7), order=8, smoothing=SHARP)
    asked = words("ab abc d e ed abcdea")
    expected = 0.3 * np.array([2, 1, 1, 0, 0, 0]) / 4 + 0.7 * np.array([1, 0, 0, 4, 1, 1]) / 7
    assert density(model, asked) == pytest.approx(expected, rel=1e-6)
    assert density(model, words("ba")) < 1e-6


def test_the_best_response_keeps_the_mean_counts_of_what_follows_what() -> None:
    """Statistics of an exponential family: their means under the model are the weighted means of the sources."""
    length = 40  # no word gets so long
    space = Space((LATIN.variable(length),))
    languages = [rng(k).integers(5, size=(400, 7)) for k in (1, 2)]
    sources = []
    for k, (letters, weight) in enumerate(zip(languages, (0.3, 0.7), strict=True)):
        rows = np.full((400, length), 5)
        lengths = rng(k).integers(1, 8, size=400)
        for row, some, size in zip(rows, np.minimum(letters, 3 + k), lengths, strict=True):
            row[:size] = some[:size]
        sources.append(Source(space.batch({"latin": rows}), weight))
    model = taught(space, *sources, order=3, smoothing=SHARP)
    n = 40_000
    made = following(model.generate(n, rng(3))["latin"])
    expected = sum(s.weight * following(s.batch["latin"]).mean(axis=0) for s in sources)
    error = made.std(axis=0) / np.sqrt(n)
    seen = error > 0
    z = (made.mean(axis=0)[seen] - np.asarray(expected)[seen]) / error[seen]
    assert seen.sum() > 100
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / len(z)))


def following(rows: NDArray[Any]) -> NDArray[np.float64]:
    """How often each symbol follows each two before it, the start included, in each row: `[n, 6³·6]`."""
    n, length = rows.shape
    padded = np.concatenate([np.full((n, 2), 5), rows], axis=1)
    counts = np.zeros((n, 216), np.float32)
    before = np.cumsum(rows == 5, axis=1) - (rows == 5)
    for t in range(length):
        key = (padded[:, t] * 6 + padded[:, t + 1]) * 6 + padded[:, t + 2]
        alive = before[:, t] == 0
        np.add.at(counts, (np.flatnonzero(alive), key[alive]), 1)
    return counts.astype(np.float64)


@pytest.mark.parametrize("order", [2, 5])
def test_it_generates_by_its_density(order: int) -> None:
    space = Space((Variable("x", "categorical", (3,), categories=4), Variable("y", "categorical", (3,), categories=3)))
    rows = space.batch(
        {"x": [[0, 1, 3], [0, 0, 3], [1, 3, 3], [2, 1, 0]], "y": [[1, 0, 2], [1, 1, 2], [0, 2, 2], [1, 0, 1]]}
    )
    model = taught(space, Source(rows, 1.0), order=order)
    rows_of = {
        v.name: [
            w for w in itertools.product(range(v.categories or 0), repeat=3) if canonical(w, (v.categories or 0) - 1)
        ]
        for v in space
    }
    whole = list(itertools.product(rows_of["x"], rows_of["y"]))
    p = density(model, space.batch({"x": [x for x, _ in whole], "y": [y for _, y in whole]}))
    assert p.sum() == pytest.approx(1)
    n = 50_000
    made = model.generate(n, rng(1))
    places = {pair: k for k, pair in enumerate(whole)}
    counts = np.zeros(len(whole))
    for x, y in zip(made["x"].tolist(), made["y"].tolist(), strict=True):
        counts[places[tuple(x), tuple(y)]] += 1
    often = n * p > 10
    squares = ((counts - n * p)[often] ** 2 / (n * p)[often]).sum()
    assert abs(squares - often.sum()) < 5 * np.sqrt(2 * often.sum())
    assert counts[p == 0].sum() == 0


def canonical(word: tuple[int, ...], end: int) -> bool:
    return all(b == end for a, b in itertools.pairwise(word) if a == end)


def test_no_empty_word_comes_where_none_was_learned() -> None:
    model = taught(ONE, Source(words("a b c"), 1.0), smoothing=5.0)
    assert (model.generate(3000, rng())["latin"][:, 0] != LATIN.end).all()
    assert density(model, ONE.batch({"latin": [[5] * LENGTH]})) == 0
    empty = ONE.batch({"latin": LATIN.encode(["", "a"], LENGTH)})
    assert density(taught(ONE, Source(empty, 1.0), smoothing=SHARP), empty) == pytest.approx(0.5)


def test_more_real_rows_leave_less_to_smoothing() -> None:
    few, many = (taught(ONE, Source(words("ab " * n), 1.0)) for n in (2, 200))
    assert density(few, words("ab"))[0] < density(many, words("ab"))[0]
    # two sources of n rows with half the weight each are worth 2n rows
    two = taught(ONE, Source(words("ab " * 100), 0.5), Source(words("ab " * 100), 0.5))
    assert two.log_density(words("ba")) == pytest.approx(many.log_density(words("ba")))


def test_a_spelling_is_completed_letter_by_letter() -> None:
    model = taught(BOTH, Source(pairs("ab ba abcd de a ed cab"), 1.0, own=True))
    asked = words("dab cde a eedbca")
    whole = model.complete(asked, rng())
    assert whole.space == BOTH
    assert (whole["latin"] == asked["latin"]).all()
    assert (whole["cyrillic"] == asked["latin"]).all()
    back = model.complete(OTHER.batch({"cyrillic": asked["latin"]}), rng())
    assert back == whole
    assert model.complete(whole, rng()) == whole
    assert model.log_density(asked) == pytest.approx(model.log_density(whole))


def test_a_letter_never_seen_is_completed_by_any() -> None:
    model = taught(BOTH, Source(pairs("ab ba abc"), 1.0, own=True))
    n = 5000
    rows = np.full((n, LENGTH), 5)
    rows[:, :3] = [0, 4, 1]  # "aeb", and e was never seen
    whole = model.complete(ONE.batch({"latin": rows}), rng(2))["cyrillic"]
    assert (whole[:, [0, 2]] == [0, 1]).all()
    assert (whole[:, 3:] == 5).all()
    counts = np.bincount(whole[:, 1], minlength=6)
    assert counts[5] == 0
    assert (np.abs(counts[:5] - n / 5) < 4.5 * np.sqrt(n * 0.16)).all()


def test_what_came_in_one_script_leaves_the_shares_of_its_words() -> None:
    """Completion keeps what is given, so that the spelling that travelled has the mixture for its law."""
    own, heard = pairs("ab ab ba"), words("cab cab e ab")
    model = taught(BOTH, Source(own, 1.0, own=True), order=8, smoothing=SHARP)
    model.learn([Source(own, 0.4, own=True), Source(heard, 0.6)], rng(1))
    law = model.complete(words("ab ba cab e"), rng())
    expected = [0.4 * 2 / 3 + 0.6 / 4, 0.4 / 3, 0.6 / 2, 0.6 / 4]
    n = 20_000
    made = LATIN.decode(model.generate(n, rng(4))["latin"])
    for word, p in zip(["ab", "ba", "cab", "e"], expected, strict=True):
        assert abs(made.count(word) - n * p) < 4.5 * np.sqrt(n * p * (1 - p))
    assert (law["cyrillic"][0, :2] == [0, 1]).all()


def test_before_it_learned_it_completes_but_does_not_generate() -> None:
    model = NgramModel(BOTH)
    whole = model.complete(words("ab"), rng())
    assert (whole["cyrillic"][0, 2:] == 5).all()
    assert (whole["cyrillic"][0, :2] < 5).all()
    for ask in (lambda: model.generate(1, rng()), lambda: model.log_density(whole)):
        with pytest.raises(ValueError, match="this n-gram model has not learned yet; a player without data starts"):
            ask()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Space((Variable("x", "categorical", categories=3),)), "expected words, .* came x (categorical, shape ())"),
        (Space((Variable("x", "binary", (3,)),)), "came x (binary, shape (3,))"),
        (Space((Variable("x", "categorical", (3,), categories=1),)), "expected words"),
        (Space((LATIN.variable(3), CYRILLIC.variable(4))), "shapes (3,), (4,), expected one; give them one length"),
        (
            Space(tuple(Variable(f"x{k}", "categorical", (3,), categories=60) for k in range(4))),
            "make 12960000 symbols, expected at most 10000000",
        ),
    ],
)
def test_what_is_no_word_is_refused(space: Space, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message).replace(r"\.\*", ".*")):
        NgramModel(space)


def test_bad_options_and_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="order is 1, expected a whole number of at least 2"):
        NgramModel(ONE, order=1)
    with pytest.raises(ValueError, match="smoothing is 0, expected a number above 0"):
        NgramModel(ONE, smoothing=0)
    blank = ONE.batch({"latin": [[5] * LENGTH] * 3})
    with pytest.raises(ValueError, match="all words of a source are empty in latin; give the player the variables of"):
        NgramModel(ONE).learn([Source(words("ab"), 0.5), Source(blank, 0.5)], rng())
    other = taught(BOTH, Source(pairs("edcba"), 1.0)).state()
    with pytest.raises(
        ValueError, match=re.escape("expected (m, 6) and (m,), of symbols below 6; it is that of another")
    ):
        NgramModel(ONE).load(other)


def test_a_model_that_knows_nothing_has_a_state_too() -> None:
    model = taught(ONE, Source(words("ab"), 1.0))
    model.load(NgramModel(ONE).state())
    with pytest.raises(ValueError, match="has not learned yet"):
        model.generate(1, rng())
