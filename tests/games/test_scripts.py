"""Alphabets: words to rows and back, and Serbian in two scripts."""

import re

import numpy as np
import pytest

from nashgossip.games import Alphabet, BatchError, Space, WordError
from nashgossip.games.scripts import SERBIAN_LATIN, script_of, to_cyrillic, to_latin


def test_words_come_back_from_rows() -> None:
    latin = Alphabet("latin", "abcdefgh")
    words = ["", "a", "bad", "cabbage", "headache"]
    rows = latin.encode(words, 8)
    assert rows.shape == (5, 8)
    assert (rows[0] == latin.end).all()
    assert latin.decode(rows) == words
    assert latin.encode([], 8).shape == (0, 8)


def test_what_an_alphabet_cannot_hold_is_refused() -> None:
    latin = Alphabet("latin", "abc")
    with pytest.raises(WordError, match=re.escape("'abcab' has 5 letters, expected at most 4; make length larger")):
        latin.encode(["a", "abcab"], 4)
    with pytest.raises(WordError, match="'añb' has the letter 'ñ', which is none of the latin alphabet 'abc'"):
        latin.encode(["añb"], 4)
    with pytest.raises(WordError, match=re.escape("a row holds 0 to 4, expected 0 to 3 (the end symbol)")):
        latin.decode(np.array([[0, 4]]))


def test_a_symbol_outside_the_alphabet_is_refused_by_the_space() -> None:
    space = Space((Alphabet("latin", "abc").variable(2),))
    assert len(space.batch({"latin": [[0, 3]]})) == 1
    with pytest.raises(BatchError, match=re.escape("variable 'latin' (categorical) holds 4, above 3")) as error:
        space.batch({"latin": [[0, 4]]})
    assert error.value.reason == "range"
    with pytest.raises(BatchError, match="shape") as error:
        space.batch({"latin": [[0, 1, 3]]})
    assert error.value.reason == "shape"


def test_letters_know_their_script() -> None:
    assert [script_of(letter) for letter in "aßжαא"] == ["latin", "latin", "cyrillic", "greek", "hebrew"]
    assert [script_of(sign) for sign in "1'-º "] == ["", "", "", "masculine", ""]


def test_serbian_is_spelled_letter_for_letter_in_both_scripts() -> None:
    assert len(SERBIAN_LATIN) == 30
    assert to_cyrillic("srpski") == "српски"
    assert to_cyrillic("njegov") == "његов"
    assert to_latin(to_cyrillic("džudžan")) == "ǆuǆan"
    assert to_latin("љубав") == "ǉubav"
    assert all(to_latin(to_cyrillic(letter)) == letter for letter in SERBIAN_LATIN)
    assert to_cyrillic("injekcija") == "ињекција", "wrong, and said so: spelling does not tell n-j from nj"
