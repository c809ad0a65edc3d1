"""What an audit says: how far it is, what budgets promise, which figures are findings; and the page with its picture."""

import io
import re

import pytest
from rich.console import Console

from nashgossip.runners import audit_progress
from nashgossip.runners.audit_progress import AuditProgress, told


def test_a_log_has_a_line_at_once_and_then_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), iter([0.0, 4.9, 5.0, 9.0, 10.1])
    monkeypatch.setattr(audit_progress.time, "monotonic", lambda: next(now))
    with AuditProgress(Console(file=out)) as progress:
        for words in "abcde":
            progress(words)
    assert out.getvalue().split() == ["a", "c", "e"]


def test_the_time_left_is_that_of_the_items_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now, heard = iter([0.0, 10.0, 40.0]), list[str]()
    monkeypatch.setattr(audit_progress.time, "monotonic", lambda: next(now))
    assert list(told(iter("ab"), 3, lambda k: f"game {k + 1}", heard.append, ", then lunch")) == ["a", "b"]
    assert heard == [
        "game 1, then lunch",
        "game 2, about 0:00:20 left, then lunch",
        "game 3, about 0:00:20 left, then lunch",  # and no third item comes
    ]
