"""An audit in words, and as one HTML file that opens without network."""

__all__ = ["audit_lines", "write_audit"]

import json
from collections.abc import Sequence
from typing import Any

from .audit_figures import RATES, Strength
from .audit_findings import Audit, Finding
from .directory import RunDirectoryError, versions
from .finite import finite
from .report_html import render_page
from .storage import RunPath, run_path, write_whole

_MOST_ROWS, _MOST_REASONS = 1_000, 3


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
        measured = f"{name} attack: AUC {_with(best.auc, best.auc_interval)}, {_rates(best)}"
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
                f"{where}: canaries, {attack}: AUC {_with(strength.auc, strength.auc_interval)}, {_rates(strength)}, "
                f"exposure {bits:+.2f} bits"
            )
    copied = [f for f in audit.players if f.distance == 1 and (f.reconstruction or {})["copied"]["members"]["share"]]
    worst = max(copied, key=lambda f: (f.reconstruction or {})["copied"]["members"]["share"], default=None)
    if worst is not None and worst.reconstruction is not None:
        both = worst.reconstruction["copied"]
        lines.append(
            f"published as they are, most of player {worst.player}: {_percent(both['members'])} of its private rows, "
            f"beside {_percent(both['others'])} of rows that nobody learned from"
        )
    risks = [(r, f, name) for f in audit.players for name, r in f.tables.items() if r is not None]
    if risks:
        risk, found, name = max(risks, key=lambda item: item[0].interval[0])
        lines.append(
            f"tables, greatest risk: {name}, of player {found.player} at distance {found.distance}: "
            f"{risk.risk:.1%} ({risk.interval[0]:.1%}–{risk.interval[1]:.1%}) beyond what rows held out tell, "
            f"p = {risk.p:.2g} before correction"
        )
    return [*lines, *audit.notes]


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
    """Tables without a script, in the frame of a report."""
    return render_page(
        "audit_page.html",
        scripts=[],
        data=None,
        settings=dict(audit.settings),
        settings_title="The experiment, every default written out",
        about={"versions": versions()},
        notes=[],
        name=f"Audit of {audit.name}",
        outcome="leak" if any(audit.leaks.values()) else "no leak found",
        lines=audit_lines(audit),
        columns=["AUC", "95 %", *(f"TPR at {rate:.1%} FPR" for rate in RATES), "members", "others", "p"],
        together=[row for found in audit.together for row in _rows(found)],
        players=[row for found in audit.players for row in _rows(found)][:_MOST_ROWS],
        rebuilt=[_rebuilt(found) for found in audit.players if found.reconstruction is not None][:_MOST_ROWS],
        tables=[row for found in (*audit.together, *audit.players) for row in _risks(found)][:_MOST_ROWS],
        shadows=audit.shadows,
    )


def _rows(found: Finding) -> list[list[str]]:
    who = "all" if found.player is None else str(found.player)
    head = [who, str(found.distance)]
    rows = [[*head, name, *_cells(s)] for name, s in found.attacks.items() if s is not None]
    return rows + [
        [*head, f"{name}, canaries ({bits:+.2f} bits)", *_cells(s)] for name, (s, bits) in found.canaries.items()
    ]


def _cells(s: Strength) -> list[str]:
    rates = [_rate(s, rate) for rate in RATES]
    interval = f"{s.auc_interval[0]:.3f}–{s.auc_interval[1]:.3f}"
    return [f"{s.auc:.3f}", interval, *rates, str(s.members), str(s.others), f"{s.p:.2g}"]


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
    return ", ".join(f"TPR {_rate(s, rate)} at {rate:.1%} FPR" for rate in RATES)


def _rate(s: Strength, rate: float) -> str:
    value, interval = s.rates[rate], s.rate_intervals[rate]
    if value is None or interval is None:
        return f"unknown (needs {round(1 / rate):,} others)"
    return f"{value:.1%} ({interval[0]:.1%}–{interval[1]:.1%})"
