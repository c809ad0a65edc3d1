"""What players write, as a sheet of words before and after, for whoever wants to read them."""

__all__ = ["word_sheet"]

import unicodedata
from collections.abc import Mapping

from ..games import Alphabet, Batch
from .outcome import Outcome

_WORDS = 12


def word_sheet(outcome: Outcome, words: int = _WORDS) -> str | None:
    """The first words that each player generates before the first move and after the last, one player a paragraph.

    A word in several scripts is written in all of them, `za=за`. None where players generate no words.

    Arguments:
        outcome: of a run whose examiner knows the alphabets.
        words: of each player and time.
    """
    alphabets = {} if outcome.examiner is None else outcome.examiner.alphabets
    if not alphabets:
        return None
    lines = []
    for player in outcome.players:
        for time, batches in (("before", outcome.before), ("after", outcome.after)):
            written = _written(batches.get(player.player), alphabets, words)
            if written:
                lines.append(f"{player.player} {time}: {' '.join(written)}")
        lines.append("")
    return "\n".join(lines) if any(lines) else None


def _written(batch: Batch | None, alphabets: Mapping[str, Alphabet], words: int) -> list[str]:
    """The first words of a batch, letters that Unicode joins written apart (`ǉ` as `lj`)."""
    if batch is None:
        return []
    spellings = [alphabets[v.name].decode(batch[v.name][:words]) for v in batch.space if v.name in alphabets]
    return [unicodedata.normalize("NFKC", "=".join(word)) for word in zip(*spellings, strict=True)]
