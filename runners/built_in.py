"""What comes with the package as YAML: built-in experiments and studies, by name."""

__all__ = ["built_in_names", "built_in_text"]

from importlib import resources

import yaml

_YAML = ".yaml"


def built_in_names(folder: str) -> dict[str, str]:
    """The files of a folder of this package: name → description, sorted.

    >>> "ring" in built_in_names("experiments")
    True
    """
    files = (entry for entry in resources.files(__package__).joinpath(folder).iterdir() if entry.name.endswith(_YAML))
    found = {
        file.name.removesuffix(_YAML): str(yaml.safe_load(file.read_text("utf-8"))["description"]) for file in files
    }
    return dict(sorted(found.items()))


def built_in_text(folder: str, name: str) -> str:
    """What the file of this name in a folder of this package holds."""
    return resources.files(__package__).joinpath(folder, f"{name}{_YAML}").read_text("utf-8")
