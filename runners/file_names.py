"""File names made of any text, which stay in their folder and differ from each other."""

__all__ = ["file_name", "readable", "require_file_name"]

import unicodedata

_ALLOWED = "-_."
_BYTES = 80
_LONGEST = 255


def file_name(name: str, index: int) -> str:
    """A file name for the player called `name`, the `index`-th of all: safe on every file system, unique, readable.

    Letters and digits of any script stay, as do `-`, `_` and dots inside; all else becomes `_`. Names that differ in
    nothing else, or in capitals alone on a file system that ignores them, differ by the index before them.

    Arguments:
        name: any text.
        index: of the player, from 0.

    Returns:
        At most 80 bytes of UTF-8 after the index and a hyphen, without separator or control character.

    Raises:
        ValueError: a negative index.

    >>> file_name("St. Mary's/ward 3", 7), file_name("../../etc/passwd", 12), file_name("больница", 0), file_name("", 1)
    ('00007-St._Mary_s_ward_3', '00012-etc_passwd', '00000-больница', '00001')
    """
    if index < 0:
        raise ValueError(f"index is {index}, expected the position of the player, from 0")
    return f"{index:05d}-{readable(name)}".rstrip("-")


def readable(name: str) -> str:
    """What of a text can stand in a file name: letters, digits, `-`, `_`, and dots inside.

    At most 80 bytes of UTF-8, and maybe nothing.

    >>> readable("a b/c"), readable("..")
    ('a_b_c', '')
    """
    plain = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in _ALLOWED else "_" for c in plain).strip(_ALLOWED)
    return kept.encode()[:_BYTES].decode(errors="ignore").rstrip(_ALLOWED)


def require_file_name(name: str) -> str:
    """The name again, if it names an entry of a folder and nothing else.

    Raises:
        ValueError: it is empty, hidden, too long, or leads elsewhere.
    """
    try:
        long = len(name.encode()) > _LONGEST
    except UnicodeEncodeError:
        long = True
    if not name or long or name.startswith(".") or any(c in "/\\" or not c.isprintable() for c in name):
        raise ValueError(
            f"{name!r:.80} is no file name, expected 1 to {_LONGEST} bytes without separators, control characters or a "
            "dot at the front; make one with runners.file_name(name, index)"
        )
    return name
