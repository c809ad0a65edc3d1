"""Word lists of wordfreq, and rows drawn with their frequencies."""

import re
import sys

import numpy as np
import pytest

from nashgossip.games import (
    DatasetNotFound,
    DatasetOptionError,
    Lexicon,
    WordList,
    load_dataset,
    load_words,
    read_word_list,
)
from nashgossip.topology import UnknownNameError


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    pytest.importorskip("wordfreq", reason="needs the extra 'languages'")
    return Lexicon.read(["en", "de", "sr", "ru"], top=2000)


def made_up(language: str, words: str, script: str = "latin") -> WordList:
    listed = tuple(words.split())
    return WordList(language, {script: listed}, np.full(len(listed), 1 / len(listed)), {})


def test_a_list_holds_the_most_frequent_words_of_its_script(lexicon: Lexicon) -> None:
    english, german, serbian, russian = lexicon.lists
    assert english.spellings["latin"][:3] == ("the", "to", "and")
    assert set("ü") <= set("".join(german.spellings["latin"]))
    assert list(russian.spellings) == ["cyrillic"]
    for words in lexicon.lists:
        assert words.frequencies.sum() == pytest.approx(1)
        assert (np.diff(words.frequencies) <= 0).all()
        assert max(len(word) for some in words.spellings.values() for word in some) <= 12
        assert set(words.left_out) == {"script", "letter", "length"}
        assert 0 < sum(words.left_out.values()) < 0.1
    latin, cyrillic = serbian.spellings["latin"], serbian.spellings["cyrillic"]
    assert [len(a) == len(b) for a, b in zip(latin, cyrillic, strict=True)] == [True] * 2000
    assert ("za", "за") in zip(latin, cyrillic, strict=True)


def test_an_alphabet_has_the_letters_of_all_its_languages(lexicon: Lexicon) -> None:
    assert list(lexicon.alphabets) == ["latin", "cyrillic"]
    assert set("äöüčšž") <= set(lexicon.alphabets["latin"].letters)
    assert set("ыэљњ") <= set(lexicon.alphabets["cyrillic"].letters)
    assert not set("wxy") & set(lexicon.alphabets["cyrillic"].letters)
    assert lexicon.space.names == ("language", "latin", "cyrillic")


def test_rows_are_drawn_with_the_frequencies(lexicon: Lexicon) -> None:
    n = 20_000
    batch = lexicon.dataset(n, seed=1).batch
    words = lexicon.alphabets["latin"].decode(batch["latin"][batch["language"] == 0])
    p = lexicon.lists[0].frequencies
    counts = np.array([words.count(word) for word in lexicon.lists[0].spellings["latin"][:30]])
    assert (np.abs(counts - n * p[:30]) < 4.5 * np.sqrt(n * p[:30])).all()


def test_a_language_has_the_empty_word_in_other_scripts(lexicon: Lexicon) -> None:
    batch = lexicon.dataset(50).batch
    empty = {script: (batch[script] == alphabet.end).all(axis=1) for script, alphabet in lexicon.alphabets.items()}
    for c, scripts in enumerate([{"latin"}, {"latin"}, {"latin", "cyrillic"}, {"cyrillic"}]):
        for script, blank in empty.items():
            assert set(blank[batch["language"] == c]) == {script not in scripts}


def test_one_seed_is_one_data_set(lexicon: Lexicon) -> None:
    assert lexicon.dataset(50, seed=3).batch == lexicon.dataset(50, seed=3).batch
    assert lexicon.dataset(50, seed=3).batch != lexicon.dataset(50, seed=4).batch


def test_it_is_a_data_set_by_name() -> None:
    pytest.importorskip("wordfreq", reason="needs the extra 'languages'")
    found = load_dataset("words", languages=["en", "it"], rows=30, top=100, length=6, seed=2)
    assert (found.name, found.label, found.classes, len(found)) == ("words", "language", 2, 60)
    assert found.batch == load_words(languages=["en", "it"], rows=30, top=100, length=6, seed=2).batch
    with pytest.raises(UnknownNameError, match="unknown option of data set 'words', 'row'; did you mean 'rows'?"):
        load_dataset("words", row=3)


def test_without_wordfreq_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(DatasetNotFound, match=re.escape("wordfreq is not installed: pip install 'nashgossip[languag")):
        read_word_list("en")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["en", "deu"]}, "unknown language 'deu'; did you mean 'de'?"),
        (
            {"languages": ["ja"], "top": 3000},
            "words of language 'ja' [0-9]+ have at most 12 letters of one script, expected 3000",
        ),
        ({"languages": ["en"], "top": 100, "length": 0}, "length is 0, expected a whole number of at least 1"),
        ({"languages": ["en"], "top": 0}, "top is 0, expected a whole number of at least 1"),
        ({"languages": ["en"], "top": 10, "rows": 0}, "rows is 0, expected a whole number of at least 1"),
        ({"languages": ["ko"], "top": 2000}, "the hangul alphabet has 4.. letters, expected at most 150; leave out"),
        ({"languages": ["en", "en"], "top": 10}, "languages are en, en, expected at least one, each once"),
        ({}, "languages are none, expected at least one"),
        ({"languages": "en"}, "languages is 'en', expected a list of codes"),
    ],
)
def test_bad_requests_are_refused(options: dict[str, object], message: str) -> None:
    pytest.importorskip("wordfreq", reason="needs the extra 'languages'")
    with pytest.raises((DatasetOptionError, UnknownNameError), match=message):
        load_words(**options)  # type: ignore[arg-type]


def test_lists_of_ones_own_need_no_wordfreq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    lexicon = Lexicon((made_up("x", "ab ba"), made_up("y", "гад", "cyrillic")), 4)
    batch = lexicon.dataset(5).batch
    assert set(lexicon.alphabets["latin"].decode(batch["latin"])) == {"ab", "ba", ""}
    assert lexicon.alphabets["cyrillic"].letters == "агд"
