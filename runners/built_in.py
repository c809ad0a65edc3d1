"""What comes with the package as YAML: built-in experiments and studies, by name."""

__all__ = ["built_in_list", "built_in_names", "built_in_text"]

from importlib import resources

import yaml

_YAML = ".yaml"


def built_in_names(folder: str) -> dict[str, str]:
    """The files of a folder of this package: name → description, sorted.

    >>> "ring" in built_in_names("experiments")
    True
    """
    texts = {name: built_in_text(folder, name) for name in built_in_list(folder)}
    return {name: str(yaml.safe_load(text)["description"]) for name, text in texts.items()}


def built_in_list(folder: str) -> list[str]:
    """The names alone, sorted: no file is read."""
    entries = resources.files(__package__).joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(_YAML) for entry in entries if entry.name.endswith(_YAML))


def built_in_text(folder: str, name: str) -> str:
    """What the file of this name in a folder of this package holds."""
    return resources.files(__package__).joinpath(folder, f"{name}{_YAML}").read_text("utf-8")
