"""The sections of an experiment file on observers: dashboards of other people that watch a run."""

__all__ = ["MlflowSection", "ObserveSection", "TensorBoardSection", "WandbSection"]

from typing import Any

from pydantic import Field, model_validator

from .sections import Section


class _ObserverSection(Section):
    """Keys that all observers have: `true` and `false` stand for the whole section, and other keys switch it on."""

    enabled: bool = False
    series: int = Field(100, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _switched(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"enabled": value}
        return {"enabled": True, **value} if isinstance(value, dict) and value else value


class TensorBoardSection(_ObserverSection):
    """TensorBoard: event files in the run directory; `series` players have a curve of their own."""


class MlflowSection(_ObserverSection):
    """MLflow: a store of files in the run directory, or the store or server at the URI `tracking`."""

    experiment: str = "nashgossip"
    tracking: str | None = None


class WandbSection(_ObserverSection):
    """Weights & Biases: files in the run directory; sent as it is played only if `online`."""

    project: str = "nashgossip"
    entity: str | None = None
    online: bool = False


class ObserveSection(Section):
    """Other people's dashboards that watch a run; each needs the extra of its name."""

    tensorboard: TensorBoardSection = TensorBoardSection()
    mlflow: MlflowSection = MlflowSection()
    wandb: WandbSection = WandbSection()
