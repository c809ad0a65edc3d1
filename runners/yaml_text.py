"""YAML as text of plain values: no tags that make objects, no bombs, nothing that cannot be written back."""

__all__ = ["YamlError", "read_yaml"]

from typing import Any

import yaml

_LONGEST = 1 << 24
_MOST_VALUES = 1_000_000
_LONGEST_NUMBER = _DEEPEST = 100
_TOO_DEEP = f"it is nested more than {_DEEPEST} deep; make it flatter"
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
_DATE = "tag:yaml.org,2002:timestamp"


class YamlError(ValueError):
    """A text that is not YAML of plain values: it breaks the grammar, or holds what no setting can be.

    Not `ExperimentError` or `StudyError`, which also say where the text comes from.
    """


def read_yaml(text: str) -> Any:
    """The dictionaries, lists, texts, numbers, booleans and None that a text in YAML holds.

    Arguments:
        text: at most 16 MiB, of at most 1,000,000 values once its aliases are written out.

    Raises:
        YamlError: it is not YAML, holds a tag, a date or a number of more than 100 digits, or refers to itself; or it
            is too long, or more than 100 deep.

    >>> read_yaml("play: {moves: 100}")
    {'play': {'moves': 100}}
    """
    if len(text) > _LONGEST:
        raise YamlError(f"it has {len(text)} characters, expected at most {_LONGEST}; put long lists into files")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        count = _values(node, {})
        if count > _MOST_VALUES:
            raise YamlError(f"it has {count:.3g} values once aliases are written out, expected at most {_MOST_VALUES}")
        return loader.construct_document(node)
    except YamlError:
        raise
    except RecursionError:
        raise YamlError(_TOO_DEEP) from None
    except Exception as error:  # PyYAML raises whatever its constructors meet
        words = " ".join(str(error).split()) if isinstance(error, yaml.YAMLError) else "a value does not fit its tag"
        raise YamlError(words) from None


def _values(node: yaml.Node, known: dict[int, int | None], depth: int = 0) -> int:
    """How many values a node stands for, aliases written out; every one of them is one that settings can be."""
    found = known.get(id(node), 0)
    if found is None:
        raise YamlError("it holds an alias of what the alias is in; write it out")
    if found:
        return found
    if depth > _DEEPEST:
        raise YamlError(_TOO_DEEP)
    known[id(node)] = None
    _require_plain(node)
    inner: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
    parts = [part for pair in inner for part in pair] if isinstance(node, yaml.MappingNode) else inner
    found = known[id(node)] = 1 + sum(_values(part, known, depth + 1) for part in parts)
    return found


def _require_plain(node: yaml.Node) -> None:
    if node.tag == _DATE:
        raise YamlError(f"it holds {node.value}, which YAML takes for a date; put it in quotes")
    if node.tag not in _PLAIN:
        raise YamlError(f"it holds the tag {node.tag!r:.80}, expected plain values; leave the tag out")
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith((":int", ":float")) and len(node.value) > _LONGEST_NUMBER:
            raise YamlError(f"it holds a number of {len(node.value)} digits, expected at most {_LONGEST_NUMBER}")
        try:
            node.value.encode()
        except UnicodeEncodeError:
            raise YamlError(f"it holds {node.value!r:.40}, which is no text; leave surrogates out") from None
