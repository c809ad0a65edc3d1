"""The black boxes that experiment files name: from the options of a player to a function that makes its model."""

__all__ = ["BLACK_BOXES", "black_box", "model_variables", "neural"]

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..agents import EstimatorModel, GenerativeModel
from ..games import Dataset, Space, Variable
from ..topology import require_name
from .experiment import ExperimentError

BLACK_BOXES = ("flow", "gaussian-mixture", "hvae", "kernel-density")
"""Kinds of models besides `family`."""

_NEURAL = ("flow", "hvae")


def black_box(kind: str, options: Mapping[str, Any], dataset: Dataset, seed: int) -> Callable[[], GenerativeModel]:
    """A function that makes a player's model, for `PlayerSpec.model`.

    Arguments:
        kind: one of `BLACK_BOXES`.
        options: keyword arguments of the model. Those of `hvae` are `latents` (name → bits), `architecture` (a name of
            `agents.models.ARCHITECTURES`), `networks` (arguments of the architecture), `label` (whether it models the
            class) and what `HVAE` takes; those of the others are what the model takes.
        dataset: whose variables are modelled.
        seed: of the weights before learning.

    Raises:
        UnknownNameError: no such kind or option; the nearest is suggested.
        ExperimentError: the data has no image or label where the model needs one.
        ValueError: what the model itself says of its options.
    """
    makers: dict[str, Callable[..., GenerativeModel]] = {
        "hvae": _hvae,
        "flow": _flow,
        "gaussian-mixture": _gaussian_mixture,
        "kernel-density": _kernel_density,
    }
    maker = makers[require_name("model kind", kind, BLACK_BOXES)]
    own = [name for name, p in inspect.signature(maker).parameters.items() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        require_name(f"option of model {kind!r},", option, [*own, *_taken(kind)])
    arguments = dict(options)
    if kind in _NEURAL:
        arguments.setdefault("seed", seed)
    return partial(maker, model_variables(dataset, label=bool(options.get("label"))), **arguments)


def model_variables(dataset: Dataset, *, label: bool) -> Space:
    """The variables of a data set as black boxes have them: real ones without bounds, the label only if it is wanted.

    Raises:
        ExperimentError: a label is wanted, and the data has none.
    """
    if label and dataset.label is None:
        raise ExperimentError(f"the model has a label, but data set {dataset.name!r} has none; give data.label")
    return Space(
        tuple(
            replace(v, low=None, high=None) if v.kind == "real" else v
            for v in dataset.batch.space
            if label or v.name != dataset.label
        )
    )


def neural(name: str) -> Any:
    """A name of `agents.models`, imported only by games that need it.

    Raises:
        ExperimentError: what it is built on is not installed.
    """
    from ..agents import models

    try:
        return getattr(models, name)
    except ModuleNotFoundError as error:
        raise ExperimentError(
            f"this needs the extra 'neural', and {error.name} is not installed: pip install 'nashgossip[neural]', "
            "or make install-dev in a checkout"
        ) from None


def _taken(kind: str) -> list[str]:
    """The names of the options of the class behind a kind."""
    parameters = inspect.signature(_class_of(kind)).parameters.items()
    return [name for name, p in parameters if p.kind is p.KEYWORD_ONLY or kind not in _NEURAL]


def _class_of(kind: str) -> Any:
    """Imported here, so that only games with such players load what they need."""
    if kind in _NEURAL:
        return neural({"hvae": "HVAE", "flow": "FlowModel"}[kind])
    if kind == "gaussian-mixture":
        from sklearn.mixture import GaussianMixture

        return GaussianMixture
    from sklearn.neighbors import KernelDensity

    return KernelDensity


def _hvae(
    space: Space,
    *,
    latents: Mapping[str, int],
    architecture: str = "fast",
    networks: Mapping[str, Any] | None = None,
    label: bool = False,
    **options: Any,
) -> GenerativeModel:
    known = neural("ARCHITECTURES")
    make = known[require_name("architecture", architecture, known)]
    given = dict(networks or {})
    for name in given:
        require_name(f"option of architecture {architecture!r},", name, inspect.signature(make).parameters)
    images = [v for v in space if len(v.shape) == 2]
    if len(images) != 1:
        raise ExperimentError(f"model 'hvae' needs one image variable, the data has {', '.join(space.names)}")
    named = _label(space) if label else None
    made: GenerativeModel = neural("HVAE")(images[0], latents, label=named, architecture=make(**given), **options)
    return made


def _flow(space: Space, **options: Any) -> GenerativeModel:
    made: GenerativeModel = _class_of("flow")(space, **options)
    return made


def _gaussian_mixture(space: Space, *, rows: int = 1000, **options: Any) -> GenerativeModel:
    return EstimatorModel(_class_of("gaussian-mixture")(**options), space, rows=rows)


def _kernel_density(space: Space, *, rows: int = 1000, **options: Any) -> GenerativeModel:
    return EstimatorModel(_class_of("kernel-density")(**options), space, rows=rows)


def _label(space: Space) -> Variable:
    return next(v for v in space if v.kind == "categorical" and not v.shape)
