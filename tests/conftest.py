"""What tests of several folders share."""

import contextlib
import sys

import pytest

from nashgossip.games import DatasetNotFound, load_dataset
from nashgossip.runners import load_experiment

from .browsers import browser as browser
from .raylets import raylets as raylets

_FOUND: dict[str, str | None] = {}

with contextlib.suppress(ModuleNotFoundError):  # comes with the extra `privacy`
    from absl import logging as absl_logging

    # It holds the standard error that it finds when it is imported, and closes it once logging is configured anew, be
    # it that of pytest.
    absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)


def missing_data(name: str, **options: str) -> str | None:
    """Why a published data set is not there; None if it is. Asked once a session."""
    key = repr((name, options))
    if key not in _FOUND:
        try:
            load_dataset(name, part="test", **options)
            _FOUND[key] = None
        except DatasetNotFound as error:
            _FOUND[key] = str(error)
    return _FOUND[key]


@pytest.fixture
def require_data():
    """A function that skips the test where a data set, or that of a built-in experiment, is not there."""

    def require(name: str) -> None:
        source = name
        if name not in ("mnist", "fashion-mnist"):
            data = load_experiment(name).data
            source = data.source
            for file in sorted({options["file"] for options in data.players.values()}) if source == "medmnist" else ():
                if (reason := missing_data(source, file=file)) is not None:
                    pytest.skip(reason)
        if source in ("mnist", "fashion-mnist") and (reason := missing_data(source)) is not None:
            pytest.skip(f"set NASHGOSSIP_DATA to a folder with the files of {source}: {reason}")
        if source == "polymnist-built":
            pytest.importorskip("skimage", reason="needs the extra 'photographs'")
            require("mnist")
        if source == "words":
            pytest.importorskip("wordfreq", reason="needs the extra 'languages'")

    return require
