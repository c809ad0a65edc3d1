"""Laws from which a study draws its points: those of Ray Tune, by name."""

__all__ = ["laws_of"]

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.sample import Domain

from .study_file import StudyError

_LAWS: dict[str, Callable[..., Any]] = {
    "choice": lambda *values: tune.choice(list(values)),
    "lograndint": tune.lograndint,
    "loguniform": tune.loguniform,
    "normal": tune.randn,
    "quniform": tune.quniform,
    "randint": tune.randint,
    "uniform": tune.uniform,
}


def laws_of(vary: Mapping[str, Any]) -> dict[str, Callable[[np.random.Generator], Any]]:
    """Key → how a value is drawn: from a list with equal chances, or by a law such as `{uniform: [0.1, 0.9]}`.

    Raises:
        StudyError: no such law, or arguments that it does not take.

    >>> draw = laws_of({"alpha.self_weight": {"uniform": [0.2, 0.4]}})["alpha.self_weight"]
    >>> 0.2 <= draw(np.random.default_rng(0)) <= 0.4
    True
    """
    return {key: _drawer(_domain(key, law)) for key, law in vary.items()}


def _drawer(domain: Domain) -> Callable[[np.random.Generator], Any]:
    def draw(rng: np.random.Generator) -> Any:
        value = domain.sample(random_state=rng)
        return value.item() if isinstance(value, np.generic) else value

    return draw


def _domain(key: str, law: Any) -> Domain:
    if isinstance(law, list) and law:
        law = {"choice": law}
    single: tuple[Any, Any] = next(iter(law.items())) if isinstance(law, dict) and len(law) == 1 else (None, None)
    name, arguments = single
    if name not in _LAWS:
        raise StudyError(
            f"vary.{key} is {law!r:.60}, expected a list of values or one law of {', '.join(sorted(_LAWS))}, such as "
            "{uniform: [0.1, 0.9]}"
        )
    try:
        domain = _LAWS[name](*arguments) if isinstance(arguments, list) else _LAWS[name](**arguments)
        domain.sample(random_state=np.random.default_rng(0))
    except (TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"vary.{key}: {name} refuses {arguments!r:.60}: {error}") from None
    return domain  # type: ignore[no-any-return]
