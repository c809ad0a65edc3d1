"""What tests of several folders share."""

import pytest

from nashgossip.games import DatasetNotFound, load_dataset
from nashgossip.runners import load_experiment

_FOUND: dict[str, str | None] = {}


def missing_data(name: str) -> str | None:
    """Why a published data set is not there; None if it is. Asked once a session."""
    if name not in _FOUND:
        try:
            load_dataset(name, part="test")
            _FOUND[name] = None
        except DatasetNotFound as error:
            _FOUND[name] = str(error)
    return _FOUND[name]


@pytest.fixture
def require_data():
    """A function that skips the test where a data set, or that of a built-in experiment, is not there."""

    def require(name: str) -> None:
        source = name
        if name not in ("mnist", "fashion-mnist"):
            source = load_experiment(name).data.source
        if source in ("mnist", "fashion-mnist") and (reason := missing_data(source)) is not None:
            pytest.skip(f"set NASHGOSSIP_DATA to a folder with the files of {source}: {reason}")
        if source == "words":
            pytest.importorskip("wordfreq", reason="needs the extra 'languages'")

    return require
