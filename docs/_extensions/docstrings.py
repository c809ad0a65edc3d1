"""What docstrings and signatures need to become pages: |x| and n_ are plain text, and types of arrays are long."""

import re
from typing import Any

from sphinx.application import Sphinx

_CODE = re.compile(r"(`[^`]*`)")
_MARK = re.compile(r"\||(?<=\w)_(?!\w)")


_ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]"
)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before the sections are read
    app.connect("autodoc-process-signature", _shorten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _escape(_app: Sphinx, _kind: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    example = False
    for number, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            parts = _CODE.split(line)  # every second one is code
            lines[number] = "".join(part if odd % 2 else _MARK.sub(r"\\\g<0>", part) for odd, part in enumerate(parts))


def _shorten(
    _app: Sphinx, _kind: str, _name: str, _thing: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    short = [text and _ARRAY.sub(r"NDArray[\1]", text) for text in (signature, returned)]
    return short[0], short[1]
