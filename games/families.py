"""Families by name: for given variables, or of a given size for synthetic games."""

__all__ = ["FAMILIES", "family_for", "synthetic_family"]

from collections.abc import Callable, Mapping
from typing import Any

from ..topology import require_name
from .composite import ClassConditional, Product
from .discrete import Bernoulli, Categorical, Poisson
from .family import ExponentialFamily
from .gaussian import Exponential, Gaussian, GaussianDiagonal
from .gaussian_full import GaussianFull
from .space import Kind, Space, SpaceError, Variable

_SIMPLE: Mapping[str, tuple[Kind, Callable[..., ExponentialFamily]]] = {
    "bernoulli": ("binary", lambda v: Bernoulli(variable=v)),
    "categorical": ("categorical", lambda v: Categorical(v.categories, variable=v)),
    "exponential": ("real", lambda v: Exponential(variable=v)),
    "gaussian": ("real", lambda v, variance=1.0: Gaussian(variable=v, variance=variance)),
    "gaussian-diagonal": ("real", lambda v: GaussianDiagonal(variable=v)),
    "gaussian-full": ("real", lambda v: GaussianFull(_length(v), variable=v)),
    "poisson": ("count", lambda v: Poisson(variable=v)),
}
_DEFAULT: Mapping[Kind, str] = {
    "binary": "bernoulli",
    "categorical": "categorical",
    "count": "poisson",
    "real": "gaussian-diagonal",
}
_CONDITIONAL = "class-conditional-"

FAMILIES: tuple[str, ...] = tuple(
    sorted([*_SIMPLE, "product", *(_CONDITIONAL + name for name in [*_SIMPLE, "product"])])
)
"""The names that `family_for` and `synthetic_family` take."""


def family_for(name: str, space: Space, *, label: str | None = None, **options: Any) -> ExponentialFamily:
    """The family called `name` over the variables of `space`.

    Arguments:
        name: one of `FAMILIES`; `product` takes each variable's usual family (binary: Bernoulli, categorical:
            categorical, count: Poisson, real: Gaussian with unknown variance).
        space: the variables; one besides the label, except for products.
        label: the class variable of a class-conditional family; by default the only categorical variable.
        options: what the family itself takes (`variance` of the Gaussian).

    Raises:
        UnknownNameError: no family has this name, or it has no such option.
        SpaceError: the variables do not suit the family.

    >>> from nashgossip.games import Space, Variable
    >>> family_for("poisson", Space((Variable("visits", "count", (3,)),))).size
    3
    """
    _require_family(name)
    if name.startswith(_CONDITIONAL):
        classes = _label_variable(space, label)
        inner = _without(space, classes)
        family = family_for(name.removeprefix(_CONDITIONAL), inner, **options)
        return ClassConditional(classes.categories or 1, family, label=classes)
    if label is not None:
        raise SpaceError(f"family {name!r} has no label; take class-conditional-{name}, or leave out label={label!r}")
    _require_options(name, options)
    if name == "product":
        return Product([family_for(_DEFAULT[v.kind], Space((v,))) for v in space])
    kind, make = _SIMPLE[name]
    if len(space.variables) != 1 or space.variables[0].kind != kind:
        found = ", ".join(f"{v.name} ({v.kind})" for v in space)
        raise SpaceError(f"family {name!r} needs exactly one {kind} variable, the space has {found}")
    return make(space.variables[0], **options)


def synthetic_family(name: str, dimension: int, *, classes: int = 3, **options: Any) -> ExponentialFamily:
    """The family called `name` over made-up variables, for games without a data set.

    Arguments:
        name: one of `FAMILIES`; `product` has a binary, a count and a real block of `dimension` values each.
        dimension: values of x; categories for `categorical`.
        classes: classes of a class-conditional family.
        options: what the family itself takes (`variance` of the Gaussian).

    Raises:
        UnknownNameError: no family has this name, or it has no such option.

    >>> synthetic_family("class-conditional-gaussian", 2, classes=3).size
    9
    """
    _require_family(name)
    if name.startswith(_CONDITIONAL):
        return ClassConditional(classes, synthetic_family(name.removeprefix(_CONDITIONAL), dimension, **options))
    if name == "product":
        kinds: tuple[Kind, ...] = ("binary", "count", "real")
        return family_for(name, Space(tuple(Variable(f"x_{kind}", kind, (dimension,)) for kind in kinds)), **options)
    if name == "categorical":
        _require_options(name, options)
        return Categorical(dimension)
    low = 0.0 if name == "exponential" else None
    return family_for(name, Space((Variable("x", _SIMPLE[name][0], (dimension,), low=low),)), **options)


def _require_family(name: str) -> None:
    """Raises UnknownNameError unless `name` is one of `FAMILIES`."""
    require_name("family", name, FAMILIES)


def _require_options(name: str, options: Mapping[str, Any]) -> None:
    for option in options:
        require_name(f"option of family {name!r},", option, ("variance",) if name == "gaussian" else ())


def _length(variable: Variable) -> int:
    if len(variable.shape) != 1:
        raise SpaceError(
            f"family 'gaussian-full' needs a vector, variable {variable.name!r} has shape {variable.shape}"
        )
    return variable.shape[0]


def _label_variable(space: Space, label: str | None) -> Variable:
    if label is not None:
        chosen = space[label]
        if chosen.kind != "categorical":
            raise SpaceError(f"the label {label!r} is {chosen.kind}, expected categorical")
        return chosen
    found = [v for v in space if v.kind == "categorical"]
    if len(found) != 1:
        raise SpaceError(f"a class-conditional family needs one categorical variable or a `label`; found {len(found)}")
    return found[0]


def _without(space: Space, variable: Variable) -> Space:
    rest = tuple(v for v in space if v.name != variable.name)
    if not rest:
        raise SpaceError(f"a class-conditional family needs a variable besides the label {variable.name!r}")
    return Space(rest)
