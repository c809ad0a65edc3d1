"""Words of several languages as often as they are used: frequency lists of wordfreq, and rows drawn from them."""

__all__ = ["Lexicon", "WordList", "load_words", "read_word_list"]

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..topology.names import require_name
from .dataset_errors import DatasetNotFound, DatasetOptionError
from .datasets import Dataset
from .scripts import SERBIAN_LATIN, Alphabet, script_of, to_cyrillic, to_latin
from .space import Space, Variable

_RAREST = 2e-4
"""Share of all letters below which a letter is taken for a foreign one."""
_MOST_LETTERS = 150
_MORE = 2
"""Words read for each one wanted: some are left out."""
_FIRST = 500
"""Most frequent words, which tell the script of a language."""
_SERBIAN = "sr"
_SERBIAN_LIST = "sh"
"""wordfreq keeps Serbian in Latin letters, in one list with Bosnian and Croatian."""


@dataclass(frozen=True, eq=False)
class WordList:
    """The most frequent words of a language.

    Arguments:
        language: its code.
        spellings: script → the words in that script, in one order. Serbian has two scripts, the others one.
        frequencies: of the words, `[m]`, summing to 1, most frequent first.
        left_out: reason → share of running text, relative to all that was read, that words left out make up:
            `script` (a sign that is no letter of the language's script), `letter` (a letter too rare in the language,
            a foreign one mostly), `length`.
    """

    language: str
    spellings: Mapping[str, tuple[str, ...]]
    frequencies: NDArray[np.float64]
    left_out: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Word lists of several languages over the alphabets of their scripts.

    Arguments:
        lists: one for each language.
        length: most letters of a word.

    Raises:
        DatasetOptionError: no language, one twice, or a script with more than 150 letters.

    The alphabet of a script has the letters of all languages written in it.
    """

    lists: tuple[WordList, ...]
    length: int

    def __post_init__(self) -> None:
        twice = [code for code, count in Counter(self.languages).items() if count > 1]
        if not self.lists or twice:
            raise DatasetOptionError(
                f"languages are {', '.join(self.languages) or 'none'}, expected at least one, each once"
            )
        for alphabet in self.alphabets.values():
            if len(alphabet.letters) > _MOST_LETTERS:
                raise DatasetOptionError(
                    f"the {alphabet.script} alphabet has {len(alphabet.letters)} letters, expected at most "
                    f"{_MOST_LETTERS}; leave out languages that write syllables or words with one sign each"
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages, in the order of the classes."""
        return tuple(words.language for words in self.lists)

    @cached_property
    def alphabets(self) -> Mapping[str, Alphabet]:
        """Script → its alphabet, in the order in which the languages name the scripts."""
        letters: dict[str, set[str]] = {}
        for words in self.lists:
            for script, spelled in words.spellings.items():
                letters.setdefault(script, set()).update(*spelled)
        return {script: Alphabet(script, "".join(sorted(some))) for script, some in letters.items()}

    @cached_property
    def space(self) -> Space:
        """`language`, the class, and one variable for each script."""
        scripts = [alphabet.variable(self.length) for alphabet in self.alphabets.values()]
        return Space((Variable("language", "categorical", categories=len(self.lists)), *scripts))

    def dataset(self, rows: int, *, seed: int = 0) -> Dataset:
        """`rows` words of each language, drawn independently with their frequencies.

        A language has the empty word in the scripts in which it is not written.

        Raises:
            DatasetOptionError: fewer than one row.
        """
        if not isinstance(rows, int) or rows < 1:
            raise DatasetOptionError(f"rows is {rows!r}, expected a whole number of at least 1")
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        drawn = [rng.choice(len(words.frequencies), rows, p=words.frequencies) for words in self.lists]
        arrays: dict[str, NDArray[Any]] = {"language": np.repeat(np.arange(len(self.lists)), rows)}
        for script, alphabet in self.alphabets.items():
            blank = ("",) * max(len(words.frequencies) for words in self.lists)
            parts = [
                alphabet.encode(words.spellings.get(script, blank), self.length)[chosen]
                for words, chosen in zip(self.lists, drawn, strict=True)
            ]
            arrays[script] = np.concatenate(parts)
        return Dataset("words", self.space.batch(arrays), "language")

    @classmethod
    def read(cls, languages: Sequence[str], *, length: int = 12, top: int = 5000) -> "Lexicon":
        """The lexicon of these languages from wordfreq; see `read_word_list`."""
        if isinstance(languages, str):
            raise DatasetOptionError(f"languages is {languages!r}, expected a list of codes, such as [en, de]")
        return cls(tuple(read_word_list(code, length=length, top=top) for code in languages), length)


def load_words(
    *, languages: Sequence[str] = (), rows: int = 2000, length: int = 12, top: int = 5000, seed: int = 0
) -> Dataset:
    """Words of several languages, as often as they are used: `rows` of each, drawn from its most frequent ones.

    Variables: `language`, the class, in the order of `languages`, and for each script that they are written in a word
    of at most `length` letters (`Alphabet`), by the name of the script: `latin`, `cyrillic`, `greek`, …

    Arguments:
        languages: codes that wordfreq knows, and `sr`, whose words come in both of its scripts.
        rows: words of each language.
        length: most letters of a word; longer ones are left out.
        top: how many words of each language there are to draw from.
        seed: of the draws.

    Raises:
        DatasetNotFound: wordfreq is not installed.
        UnknownNameError: a language that it has no list of; the nearest is suggested.
        DatasetOptionError: a value out of range, a language with too few such words, or a script with more than 150
            letters.

    Source: R. Speer, *rspeer/wordfreq: v3.0*, 2022.
    """
    return Lexicon.read(languages, length=length, top=top).dataset(rows, seed=seed)


def read_word_list(language: str, *, length: int = 12, top: int = 5000) -> WordList:
    """The `top` most frequent words of a language that have at most `length` letters of its script.

    The script of a language is the one that most of its running text is in; its letters are those that make up at
    least 2 in 10,000 of its letters.

    Arguments: as those of `load_words`.

    Raises: as `load_words`.
    """
    for name, value in (("length", length), ("top", top)):
        if not isinstance(value, int) or value < 1:
            raise DatasetOptionError(f"{name} is {value!r}, expected a whole number of at least 1")
    words, frequencies = _frequent(language, _MORE * top + 1000)
    script = _main_script(words, frequencies)
    letters = _common_letters(words, frequencies, script)
    if language == _SERBIAN:
        letters &= set(SERBIAN_LATIN)
    left_out = dict.fromkeys(("script", "letter", "length"), 0.0)
    kept: list[float] = []
    spelled: dict[str, list[str]] = {}
    for word, frequency in zip(words, frequencies, strict=True):
        if len(kept) == top:
            break
        spellings = _spellings(language, script, word)
        if not all(script_of(letter) == script for letter in word):
            left_out["script"] += frequency
        elif not letters.issuperset(word):
            left_out["letter"] += frequency
        elif max(map(len, spellings.values())) > length:
            left_out["length"] += frequency
        else:
            kept.append(frequency)
            for name, spelling in spellings.items():
                spelled.setdefault(name, []).append(spelling)
    if len(kept) < top:
        raise DatasetOptionError(
            f"of the {len(words)} most frequent words of language {language!r} {len(kept)} have at most {length} "
            f"letters of one script, expected {top}; make top smaller or length larger"
        )
    total = sum(kept) + sum(left_out.values())
    shares = {reason: share / total for reason, share in left_out.items()}
    return WordList(language, {k: tuple(v) for k, v in spelled.items()}, np.array(kept) / sum(kept), shares)


def _frequent(language: str, most: int) -> tuple[list[str], list[float]]:
    """The most frequent words of a language and their frequencies, as wordfreq has them."""
    try:
        import wordfreq
    except ModuleNotFoundError as error:
        raise DatasetNotFound(
            f"word lists need the extra 'languages', and {error.name} is not installed: pip install "
            "'nashgossip[languages]', or make install-dev in a checkout"
        ) from None
    known = {*wordfreq.available_languages("small"), _SERBIAN}
    require_name("language", str(language), known)
    buckets = wordfreq.get_frequency_list(_SERBIAN_LIST if language == _SERBIAN else language, "small")
    words: list[str] = []
    frequencies: list[float] = []
    for centibels, bucket in enumerate(buckets):
        words += bucket
        frequencies += [10.0 ** (-centibels / 100)] * len(bucket)
        if len(words) >= most:
            break
    return words, frequencies


def _main_script(words: Sequence[str], frequencies: Sequence[float]) -> str:
    shares: dict[str, float] = defaultdict(float)
    for word, frequency in zip(words[:_FIRST], frequencies, strict=False):
        for letter in word:
            shares[script_of(letter)] += frequency
    shares.pop("", None)
    return max(shares, key=lambda script: (shares[script], script), default="")


def _common_letters(words: Sequence[str], frequencies: Sequence[float], script: str) -> set[str]:
    shares: dict[str, float] = defaultdict(float)
    for word, frequency in zip(words, frequencies, strict=True):
        for letter in word:
            if script_of(letter) == script:
                shares[letter] += frequency
    total = sum(shares.values())
    return {letter for letter, share in shares.items() if share >= _RAREST * total}


def _spellings(language: str, script: str, word: str) -> dict[str, str]:
    if language != _SERBIAN:
        return {script: word}
    cyrillic = to_cyrillic(word)
    return {"latin": to_latin(cyrillic), "cyrillic": cyrillic}
