"""What is built and installed: all of our four folders, under `nashgossip`, and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["agents", "games", "runners", "topology"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INFO = f"nashgossip-{PROJECT['version']}.dist-info"


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path and content of each file below `folder` that belongs to the package."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by way of the source distribution, so that this one too is known to be complete."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_a_folder_is_in_the_wheel(wheel, folder):
    prefix = f"nashgossip/{folder}/"
    packed = {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}
    expected = set(files_below(ROOT / folder))
    assert packed == expected
    assert {"__init__.py", "__init__.pyi", "py.typed"} <= packed


def test_the_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel.namelist()} == {"nashgossip", INFO}
    assert {name.split("/")[1] for name in wheel.namelist() if name.startswith("nashgossip/")} == set(FOLDERS)


def test_metadata_of_the_wheel(wheel):
    metadata = Parser().parsestr(wheel.read(f"{INFO}/METADATA").decode())
    assert metadata["Name"] == "nashgossip"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert "Apache License" in wheel.read(f"{INFO}/licenses/LICENSE").decode()


def test_what_few_need_is_asked_for_by_an_extra_alone(wheel):
    required = Parser().parsestr(wheel.read(f"{INFO}/METADATA").decode()).get_all("Requires-Dist")
    always = [line for line in required if "extra ==" not in line]
    assert len(always) == len(PROJECT["dependencies"])
    assert [line for line in always if line.startswith(("torch", "zuko", "pytest", "mypy", "ruff"))] == []


def test_the_command_is_declared_and_can_be_loaded(wheel):
    assert "nashgossip = nashgossip.runners.command:main" in wheel.read(f"{INFO}/entry_points.txt").decode()
    (command,) = entry_points(group="console_scripts", name="nashgossip")
    assert callable(command.load())


def test_only_nashgossip_is_installed(tmp_path):
    installed = distribution("nashgossip")
    assert installed.version == PROJECT["version"]
    tops = {file.parts[0] for file in installed.files if file.parts[0] != ".."}
    assert tops == {"nashgossip", INFO}
    probe = f"from importlib.util import find_spec; print([n for n in {FOLDERS!r} if find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_installed_is_this_checkout(folder):
    (place,) = find_spec(f"nashgossip.{folder}").submodule_search_locations
    installed, here = files_below(Path(place)), files_below(ROOT / folder)
    differ = sorted(name for name in installed.keys() | here.keys() if installed.get(name) != here.get(name))
    assert differ == [], "the installed package is not this checkout: make install"


def test_the_lock_covers_every_dependency():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {normal(name) for name in locked}
    asked = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    wanted = {normal(line.split(">=")[0].split("[")[0]) for line in asked} - {"nashgossip"}
    assert wanted - names == set()
    assert locked["torch"] == "2.13.0"
    assert [name for name in names if name.startswith(("cuda", "nvidia", "triton"))] == []
    assert [version for version in locked.values() if "+" in version] == [], "a local version is not on any index"


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")
