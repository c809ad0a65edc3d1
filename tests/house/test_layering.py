"""Who may import whom: the layers of the house, and the heavy libraries that few modules may ask for."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAYERS = {
    "topology": {"topology"},
    "games": {"games", "topology"},
    "agents": {"agents", "games", "topology"},
    "runners": {"runners", "agents", "games", "topology"},
}
HEAVY = {
    "ray": ["agents/actor.py", "runners/cluster*.py", "runners/study*.py"],
    "torch": ["agents/models/*"],
    "torchmetrics": ["agents/models/*"],
    "zuko": ["agents/models/*"],
}
# What a player without a network must start without.
UNWANTED = ["matplotlib", "pyarrow", "pydantic", "ray", "sklearn", "torch", "torchmetrics", "zuko"]

SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in LAYERS
    for suffix in ("*.py", "*.pyi")
    for path in (ROOT / folder).rglob(suffix)
)


@pytest.mark.parametrize("path", SOURCES)
def test_a_module_imports_only_what_its_layer_may(path):
    assert violations(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("topology/a.py", "from ..games import Game", "topology may not import games"),
        ("topology/a.py", "from .. import agents", "topology may not import agents"),
        ("games/a.py", "from ..agents.player import Player", "games may not import agents"),
        ("games/a.py", "def f():\n    from ..runners import play", "games may not import runners"),
        ("agents/models/a.py", "from ...runners import play", "agents may not import runners"),
        ("agents/__init__.pyi", "from ..runners import play", "agents may not import runners"),
        ("games/a.py", "from ... import agents", "leaves the package"),
        ("games/a.py", "from ....agents import player", "leaves the package"),
        ("agents/a.py", "import nashgossip.games", "use a relative import"),
        ("agents/a.py", "from nashgossip import games", "use a relative import"),
        ("agents/a.py", "from games import Game", "use a relative import"),
        ("agents/player.py", "import ray", "ray belongs in agents/actor.py"),
        ("runners/rounds.py", "from ray.util import queue", "ray belongs in agents/actor.py"),
        (
            "runners/play.py",
            "import importlib\nimportlib.import_module('ray')",
            "ray belongs in agents/actor.py",
        ),
        ("agents/a.py", "def f():\n    import torch.nn as nn", "torch belongs in agents/models/*"),
        ("games/data.py", "__import__('torch')", "torch belongs in agents/models/*"),
        ("agents/flow.py", "from zuko.flows import NSF", "zuko belongs in agents/models/*"),
        ("games/a.py", "def f():\n    import torchmetrics.image", "torchmetrics belongs in agents/models/*"),
    ],
)
def test_the_check_catches(path, source, expected):
    (found,) = violations(path, source)
    assert expected in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("topology/a.py", "import networkx as nx\nfrom .b import c\nfrom . import d"),
        ("games/__init__.py", "from .a import b"),
        ("games/a.py", "from ..topology import influence\nfrom .. import topology"),
        (
            "agents/models/a.py",
            "import torch\nfrom ..player import Player\nfrom ...games import Batch\nfrom .b import c",
        ),
        ("agents/actor.py", "import ray"),
        ("runners/cluster.py", "import ray\nfrom ..agents.actor import Actor"),
        ("runners/study_scan.py", "from ray import tune"),
        ("games/a.py", "import rayleigh\nimport torchlight"),
    ],
)
def test_the_check_lets_pass(path, source):
    assert violations(path, source) == []


def test_every_layer_has_its_folder():
    assert [folder for folder in LAYERS if not (ROOT / folder).is_dir()] == []


def test_a_player_without_a_network_starts_light(tmp_path):
    assert [name for name in UNWANTED if find_spec(name) is None] == [], "install the extras: make test"
    packages = "from nashgossip import agents, games, runners, topology\nfrom nashgossip.agents import models"
    names = "agents.Player, agents.ExponentialFamilyModel"
    assert loaded_by(f"{packages}\n{names}", tmp_path) == []


def test_the_light_start_check_sees_what_is_loaded(tmp_path):
    assert loaded_by("import pydantic", tmp_path) == ["pydantic"]


def loaded_by(code: str, folder: Path) -> list[str]:
    """Which unwanted modules a new interpreter in `folder`, away from the source, holds after `code`."""
    code += f"\nimport json, sys\nprint(json.dumps([name for name in {UNWANTED!r} if name in sys.modules]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def violations(path: str, source: str) -> list[str]:
    """What in `source`, the module at `path` below the root, breaks a rule of the house."""
    layer = path.split("/")[0]
    found = []
    for line, name in imports(path, source):
        head, _, rest = name.partition(".")
        if head == "nashgossip" and rest:  # a relative import, spelt out
            target = rest.split(".")[0]
            if target in LAYERS and target not in LAYERS[layer]:
                found.append(f"{path}:{line}: {layer} may not import {target}")
        elif head in LAYERS or head == "nashgossip":
            found.append(f"{path}:{line}: imports {name} absolutely; inside the package use a relative import")
        elif head == "":
            found.append(f"{path}:{line}: a relative import leaves the package")
        elif head in HEAVY and not any(fnmatch(path, pattern) for pattern in HEAVY[head]):
            found.append(f"{path}:{line}: {head} belongs in {', '.join(HEAVY[head])} alone")
    return found


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each import in `source`, wherever it stands.

    Relative imports come out as `nashgossip.<folder>...`, or empty where they climb too high; what is written
    absolutely of ours comes out as its first part alone.
    """
    package = ["nashgossip", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(source, path)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, absolute(alias.name)
            case ast.ImportFrom(level=0, module=str(module)):
                yield node.lineno, absolute(module)
            case ast.ImportFrom(level=level, module=module, names=names):
                base = package[: max(0, len(package) - level + 1)]
                if not base:
                    yield node.lineno, ""
                elif module or len(base) > 1:
                    yield node.lineno, ".".join([*base, *([module] if module else [])])
                else:
                    for alias in names:
                        yield node.lineno, f"nashgossip.{alias.name}"
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ) if not name.startswith("."):
                yield node.lineno, absolute(name)


def absolute(name: str) -> str:
    """A name written absolutely; of ours the first part alone, which tells it from a relative import."""
    return "nashgossip" if name.split(".")[0] == "nashgossip" else name
