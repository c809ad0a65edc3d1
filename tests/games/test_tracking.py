"""Play on a changing graph: its equilibria, and its distance to the one in force against the exact recursion."""

import math
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nashgossip.games import (
    Bernoulli,
    Game,
    GameError,
    Gaussian,
    Gossip,
    NoClosedFormError,
    PlayerSpec,
    StepSize,
    equilibria,
    equilibrium,
    predict,
    predict_tracking,
    tracking_error,
)
from nashgossip.topology import (
    GraphSequence,
    attach_alpha,
    blend,
    failing_edges,
    listening_matrix,
    membership,
    rewired,
    sequence,
    spectral_radius,
    time_average,
)

Array = NDArray[np.float64]

ROUNDING = 1e-9
PROPERTY = settings(derandomize=True, deadline=None, max_examples=15)
SEEDS = st.integers(0, 2**32 - 1)
N = 6


def changing_graph(seed: int, n: int = N) -> GraphSequence:
    """A ring with chords whose links fail and recover."""
    rng = np.random.default_rng(seed)
    G = nx.cycle_graph(n)
    G.add_edges_from((j, i) for j in range(n) for i in range(j) if rng.random() < 0.3)
    weighted = attach_alpha(G, dict(enumerate(rng.uniform(0.1, 0.6, n).tolist())))
    return failing_edges(weighted, failure_rate=0.03, repair_rate=0.2, until=20, seed=seed)


def game_on(changing: GraphSequence, seed: int, **spec: Any) -> Game:
    family = Bernoulli((2,))
    rng = np.random.default_rng(seed)
    specs = {
        i: PlayerSpec(
            family, data=family.space.batch({"x": rng.random((20, 2)) < rng.random(2)}), smoothing=1.0, **spec
        )
        for i in changing.players
    }
    return Game(changing.at(0), specs)


def best_responses(game: Game, changing: GraphSequence, rounds: int) -> Array:
    """The bare loop of synchronous play without sampling noise, player by player: `[rounds + 1, N, d]`."""
    anchors = {i: game.specs[i].anchor() for i in game.players}
    mu = dict(anchors)
    seen = [list(mu.values())]
    for r in range(rounds):
        G = changing.at(r)
        response = {
            i: sum(G.edges[j, i]["alpha"] * (anchors[i] if j == i else mu[j]) for j in G.predecessors(i)) for i in G
        }
        mu = {i: mu[i] + game.specs[i].step.at(r) * (response[i] - mu[i]) for i in G}
        seen.append(list(mu.values()))
    return np.array(seen)


# --- equilibria --------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@PROPERTY
def test_each_graph_has_the_equilibrium_of_a_game_played_on_it_alone(seed: int) -> None:
    changing = changing_graph(seed)
    game = game_on(changing, seed)
    stars = equilibria(game, changing)
    assert stars.shape == (len(changing), N, 2)
    for star, G in zip(stars, changing.graphs, strict=True):
        np.testing.assert_allclose(star, equilibrium(Game(G, game.specs)), atol=ROUNDING)


def test_the_graph_of_the_game_plays_no_part() -> None:
    changing = changing_graph(1)
    game = game_on(changing, 1)
    other = Game(attach_alpha(nx.complete_graph(N)), game.specs)
    assert np.array_equal(equilibria(other, changing), equilibria(game, changing))


def test_one_graph_is_the_static_game() -> None:
    changing = sequence([(0, changing_graph(2).at(0))])
    game = game_on(changing, 2)
    star = equilibria(game, changing)
    np.testing.assert_allclose(star, equilibrium(game)[None], atol=ROUNDING)
    tracked = predict_tracking(game, changing, 80)
    assert tracked.errors[-1] < ROUNDING
    assert math.log(tracked.errors[31] / tracked.errors[30]) == pytest.approx(
        math.log(spectral_radius(changing.at(0))), rel=1e-3
    )
    floor = predict(game).noise_floor_rms
    assert tracked.rms is not None
    assert tracked.rms[-1] == pytest.approx(floor)


def test_large_games_are_solved_sparsely_and_without_their_noise() -> None:
    n, family = 2001, Gaussian()
    G = attach_alpha(nx.cycle_graph(n), 0.3)
    changing = sequence([(0, G), (1, attach_alpha(nx.path_graph(n), 0.4))])
    values = np.random.default_rng(3).normal(size=n)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": values[[i]]})) for i in G})
    stars = equilibria(game, changing)
    for star, H in zip(stars, changing.graphs, strict=True):
        np.testing.assert_allclose(star[:, 0], blend(H, values), atol=ROUNDING)
    tracked = predict_tracking(game, changing, 2)
    assert tracked.rms is None
    assert tracked.means.shape == (3, n, 1)


@given(seed=SEEDS, order=st.permutations(range(N)))
@PROPERTY
def test_relabelling_the_players_permutes_the_results(seed: int, order: list[int]) -> None:
    changing = changing_graph(seed)
    game = game_on(changing, seed)
    graphs = []
    for G in changing.graphs:
        H: nx.DiGraph[Any] = nx.DiGraph()
        H.add_nodes_from(f"p{i}" for i in order)
        H.add_edges_from((f"p{j}", f"p{i}", {"alpha": alpha}) for j, i, alpha in G.edges.data("alpha"))
        graphs.append(H)
    shuffled = GraphSequence(changing.times, tuple(graphs))
    other = Game(graphs[0], {f"p{i}": game.specs[i] for i in order})
    np.testing.assert_allclose(equilibria(other, shuffled), equilibria(game, changing)[:, order], atol=ROUNDING)
    ours, theirs = predict_tracking(game, changing, 12), predict_tracking(other, shuffled, 12)
    np.testing.assert_allclose(theirs.means, ours.means[:, order], atol=ROUNDING)
    np.testing.assert_allclose(theirs.errors, ours.errors, atol=ROUNDING)
    assert ours.rms is not None
    assert theirs.rms is not None
    np.testing.assert_allclose(theirs.rms, ours.rms, atol=ROUNDING)


# --- tracking ----------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@PROPERTY
def test_exact_play_is_tracked_as_predicted(seed: int) -> None:
    changing = changing_graph(seed)
    game = game_on(changing, seed)
    played = best_responses(game, changing, 25)
    stars = equilibria(game, changing)
    predicted = predict_tracking(game, changing, 25)
    np.testing.assert_allclose(predicted.means, played, atol=ROUNDING)
    np.testing.assert_allclose(
        tracking_error(predicted.times, played, changing, stars), predicted.errors, atol=ROUNDING
    )


@pytest.mark.parametrize("step", [StepSize(0.5), StepSize(horizon=10.0)])
def test_steps_are_followed(step: StepSize) -> None:
    changing = changing_graph(4)
    game = game_on(changing, 4, step=step)
    predicted = predict_tracking(game, changing, 25)
    np.testing.assert_allclose(predicted.means, best_responses(game, changing, 25), atol=ROUNDING)


def test_the_error_shrinks_by_w_and_jumps_where_a_graph_gives_way() -> None:
    ring, star = attach_alpha(nx.cycle_graph(N), 0.3), attach_alpha(nx.star_graph(N - 1), 0.2)
    changing = sequence([(0, ring), (4, star), (6.5, ring)])
    game = game_on(changing, 5)
    stars = equilibria(game, changing)
    e = np.array([game.specs[i].anchor() for i in game.players]) - stars[0]
    expected = [e]
    for r in range(10):
        # the graph of time 6.5 governs the rounds from 7 on, but its equilibrium is in force at time 7 already
        before, after = (0 if t < 4 else 1 if t < 6.5 else 2 for t in (r, r + 1))
        e = listening_matrix(changing.graphs[before]) @ e + stars[before] - stars[after]
        expected.append(e)
    predicted = predict_tracking(game, changing, 10)
    np.testing.assert_allclose(predicted.errors, np.sqrt((np.array(expected) ** 2).mean(axis=(1, 2))), atol=ROUNDING)
    assert predicted.errors[4] > predicted.errors[3]
    assert predicted.errors[7] > predicted.errors[6]


def test_a_change_between_two_times_of_a_round_is_passed_over() -> None:
    ring, star = attach_alpha(nx.cycle_graph(N)), attach_alpha(nx.star_graph(N - 1))
    brief = sequence([(0, ring), (2.2, star), (2.8, ring)])
    game = game_on(brief, 6)
    with_it, without = predict_tracking(game, brief, 8), predict_tracking(game, sequence([(0, ring)]), 8)
    np.testing.assert_allclose(with_it.errors, without.errors, atol=ROUNDING)


@pytest.mark.parametrize("fresh", [(), (0, 2), range(5)], ids=["broadcast", "mixed", "fresh"])
def test_noisy_play_is_tracked_as_predicted(fresh: Any) -> None:
    n, samples, rounds, replicates, variance = 5, 4, 12, 2000, 2.0
    graphs = [attach_alpha(nx.cycle_graph(n), 0.3), attach_alpha(nx.star_graph(n - 1), 0.2)]
    changing = sequence([(0, graphs[0]), (5, graphs[1])])
    family = Gaussian((1,), variance=variance)
    rng = np.random.default_rng(7)
    data = {i: family.space.batch({"x": rng.normal(3 * i, 1, (5, 1))}) for i in range(n)}
    step = StepSize(0.8)
    spec = partial(PlayerSpec, family, samples=samples, step=step)
    game = Game(graphs[0], {i: spec(data=data[i], gossip=Gossip(fresh=i in fresh)) for i in range(n)})
    anchors = np.array([game.specs[i].anchor() for i in range(n)])[:, 0]
    stars = equilibria(game, changing)[:, :, 0]
    mu = np.tile(anchors, (replicates, 1))
    predicted = predict_tracking(game, changing, rounds)
    assert predicted.rms is not None
    for r in range(rounds):
        W = listening_matrix(changing.at(r))
        own = 1 - W.sum(axis=1)
        noise = rng.normal(0, math.sqrt(variance / samples), (replicates, n, n))
        broadcast = [j for j in range(n) if j not in fresh]
        noise[:, :, broadcast] = noise[:, :1, broadcast]
        mu = 0.2 * mu + 0.8 * (own * anchors + mu @ W.T + (noise * W).sum(axis=2))
        squares = ((mu - stars[0 if r + 1 < 5 else 1]) ** 2).mean(axis=1)
        standard_error = squares.std() / math.sqrt(replicates)
        assert squares.mean() == pytest.approx(predicted.rms[r + 1] ** 2, abs=4 * standard_error)


def test_fast_changes_are_played_around_the_mean_graph() -> None:
    changing = rewired(nx.cycle_graph(N), fraction=1, every=1, until=30, seed=8, self_weight=0.4)
    game = game_on(changing, 8)
    anchors = np.array([game.specs[i].anchor() for i in range(N)])
    rng = np.random.default_rng(8)
    matrices = [listening_matrix(G) for G in changing.graphs]
    mu, seen = anchors, []
    for _ in range(8000):
        mu = 0.4 * anchors + matrices[rng.integers(len(matrices))] @ mu
        seen.append(mu)
    blocks = np.array(seen).reshape(80, 100, N, 2).mean(axis=1)
    standard_error = blocks.std(axis=0, ddof=1) / math.sqrt(len(blocks))
    mean = blend(time_average(changing, 30.0), anchors)
    assert (np.abs(blocks.mean(axis=0) - mean) <= 4 * standard_error + ROUNDING).all()


def test_the_error_is_to_the_equilibrium_in_force() -> None:
    changing = sequence([(0, attach_alpha(nx.cycle_graph(3))), (2, attach_alpha(nx.path_graph(3)))])
    stars = np.stack([np.zeros((3, 2)), np.ones((3, 2))])
    means = np.full((5, 3, 2), 3.0)
    means[0] = [[3, 4]] * 3
    errors = tracking_error([0, 1.5, 2, 2, 9], means, changing, stars)
    assert errors.tolist() == [math.sqrt(12.5), 3, 2, 2, 2]
    assert tracking_error([], np.zeros((0, 3, 2)), changing, stars).shape == (0,)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "means", "targets", "message"),
    [
        ([0, -1], (2, 3, 2), (2, 3, 2), "times are not a list of finite numbers >= 0 that do not decrease"),
        ([2, 1], (2, 3, 2), (2, 3, 2), "that do not decrease; sort the trajectory by time"),
        ([0, math.nan], (2, 3, 2), (2, 3, 2), "times are not a list of finite numbers"),
        ([0, math.inf], (2, 3, 2), (2, 3, 2), "times are not a list of finite numbers"),
        (0.0, (2, 3, 2), (2, 3, 2), "times are not a list of finite numbers"),
        ([0, 1], (2, 3, 2), (1, 3, 2), r"targets have shape \(1, 3, 2\), expected \(2, 3, d\); call equilibria"),
        ([0, 1], (2, 3, 2), (2, 4, 2), r"targets have shape \(2, 4, 2\), expected \(2, 3, d\)"),
        ([0, 1], (2, 3, 1), (2, 3, 2), r"means have shape \(2, 3, 1\), expected \(2, 3, 2\) \(times, players, stat"),
        ([0, 1, 2], (2, 3, 2), (2, 3, 2), r"means have shape \(2, 3, 2\), expected \(3, 3, 2\)"),
    ],
)
def test_trajectories_that_are_refused(times: Any, means: Any, targets: Any, message: str) -> None:
    changing = sequence([(0, attach_alpha(nx.cycle_graph(3))), (2, attach_alpha(nx.path_graph(3)))])
    with pytest.raises(ValueError, match=message):
        tracking_error(times, np.zeros(means), changing, np.zeros(targets))


def test_means_that_are_nan_are_refused() -> None:
    changing = sequence([(0, attach_alpha(nx.cycle_graph(3)))])
    means = np.zeros((3, 3, 1))
    means[1, 2] = math.nan
    with pytest.raises(ValueError, match="means at time 2.5 are NaN, expected mean parameters; leave such times out"):
        tracking_error([0, 2.5, 3], means, changing, np.zeros((1, 3, 1)))


@pytest.mark.parametrize("ask", [equilibria, lambda game, changing: predict_tracking(game, changing, 3)])
def test_other_players_than_the_games_are_refused(ask: Any) -> None:
    game = game_on(changing_graph(9), 9)
    more = sequence([(0, attach_alpha(nx.cycle_graph(N + 1)))])
    turned = sequence([(0, attach_alpha(nx.cycle_graph([*range(1, N), 0])))])
    with pytest.raises(GameError, match="players of the sequence differ in 6, expected those of the game in its order"):
        ask(game, more)
    with pytest.raises(GameError, match="players of the sequence stand in another order, expected those of the game"):
        ask(game, turned)


def test_a_graph_that_anchors_a_player_without_data_is_refused() -> None:
    family = Bernoulli((2,))
    rows = family.space.batch({"x": [[0, 1], [1, 0]]})
    quiet = attach_alpha(nx.path_graph(2), {0: 0.5, 1: 0.0})
    game = Game(quiet, {0: PlayerSpec(family, data=rows), 1: PlayerSpec(family)})
    assert equilibria(game, sequence([(0, quiet)])).shape == (1, 2, 2)
    with pytest.raises(GameError, match="sequence together, player 1 listens to its own data with weight 0.0833 but"):
        equilibria(game, sequence([(0, quiet), (5, attach_alpha(nx.path_graph(2), 0.5))]))


def test_black_boxes_have_no_equilibria() -> None:
    class BlackBox:
        space = Bernoulli((2,)).space

    changing = changing_graph(10)
    game = game_on(changing, 10)
    mixed = Game(game.graph, {**game.specs, 0: PlayerSpec(model=BlackBox, data=game.specs[0].data)})
    with pytest.raises(NoClosedFormError, match="a player is not an exponential family"):
        equilibria(mixed, changing)


@pytest.mark.parametrize(
    "gossip", [Gossip(style="pull"), Gossip(fan_out=1), Gossip(every=2), Gossip(keep=2, fresh=True)]
)
def test_other_gossip_is_not_predicted(gossip: Gossip) -> None:
    changing = changing_graph(13)
    game = game_on(changing, 13, gossip=gossip)
    assert equilibria(game, changing).shape == (len(changing), N, 2)
    with pytest.raises(NoClosedFormError, match="player 0 does not tell all its listeners after every move"):
        predict_tracking(game, changing, 3)


@pytest.mark.parametrize("rounds", [-1, 2.5, "3"])
def test_rounds_are_counted(rounds: Any) -> None:
    changing = changing_graph(11)
    with pytest.raises(GameError, match=f"rounds are {rounds!r}, expected a whole number >= 0"):
        predict_tracking(game_on(changing, 11), changing, rounds)


def test_before_the_first_round_there_is_the_start() -> None:
    changing = changing_graph(12)
    game = game_on(changing, 12)
    none = predict_tracking(game, changing, 0)
    assert none.times.tolist() == [0.0]
    assert none.means.shape == (1, N, 2)
    assert none.rms is not None
    assert np.array_equal(none.rms, none.errors)


# --- players that come and go -----------------------------------------------------------------------------------------


def coming_and_going(seed: int) -> GraphSequence:
    """Player 5 comes at round 4, player 1 is away from round 7 to round 12."""
    graph = changing_graph(seed).graphs[0]
    return membership(graph, [(4, 5, "join"), (7, 1, "leave"), (12, 1, "join")], "self")


@given(SEEDS)
@PROPERTY
def test_the_absent_stay_as_they_are_and_are_left_out(seed: int) -> None:
    """The recursion of those present, written out; a player that comes back goes on from where it was."""
    changing = coming_and_going(seed)
    game = game_on(changing, seed)
    found = predict_tracking(game, changing, 16)
    stars, mu = equilibria(game, changing), np.stack([game.specs[p].anchor() for p in game.players])
    anchors = mu.copy()
    for r in range(16):
        here = [p for p in game.players if p not in changing.absent_at(r)]
        W = listening_matrix(changing.at(r))
        own = 1 - W.sum(axis=1)
        mu[here] = (own[:, None] * anchors + W @ mu)[here]
        now = [p for p in game.players if p not in changing.absent_at(r + 1)]
        star = stars[changing.graphs.index(changing.at(r + 1))]
        assert found.means[r + 1] == pytest.approx(mu, abs=ROUNDING)
        assert found.errors[r + 1] == pytest.approx(np.sqrt(((mu - star)[now] ** 2).mean()), abs=ROUNDING)
    assert found.rms is not None
    assert (found.rms[1:] > found.errors[1:]).all()


def test_the_tracking_error_is_of_those_present() -> None:
    changing = coming_and_going(3)
    game = game_on(changing, 3)
    stars = equilibria(game, changing)
    means = np.stack([stars[0], stars[2]])
    means[0, 5] = np.nan
    means[1, 1] = 7.0
    assert tracking_error([1.0, 8.0], means, changing, stars).tolist() == [0.0, 0.0]
    means[1, 0] += 3.0
    assert tracking_error([1.0, 8.0], means, changing, stars)[1] == pytest.approx(3.0 / np.sqrt(N - 1))
    with pytest.raises(ValueError, match="means at time 5 are NaN"):
        tracking_error([5.0, 8.0], means, changing, stars)
