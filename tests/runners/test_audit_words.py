"""What an audit says: how far it is, what budgets promise, which figures are findings; its page and picture."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import binomtest, norm
from threadpoolctl import threadpool_info, threadpool_limits

from nashgossip.agents import EmpiricalModel
from nashgossip.games import Bernoulli, PlayerSpec, Privacy, noise_multiplier, released_mean
from nashgossip.runners import (
    Audit,
    Finding,
    KeptBatches,
    audit_batches,
    audit_lines,
    audit_progress,
    build_game,
    load_experiment,
    rounds,
    write_audit,
)
from nashgossip.runners.audit_budgets import Budget, auc_bound
from nashgossip.runners.audit_picture import draw_audit
from nashgossip.runners.audit_progress import AuditProgress, told
from nashgossip.runners.audit_rows import one_thread


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


def test_attacks_start_no_threads_and_leave_those_of_others_as_they_were() -> None:
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    with threadpool_limits(2):
        before = threads()
        with one_thread():
            assert set(threads()) == {1}
        assert threads() == before
    assert 2 in before


FAMILY = Bernoulli((16,))


def test_the_bound_is_reached_by_rows_that_are_opposite() -> None:
    """Which of two rows is private is guessed from releases as often as the bound says, and more often than for one."""
    draws, epsilon, sigma = 4000, 3.0, noise_multiplier(3.0, 1e-5)
    rest = np.arange(400 * 16).reshape(400, 16) // 16 % 2
    rows = FAMILY.space.batch({"x": np.concatenate([rest, np.ones((1, 16))]).astype(np.uint8)})
    spec = PlayerSpec(family=FAMILY, data=rows, privacy=Privacy(epsilon))
    bound = auc_bound(spec)
    assert bound == pytest.approx(norm.cdf(1 / sigma))
    told = [released_mean(FAMILY, rows, Privacy(epsilon, seed=k)).mean() > 0.5 for k in range(draws)]
    error = np.sqrt(bound * (1 - bound) / draws)
    assert abs(np.mean(told) - bound) < 4 * error
    assert np.mean(told) > norm.cdf(1 / (sigma * np.sqrt(2))) + 4 * error


def test_who_has_no_budget_or_a_network_has_no_bound() -> None:
    rows = FAMILY.space.batch({"x": np.ones((9, 16), np.uint8)})
    assert auc_bound(PlayerSpec(family=FAMILY, data=rows)) is None
    assert auc_bound(PlayerSpec(family=FAMILY, data=rows, privacy=Privacy(float("inf")))) is None
    network = PlayerSpec(model=lambda: EmpiricalModel(FAMILY.space), data=rows, privacy=Privacy(1.0))
    assert auc_bound(network) is None


def audited(*settings: str) -> Audit:
    play = ["runner=rounds", "play.moves=3", "play.samples=30", "audit.batches=3", "data.rows=80", "data.holdout=0.5"]
    plan = load_experiment("private", ["topology.arguments={n: 5, k: 2, p: 0.0}", *play, *settings])
    game = build_game(plan)
    kept = KeptBatches.of(game, 3)
    for _ in rounds(game, seed=1, moves=3, on_delivery=kept.add):
        pass
    return audit_batches(plan, game, kept.batches, shadows=0)


def test_a_budget_stands_in_the_verdict_in_json_and_on_the_page(tmp_path: Path) -> None:
    found = audited("privacy.epsilon=3")
    bound = float(norm.cdf(1 / noise_multiplier(3.0, 1e-5)))
    lines = audit_lines(found)
    promised = "players 0, 1, 2, 3, 4: ε = 3, δ = 1e-05; the AUC of no attack on their rows exceeds 0.764 on average"
    assert f"budget of {promised}, at any distance" in lines
    assert "at most 0.764 by ε" in lines[0]
    told = found.figures()
    budget = {"epsilon": 3.0, "delta": 1e-5, "players": ["0", "1", "2", "3", "4"], "auc_bound": bound}
    assert told["budgets"] == [budget]
    assert {f["auc_bound"] for f in (*told["distances"], *told["players"])} == {bound}
    page = write_audit(tmp_path, found)[1].read_text("utf-8")
    assert "at most, by ε</button>" in page
    assert "at most, by ε" in page[page.index("<svg") : page.index("</svg>")]
    [axes] = draw_audit(found).axes
    assert [segment[0][1] for segment in axes.collections[-1].get_segments()] == [bound] * 3


def test_where_one_has_no_budget_all_together_have_no_bound(tmp_path: Path) -> None:
    found = audited("budget=one")
    bound = norm.cdf(1 / noise_multiplier(1.0, 1e-5))
    assert {f.player: f.bound for f in found.players if f.bound is not None} == {0: bound}
    assert all(f.bound is None for f in found.together)
    assert any(line.startswith("budget of player 0: ε = 1, δ = 1e-05; ") for line in audit_lines(found))
    networks = replace(found, budgets=(Budget(2.0, 1e-5, tuple(range(7)), None),))
    told = "budget of players 0, 1, 2, 3, 4 and 2 more: ε = 2, δ = 1e-05; networks, for which no bound on the AUC is "
    assert told + "computed" in audit_lines(networks)
    plain = write_audit(tmp_path, audited("budget=none"))[1].read_text("utf-8")
    assert "at most, by ε" not in plain


def copied(mine: int, others: int) -> dict[str, Any]:
    """So many copies of 100 rows each, with exact intervals."""

    def share(count: int) -> dict[str, Any]:
        interval = binomtest(count, 100).proportion_ci(0.95)
        return {"share": count / 100, "interval": [interval.low, interval.high]}

    sides = {"members": share(mine), "others": share(others)}
    return {"copied": sides, "close": sides, "distance": {"members": 1.0, "others": 1.0}}


def test_copies_are_told_of_where_the_intervals_are_apart_alone() -> None:
    def lines(*shares: tuple[int, int]) -> list[str]:
        players = tuple(Finding(k, 1, (k,), 9, {}, copied(*both)) for k, both in enumerate(shares))
        return audit_lines(Audit("x", players, (), {}, {}, 0, ()))

    assert lines((7, 3), (12, 4)) == []
    [line] = lines((7, 3), (30, 29), (20, 2))
    assert line.startswith("published as they are, most of player 2: 20.0% (")


def test_what_is_unknown_is_said_once(tmp_path: Path) -> None:
    found = audited("budget=none")
    lines = audit_lines(found)
    assert [line for line in lines if "TPR is told" in line] == [
        "TPR is told where there are rows enough held out, 1,000 for 0.1% FPR"
    ]
    assert not any("at 0.1% FPR" in line for line in lines)
    page = write_audit(tmp_path, found)[1].read_text("utf-8")
    assert "–: too few rows held out" in page
    assert len(re.findall(r">copied, held out</button>", page)) == 1
    assert ">held out</button>" not in page


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_audit(Audit("x", (), (), {}, {}, 0, ())) is None
