"""An audit in words, and as one HTML file that opens without network."""

__all__ = ["audit_lines", "write_audit"]

import json
from collections.abc import Sequence
from typing import Any

from .audit_budgets import Budget
from .audit_figures import RATES, Strength
from .audit_findings import Audit, Finding
from .audit_picture import draw_audit
from .directory import RunDirectoryError, versions
from .finite import finite
from .report_html import render_page, svg_markup
from .storage import RunPath, run_path, write_whole

_MOST_ROWS, _MOST_REASONS, _MOST_NAMES = 1_000, 3, 5


def audit_lines(audit: Audit) -> list[str]:
    """The verdict, in sentences: for each distance whether a leak was found, by what, and with which uncertainty."""
    lines = []
    for found in audit.together:
        told = {name: s for name, s in found.attacks.items() if s is not None}
        where = f"distance {found.distance}"
        if not told:
            lines.append(f"{where}: too few rows to say anything")
            continue
        name, best = max(told.items(), key=lambda item: item[1].auc_interval[0])
        most = "" if found.bound is None else f", at most {found.bound:.3f} by ε"
        measured = f"{name} attack: AUC {_with(best.auc, best.auc_interval)}{most}{_rates(best)}"
        if audit.leaks[found.distance]:
            lines.append(f"{where}: LEAK (p = {audit.p[found.distance]:.2g}, corrected); strongest is the {measured}")
        else:
            lines.append(
                f"{where}: no leak found (p = {audit.p[found.distance]:.2g}, corrected); {measured}; an AUC below "
                f"{best.visible:.3f} would likely have gone unseen"
            )
        lines += _reasons(where, audit.reasons.get(found.distance, ()))
        for attack, (strength, bits) in found.canaries.items():
            lines.append(
                f"{where}: canaries, {attack}: AUC {_with(strength.auc, strength.auc_interval)}{_rates(strength)}, "
                f"exposure {bits:+.2f} bits"
            )
    lines += [*map(_promised, audit.budgets), *_copied(audit)]
    risks = [(r, f, name) for f in audit.players for name, r in f.tables.items() if r is not None]
    if risks:
        risk, found, name = max(risks, key=lambda item: item[0].interval[0])
        lines.append(
            f"tables, greatest risk: {name}, of player {found.player} at distance {found.distance}: "
            f"{risk.risk:.1%} ({risk.interval[0]:.1%}–{risk.interval[1]:.1%}) beyond what rows held out tell, "
            f"p = {risk.p:.2g} before correction"
        )
    return [*lines, *_untold(audit.together), *audit.notes]


def _promised(budget: Budget) -> str:
    """What a budget says of the attacks."""
    names = ", ".join(map(str, budget.players[:_MOST_NAMES]))
    more = f" and {len(budget.players) - _MOST_NAMES} more" if len(budget.players) > _MOST_NAMES else ""
    who = f"player{'s' if len(budget.players) > 1 else ''} {names}{more}"
    if budget.auc is None:
        bound = "networks, for which no bound on the AUC is computed"
    else:
        bound = f"the AUC of no attack on their rows exceeds {budget.auc:.3f} on average, at any distance"
    return f"budget of {who}: ε = {budget.epsilon:g}, δ = {budget.delta:g}; {bound}"


def _copied(audit: Audit) -> list[str]:
    """The player most of whose rows were published as they are, if more than chance explains: intervals are apart."""
    told = [(f.player, (f.reconstruction or {})["copied"]) for f in audit.players if f.distance == 1]
    found = [(who, both["members"], both["others"]) for who, both in told if _apart(both["members"], both["others"])]
    if not found:
        return []
    who, mine, others = max(found, key=lambda item: item[1]["share"])
    return [
        f"published as they are, most of player {who}: {_percent(mine)} of its private rows, "
        f"beside {_percent(others)} of rows that nobody learned from"
    ]


def _apart(mine: Any, others: Any) -> bool:
    """Whether one share is above the other with all of its interval."""
    if mine["share"] is None or others["share"] is None:
        return False
    return bool(mine["interval"][0] > others["interval"][1])


def _untold(findings: Sequence[Finding]) -> list[str]:
    """Which rates some attacks have too few rows for, said once."""
    told = [s for f in findings for s in f.attacks.values() if s is not None]
    missing = [rate for rate in RATES if any(s.rates[rate] is None for s in told)]
    needs = " and ".join(f"{round(1 / rate):,} for {rate:.1%}" for rate in missing)
    return [f"TPR is told where there are rows enough held out, {needs} FPR"] if missing else []


def _reasons(where: str, reasons: Sequence[str]) -> list[str]:
    """Which tests found the leak: the most certain, and how many more."""
    if not reasons:
        return []
    more = f" and {len(reasons) - _MOST_REASONS} more tests" if len(reasons) > _MOST_REASONS else ""
    return [f"{where}: found by {'; '.join(reasons[:_MOST_REASONS])}{more}"]


def write_audit(directory: RunPath | str, audit: Audit) -> tuple[RunPath, RunPath]:
    """Writes `audit.json` and `audit.html` into the run directory, each whole or not at all.

    No private row is in them: scores are summed up.

    Raises:
        RunDirectoryError: they cannot be written.
    """
    where = run_path(directory)
    text = json.dumps(finite(audit.figures()), indent=2, allow_nan=False) + "\n"
    files = where / "audit.json", where / "audit.html"
    try:
        for file, content in zip(files, (text, _page(audit)), strict=True):
            write_whole(file, content.encode("utf-8"))
    except OSError as error:
        raise RunDirectoryError(
            f"{where} cannot be written to: {error.strerror or error}; make it writable, or audit a copy"
        ) from None
    return files


def _page(audit: Audit) -> str:
    """The verdict, a picture and tables that sort, in the frame of a report."""
    figure = draw_audit(audit)
    title = "AUC of each attack on all players together, with 95 % intervals, by distance; 0.5 is a guess"
    untold = any(s.rates[r] is None for f in audit.players for s in f.attacks.values() if s for r in RATES)
    bounded = ["at most, by ε"] if audit.budgets else []
    return render_page(
        "audit_page.html",
        scripts=["report_table.js"],
        picture=None if figure is None else svg_markup(figure, title, "audit"),
        picture_title=title,
        told="; –: too few rows held out" if untold else "",
        data=None,
        settings=dict(audit.settings),
        settings_title="The experiment, every default written out",
        about={"versions": versions()},
        notes=[],
        name=f"Audit of {audit.name}",
        outcome="leak" if any(audit.leaks.values()) else "no leak found",
        lines=audit_lines(audit),
        columns=["AUC", "95 %", *bounded, *(f"TPR at {rate:.1%} FPR" for rate in RATES), "members", "others", "p"],
        together=[row for found in audit.together for row in _rows(found, bool(bounded))],
        players=[row for found in audit.players for row in _rows(found, bool(bounded))][:_MOST_ROWS],
        rebuilt=[_rebuilt(found) for found in audit.players if found.reconstruction is not None][:_MOST_ROWS],
        tables=[row for found in (*audit.together, *audit.players) for row in _risks(found)][:_MOST_ROWS],
        shadows=audit.shadows,
    )


def _rows(found: Finding, bounded: bool) -> list[list[str]]:
    """The attacks of a finding, with a column for its bound or without."""
    who = "all" if found.player is None else str(found.player)
    head = [who, str(found.distance)]
    most = "–" if found.bound is None else f"{found.bound:.3f}"
    rows = [[*head, name, *_cells(s, [most] if bounded else [])] for name, s in found.attacks.items() if s is not None]
    return rows + [
        [*head, f"{name}, canaries ({bits:+.2f} bits)", *_cells(s, ["–"] if bounded else [])]
        for name, (s, bits) in found.canaries.items()
    ]


def _cells(s: Strength, bound: list[str]) -> list[str]:
    rates = [_rate(s, rate) or "–" for rate in RATES]
    interval = f"{s.auc_interval[0]:.3f}–{s.auc_interval[1]:.3f}"
    return [f"{s.auc:.3f}", interval, *bound, *rates, str(s.members), str(s.others), f"{s.p:.2g}"]


def _risks(found: Finding) -> list[list[str]]:
    head = ["all" if found.player is None else str(found.player), str(found.distance)]
    return [
        [
            *head,
            name,
            f"{r.risk:.1%} ({r.interval[0]:.1%}–{r.interval[1]:.1%})",
            *(f"{share:.1%}" for share in (r.main, r.control, r.baseline)),
            str(r.guesses),
            f"{r.p:.2g}",
        ]
        for name, r in found.tables.items()
        if r is not None
    ]


def _rebuilt(found: Finding) -> list[str]:
    told: Any = found.reconstruction
    shares = [_percent(told[key][side]) for key in ("copied", "close") for side in ("members", "others")]
    medians = [f"{told['distance'][side]:.3g}" for side in ("members", "others")]
    return [str(found.player), str(found.distance), *shares, *medians]


def _percent(share: Any) -> str:
    if share["share"] is None:
        return "–"
    low, high = share["interval"]
    return f"{share['share']:.1%} ({low:.1%}–{high:.1%})"


def _with(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def _rates(s: Strength) -> str:
    """The rates that are known, each after a comma."""
    return "".join(f", TPR {told} at {rate:.1%} FPR" for rate in RATES if (told := _rate(s, rate)) is not None)


def _rate(s: Strength, rate: float) -> str | None:
    value, interval = s.rates[rate], s.rate_intervals[rate]
    if value is None or interval is None:
        return None
    return f"{value:.1%} ({interval[0]:.1%}–{interval[1]:.1%})"
