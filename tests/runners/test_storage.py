"""Runs on any storage: plain paths stay what they are, URLs reach what fsspec reaches, files are whole or not there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner, Result
from upath import UPath

from nashgossip.runners import RunDirectory, RunDirectoryError, StorageError, command, read_records, run_path
from nashgossip.runners.checkpoint import checkpoints
from nashgossip.runners.storage import is_local, listing, write_whole


class ObjectStore(MemoryFileSystem):  # type: ignore[misc]
    """As strict as an object store: nothing is appended to or renamed, and a folder is there only by its objects."""

    protocol = "objects"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("objects://", "memory://")))

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """There are no folders."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """There are no folders."""

    def mv(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("objects cannot be renamed")

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode not in ("rb", "wb", "xb"):
            raise NotImplementedError(f"objects cannot be opened as {mode}")
        return super()._open(path, mode, **options)


@pytest.fixture(autouse=True)
def object_store() -> None:
    fsspec.register_implementation("objects", ObjectStore, clobber=True)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("text", ["runs/ring", "/tmp/run", ".", "a:b", "memory:/run", "x::y", "~/run", "C:\\run"])
def test_a_plain_path_stays_one(text: str) -> None:
    path = run_path(text)
    assert type(path) is type(Path())
    assert path == Path(text)
    assert run_path(path) is path
    assert is_local(path)


@pytest.mark.parametrize("text", ["file:///tmp/a/run", "local:///tmp/a/run"])
def test_a_url_of_a_local_file_is_a_plain_path(text: str) -> None:
    assert run_path(text) == Path("/tmp/a/run")
    assert run_path(UPath(text)) == Path("/tmp/a/run")


def test_other_urls_are_paths_elsewhere() -> None:
    for text in ("memory://a/run", "objects://a/run"):
        path = run_path(text)
        assert isinstance(path, UPath)
        assert not is_local(path)
        assert str(path / "records").endswith("a/run/records")
        assert run_path(path) is path


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nosuch://a/run", "is on a storage 'nosuch' that is unknown here, expected a local path or a URL such as"),
        ("s3://bucket/run", "is on a storage 's3' whose package is not installed: Install s3fs"),
        ("gs://bucket/run", "is on a storage 'gs' whose package is not installed: Please install gcsfs"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_refused(url: str, told: str, tmp_path: Path, monkeypatch: Any) -> None:
    if "s3" in url or "gs" in url:  # as where the package is not installed, whether it is here or not
        monkeypatch.setitem(sys.modules, "s3fs", None)
        monkeypatch.setitem(sys.modules, "gcsfs", None)
        for protocol in ("s3", "gs"):
            monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, protocol, raising=False)
    with pytest.raises(StorageError, match=f"{url} {told}"):
        run_path(url)
    monkeypatch.chdir(tmp_path)
    for arguments in (["run", "ring", "--out", url, "--json"], ["resume", url], ["run", f"{url}/plan.yaml"]):
        result = call(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


class SealedStore(ObjectStore):
    """Tells that it cannot be written to as such storages do: by an error of its own kind, once a file is opened."""

    protocol = "sealed"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        raise RuntimeError("no credentials")


def test_a_storage_that_cannot_be_written_to_is_refused() -> None:
    fsspec.register_implementation("sealed", SealedStore, clobber=True)
    told = "a/run cannot be made: RuntimeError: no credentials; check the URL and the access to its storage"
    with pytest.raises(RunDirectoryError, match=told):
        RunDirectory("sealed://a/run")
    result = call("run", "ring", "--out", "sealed://a/run")
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_whole(path, b"first")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("os.fsync", "os.replace"):
        with monkeypatch.context() as patched:
            patched.setattr(name, full)
            with pytest.raises(OSError, match="No space left"):
                write_whole(path, b"second")
        assert path.read_bytes() == b"first"
        assert os.listdir(tmp_path) == ["a"]
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"


def test_a_listing_is_by_name_and_empty_where_there_is_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path / "x", run_path(f"memory://{tmp_path.name}/x"), run_path(f"objects://{tmp_path.name}/x")):
        assert listing(folder) == []
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("b", "a", "c"):
            write_whole(folder / name, b"")
        assert [path.name for path in listing(folder)] == ["a", "b", "c"]
        assert listing(folder / "a") == []


RING = ["ring", "--runner", "virtual", "--set", "play.moves=12", "--set", "play.checkpoint_seconds=1e-9"]


@pytest.mark.parametrize("storage", ["memory", "objects"])
def test_a_run_elsewhere_is_that_of_a_local_folder(storage: str, tmp_path: Path) -> None:
    url = f"{storage}://{tmp_path.name}/runs/ring"
    for out in (url, str(tmp_path / "ring")):
        result = call("run", *RING, "--out", out, "--json")
        assert result.exit_code == 0, result.output
    there, here = run_path(url), tmp_path / "ring"
    assert [path.name for path in listing(there)] == [path.name for path in listing(here)]
    assert [path.name for path in listing(there / "records")] == [path.name for path in listing(here / "records")]
    for name in ("experiment.yaml", "graph.graphml", "players.json", "convergence.png"):
        assert (there / name).read_bytes() == (here / name).read_bytes(), name
    for table in ("run", "players", "looks"):
        assert read_records(f"{url}/records", table).equals(read_records(here / "records", table))
    assert [path.name for path in checkpoints(there / "checkpoints")] == [
        "000000010.safetensors",
        "000000011.safetensors",
    ]
    again = call("run", *RING, "--out", url)
    assert again.exit_code == 2
    assert f"{there} exists already; choose another --out, or move it away" in " ".join(again.stderr.split())


@pytest.mark.parametrize("storage", ["memory", "objects"])
def test_a_run_elsewhere_resumes(storage: str, tmp_path: Path) -> None:
    url = f"{storage}://{tmp_path.name}/runs/ring"
    assert call("run", *RING, "--out", url).exit_code == 0
    run = run_path(url)
    before = read_records(run / "records", "players")
    (run / "summary.json").unlink()
    checkpoints(run / "checkpoints")[-1].unlink()
    result = call("resume", url, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((run / "summary.json").read_text())
    assert read_records(run / "records", "players").equals(before)
    nowhere = call("resume", f"{storage}://{tmp_path.name}/nowhere")
    assert nowhere.exit_code == 2
    assert "is no run directory: it holds no experiment.yaml" in " ".join(nowhere.stderr.split())


def test_a_file_url_on_the_command_line_is_a_local_folder(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/ring"
    arguments = [sys.executable, "-m", "nashgossip.runners", "run", *RING, "--out", url, "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "ring" / "summary.json").read_text("utf-8"))
    resumed = call("resume", url, "--json")
    assert json.loads(resumed.stdout)["nash_gap"] == json.loads(done.stdout)["nash_gap"]


def test_credentials_in_a_url_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["nashgossip", "run", "--out", "ftp://me:secret@host/run", "mail@home"]
    monkeypatch.setattr(sys, "argv", words)
    assert call("run", "ring", "--set", "play.moves=2", "--out", str(tmp_path / "ring")).exit_code == 0
    about = json.loads((tmp_path / "ring" / "about.json").read_text("utf-8"))
    assert about["command"] == [*words[:3], "ftp://host/run", "mail@home"]
