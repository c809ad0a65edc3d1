"""Alphabets of scripts: words as rows of letters and an end symbol, and one language's spellings in two scripts."""

__all__ = ["SERBIAN_LATIN", "Alphabet", "WordError", "script_of", "to_cyrillic", "to_latin"]

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .space import Variable

SERBIAN_LATIN = "abvgdđežzijklǉmnǌoprstćufhcčǆš"
"""Gaj's alphabet, in the order of the Cyrillic one; `ǉ, ǌ, ǆ` are written as two letters each."""
_SERBIAN_CYRILLIC = "абвгдђежзијклљмнњопрстћуфхцчџш"


class WordError(ValueError):
    """A word that an alphabet cannot hold: a letter that it lacks, or more letters than fit.

    Not `BatchError`, which is about rows of numbers that are no rows of an alphabet's variable.
    """


@dataclass(frozen=True)
class Alphabet:
    """The letters of one script in a game, and the end symbol behind them.

    A word is a row of `length` categories: the positions of its letters in `letters`, then the end symbol,
    `len(letters)`, up to the end. All players that read the script have this alphabet, so that a word of one fits the
    variable of another; letters that a language lacks its words just never have.

    Arguments:
        script: the name of the variable, such as `latin`.
        letters: each letter once.

    >>> latin = Alphabet("latin", "abc")
    >>> rows = latin.encode(["cab", "a"], 4)
    >>> rows.tolist()
    [[2, 0, 1, 3], [0, 3, 3, 3]]
    >>> latin.decode(rows)
    ['cab', 'a']
    """

    script: str
    letters: str

    @property
    def end(self) -> int:
        """The end symbol."""
        return len(self.letters)

    def variable(self, length: int) -> Variable:
        """A word of at most `length` letters."""
        return Variable(self.script, "categorical", (length,), categories=len(self.letters) + 1)

    def encode(self, words: Sequence[str], length: int) -> NDArray[np.int32]:
        """Words as rows of categories: `[n, length]`.

        Raises:
            WordError: a letter that is not in the alphabet, or a word of more than `length` letters.
        """
        rows = np.full((len(words), length), self.end, np.int32)
        for row, word in zip(rows, words, strict=True):
            if len(word) > length:
                raise WordError(f"{word!r} has {len(word)} letters, expected at most {length}; make length larger")
            try:
                row[: len(word)] = [self._places[letter] for letter in word]
            except KeyError as error:
                raise WordError(
                    f"{word!r} has the letter {error.args[0]!r}, which is none of the {self.script} alphabet "
                    f"{self.letters!r}"
                ) from None
        return rows

    def decode(self, rows: ArrayLike) -> list[str]:
        """The words of rows `[n, length]`: what stands before the first end symbol.

        Raises:
            WordError: a number that is no letter and not the end symbol.
        """
        array: NDArray[Any] = np.asarray(rows)
        if array.size and not 0 <= array.min() <= array.max() <= self.end:
            raise WordError(f"a row holds {array.min()} to {array.max()}, expected 0 to {self.end} (the end symbol)")
        symbols = [*self.letters, "\n"]
        return ["".join(symbols[k] for k in row).partition("\n")[0] for row in array.tolist()]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {letter: k for k, letter in enumerate(self.letters)}


@cache
def script_of(letter: str) -> str:
    """The script of a letter, by its Unicode name: `latin`, `cyrillic`, `greek`, …; empty for what is no letter.

    >>> script_of("é"), script_of("ж"), script_of("7")
    ('latin', 'cyrillic', '')
    """
    if unicodedata.category(letter)[0] not in "LM" or unicodedata.category(letter) == "Lm":
        return ""
    return unicodedata.name(letter, "").partition(" ")[0].lower()


def to_cyrillic(word: str) -> str:
    """A Serbian word in Latin letters, in Cyrillic ones; `lj, nj, dž` are one letter each.

    In a few loan-words they are two (`injekcija`), which spelling alone does not tell: they come out wrong.

    >>> to_cyrillic("ljubav"), to_cyrillic("džep")
    ('љубав', 'џеп')
    """
    return "".join(_CYRILLIC.get(letter, letter) for letter in _joined(word))


def to_latin(word: str) -> str:
    """A Serbian word in Cyrillic letters, in Latin ones, one for one: `љ` is the single letter `ǉ` (U+01C9).

    >>> to_latin("љубав")
    'ǉubav'
    """
    return "".join(_LATIN.get(letter, letter) for letter in word)


def _joined(word: str) -> str:
    for pair, letter in _PAIRS:
        word = word.replace(pair, letter)
    return word


_PAIRS = (("lj", "ǉ"), ("nj", "ǌ"), ("dž", "ǆ"))
_CYRILLIC = dict(zip(SERBIAN_LATIN, _SERBIAN_CYRILLIC, strict=True))
_LATIN = {cyrillic: latin for latin, cyrillic in _CYRILLIC.items()}
