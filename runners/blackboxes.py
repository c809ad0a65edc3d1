"""The black boxes that experiment files name: from the options of a player to a function that makes its model."""

__all__ = ["BLACK_BOXES", "black_box", "model_variables", "neural"]

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..agents import ConditionalGaussianModel, EmpiricalModel, EstimatorModel, GenerativeModel, JointTable, NgramModel
from ..games import Dataset, PrivacyError, Space, StepSize
from ..topology import require_name
from .experiment import ExperimentError
from .network_privacy import PrivateLearning


def black_box(
    kind: str,
    options: Mapping[str, Any],
    dataset: Dataset,
    seed: int,
    *,
    private: PrivateLearning | None = None,
) -> Callable[[], GenerativeModel]:
    """A function that makes a player's model, for `PlayerSpec.model`.

    Arguments:
        kind: one of `BLACK_BOXES`.
        options: keyword arguments of the model. Those of `hvae` are `latents` (name → bits), `architecture` (a name of
            `agents.models.ARCHITECTURES`), `networks` (arguments of the architecture), `label` (whether it models the
            class) and what `HVAE` takes; those of `conditional-gaussian` and `table` are what the model takes, with
            `step` as its `size` and `horizon`; those of the others are what the model takes. Any kind takes
            `variables`, the names of the variables of the data set that it is over, instead of all (less the label,
            where the kind leaves it out by itself).
        dataset: whose variables are modelled.
        seed: of the weights before learning.
        private: the budget of privacy that the model learns with; None for none.

    Raises:
        PrivacyError: this kind cannot learn with a budget.
        UnknownNameError: no such kind, option or variable; the nearest is suggested.
        ExperimentError: the data has no image or label where the model needs one, or `variables` leaves the label out
            that `label` asks for.
        ValueError: what the model itself says of its options.
    """
    chosen = _KINDS[require_name("model kind", kind, _KINDS)]
    own = [name for name, p in inspect.signature(chosen.make).parameters.items() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        require_name(f"option of model {kind!r},", option, [*own, "variables", *_taken(chosen)])
    arguments = dict(options)
    if chosen.seeded:
        arguments.setdefault("seed", seed)
    names = arguments.pop("variables", None)
    told = "label" in own  # whether the model is over the label is then said by an option
    if names is None:
        labelled = bool(told and options.get("label")) or (chosen.labelled and dataset.label is not None)
        space = model_variables(dataset, label=labelled)
    else:
        space = _named_variables(dataset, names, kind, bool(told and options.get("label")))
    if told:
        arguments["label"] = dataset.label in space
    elif chosen.labelled and "label" in _taken(chosen):
        arguments.setdefault("label", dataset.label if dataset.label in space else None)
    if private is not None:
        if not chosen.private:
            able = ", ".join(name for name, other in _KINDS.items() if other.private)
            raise PrivacyError(
                f"model kind {kind!r} cannot learn with a budget of privacy, expected an exponential family, {able}; "
                "take one of them, or set privacy.epsilon of the player to .inf"
            )
        arguments.update(privacy=private.privacy, plan=private.plan)
    return partial(chosen.make, space, **arguments)


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


def _named_variables(dataset: Dataset, names: Any, kind: str, labelled: bool) -> Space:
    """The variables of a data set that `variables` names, in the data set's order."""
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise ExperimentError(f"`variables` of model {kind!r} is {names!r}, expected a list of names of variables")
    for name in names:
        require_name(f"variable of data set {dataset.name!r},", name, dataset.batch.space.names)
    if labelled and dataset.label not in names:
        raise ExperimentError(
            f"model {kind!r} has `label: true`, but its `variables` are {', '.join(names)}; add {dataset.label} to them"
        )
    whole = model_variables(dataset, label=dataset.label is not None)
    return Space(tuple(v for v in whole if v.name in names))


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


@dataclass(frozen=True)
class _Kind:
    """A kind of black box.

    Arguments:
        make: makes the model from its space and its options.
        takes: the class behind it, whose parameters are options too; imported only by games that have such players.
        positional: whether all of its parameters are options, not only those by keyword.
        seeded: whether it takes a `seed`.
        labelled: whether it is over the label too without being told so.
        private: whether it can learn with a budget of privacy.
    """

    make: Callable[..., GenerativeModel]
    takes: Callable[[], Any]
    positional: bool = False
    seeded: bool = False
    labelled: bool = False
    private: bool = False


def _taken(kind: _Kind) -> list[str]:
    """The names of the options of the class behind a kind."""
    parameters = inspect.signature(kind.takes()).parameters.items()
    given = ("privacy", "plan") if kind.private else ()  # by the section of the experiment
    return [name for name, p in parameters if (p.kind is p.KEYWORD_ONLY or kind.positional) and name not in given]


def _mixture_class() -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture


def _kernel_class() -> Any:
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
    made_by = _architecture("ARCHITECTURES", architecture, networks)
    images = [v for v in space if len(v.shape) == 2]
    if len(images) != 1:
        raise ExperimentError(f"model 'hvae' needs one image variable, the data has {', '.join(space.names)}")
    named = next((v for v in space if v.kind == "categorical" and not v.shape), None) if label else None
    others = [v.name for v in space if v not in (images[0], named)]
    if others:
        raise ExperimentError(
            f"model 'hvae' is over one image and the label, but not over {', '.join(others)}; name what it is over in "
            "its option `variables`"
        )
    made: GenerativeModel = neural("HVAE")(images[0], latents, label=named, architecture=made_by, **options)
    return made


def _conditional_gaussian(space: Space, *, step: Mapping[str, float] | None = None, **options: Any) -> GenerativeModel:
    return ConditionalGaussianModel(space, step=_step("conditional-gaussian", step), **options)


def _table(space: Space, *, step: Mapping[str, float] | None = None, **options: Any) -> GenerativeModel:
    return JointTable(space, step=_step("table", step), **options)


def _step(kind: str, step: Mapping[str, float] | None) -> StepSize:
    for name in step or {}:
        require_name(f"key of option 'step' of model {kind!r},", name, ("size", "horizon"))
    return StepSize(**(step or {}))


def _conditionals(
    space: Space,
    *,
    latents: Mapping[str, int] | None = None,
    architecture: str = "fast",
    networks: Mapping[str, Any] | None = None,
    **options: Any,
) -> GenerativeModel:
    made_by = _architecture("CONDITIONAL_ARCHITECTURES", architecture, networks)
    made: GenerativeModel = neural("Conditionals")(space, latents, architecture=made_by, **options)
    return made


def _architecture(table: str, name: str, networks: Mapping[str, Any] | None) -> Any:
    """An architecture from a table of `agents.models`, with its arguments."""
    known = neural(table)
    make = known[require_name("architecture", name, known)]
    given = dict(networks or {})
    for option in given:
        require_name(f"option of architecture {name!r},", option, inspect.signature(make).parameters)
    return make(**given)


def _empirical(space: Space, **options: Any) -> GenerativeModel:
    return EmpiricalModel(space, **options)


def _flow(space: Space, **options: Any) -> GenerativeModel:
    made: GenerativeModel = neural("FlowModel")(space, **options)
    return made


def _gaussian_mixture(space: Space, *, rows: int = 1000, **options: Any) -> GenerativeModel:
    return EstimatorModel(_mixture_class()(**options), space, rows=rows)


def _kernel_density(space: Space, *, rows: int = 1000, **options: Any) -> GenerativeModel:
    return EstimatorModel(_kernel_class()(**options), space, rows=rows)


_KINDS = {
    "conditional-gaussian": _Kind(_conditional_gaussian, lambda: ConditionalGaussianModel, labelled=True),
    "conditionals": _Kind(_conditionals, partial(neural, "Conditionals"), seeded=True, labelled=True, private=True),
    "empirical": _Kind(_empirical, lambda: EmpiricalModel, labelled=True),
    "flow": _Kind(_flow, partial(neural, "FlowModel"), seeded=True, private=True),
    "gaussian-mixture": _Kind(_gaussian_mixture, _mixture_class, positional=True),
    "hvae": _Kind(_hvae, partial(neural, "HVAE"), seeded=True, private=True),
    "kernel-density": _Kind(_kernel_density, _kernel_class, positional=True),
    "ngram": _Kind(NgramModel, lambda: NgramModel),
    "table": _Kind(_table, lambda: JointTable, labelled=True),
}

BLACK_BOXES = tuple(_KINDS)
"""Kinds of models besides `family`."""
