"""Class-conditional Gaussian over named blocks of values, any of which may be missing: exact EM as a player."""

__all__ = ["ConditionalGaussianModel"]

from collections.abc import Sequence
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..games import Batch, Space, SpaceError, StepSize, Variable
from .class_gaussians import Array, ClassGaussians, Moments
from .protocols import Source, State
from .real_rows import from_matrix, require_real


@final
class ConditionalGaussianModel:
    """p(c) p(x | c), with x the values of all real variables: N(m_c, Σ), or N(m_c, Σ_c).

    An exponential family (the conditional Gaussian distributions) whose rows may lack variables, the class among them.
    `learn` does μ ← (1 − η_t) μ + η_t Σ_k weight_k E[φ | rows of source k], the expectation under its own current
    conditional: what a player does that completes rows and learns from them, with the drawing replaced by its exact
    mean. One call is one step of EM, and for rows that hold everything the exact best response. A fixed point is a
    stationary point of Σ_k weight_k · E_k log p(what the rows hold).

    The prior is the family's conjugate one, and shrinks means and covariance together: λ pseudo-rows of the reference
    member, in which classes are uniform and x ~ N(0, I) in each, join the player's own rows. Give it values of about
    mean 0 and variance 1. Where no row has a class, all classes stay alike, for nothing tells one from another.

    Arguments:
        space: one scalar categorical variable, the class, or none; and real variables without bounds, of any shape.
        covariance: `shared` by all classes, or one `per-class`.
        smoothing: pseudo-count λ on the own rows.
        step: η_t; it does not count the first `learn`, which is taken whole.

    Raises:
        SpaceError: other variables.
        ValueError: another covariance, or a negative pseudo-count.

    Sources: Lauritzen & Wermuth, *Graphical models for associations between variables, some of which are qualitative
    and some quantitative*, 1989, for the family; Little & Rubin, *Statistical Analysis with Missing Data*, 1987, for
    EM; Cappé & Moulines, *On-line expectation-maximization algorithm for latent data models*, 2009, for the steps.

    >>> space = Space((Variable("c", "categorical", categories=2), Variable("x", "real", (2,))))
    >>> model = ConditionalGaussianModel(space, smoothing=1.0)
    >>> rows = space.batch({"c": [0, 0, 1, 1], "x": [[-3, 0], [-2, 1], [2, 0], [3, 1]]})
    >>> model.learn([Source(rows, 1.0, own=True)], np.random.default_rng(0))
    >>> model.class_probabilities(Space((space["x"],)).batch({"x": [[1.0, 0.5]]})).round(2)
    array([[0.05, 0.95]])
    """

    def __init__(
        self,
        space: Space,
        *,
        covariance: Literal["shared", "per-class"] = "shared",
        smoothing: float = 0.0,
        step: StepSize | None = None,
    ) -> None:
        if covariance not in ("shared", "per-class"):
            raise ValueError(f"covariance is {covariance!r}, expected 'shared' or 'per-class'")
        if not 0 <= smoothing < np.inf:
            raise ValueError(f"smoothing is {smoothing}, expected a pseudo-count of at least 0")
        self._label, blocks = _parted(space)
        self._space, self._blocks = space, blocks
        self._shared, self._smoothing, self._step = covariance == "shared", smoothing, step or StepSize()
        ends = np.cumsum([0, *(int(np.prod(v.shape, dtype=int)) for v in blocks)])
        self._columns = {v.name: np.arange(ends[k], ends[k + 1]) for k, v in enumerate(blocks)}
        self._classes = 1 if self._label is None else int(self._label.categories or 0)
        self._reference = Moments.reference(self._classes, int(ends[-1]), shared=self._shared)
        self._member = ClassGaussians.of(self._reference)
        self._learned, self._steps = False, 0

    @property
    def space(self) -> Space:
        """The variables."""
        return self._space

    @property
    def parameters(self) -> ClassGaussians:
        """Class shares, means and covariances; the reference member's before anything was learned."""
        return self._member

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        """One step of EM on the sources, which may lack variables; exact, so that `rng` is not used.

        Raises:
            SpaceError: a source holds a variable that the model has not.
            BoundaryError: without smoothing, a class that never occurs or a covariance that is singular; the model is
                as before.
        """
        own = sum(len(s.batch) for s in sources if s.own)
        kept = own / (own + self._smoothing) if own else 1.0
        parts = [(s.weight * (kept if s.own else 1.0), self._member.expected(*self._values(s.batch))) for s in sources]
        parts.append(((1 - kept) * sum(s.weight for s in sources if s.own), self._reference))
        eta = self._step.at(self._steps) if self._learned else 1.0
        self._member = ClassGaussians.of(
            Moments.mixed([(eta * w, m) for w, m in parts] + [(1 - eta, self._member.moments)])
        )
        self._steps += self._learned
        self._learned = True

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        """n independent rows."""
        nothing = np.empty((n, 0)), np.empty(0, np.int64), None
        return self._rows(*self._member.draw(*nothing, rng))

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Whole rows: what is given is kept, the rest drawn from p(rest | given), one draw a row.

        Raises:
            SpaceError: the rows hold a variable that the model has not.
        """
        return self._rows(*self._member.draw(*self._values(batch), rng))

    def log_density(self, batch: Batch) -> NDArray[np.float64]:
        """log p of what each row holds, the rest integrated out, in nats: `[n]`. Exact.

        Raises:
            SpaceError: the rows hold a variable that the model has not.
        """
        x, seen, labels = self._values(batch)
        joint = self._member.log_joint(x, seen)
        found: Array = logsumexp(joint, axis=1) if labels is None else joint[np.arange(len(x)), labels]
        return found

    def class_probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """p(c | the real values that each row holds, all of them or a part): `[n, classes]`. Exact.

        Raises:
            SpaceError: the model has no class, or the rows hold a variable that it has not.
        """
        if self._label is None:
            raise SpaceError("this model has no class variable, and tells no classes apart")
        x, seen, _ = self._values(batch)
        return self._member.posterior(x, seen)

    def state(self) -> State:
        """Class shares, means, covariances, and the number of steps taken."""
        now = self._member
        return {
            "shares": now.shares.copy(),
            "means": now.means.copy(),
            "covariances": now.covariances.copy(),
            "learned": self._learned,
            "steps": self._steps,
        }

    def load(self, state: State) -> None:
        """Restores `state()`.

        Raises:
            ValueError: it is that of a model of other variables.
        """
        now = self._member
        found = ClassGaussians(*(np.array(state[name], float) for name in ("shares", "means", "covariances")))
        shapes = [(m.shares.shape, m.means.shape, m.covariances.shape) for m in (found, now)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the state has shapes {shapes[0]}, expected {shapes[1]}; make the model as it was")
        self._member, self._learned, self._steps = found, bool(state["learned"]), int(state["steps"])

    def _values(self, batch: Batch) -> tuple[Array, NDArray[np.int64], NDArray[np.int32] | None]:
        """The real values that the rows hold, `[n, k]`, their positions, `[k]`, and the classes if they hold those."""
        unknown = [name for name in batch.space.names if name not in self._space]
        if unknown:
            raise SpaceError(f"rows hold {', '.join(unknown)}, but the model is over {', '.join(self._space.names)}")
        held = [v.name for v in self._blocks if v.name in batch.space]
        values = [batch[name].reshape(len(batch), -1) for name in held]
        x = np.concatenate([np.empty((len(batch), 0)), *values], axis=1)
        seen = np.concatenate([np.empty(0, np.int64), *(self._columns[name] for name in held)])
        named = self._label is not None and self._label.name in batch.space
        return x, seen, batch[self._label.name] if self._label is not None and named else None

    def _rows(self, classes: NDArray[np.int64], x: Array) -> Batch:
        real = from_matrix(Space(self._blocks), x)
        given = {} if self._label is None else {self._label.name: classes}
        return self._space.batch(given | dict(real.arrays))


def _parted(space: Space) -> tuple[Variable | None, tuple[Variable, ...]]:
    """The class, if there is one, and the real variables."""
    classes = [v for v in space if v.kind == "categorical"]
    blocks = tuple(v for v in space if v.kind != "categorical")
    if len(classes) > 1 or any(v.shape for v in classes) or not blocks:
        raise SpaceError(
            f"a conditional Gaussian has at most one categorical variable, a scalar, and at least one real one; "
            f"the space has {', '.join(f'{v.name} ({v.kind}, shape {v.shape})' for v in space)}"
        )
    require_real(Space(blocks), "a conditional Gaussian")
    return (classes[0] if classes else None), blocks
