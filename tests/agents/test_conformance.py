"""The conformance check: sound models pass, and broken ones fail the very check that names their fault."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import ConformanceError, EstimatorModel, ExponentialFamilyModel, Source, State, check_model
from nashgossip.games import FAMILIES, Batch, Space, StepSize, Variable, synthetic_family

SPACE = Space((Variable("x", "real", (2,)),))
CHECKS = [
    "methods",
    "space",
    "rows",
    "reproducible",
    "sources-unchanged",
    "global-randomness",
    "generate-is-pure",
    "learns",
    "weights",
    "state-is-plain",
    "state-is-a-copy",
    "resumes",
    "abilities",
    "completes",
]


class Sound:
    """Normal rows of unit variance around the weighted mean of what was learned: a sound model for others to break."""

    space: Any = SPACE

    def __init__(self) -> None:
        self.mean = np.zeros(2)

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        self.mean = np.sum([s.weight * s.batch["x"].mean(axis=0) for s in sources], axis=0)

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return SPACE.batch({"x": self.mean + rng.standard_normal((n, 2))})

    def state(self) -> State:
        return {"mean": self.mean.copy()}

    def load(self, state: State) -> None:
        self.mean = np.array(state["mean"])


# --- sound models --------------------------------------------------------------------------------------------


def test_a_sound_model_passes_all_checks() -> None:
    assert check_model(Sound) == CHECKS
    assert check_model(Completing) == CHECKS


@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_of_every_family_passes(name: str) -> None:
    assert check_model(lambda: ExponentialFamilyModel(synthetic_family(name, 3), smoothing=1.0)) == CHECKS


def test_a_model_that_learns_by_small_steps_passes_when_it_is_given_time() -> None:
    family = synthetic_family("gaussian", 2)

    def slow() -> ExponentialFamilyModel:
        return ExponentialFamilyModel(family, step=StepSize(0.05), mean=np.full(2, 50.0))

    assert check_model(slow, learn_calls=400) == CHECKS
    with pytest.raises(ConformanceError) as failure:
        check_model(slow)
    assert set(failure.value.failures) == {"learns"}


def test_variables_of_every_kind_and_bound_are_made_up() -> None:
    """A model that resamples rows needs none to have a distribution of a known form."""

    class Resampling:
        space = Space(
            (
                Variable("b", "binary", (2,)),
                Variable("c", "categorical", categories=3),
                Variable("k", "count"),
                Variable("unbounded", "real", (2, 2)),
                Variable("between", "real", low=-1.0, high=3.0),
                Variable("above", "real", low=1.0),
                Variable("below", "real", high=1.0),
            )
        )

        def __init__(self) -> None:
            self.rows: Batch | None = None

        def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
            self.rows = Batch.concatenate(
                [s.batch.select(rng.integers(len(s.batch), size=round(400 * s.weight))) for s in sources]
            )

        def generate(self, n: int, rng: np.random.Generator) -> Batch:
            assert self.rows is not None
            return self.rows.select(rng.integers(len(self.rows), size=n))

        def state(self) -> State:
            return {} if self.rows is None else {n: a.copy() for n, a in self.rows.arrays.items()}

        def load(self, state: State) -> None:
            self.rows = self.space.batch(state) if state else None

    assert check_model(Resampling) == CHECKS


# --- broken models -------------------------------------------------------------------------------------------


class NoLoad(Sound):
    load = None  # type: ignore[assignment]


class SpaceByNames(Sound):
    space = ("x",)


class SpaceOfItsOwn(Sound):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        SpaceOfItsOwn.made += 1
        self.space = Space((Variable(f"x{self.made}", "real", (2,)),))


class Deaf(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        return


class Raising(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        raise OverflowError("too much")


class OneTooMany(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return super().generate(n + 1, rng)


class OtherSpace(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return Space((Variable("x", "real", (2,), low=-99.0),)).batch(super().generate(n, rng).arrays)


class BareArrays(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Any:
        return dict(super().generate(n, rng).arrays)


class IgnoresItsStream(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return super().generate(n, np.random.default_rng(0))


class FreshEntropy(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn(sources, rng)
        self.mean += np.random.default_rng().normal(scale=1e-3, size=2)


class DrawsFromNumpy(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        np.random.random()  # noqa: NPY002 - the fault
        return super().generate(n, rng)


class DrawsFromPython(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        random.random()
        super().learn(sources, rng)


class SeedsNumpy(Sound):
    """Leaves the global generator in the same state each time, so that only a check that moves it first can tell."""

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        np.random.seed(0)  # noqa: NPY002 - the fault
        super().learn(sources, rng)


class GlobalRows(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return SPACE.batch({"x": self.mean + np.random.standard_normal((n, 2))})  # noqa: NPY002 - the fault


class WanderingGenerate(Sound):
    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        self.mean = self.mean + 1e-3
        return super().generate(n, rng)


class UnlocksRows(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        for s in sources:
            s.batch["x"].flags.writeable = True
        super().learn(sources, rng)


class SortsRows(Sound):
    """Changes rows in a way that changes nothing the second time, and tidies up."""

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        for s in sources:
            s.batch["x"].flags.writeable = True
            s.batch["x"].sort(axis=0)
            s.batch["x"].flags.writeable = False
        super().learn(sources, rng)


class EqualWeights(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn([Source(s.batch, 1 / len(sources)) for s in sources], rng)


class InvertedWeights(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn([Source(s.batch, 1 - s.weight if len(sources) > 1 else 1.0) for s in sources], rng)


class ObjectInState(Sound):
    def state(self) -> State:
        return {"mean": self.mean.copy(), "space": self.space}


class KeysOfNumbers(Sound):
    def state(self) -> State:
        return {"mean": self.mean.copy(), "more": [{0: 1.0}]}


class ObjectArrayInState(Sound):
    def state(self) -> State:
        return {"mean": self.mean.copy(), "more": np.array([None])}


class AliasInState(Sound):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        before = self.mean
        super().learn(sources, rng)
        before[:], self.mean = self.mean, before

    def state(self) -> State:
        return {"mean": self.mean}


class ForgetsOnLoad(Sound):
    def load(self, state: State) -> None:
        return


class HiddenMomentum(Sound):
    """Depends on something that its state does not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        super().learn(sources, rng)
        self.calls += 1
        self.mean = self.mean + 1e-3 * self.calls


class DensityOfTheWholeBatch(Sound):
    def log_density(self, batch: Batch) -> Any:
        return -0.5 * ((batch["x"] - self.mean) ** 2).sum()


class DensityOfNaN(Sound):
    def log_density(self, batch: Batch) -> Any:
        return np.full(len(batch), np.nan)


class MeansInAMatrix(Sound):
    @property
    def mean_parameters(self) -> Any:
        return self.mean[None]


PAIR = Space((Variable("x", "real", (2,)), Variable("y", "real")))


class Completing:
    """Normal rows of unit variance, each variable around the mean of the rows that hold it."""

    space = PAIR

    def __init__(self) -> None:
        self.means: dict[str, Any] = {v.name: np.zeros(v.shape) for v in PAIR}

    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        for name in PAIR.names:
            held = [(s.weight, s.batch[name].mean(axis=0)) for s in sources if name in s.batch.space]
            self.means[name] = np.asarray(sum(w * mean for w, mean in held) / sum(w for w, _ in held))

    def generate(self, n: int, rng: np.random.Generator) -> Batch:
        return PAIR.batch({v.name: self.means[v.name] + rng.standard_normal((n, *v.shape)) for v in PAIR})

    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return PAIR.batch({**self.generate(len(batch), rng).arrays, **batch.arrays})

    def state(self) -> State:
        return {name: mean.copy() for name, mean in self.means.items()}

    def load(self, state: State) -> None:
        self.means = {name: np.array(mean) for name, mean in state.items()}


class CompletesHalf(Completing):
    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return super().complete(batch.select(slice(0, len(batch) // 2)), rng)


class Overwrites(Completing):
    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return self.generate(len(batch), rng)


class CompletesAtWill(Completing):
    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return super().complete(batch, np.random.default_rng())


class LearnsByCompleting(Completing):
    def complete(self, batch: Batch, rng: np.random.Generator) -> Batch:
        self.means["y"] = self.means["y"] + 1.0
        return super().complete(batch, rng)


class NeedsAll(Completing):
    def learn(self, sources: Sequence[Source], rng: np.random.Generator) -> None:
        for s in sources:
            s.batch.restrict(PAIR)
        super().learn(sources, rng)


ALL_THAT_LEARN = set(CHECKS) - {"methods", "space"}
BROKEN: list[tuple[Callable[[], Any], set[str], str]] = [
    (NoLoad, {"methods"}, "methods: missing load"),
    (object, {"methods"}, "methods: missing learn, generate, state, load, space"),
    (lambda: 1 / 0, {"methods"}, "methods: raised ZeroDivisionError: division by zero"),
    (SpaceByNames, {"space"}, "space: space is tuple, expected Space"),
    (SpaceOfItsOwn, {"space"}, "space: two models of one factory have different spaces"),
    (Raising, ALL_THAT_LEARN, "rows: raised OverflowError: too much"),
    (Deaf, {"learns", "weights"}, "learns: what is generated after learning from one batch lies closer to another"),
    (OneTooMany, {"rows"}, r"rows: generate\(0\) did not give a Batch of 0 rows over the model's space"),
    (OtherSpace, {"rows"}, r"rows: generate\(0\) did not give a Batch of 0 rows over the model's space"),
    (IgnoresItsStream, {"reproducible"}, "reproducible: different streams gave the same rows: generate does not use"),
    (FreshEntropy, {"reproducible", "resumes"}, "reproducible: the same calls with the same streams gave different"),
    (DrawsFromNumpy, {"global-randomness"}, "global-randomness: a global random generator was used"),
    (DrawsFromPython, {"global-randomness"}, "global-randomness: a global random generator was used"),
    (SeedsNumpy, {"global-randomness"}, "global-randomness: a global random generator was used"),
    (
        GlobalRows,
        {"reproducible", "global-randomness", "generate-is-pure", "resumes"},
        "reproducible: the same calls with the same streams gave different rows",
    ),
    (WanderingGenerate, {"generate-is-pure"}, "generate-is-pure: generate changed the model"),
    (UnlocksRows, {"sources-unchanged"}, "sources-unchanged: learn changed the rows of a source"),
    (SortsRows, {"sources-unchanged"}, "sources-unchanged: learn changed the rows of a source"),
    (EqualWeights, {"weights"}, "weights: a source of weight 0.9 pulls no more than one of weight 0.1"),
    (InvertedWeights, {"weights"}, "weights: a source of weight 0.9 pulls no more than one of weight 0.1"),
    (ObjectInState, {"state-is-plain"}, "state-is-plain: state holds a Space, expected arrays, numbers, strings"),
    (KeysOfNumbers, {"state-is-plain"}, "state-is-plain: state holds a int, expected arrays"),
    (ObjectArrayInState, {"state-is-plain"}, "state-is-plain: state holds a array of objects, expected arrays"),
    (AliasInState, {"state-is-a-copy"}, "state-is-a-copy: a state changed when its model went on"),
    (ForgetsOnLoad, {"resumes"}, "resumes: a model that loaded a state does not go on like the one whose state it is"),
    (HiddenMomentum, {"resumes"}, "resumes: a model that loaded a state does not go on like the one whose state it"),
    (DensityOfTheWholeBatch, {"abilities"}, r"abilities: log_density of 5 rows has shape \(\) or holds NaN"),
    (DensityOfNaN, {"abilities"}, r"abilities: log_density of 5 rows has shape \(5,\) or holds NaN, expected 5 numb"),
    (MeansInAMatrix, {"abilities"}, "abilities: mean_parameters is not a vector"),
    (CompletesHalf, {"completes"}, "completes: complete of 400 rows without x did not give as many over the model's"),
    (Overwrites, {"completes"}, "completes: complete of rows without x changed y, which was given"),
    (CompletesAtWill, {"completes"}, "completes: complete changed the model, or draws from something else than its"),
    (LearnsByCompleting, {"completes"}, "completes: complete changed the model, or draws from something else than"),
    (NeedsAll, {"completes"}, r"completes: raised BatchError: missing variables \['x'\]"),
]


@pytest.mark.parametrize(
    ("factory", "failed", "message"), BROKEN, ids=[getattr(factory, "__name__", "") for factory, _, _ in BROKEN]
)
def test_a_broken_model_fails_the_checks_that_name_its_fault(
    factory: Callable[[], Any], failed: set[str], message: str
) -> None:
    with pytest.raises(ConformanceError, match=message) as failure:
        check_model(factory)
    assert set(failure.value.failures) == failed
    assert f"the model fails {len(failed)} check(s) of the protocol: " in str(failure.value)


def test_a_model_that_gives_bare_arrays_fails_with_its_rows() -> None:
    with pytest.raises(ConformanceError, match="rows: ") as failure:
        check_model(BareArrays)
    assert "rows" in failure.value.failures


def test_a_failed_check_is_a_failed_assertion() -> None:
    with pytest.raises(AssertionError):
        check_model(Deaf)


def test_the_check_leaves_the_global_generators_alone() -> None:
    _mixture()  # what importing scikit-learn draws is no concern of the check
    before = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    check_model(Sound)
    check_model(lambda: EstimatorModel(_mixture(), SPACE, rows=50))
    after = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    assert after == before


def _mixture() -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(1, init_params="random_from_data")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds_judge_alike(seed: int) -> None:
    assert check_model(Sound, seed=seed, rows=100) == CHECKS
    with pytest.raises(ConformanceError) as failure:
        check_model(EqualWeights, seed=seed, rows=100)
    assert set(failure.value.failures) == {"weights"}
