"""The JSON files of a run, checked for what is read of them, so that whoever shows them meets no other values."""

__all__ = ["about_of", "diagnosis_of", "players_of", "summary_of"]

import json
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from .directory import RunDirectoryError
from .storage import RunPath

_Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1 + 1e-6)]
_Figure: TypeAlias = _Number | None
_Word: TypeAlias = str | bool | int | float | None


class _Section(BaseModel):
    """Keys that are not named here may hold anything."""

    model_config = ConfigDict(strict=True, extra="allow")


class _About(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, _Word | list[_Word]] = Field(init=False)

    versions: dict[str, str | None] = {}


class _Root(_Section):
    rms: _Figure


class _Most(_Section):
    max: _Figure


class _Slope(_Section):
    rate: _Figure


class _Predicted(_Section):
    spectral_radius: _Figure = None
    rate: _Figure = None
    noise_floor_rms: _Figure = None


class _Privacy(_Section):
    epsilon_max: _Figure = None
    delta_max: _Figure = None
    budgets: int | None = None
    exhausted_networks: int | None = None
    measured_cost_rms: _Figure = None
    predicted_cost_rms: _Figure = None

    @model_validator(mode="after")
    def _known_together(self) -> Self:
        if (self.epsilon_max is None) != (self.delta_max is None):
            raise ValueError("one of epsilon_max and delta_max is unknown, expected both or neither")
        return self


class _Honest(_Section):
    rms: _Figure = None
    predicted_rms: _Figure = None


class _Summary(_Section):
    outcome: str
    players: int = 0
    moves: _Number
    messages: _Number
    bytes: _Number
    seconds: _Number
    equilibrium_error: _Root
    nash_gap: _Most
    measured: _Slope
    predicted: _Predicted
    privacy: _Privacy = _Privacy()
    honest_error: _Honest | None = None


class _Signature(_Section):
    name: str
    sentence: str
    remedy: str


class _Diagnosis(_Section):
    outcome: str
    reasons: list[str]
    signatures: list[_Signature]


class _Player(_Section):
    player: str
    conduct: str | None = None
    moves: _Figure = None
    regret: _Figure = None
    error: _Figure = None
    floor: _Figure = None
    held_out: _Figure = None
    total_variation: _Figure = None
    accuracy: _Figure = None
    epsilon: _Figure = None
    delta: _Figure = None
    exhausted: bool | None = None
    staleness: _Figure = None
    mixture: Annotated[list[_Share], Field(min_length=1)] | None
    predicted_mixture: Annotated[list[_Share], Field(min_length=1)] | None

    @model_validator(mode="after")
    def _of_the_same_classes(self) -> Self:
        measured, predicted = self.mixture, self.predicted_mixture
        if measured is not None and predicted is not None and len(measured) != len(predicted):
            raise ValueError(f"{len(measured)} and {len(predicted)} shares of classes, expected as many predicted")
        return self


_ABOUT, _SUMMARY, _DIAGNOSIS = TypeAdapter(_About), TypeAdapter(_Summary), TypeAdapter(_Diagnosis)
_PLAYERS = TypeAdapter(list[_Player])


def about_of(run: RunPath) -> dict[str, Any]:
    """What `about.json` holds; empty where there is none.

    Raises:
        RunDirectoryError: no run writes what a file holds; so of the others.
    """
    return _checked(run / "about.json", _ABOUT) or {}


def summary_of(run: RunPath) -> dict[str, Any] | None:
    """What `summary.json` holds; None where there is none."""
    return _checked(run / "summary.json", _SUMMARY)  # type: ignore[no-any-return]


def diagnosis_of(run: RunPath) -> dict[str, Any] | None:
    """What `diagnosis.json` holds; None where there is none."""
    return _checked(run / "diagnosis.json", _DIAGNOSIS)  # type: ignore[no-any-return]


def players_of(run: RunPath) -> list[dict[str, Any]] | None:
    """What `players.json` holds; None where there is none."""
    return _checked(run / "players.json", _PLAYERS)  # type: ignore[no-any-return]


def _checked(file: RunPath, shape: TypeAdapter[Any]) -> Any:
    """The plain values of a file that has the shape of what is read of it."""
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text("utf-8"))
        shape.validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise RunDirectoryError(
            f"{file} holds what no run writes ({where}: {first['msg']}); put it back, or play the run again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{file} is not JSON of a run ({error}); take it away, or play the run again") from None
    return found
