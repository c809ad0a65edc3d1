"""File names made of any text: they stay where they are put, and differ."""

import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nashgossip.runners import RunDirectory, file_name
from nashgossip.runners.file_names import readable, require_file_name

ANYTHING = st.text(st.characters(codec=None), max_size=300)  # lone surrogates included
NASTY = ["", ".", "..", "../..", "/etc/passwd", "a\0b", "C:\\x", "~", "-rf", "\ud800", "é" * 200, "x\n", "nul", " "]


@given(name=ANYTHING | st.sampled_from(NASTY), index=st.integers(0, 10**7))
def test_a_file_name_is_safe_whatever_the_name(name: str, index: int) -> None:
    made = file_name(name, index)
    assert require_file_name(made) == made
    assert made.startswith(f"{index:05d}")
    assert len(made.encode()) <= 100
    assert not set(made) & set('/\\:*?"<>|\0\n ')
    assert made == made.rstrip("-._")
    folder = Path("/runs/one")
    assert (folder / made).parent == folder
    assert unicodedata.normalize("NFC", made) == made


@settings(max_examples=30, deadline=None)
@given(names=st.lists(ANYTHING | st.sampled_from(NASTY), min_size=2, max_size=20))
@example(names=NASTY)
@example(names=["Ward", "ward", "WARD", "ward"])
def test_files_of_all_players_differ_and_can_be_made(names: list[str]) -> None:
    made = [file_name(name, index) for index, name in enumerate(names)]
    assert len({name.casefold() for name in made}) == len(names)
    with tempfile.TemporaryDirectory() as folder:
        for name in made:
            (Path(folder) / name).write_text(name)
        assert sorted(path.name for path in Path(folder).iterdir()) == sorted(made)


def test_what_can_stay_stays() -> None:
    assert file_name("St. Mary's/ward 3", 7) == "00007-St._Mary_s_ward_3"
    assert file_name("больница", 100_000) == "100000-больница"
    assert file_name("..", 2) == "00002"
    assert readable("a" * 200) == "a" * 80


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match="index is -1, expected the position of the player, from 0"):
        file_name("a", -1)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0", "a\n", "x" * 256, "\ud800"])
def test_what_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no file name, expected 1 to 255 bytes .*; make one with"):
        require_file_name(name)


def test_the_name_of_an_experiment_cannot_lead_out_of_the_folder_of_runs(tmp_path: Path) -> None:
    for name in ("../../out", "/abs", "", "a/b", "v1.2"):
        made = RunDirectory.fresh(name, tmp_path / "runs").path
        assert made.parent == tmp_path / "runs"
    assert RunDirectory.fresh("v1.2", tmp_path / "runs").path.name.startswith("v1.2-")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
