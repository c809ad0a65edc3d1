"""How far poison spreads: the closed form against the influence matrix, against play, and where it is not known."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from nashgossip.games import (
    Bernoulli,
    Categorical,
    Conduct,
    Defence,
    Exponential,
    FreeRider,
    Game,
    Gaussian,
    GaussianFull,
    Liar,
    Mute,
    NoClosedFormError,
    Oracle,
    PlayerSpec,
    Poisoner,
    Poisson,
    Trust,
    equilibrium,
    poisoned_equilibrium,
    predict,
    predict_poisoned,
    synthetic_data,
)
from nashgossip.runners import rounds
from nashgossip.topology import attach_alpha, generate_graph, influence, listening_matrix, self_weights, spectral_radius

GAUSSIAN = Gaussian((2,))


def game(
    conducts: dict[int, Conduct], family: Any = GAUSSIAN, *, samples: int = 100, defence: Defence | None = None
) -> Game:
    graph = attach_alpha(generate_graph("small_world", n=10, k=4, p=0.3, seed=2), 0.3)
    data = synthetic_data(family, len(graph), 200, np.random.default_rng(5))
    specs = {
        p: PlayerSpec(family, data=data[p], smoothing=1.0, samples=samples, conduct=conducts.get(p), defence=defence)
        for p in graph
    }
    return Game(graph, specs)


def test_a_constant_bias_spreads_by_the_influence_of_data() -> None:
    bias = np.array([3.0, 3.0])
    played = game({4: Poisoner("shift", 3.0)})
    B, D = influence(played.graph), self_weights(played.graph)
    for i in range(10):
        share = B[i, 4] / D[4] - (i == 4)
        assert predict_poisoned(played).shift[i] == pytest.approx(share * bias)


def test_poison_adds_up_and_nobody_is_harmed_without_it() -> None:
    alone = [predict_poisoned(game({k: Poisoner(by=2.0)})).shift for k in (1, 7)]
    both = predict_poisoned(game({1: Poisoner(by=2.0), 7: Poisoner(by=2.0)}))
    assert both.shift == pytest.approx(alone[0] + alone[1])
    assert both.honest.tolist() == [k not in (1, 7) for k in range(10)]
    clean = predict_poisoned(game({}))
    assert clean.equilibrium == pytest.approx(equilibrium(game({})))
    assert clean.honest_rms == pytest.approx(0.0, abs=1e-9)
    assert both.honest_rms == pytest.approx(np.sqrt((both.shift[both.honest] ** 2).mean()))


@pytest.mark.parametrize(
    ("conducts", "family"),
    [
        ({1: Poisoner(by=3.0), 6: Poisoner(by=-1.0)}, GAUSSIAN),
        ({1: Poisoner(by=2.0)}, Poisson((2,))),
        ({1: Poisoner(by=1.0)}, Exponential((2,))),
        ({1: Poisoner(by=0.5)}, Bernoulli((3,))),
        ({1: Poisoner(by=-0.5)}, Bernoulli((3,))),
        ({1: Poisoner(by=0.5)}, Categorical(4)),
        ({1: FreeRider("copy"), 2: FreeRider("copy"), 5: Poisoner(by=3.0)}, GAUSSIAN),
        ({1: Mute(), 2: Liar("invalid"), 6: Poisoner(by=2.0)}, GAUSSIAN),
    ],
    ids=["gaussian", "poisson", "exponential", "bits on", "bits off", "categories", "copies", "silent"],
)
def test_play_comes_to_rest_where_it_is_predicted(conducts: dict[int, Conduct], family: Any) -> None:
    """The mean over time of what honest players know, within its standard error; the honest equilibrium is not there.

    Records of rounds are correlated by at most ρ from one to the next, so that T of them count as T (1 − ρ)/(1 + ρ).
    """
    played, burn, count = game(conducts, family, samples=50), 25, 120
    found = predict_poisoned(played)
    path = np.stack([o.means for o in rounds(played, seed=3, moves=burn + count) if o.means is not None])[burn + 1 :]
    rho = spectral_radius(played.graph)
    error = path.std(axis=0) * np.sqrt((1 + rho) / ((1 - rho) * count))
    z, away = (
        (np.abs(path.mean(axis=0) - expected) / error)[found.honest]
        for expected in (found.equilibrium, equilibrium(played))
    )
    assert z.max() < 4
    assert away.max() > 8


@pytest.mark.parametrize("conduct", [FreeRider("constant"), Liar("ahead")])
def test_one_who_never_says_anything_new_is_heard_as_it_began(conduct: Conduct) -> None:
    """Its one batch is a sample: the others come to rest around its mean, by what n rows vary, in the mean of seeds."""
    played, seeds = game({3: conduct}, samples=400), 8
    found, ends = predict_poisoned(played), []
    for seed in range(seeds):
        path = [o.means for o in rounds(played, seed=seed, moves=25, every=2)][7:]
        ends.append(np.mean([means for means in path if means is not None], axis=0))
    mean, error = np.mean(ends, axis=0), np.std(ends, axis=0, ddof=1) / np.sqrt(seeds)
    z, away = ((np.abs(mean - expected) / error)[found.honest] for expected in (found.equilibrium, equilibrium(played)))
    beyond = t.ppf(1 - 1e-4, seeds - 1)  # of 18 figures, most of which go together
    assert z.max() < beyond
    assert away.max() > beyond


def test_a_bound_on_shares_makes_poison_spread_less_as_predicted() -> None:
    conducts: dict[int, Conduct] = {1: Poisoner(by=3.0), 6: Poisoner(by=3.0)}
    loose, tight = (predict_poisoned(game(conducts, defence=d)) for d in (None, Defence(clip=0.05)))
    assert tight.honest_rms < loose.honest_rms / 2
    played = game(conducts, defence=Defence(clip=0.05), samples=1000)
    *_, last = rounds(played, seed=1, moves=30, every=30)
    floors = predict(game({}, samples=1000)).floors
    assert floors is not None
    assert last.means is not None
    assert np.abs(last.means - tight.equilibrium)[tight.honest].max() < 5 * floors.max()


def test_shares_on_record_take_the_place_of_alpha() -> None:
    played = game({1: Poisoner(by=3.0)}, defence=Defence(trust=Trust()))
    shares = listening_matrix(played.graph) + np.diag(self_weights(played.graph))
    assert predict_poisoned(played, shares).shift == pytest.approx(predict_poisoned(game({1: Poisoner(by=3.0)})).shift)
    shares[:, 1] = 0.0
    shares[1, 1] = 1.0
    shares /= shares.sum(axis=1, keepdims=True)
    deaf = predict_poisoned(played, shares)
    assert deaf.shift[deaf.honest] == pytest.approx(predict_poisoned(game({1: Mute()})).shift[deaf.honest])


@pytest.mark.parametrize(
    ("conducts", "family", "defence", "message"),
    [
        ({1: Poisoner("flip", 1)}, Categorical(4), None, "by flip is not linear"),
        ({1: Poisoner(by=1.0)}, GaussianFull(2), None, "a shift by 1.0 of family gaussian-full is not a constant bias"),
        ({1: Poisoner(by=-1.0)}, Poisson((2,)), None, "a shift by -1.0 of family poisson is not a constant bias"),
        ({1: Mute(after=3)}, GAUSSIAN, None, "a player falls silent later"),
        ({}, GAUSSIAN, Defence(trust=Trust()), "what player 0 leaves out or trusts depends on play; give its shares"),
    ],
)
def test_what_is_not_known_is_not_made_up(
    conducts: dict[int, Conduct], family: Any, defence: Defence | None, message: str
) -> None:
    with pytest.raises(NoClosedFormError, match=message):
        predict_poisoned(game(conducts, family, defence=defence))


def pair(conduct: Conduct, weights: dict[int, float]) -> Game:
    graph = attach_alpha(generate_graph("complete", n=2), weights)
    data = synthetic_data(GAUSSIAN, 2, 20, np.random.default_rng(0))
    return Game(graph, {p: PlayerSpec(GAUSSIAN, data=data[p], conduct=conduct if p else None) for p in graph})


def test_who_has_no_data_and_hears_nobody_drifts() -> None:
    with pytest.raises(NoClosedFormError, match="a player without data hears nobody"):
        predict_poisoned(pair(Mute(), {0: 0.0, 1: 1.0}))
    with pytest.raises(NoClosedFormError, match="neither real data nor anything constant reaches somebody"):
        predict_poisoned(pair(FreeRider("copy"), {0: 0.0, 1: 0.5}))


def test_copies_of_copies_have_no_origin() -> None:
    played = pair(FreeRider("copy"), {0: 0.5, 1: 0.5})
    both = Game(
        played.graph, {p: PlayerSpec(GAUSSIAN, data=s.data, conduct=FreeRider("copy")) for p, s in played.specs.items()}
    )
    with pytest.raises(NoClosedFormError, match="some who copy hear each other alone"):
        predict_poisoned(both)


def test_the_general_form_is_the_fixed_point() -> None:
    played = game({})
    oracle, rng = Oracle.of(played), np.random.default_rng(1)
    answers, bias = np.eye(10), rng.normal(size=(10, 2))
    answers[4] = 0.0
    found = poisoned_equilibrium(oracle.listening, oracle.self_weights, oracle.anchors, bias, answers)
    assert found == pytest.approx(oracle.best_response(answers @ found + bias))
