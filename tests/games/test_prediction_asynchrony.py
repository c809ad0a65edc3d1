"""Predictions for lost, late and picked messages against event simulations of their own."""

from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import lambertw

from nashgossip.games import Game, Gaussian, PlayerSpec, Prediction, Schedule, StepSize, predict
from nashgossip.games.covariance import stationary_covariance
from nashgossip.games.mailboxes import delayed_covariance, lossy_covariance
from nashgossip.games.rates import asymptotic_rate, mode_rates
from nashgossip.games.schedule import Links
from nashgossip.topology import attach_alpha, spectral_radius

Array = NDArray[np.float64]

SIGMAS = 4.0
FULL = (1.0, 1.0, 1.0, 1.0, 1.0)
HALF = (0.5, 0.5, 0.5, 0.5, 0.5)
UNEVEN = (1.0, 0.5, 0.25, 0.8, 0.6)
SIZES = (50, 400, 100, 200, 1000)


def directed() -> "nx.DiGraph[Any]":
    """Uneven α, one player without data of its own, one edge without its reverse, 1 to 2 listeners each."""
    G: nx.DiGraph[Any] = nx.DiGraph()
    G.add_nodes_from(range(4))
    edges = [(0, 0, 0.5), (1, 0, 0.3), (3, 0, 0.2), (0, 1, 0.6), (2, 1, 0.4)]
    edges += [(2, 2, 0.2), (1, 2, 0.8), (2, 3, 0.5), (3, 3, 0.1), (0, 3, 0.4)]
    G.add_weighted_edges_from(edges, weight="alpha")
    return G


GRAPHS: Mapping[str, "nx.DiGraph[Any]"] = {
    "directed": directed(),
    "star": attach_alpha(nx.star_graph(4), {0: 0.1, 1: 0.5, 2: 0.3, 3: 0.7, 4: 0.2}),
    "ring": attach_alpha(nx.cycle_graph(5), 0.3),
}


def edges_of(graph: str) -> list[tuple[int, int]]:
    return [(a, b) for a, b in GRAPHS[graph].edges if a != b]


def by_edge(graph: str) -> dict[tuple[int, int], float]:
    """A probability of its own for each edge."""
    return {edge: 0.3 + 0.1 * ((3 * k) % 7) for k, edge in enumerate(edges_of(graph))}


def one_neighbour(graph: str, arrives: float = 1.0) -> dict[tuple[int, int], float]:
    """Each move picks one listener; the share `arrives` of messages arrives."""
    listeners = {p: sum(a == p for a, _ in edges_of(graph)) for p in GRAPHS[graph]}
    return {(a, b): arrives / listeners[a] for a, b in edges_of(graph)}


def game_on(graph: str, steps: tuple[float, ...] = FULL, *, start: Any = "reference", samples: Any = SIZES) -> Game:
    family, G = Gaussian((2,)), GRAPHS[graph]
    rows = {i: family.space.batch({"x": [[float(i) ** 2 + 3.0, 9.0 - 2.0 * i]]}) for i in G}
    sizes = dict.fromkeys(G, samples) if isinstance(samples, int) else dict(enumerate(samples))
    return Game(
        G, {i: PlayerSpec(family, data=rows[i], step=StepSize(steps[i]), samples=sizes[i], start=start) for i in G}
    )


class World:
    """The game in plain arrays, many replicates at once: `mu` `[R, N, d]`, `boxes` `[R, listener, sender, d]`."""

    def __init__(self, game: Game, schedule: Schedule, replicates: int, seed: int, *, quiet: bool = False) -> None:
        specs = [game.specs[p] for p in game.players]
        n, self.rng, self.schedule = len(specs), np.random.default_rng(seed), schedule
        self.alpha: Array = np.zeros((n, n))
        for j, i, weight in game.graph.edges(data="alpha"):
            self.alpha[i, j] = weight
        self.w = self.alpha - np.diag(np.diag(self.alpha))
        self.eta = np.array([s.step.size for s in specs])
        self.sigma = np.zeros(n) if quiet else np.array([s.samples**-0.5 for s in specs])
        self.data = np.array([s.anchor() for s in specs])
        self.star = np.linalg.solve(np.eye(n) - self.w, np.diag(self.alpha)[:, None] * self.data)
        self.listens = (self.w > 0).T  # [sender, listener]
        self.p = np.zeros((n, n))
        given = schedule.delivery
        for j, i in zip(*np.nonzero(self.listens), strict=True):
            self.p[j, i] = given[int(j), int(i)] if isinstance(given, Mapping) else given
        self.mu = np.tile(
            [s.initial_mean() if s.start == "reference" else s.anchor() for s in specs], (replicates, 1, 1)
        )
        self.boxes = np.zeros((replicates, n, n, self.mu.shape[2]))
        self.heard = np.zeros((replicates, n, n), bool)

    def settle(self) -> None:
        """Equilibrium everywhere."""
        self.mu[:], self.boxes[:], self.heard[:] = self.star, self.star, True

    def reached(self, count: int, sender: int) -> NDArray[Any]:
        """Who of the listeners gets a publication: `[count, N]`."""
        p, listens, picks = self.p[sender], self.listens[sender], self.schedule.picks
        if picks is None or picks >= listens.sum():
            return np.asarray(self.rng.random((count, len(p))) < p)
        lots = np.where(listens, self.rng.random((count, len(p))), 2.0)
        picked = lots <= np.sort(lots, axis=1)[:, picks - 1 : picks]
        return np.asarray(picked & (self.rng.random(picked.shape) < p * listens.sum() / picks))

    def move(self, who: NDArray[Any], i: int) -> None:
        """Player i moves in replicates `who`."""
        weights = self.w[i] * self.heard[who, i]
        total = self.alpha[i, i] + weights.sum(axis=1)
        known = total > 0
        response = self.alpha[i, i] * self.data[i] + np.einsum("rj,rjd->rd", weights, self.boxes[who, i])
        response = response[known] / total[known, None]
        moving = who[known]
        self.mu[moving, i] += self.eta[i] * (response - self.mu[moving, i])

    def batch(self, who: NDArray[Any], i: int) -> tuple[Array, NDArray[Any]]:
        """What listeners would see of player i, and who of them does."""
        shape = (len(who), self.w.shape[0] if self.schedule.fresh else 1, self.mu.shape[2])
        return self.mu[who, i][:, None] + self.sigma[i] * self.rng.standard_normal(shape), self.reached(len(who), i)

    def put(self, who: NDArray[Any], j: int, shown: Array, to: NDArray[Any]) -> None:
        shown = np.broadcast_to(shown, (*to.shape, shown.shape[2]))
        self.boxes[who, :, j] = np.where(to[..., None], shown, self.boxes[who, :, j])
        self.heard[who, :, j] |= to

    def rounds(self, until: int, watch: Callable[[Array], None]) -> None:
        """What is published at the end of round t arrives before round t + 1 + delay."""
        everyone, n = np.arange(len(self.mu)), len(self.w)
        mail = [[(j, *self.batch(everyone, j)) for j in range(n)]]
        for _ in range(until):
            if len(mail) > int(self.schedule.delay or 0):
                for j, shown, to in mail.pop(0):
                    self.put(everyone, j, shown, to)
            for i in range(n):
                self.move(everyone, i)
            mail.append([(j, *self.batch(everyone, j)) for j in range(n)])
            watch(self.mu - self.star)

    def clocks(self, until: int, watch: Callable[[Array], None]) -> None:
        """The queue is one of all moves and arrivals of each replicate, gone through unit by unit of time."""
        replicates, n = len(self.mu), len(self.w)
        delay, d = self.schedule.delay or 0.0, self.mu.shape[2]
        slots, everyone = 64 + int(8 * n * (delay + 1)), np.arange(replicates)
        due = np.full((replicates, slots), np.inf)
        sender, to = np.zeros((replicates, slots), int), np.zeros((replicates, slots, n), bool)
        shown = np.zeros((replicates, slots, n, d))
        first, last = np.zeros((2, replicates), int)
        tick = self.rng.exponential(1 / n, replicates)

        def send(who: NDArray[Any], i: int, now: Array) -> None:
            values, listeners = self.batch(who, i)
            if not delay:
                self.put(who, i, values, listeners)
                return
            slot = last[who] % slots
            due[who, slot], sender[who, slot], to[who, slot] = now + delay, i, listeners
            shown[who, slot] = values
            last[who] += 1

        for i in range(n):
            send(everyone, i, np.zeros(replicates))
        for unit in range(1, until + 1):
            while True:
                arrival = np.where(first < last, due[everyone, first % slots], np.inf)
                busy = np.minimum(arrival, tick) <= unit
                if not busy.any():
                    break
                arriving, moving = everyone[busy & (arrival <= tick)], everyone[busy & (arrival > tick)]
                slot = first[arriving] % slots
                for j in np.unique(sender[arriving, slot]):
                    own = sender[arriving, slot] == j
                    self.put(arriving[own], j, shown[arriving[own], slot[own]], to[arriving[own], slot[own]])
                first[arriving] += 1
                mover = self.rng.integers(0, n, len(moving))
                for i in range(n):
                    who = moving[mover == i]
                    self.move(who, i)
                    send(who, i, tick[who])
                tick[moving] += self.rng.exponential(1 / n, len(moving))
            watch(self.mu - self.star)

    def run(self, until: int, watch: Callable[[Array], None]) -> None:
        (self.rounds if self.schedule.clock == "rounds" else self.clocks)(until, watch)


# --- floors ------------------------------------------------------------------------------------------------------


def every_schedule(graph: str) -> dict[str, tuple[Schedule, tuple[float, ...]]]:
    return {
        "clocks damped": (Schedule("poisson"), UNEVEN),
        "clocks fresh": (Schedule("poisson", fresh=True), FULL),
        "clocks fresh damped": (Schedule("poisson", fresh=True), UNEVEN),
        "clocks lossy": (Schedule("poisson", delivery=0.5), FULL),
        "clocks lossy damped": (Schedule("poisson", delivery=0.8), HALF),
        "clocks lossy by edge fresh": (Schedule("poisson", delivery=by_edge(graph), fresh=True), UNEVEN),
        "clocks one neighbour": (Schedule("poisson", delivery=one_neighbour(graph), picks=1), FULL),
        "clocks one neighbour lossy": (Schedule("poisson", delivery=one_neighbour(graph, 0.7), picks=1), UNEVEN),
        "clocks late": (Schedule("poisson", delay=1.0), FULL),
        "clocks late fresh": (Schedule("poisson", delay=0.5, fresh=True), FULL),
        "clocks late and lossy": (Schedule("poisson", delay=3.0, delivery=0.8), FULL),
        "clocks late and lossy fresh": (Schedule("poisson", delay=1.0, delivery=0.5, fresh=True), FULL),
        "rounds fresh": (Schedule(fresh=True), FULL),
        "rounds fresh damped": (Schedule(fresh=True), UNEVEN),
        "rounds late": (Schedule(delay=2.0), UNEVEN),
        "rounds late fresh": (Schedule(delay=1.5, fresh=True), HALF),
        "rounds lossy": (Schedule(delivery=0.5), FULL),
        "rounds lossy by edge fresh": (Schedule(delivery=by_edge(graph), fresh=True), UNEVEN),
        "rounds one neighbour": (Schedule(delivery=one_neighbour(graph), picks=1), HALF),
        "rounds late and lossy": (Schedule(delay=1.0, delivery=0.8), UNEVEN),
    }


@pytest.mark.parametrize("graph", ["directed", "star"])
@pytest.mark.parametrize("case", every_schedule("star"))
def test_the_floor_is_that_of_a_simulation(graph: str, case: str) -> None:
    schedule, steps = every_schedule(graph)[case]
    game = game_on(graph, steps)
    prediction = predict(game, schedule)
    assert prediction.floors is not None
    clocks = schedule.clock == "poisson"
    world = World(game, schedule, 500 if clocks else 1500, seed=len(case))
    world.settle()
    burn, seen = 30, []

    def watch(error: Array) -> None:
        seen.append((error**2).mean(axis=2))

    world.run(burn + 60, watch)
    squares = np.mean(seen[burn:], axis=0)
    mean, error = squares.mean(axis=0), squares.std(axis=0, ddof=1) / np.sqrt(len(squares))
    assert (error < 0.03 * mean).all(), "too few replicates to tell anything"
    assert (np.abs(mean - prediction.floors**2) < SIGMAS * error).all()
    assert prediction.noise_floor_rms == pytest.approx(np.sqrt((prediction.floors**2).mean()))


@pytest.mark.parametrize("case", ["clocks fresh damped", "clocks one neighbour", "clocks late", "rounds lossy"])
def test_the_noise_of_any_mixture_of_players_is_that_of_a_simulation(case: str) -> None:
    schedule, steps = every_schedule("directed")[case]
    game = game_on("directed", steps)
    links, noise = Links.of(game, schedule), 1 / np.array(SIZES[:4])
    covariance = stationary_covariance(np.array(steps[:4]), noise, links, schedule)
    assert covariance is not None
    world, burn, seen = World(game, schedule, 1000, seed=7), 30, []
    world.settle()
    world.run(burn + 60, lambda error: seen.append(np.einsum("rid,rkd->rik", error, error) / error.shape[2]))
    found = np.mean(seen[burn:], axis=0)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - covariance) < SIGMAS * error).all()


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("fresh", [False, True])
def test_derivations_of_different_kind_meet_where_nothing_is_lost_or_late(graph: str, fresh: bool) -> None:
    noise = 1 / np.array(SIZES[: len(GRAPHS[graph])])
    eta = np.array(UNEVEN[: len(noise)])
    for schedule in (Schedule("poisson", fresh=fresh), Schedule(fresh=fresh), Schedule(delay=1.0, fresh=fresh)):
        links = Links.of(game_on(graph), schedule)
        np.testing.assert_allclose(
            lossy_covariance(eta, noise, links, schedule),  # type: ignore[arg-type]
            stationary_covariance(eta, noise, links, schedule),  # type: ignore[arg-type]
            rtol=1e-9,
            atol=1e-12,
        )
    for p in (1.0, 0.4):
        soon, now = (Schedule("poisson", delay=delay, delivery=p, fresh=fresh) for delay in (1e-9, 0.0))
        links = Links.of(game_on(graph), now)
        np.testing.assert_allclose(
            delayed_covariance(noise, links, soon),  # type: ignore[arg-type]
            lossy_covariance(np.ones(len(noise)), noise, links, now),  # type: ignore[arg-type]
            rtol=1e-6,
        )


@pytest.mark.parametrize("case", [c for c in every_schedule("ring") if "by edge" not in c])
def test_many_players_are_solved_for_like_few(case: str) -> None:
    # a ring is the same everywhere: 40 players are solved for by iteration, and nobody can be told from a neighbour
    schedule, steps = every_schedule("ring")[case]
    given = schedule.delivery
    p = next(iter(given.values())) if isinstance(given, Mapping) else given
    even = Schedule(schedule.clock, schedule.delay, p, schedule.fresh, picks=schedule.picks)
    family = Gaussian()
    rms = []
    for n in (5, 40):
        G = attach_alpha(nx.cycle_graph(n), 0.6)
        specs = {i: PlayerSpec(family, data=family.space.batch({"x": [1.0]}), step=StepSize(steps[1])) for i in G}
        floors = predict(Game(G, specs), even).floors
        assert floors is not None
        np.testing.assert_allclose(floors, floors[0], rtol=1e-6)
        rms.append(floors[0])
    # further round the ring than two neighbours little comes back
    assert rms[0] == pytest.approx(rms[1], rel=0.02)


# --- rates -------------------------------------------------------------------------------------------------------

Q = {0.2: 0.8, 0.5: 0.5}


@pytest.mark.parametrize("graph", GRAPHS)
def test_rates_are_those_of_theory(graph: str) -> None:
    rho, game = spectral_radius(GRAPHS[graph]), game_on(graph)

    def rate(schedule: Schedule, steps: tuple[float, ...] = FULL) -> float | None:
        return predict(game if steps == FULL else game_on(graph, steps), schedule).asymptotic_rate

    assert rate(Schedule()) == pytest.approx(np.log(rho))
    assert rate(Schedule("poisson")) == pytest.approx(rho - 1)
    for p in Q.values():
        assert rate(Schedule(delivery=p)) == pytest.approx(np.log(1 - p * (1 - rho)))
        assert rate(Schedule("poisson", delivery=p)) == pytest.approx(-p * (1 - rho))
        for tau in (0.5, 1.0, 3.0):
            lambert = float(lambertw(p * rho * tau * np.exp(p * tau)).real) / tau - p
            assert rate(Schedule("poisson", delay=tau, delivery=p)) == pytest.approx(lambert)
    for tau in (0.5, 1.0, 3.0):
        lambert = float(lambertw(rho * tau * np.exp(tau)).real) / tau - 1
        assert rate(Schedule("poisson", delay=tau)) == pytest.approx(lambert)
        # every message is late, so that rounds take 1 + ⌊τ⌋ rounds
        assert rate(Schedule(delay=tau)) == pytest.approx(np.log(rho) / (1 + int(tau)))
    assert rate(Schedule("poisson"), HALF) == pytest.approx(-(1 - rho) / 2)
    assert rate(Schedule(), HALF) == pytest.approx(np.log((1 + rho) / 2))
    for schedule in (Schedule(), Schedule("poisson", fresh=True), Schedule("poisson", delay=1e-12)):
        assert rate(schedule) == pytest.approx(rate(Schedule(schedule.clock)))


@pytest.mark.parametrize("clock", ["rounds", "poisson"])
@pytest.mark.parametrize("delay", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("steps", [FULL, HALF], ids=["full", "half"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_slowest_mode_is_that_of_mailboxes_one_by_one(clock: Any, delay: float, steps: Any, graph: str) -> None:
    p = 0.6
    game, even = game_on(graph, steps), Schedule(clock, delay, p)
    rho = spectral_radius(GRAPHS[graph])
    almost = {edge: p + 1e-7 * (k % 2) for k, edge in enumerate(edges_of(graph))}  # takes the way of uneven edges
    uneven = Schedule(clock, delay, almost)
    eta = np.array(steps[: len(game.players)])
    found = asymptotic_rate(rho, eta, Links.of(game, uneven), uneven)
    assert Links.of(game, uneven).even is None
    assert found == pytest.approx(predict(game, even).asymptotic_rate, abs=1e-6)
    slopes = mode_rates(rho, steps[0], p, even)
    if slopes:
        assert slopes[0] == pytest.approx(found, abs=1e-6)
    else:
        assert clock == "poisson"
        assert delay > 0
        assert steps == HALF


def mean_of(world: World, vector: Any, times: tuple[int, int]) -> tuple[Array, Array]:
    """Projected errors at two times, `[2, R, d]`."""
    seen: list[Array] = []
    world.run(times[1], lambda error: seen.append(np.einsum("i,rid->rd", vector, error)))
    return seen[times[0] - 1], seen[times[1] - 1]


RATES: Mapping[str, tuple[Schedule, tuple[float, ...]]] = {
    "clocks lossy": (Schedule("poisson", delivery=0.8), FULL),
    "clocks lossier": (Schedule("poisson", delivery=0.5), FULL),
    "clocks damped": (Schedule("poisson"), HALF),
    "clocks lossy damped": (Schedule("poisson", delivery=0.8), HALF),
    "clocks half a unit late": (Schedule("poisson", delay=0.5), FULL),
    "clocks a unit late": (Schedule("poisson", delay=1.0), FULL),
    "clocks late": (Schedule("poisson", delay=3.0), FULL),
    "clocks late damped": (Schedule("poisson", delay=1.0), HALF),
    "clocks late and lossy": (Schedule("poisson", delay=1.0, delivery=0.5), FULL),
    "rounds lossy": (Schedule(delivery=0.8), FULL),
    "rounds lossier damped": (Schedule(delivery=0.5), HALF),
    "rounds late damped": (Schedule(delay=1.0), HALF),
    "rounds late and lossy": (Schedule(delay=2.0, delivery=0.5), FULL),
}


@pytest.mark.parametrize(("case", "graph"), [*((case, graph) for case in RATES for graph in ("star", "ring"))][:-1])
def test_the_mean_error_along_a_mode_falls_as_predicted(case: str, graph: str) -> None:
    schedule, steps = RATES[case]
    game = game_on(graph, steps, samples=10**9)
    prediction = predict(game, schedule)
    mode = prediction.mode
    assert mode is not None
    assert prediction.rate == mode.rate == pytest.approx(prediction.asymptotic_rate)
    # a second exponential is below 1/20 twice over
    times = int(np.ceil(2 * mode.after)) + 1, int(np.ceil(2 * mode.after)) + 9
    world = World(game, schedule, 4000, seed=len(case), quiet=True)
    before, after = mean_of(world, mode.vector.conj().real, times)
    expected = before * np.exp(mode.rate * (times[1] - times[0]))
    difference = after - expected
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    size = np.abs(expected.mean(axis=0))
    assert (np.abs(difference.mean(axis=0)) < SIGMAS * error + size / 400).all()
    told, most = SIGMAS * error + size / 400, size.argmax()
    assert told[most] < 0.05 * 8 * -mode.rate * size[most], "too few replicates to tell 5 % of the slope"


UNEVEN_RATES: Mapping[str, Callable[[str], tuple[Schedule, tuple[float, ...]]]] = {
    "clocks lossy by edge": lambda graph: (Schedule("poisson", delivery=by_edge(graph)), UNEVEN),
    "clocks one neighbour": lambda graph: (Schedule("poisson", delivery=one_neighbour(graph), picks=1), FULL),
    "clocks late by edge": lambda graph: (Schedule("poisson", delay=1.0, delivery=by_edge(graph)), UNEVEN),
    "rounds lossy by edge": lambda graph: (Schedule(delivery=by_edge(graph)), UNEVEN),
    "rounds one neighbour late": lambda graph: (Schedule(delay=1.0, delivery=one_neighbour(graph), picks=1), HALF),
}


@pytest.mark.parametrize("graph", ["star", "directed"])
@pytest.mark.parametrize("case", UNEVEN_RATES)
def test_the_mean_error_falls_as_predicted_where_edges_differ(graph: str, case: str) -> None:
    schedule, steps = UNEVEN_RATES[case](graph)
    game = game_on(graph, steps)
    prediction = predict(game, schedule)
    rate = prediction.asymptotic_rate
    assert rate is not None
    assert (prediction.rate, prediction.mode) == (rate, None)
    begin = int(np.ceil(4 / -rate))  # modes have mixed
    world = World(game, schedule, 4000, seed=len(case), quiet=True)
    before, after = mean_of(world, np.ones(len(game.players)), (begin, begin + 8))
    difference = after - before * np.exp(rate * 8)
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    size = np.abs(before.mean(axis=0)) * np.exp(rate * 8)
    assert (np.abs(difference.mean(axis=0)) < SIGMAS * error + 0.01 * size).all()


def test_a_mode_that_is_not_alone_is_not_measured() -> None:
    # with full steps every third round is a play of its own: three exponentials of one size
    prediction = predict(game_on("ring"), Schedule(delay=2.0))
    assert prediction.mode is None
    assert prediction.rate == prediction.asymptotic_rate == pytest.approx(np.log(0.7) / 3)


def test_players_that_start_from_their_data_miss_the_slowest_mode_also_when_messages_get_lost() -> None:
    for schedule in (Schedule("poisson", delivery=0.5), Schedule("poisson", delay=1.0), Schedule(delivery=0.8)):
        data = predict(game_on("ring", start="data", samples=10**9), schedule)
        reference = predict(game_on("ring", samples=10**9), schedule)
        assert reference.rate == pytest.approx(reference.asymptotic_rate)
        assert data.asymptotic_rate == reference.asymptotic_rate
        assert data.rate is not None
        assert data.mode is None or data.rate < 1.05 * reference.rate  # type: ignore[operator]


# --- where theory says nothing -----------------------------------------------------------------------------------


def only_the_radius(prediction: Prediction, radius: float) -> None:
    assert (prediction.rate, prediction.asymptotic_rate, prediction.mode) == (None, None, None)
    assert (prediction.floors, prediction.noise_floor_rms) == (None, None)
    assert prediction.spectral_radius == pytest.approx(radius)


@pytest.mark.parametrize("clock", ["rounds", "poisson"])
def test_nothing_is_said_of_random_delays(clock: Any) -> None:
    prediction = predict(game_on("star"), Schedule(clock, delay=None))
    only_the_radius(prediction, spectral_radius(GRAPHS["star"]))


def test_only_the_radius_is_known_of_a_schedule_that_is_not() -> None:
    prediction = predict(game_on("star"), Schedule(known=False, delivery={("no", "edge"): 0.5}))
    only_the_radius(prediction, spectral_radius(GRAPHS["star"]))


def test_late_messages_to_damped_clocks_have_a_rate_but_no_known_floor() -> None:
    for steps, delivery in ((HALF, 1.0), (HALF, 0.5), (UNEVEN, 0.5), (FULL, by_edge("star"))):
        prediction = predict(game_on("star", steps), Schedule("poisson", delay=1.0, delivery=delivery))
        assert (prediction.floors, prediction.noise_floor_rms) == (None, None)
        assert prediction.rate is not None
        assert -1 < prediction.rate < 0


def test_a_graph_whose_modes_are_no_basis_has_no_known_floor_when_late() -> None:
    family = Gaussian()
    G = attach_alpha(nx.path_graph(4, create_using=nx.DiGraph), 0.2)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [float(i)]})) for i in G})
    assert predict(game, Schedule("poisson", delay=1.0)).floors is None
    assert predict(game, Schedule("poisson")).floors is not None


def test_too_many_edges_have_a_rate_but_no_floor() -> None:
    family = Gaussian()
    G = attach_alpha(nx.cycle_graph(500), 0.4)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [0.0]})) for i in G})
    prediction = predict(game, Schedule(delivery=0.5))
    assert prediction.floors is None
    assert prediction.asymptotic_rate == pytest.approx(np.log(1 - 0.5 * 0.4))
    assert predict(game, Schedule(delay=4.0)).floors is None


def test_rates_of_large_uneven_systems_are_found() -> None:
    family = Gaussian()
    G = attach_alpha(nx.cycle_graph(300), 0.4)
    game = Game(G, {i: PlayerSpec(family, data=family.space.batch({"x": [0.0]})) for i in G})
    uneven = {(a, b): 0.5 + 1e-7 * (a % 2) for a, b in G.edges if a != b}
    for clock, expected in (("rounds", np.log(1 - 0.5 * 0.4)), ("poisson", -0.5 * 0.4)):
        found = predict(game, Schedule(clock, delivery=uneven)).asymptotic_rate  # type: ignore[arg-type]
        assert found == pytest.approx(expected, abs=1e-6)
