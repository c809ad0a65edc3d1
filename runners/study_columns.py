"""The columns that the tables of a study will have, known before it plays, so that a misspelt one is refused."""

__all__ = ["CURVE_COLUMNS", "require_columns", "require_figures", "table_columns"]

import difflib
from collections.abc import Sequence

from .study_file import StudyError, StudyFile
from .study_measures import PLAYER_FIGURES

CURVE_COLUMNS = ("trial", "time", "messages", "bytes", "nash_gap", "error_rms", "amplitude")
"""Of `curves.parquet`."""

_BEFORE = ("trial", "point", "replicate")
_AFTER = ("seed", "outcome", "error", "seconds")
_SUMMARY = (
    *("runner", "players", "moves", "messages", "bytes"),
    *("nash_gap_max", "nash_gap_mean", "equilibrium_error_max", "equilibrium_error_rms"),
    *("predicted_spectral_radius", "predicted_rate", "predicted_noise_floor_rms", "measured_rate", "rate_ratio"),
    *("total_variation_max", "total_variation_mean", "accuracy_max", "accuracy_mean", "auc_max", "auc_mean"),
    *("nash_gap_estimate_max", "nash_gap_estimate_error", "nash_gap_estimate_mean"),
    *("privacy_budgets", "privacy_epsilon_max", "privacy_delta_max", "privacy_exhausted", "privacy_exhausted_networks"),
    *("privacy_predicted_cost_rms", "privacy_measured_cost_rms"),
)
_HONEST = ("players", "max", "rms", "predicted_shift_rms", "predicted_rms")
"""Of `honest_error`, which only trials have in which somebody is not honest."""

_MEASURED = {
    "averaging": ("averaging_rounds", "averaging_bytes"),
    "collapse": (
        *("variance_start", "variance_predicted", "variance_measured", "collapse_factor", "half_life"),
        *("drift_predicted", "drift_measured"),
    ),
    "graph": ("edges", "effective_sources", "influence_top", "influence_concentration"),
    "letters": ("staleness", "staleness_max", "undelivered_share"),
    "likeness": ("distance_own", "distance_predicted", "distance_measured", "likeness"),
    "privacy": ("cost_predicted", "cost_measured", "cost_nats"),
    "players": tuple(f"mean_{name}" for name in PLAYER_FIGURES),
    "reach": ("target", "reached", "moves_to_target", "messages_to_target", "bytes_to_target"),
    "speed": ("play_seconds", "moves_per_second"),
}


def table_columns(study: StudyFile) -> list[str]:
    """The columns that `table.parquet` can have: of trials, the varied keys, the summary, and what is measured.

    Those of single players (`players: {single: true}`) are left out: who plays is known once there is a game.
    """
    measured = [column for name in study.measure for column in _MEASURED[name]]
    honest = [f"honest_error_{name}" for name in _HONEST]
    return list(dict.fromkeys([*_BEFORE, *study.vary, *_AFTER, *_SUMMARY, *honest, *measured]))


def require_figures(study: StudyFile) -> None:
    """Checks the columns of all figures before anything is played.

    Raises:
        StudyError: a figure has no `x`, or asks for a column that there will not be; the nearest one is suggested.
    """
    known = table_columns(study)
    for name, section in study.figures.items():
        asked = [*section.where, *([section.by] if section.by else [])]
        if section.kind == "curves":
            axes = (section.x or "time", *section.y)
            require_columns(CURVE_COLUMNS, axes, "curves.parquet", f"figure {name!r}")
        elif section.x:
            asked += [section.x, *section.y]
        else:
            raise StudyError(f"figure {name!r} has no x, expected a column of table.parquet such as {known[3]!r}")
        single = [column for column in asked if _of_single(study, column)]
        require_columns([*known, *single], asked, "table.parquet", f"figure {name!r}")


def require_columns(known: Sequence[str], names: Sequence[str], where: str, who: str = "a figure") -> None:
    """Checks that columns are among those that are known.

    Raises:
        StudyError: one is not; the nearest one is suggested.
    """
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise StudyError(f"{who} asks for column {name!r}, which {where} has not; {hint}")


def _of_single(study: StudyFile, column: str) -> bool:
    """Whether it can be a figure of one player, such as `accuracy_3`."""
    if not study.measure.get("players", {}).get("single"):
        return False
    return any(column.startswith(f"{name}_") for name in PLAYER_FIGURES)
